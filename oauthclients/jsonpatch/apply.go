package jsonpatch

import (
	"fmt"
	"strings"
)

// The limits of [Patch.Apply], so that a small patch cannot ask for much more
// memory than itself and the document take.
const (
	// MaxOperations is how many operations a patch may have to be applied.
	// [Diff] never makes more.
	MaxOperations = 10_000

	// MaxDepth is how many levels of objects and arrays a document, the value
	// of an operation and a result may have.
	MaxDepth = 1_000

	// MaxCopied is how many bytes of JSON all copy operations of a patch may
	// add together, or the size of the document where that is more.
	MaxCopied = 4 << 20
)

// Apply returns doc with the patch applied as RFC 6902 says: one operation
// after the other, each on the result of the last, and all or nothing. It does
// not modify doc, and a nil or empty patch returns a copy of it.
//
// It is strict. The document must be one JSON text in UTF-8, and an object in
// it with two members of one name is refused, wherever it is, because nothing
// says which one a pointer means. Array indices are decimal digits without
// leading zeros; "-" is for adding only.
//
// What the patch does not touch keeps its bytes: order, spaces, the spelling of
// numbers and strings. A new member comes last in its object, spaced like the
// ones before it, and a replaced one keeps its place.
//
// A failing operation gives an [*Error] with its index. A bad document matches
// [ErrInvalidDocument], and what exceeds [MaxOperations], [MaxDepth] or
// [MaxCopied] matches [ErrLimit].
func (p Patch) Apply(doc []byte) ([]byte, error) {
	d, err := p.prepare(doc)
	if err != nil {
		return nil, err
	}
	size := len(doc)
	for i := range p {
		op := &p[i]
		if err := d.apply(op); err != nil {
			return nil, errorAt(i, op, err)
		}
		size += len(op.path) + len(op.text) + len(`,"":""`)
	}
	return d.appendTo(make([]byte, 0, size)), nil
}

// prepare checks the patch and reads the document.
func (p Patch) prepare(doc []byte) (document, error) {
	if len(p) > MaxOperations {
		return document{}, fmt.Errorf("jsonpatch: %w: the patch has %d operations, more than %d", ErrLimit, len(p), MaxOperations)
	}
	for i := range p {
		if err := p[i].check(); err != nil {
			return document{}, errorAt(i, &p[i], err)
		}
	}
	d, err := parse(string(doc), MaxDepth)
	if err != nil {
		return document{}, fmt.Errorf("jsonpatch: %w: %w", ErrInvalidDocument, err)
	}
	d.copyLimit = max(MaxCopied, len(doc))
	return d, nil
}

func (d *document) appendTo(b []byte) []byte {
	b = append(b, d.lead...)
	b = d.root.appendTo(b)
	return append(b, d.trail...)
}

// apply carries out a checked operation.
func (d *document) apply(op *Operation) error {
	switch op.op {
	case opAdd:
		return d.add(op.path, op.node())
	case opRemove:
		_, err := d.remove(op.path)
		return err
	case opReplace:
		return d.replace(op.path, op.node())
	case opMove:
		return d.move(op.text, op.path)
	case opCopy:
		return d.copy(op.text, op.path)
	default:
		return d.test(op.path, op.node())
	}
}

// node returns the operation's value.
func (o *Operation) node() node {
	if o.kind == valueJSON {
		return newNode(o.text, skipValue(o.text, 0))
	}
	return node{text: string(o.appendValue(make([]byte, 0, len(o.text)+len(`""`)), false))}
}

// at returns the node that pointer leads to. With change, every container on
// the way is marked as changed: the caller writes to the node.
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
		i := c.position(unescapeName(pointer[start:end]))
		if i < 0 {
			return nil, notFound(pointer[:end])
		}
		c.changed = c.changed || change
		n = &c.items[i].value
	}
	return n, nil
}

// parent returns the container that the last name of pointer, which is not "",
// is looked up in, marked as changed, and that name.
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

// position returns where the item called name is, or -1.
func (c *container) position(name string) int {
	if c.object {
		return c.find(name)
	}
	if i, ok := arrayIndex(name, len(c.items)); ok {
		return i
	}
	return -1
}

func notFound(pointer string) error {
	return fmt.Errorf("%w: nothing at %q", ErrNotFound, pointer)
}

func (d *document) add(path string, value node) error {
	if err := d.checkDepth(path, &value); err != nil {
		return err
	}
	if path == "" {
		d.root = value
		return nil
	}
	c, name, err := d.parent(path)
	if err != nil {
		return err
	}
	if c.object {
		if i := c.find(name); i >= 0 {
			c.items[i].value = value
		} else {
			c.addMember(name, value)
		}
		return nil
	}
	i, ok := len(c.items), name == "-"
	if !ok {
		i, ok = arrayIndex(name, len(c.items)+1)
	}
	if !ok {
		return fmt.Errorf("%w: %q is no place in an array of %d", ErrNotFound, name, len(c.items))
	}
	c.insertElement(i, value)
	return nil
}

func (d *document) replace(path string, value node) error {
	if err := d.checkDepth(path, &value); err != nil {
		return err
	}
	n, err := d.at(path, true)
	if err != nil {
		return err
	}
	*n = value
	return nil
}

// remove takes the value at path, which is not "", out of the document.
func (d *document) remove(path string) (node, error) {
	c, name, err := d.parent(path)
	if err != nil {
		return node{}, err
	}
	i := c.position(name)
	if i < 0 {
		return node{}, notFound(path)
	}
	value := c.items[i].value
	if c.object {
		c.removeMember(i)
	} else {
		c.removeElement(i)
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
	if n.changed() {
		text := string(n.appendTo(nil))
		value = newNode(text, skipValue(text, 0))
	}
	value.in = nil // the copy's changes are its own
	if d.copied += len(value.text); d.copied > d.copyLimit {
		return fmt.Errorf("%w: the copies of the patch exceed %d bytes", ErrLimit, d.copyLimit)
	}
	return d.add(path, value)
}

func (d *document) test(path string, want node) error {
	n, err := d.at(path, false)
	if err != nil {
		return err
	}
	if !equal(n, &want) {
		return fmt.Errorf("%w: the value is another", ErrTestFailed)
	}
	return nil
}

// checkDepth reports whether value fits at path.
func (d *document) checkDepth(path string, value *node) error {
	if strings.Count(path, "/")+value.levels() > MaxDepth {
		return fmt.Errorf("%w: the result is nested more than %d levels deep", ErrLimit, MaxDepth)
	}
	return nil
}
