package interop

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/filestore"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Six processes share one login of oidc-provider, whose access tokens live for one second. The server ends the login if
// a refresh token is presented twice. The login survives twenty rotations, or 200 with FLEET_LONG=1.
func TestFleetRotates(t *testing.T) {
	const processes = 6
	rotations := 20
	if os.Getenv("FLEET_LONG") != "" {
		rotations = 200
	}
	t.Parallel()
	web := tokens.Credentials{ClientID: "web", ClientSecret: "web-secret"}
	clients, err := json.Marshal([]map[string]any{{
		"client_id": web.ClientID, "client_secret": web.ClientSecret, "redirect_uris": []string{redirectURI},
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
		"token_endpoint_auth_method": "client_secret_basic", "application_type": "native",
	}})
	require.NoError(t, err)
	at := node(t, "oidc-provider.mjs", string(clients), "1")
	w := &witness{
		issuer: at, tokenURL: at + "/token", authorizationURL: at + "/auth", user: redirects, scopes: []string{"openid", "offline_access"},
	}
	login := w.login(t, w.endpoint(t, web, tokens.AuthStyleBasic, nil))

	origin, err := url.Parse(at)
	require.NoError(t, err)
	counter := &counting{base: http.DefaultTransport}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(origin) }, Transport: counter}
	counted := serve(t, func(string) http.Handler { return proxy })
	presented := func() int {
		counter.mu.Lock()
		defer counter.mu.Unlock()
		return len(counter.presented)
	}

	s := fleetSettings{Store: t.TempDir(), TokenURL: counted + "/token"}
	settings, err := json.Marshal(s)
	require.NoError(t, err)
	first := s.cache(t)
	require.NoError(t, first.Set(t.Context(), login))
	require.NoError(t, first.Close(t.Context()))

	var running sync.WaitGroup
	var stops []io.Closer
	for range processes {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFleetProcess$")
		cmd.Env = append(os.Environ(), fleetVariable+"="+string(settings))
		stop, err := cmd.StdinPipe()
		require.NoError(t, err)
		stops = append(stops, stop)
		running.Go(func() {
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, string(out))
		})
	}
	assert.Eventually(t, func() bool { return presented() >= rotations }, time.Duration(rotations)*5*time.Second+time.Minute, 100*time.Millisecond)
	for _, stop := range stops {
		_ = stop.Close()
	}
	running.Wait()

	for _, times := range counter.presented {
		assert.Equal(t, 1, times)
	}
	t.Logf("%d refresh tokens, each presented once by one of %d processes", len(counter.presented), processes)
}

const fleetVariable = "INTEROP_FLEET"

type fleetSettings struct{ Store, TokenURL string }

func (s fleetSettings) cache(t *testing.T) *tokens.Cache {
	t.Helper()
	store, err := filestore.New(s.Store)
	require.NoError(t, err)
	endpoint, err := tokens.NewEndpoint(s.TokenURL, tokens.Credentials{ClientID: "web", ClientSecret: "web-secret"}, nil)
	require.NoError(t, err)
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Store: store, Session: "user"})
	require.NoError(t, err)
	return cache
}

// TestFleetProcess is run by the processes of TestFleetRotates: ten callers request the token again and again until
// standard input ends.
func TestFleetProcess(t *testing.T) {
	text := os.Getenv(fleetVariable)
	if text == "" {
		t.Skip("runs in the processes that TestFleetRotates starts")
	}
	var s fleetSettings
	require.NoError(t, json.Unmarshal([]byte(text), &s))
	cache := s.cache(t)
	stop := make(chan struct{})
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		close(stop)
	}()
	var callers sync.WaitGroup
	for range 10 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				// On a busy machine, a token that lives for one second may have expired on arrival.
				if _, err := cache.Token(t.Context()); !assert.NotErrorIs(t, err, tokens.ErrLoginRequired) {
					return
				}
			}
		})
	}
	callers.Wait()
	require.NoError(t, cache.Close(t.Context()))
}
