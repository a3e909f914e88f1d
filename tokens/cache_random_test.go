package tokens

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A rotatingServer rotates refresh tokens, and ends a login whose refresh token is presented twice. It fails in every
// way that a network and a server can.
type rotatingServer struct {
	mu        sync.Mutex
	rng       *rand.Rand
	calm      bool
	life      time.Duration
	n         int
	newest    string               // the newest refresh token of the login
	used      map[string]time.Time // when each refresh token was presented
	dead      bool                 // the login has ended
	received  []string             // refresh tokens that the client has received, or has been given by Set
	doubtful  map[string]bool      // refresh tokens whose response was lost
	underWay  int
	requests  int
	forbidden []string
}

func (s *rotatingServer) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	_ = req.Body.Close()
	form, _ := url.ParseQuery(string(body))
	s.mu.Lock()
	s.requests++
	s.underWay++
	if s.underWay > 1 {
		s.forbidden = append(s.forbidden, "two requests at once")
	}
	rt := form.Get("refresh_token")
	if form.Get("grant_type") != "refresh_token" {
		s.forbidden = append(s.forbidden, "grant_type "+form.Get("grant_type"))
	}
	if last := s.received[len(s.received)-1]; rt != last {
		s.forbidden = append(s.forbidden, fmt.Sprintf("presented %s where %s is known", rt, last))
	}
	if at, ok := s.used[rt]; ok && time.Since(at) < lostWait && s.doubtful[rt] {
		s.forbidden = append(s.forbidden, fmt.Sprintf("presented %s again after %v", rt, time.Since(at)))
	}
	fault, delay := 0, time.Duration(0)
	if !s.calm {
		fault, delay = s.rng.IntN(14), time.Duration(s.rng.IntN(3))*time.Duration(s.rng.IntN(20))*time.Second
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.underWay--
	}()
	if fault == 1 {
		return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
	}
	if err := sleep(req.Context(), delay); err != nil {
		s.doubt(rt)
		return nil, err
	}
	switch fault {
	case 2:
		return s.respond(newResponse(503, ""), req)
	case 3:
		return s.respond(newResponse(429, "", "Retry-After", "20"), req)
	case 4:
		s.doubt(rt)
		return nil, io.ErrUnexpectedEOF
	case 5:
		s.doubt(rt)
		return s.respond(newResponse(200, `{"access_to`), req)
	case 6:
		return s.respond(newResponse(500, ""), req)
	case 7:
		s.doubt(rt)
		panic("a transport")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, used := s.used[rt]; s.dead || used && !s.doubtful[rt] || rt != s.newest {
		s.dead = true
		return s.respond(newResponse(400, `{"error":"invalid_grant"}`), req)
	}
	s.used[rt] = time.Now()
	s.doubtful[rt] = false
	s.n++
	s.newest = fmt.Sprintf("rt-%d", s.n)
	s.received = append(s.received, s.newest)
	return s.respond(newResponse(200, fmt.Sprintf(`{"access_token":"at-%d","refresh_token":"rt-%d","expires_in":%d}`, s.n, s.n, int(s.life.Seconds()))), req)
}

// doubt simulates a lost response to a request that had no effect; otherwise the login would be lost.
func (s *rotatingServer) doubt(rt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used[rt], s.doubtful[rt] = time.Now(), true
}

func (s *rotatingServer) respond(resp *http.Response, req *http.Request) (*http.Response, error) {
	resp.Request = req
	return resp, nil
}

// login simulates a login elsewhere, and returns its refresh token.
func (s *rotatingServer) login() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	s.newest, s.dead = fmt.Sprintf("rt-%d", s.n), false
	return s.newest
}

// A Cache keeps its guarantees under any order of calls and faults.
func TestCacheRandomly(t *testing.T) {
	t.Parallel()
	seeds := 60
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { cacheRandomly(t, uint64(seed)) }) }) {
			break
		}
	}
}

func cacheRandomly(t *testing.T, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	lives := []time.Duration{10 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour}
	s := &rotatingServer{
		rng: rand.New(rand.NewPCG(seed, 2)), life: lives[rng.IntN(len(lives))],
		used: map[string]time.Time{}, doubtful: map[string]bool{},
	}
	e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: &http.Client{Transport: s}, Retry: Retry{Attempts: 1 + rng.IntN(3)}})
	require.NoError(t, err)
	first := s.login()
	s.received = []string{first}
	var mu sync.Mutex // guards stored and saving
	hook := rand.New(rand.NewPCG(seed, 3))
	stored, saving, failing := first, false, rng.IntN(2) == 0
	c := newCache(t, e, &CacheOptions{
		Session: "a", Initial: &Token{RefreshToken: first}, HoldUnsaved: rng.IntN(2) == 0,
		OnToken: func(ctx context.Context, token *Token) error {
			mu.Lock()
			assert.False(t, saving, "calls of OnToken overlap")
			saving = true
			fail, wait := failing && hook.IntN(2) == 0, time.Duration(hook.IntN(3))*time.Second
			mu.Unlock()
			err := sleep(ctx, wait)
			mu.Lock()
			defer mu.Unlock()
			saving = false
			if fail || err != nil {
				return errDiskFull
			}
			stored = token.RefreshToken
			return nil
		},
	})

	var wg sync.WaitGroup
	call := func(minLife time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+rng.IntN(100))*time.Second)
		begin := time.Now()
		wg.Go(func() {
			defer cancel()
			token, err := c.TokenFor(ctx, minLife)
			if err != nil {
				assert.ErrorIs(t, err, ErrNoToken)
			} else {
				assert.True(t, s.life < 2*time.Minute || token.ValidFor(minLife), "the token has expired, or expires too soon") // a shorter one may have expired on arrival
				assert.NotEmpty(t, token.RefreshToken)
			}
			assert.LessOrEqual(t, time.Since(begin), 2*time.Minute) // Set may make it wait for a second fetch
		})
	}
	for range 200 {
		switch rng.IntN(12) {
		case 0, 1, 2, 3, 4:
			call(0)
		case 5:
			call(s.life / 2)
		case 6:
			if e := c.current.Load(); e != nil {
				c.Invalidate(e.token)
			}
		case 7:
			if rng.IntN(4) == 0 {
				require.NoError(t, c.Set(t.Context(), nil))
			}
		case 8:
			if rng.IntN(4) == 0 {
				require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set", Expiry: time.Now().Add(s.life)}))
				token, err := c.Token(t.Context())
				require.NoError(t, err)
				require.Equal(t, "set", token.AccessToken)
			}
		case 9:
			if rng.IntN(6) == 0 && c.quietNow() {
				rt := s.login()
				s.mu.Lock()
				s.received = append(s.received, rt)
				s.mu.Unlock()
				mu.Lock()
				stored = rt
				mu.Unlock()
				require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "login", RefreshToken: rt, Expiry: time.Now().Add(s.life)}))
			}
		case 10:
			pass(time.Duration(rng.IntN(100)) * time.Second)
		case 11:
			pass(time.Duration(rng.Int64N(int64(2 * s.life))))
		}
		pass(time.Duration(rng.IntN(2000)) * time.Millisecond)
	}
	wg.Wait()

	// The faults end: the Cache recovers, and everything is saved.
	s.mu.Lock()
	s.calm = true
	s.mu.Unlock()
	mu.Lock()
	failing = false
	mu.Unlock()
	if seed%2 == 0 {
		pass(5 * time.Minute)
		_, err = c.Token(t.Context())
		if errors.Is(err, ErrLoginRequired) {
			require.True(t, s.dead, "a login is required, but the server has not ended it")
		} else {
			require.NoError(t, err)
			pass(s.life)
			_, err = c.Token(t.Context())
			require.NoError(t, err)
		}
	}
	require.NoError(t, c.Close(t.Context()))
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Empty(t, s.forbidden)
	require.False(t, s.dead, "the client ended its own login")
	require.Equal(t, s.received[len(s.received)-1], stored, "the newest refresh token is saved")
}

// quietNow reports whether no goroutine of the Cache runs.
func (c *Cache) quietNow() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running == 0
}
