package tests

import (
	"crypto/tls"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// RFC 9700.
var securityRules = []rule{
	{id: "S-01", says: "there is no password grant", test: func(t *testing.T, v vendor) {
		_, err := newRig(v, sandboxOptions{}).plain(t).Exchange(t.Context(), tokens.Grant{Scopes: v.grant.Scopes, Params: url.Values{"grant_type": {"password"}}})
		require.ErrorContains(t, err, "grant_type")
		r := newRig(v, sandboxOptions{})
		everyRequest(t, r)
		for _, sent := range r.server.Requests() {
			assert.Contains(t, []string{"", "client_credentials", "refresh_token"}, formOf(t, sent).Get("grant_type"))
		}
	}, once: func(t *testing.T) {
		assert.NotContains(t, stringsOf(t, "../tokens"), "password")
		assert.Contains(t, stringsOf(t, "../tokens"), "client_credentials", "the search finds nothing")
	}},

	{id: "S-02", says: "there is no implicit grant", once: func(t *testing.T) {
		assert.NotContains(t, stringsOf(t, "../tokens"), "implicit")
		e, err := tokens.NewEndpoint("https://auth.example.com/token", sandboxCredentials, &tokens.EndpointOptions{AuthorizationURL: "https://auth.example.com/authorize"})
		require.NoError(t, err)
		login, err := e.AuthorizationURL(t.Context(), &tokens.Login{RedirectURI: "https://app.example.com/cb"})
		require.NoError(t, err)
		u, err := url.Parse(login)
		require.NoError(t, err)
		assert.Equal(t, []string{"code"}, u.Query()["response_type"])
		_, err = e.AuthorizationURL(t.Context(), &tokens.Login{RedirectURI: "https://app.example.com/cb", Params: url.Values{"response_type": {"token"}}})
		require.ErrorContains(t, err, "response_type")
	}},

	{id: "S-03", says: "tokens can be restricted to what they are for", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{clients: []sandbox.Client{{ID: sandbox.ClientID, Secret: sandbox.ClientSecret, Scopes: []string{"one", "two"}}}})
		token, err := r.plain(t).Exchange(t.Context(), tokens.Grant{Scopes: []string{"one"}})
		require.NoError(t, err)
		assert.Equal(t, []string{"one"}, token.Scopes)
		_, err = r.plain(t).Exchange(t.Context(), tokens.Grant{Scopes: []string{"three"}})
		require.ErrorIs(t, err, tokens.Status(400))
	}},

	{id: "S-04", says: "resource names the resource servers, once for each", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		r.responds(grants(1))
		_, err := r.plain(t).Exchange(t.Context(), tokens.Grant{
			Scopes: []string{"a"}, Params: url.Values{"resource": {"https://one.example.com/", "https://two.example.com/"}},
		})
		require.NoError(t, err)
		assert.True(t, strings.HasSuffix(string(last(r).Body), "&resource=https%3A%2F%2Fone.example.com%2F&resource=https%3A%2F%2Ftwo.example.com%2F"), string(last(r).Body))
	}},

	{id: "S-05", says: "one refresh token is presented once at a time", on: refreshing, test: func(t *testing.T, v vendor) {
		bubble(t, func(t *testing.T) {
			r := newRig(v, sandboxOptions{})
			for n := range 5 {
				slow := grants(n+1, fmt.Sprintf(`"refresh_token":"rt-%d"`, n+1), `"expires_in":60`)
				slow.Delay = time.Second
				r.responds(slow)
			}
			vendorSide := r.client.Transport
			var mu sync.Mutex
			underWay, most := 0, 0
			r.client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
				mu.Lock()
				underWay++
				most = max(most, underWay)
				mu.Unlock()
				defer func() {
					mu.Lock()
					defer mu.Unlock()
					underWay--
				}()
				return vendorSide.RoundTrip(req)
			})
			cache := cacheOf(t, r.plain(t), &tokens.CacheOptions{Session: "a", Initial: &tokens.Token{RefreshToken: "rt-0"}})
			for range 5 {
				var wg sync.WaitGroup
				for range 100 {
					wg.Go(func() {
						_, err := cache.Token(t.Context())
						assert.NoError(t, err)
					})
				}
				wg.Wait()
				pass(time.Minute)
			}
			var presented []string
			for _, sent := range r.server.Requests() {
				presented = append(presented, formOf(t, sent).Get("refresh_token"))
			}
			assert.Equal(t, []string{"rt-0", "rt-1", "rt-2", "rt-3", "rt-4"}, presented)
			assert.Equal(t, 1, most)
		})
	}},

	{id: "S-06", says: "a refresh token goes to the token endpoint, from the client it was given to, and nowhere else", on: refreshing, test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		first := r.offlineToken(t)
		cache := cacheOf(t, r.asks(t, v.offline, v.style, once), &tokens.CacheOptions{Session: "a", Initial: &tokens.Token{RefreshToken: first.RefreshToken}})
		require.NoError(t, r.calls(t, cache)(t.Context()))
		token, err := cache.Token(t.Context())
		require.NoError(t, err)
		seen := 0
		for _, sent := range r.server.Requests() {
			everything := fmt.Sprint(sent.Path, sent.RawQuery, sent.Header, string(sent.Body))
			if sent.Operation == createAccessToken {
				seen += strings.Count(everything, first.RefreshToken)
				continue
			}
			assert.NotContains(t, everything, first.RefreshToken)
			assert.NotContains(t, everything, token.RefreshToken)
		}
		assert.Equal(t, 1, seen)
		assert.Equal(t, 1, r.server.Count(v.probe))
	}},

	{id: "S-09", says: "TLS is 1.2 or later", test: func(t *testing.T, v vendor) {
		for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
			server := v.sandbox(sandboxOptions{})
			tlsServer := serveTLS(t, server, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version})
			e, err := v.endpoint(sandboxCredentials, endpointOptions{baseURL: tlsServer.URL, client: tlsServer.Client(), retry: once})
			require.NoError(t, err)
			_, err = e.Exchange(t.Context(), v.grant)
			assert.Equal(t, ok, err == nil, "%s: %v", tls.VersionName(version), err)
		}
	}},

	{id: "S-10", says: "a token of one vendor is not sent to another, nor to another client of the same", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		cache := r.cache(t)
		base := r.plain(t).BaseURL()
		transport, err := tokens.NewTransport(cache, base, roundTripper(func(req *http.Request) (*http.Response, error) {
			assert.Empty(t, req.Header["Authorization"], req.URL.Host)
			return reply(req, 401, ""), nil
		}))
		require.NoError(t, err)
		for _, other := range vendors {
			if other.name == v.name {
				continue
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, newRig(other, sandboxOptions{}).plain(t).BaseURL()+other.probePath, nil)
			require.NoError(t, err)
			_, err = transport.RoundTrip(req)
			require.NoError(t, err)
		}
		assert.Empty(t, r.server.Requests(), "not even a token was requested")

		clients := []sandbox.Client{{ID: "one", Secret: "secret-one"}, {ID: "two", Secret: "secret-two"}}
		r = newRig(v, sandboxOptions{clients: clients})
		var got []string
		for _, c := range clients {
			token, err := cacheOf(t, r.asks(t, tokens.Credentials{ClientID: c.ID, ClientSecret: c.Secret}, v.style, once), &tokens.CacheOptions{Grant: v.grant}).Token(t.Context())
			require.NoError(t, err)
			got = append(got, token.AccessToken)
		}
		assert.NotEqual(t, got[0], got[1])
	}},

	{id: "S-11", says: "a sender-constrained token is not used as one that is not", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		r.responds(respond(200, `{"access_token":"at-1","token_type":"DPoP"}`))
		require.ErrorIs(t, r.calls(t, r.cache(t))(t.Context()), tokens.ErrNoToken)
		assert.Zero(t, r.server.Count(v.probe))
	}},

	{id: "S-12", says: "no redirect takes credentials along", test: func(t *testing.T, v vendor) {
		operations := []string{createAccessToken}
		if v.revokePath != "" {
			operations = append(operations, revokeAccessToken)
		}
		for _, operation := range operations {
			for _, status := range []int{300, 301, 302, 303, 304, 305, 307, 308} {
				for _, location := range []string{"", "https://other.example.com/token", "http://other.example.com/", v.tokenPath, "//other.example.com/"} {
					r := newRig(v, sandboxOptions{})
					r.server.Fault(operation, respond(status, "", "Location", location))
					endpoint := r.asks(t, sandboxCredentials, v.style, tokens.Retry{})
					var err error
					if operation == createAccessToken {
						_, err = endpoint.Exchange(t.Context(), v.grant)
					} else {
						err = endpoint.Revoke(t.Context(), "at", tokens.HintNone)
					}
					assert.ErrorIs(t, err, tokens.Status(status), location)
					assert.Len(t, r.server.Requests(), 1, "%d to %q is followed", status, location)
				}
			}
		}
	}},
}

// stringsOf returns all string constants in the code of a package.
func stringsOf(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					found = append(found, s)
				}
			}
			return true
		})
		return nil
	})
	require.NoError(t, err)
	slices.Sort(found)
	return slices.Compact(found)
}
