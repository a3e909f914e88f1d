// Package oauth2adapt converts between package tokens and golang.org/x/oauth2, in both directions.
//
//	ts := oauth2adapt.TokenSource(ctx, cache)          // for a library that wants an oauth2.TokenSource
//	src := oauth2adapt.Source(config.TokenSource(ctx)) // for code that wants a tokens.Source
//	client, err := tokens.NewClient(src, &tokens.DoerOptions{BaseURL: "https://api.example.com"})
//
// [TokenSource] makes a [tokens.Cache] available to code that uses x/oauth2; [Source] makes an [oauth2.TokenSource]
// available to package tokens. The Token method of an oauth2.TokenSource has no context; each function says what
// follows from that.
package oauth2adapt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"golang.org/x/oauth2"
)

// TokenSource returns an [oauth2.TokenSource] of src's tokens. Its Token method has no context, so each call waits for
// src under ctx and not under the context of the request that needs the token: canceling a request does not end the
// wait.
//
// Use it for code that calls Token itself. Do not use it with an [oauth2.Transport], which sends its token to every
// host that a redirect names; use [tokens.NewClient] instead. Do not wrap it in [oauth2.ReuseTokenSource] either, which
// would keep a token that src has dropped.
func TokenSource(ctx context.Context, src tokens.Source) oauth2.TokenSource {
	return &tokenSource{ctx, src}
}

type tokenSource struct {
	ctx context.Context //nolint:containedctx // Token has no parameter for it
	src tokens.Source
}

func (s *tokenSource) Token() (*oauth2.Token, error) {
	if s.src == nil || s.ctx == nil {
		return nil, fmt.Errorf("oauth2adapt: the Source or its context is nil: %w", tokens.ErrNoToken)
	}
	t, err := s.src.Token(s.ctx)
	if err != nil {
		return nil, err
	}
	return ToOAuth2(t), nil
}

// Format prints only the type, because src may have any type.
func (s *tokenSource) Format(f fmt.State, _ rune) { fmt.Fprint(f, "oauth2adapt.TokenSource") }

// Source returns a [tokens.Source] of ts's tokens. Its Token method returns when its context ends, even if ts does not.
// The abandoned call of ts continues, and the next caller waits for it instead of starting another, so that at most one
// call runs at a time. Errors match [tokens.ErrNoToken].
//
// The Source is not a [tokens.Invalidator], because an oauth2.TokenSource cannot drop a token: a 401 is not retried. It
// does not know the origin that its tokens are for; set DoerOptions.BaseURL.
func Source(ts oauth2.TokenSource) tokens.Source {
	return &source{ts: ts, busy: make(chan struct{}, 1)}
}

type source struct {
	ts   oauth2.TokenSource
	busy chan struct{} // holds one element while ts.Token runs
}

func (s *source) Token(ctx context.Context) (*tokens.Token, error) {
	if s.ts == nil {
		return nil, fmt.Errorf("oauth2adapt: the TokenSource is nil: %w", tokens.ErrNoToken)
	}
	select {
	case s.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	type result struct {
		token *oauth2.Token
		err   error
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: errors.New("the TokenSource panicked")}
		defer func() {
			if recover() != nil { // the value may hold a secret
				r.token = nil
			}
			<-s.busy
			done <- r
		}()
		r.token, r.err = s.ts.Token()
	}()
	select {
	case r := <-done:
		switch {
		case r.err != nil:
			return nil, fmt.Errorf("oauth2adapt: %w: %w", tokens.ErrNoToken, withoutBody(r.err))
		case r.token == nil || r.token.AccessToken == "":
			return nil, fmt.Errorf("oauth2adapt: the TokenSource gave no access token: %w", tokens.ErrNoToken)
		}
		return FromOAuth2(r.token), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Format prints only the type, because ts may have any type, and often holds a refresh token.
func (s *source) Format(f fmt.State, _ rune) { fmt.Fprint(f, "oauth2adapt.Source") }

// withoutBody returns err, or for an [oauth2.RetrieveError] an error with its status and code only, because its text
// quotes the whole response of the token endpoint. errors.Is(err, tokens.InvalidGrant) still matches the code.
func withoutBody(err error) error {
	var e *oauth2.RetrieveError
	if !errors.As(err, &e) {
		return err
	}
	status := 0
	if e.Response != nil {
		status = e.Response.StatusCode
	}
	return fmt.Errorf("status %d: %w", status, tokens.Code(e.ErrorCode))
}

// ToOAuth2 converts t to an [oauth2.Token]. Its Extra method returns the members of t.Extra and, as "scope", the scopes
// joined by spaces. ToOAuth2(nil) is nil.
func ToOAuth2(t *tokens.Token) *oauth2.Token {
	if t == nil {
		return nil
	}
	o := &oauth2.Token{AccessToken: t.AccessToken, TokenType: t.TokenType, RefreshToken: t.RefreshToken, Expiry: t.Expiry}
	if !t.Expiry.IsZero() {
		o.ExpiresIn = max(1, int64(time.Until(t.Expiry)/time.Second))
	}
	extra := make(map[string]any, len(t.Extra)+1)
	for name, raw := range t.Extra {
		var value any
		if json.Unmarshal(raw, &value) == nil {
			extra[name] = value
		}
	}
	if len(t.Scopes) > 0 {
		extra["scope"] = strings.Join(t.Scopes, " ")
	}
	return o.WithExtra(extra)
}

// FromOAuth2 converts t to a [tokens.Token]. An oauth2.Token does not list its extra members, so only those named by
// extra are copied, and "scope", which becomes Scopes. FromOAuth2(nil) is nil.
func FromOAuth2(t *oauth2.Token, extra ...string) *tokens.Token {
	if t == nil {
		return nil
	}
	token := &tokens.Token{AccessToken: t.AccessToken, TokenType: t.Type(), RefreshToken: t.RefreshToken, Expiry: t.Expiry}
	if scope, ok := t.Extra("scope").(string); ok {
		token.Scopes = strings.Fields(scope)
	}
	for _, name := range extra {
		value := t.Extra(name)
		if value == nil {
			continue
		}
		if raw, err := json.Marshal(value); err == nil {
			if token.Extra == nil {
				token.Extra = make(map[string]json.RawMessage)
			}
			token.Extra[name] = raw
		}
	}
	return token
}
