package interop

import (
	"bufio"
	"context"
	"net"
	"net/http"
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

// program returns the path of a program that npm brought.
func program(t *testing.T, name string) string {
	t.Helper()
	if modules == "" {
		t.Skip(modulesError)
	}
	return filepath.Join(modules, "node_modules", ".bin", name)
}

// Three validators find no error in any description, nor in its examples.
func TestDescriptionsAreValid(t *testing.T) {
	descriptions, err := filepath.Glob("../../api/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, descriptions)
	for _, validator := range [][]string{
		{"redocly", "lint", "--extends=spec"},
		{"spectral", "lint", "--ruleset", "node/spectral.yaml"},
		{"openapi-examples-validator"},
	} {
		t.Run(validator[0], func(t *testing.T) {
			t.Parallel()
			path := program(t, validator[0])
			for _, description := range descriptions {
				cmd := exec.CommandContext(t.Context(), path, append(validator[1:], description)...)
				cmd.Env = append(cmd.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
				out, err := cmd.CombinedOutput()
				assert.NoError(t, err, "%s\n%s", description, out)
			}
		})
	}
}

// prism serves a description and refuses every request that does not fit it.
func prism(t *testing.T, description string) string {
	t.Helper()
	path := program(t, "prism")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	require.NoError(t, l.Close())
	cmd := exec.Command(path, "mock", "--errors", "--host", "127.0.0.1", "--port", port, "../../api/"+description)
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
		for lines.Scan() { // so that it does not block
		}
	}()
	select {
	case <-listening:
	case <-time.After(time.Minute):
		t.Fatal("prism does not start")
	}
	return "http://127.0.0.1:" + port
}

// Prism finds no violation in what the SDK sends, with every option.
func TestPrism(t *testing.T) {
	creds := tokens.Credentials{ClientID: "5f2a0c8e-1111-4222-8333-944445555666", ClientSecret: "secret"}

	t.Run("thousandeyes", func(t *testing.T) {
		t.Parallel()
		at := prism(t, "thousandeyes.yaml")
		for _, style := range []tokens.AuthStyle{tokens.AuthStyleBody, tokens.AuthStyleBasic} {
			e, err := tokens.NewThousandEyes(creds, &tokens.ThousandEyesOptions{BaseURL: at, AuthStyle: style, TenantID: "11b96f02-4f1c-4bc0-9d1c-6b2f3b1d0e5a"})
			require.NoError(t, err)
			for _, grant := range []tokens.Grant{{}, {Scopes: []string{"a", "b"}}, {UserToken: "user-token"}} {
				_, err = e.Exchange(t.Context(), grant)
				assert.NoError(t, err)
			}
		}
	})
	t.Run("moov", func(t *testing.T) {
		t.Parallel()
		at := prism(t, "moov.yaml")
		for _, style := range []tokens.AuthStyle{tokens.AuthStyleBody, tokens.AuthStyleBasic} {
			e, err := tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: at, AuthStyle: style, Origin: "https://www.example.com"})
			require.NoError(t, err)
			for _, grant := range []tokens.Grant{{Scopes: []string{"/ping.read"}}, {RefreshToken: "refresh"}} {
				_, err = e.Exchange(t.Context(), grant)
				assert.NoError(t, err)
			}
			for _, hint := range []tokens.Hint{tokens.HintNone, tokens.HintAccessToken, tokens.HintRefreshToken} {
				assert.NoError(t, e.Revoke(t.Context(), "token", hint))
			}
		}
	})
	t.Run("sailpoint", func(t *testing.T) {
		t.Parallel()
		at := prism(t, "sailpoint.yaml")
		e, err := tokens.NewSailPoint("", creds, &tokens.SailPointOptions{BaseURL: at})
		require.NoError(t, err)
		for _, grant := range []tokens.Grant{{}, {RefreshToken: "refresh"}} {
			_, err = e.Exchange(t.Context(), grant)
			assert.NoError(t, err)
		}
		prismClients(t.Context(), t, at)
	})
}

func prismClients(ctx context.Context, t *testing.T, at string) {
	t.Helper()
	// Prism serves the paths without that of the description's server.
	client := &http.Client{Transport: withoutBeta{http.DefaultTransport}}
	clients, err := oauthclients.NewSailPoint(tokens.Static("token"), &oauthclients.SailPointOptions{BaseURL: at, HTTPClient: client})
	require.NoError(t, err)
	const id = "2c9180835d2e5168015d32f890ca1581"
	_, err = clients.List(ctx)
	assert.NoError(t, err)
	_, err = clients.List(ctx, oauthclients.NeverUsed())
	assert.NoError(t, err)
	_, err = clients.List(ctx, oauthclients.LastUsedBefore(time.Now()))
	assert.NoError(t, err)
	_, err = clients.Get(ctx, id)
	assert.NoError(t, err)
	_, err = clients.Create(ctx, sailpoint.CreateOAuthClientRequest{
		Name: new("name"), Description: new("for a test"), AccessTokenValiditySeconds: 750,
		GrantTypes: []sailpoint.GrantType{sailpoint.GrantTypeClientCredentials}, AccessType: sailpoint.AccessTypeOffline,
	})
	assert.NoError(t, err)
	_, err = clients.Patch(ctx, id, patch.Enabled.Set(false), patch.Name.Test("x"), patch.HomepageURL.Set("https://www.example.com"), patch.RedirectURIs.Append("https://www.example.com"))
	assert.NoError(t, err)
	assert.NoError(t, clients.Delete(ctx, id))
}

type withoutBeta struct{ base http.RoundTripper }

func (w withoutBeta) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Path = strings.TrimPrefix(req.URL.Path, "/beta")
	return w.base.RoundTrip(req)
}
