// Package sandbox is the three vendors as an HTTP server with real state, for tests and demonstrations.
//
// [New] makes all three, to be served on one base URL; [NewThousandEyes], [NewMoov] and [NewSailPoint] make one. Each
// is an [http.Handler], safe for concurrent use, to be served by [Listen] on loopback or by [Transport] in memory,
// which also works inside a testing/synctest bubble.
//
// Tokens expire, are rotated and die when revoked; clients that are created exist, can get tokens of their own and can
// be patched and deleted. What a vendor documents is answered as documented. Beyond that the sandbox is strict: it
// refuses what the RFCs forbid a client to send (two ways of authentication, parameters that are doubled, empty or
// in the URL) and what it does not know, so that a mistake is seen here and not at the vendor's.
//
// [Fault] scripts what a vendor may also do: errors, delays, lost answers, cut bodies. Every request is kept for
// inspection, secrets included; so is every token, until 65,536 newer ones have been issued.
package sandbox

import (
	"net/http"
	"strings"
)

// Credentials and a user's token that every vendor accepts unless its options say otherwise.
const (
	ClientID     = "sandbox-client"
	ClientSecret = "sandbox-secret-6f1c90b2"
	UserToken    = "sandbox-user-token-83d4a7e5"
)

// Client is a registered API client: an application at ThousandEyes, an API key at Moov, a personal access token or
// API client at SailPoint.
type Client struct {
	ID, Secret string

	// Scopes are what the client may ask for; nil lets it ask for any.
	Scopes []string

	// Origins are the domains registered with a Moov key, such as "https://example.com". A token request must then
	// name one in its Origin or Referer header. None asks for none.
	Origins []string

	// User is the id of the user that the client's tokens carry at SailPoint; "" is a client without a user, to which
	// most operations answer 403.
	User string
}

// Sandbox serves the three vendors on one base URL. No path belongs to two of them.
type Sandbox struct {
	ThousandEyes *ThousandEyes
	Moov         *Moov
	SailPoint    *SailPoint
}

// New returns the three vendors with their default options.
func New() *Sandbox {
	return &Sandbox{
		ThousandEyes: NewThousandEyes(nil),
		Moov:         NewMoov(nil),
		SailPoint:    NewSailPoint(nil),
	}
}

// ServeHTTP lets the vendor answer to whom the path belongs; SailPoint has every path that is nobody else's.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/v7/"):
		s.ThousandEyes.ServeHTTP(w, r)
	case strings.HasPrefix(path, "/oauth2/"), path == "/ping":
		s.Moov.ServeHTTP(w, r)
	default:
		s.SailPoint.ServeHTTP(w, r)
	}
}
