package jsonpatch

import (
	"fmt"
	"slices"
)

// opHeads are the operations as far as their first pointer.
var opHeads = [...]string{
	opAdd:     `{"op":"add","path":`,
	opRemove:  `{"op":"remove","path":`,
	opReplace: `{"op":"replace","path":`,
	opMove:    `{"op":"move","from":`,
	opCopy:    `{"op":"copy","from":`,
	opTest:    `{"op":"test","path":`,
}

// MarshalJSON returns the patch as JSON; a nil or empty Patch is []. Members
// stand in the order op, from, path, value. An operation that is wrong in
// itself gives an [*Error] that matches [ErrInvalidPatch].
//
// Strings are escaped only where JSON asks for it. Called through
// [encoding/json.Marshal], the same JSON comes back with <, > and & escaped,
// because encoding/json does that to every Marshaler's output; call MarshalJSON
// or [Patch.AppendJSON] for these exact bytes.
func (p Patch) MarshalJSON() ([]byte, error) {
	size := len("[]")
	for i := range p {
		size += p[i].size() + len(",")
	}
	return p.AppendJSON(make([]byte, 0, size))
}

// AppendJSON appends what [Patch.MarshalJSON] returns to b. With an error, b
// comes back as it was.
func (p Patch) AppendJSON(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, '[')
	for i := range p {
		op := &p[i]
		plain := op.plain()
		if !plain {
			if err := op.check(); err != nil {
				return b[:start], errorAt(i, op, err)
			}
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = op.appendTo(b, plain)
	}
	return append(b, ']'), nil
}

// MarshalJSON returns the operation as JSON, as [Patch.MarshalJSON] does.
func (o Operation) MarshalJSON() ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, errorAt(-1, &o, err)
	}
	return o.appendTo(make([]byte, 0, o.size()), false), nil
}

// size is about how many bytes appendTo appends.
func (o *Operation) size() int {
	const members = `{"op":"replace","path":"","value":""}`
	const number = "-9223372036854775808"
	return len(members) + len(number) + len(o.path) + len(o.text)
}

// plain reports whether the operation, at one look, needs neither a check nor
// an escape. Most do not.
func (o *Operation) plain() bool {
	return o.kind >= valueNull && o.kind <= valueString && // not without a value, not bad
		o.path != "" && o.path[0] == '/' && isPlain(o.path) && isPlain(o.text)
}

// appendTo appends the operation, which is checked or plain.
func (o *Operation) appendTo(b []byte, plain bool) []byte {
	b = append(b, opHeads[o.op]...)
	if o.op.hasFrom() {
		b = append(appendString(b, o.text, plain), `,"path":`...)
	}
	b = appendString(b, o.path, plain)
	if o.op.hasValue() {
		b = o.appendValue(append(b, `,"value":`...), plain)
	}
	return append(b, '}')
}

// UnmarshalJSON reads a patch strictly: an array of operations, each an object
// with a known op, a path, the value or from that its op needs, and no member
// twice. Members that an op does not use are ignored (RFC 6902 section 4); null
// is not a patch. Values keep their text.
//
// Errors match [ErrInvalidPatch], and p is then unchanged.
func (p *Patch) UnmarshalJSON(data []byte) error {
	d, err := parse(string(data), MaxDepth+2) // the array and the operation
	if err != nil {
		return fmt.Errorf("jsonpatch: %w: %w", ErrInvalidPatch, err)
	}
	if d.root.kind() != '[' {
		return fmt.Errorf("jsonpatch: %w: a patch is an array of operations", ErrInvalidPatch)
	}
	items := d.root.expand().items
	ops := make(Patch, len(items))
	for i := range items {
		if err := ops[i].read(&items[i].value); err != nil {
			return errorAt(i, &ops[i], err)
		}
	}
	*p = ops
	return nil
}

// UnmarshalJSON reads one operation, as [Patch.UnmarshalJSON] does.
func (o *Operation) UnmarshalJSON(data []byte) error {
	d, err := parse(string(data), MaxDepth+1)
	if err != nil {
		return fmt.Errorf("jsonpatch: %w: %w", ErrInvalidPatch, err)
	}
	var read Operation
	if err := read.read(&d.root); err != nil {
		return errorAt(-1, &read, err)
	}
	*o = read
	return nil
}

// read sets the operation from its JSON. With an error, what was read before
// it is there.
func (o *Operation) read(n *node) error {
	if n.kind() != '{' {
		return fmt.Errorf("%w: an operation is an object", ErrInvalidPatch)
	}
	c := n.expand()
	name, err := c.stringMember("op")
	if err != nil {
		return err
	}
	if i := slices.Index(opNames[:], name); i > 0 {
		o.op = opKind(i)
	} else {
		return fmt.Errorf("%w: op is none of add, remove, replace, move, copy and test", ErrInvalidPatch)
	}
	if o.path, err = c.stringMember("path"); err != nil {
		return err
	}
	switch {
	case o.op.hasFrom():
		if o.text, err = c.stringMember("from"); err != nil {
			return err
		}
	case o.op.hasValue():
		i := c.find("value")
		if i < 0 {
			return fmt.Errorf("%w: value is missing", ErrInvalidPatch)
		}
		o.kind, o.text = valueJSON, c.items[i].value.text
	}
	return o.check()
}

func (c *container) stringMember(name string) (string, error) {
	i := c.find(name)
	if i < 0 {
		return "", fmt.Errorf("%w: %s is missing", ErrInvalidPatch, name)
	}
	text := c.items[i].value.text
	if text[0] != '"' {
		return "", fmt.Errorf("%w: %s is not a string", ErrInvalidPatch, name)
	}
	return unescape(text[1 : len(text)-1]), nil
}
