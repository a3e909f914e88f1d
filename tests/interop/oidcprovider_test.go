package interop

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/require"
)

func startOIDCProvider(t *testing.T) *witness {
	t.Helper()
	web := tokens.Credentials{ClientID: "web", ClientSecret: "web-secret"}
	app := tokens.Credentials{ClientID: "app", ClientSecret: "app-secret"}
	narrow := tokens.Credentials{ClientID: "narrow", ClientSecret: "narrow-secret"}
	var clients []map[string]any
	add := func(id string, more map[string]any) {
		client := map[string]any{
			"client_id": id, "redirect_uris": []string{redirectURI}, "application_type": "native", "response_types": []string{"code"},
			"grant_types": []string{"authorization_code", "refresh_token", "client_credentials"}, "token_endpoint_auth_method": "client_secret_basic",
		}
		maps.Copy(client, more)
		clients = append(clients, client)
	}
	for _, creds := range append([]tokens.Credentials{web, app}, oddCredentials...) {
		add(creds.ClientID, map[string]any{"client_secret": creds.ClientSecret})
	}
	add(narrow.ClientID, map[string]any{"client_secret": narrow.ClientSecret, "grant_types": []string{"authorization_code"}})
	add("asserting", map[string]any{
		"token_endpoint_auth_method": "private_key_jwt",
		"jwks":                       jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: clientKey().Public(), KeyID: clientKeyID, Algorithm: "RS256", Use: "sig"}}},
	})
	config, err := json.Marshal(clients)
	require.NoError(t, err)
	at := node(t, "oidc-provider.mjs", string(config))
	return &witness{
		issuer: at, tokenURL: at + "/token", revocationURL: at + "/token/revocation", authorizationURL: at + "/auth",
		user: redirects, web: web, app: app, scopes: []string{"openid", "offline_access"}, odd: oddCredentials, reuseKills: true,
		other: oddCredentials[0], narrow: narrow, refusal: "login_required", asserting: "asserting",
	}
}

// oauth2-mock-server accepts any client and secret, and does not rotate refresh tokens.
func startMockServer(t *testing.T) *witness {
	t.Helper()
	at := node(t, "mock-server.mjs")
	return &witness{
		issuer: at, tokenURL: at + "/token", revocationURL: at + "/revoke",
		app: tokens.Credentials{ClientID: "app"}, odd: oddCredentials,
	}
}
