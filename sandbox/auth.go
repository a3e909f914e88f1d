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
	invalidRequest          = "invalid_request"
	invalidClient           = "invalid_client"
	invalidGrant            = "invalid_grant"
	invalidScope            = "invalid_scope"
	unauthorizedClient      = "unauthorized_client"
	unsupportedGrantType    = "unsupported_grant_type"
	unsupportedResponseType = "unsupported_response_type"
	accessDenied            = "access_denied"
)

// basicChallenge is the WWW-Authenticate header of a 401 of an endpoint that authenticates clients (RFC 6749, section
// 5.2).
const basicChallenge = `Basic realm="sandbox", charset="UTF-8"`

// clientCredentials returns the credentials in the Basic header or the form of a request. Both at once are refused (RFC
// 6749, section 2.3); a strict vendor refuses even a client_id together with Basic. Both parts of Basic are
// form-encoded (section 2.3.1), unless the vendor does not decode them.
func clientCredentials(c *call, f form, rawBasic bool) (id, secret string, bad *oauthError) {
	headers := c.Header.Values("Authorization")
	if len(headers) == 0 {
		if f["client_id"] == "" {
			return "", "", &oauthError{invalidClient, "client_id and client_secret are needed"}
		}
		return f["client_id"], f["client_secret"], nil
	}
	if len(headers) > 1 || f["client_secret"] != "" || c.strict && f["client_id"] != "" {
		return "", "", &oauthError{invalidRequest, "the client must authenticate in one way"}
	}
	id, secret, ok := c.BasicAuth()
	if !ok {
		return "", "", &oauthError{invalidClient, "the Authorization header must be of the Basic scheme"}
	}
	if !rawBasic {
		var idErr, secretErr error
		id, idErr = url.QueryUnescape(id)
		secret, secretErr = url.QueryUnescape(secret)
		if idErr != nil || secretErr != nil {
			return "", "", &oauthError{invalidClient, "user and password of the Authorization header must be form-encoded"}
		}
	}
	if f["client_id"] != "" && f["client_id"] != id {
		return "", "", &oauthError{invalidRequest, "client_id must be that of the Authorization header"}
	}
	return id, secret, nil
}

// registered are the clients in the options, by id.
type registered map[string]Client

func newRegistered(clients []Client, defaults ...Client) registered {
	if clients == nil {
		clients = defaults
	}
	r := registered{}
	for _, c := range clients {
		r[c.ID] = c
	}
	return r
}

func (r registered) authenticate(c *call, f form, rawBasic bool) (Client, *oauthError) {
	id, secret, bad := clientCredentials(c, f, rawBasic)
	if bad != nil {
		return Client{}, bad
	}
	client := r[id]
	if secret == "" || client.Secret != secret {
		return Client{}, &oauthError{invalidClient, "the client is unknown or its secret is wrong"}
	}
	return client, nil
}

// bearer returns the token of the Authorization header, or "" unless there is exactly one header.
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

// scopeList splits a scope parameter. It returns false if a scope is empty or has a character that RFC 6749, section
// 3.3, does not allow.
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

// subset reports whether all scopes are allowed. If allowed is nil, all are.
func subset(scopes, allowed []string) bool {
	if allowed == nil {
		return true
	}
	for _, scope := range scopes {
		if !slices.Contains(allowed, scope) {
			return false
		}
	}
	return true
}
