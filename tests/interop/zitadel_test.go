package interop

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

var silence sync.Once

// startZitadel starts the example server of zitadel/oidc, whose client for client_credentials and whose user are fixed.
func startZitadel(t *testing.T) *witness {
	t.Helper()
	web := tokens.Credentials{ClientID: "web " + random(), ClientSecret: "web+secret%"}
	other := tokens.Credentials{ClientID: "other " + random(), ClientSecret: "secret"}
	asserting := "asserting " + random()
	storage.RegisterClients(
		storage.WebClient(web.ClientID, web.ClientSecret, redirectURI), storage.WebClient(other.ClientID, other.ClientSecret, redirectURI),
		storage.WebClient(asserting, "", redirectURI),
	)
	silence.Do(func() { slog.SetDefault(slog.New(slog.DiscardHandler)) }) // the example logs each request
	at := serve(t, func(at string) http.Handler {
		return exampleop.SetupServer(at, zitadelStorage{storage.NewStorage(storage.NewUserStore(at)), asserting}, nil, true, op.WithAllowInsecure(),
			op.WithLogger(slog.New(slog.DiscardHandler)))
	})
	return &witness{
		issuer: at, tokenURL: at + "/oauth/token", revocationURL: at + "/revoke", authorizationURL: at + "/auth",
		user: func(t *testing.T, authorizationURL string) url.Values { return zitadelLogin(t, authorizationURL) },
		web:  web, app: tokens.Credentials{ClientID: "sid1", ClientSecret: "verysecret"},
		scopes: []string{"openid", "offline_access"}, other: other, refusal: "login_required", asserting: asserting,
	}
}

// zitadelStorage is the example's storage with one client that authenticates with assertions.
type zitadelStorage struct {
	*storage.Storage

	asserting string
}

func (s zitadelStorage) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	client, err := s.Storage.GetClientByClientID(ctx, id)
	if err == nil && id == s.asserting {
		client = zitadelAsserting{client}
	}
	return client, err
}

func (s zitadelStorage) GetKeyByIDAndClientID(ctx context.Context, keyID, clientID string) (*jose.JSONWebKey, error) {
	if clientID == s.asserting && keyID == clientKeyID {
		return &jose.JSONWebKey{Key: clientKey().Public(), KeyID: keyID, Use: "sig"}, nil
	}
	return s.Storage.GetKeyByIDAndClientID(ctx, keyID, clientID)
}

type zitadelAsserting struct{ op.Client }

func (zitadelAsserting) AuthMethod() oidc.AuthMethod { return oidc.AuthMethodPrivateKeyJWT }

// zitadelLogin submits the login form.
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
