package tokens

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func loginEndpoint(t *testing.T, opts EndpointOptions) *Endpoint {
	t.Helper()
	if opts.AuthorizationURL == "" {
		opts.AuthorizationURL = "https://auth.example.com/authorize?tenant=1"
	}
	e, err := NewEndpoint(tokenURL, Credentials{ClientID: "client id"}, &opts)
	require.NoError(t, err)
	return e
}

func TestAuthorizationURL(t *testing.T) {
	e := loginEndpoint(t, EndpointOptions{AuthStyle: AuthStyleNone, Issuer: "https://auth.example.com"})
	login := &Login{RedirectURI: "http://127.0.0.1:8080/cb", Scopes: []string{"a", "b"}, Params: url.Values{"prompt": {"login"}, "empty": {""}}}
	got, err := e.AuthorizationURL(t.Context(), login)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(got, "https://auth.example.com/authorize?tenant=1&"), got)
	u, err := url.Parse(got)
	require.NoError(t, err)

	assert.Len(t, login.CodeVerifier, 43)
	assert.GreaterOrEqual(t, len(login.State), 22, "128 bits")
	challenge := sha256.Sum256([]byte(login.CodeVerifier))
	assert.Equal(t, url.Values{
		"tenant": {"1"}, "response_type": {"code"}, "client_id": {"client id"}, "redirect_uri": {"http://127.0.0.1:8080/cb"},
		"scope": {"a b"}, "state": {login.State}, "prompt": {"login"}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}, u.Query())
	assert.Equal(t, "https://auth.example.com", login.Issuer)

	again, err := e.AuthorizationURL(t.Context(), login)
	require.NoError(t, err)
	assert.Equal(t, got, again, "existing values are kept")
	got, err = e.AuthorizationURL(t.Context(), &Login{RedirectURI: login.RedirectURI, Scopes: []string{"alone"}})
	require.NoError(t, err)
	assert.Contains(t, got, "&scope=alone&")
	other := &Login{RedirectURI: login.RedirectURI}
	got, err = e.AuthorizationURL(t.Context(), other)
	require.NoError(t, err)
	assert.NotContains(t, got, "scope", "the server has its own default")
	assert.NotEqual(t, login.State, other.State)
	assert.NotEqual(t, login.CodeVerifier, other.CodeVerifier)
}

// The example of RFC 7636, appendix B.
func TestCodeChallenge(t *testing.T) {
	login := &Login{RedirectURI: "https://app.example.com", CodeVerifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}
	got, err := loginEndpoint(t, EndpointOptions{AuthStyle: AuthStyleNone}).AuthorizationURL(t.Context(), login)
	require.NoError(t, err)
	assert.Contains(t, got, "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256")
}

func TestAuthorizationURLRefuses(t *testing.T) {
	const cb = "https://app.example.com/cb"
	tests := []struct {
		name  string
		login *Login
		want  string
	}{
		{"nil", nil, "the Login is nil; pass one with a RedirectURI"},
		{"no redirect", &Login{}, "Login.RedirectURI is empty; set the one that is registered with the client"},
		{"relative", &Login{RedirectURI: "/cb"}, "Login.RedirectURI is not an absolute URI"},
		{"a control character", &Login{RedirectURI: cb + "\u0085"}, "Login.RedirectURI is not an absolute URI"},
		{"not UTF-8", &Login{RedirectURI: cb + "\xff"}, "Login.RedirectURI is not an absolute URI"},
		{"a newline", &Login{RedirectURI: cb + "\n"}, "Login.RedirectURI is not an absolute URI"},
		{"a fragment", &Login{RedirectURI: cb + "#"}, "Login.RedirectURI has a fragment, which it must not have (RFC 6749, section 3.1.2)"},
		{"http", &Login{RedirectURI: "http://app.example.com/cb"}, "Login.RedirectURI is neither https nor loopback; the code would be sent in the clear"},
		{"a scope", &Login{RedirectURI: cb, Scopes: []string{"a b"}}, `Login.Scopes: "a b" is not a valid scope (RFC 6749, section 3.3)`},
		{"a verifier", &Login{RedirectURI: cb, CodeVerifier: "short"}, "Login.CodeVerifier is not a valid code verifier; leave it empty, or use GenerateVerifier (RFC 7636, section 4.1)"},
		{"a state", &Login{RedirectURI: cb, State: "a\n"}, "Login.State ends in a newline"},
		{"a param of ours", &Login{RedirectURI: cb, Params: url.Values{"code_challenge_method": {"plain"}}}, "Login.Params: code_challenge_method is set by the SDK; use the other members or the options"},
		{"a repeated param", &Login{RedirectURI: cb, Params: url.Values{"prompt": {"a", "b"}}}, "Login.Params: prompt has 2 values, and a field must not be repeated (RFC 6749, section 3.2)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := loginEndpoint(t, EndpointOptions{AuthStyle: AuthStyleNone}).AuthorizationURL(t.Context(), tt.login)
			assert.Empty(t, got)
			assert.EqualError(t, err, "tokens: auth.example.com: "+tt.want)
		})
	}
	sealed := errors.New("vault sealed")
	vault := CredentialsFunc(func(context.Context) (Credentials, error) { return Credentials{}, sealed })
	e, err := NewSailPoint("acme", vault, nil)
	require.NoError(t, err)
	got, err := e.AuthorizationURL(t.Context(), &Login{RedirectURI: cb})
	assert.Empty(t, got)
	require.ErrorIs(t, err, sealed)
	for _, v := range vendorCases[:2] {
		_, err := v.endpoint(t, newScript()).AuthorizationURL(t.Context(), &Login{RedirectURI: cb})
		require.EqualError(t, err, "tokens: "+v.name+": no login by authorization code: unsupported operation")
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}
	for _, redirect := range []string{cb, "http://localhost/cb", "http://[::1]:1/cb", "com.example.app:/cb"} {
		_, err := loginEndpoint(t, EndpointOptions{AuthStyle: AuthStyleNone}).AuthorizationURL(t.Context(), &Login{RedirectURI: redirect})
		assert.NoError(t, err, redirect)
	}
}

func TestSailPointAuthorizationURL(t *testing.T) {
	for _, tt := range []struct {
		tenant string
		opts   SailPointOptions
		want   string
	}{
		{"acme", SailPointOptions{}, "https://acme.login.sailpoint.com/oauth/authorize?"},
		{"", SailPointOptions{BaseURL: "https://id.example.com", AuthorizationURL: "https://login.example.com/a"}, "https://login.example.com/a?"},
		{"", SailPointOptions{BaseURL: "https://id.example.com"}, ""},
		{"acme", SailPointOptions{Domain: SailPointDemo}, ""},
	} {
		e, err := NewSailPoint(tt.tenant, testCredentials, &tt.opts)
		require.NoError(t, err)
		got, err := e.AuthorizationURL(t.Context(), &Login{RedirectURI: "https://app.example.com/cb"})
		if tt.want == "" {
			require.ErrorIs(t, err, errors.ErrUnsupported)
			require.ErrorContains(t, err, "AuthorizationURL is not set in the options")
			continue
		}
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(got, tt.want), got)
	}
}

func TestLoginGrant(t *testing.T) {
	e := loginEndpoint(t, EndpointOptions{AuthStyle: AuthStyleNone, Issuer: "https://auth.example.com"})
	login := &Login{RedirectURI: "https://app.example.com/cb", Scopes: []string{"a"}}
	_, err := e.AuthorizationURL(t.Context(), login)
	require.NoError(t, err)

	// A web application stores it between two requests.
	data, err := json.Marshal(login)
	require.NoError(t, err)
	var kept Login
	require.NoError(t, json.Unmarshal(data, &kept))
	require.Equal(t, *login, kept)

	for _, callback := range []url.Values{
		{"state": {login.State}, "code": {"the code"}},
		{"state": {login.State}, "code": {"the code"}, "iss": {"https://auth.example.com"}, "session_state": {"x", "y"}},
	} {
		grant, err := kept.Grant(callback)
		require.NoError(t, err)
		assert.Equal(t, Grant{
			Scopes: []string{"a"}, Code: &AuthorizationCode{"the code", "https://app.example.com/cb", login.CodeVerifier},
		}, grant)
		assert.NoError(t, grant.check(e.vendor))
	}
}

func TestLoginGrantRefuses(t *testing.T) {
	known := Login{RedirectURI: "https://app.example.com/cb", State: "st", CodeVerifier: GenerateVerifier(), Issuer: "https://a.example.com"}
	required := known
	required.IssuerRequired = true
	noVerifier := known
	noVerifier.CodeVerifier = ""
	var none *Login
	tests := []struct {
		name     string
		login    *Login
		callback url.Values
		want     string
	}{
		{"nil", none, url.Values{}, "Login.State is empty; pass the Login that AuthorizationURL was called with"},
		{"a zero Login", &Login{}, url.Values{"state": {""}, "code": {"c"}}, "Login.State is empty; pass the Login that AuthorizationURL was called with"},
		{"no verifier", &noVerifier, url.Values{"state": {"st"}, "code": {"c"}}, "Login.CodeVerifier is missing, but the authorization request had a code challenge; pass the Login that AuthorizationURL was called with"},
		{"no state", &known, url.Values{"code": {"c"}}, "the callback is of another login: its state differs"},
		{"another state", &known, url.Values{"state": {"sT"}, "code": {"c"}}, "the callback is of another login: its state differs"},
		{"two states", &known, url.Values{"state": {"st", "st"}, "code": {"c"}}, "the callback has state twice"},
		{"two codes", &known, url.Values{"state": {"st"}, "code": {"c", "d"}}, "the callback has code twice"},
		{"another issuer", &known, url.Values{"state": {"st"}, "code": {"c"}, "iss": {"https://b.example.com"}}, `the callback is of the issuer "https://b.example.com" and not of "https://a.example.com" (RFC 9207)`},
		{"another issuer's error", &known, url.Values{"state": {"st"}, "error": {"access_denied"}, "iss": {"https://a.example.com/"}}, `the callback is of the issuer "https://a.example.com/" and not of "https://a.example.com" (RFC 9207)`},
		{"no issuer", &required, url.Values{"state": {"st"}, "code": {"c"}}, "the callback does not name its issuer, which https://a.example.com always does (RFC 9207)"},
		{"no code", &known, url.Values{"state": {"st"}}, "the callback has neither a code nor an error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			grant, err := tt.login.Grant(tt.callback)
			assert.Zero(t, grant)
			assert.EqualError(t, err, "tokens: login: "+tt.want)
		})
	}

	_, err := known.Grant(url.Values{"state": {"st"}, "error": {"access_denied"}, "error_description": {"no\n\x1b[1mthanks"}})
	require.ErrorIs(t, err, AccessDenied)
	assert.EqualError(t, err, "tokens: login: the server refused it: access_denied: no [1mthanks")
}

func TestLoginPrintsRedacted(t *testing.T) {
	login := Login{RedirectURI: "https://app.example.com/cb", State: "CANARY-state", CodeVerifier: "CANARY-verifier"}
	for _, v := range []any{login, &login, []Login{login}, map[string]Login{"l": login}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			assert.NotContains(t, fmt.Sprintf(verb, v), "CANARY")
		}
	}
	assert.NotContains(t, login.LogValue().String(), "CANARY")
}

func TestGenerateVerifier(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		v := GenerateVerifier()
		assert.True(t, isVerifier(v), v)
		seen[v] = true
	}
	assert.Len(t, seen, 100)
	for v, want := range map[string]bool{
		strings.Repeat("a", 42): false, strings.Repeat("a", 43): true, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false,
		strings.Repeat("a", 42) + "+": false, strings.Repeat("a", 42) + "é": false, strings.Repeat("~", 43): true, "": false,
	} {
		assert.Equal(t, want, isVerifier(v), v)
	}
}
