package tokens

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestThousandEyesRefuses(t *testing.T) {
	for _, baseURL := range []string{"https://api.thousandeyes.com/v7", "https://api.thousandeyes.com/v7/", "https://gateway.example.com/te/v7//"} {
		e, err := NewThousandEyes(testCredentials, &ThousandEyesOptions{BaseURL: baseURL})
		assert.Nil(t, e)
		assert.EqualError(t, err, "tokens: ThousandEyes: BaseURL must not end in /v7; the path of the token endpoint has it")
	}
	_, err := NewThousandEyes(testCredentials, &ThousandEyesOptions{BaseURL: "https://api.thousandeyes.com/v7/oauth2/token/"})
	assert.EqualError(t, err, "tokens: ThousandEyes: BaseURL must not end in /v7/oauth2/token, which is appended to it; use https://api.thousandeyes.com")
	e, err := NewThousandEyes(testCredentials, &ThousandEyesOptions{TenantID: "a\nb"})
	assert.Nil(t, e)
	assert.EqualError(t, err, "tokens: ThousandEyes: TenantID has a control character")
}

// The user's token is a form field and never a header.
func TestThousandEyesOnBehalfOfAUser(t *testing.T) {
	for _, style := range []AuthStyle{AuthStyleBody, AuthStyleBasic} {
		s := newScript(reply(200, jsonType, tokenReply))
		e, err := NewThousandEyes(testCredentials, &ThousandEyesOptions{HTTPClient: s.client(), AuthStyle: style})
		require.NoError(t, err)
		_, err = e.Exchange(t.Context(), Grant{UserToken: "user-token"})
		require.NoError(t, err)
		assert.Contains(t, s.only(t).Body, "&thousandeyes_bearer_token=user-token")
		for name, values := range s.only(t).Header {
			assert.NotContains(t, strings.Join(values, " "), "user-token", name)
		}
	}
}

func TestMoovRefuses(t *testing.T) {
	for _, origin := range []string{
		"www.example.com", "https://www.example.com/", "https://www.example.com/pay", "https://a@www.example.com",
		"https://www.example.com?q", "https://www.example.com#f", "ftp://www.example.com", "https://", "null", "https://a\nb", " https://a",
	} {
		e, err := NewMoov(testCredentials, &MoovOptions{Origin: origin})
		assert.Nil(t, e)
		assert.EqualError(t, err, "tokens: Moov: Origin must be scheme and host alone, such as https://www.example.com", origin)
	}
	for _, path := range []string{"/oauth2/token", "/oauth2/revoke"} {
		_, err := NewMoov(testCredentials, &MoovOptions{BaseURL: "https://api.moov.io" + path})
		assert.EqualError(t, err, "tokens: Moov: BaseURL must not end in "+path+", which is appended to it; use https://api.moov.io")
	}
	e, err := NewMoov(testCredentials, &MoovOptions{APIVersion: "v1\r\nX: y"})
	assert.Nil(t, e)
	assert.EqualError(t, err, "tokens: Moov: APIVersion has a control character")
	_, err = NewMoov(testCredentials, &MoovOptions{APIVersion: "v1\r\nX: y", Origin: "https://www.example.com"})
	assert.EqualError(t, err, "tokens: Moov: APIVersion has a control character")
}

func TestMoovOriginReplacesTheHeader(t *testing.T) {
	s := newScript(reply(200, jsonType, tokenReply))
	e, err := NewMoov(testCredentials, &MoovOptions{
		HTTPClient: s.client(), Origin: "http://www.example.com:8080", Header: http.Header{"origin": {"https://old.example.com"}},
	})
	require.NoError(t, err)
	_, err = e.Exchange(t.Context(), vendorCases[1].grant)
	require.NoError(t, err)
	assert.Equal(t, []string{"http://www.example.com:8080"}, s.only(t).Header["Origin"])
}

func TestSailPointHosts(t *testing.T) {
	tests := []struct {
		name, tenant string
		opts         SailPointOptions
		want         string
	}{
		{"production", "acme", SailPointOptions{}, "https://acme.api.identitynow.com/oauth/token"},
		{"production by name", "acme", SailPointOptions{Domain: SailPointProduction}, "https://acme.api.identitynow.com/oauth/token"},
		{"demo", "acme", SailPointOptions{Domain: SailPointDemo}, "https://acme.api.identitynow-demo.com/oauth/token"},
		{"FedRAMP", "acme", SailPointOptions{Domain: SailPointFedRAMP}, "https://acme.api.saas.sailpointfedramp.com/oauth/token"},
		{"another domain", "acme", SailPointOptions{Domain: "example.com"}, "https://acme.api.example.com/oauth/token"},
		{"vanity", "", SailPointOptions{BaseURL: "https://identity.example.com"}, "https://identity.example.com/oauth/token"},
		{"the API's host of a tenant", "", SailPointOptions{BaseURL: "https://acme.api.identitynow.com"}, "https://acme.api.identitynow.com/oauth/token"},
		{"a host that names no tenant", "", SailPointOptions{BaseURL: "https://api.identitynow.com"}, "https://api.identitynow.com/oauth/token"},
		{"a name like a version", "", SailPointOptions{BaseURL: "https://v3.example.com/beta-gateway"}, "https://v3.example.com/beta-gateway/oauth/token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(reply(200, jsonType, tokenReply))
			tt.opts.HTTPClient = s.client()
			e, err := NewSailPoint(tt.tenant, testCredentials, &tt.opts)
			require.NoError(t, err)
			_, err = e.Exchange(t.Context(), Grant{})
			require.NoError(t, err)
			assert.Equal(t, tt.want, s.only(t).URL)
			assert.Equal(t, strings.TrimSuffix(tt.want, "/oauth/token"), e.BaseURL())
			host := strings.Split(tt.want, "/")[2]
			assert.Equal(t, "tokens.Endpoint(SailPoint "+cmp.Or(tt.tenant, host)+")", fmt.Sprint(e))
		})
	}
}

func TestSailPointRefuses(t *testing.T) {
	version := "BaseURL must not have an API version; the token endpoint has none"
	tests := []struct {
		tenant string
		opts   SailPointOptions
		want   string
	}{
		{"", SailPointOptions{}, "the tenant is empty; pass its name, or set BaseURL"},
		{"acme.example.com/", SailPointOptions{}, `the tenant "acme.example.com/" is not a valid name; pass the part of the API's host before .api.identitynow.com`},
		{"evil.example.com#", SailPointOptions{Domain: SailPointDemo}, `the tenant "evil.example.com#" is not a valid name; pass the part of the API's host before .api.identitynow-demo.com`},
		{"-acme", SailPointOptions{}, `the tenant "-acme" is not a valid name; pass the part of the API's host before .api.identitynow.com`},
		{strings.Repeat("a", 64), SailPointOptions{}, `the tenant "` + strings.Repeat("a", 64) + `" is not a valid name; pass the part of the API's host before .api.identitynow.com`},
		{"acme", SailPointOptions{Domain: "example.com/x"}, `Domain "example.com/x" is not a valid domain; use SailPointProduction, SailPointDemo or SailPointFedRAMP`},
		{"acme", SailPointOptions{Domain: "localhost"}, `Domain "localhost" is not a valid domain; use SailPointProduction, SailPointDemo or SailPointFedRAMP`},
		{"acme", SailPointOptions{BaseURL: "https://acme.api.identitynow.com"}, "the tenant and BaseURL are both set; pass an empty tenant, or leave BaseURL empty"},
		{"", SailPointOptions{BaseURL: "https://acme.api.identitynow.com", Domain: SailPointDemo}, "Domain and BaseURL are both set; leave one empty"},
		{"acme", SailPointOptions{Domain: "api.identitynow.com"}, "Domain must not begin with api., which is put before it; use identitynow.com"},
		{"acme", SailPointOptions{Domain: "login.sailpoint.com"}, "Domain login.sailpoint.com is that of the login pages; use SailPointProduction"},
		{"", SailPointOptions{BaseURL: "https://acme.identitynow.com"}, "BaseURL https://acme.identitynow.com is that of the user interface; the API is at https://acme.api.identitynow.com"},
		{"", SailPointOptions{BaseURL: "https://ACME.identitynow-demo.com/ui"}, "BaseURL https://ACME.identitynow-demo.com is that of the user interface; the API is at https://acme.api.identitynow-demo.com"},
		{"", SailPointOptions{BaseURL: "https://acme.saas.sailpointfedramp.com"}, "BaseURL https://acme.saas.sailpointfedramp.com is that of the user interface; the API is at https://acme.api.saas.sailpointfedramp.com"},
		{"", SailPointOptions{BaseURL: "https://acme.login.sailpoint.com"}, "BaseURL https://acme.login.sailpoint.com is that of the user interface; the API is at https://acme.api.identitynow.com"},
		{"", SailPointOptions{BaseURL: "https://acme.api.identitynow.com/oauth/token"}, "BaseURL must not end in /oauth/token, which is appended to it; use https://acme.api.identitynow.com"},
		{"", SailPointOptions{BaseURL: "https://acme.api.identitynow.com/oauth-clients"}, "BaseURL must not end in /oauth-clients, which is appended to it; use https://acme.api.identitynow.com"},
		{"", SailPointOptions{BaseURL: "https://acme.api.identitynow.com/v3/oauth-clients"}, version},
		{"acme", SailPointOptions{AuthorizationURL: "/oauth/authorize"}, "AuthorizationURL /oauth/authorize is not absolute; write https://host/path"},
		{"", SailPointOptions{BaseURL: "https://acme.api.identitynow.com/beta"}, version},
		{"", SailPointOptions{BaseURL: "https://acme.api.identitynow.com/v3/"}, version},
		{"", SailPointOptions{BaseURL: "https://acme.api.identitynow.com/v2024"}, version},
		{"", SailPointOptions{BaseURL: "https://acme.api.identitynow.com/latest//"}, version},
	}
	for _, tt := range tests {
		e, err := NewSailPoint(tt.tenant, testCredentials, &tt.opts)
		assert.Nil(t, e)
		assert.EqualError(t, err, "tokens: SailPoint: "+tt.want)
	}
}
