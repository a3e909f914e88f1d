package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newSessions(t testing.TB, f *fleetServer, opts tokens.CacheOptions) *tokens.Sessions {
	t.Helper()
	opts.Store = f
	s, err := tokens.NewSessions(f.endpoint(t), &opts)
	require.NoError(t, err)
	return s
}

func TestSessionsBadInput(t *testing.T) {
	f := newFleet()
	for want, opts := range map[string]*tokens.CacheOptions{
		"need a Store":         nil,
		"Session must be":      {Store: f, Session: "a"},
		"Initial must be":      {Store: f, Initial: login()},
		"SeedDelay is neg":     {Store: f, SeedDelay: -1},
		"Grant has a RefreshT": {Store: f, Grant: tokens.Grant{RefreshToken: "r"}},
	} {
		_, err := tokens.NewSessions(f.endpoint(t), opts)
		require.ErrorContains(t, err, want)
	}
	_, err := tokens.NewSessions(nil, &tokens.CacheOptions{Store: f})
	require.ErrorContains(t, err, "Endpoint is nil")

	s := newSessions(t, f, tokens.CacheOptions{})
	for id, want := range map[string]string{"": "empty", strings.Repeat("x", 1025): "1025 bytes"} {
		c := s.Session(id)
		_, err := c.Token(t.Context())
		require.ErrorContains(t, err, want)
		require.ErrorIs(t, err, tokens.ErrNoToken)
		require.ErrorContains(t, c.Set(t.Context(), login()), want)
		require.ErrorContains(t, c.Revoke(t.Context()), want)
		c.Invalidate(login())
		assert.Zero(t, c.Stats())
		_ = fmt.Sprint(c, c.BaseURL())
	}
	var zero tokens.Sessions
	_, err = zero.Session("a").Token(t.Context())
	require.ErrorContains(t, err, "NewSessions")
	require.Error(t, zero.Close(t.Context()))
	assert.Zero(t, zero.Stats())
	var none *tokens.Sessions
	require.Error(t, none.Close(t.Context()))
	assert.Zero(t, none.Stats())
	_, err = none.Session("a").Token(t.Context())
	require.ErrorContains(t, err, "NewSessions")
	assert.Equal(t, "tokens.Sessions(nil or zero) tokens.Sessions(nil or zero)", fmt.Sprint(&zero, none))
	assert.Equal(t, "tokens.Sessions(auth.example.com, 0)", fmt.Sprint(newSessions(t, f, tokens.CacheOptions{})))
}

func TestSessionsAreSeparateLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		s := newSessions(t, f, tokens.CacheOptions{})
		for i := range 50 {
			id := fmt.Sprintf("user-%d", i)
			require.NoError(t, s.Session(id).Set(t.Context(), &tokens.Token{AccessToken: id, RefreshToken: "refresh-" + id, Expiry: time.Now().Add(time.Hour)}))
		}
		other := newSessions(t, f, tokens.CacheOptions{})
		for i := range 50 {
			id := fmt.Sprintf("user-%d", i)
			assert.Equal(t, id, mustToken(t, other.Session(id)))
			first := s.Session(id)
			assert.Same(t, first, s.Session(id))
		}
		_, err := other.Session("nobody").Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		require.NoError(t, s.Close(t.Context()))
		require.NoError(t, other.Close(t.Context()))
		for _, id := range []string{"user-1", "never used"} {
			_, err = s.Session(id).Token(t.Context())
			require.ErrorIs(t, err, tokens.ErrClosed)
		}
	})
}

// To log out, a program calls Revoke and Close; when the user logs in again, the closed Cache must not be returned.
func TestSessionAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		s := newSessions(t, f, tokens.CacheOptions{})
		first := s.Session("user")
		require.NoError(t, first.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-0"}))
		assert.Equal(t, "access-1", mustToken(t, first))
		before := s.Stats()
		require.NoError(t, first.Revoke(t.Context()))
		require.NoError(t, first.Close(t.Context()))
		require.NoError(t, first.Close(t.Context()))
		assert.Equal(t, before.Fetches, s.Stats().Fetches, "a closed Cache is counted once")

		second := s.Session("user")
		assert.NotSame(t, first, second)
		assert.Same(t, second, s.Session("user"))
		require.NoError(t, second.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-next"}))
		assert.Equal(t, "access-2", mustToken(t, second))
		_, err := first.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrClosed)
		require.NoError(t, first.Close(t.Context()))
		assert.Same(t, second, s.Session("user"), "closing the old Cache again does not affect the new one")
		assert.Equal(t, before.Fetches+1, s.Stats().Fetches)
		require.NoError(t, s.Close(t.Context()))
	})
}

// If Close could not save a refresh token, the Cache stays in use: a new one would present the previous refresh token.
func TestSessionAfterACloseThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		s := newSessions(t, f, tokens.CacheOptions{})
		c := s.Session("user")
		require.NoError(t, c.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-0"}))
		f.respond = func(url.Values) (int, string, http.Header) {
			f.down = errors.New("down") // after the refresh token has been consumed
			return 200, `{"access_token":"access-1","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-1"}`, nil
		}
		assert.Equal(t, "access-1", mustToken(t, c))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.ErrorIs(t, c.Close(ctx), tokens.ErrStore)
		assert.Same(t, c, s.Session("user"))
		f.fail(nil)
		f.respond = nil
		require.NoError(t, c.Close(t.Context()))
		next := s.Session("user")
		assert.NotSame(t, c, next)
		assert.Equal(t, "access-1", mustToken(t, next))
		require.NoError(t, s.Close(t.Context()))
	})
}

func TestSessionsAreCollectedAndCounted(t *testing.T) {
	t.Parallel()
	f := newFleet()
	s := newSessions(t, f, tokens.CacheOptions{})
	const n = 20_000
	for i := range n {
		_, err := s.Session(fmt.Sprintf("user-%d", i)).Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		return inMemory(t, s) <= 2*4096
	}, 10*time.Second, 10*time.Millisecond)
	assert.EqualValues(t, n, s.Stats().Waits, "collected Caches count too")
	require.NoError(t, s.Close(t.Context()))
}

// Sessions that the program can no longer reach leave memory with the Caches that they kept, and so do the Caches of
// Sessions that are closed.
func TestSessionsLeaveMemory(t *testing.T) {
	t.Parallel()
	use := func(s *tokens.Sessions) weak.Pointer[tokens.Cache] {
		_, err := s.Session("user").Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		return weak.Make(s.Session("user"))
	}
	dropped, ofDropped := func() (weak.Pointer[tokens.Sessions], weak.Pointer[tokens.Cache]) {
		s := newSessions(t, newFleet(), tokens.CacheOptions{})
		return weak.Make(s), use(s)
	}()
	closed := newSessions(t, newFleet(), tokens.CacheOptions{})
	ofClosed := use(closed)
	require.NoError(t, closed.Close(t.Context()))
	require.Eventually(t, func() bool {
		runtime.GC()
		return dropped.Value() == nil && ofDropped.Value() == nil && ofClosed.Value() == nil
	}, 10*time.Second, 10*time.Millisecond)
	runtime.KeepAlive(closed)
}

func inMemory(t testing.TB, s *tokens.Sessions) int {
	t.Helper()
	text := fmt.Sprint(s)
	var n int
	_, err := fmt.Sscanf(text[strings.Index(text, ",")+1:], "%d", &n)
	require.NoError(t, err, text)
	return n
}

// A login that was used lately survives garbage collection, so that it is not loaded again.
func TestSessionsKeepWhatIsUsed(t *testing.T) {
	t.Parallel()
	s := newSessions(t, newFleet(), tokens.CacheOptions{})
	var used []weak.Pointer[tokens.Cache]
	for i := range 100 {
		used = append(used, weak.Make(s.Session(fmt.Sprint(i))))
	}
	for range 3 {
		runtime.GC()
	}
	for i, c := range used {
		require.NotNil(t, c.Value(), "login %d", i)
	}
	require.NoError(t, s.Close(t.Context()))
}

// A login in steady use survives however many others there are.
func TestSessionsKeepWhatIsUsedAmongMany(t *testing.T) {
	t.Parallel()
	s := newSessions(t, newFleet(), tokens.CacheOptions{})
	steady := weak.Make(s.Session("steady"))
	for i := range 20_000 {
		s.Session(fmt.Sprint(i))
		if i%2000 == 0 {
			require.Equal(t, steady, weak.Make(s.Session("steady")))
		}
	}
	for range 3 {
		runtime.GC()
	}
	require.NotNil(t, steady.Value())
	require.NoError(t, s.Close(t.Context()))
}

// The caller may change its Grant after NewSessions.
func TestSessionsKeepTheirOwnGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, scopes := newFleet(), []string{"read"}
		s := newSessions(t, f, tokens.CacheOptions{Grant: tokens.Grant{Scopes: scopes}})
		scopes[0] = "write"
		f.respond = func(form url.Values) (int, string, http.Header) {
			return 200, `{"access_token":"access-` + form.Get("scope") + `","token_type":"Bearer","expires_in":3600}`, nil
		}
		c := s.Session("user")
		require.NoError(t, c.Set(t.Context(), &tokens.Token{RefreshToken: "refresh"}))
		assert.Equal(t, "access-read", mustToken(t, c))
		require.NoError(t, s.Close(t.Context()))
	})
}

// Close of Sessions waits for all logins, and returns the errors of those whose token it could not save.
func TestSessionsCloseSaysWhatIsNotSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSessions(t, newFleet(), tokens.CacheOptions{OnToken: func(_ context.Context, token *tokens.Token) error {
			pass(time.Second)
			return fmt.Errorf("no room for number %s", strings.TrimPrefix(token.AccessToken, "access-"))
		}})
		for _, id := range []string{"a", "b"} {
			c := s.Session(id)
			require.NoError(t, c.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-" + id}))
			mustToken(t, c)
		}
		err := s.Close(t.Context())
		require.ErrorContains(t, err, "no room for number 1")
		require.ErrorContains(t, err, "no room for number 2")
	})
}

// A Cache with a token that is not in the Store must survive garbage collection, though nothing runs for it.
func TestSessionsKeepWhatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		failing := true
		var mu sync.Mutex
		var stored []string
		s := newSessions(t, f, tokens.CacheOptions{OnToken: func(_ context.Context, token *tokens.Token) error {
			mu.Lock()
			defer mu.Unlock()
			if failing {
				return errors.New("disk full")
			}
			stored = append(stored, token.AccessToken)
			return nil
		}})
		require.NoError(t, s.Session("kept").Set(t.Context(), &tokens.Token{RefreshToken: "refresh-0"}))
		mustToken(t, s.Session("kept"))
		pass(10 * time.Minute)
		for i := range 3 * 4096 {
			s.Session(fmt.Sprintf("user-%d", i))
		}
		for range 5 {
			runtime.GC()
		}
		mu.Lock()
		failing = false
		mu.Unlock()
		require.NoError(t, s.Close(t.Context()))
		assert.Equal(t, []string{"access-1"}, stored)
	})
}

func TestSessionsCloseInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		s := newSessions(t, f, tokens.CacheOptions{})
		f.respond = func(url.Values) (int, string, http.Header) {
			return 200, `{"access_token":"a","refresh_token":"r","expires_in":3600}`, nil
		}
		var wg sync.WaitGroup
		begin := time.Now()
		for i := range 64 {
			c := s.Session(fmt.Sprint(i))
			require.NoError(t, c.Set(t.Context(), &tokens.Token{RefreshToken: "refresh"}))
			wg.Go(func() { _, _ = c.Token(t.Context()) })
		}
		synctest.Wait()
		require.NoError(t, s.Close(t.Context()))
		assert.Less(t, time.Since(begin), 200*time.Millisecond)
		wg.Wait()
		assert.EqualValues(t, 64, s.Stats().Fetches)
	})
}

// The counts of Sessions are the sums of those of the logins, before and after a login's Cache is closed.
func TestSessionsAddUpCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		s := newSessions(t, f, tokens.CacheOptions{})
		var want tokens.Stats
		for _, id := range []string{"a", "b", "c"} {
			c := s.Session(id)
			require.NoError(t, c.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-0"}))
			token, err := c.Token(t.Context())
			require.NoError(t, err)
			c.Invalidate(token)
			f.respond = func(url.Values) (int, string, http.Header) { return 400, `{"error":"invalid_request"}`, nil }
			_, err = c.Token(t.Context())
			require.Error(t, err)
			f.respond = nil
			stats := c.Stats()
			assert.Positive(t, stats.Failures)
			assert.Positive(t, stats.Invalidations)
			want.Fetches += stats.Fetches
			want.Failures += stats.Failures
			want.Invalidations += stats.Invalidations
			want.Waits += stats.Waits
			want.LastError = stats.LastError
			counts := s.Stats()
			require.Error(t, counts.LastError)
			counts.LastError = want.LastError // of any login
			assert.Equal(t, want, counts)
		}
		require.NoError(t, s.Session("b").Close(t.Context()))
		counts := s.Stats()
		counts.LastError = want.LastError
		assert.Equal(t, want, counts)
		require.NoError(t, s.Close(t.Context()))
	})
}

// A Cache that was collected counts too, as soon as it is gone and when the next one of its login takes its place.
func TestSessionsCountACollectedCacheAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSessions(t, newFleet(), tokens.CacheOptions{})
		_, err := s.Session("user").Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		require.EqualValues(t, 1, s.Stats().Waits)
		tokens.Collect(s, "user")
		assert.EqualValues(t, 1, s.Stats().Waits)
		_, err = s.Session("user").Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		assert.EqualValues(t, 2, s.Stats().Waits)
		require.NoError(t, s.Close(t.Context()))
	})
}

func TestSessionsConcurrently(t *testing.T) {
	t.Parallel()
	f := newFleet()
	s := newSessions(t, f, tokens.CacheOptions{})
	require.NoError(t, s.Session("3").Set(t.Context(), login()))
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 300 {
				id := fmt.Sprint((i + worker) % 7)
				_, err := s.Session(id).Token(t.Context())
				if id == "3" {
					assert.NoError(t, err)
				}
				if i%50 == 0 {
					runtime.GC()
					s.Stats()
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, s.Close(t.Context()))
}

// BenchmarkSessions uses 100,000 logins once each, and reports the memory that is left in use.
func BenchmarkSessions(b *testing.B) {
	const n = 100_000
	f := newFleet()
	s := newSessions(b, f, tokens.CacheOptions{})
	for i := range n {
		require.NoError(b, s.Session(fmt.Sprint(i)).Set(b.Context(), &tokens.Token{AccessToken: fmt.Sprint(i), RefreshToken: "r", Expiry: time.Now().Add(time.Hour)}))
	}
	for b.Loop() {
		fresh := newSessions(b, f, tokens.CacheOptions{})
		before := heap()
		for i := range n {
			mustToken(b, fresh.Session(fmt.Sprint(i)))
		}
		after := heap()
		b.ReportMetric(float64(after-min(before, after))/(1<<20), "MiB-left")
		b.ReportMetric(float64(inMemory(b, fresh)), "logins-left")
		b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
		runtime.KeepAlive(fresh)
	}
}

func heap() uint64 {
	for range 3 {
		runtime.GC()
		pass(20 * time.Millisecond) // cleanups run
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
