// Package sandbox implements the three vendors as an HTTP server with state, for tests and demonstrations.
//
// In a test, [Start] serves all three on loopback until the test ends:
//
//	sb := sandbox.Start(t)
//	creds := tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret}
//	endpoint, err := tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: sb.URL, HTTPClient: sb.HTTPClient()})
//
// [New] does the same in memory, without sockets. It also works in a testing/synctest bubble, where tokens expire and
// rate limits end in the bubble's time.
//
// The sandbox responds as the vendors document. Tokens expire, rotate, and are refused after they were revoked; created
// OAuth clients exist, get tokens of their own, and can be patched and deleted. A test can also change the state
// directly:
//
//	sb.Moov.Issue(sandbox.Token{Scopes: []string{"/ping.read"}})
//	sb.Moov.ExpireAll()
//	sb.Moov.RevokeAll()
//	sb.Moov.SetLimit(sandbox.Limit{Requests: 10, Per: time.Minute})
//	sb.Moov.Fault("createAccessToken", sandbox.Fault{Status: 503}, sandbox.Fault{Drop: true})
//	sb.Moov.Requests()
//
// To test your own code against an API that requires the vendor's tokens, put a handler behind Protect:
//
//	sb.Handle("GET /accounts/{id}", sb.Moov.Protect(handler))
//
// As RFC 6749 requires of a server, the sandbox ignores unknown and empty parameters. With the option Strict, and from
// [NewStrict], it refuses these and everything else that a client should not send, so that tests find such mistakes.
// The sandbox keeps requests for inspection, including the secrets in them, and keeps tokens until 65,536 newer ones
// have been issued.
package sandbox

import (
	"net/http"
	"strings"
	"testing"
)

// Credentials and a user's token that every vendor accepts by default.
const (
	ClientID     = "sandbox-client"
	ClientSecret = "sandbox-secret-6f1c90b2"
	UserToken    = "sandbox-user-token-83d4a7e5"
)

// Client is a registered API client: an application at ThousandEyes, an API key at Moov, and a personal access token or
// an OAuth client at SailPoint.
type Client struct {
	ID, Secret string

	// Scopes are the scopes that the client may request. If nil, it may request any.
	Scopes []string

	// Origins are the domains registered with a Moov key, such as "https://example.com". If there are any, a token request
	// must have one of them in its Origin or Referer header.
	Origins []string

	// User is the id of the user in a SailPoint token for client_credentials. If empty, the token has no user, and most
	// operations respond with 403.
	User string

	// RedirectURIs are the URIs that SailPoint's authorization page may redirect to. If there are any, the client has the
	// grants authorization_code and refresh_token. On a loopback host, any port is accepted (RFC 8252, section 7.3).
	RedirectURIs []string

	// Public, if true, makes this a SailPoint client without a secret: it must use PKCE, and cannot use
	// client_credentials.
	Public bool
}

// Vendor is one of [ThousandEyes], [Moov] and [SailPoint].
type Vendor interface {
	http.Handler
	add(to *Sandbox)
}

func (t *ThousandEyes) add(to *Sandbox) { to.ThousandEyes = t }
func (m *Moov) add(to *Sandbox)         { to.Moov = m }
func (s *SailPoint) add(to *Sandbox)    { to.SailPoint = s }

// Sandbox serves the three vendors on one base URL. Their paths do not overlap.
type Sandbox struct {
	ThousandEyes *ThousandEyes
	Moov         *Moov
	SailPoint    *SailPoint

	// URL is the base URL, without a trailing slash.
	URL string

	client   *http.Client
	handlers http.ServeMux
}

// New returns the three vendors in memory; use [Sandbox.HTTPClient] to reach them. Each given vendor replaces the
// default one.
func New(vendors ...Vendor) *Sandbox {
	s := &Sandbox{
		ThousandEyes: NewThousandEyes(nil),
		Moov:         NewMoov(nil),
		SailPoint:    NewSailPoint(nil),
		URL:          "https://sandbox.example.com",
	}
	for _, v := range vendors {
		v.add(s)
	}
	s.client = &http.Client{Transport: Transport(s)}
	return s
}

// NewStrict is New with vendors that have the option Strict.
func NewStrict() *Sandbox {
	return New(
		NewThousandEyes(&ThousandEyesOptions{Strict: true}),
		NewMoov(&MoovOptions{Strict: true}),
		NewSailPoint(&SailPointOptions{Strict: true}),
	)
}

// Start is like New, but serves on a free loopback port until the test ends. It does not work in a testing/synctest
// bubble; use New there.
func Start(tb testing.TB, vendors ...Vendor) *Sandbox {
	tb.Helper()
	s := New(vendors...)
	server, err := Listen(s)
	if err != nil {
		tb.Fatalf("sandbox: %v", err)
	}
	transport := &http.Transport{}
	s.URL, s.client = server.URL, &http.Client{Transport: transport}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	return s
}

// HTTPClient returns a client whose requests reach the sandbox at URL. Unless the sandbox was made by Start, requests
// to any other URL reach it too.
func (s *Sandbox) HTTPClient() *http.Client { return s.client }

// Handle registers h for a pattern of [http.ServeMux], which takes precedence over the vendors. Wrap h in a vendor's
// Protect for an API that requires the vendor's tokens. Handle panics if the pattern is invalid or conflicts with an
// earlier one.
func (s *Sandbox) Handle(pattern string, h http.Handler) { s.handlers.Handle(pattern, h) }

// ServeHTTP calls the handler that was registered for the request or, if there is none, the vendor that the path
// belongs to. Paths of no other vendor belong to SailPoint.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := s.handlers.Handler(r); pattern != "" {
		s.handlers.ServeHTTP(w, r)
		return
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/v7/"):
		s.ThousandEyes.ServeHTTP(w, r)
	case strings.HasPrefix(path, "/oauth2/"), path == "/ping":
		s.Moov.ServeHTTP(w, r)
	default:
		s.SailPoint.ServeHTTP(w, r)
	}
}
