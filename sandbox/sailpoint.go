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

// SampleClientID is the OAuth client that a SailPoint has unless its options say otherwise. It was last used in 2017. With
// [ClientSecret] it gets tokens, refresh tokens too, that carry no user and none of the scopes for managing clients.
const SampleClientID = "ef38f94347e94562b5bb8424a56397d8"

// SailPointOptions are the settings of [NewSailPoint]. The zero value is its default.
type SailPointOptions struct {
	// Clients are registered outside the API, as personal access tokens are: they get tokens, and are in no list.
	// Nil is [ClientID] with [ClientSecret], which carries a user and may ask for any scope.
	Clients []Client

	// OAuthClients are there at the start, in this order; their Secret, if any, gets them tokens and is never shown.
	// Without a type they are ONLINE and CONFIDENTIAL, and without a life of tokens that is 750 s. Nil is one client,
	// [SampleClientID]; an empty list is none.
	OAuthClients []sailpoint.OAuthClient

	TokenLife  time.Duration // of Clients; not positive: 750 s, of which the answer says 749, as the vendor's does
	RateLimit  Limit         // of one client id, its token requests included; documented are 100 requests in 10 s
	NoRequests bool          // only count requests, for benchmarks
}

// SailPoint is a tenant of SailPoint Identity Security Cloud:
//
//	POST   /oauth/token                createAccessToken
//	GET    /beta/oauth-clients         listOAuthClients
//	POST   /beta/oauth-clients         createOAuthClient
//	GET    /beta/oauth-clients/{id}    getOAuthClient
//	PATCH  /beta/oauth-clients/{id}    patchOAuthClient
//	DELETE /beta/oauth-clients/{id}    deleteOAuthClient
//
// and the same under /v3, /v2024, /v2025 and /v2026 and, as a service of its own, at /oauth-clients/v1.
//
// A refresh token is given to clients that have the grant and offline access; it can be used until it expires. No code
// is ever issued, so that authorization_code always fails.
type SailPoint struct {
	server
	registered   registered
	tokenLife    time.Duration
	oauthClients []*oauthClient // in order of creation
	tokens       ledger
}

// NewSailPoint returns a server without tokens. Nil options are the default ones.
func NewSailPoint(opts *SailPointOptions) *SailPoint {
	if opts == nil {
		opts = &SailPointOptions{}
	}
	s := &SailPoint{
		registered: newRegistered(opts.Clients, Client{ID: ClientID, Secret: ClientSecret, User: "sandbox-user"}),
		tokenLife:  opts.TokenLife,
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

	const read, manage = "sp:oauth-client:read", "sp:oauth-client:manage"
	s.vendor = "SailPoint"
	s.limit = newLimiter(opts.RateLimit, Limit{Requests: 100, Per: 10 * time.Second})
	s.record.off = opts.NoRequests
	s.requestIDHeader, s.newRequestID = "SLPT-Request-ID", newHexID
	s.match = matchSailPoint
	s.refuse = sailPointError
	s.paths = map[string]map[string]operation{
		"/oauth/token": {
			http.MethodPost: {"createAccessToken", s.createAccessToken},
		},
		"/oauth-clients": {
			http.MethodGet:  {"listOAuthClients", s.authorized(s.list, access{scopes: []string{read, manage}, query: []string{"filters"}})},
			http.MethodPost: {"createOAuthClient", s.authorized(s.create, access{scopes: []string{manage}, media: "application/json"})},
		},
		"/oauth-clients/{id}": {
			http.MethodGet:    {"getOAuthClient", s.authorized(s.get, access{scopes: []string{read, manage}, userless: true})},
			http.MethodPatch:  {"patchOAuthClient", s.authorized(s.patch, access{scopes: []string{manage}, media: "application/json-patch+json"})},
			http.MethodDelete: {"deleteOAuthClient", s.authorized(s.delete, access{scopes: []string{manage}})},
		},
	}
	return s
}

// matchSailPoint knows the versions' prefixes and the service's own version, which follows the collection.
func matchSailPoint(c *call, path string) string {
	if path == "/oauth/token" {
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
	unescaped, err := url.PathUnescape(id)
	if !found || id == "" || strings.Contains(id, "/") || err != nil {
		return ""
	}
	c.clientID = unescaped
	return "/oauth-clients/{id}"
}

// access is what an operation asks of a request before it acts.
type access struct {
	scopes   []string // any of them
	userless bool     // clients without a user may call it
	media    string   // of the body; "" where there must be none
	query    []string // known parameters
}

func (a access) allows(scope string) bool {
	return scope == allScopes || slices.Contains(a.scopes, scope)
}

// authorized answers 401, 429, 403 and 400, in that order, before it lets an operation act.
func (s *SailPoint) authorized(act func(*call) answer, needs access) func(*call) answer {
	return func(c *call) answer {
		value := bearer(c.Request)
		switch c.token = s.tokens.find(value); {
		case value == "":
			return sailPointUnauthorized("JWT validation failed: JWT is missing")
		case c.token == nil || c.token.refresh || !s.exists(c.token.client):
			return sailPointUnauthorized("JWT validation failed: JWT is unknown")
		case c.token.expired(c.now):
			return sailPointUnauthorized("JWT validation failed: JWT is expired")
		}
		if limited := s.limited(c, c.token.client); limited != nil {
			return *limited
		}
		switch {
		case !slices.ContainsFunc(c.token.scopes, needs.allows):
			return sailPointError(c, http.StatusForbidden, "the token lacks the scope "+strings.Join(needs.scopes, " or "))
		case !needs.userless && c.token.user == "":
			return sailPointError(c, http.StatusForbidden, "the token carries no user")
		case needs.media == "" && len(c.body) > 0:
			return sailPointError(c, http.StatusBadRequest, "there must be no body")
		case needs.media != "" && mediaTypeOf(c.Header) != needs.media:
			return sailPointError(c, http.StatusBadRequest, "the content type must be "+needs.media)
		}
		if text := checkQuery(c.URL, needs.query); text != "" {
			return sailPointError(c, http.StatusBadRequest, text)
		}
		return act(c)
	}
}

func checkQuery(u *url.URL, known []string) string {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "the query is malformed"
	}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name):
			return "a query parameter is unknown"
		case len(values) > 1 || values[0] == "":
			return name + " must be sent once, with a value"
		}
	}
	return ""
}

const allScopes = "sp:scopes:all"

// grantee is who asks for a token: a registered client or one made by the API.
type grantee struct {
	Client
	life, refreshLife time.Duration
	grants            []sailpoint.GrantType
	accessType        sailpoint.AccessType
	enabled           bool
	lastUsed          func(time.Time)
}

// grantee returns who has the id, or nil.
func (s *SailPoint) grantee(id string) *grantee {
	if c, ok := s.registered[id]; ok {
		return &grantee{
			Client:     c,
			life:       s.tokenLife,
			grants:     []sailpoint.GrantType{sailpoint.GrantTypeCLIENTCREDENTIALS},
			accessType: sailpoint.AccessTypeONLINE,
			enabled:    true,
			lastUsed:   func(time.Time) {},
		}
	}
	if c := s.oauthClient(id); c != nil {
		return c.grantee()
	}
	return nil
}

func (s *SailPoint) exists(id string) bool { return s.grantee(id) != nil }

func (s *SailPoint) createAccessToken(c *call) answer {
	f, bad := readForm(c, []string{mediaForm},
		"grant_type", "client_id", "client_secret", "scope", "refresh_token", "code", "redirect_uri")
	if bad != nil {
		return sailPointOAuthError(invalidRequest, strings.TrimSpace(bad.field+" "+bad.text))
	}
	id, secret, refused := clientCredentials(c.Request, f, false)
	if refused != nil {
		return sailPointOAuthError(refused.code, refused.text)
	}
	g := s.grantee(id)
	if g == nil || g.Secret == "" || g.Secret != secret || !g.enabled {
		return sailPointOAuthError(invalidClient, "the client is unknown or disabled, or its secret is wrong")
	}
	if limited := s.limited(c, id); limited != nil {
		return *limited
	}

	switch f["grant_type"] {
	case "client_credentials":
		return s.grant(c, g, f, sailpoint.GrantTypeCLIENTCREDENTIALS)
	case "refresh_token":
		return s.grant(c, g, f, sailpoint.GrantTypeREFRESHTOKEN)
	case "authorization_code":
		return s.grant(c, g, f, sailpoint.GrantTypeAUTHORIZATIONCODE)
	case "":
		return sailPointOAuthError(invalidRequest, "grant_type is required")
	}
	return sailPointOAuthError(unsupportedGrantType, "grant_type must be client_credentials, refresh_token or authorization_code")
}

// grantFields are the form fields that only one grant has, and must have.
var grantFields = []struct {
	name string
	of   sailpoint.GrantType
}{
	{"refresh_token", sailpoint.GrantTypeREFRESHTOKEN},
	{"code", sailpoint.GrantTypeAUTHORIZATIONCODE},
	{"redirect_uri", sailpoint.GrantTypeAUTHORIZATIONCODE},
}

func (s *SailPoint) grant(c *call, g *grantee, f form, grant sailpoint.GrantType) answer {
	if !slices.Contains(g.grants, grant) {
		return sailPointOAuthError(unauthorizedClient, "the client does not have this grant")
	}
	for _, field := range grantFields {
		if (f[field.name] != "") != (field.of == grant) {
			return sailPointOAuthError(invalidRequest, field.name+" is missing, or does not belong to this grant")
		}
	}

	allowed, of, refresh := g.Scopes, &family{}, ""
	switch grant {
	case sailpoint.GrantTypeREFRESHTOKEN:
		refresh = f["refresh_token"]
		old := s.tokens.find(refresh)
		if old == nil || !old.refresh || old.client != g.ID || old.expired(c.now) {
			return sailPointOAuthError(invalidGrant, "the refresh token is unknown or expired")
		}
		allowed, of = old.scopes, old.family
	case sailpoint.GrantTypeAUTHORIZATIONCODE:
		return sailPointOAuthError(invalidGrant, "the code is unknown")
	}
	scopes := allowed
	if scopes == nil {
		scopes = []string{allScopes}
	}
	if f["scope"] != "" {
		var ok bool
		if scopes, ok = scopeList(f["scope"]); !ok || !slices.Contains(allowed, allScopes) && !subset(scopes, allowed) {
			return sailPointOAuthError(invalidScope, "scope is malformed or has a scope that the client may not ask for")
		}
	}

	access := s.tokens.issue(token{client: g.ID, user: g.User, scopes: scopes, expires: c.now.Add(g.life), family: of})
	if refresh == "" && slices.Contains(g.grants, sailpoint.GrantTypeREFRESHTOKEN) && g.accessType == sailpoint.AccessTypeOFFLINE {
		refresh = s.tokens.issue(token{client: g.ID, user: g.User, scopes: scopes, refresh: true, expires: c.now.Add(g.refreshLife), family: of})
	}
	g.lastUsed(c.now)

	a := sailpoint.AccessToken{
		AccessToken:         wire.Secret(access),
		TokenType:           "bearer",
		ExpiresIn:           new(seconds(g.life - time.Second)),
		Scope:               new(strings.Join(scopes, " ")),
		AccessType:          new(string(g.accessType)),
		TenantID:            new("sandbox-tenant"),
		Org:                 new("sandbox"),
		Pod:                 new("sandbox"),
		Internal:            new(false),
		Enabled:             new(true),
		StrongAuth:          new(false),
		StrongAuthSupported: new(false),
		JTI:                 new(newHexID()),
	}
	if refresh != "" {
		a.RefreshToken = new(wire.Secret(refresh))
	}
	if g.User != "" {
		a.UserID, a.IdentityID, a.UserName = new(g.User), new(g.User), new(g.User)
	}
	return jsonAnswer(http.StatusOK, a)
}

// limited counts a request of a client, and returns a response if it is one too many.
func (s *SailPoint) limited(c *call, client string) *answer {
	ok, _, reset := s.limit.take(client, c.now)
	if ok {
		return nil
	}
	a := jsonAnswer(http.StatusTooManyRequests, sailpoint.RateLimitError{Message: " Rate Limit Exceeded "})
	return new(a.withRetryAfter(s.limit.retryAfter(reset, c.now)))
}

func sailPointOAuthError(code, text string) answer {
	status := http.StatusBadRequest
	if code == invalidClient {
		status = http.StatusUnauthorized
	}
	return jsonAnswer(status, sailpoint.OAuthError{Error: new(code), ErrorDescription: new(text)})
}

func sailPointUnauthorized(text string) answer {
	return jsonAnswer(http.StatusUnauthorized, sailpoint.UnauthorizedError{Error: text})
}

func sailPointError(c *call, status int, text string) answer {
	detailCode, ok := map[int]string{
		http.StatusBadRequest: "400.1 Bad Request Content",
		http.StatusNotFound:   "404 Not found",
	}[status]
	if !ok {
		detailCode = strconv.Itoa(status) + " " + http.StatusText(status)
	}
	return jsonAnswer(status, sailpoint.ErrorResponseDto{
		DetailCode: new(detailCode),
		TrackingID: new(c.requestID),
		Messages: []sailpoint.ErrorMessageDto{{
			Locale:       new("en-US"),
			LocaleOrigin: new(sailpoint.LocaleOriginDEFAULT),
			Text:         new(text),
		}},
	})
}

// newHexID returns 32 random hex digits, as the vendor's ids are.
func newHexID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
