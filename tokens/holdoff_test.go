package tokens

import (
	"context"
	"errors"
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

func unreachable(int, url.Values) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
}

// A thousand Caches of an Endpoint that is down send as many requests as one.
func TestHoldOffIsSharedByTheCachesOfAnEndpoint(t *testing.T) {
	for _, tt := range []struct {
		name    string
		respond func(int, url.Values) (*http.Response, error)
		retry   Retry
		most    int // maximum number of requests in a minute
	}{
		{"invalid_client", refuses(401, "invalid_client"), onlyOnce, 12},
		{"unauthorized_client", refuses(400, "unauthorized_client"), onlyOnce, 12},
		{"503", refuses(503, ""), onlyOnce, 12},
		{"503, each fetch tried three times", refuses(503, ""), Retry{}, 36},
		{"500", refuses(500, ""), onlyOnce, 12},
		{"429 with Retry-After", refuses(429, "", "Retry-After", "20"), onlyOnce, 3},
		{"no connection", unreachable, onlyOnce, 12},
		{"no connection, each fetch tried three times", unreachable, Retry{}, 36},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{respond: tt.respond}
				e := stubEndpoint(t, s, tt.retry)
				var caches []*Cache
				for range 1000 {
					caches = append(caches, newCache(t, e, &CacheOptions{Grant: ping}))
				}
				for range 60 {
					for _, c := range caches {
						_, err := c.Token(t.Context())
						require.ErrorIs(t, err, ErrNoToken)
					}
					pass(time.Second)
				}
				t.Logf("%d requests for %d calls", s.count(), 60*len(caches))
				require.LessOrEqual(t, s.count(), tt.most)
				require.GreaterOrEqual(t, s.count(), 3, "one tries again")

				s.set(nil)
				pass(maxBackOff)
				for _, c := range caches {
					_, err := c.Token(t.Context())
					require.NoError(t, err, "the first success ends the hold-off for all")
				}
			})
		})
	}
}

// While one Cache probes, the others send nothing.
func TestHoldOffLetsOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: refuses(503, "")}
		e := stubEndpoint(t, s, onlyOnce)
		failing, waiting := newCache(t, e, &CacheOptions{Grant: ping}), newCache(t, e, &CacheOptions{Grant: ping})
		_, err := failing.Token(t.Context())
		require.Error(t, err)
		pass(firstBackOff)
		s.delayBy(time.Second)
		s.set(nil)
		var wg sync.WaitGroup
		wg.Go(func() { assert.Equal(t, "at-2", access(t, failing)) })
		synctest.Wait()
		_, err = waiting.Token(t.Context())
		requireStatus(t, 503, err)
		wg.Wait()
		require.Equal(t, "at-3", access(t, waiting))
	})
}

// Failures that concern only one Cache do not hold off the others.
func TestHoldOffIsNotForOneCachesOwnFailures(t *testing.T) {
	for name, respond := range map[string]func(int, url.Values) (*http.Response, error){
		"invalid_grant":   refuses(400, "invalid_grant"),
		"invalid_scope":   refuses(400, "invalid_scope"),
		"401 for a grant": refuses(401, "invalid_grant"),
		"lost":            lose,
		"unreadable":      func(int, url.Values) (*http.Response, error) { return newResponse(200, "{"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{respond: respond}
				e := stubEndpoint(t, s, onlyOnce)
				one, other := newCache(t, e, &CacheOptions{Grant: ping}), newCache(t, e, &CacheOptions{Grant: ping})
				_, err := one.Token(t.Context())
				require.Error(t, err)
				s.set(nil)
				require.Equal(t, "at-2", access(t, other))
			})
		})
	}
}

// A Cache whose requests fail again and again does not delay the others after one of them succeeds.
func TestHoldOffEndsWithAnySuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: func(n int, form url.Values) (*http.Response, error) {
			if form.Get("scope") == "/poison" {
				return newResponse(500, ""), nil
			}
			return grants(n, "1"), nil
		}}
		e := stubEndpoint(t, s, onlyOnce)
		poison := newCache(t, e, &CacheOptions{Grant: Grant{Scopes: []string{"/poison"}}})
		good := newCache(t, e, &CacheOptions{Grant: ping})
		failures := 0
		for n := range 1200 {
			_, err := poison.Token(t.Context())
			require.Error(t, err)
			if _, err = good.Token(t.Context()); err != nil && n >= 600 {
				failures++
			}
			pass(100 * time.Millisecond)
		}
		require.Less(t, failures, 10, "in the second minute")
	})
}

// A thousand simultaneous failures count as one, not as a thousand consecutive ones.
func TestHoldOffCountsAHerdOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: refuses(503, ""), delay: time.Second}
		e := stubEndpoint(t, s, onlyOnce)
		var wg sync.WaitGroup
		for range 1000 {
			c := newCache(t, e, &CacheOptions{Grant: ping})
			wg.Go(func() {
				_, err := c.Token(t.Context())
				assert.Error(t, err)
			})
		}
		wg.Wait()
		s.set(nil)
		pass(firstBackOff)
		require.Equal(t, "at-1001", access(t, newCache(t, e, &CacheOptions{Grant: ping})))
	})
}

// The shared error does not contain one server response's body.
func TestHoldOffSharesNoBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := stubEndpoint(t, &tokenServer{respond: func(int, url.Values) (*http.Response, error) {
			return newResponse(503, `{"error":"x","detail":"of one login"}`), nil
		}}, onlyOnce)
		own, other := newCache(t, e, &CacheOptions{Grant: ping}), newCache(t, e, &CacheOptions{Grant: ping})
		_, err := own.Token(t.Context())
		found, _ := errors.AsType[*Error](err)
		require.NotEmpty(t, found.Body)
		_, err = other.Token(t.Context())
		found, _ = errors.AsType[*Error](err)
		require.Empty(t, found.Body)
		require.Equal(t, 503, found.StatusCode)
	})
}

// If another request succeeds during a probe that sends nothing, the Endpoint is not held off.
func TestHoldOffIgnoresAProbeAfterASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) {
			if n == 2 {
				return newResponse(503, ""), nil
			}
			pass(time.Second)
			return grants(n, "3600"), nil
		}}
		e := stubEndpoint(t, s, onlyOnce)
		release := make(chan struct{})
		asked := 0
		probe := newCache(t, e, &CacheOptions{GrantFunc: func(context.Context) (Grant, error) {
			if asked++; asked == 1 {
				return ping, nil
			}
			<-release
			return Grant{}, errors.New("no grant")
		}})
		slow, other := newCache(t, e, &CacheOptions{Grant: ping}), newCache(t, e, &CacheOptions{Grant: ping})
		var wg sync.WaitGroup
		wg.Go(func() { assert.Equal(t, "at-1", access(t, slow)) })
		synctest.Wait()
		_, err := probe.Token(t.Context())
		requireStatus(t, 503, err)
		pass(firstBackOff)
		wg.Go(func() {
			_, err := probe.Token(t.Context())
			assert.ErrorContains(t, err, "no grant")
		})
		pass(time.Second) // slow has its token
		close(release)
		wg.Wait()
		require.Equal(t, "at-3", access(t, other))
	})
}

// A failure that arrives after the Endpoint has recovered holds it off anew, whenever its request was sent.
func TestHoldOffBeginsWithALateFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) {
			switch n {
			case 1:
				pass(2 * time.Second)
				return newResponse(503, "", "Retry-After", "60"), nil
			case 2:
				return newResponse(503, ""), nil
			}
			return grants(n, "3600"), nil
		}}
		e := stubEndpoint(t, s, onlyOnce)
		slow, failing, other := newCache(t, e, &CacheOptions{Grant: ping}), newCache(t, e, &CacheOptions{Grant: ping}), newCache(t, e, &CacheOptions{Grant: ping})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := slow.Token(t.Context())
			assert.ErrorIs(t, err, ErrNoToken)
		})
		synctest.Wait()
		_, err := failing.Token(t.Context())
		requireStatus(t, 503, err)
		pass(time.Second)
		require.Equal(t, "at-3", access(t, failing), "it has recovered")
		wg.Wait()
		_, err = other.Token(t.Context())
		requireStatus(t, 503, err)
		require.Equal(t, 3, s.count())
	})
}

// Of several failures of one time, the longest Retry-After counts.
func TestHoldOffObeysTheLongestHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) {
			pass(time.Duration(n) * time.Second)
			return newResponse(503, "", "Retry-After", []string{"10", "60", "20"}[n-1]), nil
		}}
		e := stubEndpoint(t, s, onlyOnce)
		var wg sync.WaitGroup
		for range 3 {
			c := newCache(t, e, &CacheOptions{Grant: ping})
			wg.Go(func() {
				_, err := c.Token(t.Context())
				assert.ErrorIs(t, err, ErrNoToken)
			})
		}
		wg.Wait() // 3 s
		s.set(nil)
		other := newCache(t, e, &CacheOptions{Grant: ping})
		pass(59*time.Second - 1)
		_, err := other.Token(t.Context())
		requireStatus(t, 503, err)
		pass(1)
		require.Equal(t, "at-4", access(t, other))
	})
}

// Any response but a shared failure shows that the server works again; no response shows nothing.
func TestHoldOffAfterAProbe(t *testing.T) {
	for name, tt := range map[string]struct {
		respond func(int, url.Values) (*http.Response, error)
		ends    bool
	}{"a response": {refuses(400, "invalid_scope"), true}, "no response": {lose, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{respond: refuses(503, "")}
				e := stubEndpoint(t, s, onlyOnce)
				failing, probe, other := newCache(t, e, &CacheOptions{Grant: ping}), newCache(t, e, &CacheOptions{Grant: ping}), newCache(t, e, &CacheOptions{Grant: ping})
				_, err := failing.Token(t.Context())
				requireStatus(t, 503, err)
				pass(firstBackOff)
				s.set(tt.respond)
				_, err = probe.Token(t.Context())
				require.ErrorIs(t, err, ErrNoToken)
				s.set(nil)
				_, err = other.Token(t.Context())
				require.Equal(t, tt.ends, err == nil)
			})
		})
	}
}

// A probe that fails before its request is sent does not end the hold-off.
func TestHoldOffOutlivesAProbeThatSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: refuses(503, "")}
		e := stubEndpoint(t, s, onlyOnce)
		broken := newCache(t, e, &CacheOptions{GrantFunc: func(context.Context) (Grant, error) { return Grant{}, errors.New("no grant") }})
		failing, other := newCache(t, e, &CacheOptions{Grant: ping}), newCache(t, e, &CacheOptions{Grant: ping})
		_, err := failing.Token(t.Context())
		requireStatus(t, 503, err)
		pass(firstBackOff)
		_, err = broken.Token(t.Context())
		require.ErrorContains(t, err, "no grant")
		_, err = other.Token(t.Context())
		requireStatus(t, 503, err)
		require.Equal(t, 1, s.count())
	})
}

// The Cache whose request failed last does not probe before another one that waits, because its login may be the cause.
func TestHoldOffLetsAnotherCacheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: refuses(503, "", "Retry-After", "10")}
		e := stubEndpoint(t, s, onlyOnce)
		failed, other := newCache(t, e, &CacheOptions{Grant: ping}), newCache(t, e, &CacheOptions{Grant: ping})
		_, err := failed.Token(t.Context())
		requireStatus(t, 503, err)
		pass(10 * time.Second)
		_, err = failed.Token(t.Context())
		requireStatus(t, 503, err)
		require.Equal(t, 2, s.count(), "nobody else waits")

		_, err = other.Token(t.Context())
		requireStatus(t, 503, err)
		pass(10 * time.Second)
		_, err = failed.Token(t.Context())
		requireStatus(t, 503, err)
		require.Equal(t, 2, s.count())
		s.set(nil)
		access(t, other)
		require.Equal(t, 3, s.count())
		access(t, failed)
	})
}

// A probe that never returns does not hold off the Endpoint for ever.
func TestHoldOffOutlivesAStuckProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: refuses(503, "")}
		e := stubEndpoint(t, s, onlyOnce)
		release := make(chan struct{})
		stuck, other := newCache(t, e, &CacheOptions{Grant: ping}), newCache(t, e, &CacheOptions{Grant: ping})
		_, err := stuck.Token(t.Context())
		require.Error(t, err)
		s.set(func(n int, _ url.Values) (*http.Response, error) {
			if n == 2 {
				<-release
			}
			return grants(n, "3600"), nil
		})
		pass(firstBackOff)
		_, err = stuck.Token(t.Context())
		require.ErrorIs(t, err, ErrNoToken)
		pass(firstBackOff)
		require.Equal(t, "at-3", access(t, other))
		close(release)
	})
}
