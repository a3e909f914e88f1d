package tokens

import (
	"cmp"
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
	// TenantID is sent as X-Tenant-Id, which WAN Insights needs. If empty, it is not sent.
	TenantID string
	// BaseURL is the URL that /v7/oauth2/token is appended to, so it must not end in /v7. If empty, it is
	// https://api.thousandeyes.com.
	BaseURL string
	// HTTPClient is used as in DoerOptions. If nil, http.DefaultTransport is used.
	HTTPClient *http.Client
	// AuthStyle is how the client authenticates. If zero, it is AuthStyleBody.
	AuthStyle AuthStyle
	// Header is added to each request. A User-Agent replaces that of the SDK.
	Header http.Header
	// Retry is the retry policy of calls whose context has none from [WithRetry].
	Retry Retry
	// Timeout limits an exchange, including its retries. If zero, it is HTTPClient.Timeout or, if that is zero too, 30 s.
	Timeout time.Duration
	// Limiter is used as in DoerOptions. If nil, the Endpoint makes its own, which requests to the API share.
	Limiter *Limiter
	// Logger receives a line for each request that is repeated, and when the Limiter closes and opens. If nil, nothing is
	// logged.
	Logger *slog.Logger
}

// Format prints only the base URL, because headers and the client may hold secrets.
func (o ThousandEyesOptions) Format(f fmt.State, _ rune) {
	formatOptions(f, "ThousandEyesOptions", o.BaseURL)
}

// MarshalText returns what Format prints.
func (o ThousandEyesOptions) MarshalText() ([]byte, error) { return fmt.Append(nil, o), nil }

// MarshalYAML returns what Format prints.
func (o ThousandEyesOptions) MarshalYAML() (any, error) { return fmt.Sprint(o), nil }

// NewThousandEyes returns the [Endpoint] of the ThousandEyes API v7, with POST /v7/oauth2/token. It has only the
// client_credentials grant, optionally on behalf of a user (Grant.UserToken). If opts is nil, the defaults are used.
func NewThousandEyes(creds CredentialsProvider, opts *ThousandEyesOptions) (*Endpoint, error) {
	var o ThousandEyesOptions
	if opts != nil {
		o = *opts
	}
	v := vendor{name: "ThousandEyes", style: AuthStyleBody, onBehalf: true}
	baseURL := strings.TrimRight(cmp.Or(o.BaseURL, thousandEyesURL), "/")
	err := cmp.Or(checkText("TenantID", o.TenantID), refuseTokenURL(baseURL, "/v7/oauth2/token"))
	if err == nil && strings.HasSuffix(baseURL, "/v7") {
		err = errors.New("BaseURL must not end in /v7; the path of the token endpoint has it")
	}
	if err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", v.name, err)
	}
	e, doer, err := newVendorEndpoint(v, "/v7/oauth2/token", creds, endpointConfig{
		DoerOptions: DoerOptions{BaseURL: baseURL, HTTPClient: o.HTTPClient, Header: o.Header, Retry: o.Retry, Timeout: o.Timeout, Limiter: o.Limiter, Logger: o.Logger},
		style:       o.AuthStyle,
	})
	if err != nil {
		return nil, err
	}
	client, err := thousandeyes.NewClient(e.baseURL, thousandeyes.WithHTTPClient(doer))
	if err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", v.name, err)
	}
	if e.tenant = o.TenantID; e.tenant != "" {
		e.vendor.name += " " + e.tenant
	}
	params := &thousandeyes.CreateAccessTokenParams{XTenantID: optional(&o.TenantID)}
	e.exchange = func(ctx context.Context, f tokenForm, edit requestEditor) (*http.Response, error) {
		return client.CreateAccessTokenWithFormdataBody(ctx, params, thousandeyes.AccessTokenRequest{
			GrantType:               optional(&f.grantType),
			Scope:                   optional(&f.scope),
			ThousandeyesBearerToken: optional(&f.userToken),
			ClientID:                optional(&f.clientID),
			ClientSecret:            optional(&f.clientSecret),
		}, edit)
	}
	return e, nil
}

// refuseTokenURL returns an error if baseURL ends in one of the paths.
func refuseTokenURL(baseURL string, paths ...string) error {
	for _, path := range paths {
		if origin, ok := strings.CutSuffix(strings.TrimRight(baseURL, "/"), path); ok {
			if _, err := parseBaseURL(origin); err == nil {
				return fmt.Errorf("BaseURL must not end in %s, which is appended to it; use %s", path, origin)
			}
		}
	}
	return nil
}
