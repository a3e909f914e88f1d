package tokens

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serving responds with JSON documents by path, and with 404 to other paths.
func serving(documents map[string]any) step {
	return func(req *http.Request) (*http.Response, error) {
		doc, ok := documents[req.URL.EscapedPath()]
		if !ok {
			return reply(404, "text/html", "<h1>not found")(req)
		}
		if s, ok := doc.(step); ok {
			return s(req)
		}
		data, err := json.Marshal(doc)
		if err != nil {
			return nil, err
		}
		return reply(200, jsonType, string(data))(req)
	}
}

func TestDiscover(t *testing.T) {
	const rfc8414 = "/.well-known/oauth-authorization-server"
	doc := func(issuer string, more map[string]any) map[string]any {
		d := map[string]any{"issuer": issuer, "token_endpoint": "https://tokens.example.net/t?x=1"}
		maps.Copy(d, more)
		return d
	}
	tests := []struct {
		name, issuer string
		documents    map[string]any
		asked        []string
	}{
		{"RFC 8414", "https://auth.example.com", map[string]any{rfc8414: doc("https://auth.example.com", nil)}, []string{rfc8414}},
		{
			"RFC 8414, a path with a slash at its end", "https://auth.example.com/t/1/",
			map[string]any{rfc8414 + "/t/1": doc("https://auth.example.com/t/1/", nil)}, []string{rfc8414 + "/t/1"},
		},
		{
			"OpenID Connect", "https://auth.example.com/t%2F1",
			map[string]any{"/t%2F1/.well-known/openid-configuration": doc("https://auth.example.com/t%2F1", nil)},
			[]string{rfc8414 + "/t%2F1", "/t%2F1/.well-known/openid-configuration"},
		},
		{
			"OpenID Connect, where the other document is of another issuer", "https://auth.example.com/1",
			map[string]any{
				rfc8414 + "/1":                        doc("https://auth.example.com", nil),
				"/1/.well-known/openid-configuration": doc("https://auth.example.com/1", nil),
			},
			[]string{rfc8414 + "/1", "/1/.well-known/openid-configuration"},
		},
		{
			"a file of no media type", "https://auth.example.com",
			map[string]any{rfc8414: reply(200, "application/octet-stream", `{"issuer":"https://auth.example.com","token_endpoint":"https://auth.example.com/t"}`)},
			[]string{rfc8414},
		},
		{
			"on loopback", "http://127.0.0.1:8080",
			map[string]any{rfc8414: doc("http://127.0.0.1:8080", map[string]any{"token_endpoint": "http://127.0.0.1:8080/token"})}, []string{rfc8414},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(serving(tt.documents))
			e, err := Discover(t.Context(), tt.issuer, testCredentials, &EndpointOptions{HTTPClient: s.client(), Header: http.Header{"x-key": {"k"}}})
			require.NoError(t, err)
			issuer, err := url.Parse(tt.issuer)
			require.NoError(t, err)
			var want, asked []string
			for _, path := range tt.asked {
				want = append(want, "GET "+issuer.Scheme+"://"+issuer.Host+path)
			}
			for _, sent := range s.requests() {
				asked = append(asked, sent.Method+" "+sent.URL)
				assert.Empty(t, sent.Header["Authorization"], "the issuer needs no credentials")
				assert.Equal(t, []string{"k"}, sent.Header["X-Key"])
			}
			assert.Equal(t, want, asked)
			assert.Equal(t, tt.issuer, e.issuer)
			assert.Zero(t, s.leaks())
		})
	}
}

// Servers publish the full URL of their metadata, so users may pass that instead of the issuer.
func TestDiscoverRefusesAMetadataURL(t *testing.T) {
	for _, at := range []string{
		"https://auth.example.com/.well-known/openid-configuration", "https://auth.example.com/t/1/.well-known/openid-configuration",
		"https://auth.example.com/.well-known/oauth-authorization-server/t/1",
	} {
		s := newScript(reply(200, jsonType, "{}"))
		for _, opts := range []*EndpointOptions{{HTTPClient: s.client()}, nil} {
			_, err := Discover(t.Context(), at, testCredentials, opts)
			require.EqualError(t, err, "tokens: Discover: "+at+" is where the metadata is; give the issuer, without /.well-known/ and what follows")
		}
		assert.Empty(t, s.requests())
	}
}

// The metadata is used, and the options take precedence.
func TestDiscoverUsesTheMetadata(t *testing.T) {
	const issuer = "https://auth.example.com"
	granted := reply(200, jsonType, tokenReply)
	s := newScript(serving(map[string]any{
		"/.well-known/oauth-authorization-server": map[string]any{
			"issuer": issuer, "token_endpoint": "https://tokens.example.net/t?x=1", "revocation_endpoint": issuer + "/r",
			"authorization_endpoint": issuer + "/a", "token_endpoint_auth_methods_supported": []string{"private_key_jwt", "client_secret_post"},
			"authorization_response_iss_parameter_supported": true, "jwks_uri": 7,
		},
		"/t": granted, "/r": granted, "/mine": granted,
	}))
	e, err := Discover(t.Context(), issuer, testCredentials, &EndpointOptions{HTTPClient: s.client()})
	require.NoError(t, err)
	_, err = e.Exchange(t.Context(), Grant{})
	require.NoError(t, err)
	require.NoError(t, e.Revoke(t.Context(), "the-token", HintNone))
	assert.Equal(t, "https://tokens.example.net/t?x=1", s.requests()[1].URL)
	assert.Contains(t, s.requests()[1].Body, "client_secret=client-secret", "the first supported method")
	assert.Equal(t, issuer+"/r", s.requests()[2].URL)
	login := &Login{RedirectURI: "https://app.example.com/cb"}
	got, err := e.AuthorizationURL(t.Context(), login)
	require.NoError(t, err)
	assert.Contains(t, got, issuer+"/a?")
	assert.Equal(t, issuer, login.Issuer)
	assert.True(t, login.IssuerRequired)

	e, err = Discover(t.Context(), issuer, testCredentials, &EndpointOptions{
		HTTPClient: s.client(), RevocationURL: "https://r.example.com/mine", AuthStyle: AuthStyleBasic, Issuer: issuer,
	})
	require.NoError(t, err)
	require.NoError(t, e.Revoke(t.Context(), "the-token", HintNone))
	last := s.requests()[len(s.requests())-1]
	assert.Equal(t, "https://r.example.com/mine", last.URL)
	assert.NotEmpty(t, last.Header["Authorization"])
}

// The issuer in a callback is required only if the metadata says so.
func TestDiscoverWhetherTheIssuerIsRequired(t *testing.T) {
	const issuer = "https://auth.example.com"
	for said, want := range map[any]bool{nil: false, false: false, true: true} {
		metadata := map[string]any{"issuer": issuer, "token_endpoint": issuer + "/t", "authorization_endpoint": issuer + "/a"}
		if said != nil {
			metadata["authorization_response_iss_parameter_supported"] = said
		}
		s := newScript(serving(map[string]any{"/.well-known/oauth-authorization-server": metadata}))
		e, err := Discover(t.Context(), issuer, testCredentials, &EndpointOptions{HTTPClient: s.client()})
		require.NoError(t, err)
		login := &Login{RedirectURI: "https://app.example.com/cb"}
		_, err = e.AuthorizationURL(t.Context(), login)
		require.NoError(t, err)
		assert.Equal(t, want, login.IssuerRequired, "%v", said)
	}
}

func TestDiscoverChoosesTheStyle(t *testing.T) {
	public := Credentials{ClientID: "client-id"}
	for _, tt := range []struct {
		name    string
		methods []string
		creds   CredentialsProvider
		want    AuthStyle
		err     string
	}{
		{"not said", nil, testCredentials, AuthStyleBasic, ""},
		{"both", []string{"client_secret_post", "client_secret_basic"}, testCredentials, AuthStyleBasic, ""},
		{"post", []string{"none", "client_secret_post"}, testCredentials, AuthStyleBody, ""},
		{"a public client", []string{"client_secret_basic", "none"}, public, AuthStyleNone, ""},
		{"a public client, mTLS besides", []string{"client_secret_basic", "tls_client_auth"}, public, AuthStyleNone, ""},
		{"a public client, self-signed besides", []string{"client_secret_basic", "self_signed_tls_client_auth"}, public, AuthStyleNone, ""},
		{"a provider, not said", nil, CredentialsFunc(public.Retrieve), AuthStyleBasic, ""},
		{"a public client, not said", nil, public, AuthStyleNone, ""},
		{"mTLS", []string{"tls_client_auth"}, public, AuthStyleNone, ""},
		{"mTLS of a provider", []string{"self_signed_tls_client_auth"}, CredentialsFunc(public.Retrieve), AuthStyleNone, ""},
		{"assertions", []string{"private_key_jwt"}, testCredentials, 0, "the server authenticates clients by assertions alone; set Assertion"},
		{"unknown", []string{"x", "y"}, testCredentials, 0, "the server authenticates clients by x, y alone; set AuthStyle"},
		{"no public clients", []string{"client_secret_basic"}, public, AuthStyleBasic, ""},
	} {
		got, err := supportedStyle(tt.methods, tt.creds)
		assert.Equal(t, tt.want, got, tt.name)
		if tt.err == "" {
			assert.NoError(t, err, tt.name)
		} else {
			assert.EqualError(t, err, tt.err, tt.name)
		}
	}
}

func TestDiscoverRefuses(t *testing.T) {
	const issuer, wellKnown = "https://auth.example.com", "/.well-known/oauth-authorization-server"
	of := func(name string, value any) map[string]any {
		return map[string]any{wellKnown: map[string]any{"issuer": issuer, "token_endpoint": "https://t.example.com/t", name: value}}
	}
	url := "GET " + issuer
	tests := []struct {
		name, issuer string
		documents    map[string]any
		opts         EndpointOptions
		want         string
	}{
		{"no issuer", "", nil, EndpointOptions{}, "the issuer is empty"},
		{"http", "http://auth.example.com", nil, EndpointOptions{}, "the issuer http://auth.example.com is neither https nor loopback; a secret would be sent in the clear"},
		{"an empty query", issuer + "?", nil, EndpointOptions{}, "has a query, which no issuer has (RFC 8414, section 2)"},
		{"a query", issuer + "?x", nil, EndpointOptions{}, "the issuer https://auth.example.com has a query, which no issuer has (RFC 8414, section 2)"},
		{"a host with a zone", "https://[fe80::1%25eth0]", nil, EndpointOptions{}, "the issuer https://[fe80::1%25eth0] has a host that cannot be asked"},
		{"a negative retry", issuer, nil, EndpointOptions{Retry: Retry{Attempts: -1}}, "Discover: a Retry has a negative member"},
		{"a header of the SDK", issuer, nil, EndpointOptions{Header: http.Header{"host": {"x"}}}, "Header: host is set by the SDK"},
		{"a header of the connection", issuer, nil, EndpointOptions{Header: http.Header{"Transfer-Encoding": {"chunked"}}}, "Header: Transfer-Encoding is set by the SDK"},
		{"a header in two spellings", issuer, nil, EndpointOptions{Header: http.Header{"X-Key": {"1"}, "x-key": {"2"}}}, "Header: X-Key and x-key are the same header; write its values under one name"},
		{"a header whose name has a space", issuer, nil, EndpointOptions{Header: http.Header{"X Key": {"1"}}}, `Header: "X Key" is not the name of a header`},
		{"two issuers", issuer, nil, EndpointOptions{Issuer: issuer + "/"}, `Issuer is "https://auth.example.com/" but the issuer to ask is "https://auth.example.com"; leave Issuer empty`},
		{"another issuer", issuer, of("issuer", issuer+"/"), EndpointOptions{}, "the metadata at " + wellKnown + ` is of the issuer "https://auth.example.com/" and not of "https://auth.example.com" (RFC 8414, section 3.3); ` + url + "/.well-known/openid-configuration: 404 Not Found"},
		{"none", issuer, nil, EndpointOptions{}, url + wellKnown + ": 404 Not Found; " + url + "/.well-known/openid-configuration: 404 Not Found"},
		{"HTML", issuer, map[string]any{wellKnown: reply(200, "text/html", "<p>"), "/.well-known/openid-configuration": reply(200, jsonType, "[]")}, EndpointOptions{}, "/.well-known/openid-configuration: 200 OK"},
		{"a redirect to another host", issuer, map[string]any{wellKnown: reply(302, "", "", "Location", "https://other.example.com/")}, EndpointOptions{}, "302 Found"},
		{
			"two ways to authenticate", issuer, of("jwks_uri", issuer+"/keys"),
			EndpointOptions{AuthStyle: AuthStyleBasic, Assertion: func(context.Context, string) (string, error) { return "", nil }},
			"AuthStyle and Assertion are both set; a request authenticates by one of them",
		},
		{
			"no way to authenticate", issuer, of("token_endpoint_auth_methods_supported", []string{"private_key_jwt"}), EndpointOptions{},
			"the server authenticates clients by assertions alone; set Assertion",
		},
		{"no token endpoint", issuer, of("token_endpoint", ""), EndpointOptions{}, "the metadata of https://auth.example.com has no token_endpoint"},
		{"a relative token endpoint", issuer, of("token_endpoint", "/t"), EndpointOptions{}, "the metadata's token_endpoint /t is not absolute; write https://host/path"},
		{"a token endpoint over http", issuer, of("token_endpoint", "http://auth.example.com/t"), EndpointOptions{}, "the metadata's token_endpoint http://auth.example.com/t is neither https nor loopback; a secret would be sent in the clear"},
		{"a token endpoint here", issuer, of("token_endpoint", "http://127.0.0.1/t"), EndpointOptions{}, "the metadata's token_endpoint http://127.0.0.1/t is not https"},
		{"a revocation endpoint here", issuer, of("revocation_endpoint", "http://localhost/r"), EndpointOptions{}, "the metadata's revocation_endpoint http://localhost/r is not https"},
		{"a login over http", issuer, of("authorization_endpoint", "http://auth.example.com/a"), EndpointOptions{}, "the metadata's authorization_endpoint http://auth.example.com/a is neither https nor loopback; a secret would be sent in the clear"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(serving(tt.documents))
			tt.opts.HTTPClient = s.client()
			e, err := Discover(t.Context(), tt.issuer, testCredentials, &tt.opts)
			assert.Nil(t, e)
			require.ErrorContains(t, err, "tokens: Discover: ")
			assert.ErrorContains(t, err, tt.want)
			assert.Zero(t, s.leaks())
			for _, sent := range s.requests() {
				assert.Contains(t, sent.URL, issuer+"/", "no request goes to another host")
			}
		})
	}
}

func TestDiscoverWithoutCredentials(t *testing.T) {
	s := newScript(serving(nil))
	e, err := Discover(t.Context(), "https://auth.example.com", nil, &EndpointOptions{HTTPClient: s.client()})
	assert.Nil(t, e)
	require.EqualError(t, err, "tokens: Discover: the credentials are nil; pass Credentials, a CredentialsFunc or a CredentialsFile")
	assert.Empty(t, s.requests())
}

func TestDiscoverAsksOnceWhereNobodyListens(t *testing.T) {
	s := newScript(withoutResponse(&netError{}))
	_, err := Discover(t.Context(), "https://auth.example.com", testCredentials, &EndpointOptions{HTTPClient: s.client(), Retry: Retry{Attempts: 1}})
	require.EqualError(t, err, "tokens: Discover: GET https://auth.example.com/.well-known/oauth-authorization-server: dial: broken")
	s.only(t)
}
