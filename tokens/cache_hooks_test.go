package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errDiskFull = errors.New("disk full")

// If a hook ignores its context, callers wait at most one minute, and no second hook runs at the same time.
func TestCacheAbandonsAHook(t *testing.T) {
	for _, where := range []string{"credentials", "GrantFunc", "OnToken", "transport"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				running, most := 0, 0
				var mu sync.Mutex
				hook := func(at string) {
					if at != where {
						return
					}
					mu.Lock()
					running++
					most = max(most, running)
					mu.Unlock()
					<-release
					mu.Lock()
					defer mu.Unlock()
					running--
				}
				s := &tokenServer{}
				s.respond = func(n int, _ url.Values) (*http.Response, error) { hook("transport"); return grants(n, "3600"), nil }
				creds := CredentialsFunc(func(context.Context) (Credentials, error) { hook("credentials"); return testCredentials, nil })
				e, err := NewMoov(creds, &MoovOptions{HTTPClient: &http.Client{Transport: s}})
				require.NoError(t, err)
				c := newCache(t, e, &CacheOptions{
					GrantFunc:   func(context.Context) (Grant, error) { hook("GrantFunc"); return ping, nil },
					OnToken:     func(context.Context, *Token) error { hook("OnToken"); return nil },
					HoldUnsaved: true,
				})
				for range 3 {
					start := time.Now()
					var wg sync.WaitGroup
					for range 10 {
						wg.Go(func() {
							_, err := c.Token(t.Context())
							assert.ErrorIs(t, err, context.DeadlineExceeded)
							assert.ErrorIs(t, err, ErrNoToken)
						})
					}
					wg.Wait()
					require.Equal(t, time.Minute, time.Since(start))
					pass(time.Second)
				}
				short, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				close(release)
				synctest.Wait()
				require.Equal(t, 1, most)
				require.Equal(t, "at-1", access(t, c), "its late result counts")
				require.Equal(t, 1, s.count())
				stats := c.Stats()
				require.EqualValues(t, 1, stats.Fetches)
				require.LessOrEqual(t, stats.Failures, stats.Fetches, "those that never began did not fail")
				require.NoError(t, c.Close(short))
			})
		})
	}
}

// Callers that wait behind an abandoned fetch get its token when it finishes.
func TestCacheWaitsForAnAbandonedFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) {
			<-release
			return grants(n, "3600"), nil
		}}
		c := login(t, s, CacheOptions{})
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		pass(time.Second)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { assert.Equal(t, "at-1", access(t, c)) })
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		require.NoError(t, c.Close(t.Context()))
		require.Equal(t, []string{"rt-0"}, s.presented())
		require.EqualValues(t, 1, c.Stats().Fetches)
	})
}

// If an abandoned fetch ends without a token, it does not count as another failure: a fetch that waits behind it sends
// its request at once.
func TestCacheFetchesAfterAnAbandonedFetchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		asked := 0
		c := newCache(t, stubEndpoint(t, &tokenServer{}, onlyOnce), &CacheOptions{GrantFunc: func(context.Context) (Grant, error) {
			if asked++; asked == 1 {
				<-release
				return Grant{}, errors.New("too late")
			}
			return ping, nil
		}})
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		pass(time.Second)
		var wg sync.WaitGroup
		wg.Go(func() { assert.Equal(t, "at-1", access(t, c)) })
		pass(time.Second)
		close(release)
		wg.Wait()
		require.EqualValues(t, 1, c.Stats().Failures)
	})
}

// A fetch that waited behind an abandoned one sends nothing if the server has meanwhile asked to wait.
func TestCacheWaitsAsAnAbandonedFetchLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &tokenServer{respond: func(n int, form url.Values) (*http.Response, error) {
			if n == 1 {
				<-release
				return refuses(400, "invalid_scope")(n, form)
			}
			return grants(n, "3600"), nil
		}}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		pass(time.Second)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Token(t.Context())
			assert.ErrorIs(t, err, InvalidScope)
		})
		pass(time.Second)
		close(release)
		wg.Wait()
		pass(permanentWait - 1)
		_, err = c.Token(t.Context())
		require.ErrorIs(t, err, InvalidScope)
		require.Equal(t, 1, c.failures, "the fetch that sent nothing did not fail")
		pass(1)
		require.Equal(t, "at-2", access(t, c))
	})
}

// An abandoned fetch whose OnToken returns after all sends nothing.
func TestCacheSendsNothingForAnAbandonedFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		release := make(chan struct{})
		stored, asked := 0, 0
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{
			GrantFunc: func(context.Context) (Grant, error) { asked++; return ping, nil },
			OnToken: func(context.Context, *Token) error {
				if stored++; stored > 1 {
					<-release
				}
				return errDiskFull
			},
		})
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		c.Invalidate(token)
		pass(time.Second)
		_, err = c.Token(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		pass(time.Second)
		close(release)
		synctest.Wait()
		require.Equal(t, 1, asked)
		require.EqualValues(t, 1, c.Stats().Fetches)
	})
}

// While OnToken hangs, a token that is not held back is returned.
func TestCacheServesWhileOnTokenHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := newCache(t, stubEndpoint(t, &tokenServer{}, onlyOnce), &CacheOptions{Grant: ping, OnToken: func(context.Context, *Token) error { <-release; return nil }})
		start := time.Now()
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, time.Minute, time.Since(start))
		c.Invalidate(token)
		close(release)
		synctest.Wait()
		require.Equal(t, "at-2", access(t, c), "a token that was rejected meanwhile is not used again")
	})
}

// A hook that calls its own Cache gets an error at once, and the other callers get their token.
func TestCacheHooksThatCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *Cache
		var inner, closing error
		var before *Token
		c = newCache(t, stubEndpoint(t, &tokenServer{}, onlyOnce), &CacheOptions{Grant: ping, OnToken: func(ctx context.Context, _ *Token) error {
			before, inner = c.Token(ctx)
			closing = c.Close(ctx)
			return nil
		}})
		start := time.Now()
		require.Equal(t, "at-1", access(t, c))
		require.Zero(t, time.Since(start))
		require.EqualError(t, inner, "no access token: tokens: Moov: a hook must not ask its own Cache for a token")
		require.EqualError(t, closing, "tokens: Moov: a hook must not close its own Cache")
		pass(57 * time.Minute)
		access(t, c)
		synctest.Wait()
		require.NoError(t, inner)
		require.Equal(t, "at-1", before.AccessToken, "a hook gets a token that has not expired")
	})
}

// Whatever a hook calls on its own Cache, with whatever context, delays callers by at most a minute, and the next caller
// gets a token.
func TestCacheHooksThatCallAnything(t *testing.T) {
	methods := []struct {
		name  string
		waits bool // with a context that is not the hook's
		call  func(context.Context, *Cache) error
	}{
		{"Token", true, func(ctx context.Context, c *Cache) error { _, err := c.Token(ctx); return err }},
		{"TokenFor", true, func(ctx context.Context, c *Cache) error { _, err := c.TokenFor(ctx, time.Minute); return err }},
		{"Set", false, func(ctx context.Context, c *Cache) error { return c.Set(ctx, nil) }},
		{"Revoke", false, func(ctx context.Context, c *Cache) error { return c.Revoke(ctx) }},
	}
	for _, where := range []string{"credentials", "GrantFunc", "OnToken", "transport"} {
		for _, method := range methods {
			for _, own := range []bool{true, false} {
				t.Run(fmt.Sprint(method.name, " in ", where, ", own context ", own), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						var c *Cache
						var called atomic.Bool
						hook := func(ctx context.Context, at string) {
							if at != where || called.Swap(true) {
								return
							}
							if !own {
								ctx = context.Background()
							}
							err := method.call(ctx, c)
							switch {
							case !method.waits:
								assert.NoError(t, err)
							case own:
								assert.ErrorContains(t, err, "a hook must not ask its own Cache for a token")
							}
						}
						s := &tokenServer{}
						base := roundTrip(func(req *http.Request) (*http.Response, error) {
							hook(req.Context(), "transport")
							return s.RoundTrip(req)
						})
						creds := CredentialsFunc(func(ctx context.Context) (Credentials, error) {
							hook(ctx, "credentials")
							return testCredentials, nil
						})
						e, err := NewMoov(creds, &MoovOptions{HTTPClient: &http.Client{Transport: base}, Retry: onlyOnce})
						require.NoError(t, err)
						c = newCache(t, e, &CacheOptions{
							GrantFunc: func(ctx context.Context) (Grant, error) { hook(ctx, "GrantFunc"); return ping, nil },
							OnToken:   func(ctx context.Context, _ *Token) error { hook(ctx, "OnToken"); return nil },
						})
						begin := time.Now()
						_, err = c.Token(t.Context())
						require.True(t, called.Load())
						if method.waits && !own {
							require.LessOrEqual(t, time.Since(begin), time.Minute)
						} else {
							require.NoError(t, err)
							require.Zero(t, time.Since(begin))
						}
						pass(time.Minute)
						begin = time.Now()
						access(t, c)
						require.Zero(t, time.Since(begin))
						require.NoError(t, c.Close(t.Context()))
					})
				})
			}
		}
	}
}

// A token that the API rejects is replaced, and is still saved even if OnToken failed before.
func TestCacheReplacesARejectedTokenThatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		fail := errDiskFull
		var stored []string
		c := login(t, s, CacheOptions{OnToken: func(_ context.Context, token *Token) error {
			if fail == nil {
				stored = append(stored, token.RefreshToken)
			}
			return fail
		}})
		for n := range 50 {
			token, err := c.Token(t.Context())
			require.NoError(t, err)
			c.Invalidate(token)
			next, err := c.Token(t.Context())
			require.NoError(t, err)
			require.NotEqual(t, token.AccessToken, next.AccessToken, "%d", n)
			pass(time.Minute)
		}
		require.Equal(t, 51, s.count())
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		synctest.Wait() // OnToken has failed once more
		pass(maxBackOff)
		c.Invalidate(token)
		fail = nil
		s.set(refuses(503, ""))
		_, err = c.Token(t.Context())
		require.Error(t, err)
		require.Equal(t, []string{"rt-51"}, stored, "the refresh token of a rejected access token must not be lost")
	})
}

// An unsaved token does not affect when the endpoint is called.
func TestCacheBacksOffThoughATokenIsUnsaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := login(t, s, CacheOptions{OnToken: func(context.Context, *Token) error { return errDiskFull }})
		access(t, c)
		pass(2 * time.Hour)
		s.set(refuses(503, "", "Retry-After", "100"))
		for range 1000 {
			_, err := c.Token(t.Context())
			require.Error(t, err)
		}
		require.Equal(t, 2, s.count())
		pass(100 * time.Second)
		s.set(refuses(400, "invalid_grant"))
		for range 24 {
			_, err := c.Token(t.Context())
			require.ErrorIs(t, err, ErrLoginRequired)
			pass(time.Hour)
		}
		require.Equal(t, 3, s.count(), "invalid_grant is final")
	})
}

// A refresh token that was lost and is not saved either is presented no more often: not while the access token lives,
// and then at most once a minute.
func TestCacheLostRefreshWhileATokenIsUnsaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		var saves atomic.Int32
		c := login(t, s, CacheOptions{OnToken: func(context.Context, *Token) error { saves.Add(1); return errDiskFull }})
		access(t, c)
		s.set(lose)
		pass(57 * time.Minute)
		for range 160 {
			require.Equal(t, "at-1", access(t, c))
			pass(time.Second)
		}
		require.Equal(t, 2, s.count())
		pass(time.Minute)
		before := saves.Load()
		for minute := range 10 {
			for range 60 {
				_, err := c.Token(t.Context())
				require.ErrorIs(t, err, ErrNoToken)
				require.NotErrorIs(t, err, ErrLoginRequired)
				require.Equal(t, minute+3, s.count())
				pass(time.Second)
			}
		}
		require.Equal(t, "rt-1", s.presented()[11])
		require.Greater(t, saves.Load(), before, "OnToken is still called")
		s.set(nil)
		require.Equal(t, "at-13", access(t, c))
	})
}

func TestCacheHoldsUnsavedTokensBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		fail := errDiskFull
		var calls []time.Time
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping, HoldUnsaved: true, OnToken: func(context.Context, *Token) error {
			calls = append(calls, time.Now())
			return fail
		}})
		bound := firstBackOff
		for range 12 {
			token, err := c.Token(t.Context())
			require.ErrorIs(t, err, errDiskFull)
			require.ErrorIs(t, err, ErrNoToken)
			require.Nil(t, token)
			require.ErrorIs(t, c.Stats().LastError, errDiskFull)
			before := len(calls)
			pass(bound/2 - 1)
			_, err = c.Token(t.Context())
			require.Error(t, err)
			require.Len(t, calls, before, "from memory")
			pass(bound/2 + 2)
			bound = min(2*bound, maxBackOff)
		}
		fail = nil
		require.Equal(t, "at-1", access(t, c))
		require.Equal(t, 1, s.count())

		// If a renewed token cannot be saved, the previous one stays in use.
		fail = errDiskFull
		pass(56*time.Minute + 30*time.Second - time.Since(calls[0]))
		require.Equal(t, "at-1", access(t, c))
		synctest.Wait()
		for range 100 {
			require.Equal(t, "at-1", access(t, c))
			pass(time.Second)
		}
		synctest.Wait()
		require.Equal(t, 2, s.count())
		fail = nil
		pass(maxBackOff)
		require.Equal(t, "at-1", access(t, c))
		synctest.Wait()
		require.Equal(t, "at-2", access(t, c))
	})
}

// OnToken is not called again for a caller that has left.
func TestCacheSavesNothingForAnEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := newCache(t, stubEndpoint(t, &tokenServer{}, onlyOnce), &CacheOptions{Grant: ping, HoldUnsaved: true, OnToken: func(context.Context, *Token) error {
			calls++
			return errDiskFull
		}})
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, errDiskFull)
		pass(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = c.Token(ctx)
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		require.Equal(t, 1, calls)
	})
}

// The waits between the attempts to save a token begin anew with each token.
func TestCacheSavesEachTokenSoonAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		saves := map[string][]time.Time{}
		s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) { return grants(n, "600"), nil }}
		c := login(t, s, CacheOptions{OnToken: func(_ context.Context, token *Token) error {
			saves[token.AccessToken] = append(saves[token.AccessToken], time.Now())
			return errDiskFull
		}})
		for begin := time.Now(); time.Since(begin) < 25*time.Minute; pass(firstBackOff) {
			access(t, c)
		}
		require.Greater(t, len(saves), 2)
		for token, times := range saves {
			require.Greater(t, len(times), 10, token)
			require.LessOrEqual(t, times[1].Sub(times[0]), 2*firstBackOff, token)
		}
	})
}

// Set without a refresh token ends the holding back: a token given to Set that the API rejects is not used again once
// OnToken has saved its refresh token.
func TestCacheSetEndsTheHoldingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := errDiskFull
		c := login(t, &tokenServer{}, CacheOptions{HoldUnsaved: true, OnToken: func(context.Context, *Token) error { return fail }})
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, errDiskFull)
		set := &Token{AccessToken: "set", Expiry: time.Now().Add(time.Hour)}
		require.NoError(t, c.Set(t.Context(), set))
		require.Equal(t, "set", access(t, c))
		fail = nil
		pass(time.Second)
		c.Invalidate(set)
		require.Equal(t, "at-2", access(t, c))
	})
}

// A hook has half of the time of a fetch to save a token, so that another token can still be fetched.
func TestCacheFetchesAfterAnOnTokenThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := newCache(t, stubEndpoint(t, &tokenServer{}, onlyOnce), &CacheOptions{Grant: ping, OnToken: func(ctx context.Context, _ *Token) error {
			switch calls++; calls {
			case 1:
				return errDiskFull
			case 2:
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}})
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		c.Invalidate(token)
		pass(time.Second)
		begin := time.Now()
		require.Equal(t, "at-2", access(t, c))
		require.Equal(t, fetchTimeout/2, time.Since(begin))
	})
}

// A token that expires while it is held back is replaced.
func TestCacheReplacesAHeldTokenThatExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) { return grants(n, "60"), nil }}
		fail := errDiskFull
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping, HoldUnsaved: true, OnToken: func(context.Context, *Token) error { return fail }})
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, errDiskFull)
		pass(2 * time.Minute)
		_, err = c.Token(t.Context())
		require.ErrorIs(t, err, errDiskFull)
		pass(58 * time.Second)
		fail = nil
		require.Equal(t, "at-3", access(t, c), "so is one that is about to expire")
	})
}

func TestCacheCloseStoresWhatIsUnsaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := errDiskFull
		var stored []string
		c := login(t, &tokenServer{}, CacheOptions{OnToken: func(_ context.Context, token *Token) error {
			if fail == nil {
				stored = append(stored, token.RefreshToken)
			}
			return fail
		}})
		access(t, c)
		err := c.Close(t.Context())
		require.ErrorIs(t, err, errDiskFull)
		require.EqualError(t, err, "tokens: Moov: a token is not stored: tokens: Moov: OnToken: disk full")
		fail = nil
		require.NoError(t, c.Close(t.Context()))
		require.Equal(t, []string{"rt-1"}, stored)
		require.NoError(t, c.Close(t.Context()))
		require.Len(t, stored, 1)
	})
	t.Run("once, even if a fetch was about to try it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			calls := 0
			s := &tokenServer{respond: func(n int, _ url.Values) (*http.Response, error) {
				if n > 1 {
					<-release
					return newResponse(503, ""), nil
				}
				return grants(n, "3600"), nil
			}}
			c := login(t, s, CacheOptions{OnToken: func(context.Context, *Token) error { calls++; return errDiskFull }})
			token, err := c.Token(t.Context())
			require.NoError(t, err)
			c.Invalidate(token)
			pass(time.Second)
			_, err = c.Token(t.Context())
			require.ErrorIs(t, err, context.DeadlineExceeded, "it is abandoned")
			pass(maxBackOff)
			go func() { _, _ = c.Token(t.Context()) }() // waits behind it
			synctest.Wait()
			before := calls
			go func() {
				pass(time.Second)
				close(release)
			}()
			require.ErrorIs(t, c.Close(t.Context()), errDiskFull)
			require.Equal(t, before+1, calls)
			require.NotErrorIs(t, c.Stats().LastError, ErrClosed, "no fetch has failed because of Close")
		})
	})
	t.Run("a hook that hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			calls := 0
			c := login(t, &tokenServer{}, CacheOptions{OnToken: func(context.Context, *Token) error {
				if calls++; calls == 2 {
					<-release
				}
				return errDiskFull
			}})
			access(t, c)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := c.Close(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "a token is not stored")
			close(release)
			require.ErrorIs(t, c.Close(t.Context()), errDiskFull)
			require.Equal(t, 3, calls)
		})
	})
}

// If OnToken panics, the token counts as unsaved, and is still returned.
func TestCacheOnTokenThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		calls := 0
		c := login(t, &tokenServer{}, CacheOptions{Logger: slog.New(slog.NewTextHandler(&log, nil)), OnToken: func(_ context.Context, token *Token) error {
			if calls++; calls < 3 {
				panic("CANARY " + token.AccessToken)
			}
			return nil
		}})
		require.Equal(t, "at-1", access(t, c))
		require.ErrorContains(t, c.Stats().LastError, "OnToken: panic: string")
		for range 2 {
			pass(time.Second)
			require.Equal(t, "at-1", access(t, c))
			synctest.Wait()
		}
		require.Equal(t, 3, calls)
		require.NoError(t, c.Close(t.Context()))
		require.Contains(t, log.String(), "panic in OnToken")
		require.NotContains(t, log.String(), "CANARY")
		require.NotContains(t, log.String(), "at-1")
	})
}

// A Revoke while OnToken is called again prevents the fetch that would have followed.
func TestCacheRevokeDuringOnToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		calls := 0
		var log strings.Builder
		c := login(t, s, CacheOptions{Logger: slog.New(slog.NewTextHandler(&log, nil)), OnToken: func(ctx context.Context, _ *Token) error {
			if calls++; calls == 2 {
				return sleep(ctx, time.Second)
			}
			return errDiskFull
		}})
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		pass(time.Second)
		c.Invalidate(token)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Token(t.Context())
			assert.ErrorIs(t, err, ErrLoginRequired)
		})
		synctest.Wait()
		require.NoError(t, c.Revoke(t.Context()))
		wg.Wait()
		require.NoError(t, c.Close(t.Context()))
		require.Equal(t, []string{"rt-0"}, s.presented(), "a revoked refresh token is not presented")
		require.Equal(t, 2, calls)
		require.Equal(t, 1, strings.Count(log.String(), "could not save"), "of the call that failed before")
	})
}

// An unsaved refresh token is saved even if Set brings a token without one, and together with that token.
func TestCacheStoresARefreshTokenAfterSet(t *testing.T) {
	for _, hold := range []bool{false, true} {
		for _, set := range []*Token{nil, {AccessToken: "set"}} {
			synctest.Test(t, func(t *testing.T) {
				fail := errDiskFull
				var stored []string
				c := login(t, &tokenServer{}, CacheOptions{HoldUnsaved: hold, OnToken: func(_ context.Context, token *Token) error {
					if fail == nil {
						stored = append(stored, token.AccessToken+" "+token.RefreshToken)
					}
					return fail
				}})
				_, _ = c.Token(t.Context())
				require.NoError(t, c.Set(t.Context(), set))
				fail = nil
				if set == nil {
					require.NoError(t, c.Close(t.Context()))
					require.Equal(t, []string{"at-1 rt-1"}, stored)
					return
				}
				require.Equal(t, "set", access(t, c), "it is returned at once")
				require.NoError(t, c.Close(t.Context()))
				require.Equal(t, []string{"set rt-1"}, stored)
			})
		}
	}
}

// Calls of OnToken do not overlap, and the last one has the newest token.
func TestCacheCallsOnTokenOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running := 0
		store := ""
		c := login(t, &tokenServer{}, CacheOptions{OnToken: func(ctx context.Context, token *Token) error {
			running++
			assert.Equal(t, 1, running)
			err := sleep(ctx, 10*time.Second)
			running--
			store = token.RefreshToken
			return err
		}})
		go func() { _, _ = c.Token(t.Context()) }()
		synctest.Wait()
		require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set", RefreshToken: "rt-9", Expiry: time.Now().Add(time.Second)}))
		store = "rt-9"
		pass(time.Second)
		require.Equal(t, "at-2", access(t, c))
		require.Equal(t, "rt-2", store)
	})
}

// A log handler that panics or blocks for ever affects neither tokens nor the process.
func TestCacheSurvivesItsLogHandler(t *testing.T) {
	for _, handler := range []slog.Handler{brokenHandler{}, brokenHandler{enabled: true}} {
		synctest.Test(t, func(t *testing.T) {
			s := &tokenServer{respond: refuses(503, "")}
			e := stubEndpoint(t, s, Retry{Initial: time.Millisecond})
			c := newCache(t, e, &CacheOptions{Grant: ping, Logger: slog.New(handler)})
			_, err := c.Token(t.Context())
			requireStatus(t, 503, err)
			require.Equal(t, 3, s.count(), "logging a retry does not prevent it")
			s.set(nil)
			pass(firstBackOff)
			token, err := c.Token(t.Context())
			require.NoError(t, err)
			c.Invalidate(token)
			access(t, c)
			require.NoError(t, c.Close(t.Context()))
		})
	}
}

// A brokenHandler panics in each method except, if enabled is set, in Enabled.
type brokenHandler struct{ enabled bool }

func (h brokenHandler) Enabled(context.Context, slog.Level) bool {
	if !h.enabled {
		panic("a log handler")
	}
	return true
}
func (brokenHandler) Handle(context.Context, slog.Record) error { panic("a log handler") }
func (h brokenHandler) WithAttrs([]slog.Attr) slog.Handler      { panic("a log handler") }
func (h brokenHandler) WithGroup(string) slog.Handler           { panic("a log handler") }

// Log lines say whose token it is, and even a handler that does not resolve LogValuers sees no token.
func TestCacheLogsNoTokens(t *testing.T) {
	var log strings.Builder
	c := newCache(t, stubEndpoint(t, &tokenServer{}, onlyOnce), &CacheOptions{
		Grant: ping, Logger: slog.New(plainHandler{&log}), OnToken: func(context.Context, *Token) error { return nil },
	})
	access(t, c)
	require.NoError(t, c.Close(t.Context()))
	require.Contains(t, log.String(), "got a token")
	require.Contains(t, log.String(), "vendor=Moov client=efa1f375")
	require.NotContains(t, log.String(), "could not save")
	require.NotContains(t, log.String(), "at-1")
	require.NotContains(t, log.String(), "rt-1")
}

// If the client id changes, log lines name the new one.
func TestCacheLogsTheClientOfNow(t *testing.T) {
	var log strings.Builder
	asked := 0
	creds := CredentialsFunc(func(context.Context) (Credentials, error) {
		asked++
		return Credentials{fmt.Sprintf("client-%d", asked), "secret"}, nil
	})
	e, err := NewMoov(creds, &MoovOptions{HTTPClient: &http.Client{Transport: &tokenServer{}}})
	require.NoError(t, err)
	c := newCache(t, e, &CacheOptions{Grant: ping, Logger: slog.New(plainHandler{&log})})
	access(t, c)
	require.NoError(t, c.waitForQuiet(t.Context())) // it has logged that
	require.NoError(t, c.Set(t.Context(), nil))
	access(t, c)
	require.NoError(t, c.Close(t.Context()))
	lines := strings.Split(log.String(), "got a token")
	require.Len(t, lines, 3)
	require.Contains(t, lines[1], "client="+shortHash("client-1"))
	require.Contains(t, lines[2], "client="+shortHash("client-2"))
}

// plainHandler prints the fields of its arguments, without using LogValuer or Formatter.
type plainHandler struct{ out *strings.Builder }

func (h plainHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h plainHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h plainHandler) WithGroup(string) slog.Handler            { return h }
func (h plainHandler) Handle(_ context.Context, r slog.Record) error {
	h.out.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if token, ok := a.Value.Any().(*Token); ok {
			h.out.WriteString(token.AccessToken)
		}
		h.out.WriteString(" " + a.Key + "=" + a.Value.String())
		return true
	})
	return nil
}

func TestCacheGrantFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		var grant Grant
		var fail error
		calls := 0
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{GrantFunc: func(context.Context) (Grant, error) {
			calls++
			return grant, fail
		}})
		grant = Grant{Scopes: []string{"/one"}}
		access(t, c)
		grant = Grant{Scopes: []string{"/two"}}
		pass(time.Hour)
		access(t, c)
		require.Equal(t, "/one", s.requests[0].Get("scope"))
		require.Equal(t, "/two", s.requests[1].Get("scope"))

		fail = &Error{Method: "GET", URL: "https://vault.example.com", StatusCode: 401, Code: InvalidClient}
		pass(time.Hour)
		_, err := c.Token(t.Context())
		require.ErrorContains(t, err, "tokens: Moov: GrantFunc: GET https://vault.example.com: 401")
		require.Equal(t, "at-3", access(t, newCache(t, c.endpoint, &CacheOptions{Grant: ping})), "other Caches do not wait")
		grant = Grant{RefreshToken: "rt"}
		pass(time.Hour)
		_, err = c.Token(t.Context())
		require.ErrorIs(t, err, fail, "which tells more than the grant that came with it")
		fail = nil
		pass(time.Minute)
		grant = ping
		access(t, c)

		grant = Grant{RefreshToken: "rt"}
		pass(time.Hour)
		_, err = c.Token(t.Context())
		require.ErrorContains(t, err, "tokens: Moov: GrantFunc: it returned a RefreshToken or a Code; set Session to keep a user's login")
		grant = Grant{Code: &AuthorizationCode{Code: "c"}}
		pass(time.Hour)
		_, err = c.Token(t.Context())
		require.ErrorContains(t, err, "tokens: Moov: GrantFunc: it returned a RefreshToken or a Code; set Session to keep a user's login")
		require.Equal(t, 7, calls)
	})
}

func TestCacheSharesNothingWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		grant := Grant{Scopes: []string{"/a"}, Params: url.Values{"resource": {"https://a"}}}
		initial := &Token{AccessToken: "initial", Scopes: []string{"/a"}, Extra: map[string]json.RawMessage{"k": json.RawMessage(`"v"`)}}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: grant, Initial: initial, OnToken: func(_ context.Context, token *Token) error {
			token.Scopes[0] = "/changed"
			return nil
		}})
		grant.Scopes[0], grant.Params["resource"][0] = "/b", "https://b"
		initial.Scopes[0], initial.Extra["k"][1] = "/b", 'w'
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"/a"}, token.Scopes)
		require.Equal(t, `"v"`, string(token.Extra["k"]))
		c.Invalidate(token)
		token, err = c.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "/a", s.requests[0].Get("scope"))
		require.Equal(t, "https://a", s.requests[0].Get("resource"))
		require.Equal(t, []string{"/a"}, token.Scopes, "OnToken gets a copy")
	})
}

// A refresh token that arrives after Set does not change the Token that callers already have.
func TestCacheNeverWritesIntoATokenThatCallersHold(t *testing.T) {
	s := &tokenServer{}
	calls := 0
	c := login(t, s, CacheOptions{OnToken: func(context.Context, *Token) error {
		if calls++; calls == 1 {
			return errDiskFull
		}
		return nil
	}})
	token, err := c.Token(t.Context())
	require.NoError(t, err)
	copied := *token
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = token.RefreshToken
			}
		}
	})
	c.Invalidate(token)
	access(t, c)
	require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set"}))
	access(t, c)
	close(done)
	wg.Wait()
	require.Equal(t, copied, *token)
}
