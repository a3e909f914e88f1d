package tokens

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
)

// NewClient returns an [http.Client] that adds a token of src to each request, repeats what is safe to repeat (see
// [Retry]), follows redirects of GET and HEAD within the origin only, and bounds time and size. Like any http.Client it
// returns every status as a response; an error means that there was none, and holds an [*Error]. Also like any
// http.Client it puts the URL of the request, with its query, into its errors.
//
// A login may turn out to be over only when the API responds with 401. After a 401 call src.Token, whose error says why there
// is no other token, such as [ErrLoginRequired]; the error that [NewError] makes of the response matches it too.
//
// It sends src's tokens to one origin (scheme, host and port), and refuses requests to any other: that of src, if it has a
// BaseURL() string method, as a Cache has, else that of opts.BaseURL. If src is nil, no token is sent. If opts is nil, the
// defaults are used. NewClient fails if there is no base URL, if the two differ, or if it is neither https nor loopback.
//
// Of src, and of what is behind its Unwrap() Source methods, the methods of [Source] and [Invalidator], BaseURL() string and
// Limiter() *Limiter are used.
func NewClient(src Source, opts *DoerOptions) (*http.Client, error) {
	s, err := newSender(src, opts)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	return &http.Client{Transport: clientTransport{s}, CheckRedirect: useLastResponse}, nil
}

// clientTransport is a sender as an [http.RoundTripper]. It follows redirects itself, so that one deadline and one number of
// attempts bound them all.
type clientTransport struct {
	sender *sender
}

// RoundTrip implements http.RoundTripper.
func (t clientTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.sender.send(req, false)
}

// Format prints which origin the client is for, and nothing of its headers and its Source.
func (t clientTransport) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "tokens.NewClient(%s)", t.sender.origin)
}

// CloseIdleConnections is what http.Client's method of that name calls.
func (t clientTransport) CloseIdleConnections() { t.sender.client.CloseIdleConnections() }

func useLastResponse(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

const modulePath = "github.com/grantwright/oauth-go"

// userAgent returns the User-Agent of the SDK, with the version of the module that the program was built with.
var userAgent = sync.OnceValue(func() string {
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range append(info.Deps, &info.Main) {
			if module.Path != modulePath {
				continue
			}
			if version = module.Version; module.Replace != nil {
				version = module.Replace.Version
			}
		}
	}
	if version = strings.TrimPrefix(version, "v"); version == "" || version[0] == '(' {
		version = "devel"
	}
	return "oauth-go/" + version
})
