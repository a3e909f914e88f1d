package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Errors in a grant are reported before anything is sent, and before the credentials are retrieved.
func TestGrantRefused(t *testing.T) {
	thousandEyes, moov, sailPoint := vendorCases[0], vendorCases[1], vendorCases[2]
	scopes := []string{"/accounts.read"}
	tests := []struct {
		vendor      vendorCase
		name        string
		grant       Grant
		want        string
		unsupported bool
	}{
		{thousandEyes, "refresh", Grant{RefreshToken: "rt"}, "no refresh_token grant: unsupported operation", true},
		{
			moov, "user token", Grant{Scopes: scopes, UserToken: "ut"},
			"Grant.UserToken: only ThousandEyes acts on behalf of a user: unsupported operation", true,
		},
		{
			sailPoint, "user token", Grant{UserToken: "ut"},
			"Grant.UserToken: only ThousandEyes acts on behalf of a user: unsupported operation", true,
		},
		{moov, "no scope", Grant{}, "Grant.Scopes is empty; client_credentials needs at least one, such as /accounts.read", false},
		{moov, "an empty scope", Grant{Scopes: []string{""}}, `Grant.Scopes: "" is not a valid scope (RFC 6749, section 3.3)`, false},
		{sailPoint, "an empty scope among others", Grant{Scopes: []string{"a", ""}}, `Grant.Scopes: "" is not a valid scope (RFC 6749, section 3.3)`, false},
		{
			thousandEyes, "a reserved name", Grant{Params: url.Values{"grant_type": {"password"}}},
			"Grant.Params: grant_type is set by the SDK; use the other members or the options", false,
		},
		{
			moov, "a repeated field", Grant{Scopes: scopes, Params: url.Values{"prompt": {"a", "b"}}},
			"Grant.Params: prompt has 2 values, and a field must not be repeated (RFC 6749, section 3.2)", false,
		},
		{thousandEyes, "a code", Grant{Code: &AuthorizationCode{Code: "c"}}, "no authorization_code grant: unsupported operation", true},
		{moov, "a code", Grant{Code: &AuthorizationCode{Code: "c"}}, "no authorization_code grant: unsupported operation", true},
		{sailPoint, "an extension", Grant{Type: "urn:x:y"}, "no urn:x:y grant: unsupported operation", true},
		{sailPoint, "two types", Grant{RefreshToken: "rt", Code: &AuthorizationCode{Code: "c"}}, "Grant.RefreshToken and Grant.Code are both set; a Grant is of one type", false},
		{sailPoint, "an empty code", Grant{Code: &AuthorizationCode{}}, "Grant.Code.Code is empty", false},
		{sailPoint, "a code with a newline", Grant{Code: &AuthorizationCode{Code: "c\n"}}, "Grant.Code.Code ends in a newline", false},
		{sailPoint, "a redirect with a newline", Grant{Code: &AuthorizationCode{Code: "c", RedirectURI: "https://a\nb"}}, "Grant.Code.RedirectURI has a control character", false},
		{
			sailPoint, "a short verifier", Grant{Code: &AuthorizationCode{Code: "c", CodeVerifier: "short"}},
			"Grant.Code.CodeVerifier is not a valid code verifier; use GenerateVerifier (RFC 7636, section 4.1)", false,
		},
		{moov, "a refresh token with a newline", Grant{RefreshToken: "rt\n"}, "Grant.RefreshToken ends in a newline", false},
		{thousandEyes, "a user token with a newline", Grant{UserToken: "ut\r\n"}, "Grant.UserToken ends in a newline", false},
		{thousandEyes, "a scope with a newline", Grant{Scopes: []string{"a\n"}}, `Grant.Scopes: "a\n" is not a valid scope (RFC 6749, section 3.3)`, false},
		{moov, "no name", Grant{Scopes: scopes, Params: url.Values{"": {"x"}}}, "Grant.Params has a field without a name", false},
	}
	for _, tt := range tests {
		t.Run(tt.vendor.name+"/"+tt.name, func(t *testing.T) {
			s := newScript(reply(200, jsonType, tokenReply))
			token, err := tt.vendor.endpoint(t, s).Exchange(t.Context(), tt.grant)
			assert.Nil(t, token)
			assert.EqualError(t, err, "tokens: "+tt.vendor.label+": "+tt.want)
			assert.Equal(t, tt.unsupported, errors.Is(err, errors.ErrUnsupported))
			assert.Empty(t, s.requests())
		})
	}
}

func TestGrantReservedNames(t *testing.T) {
	for _, name := range []string{
		"grant_type", "scope", "refresh_token", "code", "redirect_uri", "code_verifier", "client_id", "client_secret",
		"client_assertion", "client_assertion_type", "thousandeyes_bearer_token", "token", "token_type_hint",
	} {
		for _, v := range vendorCases {
			s := newScript(reply(200, jsonType, tokenReply))
			_, err := v.endpoint(t, s).Exchange(t.Context(), Grant{Scopes: []string{"a"}, Params: url.Values{name: {"x"}}})
			assert.ErrorContains(t, err, name+" is set by the SDK")
			assert.Empty(t, s.requests())
		}
	}
}

// The characters of a scope, by RFC 6749, section 3.3.
func TestGrantScopeCharacters(t *testing.T) {
	for c := range 256 {
		scope := "a" + string([]byte{byte(c)}) + "b"
		want := c == 0x21 || c >= 0x23 && c <= 0x5b || c >= 0x5d && c <= 0x7e
		s := newScript(reply(200, jsonType, tokenReply))
		_, err := moovOver(t, s).Exchange(t.Context(), Grant{Scopes: []string{scope}})
		if want {
			assert.NoError(t, err, "%q", scope)
			assert.Len(t, s.requests(), 1)
		} else {
			assert.ErrorContains(t, err, "is not a valid scope", "%q", scope)
			assert.Empty(t, s.requests())
		}
	}
}

// The type of an extension grant is a URI, and not a grant type that has a field of its own.
func TestGrantType(t *testing.T) {
	for grantType, want := range map[string]string{
		"urn:ietf:params:oauth:grant-type:jwt-bearer": "",
		"https://example.com/grant":                   "",
		"password":                                    `Grant.Type "password" is not a URI, which names an extension grant (RFC 6749, section 4.5)`,
		"a:b\n":                                       `Grant.Type "a:b\n" is not a URI, which names an extension grant (RFC 6749, section 4.5)`,
		"urn:a\xff":                                   `Grant.Type "urn:a\xff" is not a URI, which names an extension grant (RFC 6749, section 4.5)`,
		"client_credentials":                          "Grant.Type is for extension grants; leave it empty for client_credentials",
		"refresh_token":                               "Grant.Type is for extension grants; set Grant.RefreshToken for refresh_token",
		"authorization_code":                          "Grant.Type is for extension grants; set Grant.Code for authorization_code",
	} {
		s := newScript(reply(200, jsonType, tokenReply))
		e, err := NewEndpoint(tokenURL, testCredentials, &EndpointOptions{HTTPClient: s.client()})
		require.NoError(t, err)
		_, err = e.Exchange(t.Context(), Grant{Type: grantType})
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, "tokens: auth.example.com: "+want)
		assert.Empty(t, s.requests())
	}
}

// A Grant that the caller changes while the credentials are retrieved is sent as it was.
func TestGrantIsCopied(t *testing.T) {
	s := newScript(reply(200, jsonType, tokenReply))
	grant := Grant{Scopes: []string{"a"}, Params: url.Values{"x": {"y"}}}
	e, err := NewMoov(CredentialsFunc(func(context.Context) (Credentials, error) {
		grant.Scopes[0], grant.Params["x"][0], grant.Params["z"] = "changed", "changed", []string{"new"}
		return testCredentials, nil
	}), &MoovOptions{HTTPClient: s.client()})
	require.NoError(t, err)
	token, err := e.Exchange(t.Context(), grant)
	require.NoError(t, err)
	assert.Equal(t, "grant_type=client_credentials&scope=a&x=y", s.only(t).Body)
	assert.Equal(t, []string{"a"}, token.Scopes)
}

func TestAuthorizationCodePrints(t *testing.T) {
	code := AuthorizationCode{Code: "c", RedirectURI: "https://app.example.com/back"}
	assert.Equal(t, "{Code:[REDACTED] RedirectURI:https://app.example.com/back CodeVerifier:}", fmt.Sprint(code))
}
