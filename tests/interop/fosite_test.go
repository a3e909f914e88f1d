package interop

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v3"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/storage"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

func startFosite(t *testing.T) *witness {
	t.Helper()
	web, app := tokens.Credentials{ClientID: "web", ClientSecret: "web-secret"}, tokens.Credentials{ClientID: "app", ClientSecret: "app-secret"}
	store := storage.NewMemoryStore()
	for _, creds := range append([]tokens.Credentials{web, app}, oddCredentials...) {
		hash, err := bcrypt.GenerateFromPassword([]byte(creds.ClientSecret), bcrypt.MinCost)
		require.NoError(t, err)
		store.Clients[creds.ClientID] = &fosite.DefaultClient{
			ID: creds.ClientID, Secret: hash, RedirectURIs: []string{redirectURI}, ResponseTypes: []string{"code"},
			GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"}, Scopes: []string{"offline", "read"},
		}
	}
	store.Clients["asserting"] = &fosite.DefaultOpenIDConnectClient{
		DefaultClient: &fosite.DefaultClient{
			ID: "asserting", RedirectURIs: []string{redirectURI}, ResponseTypes: []string{"code"},
			GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"}, Scopes: []string{"offline", "read"},
		},
		TokenEndpointAuthMethod: "private_key_jwt", TokenEndpointAuthSigningAlgorithm: "RS256",
		JSONWebKeys: &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: clientKey().Public(), KeyID: clientKeyID, Algorithm: "RS256", Use: "sig"}}},
	}
	narrow := tokens.Credentials{ClientID: "narrow", ClientSecret: "secret"}
	hash, err := bcrypt.GenerateFromPassword([]byte(narrow.ClientSecret), bcrypt.MinCost)
	require.NoError(t, err)
	store.Clients[narrow.ClientID] = &fosite.DefaultClient{ID: narrow.ClientID, Secret: hash, GrantTypes: []string{"refresh_token"}}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	config := &fosite.Config{
		GlobalSecret: []byte(random()), EnforcePKCE: true, SendDebugMessagesToClients: false, RefreshTokenScopes: []string{"offline"},
	}
	provider := compose.ComposeAllEnabled(config, store, key)

	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		request, err := provider.NewAuthorizeRequest(r.Context(), r)
		if err != nil {
			provider.WriteAuthorizeError(r.Context(), w, request, err)
			return
		}
		if r.URL.Query().Get("prompt") == "none" {
			provider.WriteAuthorizeError(r.Context(), w, request, fosite.ErrAccessDenied)
			return
		}
		for _, scope := range request.GetRequestedScopes() {
			request.GrantScope(scope)
		}
		response, err := provider.NewAuthorizeResponse(r.Context(), request, openid.NewDefaultSession())
		if err != nil {
			provider.WriteAuthorizeError(r.Context(), w, request, err)
			return
		}
		provider.WriteAuthorizeResponse(r.Context(), w, request, response)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		request, err := provider.NewAccessRequest(r.Context(), r, openid.NewDefaultSession())
		if err != nil {
			provider.WriteAccessError(r.Context(), w, request, err)
			return
		}
		if request.GetGrantTypes().ExactOne("client_credentials") {
			for _, scope := range request.GetRequestedScopes() {
				request.GrantScope(scope)
			}
		}
		response, err := provider.NewAccessResponse(r.Context(), request)
		if err != nil {
			provider.WriteAccessError(r.Context(), w, request, err)
			return
		}
		provider.WriteAccessResponse(r.Context(), w, request, response)
	})
	mux.HandleFunc("/revoke", func(w http.ResponseWriter, r *http.Request) {
		provider.WriteRevocationResponse(r.Context(), w, provider.NewRevocationRequest(r.Context(), r))
	})
	at := serve(t, func(at string) http.Handler {
		config.TokenURL = at + "/token"
		return mux
	})
	return &witness{
		tokenURL: at + "/token", revocationURL: at + "/revoke", authorizationURL: at + "/authorize",
		user: redirects, web: web, app: app, scopes: []string{"offline"}, odd: oddCredentials, reuseKills: true,
		other: oddCredentials[0], narrow: narrow, refusal: tokens.AccessDenied, asserting: "asserting",
	}
}
