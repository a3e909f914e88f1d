package tokens_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each test shows what goes wrong without one of the rules by which processes agree. The simulation finds most of these
// by chance; these tests always do. The server ends a login if a refresh token is presented twice.

// A scene has a server, a Store and processes.
type scene struct {
	*fleetServer

	t     *testing.T
	store tokens.Store  // access it with stored and replaceStore
	delay time.Duration // how long a request takes to the server
	lose  bool          // responses are lost
}

func newScene(t *testing.T) *scene {
	t.Helper()
	return &scene{fleetServer: newFleet(), t: t, store: tokens.NewMemoryStore()}
}

func (s *scene) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	delay, lose := s.delay, s.lose
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	resp, err := s.fleetServer.RoundTrip(req)
	if lose {
		return nil, errors.New("the connection broke")
	}
	return resp, err
}

func (s *scene) set(delay time.Duration, lose bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay, s.lose = delay, lose
}

func (s *scene) stored() tokens.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store
}

// replaceStore replaces the Store, and returns the previous one.
func (s *scene) replaceStore(store tokens.Store) tokens.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.store
	s.store = store
	return before
}

// presented returns how often a refresh token was presented.
func (s *scene) presented(refreshToken string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, form := range s.requests {
		if form.Get("refresh_token") == refreshToken {
			n++
		}
	}
	return n
}

// A link connects one process to the Store.
type link struct {
	scene *scene
	by    time.Duration // how far the clocks of other writers seem to be ahead

	mu       sync.Mutex
	down     bool
	key      string
	swaps    int
	swapped  func(n int) error // called after the nth swap; its result is the error of the swap
	swapping func(n int)       // called before it
	loaded   func()            // called after each Load
}

func (l *link) cut(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

// forget removes the hooks.
func (l *link) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.swapping, l.swapped = nil, nil
}

// lastKey returns the key that was last used.
func (l *link) lastKey() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.key
}

func (l *link) check(key string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.key = key
	if l.down {
		return errors.New("no route to the Store")
	}
	return nil
}

func (l *link) Load(ctx context.Context, key string) (tokens.Record, error) {
	if err := l.check(key); err != nil {
		return tokens.Record{}, err
	}
	pass(time.Millisecond)
	r, err := l.scene.stored().Load(ctx, key)
	if l.loaded != nil {
		l.loaded()
	}
	r.Value = shift(r.Value, l.by)
	return r, err
}

func (l *link) CompareAndSwap(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
	if err := l.check(key); err != nil {
		return err
	}
	l.mu.Lock()
	l.swaps++
	n, before, after := l.swaps, l.swapping, l.swapped
	l.mu.Unlock()
	pass(time.Millisecond)
	if before != nil {
		before(n)
	}
	next.Value = shift(next.Value, -l.by)
	err := l.scene.stored().CompareAndSwap(context.WithoutCancel(ctx), key, old, next, ttl)
	if after != nil && err == nil {
		err = after(n)
	}
	return err
}

// record returns the record in the Store. put writes it back, like a Store that loses data.
func (l *link) record() tokens.Record {
	r, err := l.scene.stored().Load(context.Background(), l.lastKey())
	require.NoError(l.scene.t, err)
	return r
}

func (l *link) put(r tokens.Record) {
	if r.Version == "" {
		l.scene.replaceStore(tokens.NewMemoryStore())
		return
	}
	require.NoError(l.scene.t, l.scene.stored().CompareAndSwap(context.Background(), l.lastKey(), l.record().Version, r, 0))
}

// recordBefore keeps the record that is in the Store before the nth swap.
func (l *link) recordBefore(n int) *tokens.Record {
	before := new(tokens.Record)
	l.swapping = func(i int) {
		if i == n {
			*before = l.record()
		}
	}
	return before
}

// process starts a process.
func (s *scene) process(opts tokens.CacheOptions) (*tokens.Cache, *link) {
	s.t.Helper()
	l := &link{scene: s}
	return newCache(s.t, s.endpoint(), l, opts), l
}

func (s *scene) endpoint() *tokens.Endpoint {
	s.t.Helper()
	return endpointOver(s.t, s, nil)
}

// ask requests a token every second, like a service with returning users, until there is one.
func ask(t *testing.T, c *tokens.Cache, patience time.Duration) string {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; pass(time.Second) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		token, err := c.Token(ctx)
		cancel()
		if err == nil {
			return token.AccessToken
		}
		require.NotErrorIs(t, err, tokens.ErrLoginRequired)
	}
	return ""
}

func (s *scene) end(caches ...*tokens.Cache) {
	s.t.Helper()
	for _, c := range caches {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		_ = c.Close(ctx)
		cancel()
	}
	pass(5 * time.Minute)
}

// due returns a login whose access token has to be fetched first.
func due() *tokens.Token { return &tokens.Token{RefreshToken: "refresh-0"} }

func testScene(t *testing.T, test func(t *testing.T, s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newScene(t)) })
}

// An attempt that presents a refresh token is held for 90 s, three times the timeout of its request.
func TestRulePresentingAttemptsAreHeldForLong(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, _ := s.process(user(due()))
		b, _ := s.process(user(nil))
		s.set(25*time.Second, false)
		go func() { _ = tokenOf(t, a) }()
		pass(time.Second)
		assert.Equal(t, "access-1", mustToken(t, b))
		assert.Equal(t, 1, s.presented("refresh-0"))
		s.end(a, b)
	})
}

// Nobody waits for ever for the attempt of a dead process, not even processes that live only for a moment.
func TestRuleMarksLetShortProcessesGetAToken(t *testing.T) {
	for name, opts := range map[string]tokens.CacheOptions{"app": {}, "login": user(due())} {
		t.Run(name, func(t *testing.T) {
			testScene(t, func(t *testing.T, s *scene) {
				dead, l := s.process(opts)
				gone := make(chan struct{})
				l.swapped = func(n int) error {
					if n == map[string]int{"app": 1, "login": 2}[name] {
						<-gone // the process dies before its request
					}
					return nil
				}
				go func() { _, _ = dead.Token(context.Background()) }()
				begin := time.Now()
				got := false
				for !got && time.Since(begin) < 10*time.Minute {
					c, _ := s.process(opts)
					ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
					_, err := c.Token(ctx)
					cancel()
					got = err == nil
				}
				assert.True(t, got)
				assert.Less(t, time.Since(begin), 3*time.Minute)
				close(gone)
				s.end(dead)
			})
		})
	}
}

// After an outage, a process waits 5 s before it presents a refresh token: another may be about to write the result of
// its request.
func TestRuleTheStoreMustBeWellForAWhile(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		b, lb := s.process(user(nil))
		s.set(time.Second, false)
		go func() { _, _ = a.Token(context.Background()) }()
		pass(100 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err := b.Token(ctx) // this process has seen the attempt
		cancel()
		require.Error(t, err)
		la.cut(true)
		lb.cut(true)
		for range 100 { // b calls Token all the time
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			_, _ = b.Token(ctx)
			cancel()
			pass(time.Second)
		}
		lb.loaded = func() {
			lb.loaded = nil
			go func() { pass(3 * time.Second); la.cut(false) }()
		}
		lb.cut(false)
		assert.Equal(t, "access-1", ask(t, b, time.Minute))
		assert.Equal(t, 1, s.presented("refresh-0"))
		s.end(a, b)
	})
}

// A process that was suspended between the swap of its attempt and its request does not send it: others have waited for
// the whole hold.
func TestRuleRequestsAreSentSoonAfterTheSwap(t *testing.T) {
	for _, asleep := range []bool{false, true} {
		testScene(t, func(t *testing.T, s *scene) {
			a, la := s.process(user(due()))
			if asleep {
				tokens.WarpClock(a, func(d time.Duration) time.Duration { return d / 1000 })
			}
			b, _ := s.process(user(nil))
			la.swapped = func(n int) error {
				if n == 2 { // the first swap is that of Initial
					pass(100 * time.Second)
				}
				return nil
			}
			go func() { _, _ = a.Token(context.Background()) }()
			pass(time.Second)
			assert.Equal(t, "access-1", mustToken(t, b))
			assert.Equal(t, "access-1", ask(t, a, 3*time.Minute))
			assert.Equal(t, 1, s.presented("refresh-0"), "asleep: %t", asleep)
			assert.Zero(t, a.Stats().Fetches, "what was not sent is not counted")
			s.end(a, b)
		})
	}
}

// A process that had a token does not wait for the hold of a lost refresh, and a process that got it by Set has had one.
func TestRuleALostRefreshIsWaitedForOnlyAtFirst(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, _ := s.process(user(nil))
		b, _ := s.process(user(nil))
		c, _ := s.process(user(nil))
		require.NoError(t, a.Set(t.Context(), &tokens.Token{AccessToken: "access-0", RefreshToken: "refresh-0", Expiry: time.Now().Add(time.Minute)}))
		require.Equal(t, "access-0", mustToken(t, c), "it has had the token from the Store")
		pass(time.Minute)
		s.set(0, true)
		_, err := b.Token(t.Context())
		require.Error(t, err)
		for _, had := range []*tokens.Cache{a, c} {
			begin := time.Now()
			_, err = had.Token(t.Context())
			require.ErrorContains(t, err, "there was no response to the last refresh")
			assert.Less(t, time.Since(begin), time.Second)
		}
		s.set(0, false)
		s.end(a, b, c)
	})
}

// An attempt that was delayed and is swapped in again has its full hold again, although others have shortened it.
func TestRuleConfirmedAttemptsHaveTheirFullHold(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		b, _ := s.process(user(nil))
		la.swapped = func(n int) error {
			if n == 2 {
				pass(85 * time.Second)
			}
			return nil
		}
		s.set(20*time.Second, false)
		go func() { _, _ = a.Token(context.Background()) }()
		pass(time.Second)
		assert.Equal(t, "access-1", ask(t, b, 5*time.Minute))
		assert.Equal(t, 1, s.presented("refresh-0"))
		s.end(a, b)
	})
}

// After a process has published a refresh token, it looks a few times: if the Store loses the record in a failover, no
// other process has it.
func TestRuleLooksFollowAPublication(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		before := la.recordBefore(3) // the swap of the token
		mustToken(t, a)
		pass(time.Second)
		la.put(*before) // nobody uses a any more
		b, _ := s.process(user(nil))
		assert.Equal(t, "access-1", ask(t, b, 5*time.Minute))
		assert.Equal(t, 1, s.presented("refresh-0"))
		s.end(a, b)
	})
}

// A record that was put back into the Store is held: another process may know a newer one.
func TestRuleWhatIsPutBackIsHeld(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		first := due()
		first.AccessToken, first.Expiry = "access-0", time.Now().Add(20*time.Second)
		a, la := s.process(user(first))
		b, _ := s.process(user(nil))
		assert.Equal(t, "access-0", mustToken(t, a))
		pass(25 * time.Second)
		assert.Equal(t, "access-1", mustToken(t, b))
		pass(20 * time.Second)
		la.put(tokens.Record{})
		go func() {
			for range 10 {
				pass(10 * time.Second)
				_, _ = b.Token(context.Background())
			}
		}()
		assert.Equal(t, "access-1", ask(t, a, 5*time.Minute))
		assert.Equal(t, 1, s.presented("refresh-0"))
		s.end(a, b)
	})
}

// Attempts do not make a record newer: however many there are on an older record, the newer one is put back.
func TestRuleAttemptsAreNoProgress(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		before := la.recordBefore(2) // the swap of the attempt
		mustToken(t, a)
		pass(20 * time.Second)
		la.put(*before)
		s.mu.Lock()
		s.respond = func(url.Values) (int, string, http.Header) { return http.StatusServiceUnavailable, "", nil }
		s.mu.Unlock()
		b, _ := s.process(user(nil))
		for range 20 { // attempts without a result
			_, err := b.Token(t.Context())
			require.Error(t, err)
			pass(2 * time.Second)
		}
		s.mu.Lock()
		s.respond = nil
		s.requests = nil
		s.mu.Unlock()
		pass(time.Minute)
		mustToken(t, a) // this starts a look in the background
		pass(time.Second)
		assert.Equal(t, "access-1", mustToken(t, a))
		assert.Equal(t, "access-1", ask(t, b, 3*time.Minute))
		assert.Zero(t, s.presented("refresh-0"))
		s.end(a, b)
	})
}

// A version is never reused, not even in a Store that was set back: a swap that was delayed for long cannot replace a
// later record.
func TestRuleVersionsNeverComeBack(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(nil))
		require.NoError(t, a.Set(t.Context(), &tokens.Token{AccessToken: "first", RefreshToken: "refresh-a", Expiry: time.Now().Add(time.Hour)}))
		older := la.record()
		require.NoError(t, a.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-b"}))
		c, lc := s.process(user(nil))
		require.NoError(t, a.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-c"}))
		under := la.record()
		lc.swapping = func(n int) {
			if n == 1 { // the swap of its attempt over the current record
				lc.put(older)
				d, ld := s.process(user(nil))
				for range 4 {
					require.NoError(t, d.Set(t.Context(), &tokens.Token{AccessToken: "newest", RefreshToken: "refresh-d", Expiry: time.Now().Add(time.Hour)}))
					if len(under.Version) < 32 && ld.record().Version == under.Version {
						break
					}
				}
				closeAll(t, d)
			}
		}
		assert.Equal(t, "newest", ask(t, c, 5*time.Minute))
		assert.Zero(t, s.presented("refresh-c"))
		s.end(a, c)
	})
}

// The hold of a lost request is not measured by a wall clock, because that of another process may be wrong.
func TestRuleHoldsAreNotReadOffWallClocks(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, _ := s.process(user(due()))
		s.set(time.Second, true)
		_, err := a.Token(t.Context())
		require.Error(t, err)
		require.Equal(t, 1, s.presented("refresh-0"))
		s.set(0, false)
		b, lb := s.process(user(nil))
		lb.by = -24 * time.Hour // records of others seem to be a day old
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		_, err = b.Token(ctx)
		cancel()
		require.Error(t, err)
		assert.Equal(t, 1, s.presented("refresh-0"))
		assert.Equal(t, "access-2", ask(t, b, time.Minute))
		s.end(a, b)
	})
}

// A Set that failed is dropped: it must not replace a later login made elsewhere.
func TestRuleAFailedSetIsForgotten(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(nil))
		la.swapping = func(int) { pass(10 * time.Second) } // longer than Set waits
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		la.swapped = func(int) error { return errors.New("nobody knows") }
		before := s.replaceStore(tokens.NewMemoryStore()) // writes go to another Store
		err := a.Set(ctx, &tokens.Token{AccessToken: "failed", RefreshToken: "refresh-f", Expiry: time.Now().Add(time.Hour)})
		cancel()
		require.ErrorIs(t, err, tokens.ErrStore)
		pass(time.Minute)
		la.forget()
		s.replaceStore(before)
		b, lb := s.process(user(nil))
		lb.by = time.Hour // its clock is behind, so its login looks older
		require.NoError(t, b.Set(t.Context(), login()))
		_, _ = a.Token(t.Context())
		pass(2 * time.Minute)
		mustToken(t, a)
		pass(time.Second)
		assert.Equal(t, "access-0", mustToken(t, a))
		assert.Equal(t, "access-0", mustToken(t, b))
		s.end(a, b)
	})
}

// A Set with an unknown outcome succeeded if the Store has its epoch or a later one: another process may have continued
// from it.
func TestRuleASetInDoubtIsLookedUp(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(nil))
		b, _ := s.process(user(nil))
		la.swapped = func(n int) error {
			if n > 1 {
				return nil
			}
			assert.Equal(t, "access-1", mustToken(t, b))
			return errors.New("the connection broke")
		}
		require.NoError(t, a.Set(t.Context(), due()))
		assert.Equal(t, "access-1", mustToken(t, a))
		assert.Equal(t, 1, s.presented("refresh-0"))
		s.end(a, b)
	})
}

// If an attempt was taken over, its result is still written if the record has the refresh token that it presented.
func TestRuleASuccessorIsNotLostWithItsAttempt(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		b, _ := s.process(user(nil))
		s.set(time.Second, false)
		go func() { _, _ = a.Token(context.Background()) }()
		pass(500 * time.Millisecond)
		la.cut(true)
		pass(time.Second) // a has the new refresh token, but cannot write it
		go func() { pass(92 * time.Second); la.cut(false) }()
		s.mu.Lock()
		s.respond = func(url.Values) (int, string, http.Header) { return http.StatusServiceUnavailable, "", nil }
		s.mu.Unlock()
		assert.Equal(t, "access-1", ask(t, b, 3*time.Minute), "b has taken over, and failed, before a can write it")
		s.end(a, b)
	})
}

// If the Store loses a record while an attempt presents its refresh token, the record is put back, and nobody presents
// the refresh token meanwhile.
func TestRuleNobodyPresentsWhatIsPutBack(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		b, _ := s.process(user(nil))
		s.set(20*time.Second, false)
		go func() { _ = tokenOf(t, a) }()
		pass(time.Second)
		got := make(chan string, 1)
		go func() { got <- tokenOf(t, b) }()
		pass(time.Second)
		la.put(tokens.Record{})
		assert.Equal(t, "access-1", <-got)
		assert.Equal(t, 1, s.presented("refresh-0"))
		s.end(a, b)
	})
}

// If an attempt that presented a refresh token was given up, the server may have consumed it: the access token is used
// until it expires before the refresh token is presented again.
func TestRuleTheAccessTokenServesBeforeAnotherPresents(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(login()))
		b, _ := s.process(user(nil))
		gone := make(chan struct{})
		la.swapped = func(n int) error {
			if n == 2 {
				<-gone
			}
			return nil
		}
		for range 56 * 60 {
			mustToken(t, a) // the process dies during its renewal
			pass(time.Second)
		}
		begin := time.Now()
		for s.presented("refresh-0") == 0 && time.Since(begin) < time.Hour {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, _ = b.Token(ctx)
			cancel()
			pass(time.Second)
		}
		assert.GreaterOrEqual(t, time.Since(begin), 3*time.Minute, "the access token lived for four minutes")
		close(gone)
		s.end(a, b)
	})
}

// If the response to a renewal was lost, the access token is used until it expires, too.
func TestRuleTheAccessTokenServesAfterALostRenewal(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, _ := s.process(user(login()))
		b, _ := s.process(user(nil))
		mustToken(t, a)
		pass(55 * time.Minute)
		s.set(0, true)
		for s.presented("refresh-0") == 0 {
			mustToken(t, a)
			pass(time.Second)
		}
		s.set(0, false)
		for range 3 * 60 {
			assert.Equal(t, "access-0", mustToken(t, a))
			assert.Equal(t, "access-0", mustToken(t, b))
			pass(time.Second)
		}
		assert.Equal(t, 1, s.presented("refresh-0"))
		pass(2 * time.Minute)
		assert.NotEqual(t, "access-0", ask(t, b, 2*time.Minute))
		s.end(a, b)
	})
}

// The life of a token counts from its request, however long it took to write it.
func TestRuleLivesCountFromTheRequest(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(tokens.CacheOptions{})
		la.swapped = func(n int) error {
			if n == 1 {
				la.cut(true)
				go func() { pass(30 * time.Minute); la.cut(false) }()
			}
			return nil
		}
		assert.Equal(t, "access-1", mustToken(t, a))
		pass(31 * time.Minute)
		mustToken(t, a)
		pass(time.Minute)
		b, lb := s.process(tokens.CacheOptions{})
		lb.by = 24 * time.Hour // by its clock the token expires tomorrow
		token, err := b.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "access-1", token.AccessToken)
		assert.Less(t, time.Until(token.Expiry), 30*time.Minute)
		s.end(a, b)
	})
}

// A response up to one second after the timeout counts, because after a pause both arrive at the same time.
func TestRuleALateResponseIsTaken(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, _ := s.process(user(due()))
		s.set(30*time.Second+500*time.Millisecond, false)
		assert.Equal(t, "access-1", mustToken(t, a))
		s.end(a)
	})
}

// A single failed Load is not an outage.
func TestRuleAFailedLoadIsTriedAgain(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		la.cut(true)
		go func() { pass(20 * time.Millisecond); la.cut(false) }()
		assert.Equal(t, "access-1", mustToken(t, a))
		s.end(a)
	})
}

// During a Set, nobody presents the refresh token of the previous login.
func TestRuleNothingIsDecidedDuringASet(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(nil))
		require.NoError(t, a.Set(t.Context(), due()))
		la.swapping = func(n int) {
			if n == 2 {
				pass(2 * time.Second)
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, a.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-10"})) })
		pass(100 * time.Millisecond)
		assert.Equal(t, "access-1", mustToken(t, a))
		wg.Wait()
		assert.Zero(t, s.presented("refresh-0"))
		assert.Equal(t, 1, s.presented("refresh-10"))
		s.end(a)
	})
}

// While a Set is under way, a Revoke that ends does not tell callers to log in.
func TestRuleALogoutThatEndsDuringASet(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(nil))
		require.NoError(t, a.Set(t.Context(), login()))
		la.swapped = func(n int) error {
			if n == 2 { // the swap of the logout
				pass(2 * time.Second)
			}
			return nil
		}
		la.swapping = func(n int) {
			if n == 3 { // the swap of the login
				pass(5 * time.Second)
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, a.Revoke(t.Context())) })
		pass(time.Second)
		wg.Go(func() { assert.NoError(t, a.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-10"})) })
		pass(500 * time.Millisecond)
		assert.Equal(t, "access-1", mustToken(t, a))
		assert.Equal(t, 1, s.presented("refresh-10"))
		wg.Wait()
		s.end(a)
	})
}

// The result of a refresh that arrives after a logout is revoked, and nobody gets it.
func TestRuleWhatComesAfterALogoutIsRevoked(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		opts := user(due())
		opts.OnToken = func(context.Context, *tokens.Token) error {
			t.Error("OnToken was called")
			return nil
		}
		a, _ := s.process(opts)
		b, _ := s.process(user(nil))
		s.set(5*time.Second, false)
		got := make(chan error, 1)
		go func() {
			_, err := a.Token(context.Background())
			got <- err
		}()
		pass(time.Second)
		require.NoError(t, b.Revoke(t.Context()))
		require.ErrorIs(t, <-got, tokens.ErrLoginRequired)
		pass(20 * time.Second)
		assert.Equal(t, []string{"refresh-0", "refresh-1", "access-1"}, s.revoked())
		_, err := a.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		s.end(a, b)
	})
}

// After a logout there may be nothing to revoke: a request that fails has no token, and some servers have no revocation,
// which is no news.
func TestRuleNothingIsRevokedWithoutNeed(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		var log bytes.Buffer
		for name, status := range map[string]int{"failed": http.StatusInternalServerError, "no revocation": http.StatusOK} {
			s.respond = func(form url.Values) (int, string, http.Header) {
				if form.Has("token") {
					return http.StatusOK, "", nil
				}
				return status, `{"access_token":"access-1","token_type":"Bearer","refresh_token":"refresh-1"}`, nil
			}
			opts := tokens.EndpointOptions{HTTPClient: &http.Client{Transport: s}}
			if name == "failed" {
				opts.RevocationURL = "https://auth.example.com/revoke"
			}
			endpoint, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.Credentials{ClientID: "id", ClientSecret: "client-secret"}, &opts)
			require.NoError(t, err)
			c, err := tokens.NewCache(endpoint, &tokens.CacheOptions{
				Session: name, Store: s.stored(), Initial: due(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			require.NoError(t, err)
			s.set(5*time.Second, false)
			go func() { _, _ = c.Token(t.Context()) }()
			pass(time.Second)
			s.set(0, false)
			if err := c.Revoke(t.Context()); name == "failed" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, errors.ErrUnsupported)
			}
			pass(10 * time.Second)
			closeAll(t, c)
			assert.NotContains(t, log.String(), "could not revoke", name)
		}
		assert.Equal(t, []string{"refresh-0"}, s.revoked())
	})
}

// A login or logout is newer than every record before it, although its process's clock is behind that of the writer.
func TestRuleALoginIsNewerWhateverTheClockSays(t *testing.T) {
	for name, change := range map[string]func(c *tokens.Cache) error{
		"Set": func(c *tokens.Cache) error {
			return c.Set(context.Background(), &tokens.Token{AccessToken: "access-b", RefreshToken: "refresh-b"})
		},
		"Revoke": func(c *tokens.Cache) error { return c.Revoke(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			testScene(t, func(t *testing.T, s *scene) {
				a, _ := s.process(user(nil))
				b, lb := s.process(user(nil))
				lb.by = 24 * time.Hour
				require.NoError(t, a.Set(t.Context(), login()))
				require.Equal(t, "access-0", mustToken(t, b))
				require.NoError(t, change(b))
				for range 2 { // the first call starts a look in the background
					pass(time.Minute)
					_, _ = a.Token(t.Context())
					_, _ = b.Token(t.Context())
				}
				pass(time.Second)
				for _, c := range []*tokens.Cache{a, b} {
					if name == "Set" {
						assert.Equal(t, "access-b", mustToken(t, c))
						continue
					}
					_, err := c.Token(t.Context())
					require.ErrorIs(t, err, tokens.ErrLoginRequired)
				}
				s.end(a, b)
			})
		})
	}
}

// A process that is delayed each time before it can send its request gives up its attempt.
func TestRuleAnAttemptIsConfirmedThreeTimes(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		la.swapped = func(n int) error {
			if n > 1 {
				pass(6 * time.Second)
			}
			return nil
		}
		_, err := a.Token(t.Context())
		require.ErrorContains(t, err, "not sent: the attempt could not be confirmed in the Store soon enough")
		assert.Zero(t, s.presented("refresh-0"))
		assert.Equal(t, 1+1+3+1, la.swaps, "Initial, the attempt, three confirmations, and the failure")
		la.forget()
		assert.Equal(t, "access-1", ask(t, a, time.Minute))
		s.end(a)
	})
}

// Initial is not used again after a later refresh token of the same login was refused.
func TestRuleInitialIsUsedOnce(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, _ := s.process(user(due()))
		mustToken(t, a)
		s.mu.Lock()
		s.respond = func(url.Values) (int, string, http.Header) {
			return http.StatusBadRequest, `{"error":"invalid_grant"}`, nil
		}
		s.mu.Unlock()
		pass(2 * time.Hour)
		for range 10 {
			_, err := a.Token(t.Context())
			require.ErrorIs(t, err, tokens.ErrLoginRequired)
			pass(10 * time.Second)
		}
		assert.Equal(t, 1, s.presented("refresh-0"))
		assert.Equal(t, 1, s.presented("refresh-1"))
		s.end(a)
	})
}

// If an Initial replaces a login that ended, all processes take it.
func TestRuleInitialAfterTheEndOfALoginIsNewer(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, _ := s.process(user(due()))
		mustToken(t, a)
		s.respond = func(url.Values) (int, string, http.Header) {
			return http.StatusBadRequest, `{"error":"invalid_grant"}`, nil
		}
		pass(time.Hour)
		_, err := a.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		s.respond = nil
		again := login()
		again.AccessToken, again.RefreshToken = "access-again", "refresh-again"
		b, _ := s.process(user(again))
		assert.Equal(t, "access-again", mustToken(t, b))
		pass(time.Second)
		assert.Equal(t, "access-again", mustToken(t, a))
		assert.Equal(t, "access-again", mustToken(t, b))
		s.end(a, b)
	})
}

// The waits between failures double across processes, however short each one lives.
func TestRuleTriesAreCountedForAll(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		s.respond = func(url.Values) (int, string, http.Header) { return http.StatusServiceUnavailable, "", nil }
		for range 300 {
			c, _ := s.process(user(due()))
			_, err := c.Token(t.Context())
			require.Error(t, err)
			pass(time.Second)
		}
		assert.LessOrEqual(t, s.presented("refresh-0"), 30, "in five minutes")
		assert.GreaterOrEqual(t, s.presented("refresh-0"), 10)
		s.end()
	})
}

// A process in use reads the record ten times in the life of a token, so that it does not use for long what another one
// has replaced.
func TestRuleShortLivesAreLookedAtMoreOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		f.respond = func(url.Values) (int, string, http.Header) {
			f.n++
			return 200, fmt.Sprintf(`{"access_token":"access-%d","token_type":"Bearer","expires_in":200}`, f.n), nil
		}
		first, second := f.cache(t, tokens.CacheOptions{}), f.cache(t, tokens.CacheOptions{})
		pass(time.Hour) // the age of a process does not count
		require.Equal(t, "access-1", mustToken(t, first))
		require.Equal(t, "access-1", mustToken(t, second))
		first.Invalidate(&tokens.Token{AccessToken: "access-1"})
		require.Equal(t, "access-2", mustToken(t, first))
		for range 21 {
			pass(time.Second)
			mustToken(t, second)
		}
		synctest.Wait()
		assert.Equal(t, "access-2", mustToken(t, second))
		require.NoError(t, errors.Join(first.Close(t.Context()), second.Close(t.Context())))
	})
}

// A refresh without the Store that had no response is repeated after a minute, not with each look.
func TestRuleALostRefreshIsNotRepeatedAtOnceWithoutTheStore(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		opts := user(login())
		opts.RefreshWithoutStore = true
		a, la := s.process(opts)
		mustToken(t, a)
		pass(time.Hour)
		la.cut(true)
		s.set(0, true)
		for range 100 {
			_, err := a.Token(t.Context())
			require.ErrorIs(t, err, tokens.ErrNoToken)
			pass(time.Second)
		}
		assert.Equal(t, 2, s.presented("refresh-0"))
		s.set(0, false)
		la.cut(false)
		assert.NotEmpty(t, ask(t, a, 2*time.Minute))
		s.end(a)
	})
}

// A refresh token that could not be written is written as soon as the Store is back, even if nobody wants a token.
func TestRuleASuccessorIsWrittenThoughNobodyWaits(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		b, _ := s.process(user(nil))
		s.respond = func(url.Values) (int, string, http.Header) {
			la.cut(true)
			return 200, `{"access_token":"access-1","token_type":"Bearer","expires_in":60,"refresh_token":"refresh-1"}`, nil
		}
		assert.Equal(t, "access-1", mustToken(t, a))
		s.respond = nil
		pass(time.Minute)
		_, err := a.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrStore)
		pass(10 * time.Second)
		la.cut(false)
		pass(2 * time.Second)
		mustToken(t, b)
		assert.Equal(t, 1, s.presented("refresh-0"))
		assert.Equal(t, 1, s.presented("refresh-1"))
		s.end(a, b)
	})
}

// If the Store is emptied, Initial's record is put back like any other.
func TestRuleInitialIsPutBack(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, _ := s.process(user(login()))
		require.Equal(t, "access-0", mustToken(t, a))
		pass(10 * time.Second)
		s.replaceStore(tokens.NewMemoryStore())
		pass(time.Minute)
		mustToken(t, a) // this starts a look in the background
		pass(time.Second)
		assert.Equal(t, "access-0", mustToken(t, a))
		b, _ := s.process(user(nil))
		assert.Equal(t, "access-0", mustToken(t, b))
		s.end(a, b)
	})
}

// A process without a token looks again after 5 s, however long the server asks to wait, because somebody may have
// logged in.
func TestRuleAnErrorIsLookedUpAgainSoon(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, _ := s.process(user(due()))
		s.respond = func(url.Values) (int, string, http.Header) {
			return http.StatusServiceUnavailable, "", http.Header{"Retry-After": {"600"}}
		}
		b, _ := s.process(user(nil))
		for _, c := range []*tokens.Cache{a, b} {
			_, err := c.Token(t.Context())
			require.Error(t, err)
		}
		c, _ := s.process(user(nil))
		require.NoError(t, c.Set(t.Context(), login()))
		pass(6 * time.Second)
		assert.Equal(t, "access-0", mustToken(t, a))
		assert.Equal(t, "access-0", mustToken(t, b))
		assert.Equal(t, 1, s.sent())
		s.end(a, b, c)
	})
}

// A swap of an attempt that returns only after a logout does not bring the earlier login back.
func TestRuleALateSwapDoesNotUndoALogout(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		la.swapped = func(n int) error {
			if n == 2 { // its attempt
				pass(2 * time.Second)
			}
			return nil
		}
		s.set(5*time.Second, false)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = a.Token(t.Context()) })
		pass(time.Second)
		wg.Go(func() { assert.NoError(t, a.Revoke(t.Context())) })
		pass(2 * time.Second)
		require.NoError(t, a.Set(t.Context(), &tokens.Token{AccessToken: "given", Expiry: time.Now().Add(time.Hour)}))
		b, _ := s.process(user(nil))
		for _, c := range []*tokens.Cache{a, b} {
			token, err := c.Token(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "given", token.AccessToken)
			assert.Empty(t, token.RefreshToken)
		}
		wg.Wait()
		s.end(a, b)
	})
}

// A process that has seen another login never serves the earlier one, although the Store fails before it can decide.
func TestRuleALoginIsServedAsSoonAsItIsSeen(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		b, _ := s.process(user(nil))
		s.respond = func(url.Values) (int, string, http.Header) {
			la.cut(true)
			return 200, `{"access_token":"access-1","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-1"}`, nil
		}
		assert.Equal(t, "access-1", mustToken(t, a), "although it is not in the Store")
		require.NoError(t, b.Set(t.Context(), &tokens.Token{AccessToken: "access-b", RefreshToken: "refresh-b", Expiry: time.Now().Add(time.Hour)}))
		la.loaded = func() {
			la.loaded = nil
			la.cut(true)
		}
		la.cut(false)
		pass(2 * time.Second)
		assert.Equal(t, "access-b", mustToken(t, a))
		la.cut(false)
		s.end(a, b)
	})
}

// Set of a token without a refresh token keeps the newest one that its process knows, although the Store has lost that.
func TestRuleSetKeepsTheNewestRefreshToken(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, la := s.process(user(due()))
		before := la.recordBefore(3) // the swap of the token
		mustToken(t, a)
		pass(20 * time.Second)
		la.put(*before)
		require.NoError(t, a.Set(t.Context(), &tokens.Token{AccessToken: "given", Expiry: time.Now().Add(time.Minute)}))
		b, _ := s.process(user(nil))
		assert.Equal(t, "given", mustToken(t, b))
		pass(time.Minute)
		assert.Equal(t, "access-2", mustToken(t, b))
		assert.Equal(t, 1, s.presented("refresh-0"))
		assert.Equal(t, 1, s.presented("refresh-1"))
		s.end(a, b)
	})
}

// Set of a token without a refresh token keeps the one that another process has written since the record was loaded.
func TestRuleSetKeepsARefreshTokenThatArrivesMeanwhile(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		a, _ := s.process(user(due()))
		b, lb := s.process(user(nil))
		lb.swapping = func(n int) {
			if n == 1 { // its swap conflicts with that of the new token
				pass(2 * time.Second)
			}
		}
		s.set(time.Second, false)
		go func() { _, _ = a.Token(t.Context()) }()
		pass(500 * time.Millisecond)
		require.NoError(t, b.Set(t.Context(), &tokens.Token{AccessToken: "given", Expiry: time.Now().Add(time.Minute)}))
		c, _ := s.process(user(nil))
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "given", token.AccessToken)
		assert.Equal(t, "refresh-1", token.RefreshToken)
		s.end(a, b, c)
	})
}

// If the client's secret is changed during an attempt, a second request follows the first, and needs a permission of its
// own. Without one, the attempt ends with the first request.
func TestRuleASecondRequestIsConfirmedToo(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		var secret atomic.Int64
		endpoint, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.CredentialsFunc(func(context.Context) (tokens.Credentials, error) {
			return tokens.Credentials{ClientID: "id", ClientSecret: fmt.Sprint("secret-", secret.Load())}, nil
		}), &tokens.EndpointOptions{HTTPClient: &http.Client{Transport: s}})
		require.NoError(t, err)
		s.respond = func(url.Values) (int, string, http.Header) {
			secret.Add(1)
			s.respond = nil
			return http.StatusUnauthorized, `{"error":"invalid_client"}`, nil
		}
		a := newCache(t, endpoint, &link{scene: s}, user(due()))
		b, _ := s.process(user(nil))
		s.set(6*time.Second, false)
		got := make(chan error, 1)
		go func() {
			_, err := a.Token(t.Context())
			got <- err
		}()
		pass(time.Second)
		begin := time.Now()
		assert.Equal(t, "access-1", ask(t, b, time.Minute), "it marks the attempt, so that the second request is not sent")
		require.ErrorIs(t, <-got, tokens.ErrNoToken)
		assert.Less(t, time.Since(begin), 20*time.Second, "the hold of the attempt does not last")
		assert.Equal(t, 2, s.presented("refresh-0"))
		assert.EqualValues(t, 1, a.Stats().Fetches)
		assert.EqualValues(t, 1, a.Stats().Failures)
		s.end(a, b)
	})
}

// Whether a token is fetched because of a 401 is decided by what the record holds: after a Set(nil) elsewhere it is not,
// so that the API may reject the new token as well.
func TestRuleAnAttemptIsForTheTokenInTheRecord(t *testing.T) {
	for name, swap := range map[string]func(context.Context, string, string, tokens.Record, time.Duration) error{
		"the Store works": nil, "the Store cannot be written": swapsThat["fail"],
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, s := newFleet(), &oddStore{Store: tokens.NewMemoryStore()}
				a, b := newCache(t, f.endpoint(t), s.Store, tokens.CacheOptions{}), f.oddCache(t, s, tokens.CacheOptions{})
				require.Equal(t, mustToken(t, a), mustToken(t, b))
				s.swap = swap
				b.Invalidate(&tokens.Token{AccessToken: "access-1"})
				require.NoError(t, a.Set(t.Context(), nil))
				require.Equal(t, "access-2", mustToken(t, b))
				b.Invalidate(&tokens.Token{AccessToken: "access-2"})
				assert.Equal(t, "access-3", mustToken(t, b))
				closeAll(t, a, b)
			})
		})
	}
}

// A token that stands although the API rejects it, because it was fetched for a 401 just before, is served in its last
// seconds too.
func TestRuleA401StandsInTheLastSecondsOfAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, expiry := newFleet(), time.Now().Add(20*time.Second)
		f.respond = func(url.Values) (int, string, http.Header) { // the same token until it expires
			return 200, fmt.Sprintf(`{"access_token":"access-1","token_type":"Bearer","expires_in":%f}`, time.Until(expiry).Seconds()), nil
		}
		a, b := f.cache(t, tokens.CacheOptions{}), f.cache(t, tokens.CacheOptions{})
		require.Equal(t, mustToken(t, a), mustToken(t, b))
		pass(time.Until(expiry) - 1500*time.Millisecond)
		for _, c := range []*tokens.Cache{a, b} {
			c.Invalidate(&tokens.Token{AccessToken: "access-1"})
		}
		mustToken(t, a)
		require.Equal(t, 2, f.sent())
		pass(time.Until(expiry) - 100*time.Millisecond) // half of it was the request
		mustToken(t, b)
		assert.Equal(t, 2, f.sent())
		closeAll(t, a, b)
	})
}
