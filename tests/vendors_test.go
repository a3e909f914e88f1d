package tests

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// vendor is a vendor in tests that run for every vendor.
type vendor struct {
	name       string           // its directory in gen/
	spec       string           // the description of its sandbox, if it has another name
	style      tokens.AuthStyle // the default
	grant      tokens.Grant     // a grant that works with sandboxCredentials
	offline    tokens.Credentials
	refreshes  bool   // has refresh tokens, for logins of the client in offline
	rotates    bool   // each refresh returns a new refresh token, and using the old one again ends the login (RFC 9700, section 4.14.2)
	tokenPath  string // the path of createAccessToken
	revokePath string // the path of revokeAccessToken; empty if the vendor does not have RFC 7009
	probe      string // an operation that requires a token
	probePath  string
	endpoint   func(tokens.CredentialsProvider, endpointOptions) (*tokens.Endpoint, error)
	sandbox    func(sandboxOptions) vendorServer
}

// endpointOptions are the options that the Endpoints of all vendors have.
type endpointOptions struct {
	limiter *tokens.Limiter
	baseURL string // if empty, that of the vendor, for the tenant "tenant"
	client  *http.Client
	style   tokens.AuthStyle
	retry   tokens.Retry
}

// sandboxOptions are the options that the sandboxes of all vendors have. Rate limits are off.
type sandboxOptions struct {
	clients []sandbox.Client
	life    time.Duration
}

// vendorServer has the methods that the sandboxes of all vendors have.
type vendorServer interface {
	http.Handler
	Count(operationID string) int
	Fault(operationID string, f ...sandbox.Fault)
	ClearFaults()
	Requests() []sandbox.Request
	Issue(t sandbox.Token) sandbox.Token
}

// The operation ids of token requests and revocations.
const (
	createAccessToken = "createAccessToken"
	revokeAccessToken = "revokeAccessToken"
)

var vendors = []vendor{
	{
		name:       "moov",
		style:      tokens.AuthStyleBasic,
		grant:      tokens.Grant{Scopes: []string{"/accounts.read"}},
		offline:    sandboxCredentials,
		refreshes:  true,
		rotates:    true,
		revokePath: "/oauth2/revoke",
		tokenPath:  "/oauth2/token",
		probe:      "ping",
		probePath:  "/ping",
		endpoint: func(creds tokens.CredentialsProvider, o endpointOptions) (*tokens.Endpoint, error) {
			return tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: o.baseURL, HTTPClient: o.client, AuthStyle: o.style, Retry: o.retry, Limiter: o.limiter})
		},
		sandbox: func(o sandboxOptions) vendorServer {
			return sandbox.NewMoov(&sandbox.MoovOptions{Strict: true, Clients: o.clients, TokenLife: o.life, RateLimit: sandbox.Limit{Requests: -1}})
		},
	},
	{
		// NewEndpoint with Moov's sandbox: it must behave like the vendors' constructors.
		name:       "oauth2",
		spec:       "moov",
		style:      tokens.AuthStyleBasic,
		grant:      tokens.Grant{Scopes: []string{"/accounts.read"}},
		offline:    sandboxCredentials,
		refreshes:  true,
		rotates:    true,
		revokePath: "/oauth2/revoke",
		tokenPath:  "/oauth2/token",
		probe:      "ping",
		probePath:  "/ping",
		endpoint: func(creds tokens.CredentialsProvider, o endpointOptions) (*tokens.Endpoint, error) {
			baseURL := cmp.Or(o.baseURL, "https://auth.example.com")
			return tokens.NewEndpoint(baseURL+"/oauth2/token", creds, &tokens.EndpointOptions{
				BaseURL: baseURL, RevocationURL: baseURL + "/oauth2/revoke", HTTPClient: o.client, AuthStyle: o.style, Retry: o.retry,
				Limiter: o.limiter,
			})
		},
		sandbox: func(o sandboxOptions) vendorServer {
			return sandbox.NewMoov(&sandbox.MoovOptions{Clients: o.clients, TokenLife: o.life, RateLimit: sandbox.Limit{Requests: -1}, Strict: true})
		},
	},
	{
		name:      "sailpoint",
		style:     tokens.AuthStyleBody,
		offline:   sandboxCredentials,
		refreshes: true,
		rotates:   true,
		tokenPath: "/oauth/token",
		probe:     "listOAuthClients",
		probePath: "/beta/oauth-clients",
		endpoint: func(creds tokens.CredentialsProvider, o endpointOptions) (*tokens.Endpoint, error) {
			tenant := "tenant"
			if o.baseURL != "" {
				tenant = ""
			}
			return tokens.NewSailPoint(tenant, creds, &tokens.SailPointOptions{BaseURL: o.baseURL, HTTPClient: o.client, AuthStyle: o.style, Retry: o.retry, Limiter: o.limiter})
		},
		sandbox: func(o sandboxOptions) vendorServer {
			return sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true, Clients: o.clients, TokenLife: o.life, RateLimit: sandbox.Limit{Requests: -1}})
		},
	},
	{
		name:      "thousandeyes",
		style:     tokens.AuthStyleBody,
		tokenPath: "/v7/oauth2/token",
		probe:     "listTests",
		probePath: "/v7/tests",
		endpoint: func(creds tokens.CredentialsProvider, o endpointOptions) (*tokens.Endpoint, error) {
			return tokens.NewThousandEyes(creds, &tokens.ThousandEyesOptions{BaseURL: o.baseURL, HTTPClient: o.client, AuthStyle: o.style, Retry: o.retry, Limiter: o.limiter})
		},
		sandbox: func(o sandboxOptions) vendorServer {
			return sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{Strict: true, Clients: o.clients, TokenLife: o.life, RateLimit: sandbox.Limit{Requests: -1}})
		},
	},
}

// once is a Retry that does not retry.
var once = tokens.Retry{Attempts: 1}

// rig is a vendor in memory and a transport to it.
type rig struct {
	vendor
	server vendorServer
	client *http.Client
}

// newRig returns a vendor's sandbox in memory, which works in a synctest bubble.
func newRig(v vendor, o sandboxOptions) *rig {
	server := v.sandbox(o)
	return &rig{vendor: v, server: server, client: &http.Client{Transport: sandbox.Transport(server)}}
}

// asks returns an Endpoint of the rig.
func (r *rig) asks(t *testing.T, creds tokens.CredentialsProvider, style tokens.AuthStyle, retry tokens.Retry) *tokens.Endpoint {
	t.Helper()
	o := endpointOptions{client: r.client, style: style, retry: retry}
	if retry.Attempts == 1 {
		o.limiter = &tokens.Limiter{MaxWait: 1} // do not wait after a 429 either
	}
	e, err := r.endpoint(creds, o)
	require.NoError(t, err)
	return e
}

// plain returns an Endpoint with the vendor's default authentication and without retries.
func (r *rig) plain(t *testing.T) *tokens.Endpoint {
	t.Helper()
	return r.asks(t, sandboxCredentials, tokens.AuthStyleDefault, once)
}

// cache returns a Cache over plain.
func (r *rig) cache(t *testing.T) *tokens.Cache {
	t.Helper()
	return cacheOf(t, r.plain(t), &tokens.CacheOptions{Grant: r.grant})
}

// responses sets the next responses of the token endpoint.
func (r *rig) responds(f ...sandbox.Fault) { r.server.Fault(createAccessToken, f...) }

// calls returns a function that calls the vendor's API with src's tokens, and returns the error.
func (r *rig) calls(t *testing.T, src tokens.Source) func(context.Context) error {
	t.Helper()
	baseURL := r.plain(t).BaseURL()
	doer, err := tokens.NewDoer(src, &tokens.DoerOptions{
		BaseURL: baseURL, HTTPClient: r.client, Retry: once, Limiter: new(tokens.Limiter),
	})
	require.NoError(t, err)
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL+r.probePath, nil)
		if err != nil {
			return err
		}
		resp, err := doer.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
}

// bubble runs a test in a synctest bubble that begins after 2001. In 2000, when bubbles begin, a Unix time such as
// Moov's expires_in would look like a number of seconds.
func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		pass(time.Until(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
		test(t)
	})
}

// pass waits for d, in the fake time of a bubble.
func pass(d time.Duration) { <-time.After(d) }

// grantee returns the client for token requests that may need refresh tokens.
func (v vendor) grantee() tokens.Credentials {
	if v.refreshes {
		return v.offline
	}
	return sandboxCredentials
}

func TestVendorsHaveARow(t *testing.T) {
	folders, err := filepath.Glob("../gen/*/*.gen.go")
	require.NoError(t, err)
	generated := []string{}
	for _, file := range folders {
		generated = append(generated, filepath.Base(filepath.Dir(file)))
	}
	var rows []string
	for _, v := range vendors {
		rows = append(rows, v.name)
	}
	assert.ElementsMatch(t, generated, rows, "a directory in gen/ without a row in vendors, or a row without a directory")
}

// The table of vendors agrees with the vendors' descriptions and with package tokens.
func TestVendorsAreAsTheTableSays(t *testing.T) {
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			r := newRig(v, sandboxOptions{})
			r.client.Transport = sandbox.Transport(validating(t, cmp.Or(v.spec, v.name), r.server))
			ctx := t.Context()

			require.ErrorIs(t, r.calls(t, tokens.Static("unknown"))(ctx), tokens.Status(http.StatusUnauthorized), "the probe requires a token")
			require.NoError(t, r.calls(t, r.cache(t))(ctx))
			assert.Equal(t, 1, r.server.Count(createAccessToken))
			assert.Equal(t, 2, r.server.Count(v.probe))
			assert.Equal(t, v.tokenPath, r.server.Requests()[1].Path)

			err := r.plain(t).Revoke(ctx, "unknown", tokens.HintNone)
			if v.revokePath != "" {
				require.NoError(t, err)
				assert.Equal(t, 1, r.server.Count(revokeAccessToken))
			} else {
				require.ErrorIs(t, err, errors.ErrUnsupported)
			}

			before := len(r.server.Requests())
			if !v.refreshes {
				_, err := r.plain(t).Exchange(ctx, tokens.Grant{RefreshToken: "rt"})
				require.ErrorIs(t, err, errors.ErrUnsupported)
				assert.Len(t, r.server.Requests(), before, "nothing is sent")
				return
			}
			first := r.offlineToken(t)
			second, err := r.asks(t, v.offline, tokens.AuthStyleDefault, once).Exchange(ctx, tokens.Grant{RefreshToken: first.RefreshToken})
			require.NoError(t, err)
			assert.NotEqual(t, first.AccessToken, second.AccessToken)
			assert.Equal(t, v.rotates, first.RefreshToken != second.RefreshToken)
		})
	}
}

// offlineToken returns the token of a login, with a refresh token.
func (r *rig) offlineToken(t *testing.T) *tokens.Token {
	t.Helper()
	issued := r.server.Issue(sandbox.Token{ClientID: r.offline.ClientID, Scopes: r.grant.Scopes})
	require.NotEmpty(t, issued.RefreshToken)
	return &tokens.Token{AccessToken: issued.AccessToken, RefreshToken: issued.RefreshToken, Scopes: issued.Scopes, Expiry: issued.Expires}
}

// cacheOf is tokens.NewCache for tests in which it cannot fail.
func cacheOf(t testing.TB, e *tokens.Endpoint, opts *tokens.CacheOptions) *tokens.Cache {
	t.Helper()
	cache, err := tokens.NewCache(e, opts)
	require.NoError(t, err)
	return cache
}
