package interop

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/require"
)

// redirectURI is where the servers redirect users. Nothing listens there: the tests read the redirect itself.
const redirectURI = "http://127.0.0.1:9/callback"

// A witness is a running server.
type witness struct {
	issuer           string // "" if the server has no metadata
	tokenURL         string
	revocationURL    string // "" if it has no revocation
	authorizationURL string // "" if there are no logins
	// user completes the login pages at authorizationURL, and returns the query of the callback.
	user func(t *testing.T, authorizationURL string) url.Values
	// web is a client that may use everything, app one that may use client_credentials.
	web, app tokens.Credentials
	webStyle tokens.AuthStyle
	// other is a second client like web, whose tokens web cannot revoke.
	other tokens.Credentials
	// narrow is a client that may not use client_credentials. It is zero if there is none.
	narrow tokens.Credentials
	// refusal is the error of a login without a page (prompt=none).
	refusal tokens.Code
	// asserting is a client like web that authenticates with assertions signed with clientKey; "" if there is none.
	asserting string
	// audience is the only audience that the server accepts; "" if it accepts the one that Endpoint passes.
	audience string
	scopes   []string // the scopes of a login with a refresh token
	// odd are clients whose ids and secrets are hard to encode.
	odd []tokens.Credentials
	// reuseKills is true if the server ends a session whose refresh token is presented twice.
	reuseKills bool
}

// witnesses are the servers, by name.
var witnesses = map[string]struct {
	start  func(t *testing.T) *witness
	styles []tokens.AuthStyle // supported by the server
}{
	"fosite":             {startFosite, []tokens.AuthStyle{tokens.AuthStyleBasic, tokens.AuthStyleBody}},
	"go-oauth2":          {startGoOAuth2, []tokens.AuthStyle{tokens.AuthStyleBasicUnencoded}},
	"go-oauth2 form":     {startGoOAuth2Form, []tokens.AuthStyle{tokens.AuthStyleBody}},
	"zitadel":            {startZitadel, []tokens.AuthStyle{tokens.AuthStyleBasic, tokens.AuthStyleBody}},
	"oidc-provider":      {startOIDCProvider, []tokens.AuthStyle{tokens.AuthStyleBasic}},
	"hydra":              {startHydra, []tokens.AuthStyle{tokens.AuthStyleBasic}},
	"oauth2-mock-server": {startMockServer, []tokens.AuthStyle{tokens.AuthStyleBasic, tokens.AuthStyleBody}},
}

func eachWitness(t *testing.T, test func(t *testing.T, w *witness, styles []tokens.AuthStyle)) {
	t.Helper()
	for name, w := range witnesses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w.start(t), w.styles)
		})
	}
}

// oddCredentials are ids and secrets with characters that some encoding treats specially.
var oddCredentials = []tokens.Credentials{
	{ClientID: "plain", ClientSecret: "secret"},
	{ClientID: "plus+id", ClientSecret: "one+two"},
	{ClientID: "percent%id", ClientSecret: "100%25"},
	{ClientID: "space id", ClientSecret: "two words"},
	{ClientID: "colon", ClientSecret: "one:two:three"},
	{ClientID: "amp&id", ClientSecret: "one&two=three"},
	{ClientID: "star*~id", ClientSecret: "star*~*~"},
	{ClientID: "slash/?#", ClientSecret: `slash/?#\"`},
}

// endpoint returns an Endpoint of w.
func (w *witness) endpoint(t *testing.T, creds tokens.Credentials, style tokens.AuthStyle, client *http.Client) *tokens.Endpoint {
	t.Helper()
	e, err := tokens.NewEndpoint(w.tokenURL, creds, &tokens.EndpointOptions{
		RevocationURL: w.revocationURL, AuthorizationURL: w.authorizationURL, Issuer: w.issuer, AuthStyle: style, HTTPClient: client,
	})
	require.NoError(t, err)
	return e
}

// login logs a user in with authorization code and PKCE.
func (w *witness) login(t *testing.T, e *tokens.Endpoint) *tokens.Token {
	t.Helper()
	login := &tokens.Login{RedirectURI: redirectURI, Scopes: w.scopes, Params: url.Values{"prompt": {"consent"}}}
	at, err := e.AuthorizationURL(t.Context(), login)
	require.NoError(t, err)
	grant, err := login.Grant(w.user(t, at))
	require.NoError(t, err)
	token, err := e.Exchange(t.Context(), grant)
	require.NoError(t, err)
	require.NotEmpty(t, token.RefreshToken)
	return token
}

// browser follows redirects like a browser, until the redirect URI.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(req.URL.String(), redirectURI) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// callback returns the query of the redirect to the redirect URI.
func callback(t *testing.T, resp *http.Response, err error) url.Values {
	t.Helper()
	require.NoError(t, err)
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	at, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(at.String(), redirectURI), "%s %s\n%s", resp.Status, at, body)
	return at.Query()
}

// redirects is a user for a server without pages, which redirects at once.
func redirects(t *testing.T, authorizationURL string) url.Values {
	t.Helper()
	resp, err := browser(t).Get(authorizationURL)
	return callback(t, resp, err)
}

// counting counts how often each refresh token is presented.
type counting struct {
	base http.RoundTripper

	mu        sync.Mutex
	presented map[string]int
	requests  int
}

func (c *counting) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.GetBody != nil || req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		_ = req.Body.Close()
		again := req.Clone(req.Context())
		again.Body = io.NopCloser(strings.NewReader(string(body)))
		req = again
		form, _ := url.ParseQuery(string(body))
		c.mu.Lock()
		c.requests++
		if refresh := form.Get("refresh_token"); refresh != "" {
			if c.presented == nil {
				c.presented = make(map[string]int)
			}
			c.presented[refresh]++
		}
		c.mu.Unlock()
	}
	return c.base.RoundTrip(req)
}

// serve serves the handler that is made for its URL.
func serve(t *testing.T, handler func(url string) http.Handler) string {
	t.Helper()
	var h http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	h = handler(server.URL)
	return server.URL
}

func random() string {
	data := make([]byte, 24)
	_, _ = rand.Read(data)
	return base64.RawURLEncoding.EncodeToString(data)
}
