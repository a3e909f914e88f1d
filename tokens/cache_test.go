package tokens

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tokenServer is a token endpoint in memory that works in a synctest bubble.
type tokenServer struct {
	mu       sync.Mutex
	requests []url.Values
	delay    time.Duration
	respond  func(n int, form url.Values) (*http.Response, error) // n counts from 1; if nil, each token lives for an hour
	contexts []context.Context
}

func (s *tokenServer) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	_ = req.Body.Close()
	form, _ := url.ParseQuery(string(body))
	s.mu.Lock()
	s.requests = append(s.requests, form)
	s.contexts = append(s.contexts, req.Context())
	n, delay, respond := len(s.requests), s.delay, s.respond
	s.mu.Unlock()
	if delay > 0 {
		if err := sleep(req.Context(), delay); err != nil {
			return nil, err
		}
	}
	if respond == nil {
		respond = func(n int, _ url.Values) (*http.Response, error) { return grants(n, "3600"), nil }
	}
	resp, err := respond(n, form)
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}

func (s *tokenServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func (s *tokenServer) set(respond func(n int, form url.Values) (*http.Response, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.respond = respond
}

func newResponse(status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// grants returns a response with access token at-n, refresh token rt-n and the given expires_in.
func grants(n int, expiresIn string) *http.Response {
	return newResponse(200, fmt.Sprintf(`{"access_token":"at-%d","refresh_token":"rt-%d","token_type":"Bearer","expires_in":%s}`, n, n, expiresIn))
}

func refuses(status int, code string, header ...string) func(int, url.Values) (*http.Response, error) {
	return func(int, url.Values) (*http.Response, error) {
		return newResponse(status, `{"error":"`+code+`"}`, header...), nil
	}
}

// onlyOnce leaves retries to the Cache.
var onlyOnce = Retry{Attempts: 1}

func stubEndpoint(t testing.TB, s *tokenServer, retry Retry) *Endpoint {
	t.Helper()
	e, err := NewMoov(Credentials{"public", "secret"}, &MoovOptions{HTTPClient: &http.Client{Transport: s}, Retry: retry, Limiter: impatient()})
	require.NoError(t, err)
	return e
}

var ping = Grant{Scopes: []string{"/ping.read"}}

func access(t *testing.T, c *Cache) string {
	t.Helper()
	token, err := c.Token(t.Context())
	require.NoError(t, err)
	return token.AccessToken
}

func TestCacheFetchesOnceForEveryone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{delay: 50 * time.Millisecond}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		var wg sync.WaitGroup
		start := time.Now()
		for range 10_000 {
			wg.Go(func() { assert.Equal(t, "at-1", access(t, c)) })
		}
		wg.Wait()
		assert.Equal(t, 50*time.Millisecond, time.Since(start))
		assert.Equal(t, 1, s.count())
		stats := c.Stats()
		assert.Equal(t, Stats{Fetches: 1, Waits: 10_000, Expiry: stats.Expiry}, stats)
		assert.WithinDuration(t, time.Now().Add(time.Hour), stats.Expiry, time.Second)
	})
}

func TestCacheStates(t *testing.T) {
	for _, tt := range []struct {
		name                string
		expiresIn           string
		fresh, due, renewed time.Duration // not renewed; perhaps renewed in the background; certainly renewed
		dead                time.Duration // a caller waits
	}{
		{"an hour", "3600", 3600*time.Second*65/100 + 5*time.Minute, 56 * time.Minute, 56 * time.Minute, time.Hour - 10*time.Second},
		{"750 s", "750", 750 * 70 / 100 * time.Second, 750*80/100*time.Second + time.Second, 0, 750*time.Second - 10*time.Second},
		{"10 s", "10", 7 * time.Second, 8*time.Second + time.Millisecond, 0, 9500 * time.Millisecond},
		{"1 s", "1", 700 * time.Millisecond, 801 * time.Millisecond, 0, 950 * time.Millisecond},
	} {
		t.Run(tt.name+" fresh and due", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) { return grants(n, tt.expiresIn), nil }}
				c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
				require.Equal(t, "at-1", access(t, c))
				pass(min(tt.fresh, tt.due) - time.Millisecond)
				require.Equal(t, "at-1", access(t, c))
				synctest.Wait()
				require.Equal(t, 1, s.count(), "fresh")
				pass(tt.due - min(tt.fresh, tt.due) + time.Millisecond)
				s.mu.Lock()
				s.delay = 10 * time.Millisecond
				s.mu.Unlock()
				before := time.Now()
				for range 100 {
					require.Equal(t, "at-1", access(t, c), "the old token stays in use")
				}
				require.Zero(t, time.Since(before), "nobody waits")
				pass(10 * time.Millisecond)
				synctest.Wait()
				require.Equal(t, 2, s.count(), "one renewal")
				require.Equal(t, "at-2", access(t, c))
			})
		})
		t.Run(tt.name+" dead", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) { return grants(n, tt.expiresIn), nil }}
				c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
				require.Equal(t, "at-1", access(t, c))
				pass(tt.dead)
				require.Equal(t, "at-2", access(t, c))
			})
		})
	}
}

func TestCacheServesUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		require.Equal(t, "at-1", access(t, c))
		s.set(refuses(503, "x"))
		pass(time.Hour - 10*time.Second - time.Nanosecond)
		require.Equal(t, "at-1", access(t, c))
		synctest.Wait()
		pass(time.Minute)
		_, err := c.Token(t.Context())
		requireStatus(t, 503, err)
	})
}

// requireStatus is for errors that match no Status.
func requireStatus(t *testing.T, status int, err error) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, status, e.StatusCode)
}

func TestCacheWaiterLeavesByItsOwnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{delay: time.Second}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		first, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Token(first)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, 10*time.Millisecond, time.Since(start))
		})
		second, leave := context.WithCancel(t.Context())
		wg.Go(func() {
			_, err := c.Token(second)
			assert.ErrorIs(t, err, context.Canceled)
			assert.ErrorIs(t, err, ErrNoToken)
		})
		synctest.Wait()
		leave()
		wg.Go(func() {
			assert.Equal(t, "at-1", access(t, c), "the end of one caller's context does not affect others")
		})
		wg.Wait()
		assert.Equal(t, time.Second, time.Since(start))
		assert.Equal(t, 1, s.count())
	})
}

func TestCacheDoesNotFetchForAnEndedContext(t *testing.T) {
	s := &tokenServer{}
	c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Token(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, s.count())
}

type contextKey struct{}

func TestCacheFetchContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		traced := false
		ctx := httptrace.WithClientTrace(context.WithValue(t.Context(), contextKey{}, "value"), &httptrace.ClientTrace{
			GetConn: func(string) { traced = true },
		})
		var resp *http.Response
		ctx = WithResponse(WithRetry(ctx, Retry{Attempts: 7}), &resp)
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := c.Token(ctx)
		require.NoError(t, err)
		assert.Nil(t, resp, "per-call settings do not apply to the fetch")
		httptrace.ContextClientTrace(s.contexts[0]).GetConn("") // the Doer's own trace
		assert.False(t, traced)
		assert.Equal(t, "value", s.contexts[0].Value(contextKey{}))

		pass(58 * time.Minute)
		access(t, c)
		synctest.Wait()
		require.Len(t, s.contexts, 2)
		assert.Nil(t, s.contexts[1].Value(contextKey{}), "a background renewal has no caller's values")
	})
}

func TestCacheFetchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := CredentialsFunc(func(ctx context.Context) (Credentials, error) {
			<-ctx.Done()
			return Credentials{}, ctx.Err()
		})
		e, err := NewMoov(block, nil)
		require.NoError(t, err)
		c := newCache(t, e, &CacheOptions{Grant: ping})
		start := time.Now()
		_, err = c.Token(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestCachePanicAndExitReachNoOne(t *testing.T) {
	for name, crash := range map[string]func(){
		"panic": func() { panic("CANARY-secret") },
		"exit":  runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var crashed atomic.Bool
				creds := CredentialsFunc(func(context.Context) (Credentials, error) {
					if crashed.CompareAndSwap(false, true) {
						crash()
					}
					return Credentials{"public", "secret"}, nil
				})
				var log bytes.Buffer
				e, err := NewMoov(creds, &MoovOptions{HTTPClient: &http.Client{Transport: &tokenServer{}}})
				require.NoError(t, err)
				c := newCache(t, e, &CacheOptions{Grant: ping, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() {
						_, err := c.Token(t.Context())
						if assert.Error(t, err) {
							assert.NotContains(t, err.Error(), "CANARY")
						}
					})
				}
				wg.Wait()
				assert.NoError(t, c.waitForQuiet(t.Context()))
				assert.Contains(t, log.String(), "could not get a token")
				assert.NotContains(t, log.String(), "CANARY")
				pass(time.Second)
				assert.Equal(t, "at-1", access(t, c), "the Cache still works")
			})
		})
	}
}

func TestCacheHoldsFailures(t *testing.T) {
	for _, tt := range []struct {
		name    string
		respond func(int, url.Values) (*http.Response, error)
		least   time.Duration
		most    time.Duration
	}{
		{"transient", refuses(500, "server_error"), 50 * time.Millisecond, 101 * time.Millisecond},
		{"transient with Retry-After", refuses(503, "x", "Retry-After", "7"), 7 * time.Second, 7001 * time.Millisecond},
		{"a Retry-After without end", refuses(503, "x", "Retry-After", "99999999999"), time.Hour, time.Hour + time.Millisecond},
		{"a refusal without an OAuth code", refuses(403, ""), 50 * time.Millisecond, 101 * time.Millisecond},
		{"invalid_client", refuses(401, "invalid_client"), 5 * time.Second, 5001 * time.Millisecond},
		{"invalid_client with Retry-After", refuses(401, "invalid_client", "Retry-After", "20"), 20 * time.Second, 20001 * time.Millisecond},
		{"invalid_client with a shorter Retry-After", refuses(401, "invalid_client", "Retry-After", "1"), 5 * time.Second, 5001 * time.Millisecond},
		{"a 401 without a code", refuses(401, ""), 5 * time.Second, 5001 * time.Millisecond},
		{"invalid_scope", refuses(400, "invalid_scope"), 5 * time.Second, 5001 * time.Millisecond},
		{"unauthorized_client", refuses(400, "unauthorized_client"), 5 * time.Second, 5001 * time.Millisecond},
		{"invalid_grant", refuses(400, "invalid_grant"), 5 * time.Second, 5001 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{respond: tt.respond, delay: 50 * time.Millisecond}
				c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
				var wg sync.WaitGroup
				start := time.Now()
				for range 100 {
					wg.Go(func() {
						_, err := c.Token(t.Context())
						assert.Error(t, err)
					})
				}
				wg.Wait()
				assert.Equal(t, 50*time.Millisecond, time.Since(start), "all get the same failure")
				assert.Equal(t, 1, s.count())

				s.set(nil)
				pass(tt.least - time.Nanosecond)
				_, err := c.Token(t.Context())
				require.Error(t, err)
				require.Equal(t, 1, s.count(), "from memory")
				pass(tt.most - tt.least)
				require.Equal(t, "at-2", access(t, c))
			})
		})
	}
}

func TestCacheBackOffDoublesTo30s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: refuses(500, "server_error")}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		bound := 100 * time.Millisecond
		for n := 1; n <= 14; n++ {
			_, err := c.Token(t.Context())
			require.Error(t, err)
			require.Equal(t, n, s.count())
			pass(bound/2 - time.Nanosecond)
			_, err = c.Token(t.Context())
			require.Error(t, err)
			require.Equal(t, n, s.count(), "not before half of %v", bound)
			pass(bound/2 + 2)
			bound = min(2*bound, 30*time.Second)
		}
	})
}

// Within a fetch, a request is retried only if callers wait, and not if it presents a refresh token that may have been
// consumed: the Cache does the backoff between fetches.
func TestCacheRetriesOnlyWhileCallersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: refuses(503, "")}
		repeating := stubEndpoint(t, s, Retry{Attempts: 3, Initial: 1})
		c := newCache(t, repeating, &CacheOptions{Grant: ping})
		_, err := c.Token(t.Context())
		require.Error(t, err)
		assert.Equal(t, 3, s.count(), "a caller waits")

		require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set", Expiry: time.Now().Add(time.Minute)}))
		pass(50 * time.Second)
		assert.Equal(t, "set", access(t, c))
		pass(time.Second)
		assert.Equal(t, 4, s.count(), "nobody waits")
	})
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: lose}
		c := newCache(t, stubEndpoint(t, s, Retry{Attempts: 3, Initial: 1}), &CacheOptions{Session: "a", Initial: &Token{RefreshToken: "rt-0"}})
		_, err := c.Token(t.Context())
		require.Error(t, err)
		require.Equal(t, 1, s.count(), "the response was lost")
		s.set(refuses(503, ""))
		pass(2 * time.Minute)
		_, err = c.Token(t.Context())
		require.Error(t, err)
		assert.Equal(t, 2, s.count(), "it is presented again, once")
	})
}

func TestCacheOutageWhileTheTokenLives(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []string
		most   int
	}{
		{"with Retry-After", []string{"Retry-After", "1"}, 3},
		{"without", nil, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{}
				c := newCache(t, stubEndpoint(t, s, Retry{}), &CacheOptions{Grant: ping})
				access(t, c)
				pass(56 * time.Minute) // due, and valid for some minutes
				s.set(refuses(503, "", tt.header...))
				down := time.Now()
				for time.Since(down) < 2*time.Second {
					start := time.Now()
					require.Equal(t, "at-1", access(t, c))
					require.Zero(t, time.Since(start))
					pass(time.Millisecond)
				}
				synctest.Wait()
				require.LessOrEqual(t, s.count()-1, tt.most)
				require.Greater(t, s.count()-1, 1, "it tries again")
				s.set(nil)
				for access(t, c) == "at-1" {
					require.Less(t, time.Since(down), 10*time.Second, "it recovers with the next attempt")
					pass(time.Millisecond)
				}
			})
		})
	}
}

func TestCacheInvalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		first, err := c.Token(t.Context())
		require.NoError(t, err)
		c.Invalidate(nil)
		c.Invalidate(&Token{AccessToken: "another"})
		require.Equal(t, "at-1", access(t, c))
		c.Invalidate(first)
		second, err := c.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "at-2", second.AccessToken)
		for range 50 {
			c.Invalidate(first) // late 401s of calls with the old token
		}
		require.Equal(t, "at-2", access(t, c))
		pass(30*time.Second - 1)
		c.Invalidate(second)
		require.Equal(t, "at-2", access(t, c), "at most once in 30 s")
		pass(1)
		c.Invalidate(second)
		require.Equal(t, "at-3", access(t, c))
		require.EqualValues(t, 2, c.Stats().Invalidations)
	})
}

func TestCacheAgainstAnAPIThatRefusesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		api := roundTrip(func(req *http.Request) (*http.Response, error) {
			resp := newResponse(401, `{}`)
			resp.Request = req
			return resp, nil
		})
		transport, err := NewTransport(c, "https://api.example.com", api)
		require.NoError(t, err)
		for range 100 * 60 {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/x", nil)
			resp, err := transport.RoundTrip(req)
			require.NoError(t, err)
			require.Equal(t, 401, resp.StatusCode)
			pass(10 * time.Millisecond)
		}
		require.LessOrEqual(t, s.count(), 3)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestCacheOddLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, expiresIn := range []string{"0", "-5"} {
			s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) { return grants(n, expiresIn), nil }}
			c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
			require.Equal(t, "at-1", access(t, c), "the waiting caller gets it")
			_, err := c.Token(t.Context())
			require.ErrorIs(t, err, ErrNoToken, "nobody else gets it")
			require.Equal(t, 1, s.count(), "the next fetch waits")
			pass(firstBackOff)
			require.Equal(t, "at-2", access(t, c))
		}
		s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) { return grants(n, "null"), nil }}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		access(t, c)
		pass(1000 * time.Hour)
		token, err := c.TokenFor(t.Context(), time.Hour)
		require.NoError(t, err)
		require.Equal(t, "at-1", token.AccessToken, "no known expiry")
		c.Invalidate(token)
		require.Equal(t, "at-2", access(t, c))
	})
}

func TestCacheTokenFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		access(t, c)
		pass(20 * time.Minute)
		token, err := c.TokenFor(t.Context(), 40*time.Minute)
		require.NoError(t, err)
		require.Equal(t, "at-1", token.AccessToken)
		token, err = c.TokenFor(t.Context(), 41*time.Minute)
		require.NoError(t, err)
		require.Equal(t, "at-2", token.AccessToken)
		_, err = c.TokenFor(t.Context(), 2*time.Hour)
		require.ErrorContains(t, err, "less than the requested 2h0m0s")
		require.Equal(t, 2, s.count(), "a new token would be as short")

		s.set(func(n int, _ url.Values) (*http.Response, error) { return grants(n, "10800"), nil })
		pass(time.Hour)
		token, err = c.TokenFor(t.Context(), 2*time.Hour)
		require.NoError(t, err, "a new token is needed anyway")
		require.Equal(t, "at-3", token.AccessToken)
	})
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, stubEndpoint(t, &tokenServer{}, onlyOnce), &CacheOptions{Grant: ping})
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		c.Invalidate(token)
		_, err = c.TokenFor(t.Context(), 2*time.Hour)
		require.ErrorContains(t, err, "less than the requested 2h0m0s")
		require.EqualValues(t, 2, c.Stats().Fetches, "there is none to compare with")
	})
}

func TestCacheFollowsRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		var stored []Token
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{
			Session: "a", Initial: &Token{RefreshToken: "rt-0"},
			OnToken: func(_ context.Context, tok *Token) error { stored = append(stored, *tok); return nil },
		})
		access(t, c)
		pass(2 * time.Hour)
		s.set(func(n int, _ url.Values) (*http.Response, error) {
			return newResponse(200, `{"access_token":"at-2","expires_in":3600}`), nil // no new refresh token: the old one stays valid
		})
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "rt-1", token.RefreshToken)
		pass(2 * time.Hour)
		access(t, c)
		require.Equal(t, []string{"rt-0", "rt-1", "rt-1"}, []string{s.requests[0].Get("refresh_token"), s.requests[1].Get("refresh_token"), s.requests[2].Get("refresh_token")})
		require.Equal(t, []string{"rt-1", "rt-1", "rt-1"}, []string{stored[0].RefreshToken, stored[1].RefreshToken, stored[2].RefreshToken})
		require.Equal(t, "refresh_token", s.requests[2].Get("grant_type"))
	})
}

func TestCacheWithoutSessionNeverRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		access(t, c)
		pass(2 * time.Hour)
		access(t, c)
		require.Equal(t, "client_credentials", s.requests[1].Get("grant_type"))
		require.Empty(t, s.requests[1].Get("refresh_token"))
	})
}

func TestCacheInitial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		stored := &Token{AccessToken: "stored", RefreshToken: "rt-stored", Expiry: time.Now().Add(time.Hour).Round(0)}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Session: "a", Initial: stored})
		stored.AccessToken = "changed by its owner"
		require.Equal(t, "stored", access(t, c))
		require.Zero(t, s.count())
		pass(time.Hour)
		require.Equal(t, "at-1", access(t, c))
		require.Equal(t, "rt-stored", s.requests[0].Get("refresh_token"), "the stored one is newer than the configured")
	})
}

func TestCacheInvalidGrantLastsUntilSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Session: "a", Initial: &Token{RefreshToken: "rt-0"}})
		access(t, c)
		s.set(refuses(400, "invalid_grant"))
		pass(57 * time.Minute)
		require.Equal(t, "at-1", access(t, c))
		synctest.Wait()
		require.Equal(t, "at-1", access(t, c), "the access token is used until it expires")
		for range 24 {
			pass(time.Hour)
			_, err := c.Token(t.Context())
			require.ErrorIs(t, err, InvalidGrant)
		}
		require.Equal(t, 2, s.count(), "a refused refresh token is not presented again")
		s.set(nil)
		_ = c.Set(t.Context(), &Token{AccessToken: "new login", RefreshToken: "rt-new", Expiry: time.Now().Add(time.Hour)})
		require.Equal(t, "new login", access(t, c))
		pass(time.Hour)
		require.Equal(t, "at-3", access(t, c))
		require.Equal(t, "rt-new", s.requests[2].Get("refresh_token"))
	})
}

// pass lets the fake time of a synctest bubble pass.
func pass(d time.Duration) { <-time.After(d) }

func lose(int, url.Values) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

func TestCacheLostRefreshResponse(t *testing.T) {
	for name, lost := range map[string]func(int, url.Values) (*http.Response, error){
		"connection broken": lose,
		"unreadable":        func(int, url.Values) (*http.Response, error) { return newResponse(200, `{"access_`), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{}
				var log bytes.Buffer
				c := newCache(t, stubEndpoint(t, s, Retry{}), &CacheOptions{
					Session: "a", Initial: &Token{RefreshToken: "rt-0"},
					Logger: slog.New(slog.NewTextHandler(&log, nil)),
				})
				access(t, c)
				s.set(lost)
				pass(57 * time.Minute)
				for range 150 { // until just before the expiry
					require.Equal(t, "at-1", access(t, c))
					synctest.Wait()
					pass(time.Second)
				}
				require.Equal(t, 2, s.count(), "not presented again before the access token expires")
				pass(time.Minute)
				_, err := c.Token(t.Context())
				require.Error(t, err)
				require.Equal(t, 3, s.count(), "presented once more")
				require.Equal(t, "rt-1", s.requests[2].Get("refresh_token"))
				require.NoError(t, c.waitForQuiet(t.Context()))
				require.Contains(t, log.String(), "presenting a refresh token again")
				for n := 4; n < 10; n++ {
					pass(time.Minute - time.Nanosecond)
					_, err = c.Token(t.Context())
					require.Error(t, err)
					require.Equal(t, n-1, s.count(), "at least a minute apart")
					pass(time.Nanosecond)
					_, err = c.Token(t.Context())
					require.Error(t, err)
					require.Equal(t, n, s.count())
				}
				s.set(nil)
				pass(time.Minute)
				require.Equal(t, "at-10", access(t, c), "only the server may end a login")
			})
		})
	}
}

// After a refresh that may have had an effect, the refresh token is presented again once there is no access token, for
// whatever reason.
func TestCacheDoubtfulRefreshIsPresentedAgainAfterA401(t *testing.T) {
	for name, doubtful := range map[string]func(int, url.Values) (*http.Response, error){"lost": lose, "502": refuses(502, "")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{}
				c := newCache(t, stubEndpoint(t, s, Retry{}), &CacheOptions{Session: "a", Initial: &Token{RefreshToken: "rt-0"}})
				token, err := c.Token(t.Context())
				require.NoError(t, err)
				s.set(doubtful)
				pass(57 * time.Minute)
				for range 60 {
					require.Equal(t, "at-1", access(t, c))
					pass(time.Second)
				}
				require.Equal(t, 2, s.count())
				s.set(nil)
				c.Invalidate(token)
				require.Equal(t, "at-3", access(t, c))
			})
		})
	}
}

func TestCacheCredentialsThatFailLoseNoRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var vault error = &Error{Method: "GET", URL: "https://vault.example.com", cause: io.ErrUnexpectedEOF}
		creds := CredentialsFunc(func(context.Context) (Credentials, error) { return Credentials{"public", "secret"}, vault })
		e, err := NewMoov(creds, &MoovOptions{HTTPClient: &http.Client{Transport: &tokenServer{}}})
		require.NoError(t, err)
		c := newCache(t, e, &CacheOptions{Session: "a", Initial: &Token{RefreshToken: "rt-0"}})
		for range 5 {
			_, err = c.Token(t.Context())
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			pass(time.Minute)
		}
		vault = nil
		require.Equal(t, "at-1", access(t, c))
	})
}

func TestCacheSetWithoutARefreshTokenAfterRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Session: "a", Initial: &Token{RefreshToken: "rt-0"}})
		_ = c.Revoke(t.Context())
		_ = c.Set(t.Context(), &Token{AccessToken: "set", Expiry: time.Now().Add(time.Hour)})
		require.Equal(t, "set", access(t, c))
		pass(time.Hour)
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, ErrNoToken)
		require.Equal(t, 1, s.count(), "only the revocation; never another grant")
	})
}

func TestCacheRefreshNeverSentIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: func(int, url.Values) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
		}}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Session: "a", Initial: &Token{RefreshToken: "rt-0"}})
		for range 5 {
			_, err := c.Token(t.Context())
			require.Error(t, err)
			pass(time.Minute)
		}
		s.set(nil)
		require.Equal(t, "at-6", access(t, c))
	})
}

func TestCacheOnTokenFails(t *testing.T) {
	for _, hold := range []bool{false, true} {
		t.Run(fmt.Sprintf("hold %v", hold), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{}
				full := errors.New("disk full")
				fail := full
				var stored []string
				c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{
					Session: "a", Initial: &Token{RefreshToken: "rt-0"},
					HoldUnsaved: hold,
					OnToken: func(_ context.Context, tok *Token) error {
						if fail == nil {
							stored = append(stored, tok.RefreshToken)
						}
						return fail
					},
				})
				for range 3 {
					token, err := c.Token(t.Context())
					if hold {
						require.ErrorIs(t, err, full)
					} else {
						require.NoError(t, err)
						require.Equal(t, "at-1", token.AccessToken)
					}
					pass(time.Second)
					synctest.Wait()
				}
				fail = nil
				pass(time.Second)
				require.Equal(t, "at-1", access(t, c))
				synctest.Wait()
				require.Equal(t, []string{"rt-1"}, stored)
				require.Equal(t, "at-1", access(t, c))
				require.Equal(t, 1, s.count(), "the token was never discarded")
			})
		})
	}
}

// A renewal saves what is unsaved too, so no second fetch runs beside it, whoever asks.
func TestCacheRunsOneFetchInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping, OnToken: func(context.Context, *Token) error { return errDiskFull }})
		access(t, c)
		s.delayBy(time.Second)
		pass(57 * time.Minute)
		for range 3 {
			token, err := c.TokenFor(t.Context(), time.Second)
			require.NoError(t, err)
			require.Equal(t, "at-1", token.AccessToken)
			c.mu.Lock()
			require.Equal(t, 1, c.running)
			c.mu.Unlock()
		}
		pass(time.Second)
		synctest.Wait()
		require.Equal(t, "at-2", access(t, c))
	})
}

func TestCacheFetchesWhileOnTokenFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) { return grants(n, "10"), nil }}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{
			Grant:   ping,
			OnToken: func(context.Context, *Token) error { return errors.New("disk full") },
		})
		for range 200 {
			token, err := c.Token(t.Context())
			require.NoError(t, err)
			require.Positive(t, time.Until(token.Expiry))
			pass(time.Second)
		}
	})
}

func TestCacheOnTokenRunsBeforeAnyoneHasTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		var storing, stored atomic.Bool
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping, OnToken: func(ctx context.Context, tok *Token) error {
			storing.Store(true)
			err := sleep(ctx, time.Second)
			tok.AccessToken = "changed by the hook"
			stored.Store(true)
			return err
		}})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				assert.Equal(t, "at-1", access(t, c))
				assert.True(t, stored.Load())
			})
		}
		wg.Wait()
	})
}

func TestCacheOnTokenThatExitsHasNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := newCache(t, stubEndpoint(t, &tokenServer{}, onlyOnce), &CacheOptions{Grant: ping, OnToken: func(context.Context, *Token) error {
			if calls++; calls == 1 {
				runtime.Goexit()
			}
			return nil
		}})
		require.Equal(t, "at-1", access(t, c))
		pass(time.Second)
		require.Equal(t, "at-1", access(t, c))
		synctest.Wait()
		require.Equal(t, 2, calls)
	})
}

func TestCacheOnTokenThatSetsAndExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *Cache
		c = newCache(t, stubEndpoint(t, &tokenServer{}, onlyOnce), &CacheOptions{Grant: ping, OnToken: func(ctx context.Context, _ *Token) error {
			assert.NoError(t, c.Set(ctx, &Token{AccessToken: "set", Expiry: time.Now().Add(time.Hour)}))
			runtime.Goexit()
			return nil
		}})
		require.Equal(t, "set", access(t, c))
		require.NoError(t, c.Close(t.Context()))
		require.Zero(t, c.Stats().Failures, "the fetch got a token")
	})
}

func TestCacheSetDuringAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{delay: time.Second}
		hooked := 0
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping, OnToken: func(context.Context, *Token) error { hooked++; return nil }})
		var wg sync.WaitGroup
		wg.Go(func() { assert.Equal(t, "set", access(t, c)) })
		synctest.Wait()
		_ = c.Set(t.Context(), &Token{AccessToken: "set", Expiry: time.Now().Add(time.Hour)})
		wg.Wait()
		require.NoError(t, c.waitForQuiet(t.Context()))
		require.Equal(t, "set", access(t, c))
		require.Zero(t, hooked, "a token that is not used is not saved")
		require.Zero(t, c.Stats().Failures, "the fetch got a token")
		_ = c.Set(t.Context(), nil)
		require.Equal(t, "at-2", access(t, c))
	})
}

// A refresh that Set overtook brings nothing to save if the server keeps the refresh token, whether it repeats it or
// not.
func TestCacheSetDuringARefreshWithoutRotation(t *testing.T) {
	for _, repeated := range []string{"", `"refresh_token":"rt-0",`} {
		synctest.Test(t, func(t *testing.T) {
			s := &tokenServer{delay: time.Second, respond: func(n int, _ url.Values) (*http.Response, error) {
				return newResponse(200, fmt.Sprintf(`{"access_token":"at-%d",%s"token_type":"Bearer","expires_in":3600}`, n, repeated)), nil
			}}
			hooked := 0
			c := login(t, s, CacheOptions{OnToken: func(context.Context, *Token) error { hooked++; return nil }})
			var wg sync.WaitGroup
			wg.Go(func() { assert.Equal(t, "set", access(t, c)) })
			synctest.Wait()
			require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set", Expiry: time.Now().Add(time.Hour)}))
			wg.Wait()
			require.NoError(t, c.Close(t.Context()))
			require.Equal(t, []string{"rt-0"}, s.presented())
			require.Zero(t, hooked)
		})
	}
}

func TestCacheRevoke(t *testing.T) {
	revoke := func(s *tokenServer) func(int, url.Values) (*http.Response, error) {
		return func(n int, form url.Values) (*http.Response, error) {
			if form.Has("token") {
				return newResponse(204, ""), nil
			}
			return grants(n, "3600"), nil
		}
	}
	t.Run("refresh token before access token, and a new fetch after", func(t *testing.T) {
		s := &tokenServer{}
		s.respond = revoke(s)
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		access(t, c)
		require.NoError(t, c.Revoke(t.Context()))
		require.Equal(t, []string{"rt-1", "at-1"}, []string{s.requests[1].Get("token"), s.requests[2].Get("token")})
		require.Equal(t, "refresh_token", s.requests[1].Get("token_type_hint"))
		require.Equal(t, "at-4", access(t, c))
	})
	t.Run("without a refresh token", func(t *testing.T) {
		s := &tokenServer{respond: func(int, url.Values) (*http.Response, error) { return newResponse(200, tokenReply), nil }}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		access(t, c)
		require.NoError(t, c.Revoke(t.Context()))
		require.Equal(t, 2, s.count())
		require.Equal(t, "access_token", s.requests[1].Get("token_type_hint"))
	})
	t.Run("a login ends", func(t *testing.T) {
		s := &tokenServer{}
		s.respond = revoke(s)
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Session: "a", Initial: &Token{RefreshToken: "rt-0"}})
		access(t, c)
		require.NoError(t, c.Revoke(t.Context()))
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, ErrNoToken)
		require.Equal(t, 3, s.count())
	})
	t.Run("a failed revocation is repeated by the next Revoke", func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		access(t, c)
		s.set(refuses(503, ""))
		require.ErrorIs(t, c.Revoke(t.Context()), Status(503))
		s.set(revoke(s))
		require.NoError(t, c.Revoke(t.Context()))
		require.Equal(t, []string{"rt-1", "at-1"}, []string{s.requests[3].Get("token"), s.requests[4].Get("token")})
		require.NoError(t, c.Revoke(t.Context()))
		require.Equal(t, 5, s.count())
	})
	t.Run("the token of a fetch in flight is revoked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &tokenServer{delay: time.Second}
			s.respond = revoke(s)
			c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Session: "a", Initial: &Token{RefreshToken: "rt-0"}})
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := c.Token(t.Context())
				assert.ErrorIs(t, err, ErrNoToken)
			})
			synctest.Wait()
			require.NoError(t, c.Revoke(t.Context()))
			wg.Wait()
			require.NoError(t, c.Close(t.Context()))
			var revoked []string
			for _, r := range s.requests {
				if r.Has("token") {
					revoked = append(revoked, r.Get("token"))
				}
			}
			require.Equal(t, []string{"rt-0", "rt-1", "at-1"}, revoked)
		})
	})
	t.Run("where there is no revocation", func(t *testing.T) {
		e, err := NewThousandEyes(Credentials{"id", "secret"}, &ThousandEyesOptions{HTTPClient: &http.Client{Transport: &tokenServer{}}})
		require.NoError(t, err)
		c := newCache(t, e, nil)
		require.NoError(t, c.Revoke(t.Context()), "nothing to revoke")
		first, err := c.Token(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, c.Revoke(t.Context()), errors.ErrUnsupported)
		second, err := c.Token(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, first.AccessToken, second.AccessToken, "the token is dropped anyway")
	})
}

// After Close nobody gets the old token, not even who waited for a new one.
func TestCacheServesNothingAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		access(t, c)
		pass(time.Hour - 5*time.Second)
		s.set(refuses(503, ""))
		s.delayBy(time.Second)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Token(t.Context())
			requireStatus(t, 503, err)
		})
		synctest.Wait()
		require.NoError(t, c.Close(t.Context()))
		wg.Wait()
	})
}

func TestCacheCloseWaitsForAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		access(t, c)
		pass(57 * time.Minute)
		s.mu.Lock()
		s.delay = time.Second
		s.mu.Unlock()
		access(t, c)
		synctest.Wait()
		start := time.Now()
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, c.Close(short), context.DeadlineExceeded)
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorIs(t, err, ErrNoToken)
		require.NoError(t, c.Close(t.Context()))
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, c.Close(t.Context()), "again")
		require.ErrorIs(t, c.Set(t.Context(), &Token{AccessToken: "at"}), ErrClosed)
		_, err = c.TokenFor(t.Context(), time.Second)
		require.ErrorIs(t, err, ErrClosed)
		require.Equal(t, 2, s.count())
	})
}

func TestCacheRereadsCredentialsOnce(t *testing.T) {
	for _, tt := range []struct {
		name     string
		second   string
		requests int
		ok       bool
	}{
		{"changed", "new", 2, true},
		{"changed to another wrong one", "wrong", 2, false},
		{"not changed", "old", 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reads := 0
			creds := CredentialsFunc(func(context.Context) (Credentials, error) {
				reads++
				if reads == 1 {
					return Credentials{"public", "old"}, nil
				}
				return Credentials{"public", tt.second}, nil
			})
			s := &tokenServer{respond: func(n int, form url.Values) (*http.Response, error) {
				if form.Get("client_secret") != "new" {
					return newResponse(401, `{"error":"invalid_client"}`), nil
				}
				return grants(n, "60"), nil
			}}
			e, err := NewMoov(creds, &MoovOptions{HTTPClient: &http.Client{Transport: s}, AuthStyle: AuthStyleBody})
			require.NoError(t, err)
			_, err = newCache(t, e, &CacheOptions{Grant: ping}).Token(t.Context())
			if tt.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, InvalidClient)
			}
			require.Equal(t, tt.requests, s.count())
			require.Equal(t, 2, reads)
		})
	}
}

func TestCachePrintsNothing(t *testing.T) {
	c := newCache(t, stubEndpoint(t, &tokenServer{}, onlyOnce), &CacheOptions{
		Session: "a", Initial: &Token{RefreshToken: "CANARY-rt", AccessToken: "CANARY-at"},
	})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(verb, c), "CANARY")
	}
}
