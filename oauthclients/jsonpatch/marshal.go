package jsonpatch

import "fmt"

// MarshalJSON returns the patch as JSON. A nil or empty Patch is []. Members are in the order op, from, path, value.
// The error for an invalid operation is an [*Error] that matches [ErrInvalidPatch].
//
// Only what JSON requires is escaped. [encoding/json.Marshal] calls this method but then escapes <, > and & in the
// result; call MarshalJSON directly for these exact bytes.
func (p Patch) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i := range p {
		op := &p[i]
		if err := op.check(); err != nil {
			return nil, errorAt(i, op, err)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = op.appendTo(b)
	}
	return append(b, ']'), nil
}

// MarshalJSON returns the operation as JSON, as [Patch.MarshalJSON] does.
func (o Operation) MarshalJSON() ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, errorAt(-1, &o, err)
	}
	return o.appendTo(nil), nil
}

// appendTo appends the operation, which must have been checked.
func (o *Operation) appendTo(b []byte) []byte {
	b = append(append(append(b, `{"op":"`...), o.op...), '"')
	if o.op == opMove || o.op == opCopy {
		b = appendString(append(b, `,"from":`...), o.from)
	}
	b = appendString(append(b, `,"path":`...), o.path)
	if o.value != "" {
		b = append(append(b, `,"value":`...), o.value...)
	}
	return append(b, '}')
}

// UnmarshalJSON decodes a patch strictly: it must be an array of operations, each of which is an object with a known
// op, a path, the value or from that its op needs, and no duplicate members. Members that an op does not use are
// ignored (RFC 6902 section 4). Null is not a patch. Values keep their text.
//
// Errors match [ErrInvalidPatch], and leave p unchanged. If there are more than [MaxOperations], UnmarshalJSON stops
// reading, and the error also matches [ErrLimit].
func (p *Patch) UnmarshalJSON(data []byte) error {
	ops, err := readPatch(string(data))
	if err != nil {
		return err
	}
	*p = ops
	return nil
}

// readPatch reads one operation at a time, so that it never holds more than one besides its result.
func readPatch(text string) (Patch, error) {
	malformed := func(err error, offset int) (Patch, error) {
		return nil, fmt.Errorf("jsonpatch: %w: %w at offset %d", ErrInvalidPatch, err, offset)
	}
	if err := checkText(text); err != nil {
		return nil, fmt.Errorf("jsonpatch: %w: %w", ErrInvalidPatch, err)
	}
	s := scanner{text: text}
	i := skipSpace(text, 0)
	if s.at(i) != '[' {
		if end, err := s.value(i, MaxDepth); err != nil {
			return malformed(err, end)
		}
		return nil, fmt.Errorf("jsonpatch: %w: a patch is an array of operations", ErrInvalidPatch)
	}
	ops := Patch{}
	if i = skipSpace(text, i+1); s.at(i) == ']' {
		i++
	} else {
		for more := true; more; {
			if len(ops) == MaxOperations {
				return nil, fmt.Errorf("jsonpatch: %w: %w: the patch has more than %d operations", ErrInvalidPatch, ErrLimit, MaxOperations)
			}
			end, err := s.value(i, MaxDepth+1)
			if err != nil {
				return malformed(err, end)
			}
			var op Operation
			if err := op.read(&node{text: text[i:end]}); err != nil {
				return nil, errorAt(len(ops), &op, err)
			}
			ops = append(ops, op)
			switch i = skipSpace(text, end); s.at(i) {
			case ',':
				i = skipSpace(text, i+1)
			case ']':
				more = false
				i++
			default:
				return malformed(errSyntax, i)
			}
		}
	}
	if i = skipSpace(text, i); i != len(text) {
		return malformed(errSyntax, i)
	}
	return ops, nil
}

// UnmarshalJSON decodes one operation, as strictly as [Patch.UnmarshalJSON].
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

// read sets the operation from its JSON. If it fails, the members before the error are set.
func (o *Operation) read(n *node) error {
	if n.kind() != '{' {
		return fmt.Errorf("%w: an operation is an object", ErrInvalidPatch)
	}
	c := n.expand()
	op, err := c.stringMember("op")
	if err != nil {
		return err
	}
	switch op {
	case opAdd, opRemove, opReplace, opMove, opCopy, opTest:
		o.op = op
	default:
		return fmt.Errorf("%w: op is none of add, remove, replace, move, copy and test", ErrInvalidPatch)
	}
	if o.path, err = c.stringMember("path"); err != nil {
		return err
	}
	switch op {
	case opMove, opCopy:
		if o.from, err = c.stringMember("from"); err != nil {
			return err
		}
	case opAdd, opReplace, opTest:
		it := c.member("value")
		if it == nil {
			return fmt.Errorf("%w: value is missing", ErrInvalidPatch)
		}
		o.value = it.value.text
	}
	return o.check()
}

func (c *container) stringMember(name string) (string, error) {
	it := c.member(name)
	if it == nil {
		return "", fmt.Errorf("%w: %s is missing", ErrInvalidPatch, name)
	}
	text := it.value.text
	if text[0] != '"' {
		return "", fmt.Errorf("%w: %s is not a string", ErrInvalidPatch, name)
	}
	return unescape(text[1 : len(text)-1]), nil
}
