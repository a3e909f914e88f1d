package tokens

import (
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
	// Origin is sent as the Origin header: scheme and host of a domain that is registered with the API key. Moov's
	// authentication guide asks for it or for a Referer (which Header can hold). Empty: not sent.
	Origin string
	// APIVersion is sent as x-moov-version, such as v2026.07.00. Empty: not sent, and Moov takes its default.
	APIVersion string
	// BaseURL is what /oauth2/token and /oauth2/revoke are appended to. Empty: https://api.moov.io.
	BaseURL string
	// HTTPClient is used as in DoerOptions. Nil: one with http.DefaultTransport.
	HTTPClient *http.Client
	// AuthStyle is how the client authenticates. Default: AuthStyleBasic.
	AuthStyle AuthStyle
	// Header is added to each request.
	Header http.Header
	// Retry holds for calls that have none of their own from WithRetry.
	Retry Retry
	// Timeout bounds an exchange or a revocation with its retries. If zero, it is that of HTTPClient, else 30 s.
	Timeout time.Duration
	// Logger is told of each repeated request. If nil, nothing is logged.
	Logger *slog.Logger
}

// Moov returns the [Endpoint] of the Moov API, POST /oauth2/token and /oauth2/revoke. ClientID is the public key,
// ClientSecret the secret key. Scopes are needed with client_credentials. Nil opts are the defaults.
func NewMoov(creds CredentialsProvider, opts *MoovOptions) (*Endpoint, error) {
	var o MoovOptions
	if opts != nil {
		o = *opts
	}
	v := vendor{name: "Moov", style: AuthStyleBasic, refreshes: true, mustScope: true}
	if err := checkHeaderValue(o.APIVersion); err != nil {
		return nil, fmt.Errorf("tokens: %s: APIVersion %w", v.name, err)
	}
	header := o.Header.Clone()
	if o.Origin != "" {
		if !isOrigin(o.Origin) {
			return nil, errors.New("tokens: Moov: Origin must be scheme and host alone, such as https://www.example.com")
		}
		if header == nil {
			header = http.Header{}
		}
		header.Set("Origin", o.Origin)
	}
	e, doer, err := newEndpoint(v, creds, common{
		baseURL: firstOf(o.BaseURL, moovURL), httpClient: o.HTTPClient, style: o.AuthStyle, header: header, retry: o.Retry,
		timeout: o.Timeout, logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	client, err := moov.NewClient(e.baseURL, moov.WithHTTPClient(doer))
	if err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", v.name, err)
	}
	version := field(&o.APIVersion)
	e.exchange = func(ctx context.Context, f *form) (*http.Response, error) {
		return client.CreateAccessTokenWithFormdataBody(ctx, &moov.CreateAccessTokenParams{XMoovVersion: version}, moov.AuthTokenRequest{
			GrantType:    moov.GrantType(f.grantType),
			Scope:        field(&f.scope),
			RefreshToken: field(&f.refreshToken),
			ClientID:     field(&f.clientID),
			ClientSecret: field(&f.clientSecret),
		}, f.edit)
	}
	e.revoke = func(ctx context.Context, f *form) (*http.Response, error) {
		return client.RevokeAccessTokenWithFormdataBody(ctx, &moov.RevokeAccessTokenParams{XMoovVersion: version}, moov.RevokeTokenRequest{
			Token:         f.token,
			TokenTypeHint: (*moov.TokenTypeHint)(field(&f.hint)),
			ClientID:      field(&f.clientID),
			ClientSecret:  field(&f.clientSecret),
		}, f.edit)
	}
	return e, nil
}

func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") && s == u.Scheme+"://"+u.Host
}
