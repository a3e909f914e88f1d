package interop

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/require"
)

// hydra returns the path of Ory Hydra v2.3.0, built with the tag sqlite, which takes minutes.
func hydra(t *testing.T) string {
	t.Helper()
	path := os.Getenv("HYDRA")
	if path == "" {
		t.Skip("HYDRA names no program; CONTRIBUTING says how to build it")
	}
	return path
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// hydraAdmin sends a request to Hydra's admin API.
func hydraAdmin(t *testing.T, method, url string, body any) map[string]any {
	t.Helper()
	data, err := json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(data))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Less(t, resp.StatusCode, 300, "%s", text)
	var response map[string]any
	require.NoError(t, json.Unmarshal(text, &response))
	return response
}

func startHydra(t *testing.T) *witness {
	t.Helper()
	path := hydra(t)
	public, admin := freePort(t), freePort(t)
	at, adminURL := "http://127.0.0.1:"+strconv.Itoa(public), "http://127.0.0.1:"+strconv.Itoa(admin)+"/admin"

	// The login and consent pages; the user always agrees.
	pages := http.NewServeMux()
	pages.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		response := hydraAdmin(t, http.MethodPut, adminURL+"/oauth2/auth/requests/login/accept?login_challenge="+r.URL.Query().Get("login_challenge"),
			map[string]any{"subject": "user"})
		http.Redirect(w, r, response["redirect_to"].(string), http.StatusFound)
	})
	pages.HandleFunc("/consent", func(w http.ResponseWriter, r *http.Request) {
		challenge := r.URL.Query().Get("consent_challenge")
		asked := hydraAdmin(t, http.MethodGet, adminURL+"/oauth2/auth/requests/consent?consent_challenge="+challenge, nil)
		response := hydraAdmin(t, http.MethodPut, adminURL+"/oauth2/auth/requests/consent/accept?consent_challenge="+challenge,
			map[string]any{"grant_scope": asked["requested_scope"]})
		http.Redirect(w, r, response["redirect_to"].(string), http.StatusFound)
	})
	users := httptest.NewServer(pages)
	t.Cleanup(users.Close)

	cmd := exec.Command(path, "serve", "all", "--dev", "--sqa-opt-out")
	cmd.Env = append(os.Environ(), "DSN=memory", "SECRETS_SYSTEM="+random(), "URLS_SELF_ISSUER="+at, "URLS_LOGIN="+users.URL+"/login",
		"URLS_CONSENT="+users.URL+"/consent", "SERVE_PUBLIC_HOST=127.0.0.1", "SERVE_PUBLIC_PORT="+strconv.Itoa(public),
		"SERVE_ADMIN_HOST=127.0.0.1", "SERVE_ADMIN_PORT="+strconv.Itoa(admin), "LOG_LEVEL=error", "OAUTH2_PKCE_ENFORCED=true", "HASHERS_ALGORITHM=bcrypt", "HASHERS_BCRYPT_COST=8")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		resp, err := http.Get(at + "/health/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, time.Minute, 100*time.Millisecond)

	web, app := tokens.Credentials{ClientID: "web", ClientSecret: "web-secret"}, tokens.Credentials{ClientID: "app", ClientSecret: "app-secret"}
	narrow := tokens.Credentials{ClientID: "narrow", ClientSecret: "narrow-secret"}
	add := func(id, secret, method string, grants []string, more map[string]any) {
		client := map[string]any{
			"client_id": id, "redirect_uris": []string{redirectURI}, "grant_types": grants, "response_types": []string{"code"},
			"scope": "openid offline read", "token_endpoint_auth_method": method,
		}
		if secret != "" {
			client["client_secret"] = secret
		}
		maps.Copy(client, more)
		hydraAdmin(t, http.MethodPost, adminURL+"/clients", client)
	}
	every := []string{"authorization_code", "refresh_token", "client_credentials"}
	for _, creds := range append([]tokens.Credentials{web, app}, oddCredentials...) {
		add(creds.ClientID, creds.ClientSecret, "client_secret_basic", every, nil)
	}
	add(narrow.ClientID, narrow.ClientSecret, "client_secret_basic", []string{"authorization_code"}, nil)
	add("asserting", "", "private_key_jwt", every, map[string]any{
		"token_endpoint_auth_signing_alg": "RS256",
		"jwks":                            jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: clientKey().Public(), KeyID: clientKeyID, Algorithm: "RS256", Use: "sig"}}},
	})
	return &witness{
		issuer: at, tokenURL: at + "/oauth2/token", revocationURL: at + "/oauth2/revoke", authorizationURL: at + "/oauth2/auth",
		user: redirects, web: web, app: app, scopes: []string{"openid", "offline"}, odd: oddCredentials, reuseKills: true,
		other: oddCredentials[0], narrow: narrow, refusal: "login_required", asserting: "asserting",
		audience: at + "/oauth2/token",
	}
}
