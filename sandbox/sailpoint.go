package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
)

// SampleClientID is the OAuth client that a SailPoint has by default. It was last used in 2017. With [ClientSecret] it
// gets tokens, by client_credentials and by logins at the authorization page. These tokens do not have the scopes for
// managing clients.
const SampleClientID = "ef38f94347e94562b5bb8424a56397d8"

// PublicClientID is a client of SailPoint without a secret: users log in with authorization_code and PKCE.
const PublicClientID = "sandbox-public-client"

// SailPointOptions are the settings of [NewSailPoint]. The zero value has the defaults.
type SailPointOptions struct {
	// Clients are registered outside the API, like personal access tokens: they get tokens, but are not listed. If nil,
	// they are ClientID with ClientSecret, which has a user and may request any scope, and PublicClientID. Both redirect
	// to /callback on a loopback host.
	Clients []Client

	// OAuthClients exist from the start, in this order. A client gets tokens with its Secret, which is never shown. By
	// default its name is its ID, and it has CLIENT_CREDENTIALS, ONLINE, CONFIDENTIAL and tokens that live for 750 s. If
	// nil, there is one, SampleClientID. If empty but not nil, there is none.
	OAuthClients []sailpoint.OAuthClient

	TokenLife  time.Duration // of Clients' tokens; if not positive, 750 s, for which the response says 749, as the vendor's does
	RateLimit  Limit         // of each client id, including its token requests; the documented limit is 100 requests per 10 s
	Strict     bool          // refuses what RFC 6749 tells servers to ignore
	NoRequests bool          // requests are counted but not kept, for benchmarks
}

// SailPoint serves a tenant of SailPoint Identity Security Cloud:
//
//	GET    /oauth/authorize            authorize
//	POST   /oauth/token                createAccessToken
//	GET    /beta/oauth-clients         listOAuthClients
//	POST   /beta/oauth-clients         createOAuthClient
//	GET    /beta/oauth-clients/{id}    getOAuthClient
//	PATCH  /beta/oauth-clients/{id}    patchOAuthClient
//	DELETE /beta/oauth-clients/{id}    deleteOAuthClient
//
// It serves the same clients under /v3, /v2024, /v2025 and /v2026 and, as a service of its own, at /oauth-clients/v1.
// The vendor's /oauth/info names the authorization page. So does the metadata of RFC 8414 at
// /.well-known/oauth-authorization-server, which the real vendor does not have.
//
// The authorization page logs a user in at once, and redirects with a code, which can be used once, within a minute. A
// client with the refresh_token grant and offline access gets a refresh token for a code, and for nothing else. A
// refresh token, too, can be used once. A second use of a code or refresh token revokes every token from the same
// login.
type SailPoint struct {
	server
	registered   registered
	tokenLife    time.Duration
	oauthClients []*oauthClient // in order of creation
	codes        map[string]*code
	refuseLogins string // an error code; "" allows logins
}

const (
	readClients   = "sp:oauth-client:read"
	manageClients = "sp:oauth-client:manage"
	allScopes     = "sp:scopes:all"
)

// NewSailPoint returns a SailPoint that has issued no tokens. If opts is nil, the defaults are used.
func NewSailPoint(opts *SailPointOptions) *SailPoint {
	if opts == nil {
		opts = &SailPointOptions{}
	}
	callbacks := []string{"http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback"}
	s := &SailPoint{
		registered: newRegistered(opts.Clients,
			Client{ID: ClientID, Secret: ClientSecret, User: sandboxUser, RedirectURIs: callbacks},
			Client{ID: PublicClientID, Public: true, RedirectURIs: callbacks}),
		tokenLife: opts.TokenLife,
		codes:     map[string]*code{},
	}
	if s.tokenLife <= 0 {
		s.tokenLife = 750 * time.Second
	}
	seed := opts.OAuthClients
	if seed == nil {
		seed = []sailpoint.OAuthClient{sampleClient()}
	}
	for _, c := range seed {
		s.oauthClients = append(s.oauthClients, newOAuthClient(c, time.Now()))
	}

	s.strict, s.record.off = opts.Strict, opts.NoRequests
	s.init(vendorTraits{
		name:    "SailPoint",
		match:   matchSailPoint,
		failure: sailPointError,
		unauthorized: func(_ *call, text string) response {
			return jsonResponse(http.StatusUnauthorized, sailpoint.UnauthorizedError{Error: "JWT validation failed: JWT is " + text})
		},
		tooManyRequests: func(*call) response {
			return jsonResponse(http.StatusTooManyRequests, sailpoint.RateLimitError{Message: " Rate Limit Exceeded "})
		},
		terms:           s.terms,
		requestIDHeader: "SLPT-Request-ID",
		newRequestID:    newHexID,
	}, opts.RateLimit, Limit{Requests: 100, Per: 10 * time.Second})
	s.paths = map[string]map[string]operation{
		"/oauth/token": {
			http.MethodPost: {"createAccessToken", s.createAccessToken},
		},
		authorizePath: {
			http.MethodGet: {"authorize", s.authorizationPage},
		},
		metadataPath: {
			http.MethodGet: {"getMetadata", s.metadata},
		},
		infoPath: {
			http.MethodGet: {"getInfo", s.info},
		},
		"/oauth-clients": {
			http.MethodGet:  {"listOAuthClients", s.guarded(s.list, requirements{scopes: []string{readClients, manageClients}, query: []string{"filters"}})},
			http.MethodPost: {"createOAuthClient", s.guarded(s.create, requirements{scopes: []string{manageClients}, media: "application/json"})},
		},
		"/oauth-clients/{id}": {
			http.MethodGet:    {"getOAuthClient", s.guarded(s.get, requirements{scopes: []string{readClients, manageClients}, userless: true})},
			http.MethodPatch:  {"patchOAuthClient", s.guarded(s.patch, requirements{scopes: []string{manageClients}, media: "application/json-patch+json"})},
			http.MethodDelete: {"deleteOAuthClient", s.guarded(s.delete, requirements{scopes: []string{manageClients}})},
		},
	}
	return s
}

// matchSailPoint finds the pattern for a path with the prefix of any version, or with that of the per-service v1, where
// the version comes last.
func matchSailPoint(c *call, path string) string {
	switch path {
	case "/oauth/token", authorizePath, metadataPath, infoPath:
		return path
	}
	rest, found := strings.CutPrefix(path, "/oauth-clients/v1")
	if !found {
		var prefix string
		prefix, rest, found = strings.Cut(path, "/oauth-clients")
		if !found || !slices.Contains([]string{"/beta", "/v3", "/v2024", "/v2025", "/v2026"}, prefix) {
			return ""
		}
	}
	if rest == "" {
		return "/oauth-clients"
	}
	id, found := strings.CutPrefix(rest, "/")
	if !found || id == "" || strings.Contains(id, "/") {
		return ""
	}
	c.clientID, _ = url.PathUnescape(id) // the path of a URL is well escaped
	return "/oauth-clients/{id}"
}

// requirements are the conditions that an operation sets for a request.
type requirements struct {
	scopes   []string // any of them
	userless bool     // clients without a user may call it
	media    string   // of the body; "" if there must be no body
	query    []string // known parameters
}

// guarded returns an operation that calls run if a request meets the requirements. Otherwise it responds with the first
// of 401, 429, 403 and 400 that applies.
func (s *SailPoint) guarded(run func(*call) response, r requirements) func(*call) response {
	return func(c *call) response {
		if refused := s.authorize(c, r.scopes); refused != nil {
			return *refused
		}
		switch {
		case !r.userless && c.token.user == "":
			return sailPointError(c, http.StatusForbidden, "the token carries no user")
		case c.strict && r.media == "" && len(c.body) > 0:
			return sailPointError(c, http.StatusBadRequest, "there must be no body")
		case r.media != "" && mediaTypeOf(c.Header) != r.media:
			return sailPointError(c, http.StatusBadRequest, "the content type must be "+r.media)
		}
		if text := checkQuery(c, r.query); text != "" {
			return sailPointError(c, http.StatusBadRequest, text)
		}
		return run(c)
	}
}

// checkQuery returns a description of an error in the query of a call, or "".
func checkQuery(c *call, known []string) string {
	query, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return "the query is malformed"
	}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name):
			if c.strict {
				return "a query parameter is unknown"
			}
		case len(values) > 1 || c.strict && values[0] == "":
			return name + " must be sent once, with a value"
		}
	}
	return ""
}

// app is a client that may request tokens: a registered one, or one that was created with the API.
type app struct {
	Client
	life, refreshLife time.Duration
	grants            []sailpoint.GrantType
	accessType        sailpoint.AccessType
	enabled           bool
	markUsed          func(time.Time)
}

// app returns the client with an id, or nil.
func (s *SailPoint) app(id string) *app {
	if c, ok := s.registered[id]; ok {
		a := &app{Client: c, life: s.tokenLife, accessType: sailpoint.AccessTypeOnline, enabled: true, markUsed: func(time.Time) {}}
		if !c.Public {
			a.grants = append(a.grants, sailpoint.GrantTypeClientCredentials)
		}
		if len(c.RedirectURIs) > 0 {
			a.grants = append(a.grants, sailpoint.GrantTypeAuthorizationCode, sailpoint.GrantTypeRefreshToken)
			a.accessType, a.refreshLife = sailpoint.AccessTypeOffline, 24*time.Hour
		}
		return a
	}
	if c := s.oauthClient(id); c != nil {
		return c.app()
	}
	return nil
}

func (a *app) has(grant sailpoint.GrantType) bool { return slices.Contains(a.grants, grant) }

func (s *SailPoint) terms(clientID string) (terms, bool) {
	a := s.app(clientID)
	if a == nil {
		return terms{}, false
	}
	t := terms{client: a.Client, scopes: a.Scopes, life: a.life, refreshLife: a.refreshLife}
	if t.scopes == nil {
		t.scopes = []string{allScopes}
	}
	if a.has(sailpoint.GrantTypeAuthorizationCode) {
		t.user = sandboxUser
		t.refreshes = a.has(sailpoint.GrantTypeRefreshToken) && a.accessType == sailpoint.AccessTypeOffline
	}
	return t, true
}

var sailPointFields = []string{
	"grant_type", "client_id", "client_secret", "scope", "refresh_token", "code", "redirect_uri", "code_verifier",
}

func (s *SailPoint) createAccessToken(c *call) response {
	f, bad := readForm(c, []string{mediaForm}, sailPointFields...)
	if bad != nil {
		return sailPointOAuthError(invalidRequest, strings.TrimSpace(bad.field+" "+bad.text))
	}
	a, refused := s.authenticate(c, f)
	if refused != nil {
		return sailPointOAuthError(refused.code, refused.text)
	}
	if limited := s.limited(c, a.ID); limited != nil {
		return *limited
	}

	switch f["grant_type"] {
	case "client_credentials":
		return s.grant(c, a, f, sailpoint.GrantTypeClientCredentials)
	case "refresh_token":
		return s.grant(c, a, f, sailpoint.GrantTypeRefreshToken)
	case "authorization_code":
		return s.grant(c, a, f, sailpoint.GrantTypeAuthorizationCode)
	case "":
		return sailPointOAuthError(invalidRequest, "grant_type is required")
	}
	return sailPointOAuthError(unsupportedGrantType, "grant_type must be client_credentials, refresh_token or authorization_code")
}

func (s *SailPoint) authenticate(c *call, f form) (*app, *oauthError) {
	id, secret, refused := clientCredentials(c, f, false)
	if refused != nil {
		return nil, refused
	}
	a := s.app(id)
	switch {
	case a == nil || !a.enabled, a.Public && secret != "", !a.Public && (secret == "" || secret != a.Secret):
		return nil, &oauthError{invalidClient, "the client is unknown or disabled, or its secret is wrong"}
	}
	return a, nil
}

// grantFields are the form fields of each grant. All are required, except those that the code handles separately.
var grantFields = []struct {
	name     string
	of       sailpoint.GrantType
	optional bool
}{
	{"refresh_token", sailpoint.GrantTypeRefreshToken, false},
	{"code", sailpoint.GrantTypeAuthorizationCode, false},
	{"redirect_uri", sailpoint.GrantTypeAuthorizationCode, true},
	{"code_verifier", sailpoint.GrantTypeAuthorizationCode, true},
}

func (s *SailPoint) grant(c *call, a *app, f form, grant sailpoint.GrantType) response {
	if !a.has(grant) {
		return sailPointOAuthError(unauthorizedClient, "the client does not have this grant")
	}
	for _, field := range grantFields {
		switch sent := f[field.name] != ""; {
		case field.of == grant && !sent && !field.optional:
			return sailPointOAuthError(invalidRequest, field.name+" is missing")
		case field.of != grant && sent && c.strict:
			return sailPointOAuthError(invalidRequest, field.name+" does not belong to this grant")
		}
	}

	terms, _ := s.terms(a.ID)
	g := granted{user: a.User, scopes: terms.scopes, family: &family{}}
	switch grant {
	case sailpoint.GrantTypeRefreshToken:
		old := s.tokens.find(f["refresh_token"])
		if !s.tokens.redeemable(old, a.ID, c.now) {
			return sailPointOAuthError(invalidGrant, "the refresh token is unknown, expired or used")
		}
		g = granted{user: old.user, scopes: old.scopes, family: old.family, refreshes: true, use: func() { old.used = true }}
	case sailpoint.GrantTypeAuthorizationCode:
		code, refused := s.redeemableCode(c, a, f)
		if refused != nil {
			return sailPointOAuthError(refused.code, refused.text)
		}
		g = granted{user: code.user, scopes: code.scopes, family: code.family, refreshes: terms.refreshes, use: func() { code.used = true }}
	}
	scopes := g.scopes
	if f["scope"] != "" {
		var ok bool
		if scopes, ok = scopeList(f["scope"]); !ok || !slices.Contains(g.scopes, allScopes) && !subset(scopes, g.scopes) {
			return sailPointOAuthError(invalidScope, "scope is malformed or has a scope that the client may not ask for")
		}
	}
	if g.use != nil {
		g.use()
	}
	t := s.issue(c.now, Token{ClientID: a.ID, User: g.user, Scopes: scopes, Expires: c.now.Add(a.life)}, terms, g.scopes, g.family, g.refreshes)
	a.markUsed(c.now)

	body := sailpoint.AccessToken{
		AccessToken:         wire.NewSecret(t.AccessToken),
		TokenType:           "bearer",
		ExpiresIn:           new(seconds(a.life - time.Second)),
		Scope:               new(strings.Join(scopes, " ")),
		AccessType:          new(string(a.accessType)),
		TenantID:            new(sandboxTenant),
		Org:                 new("sandbox"),
		Pod:                 new("sandbox"),
		Internal:            new(false),
		Enabled:             new(true),
		StrongAuth:          new(false),
		StrongAuthSupported: new(false),
		JTI:                 new(newHexID()),
	}
	if t.RefreshToken != "" {
		body.RefreshToken = new(wire.NewSecret(t.RefreshToken))
	}
	if t.User != "" {
		body.UserID, body.IdentityID, body.UserName = new(t.User), new(t.User), new(t.User)
	}
	return tokenResponse(body)
}

// granted is what a grant permits. For a refresh token or a code that is what was granted with it; otherwise it is what
// the client may have.
type granted struct {
	user      string
	scopes    []string
	family    *family
	refreshes bool
	use       func() // marks the refresh token or code as used
}

func sailPointOAuthError(code, text string) response {
	body := sailpoint.OAuthError{Error: new(code), ErrorDescription: new(text)}
	if code == invalidClient {
		return jsonResponse(http.StatusUnauthorized, body).with("WWW-Authenticate", basicChallenge)
	}
	return jsonResponse(http.StatusBadRequest, body)
}

func sailPointError(c *call, status int, text string) response {
	detailCode, ok := map[int]string{
		http.StatusBadRequest: "400.1 Bad Request Content",
		http.StatusNotFound:   "404 Not found",
	}[status]
	if !ok {
		detailCode = strconv.Itoa(status) + " " + http.StatusText(status)
	}
	return jsonResponse(status, sailpoint.ErrorResponseDto{
		DetailCode: new(detailCode),
		TrackingID: new(c.requestID),
		Messages: []sailpoint.ErrorMessageDto{{
			Locale:       new("en-US"),
			LocaleOrigin: new(sailpoint.LocaleOriginDefault),
			Text:         new(text),
		}},
	})
}

// newHexID returns 32 random hexadecimal digits, the form of the vendor's ids.
func newHexID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
