package tokens

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sleepMachine makes the machine of a Cache sleep: the monotonic clock stops, but the wall clock does not.
func sleepMachine(c *Cache, d time.Duration) {
	synctest.Wait()
	c.start = c.start.Add(d) // the Cache measures monotonic time from c.start
	pass(d)
}

func TestCacheNoticesThatTheMachineSlept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		pass(3 * time.Hour) // the Cache is older than its token
		access(t, c)
		sleepMachine(c, 30*time.Minute)
		require.Equal(t, "at-1", access(t, c), "it is valid by both clocks")
		require.Equal(t, 1, s.count())
		sleepMachine(c, 30*time.Minute)
		require.Equal(t, "at-2", access(t, c))
		sleepMachine(c, 57*time.Minute)
		require.Equal(t, "at-2", access(t, c))
		synctest.Wait()
		require.Equal(t, "at-3", access(t, c), "the renewal is not late either")
		_, err := c.TokenFor(t.Context(), time.Hour)
		require.NoError(t, err)
		sleepMachine(c, 10*time.Minute)
		_, err = c.TokenFor(t.Context(), 55*time.Minute)
		require.NoError(t, err)
		require.Equal(t, 4, s.count())
	})
}

// If the wall clock is set back, no token lives longer.
func TestCacheEndsByTheMonotonicClockToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		access(t, c)
		synctest.Wait()
		e := *c.entry
		e.wallStart += int64(24 * time.Hour) // as if the wall clock had been set back by a day since
		c.setCurrent(&e, c.now())
		pass(time.Hour)
		require.Equal(t, "at-2", access(t, c))
	})
}

func TestTokenValidFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.False(t, (*Token)(nil).ValidFor(0))
		require.False(t, (&Token{}).ValidFor(0))
		require.True(t, (&Token{AccessToken: "at"}).ValidFor(1000*time.Hour))
		for _, expiry := range []time.Time{time.Now().Add(time.Minute), time.Now().Add(time.Minute).Round(0)} {
			token := &Token{AccessToken: "at", Expiry: expiry}
			require.True(t, token.ValidFor(time.Minute))
			require.False(t, token.ValidFor(time.Minute+1))
		}
		ended := &Token{AccessToken: "at", Expiry: time.Now()}
		require.False(t, ended.ValidFor(0))
		require.False(t, ended.ValidFor(-time.Hour))
		require.True(t, (&Token{AccessToken: "at", Expiry: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}).ValidFor(time.Hour))
	})
}

func TestCacheOddExpiries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		e := stubEndpoint(t, s, onlyOnce)
		for _, expiry := range []time.Time{
			time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1_000_000, 1, 1, 0, 0, 0, 0, time.UTC),
		} {
			c := newCache(t, e, &CacheOptions{Grant: ping, Initial: &Token{AccessToken: "initial", Expiry: expiry}})
			require.Equal(t, "initial", access(t, c))
			token, err := c.TokenFor(t.Context(), 10_000*time.Hour)
			require.NoError(t, err)
			require.Equal(t, "initial", token.AccessToken)
			synctest.Wait()
			require.Zero(t, s.count())
		}
		for _, expiry := range []time.Time{time.Unix(0, 0), time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC)} {
			c := newCache(t, e, &CacheOptions{Grant: ping, Initial: &Token{AccessToken: "initial", Expiry: expiry}})
			require.NotEqual(t, "initial", access(t, c))
		}
	})
}

// A stored token does not tell whether a fetched one would live longer.
func TestCacheTokenForMoreThanAStoredTokenHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping, Initial: &Token{AccessToken: "stored", Expiry: time.Now().Add(5 * time.Minute)}})
		token, err := c.TokenFor(t.Context(), 10*time.Minute)
		require.NoError(t, err)
		require.Equal(t, "at-1", token.AccessToken)
		require.Equal(t, "at-1", access(t, c))
	})
}

// A slow fetch leaves less than the token's whole lifetime.
func TestCacheTokenForAWholeLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{delay: time.Second}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		_, err := c.TokenFor(t.Context(), time.Hour)
		require.ErrorContains(t, err, "tokens: Moov: tokens live for less than the requested 1h0m0s")
		require.ErrorIs(t, err, ErrNoToken)
		require.Equal(t, 1, s.count(), "another token would be as short")
	})
}

// A token that is asked for its whole life is replaced while it lives, because the next one is valid for as long.
func TestCacheTokenForExactlyALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, stubEndpoint(t, &tokenServer{}, onlyOnce), &CacheOptions{Grant: ping})
		for _, want := range []string{"at-1", "at-2"} {
			token, err := c.TokenFor(t.Context(), time.Hour)
			require.NoError(t, err)
			require.Equal(t, want, token.AccessToken)
			pass(time.Second)
		}
	})
}

// TokenFor waits for the next attempt like Token.
func TestCacheTokenForDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		access(t, c)
		pass(10 * time.Minute)
		s.set(refuses(503, "", "Retry-After", "10"))
		for range 100 {
			_, err := c.TokenFor(t.Context(), 55*time.Minute)
			requireStatus(t, 503, err)
			require.Equal(t, "at-1", access(t, c))
		}
		require.Equal(t, 2, s.count())
	})
}

// A token that has expired on arrival goes to the waiting callers, and later calls do not each send a request.
func TestCacheTokensExpiredOnArrival(t *testing.T) {
	for _, tt := range []struct {
		name, expiresIn string
		delay           time.Duration
	}{
		{"0", "0", time.Millisecond},
		{"negative", "-5", time.Millisecond},
		{"shorter than the fetch", "1", 2 * time.Second},
		{"all but shorter than the fetch", "20", 19500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{delay: tt.delay, respond: func(n int, _ url.Values) (*http.Response, error) { return grants(n, tt.expiresIn), nil }}
				c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() { assert.Equal(t, "at-1", access(t, c)) })
				}
				wg.Wait()
				begin := time.Now()
				for time.Since(begin) < time.Minute {
					_, _ = c.Token(t.Context())
					pass(10 * time.Millisecond)
				}
				require.LessOrEqual(t, s.count(), 14)
				s.set(nil)
				pass(maxBackOff)
				_, err := c.Token(t.Context())
				require.NoError(t, err)
			})
		})
	}
}

// In the last 5 % of its life a token is used until it expires if the next attempt must wait.
func TestCacheServesToTheEndWhereNoFetchMayStart(t *testing.T) {
	for _, tt := range []struct {
		name       string
		down       time.Duration // of the 5 s that the token lives
		retryAfter string
		requests   int
	}{
		{"a wait that outlasts the token", 4050 * time.Millisecond, "2", 2},
		{"a wait that ends in the last 5 %", 3700 * time.Millisecond, "1", 3},
	} {
		for range 10 { // the time of the renewal is random
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) { return grants(n, "5"), nil }}
					c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
					access(t, c)
					pass(tt.down)
					s.set(refuses(503, "", "Retry-After", tt.retryAfter))
					for range (5*time.Second - tt.down) / (10 * time.Millisecond) {
						start := time.Now()
						var wg sync.WaitGroup
						for range 10 {
							wg.Go(func() { assert.Equal(t, "at-1", access(t, c)) })
						}
						token, err := c.TokenFor(t.Context(), time.Millisecond)
						require.NoError(t, err)
						require.Equal(t, "at-1", token.AccessToken)
						wg.Wait()
						require.Zero(t, time.Since(start))
						pass(10 * time.Millisecond)
					}
					require.Greater(t, s.count(), 1)
					_, err := c.Token(t.Context())
					requireStatus(t, 503, err)
					require.Equal(t, tt.requests, s.count())
				})
			})
		}
	}
}

// In the last 5 % of its life callers wait for a fetch, and get the old token if it fails.
func TestCacheServesToTheEndWhereAFetchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		access(t, c)
		pass(time.Hour - 10*time.Second)
		s.delayBy(time.Second)
		s.set(refuses(500, ""))
		start := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { assert.Equal(t, "at-1", access(t, c)) })
		}
		wg.Wait()
		require.Equal(t, time.Second, time.Since(start))
		require.Equal(t, 2, s.count())
	})
}

// The margins before the expiry, to the nanosecond.
func TestCacheMargins(t *testing.T) {
	for expiresIn, margin := range map[string]time.Duration{"100": 5 * time.Second, "200": 10 * time.Second, "3600": 10 * time.Second, "1": 50 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) { return grants(n, expiresIn), nil }}
			c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
			token, err := c.Token(t.Context())
			require.NoError(t, err)
			s.set(refuses(503, "", "Retry-After", "0"))
			pass(time.Until(token.Expiry) - margin - 1)
			s.delayBy(time.Millisecond)
			start := time.Now()
			access(t, c)
			require.Zero(t, time.Since(start), "%s: returned at once", expiresIn)
			synctest.Wait()
			pass(time.Millisecond)
			synctest.Wait()
		})
	}
}

// Renewals and attempts after a failure are spread over time.
func TestCacheSpreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits, renewals, longRenewals []time.Duration
		now := moment{time: time.Now()}
		for range 200 {
			waits = append(waits, backOff(1))
			renewals = append(renewals, newEntry(&Token{AccessToken: "at", Expiry: now.time.Add(750 * time.Second)}, 0, now).renewAt)
			longRenewals = append(longRenewals, newEntry(&Token{AccessToken: "at", Expiry: now.time.Add(time.Hour)}, 0, now).renewAt)
		}
		for _, tt := range []struct {
			got         []time.Duration
			least, most time.Duration
		}{{waits, 50 * time.Millisecond, 100 * time.Millisecond}, {renewals, 525 * time.Second, 600 * time.Second}, {longRenewals, 49 * time.Minute, 55 * time.Minute}} {
			low, high := tt.got[0], tt.got[0]
			for _, d := range tt.got {
				low, high = min(low, d), max(high, d)
			}
			require.GreaterOrEqual(t, low, tt.least)
			require.LessOrEqual(t, high, tt.most)
			require.Greater(t, high-low, (tt.most-tt.least)/10*8)
		}
	})
}

// A lifetime counts from before the request, however slow the response is.
func TestCacheLifeCountsFromTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{delay: 20 * time.Second, respond: func(n int, _ url.Values) (*http.Response, error) { return grants(n, "750"), nil }}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		access(t, c)
		require.LessOrEqual(t, c.entry.renewAt, 600*time.Second)
		require.Equal(t, 740*time.Second, c.entry.replaceAt)
		require.Equal(t, 750*time.Second, c.entry.endAt)
	})
}

// If the server revokes the old token with each refresh, callers during a renewal get the new one.
func TestCacheInvalidateDuringARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		var valid atomic.Value
		valid.Store("")
		s.respond = func(n int, _ url.Values) (*http.Response, error) {
			resp := grants(n, "10")
			valid.Store("at-" + string(rune('0'+n%10)))
			_ = sleep(context.Background(), 200*time.Millisecond) // the new token is valid before it arrives
			return resp, nil
		}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		var refused atomic.Int32
		api := roundTrip(func(req *http.Request) (*http.Response, error) {
			status := 200
			if token := req.Header.Get("Authorization"); token[len(token)-1] != valid.Load().(string)[3] {
				status = 401
			}
			resp := newResponse(status, "{}")
			resp.Request = req
			return resp, nil
		})
		transport, err := NewTransport(c, "https://api.example.com", api)
		require.NoError(t, err)
		var wg sync.WaitGroup
		end := time.Now().Add(150 * time.Second)
		for range 20 {
			wg.Go(func() {
				for time.Now().Before(end) {
					req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/x", nil)
					resp, err := transport.RoundTrip(req)
					if assert.NoError(t, err) && resp.StatusCode == http.StatusUnauthorized {
						refused.Add(1)
					}
					pass(50 * time.Millisecond)
				}
			})
		}
		wg.Wait()
		require.NoError(t, c.Close(t.Context())) // a renewal may be in flight
		require.Zero(t, refused.Load())
		require.LessOrEqual(t, s.count(), 25)
	})
}

// If a fetch is in flight, a rejected token is dropped whatever its history, because that costs no request.
func TestCacheInvalidateCostsNothingDuringAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) { return grants(n, "10"), nil }}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		first, err := c.Token(t.Context())
		require.NoError(t, err)
		c.Invalidate(first)
		second, err := c.Token(t.Context())
		require.NoError(t, err)
		pass(8 * time.Second)
		s.delayBy(time.Second)
		require.Equal(t, "at-2", access(t, c))
		synctest.Wait()
		c.Invalidate(second)
		require.Equal(t, "at-3", access(t, c))
		require.Equal(t, 3, s.count())
	})
}

// Only a 401 that caused the fetch of a token counts as part of its history, not the rejection of another token.
func TestCacheInvalidateByTheTokensOwnHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		invalidate := func() {
			token, err := c.Token(t.Context())
			require.NoError(t, err)
			c.Invalidate(token)
		}
		invalidate() // at-1, fetched for another reason
		invalidate() // at-2, fetched because of a 401: it stays
		require.Equal(t, "at-2", access(t, c))
		require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set", Expiry: time.Now().Add(time.Hour)}))
		invalidate()
		require.Equal(t, "at-3", access(t, c), "a token from Set is dropped at once")
		pass(rejectedAgainAfter)
		invalidate()
		require.Equal(t, "at-4", access(t, c))
		require.EqualValues(t, 3, c.Stats().Invalidations)
		pass(57 * time.Minute)
		access(t, c)
		synctest.Wait()
		require.Equal(t, "at-5", access(t, c), "renewed because it was due")
		invalidate()
		require.Equal(t, "at-6", access(t, c))
	})
}
