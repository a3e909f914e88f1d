package jsonpatch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Diff returns the patch that turns before into after. It is empty, not nil, if the two are equal in the sense of
// [Test].
//
// The result is deterministic. Members are visited in the byte order of their names. A member that differs takes one
// operation, add, remove or replace; if it is an object on both sides, its own members are compared. An array that
// differs is replaced as a whole, so that the patch cannot change an element that has moved in the meantime.
//
// The patch replaces the whole document if it would otherwise have more than [MaxOperations] operations, or if its
// pointers together would be longer than both documents and than 1 MiB. Both documents must be valid for [Patch.Apply];
// if not, the error matches [ErrInvalidDocument].
func Diff(before, after []byte) (Patch, error) {
	a, err := parse(string(before), MaxDepth)
	if err != nil {
		return nil, fmt.Errorf("jsonpatch: before: %w: %w", ErrInvalidDocument, err)
	}
	b, err := parse(string(after), MaxDepth)
	if err != nil {
		return nil, fmt.Errorf("jsonpatch: after: %w: %w", ErrInvalidDocument, err)
	}
	size := len(before) + len(after)
	d := differ{
		patch:      Patch{},
		pointers:   max(size, 1<<20),
		texts:      64 * int64(size),
		comparison: comparison{left: math.MaxInt64},
	}
	d.diff(&a.root, &b.root)
	if d.full() {
		return Patch{{op: opReplace, value: compact(b.root.text)}}, nil
	}
	return d.patch, nil
}

type differ struct {
	patch    Patch
	path     []byte // of the values that are compared
	pointers int    // bytes that may still be used for pointers
	texts    int64  // bytes of objects that may still be compared as text
	comparison
}

// full reports whether the patch has become too large.
func (d *differ) full() bool { return len(d.patch) > MaxOperations || d.pointers < 0 }

func (d *differ) diff(a, b *node) {
	if a.kind() == '{' && b.kind() == '{' {
		d.members(a.expand(), b.expand())
	} else if !d.equal(a, b) {
		d.emit(opReplace, b)
	}
}

// sameText reports whether two values have the same text. If not, they may still be equal. It returns false once too
// many bytes have been compared, which happens if a deep document is compared again at each level.
func (d *differ) sameText(a, b *node) bool {
	if len(a.text) != len(b.text) || d.texts < 0 {
		return false
	}
	d.texts -= int64(len(a.text))
	return a.text == b.text
}

// A change is a member whose text differs. The node of a side that does not have it is zero.
type change struct {
	name          string
	before, after node
}

func (d *differ) members(a, b *container) {
	var changes []change
	for ra, rb := (reader{container: a}), (reader{container: b}); ; {
		it, other := ra.next(), rb.next() // usually both have the same order
		if it == nil && other == nil {
			break
		}
		if it != nil && other != nil && it.name == other.name {
			if !d.sameText(&it.value, &other.value) {
				changes = append(changes, change{it.name, it.value, other.value})
			}
			continue
		}
		if it != nil {
			if other := b.member(it.name); other == nil {
				changes = append(changes, change{name: it.name, before: it.value})
			} else if !d.sameText(&it.value, &other.value) {
				changes = append(changes, change{it.name, it.value, other.value})
			}
		}
		if other != nil && a.member(other.name) == nil {
			changes = append(changes, change{name: other.name, after: other.value})
		}
	}
	slices.SortFunc(changes, func(x, y change) int { return strings.Compare(x.name, y.name) })
	outer := len(d.path)
	for i := range changes {
		if d.full() {
			return
		}
		c := &changes[i]
		d.path = append(append(d.path, '/'), escapeName(c.name)...)
		switch {
		case c.before.text == "":
			d.emit(opAdd, &c.after)
		case c.after.text == "":
			d.emit(opRemove, nil)
		default:
			d.diff(&c.before, &c.after)
		}
		d.path = d.path[:outer]
	}
}

func (d *differ) emit(op string, value *node) {
	o := Operation{op: op, path: string(d.path)}
	if value != nil {
		o.value = compact(value.text)
	}
	d.patch = append(d.patch, o)
	d.pointers -= len(o.path)
}

// compact removes the white space of an indented value.
func compact(text string) string {
	if !strings.ContainsAny(text, "\n\r\t") {
		return text
	}
	var b bytes.Buffer
	_ = json.Compact(&b, []byte(text)) // the text is valid
	return b.String()
}
