package tests

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// RFC 6750.
var bearerRules = []rule{
	{id: "B-01", says: "one request carries one token in one way", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		require.NoError(t, r.calls(t, r.cache(t))(t.Context()))
		sent := last(r)
		assert.Len(t, sent.Header["Authorization"], 1)
		assert.Empty(t, sent.RawQuery)
		assert.Empty(t, sent.Body)

		// The caller's header is unchanged, and no token is added.
		transport, err := tokens.NewTransport(tokens.Static("ours"), apiURL, roundTripper(func(r *http.Request) (*http.Response, error) {
			assert.Equal(t, []string{"Basic dGhlaXJz"}, r.Header["Authorization"])
			return reply(r, 401, ""), nil
		}))
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiURL, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Basic dGhlaXJz")
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		assert.Equal(t, 401, resp.StatusCode)
	}},

	{id: "B-02", says: "the token is in the Authorization header", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		cache := r.cache(t)
		require.NoError(t, r.calls(t, cache)(t.Context()))
		token, err := cache.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"Bearer " + token.AccessToken}, last(r).Header["Authorization"])
	}},

	{id: "B-03", says: "the token is not in the URL", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		cache := r.cache(t)
		require.NoError(t, r.calls(t, cache)(t.Context()))
		token, err := cache.Token(t.Context())
		require.NoError(t, err)
		for _, sent := range r.server.Requests() {
			assert.NotContains(t, sent.Path+"?"+sent.RawQuery, token.AccessToken)
		}
	}},

	{id: "B-04", says: "a token that no header can carry is not sent", test: func(t *testing.T, v vendor) {
		for _, bad := range []string{`a\r\nX-Admin: 1`, `a b`, `a\tb`, `\u0000`, `\u007f`, `é`, `a,b`, `a\"b`, `a;b`, `a\\b`} {
			r := newRig(v, sandboxOptions{})
			r.responds(respond(200, `{"access_token":"`+bad+`","token_type":"Bearer"}`))
			err := r.calls(t, r.cache(t))(t.Context())
			assert.ErrorIs(t, err, tokens.ErrNoToken, bad)
			assert.Zero(t, r.server.Count(v.probe), "nothing is sent")
		}
		var seen string
		const all = "AZaz09-._~+/=="
		require.NoError(t, get(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			seen = r.Header.Get("Authorization")
			return reply(r, 200, "{}"), nil
		}), tokens.Static(all)))
		assert.Equal(t, "Bearer "+all, seen)
	}},

	{id: "B-05", says: "the Bearer challenge of WWW-Authenticate is read", test: func(t *testing.T, v vendor) {
		for _, tt := range []struct {
			status        int
			challenges    []string
			code, message string
		}{
			{401, []string{`Bearer realm="api", error="invalid_token", error_description="The token expired"`}, "invalid_token", "The token expired"},
			{401, []string{`bearer ERROR=invalid_token`}, "invalid_token", ""},
			{403, []string{`Bearer error="insufficient_scope", scope="a, b", error_description="say \"please\", \\ ="`}, "insufficient_scope", `say "please", \ =`},
			{401, []string{`Basic realm="error=\"no\"", Bearer error="invalid_token"`}, "invalid_token", ""},
			{401, []string{`Negotiate abc==`, `DPoP error="use_dpop_nonce"`, `Bearer error="invalid_token"`}, "invalid_token", ""},
			{401, []string{`Basic realm="x", error="invalid_client"`}, "", ""},
			{401, []string{`Bearer`}, "", ""},
			{401, []string{`Bearer error="unterminated`}, "unterminated", ""},
		} {
			r := newRig(v, sandboxOptions{})
			r.server.Fault(v.probe, sandbox.Fault{Status: tt.status, Header: http.Header{"Www-Authenticate": tt.challenges, "Content-Type": nil}})
			err := r.calls(t, tokens.Static("x"))(t.Context())
			var e *tokens.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, tokens.Code(tt.code), e.Code, tt.challenges)
			assert.Equal(t, tt.message, e.Message, tt.challenges)
			assert.ErrorIs(t, err, tokens.Status(tt.status))
		}
	}},

	{id: "B-06", says: "after invalid_token a new token is tried, once", test: func(t *testing.T, v vendor) {
		rejected := sandbox.Fault{Status: 401, Header: http.Header{"Www-Authenticate": {`Bearer error="invalid_token"`}}}
		r := newRig(v, sandboxOptions{})
		call := r.calls(t, r.cache(t))
		require.NoError(t, call(t.Context()))
		r.server.Fault(v.probe, rejected)
		require.NoError(t, call(t.Context()))
		assert.Equal(t, 2, r.server.Count(createAccessToken))
		assert.Equal(t, 3, r.server.Count(v.probe))

		r = newRig(v, sandboxOptions{})
		rejected.Times = sandbox.Forever
		r.server.Fault(v.probe, rejected)
		require.ErrorIs(t, r.calls(t, r.cache(t))(t.Context()), tokens.InvalidToken, "the second 401 is returned")
		assert.Equal(t, 2, r.server.Count(createAccessToken))
		assert.Equal(t, 2, r.server.Count(v.probe))

		bubble(t, func(t *testing.T) {
			r := newRig(v, sandboxOptions{})
			vendorSide := r.client.Transport
			cache := r.cache(t)
			dead, err := cache.Token(t.Context())
			require.NoError(t, err)
			r.client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
				if req.Header.Get("Authorization") == "Bearer "+dead.AccessToken {
					pass(time.Second)
					return reply(req, 401, ""), nil
				}
				return vendorSide.RoundTrip(req)
			})
			call := r.calls(t, cache)
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { assert.NoError(t, call(t.Context())) })
			}
			wg.Wait()
			assert.Equal(t, 2, r.server.Count(createAccessToken), "many rejections of one token cause one renewal")
			assert.Equal(t, 20, r.server.Count(v.probe))
		})
	}},

	{id: "B-07", says: "after insufficient_scope no new token is asked for", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		r.server.Fault(v.probe, sandbox.Fault{Status: 403, Header: http.Header{"Www-Authenticate": {`Bearer error="insufficient_scope"`}}})
		cache := r.cache(t)
		err := r.calls(t, cache)(t.Context())
		require.ErrorIs(t, err, tokens.Status(403))
		assert.Equal(t, 1, r.server.Count(createAccessToken))
		assert.Equal(t, 1, r.server.Count(v.probe))
		assert.Zero(t, cache.Stats().Invalidations)
	}},

	{id: "B-08", says: "a token goes over TLS only, to a server whose certificate is valid", test: func(t *testing.T, v vendor) {
		for _, baseURL := range []string{"http://api.example.com", "http://127.0.0.1.example.com", "ws://api.example.com"} {
			_, err := tokens.NewTransport(tokens.Static("x"), baseURL, nil)
			require.ErrorContains(t, err, "https")
			_, err = tokens.NewDoer(tokens.Static("x"), &tokens.DoerOptions{BaseURL: baseURL})
			require.ErrorContains(t, err, "https")
		}
		server := v.sandbox(sandboxOptions{})
		tlsServer := serveTLS(t, server, nil)
		doer, err := tokens.NewDoer(tokens.Static("x"), &tokens.DoerOptions{BaseURL: tlsServer.URL, HTTPClient: &http.Client{Transport: &http.Transport{}}, Retry: once})
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tlsServer.URL+v.probePath, nil)
		require.NoError(t, err)
		_, err = doer.Do(req)
		require.ErrorContains(t, err, "unknown authority")
		assert.Empty(t, server.Requests())
	}},

	{id: "B-09", says: "a token goes to its origin only, on every hop", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		cache := r.cache(t)
		base := r.plain(t).BaseURL()
		u, err := url.Parse(base)
		require.NoError(t, err)
		for _, elsewhere := range []string{
			"https://other.example.com/x", "https://" + u.Host + ":8443/x", "http://" + u.Host + "/x",
			"https://" + u.Host + ".example.com/x", "https://sub." + u.Host + "/x", "https://" + u.Host + "@other.example.com/x",
		} {
			var hops []*http.Request
			everywhere := roundTripper(func(req *http.Request) (*http.Response, error) {
				hops = append(hops, req)
				if req.URL.Path == "/start" {
					return reply(req, 302, "", "Location", elsewhere), nil
				}
				return reply(req, 401, ""), nil
			})
			transport, err := tokens.NewTransport(cache, base, everywhere)
			require.NoError(t, err)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/start", nil)
			require.NoError(t, err)

			// A client that follows redirects.
			resp, err := (&http.Client{Transport: transport}).Do(req)
			require.NoError(t, err)
			assert.Equal(t, 401, resp.StatusCode)
			require.Len(t, hops, 2, "no token is sent after a 401 of another origin either")
			assert.True(t, strings.HasPrefix(hops[0].Header.Get("Authorization"), "Bearer "))
			assert.NotContains(t, hops[1].Header.Get("Authorization"), "Bearer", elsewhere)

			// NewClient's client does not even send a request there.
			hops = nil
			doer, err := tokens.NewDoer(cache, &tokens.DoerOptions{BaseURL: base, HTTPClient: &http.Client{Transport: everywhere}, Retry: once})
			require.NoError(t, err)
			_, err = doer.Do(req.Clone(t.Context()))
			require.ErrorIs(t, err, tokens.Status(302))
			assert.Len(t, hops, 1)
		}
		assert.Zero(t, cache.Stats().Invalidations)
	}},

	{id: "B-11", says: "tokens can be asked for with an audience", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		r.responds(grants(1), grants(2))
		got := map[string]string{}
		for _, audience := range []string{"https://one.example.com", "https://two.example.com"} {
			grant := v.grant
			grant.Params = url.Values{"audience": {audience}}
			token, err := cacheOf(t, r.plain(t), &tokens.CacheOptions{Grant: grant}).Token(t.Context())
			require.NoError(t, err)
			assert.Equal(t, audience, formOf(t, last(r)).Get("audience"))
			got[audience] = token.AccessToken
		}
		assert.Equal(t, map[string]string{"https://one.example.com": "at-1", "https://two.example.com": "at-2"}, got, "each origin gets its own token")
	}},
}
