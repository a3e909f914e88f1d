package interop

import (
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

var silence sync.Once

// startZitadel starts the example server of zitadel/oidc, whose client for client_credentials and whose user are fixed.
func startZitadel(t *testing.T) *witness {
	t.Helper()
	web := tokens.Credentials{ClientID: "web " + random(), ClientSecret: "web+secret%"}
	storage.RegisterClients(storage.WebClient(web.ClientID, web.ClientSecret, redirectURI))
	silence.Do(func() { slog.SetDefault(slog.New(slog.DiscardHandler)) }) // the example logs each request
	at := serve(t, func(at string) http.Handler {
		return exampleop.SetupServer(at, storage.NewStorage(storage.NewUserStore(at)), nil, true, op.WithAllowInsecure(),
			op.WithLogger(slog.New(slog.DiscardHandler)))
	})
	return &witness{
		issuer: at, tokenURL: at + "/oauth/token", revocationURL: at + "/revoke", authorizationURL: at + "/auth",
		user: func(t *testing.T, authorizationURL string) url.Values { return zitadelLogin(t, authorizationURL) },
		web:  web, app: tokens.Credentials{ClientID: "sid1", ClientSecret: "verysecret"},
		scopes: []string{"openid", "offline_access"},
	}
}

// zitadelLogin fills in the login form.
func zitadelLogin(t *testing.T, authorizationURL string) url.Values {
	t.Helper()
	b := browser(t)
	resp, err := b.Get(authorizationURL)
	require.NoError(t, err)
	page, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	_, rest, found := strings.Cut(string(page), `name="id" value="`)
	require.True(t, found, "%s\n%s", resp.Status, page)
	id, _, _ := strings.Cut(rest, `"`)
	resp, err = b.PostForm(resp.Request.URL.Scheme+"://"+resp.Request.URL.Host+"/login/username",
		url.Values{"id": {id}, "username": {"test-user@127.0.0.1"}, "password": {"verysecure"}})
	return callback(t, resp, err)
}
