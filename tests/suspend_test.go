package tests

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// A token may become invalid long before its client expects: if a virtual machine was suspended and none of its clocks
// counted that time, or if a server revokes tokens early. In these tests the vendor's tokens expire earlier than
// announced, which looks the same to a client. The tests of the Cache cover suspensions that a clock does count.

const (
	tokenLife  = 10 * time.Minute // by the vendor's clock
	suspension = 3 * time.Hour    // not counted by the client's clocks
)

// asleep makes a vendor's tokens live longer by the client's clock than by its own.
func asleep(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorded := httptest.NewRecorder()
		server.ServeHTTP(recorded, r)
		body := recorded.Body.Bytes()
		var response map[string]any
		if json.Unmarshal(body, &response) == nil && response["expires_in"] != nil {
			response["expires_in"] = response["expires_in"].(float64) + suspension.Seconds()
			body, _ = json.Marshal(response)
		}
		maps.Copy(w.Header(), recorded.Header())
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(recorded.Code)
		_, _ = w.Write(body)
	})
}

// suspended returns a rig and a Cache whose token expired during the suspension, which the Cache cannot know.
func suspended(t *testing.T, v vendor) (*rig, *tokens.Cache) {
	t.Helper()
	r := newRig(v, sandboxOptions{life: tokenLife})
	r.client.Transport = sandbox.Transport(asleep(r.server))
	cache := r.cache(t)
	require.NoError(t, r.calls(t, cache)(t.Context()))
	token, err := cache.Token(t.Context())
	require.NoError(t, err)

	pass(2 * tokenLife)
	again, err := cache.Token(t.Context())
	require.NoError(t, err)
	require.Same(t, token, again, "the Cache considers it fresh")
	synctest.Wait()
	require.Equal(t, 1, r.server.Count(createAccessToken))
	require.ErrorIs(t, r.calls(t, tokens.Static(token.AccessToken))(t.Context()), tokens.Status(401), "the vendor rejects it")
	return r, cache
}

func TestSuspendIsNoticedByThe401(t *testing.T) {
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r, cache := suspended(t, v)
				call := r.calls(t, cache)
				before := r.server.Count(v.probe)
				require.NoError(t, call(t.Context()))
				assert.Equal(t, 2, r.server.Count(createAccessToken), "one renewal")
				assert.Equal(t, 2, r.server.Count(v.probe)-before, "one replay")

				renewed := last(r).Header.Get("Authorization")
				for range 5 {
					require.NoError(t, call(t.Context()))
					assert.Equal(t, renewed, last(r).Header.Get("Authorization"))
				}
				assert.Equal(t, 2, r.server.Count(createAccessToken))
				assert.Equal(t, 7, r.server.Count(v.probe)-before)
				stats := cache.Stats()
				assert.Equal(t, tokens.Stats{Fetches: 2, Invalidations: 1, Waits: 2, Expiry: stats.Expiry}, stats)
			})
		})
	}
}

func TestSuspendIsNoticedOnceByManyCallers(t *testing.T) {
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r, cache := suspended(t, v)
				r.responds(sandbox.Fault{Delay: time.Second})
				call := r.calls(t, cache)
				start := time.Now()
				var wg sync.WaitGroup
				for range 200 {
					wg.Go(func() { assert.NoError(t, call(t.Context())) })
				}
				wg.Wait()
				assert.Equal(t, time.Second, time.Since(start))
				assert.Equal(t, 2, r.server.Count(createAccessToken))
			})
		})
	}
}

// A refresh token is valid after the suspension, and is presented once.
func TestSuspendWithARefreshToken(t *testing.T) {
	for _, v := range vendors {
		if !v.rotates {
			continue // without rotation there is no difference between once and twice
		}
		t.Run(v.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(v, sandboxOptions{life: tokenLife})
				r.client.Transport = sandbox.Transport(asleep(r.server))
				first := r.offlineToken(t)
				cache := cacheOf(t, r.plain(t), &tokens.CacheOptions{Session: "a", Initial: first})
				call := r.calls(t, cache)
				r.responds(sandbox.Fault{Delay: time.Second})
				pass(2 * tokenLife)
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() { assert.NoError(t, call(t.Context())) })
				}
				wg.Wait()
				assert.Equal(t, 1, r.server.Count(createAccessToken))
				token, err := cache.Token(t.Context())
				require.NoError(t, err)
				assert.NotEqual(t, first.RefreshToken, token.RefreshToken)
			})
		})
	}
}

// A request with a body is sent again with the body, and has its effect once.
func TestSuspendDuringACreate(t *testing.T) {
	for _, v := range vendors {
		if !withClients(v) {
			continue // only SailPoint has clients to create
		}
		bubble(t, func(t *testing.T) {
			r := newRig(v, sandboxOptions{life: tokenLife})
			r.client.Transport = sandbox.Transport(asleep(r.server))
			clients := r.oauthClients(t)
			_, err := clients.List(t.Context())
			require.NoError(t, err)
			pass(2 * tokenLife)
			created, err := clients.Create(t.Context(), newClientRequest(sailpoint.GrantTypeClientCredentials))
			require.NoError(t, err)
			assert.Equal(t, 2, r.server.Count("createOAuthClient"))
			assert.Equal(t, 2, r.server.Count(createAccessToken))
			list, err := clients.List(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []string{sandbox.SampleClientID, created.ID}, oauthClientIDs(list))
		})
	}
}
