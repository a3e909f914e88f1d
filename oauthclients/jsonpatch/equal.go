package jsonpatch

import "strings"

// A comparison compares values as in RFC 6902, section 4.6. It counts the bytes that it reads beyond the smallest form
// of two equal values, which are white space and the digits of numbers, because a patch could make it read them again
// and again.
type comparison struct {
	left int64 // bytes that may still be read; if negative, nothing is equal
}

// equal reports whether two values are equal; b must be unchanged.
func (c *comparison) equal(a, b *node) bool {
	return !a.changed() && a.text == b.text || c.sameValue(a, b)
}

// sameValue is equal for values whose texts probably differ. It does not compare the texts of objects and arrays: if it
// did so at each level, the cost would be size times depth.
func (c *comparison) sameValue(a, b *node) bool {
	switch a.kind() {
	case '{':
		return b.kind() == '{' && c.spaces(a) && c.sameMembers(a.in, b.expand())
	case '[':
		return b.kind() == '[' && c.spaces(a) && c.sameElements(a.in, b.expand())
	case '"':
		return b.kind() == '"' && sameString(a.text, b.text)
	case 't', 'f', 'n':
		return a.text == b.text
	default:
		c.left -= int64(len(a.text))
		return c.left >= 0 && isNumber(b.kind()) && equalNumbers(a.text, b.text)
	}
}

func (c *comparison) sameElements(a, b *container) bool {
	if a.live != b.live {
		return false
	}
	before, after := reader{container: a}, reader{container: b}
	for it := before.next(); it != nil; it = before.next() {
		c.left -= int64(len(it.lead))
		if !c.sameValue(&it.value, &after.next().value) {
			return false
		}
	}
	return true
}

func (c *comparison) sameMembers(a, b *container) bool {
	if a.live != b.live {
		return false
	}
	before, after := reader{container: a}, reader{container: b}
	for it := before.next(); it != nil; it = before.next() {
		c.left -= int64(len(it.lead))
		other := after.next() // usually both have the same order
		if other.name != it.name {
			if other = b.member(it.name); other == nil {
				return false
			}
		}
		if !c.sameValue(&it.value, &other.value) {
			return false
		}
	}
	return true
}

// spaces expands a container and counts its white space. It reports whether the limit allows that.
func (c *comparison) spaces(n *node) bool {
	in := n.expand()
	if in.live > 0 {
		c.left -= int64(len(in.open) + len(in.tail))
	} else if !in.changed {
		c.left -= int64(len(n.text))
	}
	return c.left >= 0
}

// sameString compares two quoted strings by code points.
func sameString(a, b string) bool {
	if strings.IndexByte(a, '\\') < 0 && strings.IndexByte(b, '\\') < 0 {
		return a == b
	}
	return unescape(a) == unescape(b)
}

func isNumber(c byte) bool { return c == '-' || '0' <= c && c <= '9' }
