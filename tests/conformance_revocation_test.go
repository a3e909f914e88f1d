package tests

import (
	"cmp"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// RFC 7009, for vendors that support it. For the others, Endpoint.Revoke returns errors.ErrUnsupported, as
// TestVendorsAreAsTheTableSays checks.
var revocationRules = []rule{
	{id: "R-01", says: "the revocation URL is https", on: revoking, test: func(t *testing.T, v vendor) {
		_, err := v.endpoint(sandboxCredentials, endpointOptions{baseURL: "http://api.example.com"})
		require.ErrorContains(t, err, "https")
		r := newRig(v, sandboxOptions{})
		r.revocationResponses(respond(307, "", "Location", "http://api.example.com/oauth2/revoke"))
		require.ErrorIs(t, r.plain(t).Revoke(t.Context(), "at", tokens.HintNone), tokens.Status(307))
		assert.Len(t, r.server.Requests(), 1)
	}},

	{id: "R-02", says: "the revocation URL is the documented one, and no query of it gets lost", on: revoking, test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		require.NoError(t, r.plain(t).Revoke(t.Context(), "at", tokens.HintNone))
		assert.NotNil(t, loadSpec(t, cmp.Or(v.spec, v.name)).Paths.Find(last(r).Path).Post)
		if v.name != "oauth2" {
			_, err := v.endpoint(sandboxCredentials, endpointOptions{baseURL: "https://api.example.com?tenant=1"})
			require.ErrorContains(t, err, "query", "what cannot be preserved is refused")
		}
	}, once: func(t *testing.T) {
		server := sandbox.NewMoov(&sandbox.MoovOptions{Strict: true})
		e, err := tokens.NewEndpoint("https://auth.example.com/oauth2/token", sandboxCredentials, &tokens.EndpointOptions{
			RevocationURL: "https://auth.example.com/oauth2/revoke?tenant=a%20b", HTTPClient: &http.Client{Transport: sandbox.Transport(server)},
		})
		require.NoError(t, err)
		_ = e.Revoke(t.Context(), "at", tokens.HintNone)
		require.Len(t, server.Requests(), 1)
		assert.Equal(t, "tenant=a%20b", server.Requests()[0].RawQuery)
	}},

	{id: "R-03", says: "a revocation is a POST of a form with the token, and a hint if there is one", on: revoking, test: func(t *testing.T, v vendor) {
		for hint, want := range map[tokens.Hint]string{
			tokens.HintNone:         "token=a%2Bb%2F%3D",
			tokens.HintAccessToken:  "token=a%2Bb%2F%3D&token_type_hint=access_token",
			tokens.HintRefreshToken: "token=a%2Bb%2F%3D&token_type_hint=refresh_token",
		} {
			r := newRig(v, sandboxOptions{})
			require.NoError(t, r.plain(t).Revoke(t.Context(), "a+b/=", hint))
			assert.Equal(t, http.MethodPost, last(r).Method)
			assert.Equal(t, []string{"application/x-www-form-urlencoded"}, last(r).Header["Content-Type"])
			assert.Equal(t, want, string(last(r).Body))
		}
	}},

	{id: "R-04", says: "the client authenticates as it does at the token endpoint", on: revoking, test: func(t *testing.T, v vendor) {
		for _, style := range []tokens.AuthStyle{tokens.AuthStyleDefault, tokens.AuthStyleBasic, tokens.AuthStyleBasicUnencoded, tokens.AuthStyleBody} {
			r := newRig(v, sandboxOptions{})
			r.responds(grants(1))
			r.revocationResponses(respond(200, ""))
			endpoint := r.asks(t, hard, style, once)
			_, err := endpoint.Exchange(t.Context(), v.grant)
			require.NoError(t, err)
			require.NoError(t, endpoint.Revoke(t.Context(), "at", tokens.HintNone))
			asked, revoked := r.server.Requests()[0], r.server.Requests()[1]
			assert.Equal(t, asked.Header["Authorization"], revoked.Header["Authorization"])
			assert.Equal(t, formOf(t, asked).Get("client_id"), formOf(t, revoked).Get("client_id"))
			assert.Equal(t, formOf(t, asked).Get("client_secret"), formOf(t, revoked).Get("client_secret"))
			assert.Equal(t, style == tokens.AuthStyleBody, formOf(t, revoked).Has("client_secret"))
		}
	}},

	{id: "R-05", says: "200 is success, for unknown tokens too, and its body says nothing", on: revoking, test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		require.NoError(t, r.plain(t).Revoke(t.Context(), "never issued", tokens.HintNone))
		for _, f := range []sandbox.Fault{
			{Status: 200, Header: http.Header{"Content-Type": nil}},
			{Status: 200, Body: "{}"},
			{Status: 200, Body: `{"error":"not what it says"}`},
			{Status: 200, Body: "<html>", ContentType: "text/html"},
			{Status: 200, Body: "revoked", ContentType: "text/plain"},
			{Status: 200, Body: "{", ContentType: "application/json"},
			{Status: 200, Body: "revoked", Cut: 3},
		} {
			r.revocationResponses(f)
			assert.NoError(t, r.plain(t).Revoke(t.Context(), "at", tokens.HintNone), f)
		}
	}},

	{id: "R-06", says: "a wrong hint does no harm", on: revoking, test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		token := r.offlineToken(t)
		require.NoError(t, r.calls(t, tokens.Static(token.AccessToken))(t.Context()))
		require.NoError(t, r.plain(t).Revoke(t.Context(), token.AccessToken, tokens.HintRefreshToken))
		require.ErrorIs(t, r.calls(t, tokens.Static(token.AccessToken))(t.Context()), tokens.Status(401))
	}},

	{id: "R-07", says: "a token is not used once it was to be revoked, whatever came of that", on: revoking, test: func(t *testing.T, v vendor) {
		for _, f := range []sandbox.Fault{{}, {Status: 503}, {Status: 400}, {Drop: true}} {
			r := newRig(v, sandboxOptions{})
			cache := r.cache(t)
			call := r.calls(t, cache)
			require.NoError(t, call(t.Context()))
			revoked := last(r).Header.Get("Authorization")
			f.Times = sandbox.Forever
			r.revocationResponses(f)
			err := cache.Revoke(t.Context())
			assert.Equal(t, f.Status != 0 || f.Drop, err != nil)
			require.NoError(t, call(t.Context()))
			assert.NotEqual(t, revoked, last(r).Header.Get("Authorization"))
			assert.Equal(t, 2, r.server.Count(createAccessToken))
		}
	}},

	{id: "R-08", says: "nothing is assumed of when a revocation takes effect", on: revoking, test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		require.NoError(t, r.plain(t).Revoke(t.Context(), "at", tokens.HintNone))
		assert.Len(t, r.server.Requests(), 1, "nobody checks whether the token still works")
	}},

	{id: "R-09", says: "unsupported_token_type is a code of its own", on: revoking, test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		r.revocationResponses(refusal(400, "unsupported_token_type"))
		require.ErrorIs(t, r.plain(t).Revoke(t.Context(), "at", tokens.HintNone), tokens.UnsupportedTokenType)
	}},

	{id: "R-10", says: "after 503 the token exists, and its revocation is tried again after a delay", on: revoking, test: func(t *testing.T, v vendor) {
		bubble(t, func(t *testing.T) {
			r := newRig(v, sandboxOptions{})
			busy := respond(503, "", "Retry-After", "7")
			r.revocationResponses(busy)
			err := r.plain(t).Revoke(t.Context(), "at", tokens.HintNone)
			require.ErrorIs(t, err, tokens.Status(503))
			var e *tokens.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, 7*time.Second, e.RetryAfter)

			start := time.Now()
			r.revocationResponses(busy)
			require.NoError(t, r.asks(t, sandboxCredentials, v.style, tokens.Retry{}).Revoke(t.Context(), "at", tokens.HintNone))
			assert.Equal(t, 7*time.Second, time.Since(start))

			// A Cache keeps tokens that it failed to revoke.
			cache := r.cache(t)
			token, err := cache.Token(t.Context())
			require.NoError(t, err)
			busy.Times = 2
			r.revocationResponses(busy)
			require.ErrorIs(t, cache.Revoke(t.Context()), tokens.Status(503))
			require.NoError(t, r.calls(t, tokens.Static(token.AccessToken))(t.Context()), "it lives")
			require.NoError(t, cache.Revoke(t.Context()))
			require.ErrorIs(t, r.calls(t, tokens.Static(token.AccessToken))(t.Context()), tokens.Status(401), "the token does not work")
			before := len(r.server.Requests())
			require.NoError(t, cache.Revoke(t.Context()))
			assert.Len(t, r.server.Requests(), before, "nothing is left to revoke")
		})
	}},

	{id: "R-12", says: "the refresh token is revoked first, and then its access token", on: revoking, test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		token := r.offlineToken(t)
		require.NotEmpty(t, token.RefreshToken)
		cache := cacheOf(t, r.asks(t, v.offline, v.style, once), &tokens.CacheOptions{Session: "a", Initial: token})
		require.NoError(t, cache.Revoke(t.Context()))
		var revoked []string
		for _, sent := range r.server.Requests() {
			revoked = append(revoked, formOf(t, sent).Get("token_type_hint")+" "+formOf(t, sent).Get("token"))
		}
		assert.Equal(t, []string{"refresh_token " + token.RefreshToken, "access_token " + token.AccessToken}, revoked)
	}},

	{id: "R-13", says: "a revocation is never a GET", on: revoking, test: func(t *testing.T, v vendor) {
		for _, status := range []int{301, 302, 303, 307, 308, 405} {
			r := newRig(v, sandboxOptions{})
			r.revocationResponses(respond(status, "", "Location", "/oauth2/revoke", "Allow", "GET"))
			require.ErrorIs(t, r.asks(t, sandboxCredentials, v.style, tokens.Retry{}).Revoke(t.Context(), "at", tokens.HintNone), tokens.Status(status))
			require.Len(t, r.server.Requests(), 1)
			assert.Equal(t, http.MethodPost, last(r).Method)
		}
	}},
}

// revocationResponses sets the next responses to revocations.
func (r *rig) revocationResponses(f ...sandbox.Fault) { r.server.Fault(revokeAccessToken, f...) }
