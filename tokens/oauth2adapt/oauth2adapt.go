// Package oauth2adapt connects package tokens with golang.org/x/oauth2, both ways.
//
//	ts := oauth2adapt.TokenSource(ctx, cache)          // for a library that wants an oauth2.TokenSource
//	src := oauth2adapt.Source(config.TokenSource(ctx)) // for what wants a tokens.Source
//	client, err := tokens.NewClient(src, &tokens.DoerOptions{BaseURL: "https://api.example.com"})
//
// [TokenSource] lets code that was written for x/oauth2 use a [tokens.Cache]; [Source] lets a [tokens.Transport] use an
// [oauth2.TokenSource]. An oauth2.TokenSource has no context: what that costs is said at each function.
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

// TokenSource returns an [oauth2.TokenSource] that gives src's tokens. Its Token method has no context, so each call
// waits for src under ctx, and not under that of the request that needs the token: a canceled request still waits.
//
// Give it to code that calls Token itself. Do not put it under an [oauth2.Transport], which sends its token to every host
// that a redirect names: use [tokens.NewClient] there. It must not be wrapped in [oauth2.ReuseTokenSource] either, which
// would keep a token that src has dropped.
func TokenSource(ctx context.Context, src tokens.Source) oauth2.TokenSource {
	return &tokenSource{ctx, src}
}

type tokenSource struct {
	ctx context.Context //nolint:containedctx // Token has no parameter for one
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

// Format prints the type alone: src may be any type, and ts keeps its tokens.
func (s *tokenSource) Format(f fmt.State, _ rune) { fmt.Fprint(f, "oauth2adapt.TokenSource") }

// Source returns a [tokens.Source] that gives ts' tokens. Its Token method returns when its context ends, whatever ts
// does; a call of ts that is left behind this way goes on, and the next caller waits for it instead of starting another, so
// that at most one runs at a time. Errors match [tokens.ErrNoToken].
//
// The Source is no [tokens.Invalidator], since an oauth2.TokenSource cannot drop a token: after a 401 the response stands.
// Nor does it know the origin that its tokens are for: set DoerOptions.BaseURL.
func Source(ts oauth2.TokenSource) tokens.Source {
	return &source{ts: ts, busy: make(chan struct{}, 1)}
}

type source struct {
	ts   oauth2.TokenSource
	busy chan struct{} // holds one element while ts is being asked
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

// Format prints the type alone: ts may be any type, and often keeps a refresh token.
func (s *source) Format(f fmt.State, _ rune) { fmt.Fprint(f, "oauth2adapt.Source") }

// withoutBody returns err, or, of an [oauth2.RetrieveError], what may be shown of it: its text quotes the whole response of
// the token endpoint. The code still matches errors.Is(err, tokens.InvalidGrant).
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

// ToOAuth2 returns t as an [oauth2.Token]. Members of t.Extra are found by its Extra method, and the scopes, joined by spaces,
// as "scope". If t is nil, so is the result.
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

// FromOAuth2 returns t as a [tokens.Token]. An oauth2.Token does not tell which extra members it has: those named are
// copied, and "scope" becomes Scopes. If t is nil, so is the result.
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
