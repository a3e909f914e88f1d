package interop

import (
	"net/http"
	"testing"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/require"
)

// go-oauth2 does not decode Basic credentials, although RFC 6749, section 2.3.1, requires it.
func startGoOAuth2(t *testing.T) *witness {
	t.Helper()
	w := goOAuth2(t, server.ClientBasicHandler)
	w.webStyle = tokens.AuthStyleBasicUnencoded
	return w
}

func startGoOAuth2Form(t *testing.T) *witness {
	t.Helper()
	w := goOAuth2(t, server.ClientFormHandler)
	w.webStyle = tokens.AuthStyleBody
	return w
}

func goOAuth2(t *testing.T, auth server.ClientInfoHandler) *witness {
	t.Helper()
	web, app := tokens.Credentials{ClientID: "web", ClientSecret: "web-secret"}, tokens.Credentials{ClientID: "app", ClientSecret: "app-secret"}
	clients := store.NewClientStore()
	for _, creds := range append([]tokens.Credentials{web, app}, oddCredentials...) {
		require.NoError(t, clients.Set(creds.ClientID, &models.Client{ID: creds.ClientID, Secret: creds.ClientSecret, Domain: "http://127.0.0.1:9"}))
	}
	manager := manage.NewDefaultManager()
	manager.MustTokenStorage(store.NewMemoryTokenStore())
	manager.MapClientStorage(clients)
	manager.SetRefreshTokenCfg(&manage.RefreshingConfig{IsGenerateRefresh: true, IsRemoveAccess: true, IsRemoveRefreshing: true, AccessTokenExp: manage.DefaultAuthorizeCodeTokenCfg.AccessTokenExp})
	s := server.NewServer(server.NewConfig(), manager)
	s.SetAllowedGrantType(oauth2.AuthorizationCode, oauth2.Refreshing, oauth2.ClientCredentials)
	s.SetClientInfoHandler(auth)
	s.SetUserAuthorizationHandler(func(_ http.ResponseWriter, r *http.Request) (string, error) {
		if r.FormValue("prompt") == "none" {
			return "", errors.ErrAccessDenied
		}
		return "user", nil
	})

	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		if err := s.HandleAuthorizeRequest(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) { _ = s.HandleTokenRequest(w, r) })
	at := serve(t, func(string) http.Handler { return mux })
	return &witness{
		tokenURL: at + "/token", authorizationURL: at + "/authorize",
		user: redirects, web: web, app: app, scopes: []string{"read"}, odd: oddCredentials, refusal: tokens.AccessDenied,
	}
}
