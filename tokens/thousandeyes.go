package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/gen/thousandeyes"
)

const thousandEyesURL = "https://api.thousandeyes.com"

// ThousandEyesOptions are the settings of [NewThousandEyes].
type ThousandEyesOptions struct {
	// TenantID is sent as X-Tenant-Id, which WAN Insights asks for. Empty: not sent.
	TenantID string
	// BaseURL is what /v7/oauth2/token is appended to, so it does not end in /v7. Empty: https://api.thousandeyes.com.
	BaseURL string
	// HTTPClient is used as in DoerOptions. Nil: one with http.DefaultTransport.
	HTTPClient *http.Client
	// AuthStyle is how the client authenticates. Default: AuthStyleBody.
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

// ThousandEyes returns the [Endpoint] of the ThousandEyes API v7, POST /v7/oauth2/token. It has client_credentials only,
// optionally on behalf of a user (Grant.UserToken). Nil opts are the defaults.
func NewThousandEyes(creds CredentialsProvider, opts *ThousandEyesOptions) (*Endpoint, error) {
	var o ThousandEyesOptions
	if opts != nil {
		o = *opts
	}
	v := vendor{name: "ThousandEyes", style: AuthStyleBody, onBehalf: true}
	if err := checkHeaderValue(o.TenantID); err != nil {
		return nil, fmt.Errorf("tokens: %s: TenantID %w", v.name, err)
	}
	if strings.HasSuffix(strings.TrimRight(o.BaseURL, "/"), "/v7") {
		return nil, errors.New("tokens: ThousandEyes: BaseURL must not end in /v7; the path of the token endpoint has it")
	}
	e, doer, err := newEndpoint(v, creds, common{
		baseURL: firstOf(o.BaseURL, thousandEyesURL), httpClient: o.HTTPClient, style: o.AuthStyle, header: o.Header, retry: o.Retry,
		timeout: o.Timeout, logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	client, err := thousandeyes.NewClient(e.baseURL, thousandeyes.WithHTTPClient(doer))
	if err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", v.name, err)
	}
	params := &thousandeyes.CreateAccessTokenParams{XTenantID: field(&o.TenantID)}
	e.exchange = func(ctx context.Context, f *form) (*http.Response, error) {
		return client.CreateAccessTokenWithFormdataBody(ctx, params, thousandeyes.AccessTokenRequest{
			GrantType:               field(&f.grantType),
			Scope:                   field(&f.scope),
			ThousandeyesBearerToken: field(&f.userToken),
			ClientID:                field(&f.clientID),
			ClientSecret:            field(&f.clientSecret),
		}, f.edit)
	}
	return e, nil
}
