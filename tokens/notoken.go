package tokens

import (
	"errors"
	"strings"
)

// ErrNoToken matches every failure to get a token, and so every request that was never sent because its [Source] had
// none. What caused it is wrapped beside it and can be had by errors.As, often an [*Error] of the token endpoint.
// Beside ErrNoToken only a [Code] of that response matches, not its [Status]: the 404 of a token endpoint does not mean
// that the object of the call is gone.
var ErrNoToken = errors.New("no access token")

// noToken returns an error that matches [ErrNoToken] and wraps cause.
func noToken(cause error) error {
	if _, ok := errors.AsType[*noTokenError](cause); ok {
		return cause
	}
	return &noTokenError{cause: cause}
}

// A repetitionError says why a request that was sent could not be repeated for want of a token. It matches what its cause
// matches, but for ErrNoToken, which says that nothing was sent, and any Status, which would be that of another request.
type repetitionError struct {
	purpose string
	cause   error
}

func (e *repetitionError) Error() string {
	return "then, to " + e.purpose + ": " + noToken(e.cause).Error()
}

func (e *repetitionError) Is(target error) bool {
	return target != ErrNoToken && errors.Is(noToken(e.cause), target)
}

// A noTokenError says why there is no token. It has no Unwrap method, which would lead to the Status of the cause.
type noTokenError struct {
	kind  error // ErrLoginRequired, ErrStore, ErrClosed or nil
	cause error
}

func (e *noTokenError) Error() string {
	texts := []string{ErrNoToken.Error()}
	for _, err := range []error{e.kind, e.cause} {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	return strings.Join(texts, ": ")
}

// Is reports whether target is ErrNoToken, the kind of the failure, or in the chain of its cause and not a Status.
func (e *noTokenError) Is(target error) bool {
	if _, ok := target.(Status); ok {
		return false
	}
	return target == ErrNoToken || e.kind != nil && target == e.kind || errors.Is(e.cause, target)
}

// As finds target in the chain of the cause.
func (e *noTokenError) As(target any) bool { return e.cause != nil && errors.As(e.cause, target) }
