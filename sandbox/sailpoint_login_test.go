package sandbox_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/sandbox"
)

const (
	callback = "http://127.0.0.1:4711/callback"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	issuer   = "https://vendor.example"
)

func challenge() string {
	digest := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

// authorizationRequest returns a request of the public client. Additional parameters, given as name, value, name,
// value, replace its own; empty ones are removed.
func authorizationRequest(params ...string) url.Values {
	q := url.Values{
		"response_type": {"code"}, "client_id": {sandbox.PublicClientID}, "redirect_uri": {callback}, "state": {"st&te"},
		"code_challenge": {challenge()}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(params); i += 2 {
		q.Set(params[i], params[i+1])
		if params[i+1] == "" {
			q.Del(params[i])
		}
	}
	return q
}

// visit sends a user to the authorization page, and returns the parameters of the redirect.
func visit(t *testing.T, h http.Handler, q url.Values) url.Values {
	t.Helper()
	got := send(t, h, http.MethodGet, "/oauth/authorize", "", "", query(q.Encode()))
	require.Equal(t, 302, got.status, got.body)
	assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
	to, err := url.Parse(got.header.Get("Location"))
	require.NoError(t, err)
	back := to.Query()
	to.RawQuery = ""
	assert.Equal(t, q.Get("redirect_uri"), to.String())
	assert.Equal(t, issuer, back.Get("iss"))
	assert.Equal(t, q.Get("state"), back.Get("state"))
	return back
}

// exchangeCode returns a token request of the public client.
func exchangeCode(code string, fields ...string) []string {
	return append([]string{"client_id", sandbox.PublicClientID, "grant_type", "authorization_code", "code", code}, fields...)
}

func login(t *testing.T, h http.Handler, params ...string) reply {
	t.Helper()
	back := visit(t, h, authorizationRequest(params...))
	require.Empty(t, back.Get("error"))
	got := sendForm(t, h, "/oauth/token", exchangeCode(back.Get("code"), "redirect_uri", callback, "code_verifier", verifier))
	require.Equal(t, 200, got.status, got.body)
	return got
}

func TestLogin(t *testing.T) {
	h := sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true})
	got := login(t, h)
	assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
	assert.Equal(t, "sandbox-user", got.text(t, "identity_id"))
	assert.Equal(t, "sp:scopes:all", got.text(t, "scope"))
	assert.Equal(t, "OFFLINE", got.text(t, "accessType"))
	assertStatus(t, 200, send(t, h, http.MethodGet, clients, "", "", bearer(got.text(t, "access_token"))))

	assert.NotEmpty(t, visit(t, h, authorizationRequest("redirect_uri", "http://localhost:4711/callback")).Get("code"))

	narrow := login(t, h, "scope", "sp:oauth-client:read", "login_hint", "user-7", "state", "")
	assert.Equal(t, "user-7", narrow.text(t, "identity_id"))
	assert.Equal(t, "sp:oauth-client:read", narrow.text(t, "scope"))
	narrow = sendForm(t, h, "/oauth/token", []string{
		"client_id", sandbox.PublicClientID, "grant_type", "refresh_token", "refresh_token", narrow.text(t, "refresh_token")})
	assert.Equal(t, "user-7", narrow.text(t, "identity_id"), "a refresh keeps the user")
	assert.Equal(t, "sp:oauth-client:read", narrow.text(t, "scope"), "a refresh keeps the granted scopes")
}

func TestLoginOfConfidentialClients(t *testing.T) {
	h := sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true})
	for _, tt := range []struct {
		id, redirectURI string
		pkce            bool
	}{
		{sandbox.ClientID, callback, true},
		{sandbox.ClientID, "http://[::1]:1/callback", false},
		{sandbox.SampleClientID, "http://localhost:12345", true},
		{sandbox.SampleClientID, "", false}, // it has a secret
	} {
		q := url.Values{"response_type": {"code"}, "client_id": {tt.id}}
		fields := []string{"grant_type", "authorization_code"}
		if tt.pkce {
			q.Set("code_challenge", challenge())
			q.Set("code_challenge_method", "S256")
			fields = append(fields, "code_verifier", verifier)
		}
		if tt.redirectURI != "" {
			q.Set("redirect_uri", tt.redirectURI)
			fields = append(fields, "redirect_uri", tt.redirectURI)
		}
		got := send(t, h, http.MethodGet, "/oauth/authorize", "", "", query(q.Encode()))
		require.Equal(t, 302, got.status, got.body)
		to, err := url.Parse(got.header.Get("Location"))
		require.NoError(t, err)
		fields = append(fields, "code", to.Query().Get("code"))
		assertStatus(t, 401, sendForm(t, h, "/oauth/token", append([]string{"client_id", tt.id}, fields...)))
		got = sendForm(t, h, "/oauth/token", fields, basic(tt.id, sandbox.ClientSecret))
		assertStatus(t, 200, got)
		assert.NotEmpty(t, got.text(t, "refresh_token"))
	}
}

func TestLoginOfPublicOAuthClient(t *testing.T) {
	h := sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true, OAuthClients: []sailpoint.OAuthClient{{
		ID: "app", Type: sailpoint.ClientTypePublic, Enabled: true, RedirectURIs: []string{callback},
		GrantTypes: []sailpoint.GrantType{sailpoint.GrantTypeAuthorizationCode}}}})
	bare := visit(t, h, authorizationRequest("client_id", "app", "code_challenge", "", "code_challenge_method", ""))
	assert.Equal(t, "code_challenge is required of a client without a secret", bare.Get("error_description"))
	code := visit(t, h, authorizationRequest("client_id", "app")).Get("code")
	got := sendForm(t, h, "/oauth/token", []string{
		"client_id", "app", "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier})
	assertStatus(t, 200, got)
	assert.NotContains(t, got.body, "refresh_token")
}

// A login gets a refresh token only with the grant and offline access. It lives as long as the client says.
func TestRefreshTokensOfOAuthClients(t *testing.T) {
	const login, refresh, machine = sailpoint.GrantTypeAuthorizationCode, sailpoint.GrantTypeRefreshToken, sailpoint.GrantTypeClientCredentials
	for _, tt := range []struct {
		name   string
		access sailpoint.AccessType
		grants []sailpoint.GrantType
		want   bool
	}{
		{"offline", sailpoint.AccessTypeOffline, []sailpoint.GrantType{login, refresh}, true},
		{"online", sailpoint.AccessTypeOnline, []sailpoint.GrantType{login, refresh}, false},
		{"without the grant", sailpoint.AccessTypeOffline, []sailpoint.GrantType{login}, false},
		{"without logins", sailpoint.AccessTypeOffline, []sailpoint.GrantType{machine, refresh}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := sandbox.NewSailPoint(&sandbox.SailPointOptions{OAuthClients: []sailpoint.OAuthClient{{
				ID: "app", AccessType: tt.access, GrantTypes: tt.grants, RefreshTokenValiditySeconds: 60}}})
			refresh := h.Issue(sandbox.Token{ClientID: "app"}).RefreshToken
			assert.Equal(t, tt.want, refresh != "", tt.name)
			if tt.want {
				pass(time.Minute - time.Nanosecond)
				_, ok := h.Lookup(refresh)
				assert.True(t, ok)
				pass(time.Nanosecond)
				_, ok = h.Lookup(refresh)
				assert.False(t, ok)
			}
		})
	}
}

func TestAuthorizationErrorsThatGoBack(t *testing.T) {
	seed := sailpoint.OAuthClient{ID: "no-login", Enabled: true, RedirectURIs: []string{callback},
		GrantTypes: []sailpoint.GrantType{sailpoint.GrantTypeClientCredentials}}
	h := sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true, OAuthClients: []sailpoint.OAuthClient{seed}, Clients: []sandbox.Client{
		{ID: sandbox.PublicClientID, Public: true, Scopes: []string{"a"}, RedirectURIs: []string{"http://127.0.0.1/callback"}}}})
	doubled := authorizationRequest()
	doubled.Add("state", "another")
	for name, tt := range map[string]struct {
		q    url.Values
		want string
	}{
		"no response type":    {authorizationRequest("response_type", ""), "invalid_request"},
		"implicit":            {authorizationRequest("response_type", "token"), "unsupported_response_type"},
		"grant not had":       {authorizationRequest("client_id", "no-login"), "unauthorized_client"},
		"no challenge":        {authorizationRequest("code_challenge", "", "code_challenge_method", ""), "invalid_request"},
		"method alone":        {authorizationRequest("code_challenge", ""), "invalid_request"},
		"plain by default":    {authorizationRequest("code_challenge_method", ""), "invalid_request"},
		"plain":               {authorizationRequest("code_challenge_method", "plain"), "invalid_request"},
		"verifier as is":      {authorizationRequest("code_challenge", "too-short"), "invalid_request"},
		"short challenge":     {authorizationRequest("code_challenge", "YWJj"), "invalid_request"},
		"padded challenge":    {authorizationRequest("code_challenge", challenge()+"="), "invalid_request"},
		"scope not had":       {authorizationRequest("scope", "b"), "invalid_scope"},
		"scope malformed":     {authorizationRequest("scope", "a  a"), "invalid_scope"},
		"state doubled":       {doubled, "invalid_request"},
		"unknown, and strict": {authorizationRequest("prompt", "login"), "invalid_request"},
	} {
		back := visit(t, h, tt.q)
		assert.Equal(t, tt.want, back.Get("error"), name)
		assert.NotEmpty(t, back.Get("error_description"), name)
		assert.Empty(t, back.Get("code"), name)
	}
	assert.NotEmpty(t, visit(t, h, authorizationRequest("scope", "a")).Get("code"), "a scope that the client has")
	h.RefuseLogins("access_denied")
	assert.Equal(t, "access_denied", visit(t, h, authorizationRequest()).Get("error"))
	h.RefuseLogins("")
	assert.NotEmpty(t, visit(t, h, authorizationRequest()).Get("code"))
	unknown := authorizationRequest("prompt", "login")
	unknown.Add("prompt", "consent")
	assert.NotEmpty(t, visit(t, sandbox.NewSailPoint(nil), unknown).Get("code"), "an unknown parameter is ignored unless strict")
}

// An authorization page must not redirect to an unregistered address, which could be an attacker's.
func TestAuthorizationErrorsThatStay(t *testing.T) {
	h := sandbox.NewSailPoint(&sandbox.SailPointOptions{OAuthClients: []sailpoint.OAuthClient{
		{ID: "disabled", RedirectURIs: []string{callback}, GrantTypes: []sailpoint.GrantType{sailpoint.GrantTypeAuthorizationCode}}}})
	doubledClient, doubledURI := authorizationRequest(), authorizationRequest()
	doubledClient.Add("client_id", sandbox.PublicClientID)
	doubledURI.Add("redirect_uri", callback)
	for name, q := range map[string]url.Values{
		"no client":       authorizationRequest("client_id", ""),
		"unknown client":  authorizationRequest("client_id", "nobody"),
		"disabled client": authorizationRequest("client_id", "disabled"),
		"no redirect URI": authorizationRequest("redirect_uri", ""),
		"other host":      authorizationRequest("redirect_uri", "http://127.0.0.2:4711/callback"),
		"host's end":      authorizationRequest("redirect_uri", "http://127.0.0.1.example.com/callback"),
		"user":            authorizationRequest("redirect_uri", "http://x@127.0.0.1/callback"),
		"https":           authorizationRequest("redirect_uri", "https://127.0.0.1/callback"),
		"other path":      authorizationRequest("redirect_uri", "http://127.0.0.1:4711/callback/more"),
		"with a query":    authorizationRequest("redirect_uri", "http://127.0.0.1:4711/callback?x=y"),
		"with a fragment": authorizationRequest("redirect_uri", "http://127.0.0.1:4711/callback#x"),
		"malformed":       authorizationRequest("redirect_uri", "http://127.0.0.1:x/callback"),
		"doubled client":  doubledClient,
		"doubled URI":     doubledURI,
	} {
		got := send(t, h, http.MethodGet, "/oauth/authorize", "", "", query(q.Encode()))
		assert.Equal(t, 400, got.status, name)
		assert.Empty(t, got.header.Get("Location"), name)
	}
	assertStatus(t, 400, send(t, h, http.MethodGet, "/oauth/authorize", "", "", query("client_id=%zz")))
	assertStatus(t, 400, send(t, h, http.MethodGet, "/oauth/authorize", "", "", query(authorizationRequest().Encode()+"&x=%zz")))
	assertStatus(t, 405, send(t, h, http.MethodPost, "/oauth/authorize", formType, authorizationRequest().Encode()))
	registered := sandbox.Client{ID: sandbox.PublicClientID, Public: true, RedirectURIs: []string{
		"https://app.example.com/callback", "http://app.example.com/callback", "https://127.0.0.1/callback"}}
	h = sandbox.NewSailPoint(&sandbox.SailPointOptions{Clients: []sandbox.Client{registered}})
	for _, otherPort := range []string{"https://app.example.com:444/callback", "http://app.example.com:8080/callback", "https://127.0.0.1:444/callback"} {
		assertStatus(t, 400, send(t, h, http.MethodGet, "/oauth/authorize", "", "", query(authorizationRequest("redirect_uri", otherPort).Encode())))
	}
	assert.NotEmpty(t, visit(t, h, authorizationRequest("redirect_uri", "https://app.example.com/callback")).Get("code"))
	const malformed = "https://app.example.com:port/callback"
	h = sandbox.NewSailPoint(&sandbox.SailPointOptions{Clients: []sandbox.Client{{ID: sandbox.PublicClientID, RedirectURIs: []string{malformed}}}})
	got := send(t, h, http.MethodGet, "/oauth/authorize", "", "", query(authorizationRequest("redirect_uri", malformed).Encode()))
	assertStatus(t, 400, got)
	assert.Equal(t, "This login cannot go on: the redirect URI is malformed.\n", got.body)
	got = send(t, h, http.MethodGet, "/oauth/authorize", "", "", query(authorizationRequest().Encode()))
	assert.Equal(t, "This login cannot go on: the redirect URI is not registered.\n", got.body)
}

func TestCodesThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true})
		code := func(params ...string) string { return visit(t, h, authorizationRequest(params...)).Get("code") }
		good := []string{"redirect_uri", callback, "code_verifier", verifier}
		expired := code()
		pass(time.Minute)
		for name, tt := range map[string]struct {
			fields []string
			edits  []edit
			want   string
		}{
			"unknown":             {exchangeCode("x", good...), nil, "invalid_grant"},
			"expired":             {exchangeCode(expired, good...), nil, "invalid_grant"},
			"no verifier":         {exchangeCode(code(), good[:2]...), nil, "invalid_grant"},
			"wrong verifier":      {exchangeCode(code(), "redirect_uri", callback, "code_verifier", verifier+"x"), nil, "invalid_grant"},
			"challenge, verified": {exchangeCode(code(), "redirect_uri", callback, "code_verifier", challenge()), nil, "invalid_grant"},
			"no redirect URI":     {exchangeCode(code(), good[2:]...), nil, "invalid_grant"},
			"other redirect URI":  {exchangeCode(code(), "redirect_uri", "http://127.0.0.1:4712/callback", "code_verifier", verifier), nil, "invalid_grant"},
			"other client's":      {exchangeCode(code(), good...)[2:], []edit{basic(sandbox.ClientID, sandbox.ClientSecret)}, "invalid_grant"},
			"wider scope":         {exchangeCode(code("scope", "a"), append(good, "scope", "a b")...), nil, "invalid_scope"},
			"secret":              {exchangeCode(code(), append(good, "client_secret", "x")...), nil, "invalid_client"},
			"no code":             {append(exchangeCode("", good...)[:4], good...), nil, "invalid_request"},
			"no refresh token":    {[]string{"client_id", sandbox.PublicClientID, "grant_type", "refresh_token"}, nil, "invalid_request"},
			"not its own grant":   {[]string{"client_id", sandbox.PublicClientID, "grant_type", "client_credentials"}, nil, "unauthorized_client"},
			"verifier unasked for": {exchangeCode(visit(t, h, authorizationRequest("client_id", sandbox.ClientID, "code_challenge", "", "code_challenge_method", "")).
				Get("code"), good...)[2:], []edit{basic(sandbox.ClientID, sandbox.ClientSecret)}, "invalid_grant"},
		} {
			got := sendForm(t, h, "/oauth/token", tt.fields, tt.edits...)
			assert.Equal(t, tt.want, got.text(t, "error"), "%s: %s", name, got.body)
		}
	})
}

func TestRedirectURIKeepsItsQuery(t *testing.T) {
	registered := sandbox.Client{ID: sandbox.PublicClientID, Public: true, RedirectURIs: []string{"https://app.example.com/callback?app=7"}}
	h := sandbox.NewSailPoint(&sandbox.SailPointOptions{Clients: []sandbox.Client{registered}})
	got := send(t, h, http.MethodGet, "/oauth/authorize", "", "",
		query(authorizationRequest("redirect_uri", "https://app.example.com/callback?app=7").Encode()))
	to, err := url.Parse(got.header.Get("Location"))
	require.NoError(t, err)
	assert.Equal(t, "7", to.Query().Get("app"))
	assert.NotEmpty(t, to.Query().Get("code"))
}

// An expired code is remembered long enough for its second use to count.
func TestUsedCodesAreRememberedForAnHour(t *testing.T) {
	for passed, want := range map[time.Duration]int{time.Hour: 401, time.Hour + time.Minute + time.Nanosecond: 200} {
		synctest.Test(t, func(t *testing.T) {
			h := sandbox.NewSailPoint(nil)
			code := visit(t, h, authorizationRequest()).Get("code")
			exchange := exchangeCode(code, "redirect_uri", callback, "code_verifier", verifier)
			refresh := sendForm(t, h, "/oauth/token", exchange).text(t, "refresh_token")
			pass(passed)
			visit(t, h, authorizationRequest())
			access := h.Rotate(refresh).AccessToken
			assert.Equal(t, "invalid_grant", sendForm(t, h, "/oauth/token", exchange).text(t, "error"))
			assertStatus(t, want, send(t, h, http.MethodGet, clients, "", "", bearer(access)))
		})
	}
}

func TestSecondUseOfACodeRevokesTheFirst(t *testing.T) {
	h := sandbox.NewSailPoint(nil)
	code := visit(t, h, authorizationRequest()).Get("code")
	exchange := exchangeCode(code, "redirect_uri", callback, "code_verifier", verifier)
	access := sendForm(t, h, "/oauth/token", exchange).text(t, "access_token")
	assertStatus(t, 200, send(t, h, http.MethodGet, clients, "", "", bearer(access)))
	assert.Equal(t, "invalid_grant", sendForm(t, h, "/oauth/token", exchange).text(t, "error"))
	assertStatus(t, 401, send(t, h, http.MethodGet, clients, "", "", bearer(access)))
}

func TestSailPointRefreshTokensRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true})
		refresh := func(token string) reply {
			return sendForm(t, h, "/oauth/token", []string{
				"client_id", sandbox.PublicClientID, "grant_type", "refresh_token", "refresh_token", token})
		}
		status := func(r reply) int {
			return send(t, h, http.MethodGet, clients, "", "", bearer(r.text(t, "access_token"))).status
		}
		first, other := login(t, h), login(t, h)
		second := refresh(first.text(t, "refresh_token"))
		assertStatus(t, 200, second)
		assert.NotEqual(t, first.text(t, "refresh_token"), second.text(t, "refresh_token"))
		assert.Equal(t, []int{200, 200}, []int{status(first), status(second)})
		asBearer := send(t, h, http.MethodGet, clients, "", "", bearer(second.text(t, "refresh_token")))
		assertStatus(t, 401, asBearer)
		stolen := sendForm(t, h, "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", second.text(t, "refresh_token")},
			basic(sandbox.ClientID, sandbox.ClientSecret))
		assert.Equal(t, "invalid_grant", stolen.text(t, "error"), "the refresh token belongs to another client")

		// A refresh stays in the family of the first login, which a second use ends.
		assert.Equal(t, "invalid_grant", refresh(first.text(t, "refresh_token")).text(t, "error"))
		assert.Equal(t, []int{401, 401, 200}, []int{status(first), status(second), status(other)})
		assert.Equal(t, "invalid_grant", refresh(second.text(t, "refresh_token")).text(t, "error"))

		pass(24*time.Hour - time.Nanosecond)
		other = refresh(other.text(t, "refresh_token"))
		assertStatus(t, 200, other)
		pass(24 * time.Hour)
		assert.Equal(t, "invalid_grant", refresh(other.text(t, "refresh_token")).text(t, "error"), "expired")
	})
}

func TestClientCredentialsGiveNoRefreshToken(t *testing.T) {
	h := sandbox.NewSailPoint(nil)
	for _, id := range []string{sandbox.ClientID, sandbox.SampleClientID} {
		got := sendForm(t, h, "/oauth/token", []string{"grant_type", "client_credentials"}, basic(id, sandbox.ClientSecret))
		assertStatus(t, 200, got)
		assert.NotContains(t, got.body, "refresh_token")
	}
}

func TestSailPointMetadata(t *testing.T) {
	started := sandbox.Start(t)
	overTLS := httptest.NewTLSServer(sandbox.New())
	t.Cleanup(overTLS.Close)
	for url, client := range map[string]*http.Client{started.URL: started.HTTPClient(), overTLS.URL: overTLS.Client()} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/.well-known/oauth-authorization-server", nil)
		require.NoError(t, err)
		resp, err := client.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		var metadata map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&metadata))
		assert.Equal(t, url, metadata["issuer"])
		assert.Equal(t, url+"/oauth/token", metadata["token_endpoint"])
		assert.Equal(t, true, metadata["authorization_response_iss_parameter_supported"])
		assert.Equal(t, []any{"S256"}, metadata["code_challenge_methods_supported"])
		assert.Equal(t, url+"/oauth/authorize", metadata["authorization_endpoint"])
	}
	info := send(t, sandbox.New(), http.MethodGet, "/oauth/info", "", "")
	assert.Equal(t, issuer+"/oauth/authorize", info.text(t, "authorizeEndpoint"))
	assert.Equal(t, issuer+"/oauth/token", info.text(t, "tokenEndpoint"))
	upperCase := func(r *http.Request) { r.Host = "Vendor.Example" }
	for _, edits := range [][]edit{nil, {upperCase}} {
		inMemory := send(t, sandbox.New(), http.MethodGet, "/.well-known/oauth-authorization-server", "", "", edits...)
		assert.Equal(t, issuer, inMemory.text(t, "issuer"))
	}
}
