package jsonpatch

import (
	"errors"
	"fmt"
)

// The causes of an [*Error], for use with [errors.Is].
var (
	// ErrTestFailed says that a test operation found another value than the
	// one it asked for, or none.
	ErrTestFailed = errors.New("test failed")

	// ErrNotFound says that a pointer leads nowhere in the document: a missing
	// member, an index outside its array, a name where an array wants an
	// index, or a step into a string, number, boolean or null.
	ErrNotFound = errors.New("not found")

	// ErrInvalidPatch says that a patch is wrong in itself, whatever the
	// document: malformed JSON, an unknown op, a missing member, a malformed
	// pointer, a value that cannot be encoded, a move into its own child.
	ErrInvalidPatch = errors.New("invalid patch")

	// ErrInvalidPointer says that a string is no JSON Pointer. An operation
	// with such a pointer matches ErrInvalidPatch as well.
	ErrInvalidPointer = errors.New("invalid pointer")

	// ErrInvalidDocument says that a document is not one JSON text in UTF-8
	// with unique member names, nested at most [MaxDepth] levels deep.
	ErrInvalidDocument = errors.New("invalid document")

	// ErrLimit says that a patch asks for more than [MaxOperations],
	// [MaxDepth] or [MaxCopied] allow.
	ErrLimit = errors.New("limit exceeded")
)

// Error says which operation of a patch failed, and why. Its text holds
// pointers and never a value of the patch or of the document, which may be
// secret.
type Error struct {
	Index int    // position in the patch, from 0; -1 when the operation stands alone
	Op    string // as in the patch; "" when that is what is wrong
	Path  string
	From  string // move and copy only
	Err   error  // wraps one of the package's Err values
}

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
	return text + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes a test whose target is missing match [ErrTestFailed] beside
// [ErrNotFound], so that a guard that no longer holds is one case to a caller.
func (e *Error) Is(target error) bool {
	return target == ErrTestFailed && e.Op == "test" && errors.Is(e.Err, ErrNotFound)
}

// errorAt returns err as the [*Error] of op, which stands at index in its
// patch.
func errorAt(index int, op *Operation, err error) error {
	return &Error{Index: index, Op: op.Op(), Path: op.path, From: op.From(), Err: err}
}
