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

	"github.com/grantwright/oauth-go/gen/moov"
)

const moovURL = "https://api.moov.io"

// MoovOptions are the settings of [NewMoov].
type MoovOptions struct {
	// Origin is sent as the Origin header: the scheme and host of a domain that is registered with the API key. Moov's
	// authentication guide asks for it or for a Referer, which Header can hold. If empty, it is not sent.
	Origin string
	// APIVersion is sent as x-moov-version, such as v2026.07.00. If empty, it is not sent, and Moov uses its default.
	APIVersion string
	// BaseURL is the URL that /oauth2/token and /oauth2/revoke are appended to. If empty, it is https://api.moov.io.
	BaseURL string
	// HTTPClient is used as in DoerOptions. If nil, http.DefaultTransport is used.
	HTTPClient *http.Client
	// AuthStyle is how the client authenticates. If zero, it is AuthStyleBasic.
	AuthStyle AuthStyle
	// Header is added to each request. A User-Agent replaces that of the SDK.
	Header http.Header
	// Retry is the retry policy of calls whose context has none from [WithRetry].
	Retry Retry
	// Timeout limits an exchange or a revocation, including its retries. If zero, it is HTTPClient.Timeout or, if that is
	// zero too, 30 s.
	Timeout time.Duration
	// Limiter is used as in DoerOptions. If nil, the Endpoint makes its own, which requests to the API share.
	Limiter *Limiter
	// Logger receives a line for each request that is repeated, and when the Limiter closes and opens. If nil, nothing is
	// logged.
	Logger *slog.Logger
}

// Format prints only the base URL, because headers and the client may hold secrets.
func (o MoovOptions) Format(f fmt.State, _ rune) { formatOptions(f, "MoovOptions", o.BaseURL) }

// MarshalText returns what Format prints.
func (o MoovOptions) MarshalText() ([]byte, error) { return fmt.Append(nil, o), nil }

// MarshalYAML returns what Format prints.
func (o MoovOptions) MarshalYAML() (any, error) { return fmt.Sprint(o), nil }

// NewMoov returns the [Endpoint] of the Moov API, with POST /oauth2/token and /oauth2/revoke. ClientID is the public
// key, ClientSecret the secret key. A client_credentials grant needs at least one scope. If opts is nil, the defaults
// are used.
func NewMoov(creds CredentialsProvider, opts *MoovOptions) (*Endpoint, error) {
	var o MoovOptions
	if opts != nil {
		o = *opts
	}
	v := vendor{name: "Moov", style: AuthStyleBasic, refreshes: true, mustScope: true}
	baseURL := cmp.Or(o.BaseURL, moovURL)
	err := cmp.Or(checkText("APIVersion", o.APIVersion), refuseTokenURL(baseURL, "/oauth2/token", "/oauth2/revoke"))
	header := o.Header
	if err == nil && o.Origin != "" {
		header, err = withOrigin(o.Header, o.Origin)
	}
	if err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", v.name, err)
	}
	e, doer, err := newVendorEndpoint(v, "/oauth2/token", creds, endpointConfig{
		DoerOptions: DoerOptions{BaseURL: baseURL, HTTPClient: o.HTTPClient, Header: header, Retry: o.Retry, Timeout: o.Timeout, Limiter: o.Limiter, Logger: o.Logger},
		style:       o.AuthStyle,
	})
	if err != nil {
		return nil, err
	}
	client, err := moov.NewClient(e.baseURL, moov.WithHTTPClient(doer))
	if err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", v.name, err)
	}
	version := optional(&o.APIVersion)
	e.exchange = func(ctx context.Context, f tokenForm, edit requestEditor) (*http.Response, error) {
		return client.CreateAccessTokenWithFormdataBody(ctx, &moov.CreateAccessTokenParams{XMoovVersion: version}, moov.AuthTokenRequest{
			GrantType:    moov.GrantType(f.grantType),
			Scope:        optional(&f.scope),
			RefreshToken: optional(&f.refreshToken),
			ClientID:     optional(&f.clientID),
			ClientSecret: optional(&f.clientSecret),
		}, edit)
	}
	e.revoke = func(ctx context.Context, f revocationForm, edit requestEditor) (*http.Response, error) {
		return client.RevokeAccessTokenWithFormdataBody(ctx, &moov.RevokeAccessTokenParams{XMoovVersion: version}, moov.RevokeTokenRequest{
			Token:         f.token,
			TokenTypeHint: (*moov.TokenTypeHint)(optional(&f.hint)),
			ClientID:      optional(&f.clientID),
			ClientSecret:  optional(&f.clientSecret),
		}, edit)
	}
	return e, nil
}

// withOrigin returns a copy of h with the Origin header.
func withOrigin(h http.Header, origin string) (http.Header, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || origin != u.Scheme+"://"+u.Host {
		return nil, errors.New("Origin must be scheme and host alone, such as https://www.example.com")
	}
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	for name := range h {
		if http.CanonicalHeaderKey(name) == "Origin" {
			delete(h, name)
		}
	}
	h.Set("Origin", origin)
	return h, nil
}
