package jsonpatch

import "strings"

// equal compares two values as RFC 6902 section 4.6 does.
func equal(a, b *node) bool {
	if !a.changed() && !b.changed() && a.text == b.text {
		return true
	}
	switch a.kind() {
	case '{':
		return b.kind() == '{' && equalMembers(a.expand(), b.expand())
	case '[':
		return b.kind() == '[' && equalElements(a.expand(), b.expand())
	case '"':
		return b.kind() == '"' && equalStrings(a.text, b.text)
	case 't', 'f', 'n':
		return false // their only spelling differs
	default:
		return isNumber(b.kind()) && equalNumbers(a.text, b.text)
	}
}

func equalMembers(a, b *container) bool {
	if a.live != b.live {
		return false
	}
	for i := range a.items {
		it := &a.items[i]
		if it.removed {
			continue
		}
		k := b.findNear(i, it.name)
		if k < 0 || !equal(&it.value, &b.items[k].value) {
			return false
		}
	}
	return true
}

func equalElements(a, b *container) bool {
	if len(a.items) != len(b.items) {
		return false
	}
	for i := range a.items {
		if !equal(&a.items[i].value, &b.items[i].value) {
			return false
		}
	}
	return true
}

// findNear is find for a name that is probably at position i.
func (c *container) findNear(i int, name string) int {
	if i < len(c.items) && c.items[i].name == name && !c.items[i].removed {
		return i
	}
	return c.find(name)
}

// equalStrings compares two quoted strings by code points.
func equalStrings(a, b string) bool {
	if strings.IndexByte(a, '\\') < 0 && strings.IndexByte(b, '\\') < 0 {
		return a == b
	}
	return unescape(a) == unescape(b)
}

func isNumber(c byte) bool { return c == '-' || '0' <= c && c <= '9' }
