package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/grantwright/oauth-go/gen/oauth2"
)

// EndpointOptions are the settings of [NewEndpoint] and [Discover].
type EndpointOptions struct {
	// RevocationURL is the revocation endpoint (RFC 7009). If empty, Revoke returns errors.ErrUnsupported.
	RevocationURL string
	// AuthorizationURL is the authorization endpoint. If empty, Endpoint.AuthorizationURL returns errors.ErrUnsupported.
	AuthorizationURL string
	// Issuer identifies the server. A login's callback that names another issuer is refused (RFC 9207). Issuer is also the
	// audience of an Assertion. If empty, the issuer is unknown, and the audience is the token URL.
	Issuer string
	// Assertion, if not nil, authenticates the client instead of a secret (RFC 7523, section 2.2). It returns a JWT for
	// audience that the client has signed. It is called before each request, because servers accept an assertion only
	// once.
	//
	// The audience is the Issuer if it is known, as after Discover, because no other server can then use the assertion.
	// Otherwise it is the token URL. Most servers accept both. Servers made with Ory's fosite, such as Hydra, accept only
	// the token URL, and zitadel accepts only the issuer. If your server's documentation names another audience than the
	// one passed, use that one.
	Assertion func(ctx context.Context, audience string) (string, error)
	// BaseURL is the origin of the API that the tokens are for. If empty, the users of the tokens must name it, such as in
	// DoerOptions.
	BaseURL string
	// HTTPClient is used as in DoerOptions. If nil, http.DefaultTransport is used.
	HTTPClient *http.Client
	// AuthStyle is how the client authenticates. If zero, it is AuthStyleBasic, or the style that Discover found.
	AuthStyle AuthStyle
	// Header is added to each request. A User-Agent replaces that of the SDK.
	Header http.Header
	// Retry is the retry policy of calls whose context has none from [WithRetry].
	Retry Retry
	// Timeout limits an exchange or a revocation, including its retries. If zero, it is HTTPClient.Timeout or, if that is
	// zero too, 30 s.
	Timeout time.Duration
	// Limiter is used as in DoerOptions. If nil, the Endpoint makes its own. Requests to BaseURL share it if BaseURL and
	// the token URL have the same origin.
	Limiter *Limiter
	// Logger receives a line for each request that is repeated, and when the Limiter closes and opens. If nil, nothing is
	// logged.
	Logger *slog.Logger
}

// Format prints only the base URL, because headers and the client may hold secrets.
func (o EndpointOptions) Format(f fmt.State, _ rune) { formatOptions(f, "EndpointOptions", o.BaseURL) }

// MarshalText returns what Format prints.
func (o EndpointOptions) MarshalText() ([]byte, error) { return fmt.Append(nil, o), nil }

// MarshalYAML returns what Format prints.
func (o EndpointOptions) MarshalYAML() (any, error) { return fmt.Sprint(o), nil }

// NewEndpoint returns the [Endpoint] of any OAuth 2.0 server (RFC 6749). The token URL may have a query. All URLs must
// be https or loopback. If opts is nil, the defaults are used.
func NewEndpoint(tokenURL string, creds CredentialsProvider, opts *EndpointOptions) (*Endpoint, error) {
	var o EndpointOptions
	if opts != nil {
		o = *opts
	}
	e, err := o.endpoint(tokenURL, creds)
	if err != nil {
		return nil, fmt.Errorf("tokens: NewEndpoint: %w", err)
	}
	return e, nil
}

func (o EndpointOptions) endpoint(tokenURL string, creds CredentialsProvider) (*Endpoint, error) {
	at, err := parseEndpointURL("the token URL", tokenURL)
	if err != nil {
		return nil, err
	}
	if o.BaseURL != "" {
		if _, err := parseBaseURL(o.BaseURL); err != nil {
			return nil, fmt.Errorf("BaseURL: %w", err)
		}
	}
	if err := checkText("Issuer", o.Issuer); err != nil {
		return nil, err
	}
	config := endpointConfig{
		DoerOptions: DoerOptions{
			BaseURL: o.BaseURL, HTTPClient: o.HTTPClient, Header: o.Header, Retry: o.Retry, Timeout: o.Timeout,
			Limiter: cmp.Or(o.Limiter, new(Limiter)), Logger: o.Logger,
		},
		style: o.AuthStyle,
	}
	v := vendor{name: at.Host, style: AuthStyleBasic, refreshes: true, logins: true, extensions: true}
	if o.Assertion != nil {
		if o.AuthStyle != AuthStyleDefault {
			return nil, errors.New("AuthStyle and Assertion are both set; a request authenticates by one of them")
		}
		config.asserts = true
		config.HTTPClient = withAssertion(o.HTTPClient, &assertionTransport{assert: o.Assertion, audience: cmp.Or(o.Issuer, tokenURL), endpoint: v.name})
	}
	e, err := newEndpoint(v, tokenURL, creds, config)
	if err != nil {
		return nil, err
	}
	e.issuer = o.Issuer
	if o.AuthorizationURL != "" {
		if e.authorizationURL, err = parseEndpointURL("AuthorizationURL", o.AuthorizationURL); err != nil {
			return nil, err
		}
	}
	client, err := newOAuth2Client(at, config)
	if err != nil {
		return nil, err
	}
	e.exchange = func(ctx context.Context, f tokenForm, edit requestEditor) (*http.Response, error) {
		return client.CreateTokenWithFormdataBody(ctx, oauth2.TokenRequest{
			GrantType:    f.grantType,
			Scope:        optional(&f.scope),
			RefreshToken: optional(&f.refreshToken),
			Code:         optional(&f.code),
			RedirectURI:  optional(&f.redirectURI),
			CodeVerifier: optional(&f.codeVerifier),
			ClientID:     optional(&f.clientID),
			ClientSecret: optional(&f.clientSecret),
		}, edit)
	}
	if o.RevocationURL == "" {
		return e, nil
	}
	tokenOrigin := originOf(at)
	at, err = parseEndpointURL("RevocationURL", o.RevocationURL)
	if err != nil {
		return nil, err
	}
	if originOf(at) != tokenOrigin {
		config.Limiter = o.Limiter
	}
	revocation, err := newOAuth2Client(at, config)
	if err != nil {
		return nil, err
	}
	e.revoke = func(ctx context.Context, f revocationForm, edit requestEditor) (*http.Response, error) {
		return revocation.RevokeTokenWithFormdataBody(ctx, oauth2.RevocationRequest{
			Token:         f.token,
			TokenTypeHint: optional(&f.hint),
			ClientID:      optional(&f.clientID),
			ClientSecret:  optional(&f.clientSecret),
		}, edit)
	}
	return e, nil
}

// withAssertion returns a copy of client that authenticates each request with t.
func withAssertion(client *http.Client, t *assertionTransport) *http.Client {
	var signing http.Client
	if client != nil {
		signing = *client
	}
	if t.base = signing.Transport; t.base == nil {
		t.base = http.DefaultTransport
	}
	signing.Transport = t
	return &signing
}

// newOAuth2Client returns a generated client that sends all requests to one URL, instead of the path in the
// description.
func newOAuth2Client(at *url.URL, config endpointConfig) (*oauth2.Client, error) {
	server := at.Scheme + "://" + at.Host
	doer, err := newTokenDoer(server, config)
	if err != nil {
		return nil, err
	}
	return oauth2.NewClient(server, oauth2.WithHTTPClient(doer), oauth2.WithRequestEditorFn(func(_ context.Context, req *http.Request) error {
		u := *at
		req.URL = &u
		return nil
	}))
}

// parseEndpointURL parses the URL of an endpoint, which must be https or loopback. It may have a query, but no fragment
// (RFC 6749, sections 3.1 and 3.2).
func parseEndpointURL(name, endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	switch {
	case endpoint == "":
		return nil, fmt.Errorf("%s is empty", name)
	case err != nil:
		return nil, fmt.Errorf("%s is not a URL", name) // err would quote it
	case u.Scheme == "" || u.Hostname() == "":
		return nil, fmt.Errorf("%s %s is not absolute; write https://host/path", name, redactURL(u))
	case u.User != nil:
		return nil, fmt.Errorf("%s %s has a user; pass Credentials instead", name, redactURL(u))
	case u.Fragment != "" || endpoint[len(endpoint)-1] == '#':
		return nil, fmt.Errorf("%s %s has a fragment, which is never sent; leave it off", name, redactURL(u))
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("%s %s is neither https nor loopback; a secret would be sent in the clear", name, redactURL(u))
}
