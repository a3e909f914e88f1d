package interop

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/patch"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// published is the directory of the vendors' published descriptions, if they are there.
const published = "../../../shared/upstream/slices"

// prism serves a description, and refuses every request that violates it.
func prism(t *testing.T, description string) string {
	t.Helper()
	path := program(t, "prism")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	require.NoError(t, l.Close())
	cmd := exec.Command(path, "mock", "--errors", "--host", "127.0.0.1", "--port", port, description)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	listening := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "is listening") {
				close(listening)
				break
			}
		}
		for lines.Scan() { // keeps the process from blocking
		}
	}()
	select {
	case <-listening:
	case <-time.After(time.Minute):
		t.Fatal("prism does not start")
	}
	return "http://127.0.0.1:" + port
}

// A call is a request of the SDK.
type call struct {
	name string
	do   func(ctx context.Context) error
}

var prismCredentials = tokens.Credentials{ClientID: "5f2a0c8e-1111-4222-8333-944445555666", ClientSecret: "secret"}

// exchanges returns calls that request tokens with each grant, and revoke them.
func exchanges(name string, e *tokens.Endpoint, grants map[string]tokens.Grant, revokes bool) (calls []call) {
	for grantName, grant := range grants {
		calls = append(calls, call{name + ": " + grantName, func(ctx context.Context) error {
			_, err := e.Exchange(ctx, grant)
			return err
		}})
	}
	if revokes {
		for _, hint := range []tokens.Hint{tokens.HintNone, tokens.HintAccessToken, tokens.HintRefreshToken} {
			calls = append(calls, call{fmt.Sprintf("%s: revoke %s", name, hint), func(ctx context.Context) error { return e.Revoke(ctx, "token", hint) }})
		}
	}
	return calls
}

var prismStyles = map[string]tokens.AuthStyle{
	"basic": tokens.AuthStyleBasic, "basic, unencoded": tokens.AuthStyleBasicUnencoded, "body": tokens.AuthStyleBody,
}

func thousandEyesCalls(t *testing.T, at string) []call {
	t.Helper()
	return thousandEyesCallsBy(t, at, nil)
}

// publishedThousandEyesCalls are the calls with a Bearer token, which the published description requires even for token
// requests, so that Prism checks the rest.
func publishedThousandEyesCalls(t *testing.T, at string) []call {
	t.Helper()
	return thousandEyesCallsBy(t, at, &http.Client{Transport: withBearer{http.DefaultTransport}})
}

func thousandEyesCallsBy(t *testing.T, at string, client *http.Client) (calls []call) {
	t.Helper()
	for name, style := range prismStyles {
		for tenantName, tenant := range map[string]string{"": "", ", tenant": "11b96f02-4f1c-4bc0-9d1c-6b2f3b1d0e5a"} {
			e, err := tokens.NewThousandEyes(prismCredentials, &tokens.ThousandEyesOptions{
				BaseURL: at, HTTPClient: client, AuthStyle: style, TenantID: tenant, Header: http.Header{"X-Gateway": {"x"}},
			})
			require.NoError(t, err)
			calls = append(calls, exchanges(name+tenantName, e, map[string]tokens.Grant{
				"no scope": {}, "scopes": {Scopes: []string{"a", "b"}}, "user": {UserToken: "user-token"}, "user and scope": {UserToken: "u", Scopes: []string{"a"}},
			}, false)...)
		}
	}
	return calls
}

func moovCalls(t *testing.T, at string) (calls []call) {
	t.Helper()
	for name, style := range prismStyles {
		for optionsName, options := range map[string]tokens.MoovOptions{
			"": {}, ", origin": {Origin: "https://www.example.com"}, ", version": {APIVersion: "v2026.07.00"},
			", referer": {Header: http.Header{"Referer": {"https://www.example.com/"}}},
		} {
			options.BaseURL, options.AuthStyle = at, style
			e, err := tokens.NewMoov(prismCredentials, &options)
			require.NoError(t, err)
			calls = append(calls, exchanges(name+optionsName, e, map[string]tokens.Grant{
				"scope": {Scopes: []string{"/ping.read"}}, "scopes": {Scopes: []string{"/ping.read", "/accounts.write"}},
				"refresh": {RefreshToken: "refresh"}, "refresh and scope": {RefreshToken: "refresh", Scopes: []string{"/ping.read"}},
			}, true)...)
		}
	}
	return calls
}

var loginGrants = map[string]tokens.Grant{
	"no scope": {}, "scopes": {Scopes: []string{"a", "b"}},
	"refresh": {RefreshToken: "refresh"}, "refresh and scope": {RefreshToken: "refresh", Scopes: []string{"a"}},
	"code": {Code: &tokens.AuthorizationCode{Code: "code", RedirectURI: redirectURI, CodeVerifier: tokens.GenerateVerifier()}},
}

func oauth2Calls(t *testing.T, at string) (calls []call) {
	t.Helper()
	grants := map[string]tokens.Grant{
		"assertion": {Type: "urn:ietf:params:oauth:grant-type:jwt-bearer", Params: map[string][]string{"assertion": {"a.b.c"}}},
		"exchange": {Type: "urn:ietf:params:oauth:grant-type:token-exchange", Params: map[string][]string{
			"subject_token": {"t"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "audience": {"a", "b"},
			"resource": {"https://api.example.com/", "https://other.example.com/"},
		}},
		"device":   {Type: "urn:ietf:params:oauth:grant-type:device_code", Params: map[string][]string{"device_code": {"d"}}},
		"resource": {Params: map[string][]string{"resource": {"https://api.example.com/"}}},
	}
	maps.Copy(grants, loginGrants)
	endpoint := func(name string, creds tokens.Credentials, options tokens.EndpointOptions) {
		options.RevocationURL = at + "/revoke"
		e, err := tokens.NewEndpoint(at+"/token", creds, &options)
		require.NoError(t, err)
		calls = append(calls, exchanges(name, e, grants, true)...)
	}
	for name, style := range prismStyles {
		endpoint(name, prismCredentials, tokens.EndpointOptions{AuthStyle: style})
	}
	public := tokens.Credentials{ClientID: prismCredentials.ClientID}
	endpoint("public", public, tokens.EndpointOptions{AuthStyle: tokens.AuthStyleNone})
	endpoint("assertion", public, tokens.EndpointOptions{Assertion: func(context.Context, string) (string, error) { return "a.b.c", nil }})
	return calls
}

func sailPointTokenCalls(t *testing.T, at string) (calls []call) {
	t.Helper()
	for name, style := range prismStyles {
		if style != tokens.AuthStyleBody {
			continue // the vendor documents no other one
		}
		e, err := tokens.NewSailPoint("", prismCredentials, &tokens.SailPointOptions{BaseURL: at, AuthStyle: style})
		require.NoError(t, err)
		calls = append(calls, exchanges(name, e, loginGrants, false)...)
	}
	return calls
}

func sailPointClientCalls(t *testing.T, at string) (calls []call) {
	t.Helper()
	// Prism serves paths without the path of the description's server.
	client := &http.Client{Transport: withoutBeta{http.DefaultTransport}}
	clients, err := oauthclients.NewSailPoint(tokens.Static("token"), &oauthclients.SailPointOptions{BaseURL: at, HTTPClient: client})
	require.NoError(t, err)
	const id = "2c9180835d2e5168015d32f890ca1581"
	add := func(name string, do func(ctx context.Context) error) { calls = append(calls, call{name, do}) }
	for name, filters := range map[string][]oauthclients.Filter{
		"": nil, "never used": {oauthclients.NeverUsed()}, "last used": {oauthclients.LastUsedBefore(time.Now())},
		"both": {oauthclients.NeverUsed(), oauthclients.LastUsedBefore(time.Now())}, "raw": {oauthclients.RawFilter(`lastUsed le 2023-02-05T10:59:27.214Z`)},
	} {
		add("list "+name, func(ctx context.Context) error {
			_, err := clients.List(ctx, filters...)
			return err
		})
		add("all "+name, func(ctx context.Context) error {
			for _, err := range clients.All(ctx, filters...) {
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	add("get", func(ctx context.Context) error {
		_, err := clients.Get(ctx, id)
		return err
	})
	for name, request := range map[string]sailpoint.CreateOAuthClientRequest{
		"least": {
			Name: new("name"), Description: new("for a test"), AccessTokenValiditySeconds: 750,
			GrantTypes: []sailpoint.GrantType{sailpoint.GrantTypeClientCredentials}, AccessType: sailpoint.AccessTypeOffline,
		},
		"without a description": {
			Name: new("name"), AccessTokenValiditySeconds: 750,
			GrantTypes: []sailpoint.GrantType{sailpoint.GrantTypeClientCredentials}, AccessType: sailpoint.AccessTypeOnline,
		},
		"most": {
			Name: new("name"), Description: new("for a test"), BusinessName: new("business"), HomepageURL: new("https://www.example.com"),
			AccessTokenValiditySeconds: 750, RefreshTokenValiditySeconds: new(int32(86400)), RedirectURIs: []string{"https://www.example.com/callback"},
			GrantTypes: []sailpoint.GrantType{
				sailpoint.GrantTypeClientCredentials, sailpoint.GrantTypeAuthorizationCode, sailpoint.GrantTypeRefreshToken,
			},
			AccessType: sailpoint.AccessTypeOffline, Type: new(sailpoint.ClientTypeConfidential), Internal: new(false), Enabled: true,
			StrongAuthSupported: new(true), ClaimsSupported: new(true), Scope: []string{"sp:scopes:all"},
		},
	} {
		add("create "+name, func(ctx context.Context) error {
			_, err := clients.Create(ctx, request)
			return err
		})
	}
	for name, op := range map[string]struct {
		do func(ctx context.Context) error
	}{
		"values": {func(ctx context.Context) error {
			_, err := clients.Patch(ctx, id, patch.Enabled.Set(false), patch.HomepageURL.Set("https://www.example.com"), patch.AccessTokenValiditySeconds.Set(750))
			return err
		}},
		"tests": {func(ctx context.Context) error {
			_, err := clients.Patch(ctx, id, patch.Name.Test("x"), patch.Name.Set("y"))
			return err
		}},
		"lists": {func(ctx context.Context) error {
			_, err := clients.Patch(ctx, id, patch.RedirectURIs.Append("https://www.example.com"), patch.GrantTypes.Set([]sailpoint.GrantType{sailpoint.GrantTypeClientCredentials}))
			return err
		}},
		"null": {func(ctx context.Context) error {
			_, err := clients.Patch(ctx, id, patch.HomepageURL.Clear())
			return err
		}},
	} {
		add("patch "+name, op.do)
	}
	add("delete", func(ctx context.Context) error { return clients.Delete(ctx, id) })
	return calls
}

// withBearer adds a token to requests that have none.
type withBearer struct{ base http.RoundTripper }

func (w withBearer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") == "" {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer token")
	}
	return w.base.RoundTrip(req)
}

type withoutBeta struct{ base http.RoundTripper }

func (w withoutBeta) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Path = strings.TrimPrefix(req.URL.Path, "/beta")
	return w.base.RoundTrip(req)
}

// Prism finds no violation in the SDK's requests, for each operation with each option, except the listed ones.
func TestPrism(t *testing.T) {
	for _, tt := range []struct {
		description string
		calls       func(t *testing.T, at string) []call
		violations  map[string]string // reasons by the prefix of a call's name
	}{
		{"../../api/thousandeyes.yaml", thousandEyesCalls, nil},
		{"../../api/moov.yaml", moovCalls, nil},
		{"../../api/sailpoint.yaml", func(t *testing.T, at string) []call {
			return append(sailPointTokenCalls(t, at), sailPointClientCalls(t, at)...)
		}, nil},
		{"../../api/oauth2.yaml", oauth2Calls, nil},
		{published + "/thousandeyes-oauth2-reconstructed.yaml", publishedThousandEyesCalls, map[string]string{
			"basic": "the only security scheme is a token, which nobody has yet; the guide documents Basic",
		}},
		{published + "/moov-latest-oauth2.yaml", moovCalls, map[string]string{
			"body": "the only security scheme is Basic, although the form has client_id and client_secret in its place",
		}},
		{published + "/sailpoint-beta-oauth-clients.yaml", sailPointClientCalls, map[string]string{
			"patch null": "no value may be null, although the fields to patch are nullable",
		}},
	} {
		t.Run(filepath.Base(tt.description), func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(tt.description); err != nil {
				t.Skip("the published descriptions are not on this machine")
			}
			calls := tt.calls(t, prism(t, tt.description))
			found := map[string]int{}
			for _, call := range calls {
				err := call.do(t.Context())
				excuse := ""
				for beginning := range tt.violations {
					if strings.HasPrefix(call.name, beginning) {
						excuse = beginning
					}
				}
				if excuse == "" {
					assert.NoError(t, err, call.name)
				} else if assert.Error(t, err, "%s is no violation any more", call.name) {
					found[excuse]++
				}
			}
			t.Logf("%d calls, listed violations: %v", len(calls), found)
			assert.Len(t, found, len(tt.violations), "a listed violation does not occur")
		})
	}
}
