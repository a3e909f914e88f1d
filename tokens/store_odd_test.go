package tokens_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Incorrect Stores, and correct ones under bad conditions. Whatever a Store does, a Cache neither hangs nor calls it in
// an endless loop.

// An oddStore is a Store with replaceable methods.
type oddStore struct {
	tokens.Store

	load func(ctx context.Context, key string) (tokens.Record, error)
	swap func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error

	mu    sync.Mutex
	calls int
}

// count fails every call after the thousandth: a Cache that calls without a pause would never let time pass.
func (s *oddStore) count() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.calls > 1000 {
		return errors.New("called too often")
	}
	return nil
}

func (s *oddStore) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func (s *oddStore) Load(ctx context.Context, key string) (tokens.Record, error) {
	if err := s.count(); err != nil {
		return tokens.Record{}, err
	}
	if s.load != nil {
		return s.load(ctx, key)
	}
	return s.Store.Load(ctx, key)
}

func (s *oddStore) CompareAndSwap(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
	if err := s.count(); err != nil {
		return err
	}
	if s.swap != nil {
		return s.swap(ctx, key, old, next, ttl)
	}
	return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
}

func (f *fleetServer) oddCache(t *testing.T, s *oddStore, opts tokens.CacheOptions) *tokens.Cache {
	t.Helper()
	if s.Store == nil {
		s.Store = tokens.NewMemoryStore()
	}
	return newCache(t, f.endpoint(t), s, opts)
}

func newCache(t *testing.T, e *tokens.Endpoint, s tokens.Store, opts tokens.CacheOptions) *tokens.Cache {
	t.Helper()
	opts.Store = s
	c, err := tokens.NewCache(e, &opts)
	require.NoError(t, err)
	return c
}

func TestStoresThatNeverAgree(t *testing.T) {
	for name, broken := range map[string]func(*oddStore){
		"it keeps nothing": func(s *oddStore) {
			s.load = func(context.Context, string) (tokens.Record, error) { return tokens.Record{}, nil }
			s.swap = func(context.Context, string, string, tokens.Record, time.Duration) error { return nil }
		},
		"each swap is a conflict": func(s *oddStore) {
			s.swap = func(context.Context, string, string, tokens.Record, time.Duration) error {
				return fmt.Errorf("odd: %w", tokens.ErrConflict)
			}
		},
		"loads show nothing": func(s *oddStore) {
			s.load = func(context.Context, string) (tokens.Record, error) { return tokens.Record{}, nil }
		},
		"loads show a version of their own": func(s *oddStore) {
			s.load = func(ctx context.Context, key string) (tokens.Record, error) {
				r, err := s.Store.Load(ctx, key)
				if r.Version != "" {
					r.Version = "1" + r.Version[1:] + "1"
				}
				return r, err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, s := newFleet(), &oddStore{}
				broken(s)
				app := f.oddCache(t, s, tokens.CacheOptions{})
				for range 120 {
					assert.Equal(t, "access-1", mustToken(t, app), "an application fetches without the Store")
					pass(time.Second)
				}
				assert.LessOrEqual(t, s.total(), 1000)
				require.NoError(t, app.Close(t.Context()))

				f, s = newFleet(), &oddStore{}
				broken(s)
				user := f.oddCache(t, s, user(&tokens.Token{RefreshToken: "refresh-0"}))
				for range 20 {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					if _, err := user.Token(ctx); err != nil {
						assert.ErrorIs(t, err, tokens.ErrStore, "the error is ErrStore")
					}
					cancel()
					pass(time.Second)
				}
				assert.LessOrEqual(t, s.total(), 200, "a look every five seconds, each with at most ten swaps")
				for _, form := range f.requests {
					assert.NotEqual(t, "client_credentials", form.Get("grant_type"))
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				if err := user.Set(ctx, login()); err != nil {
					assert.ErrorIs(t, err, tokens.ErrStore)
					assert.NoError(t, ctx.Err(), "Set gives up before its context ends")
				}
				assert.Less(t, s.total(), 500, "after at most a hundred conflicts")
				ended, cancelled := context.WithCancel(t.Context())
				cancelled()
				_ = user.Close(ended)
				pass(time.Minute)
			})
		})
	}
}

// If a Store writes but reports a conflict, nobody waits for a hold, and nothing is presented twice.
func TestConflictAlthoughWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{}
		s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
			_ = s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			return tokens.ErrConflict
		}
		begin := time.Now()
		app := f.oddCache(t, s, tokens.CacheOptions{})
		assert.Equal(t, "access-1", mustToken(t, app))
		assert.Less(t, time.Since(begin), 2*time.Second)
		user := f.oddCache(t, s, user(nil))
		require.NoError(t, user.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-0"}))
		assert.Equal(t, "access-2", mustToken(t, user))
		assert.Less(t, time.Since(begin), 2*time.Second)
		assert.Equal(t, 2, f.sent())
		closeAll(t, app, user)
	})
}

// A record whose order would overflow was not written by this package.
func TestRecordsOutOfRangeAreLeftAlone(t *testing.T) {
	for _, order := range []string{
		`"epoch":9223372036854775807,"gen":1`, `"epoch":1,"gen":9223372036854775807`, `"epoch":-5,"gen":0`, `"epoch":1,"gen":-1`, `"epoch":1e300,"gen":0`,
	} {
		synctest.Test(t, func(t *testing.T) {
			f, s := newFleet(), &oddStore{}
			value := []byte(`{"format":1,` + order + `,"token":{"access_token":"theirs","refresh_token":"r","expiry":"2100-01-01T00:00:00Z"}}`)
			s.load = func(context.Context, string) (tokens.Record, error) {
				return tokens.Record{Version: "1", Value: value}, nil
			}
			s.swap = func(context.Context, string, string, tokens.Record, time.Duration) error {
				t.Error("written over", order)
				return nil
			}
			c := f.oddCache(t, s, user(nil))
			_, err := c.Token(t.Context())
			require.ErrorIs(t, err, tokens.ErrStore, order)
			err = c.Set(t.Context(), login())
			require.ErrorContains(t, err, "not one of this package", order)
			closeAll(t, c)
		})
	}
}

// Set and Revoke return soon after their context ends, even if the Store hangs, and the Cache works again once the
// Store does.
func TestSetWithAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{}
		hang := make(chan struct{})
		s.load = func(ctx context.Context, key string) (tokens.Record, error) {
			<-hang
			return s.Store.Load(ctx, key)
		}
		c := f.oddCache(t, s, user(nil))
		for _, change := range []func(context.Context) error{
			func(ctx context.Context) error { return c.Set(ctx, login()) },
			c.Revoke,
		} {
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			err := change(ctx)
			cancel()
			require.ErrorIs(t, err, tokens.ErrStore)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.LessOrEqual(t, time.Since(begin), 12*time.Second)
		}
		close(hang)
		pass(time.Minute)
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		require.NoError(t, c.Set(t.Context(), login()))
		assert.Equal(t, "access-0", mustToken(t, c))
		closeAll(t, c)
	})
}

// Set fails if its context ended, whether the Store was called then or the next try was due.
func TestSetWhoseContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{}
		s.swap = func(ctx context.Context, _, _ string, _ tokens.Record, _ time.Duration) error {
			<-ctx.Done()
			pass(500 * time.Millisecond)
			return errors.New("interrupted")
		}
		c := f.oddCache(t, s, user(nil))
		set := func(patience time.Duration) (calls int) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			calls = s.total()
			err := c.Set(ctx, login())
			require.ErrorIs(t, err, tokens.ErrStore)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			return s.total() - calls
		}
		assert.Equal(t, 2, set(time.Second))
		s.load = func(context.Context, string) (tokens.Record, error) { return tokens.Record{}, errors.New("down") }
		assert.Equal(t, 1, set(10*time.Millisecond))
		s.load, s.swap = nil, nil
		closeAll(t, c)
	})
}

// What cannot be written as JSON is not stored, and Set says so.
func TestSetOfATokenThatIsNoJSON(t *testing.T) {
	for want, token := range map[string]*tokens.Token{
		"year outside of range":  {AccessToken: "given", Expiry: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"unexpected end of JSON": {AccessToken: "given", RefreshToken: "refresh", Extra: map[string]json.RawMessage{"id": json.RawMessage("{")}},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet()
			c := f.cache(t, user(nil))
			err := c.Set(t.Context(), token)
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, "the token is not in the Store")
			assert.Zero(t, f.swaps)
			closeAll(t, c)
		})
	}
}

// Close during a Load that fails does not make an application fetch a token without the Store.
func TestCloseWhileTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{}
		s.load = func(context.Context, string) (tokens.Record, error) {
			pass(2 * time.Second)
			return tokens.Record{}, errors.New("down")
		}
		c := f.oddCache(t, s, tokens.CacheOptions{})
		got := make(chan error, 1)
		go func() {
			_, err := c.Token(t.Context())
			got <- err
		}()
		pass(time.Second)
		closeAll(t, c)
		require.ErrorIs(t, <-got, tokens.ErrClosed)
		assert.Zero(t, f.sent())
	})
}

// Close of an application's Cache does not wait until a token is in the Store that nobody gets any more.
func TestCloseOfAnAppWithAnUnstoredToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{}
		f.respond = func(url.Values) (int, string, http.Header) {
			s.load = func(ctx context.Context, _ string) (tokens.Record, error) {
				<-ctx.Done()
				return tokens.Record{}, ctx.Err()
			}
			s.swap = swapsThat["hang"]
			return 200, `{"access_token":"access-1","token_type":"Bearer","expires_in":10}`, nil
		}
		c := f.oddCache(t, s, tokens.CacheOptions{})
		go func() { _, _ = c.Token(t.Context()) }()
		pass(time.Second)
		closeAll(t, c)
		calls := s.total()
		pass(time.Minute)
		assert.Equal(t, calls, s.total())
		assert.Equal(t, 1+2+2*2, s.total(), "the first look, and three tries to write the token")
	})
}

// If a Store panics during a swap, the outcome is unknown, as after any other error.
func TestSwapsThatPanic(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for _, written := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f, s := newFleet(), &oddStore{}
				swaps := 0
				s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
					if swaps++; swaps == n {
						if written {
							_ = s.Store.CompareAndSwap(ctx, key, old, next, ttl)
						}
						panic("canary-secret")
					}
					return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
				}
				c := f.oddCache(t, s, user(&tokens.Token{RefreshToken: "refresh-0"}))
				assert.Equal(t, "access-1", mustToken(t, c), "swap %d", n)
				require.NoError(t, c.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-10"}))
				assert.Equal(t, "access-2", mustToken(t, c), "swap %d", n)
				assert.Equal(t, 2, f.sent())
				closeAll(t, c)
			})
		}
	}
}

// swapsThat are ways in which a Store that can be read fails to write.
var swapsThat = map[string]func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error{
	"fail": func(context.Context, string, string, tokens.Record, time.Duration) error {
		return errors.New("no space left")
	},
	"hang": func(ctx context.Context, _, _ string, _ tokens.Record, _ time.Duration) error {
		<-ctx.Done()
		return fmt.Errorf("no space left: %w", ctx.Err())
	},
}

// If a Store can be read but not written, callers soon learn the Store's own error. An application fetches without it.
func TestStoresThatCannotBeWritten(t *testing.T) {
	for name, swap := range swapsThat {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, s := newFleet(), &oddStore{swap: swap}
				begin := time.Now()
				app := f.oddCache(t, s, tokens.CacheOptions{})
				assert.Equal(t, "access-1", mustToken(t, app))
				assert.Less(t, time.Since(begin), 10*time.Second)

				begin = time.Now()
				user := f.oddCache(t, s, user(&tokens.Token{RefreshToken: "refresh-0"}))
				_, err := user.Token(t.Context())
				require.ErrorIs(t, err, tokens.ErrStore)
				require.ErrorContains(t, err, "no space left")
				assert.Less(t, time.Since(begin), 10*time.Second)

				s.swap = nil
				pass(time.Minute)
				assert.Equal(t, "access-2", mustToken(t, user))
				closeAll(t, app, user)
			})
		})
	}
}

// An application does not go on without the Store before three swaps have failed.
func TestTwoSwapsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{Store: tokens.NewMemoryStore()}
		swaps := 0
		s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
			if swaps++; swaps <= 2 {
				return errors.New("down")
			}
			return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
		}
		a, b := f.oddCache(t, s, tokens.CacheOptions{}), newCache(t, f.endpoint(t), s.Store, tokens.CacheOptions{})
		assert.Equal(t, "access-1", mustToken(t, a))
		assert.Equal(t, "access-1", mustToken(t, b))
		closeAll(t, a, b)
	})
}

// A process that cannot write to the Store needs only to read it while another one fetches.
func TestSwapsThatFailWhileAnotherProcessFetches(t *testing.T) {
	for name, swap := range swapsThat {
		t.Run(name, func(t *testing.T) {
			testScene(t, func(t *testing.T, s *scene) {
				a, la := s.process(user(due()))
				la.swapped = func(n int) error {
					if n == 2 { // its attempt; the first swap writes the login
						pass(45 * time.Second)
					}
					return nil
				}
				go func() { _, _ = a.Token(context.Background()) }()
				pass(time.Second)
				b := newCache(t, s.endpoint(), &oddStore{Store: s.stored(), swap: swap}, user(nil))
				assert.Equal(t, "access-1", mustToken(t, b))
				assert.Equal(t, 1, s.presented("refresh-0"))
				s.end(a, b)
			})
		})
	}
}

type panickingContext struct{ context.Context }

func (panickingContext) Done() <-chan struct{} { panic("not a context") }

// A caller whose context panics stops waiting for the look like any other.
func TestContextThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		opts := user(&tokens.Token{RefreshToken: "refresh-0"})
		opts.SeedDelay = time.Hour
		c := f.cache(t, opts)
		assert.Panics(t, func() { _, _ = c.Token(panickingContext{t.Context()}) })
		pass(5 * time.Second)
		calls := f.calls()
		pass(time.Minute)
		assert.Equal(t, calls, f.calls(), "the look ends, because nobody waits for it")
		closeAll(t, c)
	})
}

// The client id is read on first use, which may be concurrent calls of Token, Set and Revoke.
func TestFirstUseByManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		endpoint, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.CredentialsFunc(func(context.Context) (tokens.Credentials, error) {
			pass(time.Millisecond)
			return tokens.Credentials{ClientID: "id", ClientSecret: "client-secret"}, nil
		}), &tokens.EndpointOptions{HTTPClient: &http.Client{Transport: f}, RevocationURL: "https://auth.example.com/revoke"})
		require.NoError(t, err)
		c := newCache(t, endpoint, f, user(nil))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { _, _ = c.Token(t.Context()) })
			wg.Go(func() { _ = c.Set(t.Context(), login()) })
			wg.Go(func() { _ = c.Revoke(t.Context()) })
		}
		wg.Wait()
		require.NoError(t, c.Set(t.Context(), login()))
		assert.Equal(t, "access-0", mustToken(t, c))
		closeAll(t, c)
	})
}

// The credentials are read for the client id once, not with each look.
func TestClientIDIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, reads := newFleet(), 0
		endpoint, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.CredentialsFunc(func(context.Context) (tokens.Credentials, error) {
			reads++
			return tokens.Credentials{ClientID: "id", ClientSecret: "client-secret"}, nil
		}), &tokens.EndpointOptions{HTTPClient: &http.Client{Transport: f}})
		require.NoError(t, err)
		c := newCache(t, endpoint, f, user(login()))
		for range 10 {
			mustToken(t, c)
			pass(time.Minute)
		}
		require.NoError(t, c.Set(t.Context(), login()))
		assert.Greater(t, f.loads, 10)
		assert.Equal(t, 1, reads)
		closeAll(t, c)
	})
}

// A process that was outrun many times goes by what the one that outran it has written.
func TestManyConflictsBeforeTheRecordSettles(t *testing.T) {
	for name, settle := range map[string]func(t *testing.T, a *tokens.Cache){
		"another fetches": func(t *testing.T, a *tokens.Cache) {
			go func() { _, _ = a.Token(t.Context()) }()
			pass(time.Second)
		},
		"another logs out": func(t *testing.T, a *tokens.Cache) { assert.NoError(t, a.Revoke(t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			testScene(t, func(t *testing.T, s *scene) {
				a, _ := s.process(user(due()))
				b, conflicts := &oddStore{Store: s.stored()}, 0
				s.set(2*time.Second, false)
				b.swap = func(context.Context, string, string, tokens.Record, time.Duration) error {
					if conflicts++; conflicts == 10 {
						settle(t, a)
					}
					return tokens.ErrConflict
				}
				c := newCache(t, s.endpoint(), b, user(nil))
				require.NoError(t, a.Set(t.Context(), due()))
				if name == "another fetches" {
					assert.Equal(t, "access-1", mustToken(t, c))
				} else {
					_, err := c.Token(t.Context())
					require.ErrorIs(t, err, tokens.ErrLoginRequired)
				}
				s.end(a, c)
			})
		})
	}
}

// A slow Load and a long wait at the Limiter do not add up to a look that hangs.
func TestSlowStoreAndLongRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{Store: tokens.NewMemoryStore()}
		endpoint := f.endpoint(t)
		f.closeLimiter(t, endpoint, 60)
		s.load = func(ctx context.Context, key string) (tokens.Record, error) {
			pass(10 * time.Second)
			return s.Store.Load(context.WithoutCancel(ctx), key)
		}
		c := newCache(t, endpoint, s, tokens.CacheOptions{})
		assert.Equal(t, "access-1", mustToken(t, c))
		closeAll(t, c)
	})
}

// Set is tried three times, unless a later Set or Revoke has begun.
func TestSetIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{}
		s.load = func(ctx context.Context, key string) (tokens.Record, error) {
			if s.total() < 3 {
				return tokens.Record{}, errors.New("down")
			}
			return s.Store.Load(ctx, key)
		}
		c := f.oddCache(t, s, user(nil))
		require.NoError(t, c.Set(t.Context(), login()))

		first := make(chan error, 1)
		s.load = func(ctx context.Context, key string) (tokens.Record, error) {
			r, err := s.Store.Load(ctx, key)
			pass(time.Second)
			return r, err
		}
		go func() {
			first <- c.Set(t.Context(), &tokens.Token{AccessToken: "first", RefreshToken: "refresh-first", Expiry: time.Now().Add(time.Hour)})
		}()
		pass(500 * time.Millisecond)
		require.NoError(t, c.Set(t.Context(), &tokens.Token{AccessToken: "second", RefreshToken: "refresh-second", Expiry: time.Now().Add(time.Hour)}))
		require.ErrorContains(t, <-first, "a later Set or Revoke took its place")
		s.load = nil
		assert.Equal(t, "second", mustToken(t, c))
		closeAll(t, c)
	})
}

// While a process waits for its turn at the Limiter, it does not keep others from fetching.
func TestTurnAtTheLimiterComesBeforeTheSwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		endpoint := f.endpoint(t)
		a, b := newCache(t, endpoint, f, tokens.CacheOptions{}), f.cache(t, tokens.CacheOptions{})
		f.closeLimiter(t, endpoint, 30)
		got := make(chan string, 1)
		go func() { got <- tokenOf(t, a) }()
		pass(10 * time.Second)
		assert.Zero(t, f.swaps, "there is no attempt yet")
		begin := time.Now()
		assert.Equal(t, "access-1", mustToken(t, b))
		assert.Less(t, time.Since(begin), time.Second)
		assert.Equal(t, "access-1", <-got, "the decision is made again after the wait")
		assert.Equal(t, 1, f.tokenRequests())
		closeAll(t, a, b)
	})
}

// If the swap of an attempt seemed to fail but succeeded, the process continues it only after its turn at the Limiter:
// by then another process may have replaced it.
func TestTurnAtTheLimiterComesBeforeAnAttemptIsContinued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{Store: tokens.NewMemoryStore()}
		endpoint, a := f.withUnknownAttempt(t, s)
		f.closeLimiter(t, endpoint, 50)
		b := newCache(t, f.endpoint(t), s.Store, user(nil))
		pass(6 * time.Second)
		got := make(chan string, 1)
		go func() { got <- tokenOf(t, a) }()
		pass(5 * time.Second)
		require.NoError(t, b.Set(t.Context(), login()), "somebody logs in meanwhile")
		assert.Equal(t, "access-0", <-got)
		assert.Zero(t, f.tokenRequests(), "the old refresh token is not presented")
		closeAll(t, a, b)
	})
}

// If there is no turn at the Limiter for an attempt that the process finds to be its own, the attempt fails without a
// request, and other processes see that.
func TestNoTurnAtTheLimiterForAnAttemptThatIsContinued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{Store: tokens.NewMemoryStore()}
		endpoint, a := f.withUnknownAttempt(t, s)
		f.closeLimiter(t, endpoint, 100)
		pass(6 * time.Second)
		first := true
		s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
			if first { // the failure is written with the second swap
				first = false
				return errors.New("down")
			}
			return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
		}
		_, err := a.Token(t.Context())
		require.ErrorContains(t, err, "waiting for the rate limit would take longer")
		assert.Zero(t, f.tokenRequests())
		assert.Zero(t, a.Stats().Failures, "what was not sent is not counted")
		b := newCache(t, f.endpoint(t), s.Store, user(nil))
		_, err = b.Token(t.Context())
		require.ErrorContains(t, err, "the last request for a token failed")
		assert.Equal(t, "access-1", ask(t, b, 2*time.Minute), "once the limit is over")
		assert.Equal(t, "access-1", ask(t, a, time.Second))
		closeAll(t, a, b)
	})
}

func unavailable(url.Values) (int, string, http.Header) {
	return http.StatusServiceUnavailable, "", http.Header{"Retry-After": {"20"}}
}

// If the Endpoint must not be asked when a process finds an attempt to be its own, the attempt fails without a request,
// and other processes wait as well.
func TestAnAttemptIsNotContinuedWhileTheEndpointIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{Store: tokens.NewMemoryStore()}
		endpoint, a := f.withUnknownAttempt(t, s)
		pass(6 * time.Second)
		f.respond = unavailable
		app := newCache(t, endpoint, tokens.NewMemoryStore(), tokens.CacheOptions{})
		_, err := app.Token(t.Context())
		require.Error(t, err)
		f.respond = nil
		b := newCache(t, f.endpoint(t), s.Store, user(nil))
		for _, c := range []*tokens.Cache{a, b} {
			_, err := c.Token(t.Context())
			require.ErrorContains(t, err, "503 Service Unavailable")
		}
		pass(time.Second)
		_, err = b.Token(t.Context())
		require.ErrorContains(t, err, "the last request for a token failed")
		assert.Equal(t, 1, f.tokenRequests(), "that of the other login")
		assert.Equal(t, "access-1", ask(t, b, time.Minute))
		closeAll(t, a, b, app)
	})
}

// What an attempt that is continued finds out about the Endpoint holds for its other Caches too.
func TestContinuedAttemptHoldsOffTheEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{Store: tokens.NewMemoryStore()}
		endpoint, a := f.withUnknownAttempt(t, s)
		pass(6 * time.Second)
		f.respond = unavailable
		_, err := a.Token(t.Context())
		require.ErrorContains(t, err, "503 Service Unavailable")
		app := newCache(t, endpoint, tokens.NewMemoryStore(), tokens.CacheOptions{})
		_, err = app.Token(t.Context())
		require.ErrorContains(t, err, "503 Service Unavailable")
		assert.Equal(t, 1, f.tokenRequests())
		closeAll(t, a, app)
	})
}

// refused returns an Endpoint that is held off since the server refused its client, and the Cache that found that out.
func (f *fleetServer) refused(t *testing.T) (*tokens.Endpoint, *tokens.Cache) {
	t.Helper()
	endpoint := f.endpoint(t)
	f.respond = func(url.Values) (int, string, http.Header) {
		return http.StatusUnauthorized, `{"error":"invalid_client"}`, nil
	}
	first := newCache(t, endpoint, tokens.NewMemoryStore(), tokens.CacheOptions{})
	_, err := first.Token(t.Context())
	require.ErrorIs(t, err, tokens.InvalidClient)
	return endpoint, first
}

// A probe that sent nothing, since its swap failed, does not show that the server is back.
func TestHoldOffStaysAfterASwapThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{Store: tokens.NewMemoryStore()}
		endpoint, first := f.refused(t)
		sent := f.sent()
		pass(time.Minute)
		var failed atomic.Bool
		s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
			if old != "" { // that of the attempt; the first one stores the login
				failed.Store(true)
				return errors.New("down")
			}
			return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
		}
		probe := newCache(t, endpoint, s, user(due()))
		ctx, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		_, err := probe.Token(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, failed.Load())
		last := newCache(t, endpoint, tokens.NewMemoryStore(), tokens.CacheOptions{})
		_, err = last.Token(t.Context())
		require.ErrorIs(t, err, tokens.InvalidClient)
		assert.Equal(t, sent, f.sent())
		closeAll(t, probe)
		pass(time.Minute)
		_, err = last.Token(t.Context())
		require.ErrorIs(t, err, tokens.InvalidClient)
		assert.Equal(t, sent+1, f.sent(), "it is the next probe")
		closeAll(t, first, last)
	})
}

// A probe that ended with runtime.Goexit does not show that the server is back, and lets others probe. Later, its Cache
// needs another permission.
func TestHoldOffStaysAfterAProbeThatExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{Store: tokens.NewMemoryStore()}
		endpoint, first := f.refused(t)
		pass(time.Minute)
		s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
			err := s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			if old != "" { // that of the attempt; the first one stores the login
				s.swap = nil
				runtime.Goexit()
			}
			return err
		}
		probe := newCache(t, endpoint, s, user(due()))
		_, err := probe.Token(t.Context())
		require.ErrorContains(t, err, "a hook called runtime.Goexit")
		last := newCache(t, endpoint, tokens.NewMemoryStore(), tokens.CacheOptions{})
		refused := func(c *tokens.Cache) (requests int) {
			t.Helper()
			before := f.sent()
			_, err = c.Token(t.Context())
			require.ErrorIs(t, err, tokens.InvalidClient)
			return f.sent() - before
		}
		assert.Zero(t, refused(last))
		pass(time.Minute)
		assert.Equal(t, 1, refused(last), "it is the next probe")
		assert.Zero(t, refused(probe))
		closeAll(t, first, probe, last)
	})
}

// A swap of an attempt may fail and take effect seconds later. The process then finds the attempt to be its own,
// although it has tried another swap meanwhile.
func TestSwapsThatTakeEffectLate(t *testing.T) {
	for name, opts := range map[string]tokens.CacheOptions{"app": {}, "login": user(due())} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, s := newFleet(), &oddStore{}
				attempts, late := 0, func() {}
				s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
					swap := func() error {
						return s.Store.CompareAndSwap(context.WithoutCancel(ctx), key, old, next, ttl)
					}
					if bytes.Contains(next.Value, []byte(`"state":"working"`)) {
						if attempts++; attempts == 1 {
							late = func() { assert.NoError(t, swap()) }
							return errors.New("the connection broke")
						}
						late()
						late = func() {}
					}
					return swap()
				}
				c := f.oddCache(t, s, opts)
				begin := time.Now()
				assert.Equal(t, "access-1", mustToken(t, c))
				assert.Less(t, time.Since(begin), 8*time.Second, "it does not wait for its own hold")
				assert.Equal(t, 1, f.sent())
				closeAll(t, c)
			})
		})
	}
}

// A look that sends no request after all gives its turn at the Limiter back.
func TestTurnAtTheLimiterIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		endpoint := f.endpoint(t)
		for range 2 { // after the second refusal, one request is sent at a time
			f.closeLimiter(t, endpoint, 5)
			pass(6 * time.Second)
		}
		a, b := newCache(t, endpoint, tokens.NewMemoryStore(), tokens.CacheOptions{}), newCache(t, endpoint, tokens.NewMemoryStore(), tokens.CacheOptions{})
		f.respond = func(url.Values) (int, string, http.Header) { return http.StatusServiceUnavailable, "", nil }
		for _, c := range []*tokens.Cache{a, b} { // b sends nothing, because the server was down just now
			_, err := c.Token(t.Context())
			require.ErrorContains(t, err, "503 Service Unavailable")
		}
		assert.Equal(t, 1, f.tokenRequests())
		f.respond = nil
		pass(time.Second)
		begin := time.Now()
		mustToken(t, a)
		mustToken(t, b)
		assert.Less(t, time.Since(begin), time.Second)
		closeAll(t, a, b)
	})
}

// A look that finds another process's attempt after it waited for its turn does not keep the turn while it polls.
func TestTurnAtTheLimiterIsFreeWhileALookPolls(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		limiter := new(tokens.Limiter)
		endpoint := endpointOver(t, s, limiter)
		a := newCache(t, endpoint, s.stored(), tokens.CacheOptions{})
		b, _ := s.process(tokens.CacheOptions{})
		s.closeLimiter(t, endpoint, 5)
		got := make(chan string, 2)
		go func() { got <- tokenOf(t, a) }()
		pass(time.Second)
		s.set(8*time.Second, false)
		go func() { got <- tokenOf(t, b) }()
		pass(6 * time.Second)
		assert.EqualValues(t, 1, limiter.Stats().Refused)
		assert.Zero(t, limiter.Stats().InFlight)
		assert.Equal(t, "access-1", <-got)
		assert.Equal(t, "access-1", <-got)
		s.end(a, b)
	})
}

// Each request takes its own turn at the Limiter before its attempt, also if it is the second one of a look.
func TestTurnAtTheLimiterIsForOneRequest(t *testing.T) {
	testScene(t, func(t *testing.T, s *scene) {
		endpoint := s.endpoint()
		a := newCache(t, endpoint, s.stored(), tokens.CacheOptions{})
		b, _ := s.process(tokens.CacheOptions{})
		s.set(5*time.Second, false)
		got := make(chan string, 1)
		go func() { got <- tokenOf(t, a) }()
		pass(time.Second)
		s.set(0, false)
		require.NoError(t, b.Set(t.Context(), nil), "so that the token of the first request is dropped")
		s.closeLimiter(t, endpoint, 30)
		pass(9 * time.Second)
		begin := time.Now()
		assert.Equal(t, "access-2", mustToken(t, b))
		assert.Less(t, time.Since(begin), time.Second)
		assert.Equal(t, "access-2", <-got)
		assert.Equal(t, 2, s.tokenRequests())
		s.end(a, b)
	})
}

// A token is in the Store before OnToken and the callers get it, even if the Store fails twice.
func TestTokensAreInTheStoreBeforeTheyAreUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{Store: tokens.NewMemoryStore()}
		tries, stored := 0, false
		s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
			if !bytes.Contains(next.Value, []byte("access-1")) {
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
			if tries++; tries < 3 {
				return errors.New("down")
			}
			stored = true
			return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
		}
		opts := user(due())
		opts.OnToken = func(context.Context, *tokens.Token) error {
			assert.True(t, stored)
			return nil
		}
		c := f.oddCache(t, s, opts)
		assert.Equal(t, "access-1", mustToken(t, c))
		assert.Equal(t, 3, tries)
		closeAll(t, c)
	})
}

// The turn at the Limiter is kept if the outcome of the swap is unknown: waiting for another one would use up the
// attempt's hold.
func TestTurnAtTheLimiterIsKeptAfterAnUnknownSwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{}
		endpoint := f.endpoint(t)
		first := true
		s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
			err := s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			if first {
				first = false
				f.closeLimiter(t, endpoint, 30)
				return errors.New("the connection broke")
			}
			return err
		}
		s.Store = tokens.NewMemoryStore()
		a, b := newCache(t, endpoint, s, tokens.CacheOptions{}), newCache(t, f.endpoint(t), s.Store, tokens.CacheOptions{})
		got := make(chan string, 1)
		go func() { got <- tokenOf(t, a) }()
		synctest.Wait()
		pass(100 * time.Millisecond)
		begin := time.Now()
		assert.Equal(t, "access-1", mustToken(t, b))
		assert.Less(t, time.Since(begin), time.Second)
		assert.Equal(t, "access-1", <-got)
		assert.Equal(t, 1, f.tokenRequests())
		closeAll(t, a, b)
	})
}

// A fetch without the Store uses the turn at the Limiter that its process holds already, since there may be only one.
func TestTurnAtTheLimiterIsUsedWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFleet(), &oddStore{Store: tokens.NewMemoryStore(), swap: swapsThat["fail"]}
		endpoint := f.endpoint(t)
		for range 2 { // after the second refusal, one request is sent at a time
			f.closeLimiter(t, endpoint, 5)
			pass(6 * time.Second)
		}
		begin := time.Now()
		c := newCache(t, endpoint, s, tokens.CacheOptions{})
		assert.Equal(t, "access-1", mustToken(t, c))
		assert.Less(t, time.Since(begin), time.Second)
		closeAll(t, c)
	})
}

// withUnknownAttempt returns a Cache whose attempt is in s, which failed just then, so that the Cache does not know. Now s
// works again.
func (f *fleetServer) withUnknownAttempt(t *testing.T, s *oddStore) (*tokens.Endpoint, *tokens.Cache) {
	t.Helper()
	swaps := 0
	s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
		err := s.Store.CompareAndSwap(ctx, key, old, next, ttl)
		if swaps++; swaps == 2 { // its attempt; the first swap writes the login
			s.load = func(context.Context, string) (tokens.Record, error) { return tokens.Record{}, errors.New("down") }
			return errors.New("down")
		}
		return err
	}
	endpoint := f.endpoint(t)
	c := newCache(t, endpoint, s, user(&tokens.Token{RefreshToken: "refresh-0"}))
	_, err := c.Token(t.Context())
	require.ErrorIs(t, err, tokens.ErrStore)
	require.Zero(t, f.tokenRequests())
	s.load = nil
	return endpoint, c
}

// closeLimiter closes the Limiter of an Endpoint for some seconds with a revocation that is refused.
func (f *fleetServer) closeLimiter(t *testing.T, e *tokens.Endpoint, seconds int) {
	t.Helper()
	f.mu.Lock()
	f.respond = func(url.Values) (int, string, http.Header) {
		return http.StatusTooManyRequests, `{}`, http.Header{"Retry-After": {strconv.Itoa(seconds)}}
	}
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.Error(t, e.Revoke(ctx, "some token", tokens.HintNone))
	f.mu.Lock()
	f.respond = nil
	f.mu.Unlock()
}

// tokenRequests returns the number of token requests.
func (f *fleetServer) tokenRequests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, form := range f.requests {
		if form.Has("grant_type") {
			n++
		}
	}
	return n
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// An attempt takes longer than a client's short timeout: there are its swap, a pause before the request, and its
// publication. Nobody presents the same refresh token meanwhile.
func TestHoldOfAShortTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet()
		atOnce, most := 0, 0
		var mu sync.Mutex
		transport := roundTripper(func(req *http.Request) (*http.Response, error) {
			mu.Lock()
			atOnce++
			most = max(most, atOnce)
			mu.Unlock()
			pass(700 * time.Millisecond)
			mu.Lock()
			atOnce--
			mu.Unlock()
			return f.RoundTrip(req)
		})
		start := func(slow bool) *tokens.Cache {
			endpoint, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.Credentials{ClientID: "id", ClientSecret: "client-secret"},
				&tokens.EndpointOptions{HTTPClient: &http.Client{Transport: transport}, Timeout: time.Second})
			require.NoError(t, err)
			s := &oddStore{Store: f}
			if slow {
				s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
					err := f.CompareAndSwap(ctx, key, old, next, ttl)
					pass(2900 * time.Millisecond) // the Store takes its time
					return err
				}
			}
			return newCache(t, endpoint, s, user(nil))
		}
		a, b := start(true), start(false)
		require.NoError(t, b.Set(t.Context(), &tokens.Token{RefreshToken: "refresh-0"}))
		var wg sync.WaitGroup
		wg.Go(func() { assert.Equal(t, "access-1", mustToken(t, a)) })
		pass(time.Millisecond)
		wg.Go(func() { assert.Equal(t, "access-1", mustToken(t, b)) })
		wg.Wait()
		assert.Equal(t, 1, most)
		assert.Equal(t, 1, f.sent())
		closeAll(t, a, b)
	})
}
