package jsonpatch

import (
	"errors"
	"fmt"
)

// The causes of an [*Error], for use with [errors.Is].
var (
	// ErrTestFailed is the error of a test operation whose target has another value or does not exist.
	ErrTestFailed = errors.New("test failed")

	// ErrNotFound is the error of a pointer to nothing in the document: a missing member, an index outside its array, a
	// name where an array needs an index, or a step into a string, number, boolean or null.
	ErrNotFound = errors.New("not found")

	// ErrInvalidPatch is the error of a patch that is invalid for every document: malformed JSON, an unknown op, a missing
	// member, a malformed pointer, a value that cannot be encoded, or a move of a value into itself.
	ErrInvalidPatch = errors.New("invalid patch")

	// ErrInvalidPointer is the error of a string that is not a JSON Pointer. The error of an operation with such a pointer
	// also matches ErrInvalidPatch.
	ErrInvalidPointer = errors.New("invalid pointer")

	// ErrInvalidDocument is the error of a document that is not a single JSON text in UTF-8, has duplicate member names,
	// or is nested more than [MaxDepth] levels deep.
	ErrInvalidDocument = errors.New("invalid document")

	// ErrLimit is the error of a patch that exceeds [MaxOperations], [MaxDepth] or [MaxCopied].
	ErrLimit = errors.New("limit exceeded")
)

// An Error says which operation of a patch failed, and why. Its text has pointers, but never a value of the patch or of
// the document, which may be secret.
type Error struct {
	Index int    // index in the patch, from 0; -1 if the operation is not in a patch
	Op    string // as in the patch; "" if the op itself is invalid
	Path  string
	From  string // move and copy only
	Err   error  // wraps one of the package's errors
}

// Error returns a text that says which operation failed, with its pointers, and why.
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

// Is reports whether target is [ErrTestFailed] and the target of a test does not exist. Such an error matches both
// ErrTestFailed and [ErrNotFound].
func (e *Error) Is(target error) bool {
	return target == ErrTestFailed && e.Op == "test" && errors.Is(e.Err, ErrNotFound)
}

// errorAt returns err as the [*Error] of an operation of a patch.
func errorAt(index int, op *Operation, err error) error {
	return &Error{Index: index, Op: op.op, Path: op.path, From: op.from, Err: err}
}
