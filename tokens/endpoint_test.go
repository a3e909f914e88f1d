package tokens

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wire returns an HTTP/1.1 request for the tables below, with Content-Length filled in.
func wire(lines ...string) string {
	text := strings.Join(lines, "\n")
	_, body, _ := strings.Cut(text, "\n\n")
	return strings.Replace(text, "Content-Length: N\n", "Content-Length: "+strconv.Itoa(len(body))+"\n", 1)
}

const moovBasic = "Authorization: Basic Y2xpZW50LWlkOmNsaWVudC1zZWNyZXQ="

// Every request is compared byte for byte: method, path, headers, body.
func TestEndpointRequests(t *testing.T) {
	oddScopes := []string{"b:read", "a%+&=~*/"}
	tests := []struct {
		name string
		make func(*http.Client) (*Endpoint, error)
		call func(*testing.T, *Endpoint) error
		want string
	}{
		{
			"ThousandEyes, nothing set",
			func(c *http.Client) (*Endpoint, error) {
				return NewThousandEyes(testCredentials, &ThousandEyesOptions{HTTPClient: c})
			},
			exchanging(Grant{}),
			wire(
				"POST /v7/oauth2/token HTTP/1.1",
				"Host: api.thousandeyes.com",
				"User-Agent: oauth-go/devel",
				"Content-Length: N",
				"Accept: application/json, application/problem+json",
				"Content-Type: application/x-www-form-urlencoded",
				"",
				"client_id=client-id&client_secret=client-secret&grant_type=client_credentials",
			),
		},
		{
			"ThousandEyes, all that can be set",
			func(c *http.Client) (*Endpoint, error) {
				return NewThousandEyes(testCredentials, &ThousandEyesOptions{
					HTTPClient: c, TenantID: "tenant 1", AuthStyle: AuthStyleBasic,
					BaseURL: "https://gateway.example.com/te/",
					Header:  http.Header{"x-gateway": {"a", "b"}},
				})
			},
			exchanging(Grant{
				Scopes:    oddScopes,
				UserToken: "user token+%&=é",
				Params:    url.Values{"resource": {"https://a.example.com/", "https://b.example.com/?x=1&y"}, "audience": {"ä", "", "b"}, "empty": {""}},
			}),
			wire(
				"POST /te/v7/oauth2/token HTTP/1.1",
				"Host: gateway.example.com",
				"User-Agent: oauth-go/devel",
				"Content-Length: N",
				"Accept: application/json, application/problem+json",
				moovBasic,
				"Content-Type: application/x-www-form-urlencoded",
				"X-Gateway: a",
				"X-Gateway: b",
				"X-Tenant-Id: tenant 1",
				"",
				"grant_type=client_credentials&scope=b%3Aread+a%25%2B%26%3D~%2A%2F"+
					"&thousandeyes_bearer_token=user+token%2B%25%26%3D%C3%A9"+
					"&audience=%C3%A4&audience=b&resource=https%3A%2F%2Fa.example.com%2F&resource=https%3A%2F%2Fb.example.com%2F%3Fx%3D1%26y",
			),
		},
		{
			"Moov, scopes alone",
			func(c *http.Client) (*Endpoint, error) { return NewMoov(testCredentials, &MoovOptions{HTTPClient: c}) },
			exchanging(Grant{Scopes: []string{"/accounts.read", "/accounts.write"}}),
			wire(
				"POST /oauth2/token HTTP/1.1",
				"Host: api.moov.io",
				"User-Agent: oauth-go/devel",
				"Content-Length: N",
				"Accept: application/json, application/problem+json",
				moovBasic,
				"Content-Type: application/x-www-form-urlencoded",
				"",
				"grant_type=client_credentials&scope=%2Faccounts.read+%2Faccounts.write",
			),
		},
		{
			"Moov, all that can be set",
			func(c *http.Client) (*Endpoint, error) {
				return NewMoov(testCredentials, &MoovOptions{
					HTTPClient: c, Origin: "https://www.example.com", APIVersion: "v2026.07.00", AuthStyle: AuthStyleBody,
					Header: http.Header{"Referer": {"https://www.example.com/pay"}},
				})
			},
			exchanging(Grant{Scopes: []string{"/ping.read"}, Params: url.Values{"custom": {"a b"}}}),
			wire(
				"POST /oauth2/token HTTP/1.1",
				"Host: api.moov.io",
				"User-Agent: oauth-go/devel",
				"Content-Length: N",
				"Accept: application/json, application/problem+json",
				"Content-Type: application/x-www-form-urlencoded",
				"Origin: https://www.example.com",
				"Referer: https://www.example.com/pay",
				"X-Moov-Version: v2026.07.00",
				"",
				"client_id=client-id&client_secret=client-secret&grant_type=client_credentials&scope=%2Fping.read&custom=a+b",
			),
		},
		{
			"Moov, refresh",
			func(c *http.Client) (*Endpoint, error) { return NewMoov(testCredentials, &MoovOptions{HTTPClient: c}) },
			exchanging(Grant{RefreshToken: "a+b/c=="}),
			wire(
				"POST /oauth2/token HTTP/1.1",
				"Host: api.moov.io",
				"User-Agent: oauth-go/devel",
				"Content-Length: N",
				"Accept: application/json, application/problem+json",
				moovBasic,
				"Content-Type: application/x-www-form-urlencoded",
				"",
				"grant_type=refresh_token&refresh_token=a%2Bb%2Fc%3D%3D",
			),
		},
		{
			"Moov, revoke",
			func(c *http.Client) (*Endpoint, error) { return NewMoov(testCredentials, &MoovOptions{HTTPClient: c}) },
			revoking("a+b/c==", HintNone),
			wire(
				"POST /oauth2/revoke HTTP/1.1",
				"Host: api.moov.io",
				"User-Agent: oauth-go/devel",
				"Content-Length: N",
				"Accept: */*",
				moovBasic,
				"Content-Type: application/x-www-form-urlencoded",
				"",
				"token=a%2Bb%2Fc%3D%3D",
			),
		},
		{
			"Moov, revoke with all that can be set",
			func(c *http.Client) (*Endpoint, error) {
				return NewMoov(testCredentials, &MoovOptions{
					HTTPClient: c, Origin: "https://www.example.com", APIVersion: "v2026.07.00", AuthStyle: AuthStyleBody,
				})
			},
			revoking("the token", HintRefreshToken),
			wire(
				"POST /oauth2/revoke HTTP/1.1",
				"Host: api.moov.io",
				"User-Agent: oauth-go/devel",
				"Content-Length: N",
				"Accept: */*",
				"Content-Type: application/x-www-form-urlencoded",
				"Origin: https://www.example.com",
				"X-Moov-Version: v2026.07.00",
				"",
				"client_id=client-id&client_secret=client-secret&token=the+token&token_type_hint=refresh_token",
			),
		},
		{
			"SailPoint, nothing set",
			func(c *http.Client) (*Endpoint, error) {
				return NewSailPoint("acme", testCredentials, &SailPointOptions{HTTPClient: c})
			},
			exchanging(Grant{}),
			wire(
				"POST /oauth/token HTTP/1.1",
				"Host: acme.api.identitynow.com",
				"User-Agent: oauth-go/devel",
				"Content-Length: N",
				"Accept: application/json, application/problem+json",
				"Content-Type: application/x-www-form-urlencoded",
				"",
				"client_id=client-id&client_secret=client-secret&grant_type=client_credentials",
			),
		},
		{
			"SailPoint, refresh with a narrower scope and Basic",
			func(c *http.Client) (*Endpoint, error) {
				return NewSailPoint("acme", testCredentials, &SailPointOptions{
					HTTPClient: c, AuthStyle: AuthStyleBasicUnencoded, Header: http.Header{"X-SailPoint-Experimental": {"true"}},
				})
			},
			exchanging(Grant{RefreshToken: "rt", Scopes: []string{"sp:scopes:all"}}),
			wire(
				"POST /oauth/token HTTP/1.1",
				"Host: acme.api.identitynow.com",
				"User-Agent: oauth-go/devel",
				"Content-Length: N",
				"Accept: application/json, application/problem+json",
				moovBasic,
				"Content-Type: application/x-www-form-urlencoded",
				"X-Sailpoint-Experimental: true",
				"",
				"grant_type=refresh_token&refresh_token=rt&scope=sp%3Ascopes%3Aall",
			),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(reply(200, jsonType, tokenReply))
			e, err := tt.make(s.client())
			require.NoError(t, err)
			require.NoError(t, tt.call(t, e))
			assert.Equal(t, tt.want, s.only(t).Wire)
			assert.Zero(t, s.leaks())

			require.NoError(t, tt.call(t, e), "an endpoint can be used again")
			assert.Equal(t, tt.want, s.requests()[1].Wire)
		})
	}
}

func exchanging(g Grant) func(*testing.T, *Endpoint) error {
	return func(t *testing.T, e *Endpoint) error {
		_, err := e.Exchange(t.Context(), g)
		return err
	}
}

func revoking(token string, hint Hint) func(*testing.T, *Endpoint) error {
	return func(t *testing.T, e *Endpoint) error { return e.Revoke(t.Context(), token, hint) }
}

// The caller's arguments are neither retained nor modified.
func TestEndpointCopiesItsInput(t *testing.T) {
	for _, v := range vendorCases {
		t.Run(v.name, func(t *testing.T) {
			s := newScript(reply(200, jsonType, tokenReply))
			header := http.Header{"x-one": {"1"}}
			client := s.client()
			e, err := v.make(testCredentials, options{client: client, header: header})
			require.NoError(t, err)
			header["x-one"][0], header["x-two"] = "changed", []string{"2"}
			client.Transport = nil

			params := url.Values{"resource": {"", "a"}, "empty": {""}}
			scopes := []string{"/ping.read"}
			token, err := e.Exchange(t.Context(), Grant{Scopes: scopes, Params: params})
			require.NoError(t, err)
			assert.Equal(t, []string{"1"}, s.only(t).Header["X-One"])
			assert.NotContains(t, s.only(t).Header, "X-Two")
			assert.Equal(t, url.Values{"resource": {"", "a"}, "empty": {""}}, params)

			scopes[0] = "changed"
			assert.Equal(t, []string{"/ping.read"}, token.Scopes)
		})
	}

	header := http.Header{}
	_, err := NewMoov(testCredentials, &MoovOptions{Header: header, Origin: "https://www.example.com"})
	require.NoError(t, err)
	assert.Empty(t, header)

	s, creds := newScript(reply(200, jsonType, tokenReply)), testCredentials
	e, err := NewSailPoint("acme", &creds, &SailPointOptions{HTTPClient: s.client()})
	require.NoError(t, err)
	creds.ClientID = "changed"
	_, err = e.Exchange(t.Context(), Grant{})
	require.NoError(t, err)
	assert.Contains(t, s.only(t).Body, "client_id=client-id")

	s, grant := newScript(reply(200, jsonType, tokenReply)), Grant{Code: &AuthorizationCode{Code: "the-code"}}
	e, err = NewSailPoint("acme", CredentialsFunc(func(context.Context) (Credentials, error) {
		grant.Code.Code = "changed" // while the exchange runs
		return testCredentials, nil
	}), &SailPointOptions{HTTPClient: s.client()})
	require.NoError(t, err)
	_, err = e.Exchange(t.Context(), grant)
	require.NoError(t, err)
	assert.Contains(t, s.only(t).Body, "code=the-code")
}

func TestEndpointResendsTheWholeForm(t *testing.T) {
	s := newScript(withoutResponse(io.ErrUnexpectedEOF), reply(200, jsonType, tokenReply))
	e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: s.client(), Retry: Retry{Initial: 1}})
	require.NoError(t, err)
	_, err = e.Exchange(t.Context(), Grant{Scopes: []string{"a"}, Params: url.Values{"x": {"y"}}})
	require.NoError(t, err)
	require.Len(t, s.requests(), 2)
	assert.Equal(t, "grant_type=client_credentials&scope=a&x=y", s.requests()[0].Body)
	assert.Equal(t, s.requests()[0].Wire, s.requests()[1].Wire)
}

func TestEndpointRefusesOptions(t *testing.T) {
	tests := []struct {
		name string
		opts options
		want string
	}{
		{"http to another host", options{baseURL: "http://api.example.com"}, "BaseURL: the base URL http://api.example.com is neither https nor loopback; a token would be sent in the clear"},
		{"no host", options{baseURL: "https:///x"}, "BaseURL: the base URL has no host; write https://host"},
		{"a port alone", options{baseURL: "https://:8443"}, "BaseURL: the base URL has no host; write https://host"},
		{"a host alone", options{baseURL: "api.example.com"}, "BaseURL: the base URL has no host; write https://host"},
		{"opaque", options{baseURL: "mailto:a@example.com"}, "BaseURL: the base URL has no host; write https://host"},
		{"no URL", options{baseURL: "https://a b:s3cret@x"}, "BaseURL: the base URL is not a URL"},
		{"a user", options{baseURL: "https://user:s3cret@api.example.com"}, "BaseURL: the base URL https://api.example.com has a user, a query or a fragment; leave it off"},
		{"a query", options{baseURL: "https://api.example.com?key=s3cret"}, "BaseURL: the base URL https://api.example.com has a user, a query or a fragment; leave it off"},
		{"an empty query", options{baseURL: "https://api.example.com?"}, "BaseURL: the base URL https://api.example.com has a user, a query or a fragment; leave it off"},
		{"a fragment", options{baseURL: "https://api.example.com#"}, "BaseURL: the base URL https://api.example.com has a user, a query or a fragment; leave it off"},
		{"a header of ours", options{header: http.Header{"authorization": {"Basic x"}}}, "Header: authorization is set by the SDK"},
		{"another header of ours", options{header: http.Header{"Content-Type": {"text/plain"}}}, "Header: Content-Type is set by the SDK"},
		{"Accept", options{header: http.Header{"Accept": {"text/plain"}}}, "Header: Accept is set by the SDK"},
		{"Content-Length", options{header: http.Header{"Content-length": {"1"}}}, "Header: Content-length is set by the SDK"},
		{"Host", options{header: http.Header{"host": {"x"}}}, "Header: host is set by the SDK"},
		{"Transfer-Encoding", options{header: http.Header{"Transfer-Encoding": {"chunked"}}}, "Header: Transfer-Encoding is set by the SDK"},
		{"Accept-Encoding", options{header: http.Header{"Accept-Encoding": {"gzip"}}}, "Header: Accept-Encoding is set by the SDK"},
		{"a name that cannot be sent", options{header: http.Header{"X Key": {"s3cret"}}}, `Header: "X Key" is not the name of a header`},
		{"a name with a newline", options{header: http.Header{"X-Key\n": {"s3cret"}}}, `Header: "X-Key\n" is not the name of a header`},
		{"no name", options{header: http.Header{"": {"s3cret"}}}, `Header: "" is not the name of a header`},
		{"two spellings", options{header: http.Header{"X-Key": {"s3cret"}, "x-key": {"s3cret"}}}, "Header: X-Key and x-key are the same header; write its values under one name"},
		{"a value that ends in a newline", options{header: http.Header{"X-Key": {"s3cret\n"}}}, "Header: X-Key ends in a newline"},
		{"a header that breaks the line", options{header: http.Header{"X-Key": {"ok", "s3cret\r\nX: y"}}}, "Header: X-Key has a control character"},
		{"a negative retry", options{retry: Retry{Attempts: -1}}, "a Retry has a negative member"},
		{"a negative wait", options{retry: Retry{Max: -1}}, "a Retry has a negative member"},
		{"a negative timeout", options{timeout: -1}, "Timeout is negative"},
	}
	for _, tt := range tests {
		for _, v := range vendorCases {
			t.Run(v.name+"/"+tt.name, func(t *testing.T) {
				e, err := v.make(testCredentials, tt.opts)
				assert.Nil(t, e)
				require.EqualError(t, err, "tokens: "+v.name+": "+tt.want)
				assert.NotContains(t, err.Error(), "s3cret")
			})
		}
	}
}

func TestEndpointTakesLoopback(t *testing.T) {
	for _, baseURL := range []string{"http://localhost:8080", "http://LOCALHOST", "http://127.0.0.1:1", "http://127.8.8.8", "http://[::1]:8080/x/"} {
		for _, v := range vendorCases {
			s := newScript(reply(200, jsonType, tokenReply))
			e, err := v.make(testCredentials, options{baseURL: baseURL, client: s.client()})
			require.NoError(t, err)
			assert.Equal(t, strings.TrimRight(baseURL, "/"), e.BaseURL())
			_, err = e.Exchange(t.Context(), v.grant)
			require.NoError(t, err)
			assert.True(t, strings.HasPrefix(s.only(t).URL, e.BaseURL()+"/"), s.only(t).URL)
		}
	}
	for _, baseURL := range []string{"http://localhost.example.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "ftp://localhost"} {
		_, err := NewMoov(testCredentials, &MoovOptions{BaseURL: baseURL})
		assert.ErrorContains(t, err, "neither https nor loopback", baseURL)
	}
}

func TestEndpointDefaults(t *testing.T) {
	thousandEyes, err := NewThousandEyes(testCredentials, nil)
	require.NoError(t, err)
	assert.Equal(t, "https://api.thousandeyes.com", thousandEyes.BaseURL())
	moov, err := NewMoov(testCredentials, nil)
	require.NoError(t, err)
	assert.Equal(t, "https://api.moov.io", moov.BaseURL())
	sailPoint, err := NewSailPoint("acme", testCredentials, nil)
	require.NoError(t, err)
	assert.Equal(t, "https://acme.api.identitynow.com", sailPoint.BaseURL())
}

// Log lines of an Endpoint say whose it is, but show nothing that it sends.
func TestEndpointLogs(t *testing.T) {
	var log strings.Builder
	s := newScript(reply(503, "", ""), reply(200, jsonType, tokenReply))
	e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: s.client(), Retry: quick, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	_, err = e.Exchange(t.Context(), Grant{Scopes: []string{"a"}})
	require.NoError(t, err)
	assert.Contains(t, log.String(), `vendor=Moov client=`)
	assert.Contains(t, log.String(), "retrying a request")
	assert.NotContains(t, log.String(), "client-")
}

// The timeout also decides how long a record in the Store holds off the other processes.
func TestEndpointTimeout(t *testing.T) {
	for _, tt := range []struct{ own, client, want time.Duration }{
		{0, 0, 30 * time.Second},
		{5 * time.Second, 0, 5 * time.Second},
		{0, 7 * time.Second, 7 * time.Second},
		{50 * time.Second, 7 * time.Second, 50 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := newScript(after(time.Hour, reply(200, jsonType, tokenReply))).client()
			client.Timeout = tt.client
			e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: client, Timeout: tt.own})
			require.NoError(t, err)
			began := time.Now()
			_, err = e.Exchange(t.Context(), Grant{RefreshToken: "rt"})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, tt.want, time.Since(began), "%v", tt)
			c := newCache(t, e, &CacheOptions{Session: "a", Store: NewMemoryStore()})
			assert.Equal(t, 3*max(tt.want, minTimeout), c.newAttempt("id", &record{}, c.now()).hold, "%v", tt)
		})
	}
}

func TestRevokeRefused(t *testing.T) {
	tests := []struct {
		vendor vendorCase
		name   string
		token  string
		hint   Hint
		want   string
	}{
		{vendorCases[0], "no revocation", "token", HintNone, "no revocation: unsupported operation"},
		{vendorCases[2], "no revocation", "token", HintNone, "no revocation: unsupported operation"},
		{vendorCases[1], "no token", "", HintNone, "the token to revoke is empty"},
		{vendorCases[1], "a newline", "token\n", HintNone, "the token to revoke ends in a newline"},
		{vendorCases[1], "an unknown hint", "token", "id_token", `the hint "id_token" is unknown; use HintAccessToken, HintRefreshToken or none`},
	}
	for _, tt := range tests {
		t.Run(tt.vendor.name+"/"+tt.name, func(t *testing.T) {
			s := newScript(reply(204, "", ""))
			err := tt.vendor.endpoint(t, s).Revoke(t.Context(), tt.token, tt.hint)
			assert.EqualError(t, err, "tokens: "+tt.vendor.label+": "+tt.want)
			assert.Equal(t, tt.vendor.name != "Moov", errors.Is(err, errors.ErrUnsupported))
			assert.Empty(t, s.requests())
		})
	}
}

// Any 2xx is success, whatever its body and media type (RFC 7009, section 2.2).
func TestRevokeResponses(t *testing.T) {
	tests := []struct {
		name string
		step step
		want error
	}{
		{"204", reply(204, "", ""), nil},
		{"200 and nothing", reply(200, "", ""), nil},
		{"200 and JSON", reply(200, jsonType, `{}`), nil},
		{"200 and HTML", reply(200, "text/html", "<p>revoked"), nil},
		{"200 and an error", reply(200, jsonType, `{"error":"invalid_token"}`), nil},
		{"202 and too much", reply(202, jsonType, strings.Repeat("x", 2<<20)), nil},
		{"400", reply(400, jsonType, `{"error":"unsupported_token_type"}`), UnsupportedTokenType},
		{"422", reply(422, jsonType, `{"token":"is unknown"}`), Status(422)},
		{"503: the token still exists", reply(503, "", "", "Retry-After", "5"), Status(503)},
		{"no response", withoutResponse(io.ErrUnexpectedEOF), io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(tt.step)
			err := moovOver(t, s).Revoke(t.Context(), "the-token", HintAccessToken)
			if tt.want == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, tt.want)
			}
			assert.Equal(t, "token=the-token&token_type_hint=access_token", s.only(t).Body)
			assert.Zero(t, s.leaks())
		})
	}
}
