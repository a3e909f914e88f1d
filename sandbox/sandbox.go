// Package sandbox is the three vendors as an HTTP server with state, for tests and demonstrations.
//
// In a test, [Start] serves all three on loopback until the test ends:
//
//	sb := sandbox.Start(t)
//	creds := tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret}
//	endpoint, err := tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: sb.URL, HTTPClient: sb.HTTPClient()})
//
// [New] is the same in memory, without sockets: it also works in a testing/synctest bubble, where tokens expire and
// limits are lifted as the bubble's time passes.
//
// The sandbox responds as the vendors document. Tokens expire, rotate, and are refused once they are revoked; OAuth
// clients that are created exist, get tokens of their own, and can be patched and deleted. A test may do the same without a
// request:
//
//	sb.Moov.Issue(sandbox.Token{Scopes: []string{"/ping.read"}})
//	sb.Moov.ExpireAll()
//	sb.Moov.RevokeAll()
//	sb.Moov.SetLimit(sandbox.Limit{Requests: 10, Per: time.Minute})
//	sb.Moov.Fault("createAccessToken", sandbox.Fault{Status: 503}, sandbox.Fault{Drop: true})
//	sb.Moov.Requests()
//
// To test code of your own against an API that wants the vendor's tokens, put a handler behind them:
//
//	sb.Handle("GET /accounts/{id}", sb.Moov.Protect(handler))
//
// As RFC 6749 asks of a server, the sandbox ignores parameters that it does not know, and those that are empty. With the
// option Strict, and from [NewStrict], it refuses these and whatever else a client should not send, so that a mistake is
// found here. Requests are kept for inspection, with the secrets in them, and so are tokens, until 65,536 newer ones have
// been issued.
package sandbox

import (
	"net/http"
	"strings"
	"testing"
)

// Credentials and a user's token that every vendor accepts unless its options say otherwise.
const (
	ClientID     = "sandbox-client"
	ClientSecret = "sandbox-secret-6f1c90b2"
	UserToken    = "sandbox-user-token-83d4a7e5"
)

// Client is a registered API client: an application at ThousandEyes, an API key at Moov, a personal access token or
// an OAuth client at SailPoint.
type Client struct {
	ID, Secret string

	// Scopes are what the client may ask for. If nil, it may ask for any.
	Scopes []string

	// Origins are the domains registered with a Moov key, such as "https://example.com". If there are any, a token
	// request must name one of them in its Origin or Referer header.
	Origins []string

	// User is the id of the user that a SailPoint token of client_credentials carries. If empty, it carries none, and
	// most operations respond with 403.
	User string

	// RedirectURIs are where SailPoint's authorization page may send users. If there are any, the client has the grants
	// authorization_code and refresh_token. On a loopback host any port will do (RFC 8252, section 7.3).
	RedirectURIs []string

	// Public is a client without a secret at SailPoint: it must use PKCE, and has no client_credentials.
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

// Sandbox serves the three vendors on one base URL. No path belongs to two of them.
type Sandbox struct {
	ThousandEyes *ThousandEyes
	Moov         *Moov
	SailPoint    *SailPoint

	// URL is the base URL, without a slash at its end.
	URL string

	client   *http.Client
	handlers http.ServeMux
}

// New returns the three vendors in memory, to be reached by [Sandbox.HTTPClient]. A vendor that is given stands in for
// the default one.
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

// Start is New on a free port of loopback, until the test ends. It does not work in a testing/synctest bubble, where New
// does.
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

// HTTPClient returns a client whose requests reach the sandbox at URL and, unless it was started on loopback, at any
// other URL as well.
func (s *Sandbox) HTTPClient() *http.Client { return s.client }

// Handle serves h at a pattern of [http.ServeMux], in place of a vendor. Behind Protect of a vendor, h is an API that
// wants the vendor's tokens. It panics if the pattern is not valid, or in conflict with an earlier one.
func (s *Sandbox) Handle(pattern string, h http.Handler) { s.handlers.Handle(pattern, h) }

// ServeHTTP serves a request by the handler that was set for it or, if there is none, by the vendor that its path belongs
// to. SailPoint has every path that is no other vendor's.
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
