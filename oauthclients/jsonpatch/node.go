package jsonpatch

import (
	"slices"
	"strings"
)

// A node is a value of a document. It is kept as text until it is needed in parts.
type node struct {
	text  string     // as in its source; outdated once the container has changed
	in    *container // nil until expanded; always nil for strings, numbers, booleans and null
	start int32      // offset of the text in the source, if there is a source
	first int32      // index of a container's own extent in the source

	*source // nil until the node or its parent is expanded
}

// A container is an expanded object or array. Its text is an opening bracket, open, the items with separators between
// them, tail, and a closing bracket.
type container struct {
	object  bool
	changed bool   // it, or something inside it, differs from the node's text
	live    int    // number of items, not counting removed ones
	open    string // white space before the first item
	sep     string // the text before the second item, if there are two
	tail    string // white space after the last item

	source *source
	chunks []chunk          // initially of chunkSize items each; insertions and removals change that
	sums   sums             // the number of elements of an array in each chunk; nil until needed
	index  map[string]int32 // the slots of an object's members by name; nil until needed
}

// A chunk is a run of items. It is kept as text until one of them is needed, so that replacing one element of an array
// of a million numbers costs little more than the text of the array.
type chunk struct {
	cursor         // where the chunk starts
	end    int     // offset where it ends
	count  int32   // items in the text
	items  []*item // nil until needed; a removed member leaves a nil, a removed element does not
}

const chunkSize = 32

// An item is a member of an object or an element of an array.
type item struct {
	name  string // the unescaped name of a member
	lead  string // the text before the value: comma and white space and, for a member, its name and the colon
	value node
}

// kind returns the first byte of the node's JSON text.
func (n *node) kind() byte { return n.text[0] }

func (n *node) changed() bool { return n.in != nil && n.in.changed }

// expand returns the node's container, or nil if it has none.
func (n *node) expand() *container {
	if n.in != nil || n.kind() != '{' && n.kind() != '[' {
		return n.in
	}
	if n.source == nil {
		n.source, n.start, n.first = newSource(n.text), 0, 0
	}
	end := int(n.containers[n.first].end) - 1 // of the closing bracket
	text := n.source.text[:end+1]
	c := &container{object: n.kind() == '{', source: n.source}
	n.in = c
	at := cursor{n.source, skipSpace(text, int(n.start)+1), n.first + 1}
	if at.offset == end {
		c.chunks = make([]chunk, 1) // without items
		return c
	}
	c.open = text[n.start+1 : at.offset]
	for more := true; more; {
		if c.live%chunkSize == 0 {
			c.chunks = append(c.chunks, chunk{cursor: at})
		}
		at.skipItem(c.object)
		c.live++
		last := &c.chunks[len(c.chunks)-1]
		last.count++
		last.end = at.offset
		gap := skipSpace(text, at.offset)
		if more = text[gap] == ','; !more {
			c.tail = text[at.offset:end]
		} else if c.live == 1 {
			c.sep = text[at.offset:skipSpace(text, gap+1)]
		}
	}
	return c
}

// expandChunk returns the items of a chunk.
func (c *container) expandChunk(k int) []*item {
	ch := &c.chunks[k]
	if ch.items == nil {
		items := make([]item, ch.count)
		ch.items = make([]*item, ch.count)
		at := ch.cursor
		for i := range items {
			items[i] = at.readItem(c.object)
			ch.items[i] = &items[i]
		}
	}
	return ch.items
}

// item returns the item called name, or nil if there is none.
func (c *container) item(name string) *item {
	if c.object {
		return c.member(name)
	}
	if i, ok := arrayIndex(name, c.live); ok {
		k, place := c.locate(i)
		return c.expandChunk(k)[place]
	}
	return nil
}

// put adds an item called name, or replaces the member with that name. It reports whether the container can have such
// an item.
func (c *container) put(name string, value node) bool {
	if c.object {
		if it := c.member(name); it != nil {
			it.value = value
		} else {
			c.addMember(name, value)
		}
		return true
	}
	i, ok := c.live, name == "-"
	if !ok {
		i, ok = arrayIndex(name, c.live+1)
	}
	if !ok {
		return false
	}
	k, place := c.locate(i)
	c.chunks[k].items = slices.Insert(c.expandChunk(k), place, &item{value: value})
	c.counted(k, 1)
	return true
}

// remove removes the item called name and returns its value. It reports whether there was one.
func (c *container) remove(name string) (node, bool) {
	if c.object {
		i := c.slotOf(name)
		if i < 0 {
			return node{}, false
		}
		slot := c.slot(i)
		value := (*slot).value
		*slot = nil
		delete(c.index, name)
		c.live--
		return value, true
	}
	i, ok := arrayIndex(name, c.live)
	if !ok {
		return node{}, false
	}
	k, place := c.locate(i)
	items := c.expandChunk(k)
	value := items[place].value
	c.chunks[k].items = slices.Delete(items, place, place+1)
	c.counted(k, -1)
	return value, true
}

// locate returns the chunk of the element at index i, and its index in that chunk. If i is the number of elements, it
// returns the position after the last element of the last chunk.
func (c *container) locate(i int) (k, place int) {
	if c.sums == nil {
		c.sums = newSums(len(c.chunks), func(k int) int32 { return c.chunks[k].length() })
	}
	if i == c.live {
		k = len(c.chunks) - 1
		return k, int(c.chunks[k].length())
	}
	return c.sums.find(i)
}

func (ch *chunk) length() int32 {
	if ch.items != nil {
		return int32(len(ch.items))
	}
	return ch.count
}

// counted records that chunk k has n more elements.
func (c *container) counted(k int, n int32) {
	c.live += int(n)
	c.sums.add(k, n)
}

// member returns the member called name, or nil if there is none.
func (c *container) member(name string) *item {
	if slot := c.slotOf(name); slot >= 0 {
		return *c.slot(slot)
	}
	return nil
}

// slot returns the place of the member with number i.
func (c *container) slot(i int) **item {
	k := min(i/chunkSize, len(c.chunks)-1)
	return &c.expandChunk(k)[i-k*chunkSize]
}

// slotOf returns the number of the member called name, or -1 if there is none. Members are numbered in order, including
// removed ones.
func (c *container) slotOf(name string) int {
	if len(c.chunks) == 1 && c.chunks[0].length() <= smallObject {
		return slices.IndexFunc(c.expandChunk(0), func(it *item) bool { return it != nil && it.name == name })
	}
	if c.index == nil {
		c.index = make(map[string]int32, c.live)
		r := reader{container: c}
		for it := r.next(); it != nil; it = r.next() {
			c.index[it.name] = int32(r.slot)
		}
	}
	if slot, ok := c.index[name]; ok {
		return int(slot)
	}
	return -1
}

// maxSpacing is the maximum length of white space that is repeated for a new item. Longer white space is not
// indentation.
const maxSpacing = 256

// addMember adds a member at the end, with the spacing of the one before it.
func (c *container) addMember(name string, value node) {
	k := len(c.chunks) - 1
	items := c.expandChunk(k)
	lead := append(appendString(nil, name), ':')
	for _, it := range slices.Backward(items) {
		if it != nil {
			space := it.lead[len(strings.TrimRight(it.lead, spaces)):]
			lead = append(lead, space[:min(len(space), maxSpacing)]...)
			break
		}
	}
	if c.index != nil {
		c.index[name] = int32(k*chunkSize + len(items))
	}
	items = append(items, &item{name: name, lead: string(lead), value: value})
	c.chunks[k].items = items
	c.live++
}

// A reader reads the items of a container in order. It does not expand chunks that are still text; it keeps their items
// only until it reads the next chunk.
type reader struct {
	*container
	slot  int // of the last item read
	ahead int // number of slots read
	chunk int // the next chunk
	items []*item

	kept     []item // the items of a chunk that is still text
	pointers []*item
}

// next returns the next item, or nil after the last.
func (r *reader) next() *item {
	for {
		for ; len(r.items) == 0; r.chunk++ {
			if r.chunk == len(r.chunks) {
				return nil
			}
			r.load(&r.chunks[r.chunk])
		}
		it := r.items[0]
		r.items = r.items[1:]
		r.slot = r.ahead
		r.ahead++
		if it != nil {
			return it
		}
	}
}

// load makes the reader continue with the items of a chunk.
func (r *reader) load(ch *chunk) {
	if r.items = ch.items; r.items != nil {
		return
	}
	if r.kept == nil {
		r.kept = make([]item, ch.count)
		r.pointers = make([]*item, ch.count)
		for i := range r.kept {
			r.pointers[i] = &r.kept[i]
		}
	}
	at := ch.cursor
	for i := range r.kept[:ch.count] {
		r.kept[i] = at.readItem(r.object)
	}
	r.items = r.pointers[:ch.count]
}

// appendTo appends the node's JSON text. It reports whether the changed containers in it are nested no more than levels
// deep; if not, the text is incomplete.
func (n *node) appendTo(b []byte, levels int) (_ []byte, ok bool) {
	if !n.changed() {
		return append(b, n.text...), true
	}
	if levels == 0 {
		return b, false
	}
	c := n.in
	b = append(b, n.kind())
	first := true
	separate := func(lead string) { // appends the text between the previous item and this one, and the rest of lead
		rest := strings.TrimLeft(lead, spaces+",")
		switch gap := lead[:len(lead)-len(rest)]; {
		case first:
			b = append(b, c.open...)
			first = false
		case gap != "":
			b = append(b, gap...)
		default:
			b = append(b, c.separator()...)
		}
		b = append(b, rest...)
	}
	for k := range c.chunks {
		ch := &c.chunks[k]
		if ch.items == nil {
			separate(ch.text[ch.offset:ch.end])
		}
		for _, it := range ch.items {
			if it == nil {
				continue
			}
			separate(it.lead)
			if b, ok = it.value.appendTo(b, levels-1); !ok {
				return b, false
			}
		}
	}
	if !first {
		b = append(b, c.tail...)
	}
	return append(b, n.kind()+2), true // '{'+2 is '}', and '['+2 is ']'
}

// separator returns the text before a new item: a comma, with the spacing of the one before the second item.
func (c *container) separator() string {
	switch {
	case len(c.sep) > 1 && len(c.sep) <= maxSpacing:
		return c.sep
	case c.sep == "" && len(c.open) <= maxSpacing:
		return "," + c.open
	}
	return ","
}
