package jsonpatch

import (
	"slices"
	"strconv"
	"strings"
)

// Invert returns the patch that takes p back: if p turns before into after, the
// result turns after into a document equal to before as [Test] compares. A
// member that p removed comes back last in its object, so the order of members
// may differ; a test stays a test.
//
// The patch is applied to find out what it overwrites, and fails as
// [Patch.Apply] does. The result may have up to twice as many operations as p;
// [MaxOperations] counts when it is applied.
func Invert(before []byte, p Patch) (Patch, error) {
	d, err := p.prepare(before)
	if err != nil {
		return nil, err
	}
	inverse := make(Patch, 0, len(p))
	for i := range p {
		op := &p[i]
		undo, err := d.applyInverted(op)
		if err != nil {
			return nil, errorAt(i, op, err)
		}
		inverse = append(inverse, undo...)
	}
	slices.Reverse(inverse)
	return inverse, nil
}

// applyInverted applies op and returns what takes it back, last operation
// first.
func (d *document) applyInverted(op *Operation) (undo []Operation, err error) {
	switch op.op {
	case opMove:
		return d.moveInverted(op.text, op.path)
	case opTest:
		undo = []Operation{*op}
	case opRemove, opReplace:
		old, err := d.at(op.path, false)
		if err != nil {
			return nil, err
		}
		kind := opReplace
		if op.op == opRemove {
			kind = opAdd
		}
		undo = []Operation{old.operation(kind, op.path)}
	default:
		o, err := d.undoAdd(op.path)
		if err != nil {
			return nil, err
		}
		undo = []Operation{o}
	}
	return undo, d.apply(op)
}

// undoAdd returns the operation that takes back an add at path, which has not
// been done yet: a remove, or a replace where the add overwrites.
func (d *document) undoAdd(path string) (Operation, error) {
	if path == "" {
		return d.root.operation(opReplace, path), nil
	}
	c, name, err := d.parent(path)
	if err != nil {
		return Operation{}, err
	}
	if c.object {
		if i := c.find(name); i >= 0 {
			return c.items[i].value.operation(opReplace, path), nil
		}
	} else if name == "-" {
		path = path[:len(path)-1] + strconv.Itoa(len(c.items))
	}
	return Remove(path), nil
}

func (d *document) moveInverted(from, path string) ([]Operation, error) {
	if from == path {
		return nil, d.move(from, path)
	}
	value, err := d.remove(from)
	if err != nil {
		return nil, err
	}
	undo, err := d.undoAdd(path)
	if err != nil {
		return nil, err
	}
	if err := d.add(path, value); err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(from, path+"/"): // moving back would be a move into a child
		return []Operation{value.operation(opAdd, from), undo}, nil
	case undo.op == opRemove:
		return []Operation{Move(undo.path, from)}, nil
	}
	undo.op = opAdd
	return []Operation{undo, Move(path, from)}, nil
}

// operation returns the operation with the node's present value.
func (n *node) operation(op opKind, path string) Operation {
	text := n.text
	if n.changed() {
		text = string(n.appendTo(nil))
	}
	return Operation{op: op, kind: valueJSON, path: path, text: compact(text)}
}
