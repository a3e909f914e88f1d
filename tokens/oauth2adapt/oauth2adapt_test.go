package oauth2adapt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/oauth2adapt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

type tokenSource func() (*oauth2.Token, error)

func (f tokenSource) Token() (*oauth2.Token, error) { return f() }

type source func(context.Context) (*tokens.Token, error)

func (f source) Token(ctx context.Context) (*tokens.Token, error) { return f(ctx) }

func TestTokenBothWays(t *testing.T) {
	expiry := time.Now().Add(time.Hour).Round(0)
	ours := &tokens.Token{
		AccessToken: "at", TokenType: "Bearer", RefreshToken: "rt", Scopes: []string{"a", "b"}, Expiry: expiry,
		Extra: map[string]json.RawMessage{"tenant_id": json.RawMessage(`"t1"`), "claims": json.RawMessage(`{"n":1}`)},
	}
	theirs := oauth2adapt.ToOAuth2(ours)
	assert.Equal(t, "at", theirs.AccessToken)
	assert.Equal(t, "rt", theirs.RefreshToken)
	assert.Equal(t, "Bearer", theirs.Type())
	assert.True(t, theirs.Expiry.Equal(expiry))
	assert.InDelta(t, 3600, theirs.ExpiresIn, 5)
	assert.Equal(t, "a b", theirs.Extra("scope"))
	assert.Equal(t, "t1", theirs.Extra("tenant_id"))
	assert.True(t, theirs.Valid())

	back := oauth2adapt.FromOAuth2(theirs, "tenant_id", "claims", "absent")
	assert.Equal(t, ours, back)

	assert.Nil(t, oauth2adapt.ToOAuth2(nil))
	assert.Nil(t, oauth2adapt.FromOAuth2(nil))
	assert.Zero(t, oauth2adapt.ToOAuth2(&tokens.Token{AccessToken: "at"}).Expiry)
	over := oauth2adapt.ToOAuth2(&tokens.Token{AccessToken: "at", Expiry: time.Now().Add(-time.Hour)})
	assert.EqualValues(t, 1, over.ExpiresIn, "zero would mean that the token does not expire")
	assert.Equal(t, "Bearer", oauth2adapt.FromOAuth2(&oauth2.Token{AccessToken: "at"}).TokenType)
}

func TestTokenSourceWaitsUnderItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	src := source(func(ctx context.Context) (*tokens.Token, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	cancel()
	_, err := oauth2adapt.TokenSource(ctx, src).Token()
	assert.ErrorIs(t, err, context.Canceled)

	_, err = oauth2adapt.TokenSource(t.Context(), nil).Token()
	assert.ErrorIs(t, err, tokens.ErrNoToken)
	var none context.Context
	_, err = oauth2adapt.TokenSource(none, src).Token()
	assert.ErrorIs(t, err, tokens.ErrNoToken)
}

func TestSourceLeavesByItsContextAndAsksOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, running, most atomic.Int32
		src := oauth2adapt.Source(tokenSource(func() (*oauth2.Token, error) {
			calls.Add(1)
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			pass(time.Minute)
			return &oauth2.Token{AccessToken: "at"}, nil
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := src.Token(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))

		_, err = src.Token(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.EqualValues(t, 1, calls.Load(), "the abandoned call continues, and no other is started")

		token, err := src.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "at", token.AccessToken)
		assert.EqualValues(t, 1, most.Load())
	})
}

func TestErrorsOfASource(t *testing.T) {
	for _, tt := range []struct {
		name string
		ts   oauth2.TokenSource
	}{
		{"nil", nil},
		{"no token", tokenSource(func() (*oauth2.Token, error) { return nil, nil })}, //nolint:nilnil // what some sources do
		{"empty token", tokenSource(func() (*oauth2.Token, error) { return &oauth2.Token{}, nil })},
		{"error", tokenSource(func() (*oauth2.Token, error) { return nil, errors.New("down") })},
		{"panic", tokenSource(func() (*oauth2.Token, error) { panic("canary") })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := oauth2adapt.Source(tt.ts)
			for range 2 { // the first failure must not block the second call
				_, err := src.Token(t.Context())
				require.ErrorIs(t, err, tokens.ErrNoToken)
				assert.NotContains(t, err.Error(), "canary")
			}
		})
	}
}

func TestNothingOfARetrieveErrorIsPrinted(t *testing.T) {
	src := oauth2adapt.Source(tokenSource(func() (*oauth2.Token, error) {
		return nil, &oauth2.RetrieveError{
			Response: &http.Response{StatusCode: http.StatusBadRequest}, ErrorCode: "invalid_grant",
			ErrorDescription: "canary-description", Body: []byte(`{"error":"invalid_grant","refresh_token":"canary"}`),
		}
	}))
	_, err := src.Token(t.Context())
	require.ErrorIs(t, err, tokens.InvalidGrant)
	require.ErrorIs(t, err, tokens.ErrNoToken)
	assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), "canary")
	assert.Contains(t, err.Error(), "400")

	_, err = oauth2adapt.Source(tokenSource(func() (*oauth2.Token, error) { return nil, io.ErrUnexpectedEOF })).Token(t.Context())
	require.EqualError(t, err, "oauth2adapt: no access token: unexpected EOF")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestNothingOfASourceIsPrinted(t *testing.T) {
	kept := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "canary", RefreshToken: "canary"})
	printed := fmt.Sprintf("%v %+v %#v", oauth2adapt.Source(kept), oauth2adapt.Source(kept),
		oauth2adapt.TokenSource(t.Context(), tokens.Static("canary")))
	assert.NotContains(t, printed, "canary")
	assert.Contains(t, printed, "oauth2adapt.TokenSource")
}

// pass lets d pass, in the fake time of a bubble.
func pass(d time.Duration) { <-time.After(d) }
