package sandbox

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Protected is the operation id of requests to a handler returned by Protect.
const Protected = "protected"

// Protect returns a handler that calls h for requests with a live access token that has one of the scopes; without
// scopes, any token will do. Other requests get the vendor's 401 or 403, or its 429 above the limit. Requests are
// recorded without their bodies, and faults apply, under the operation id [Protected].
func (s *server) Protect(h http.Handler, scopes ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := s.newCall(r)
		authorize := func() *response {
			s.mu.Lock()
			defer s.mu.Unlock()
			c.now = time.Now()
			return s.authorize(c, scopes)
		}
		s.mu.Lock()
		scripted := len(s.faults[Protected]) > 0
		s.mu.Unlock()
		if !scripted { // no fault applies, so let h stream the response
			s.mu.Lock()
			recorded := s.record.add(Protected, c)
			s.mu.Unlock()
			refused := authorize()
			maps.Copy(w.Header(), c.header)
			if refused == nil {
				h.ServeHTTP(w, r)
				return
			}
			s.mu.Lock()
			recorded.Status = refused.status
			s.mu.Unlock()
			refused.write(w, 0)
			return
		}
		s.respond(w, c, Protected, func() response {
			if refused := authorize(); refused != nil {
				return *refused
			}
			b := &buffer{status: http.StatusOK, header: http.Header{}}
			h.ServeHTTP(b, r)
			return response{b.status, b.header, b.body.Bytes()}
		})
	})
}

// authorize finds the token of a call. It returns a response if there is no live token, if the token lacks the scopes,
// or if the limit is exceeded.
func (s *server) authorize(c *call, scopes []string) *response {
	value, wrong := bearer(c.Request), ""
	switch c.token = s.tokens.find(value); {
	case value == "":
		wrong = "missing"
	case c.token == nil || c.token.refresh || !s.hasClient(c.token.client):
		wrong = "unknown"
	case c.token.expired(c.now):
		wrong = "expired"
	}
	if wrong != "" {
		return new(s.vendor.unauthorized(c, wrong).with("WWW-Authenticate", bearerChallenge(value)))
	}
	if limited := s.limited(c, c.token.client); limited != nil {
		return limited
	}
	allowed := func(scope string) bool { return scope == allScopes || slices.Contains(scopes, scope) }
	if len(scopes) > 0 && !slices.ContainsFunc(c.token.scopes, allowed) {
		text := "the token lacks the scope " + strings.Join(scopes, " or ")
		return new(s.vendor.failure(c, http.StatusForbidden, text).with("WWW-Authenticate", `Bearer error="insufficient_scope"`))
	}
	return nil
}

func (s *server) hasClient(id string) bool {
	_, ok := s.vendor.terms(id)
	return ok
}

// bearerChallenge returns the WWW-Authenticate header of a 401 (RFC 6750, section 3). It has an error only if there was
// a token.
func bearerChallenge(token string) string {
	if token == "" {
		return `Bearer realm="sandbox"`
	}
	return `Bearer realm="sandbox", error="invalid_token"`
}

// buffer records a response that a fault may change.
type buffer struct {
	status  int
	header  http.Header
	body    bytes.Buffer
	written bool
}

// Header implements http.ResponseWriter.
func (b *buffer) Header() http.Header { return b.header }

// WriteHeader implements http.ResponseWriter.
func (b *buffer) WriteHeader(status int) {
	if !b.written {
		b.status, b.written = status, true
	}
}

// Write implements http.ResponseWriter.
func (b *buffer) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	return b.body.Write(p)
}
