package tokens

import (
	"context"
	"errors"
	"fmt"
)

// A Source returns the token to use now. Implementations are safe for concurrent use, and return early with ctx's error
// when ctx ends. The Token is shared, so it must not be modified.
//
// What a Source can do beside is found by the methods that it has: Invalidate of [Invalidator], BaseURL() string,
// TokenFor(context.Context, time.Duration) (*Token, error). A [Cache] has all of them. A Source that wraps another has
// Unwrap() Source, and need not repeat them; see [As].
type Source interface {
	Token(ctx context.Context) (*Token, error)
}

// An Invalidator is a [Source] that can be told that the API responded to a token with 401. A [Transport] repeats a
// request only if the Source then returns another token.
type Invalidator interface {
	Invalidate(rejected *Token)
}

// As returns the first Source that is a T: src itself, or one behind its Unwrap() Source methods. T is an interface that
// names a capability, such as [Invalidator] or interface{ BaseURL() string }. It is how everything in this module that takes
// a Source looks for what the Source can do, so that a wrapper need not repeat it.
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

// baseURLOf returns the base URL that src's tokens are for: its own if it has one (BaseURL() string), else the one that
// the caller gave.
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

// Static is a [Source] of one Bearer token that never changes. It has no expiry and cannot be renewed.
func Static(accessToken string) Source {
	return &static{&Token{AccessToken: accessToken, TokenType: "Bearer"}}
}

type static struct{ token *Token } // a pointer, for the reason that cacheSecrets is one

func (s *static) Token(context.Context) (*Token, error) {
	if s.token.AccessToken == "" {
		return nil, noToken(errors.New("tokens: the static access token is empty"))
	}
	return s.token, nil
}

func (s *static) Format(f fmt.State, verb rune) { s.token.Format(f, verb) }
