package jsonpatch

import (
	"bytes"
	"fmt"
	"strings"
)

// The limits of a patch. They keep a small patch from using much more memory or time than its own size and that of the
// document suggest.
const (
	// MaxOperations is the maximum number of operations of a patch that is read or applied. [Diff] never returns more.
	MaxOperations = 10_000

	// MaxDepth is the maximum nesting depth of objects and arrays in a document, the value of an operation and a result.
	MaxDepth = 1_000

	// MaxCopied is the maximum number of bytes of JSON that all copy operations of a patch may add together. For documents
	// larger than that, the limit is the size of the document.
	MaxCopied = 4 << 20
)

// A document is a JSON text that operations are applied to.
type document struct {
	lead, trail string // white space around the root
	root        node

	copyable   int // bytes that copy operations may still add
	comparable comparison
}

// Apply returns doc with the patch applied as RFC 6902 specifies: each operation is applied to the result of the one
// before it, and either all take effect or none. It does not modify doc. A nil or empty patch returns a copy of doc.
//
// Apply is strict. The document must be a single JSON text in UTF-8. No object may have two members of the same name,
// because a pointer would be ambiguous. Array indices are decimal digits without leading zeros; "-" is allowed only for
// adding.
//
// Everything that the patch does not touch keeps its bytes: order, white space, and the spelling of numbers and
// strings. A new member becomes the last one of its object, with the spacing of the ones before it; a replaced one
// keeps its place.
//
// If an operation fails, the error is an [*Error] with its index. The error of an invalid document matches
// [ErrInvalidDocument]; if [MaxOperations], [MaxDepth] or [MaxCopied] is exceeded, the error matches [ErrLimit]. So
// does the error of a patch whose tests compare the same long values over and over.
func (p Patch) Apply(doc []byte) ([]byte, error) {
	if len(p) > MaxOperations {
		return nil, fmt.Errorf("jsonpatch: %w: the patch has %d operations, more than %d", ErrLimit, len(p), MaxOperations)
	}
	size := len(doc)
	for i := range p {
		op := &p[i]
		if err := op.check(); err != nil {
			return nil, errorAt(i, op, err)
		}
		size += len(op.path) + len(op.from) + len(op.value) + len(`,"":`)
	}
	d, err := parse(string(doc), MaxDepth)
	if err != nil {
		return nil, fmt.Errorf("jsonpatch: %w: %w", ErrInvalidDocument, err)
	}
	d.copyable = max(MaxCopied, len(doc))
	d.comparable.left = MaxCopied + 64*int64(size) // far more than it takes to compare each value once
	for i := range p {
		op := &p[i]
		if err := d.apply(op); err != nil {
			return nil, errorAt(i, op, err)
		}
	}
	result := append(make([]byte, 0, size), d.lead...)
	result, ok := d.root.appendTo(result, MaxDepth)
	if !ok || tooDeep(result) {
		return nil, fmt.Errorf("jsonpatch: %w: the result is nested more than %d levels deep", ErrLimit, MaxDepth)
	}
	return append(result, d.trail...), nil
}

// tooDeep reports whether a JSON text is nested more than MaxDepth levels deep.
func tooDeep(text []byte) bool {
	if bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) <= MaxDepth {
		return false
	}
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest > MaxDepth
}

// apply applies an operation that has been checked.
func (d *document) apply(op *Operation) error {
	switch op.op {
	case opAdd:
		return d.add(op.path, node{text: op.value})
	case opRemove:
		_, err := d.remove(op.path)
		return err
	case opReplace:
		n, err := d.at(op.path, true)
		if err != nil {
			return err
		}
		*n = node{text: op.value}
		return nil
	case opMove:
		return d.move(op.from, op.path)
	case opCopy:
		return d.copy(op.from, op.path)
	default:
		return d.test(op.path, op.value)
	}
}

// at returns the node at pointer. If change is true, it marks every container on the way as changed, because the caller
// will modify the node.
func (d *document) at(pointer string, change bool) (*node, error) {
	n := &d.root
	for end := 0; end < len(pointer); {
		start := end + 1
		end = len(pointer)
		if i := strings.IndexByte(pointer[start:], '/'); i >= 0 {
			end = start + i
		}
		c := n.expand()
		if c == nil {
			return nil, notFound(pointer[:end])
		}
		it := c.item(unescapeName(pointer[start:end]))
		if it == nil {
			return nil, notFound(pointer[:end])
		}
		c.changed = c.changed || change
		n = &it.value
	}
	return n, nil
}

// parent returns the container in which to look up the last name of pointer, marked as changed, and that name. pointer
// must not be "".
func (d *document) parent(pointer string) (*container, string, error) {
	cut := strings.LastIndexByte(pointer, '/')
	n, err := d.at(pointer[:cut], true)
	if err != nil {
		return nil, "", err
	}
	c := n.expand()
	if c == nil {
		return nil, "", fmt.Errorf("%w: %q is neither an object nor an array", ErrNotFound, pointer[:cut])
	}
	c.changed = true
	return c, unescapeName(pointer[cut+1:]), nil
}

func notFound(pointer string) error {
	return fmt.Errorf("%w: nothing at %q", ErrNotFound, pointer)
}

func (d *document) add(path string, value node) error {
	if path == "" {
		d.root = value
		return nil
	}
	c, name, err := d.parent(path)
	if err != nil {
		return err
	}
	if !c.put(name, value) {
		return fmt.Errorf("%w: %q is not a place in an array of %d", ErrNotFound, name, c.live)
	}
	return nil
}

// remove removes the value at path, which must not be "".
func (d *document) remove(path string) (node, error) {
	c, name, err := d.parent(path)
	if err != nil {
		return node{}, err
	}
	value, ok := c.remove(name)
	if !ok {
		return node{}, notFound(path)
	}
	return value, nil
}

func (d *document) move(from, path string) error {
	if from == path {
		_, err := d.at(from, false)
		return err
	}
	value, err := d.remove(from)
	if err != nil {
		return err
	}
	return d.add(path, value)
}

func (d *document) copy(from, path string) error {
	n, err := d.at(from, false)
	if err != nil {
		return err
	}
	value := *n
	value.in = nil // changes of the copy must not affect the original
	if n.changed() {
		text, ok := n.appendTo(nil, MaxDepth)
		if !ok {
			return fmt.Errorf("%w: the value to copy is nested more than %d levels deep", ErrLimit, MaxDepth)
		}
		value = node{text: string(text)}
	}
	if d.copyable -= len(value.text); d.copyable < 0 {
		return fmt.Errorf("%w: the patch copies more than %d bytes, and more than the document has", ErrLimit, MaxCopied)
	}
	return d.add(path, value)
}

func (d *document) test(path, value string) error {
	n, err := d.at(path, false)
	if err != nil {
		return err
	}
	equal := d.comparable.equal(n, &node{text: value})
	switch {
	case d.comparable.left < 0:
		return fmt.Errorf("%w: the tests of the patch compare far more than the patch and the document hold", ErrLimit)
	case !equal:
		return fmt.Errorf("%w: the value is another", ErrTestFailed)
	}
	return nil
}
