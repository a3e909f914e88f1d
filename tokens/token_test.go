package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A stored token is that of golang.org/x/oauth2 plus its scopes, and comes back whole.
func TestTokenAsJSON(t *testing.T) {
	token := Token{
		AccessToken: "at", TokenType: "Bearer", RefreshToken: "rt", Scopes: []string{"a", "b"},
		Expiry: time.Date(2030, 1, 2, 3, 4, 5, 600, time.FixedZone("", 3600)),
	}
	data, err := json.Marshal(token)
	require.NoError(t, err)
	assert.JSONEq(t, `{"access_token":"at","token_type":"Bearer","refresh_token":"rt","scopes":["a","b"],"expiry":"2030-01-02T03:04:05.0000006+01:00"}`, string(data))

	var read Token
	require.NoError(t, json.Unmarshal(data, &read))
	assert.True(t, read.Expiry.Equal(token.Expiry))
	read.Expiry = token.Expiry
	assert.Equal(t, token, read)

	data, err = json.Marshal(&Token{AccessToken: "at"})
	require.NoError(t, err)
	assert.JSONEq(t, `{"access_token":"at"}`, string(data))
}

// A life is measured on the monotonic clock within the process, and on the wall clock once stored.
func TestTokenExpiryIsMonotonic(t *testing.T) {
	token, err := exchange(t, newScript(reply(200, jsonType, tokenReply)))
	require.NoError(t, err)
	assert.NotEqual(t, token.Expiry.Round(0), token.Expiry, "no monotonic reading")
	assert.InDelta(t, time.Hour.Seconds(), time.Until(token.Expiry).Seconds(), 60)
}

func TestStatic(t *testing.T) {
	src := Static("at")
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Token{AccessToken: "at", TokenType: "Bearer"}, *token)
	_, invalidates := src.(Invalidator)
	assert.False(t, invalidates, "there is nothing to renew it with")

	token, err = Static("").Token(t.Context())
	assert.Nil(t, token)
	require.ErrorIs(t, err, ErrNoToken)
	assert.EqualError(t, err, "no access token: tokens: the static access token is empty")
}

// The status of a token endpoint's response says nothing of the request that the token was for.
func TestNoTokenMatchesACodeAndNoStatus(t *testing.T) {
	cause := &Error{Method: "POST", URL: "https://x/token", StatusCode: 404, Code: InvalidClient}
	for _, err := range []error{noToken(cause), noToken(fmt.Errorf("wrapped: %w", noToken(cause)))} {
		require.ErrorIs(t, err, ErrNoToken)
		require.ErrorIs(t, err, InvalidClient)
		require.NotErrorIs(t, err, Status(404))
		require.NotErrorIs(t, err, ErrLoginRequired)
		e, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		require.Same(t, cause, e)
	}
	err := &noTokenError{kind: ErrLoginRequired, cause: cause}
	require.ErrorIs(t, err, ErrLoginRequired)
	require.EqualError(t, &noTokenError{kind: ErrClosed}, "no access token: closed")
}
