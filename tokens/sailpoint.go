package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/grantwright/oauth-go/gen/sailpoint"
)

// Domains of SailPoint Identity Security Cloud: a tenant's API is at https://{tenant}.api.{domain}.
const (
	SailPointProduction = "identitynow.com"
	SailPointDemo       = "identitynow-demo.com"
	SailPointFedRAMP    = "saas.sailpointfedramp.com"
)

// SailPointOptions are the settings of [NewSailPoint].
type SailPointOptions struct {
	// Domain is that of the tenant's API. Empty: SailPointProduction.
	Domain string
	// BaseURL is what /oauth/token is appended to, in place of tenant and Domain: a vanity URL's API origin, without an
	// API version. Empty: made of tenant and Domain.
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

var (
	// A DNS label, so that a tenant cannot change the host.
	tenantPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	domainPattern = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
	// The API versions that a path begins with.
	versionPattern = regexp.MustCompile(`/(beta|latest|v[0-9]+)/*$`)
)

// SailPoint returns the [Endpoint] of a tenant of SailPoint Identity Security Cloud, POST /oauth/token. The tenant may
// be empty if BaseURL is set. It has client_credentials and, for clients that were granted it, refresh_token.
// Nil opts are the defaults.
func NewSailPoint(tenant string, creds CredentialsProvider, opts *SailPointOptions) (*Endpoint, error) {
	var o SailPointOptions
	if opts != nil {
		o = *opts
	}
	v := vendor{name: "SailPoint", style: AuthStyleBody, refreshes: true}
	domain := firstOf(o.Domain, SailPointProduction)
	baseURL := o.BaseURL
	switch {
	case baseURL != "" && versionPattern.MatchString(baseURL):
		return nil, errors.New("tokens: SailPoint: BaseURL must not have an API version; the token endpoint has none")
	case baseURL != "":
	case tenant == "":
		return nil, errors.New("tokens: SailPoint: the tenant is empty; pass its name, or set BaseURL")
	case !tenantPattern.MatchString(tenant):
		return nil, fmt.Errorf("tokens: SailPoint: the tenant %q is not a name; pass what stands before .api.%s", tenant, domain)
	case !domainPattern.MatchString(domain):
		return nil, fmt.Errorf("tokens: SailPoint: Domain %q is not one; use SailPointProduction, SailPointDemo or SailPointFedRAMP", domain)
	default:
		baseURL = "https://" + tenant + ".api." + domain
	}
	e, doer, err := newEndpoint(v, creds, common{
		baseURL: baseURL, httpClient: o.HTTPClient, style: o.AuthStyle, header: o.Header, retry: o.Retry,
		timeout: o.Timeout, logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	client, err := sailpoint.NewClient(e.baseURL, sailpoint.WithHTTPClient(doer))
	if err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", v.name, err)
	}
	e.exchange = func(ctx context.Context, f *form) (*http.Response, error) {
		return client.CreateAccessTokenWithFormdataBody(ctx, sailpoint.AccessTokenRequest{
			GrantType:    f.grantType,
			Scope:        field(&f.scope),
			RefreshToken: field(&f.refreshToken),
			ClientID:     field(&f.clientID),
			ClientSecret: field(&f.clientSecret),
		}, f.edit)
	}
	return e, nil
}
