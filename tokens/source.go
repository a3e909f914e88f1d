package tokens

import (
	"context"
	"errors"
	"fmt"
)

// A Source returns a token that is valid now. Implementations must be safe for concurrent use, and must return ctx's
// error when ctx ends. The returned Token is shared and must not be modified.
//
// A Source may have further methods: Invalidate of [Invalidator], BaseURL() string, Limiter() *Limiter, and
// TokenFor(context.Context, time.Duration) (*Token, error). A [Cache] has all of them. A Source that wraps another may
// have an Unwrap() Source method instead of repeating them; see [As].
type Source interface {
	Token(ctx context.Context) (*Token, error)
}

// An Invalidator is a [Source] whose tokens can be invalidated after the API responded with 401. A [Transport] retries
// a request only if the Source then returns another token.
type Invalidator interface {
	Invalidate(rejected *Token)
}

// As returns the first Source in src's chain that is a T. The chain is src itself, followed by the Sources that its
// Unwrap() Source method returns. T is an interface with an optional method of a Source, such as [Invalidator] or
// interface{ BaseURL() string }. All code in this module looks for these methods with As, so that a wrapper need not
// repeat them.
func As[T any](src Source) (T, bool) {
	for src != nil {
		if t, ok := src.(T); ok {
			return t, true
		}
		wrapper, ok := src.(interface{ Unwrap() Source })
		if !ok {
			break
		}
		src = wrapper.Unwrap()
	}
	var none T
	return none, false
}

// baseURLOf returns the base URL that src's tokens are for: that of src if it has one (BaseURL() string), or else
// given.
func baseURLOf(src Source, given string) (string, error) {
	own := ""
	if s, ok := As[interface{ BaseURL() string }](src); ok {
		own = s.BaseURL()
	}
	switch {
	case own == "" && given == "":
		return "", errors.New("BaseURL is empty and the Source has none; set BaseURL to the origin of the API")
	case own == "":
		return given, nil
	case given == "":
		return own, nil
	}
	a, err := parseBaseURL(own)
	if err != nil {
		return "", err
	}
	b, err := parseBaseURL(given)
	if err != nil {
		return "", err
	}
	if originOf(a) != originOf(b) {
		return "", fmt.Errorf("BaseURL is %s but the Source's tokens are for %s; leave BaseURL empty", redactURL(b), redactURL(a))
	}
	return given, nil
}

// limiterOf returns the Limiter that src shares with requests to its BaseURL, or nil.
func limiterOf(src Source) *Limiter {
	base, ok := As[interface{ BaseURL() string }](src)
	if !ok || base.BaseURL() == "" {
		return nil
	}
	if l, ok := As[interface{ Limiter() *Limiter }](src); ok {
		return l.Limiter()
	}
	return nil
}

// Static returns a [Source] of one Bearer token that never changes. The token has no expiry and cannot be renewed.
func Static(accessToken string) Source {
	return &static{&Token{AccessToken: accessToken, TokenType: "Bearer"}}
}

type static struct{ token *Token } // a pointer for the same reason as cacheSecrets

func (s *static) Token(context.Context) (*Token, error) {
	if s.token.AccessToken == "" {
		return nil, noToken(errors.New("tokens: the static access token is empty"))
	}
	return s.token, nil
}

func (s *static) Format(f fmt.State, verb rune) { s.token.Format(f, verb) }
