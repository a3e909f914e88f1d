package tokens

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/grantwright/oauth-go/gen/acme"
)

const acmeURL = "https://acme.example.com"

// AcmeOptions are the settings of [NewAcme].
type AcmeOptions struct {
	// BaseURL is the URL that /oauth/token is appended to. If empty, it is https://acme.example.com.
	BaseURL string
	// HTTPClient is used as in DoerOptions. If nil, http.DefaultTransport is used.
	HTTPClient *http.Client
	// AuthStyle is how the client authenticates. If zero, it is AuthStyleBody.
	AuthStyle AuthStyle
	// Retry is the retry policy of calls whose context has none from [WithRetry].
	Retry Retry
	// Limiter is used as in DoerOptions. If nil, the Endpoint makes its own.
	Limiter *Limiter
}

// Format prints only the base URL, because the client may hold secrets.
func (o AcmeOptions) Format(f fmt.State, _ rune) { formatOptions(f, "AcmeOptions", o.BaseURL) }

// NewAcme returns the [Endpoint] of Acme, with POST /oauth/token. It has only the client_credentials grant. If opts is
// nil, the defaults are used.
func NewAcme(creds CredentialsProvider, opts *AcmeOptions) (*Endpoint, error) {
	var o AcmeOptions
	if opts != nil {
		o = *opts
	}
	e, doer, err := newVendorEndpoint(vendor{name: "Acme", style: AuthStyleBody}, "/oauth/token", creds, endpointConfig{
		DoerOptions: DoerOptions{BaseURL: cmp.Or(o.BaseURL, acmeURL), HTTPClient: o.HTTPClient, Retry: o.Retry, Limiter: o.Limiter},
		style:       o.AuthStyle,
	})
	if err != nil {
		return nil, err
	}
	client, err := acme.NewClient(e.baseURL, acme.WithHTTPClient(doer))
	if err != nil {
		return nil, fmt.Errorf("tokens: Acme: %w", err)
	}
	e.exchange = func(ctx context.Context, f tokenForm, edit requestEditor) (*http.Response, error) {
		return client.CreateAccessTokenWithFormdataBody(ctx, nil, acme.AccessTokenRequest{
			GrantType:    acme.AccessTokenRequestGrantType(f.grantType),
			Scope:        optional(&f.scope),
			ClientID:     optional(&f.clientID),
			ClientSecret: optional(&f.clientSecret),
		}, edit)
	}
	return e, nil
}
