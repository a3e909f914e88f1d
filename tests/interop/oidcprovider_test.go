package interop

import (
	"encoding/json"
	"testing"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/require"
)

func startOIDCProvider(t *testing.T) *witness {
	t.Helper()
	web := tokens.Credentials{ClientID: "web", ClientSecret: "web-secret"}
	app := tokens.Credentials{ClientID: "app", ClientSecret: "app-secret"}
	var clients []map[string]any
	for _, creds := range append([]tokens.Credentials{web, app}, oddCredentials...) {
		clients = append(clients, map[string]any{
			"client_id": creds.ClientID, "client_secret": creds.ClientSecret, "redirect_uris": []string{redirectURI},
			"grant_types":    []string{"authorization_code", "refresh_token", "client_credentials"},
			"response_types": []string{"code"}, "token_endpoint_auth_method": "client_secret_basic", "application_type": "native",
		})
	}
	config, err := json.Marshal(clients)
	require.NoError(t, err)
	at := node(t, "oidc-provider.mjs", string(config))
	return &witness{
		issuer: at, tokenURL: at + "/token", revocationURL: at + "/token/revocation", authorizationURL: at + "/auth",
		user: redirects, web: web, app: app, scopes: []string{"openid", "offline_access"}, odd: oddCredentials, reuseKills: true,
	}
}

// oauth2-mock-server takes any client and any secret, and rotates no refresh token.
func startMockServer(t *testing.T) *witness {
	t.Helper()
	at := node(t, "mock-server.mjs")
	return &witness{
		issuer: at, tokenURL: at + "/token", revocationURL: at + "/revoke",
		app: tokens.Credentials{ClientID: "app"}, odd: oddCredentials,
	}
}
