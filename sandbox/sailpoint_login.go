package sandbox

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/gen/sailpoint"
)

const (
	authorizePath = "/oauth/authorize"
	metadataPath  = "/.well-known/oauth-authorization-server"
	infoPath      = "/oauth/info"
	sandboxUser   = "sandbox-user"
	sandboxTenant = "sandbox-tenant"
	codeLife      = time.Minute
)

// code is an authorization code that was issued.
type code struct {
	client      string
	user        string
	scopes      []string
	redirectURI string // "" if the request had none
	challenge   string // S256; "" if the request had none
	expires     time.Time
	used        bool
	family      *family
}

// RefuseLogins makes the authorization page redirect with an error, such as access_denied, instead of a code. With "",
// it issues codes again.
func (s *SailPoint) RefuseLogins(errorCode string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuseLogins = errorCode
}

var authorizeFields = []string{
	"response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method", "login_hint",
}

// authorizationPage logs in the user in login_hint, or a default one, without asking. Errors in the client or the
// redirect URI are shown to the user; any other error is sent to the client (RFC 6749, section 4.1.2.1).
func (s *SailPoint) authorizationPage(c *call) response {
	query, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return badLogin("the query is malformed")
	}
	a := s.app(query.Get("client_id"))
	if a == nil || !a.enabled || len(query["client_id"]) > 1 {
		return badLogin("the client is unknown or disabled")
	}
	to := query.Get("redirect_uri")
	if to == "" && len(a.RedirectURIs) == 1 {
		to = a.RedirectURIs[0]
	}
	if len(query["redirect_uri"]) > 1 || !slices.ContainsFunc(a.RedirectURIs, func(uri string) bool { return sameRedirect(uri, to) }) {
		return badLogin("the redirect URI is not registered")
	}

	back := url.Values{"iss": {issuer(c)}}
	if state := query.Get("state"); state != "" {
		back.Set("state", state)
	}
	if issued, refused := s.issueCode(c, a, query); refused != nil {
		back.Set("error", refused.code)
		back.Set("error_description", refused.text)
	} else {
		back.Set("code", issued)
	}
	target, err := url.Parse(to)
	if err != nil {
		return badLogin("the redirect URI is malformed")
	}
	if target.RawQuery != "" {
		target.RawQuery += "&"
	}
	target.RawQuery += back.Encode()
	return response{status: http.StatusFound}.with("Location", target.String()).with("Cache-Control", "no-store")
}

func (s *SailPoint) issueCode(c *call, a *app, query url.Values) (string, *oauthError) {
	for name, values := range query {
		switch known := slices.Contains(authorizeFields, name); {
		case c.strict && !known:
			return "", &oauthError{invalidRequest, "a parameter is unknown"}
		case known && len(values) > 1:
			return "", &oauthError{invalidRequest, name + " must not be sent twice"}
		}
	}
	challenge, method := query.Get("code_challenge"), query.Get("code_challenge_method")
	digest, err := base64.RawURLEncoding.DecodeString(challenge)
	switch {
	case query.Get("response_type") == "":
		return "", &oauthError{invalidRequest, "response_type is required"}
	case query.Get("response_type") != "code":
		return "", &oauthError{unsupportedResponseType, "response_type must be code"}
	case !a.has(sailpoint.GrantTypeAuthorizationCode):
		return "", &oauthError{unauthorizedClient, "the client does not have this grant"}
	case challenge == "" && method != "":
		return "", &oauthError{invalidRequest, "code_challenge is missing"}
	case challenge == "" && a.Public:
		return "", &oauthError{invalidRequest, "code_challenge is required of a client without a secret"}
	case challenge != "" && method != "S256":
		return "", &oauthError{invalidRequest, "code_challenge_method must be S256"}
	case challenge != "" && (err != nil || len(digest) != sha256.Size):
		return "", &oauthError{invalidRequest, "code_challenge is not a SHA-256 in base64url"}
	}
	terms, _ := s.terms(a.ID)
	scopes := terms.scopes
	if asked := query.Get("scope"); asked != "" {
		var ok bool
		if scopes, ok = scopeList(asked); !ok || !slices.Contains(terms.scopes, allScopes) && !subset(scopes, terms.scopes) {
			return "", &oauthError{invalidScope, "scope is malformed or has a scope that the client may not ask for"}
		}
	}
	if s.refuseLogins != "" {
		return "", &oauthError{s.refuseLogins, "the sandbox was told to refuse logins"}
	}
	user := sandboxUser
	if hint := query.Get("login_hint"); hint != "" {
		user = hint
	}

	for value, old := range s.codes {
		if c.now.Sub(old.expires) > time.Hour {
			delete(s.codes, value)
		}
	}
	value := "code-" + rand.Text()
	s.codes[value] = &code{
		client:      a.ID,
		user:        user,
		scopes:      scopes,
		redirectURI: query.Get("redirect_uri"),
		challenge:   challenge,
		expires:     c.now.Add(codeLife),
		family:      &family{},
	}
	return value, nil
}

// redeemableCode returns the code of a token request. A second use of a code revokes the tokens of the first (RFC 6749,
// section 4.1.2).
func (s *SailPoint) redeemableCode(c *call, a *app, f form) (*code, *oauthError) {
	known := s.codes[f["code"]]
	switch {
	case known == nil, known.client != a.ID:
		return nil, &oauthError{invalidGrant, "the code is unknown"}
	case known.used:
		known.family.revoked = true
		return nil, &oauthError{invalidGrant, "the code was used before"}
	case !c.now.Before(known.expires):
		return nil, &oauthError{invalidGrant, "the code is expired"}
	case f["redirect_uri"] != known.redirectURI:
		return nil, &oauthError{invalidGrant, "redirect_uri is not that of the authorization request"}
	case known.challenge == "" && f["code_verifier"] != "":
		// Otherwise an attacker could replace a code that has a challenge by one without (RFC 9700, section 2.1.1).
		return nil, &oauthError{invalidGrant, "there is a code_verifier, but the authorization request had no code_challenge"}
	case known.challenge != "" && known.challenge != challengeOf(f["code_verifier"]):
		return nil, &oauthError{invalidGrant, "code_verifier is missing or wrong"}
	}
	return known, nil
}

// challengeOf returns the S256 challenge of a verifier (RFC 7636, section 4.2).
func challengeOf(verifier string) string {
	digest := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

// sameRedirect reports whether a redirect URI is the registered one. If the host is loopback, the port does not matter.
func sameRedirect(registered, asked string) bool {
	if registered == asked {
		return true
	}
	r, err := url.Parse(registered)
	if err != nil || r.Scheme != "http" || !loopback(r.Hostname()) {
		return false
	}
	a, err := url.Parse(asked)
	if err != nil || a.Hostname() != r.Hostname() {
		return false
	}
	a.Host = r.Host
	return a.String() == registered
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// metadata serves the metadata of the token server (RFC 8414).
func (s *SailPoint) metadata(c *call) response {
	base := issuer(c)
	return jsonResponse(http.StatusOK, map[string]any{
		"issuer":                                         base,
		"authorization_endpoint":                         base + authorizePath,
		"token_endpoint":                                 base + "/oauth/token",
		"response_types_supported":                       []string{"code"},
		"grant_types_supported":                          []string{"client_credentials", "authorization_code", "refresh_token"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_post", "client_secret_basic", "none"},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
	})
}

// info describes the tenant as SailPoint does, including the URL of its authorization page.
func (s *SailPoint) info(c *call) response {
	base := issuer(c)
	return jsonResponse(http.StatusOK, map[string]string{
		"tenantId":          sandboxTenant,
		"tenantName":        "sandbox",
		"authorizeEndpoint": base + authorizePath,
		"tokenEndpoint":     base + "/oauth/token",
		"pod":               "sandbox",
	})
}

// issuer returns the origin that a request was sent to.
func issuer(c *call) string {
	scheme := c.URL.Scheme // set only by Transport
	switch {
	case scheme != "":
	case c.TLS != nil:
		scheme = "https"
	default:
		scheme = "http"
	}
	return scheme + "://" + strings.ToLower(c.Host)
}

// badLogin is shown to the user if an error of an authorization request cannot be sent to the client.
func badLogin(text string) response {
	header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	return response{http.StatusBadRequest, header, []byte("This login cannot go on: " + text + ".\n")}
}
