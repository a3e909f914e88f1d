package tokens

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCacheNilAndZero(t *testing.T) {
	for _, c := range []*Cache{nil, {}} {
		var src Source = c
		const want = "tokens: the Cache is nil or zero; make one with NewCache"
		_, err := src.Token(t.Context())
		require.EqualError(t, err, "no access token: "+want)
		require.ErrorIs(t, err, ErrNoToken)
		_, err = c.TokenFor(t.Context(), time.Hour)
		require.ErrorIs(t, err, ErrNoToken)
		require.EqualError(t, c.Set(t.Context(), &Token{AccessToken: "at"}), want)
		require.EqualError(t, c.Revoke(t.Context()), want)
		require.EqualError(t, c.Close(t.Context()), want)
		c.Invalidate(&Token{AccessToken: "at"})
		require.Zero(t, c.Stats())
		require.Empty(t, c.BaseURL())
		require.Equal(t, "tokens.Cache(nil or zero)", fmt.Sprintf("%+v", c))
	}
}

func TestCacheNilContext(t *testing.T) {
	s := &tokenServer{}
	c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
	const want = "tokens: Moov: the context is nil"
	for range 3 {
		_, err := c.Token(nil) //nolint:staticcheck // a caller's mistake
		require.EqualError(t, err, "no access token: "+want)
		_, err = c.TokenFor(nil, time.Minute) //nolint:staticcheck // a caller's mistake
		require.EqualError(t, err, "no access token: "+want)
	}
	require.EqualError(t, c.Set(nil, nil), want) //nolint:staticcheck // a caller's mistake
	require.EqualError(t, c.Revoke(nil), want)   //nolint:staticcheck // a caller's mistake
	require.EqualError(t, c.Close(nil), want)    //nolint:staticcheck // a caller's mistake
	require.Zero(t, s.count())
	require.Equal(t, "at-1", access(t, c), "nobody hangs")
}

// A panickyContext panics in one of its methods.
type panickyContext struct {
	context.Context

	method string
}

func (c panickyContext) Err() error {
	if c.method == "Err" {
		panic("Err")
	}
	return c.Context.Err()
}

func (c panickyContext) Done() <-chan struct{} {
	if c.method == "Done" {
		panic("Done")
	}
	return c.Context.Done()
}

func (c panickyContext) Deadline() (time.Time, bool) {
	if c.method == "Deadline" {
		panic("Deadline")
	}
	return c.Context.Deadline()
}

func (c panickyContext) Value(key any) any {
	if c.method == "Value" {
		panic("Value")
	}
	return c.Context.Value(key)
}

// A panic in a method of one caller's context does not affect the others, even if that caller starts the fetch.
func TestCachePanickingContextReachesNobodyElse(t *testing.T) {
	for _, method := range []string{"Err", "Done", "Deadline", "Value"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{delay: time.Second}
				c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
				go func() {
					defer func() { _ = recover() }()
					_, _ = c.Token(panickyContext{t.Context(), method})
				}()
				synctest.Wait()
				start := time.Now()
				require.Equal(t, "at-1", access(t, c))
				require.LessOrEqual(t, time.Since(start), time.Second)
				require.Equal(t, 1, s.count())
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// Set and Revoke release waiting callers at once, not when the superseded fetch ends.
func TestCacheSetAndRevokeEndTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{delay: 30 * time.Second}
		c := login(t, s, CacheOptions{})
		start := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { assert.Equal(t, "set", access(t, c)) })
		}
		pass(time.Second)
		require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set", Expiry: time.Now().Add(time.Minute)}))
		wg.Wait()
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, c.waitForQuiet(t.Context()))

		pass(time.Minute)
		for range 100 {
			wg.Go(func() {
				_, err := c.Token(t.Context())
				assert.ErrorIs(t, err, ErrLoginRequired)
			})
		}
		pass(time.Second)
		s.delayBy(0)
		start = time.Now()
		require.NoError(t, c.Revoke(t.Context()))
		wg.Wait()
		require.Zero(t, time.Since(start))
		require.NoError(t, c.Close(t.Context()))
	})
}

// A Source that wraps another, and has Unwrap, keeps the methods of the wrapped one.
func TestCacheBehindAWrapper(t *testing.T) {
	c := newCache(t, stubEndpoint(t, &tokenServer{}, onlyOnce), &CacheOptions{Grant: ping})
	wrapped := wrapper{wrapper{c}}
	invalidator, ok := As[Invalidator](wrapped)
	require.True(t, ok)
	require.Same(t, c, invalidator)
	based, ok := As[interface{ BaseURL() string }](wrapped)
	require.True(t, ok)
	require.Equal(t, "https://api.moov.io", based.BaseURL())
	long, ok := As[interface {
		TokenFor(ctx context.Context, minLife time.Duration) (*Token, error)
	}](wrapped)
	require.True(t, ok)
	token, err := long.TokenFor(t.Context(), time.Minute)
	require.NoError(t, err)
	require.Equal(t, "at-1", token.AccessToken)
	_, ok = As[Invalidator](struct{ Source }{c})
	require.False(t, ok, "a wrapper without Unwrap hides it")
	_, ok = As[Invalidator](nil)
	require.False(t, ok)
}

type wrapper struct{ src Source }

func (w wrapper) Token(ctx context.Context) (*Token, error) { return w.src.Token(ctx) }
func (w wrapper) Unwrap() Source                            { return w.src }

func TestCacheStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: refuses(503, "")}
		fail := error(nil)
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping, OnToken: func(context.Context, *Token) error { return fail }})
		for range 3 {
			_, err := c.Token(t.Context())
			require.Error(t, err)
			pass(time.Second)
		}
		stats := c.Stats()
		requireStatus(t, 503, stats.LastError)
		require.Equal(t, Stats{Fetches: 3, Failures: 3, Waits: 3, LastError: stats.LastError}, stats)
		s.set(nil)
		fail = errDiskFull
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		stats = c.Stats()
		require.ErrorIs(t, stats.LastError, errDiskFull)
		require.Equal(t, Stats{Fetches: 4, Failures: 3, Waits: 4, Expiry: token.Expiry, LastError: stats.LastError}, stats)
		fail = nil
		pass(time.Second)
		access(t, c)
		synctest.Wait()
		require.Equal(t, Stats{Fetches: 4, Failures: 3, Waits: 4, Expiry: token.Expiry}, c.Stats())
	})
}

// The last error is that of a fetch, even if OnToken fails too.
func TestCacheStatsOfAFetchThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping, OnToken: func(context.Context, *Token) error { return errDiskFull }})
		access(t, c)
		require.ErrorIs(t, c.Stats().LastError, errDiskFull)
		s.set(refuses(503, ""))
		pass(time.Hour)
		_, err := c.Token(t.Context())
		requireStatus(t, 503, err)
		requireStatus(t, 503, c.Stats().LastError)
	})
}

func TestCacheRevokesWhatItKept(t *testing.T) {
	revoked := func(s *tokenServer) (tokens []string) {
		for _, form := range s.requests {
			if form.Has("token") {
				tokens = append(tokens, form.Get("token"))
			}
		}
		return tokens
	}
	t.Run("refresh tokens of earlier grants", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &tokenServer{}
			c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
			for range 3 {
				access(t, c)
				pass(time.Hour)
			}
			require.NoError(t, c.Revoke(t.Context()))
			require.Equal(t, []string{"rt-1", "rt-2", "rt-3", "at-3"}, revoked(s))
			for range 3*maxUnrevoked + 1 {
				access(t, c)
				pass(time.Hour)
			}
			require.NoError(t, c.Revoke(t.Context()))
			require.Len(t, revoked(s), 4+maxUnrevoked+1, "the number of kept tokens is limited")
		})
	})
	t.Run("a refresh token that several grants brought, once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &tokenServer{respond: func(int, url.Values) (*http.Response, error) { return grants(1, "3600"), nil }}
			c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
			for range 3 {
				access(t, c)
				pass(time.Hour)
			}
			require.NoError(t, c.Revoke(t.Context()))
			require.Equal(t, []string{"rt-1", "at-1"}, revoked(s))
		})
	})
	t.Run("nothing where there is no revocation", func(t *testing.T) {
		e, err := NewSailPoint("acme", testCredentials, &SailPointOptions{HTTPClient: &http.Client{Transport: &tokenServer{}}})
		require.NoError(t, err)
		c := newCache(t, e, nil)
		token, err := c.Token(t.Context())
		require.NoError(t, err)
		c.Invalidate(token)
		require.NoError(t, c.Revoke(t.Context()), "its refresh token could not be revoked later either")
	})
	t.Run("kinds of token that the server never revokes are dropped", func(t *testing.T) {
		s := &tokenServer{}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		for range 10 {
			s.set(nil)
			access(t, c)
			s.set(func(_ int, form url.Values) (*http.Response, error) {
				return newResponse(400, `{"error":"unsupported_token_type"}`), nil
			})
			before := s.count()
			require.ErrorIs(t, c.Revoke(t.Context()), UnsupportedTokenType)
			require.Equal(t, 2, s.count()-before)
		}
	})
	t.Run("an unsaved token", func(t *testing.T) {
		s := &tokenServer{}
		c := login(t, s, CacheOptions{HoldUnsaved: true, OnToken: func(context.Context, *Token) error { return errDiskFull }})
		_, err := c.Token(t.Context())
		require.Error(t, err)
		require.NoError(t, c.Revoke(t.Context()))
		require.Equal(t, []string{"rt-1", "at-1"}, revoked(s))
		require.NoError(t, c.Close(t.Context()), "there is nothing left to save")
	})
	t.Run("and forgets why the last fetch failed", func(t *testing.T) {
		s := &tokenServer{respond: lose}
		c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		_, err := c.Token(t.Context())
		require.Error(t, err)
		require.NoError(t, c.Revoke(t.Context()))
		s.set(nil)
		require.Equal(t, "at-2", access(t, c))
	})
	t.Run("Close and then Revoke", func(t *testing.T) {
		s := &tokenServer{}
		c := login(t, s, CacheOptions{})
		access(t, c)
		require.NoError(t, c.Close(t.Context()))
		require.NoError(t, c.Revoke(t.Context()))
		require.Equal(t, []string{"rt-1", "at-1"}, revoked(s))
	})
}

// Set discards an unsaved token, because the caller has saved something newer.
func TestCacheSetEndsWhatWasUnsaved(t *testing.T) {
	for _, session := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &tokenServer{}
			calls := 0
			opts := &CacheOptions{Grant: ping, OnToken: func(context.Context, *Token) error { calls++; return errDiskFull }}
			set := &Token{AccessToken: "set", Expiry: time.Now().Add(time.Hour)}
			if session {
				opts.Session, opts.Initial, set.RefreshToken = "a", &Token{RefreshToken: "rt-0"}, "rt-9"
			}
			c := newCache(t, stubEndpoint(t, s, onlyOnce), opts)
			access(t, c)
			require.NoError(t, c.Set(t.Context(), set))
			pass(time.Minute)
			require.Equal(t, "set", access(t, c))
			require.NoError(t, c.Close(t.Context()))
			require.Equal(t, 1, calls)
		})
	}
}

// Every error of Token matches ErrNoToken.
func TestCacheErrorsAllMatchErrNoToken(t *testing.T) {
	s := &tokenServer{respond: refuses(404, "")}
	c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
	_, err := c.Token(t.Context())
	require.ErrorIs(t, err, ErrNoToken)
	require.NotErrorIs(t, err, Status(404), "it would look as if the object did not exist")
	requireStatus(t, 404, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping}).Token(ctx)
	require.ErrorIs(t, err, ErrNoToken)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrLoginRequired)
}
