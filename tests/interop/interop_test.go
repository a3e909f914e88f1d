package interop

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClientCredentials(t *testing.T) {
	eachWitness(t, func(t *testing.T, w *witness, styles []tokens.AuthStyle) {
		for _, style := range styles {
			for _, creds := range append([]tokens.Credentials{w.app}, w.odd...) {
				if creds.ClientSecret == "" {
					continue // a public client has no secret to send
				}
				token, err := w.endpoint(t, creds, style, nil).Exchange(t.Context(), tokens.Grant{})
				if assert.NoError(t, err, "%v %q", style, creds.ClientID) {
					assert.NotEmpty(t, token.AccessToken)
					assert.Equal(t, "Bearer", token.TokenType)
					assert.False(t, token.Expiry.IsZero())
				}
			}
		}
	})
}

func TestErrorCodes(t *testing.T) {
	eachWitness(t, func(t *testing.T, w *witness, styles []tokens.AuthStyle) {
		if w.web == (tokens.Credentials{}) {
			t.Skip("the server refuses nothing")
		}
		style := styles[0]
		wrong := tokens.Credentials{ClientID: w.app.ClientID, ClientSecret: "canary-secret"}
		for _, tt := range []struct {
			name  string
			creds tokens.Credentials
			grant tokens.Grant
			want  []error // any one of these
		}{
			// zitadel's example responds with server_error.
			{"wrong secret", wrong, tokens.Grant{}, []error{tokens.InvalidClient, tokens.Code("server_error")}},
			{"unknown refresh token", w.web, tokens.Grant{RefreshToken: "canary-refresh"}, []error{tokens.InvalidGrant}},
			{"unknown code", w.web, tokens.Grant{Code: &tokens.AuthorizationCode{
				Code: "canary-code", RedirectURI: redirectURI, CodeVerifier: tokens.GenerateVerifier(),
			}}, []error{tokens.InvalidGrant}},
			// fosite responds with invalid_request to an unknown grant type.
			{"unknown grant type", w.web, tokens.Grant{Type: "urn:example:none"}, []error{tokens.UnsupportedGrantType, tokens.InvalidRequest}},
			// oidc-provider responds with invalid_request.
			{"grant that the client may not use", w.narrow, tokens.Grant{}, []error{tokens.UnauthorizedClient, tokens.InvalidRequest}},
			{"unknown scope", w.app, tokens.Grant{Scopes: []string{"no-such-scope"}}, []error{tokens.InvalidScope}},
		} {
			if tt.creds == (tokens.Credentials{}) {
				continue // clients are not restricted to grants
			}
			_, err := w.endpoint(t, tt.creds, style, nil).Exchange(t.Context(), tt.grant)
			if err == nil && tt.name == "unknown scope" {
				continue // the server grants every scope, or omits unknown ones
			}
			var e *tokens.Error
			if assert.ErrorAs(t, err, &e, tt.name) {
				assert.True(t, slices.ContainsFunc(tt.want, func(code error) bool { return errors.Is(err, code) }), "%s: %v", tt.name, err)
				assert.NotContains(t, err.Error(), "canary", tt.name)
			}
		}
	})
}

// A session is renewed 200 times while 50 goroutines call Token, and each refresh token is presented once.
func TestRotation(t *testing.T) {
	eachWitness(t, func(t *testing.T, w *witness, _ []tokens.AuthStyle) {
		if w.authorizationURL == "" {
			t.Skip("nobody can log in here without a browser")
		}
		counter := &counting{base: http.DefaultTransport}
		e := w.endpoint(t, w.web, w.webStyle, &http.Client{Transport: counter})
		cache, err := tokens.NewCache(e, &tokens.CacheOptions{Session: "user", Initial: w.login(t, e)})
		require.NoError(t, err)
		for range 200 {
			current, err := cache.Token(t.Context())
			require.NoError(t, err)
			// The same login with a token that is due: each round presents the last refresh token.
			due := *current
			due.AccessToken = ""
			require.NoError(t, cache.Set(t.Context(), &due))
			var callers sync.WaitGroup
			for range 50 {
				callers.Go(func() {
					token, err := cache.Token(t.Context())
					if assert.NoError(t, err) {
						assert.NotEqual(t, current.AccessToken, token.AccessToken)
					}
				})
			}
			callers.Wait()
		}
		require.NoError(t, cache.Close(t.Context()))
		assert.Len(t, counter.presented, 200)
		for _, times := range counter.presented {
			assert.Equal(t, 1, times)
		}
	})
}

// A refresh token that was used elsewhere ends the login for good, and a new login works.
func TestStaleRefreshToken(t *testing.T) {
	eachWitness(t, func(t *testing.T, w *witness, _ []tokens.AuthStyle) {
		if w.authorizationURL == "" {
			t.Skip("nobody can log in here without a browser")
		}
		counter := &counting{base: http.DefaultTransport}
		e := w.endpoint(t, w.web, w.webStyle, &http.Client{Transport: counter})
		first := w.login(t, e)
		_, err := e.Exchange(t.Context(), tokens.Grant{RefreshToken: first.RefreshToken})
		require.NoError(t, err)

		cache, err := tokens.NewCache(e, &tokens.CacheOptions{Session: "user", Initial: &tokens.Token{RefreshToken: first.RefreshToken}})
		require.NoError(t, err)
		before := counter.requests
		for range 3 {
			_, err = cache.Token(t.Context())
			require.ErrorIs(t, err, tokens.ErrLoginRequired)
			require.ErrorIs(t, err, tokens.InvalidGrant)
		}
		assert.Equal(t, before+1, counter.requests, "an invalid refresh token is presented once")

		require.NoError(t, cache.Set(t.Context(), w.login(t, e)))
		_, err = cache.Token(t.Context())
		require.NoError(t, err)
		require.NoError(t, cache.Close(t.Context()))
	})
}

var hints = []tokens.Hint{tokens.HintNone, tokens.HintAccessToken, tokens.HintRefreshToken}

// A token is revoked whatever the hint, and an unknown token is not an error (RFC 7009, sections 2.1 and 2.2).
func TestRevocation(t *testing.T) {
	eachWitness(t, func(t *testing.T, w *witness, styles []tokens.AuthStyle) {
		if w.revocationURL == "" {
			e := w.endpoint(t, w.web, styles[0], nil)
			require.ErrorIs(t, e.Revoke(t.Context(), "x", tokens.HintNone), errors.ErrUnsupported)
			return
		}
		if w.authorizationURL == "" {
			for _, hint := range hints {
				require.NoError(t, w.endpoint(t, w.odd[0], styles[0], nil).Revoke(t.Context(), "unknown", hint), "%q", hint)
			}
			return
		}
		e := w.endpoint(t, w.web, w.webStyle, nil)
		for _, hint := range hints {
			token := w.login(t, e)
			require.NoError(t, e.Revoke(t.Context(), token.AccessToken, hint), "%q", hint)
			require.NoError(t, e.Revoke(t.Context(), token.RefreshToken, hint), "%q", hint)
			_, err := e.Exchange(t.Context(), tokens.Grant{RefreshToken: token.RefreshToken})
			require.ErrorIs(t, err, tokens.InvalidGrant, "%q", hint)
			require.NoError(t, e.Revoke(t.Context(), token.RefreshToken, hint), "it is revoked already, %q", hint)
			require.NoError(t, e.Revoke(t.Context(), "unknown", hint), "%q", hint)
		}

		// Logout with a Cache: the login ends at once, here and at the server.
		token := w.login(t, e)
		cache, err := tokens.NewCache(e, &tokens.CacheOptions{Session: "user", Initial: token})
		require.NoError(t, err)
		require.NoError(t, cache.Revoke(t.Context()))
		_, err = cache.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		_, err = e.Exchange(t.Context(), tokens.Grant{RefreshToken: token.RefreshToken})
		require.ErrorIs(t, err, tokens.InvalidGrant)
		require.NoError(t, cache.Close(t.Context()))
	})
}

// No client can revoke the tokens of another, whether or not the server returns an error.
func TestRevocationOfForeignTokens(t *testing.T) {
	eachWitness(t, func(t *testing.T, w *witness, _ []tokens.AuthStyle) {
		if w.revocationURL == "" || w.authorizationURL == "" {
			t.Skip("nobody can log in and revoke here")
		}
		owner, other := w.endpoint(t, w.web, w.webStyle, nil), w.endpoint(t, w.other, w.webStyle, nil)
		token := w.login(t, owner)
		said := map[string]bool{}
		for _, hint := range hints {
			for _, foreign := range []string{token.AccessToken, token.RefreshToken} {
				err := other.Revoke(t.Context(), foreign, hint)
				if err == nil {
					said["success"] = true
					continue
				}
				var refused *tokens.Error
				require.ErrorAs(t, err, &refused)
				assert.Contains(t, []tokens.Code{
					tokens.InvalidRequest, tokens.InvalidClient, tokens.UnauthorizedClient, tokens.UnsupportedTokenType, tokens.InvalidToken,
				}, refused.Code, "%v", err)
				assert.NotContains(t, err.Error(), foreign)
				said[string(refused.Code)] = true
			}
		}
		t.Log(slices.Sorted(maps.Keys(said)))
		_, err := owner.Exchange(t.Context(), tokens.Grant{RefreshToken: token.RefreshToken})
		require.NoError(t, err, "the token still works")
	})
}

func TestDiscovery(t *testing.T) {
	eachWitness(t, func(t *testing.T, w *witness, _ []tokens.AuthStyle) {
		if w.issuer == "" {
			t.Skip("the server has no metadata")
		}
		e, err := tokens.Discover(t.Context(), w.issuer, w.app, nil)
		require.NoError(t, err)
		_, err = e.Exchange(t.Context(), tokens.Grant{})
		require.NoError(t, err)
		_, err = tokens.Discover(t.Context(), w.issuer+"/", w.app, nil)
		require.Error(t, err, "another issuer (RFC 8414, section 3.3)")
	})
}

// An error in a callback is the error of the login.
func TestLoginRefused(t *testing.T) {
	eachWitness(t, func(t *testing.T, w *witness, _ []tokens.AuthStyle) {
		if w.authorizationURL == "" {
			t.Skip("nobody can log in here without a browser")
		}
		e := w.endpoint(t, w.web, w.webStyle, nil)
		login := &tokens.Login{RedirectURI: redirectURI, Scopes: w.scopes, Params: url.Values{"prompt": {"none"}}}
		at, err := e.AuthorizationURL(t.Context(), login)
		require.NoError(t, err)
		_, err = login.Grant(redirects(t, at))
		require.ErrorIs(t, err, w.refusal)
	})
}

// A callback of another login is refused before a code is sent.
func TestLoginRefusesOtherCallbacks(t *testing.T) {
	eachWitness(t, func(t *testing.T, w *witness, _ []tokens.AuthStyle) {
		if w.authorizationURL == "" {
			t.Skip("nobody can log in here without a browser")
		}
		e := w.endpoint(t, w.web, w.webStyle, nil)
		login := &tokens.Login{RedirectURI: redirectURI, Scopes: w.scopes, Params: url.Values{"prompt": {"consent"}}}
		at, err := e.AuthorizationURL(t.Context(), login)
		require.NoError(t, err)
		query := w.user(t, at)

		other := url.Values{"code": query["code"], "state": {"another"}}
		_, err = login.Grant(other)
		require.Error(t, err)

		grant, err := login.Grant(query)
		require.NoError(t, err)
		wrong := *grant.Code
		wrong.CodeVerifier = tokens.GenerateVerifier()
		_, err = e.Exchange(t.Context(), tokens.Grant{Code: &wrong})
		require.Error(t, err, "the server checks the verifier")
	})
}

// A token that the server revoked is noticed at its renewal, and not before.
func TestCallersLeaveByTheirOwnContext(t *testing.T) {
	eachWitness(t, func(t *testing.T, w *witness, styles []tokens.AuthStyle) {
		cache, err := tokens.NewCache(w.endpoint(t, w.app, styleOf(w.app, styles[0]), nil), nil)
		require.NoError(t, err)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = cache.Token(ended)
		require.ErrorIs(t, err, context.Canceled)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = cache.Token(ctx)
		require.NoError(t, err)
	})
}

// styleOf returns style, or AuthStyleNone for a public client.
func styleOf(creds tokens.Credentials, style tokens.AuthStyle) tokens.AuthStyle {
	if creds.ClientSecret == "" {
		return tokens.AuthStyleNone
	}
	return style
}
