package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// oauthError is an error of RFC 6749, section 5.2, or RFC 7009, section 2.2.1.
type oauthError struct {
	code, text string
}

const (
	invalidRequest       = "invalid_request"
	invalidClient        = "invalid_client"
	invalidGrant         = "invalid_grant"
	invalidScope         = "invalid_scope"
	unauthorizedClient   = "unauthorized_client"
	unsupportedGrantType = "unsupported_grant_type"
)

// clientCredentials returns what the request authenticates with: HTTP Basic or the form, never both (RFC 6749, section
// 2.3). Basic carries both parts form-encoded (section 2.3.1), unless the server reads it raw. Even a client_id alone
// beside Basic is refused, which servers treat differently.
func clientCredentials(r *http.Request, f form, rawBasic bool) (id, secret string, bad *oauthError) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		if f["client_id"] == "" || f["client_secret"] == "" {
			return "", "", &oauthError{invalidClient, "client_id and client_secret are needed"}
		}
		return f["client_id"], f["client_secret"], nil
	}
	if len(headers) > 1 || f["client_id"] != "" || f["client_secret"] != "" {
		return "", "", &oauthError{invalidRequest, "the client must authenticate in one way"}
	}
	id, secret, ok := r.BasicAuth()
	if !ok {
		return "", "", &oauthError{invalidClient, "the Authorization header must be of the Basic scheme"}
	}
	if rawBasic {
		return id, secret, nil
	}
	id, idErr := url.QueryUnescape(id)
	secret, secretErr := url.QueryUnescape(secret)
	if idErr != nil || secretErr != nil {
		return "", "", &oauthError{invalidClient, "user and password of the Authorization header must be form-encoded"}
	}
	return id, secret, nil
}

// registered are the clients that options name, by id.
type registered map[string]Client

func newRegistered(clients []Client, fallback Client) registered {
	if clients == nil {
		clients = []Client{fallback}
	}
	r := registered{}
	for _, c := range clients {
		r[c.ID] = c
	}
	return r
}

func (r registered) authenticate(req *http.Request, f form, rawBasic bool) (Client, *oauthError) {
	id, secret, bad := clientCredentials(req, f, rawBasic)
	if bad != nil {
		return Client{}, bad
	}
	client, ok := r[id]
	if !ok || client.Secret != secret {
		return Client{}, &oauthError{invalidClient, "the client is unknown or its secret is wrong"}
	}
	return client, nil
}

// bearer returns the token of the one Authorization header, or "".
func bearer(r *http.Request) string {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return ""
	}
	scheme, value, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return value
}

// scopeList splits a scope parameter. It reports false where a scope is empty or has a character that RFC 6749, section
// 3.3, does not let it have.
func scopeList(s string) ([]string, bool) {
	scopes := strings.Split(s, " ")
	for _, scope := range scopes {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool {
			return r < 0x21 || r > 0x7e || r == '"' || r == '\\'
		}) {
			return nil, false
		}
	}
	return scopes, true
}

// subset reports whether every scope asked for is allowed; nil allows any.
func subset(asked, allowed []string) bool {
	if allowed == nil {
		return true
	}
	for _, scope := range asked {
		if !slices.Contains(allowed, scope) {
			return false
		}
	}
	return true
}
