package tests

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// Observed behavior of real servers, and what has broken other clients.
var serverCases = []rule{
	{id: "case 6", says: "an empty secret is refused before anything is sent", test: func(t *testing.T, v vendor) {
		_, err := v.endpoint(tokens.Credentials{ClientID: "id"}, endpointOptions{})
		require.ErrorContains(t, err, "ClientSecret")
		r := newRig(v, sandboxOptions{})
		late := tokens.CredentialsFunc(func(context.Context) (tokens.Credentials, error) { return tokens.Credentials{ClientID: "id"}, nil })
		_, err = r.asks(t, late, v.style, once).Exchange(t.Context(), v.grant)
		require.ErrorContains(t, err, "ClientSecret")
		assert.Empty(t, r.server.Requests())
	}},

	{id: "case 8", says: "no other way to authenticate is tried after a refusal", test: func(t *testing.T, v vendor) {
		grantsToTry := []tokens.Grant{v.grant}
		if v.refreshes {
			grantsToTry = append(grantsToTry, tokens.Grant{RefreshToken: "rt"})
		}
		for _, grant := range grantsToTry {
			for _, style := range []tokens.AuthStyle{tokens.AuthStyleBasic, tokens.AuthStyleBasicUnencoded, tokens.AuthStyleBody} {
				for _, status := range []int{400, 401, 403} {
					r := newRig(v, sandboxOptions{})
					r.responds(sandbox.Fault{Status: status, Body: `{"error":"invalid_client"}`, Times: sandbox.Forever})
					_, err := r.asks(t, sandboxCredentials, style, tokens.Retry{}).Exchange(t.Context(), grant)
					require.ErrorIs(t, err, tokens.InvalidClient)
					assert.Len(t, r.server.Requests(), 1)
				}
			}
		}
	}},

	{id: "case 10", says: "expires_in comes in many forms", test: func(t *testing.T, v vendor) {
		bubble(t, func(t *testing.T) {
			const century = 100 * 365 * 24 * time.Hour
			for value, want := range map[string]time.Duration{
				"3600": time.Hour, `"3600"`: time.Hour, `" 3600 "`: time.Hour, "3599.5": time.Hour - time.Second/2, "3.6e3": time.Hour,
				"0": 0, "-5": -5 * time.Second, "4294967296": century, "1e300": century,
				fmt.Sprint(time.Now().Add(time.Hour).Unix()):         time.Hour, // Moov's Unix time
				fmt.Sprintf("%q", fmt.Sprint(time.Now().Unix()+750)): 750 * time.Second,
			} {
				start := time.Now()
				got := exchanged(t, v, grants(1, `"expires_in":`+value))
				if want == century {
					assert.Greater(t, got.Expiry.Sub(start), 10*365*24*time.Hour, value)
					continue
				}
				assert.Equal(t, want, got.Expiry.Sub(start), value)
			}
			for _, value := range []string{"null", "false", "{}", "[]", `"zzz"`, `""`} {
				assert.True(t, exchanged(t, v, grants(1, `"expires_in":`+value)).Expiry.IsZero(), value)
			}
		})
	}},

	{id: "case 12", says: "2xx without a token is an error", test: func(t *testing.T, v vendor) {
		for _, status := range []int{200, 201, 203} {
			for _, body := range []string{`{}`, `{"access_token":""}`, `{"access_token":null}`, `{"access_token":7}`, `{"access_token":{"a":"b"}}`, `[]`, `"at"`, `null`} {
				e := refused(t, v, respond(status, body))
				assert.Equal(t, status, e.StatusCode, body)
				assert.Equal(t, body, string(e.Body))
			}
		}
		assert.Equal(t, "at-1", exchanged(t, v, respond(201, `{"access_token":"at-1"}`)).AccessToken)
	}},

	{id: "case 13", says: "an error that comes with 200 is an error", test: func(t *testing.T, v vendor) {
		e := refused(t, v, respond(200, `{"error":"invalid_grant","error_description":"no","access_token":"at-1"}`))
		assert.ErrorIs(t, e, tokens.InvalidGrant)
		assert.ErrorIs(t, e, tokens.Status(200))
		if v.refreshes {
			r := newRig(v, sandboxOptions{})
			r.responds(refusal(200, "invalid_grant"))
			cache := cacheOf(t, r.plain(t), &tokens.CacheOptions{Session: "a", Initial: &tokens.Token{RefreshToken: "rt"}})
			for range 2 {
				_, err := cache.Token(t.Context())
				require.ErrorIs(t, err, tokens.InvalidGrant)
			}
			assert.Len(t, r.server.Requests(), 1)
		}
	}},

	{id: "case 14", says: "a token in another form than JSON is refused, and what came is kept", test: func(t *testing.T, v vendor) {
		for _, contentType := range []string{"application/x-www-form-urlencoded", "text/plain"} {
			e := refused(t, v, sandbox.Fault{Status: 200, ContentType: contentType, Body: "access_token=at-1&token_type=bearer"})
			assert.ErrorContains(t, e, contentType)
			assert.NotContains(t, e.Error(), "at-1")
			assert.Equal(t, "access_token=at-1&token_type=bearer", string(e.Body))
		}
	}},

	{id: "case 15", says: "a response's length is bounded", test: func(t *testing.T, v vendor) {
		e := refused(t, v, respond(200, `{"access_token":"`+strings.Repeat("a", 1<<20)+`"}`))
		assert.Equal(t, 200, e.StatusCode)
		assert.ErrorContains(t, e, "longer than 1048576 bytes")
		e = refused(t, v, respond(400, `{"error":"invalid_request","pad":"`+strings.Repeat("a", 2<<20)+`"}`))
		assert.Equal(t, 400, e.StatusCode)
		assert.Len(t, e.Body, 64<<10)
	}},

	{id: "case 16", says: "errors come in other forms than OAuth's", test: func(t *testing.T, v vendor) {
		for _, tt := range []struct {
			fault   sandbox.Fault
			message string
		}{
			{sandbox.Fault{Status: 405, ContentType: "text/plain; charset=utf-8", Body: "Method Not Allowed\n"}, "Method Not Allowed"},
			{sandbox.Fault{Status: 404, ContentType: "text/plain", Body: "Not Found"}, "Not Found"},
			{sandbox.Fault{Status: 500, Body: `{"error":"error","error_description":"boom"}`}, "boom"},
			{sandbox.Fault{Status: 502, ContentType: "text/html", Body: "<html><h1>Bad Gateway</h1></html>"}, ""},
			{sandbox.Fault{Status: 503, Header: http.Header{"Content-Type": nil}}, ""},
			{sandbox.Fault{Status: 500, Body: `{"error":`}, ""},
			{sandbox.Fault{Status: 500, Body: `{"error":"x","error_description":"cut off"}`, Cut: 20}, ""},
			{sandbox.Fault{Status: 500, Body: `["a",1]`}, ""},
			{sandbox.Fault{Status: 400, Body: "\xff\xfe{", ContentType: "application/octet-stream"}, "\uFFFD{"},
		} {
			e := refused(t, v, tt.fault)
			assert.Equal(t, tt.fault.Status, e.StatusCode)
			assert.Equal(t, tt.message, e.Message)
		}
	}},

	{id: "case 17", says: "a 401 needs no challenge", test: func(t *testing.T, v vendor) {
		const body = `{"error":"invalid_client","error_description":"no"}`
		for _, f := range []sandbox.Fault{
			respond(401, body),
			respond(401, body, "WWW-Authenticate", `Basic realm="x", error="invalid_request", error_description="other"`),
		} {
			e := refused(t, v, f)
			assert.ErrorIs(t, e, tokens.InvalidClient)
			assert.Equal(t, "no", e.Message)
		}
		r := newRig(v, sandboxOptions{})
		call := r.calls(t, r.cache(t))
		require.NoError(t, call(t.Context()))
		r.server.Fault(v.probe, sandbox.Fault{Status: 401, Header: http.Header{"Www-Authenticate": nil}})
		require.NoError(t, call(t.Context()), "a 401 without a challenge also means that the token was rejected")
	}},

	{id: "case 22", says: "a token is good until shortly before its end, without an end for good, and never if it is empty", test: func(t *testing.T, v vendor) {
		bubble(t, func(t *testing.T) {
			r := newRig(v, sandboxOptions{})
			r.responds(grants(1, `"expires_in":3600`), sandbox.Fault{Status: 503, Times: sandbox.Forever})
			cache := r.cache(t)
			_, err := cache.Token(t.Context())
			require.NoError(t, err)
			pass(time.Hour - 10*time.Second - 1)
			_, err = cache.Token(t.Context())
			require.NoError(t, err)
			synctest.Wait()
			pass(10 * time.Second)
			_, err = cache.Token(t.Context())
			require.NoError(t, err, "without another token it is used until it expires")
			pass(1)
			_, err = cache.Token(t.Context())
			require.ErrorIs(t, err, tokens.ErrNoToken)
		})

		r := newRig(v, sandboxOptions{})
		empty := cacheOf(t, r.plain(t), &tokens.CacheOptions{Grant: v.grant, Initial: &tokens.Token{}})
		token, err := empty.Token(t.Context())
		require.NoError(t, err)
		assert.NotEmpty(t, token.AccessToken, "the stored token has no access token")
		_ = empty.Set(t.Context(), &tokens.Token{})
		token, err = empty.Token(t.Context())
		require.NoError(t, err)
		assert.NotEmpty(t, token.AccessToken, "the token passed to Set has no access token")
	}},

	{id: "case 23", says: "a caller's end is the end of its request", test: func(t *testing.T, v vendor) {
		bubble(t, func(t *testing.T) {
			r := newRig(v, sandboxOptions{})
			left := make(chan struct{})
			r.client.Transport = sandbox.Transport(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
				<-req.Context().Done()
				close(left)
			}))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := r.plain(t).Exchange(ctx, v.grant)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
			<-left
		})
	}},

	{id: "case 25", says: "without a refresh token nothing is sent to refresh", on: refreshing, test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		cache := cacheOf(t, r.asks(t, v.offline, v.style, once), &tokens.CacheOptions{Session: "a", Initial: &tokens.Token{RefreshToken: r.offlineToken(t).RefreshToken}})
		_, err := cache.Token(t.Context())
		require.NoError(t, err)
		_ = cache.Revoke(t.Context())
		before := len(r.server.Requests())
		_, err = cache.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrNoToken)
		assert.Len(t, r.server.Requests(), before)
	}},

	{id: "case 26", says: "concurrent refreshes of one token would kill it, so there are none", on: func(v vendor) bool { return v.rotates }, test: func(t *testing.T, v vendor) {
		bubble(t, func(t *testing.T) {
			r := newRig(v, sandboxOptions{life: 10 * time.Minute})
			first := r.offlineToken(t)

			// Two simultaneous requests would do that; the sandbox behaves like real servers here.
			other := r.offlineToken(t)
			again, err := r.plain(t).Exchange(t.Context(), tokens.Grant{RefreshToken: other.RefreshToken})
			require.NoError(t, err)
			_, err = r.plain(t).Exchange(t.Context(), tokens.Grant{RefreshToken: other.RefreshToken})
			require.ErrorIs(t, err, tokens.InvalidGrant)
			require.ErrorIs(t, r.calls(t, tokens.Static(again.AccessToken))(t.Context()), tokens.Status(401), "the winner's token is invalid")

			before := r.server.Count(createAccessToken)
			cache := cacheOf(t, r.plain(t), &tokens.CacheOptions{Session: "a", Initial: first})
			call := r.calls(t, cache)
			r.responds(sandbox.Fault{Delay: time.Second, Times: sandbox.Forever})
			for range 10 {
				var wg sync.WaitGroup
				for range 100 {
					wg.Go(func() { assert.NoError(t, call(t.Context())) })
				}
				wg.Wait()
				pass(15 * time.Minute)
			}
			assert.Equal(t, 9, r.server.Count(createAccessToken)-before)
			assert.Zero(t, cache.Stats().Failures)
			assert.Zero(t, cache.Stats().Invalidations)
		})
	}},

	{id: "case 28", says: "a refresh whose response was lost is not repeated blindly, since a reused token is the end of all of its kind", on: refreshing, test: func(t *testing.T, v vendor) {
		bubble(t, func(t *testing.T) {
			r := newRig(v, sandboxOptions{life: 10 * time.Minute})
			// The access token is valid for another hour when the response is lost.
			cache := cacheOf(t, r.asks(t, v.offline, v.style, tokens.Retry{}), &tokens.CacheOptions{
				Session: "a", Initial: &tokens.Token{
					AccessToken: "at-0", RefreshToken: r.offlineToken(t).RefreshToken, Expiry: time.Now().Add(10 * time.Hour),
				},
			})
			before := r.server.Count(createAccessToken)
			r.responds(sandbox.Fault{Drop: true, After: true})
			for range 600 { // ten hours
				token, err := cache.Token(t.Context())
				require.NoError(t, err)
				require.Equal(t, "at-0", token.AccessToken)
				synctest.Wait()
				if r.server.Count(createAccessToken) > before {
					break
				}
				pass(time.Minute)
			}
			require.Equal(t, 1, r.server.Count(createAccessToken)-before)
			for range 4 { // the old token stays in use
				token, err := cache.Token(t.Context())
				require.NoError(t, err)
				require.Equal(t, "at-0", token.AccessToken)
				pass(time.Minute)
			}
			require.Equal(t, 1, r.server.Count(createAccessToken)-before, "not while the old token is valid")
			pass(3 * time.Hour)
			_, err := cache.Token(t.Context())
			assert.Equal(t, 2, r.server.Count(createAccessToken)-before, "once, when it expires")
			if !v.rotates {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, tokens.InvalidGrant)
			for range 10 {
				pass(time.Hour)
				_, err = cache.Token(t.Context())
				require.ErrorIs(t, err, tokens.InvalidGrant)
			}
			assert.Equal(t, 2, r.server.Count(createAccessToken)-before, "no more after that")
			_ = cache.Set(t.Context(), r.offlineToken(t))
			require.NotErrorIs(t, r.calls(t, cache)(t.Context()), tokens.ErrNoToken)
		})
	}},

	{id: "case 29", says: "a token may die when it is renewed, in the hands of who holds it", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		cache := r.cache(t)
		old, err := cache.Token(t.Context())
		require.NoError(t, err)
		vendorSide := r.client.Transport
		r.client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Header.Get("Authorization") == "Bearer "+old.AccessToken {
				_ = cache.Set(t.Context(), &tokens.Token{AccessToken: "renewed"}) // while the request is in flight
				return reply(req, 401, ""), nil
			}
			assert.Equal(t, "Bearer renewed", req.Header.Get("Authorization"))
			return reply(req, 200, "{}"), nil
		})
		require.NoError(t, r.calls(t, cache)(t.Context()))
		r.client.Transport = vendorSide
		assert.Equal(t, 1, r.server.Count(createAccessToken), "the caller gets the new token without a request")
		assert.Zero(t, cache.Stats().Invalidations)
	}},

	{id: "case 30", says: "what is permanent is not repeated, what passes is, with a bound", test: func(t *testing.T, v vendor) {
		bubble(t, func(t *testing.T) {
			for name, tt := range map[string]struct {
				fault sandbox.Fault
				want  int
			}{
				"invalid_grant": {refusal(400, "invalid_grant"), 1}, "invalid_client": {refusal(401, "invalid_client"), 1},
				"invalid_scope": {refusal(400, "invalid_scope"), 1}, "404": {respond(404, ""), 1}, "500": {respond(500, ""), 1},
				"502": {respond(502, ""), 3}, "503": {respond(503, ""), 3}, "504": {respond(504, ""), 3},
				"429": {respond(429, ""), 7}, "reset": {sandbox.Fault{Drop: true}, 3},
			} {
				r := newRig(v, sandboxOptions{})
				tt.fault.Times = sandbox.Forever
				r.responds(tt.fault)
				_, err := r.asks(t, sandboxCredentials, v.style, tokens.Retry{}).Exchange(t.Context(), v.grant)
				require.Error(t, err)
				if name == "reset" {
					requireOpError(t, "read", err)
				}
				got := r.server.Count(createAccessToken)
				if name == "429" { // as often as the Limiter, whose waits are random, permits in 2 minutes
					got = max(got-1, min(got, tt.want))
				}
				assert.Equal(t, tt.want, got, name)
			}
		})
	}},

	{id: "case 33", says: "a revocation needs a token, and a hint that exists", on: revoking, test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		require.ErrorContains(t, r.plain(t).Revoke(t.Context(), "", tokens.HintNone), "token")
		require.ErrorContains(t, r.plain(t).Revoke(t.Context(), "at", "id_token"), "hint")
		assert.Empty(t, r.server.Requests())
	}},

	{id: "case 38", says: "a patch that fails with 500 is not repeated, and one that fails changes nothing", on: withClients, test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		clients := r.oauthClients(t)
		r.server.Fault("patchOAuthClient", respond(500, `{"error":"error"}`))
		_, err := clients.Patch(t.Context(), sandbox.SampleClientID, jsonpatch.Replace("/enabled", false))
		require.ErrorIs(t, err, tokens.Status(500))
		assert.Equal(t, 1, r.server.Count("patchOAuthClient"))

		before, err := clients.Get(t.Context(), sandbox.SampleClientID)
		require.NoError(t, err)
		_, err = clients.Patch(t.Context(), sandbox.SampleClientID, jsonpatch.Replace("/enabled", false), jsonpatch.Test("/name", "another"))
		require.ErrorIs(t, err, tokens.Status(400))
		after, err := clients.Get(t.Context(), sandbox.SampleClientID)
		require.NoError(t, err)
		assert.Equal(t, before, after)
	}},

	{id: "case 40", says: "the secret is in the response to the creation, and in no other", on: withClients, test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		clients := r.oauthClients(t)
		created, err := clients.Create(t.Context(), newClientRequest(sailpoint.GrantTypeClientCredentials))
		require.NoError(t, err)
		assert.NotEmpty(t, created.Secret.Reveal())
		assert.NotContains(t, fmt.Sprintf("%+v", created), created.Secret.Reveal())
		got, err := clients.Get(t.Context(), created.ID)
		require.NoError(t, err)
		assert.Nil(t, got.Secret)
		got, err = clients.Patch(t.Context(), created.ID, jsonpatch.Replace("/enabled", false))
		require.NoError(t, err)
		assert.Nil(t, got.Secret)
		list, err := clients.List(t.Context())
		require.NoError(t, err)
		for _, c := range list {
			assert.Nil(t, c.Secret)
		}
	}},

	{id: "case 41", says: "an id stays one segment of the path, or is refused", on: withClients, test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		for _, id := range []string{"a:b", "a+b", "a%2Fb", "a?b=c", "a#b", "é", "a;b", "..."} {
			r.server = sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true, OAuthClients: []sailpoint.OAuthClient{{
				ID: id, Name: "n", Created: wire.NewTime(time.Unix(1e9, 0)), Modified: wire.NewTime(time.Unix(1e9, 0)),
			}}})
			r.client.Transport = sandbox.Transport(r.server)
			got, err := r.oauthClients(t).Get(t.Context(), id)
			require.NoError(t, err, id)
			assert.Equal(t, id, got.ID)
			assert.NoError(t, r.oauthClients(t).Delete(t.Context(), id))
		}
		before := len(r.server.Requests())
		for _, id := range []string{"", ".", "..", "a/b", "../a", `a\b`, "a\nb"} {
			_, err := r.oauthClients(t).Get(t.Context(), id)
			require.ErrorContains(t, err, "id")
			require.Error(t, r.oauthClients(t).Delete(t.Context(), id))
		}
		assert.Len(t, r.server.Requests(), before)
	}},
}
