package tokens

import (
	"errors"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What is wrong with a grant is said before anything is sent, and before the credentials are asked for.
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
		{moov, "an empty scope", Grant{Scopes: []string{""}}, `Grant.Scopes: "" is not one scope (RFC 6749, section 3.3)`, false},
		{sailPoint, "an empty scope among others", Grant{Scopes: []string{"a", ""}}, `Grant.Scopes: "" is not one scope (RFC 6749, section 3.3)`, false},
		{
			thousandEyes, "a reserved name", Grant{Params: url.Values{"grant_type": {"password"}}},
			"Grant.Params: grant_type is set by the SDK; use the other members or the options", false,
		},
		{
			moov, "a repeated field", Grant{Scopes: scopes, Params: url.Values{"prompt": {"a", "b"}}},
			"Grant.Params: prompt has 2 values, and a field must not be repeated (RFC 6749, section 3.2)", false,
		},
		{moov, "no name", Grant{Scopes: scopes, Params: url.Values{"": {"x"}}}, "Grant.Params has a field without a name", false},
	}
	for _, tt := range tests {
		t.Run(tt.vendor.name+"/"+tt.name, func(t *testing.T) {
			s := newScript(reply(200, jsonType, tokenReply))
			token, err := tt.vendor.endpoint(t, s).Exchange(t.Context(), tt.grant)
			assert.Nil(t, token)
			assert.EqualError(t, err, "tokens: "+tt.vendor.name+": "+tt.want)
			assert.Equal(t, tt.unsupported, errors.Is(err, errors.ErrUnsupported))
			assert.Empty(t, s.requests())
		})
	}
}

func TestGrantReservedNames(t *testing.T) {
	for _, name := range []string{
		"grant_type", "scope", "refresh_token", "client_id", "client_secret", "thousandeyes_bearer_token", "token", "token_type_hint",
	} {
		for _, v := range vendorCases {
			s := newScript(reply(200, jsonType, tokenReply))
			_, err := v.endpoint(t, s).Exchange(t.Context(), Grant{Scopes: []string{"a"}, Params: url.Values{name: {"x"}}})
			assert.ErrorContains(t, err, name+" is set by the SDK")
			assert.Empty(t, s.requests())
		}
	}
}

// The characters of a scope are those of RFC 6749 section 3.3.
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
			assert.ErrorContains(t, err, "is not one scope", "%q", scope)
			assert.Empty(t, s.requests())
		}
	}
}
