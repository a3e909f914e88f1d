package tokens_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A fleetServer is a token endpoint that rotates refresh tokens, and a Store that counts and can fail.
type fleetServer struct {
	tokens.Store

	mu        sync.Mutex
	n         int
	requests  []url.Values
	respond   func(form url.Values) (int, string, http.Header) // if nil, it issues a token
	down      error
	loads     int
	swaps     int
	conflicts int
	ttls      []time.Duration
}

func newFleet() *fleetServer { return &fleetServer{Store: tokens.NewMemoryStore()} }

func (f *fleetServer) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	_ = req.Body.Close()
	form, _ := url.ParseQuery(string(body))
	pass(50 * time.Millisecond)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, form)
	status, text, header := http.StatusOK, "", http.Header{}
	if f.respond != nil {
		status, text, header = f.respond(form)
	} else if form.Get("token") == "" {
		f.n++
		text = fmt.Sprintf(`{"access_token":"access-%d","token_type":"Bearer","expires_in":3600,"tenant_id":"t"`, f.n)
		if form.Get("grant_type") == "refresh_token" {
			text += fmt.Sprintf(`,"refresh_token":"refresh-%d"`, f.n)
		}
		text += "}"
	}
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/json")
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text)), Request: req}, nil
}

func (f *fleetServer) Load(ctx context.Context, key string) (tokens.Record, error) {
	f.mu.Lock()
	f.loads++
	down, store := f.down, f.Store
	f.mu.Unlock()
	if down != nil {
		return tokens.Record{}, down
	}
	return store.Load(ctx, key)
}

func (f *fleetServer) CompareAndSwap(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
	f.mu.Lock()
	f.swaps++
	down, store := f.down, f.Store
	f.ttls = append(f.ttls, ttl)
	f.mu.Unlock()
	if down != nil {
		return down
	}
	err := store.CompareAndSwap(ctx, key, old, next, ttl)
	if errors.Is(err, tokens.ErrConflict) {
		f.mu.Lock()
		f.conflicts++
		f.mu.Unlock()
	}
	return err
}

func (f *fleetServer) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = err
}

// loseRecords deletes all records.
func (f *fleetServer) loseRecords() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Store = tokens.NewMemoryStore()
}

// calls returns the number of calls of the Store.
func (f *fleetServer) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loads + f.swaps
}

func (f *fleetServer) sent() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.requests)
}

// revoked returns the tokens that were sent to be revoked.
func (f *fleetServer) revoked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var revoked []string
	for _, form := range f.requests {
		if form.Has("token") {
			revoked = append(revoked, form.Get("token"))
		}
	}
	return revoked
}

func (f *fleetServer) endpoint(t testing.TB) *tokens.Endpoint {
	t.Helper()
	return endpointOver(t, f, nil)
}

// endpointOver returns an Endpoint that sends its requests with transport. If limiter is nil, it has one of its own.
func endpointOver(t testing.TB, transport http.RoundTripper, limiter *tokens.Limiter) *tokens.Endpoint {
	t.Helper()
	e, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.Credentials{ClientID: "id", ClientSecret: "client-secret"},
		&tokens.EndpointOptions{HTTPClient: &http.Client{Transport: transport}, RevocationURL: "https://auth.example.com/revoke", Limiter: limiter})
	require.NoError(t, err)
	return e
}

// cache returns a Cache as another process would have it.
func (f *fleetServer) cache(t testing.TB, opts tokens.CacheOptions) *tokens.Cache {
	t.Helper()
	opts.Store = f
	c, err := tokens.NewCache(f.endpoint(t), &opts)
	require.NoError(t, err)
	return c
}

func login() *tokens.Token {
	return &tokens.Token{AccessToken: "access-0", RefreshToken: "refresh-0", TokenType: "Bearer", Expiry: time.Now().Add(time.Hour)}
}

func user(initial *tokens.Token) tokens.CacheOptions {
	return tokens.CacheOptions{Session: "user", Initial: initial}
}

func mustToken(t testing.TB, c *tokens.Cache) string {
	t.Helper()
	token, err := c.Token(t.Context())
	require.NoError(t, err)
	return token.AccessToken
}

// tokenOf is mustToken for goroutines, which must not call FailNow.
func tokenOf(t testing.TB, c *tokens.Cache) string {
	t.Helper()
	token, err := c.Token(t.Context())
	if !assert.NoError(t, err) {
		return ""
	}
	return token.AccessToken
}

// closeAll waits for background work to end.
func closeAll(t *testing.T, caches ...*tokens.Cache) {
	t.Helper()
	for _, c := range caches {
		require.NoError(t, c.Close(t.Context()))
	}
}

func TestStoreBadInput(t *testing.T) {
	f := newFleet()
	for want, opts := range map[string]tokens.CacheOptions{
		"Session is empty":    {Store: f, Initial: login()},
		"Session has 1025":    {Store: f, Session: strings.Repeat("s", 1025)},
		"SeedDelay is neg":    {Store: f, Session: "s", SeedDelay: -1},
		"need a Store":        {Session: "s", SeedDelay: time.Second},
		"GrantFunc and Store": {Store: f, GrantFunc: func(context.Context) (tokens.Grant, error) { return tokens.Grant{}, nil }},
		"RefreshWithoutStore": {Session: "s", RefreshWithoutStore: true},
	} {
		_, err := tokens.NewCache(f.endpoint(t), &opts)
		require.ErrorContains(t, err, want)
	}
	f.cache(t, tokens.CacheOptions{Session: strings.Repeat("s", 1024)})
	app := f.cache(t, tokens.CacheOptions{})
	require.ErrorContains(t, app.Set(t.Context(), login()), "Session is empty")
	assert.Zero(t, f.sent()+f.loads+f.swaps)
}

func TestOneRequestForAFleet(t *testing.T) {
	for name, opts := range map[string]tokens.CacheOptions{"app": {}, "login": user(login())} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet()
				if opts.Initial != nil {
					opts.Initial = login()
				}
				var caches []*tokens.Cache
				for range 20 {
					caches = append(caches, f.cache(t, opts))
				}
				var wg sync.WaitGroup
				begin := time.Now()
				for _, c := range caches {
					for range 50 {
						wg.Go(func() { mustToken(t, c) })
					}
				}
				wg.Wait()
				want := 0
				if opts.Initial == nil {
					want = 1
				}
				assert.Equal(t, want, f.sent())
				assert.Less(t, time.Since(begin), 800*time.Millisecond)
				for range 3 {
					pass(time.Hour) // all tokens have expired
					want++
					begin := time.Now()
					seen := make(map[string]bool)
					var mu sync.Mutex
					for _, c := range caches {
						for range 50 {
							wg.Go(func() {
								token := mustToken(t, c)
								mu.Lock()
								defer mu.Unlock()
								seen[token] = true
							})
						}
					}
					wg.Wait()
					assert.Equal(t, want, f.sent())
					assert.Len(t, seen, 1, "all get the same token")
					assert.LessOrEqual(t, time.Since(begin), 350*time.Millisecond, "the last one gets it in time")
				}
				closeAll(t, caches...)
			})
		})
	}
}

func TestQuietFleetLooksOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a, b := f.cache(t, user(login())), f.cache(t, user(login()))
		for range 3600 * 10 {
			mustToken(t, a)
			mustToken(t, b)
			pass(time.Second)
		}
		renewals := f.sent()
		assert.InDelta(t, 12, renewals, 1, "ten hours with tokens that live for one hour, renewed 5 minutes before they expire")
		// Two swaps per renewal, and one for Initial. One look per minute each; per renewal, one more to start it, four more
		// by its fetcher afterwards, and a few by the other process, which sees the attempt.
		assert.Equal(t, 2*renewals+1, f.swaps-f.conflicts)
		assert.LessOrEqual(t, f.conflicts, renewals, "both may try to start a renewal in the same instant")
		assert.LessOrEqual(t, f.loads, 2*600+8*renewals)
		closeAll(t, a, b)
	})
}

// The load on a Store: per process, one look per minute, and at most three more calls in the life of a token.
func TestStoreCallsOfAQuietFleet(t *testing.T) {
	for name, options := range map[string]func() tokens.CacheOptions{
		"app":   func() tokens.CacheOptions { return tokens.CacheOptions{} },
		"login": func() tokens.CacheOptions { return user(login()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const processes, minutes = 20, 600
				f, opts := newFleet(), options()
				caches := make([]*tokens.Cache, processes)
				for i := range caches {
					caches[i] = f.cache(t, opts)
				}
				for range 60 * minutes {
					for _, c := range caches {
						mustToken(t, c)
					}
					pass(time.Second)
				}
				lives := float64(f.sent())
				more := (float64(f.calls())/processes - minutes) / lives
				t.Logf("%d calls of %d processes in %d minutes with %v tokens: one look a minute, and %.2f calls more per process and token",
					f.calls(), processes, minutes, lives, more)
				assert.LessOrEqual(t, more, 3.0)
				closeAll(t, caches...)
			})
		})
	}
}

func TestSetAndRevokeAreObeyedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a, busy, idle := f.cache(t, user(nil)), f.cache(t, user(nil)), f.cache(t, user(nil))
		_, err := a.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		require.ErrorIs(t, err, tokens.ErrNoToken)
		require.ErrorContains(t, err, "the Store has no login")
		require.NoError(t, a.Set(t.Context(), login()))
		assert.Equal(t, "access-0", mustToken(t, a))
		assert.Equal(t, "access-0", mustToken(t, busy), "this process has not looked yet")
		assert.Equal(t, "access-0", mustToken(t, idle))

		require.NoError(t, a.Revoke(t.Context()))
		assert.Equal(t, []url.Values{
			{"token": {"refresh-0"}, "token_type_hint": {"refresh_token"}}, {"token": {"access-0"}, "token_type_hint": {"access_token"}},
		}, f.requests)
		_, err = a.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		served := 0
		for range 62 {
			pass(time.Second)
			if _, err := busy.Token(t.Context()); err == nil {
				served++
			}
		}
		assert.LessOrEqual(t, served, 61)
		_, err = busy.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired, "a process in use notices within a minute")
		require.ErrorContains(t, err, "the login was revoked")
		assert.Equal(t, "access-0", mustToken(t, idle), "an idle process notices with its second call")
		pass(time.Second)
		_, err = idle.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)

		next := login()
		next.AccessToken, next.RefreshToken = "access-next", "refresh-next"
		require.NoError(t, busy.Set(t.Context(), next))
		pass(250 * time.Millisecond)
		assert.Equal(t, "access-next", mustToken(t, a), "a login elsewhere is found within 250 ms")
		assert.Equal(t, "access-next", mustToken(t, idle))
		late := f.cache(t, user(login()))
		assert.Equal(t, "access-next", mustToken(t, late), "Initial is ignored if there is a login")
		closeAll(t, a, busy, idle, late)
	})
}

// Only the process that called Revoke knows what the server did not revoke. Its error says so, because another process
// returns nil.
func TestRevokeThatTheServerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a, b := f.cache(t, user(login())), f.cache(t, user(nil))
		mustToken(t, a)
		f.respond = func(form url.Values) (int, string, http.Header) {
			if form.Get("token") == "refresh-0" {
				return 200, "", nil
			}
			return 400, `{"error":"invalid_request"}`, nil
		}
		err := a.Revoke(t.Context())
		require.ErrorIs(t, err, tokens.InvalidRequest)
		require.ErrorContains(t, err, "only this process can call Revoke again")
		f.respond = nil
		before := f.sent()
		require.NoError(t, b.Revoke(t.Context()))
		assert.Equal(t, before, f.sent(), "the Store has nothing to revoke")
		require.NoError(t, a.Revoke(t.Context()))
		assert.Equal(t, before+1, f.sent())
		closeAll(t, a, b)
	})
}

// The error of Revoke asks for another call only if there is something left to revoke.
func TestRevokeThatTheServerNeverDoes(t *testing.T) {
	for want, c := range map[error]struct{ revocationURL, code string }{
		tokens.UnsupportedTokenType: {"https://auth.example.com/revoke", "unsupported_token_type"},
		errors.ErrUnsupported:       {"", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet()
			f.respond = func(url.Values) (int, string, http.Header) { return 400, `{"error":"` + c.code + `"}`, nil }
			e, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.Credentials{ClientID: "id", ClientSecret: "client-secret"},
				&tokens.EndpointOptions{HTTPClient: &http.Client{Transport: f}, RevocationURL: c.revocationURL})
			require.NoError(t, err)
			a := newCache(t, e, f, user(login()))
			mustToken(t, a)
			err = a.Revoke(t.Context())
			require.ErrorIs(t, err, want)
			assert.NotContains(t, err.Error(), "only this process can call Revoke again")
			closeAll(t, a)
		})
	}
}

// A Cache of Sessions with tokens that are left to be revoked survives garbage collection: no other has them.
func TestSessionsKeepWhatIsNotRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		s := newSessions(t, f, tokens.CacheOptions{})
		require.NoError(t, s.Session("user").Set(t.Context(), login()))
		f.respond = func(url.Values) (int, string, http.Header) { return 400, `{"error":"invalid_request"}`, nil }
		require.Error(t, s.Session("user").Revoke(t.Context()))
		f.respond, f.requests = nil, nil
		pass(10 * time.Minute)    // nothing runs any more that keeps it in memory
		for i := range 3 * 4096 { // more than what stays in memory because it was used
			s.Session(fmt.Sprintf("user-%d", i))
		}
		for range 5 {
			runtime.GC()
		}
		require.NoError(t, s.Session("user").Revoke(t.Context()))
		assert.Equal(t, []string{"refresh-0", "access-0"}, f.revoked())
		require.NoError(t, s.Close(t.Context()))
	})
}

// Revoke revokes what is in the Store, whatever its process knew of it, and what the process knows, if the Store fails.
func TestRevokeFindsTheTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a, b := f.cache(t, user(login())), f.cache(t, user(nil))
		mustToken(t, a)
		require.NoError(t, b.Revoke(t.Context()))
		assert.Equal(t, []string{"refresh-0", "access-0"}, f.revoked(), "this process has not looked")

		next := &tokens.Token{AccessToken: "access-a", RefreshToken: "refresh-a", Expiry: time.Now().Add(time.Hour)}
		require.NoError(t, b.Set(t.Context(), next))
		c := f.cache(t, user(nil))
		require.Equal(t, "access-a", mustToken(t, c))
		c.Invalidate(next)
		f.fail(errors.New("down"))
		require.ErrorIs(t, c.Revoke(t.Context()), tokens.ErrStore)
		assert.Contains(t, f.revoked(), "refresh-a", "although there is no current token")
		f.fail(nil)
		closeAll(t, a, b, c)
	})
}

func TestLooksOfAProcessWithoutALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a, b := f.cache(t, user(nil)), f.cache(t, user(nil))
		var wg sync.WaitGroup
		for range 100 {
			for range 10 {
				wg.Go(func() {
					_, err := a.Token(t.Context())
					assert.ErrorIs(t, err, tokens.ErrLoginRequired)
				})
			}
			wg.Wait()
			pass(10 * time.Millisecond)
		}
		assert.Equal(t, 4, f.loads, "per second, however many callers there are")
		pass(time.Hour)
		assert.Equal(t, 4, f.loads, "none without callers")

		require.NoError(t, b.Set(t.Context(), login()))
		assert.Equal(t, "access-0", mustToken(t, a))
		require.NoError(t, b.Revoke(t.Context()))
		pass(time.Minute)
		_, _ = a.Token(t.Context()) // the look runs in the background
		pass(time.Second)
		_, err := a.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		require.NoError(t, b.Set(t.Context(), login()))
		pass(250 * time.Millisecond)
		assert.Equal(t, "access-0", mustToken(t, a), "the same after a logout")
		closeAll(t, a, b)
	})
}

func TestInitialDoesNotUndoALogout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a := f.cache(t, user(login()))
		mustToken(t, a)
		require.NoError(t, a.Revoke(t.Context()))
		b := f.cache(t, user(login()))
		_, err := b.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		closeAll(t, a, b)
	})
}

// The first look that fails after a good one is tried again within a second.
func TestLooksStartOverAfterAGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a := f.cache(t, user(&tokens.Token{AccessToken: "access-0", RefreshToken: "refresh-0", Expiry: time.Now().Add(time.Hour)}))
		mustToken(t, a)
		pass(time.Hour)
		for range 3 {
			f.fail(errors.New("down"))
			_, err := a.Token(t.Context())
			require.ErrorIs(t, err, tokens.ErrStore)
			f.fail(nil)
			pass(800 * time.Millisecond)
			loads := f.calls()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err = a.Token(ctx)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded, "it waits until the Store has been well for a while")
			assert.Greater(t, f.calls(), loads)
			pass(time.Second)
		}
		closeAll(t, a)
	})
}

func TestStoreDown(t *testing.T) {
	down := errors.New("down")
	t.Run("app", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet()
			a := f.cache(t, tokens.CacheOptions{})
			assert.Equal(t, "access-1", mustToken(t, a))
			f.fail(down)
			pass(59 * time.Minute)
			assert.Equal(t, "access-1", mustToken(t, a), "due, but not expired")
			pass(time.Minute)
			assert.Equal(t, 1, f.sent())
			assert.Equal(t, "access-2", mustToken(t, a))
			for range 60 {
				pass(time.Second)
				assert.Equal(t, "access-2", mustToken(t, a))
			}
			assert.Equal(t, 2, f.sent())
			f.fail(nil)
			pass(time.Minute)
			mustToken(t, a)
			pass(10 * time.Second)
			b := f.cache(t, tokens.CacheOptions{})
			assert.Equal(t, "access-2", mustToken(t, b), "it was published when the Store was back")
			closeAll(t, a, b)
		})
	})
	t.Run("app from the beginning", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet()
			f.fail(down)
			a := f.cache(t, tokens.CacheOptions{})
			assert.Equal(t, "access-1", mustToken(t, a))
			f.respond = func(url.Values) (int, string, http.Header) { return 503, ``, http.Header{"Retry-After": {"100"}} }
			pass(time.Hour)
			for range 50 {
				_, err := a.Token(t.Context())
				require.ErrorIs(t, err, tokens.ErrNoToken)
				pass(time.Second)
			}
			assert.Equal(t, 2, f.sent(), "Retry-After is respected without the Store too")
			closeAll(t, a)
		})
	})
	t.Run("login", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet()
			a := f.cache(t, user(login()))
			mustToken(t, a)
			f.fail(down)
			pass(59 * time.Minute)
			assert.Equal(t, "access-0", mustToken(t, a), "the access token is used until it expires")
			pass(time.Minute)
			_, err := a.Token(t.Context())
			require.ErrorIs(t, err, tokens.ErrStore)
			require.ErrorIs(t, err, tokens.ErrNoToken)
			require.ErrorIs(t, err, down)
			require.NotErrorIs(t, err, tokens.ErrLoginRequired)
			assert.Zero(t, f.sent(), "the refresh token is not presented")
			f.fail(nil)
			pass(6 * time.Second)
			assert.Equal(t, "access-1", mustToken(t, a))
			closeAll(t, a)
		})
	})
	t.Run("login, presented with RefreshWithoutStore", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, a := outage(t)
			assert.Equal(t, "access-1", mustToken(t, a))
			pass(time.Hour)
			calls := f.calls()
			assert.Equal(t, "access-2", mustToken(t, a))
			assert.LessOrEqual(t, f.calls()-calls, 4, "a caller does not wait until the Store has failed again and again")
			assert.EqualValues(t, 2, a.Stats().Fetches)
			assert.Equal(t, "refresh-1", f.requests[1].Get("refresh_token"), "the new refresh token is presented, although it is not in the Store")
			f.fail(nil)
			pass(10 * time.Second)
			mustToken(t, a)
			pass(10 * time.Second)
			b := f.cache(t, user(nil))
			assert.Equal(t, "access-2", mustToken(t, b))
			closeAll(t, a, b)
		})
	})
}

// outage returns a fleet whose Store has been down for an hour, and a process that may refresh without it. Its access
// token has just expired.
func outage(t *testing.T) (*fleetServer, *tokens.Cache) {
	t.Helper()
	f := newFleet()
	opts := user(login())
	opts.RefreshWithoutStore = true
	a := f.cache(t, opts)
	mustToken(t, a)
	f.fail(errors.New("down"))
	pass(time.Hour)
	return f, a
}

// If the response to a refresh without the Store is lost, the Store still gets what is known: the successor of an
// earlier refresh, or that the refresh token in it may have been consumed.
func TestRefreshWithoutStoreThatIsLost(t *testing.T) {
	for _, earlier := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			f, a := outage(t)
			for range earlier {
				mustToken(t, a)
				pass(time.Hour)
			}
			f.respond = func(url.Values) (int, string, http.Header) { return 200, "{", nil }
			_, err := a.Token(t.Context())
			require.ErrorIs(t, err, tokens.ErrNoToken)
			newest := fmt.Sprint("refresh-", earlier)
			require.Equal(t, newest, f.requests[earlier].Get("refresh_token"))
			f.fail(nil)
			pass(6 * time.Second)
			_, err = a.Token(t.Context())
			require.ErrorIs(t, err, tokens.ErrNoToken)
			if earlier == 0 {
				require.Equal(t, 1, f.sent(), "it is not presented again at once")
			}
			f.respond = nil

			b := f.cache(t, user(nil))
			ctx, leave := context.WithTimeout(t.Context(), 30*time.Second)
			_, err = b.Token(ctx)
			leave()
			require.Error(t, err)
			pass(time.Minute)
			mustToken(t, b)
			for _, form := range f.requests[earlier:] {
				assert.Equal(t, newest, form.Get("refresh_token"))
			}
			closeAll(t, a, b)
		})
	}
}

// A token that is not in the Store is not renewed when it has expired and nobody wants one.
func TestRefreshWithoutStoreForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.respond = func(url.Values) (int, string, http.Header) {
			f.down, f.respond = errors.New("down"), nil
			return 200, `{"access_token":"access-1","token_type":"Bearer","refresh_token":"refresh-1","expires_in":60}`, nil
		}
		opts := user(due())
		opts.RefreshWithoutStore = true
		a := f.cache(t, opts)
		assert.Equal(t, "access-1", mustToken(t, a))
		f.n++ // the next token is the second
		pass(10 * time.Minute)
		assert.Equal(t, 1, f.sent())
		assert.Equal(t, "access-2", mustToken(t, a))
		f.fail(nil)
		closeAll(t, a)
	})
}

// Without a refresh token there is nothing to present, with or without the Store.
func TestRefreshWithoutStoreNeedsARefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.fail(errors.New("down"))
		a := f.cache(t, tokens.CacheOptions{Session: "user", RefreshWithoutStore: true})
		_, err := a.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrStore)
		assert.Zero(t, f.sent())
		closeAll(t, a)
	})
}

// A refresh token that the server refused is not presented again, with or without the Store.
func TestRefreshWithoutStoreNotAfterInvalidGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		opts := user(due())
		opts.RefreshWithoutStore = true
		a := f.cache(t, opts)
		f.respond = func(url.Values) (int, string, http.Header) { return 400, `{"error":"invalid_grant"}`, nil }
		_, err := a.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		f.fail(errors.New("down"))
		pass(time.Minute)
		_, err = a.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrStore)
		assert.Equal(t, 1, f.sent())
		closeAll(t, a)
	})
}

// An application's Initial is the first token of the fleet, unless it has expired.
func TestInitialOfAnAppInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		initial := &tokens.Token{AccessToken: "access-0", Expiry: time.Now().Add(time.Minute)}
		a, b := f.cache(t, tokens.CacheOptions{Initial: initial}), f.cache(t, tokens.CacheOptions{})
		assert.Equal(t, "access-0", mustToken(t, a))
		assert.Equal(t, "access-0", mustToken(t, b))
		assert.Zero(t, f.sent())

		f.loseRecords()
		pass(time.Minute)
		swaps := f.swaps
		late := f.cache(t, tokens.CacheOptions{Initial: initial})
		assert.Equal(t, "access-1", mustToken(t, late))
		assert.Equal(t, 2, f.swaps-swaps, "the attempt and the new token")
		closeAll(t, a, b, late)
	})
}

func TestSetAfterCloseWithAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a := f.cache(t, user(nil))
		closeAll(t, a)
		calls := f.calls()
		require.ErrorIs(t, a.Set(t.Context(), login()), tokens.ErrClosed)
		assert.Equal(t, calls, f.calls())
		assert.Equal(t, tokens.Stats{}, a.Stats(), "the Cache is not locked")
	})
}

// The Store is not called for a caller whose context has ended, or if there are no credentials.
func TestStoreIsNotCalledWithoutNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a := f.cache(t, tokens.CacheOptions{})
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := a.Token(ended)
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		assert.Zero(t, f.calls())
		closeAll(t, a)

		sealed := errors.New("the vault is sealed")
		e, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.CredentialsFunc(func(context.Context) (tokens.Credentials, error) {
			return tokens.Credentials{}, sealed
		}), &tokens.EndpointOptions{HTTPClient: &http.Client{Transport: f}})
		require.NoError(t, err)
		b, err := tokens.NewCache(e, &tokens.CacheOptions{Store: f})
		require.NoError(t, err)
		_, err = b.Token(t.Context())
		require.ErrorIs(t, err, sealed)
		require.NotErrorIs(t, err, tokens.ErrStore)
		for _, change := range []func() error{
			func() error { return b.Set(t.Context(), &tokens.Token{AccessToken: "given"}) },
			func() error { return b.Revoke(t.Context()) },
		} {
			err := change()
			require.ErrorIs(t, err, sealed)
			require.NotErrorIs(t, err, tokens.ErrStore)
		}
		assert.Zero(t, f.calls())
		closeAll(t, b)
	})
}

// A hook that calls runtime.Goexit, as t.FailNow does, ends its goroutine. The callers have an error, and the next ones a token.
func TestStoreWithAHookThatExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		exits := true
		a := f.cache(t, tokens.CacheOptions{OnToken: func(context.Context, *tokens.Token) error {
			if exits {
				exits = false
				runtime.Goexit()
			}
			return nil
		}})
		_, err := a.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrNoToken)
		require.ErrorContains(t, err, "a hook called runtime.Goexit")
		pass(10 * time.Second)
		assert.Equal(t, "access-1", mustToken(t, a))
		closeAll(t, a)
	})
}

// If a Store calls runtime.Goexit after it has written an attempt, the process finds its attempt and continues it. If a
// transport does so after it has sent the refresh token, nobody presents that again before the hold is over.
func TestGoexitDuringAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{}
		s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
			err := s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			if old != "" { // the first swap writes the login
				s.swap = nil
				runtime.Goexit()
			}
			return err
		}
		c := f.oddCache(t, s, user(due()))
		_, err := c.Token(t.Context())
		require.ErrorContains(t, err, "a hook called runtime.Goexit")
		assert.Zero(t, f.sent())
		pass(5 * time.Second)
		begin := time.Now()
		assert.Equal(t, "access-1", mustToken(t, c))
		assert.Less(t, time.Since(begin), time.Second)
		assert.Equal(t, 1, f.sent())
		closeAll(t, c)
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		exits := true
		endpoint, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.Credentials{ClientID: "id", ClientSecret: "client-secret"},
			&tokens.EndpointOptions{HTTPClient: &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
				resp, err := f.RoundTrip(req)
				if exits {
					exits = false
					runtime.Goexit()
				}
				return resp, err
			})}})
		require.NoError(t, err)
		c := newCache(t, endpoint, f, user(due()))
		_, err = c.Token(t.Context())
		require.ErrorContains(t, err, "a hook called runtime.Goexit")
		begin := time.Now()
		assert.Equal(t, "access-2", ask(t, c, 3*time.Minute))
		assert.Greater(t, time.Since(begin), 85*time.Second)
		closeAll(t, c)
	})
}

// A hook that asks its own Cache for a token gets an error at once, and the callers get theirs.
func TestStoreWithAHookThatCallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a *tokens.Cache
		var inner error
		a = newFleet().cache(t, tokens.CacheOptions{OnToken: func(ctx context.Context, _ *tokens.Token) error {
			_, inner = a.Token(ctx)
			return nil
		}})
		begin := time.Now()
		assert.Equal(t, "access-1", mustToken(t, a))
		assert.Less(t, time.Since(begin), time.Second)
		require.ErrorContains(t, inner, "a hook must not ask its own Cache for a token")
		closeAll(t, a)
	})
}

func TestFailureIsSharedThroughTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.respond = func(url.Values) (int, string, http.Header) {
			return 429, `{"error":"slow_down"}`, http.Header{"Retry-After": {"40"}}
		}
		a, b := f.cache(t, user(&tokens.Token{RefreshToken: "refresh-0"})), f.cache(t, user(nil))
		_, err := a.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrNoToken)
		for range 35 {
			_, err := b.Token(t.Context())
			var e *tokens.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, 429, e.StatusCode)
			assert.InDelta(t, 20, e.RetryAfter.Seconds(), 21)
			require.ErrorIs(t, err, tokens.Code("slow_down"))
			require.NotErrorIs(t, err, tokens.Status(429), "that is the status of the token endpoint, not of the API")
			_, err = a.Token(t.Context())
			require.Error(t, err)
			pass(time.Second)
		}
		assert.Equal(t, 1, f.sent())
		f.respond = nil
		pass(6 * time.Second)
		assert.Equal(t, "access-1", mustToken(t, b))
		pass(5 * time.Second)
		assert.Equal(t, "access-1", mustToken(t, a))
		closeAll(t, a, b)
	})
}

func TestInvalidGrantIsFinalForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.respond = func(url.Values) (int, string, http.Header) { return 400, `{"error":"invalid_grant"}`, nil }
		a, b := f.cache(t, user(&tokens.Token{RefreshToken: "refresh-0"})), f.cache(t, user(nil))
		for range 20 {
			for _, c := range []*tokens.Cache{a, b} {
				_, err := c.Token(t.Context())
				require.ErrorIs(t, err, tokens.ErrLoginRequired)
				require.ErrorIs(t, err, tokens.InvalidGrant)
			}
			pass(10 * time.Second)
		}
		assert.Equal(t, 1, f.sent())
		f.respond = nil
		// A new Initial replaces the login that ended, but an old one does not.
		c := f.cache(t, user(&tokens.Token{RefreshToken: "refresh-0"}))
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		d := f.cache(t, user(&tokens.Token{RefreshToken: "refresh-new"}))
		assert.Equal(t, "access-1", mustToken(t, d))
		pass(250 * time.Millisecond)
		assert.Equal(t, "access-1", mustToken(t, a))
		assert.Equal(t, "refresh-new", f.requests[1].Get("refresh_token"))
		closeAll(t, a, b, c, d)
	})
}

func TestSeedDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		opts := user(&tokens.Token{RefreshToken: "refresh-0"})
		opts.SeedDelay = 90 * time.Second
		a := f.cache(t, opts)
		begin := time.Now()
		assert.Equal(t, "access-1", mustToken(t, a), "if its caller waits long enough")
		assert.InDelta(t, 90, time.Since(begin).Seconds(), 3)
		closeAll(t, a)
	})
}

func TestRejectedTokenIsRenewedOnceByAFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		var caches []*tokens.Cache
		for range 5 {
			caches = append(caches, f.cache(t, user(login())))
			mustToken(t, caches[len(caches)-1])
		}
		for range 3 { // the API rejects every token
			for _, c := range caches {
				token, err := c.Token(t.Context())
				require.NoError(t, err)
				c.Invalidate(token)
				mustToken(t, c)
			}
		}
		assert.Equal(t, 1, f.sent(), "the 401 is returned for 30 s")
		for _, c := range caches {
			assert.Equal(t, "access-1", mustToken(t, c))
		}
		pass(31 * time.Second)
		for _, c := range caches {
			token, err := c.Token(t.Context())
			require.NoError(t, err)
			c.Invalidate(token)
			mustToken(t, c)
		}
		assert.Equal(t, 2, f.sent())
		closeAll(t, caches...)
	})
}

func TestOnTokenIsForTheFetcherAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		var mu sync.Mutex
		got := map[string][]string{}
		with := func(name string) tokens.CacheOptions {
			opts := user(nil)
			opts.OnToken = func(ctx context.Context, token *tokens.Token) error {
				mu.Lock()
				defer mu.Unlock()
				got[name] = append(got[name], token.RefreshToken)
				assert.Positive(t, f.calls(), "the token is in the Store before OnToken is called")
				deadline, _ := ctx.Deadline()
				assert.Equal(t, 30*time.Second, time.Until(deadline))
				return nil
			}
			return opts
		}
		a, b := f.cache(t, with("a")), f.cache(t, with("b"))
		require.NoError(t, a.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-0"}))
		mustToken(t, a)
		mustToken(t, b)
		assert.Equal(t, map[string][]string{"a": {"refresh-1"}}, got)
		closeAll(t, a, b)
	})
}

func TestHeldBackWithAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		opts := user(&tokens.Token{RefreshToken: "refresh-0"})
		opts.HoldUnsaved = true
		failing := true
		var saves atomic.Int64
		opts.OnToken = func(context.Context, *tokens.Token) error {
			if saves.Add(1); failing {
				return errors.New("disk full")
			}
			return nil
		}
		a := f.cache(t, opts)
		for range 10 {
			_, err := a.Token(t.Context())
			require.ErrorContains(t, err, "disk full")
			require.ErrorIs(t, err, tokens.ErrNoToken)
			synctest.Wait()
			begin, calls, before := time.Now(), f.calls(), saves.Load()
			_, err = a.Token(t.Context())
			require.ErrorContains(t, err, "disk full", "at once, while the next save is held off")
			assert.Zero(t, time.Since(begin))
			assert.Equal(t, calls, f.calls())
			assert.Equal(t, before, saves.Load())
			pass(time.Second)
		}
		require.ErrorContains(t, a.Close(t.Context()), "disk full")
		b := f.cache(t, opts)
		failing = false
		assert.Equal(t, "access-1", mustToken(t, b), "the token is in the Store")
		assert.Equal(t, 1, f.sent())
		closeAll(t, a, b)
	})
}

// Callers get the error of OnToken although the token that is held back is not in the Store either.
func TestHeldBackWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.respond = func(url.Values) (int, string, http.Header) {
			f.down, f.respond = errors.New("down"), nil
			return 200, `{"access_token":"access-1","refresh_token":"refresh-1","expires_in":3600}`, nil
		}
		opts := user(due())
		opts.HoldUnsaved = true
		failing := true
		opts.OnToken = func(context.Context, *tokens.Token) error {
			if failing {
				return errors.New("disk full")
			}
			return nil
		}
		a := f.cache(t, opts)
		begin := time.Now()
		_, err := a.Token(t.Context())
		require.ErrorContains(t, err, "disk full")
		assert.Less(t, time.Since(begin), time.Second)
		failing = false
		f.fail(nil)
		pass(time.Minute)
		assert.Equal(t, "access-1", mustToken(t, a))
		closeAll(t, a)
	})
}

// After a login or a logout elsewhere, nothing is left to save.
func TestChangesElsewhereEndWhatWasUnsaved(t *testing.T) {
	for name, change := range map[string]func(context.Context, *tokens.Cache) error{
		"login":  func(ctx context.Context, c *tokens.Cache) error { return c.Set(ctx, login()) },
		"logout": func(ctx context.Context, c *tokens.Cache) error { return c.Revoke(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, calls := newFleet(), 0
				opts := user(due())
				opts.HoldUnsaved = true
				opts.OnToken = func(context.Context, *tokens.Token) error {
					calls++
					return errors.New("disk full")
				}
				a, b := f.cache(t, opts), f.cache(t, user(nil))
				_, err := a.Token(t.Context())
				require.ErrorContains(t, err, "disk full")
				require.NoError(t, change(t.Context(), b))
				pass(time.Minute)
				_, _ = a.Token(t.Context()) // this starts a look
				pass(time.Second)
				before := calls
				for range 2 {
					if name == "login" {
						assert.Equal(t, "access-0", mustToken(t, a))
					} else {
						_, err = a.Token(t.Context())
						require.ErrorIs(t, err, tokens.ErrLoginRequired)
					}
					pass(time.Minute)
				}
				assert.Equal(t, before, calls)
				closeAll(t, a, b)
			})
		})
	}
}

func TestCloseWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a, before := f.cache(t, user(&tokens.Token{RefreshToken: "refresh-0"})), 0
		f.respond = func(url.Values) (int, string, http.Header) {
			f.down, before = errors.New("down"), f.loads+f.swaps
			return 200, `{"access_token":"access-1","refresh_token":"refresh-1","expires_in":3600}`, nil
		}
		assert.Equal(t, "access-1", mustToken(t, a), "it is returned from the third attempt on")
		assert.Equal(t, 1+2+2, f.calls()-before, "a swap, and two tries to find out what the Store has, with two loads each")
		before = f.calls()
		pass(20 * time.Second)
		assert.InDelta(t, 2*20, f.calls()-before, 10, "two loads about every second")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := a.Close(ctx)
		require.ErrorIs(t, err, tokens.ErrStore)
		require.ErrorContains(t, err, "down")
		pass(time.Minute)
		synctest.Wait()
		calls := f.calls()
		pass(time.Minute)
		assert.Equal(t, calls, f.calls(), "nothing keeps running")
		f.fail(nil)
		require.NoError(t, a.Close(t.Context()))
		b := f.cache(t, user(nil))
		assert.Equal(t, "access-1", mustToken(t, b))
		_, err = a.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrClosed)
		closeAll(t, b)
	})
}

// Close waits as long as its context allows, and no longer: for a Store that is down, or a call of it that hangs.
func TestCloseWaitsUntilTheStoreIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a := f.cache(t, user(due()))
		f.respond = func(url.Values) (int, string, http.Header) {
			f.down = errors.New("down")
			return 200, `{"access_token":"access-1","refresh_token":"refresh-1","expires_in":3600}`, nil
		}
		mustToken(t, a)
		time.AfterFunc(20*time.Second, func() { f.fail(nil) })
		require.NoError(t, a.Close(t.Context()))
		b := f.cache(t, user(nil))
		assert.Equal(t, "access-1", mustToken(t, b))
		closeAll(t, b)
	})
	synctest.Test(t, func(t *testing.T) {
		f, s, release := newFleet(), &oddStore{}, make(chan struct{})
		s.load = func(context.Context, string) (tokens.Record, error) { <-release; return tokens.Record{}, nil }
		c := f.oddCache(t, s, tokens.CacheOptions{})
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		_, err := c.Token(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		ctx, leave = context.WithTimeout(t.Context(), time.Second)
		defer leave()
		require.ErrorIs(t, c.Close(ctx), context.DeadlineExceeded)
		close(release)
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestSetReportsWhatTheStoreDidNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a, b := f.cache(t, user(nil)), f.cache(t, user(nil))
		require.NoError(t, b.Set(t.Context(), login()))
		f.fail(errors.New("down"))
		next := login()
		next.AccessToken, next.RefreshToken = "access-lost", "refresh-lost"
		for range 20 {
			begin := time.Now()
			require.ErrorIs(t, a.Set(t.Context(), next), tokens.ErrStore)
			assert.LessOrEqual(t, time.Since(begin), 225*time.Millisecond)
		}
		assert.Equal(t, "access-lost", mustToken(t, a), "this process uses it meanwhile")
		f.fail(nil)
		pass(2 * time.Minute)
		mustToken(t, a)
		pass(time.Second)
		assert.Equal(t, "access-0", mustToken(t, a), "it is dropped at the next look")
		closeAll(t, a, b)
	})
}

func TestSetWithoutRefreshTokenKeepsTheOneInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a, b := f.cache(t, user(login())), f.cache(t, user(nil))
		mustToken(t, a)
		given := &tokens.Token{AccessToken: "access-only", Expiry: time.Now().Add(time.Minute)}
		require.NoError(t, a.Set(t.Context(), given))
		token, err := a.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "refresh-0", token.RefreshToken)
		require.NoError(t, b.Set(t.Context(), given))
		assert.Empty(t, given.RefreshToken, "the caller's token is not changed")
		assert.Equal(t, "access-only", mustToken(t, b))
		pass(time.Minute)
		assert.Equal(t, "access-1", mustToken(t, b))
		assert.Equal(t, "refresh-0", f.requests[0].Get("refresh_token"))
		require.NoError(t, b.Set(t.Context(), nil))
		assert.Equal(t, "access-2", mustToken(t, b), "a nil token makes the next caller fetch")
		closeAll(t, a, b)
	})
}

// Set without a token is not a logout: what was requested before is not revoked, and the error says what is missing.
func TestSetOfNoTokenIsNoLogout(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, _ := s.process(tokens.CacheOptions{})
		b, _ := s.process(tokens.CacheOptions{})
		s.set(5*time.Second, false)
		got := make(chan string, 1)
		go func() { got <- tokenOf(t, a) }()
		pass(time.Second)
		require.NoError(t, b.Set(t.Context(), nil))
		assert.Equal(t, "access-2", <-got)
		assert.Empty(t, s.revoked())

		c, _ := s.process(user(nil))
		require.NoError(t, c.Set(t.Context(), nil))
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		require.ErrorContains(t, err, "has no refresh token")
		s.end(a, b, c)
	})
}

// A failure that cannot be written to the Store is returned after three tries. An application then goes on without the
// Store; for a login, the failure is written when the Store is back.
func TestFailureThatIsNotInTheStore(t *testing.T) {
	for name, opts := range map[string]tokens.CacheOptions{"app": {}, "login": user(due())} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, calls := newFleet(), 0
				a, b := f.cache(t, opts), f.cache(t, opts)
				f.respond = func(url.Values) (int, string, http.Header) {
					f.down, calls = errors.New("down"), f.loads+f.swaps
					f.respond = nil
					return http.StatusTooManyRequests, "", http.Header{"Retry-After": {"60"}}
				}
				_, err := a.Token(t.Context())
				var e *tokens.Error
				require.ErrorAs(t, err, &e)
				assert.Equal(t, 429, e.StatusCode)
				assert.Equal(t, 5, f.calls()-calls, "a swap, and two tries to find out what the Store has, with two loads each")
				if name == "app" {
					pass(time.Minute)
					assert.Equal(t, "access-1", mustToken(t, a))
					f.fail(nil)
				} else {
					pass(6 * time.Second)
					f.fail(nil)
					for _, c := range []*tokens.Cache{a, b} {
						_, err = c.Token(t.Context())
						require.ErrorAs(t, err, &e)
						assert.Equal(t, 429, e.StatusCode)
					}
					assert.Equal(t, 1, f.sent())
				}
				closeAll(t, a, b)
			})
		})
	}
}

// While a failure is not in the Store, Set, Revoke and Close work as usual: there is no token that could be lost.
func TestChangesAfterAFailureThatIsNotInTheStore(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, f *fleetServer, c *tokens.Cache){
		"Set": func(t *testing.T, _ *fleetServer, c *tokens.Cache) {
			require.ErrorIs(t, c.Set(t.Context(), &tokens.Token{AccessToken: "given", Expiry: time.Now().Add(time.Hour)}), tokens.ErrStore)
			token, err := c.Token(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "given", token.AccessToken)
			assert.Equal(t, "refresh-0", token.RefreshToken)
		},
		"Revoke": func(t *testing.T, f *fleetServer, c *tokens.Cache) {
			require.ErrorIs(t, c.Revoke(t.Context()), tokens.ErrStore)
			assert.Equal(t, []string{"refresh-0"}, f.revoked())
		},
		"Close": func(*testing.T, *fleetServer, *tokens.Cache) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet()
				f.respond = func(url.Values) (int, string, http.Header) {
					f.down, f.respond = errors.New("down"), nil
					return http.StatusTooManyRequests, "", http.Header{"Retry-After": {"60"}}
				}
				c := f.cache(t, user(due()))
				_, err := c.Token(t.Context())
				require.ErrorIs(t, err, tokens.ErrNoToken)
				change(t, f, c)
				calls := f.calls()
				closeAll(t, c)
				assert.Equal(t, calls, f.calls(), "Close does not wait for the Store")
			})
		})
	}
}

// Set of a token without a refresh token keeps that of a refresh whose result is not in the Store.
func TestSetKeepsARefreshTokenThatIsNotInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.respond = func(url.Values) (int, string, http.Header) {
			f.down, f.respond = errors.New("down"), nil
			return 200, `{"access_token":"access-1","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-1"}`, nil
		}
		a, b := f.cache(t, user(due())), f.cache(t, user(nil))
		require.Equal(t, "access-1", mustToken(t, a))
		require.ErrorIs(t, a.Set(t.Context(), &tokens.Token{AccessToken: "given", Expiry: time.Now().Add(time.Hour)}), tokens.ErrStore)
		token, err := a.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "given", token.AccessToken)
		assert.Equal(t, "refresh-1", token.RefreshToken)
		f.fail(nil)
		pass(5 * time.Second)
		token, err = b.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "refresh-1", token.RefreshToken)
		closeAll(t, a, b)
	})
}

// If the Store is back when Set is called, it has the new refresh token, so that nobody presents the consumed one.
func TestSetStoresARefreshTokenThatWasNotInTheStore(t *testing.T) {
	for _, without := range []bool{false, true} {
		testScene(t, func(t *testing.T, s *scene) {
			opts := user(&tokens.Token{AccessToken: "access-0", RefreshToken: "refresh-0", Expiry: time.Now().Add(time.Minute)})
			opts.RefreshWithoutStore = without
			a, la := s.process(opts)
			b, _ := s.process(user(nil))
			mustToken(t, a)
			if pass(time.Minute); without {
				la.cut(true)
			} else {
				la.swapping = func(n int) { la.cut(n == 2) } // that of the attempt
			}
			require.Equal(t, "access-1", mustToken(t, a))
			pass(10 * time.Second)
			la.forget()
			la.cut(false)
			require.NoError(t, a.Set(t.Context(), &tokens.Token{AccessToken: "given", Expiry: time.Now().Add(time.Minute)}))
			token, err := b.Token(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "given", token.AccessToken)
			assert.Equal(t, "refresh-1", token.RefreshToken)
			pass(time.Minute)
			assert.Equal(t, "access-2", mustToken(t, b))
			assert.Equal(t, 1, s.presented("refresh-0"), "RefreshWithoutStore: %t", without)
			assert.Equal(t, 1, s.presented("refresh-1"))
			s.end(a, b)
		})
	}
}

// Records that this release must not touch.
func TestForeignRecordsAreLeftAlone(t *testing.T) {
	for name, c := range map[string]struct{ value, want string }{
		"newer format": {`{"format":2,"anything":[]}`, "format 2"},
		"not JSON":     {"canary-secret", "not one of this package"},
		"other JSON":   {`{"canary":"canary-secret"}`, "not one of this package"},
		"other types":  {`{"format":1,"token":"canary-secret"}`, "not one of this package"},
		"an attempt":   {`{"format":1,"attempt":"canary-secret"}`, "not one of this package"},
		"empty":        {``, "not one of this package"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet()
				a := f.cache(t, user(login()))
				mustToken(t, a) // teaches the spy the key
				spy := &keySpy{f: f}
				opts := user(login())
				opts.Store = spy
				b, err := tokens.NewCache(f.endpoint(t), &opts)
				require.NoError(t, err)
				mustToken(t, b)
				r, err := f.Store.Load(t.Context(), spy.key)
				require.NoError(t, err)
				require.NoError(t, f.Store.CompareAndSwap(t.Context(), spy.key, r.Version, tokens.Record{Version: "abc", Value: []byte(c.value)}, 0))

				late := f.cache(t, user(login()))
				_, err = late.Token(t.Context())
				require.ErrorIs(t, err, tokens.ErrStore)
				require.ErrorContains(t, err, c.want)
				require.NotContains(t, err.Error(), "canary")
				require.ErrorContains(t, late.Set(t.Context(), login()), c.want)
				require.ErrorContains(t, late.Revoke(t.Context()), c.want)
				now, err := f.Store.Load(t.Context(), spy.key)
				require.NoError(t, err)
				assert.Equal(t, c.value, string(now.Value))
				closeAll(t, a, b, late)
			})
		})
	}
}

// A keySpy records the keys that a Cache uses.
type keySpy struct {
	f   *fleetServer
	key string
}

func (s *keySpy) Load(ctx context.Context, key string) (tokens.Record, error) {
	s.key = key
	return s.f.Load(ctx, key)
}

func (s *keySpy) CompareAndSwap(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
	return s.f.CompareAndSwap(ctx, key, old, next, ttl)
}

func TestUnknownMembersSurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		spy := &keySpy{f: f}
		opts := user(login())
		opts.Store = spy
		a, err := tokens.NewCache(f.endpoint(t), &opts)
		require.NoError(t, err)
		mustToken(t, a)
		r, err := f.Store.Load(t.Context(), spy.key)
		require.NoError(t, err)
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(r.Value, &members))
		members["later"] = json.RawMessage(`{"a":[1,2.50]}`)
		value, err := json.Marshal(members)
		require.NoError(t, err)
		require.NoError(t, f.Store.CompareAndSwap(t.Context(), spy.key, r.Version, tokens.Record{Version: "abc", Value: value}, 0))
		pass(58 * time.Minute)
		mustToken(t, a)
		pass(time.Minute)
		require.Equal(t, 1, f.sent())
		r, err = f.Store.Load(t.Context(), spy.key)
		require.NoError(t, err)
		members = nil
		require.NoError(t, json.Unmarshal(r.Value, &members))
		assert.JSONEq(t, `{"a":[1,2.50]}`, string(members["later"]))
		require.NoError(t, a.Set(t.Context(), login()))
		r, err = f.Store.Load(t.Context(), spy.key)
		require.NoError(t, err)
		assert.Contains(t, string(r.Value), `"later"`, "Set preserves them too")
		closeAll(t, a)
	})
}

func TestRecordsAreSharedByWhatARequestSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keyOf := func(opts tokens.CacheOptions, url string, creds tokens.Credentials, endpoint tokens.EndpointOptions) string {
			f := newFleet()
			spy := &keySpy{f: f}
			endpoint.HTTPClient = &http.Client{Transport: f}
			e, err := tokens.NewEndpoint(url, creds, &endpoint)
			require.NoError(t, err)
			opts.Store = spy
			c, err := tokens.NewCache(e, &opts)
			require.NoError(t, err)
			_, _ = c.Token(t.Context())
			require.NoError(t, c.Close(t.Context()))
			require.Regexp(t, `^[0-9a-f]{64}$`, spy.key)
			return spy.key
		}
		const at = "https://auth.example.com/token"
		creds := tokens.Credentials{ClientID: "id", ClientSecret: "a"}
		none := tokens.EndpointOptions{}
		type options = tokens.CacheOptions
		type grant = tokens.Grant

		app := keyOf(options{}, at, creds, none)
		same := map[string]string{
			"another secret": keyOf(options{}, at, tokens.Credentials{ClientID: "id", ClientSecret: "b"}, none),
			"another style":  keyOf(options{}, at, creds, tokens.EndpointOptions{AuthStyle: tokens.AuthStyleBody}),
		}
		for what, key := range same {
			assert.Equal(t, app, key, what)
		}
		assert.Equal(t, keyOf(options{Grant: grant{Scopes: []string{"a", "b"}}}, at, creds, none),
			keyOf(options{Grant: grant{Scopes: []string{"b", "a"}}}, at, creds, none), "the order of scopes")
		login := keyOf(options{Session: "user"}, at, creds, none)
		for what, key := range map[string]string{
			"scopes": keyOf(options{Session: "user", Grant: grant{Scopes: []string{"a"}}}, at, creds, none),
			"params": keyOf(options{Session: "user", Grant: grant{Params: url.Values{"audience": {"a"}}}}, at, creds, none),
			"header": keyOf(options{Session: "user"}, at, creds, tokens.EndpointOptions{Header: http.Header{"X-Release": {"2"}}}),
		} {
			assert.Equal(t, login, key, "a release that changes %s must find the existing logins", what)
		}
		seen := map[string]string{app: "app", login: "login"}
		for what, key := range map[string]string{
			"client":        keyOf(options{}, at, tokens.Credentials{ClientID: "other", ClientSecret: "a"}, none),
			"url":           keyOf(options{}, at+"2", creds, none),
			"scopes":        keyOf(options{Grant: grant{Scopes: []string{"a"}}}, at, creds, none),
			"scopes ab":     keyOf(options{Grant: grant{Scopes: []string{"a", "b"}}}, at, creds, none),
			"params":        keyOf(options{Grant: grant{Params: url.Values{"audience": {"a"}}}}, at, creds, none),
			"params ab":     keyOf(options{Grant: grant{Params: url.Values{"audience": {"a", "b"}}}}, at, creds, none),
			"params a=b":    keyOf(options{Grant: grant{Params: url.Values{"audience": {"b"}}}}, at, creds, none),
			"grant type":    keyOf(options{Grant: grant{Type: "urn:ietf:params:oauth:grant-type:token-exchange"}}, at, creds, none),
			"header":        keyOf(options{}, at, creds, tokens.EndpointOptions{Header: http.Header{"X-Tenant": {"1"}}}),
			"other header":  keyOf(options{}, at, creds, tokens.EndpointOptions{Header: http.Header{"X-Tenant": {"2"}}}),
			"another user":  keyOf(options{Session: "user2"}, at, creds, none),
			"a user's url":  keyOf(options{Session: "user"}, at+"2", creds, none),
			"a user's app":  keyOf(options{Session: "user"}, at, tokens.Credentials{ClientID: "other", ClientSecret: "a"}, none),
			"a user's name": keyOf(options{Session: "user "}, at, creds, none),
		} {
			assert.NotContains(t, seen, key, what)
			seen[key] = what
		}
	})
}

func TestTimeToLiveOfRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a := f.cache(t, tokens.CacheOptions{})
		mustToken(t, a)
		for _, ttl := range f.ttls {
			assert.GreaterOrEqual(t, ttl, 24*time.Hour)
			assert.LessOrEqual(t, ttl, 25*time.Hour)
		}
		f.ttls = nil
		require.NoError(t, a.Revoke(t.Context()))
		assert.Equal(t, []time.Duration{0}, f.ttls, "a logout does not expire")
		f.ttls = nil
		require.NoError(t, a.Set(t.Context(), &tokens.Token{AccessToken: "given", Expiry: time.Now().Add(time.Hour)}))
		assert.Equal(t, []time.Duration{25 * time.Hour}, f.ttls)
		f.ttls = nil
		b := f.cache(t, user(login()))
		mustToken(t, b)
		pass(time.Hour)
		mustToken(t, b)
		assert.Equal(t, []time.Duration{0, 0, 0}, f.ttls, "a login does not expire")
		closeAll(t, a, b)
	})
}

// A Store that panics or hangs must neither end the process nor block callers for ever.
func TestStoreThatPanicsOrHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		for name, load := range map[string]func(context.Context) error{
			"panic": func(context.Context) error { panic("canary-secret") },
			"hangs": func(context.Context) error { <-hang; return errors.New("too late") },
			"waits": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		} {
			c, err := tokens.NewCache(newFleet().endpoint(t), &tokens.CacheOptions{Session: "s", Store: storeFunc(load)})
			require.NoError(t, err)
			begin := time.Now()
			_, err = c.Token(t.Context())
			require.ErrorIs(t, err, tokens.ErrNoToken, name)
			if name == "panic" {
				require.ErrorContains(t, err, "panic in the Store: string")
			}
			assert.NotContains(t, err.Error(), "canary")
			assert.LessOrEqual(t, time.Since(begin), 61*time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err = c.Token(ctx)
			require.Error(t, err)
			cancel()
		}
		close(hang)
		pass(time.Minute)
	})
}

type storeFunc func(context.Context) error

func (f storeFunc) Load(ctx context.Context, _ string) (tokens.Record, error) {
	return tokens.Record{}, f(ctx)
}

func (f storeFunc) CompareAndSwap(ctx context.Context, _, _ string, _ tokens.Record, _ time.Duration) error {
	return f(ctx)
}

func TestCallersLeaveALookByTheirOwnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		opts := user(&tokens.Token{RefreshToken: "refresh-0"})
		opts.SeedDelay = 90 * time.Second
		a := f.cache(t, opts)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := a.Token(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = a.Token(ctx)
		require.ErrorIs(t, err, context.Canceled)
		pass(time.Second)
		calls := f.calls()
		pass(time.Minute)
		assert.Equal(t, calls, f.calls(), "a look ends if nobody waits for it")
		closeAll(t, a)
	})
}

// OnToken is called again 0.1 s after it failed, then 0.2 s later, and not after it has saved the token.
func TestOnTokenIsCalledAgainWithAStore(t *testing.T) {
	for _, hold := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet()
			var calls []time.Time
			opts := tokens.CacheOptions{HoldUnsaved: hold, OnToken: func(context.Context, *tokens.Token) error {
				if calls = append(calls, time.Now()); len(calls) < 3 {
					return errors.New("disk full")
				}
				return nil
			}}
			a := f.cache(t, opts)
			for range 200 {
				_, err := a.Token(t.Context())
				synctest.Wait()
				if hold && len(calls) < 3 {
					require.ErrorContains(t, err, "disk full")
				} else if !hold {
					require.NoError(t, err)
				}
				pass(10 * time.Millisecond)
			}
			require.Len(t, calls, 3)
			for i, most := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond} {
				assert.InDelta(t, 0.75*most.Seconds(), calls[i+1].Sub(calls[i]).Seconds(), 0.25*most.Seconds()+0.011)
			}
			assert.Equal(t, "access-1", mustToken(t, a))
			assert.Equal(t, 1, f.sent())
			closeAll(t, a)
		})
	}
}

// A token that has expired on arrival is returned to the callers that waited for it, and to nobody else.
func TestTokenThatHasExpiredOnArrivalWithAStore(t *testing.T) {
	for name, opts := range map[string]tokens.CacheOptions{"app": {}, "login": user(due())} {
		t.Run(name, func(t *testing.T) {
			testScene(t, func(t *testing.T, s *scene) {
				a, _ := s.process(opts)
				b, _ := s.process(opts)
				s.respond = func(url.Values) (int, string, http.Header) {
					return 200, `{"access_token":"access-1","token_type":"Bearer","expires_in":1}`, nil
				}
				s.set(2*time.Second, false)
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() { assert.Equal(t, "access-1", tokenOf(t, a)) })
				}
				wg.Wait()
				for _, c := range []*tokens.Cache{a, b} {
					_, err := c.Token(t.Context())
					require.ErrorIs(t, err, tokens.ErrNoToken)
				}
				assert.Equal(t, 1, s.sent())
				s.mu.Lock()
				s.respond = nil
				s.mu.Unlock()
				assert.Equal(t, "access-1", ask(t, b, time.Minute))
				s.end(a, b)
			})
		})
	}
}

// A token counts as expired on arrival if a twentieth of its life is left. The next request then waits, with and without
// the Store.
func TestTokenInItsLastSecondsOnArrival(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(tokens.CacheOptions{})
		s.respond = func(url.Values) (int, string, http.Header) {
			return 200, `{"access_token":"access-1","token_type":"Bearer","expires_in":20}`, nil
		}
		s.set(19*time.Second-40*time.Millisecond, false) // the server takes 50 ms
		mustToken(t, a)
		mustToken(t, a)
		require.Equal(t, 1, s.sent(), "it lives for a second")
		for s.sent() < 8 {
			pass(time.Second)
			_, _ = a.Token(t.Context())
		}
		la.cut(true)
		pass(2 * time.Second)
		_, err := a.Token(t.Context())
		require.ErrorContains(t, err, "expired on arrival")
		assert.Equal(t, 8, s.sent())
		s.end(a)
	})
}

// Callers wait for a new token in the last ten seconds of the old one, and not before.
func TestLastSecondsOfATokenInTheStore(t *testing.T) {
	for before, want := range map[time.Duration]string{10*time.Second + 1: "access-1", 10 * time.Second: "access-2"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet()
			a := f.cache(t, tokens.CacheOptions{})
			token, err := a.Token(t.Context())
			require.NoError(t, err)
			pass(time.Until(token.Expiry) - before)
			assert.Equal(t, want, mustToken(t, a))
			closeAll(t, a)
		})
	}
}

// Callers wait for a new token in the last ten seconds of the old one, also if the last look failed before that and the
// next one is not due.
func TestLastSecondsOfATokenAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a := f.cache(t, tokens.CacheOptions{})
		token, err := a.Token(t.Context())
		require.NoError(t, err)
		f.fail(errors.New("down"))
		for range 8 { // the waits between looks grow to five seconds
			pass((time.Until(token.Expiry) - 12*time.Second) / 2)
			mustToken(t, a)
		}
		pass(time.Until(token.Expiry) - 12*time.Second)
		mustToken(t, a)
		pass(time.Second)
		f.fail(nil)
		mustToken(t, a)
		pass(time.Second)
		assert.Equal(t, "access-2", mustToken(t, a))
		closeAll(t, a)
	})
}

// A caller that has to wait again after Set counts once.
func TestWaitsAreCountedOnceWithAStore(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, _ := s.process(user(due()))
		s.set(5*time.Second, false)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { tokenOf(t, a) })
		}
		pass(time.Second)
		require.NoError(t, a.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-10"}))
		wg.Wait()
		assert.Equal(t, 1, s.presented("refresh-10"))
		assert.EqualValues(t, 10, a.Stats().Waits)
		s.end(a)
	})
}

// Without a token that lives long enough, TokenFor goes by the life of the last token that was fetched, if it had one.
func TestTokenForAfterATokenWithoutExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFleet(), 0
		f.respond = func(url.Values) (int, string, http.Header) {
			n++
			if n == 1 {
				return http.StatusOK, `{"access_token":"access-1","token_type":"Bearer","expires_in":60}`, nil
			}
			return http.StatusOK, fmt.Sprintf(`{"access_token":"access-%d","token_type":"Bearer"}`, n), nil
		}
		a := f.cache(t, user(due()))
		mustToken(t, a)
		a.Invalidate(&tokens.Token{AccessToken: "access-1"})
		require.Equal(t, "access-2", mustToken(t, a))
		require.NoError(t, a.Set(t.Context(), &tokens.Token{AccessToken: "access-set", Expiry: time.Now().Add(time.Minute)}))
		token, err := a.TokenFor(t.Context(), time.Hour)
		require.NoError(t, err)
		assert.Equal(t, "access-3", token.AccessToken)
		closeAll(t, a)
	})
}

// An application's Cache keeps a refresh token from its callers, the other processes and OnToken, and revokes it.
func TestStoreHasNoRefreshTokenOfAnApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.respond = func(url.Values) (int, string, http.Header) {
			return http.StatusOK, `{"access_token":"access-1","refresh_token":"refresh-app","expires_in":3600}`, nil
		}
		opts := tokens.CacheOptions{OnToken: func(_ context.Context, token *tokens.Token) error {
			assert.Empty(t, token.RefreshToken)
			return nil
		}}
		a, b := f.cache(t, opts), f.cache(t, opts)
		for _, c := range []*tokens.Cache{a, b} {
			token, err := c.Token(t.Context())
			require.NoError(t, err)
			assert.Empty(t, token.RefreshToken)
		}
		require.NoError(t, a.Revoke(t.Context()))
		assert.Contains(t, f.revoked(), "refresh-app")
		closeAll(t, a, b)
	})
}

// TokenFor fetches a token if the current one does not live long enough and a new one would, or might.
func TestTokenForFetchesALongerOne(t *testing.T) {
	for name, tt := range map[string]struct {
		lives   [2]int // of the first and the second token, in seconds
		wait    time.Duration
		reject  bool
		minLife time.Duration
	}{
		"the rest of its life is too short":  {[2]int{3600, 3600}, 30 * time.Minute, false, 50 * time.Minute},
		"the last token was short, and died": {[2]int{60, 7200}, 2 * time.Minute, false, time.Hour},
		"the last token was short, and fell": {[2]int{60, 7200}, 0, true, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet()
				f.respond = func(url.Values) (int, string, http.Header) {
					f.n++
					return 200, fmt.Sprintf(`{"access_token":"access-%d","token_type":"Bearer","expires_in":%d}`, f.n, tt.lives[f.n-1]), nil
				}
				a := f.cache(t, tokens.CacheOptions{})
				require.Equal(t, "access-1", mustToken(t, a))
				pass(tt.wait)
				if tt.reject {
					a.Invalidate(&tokens.Token{AccessToken: "access-1"})
				}
				token, err := a.TokenFor(t.Context(), tt.minLife)
				require.NoError(t, err)
				assert.Equal(t, "access-2", token.AccessToken)
				closeAll(t, a)
			})
		})
	}
}

// If there is no token that lives long enough because a request failed, TokenFor returns that failure, and Token the
// token.
func TestTokenForReturnsAFailure(t *testing.T) {
	for _, left := range []time.Duration{30 * time.Minute, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet()
			a := f.cache(t, tokens.CacheOptions{})
			token, err := a.Token(t.Context())
			require.NoError(t, err)
			pass(time.Until(token.Expiry) - left)
			f.respond = unavailable
			_, err = a.TokenFor(t.Context(), 50*time.Minute)
			var e *tokens.Error
			require.ErrorAs(t, err, &e, "with %v left", left)
			assert.Equal(t, http.StatusServiceUnavailable, e.StatusCode)
			assert.Equal(t, "access-1", mustToken(t, a))
			closeAll(t, a)
		})
	}
}

func TestTokenForWithAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a, b := f.cache(t, user(login())), f.cache(t, user(nil))
		mustToken(t, a)
		calls := f.calls()
		for range 100 {
			_, err := a.TokenFor(t.Context(), time.Minute)
			require.NoError(t, err)
		}
		synctest.Wait()
		assert.Equal(t, calls, f.calls(), "no look is due")
		pass(30 * time.Minute)
		token, err := a.TokenFor(t.Context(), 50*time.Minute)
		require.NoError(t, err)
		assert.Equal(t, "access-1", token.AccessToken)
		token, err = b.TokenFor(t.Context(), 50*time.Minute)
		require.NoError(t, err)
		assert.Equal(t, "access-1", token.AccessToken)
		for range 10 {
			_, err = b.TokenFor(t.Context(), 2*time.Hour)
			require.ErrorContains(t, err, "less than")
		}
		assert.LessOrEqual(t, f.sent(), 2, "a new token would be as short")
		closeAll(t, a, b)
	})
}

func TestServedTokensHaveTheOwnClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		a := f.cache(t, user(nil))
		require.NoError(t, a.Set(t.Context(), login()))
		b, err := tokens.NewCache(f.endpoint(t), &tokens.CacheOptions{Session: "user", Store: shiftedStore{f, 3 * time.Hour}})
		require.NoError(t, err)
		token, err := b.Token(t.Context())
		require.NoError(t, err)
		assert.InDelta(t, 3600, time.Until(token.Expiry).Seconds(), 1, "although the wall clock of the other process is three hours ahead")
		behind, err := tokens.NewCache(f.endpoint(t), &tokens.CacheOptions{Session: "user", Store: shiftedStore{f, -30 * time.Minute}})
		require.NoError(t, err)
		token, err = behind.Token(t.Context())
		require.NoError(t, err)
		assert.True(t, token.ValidFor(29*time.Minute))
		closeAll(t, a, b, behind)
	})
}

// A shiftedStore shows records as they look to a process with another wall clock.
type shiftedStore struct {
	*fleetServer

	by time.Duration
}

func (s shiftedStore) Load(ctx context.Context, key string) (tokens.Record, error) {
	r, err := s.fleetServer.Load(ctx, key)
	r.Value = shift(r.Value, s.by)
	return r, err
}

// Secrets are in the record, and nowhere else.
func TestStoreErrorsHoldNoSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.respond = func(url.Values) (int, string, http.Header) {
			return 500, `{"error":"server_error","refresh_token":"canary-response"}`, nil
		}
		initial := &tokens.Token{RefreshToken: "canary-refresh", AccessToken: "canary-access", Expiry: time.Now().Add(-time.Hour)}
		a, b := f.cache(t, user(initial)), f.cache(t, user(nil))
		for _, c := range []*tokens.Cache{a, b} {
			_, err := c.Token(t.Context())
			require.Error(t, err)
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "canary")
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", c, c, c), "canary")
		}
		f.fail(errors.New("down"))
		err := a.Set(t.Context(), initial)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "canary")
		closeAll(t, a, b)
	})
}

func BenchmarkWarmCacheWithAStore(b *testing.B) {
	f := newFleet()
	c := f.cache(b, user(login()))
	mustToken(b, c)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Token(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWarmCacheWithoutAStore(b *testing.B) {
	f := newFleet()
	opts := user(login())
	c, err := tokens.NewCache(f.endpoint(b), &opts)
	require.NoError(b, err)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Token(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// A new process finds the token in the Store.
func BenchmarkColdStartFromAStore(b *testing.B) {
	f := newFleet()
	mustToken(b, f.cache(b, user(login())))
	endpoint := f.endpoint(b)
	b.ReportAllocs()
	for b.Loop() {
		c, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Store: f, Session: "user"})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Token(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// pass waits for d, in the fake time of a bubble.
func pass(d time.Duration) { <-time.After(d) }

// A response need not have a refresh token; the old one then stays valid (RFC 6749, section 6), in every process.
func TestRefreshTokenThatIsNotReplacedStaysInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFleet(), 0
		f.respond = func(url.Values) (int, string, http.Header) {
			n++
			return http.StatusOK, fmt.Sprintf(`{"access_token":"access-%d","token_type":"Bearer","expires_in":60}`, n), nil
		}
		a := f.cache(t, user(&tokens.Token{RefreshToken: "refresh-0"}))
		token, err := a.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "refresh-0", token.RefreshToken)
		pass(time.Minute)
		b := f.cache(t, user(nil))
		assert.Equal(t, "access-2", mustToken(t, b))
		pass(time.Minute)
		assert.Equal(t, "access-3", mustToken(t, a))
		for _, form := range f.requests {
			assert.Equal(t, "refresh-0", form.Get("refresh_token"))
		}
		closeAll(t, a, b)
	})
}

// Set and Revoke end the wait of callers at once, although the request that they waited for is still in flight.
func TestSetAndRevokeEndTheWaitWithAStore(t *testing.T) {
	for name, change := range map[string]func(c *tokens.Cache, ctx context.Context) error{
		"Set":    func(c *tokens.Cache, ctx context.Context) error { return c.Set(ctx, login()) },
		"Revoke": (*tokens.Cache).Revoke,
	} {
		t.Run(name, func(t *testing.T) {
			testScene(t, func(t *testing.T, s *scene) {
				c, _ := s.process(user(due()))
				s.set(25*time.Second, false)
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() {
						token, err := c.Token(t.Context())
						if name == "Revoke" {
							assert.ErrorIs(t, err, tokens.ErrLoginRequired)
						} else if assert.NoError(t, err) {
							assert.Equal(t, "access-0", token.AccessToken)
						}
					})
				}
				pass(time.Second)
				s.set(0, false)
				begin := time.Now()
				require.NoError(t, change(c, t.Context()))
				wg.Wait()
				assert.Less(t, time.Since(begin), time.Second)
				s.end(c)
			})
		})
	}
}

// Callers who wait while Close is called learn that the Cache is closed, and not why the last request failed.
func TestCallersThatWaitAtCloseWithAStore(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		c, _ := s.process(user(due()))
		s.set(10*time.Second, true)
		got := make(chan error, 1)
		go func() {
			_, err := c.Token(t.Context())
			got <- err
		}()
		pass(time.Second)
		require.NoError(t, c.Close(t.Context()))
		require.ErrorIs(t, <-got, tokens.ErrClosed)
	})
}

// A token without expires_in is used by every process until it is rejected.
func TestTokenWithoutExpiryInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.respond = func(url.Values) (int, string, http.Header) {
			return http.StatusOK, `{"access_token":"access-1","token_type":"Bearer"}`, nil
		}
		a, b := f.cache(t, tokens.CacheOptions{}), f.cache(t, tokens.CacheOptions{})
		mustToken(t, a)
		pass(48 * time.Hour)
		token, err := b.Token(t.Context())
		require.NoError(t, err)
		assert.Zero(t, token.Expiry)
		assert.Equal(t, 1, f.sent())
		closeAll(t, a, b)
	})
}

// Each process knows how old a token without an expiry is: after 30 s, the API may reject it again.
func TestTokenWithoutExpiryIsRejectedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFleet(), 0
		f.respond = func(url.Values) (int, string, http.Header) {
			n++
			return http.StatusOK, fmt.Sprintf(`{"access_token":"access-%d","token_type":"Bearer"}`, n), nil
		}
		a := f.cache(t, tokens.CacheOptions{})
		mustToken(t, a)
		a.Invalidate(&tokens.Token{AccessToken: "access-1"})
		require.Equal(t, "access-2", mustToken(t, a))
		pass(20 * time.Second)
		young := f.cache(t, tokens.CacheOptions{})
		require.Equal(t, "access-2", mustToken(t, young))
		young.Invalidate(&tokens.Token{AccessToken: "access-2"})
		assert.Equal(t, "access-2", mustToken(t, young))
		pass(20 * time.Second)
		old := f.cache(t, tokens.CacheOptions{})
		require.Equal(t, "access-2", mustToken(t, old))
		old.Invalidate(&tokens.Token{AccessToken: "access-2"})
		assert.Equal(t, "access-3", mustToken(t, old))
		pass(40 * time.Second)
		old.Invalidate(&tokens.Token{AccessToken: "access-3"})
		assert.Equal(t, "access-4", mustToken(t, old), "it fetched that token itself")
		closeAll(t, a, young, old)
	})
}

// Some servers return the same token until it expires, even to a client whose token the API rejected. Every process
// then uses that token again.
func TestServerThatReturnsARejectedTokenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{} // its calls are limited
		f.respond = func(url.Values) (int, string, http.Header) {
			return http.StatusOK, `{"access_token":"access-1","token_type":"Bearer","expires_in":3600}`, nil
		}
		a, b := f.oddCache(t, s, tokens.CacheOptions{}), f.oddCache(t, s, tokens.CacheOptions{})
		require.Equal(t, mustToken(t, a), mustToken(t, b))
		for range 3 {
			for _, c := range []*tokens.Cache{a, b} {
				require.Equal(t, "access-1", mustToken(t, c))
				c.Invalidate(&tokens.Token{AccessToken: "access-1"})
				require.Equal(t, "access-1", mustToken(t, c))
			}
		}
		assert.Equal(t, 2, f.sent(), "the second request was sent because of the first 401")
		assert.Less(t, s.total(), 30)
		closeAll(t, a, b)
	})
}

// Some servers return the same access token with another refresh token. Every process shows the new one.
func TestServerThatReplacesTheRefreshTokenAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.respond = func(url.Values) (int, string, http.Header) {
			f.n++
			return 200, fmt.Sprintf(`{"access_token":"access-1","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-%d"}`, f.n), nil
		}
		a, b := f.cache(t, user(due())), f.cache(t, user(nil))
		require.Equal(t, mustToken(t, a), mustToken(t, b))
		a.Invalidate(&tokens.Token{AccessToken: "access-1"})
		mustToken(t, a)
		pass(time.Minute)
		mustToken(t, b) // this starts a look in the background
		pass(time.Second)
		for _, cache := range []*tokens.Cache{a, b} {
			token, err := cache.Token(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "refresh-2", token.RefreshToken)
		}
		closeAll(t, a, b)
	})
}

// Tokens that live for seconds are renewed in time, again and again.
func TestTokensThatLiveForSecondsInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.respond = func(url.Values) (int, string, http.Header) {
			f.n++
			return 200, fmt.Sprintf(`{"access_token":"access-%d","token_type":"Bearer","expires_in":5}`, f.n), nil
		}
		a, b := f.cache(t, tokens.CacheOptions{}), f.cache(t, tokens.CacheOptions{})
		for range 120 {
			mustToken(t, a)
			mustToken(t, b)
			pass(time.Second)
		}
		assert.LessOrEqual(t, f.sent(), 40)
		closeAll(t, a, b)
	})
}

// Callers who waited during a Set that failed get the token of the fetch that ended meanwhile, and never one that has
// expired.
func TestSetOfAnExpiredTokenDuringAFetch(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		s.set(5*time.Second, false)
		got := make(chan string, 1)
		go func() { got <- tokenOf(t, a) }()
		pass(time.Second)
		la.cut(true)
		require.ErrorIs(t, a.Set(t.Context(), &tokens.Token{AccessToken: "expired", Expiry: time.Now().Add(-time.Hour)}), tokens.ErrStore)
		la.cut(false)
		assert.Equal(t, "access-1", <-got)
		s.end(a)
	})
}

// Each new token is logged, by the process that fetched it.
func TestNewTokensAreLoggedWithAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		var logs [2]bytes.Buffer
		var caches []*tokens.Cache
		for i := range logs {
			opts := user(nil)
			opts.Logger = slog.New(slog.NewTextHandler(&logs[i], &slog.HandlerOptions{Level: slog.LevelDebug}))
			caches = append(caches, f.cache(t, opts))
		}
		require.NoError(t, caches[0].Set(t.Context(), due()))
		for _, c := range caches {
			mustToken(t, c)
		}
		synctest.Wait()
		assert.Contains(t, logs[0].String(), "got a token")
		assert.Empty(t, logs[1].String())
		closeAll(t, caches...)
	})
}

// Revoke also revokes a token that is not in the Store yet, whether callers have it already or not.
func TestRevokeOfATokenThatIsNotInTheStore(t *testing.T) {
	for _, wait := range []time.Duration{80 * time.Millisecond, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet()
			c := f.cache(t, user(&tokens.Token{RefreshToken: "refresh-0"}))
			f.respond = func(url.Values) (int, string, http.Header) {
				f.down = errors.New("down")
				return http.StatusOK, `{"access_token":"access-1","refresh_token":"refresh-1","expires_in":3600}`, nil
			}
			go func() { _, _ = c.Token(t.Context()) }()
			pass(wait)
			require.Equal(t, 1, f.sent())
			f.mu.Lock()
			f.respond, f.requests = nil, nil
			f.mu.Unlock()
			err := c.Revoke(t.Context())
			require.ErrorIs(t, err, tokens.ErrStore)
			require.ErrorContains(t, err, "the logout is not in the Store")
			assert.Contains(t, f.revoked(), "refresh-1", "after %v", wait)
			f.fail(nil)
			closeAll(t, c)
		})
	}
}

// While the Store and the token endpoint are both down, callers get errors, and the pauses between attempts grow.
func TestStoreAndEndpointAreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.down = errors.New("down")
		f.respond = func(url.Values) (int, string, http.Header) { return http.StatusServiceUnavailable, `{}`, nil }
		e := f.endpoint(t)
		var caches []*tokens.Cache
		for range 3 {
			caches = append(caches, newCache(t, e, f, tokens.CacheOptions{}))
		}
		for begin := time.Now(); time.Since(begin) < time.Minute; pass(50 * time.Millisecond) {
			for _, c := range caches {
				_, err := c.Token(t.Context())
				require.ErrorIs(t, err, tokens.ErrNoToken)
				require.Error(t, c.Stats().LastError)
			}
		}
		assert.LessOrEqual(t, f.sent(), 30, "requests")
		assert.LessOrEqual(t, f.calls(), 150, "calls of the Store")
		f.mu.Lock()
		f.respond, f.down = nil, nil
		f.mu.Unlock()
		pass(time.Minute)
		for _, c := range caches {
			assert.Equal(t, "access-1", mustToken(t, c))
			assert.NoError(t, c.Stats().LastError)
		}
		closeAll(t, caches...)
	})
}

// After Set, the error of an earlier fetch is over.
func TestSetEndsTheLastErrorWithAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		c := f.cache(t, user(nil))
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		require.ErrorIs(t, c.Stats().LastError, tokens.ErrLoginRequired)
		require.NoError(t, c.Set(t.Context(), login()))
		require.NoError(t, c.Stats().LastError)
		closeAll(t, c)

		c = newCache(t, f.endpoint(t), tokens.NewMemoryStore(), user(nil))
		_, err = c.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		require.NoError(t, c.Set(t.Context(), due()))
		assert.Equal(t, "access-1", mustToken(t, c), "although a look was not due yet")
		closeAll(t, c)
	})
}
