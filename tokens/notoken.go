package tokens

import (
	"errors"
	"strings"
)

// ErrNoToken matches every failure to get a token, and thus every request that was not sent because its [Source] had no
// token. The cause is wrapped; errors.As finds it, often as an [*Error] of the token endpoint. A [Code] of that
// response matches, but its [Status] does not: a 404 of the token endpoint must not look as if the requested object did
// not exist.
var ErrNoToken = errors.New("no access token")

// noToken returns an error that matches [ErrNoToken] and wraps cause.
func noToken(cause error) error {
	if _, ok := errors.AsType[*noTokenError](cause); ok {
		return cause
	}
	return &noTokenError{cause: cause}
}

// A retryError says that a request was sent but could not be retried because there was no token. It matches what
// its cause matches, except ErrNoToken, which would mean that nothing was sent, and any Status, which would be that of
// another request.
type retryError struct {
	purpose string
	cause   error
}

func (e *retryError) Error() string {
	return "the " + e.purpose + " failed: " + noToken(e.cause).Error()
}

func (e *retryError) Is(target error) bool {
	return target != ErrNoToken && errors.Is(noToken(e.cause), target)
}

// A noTokenError says why there is no token. It has no Unwrap method, so that the Status of its cause does not match.
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

// Is reports whether target is ErrNoToken, the kind of the failure, or matches the cause and is not a Status.
func (e *noTokenError) Is(target error) bool {
	if _, ok := target.(Status); ok {
		return false
	}
	return target == ErrNoToken || e.kind != nil && target == e.kind || errors.Is(e.cause, target)
}

// As looks for target in the cause.
func (e *noTokenError) As(target any) bool { return errors.As(e.cause, target) }
