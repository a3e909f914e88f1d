package tokens

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// parseBaseURL reads the URL of an API, which must be https or loopback.
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
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// origin is what a token is bound to (RFC 6454, section 4).
type origin struct{ scheme, host string }

func originOf(u *url.URL) origin {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return origin{u.Scheme, host}
}

// has tells whether u is of this origin; it mostly is, and spelled alike.
func (o origin) has(u *url.URL) bool {
	return u.Scheme == o.scheme && u.Host == o.host || originOf(u) == o
}
