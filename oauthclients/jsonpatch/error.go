package jsonpatch

import (
	"errors"
	"fmt"
)

// The causes of an [*Error], for use with [errors.Is].
var (
	// ErrTestFailed is the error of a test operation that found another value than the expected one, or none.
	ErrTestFailed = errors.New("test failed")

	// ErrNotFound is the error of a pointer that leads nowhere in the document: a missing member, an index outside of
	// its array, a name where an array needs an index, or a step into a string, number, boolean or null.
	ErrNotFound = errors.New("not found")

	// ErrInvalidPatch is the error of a patch that is wrong in itself, whatever the document: malformed JSON, an unknown
	// op, a missing member, a malformed pointer, a value that cannot be encoded, a move of a value into itself.
	ErrInvalidPatch = errors.New("invalid patch")

	// ErrInvalidPointer is the error of a string that is not a JSON Pointer. The error of an operation with such a
	// pointer matches ErrInvalidPatch as well.
	ErrInvalidPointer = errors.New("invalid pointer")

	// ErrInvalidDocument is the error of a document that is not one JSON text in UTF-8 with unique member names, nested
	// at most [MaxDepth] levels deep.
	ErrInvalidDocument = errors.New("invalid document")

	// ErrLimit is the error of a patch that needs more than [MaxOperations], [MaxDepth] or [MaxCopied] allow.
	ErrLimit = errors.New("limit exceeded")
)

// An Error says which operation of a patch failed, and why. Its text has pointers and never a value of the patch or of
// the document, which may be secret.
type Error struct {
	Index int    // position in the patch, from 0; -1 if the operation is not in a patch
	Op    string // as in the patch; "" if that is what is wrong
	Path  string
	From  string // move and copy only
	Err   error  // wraps one of the package's errors
}

// Error returns which operation failed, with its pointers, and why.
func (e *Error) Error() string {
	text := "jsonpatch: "
	if e.Index >= 0 {
		text += fmt.Sprintf("operation %d: ", e.Index)
	}
	switch e.Op {
	case "":
	case "move", "copy":
		text += fmt.Sprintf("%s %q to %q: ", e.Op, e.From, e.Path)
	default:
		text += fmt.Sprintf("%s %q: ", e.Op, e.Path)
	}
	return fmt.Sprintf("%s%v", text, e.Err)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether a test failed because its target is missing, if target is [ErrTestFailed]. So a test that no longer
// holds is one case to a caller, although such an error matches [ErrNotFound] too.
func (e *Error) Is(target error) bool {
	return target == ErrTestFailed && e.Op == "test" && errors.Is(e.Err, ErrNotFound)
}

// errorAt returns err as the [*Error] of the operation at an index of its patch.
func errorAt(index int, op *Operation, err error) error {
	return &Error{Index: index, Op: op.op, Path: op.path, From: op.from, Err: err}
}
