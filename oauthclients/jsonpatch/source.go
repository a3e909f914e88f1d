package jsonpatch

import "math/bits"

// A source is a checked JSON text with the extents of its objects and arrays, in the order in which they begin. The
// extents allow skipping a value in one step, so that access to a deep document costs no more than reading it once.
type source struct {
	text       string
	containers []extent
}

// An extent is where an object or array ends. Offsets are 32 bits wide because a text of brackets has about as many
// extents as bytes; parse refuses longer texts.
type extent struct {
	end  int32 // offset in the text, after the closing bracket
	next int32 // index of the first container after it
}

// newSource returns the source of a checked text.
func newSource(text string) *source {
	s := &source{text: text}
	var open []int32 // indices of the containers around offset i
	for i := 0; i < len(text); {
		switch text[i] {
		case '"':
			i = skipString(text, i)
			continue
		case '{', '[':
			open = append(open, int32(len(s.containers)))
			s.containers = append(s.containers, extent{})
		case '}', ']':
			last := open[len(open)-1]
			open = open[:len(open)-1]
			s.containers[last] = extent{end: int32(i + 1), next: int32(len(s.containers))}
		}
		i++
	}
	return s
}

// A cursor is a position in a source.
type cursor struct {
	*source
	offset int
	next   int32 // index of the first container at or after the offset
}

// skipValue moves the cursor from the start of a value inside a container to its end.
func (c *cursor) skipValue() {
	switch c.text[c.offset] {
	case '{', '[':
		e := c.containers[c.next]
		c.offset, c.next = int(e.end), e.next
	case '"':
		c.offset = skipString(c.text, c.offset)
	default:
		for c.offset++; !endsScalar(c.text[c.offset]); c.offset++ {
		}
	}
}

// readItem moves the cursor from the end of the previous item of an object or array to the end of the next one, and
// returns that.
func (c *cursor) readItem(object bool) item {
	var it item
	start := c.offset
	c.skipGap()
	if object {
		end := skipString(c.text, c.offset)
		it.name = unescape(c.text[c.offset+1 : end-1])
		c.offset = skipSpace(c.text, skipSpace(c.text, end)+1) // after the colon
	}
	it.lead = c.text[start:c.offset]
	it.value = node{source: c.source, start: int32(c.offset), first: c.next}
	c.skipValue()
	it.value.text = c.text[it.value.start:c.offset]
	return it
}

// skipItem is readItem without the result.
func (c *cursor) skipItem(object bool) {
	c.skipGap()
	if object {
		c.offset = skipSpace(c.text, skipSpace(c.text, skipString(c.text, c.offset))+1)
	}
	c.skipValue()
}

// skipGap moves the cursor over white space and the comma before an item.
func (c *cursor) skipGap() {
	for isSpace(c.text[c.offset]) || c.text[c.offset] == ',' {
		c.offset++
	}
}

func endsScalar(c byte) bool { return c == ',' || c == '}' || c == ']' || isSpace(c) }

// skipString returns the offset after the string at offset i of a checked text.
func skipString(text string, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// sums is a Fenwick tree of element counts. It finds and changes a count, and finds the position of an element, in
// logarithmic time.
type sums []int32

// newSums returns the sums of n numbers.
func newSums(n int, number func(int) int32) sums {
	s := make(sums, n+1)
	for i := 1; i <= n; i++ {
		s[i] += number(i - 1)
		if up := i + i&-i; up <= n {
			s[up] += s[i]
		}
	}
	return s
}

// add adds n to the number at index i.
func (s sums) add(i int, n int32) {
	for i++; i < len(s); i += i & -i {
		s[i] += n
	}
}

// find returns the index of the number that counts the nth element, and the position of that element within it. If n is
// at least the sum of all numbers, the index is after the last.
func (s sums) find(n int) (index, place int) {
	for step := 1 << bits.Len(uint(len(s))); step > 0; step >>= 1 {
		if i := index + step; i < len(s) && int(s[i]) <= n {
			index = i
			n -= int(s[i])
		}
	}
	return index, n
}
