package jsonpatch

import (
	"bytes"
	"fmt"
	"strings"
)

// The limits of a patch, so that a small one cannot ask for much more memory or time than itself and the document take.
const (
	// MaxOperations is how many operations a patch may have to be read or applied. [Diff] never returns more.
	MaxOperations = 10_000

	// MaxDepth is how many levels of objects and arrays a document, the value of an operation and a result may have.
	MaxDepth = 1_000

	// MaxCopied is how many bytes of JSON all copy operations of a patch may add together, or the size of the document
	// if that is more.
	MaxCopied = 4 << 20
)

// A document is a JSON text that operations are applied to.
type document struct {
	lead, trail string // white space around the root
	root        node

	copyable   int // bytes that copy operations may still add
	comparable comparison
}

// Apply returns doc with the patch applied as RFC 6902 says: one operation after the other, each to the result of the
// one before it, and all or nothing. It does not modify doc. A nil or empty patch returns a copy of doc.
//
// It is strict. The document must be one JSON text in UTF-8, and must have no object with two members of one name,
// because nothing says which of them a pointer means. Array indices are decimal digits without leading zeros, and "-"
// is only for adding.
//
// What the patch does not touch keeps its bytes: order, white space, the spelling of numbers and strings. A new member
// is the last in its object, spaced like the ones before it, and a replaced one keeps its place.
//
// If an operation fails, the error is an [*Error] with its index. The error of a bad document matches
// [ErrInvalidDocument], and that of anything above [MaxOperations], [MaxDepth] or [MaxCopied] matches [ErrLimit].
// ErrLimit is also the error of a patch of which the tests compare the same long values over and over.
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
	d.comparable.left = MaxCopied + 64*int64(size) // far more than comparing each value once takes
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

// apply carries out an operation that has been checked.
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

// at returns the node that pointer leads to. If change is true, every container on the way is marked as changed: the
// caller is going to write to the node.
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

// parent returns the container in which the last name of pointer is looked up, marked as changed, and that name. The
// pointer must not be "".
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

// remove takes the value at path, which must not be "", out of the document.
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
	value.in = nil // what changes in the copy does not change in the original
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
