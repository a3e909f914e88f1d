package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
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
	// Domain is the domain of the tenant's API. If empty, it is SailPointProduction.
	Domain string
	// BaseURL is the URL that /oauth/token is appended to: the API origin of a vanity URL, without an API version. It
	// replaces tenant and Domain. If empty, it is made from them.
	BaseURL string
	// AuthorizationURL is where users log in. SailPoint names it as authorizeEndpoint in the response of GET
	// {BaseURL}/oauth/info. If empty, it is https://{tenant}.login.sailpoint.com/oauth/authorize for tenants in
	// production, and otherwise unknown.
	AuthorizationURL string
	// HTTPClient is used as in DoerOptions. If nil, http.DefaultTransport is used.
	HTTPClient *http.Client
	// AuthStyle is how the client authenticates. If zero, it is AuthStyleBody. Public clients use AuthStyleNone.
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
func (o SailPointOptions) Format(f fmt.State, _ rune) {
	formatOptions(f, "SailPointOptions", o.BaseURL)
}

// MarshalText returns what Format prints.
func (o SailPointOptions) MarshalText() ([]byte, error) { return fmt.Append(nil, o), nil }

// MarshalYAML returns what Format prints.
func (o SailPointOptions) MarshalYAML() (any, error) { return fmt.Sprint(o), nil }

var (
	// A DNS label: a tenant must not change the host.
	tenantPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	domainPattern = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
	// The API version at the end of a path.
	versionPattern = regexp.MustCompile(`/(beta|latest|v[0-9]+)/*$`)
)

// NewSailPoint returns the [Endpoint] of a tenant of SailPoint Identity Security Cloud, with POST /oauth/token. tenant
// must be empty if BaseURL is set. The Endpoint has the client_credentials grant and, for clients that may use them,
// authorization_code and refresh_token. If opts is nil, the defaults are used.
func NewSailPoint(tenant string, creds CredentialsProvider, opts *SailPointOptions) (*Endpoint, error) {
	var o SailPointOptions
	if opts != nil {
		o = *opts
	}
	v := vendor{name: "SailPoint", style: AuthStyleBody, refreshes: true, logins: true}
	baseURL, err := o.baseURL(tenant)
	var authorizationURL *url.URL
	if err == nil && o.AuthorizationURL != "" {
		authorizationURL, err = parseEndpointURL("AuthorizationURL", o.AuthorizationURL)
	} else if err == nil && tenant != "" && cmp.Or(o.Domain, SailPointProduction) == SailPointProduction {
		authorizationURL = &url.URL{Scheme: "https", Host: tenant + ".login.sailpoint.com", Path: "/oauth/authorize"}
	}
	if err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", v.name, err)
	}
	e, doer, err := newVendorEndpoint(v, "/oauth/token", creds, endpointConfig{
		DoerOptions: DoerOptions{BaseURL: baseURL, HTTPClient: o.HTTPClient, Header: o.Header, Retry: o.Retry, Timeout: o.Timeout, Limiter: o.Limiter, Logger: o.Logger},
		style:       o.AuthStyle,
	})
	if err != nil {
		return nil, err
	}
	client, err := sailpoint.NewClient(e.baseURL, sailpoint.WithHTTPClient(doer))
	if err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", v.name, err)
	}
	e.authorizationURL = authorizationURL
	e.vendor.name += " " + cmp.Or(tenant, baseHost(baseURL)) // so that logs tell tenants apart
	e.exchange = func(ctx context.Context, f tokenForm, edit requestEditor) (*http.Response, error) {
		return client.CreateAccessTokenWithFormdataBody(ctx, sailpoint.AccessTokenRequest{
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
	return e, nil
}

// baseURL returns the origin of a tenant's API.
func (o SailPointOptions) baseURL(tenant string) (string, error) {
	if o.BaseURL != "" {
		return o.BaseURL, o.checkBaseURL(tenant)
	}
	domain := cmp.Or(o.Domain, SailPointProduction)
	switch {
	case tenant == "":
		return "", errors.New("the tenant is empty; pass its name, or set BaseURL")
	case strings.HasPrefix(domain, "api."):
		return "", fmt.Errorf("Domain must not begin with api., which is put before it; use %s", strings.TrimPrefix(domain, "api."))
	case !domainPattern.MatchString(domain):
		return "", fmt.Errorf("Domain %q is not a valid domain; use SailPointProduction, SailPointDemo or SailPointFedRAMP", domain)
	case domain == sailPointLogin:
		return "", fmt.Errorf("Domain %s is that of the login pages; use SailPointProduction", domain)
	case !tenantPattern.MatchString(tenant):
		return "", fmt.Errorf("the tenant %q is not a valid name; pass the part of the API's host before .api.%s", tenant, domain)
	}
	return "https://" + tenant + ".api." + domain, nil
}

func (o SailPointOptions) checkBaseURL(tenant string) error {
	switch {
	case tenant != "":
		return errors.New("the tenant and BaseURL are both set; pass an empty tenant, or leave BaseURL empty")
	case o.Domain != "":
		return errors.New("Domain and BaseURL are both set; leave one empty")
	case versionPattern.MatchString(strings.TrimSuffix(strings.TrimRight(o.BaseURL, "/"), "/oauth-clients")):
		return errors.New("BaseURL must not have an API version; the token endpoint has none")
	}
	if err := refuseTokenURL(o.BaseURL, "/oauth/token", "/oauth-clients"); err != nil {
		return err
	}
	u, err := url.Parse(o.BaseURL)
	if err != nil {
		return errors.New("BaseURL: the base URL is not a URL") // err would quote it
	}
	if api := sailPointAPIHost(strings.ToLower(u.Hostname())); api != "" {
		return fmt.Errorf("BaseURL https://%s is that of the user interface; the API is at https://%s", u.Hostname(), api)
	}
	return nil
}

func baseHost(baseURL string) string {
	u, err := url.Parse(baseURL)
	if err != nil {
		return ""
	}
	return u.Host
}

const sailPointLogin = "login.sailpoint.com"

// sailPointAPIHost returns the host of a tenant's API for the host of its user interface, and "" for any other host.
func sailPointAPIHost(host string) string {
	for ui, domain := range map[string]string{
		SailPointProduction: SailPointProduction, SailPointDemo: SailPointDemo, SailPointFedRAMP: SailPointFedRAMP,
		sailPointLogin: SailPointProduction,
	} {
		if tenant, ok := strings.CutSuffix(host, "."+ui); ok && tenantPattern.MatchString(tenant) && tenant != "api" {
			return tenant + ".api." + domain
		}
	}
	return ""
}
