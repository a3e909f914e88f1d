package tokens

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
)

// NewClient returns an [http.Client] that adds a token of src to each request, retries what can be retried safely (see
// [Retry]), follows redirects only for GET and HEAD and only within the origin, and limits time and size. Like any
// http.Client, it returns a response whatever its status; an error means that there was no response, and wraps an
// [*Error]. Also like any http.Client, it includes the URL of the request, with its query, in its errors.
//
// Sometimes only a 401 of the API shows that a login has ended. After a 401, call src.Token: its error says why there
// is no other token, such as [ErrLoginRequired]. The error that [NewError] makes from the response matches it too.
//
// The client sends src's tokens to one origin (scheme, host and port), and refuses requests to any other. It is the
// origin of src, if src has a BaseURL() string method, as a Cache does, or else of opts.BaseURL. If src is nil, no
// token is sent. If opts is nil, the defaults are used. NewClient fails if there is no base URL, if src and opts have
// different ones, or if it is neither https nor loopback.
//
// Of src, and of the Sources that it wraps (see [As]), NewClient uses the methods of [Source] and [Invalidator],
// BaseURL() string and Limiter() *Limiter.
func NewClient(src Source, opts *DoerOptions) (*http.Client, error) {
	s, err := newSender(src, opts)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	return &http.Client{Transport: clientTransport{s}, CheckRedirect: useLastResponse}, nil
}

// clientTransport adapts a sender to [http.RoundTripper]. It follows redirects itself, so that they share one deadline
// and one number of attempts.
type clientTransport struct {
	sender *sender
}

// RoundTrip implements http.RoundTripper.
func (t clientTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.sender.send(req, false)
}

// Format prints the origin, but neither headers nor the Source.
func (t clientTransport) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "tokens.NewClient(%s)", t.sender.origin)
}

// CloseIdleConnections is called by the method of the same name of http.Client.
func (t clientTransport) CloseIdleConnections() {
	(&http.Client{Transport: t.sender.caller}).CloseIdleConnections()
}

func useLastResponse(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

const modulePath = "github.com/grantwright/oauth-go"

// userAgent returns the User-Agent of the SDK, with the version of this module in the running program.
var userAgent = sync.OnceValue(func() string {
	info, _ := debug.ReadBuildInfo()
	return "oauth-go/" + moduleVersion(info)
})

// moduleVersion returns the version of this module in a program, or "devel". program is nil if it was built without
// module support.
func moduleVersion(program *debug.BuildInfo) string {
	if program == nil {
		return "devel"
	}
	version := ""
	for _, module := range append(program.Deps, &program.Main) {
		if module.Path != modulePath {
			continue
		}
		if version = module.Version; module.Replace != nil {
			version = module.Replace.Version
		}
	}
	if version = strings.TrimPrefix(version, "v"); version == "" || version[0] == '(' {
		return "devel"
	}
	return version
}
