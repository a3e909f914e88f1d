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

// MoovOptions are the settings of [NewMoov]. The zero value is its default.
type MoovOptions struct {
	Clients          []Client      // nil: [ClientID] with [ClientSecret], which may ask for any scope from any origin
	TokenLife        time.Duration // of access tokens; not positive: 15 minutes. Refresh tokens live until used or revoked
	ExpiresInSeconds bool          // let expires_in be the length of the life, and not its end in Unix seconds
	RateLimit        Limit         // of one client id; documented are 40 requests a second
	RawBasic         bool          // read HTTP Basic as it is, without form-decoding both parts
	NoRequests       bool          // only count requests, for benchmarks
}

// Moov is Moov's OAuth endpoints, with JSON and form bodies:
//
//	POST /oauth2/token     createAccessToken
//	POST /oauth2/revoke    revokeAccessToken
//
// A refresh token is good for one use; a second use revokes every token that came from the same grant. Revoking a
// refresh token revokes its access tokens too.
//
// Outside the SDK's operations, and only to show whether a token is accepted, it also serves
//
//	GET /ping    ping    200, or 401 without a live access token
type Moov struct {
	server
	clients          registered
	tokenLife        time.Duration
	expiresInSeconds bool
	rawBasic         bool
	tokens           ledger
}

// NewMoov returns a server without tokens. Nil options are the default ones.
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
	m.vendor = "Moov"
	m.limit = newLimiter(opts.RateLimit, Limit{Requests: 40, Per: time.Second})
	m.record.off = opts.NoRequests
	m.requestIDHeader, m.newRequestID = "x-request-id", newUUID
	m.match = func(_ *call, path string) string { return path }
	m.refuse = func(_ *call, status int, text string) answer { return moovError(status, text) }
	m.paths = map[string]map[string]operation{
		"/oauth2/token":  {http.MethodPost: {"createAccessToken", m.createAccessToken}},
		"/oauth2/revoke": {http.MethodPost: {"revokeAccessToken", m.revokeAccessToken}},
		"/ping":          {http.MethodGet: {"ping", m.ping}},
	}
	return m
}

func (m *Moov) createAccessToken(c *call) answer {
	f, bad := readForm(c, []string{mediaJSON, mediaForm}, "grant_type", "client_id", "client_secret", "scope", "refresh_token")
	switch {
	case bad != nil && bad.field == "scope":
		return jsonAnswer(http.StatusUnprocessableEntity, moov.AuthTokenRequestError{Scope: new(bad.text)})
	case bad != nil && bad.field == "refresh_token":
		return jsonAnswer(http.StatusUnprocessableEntity, moov.AuthTokenRequestError{RefreshToken: new(bad.text)})
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

func (m *Moov) grant(c *call, client Client, f form) answer {
	if f["scope"] == "" {
		return jsonAnswer(http.StatusUnprocessableEntity, moov.AuthTokenRequestError{Scope: new("is required")})
	}
	scopes, ok := scopeList(f["scope"])
	switch {
	case !ok:
		return jsonAnswer(http.StatusUnprocessableEntity, moov.AuthTokenRequestError{Scope: new("is malformed")})
	case !subset(scopes, client.Scopes):
		return moovError(http.StatusBadRequest, invalidScope)
	case f["refresh_token"] != "":
		return moovError(http.StatusBadRequest, invalidRequest)
	}
	return m.issue(c, client.ID, scopes, scopes, &family{})
}

func (m *Moov) refresh(c *call, client Client, f form) answer {
	if f["refresh_token"] == "" {
		return jsonAnswer(http.StatusUnprocessableEntity, moov.AuthTokenRequestError{RefreshToken: new("is required")})
	}
	old := m.tokens.find(f["refresh_token"])
	if old == nil || !old.refresh || old.client != client.ID {
		return moovError(http.StatusBadRequest, invalidGrant)
	}
	if old.used {
		old.family.revoked = true // someone else has it too (RFC 9700, section 4.14.2)
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
	return m.issue(c, client.ID, scopes, old.scopes, old.family)
}

// issue answers with a new pair. The refresh token keeps what was granted first (RFC 6749, section 6).
func (m *Moov) issue(c *call, client string, scopes, granted []string, of *family) answer {
	ends := c.now.Add(m.tokenLife)
	access := m.tokens.issue(token{client: client, scopes: scopes, expires: ends, family: of})
	refresh := m.tokens.issue(token{client: client, scopes: granted, refresh: true, family: of})
	expiresIn := json.Number(strconv.FormatInt(ends.Unix(), 10))
	if m.expiresInSeconds {
		expiresIn = seconds(m.tokenLife)
	}
	return jsonAnswer(http.StatusOK, moov.AuthToken{
		TokenType:    moov.TokenTypeBearer,
		AccessToken:  wire.Secret(access),
		RefreshToken: wire.Secret(refresh),
		ExpiresIn:    expiresIn,
		Scope:        strings.Join(scopes, " "),
	})
}

func (m *Moov) revokeAccessToken(c *call) answer {
	f, bad := readForm(c, []string{mediaJSON, mediaForm}, "token", "token_type_hint", "client_id", "client_secret")
	switch {
	case bad != nil && bad.field == "token":
		return jsonAnswer(http.StatusUnprocessableEntity, moov.RevokeTokenRequestError{Token: new(bad.text)})
	case bad != nil && bad.field == "token_type_hint":
		return jsonAnswer(http.StatusUnprocessableEntity, moov.RevokeTokenRequestError{TokenTypeHint: new(bad.text)})
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
		return jsonAnswer(http.StatusUnprocessableEntity, moov.RevokeTokenRequestError{Token: new("is required")})
	case hint != "" && !hint.Valid():
		return jsonAnswer(http.StatusUnprocessableEntity, moov.RevokeTokenRequestError{TokenTypeHint: new("is unknown")})
	}
	// A wrong hint only costs time, and a token that is none is as good as revoked (RFC 7009, sections 2.1 and 2.2).
	if t := m.tokens.find(f["token"]); t != nil && t.client != client.ID {
		return moovError(http.StatusBadRequest, unauthorizedClient)
	}
	m.tokens.revoke(f["token"])
	return answer{status: http.StatusNoContent}
}

func (m *Moov) ping(c *call) answer {
	t := m.tokens.access(bearer(c.Request), c.now)
	if t == nil {
		return moovError(http.StatusUnauthorized, "invalid_token")
	}
	if limited := m.limited(c, t.client); limited != nil {
		return *limited
	}
	return answer{status: http.StatusOK}
}

func (m *Moov) authenticate(c *call, f form) (Client, *answer) {
	client, bad := m.clients.authenticate(c.Request, f, m.rawBasic)
	if bad != nil {
		// The vendor documents no 401 here.
		return Client{}, new(moovError(http.StatusBadRequest, bad.code))
	}
	return client, m.limited(c, client.ID)
}

// limited counts a request of a client, and returns a response if it is one too many.
func (m *Moov) limited(c *call, client string) *answer {
	ok, _, reset := m.limit.take(client, c.now)
	if ok {
		return nil
	}
	a := answer{status: http.StatusTooManyRequests}
	return new(a.withRetryAfter(m.limit.retryAfter(reset, c.now)))
}

// originOf is the origin that a token request names; Origin wins over Referer.
func originOf(h http.Header) string {
	if origin := h.Get("Origin"); origin != "" {
		return origin
	}
	return h.Get("Referer")
}

func moovError(status int, code string) answer {
	return jsonAnswer(status, moov.GenericError{Error: code})
}

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
