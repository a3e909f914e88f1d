package jsonpatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Patch is a JSON Patch document (RFC 6902 section 3): operations that are
// applied in order. A nil Patch is empty and changes nothing.
type Patch []Operation

// Operation is one operation of a [Patch]. Values come from [Add], [Remove],
// [Replace], [Move], [Copy], [Test] and from JSON; the zero Operation is not
// valid. An Operation is immutable and safe for concurrent use. Operations
// are not comparable with ==, because one JSON value has several spellings.
//
// Formatted with fmt, it shows its op and pointers and hides its value.
type Operation struct {
	_    [0]func() // not comparable
	op   opKind
	kind valueKind
	path string
	text string // from, or a string value, or the JSON text of another value
	num  int64
	err  error // why the value could not be encoded
}

type opKind uint8

const (
	opInvalid opKind = iota
	opAdd
	opRemove
	opReplace
	opMove
	opCopy
	opTest
)

var opNames = [...]string{"", "add", "remove", "replace", "move", "copy", "test"}

func (k opKind) hasFrom() bool  { return k == opMove || k == opCopy }
func (k opKind) hasValue() bool { return k == opAdd || k == opReplace || k == opTest }

// valueKind says how an Operation holds its value. The common scalars are kept
// as they are and encoded straight into the output.
type valueKind uint8

const (
	valueAbsent valueKind = iota
	valueNull
	valueFalse
	valueTrue
	valueInt
	valueString
	valueJSON
	valueBad
)

// Add returns the operation that adds value at path: it inserts into an array,
// appends where the last name is "-", and sets a member of an object, replacing
// one that is there (RFC 6902 section 4.1).
//
// The value is encoded at once, as [encoding/json] encodes it but without HTML
// escaping; nil is null, and a [json.RawMessage] or [json.Number] keeps numbers
// of any size exact. A value that cannot be encoded, and a malformed path, are
// reported by [Patch.MarshalJSON] and [Patch.Apply]. The same holds for every
// constructor.
func Add(path string, value any) Operation { return withValue(opAdd, path, value) }

// Remove returns the operation that removes the value at path, which must be
// there (RFC 6902 section 4.2). The whole document, "", cannot be removed.
func Remove(path string) Operation { return Operation{op: opRemove, path: path} }

// Replace returns the operation that puts value in place of the one at path,
// which must be there (RFC 6902 section 4.3).
func Replace(path string, value any) Operation { return withValue(opReplace, path, value) }

// Move returns the operation that removes the value at from and adds it at path
// (RFC 6902 section 4.4). A value cannot move into itself; from equal to path
// only asks that it is there.
func Move(from, path string) Operation { return Operation{op: opMove, path: path, text: from} }

// Copy returns the operation that adds the value at from at path as well
// (RFC 6902 section 4.5).
func Copy(from, path string) Operation { return Operation{op: opCopy, path: path, text: from} }

// Test returns the operation that fails the patch unless the value at path
// equals value (RFC 6902 section 4.6): numbers by their exact numeric value,
// strings by code points, objects whatever the order of their members.
func Test(path string, value any) Operation { return withValue(opTest, path, value) }

func withValue(op opKind, path string, value any) (o Operation) {
	o.op, o.path = op, path
	switch v := value.(type) {
	case nil:
		o.kind = valueNull
	case string:
		o.kind, o.text = valueString, v
	case bool:
		o.kind = boolKind(v)
	case int:
		o.kind, o.num = valueInt, int64(v)
	case int32:
		o.kind, o.num = valueInt, int64(v)
	case int64:
		o.kind, o.num = valueInt, v
	default:
		o.kind = valueJSON
		if o.text, o.err = encode(value); o.err != nil {
			o.kind = valueBad
		}
	}
	return o
}

func boolKind(v bool) valueKind {
	if v {
		return valueTrue
	}
	return valueFalse
}

func encode(value any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return "", encodeError(err)
	}
	text := strings.TrimSuffix(b.String(), "\n")
	// A Marshaler or a RawMessage may bring what encoding/json lets pass.
	if _, err := parse(text, MaxDepth); err != nil {
		return "", fmt.Errorf("value: %w", err)
	}
	return text, nil
}

// encodeError keeps the types of an encoding error and drops its texts, which
// may quote the value.
func encodeError(err error) error {
	if e, ok := errors.AsType[*json.UnsupportedTypeError](err); ok {
		return fmt.Errorf("value of Go type %s cannot be encoded", e.Type)
	}
	if e, ok := errors.AsType[*json.MarshalerError](err); ok {
		return fmt.Errorf("value cannot be encoded: MarshalJSON or MarshalText of Go type %s failed", e.Type)
	}
	return errors.New("value cannot be encoded as JSON")
}

// Op returns the operation's name: add, remove, replace, move, copy or test;
// "" for the zero Operation.
func (o Operation) Op() string { return opNames[o.op] }

// Path returns the pointer to the operation's target.
func (o Operation) Path() string { return o.path }

// From returns the pointer that a move or copy takes its value from, and ""
// for the other operations.
func (o Operation) From() string {
	if o.op.hasFrom() {
		return o.text
	}
	return ""
}

// Value returns the value of an add, replace or test as JSON: null is the text
// "null". It is nil for the operations without a value, and for a value that
// could not be encoded.
func (o Operation) Value() json.RawMessage {
	if o.kind == valueAbsent || o.kind == valueBad {
		return nil
	}
	return o.appendValue(nil, false)
}

// String returns the op and its pointers, without the value.
func (o Operation) String() string {
	if o.op.hasFrom() {
		return fmt.Sprintf("%s %q to %q", o.Op(), o.text, o.path)
	}
	return fmt.Sprintf("%s %q", o.Op(), o.path)
}

func (o *Operation) appendValue(b []byte, plain bool) []byte {
	switch o.kind {
	case valueNull:
		return append(b, "null"...)
	case valueFalse:
		return append(b, "false"...)
	case valueTrue:
		return append(b, "true"...)
	case valueInt:
		return strconv.AppendInt(b, o.num, 10)
	case valueString:
		return appendString(b, o.text, plain)
	default:
		return append(b, o.text...)
	}
}

// check reports what is wrong with the operation in itself.
func (o *Operation) check() error {
	if o.op == opInvalid {
		return fmt.Errorf("%w: the zero Operation has no op; use a constructor", ErrInvalidPatch)
	}
	if err := checkPointer(o.path); err != nil {
		return fmt.Errorf("%w: path: %w", ErrInvalidPatch, err)
	}
	switch {
	case o.op.hasFrom():
		if err := checkPointer(o.text); err != nil {
			return fmt.Errorf("%w: from: %w", ErrInvalidPatch, err)
		}
		// Each name has one escaped form, so text prefixes are path prefixes.
		if o.op == opMove && len(o.path) > len(o.text) && o.path[len(o.text)] == '/' && strings.HasPrefix(o.path, o.text) {
			return fmt.Errorf("%w: a value cannot move into itself", ErrInvalidPatch)
		}
	case o.op == opRemove:
		if o.path == "" {
			return fmt.Errorf("%w: the whole document cannot be removed", ErrInvalidPatch)
		}
	case o.kind == valueBad:
		return fmt.Errorf("%w: %w", ErrInvalidPatch, o.err)
	case o.kind == valueString:
		if !utf8.ValidString(o.text) {
			return fmt.Errorf("%w: the value is not UTF-8", ErrInvalidPatch)
		}
	}
	return nil
}
