package jsonpatch

import (
	"slices"
	"strings"
)

// document is a JSON text as a tree that is expanded along the pointers used;
// what was not changed keeps its bytes.
type document struct {
	lead, trail string // whitespace around the root
	root        node

	copied, copyLimit int // bytes, see MaxCopied
}

// node is a value of a document. It is text until something looks inside.
type node struct {
	text   string     // as in its source; out of date once the container changed
	in     *container // nil until expanded; always nil for scalars
	height int32      // of text, as in extent
	count  int32      // of text, as in extent
}

// container is an expanded object or array. Between its brackets stand open,
// the items with a separator between any two, and tail.
type container struct {
	object  bool
	changed bool           // here or further down: the node's text no longer holds
	live    int            // items that were not removed
	items   []item         // removed members stay, marked; removed elements do not
	index   map[string]int // of the live members, in objects of many
	open    string         // whitespace before the first item
	sep     string         // what stands before the second item in the source, if it has one
	tail    string         // whitespace after the last item
}

// item is a member of an object or an element of an array.
type item struct {
	name    string // of a member, unescaped
	key     string // of a member: its quoted name, the colon, and the space around that
	gap     string // comma and space before it in the source; "" for a first or new one
	value   node
	removed bool
}

// smallObject is the number of members up to which names are searched one by
// one.
const smallObject = 32

func newNode(text string, ext extent) node {
	return node{text: text, height: int32(ext.height), count: int32(ext.count)}
}

// kind returns the first byte of the node's JSON text.
func (n *node) kind() byte { return n.text[0] }

func (n *node) changed() bool { return n.in != nil && n.in.changed }

// levels returns the node's height as it is now.
func (n *node) levels() int {
	if !n.changed() {
		return int(n.height)
	}
	below := 0
	for i := range n.in.items {
		if it := &n.in.items[i]; !it.removed {
			below = max(below, it.value.levels())
		}
	}
	return below + 1
}

// expand returns the node's container, or nil for a scalar.
func (n *node) expand() *container {
	if n.in != nil {
		return n.in
	}
	text := n.text
	if text[0] != '{' && text[0] != '[' {
		return nil
	}
	c := &container{object: text[0] == '{', live: int(n.count), items: make([]item, n.count)}
	n.in = c
	i := skipSpace(text, 1)
	gap := i
	for k := range c.items {
		it := &c.items[k]
		it.gap = text[gap:i]
		if c.object {
			end := skipString(text, i)
			it.name = unescape(text[i+1 : end-1])
			start := skipSpace(text, skipSpace(text, end)+1)
			it.key = text[i:start]
			i = start
		}
		ext := skipValue(text, i)
		it.value = newNode(text[i:ext.end], ext)
		gap = ext.end
		i = skipSpace(text, gap)
		if text[i] == ',' {
			i = skipSpace(text, i+1)
		}
	}
	if c.live > 0 {
		c.open = text[1:skipSpace(text, 1)]
		c.tail = text[gap : len(text)-1]
	}
	if c.live > 1 {
		c.sep = c.items[1].gap
	}
	return c
}

// skipValue returns the extent of the value at offset i of a checked text.
func skipValue(text string, i int) extent {
	var ext extent
	depth := 0
	for {
		switch text[i] {
		case '"':
			i = skipString(text, i)
		case '{', '[':
			depth++
			ext.height = max(ext.height, depth)
			i = skipSpace(text, i+1)
			if depth == 1 && text[i] != '}' && text[i] != ']' {
				ext.count = 1
			}
			continue
		case '}', ']':
			depth--
			i++
		case ',':
			if depth == 1 {
				ext.count++
			}
			i++
			continue
		case ' ', '\n', '\r', '\t', ':':
			i++
			continue
		default:
			for i++; i < len(text) && !endsScalar(text[i]); i++ {
			}
		}
		if depth == 0 {
			ext.end = i
			return ext
		}
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

// find returns the position of the live member called name, or -1.
func (c *container) find(name string) int {
	if len(c.items) > smallObject {
		if c.index == nil {
			c.index = make(map[string]int, len(c.items))
			for i := range c.items {
				if it := &c.items[i]; !it.removed {
					c.index[it.name] = i
				}
			}
		}
		if i, ok := c.index[name]; ok {
			return i
		}
		return -1
	}
	for i := range c.items {
		if it := &c.items[i]; it.name == name && !it.removed {
			return i
		}
	}
	return -1
}

// addMember adds a member at the end, spaced like the ones before it.
func (c *container) addMember(name string, value node) {
	key := string(append(appendString(make([]byte, 0, len(name)+len(`"":`)), name, false), ':'))
	if len(c.items) > 0 {
		last := c.items[len(c.items)-1].key
		key += last[len(strings.TrimRight(last, spaces)):]
	}
	if c.index != nil {
		c.index[name] = len(c.items)
	}
	c.items = append(c.items, item{name: name, key: key, value: value})
	c.live++
}

func (c *container) removeMember(i int) {
	if c.index != nil {
		delete(c.index, c.items[i].name)
	}
	c.items[i].removed = true
	c.items[i].value = node{}
	c.live--
}

func (c *container) insertElement(i int, value node) {
	c.items = slices.Insert(c.items, i, item{value: value})
	c.live++
}

func (c *container) removeElement(i int) {
	c.items = slices.Delete(c.items, i, i+1)
	c.live--
}

// appendTo appends the node's JSON text.
func (n *node) appendTo(b []byte) []byte {
	if !n.changed() {
		return append(b, n.text...)
	}
	c := n.in
	b = append(b, n.kind())
	first := true
	for i := range c.items {
		it := &c.items[i]
		switch {
		case it.removed:
			continue
		case first:
			b = append(b, c.open...)
			first = false
		case it.gap != "":
			b = append(b, it.gap...)
		case c.sep != "":
			b = append(b, c.sep...)
		default:
			b = append(append(b, ','), c.open...)
		}
		b = append(b, it.key...)
		b = it.value.appendTo(b)
	}
	if !first {
		b = append(b, c.tail...)
	}
	return append(b, n.kind()+2) // '{'+2 is '}', '['+2 is ']'
}
