package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/gen/moov"
	"github.com/grantwright/oauth-go/gen/wire"
)

// MoovOptions are the settings of [NewMoov]. The zero value has the defaults.
type MoovOptions struct {
	Clients          []Client      // if nil, ClientID with ClientSecret, which may request any scope from any origin
	TokenLife        time.Duration // of access tokens; if not positive, 15 minutes. Refresh tokens do not expire
	ExpiresInSeconds bool          // expires_in is a number of seconds instead of a Unix time
	RateLimit        Limit         // of each client id; the documented limit is 40 requests per second
	RawBasic         bool          // HTTP Basic credentials are not form-decoded
	Strict           bool          // refuses what RFC 6749 tells servers to ignore
	NoRequests       bool          // requests are counted but not kept, for benchmarks
}

// Moov serves Moov's OAuth endpoints, with JSON and form bodies:
//
//	POST /oauth2/token     createAccessToken
//	POST /oauth2/revoke    revokeAccessToken
//
// A refresh token can be used once; a second use revokes every token from the same grant. Revoking a refresh token
// revokes its access tokens too.
//
// There is also an example of an API that requires a token, which is not part of the SDK:
//
//	GET /ping    ping    200, or 401 without a live access token
type Moov struct {
	server
	clients          registered
	tokenLife        time.Duration
	expiresInSeconds bool
	rawBasic         bool
}

// NewMoov returns a Moov that has issued no tokens. If opts is nil, the defaults are used.
func NewMoov(opts *MoovOptions) *Moov {
	if opts == nil {
		opts = &MoovOptions{}
	}
	m := &Moov{
		clients:          newRegistered(opts.Clients, Client{ID: ClientID, Secret: ClientSecret}),
		tokenLife:        opts.TokenLife,
		expiresInSeconds: opts.ExpiresInSeconds,
		rawBasic:         opts.RawBasic,
	}
	if m.tokenLife <= 0 {
		m.tokenLife = 15 * time.Minute
	}
	m.strict, m.record.off = opts.Strict, opts.NoRequests
	m.init(vendorTraits{
		name:    "Moov",
		failure: func(_ *call, status int, text string) response { return moovError(status, text) },
		unauthorized: func(*call, string) response {
			return moovError(http.StatusUnauthorized, "invalid_token")
		},
		tooManyRequests: func(*call) response { return response{status: http.StatusTooManyRequests} },
		terms:           m.terms,
		requestIDHeader: "x-request-id",
		newRequestID:    newUUID,
	}, opts.RateLimit, Limit{Requests: 40, Per: time.Second})
	m.paths = map[string]map[string]operation{
		"/oauth2/token":  {http.MethodPost: {"createAccessToken", m.createAccessToken}},
		"/oauth2/revoke": {http.MethodPost: {"revokeAccessToken", m.revokeAccessToken}},
		"/ping":          {http.MethodGet: {"ping", m.ping}},
	}
	return m
}

func (m *Moov) terms(clientID string) (terms, bool) {
	client, ok := m.clients[clientID]
	t := terms{client: client, scopes: client.Scopes, life: m.tokenLife, refreshes: true}
	if t.scopes == nil {
		t.scopes = []string{"/ping.read"}
	}
	return t, ok
}

func (m *Moov) createAccessToken(c *call) response {
	f, bad := readForm(c, []string{mediaJSON, mediaForm}, "grant_type", "client_id", "client_secret", "scope", "refresh_token")
	switch {
	case bad != nil && bad.field == "scope":
		return jsonResponse(http.StatusUnprocessableEntity, moov.AuthTokenRequestError{Scope: new(bad.text)})
	case bad != nil && bad.field == "refresh_token":
		return jsonResponse(http.StatusUnprocessableEntity, moov.AuthTokenRequestError{RefreshToken: new(bad.text)})
	case bad != nil:
		return moovError(http.StatusBadRequest, invalidRequest)
	}
	client, refused := m.authenticate(c, f)
	if refused != nil {
		return *refused
	}
	if len(client.Origins) > 0 && !slices.Contains(client.Origins, originOf(c.Header)) {
		return moovError(http.StatusBadRequest, unauthorizedClient)
	}

	switch f["grant_type"] {
	case string(moov.GrantTypeClientCredentials):
		return m.grant(c, client, f)
	case string(moov.GrantTypeRefreshToken):
		return m.refresh(c, client, f)
	case "":
		return moovError(http.StatusBadRequest, invalidRequest)
	}
	return moovError(http.StatusBadRequest, unsupportedGrantType)
}

func (m *Moov) grant(c *call, client Client, f form) response {
	if f["scope"] == "" {
		return jsonResponse(http.StatusUnprocessableEntity, moov.AuthTokenRequestError{Scope: new("is required")})
	}
	scopes, ok := scopeList(f["scope"])
	switch {
	case !ok:
		return jsonResponse(http.StatusUnprocessableEntity, moov.AuthTokenRequestError{Scope: new("is malformed")})
	case !subset(scopes, client.Scopes):
		return moovError(http.StatusBadRequest, invalidScope)
	case c.strict && f["refresh_token"] != "":
		return moovError(http.StatusBadRequest, invalidRequest)
	}
	return m.issued(c, client.ID, scopes, scopes, &family{})
}

func (m *Moov) refresh(c *call, client Client, f form) response {
	if f["refresh_token"] == "" {
		return jsonResponse(http.StatusUnprocessableEntity, moov.AuthTokenRequestError{RefreshToken: new("is required")})
	}
	old := m.tokens.find(f["refresh_token"])
	if !m.tokens.redeemable(old, client.ID, c.now) {
		return moovError(http.StatusBadRequest, invalidGrant)
	}
	scopes := old.scopes
	if f["scope"] != "" {
		var ok bool
		if scopes, ok = scopeList(f["scope"]); !ok || !subset(scopes, old.scopes) {
			return moovError(http.StatusBadRequest, invalidScope)
		}
	}
	old.used = true
	return m.issued(c, client.ID, scopes, old.scopes, old.family)
}

// unixTimes is the time from which expires_in is a Unix time. Before it, as in a synctest bubble, which begins in the
// year 2000, a Unix time would look like a number of seconds.
var unixTimes = time.Unix(1e9, 0)

// issued returns a response with a new pair of tokens.
func (m *Moov) issued(c *call, client string, scopes, granted []string, of *family) response {
	terms, _ := m.terms(client)
	t := m.issue(c.now, Token{ClientID: client, Scopes: scopes, Expires: c.now.Add(m.tokenLife)}, terms, granted, of, true)
	expiresIn := json.Number(strconv.FormatInt(t.Expires.Unix(), 10))
	if m.expiresInSeconds || t.Expires.Before(unixTimes) {
		expiresIn = seconds(m.tokenLife)
	}
	return tokenResponse(moov.AuthToken{
		TokenType:    moov.TokenTypeBearer,
		AccessToken:  wire.NewSecret(t.AccessToken),
		RefreshToken: wire.NewSecret(t.RefreshToken),
		ExpiresIn:    expiresIn,
		Scope:        strings.Join(scopes, " "),
	})
}

func (m *Moov) revokeAccessToken(c *call) response {
	f, bad := readForm(c, []string{mediaJSON, mediaForm}, "token", "token_type_hint", "client_id", "client_secret")
	switch {
	case bad != nil && bad.field == "token":
		return jsonResponse(http.StatusUnprocessableEntity, moov.RevokeTokenRequestError{Token: new(bad.text)})
	case bad != nil && bad.field == "token_type_hint":
		return jsonResponse(http.StatusUnprocessableEntity, moov.RevokeTokenRequestError{TokenTypeHint: new(bad.text)})
	case bad != nil:
		return moovError(http.StatusBadRequest, invalidRequest)
	}
	client, refused := m.authenticate(c, f)
	if refused != nil {
		return *refused
	}
	hint := moov.TokenTypeHint(f["token_type_hint"])
	switch {
	case f["token"] == "":
		return jsonResponse(http.StatusUnprocessableEntity, moov.RevokeTokenRequestError{Token: new("is required")})
	case hint != "" && !hint.Valid():
		return jsonResponse(http.StatusUnprocessableEntity, moov.RevokeTokenRequestError{TokenTypeHint: new("is unknown")})
	}
	// A wrong hint is ignored, and an unknown token counts as revoked (RFC 7009, sections 2.1 and 2.2).
	if t := m.tokens.find(f["token"]); t != nil && t.client != client.ID {
		return moovError(http.StatusBadRequest, unauthorizedClient)
	}
	m.tokens.revoke(f["token"])
	return response{status: http.StatusNoContent}
}

func (m *Moov) ping(c *call) response {
	if refused := m.authorize(c, nil); refused != nil {
		return *refused
	}
	return response{status: http.StatusOK}
}

// authenticate returns the client of a request. If there is none, or its limit is exceeded, it returns a response.
func (m *Moov) authenticate(c *call, f form) (Client, *response) {
	client, bad := m.clients.authenticate(c, f, m.rawBasic)
	if bad != nil {
		// The vendor documents no 401 here.
		return Client{}, new(moovError(http.StatusBadRequest, bad.code))
	}
	return client, m.limited(c, client.ID)
}

// originOf returns the origin named by a token request. Origin takes precedence over Referer.
func originOf(h http.Header) string {
	if origin := h.Get("Origin"); origin != "" {
		return origin
	}
	return h.Get("Referer")
}

func moovError(status int, code string) response {
	return jsonResponse(status, moov.GenericError{Error: code})
}

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
