package jsonpatch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// DiffOptions changes what [Diff] returns. A nil *DiffOptions is the zero one.
type DiffOptions struct {
	// Elements makes Diff change arrays element by element, with as few
	// elements as can be. Otherwise an array that differs is replaced whole,
	// which is shorter to read and cannot hit an element that has moved
	// meanwhile. Two arrays whose lengths, without what is equal at both
	// ends, multiply to more than a million are replaced whole all the same,
	// and so is one that would take more than MaxOperations.
	Elements bool

	// Guard puts a test of the old value before each remove and replace, so
	// that the patch applies only where nobody else has changed what it
	// changes. An add has no old value to test.
	Guard bool
}

// Diff returns the patch that turns before into after. It is empty, and not
// nil, when the two are equal as [Test] compares.
//
// The same two documents always give the same patch. Members are visited in the
// order of their names (by bytes), and each one that differs costs one
// operation: add, remove, replace, or a look inside where both are objects.
// Moves and copies are not searched for.
//
// Where that would take more than [MaxOperations], the patch replaces the whole
// document. Both documents must be as [Patch.Apply] wants them, or the error
// matches [ErrInvalidDocument].
func Diff(before, after []byte, opts *DiffOptions) (Patch, error) {
	a, err := parse(string(before), MaxDepth)
	if err != nil {
		return nil, fmt.Errorf("jsonpatch: before: %w: %w", ErrInvalidDocument, err)
	}
	b, err := parse(string(after), MaxDepth)
	if err != nil {
		return nil, fmt.Errorf("jsonpatch: after: %w: %w", ErrInvalidDocument, err)
	}
	d := differ{patch: Patch{}}
	if opts != nil {
		d.opts = *opts
	}
	d.diff(&a.root, &b.root)
	if len(d.patch) > MaxOperations {
		d.patch = nil
		d.replace(&a.root, &b.root)
	}
	return d.patch, nil
}

type differ struct {
	opts  DiffOptions
	patch Patch
	path  []byte // of the values being compared
}

func (d *differ) diff(a, b *node) {
	switch {
	case a.text == b.text:
	case a.kind() == '{' && b.kind() == '{':
		d.members(a.expand(), b.expand())
	case d.opts.Elements && a.kind() == '[' && b.kind() == '[':
		d.elements(a, b)
	case !equal(a, b):
		d.replace(a, b)
	}
}

// change is a member that is not the same text on both sides; nil where it is
// absent.
type change struct {
	name          string
	before, after *node
}

func (d *differ) members(a, b *container) {
	var changes []change
	for i := range a.items {
		it := &a.items[i]
		k := b.findNear(i, it.name)
		if k < 0 {
			changes = append(changes, change{name: it.name, before: &it.value})
		} else if other := &b.items[k].value; it.value.text != other.text {
			changes = append(changes, change{it.name, &it.value, other})
		}
	}
	for i := range b.items {
		it := &b.items[i]
		if a.findNear(i, it.name) < 0 {
			changes = append(changes, change{name: it.name, after: &it.value})
		}
	}
	slices.SortFunc(changes, func(x, y change) int { return strings.Compare(x.name, y.name) })
	outer := len(d.path)
	for _, c := range changes {
		d.path = append(append(d.path, '/'), escapeName(c.name)...)
		switch {
		case c.before == nil:
			d.add(c.after)
		case c.after == nil:
			d.remove(c.before)
		default:
			d.diff(c.before, c.after)
		}
		d.path = d.path[:outer]
	}
}

// maxCells bounds the table of elements.
const maxCells = 1 << 20

// elements turns array a into array b with the fewest added, removed and
// changed elements, and among such edits with the fewest changed ones.
func (d *differ) elements(a, b *node) {
	before, after := a.expand().items, b.expand().items
	index := 0 // of before[0] in the array as edited so far
	for len(before) > 0 && len(after) > 0 && equal(&before[0].value, &after[0].value) {
		before, after = before[1:], after[1:]
		index++
	}
	for len(before) > 0 && len(after) > 0 && equal(&before[len(before)-1].value, &after[len(after)-1].value) {
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	if len(before)*len(after) > maxCells {
		d.replace(a, b)
		return
	}
	start, outer := len(d.patch), len(d.path)
	t := newEditTable(before, after)
	for i, k := 0, 0; i < len(before) || k < len(after); {
		d.path = strconv.AppendInt(append(d.path, '/'), int64(index), 10)
		step, _ := t.next(i, k)
		switch step {
		case changeElement:
			d.diff(&before[i].value, &after[k].value)
		case removeElement:
			d.remove(&before[i].value)
		case addElement:
			d.add(&after[k].value)
		}
		if step != addElement {
			i++
		}
		if step != removeElement {
			k++
			index++
		}
		d.path = d.path[:outer]
	}
	if len(d.patch) > MaxOperations {
		d.patch = d.patch[:start]
		d.replace(a, b)
	}
}

func (d *differ) add(after *node) { d.emit(opAdd, after) }

func (d *differ) remove(before *node) {
	d.guard(before)
	d.emit(opRemove, nil)
}

func (d *differ) replace(before, after *node) {
	d.guard(before)
	d.emit(opReplace, after)
}

func (d *differ) guard(before *node) {
	if d.opts.Guard {
		d.emit(opTest, before)
	}
}

func (d *differ) emit(op opKind, value *node) {
	o := Operation{op: op, path: string(d.path)}
	if value != nil {
		o.kind, o.text = valueJSON, compact(value.text)
	}
	d.patch = append(d.patch, o)
}

// compact drops the line breaks of an indented value, and the spaces with them.
func compact(text string) string {
	if !strings.ContainsAny(text, "\n\r\t") {
		return text
	}
	var b bytes.Buffer
	_ = json.Compact(&b, []byte(text)) // the text was checked
	return b.String()
}
