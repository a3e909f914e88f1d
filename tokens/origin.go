package tokens

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// parseBaseURL parses the URL of an API, which must be https or loopback.
func parseBaseURL(baseURL string) (*url.URL, error) {
	u, err := url.Parse(baseURL)
	switch {
	case err != nil:
		return nil, errors.New("the base URL is not a URL") // err would quote it
	case u.Hostname() == "":
		return nil, errors.New("the base URL has no host; write https://host")
	case u.User != nil || strings.ContainsAny(baseURL, "?#"):
		return nil, fmt.Errorf("the base URL %s has a user, a query or a fragment; leave it off", redactURL(u))
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("the base URL %s is neither https nor loopback; a token would be sent in the clear", redactURL(u))
}

func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// baseOriginOf returns the origin that src's tokens are for, taken from src or from the base URL that the caller gave.
func baseOriginOf(src Source, given string) (origin, error) {
	baseURL, err := baseURLOf(src, given)
	if err != nil {
		return origin{}, err
	}
	u, err := parseBaseURL(baseURL)
	if err != nil {
		return origin{}, err
	}
	return originOf(u), nil
}

// origin is what a token is bound to (RFC 6454, section 4).
type origin struct{ scheme, host string }

func originOf(u *url.URL) origin { return origin{u.Scheme, normalHost(u.Scheme, u.Host)} }

// normalHost returns host in lower case and without the default port of its scheme.
func normalHost(scheme, host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ":")
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return host
}

func (o origin) String() string { return o.scheme + "://" + o.host }

// has reports whether u is of this origin. The first comparison is the fast path.
func (o origin) has(u *url.URL) bool {
	return u.Scheme == o.scheme && u.Host == o.host || originOf(u) == o
}

// takes reports whether req goes to this origin by its URL, its Host header and the target of its request line, which
// URL.Opaque can set.
func (o origin) takes(req *http.Request) bool {
	return o.has(req.URL) && (req.Host == "" || req.Host == o.host || normalHost(o.scheme, req.Host) == o.host) &&
		(req.URL.Opaque == "" || req.URL.Opaque[0] == '/' && !strings.HasPrefix(req.URL.Opaque, "//"))
}

// check returns an error if req does not go to this origin.
func (o origin) check(req *http.Request) error {
	switch {
	case req.URL == nil:
		return errors.New("the request has no URL")
	case o.takes(req):
		return nil
	}
	to := clean(originOf(req.URL).String())
	if o.has(req.URL) && req.URL.Opaque != "" {
		return fmt.Errorf("the request has a URL.Opaque that may name another host than %s; use URL.Path and URL.RawPath", o)
	}
	if o.has(req.URL) {
		return fmt.Errorf("the request goes to %s but names the host %s", to, clean(req.Host))
	}
	return fmt.Errorf("the request goes to %s, but this client is for %s alone", to, o)
}
