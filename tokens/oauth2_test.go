package tokens

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const tokenURL = "https://auth.example.com/t%2F1/token?tenant=a%20b&x=1"

// Every request is compared byte for byte, like those of the vendors in TestEndpointRequests.
func TestNewEndpointRequests(t *testing.T) {
	verifier := "abcdefghijklmnopqrstuvwxyz0123456789-._~ABC"
	tests := []struct {
		name  string
		creds Credentials
		opts  EndpointOptions
		call  func(*testing.T, *Endpoint) error
		want  string
	}{
		{
			"client_credentials with Basic, by default", testCredentials, EndpointOptions{},
			exchanging(Grant{Scopes: []string{"a", "b"}, Params: url.Values{"audience": {"x", "y"}}}),
			wire(
				"POST /t%2F1/token?tenant=a%20b&x=1 HTTP/1.1", "Host: auth.example.com", "User-Agent: oauth-go/devel", "Content-Length: N",
				"Accept: application/json, application/problem+json", moovBasic, "Content-Type: application/x-www-form-urlencoded", "",
				"grant_type=client_credentials&scope=a+b&audience=x&audience=y",
			),
		},
		{
			"refresh_token in the body", testCredentials, EndpointOptions{AuthStyle: AuthStyleBody, Header: http.Header{"User-Agent": {"mine/1"}}},
			exchanging(Grant{RefreshToken: "rt"}),
			wire(
				"POST /t%2F1/token?tenant=a%20b&x=1 HTTP/1.1", "Host: auth.example.com", "User-Agent: mine/1", "Content-Length: N",
				"Accept: application/json, application/problem+json", "Content-Type: application/x-www-form-urlencoded", "",
				"client_id=client-id&client_secret=client-secret&grant_type=refresh_token&refresh_token=rt",
			),
		},
		{
			"authorization_code of a public client, without scopes", Credentials{ClientID: "client-id"}, EndpointOptions{AuthStyle: AuthStyleNone},
			exchanging(Grant{Scopes: []string{"a"}, Code: &AuthorizationCode{"the code", "https://app.example.com/cb?x=1", verifier}}),
			wire(
				"POST /t%2F1/token?tenant=a%20b&x=1 HTTP/1.1", "Host: auth.example.com", "User-Agent: oauth-go/devel", "Content-Length: N",
				"Accept: application/json, application/problem+json", "Content-Type: application/x-www-form-urlencoded", "",
				"client_id=client-id&code=the+code&code_verifier=abcdefghijklmnopqrstuvwxyz0123456789-._~ABC"+
					"&grant_type=authorization_code&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb%3Fx%3D1",
			),
		},
		{
			"an extension grant", testCredentials, EndpointOptions{},
			exchanging(Grant{Type: "urn:ietf:params:oauth:grant-type:token-exchange", Params: url.Values{"subject_token": {"st"}}}),
			wire(
				"POST /t%2F1/token?tenant=a%20b&x=1 HTTP/1.1", "Host: auth.example.com", "User-Agent: oauth-go/devel", "Content-Length: N",
				"Accept: application/json, application/problem+json", moovBasic, "Content-Type: application/x-www-form-urlencoded", "",
				"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=st",
			),
		},
		{
			"an assertion", Credentials{ClientID: "client-id"},
			EndpointOptions{Assertion: func(_ context.Context, audience string) (string, error) { return "jwt for " + audience, nil }},
			exchanging(Grant{}),
			wire(
				"POST /t%2F1/token?tenant=a%20b&x=1 HTTP/1.1", "Host: auth.example.com", "User-Agent: oauth-go/devel", "Content-Length: N",
				"Accept: application/json, application/problem+json", "Content-Type: application/x-www-form-urlencoded", "",
				"client_id=client-id&grant_type=client_credentials&client_assertion="+url.QueryEscape("jwt for "+tokenURL)+
					"&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
			),
		},
		{
			"an assertion for the issuer, to revoke on another host", Credentials{ClientID: "client-id"},
			EndpointOptions{
				Issuer: "https://issuer.example.com", RevocationURL: "https://revoke.example.com/?a=b",
				Assertion: func(_ context.Context, audience string) (string, error) { return "jwt for " + audience, nil },
			},
			revoking("the-token", HintRefreshToken),
			wire(
				"POST /?a=b HTTP/1.1", "Host: revoke.example.com", "User-Agent: oauth-go/devel", "Content-Length: N", "Accept: */*",
				"Content-Type: application/x-www-form-urlencoded", "",
				"client_id=client-id&token=the-token&token_type_hint=refresh_token&client_assertion=jwt+for+https%3A%2F%2Fissuer.example.com"+
					"&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
			),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(reply(200, jsonType, tokenReply))
			tt.opts.HTTPClient = s.client()
			e, err := NewEndpoint(tokenURL, tt.creds, &tt.opts)
			require.NoError(t, err)
			require.NoError(t, tt.call(t, e))
			assert.Equal(t, tt.want, s.only(t).Wire)
			assert.Zero(t, s.leaks())
			assert.Empty(t, e.BaseURL(), "the token URL does not say which API the tokens are for")
		})
	}
}

func TestNewEndpointBaseURL(t *testing.T) {
	e, err := NewEndpoint(tokenURL, testCredentials, &EndpointOptions{BaseURL: "https://api.example.com"})
	require.NoError(t, err)
	assert.Equal(t, "https://api.example.com", e.BaseURL())
	require.ErrorIs(t, e.Revoke(t.Context(), "token", HintNone), errors.ErrUnsupported)
	_, err = e.AuthorizationURL(t.Context(), &Login{RedirectURI: "https://app.example.com/cb"})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.EqualError(t, err, "tokens: auth.example.com: AuthorizationURL is not set in the options: unsupported operation")
}

func TestNewEndpointRefuses(t *testing.T) {
	assertion := func(context.Context, string) (string, error) { return "jwt", nil }
	public := Credentials{ClientID: "client-id"}
	tests := []struct {
		name, url string
		creds     CredentialsProvider
		opts      EndpointOptions
		want      string
	}{
		{"no URL", "", testCredentials, EndpointOptions{}, "the token URL is empty"},
		{"relative", "/oauth/token", testCredentials, EndpointOptions{}, "the token URL /oauth/token is not absolute; write https://host/path"},
		{"a host alone", "auth.example.com/token", testCredentials, EndpointOptions{}, "the token URL auth.example.com/token is not absolute; write https://host/path"},
		{"no scheme", "//auth.example.com/token", testCredentials, EndpointOptions{}, "the token URL //auth.example.com/token is not absolute; write https://host/path"},
		{"http", "http://auth.example.com/token?key=s3cret", testCredentials, EndpointOptions{}, "the token URL http://auth.example.com/token is neither https nor loopback; a secret would be sent in the clear"},
		{"ftp to this machine", "ftp://127.0.0.1/token", testCredentials, EndpointOptions{}, "the token URL ftp://127.0.0.1/token is neither https nor loopback; a secret would be sent in the clear"},
		{"a fragment", "https://auth.example.com/token#s3cret", testCredentials, EndpointOptions{}, "the token URL https://auth.example.com/token has a fragment, which is never sent; leave it off"},
		{"an empty fragment", "https://auth.example.com/token#", testCredentials, EndpointOptions{}, "the token URL https://auth.example.com/token has a fragment, which is never sent; leave it off"},
		{"a user", "https://id:s3cret@auth.example.com/token", testCredentials, EndpointOptions{}, "the token URL https://auth.example.com/token has a user; pass Credentials instead"},
		{"no URL at all", "https://id:s3cret@a b/", testCredentials, EndpointOptions{}, "the token URL is not a URL"},
		{"opaque", "mailto:a@example.com", testCredentials, EndpointOptions{}, "the token URL mailto:a@example.com is not absolute; write https://host/path"},
		{"revocation over http", tokenURL, testCredentials, EndpointOptions{RevocationURL: "http://auth.example.com/revoke"}, "RevocationURL http://auth.example.com/revoke is neither https nor loopback; a secret would be sent in the clear"},
		{"revocation at a host with a zone", tokenURL, testCredentials, EndpointOptions{RevocationURL: "https://[fe80::1%25eth0]/revoke"}, "BaseURL: the base URL is not a URL"},
		{"login over http", tokenURL, testCredentials, EndpointOptions{AuthorizationURL: "http://auth.example.com/authorize"}, "AuthorizationURL http://auth.example.com/authorize is neither https nor loopback; a secret would be sent in the clear"},
		{"API over http", tokenURL, testCredentials, EndpointOptions{BaseURL: "http://api.example.com"}, "BaseURL: the base URL http://api.example.com is neither https nor loopback; a token would be sent in the clear"},
		{"assertion and secret", tokenURL, testCredentials, EndpointOptions{Assertion: assertion}, "ClientSecret and Assertion are both set; a request authenticates by one of them"},
		{"assertion and style", tokenURL, public, EndpointOptions{Assertion: assertion, AuthStyle: AuthStyleBody}, "AuthStyle and Assertion are both set; a request authenticates by one of them"},
		{"assertion without an id", tokenURL, Credentials{}, EndpointOptions{Assertion: assertion}, "ClientID is empty"},
		{"the style of assertions without one", tokenURL, public, EndpointOptions{AuthStyle: authStyleAssertion}, "AuthStyle 5 is unknown; use AuthStyleBasic, AuthStyleBasicUnencoded, AuthStyleBody or AuthStyleNone"},
		{"none without an id", tokenURL, Credentials{}, EndpointOptions{AuthStyle: AuthStyleNone}, "ClientID is empty"},
		{"none with a secret", tokenURL, testCredentials, EndpointOptions{AuthStyle: AuthStyleNone}, "ClientSecret is set, but AuthStyleNone sends none; leave it empty"},
		{"no secret", tokenURL, public, EndpointOptions{}, "ClientSecret is empty"},
		{"an issuer that cannot be one", tokenURL, testCredentials, EndpointOptions{Issuer: "https://auth.example.com\n"}, "Issuer ends in a newline"},
		{"a negative timeout", tokenURL, testCredentials, EndpointOptions{Timeout: -1}, "Timeout is negative"},
		{"a negative retry", tokenURL, testCredentials, EndpointOptions{Retry: Retry{Max: -1}}, "a Retry has a negative member"},
		{"no credentials", tokenURL, nil, EndpointOptions{}, "the credentials are nil; pass Credentials, a CredentialsFunc or a CredentialsFile"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := NewEndpoint(tt.url, tt.creds, &tt.opts)
			assert.Nil(t, e)
			assert.EqualError(t, err, "tokens: NewEndpoint: "+tt.want)
		})
	}
}

// Servers accept an assertion only once, so each retry has a new one.
func TestAssertionOfEachRequest(t *testing.T) {
	s := newScript(withoutResponse(io.ErrUnexpectedEOF), reply(503, "", ""), reply(200, jsonType, tokenReply))
	type key struct{}
	asked := 0
	e, err := NewEndpoint(tokenURL, &Credentials{ClientID: "client-id"}, &EndpointOptions{
		HTTPClient: s.client(), Retry: Retry{Initial: 1},
		Assertion: func(ctx context.Context, _ string) (string, error) {
			assert.Equal(t, "mine", ctx.Value(key{}))
			assert.Zero(t, settingsOf(ctx))
			asked++
			return "jwt-" + strconv.Itoa(asked), nil
		},
	})
	require.NoError(t, err)
	_, err = e.Exchange(context.WithValue(t.Context(), key{}, "mine"), Grant{Params: url.Values{"x": {"y"}}})
	require.NoError(t, err)
	require.Len(t, s.requests(), 3)
	for i, sent := range s.requests() {
		form, err := url.ParseQuery(sent.Body)
		require.NoError(t, err)
		assert.Equal(t, []string{"jwt-" + strconv.Itoa(i+1)}, form["client_assertion"])
		assert.Equal(t, []string{"y"}, form["x"])
	}
}

// No error shows an assertion, whether the server or the transport echoes the request, and whether or not the request
// can be sent again.
func TestAssertionIsInNoError(t *testing.T) {
	const assertion = "canary.of-the/assertion"
	echo := `{"error":"invalid_request","error_description":"` + assertion + ` and ` + url.QueryEscape(assertion) + `"}`
	for name, step := range map[string]step{
		"a response":     reply(400, jsonType, echo),
		"no response":    withoutResponse(errors.New("sending " + assertion)),
		"no JSON at all": reply(500, "text/plain", assertion),
	} {
		for _, grant := range []Grant{{}, {RefreshToken: "refresh-token"}} {
			e, err := NewEndpoint(tokenURL, Credentials{ClientID: "client-id"}, &EndpointOptions{
				HTTPClient: newScript(step).client(), Retry: Retry{Attempts: 1},
				Assertion: func(context.Context, string) (string, error) { return assertion, nil },
			})
			require.NoError(t, err)
			_, err = e.Exchange(t.Context(), grant)
			require.Error(t, err, name)
			for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
				assert.NotContains(t, text, "canary", name)
				assert.Contains(t, text, "[REDACTED]", name)
			}
		}
	}
}

// If Assertion fails, that is a local failure, whatever server caused it: nothing is sent or retried.
func TestAssertionFails(t *testing.T) {
	vault := failed(t, reply(401, jsonType, `{"error":"invalid_grant"}`))
	for name, tt := range map[string]struct {
		assertion string
		err       error
		want      string
	}{
		"an error":          {"", vault, "tokens: auth.example.com: Assertion: " + vault.Error()},
		"an empty one":      {"", nil, "tokens: auth.example.com: Assertion: the assertion is empty"},
		"a dial that broke": {"", &netError{}, "tokens: auth.example.com: Assertion: dial: broken"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(reply(200, jsonType, tokenReply))
			asked := 0
			e, err := NewEndpoint(tokenURL, Credentials{ClientID: "client-id"}, &EndpointOptions{
				HTTPClient: s.client(), Retry: Retry{Initial: 1},
				Assertion: func(context.Context, string) (string, error) {
					asked++
					return tt.assertion, tt.err
				},
			})
			require.NoError(t, err)
			_, err = e.Exchange(t.Context(), Grant{RefreshToken: "rt"})
			require.EqualError(t, err, tt.want)
			assert.NotErrorIs(t, err, InvalidGrant, "it is not an error of this server")
			assert.NotErrorIs(t, err, Status(401))
			assert.Equal(t, 1, asked)
			assert.Empty(t, s.requests())
		})
	}
}

type netError struct{}

func (*netError) Error() string { return "dial: broken" }

func TestZeroEndpoint(t *testing.T) {
	var none *Endpoint
	for _, e := range []*Endpoint{none, {}} {
		const want = "tokens: the Endpoint is nil or zero; make one with NewMoov, NewSailPoint, NewThousandEyes, NewEndpoint or Discover"
		_, err := e.Exchange(t.Context(), Grant{})
		require.EqualError(t, err, want)
		require.EqualError(t, e.Revoke(t.Context(), "token", HintNone), want)
		_, err = e.AuthorizationURL(t.Context(), &Login{})
		require.EqualError(t, err, want)
		assert.Empty(t, e.BaseURL())
	}
	e := moovOver(t, newScript(reply(200, jsonType, tokenReply)))
	_, err := e.Exchange(nil, Grant{Scopes: []string{"a"}}) //nolint:staticcheck // a caller's mistake
	require.EqualError(t, err, "tokens: Moov: the context is nil")
	_, err = Discover(nil, "https://auth.example.com", testCredentials, nil) //nolint:staticcheck // a caller's mistake
	require.EqualError(t, err, "tokens: Discover: the context is nil")
}
