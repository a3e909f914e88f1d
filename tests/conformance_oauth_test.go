package tests

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// hard are credentials with every character that an encoding may get wrong.
var hard = tokens.Credentials{ClientID: "client id:1", ClientSecret: "s=p&q%+é~*/"}

// RFC 6749.
var oauthRules = []rule{
	{id: "O-01", says: "token requests are POST", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		token := everyRequest(t, r)
		assert.NotEmpty(t, token)
		for _, sent := range r.server.Requests() {
			assert.Equal(t, http.MethodPost, sent.Method)
		}
	}},

	{id: "O-02", says: "credentials and tokens are sent over TLS only, loopback aside", test: func(t *testing.T, v vendor) {
		for _, baseURL := range []string{
			"http://api.example.com", "http://10.0.0.1", "http://localhost.example.com", "http://127.0.0.1.example.com",
			"HTTP://api.example.com", "ftp://api.example.com", "//api.example.com",
		} {
			e, err := v.endpoint(sandboxCredentials, endpointOptions{baseURL: baseURL})
			assert.Nil(t, e)
			assert.ErrorContains(t, err, "https", baseURL)
		}
		for _, baseURL := range []string{"https://api.example.com", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost"} {
			_, err := v.endpoint(sandboxCredentials, endpointOptions{baseURL: baseURL})
			assert.NoError(t, err)
		}
		// Nothing is sent if a redirect drops TLS.
		r := newRig(v, sandboxOptions{})
		r.responds(sandbox.Fault{Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {"http://api.example.com" + v.tokenPath}}})
		_, err := r.plain(t).Exchange(t.Context(), v.grant)
		require.ErrorIs(t, err, tokens.Status(http.StatusTemporaryRedirect))
		assert.Len(t, r.server.Requests(), 1)
	}},

	{id: "O-03", says: "the server's certificate is validated", test: func(t *testing.T, v vendor) {
		server := v.sandbox(sandboxOptions{})
		tlsServer := serveTLS(t, server, &tls.Config{})
		_, port, err := net.SplitHostPort(tlsServer.Listener.Addr().String())
		require.NoError(t, err)
		trusting := tlsServer.Client().Transport.(*http.Transport)
		misled := trusting.Clone() // for any host, the connection goes to the test server
		misled.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, tlsServer.Listener.Addr().String())
		}
		for _, tt := range []struct {
			name, host string
			transport  *http.Transport
			want       string
		}{
			{"known CA", "127.0.0.1:" + port, trusting, ""},
			{"unknown CA", "127.0.0.1:" + port, &http.Transport{}, "unknown authority"},
			{"another host's", "api.example.org", misled, "not api.example.org"},
		} {
			defer tt.transport.CloseIdleConnections()
			e, err := v.endpoint(sandboxCredentials, endpointOptions{baseURL: "https://" + tt.host, client: &http.Client{Transport: tt.transport}, retry: once})
			require.NoError(t, err)
			before := len(server.Requests())
			_, err = e.Exchange(t.Context(), v.grant)
			if tt.want == "" {
				require.NoError(t, err, tt.name)
				continue
			}
			require.ErrorContains(t, err, tt.want, tt.name)
			assert.Len(t, server.Requests(), before, "nothing is sent")
		}
	}, once: func(t *testing.T) {
		assert.Empty(t, filesWith(t, "..", "Insecure"+"SkipVerify"))
		assert.NotEmpty(t, filesWith(t, "../tokens", "package tokens"), "the search finds nothing")
	}},

	{id: "O-04", says: "the body is application/x-www-form-urlencoded in UTF-8", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		r.responds(grants(1), grants(2))
		grant := tokens.Grant{Scopes: []string{"a+b", "c&d=e%"}, Params: url.Values{"näme": {"a b%c&d=e+é"}}}
		const fields = "grant_type=client_credentials&scope=a%2Bb+c%26d%3De%25&n%C3%A4me=a+b%25c%26d%3De%2B%C3%A9"
		for style, want := range map[tokens.AuthStyle]string{
			tokens.AuthStyleBasic: fields,
			tokens.AuthStyleBody:  "client_id=client+id%3A1&client_secret=s%3Dp%26q%25%2B%C3%A9~%2A%2F&" + fields,
		} {
			_, err := r.asks(t, hard, style, once).Exchange(t.Context(), grant)
			require.NoError(t, err)
			sent := last(r)
			assert.Equal(t, want, string(sent.Body))
			assert.Equal(t, []string{"application/x-www-form-urlencoded"}, sent.Header["Content-Type"])
		}
	}},

	{id: "O-05", says: "Basic carries id and secret form-encoded first", test: func(t *testing.T, v vendor) {
		for _, tt := range []struct {
			creds tokens.Credentials
			want  string
		}{
			{tokens.Credentials{ClientID: "CLIENT_ID", ClientSecret: "CLIENT_SECRET"}, "Q0xJRU5UX0lEOkNMSUVOVF9TRUNSRVQ="},
			{tokens.Credentials{ClientID: "CLIENT_ID??", ClientSecret: "CLIENT_SECRET??"}, "Q0xJRU5UX0lEJTNGJTNGOkNMSUVOVF9TRUNSRVQlM0YlM0Y="},
			{tokens.Credentials{ClientID: "a:b", ClientSecret: "s="}, "YSUzQWI6cyUzRA=="},
			{tokens.Credentials{ClientID: "p%q", ClientSecret: "a b"}, "cCUyNXE6YSti"},
			{tokens.Credentials{ClientID: "é", ClientSecret: "+/"}, "JUMzJUE5OiUyQiUyRg=="},
		} {
			r := newRig(v, sandboxOptions{clients: []sandbox.Client{{ID: tt.creds.ClientID, Secret: tt.creds.ClientSecret}}})
			_, err := r.asks(t, tt.creds, tokens.AuthStyleBasic, once).Exchange(t.Context(), v.grant)
			require.NoError(t, err, "the server decodes it")
			assert.Equal(t, []string{"Basic " + tt.want}, last(r).Header["Authorization"])
		}
		r := newRig(v, sandboxOptions{})
		r.responds(grants(1))
		_, err := r.asks(t, tokens.Credentials{ClientID: "p%q", ClientSecret: "a b"}, tokens.AuthStyleBasicUnencoded, once).Exchange(t.Context(), v.grant)
		require.NoError(t, err)
		assert.Equal(t, []string{"Basic cCVxOmEgYg=="}, last(r).Header["Authorization"], "only the option turns the encoding off")
	}},

	{id: "O-06", says: "credentials are in the body only where the vendor or the caller wants it, and never in the URL", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		everyRequest(t, r)
		for _, sent := range r.server.Requests() {
			assert.Empty(t, sent.RawQuery)
			assert.Contains(t, []string{v.tokenPath, v.revokePath}, sent.Path)
			assert.Equal(t, v.style == tokens.AuthStyleBody, formOf(t, sent).Has("client_secret"))
			assert.Equal(t, v.style == tokens.AuthStyleBasic, sent.Header.Get("Authorization") != "")
		}
	}},

	{id: "O-07", says: "one request authenticates in one way", test: func(t *testing.T, v vendor) {
		for _, style := range []tokens.AuthStyle{tokens.AuthStyleBasic, tokens.AuthStyleBasicUnencoded, tokens.AuthStyleBody} {
			r := newRig(v, sandboxOptions{})
			_, err := r.asks(t, sandboxCredentials, style, once).Exchange(t.Context(), v.grant)
			require.NoError(t, err, "the sandbox refuses two methods at once")
			form := formOf(t, last(r))
			assert.Equal(t, style == tokens.AuthStyleBody, form.Has("client_id"))
			assert.Equal(t, style == tokens.AuthStyleBody, form.Has("client_secret"))
			assert.Equal(t, style != tokens.AuthStyleBody, last(r).Header["Authorization"] != nil)
		}
	}},

	{id: "O-08", says: "no parameter appears twice", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		everyRequest(t, r)
		for _, sent := range r.server.Requests() {
			formOf(t, sent)
		}
		before := len(r.server.Requests())
		for _, name := range []string{
			"grant_type", "scope", "refresh_token", "client_id", "client_secret", "thousandeyes_bearer_token", "token", "token_type_hint",
		} {
			_, err := r.plain(t).Exchange(t.Context(), tokens.Grant{Scopes: v.grant.Scopes, Params: url.Values{name: {"x"}}})
			assert.ErrorContains(t, err, name+" is set by the SDK")
		}
		_, err := r.plain(t).Exchange(t.Context(), tokens.Grant{Scopes: v.grant.Scopes, Params: url.Values{"note": {"a", "b"}}})
		require.ErrorContains(t, err, "note")
		assert.Len(t, r.server.Requests(), before, "nothing is sent")

		twice := exchanged(t, v, respond(200, `{"access_token":"first","token_type":"mac","access_token":"second","token_type":"Bearer"}`))
		assert.Equal(t, "second", twice.AccessToken, "if a member is repeated, the last one counts")
		assert.Equal(t, "Bearer", twice.TokenType)
	}},

	{id: "O-09", says: "a parameter without a value is not sent", test: func(t *testing.T, v vendor) {
		for _, style := range []tokens.AuthStyle{tokens.AuthStyleBasic, tokens.AuthStyleBody} {
			r := newRig(v, sandboxOptions{})
			grant := v.grant
			grant.Params = url.Values{"resource": {""}, "audience": nil, "note": {}}
			_, err := r.asks(t, sandboxCredentials, style, once).Exchange(t.Context(), grant)
			require.NoError(t, err, "the sandbox refuses empty fields")
			want := "grant_type=client_credentials"
			if style == tokens.AuthStyleBody {
				want = "client_id=sandbox-client&client_secret=sandbox-secret-6f1c90b2&" + want
			}
			if v.grant.Scopes != nil {
				want += "&scope=%2Faccounts.read"
			}
			assert.Equal(t, want, string(last(r).Body))
		}
	}},

	{id: "O-10", says: "unknown members of a response are ignored", test: func(t *testing.T, v vendor) {
		got := exchanged(t, v, grants(1, `"id_token":7,"x":{"access_token":"inner","y":[null,{"z":1e400}]}`, `"huge":"`+strings.Repeat("h", 512<<10)+`"`))
		assert.Equal(t, "at-1", got.AccessToken)
	}},

	{id: "O-11", says: "tokens may have any size", test: func(t *testing.T, v vendor) {
		long := strings.Repeat("t", 64<<10)
		got := exchanged(t, v, respond(200, `{"access_token":"`+long+`","token_type":"Bearer","refresh_token":"`+long+`"}`))
		assert.Equal(t, long, got.AccessToken)
		assert.Equal(t, long, got.RefreshToken)

		var seen string
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			seen = r.Header.Get("Authorization")
			return reply(r, 200, "{}"), nil
		})
		require.NoError(t, get(t, base, tokens.Static(got.AccessToken)))
		assert.Equal(t, "Bearer "+long, seen)
	}},

	{id: "O-12", says: "token_type is compared without case, and a type that is not understood is not used", test: func(t *testing.T, v vendor) {
		for body, want := range map[string]string{
			`"token_type":"bearer"`: "Bearer", `"token_type":"BEARER"`: "Bearer", `"token_type":"beAREr"`: "Bearer",
			`"token_type":""`: "Bearer", `"x":1`: "Bearer", `"token_type":null`: "Bearer",
			`"token_type":"mac"`: "", `"token_type":"Basic"`: "", `"token_type":"N_A"`: "",
		} {
			r := newRig(v, sandboxOptions{})
			r.responds(respond(200, `{"access_token":"at-1",`+body+`}`))
			cache := r.cache(t)
			reached := 0
			err := get(t, roundTripper(func(r *http.Request) (*http.Response, error) {
				reached++
				assert.Equal(t, []string{"Bearer at-1"}, r.Header["Authorization"])
				return reply(r, 200, "{}"), nil
			}), cache)
			if want == "" {
				assert.ErrorIs(t, err, tokens.ErrNoToken, body)
				assert.Zero(t, reached, "nothing is sent")
				continue
			}
			assert.NoError(t, err, body)
			got, err := cache.Token(t.Context())
			require.NoError(t, err)
			assert.Equal(t, want, got.TokenType)
		}
	}},

	{id: "O-13", says: "a life counts from no later than the response was made, and is documented where it is missing", test: func(t *testing.T, v vendor) {
		bubble(t, func(t *testing.T) {
			start := time.Now()
			slow := grants(1, `"expires_in":3600`)
			slow.Delay = 20 * time.Second
			got := exchanged(t, v, slow)
			require.Equal(t, 20*time.Second, time.Since(start))
			assert.False(t, got.Expiry.After(start.Add(time.Hour)), "counted from the end of a slow response")

			r := newRig(v, sandboxOptions{})
			r.responds(grants(1), grants(2))
			cache := r.cache(t)
			got, err := cache.Token(t.Context())
			require.NoError(t, err)
			assert.True(t, got.Expiry.IsZero())
			pass(1000 * time.Hour)
			again, err := cache.Token(t.Context())
			require.NoError(t, err)
			assert.Equal(t, got, again, "it is kept until a 401")
			cache.Invalidate(again)
			got, err = cache.Token(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "at-2", got.AccessToken)
		})
	}},

	{id: "O-14", says: "the granted scopes are those of the response, or those asked for", test: func(t *testing.T, v vendor) {
		for member, want := range map[string][]string{
			`"scope":"a b"`: {"a", "b"}, `"scope":"a"`: {"a"}, `"scope":""`: {"asked", "for"}, `"x":1`: {"asked", "for"}, `"scope":null`: {"asked", "for"},
		} {
			r := newRig(v, sandboxOptions{})
			r.responds(grants(1, member))
			got, err := r.plain(t).Exchange(t.Context(), tokens.Grant{Scopes: []string{"asked", "for"}})
			require.NoError(t, err)
			assert.Equal(t, want, got.Scopes, member)
		}
	}},

	{id: "O-15", says: "scopes are space-delimited and case-sensitive, of visible ASCII without quote and backslash", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		r.responds(grants(1))
		visible := ""
		for c := '!'; c <= '~'; c++ {
			if c != '"' && c != '\\' {
				visible += string(c)
			}
		}
		_, err := r.plain(t).Exchange(t.Context(), tokens.Grant{Scopes: []string{"b", "B", "a", visible}})
		require.NoError(t, err)
		assert.Equal(t, "b B a "+visible, formOf(t, last(r)).Get("scope"), "unchanged, in order")
		for _, scope := range []string{"", " ", "a b", `a"b`, `a\b`, "a\x00", "a\nb", "a\x7f", "é"} {
			_, err := r.plain(t).Exchange(t.Context(), tokens.Grant{Scopes: []string{"good", scope}})
			assert.ErrorContains(t, err, "Grant.Scopes", "%q", scope)
		}
		assert.Len(t, r.server.Requests(), 1, "nothing is sent")
	}},

	{id: "O-16", says: "error responses are read by their code, whatever the status", test: func(t *testing.T, v vendor) {
		body := `{"error":"%s","error_description":"what went wrong","error_uri":"https://example.com/help"}`
		for _, status := range []int{200, 400, 401, 403, 422, 500} {
			for _, code := range []tokens.Code{
				tokens.InvalidRequest, tokens.InvalidClient, tokens.InvalidGrant, tokens.UnauthorizedClient,
				tokens.UnsupportedGrantType, tokens.InvalidScope, "slow_down",
			} {
				e := refused(t, v, respond(status, fmt.Sprintf(body, code)))
				assert.ErrorIs(t, e, code)
				assert.ErrorIs(t, e, tokens.Status(status))
				assert.Equal(t, "what went wrong", e.Message)
				assert.JSONEq(t, fmt.Sprintf(body, code), string(e.Body))
			}
		}
	}},

	{id: "O-17", says: "an error's text shows no character that RFC 6749 forbids there", test: func(t *testing.T, v vendor) {
		e := refused(t, v, respond(400, `{"error":"invalid\u001b[31m_request\u0000","error_description":"one\r\ntwo\tthree\u007f\u202e\u2028four"}`))
		for _, r := range e.Error() {
			assert.True(t, r >= ' ' && r < 0x7f, "%q in %q", r, e.Error())
		}
		assert.Contains(t, e.Error(), "one two three four")
		assert.Less(t, len(refused(t, v, respond(400, `{"error":"x","error_description":"`+strings.Repeat("long ", 10_000)+`"}`)).Error()), 500)
	}},

	{id: "O-18", says: "a new refresh token replaces the old", on: refreshing, test: func(t *testing.T, v vendor) {
		bubble(t, func(t *testing.T) {
			r := newRig(v, sandboxOptions{})
			r.responds(grants(1, `"refresh_token":"rt-1"`, `"expires_in":60`), grants(2, `"expires_in":60`), grants(3, `"refresh_token":"rt-3"`, `"expires_in":60`), grants(4))
			var stored []string
			failing := errors.New("the disk is full")
			cache := cacheOf(t, r.plain(t), &tokens.CacheOptions{
				Session: "a", Initial: &tokens.Token{RefreshToken: "rt-0"},
				OnToken: func(_ context.Context, token *tokens.Token) error {
					stored = append(stored, token.RefreshToken)
					if len(stored) == 1 {
						return failing
					}
					return nil
				},
			})
			for range 4 {
				_, err := cache.Token(t.Context())
				require.NoError(t, err)
				synctest.Wait()
				pass(time.Second)
				_, err = cache.Token(t.Context()) // the unsaved token is saved when the next attempt is due
				require.NoError(t, err)
				pass(time.Minute)
			}
			var presented []string
			for _, sent := range r.server.Requests() {
				presented = append(presented, formOf(t, sent).Get("refresh_token"))
			}
			assert.Equal(t, []string{"rt-0", "rt-1", "rt-1", "rt-3"}, presented)
			assert.Equal(t, []string{"rt-1", "rt-1", "rt-1", "rt-3", "rt-3"}, stored)
		})
	}},

	{id: "O-20", says: "the client authenticates when it refreshes", on: refreshing, test: func(t *testing.T, v vendor) {
		for _, style := range []tokens.AuthStyle{tokens.AuthStyleBasic, tokens.AuthStyleBody} {
			r := newRig(v, sandboxOptions{})
			first := r.offlineToken(t)
			_, err := r.asks(t, v.offline, style, once).Exchange(t.Context(), tokens.Grant{RefreshToken: first.RefreshToken})
			require.NoError(t, err)
			form := formOf(t, last(r))
			assert.Equal(t, "refresh_token", form.Get("grant_type"))
			if style == tokens.AuthStyleBody {
				assert.Equal(t, v.offline.ClientSecret, form.Get("client_secret"))
				continue
			}
			id, secret, _ := (&http.Request{Header: last(r).Header}).BasicAuth()
			assert.Equal(t, v.offline.ClientID+" "+v.offline.ClientSecret, id+" "+secret)
		}
	}},

	{id: "O-21", says: "client_credentials needs no refresh token, and uses none that comes along", test: func(t *testing.T, v vendor) {
		bubble(t, func(t *testing.T) {
			r := newRig(v, sandboxOptions{})
			r.responds(grants(1, `"expires_in":60`), grants(2, `"expires_in":60`, `"refresh_token":"rt-2"`), grants(3))
			cache := r.cache(t)
			for range 3 {
				_, err := cache.Token(t.Context())
				require.NoError(t, err)
				pass(time.Minute)
			}
			require.Len(t, r.server.Requests(), 3)
			for _, sent := range r.server.Requests() {
				form := formOf(t, sent)
				assert.Equal(t, "client_credentials", form.Get("grant_type"))
				assert.False(t, form.Has("refresh_token"))
			}
		})
	}},

	{id: "O-22", says: "access tokens and credentials are shown to nobody but who needs them", test: func(t *testing.T, v vendor) {
		shown := everythingPrinted(t, v)
		assertHidden(t, shown, "canary-access")
		assertHidden(t, shown, "canary-secret")
	}},

	{id: "O-23", says: "no more scopes are asked for than the caller names", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		if v.grant.Scopes == nil {
			_, err := r.plain(t).Exchange(t.Context(), tokens.Grant{})
			require.NoError(t, err)
			assert.False(t, formOf(t, last(r)).Has("scope"))
		} else {
			_, err := r.plain(t).Exchange(t.Context(), tokens.Grant{})
			require.Error(t, err, "the SDK does not invent scopes")
			for _, sent := range r.server.Requests() {
				assert.False(t, formOf(t, sent).Has("scope"))
			}
		}
		_, err := r.plain(t).Exchange(t.Context(), tokens.Grant{Scopes: []string{"one"}})
		require.NoError(t, err)
		assert.Equal(t, "one", formOf(t, last(r)).Get("scope"))
	}},

	{id: "O-24", says: "refresh tokens are shown to nobody but who needs them", test: func(t *testing.T, v vendor) {
		shown := everythingPrinted(t, v)
		assertHidden(t, shown, "canary-refresh")
		assertHidden(t, shown, "canary-presented")
	}},

	{id: "O-25", says: "no HTTP cache keeps a token", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		header := http.Header{"Cache-Control": {"public, max-age=3600"}, "Content-Location": {v.tokenPath}, "Etag": {`"1"`}}
		r.responds(sandbox.Fault{Header: header}, sandbox.Fault{Header: header})
		first, err := r.plain(t).Exchange(t.Context(), v.grant)
		require.NoError(t, err)
		second, err := r.plain(t).Exchange(t.Context(), v.grant)
		require.NoError(t, err)
		assert.NotEqual(t, first.AccessToken, second.AccessToken)
		assert.Equal(t, 2, r.server.Count(createAccessToken))
		assert.Equal(t, http.MethodPost, last(r).Method, "HTTP caches do not store responses to it")
	}},
}

// everyRequest sends every kind of request of the vendor's endpoint, and returns a token.
func everyRequest(t *testing.T, r *rig) *tokens.Token {
	t.Helper()
	token, err := r.plain(t).Exchange(t.Context(), r.grant)
	require.NoError(t, err)
	if r.refreshes {
		_, err := r.asks(t, r.offline, tokens.AuthStyleDefault, once).Exchange(t.Context(), tokens.Grant{RefreshToken: r.offlineToken(t).RefreshToken})
		require.NoError(t, err)
	}
	if r.revokePath != "" {
		require.NoError(t, r.plain(t).Revoke(t.Context(), token.AccessToken, tokens.HintAccessToken))
	}
	return token
}

// last returns the last request that the vendor received.
func last(r *rig) sandbox.Request {
	requests := r.server.Requests()
	return requests[len(requests)-1]
}

const apiURL = "https://api.example.com"

// anywhere is a Source without a BaseURL, so a test may send its tokens to any API.
type anywhere struct{ tokens.Source }

func (a anywhere) Invalidate(rejected *tokens.Token) {
	if i, ok := a.Source.(tokens.Invalidator); ok {
		i.Invalidate(rejected)
	}
}

// get sends a GET with a token of src to the API behind base.
func get(t *testing.T, base http.RoundTripper, src tokens.Source) error {
	t.Helper()
	doer, err := tokens.NewDoer(anywhere{src}, &tokens.DoerOptions{BaseURL: apiURL, HTTPClient: &http.Client{Transport: base}, Retry: once})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiURL+"/things", nil)
	require.NoError(t, err)
	resp, err := doer.Do(req)
	if err != nil {
		return err
	}
	_, err = io.ReadAll(resp.Body)
	require.NoError(t, errors.Join(err, resp.Body.Close()))
	return nil
}

// serveTLS serves h over TLS on loopback.
func serveTLS(t *testing.T, h http.Handler, config *tls.Config) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are expected
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// filesWith lists the Go files of a tree that contain a word.
func filesWith(t *testing.T, root, word string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(word)) {
			found = append(found, path)
		}
		return err
	})
	require.NoError(t, err)
	return found
}

func assertHidden(t *testing.T, shown []string, secret string) {
	t.Helper()
	for _, line := range shown {
		assert.NotContains(t, line, secret)
	}
}

// everythingPrinted puts credentials, a grant and its token into every value that holds them and into errors that quote
// them, and returns everything that these print and log. Tokens nested in JSON logs are the documented exception.
func everythingPrinted(t *testing.T, v vendor) []string {
	t.Helper()
	var out lockedBuffer
	inText := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	inJSON := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	show := func(values ...any) {
		for _, value := range values {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
				fmt.Fprintf(&out, "%T "+verb+"\n", value, value)
			}
			inText.Info("shown", "value", value)
			inJSON.Info("shown", "value", value)
		}
	}

	r := newRig(v, sandboxOptions{})
	grant := v.grant
	quote := func(secrets string) sandbox.Fault {
		return respond(401, `{"error":"invalid_request","error_description":"`+secrets+`"}`)
	}
	quotes := []sandbox.Fault{quote("canary-secret"), quote("canary-secret")}
	opts := &tokens.CacheOptions{Grant: grant, Logger: inText}
	if v.refreshes {
		opts = &tokens.CacheOptions{Session: "canary", Initial: &tokens.Token{RefreshToken: "canary-presented"}, Logger: inText}
		grant.RefreshToken = "canary-presented"
		quotes = []sandbox.Fault{quote("canary-secret canary-refresh"), quote("canary-secret canary-presented")}
	}
	r.responds(respond(200, `{"access_token":"canary-access","token_type":"Bearer","refresh_token":"canary-refresh"}`))
	r.responds(quotes...)
	r.responds(respond(200, "canary-access"), respond(200, `{"token_type":"canary-access"}`))
	creds := tokens.Credentials{ClientID: "canary-id", ClientSecret: "canary-secret"}
	endpoint := r.asks(t, creds, tokens.AuthStyleDefault, once)
	cache := cacheOf(t, endpoint, opts)
	token, err := cache.Token(t.Context())
	require.NoError(t, err)
	show(creds, &creds, grant, &grant, endpoint, cache, token, *token)
	fmt.Fprintf(&out, "%v %+v %#v\n", []*tokens.Token{token}, []any{*token, creds, grant}, map[string]tokens.Token{"token": *token})

	quoting := roundTripper(func(r *http.Request) (*http.Response, error) {
		return reply(r, 401, `{"error":"`+r.Header.Get("Authorization")+`"}`), nil
	})
	static := tokens.Static("canary-access")
	for _, src := range []tokens.Source{cache, static} {
		transport, err := tokens.NewTransport(src, apiURL, quoting)
		require.NoError(t, err)
		doer, err := tokens.NewDoer(anywhere{src}, &tokens.DoerOptions{BaseURL: apiURL, HTTPClient: &http.Client{Transport: quoting}, Logger: inJSON})
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiURL+"?access_token=canary-access", nil)
		require.NoError(t, err)
		_, err = doer.Do(req)
		show(src, transport, doer, err)
		for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(cause) {
			show(cause)
		}
	}
	for range 3 {
		_, err := endpoint.Exchange(t.Context(), grant)
		require.Error(t, err)
		show(err)
	}
	require.NoError(t, cache.Close(t.Context()), "the Cache may still log")
	return strings.Split(out.String(), "\n")
}

// A lockedBuffer is for the log of a Cache's background work.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}
