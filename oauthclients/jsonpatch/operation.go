package jsonpatch

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// A Patch is a JSON Patch document (RFC 6902 section 3): operations that are applied in order. A nil Patch is empty and
// changes nothing.
type Patch []Operation

// An Operation is one operation of a [Patch]. Make one with [Add], [Remove], [Replace], [Move], [Copy] or [Test], or
// decode it from JSON; the zero Operation is not valid. An Operation is immutable. Operations cannot be compared with
// ==, because a JSON value can be spelled in several ways.
//
// Printed with package fmt, an Operation shows its op and pointers, but not its value.
type Operation struct {
	_          [0]func() // not comparable
	op         string
	path, from string
	value      string // JSON text; "" if the op has none, or if it could not be encoded
	err        error  // why the value could not be encoded
}

const (
	opAdd     = "add"
	opRemove  = "remove"
	opReplace = "replace"
	opMove    = "move"
	opCopy    = "copy"
	opTest    = "test"
)

// Add returns the operation that adds value at path (RFC 6902, section 4.1): it inserts into an array, appends to it if
// the last name of path is "-", and sets a member of an object, replacing any existing one.
//
// The value is encoded at once, by [encoding/json] without HTML escaping: nil becomes null, and a [json.RawMessage] or
// [json.Number] keeps numbers of any size exact. A malformed path is reported by [Patch.MarshalJSON] and [Patch.Apply],
// and so is a value that cannot be encoded or has a string that is not UTF-8. The same applies to the other
// constructors.
func Add(path string, value any) Operation { return withValue(opAdd, path, value) }

// Remove returns the operation that removes the value at path, which must exist (RFC 6902 section 4.2). The whole
// document, "", cannot be removed.
func Remove(path string) Operation { return Operation{op: opRemove, path: path} }

// Replace returns the operation that replaces the value at path, which must exist (RFC 6902 section 4.3).
func Replace(path string, value any) Operation { return withValue(opReplace, path, value) }

// Move returns the operation that removes the value at from and adds it at path (RFC 6902 section 4.4). A value cannot
// be moved into itself. If from equals path, the value need only exist.
func Move(from, path string) Operation { return Operation{op: opMove, path: path, from: from} }

// Copy returns the operation that adds the value at from at path as well (RFC 6902 section 4.5).
func Copy(from, path string) Operation { return Operation{op: opCopy, path: path, from: from} }

// Test returns the operation that makes the patch fail unless the value at path equals value (RFC 6902 section 4.6).
// Numbers are compared by their exact value, strings by code points, and objects in any order of their members.
func Test(path string, value any) Operation { return withValue(opTest, path, value) }

func withValue(op, path string, value any) Operation {
	text, err := encode(value)
	return Operation{op: op, path: path, value: text, err: err}
}

func encode(value any) (string, error) {
	if s, ok := value.(string); ok {
		if !utf8.ValidString(s) {
			return "", errors.New("value is not UTF-8")
		}
		return string(appendString(nil, s)), nil // encoding/json escapes more than necessary
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return "", encodeError(err)
	}
	if !validStrings(reflect.ValueOf(value)) {
		return "", errors.New("value has a string that is not UTF-8")
	}
	text := strings.TrimSuffix(b.String(), "\n")
	// A Marshaler or a RawMessage may return JSON that only encoding/json accepts, such as duplicate names.
	if _, err := parse(text, MaxDepth); err != nil {
		return "", fmt.Errorf("value: %w", err)
	}
	return text, nil
}

// encodeError returns an encoding error without its text, which may quote the value.
func encodeError(err error) error {
	if e, ok := errors.AsType[*json.UnsupportedTypeError](err); ok {
		return fmt.Errorf("value of Go type %s cannot be encoded", e.Type)
	}
	if e, ok := errors.AsType[*json.MarshalerError](err); ok {
		return fmt.Errorf("value cannot be encoded: MarshalJSON or MarshalText of Go type %s failed", e.Type)
	}
	return errors.New("value cannot be encoded as JSON")
}

// validStrings reports whether all strings in v are UTF-8; encoding/json silently replaces invalid ones. v has been
// encoded before, so it has no cycles.
func validStrings(v reflect.Value) bool {
	if !v.IsValid() || marshals(v) {
		return true
	}
	switch v.Kind() {
	case reflect.String:
		return utf8.ValidString(v.String())
	case reflect.Pointer, reflect.Interface:
		return validStrings(v.Elem())
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return true
		}
		for i := range v.Len() {
			if !validStrings(v.Index(i)) {
				return false
			}
		}
	case reflect.Map:
		for name, value := range v.Seq2() {
			if !validStrings(name) || !validStrings(value) {
				return false
			}
		}
	case reflect.Struct:
		for field, value := range v.Fields() {
			encoded := field.Tag.Get("json") != "-" && (field.IsExported() || field.Anonymous)
			if encoded && !validStrings(value) {
				return false
			}
		}
	}
	return true
}

// marshals reports whether v encodes itself, so that its strings need not be checked.
func marshals(v reflect.Value) bool {
	for _, t := range []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()} {
		if v.Type().Implements(t) || v.CanAddr() && reflect.PointerTo(v.Type()).Implements(t) {
			return true
		}
	}
	return false
}

// Op returns the operation's name: add, remove, replace, move, copy or test. It is "" for the zero Operation.
func (o Operation) Op() string { return o.op }

// Path returns the pointer to the operation's target.
func (o Operation) Path() string { return o.path }

// From returns the pointer to the value that a move or copy takes. It is "" for other operations.
func (o Operation) From() string { return o.from }

// Value returns the value of an add, replace or test as JSON, where null is the text "null". It is nil for operations
// without a value, and if the value could not be encoded.
func (o Operation) Value() json.RawMessage {
	if o.value == "" {
		return nil
	}
	return json.RawMessage(o.value)
}

// String returns the op and its pointers, without the value.
func (o Operation) String() string {
	if o.op == opMove || o.op == opCopy {
		return fmt.Sprintf("%s %q to %q", o.op, o.from, o.path)
	}
	return fmt.Sprintf("%s %q", o.op, o.path)
}

// check returns an error if the operation is invalid for every document.
func (o *Operation) check() error {
	if o.op == "" {
		return fmt.Errorf("%w: the zero Operation has no op; use a constructor", ErrInvalidPatch)
	}
	if err := checkPointer(o.path); err != nil {
		return fmt.Errorf("%w: path: %w", ErrInvalidPatch, err)
	}
	switch o.op {
	case opMove, opCopy:
		if err := checkPointer(o.from); err != nil {
			return fmt.Errorf("%w: from: %w", ErrInvalidPatch, err)
		}
		// Each name has only one escaped form, so a pointer into the value starts with the pointer to the value.
		if o.op == opMove && strings.HasPrefix(o.path, o.from+"/") {
			return fmt.Errorf("%w: a value cannot be moved into itself", ErrInvalidPatch)
		}
	case opRemove:
		if o.path == "" {
			return fmt.Errorf("%w: the whole document cannot be removed", ErrInvalidPatch)
		}
	default:
		if o.err != nil {
			return fmt.Errorf("%w: %w", ErrInvalidPatch, o.err)
		}
	}
	return nil
}
