package tokens

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// login returns a user's Cache that begins with the refresh token rt-0.
func login(t testing.TB, s *tokenServer, opts CacheOptions) *Cache {
	t.Helper()
	opts.Session = "a"
	if opts.Initial == nil {
		opts.Initial = &Token{RefreshToken: "rt-0"}
	}
	return newCache(t, stubEndpoint(t, s, onlyOnce), &opts)
}

// presented returns the refresh tokens that the endpoint received.
func (s *tokenServer) presented() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var presented []string
	for _, form := range s.requests {
		if form.Get("grant_type") == "refresh_token" {
			presented = append(presented, form.Get("refresh_token"))
		}
	}
	return presented
}

func (s *tokenServer) delayBy(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

func TestNewCacheRefusesInvalidOptions(t *testing.T) {
	moov := stubEndpoint(t, &tokenServer{}, onlyOnce)
	thousandEyes, err := NewThousandEyes(testCredentials, nil)
	require.NoError(t, err)
	grantFunc := func(context.Context) (Grant, error) { return Grant{}, nil }
	for _, tt := range []struct {
		name     string
		endpoint *Endpoint
		opts     CacheOptions
		want     string
	}{
		{"no Endpoint", nil, CacheOptions{}, "tokens: the Endpoint is nil or zero; make one with NewMoov, NewSailPoint, NewThousandEyes, NewEndpoint or Discover"},
		{"the zero Endpoint", &Endpoint{}, CacheOptions{}, "tokens: the Endpoint is nil or zero; make one with NewMoov, NewSailPoint, NewThousandEyes, NewEndpoint or Discover"},
		{"a user's refresh token for an app", moov, CacheOptions{Initial: &Token{RefreshToken: "rt"}}, "tokens: Moov: Initial has a refresh token and Session is empty; set Session to keep a user's login, or clear the refresh token"},
		{"a refresh token as a Grant", moov, CacheOptions{Session: "a", Grant: Grant{RefreshToken: "rt"}}, "tokens: Moov: Grant has a RefreshToken; set Session, and pass the refresh token in Initial"},
		{"a code as a Grant", moov, CacheOptions{Grant: Grant{Code: &AuthorizationCode{Code: "c"}}}, "tokens: Moov: Grant has a Code, which can be used once; set Session, and pass what Exchange returns for it to Set"},
		{"GrantFunc for a login", moov, CacheOptions{Session: "a", GrantFunc: grantFunc}, "tokens: Moov: GrantFunc and Session exclude each other; a login is renewed by its refresh token alone"},
		{"Grant and GrantFunc", moov, CacheOptions{Grant: ping, GrantFunc: grantFunc}, "tokens: Moov: Grant and GrantFunc exclude each other"},
		{"a login without refresh tokens", thousandEyes, CacheOptions{Session: "a"}, "tokens: ThousandEyes: Session: no refresh_token grant: unsupported operation"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := NewCache(tt.endpoint, &tt.opts)
			require.EqualError(t, err, tt.want)
			require.Nil(t, c)
		})
	}
}

// With a user's refresh token, an application's Cache would silently return the application's tokens.
func TestCacheNeverChangesWhoseTokensItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{}
		app := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping})
		require.Equal(t, "at-1", access(t, app))
		require.EqualError(t, app.Set(t.Context(), &Token{AccessToken: "user's", RefreshToken: "rt"}),
			"tokens: Moov: Set: the token has a refresh token and CacheOptions.Session is empty; set Session to keep a user's login, or clear the refresh token")
		require.Equal(t, "at-1", access(t, app), "nothing has changed")

		user := login(t, s, CacheOptions{Grant: ping})
		for range 3 {
			access(t, user)
			pass(time.Hour)
		}
		require.NoError(t, user.Set(t.Context(), nil))
		access(t, user)
		for _, form := range s.requests[1:] {
			require.Equal(t, "refresh_token", form.Get("grant_type"))
			require.Equal(t, "/ping.read", form.Get("scope"), "the Grant's scopes are sent")
		}
	})
}

func TestCacheWithoutALogin(t *testing.T) {
	s := &tokenServer{}
	c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Session: "a"})
	_, err := c.Token(t.Context())
	require.ErrorIs(t, err, ErrLoginRequired)
	require.ErrorIs(t, err, ErrNoToken)
	require.EqualError(t, err, "no access token: a login is required: tokens: Moov: there is no refresh token; Set a token that has one")
	require.Zero(t, s.count())
	require.NoError(t, c.Set(t.Context(), &Token{RefreshToken: "rt-9"}))
	require.Equal(t, "at-1", access(t, c))
	require.Equal(t, []string{"rt-9"}, s.presented())
}

func TestCacheLoginIsRequiredAfterInvalidGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: refuses(400, "invalid_grant")}
		c := login(t, s, CacheOptions{})
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, InvalidGrant)
		pass(time.Hour)
		_, err = c.Token(t.Context())
		require.ErrorIs(t, err, ErrLoginRequired)
		require.ErrorIs(t, err, InvalidGrant)
		require.NotErrorIs(t, err, Status(400))

		// Setting a token without a refresh token does not revive the refused one.
		require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set", Expiry: time.Now().Add(time.Minute)}))
		require.Equal(t, "set", access(t, c))
		pass(time.Minute)
		_, err = c.Token(t.Context())
		require.ErrorIs(t, err, ErrLoginRequired)
		require.NotErrorIs(t, err, InvalidGrant, "it was about the login before")
		require.Equal(t, 1, s.count())
	})
}

// A refresh token that arrives after Set is not written into the token that callers already have.
func TestCacheRotationAfterSetLeavesTheTokenAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{delay: time.Second}
		c := login(t, s, CacheOptions{})
		go func() { _, _ = c.Token(t.Context()) }()
		synctest.Wait()
		require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set", Expiry: time.Now().Add(time.Hour)}))
		held, err := c.Token(t.Context())
		require.NoError(t, err)
		pass(2 * time.Second)
		require.Equal(t, "rt-0", held.RefreshToken)
		now, err := c.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "set rt-1", now.AccessToken+" "+now.RefreshToken)
	})
}

// What a failure says about the refresh token, and whether it holds off all Caches of the Endpoint.
func TestWhatAFailureMeans(t *testing.T) {
	requested := time.Now()
	for name, tt := range map[string]struct {
		err     error
		outcome refreshOutcome
		shared  bool
	}{
		"a hook":                {&hookError{"Moov", "GrantFunc", &Error{Code: InvalidGrant}}, notPresented, false},
		"a credentials error":   {&credentialsError{"Moov", &Error{Code: InvalidGrant}}, notPresented, false},
		"a panic":               {errExited, responseLost, false},
		"no connection":         {&Error{unsent: true}, notPresented, true},
		"no response":           {&Error{}, responseLost, false},
		"an unreadable success": {&Error{StatusCode: 200}, responseLost, false},
		"an error with 200":     {&Error{StatusCode: 200, Code: InvalidGrant}, refreshRefused, false},
		"invalid_grant":         {&Error{StatusCode: 400, Code: InvalidGrant}, refreshRefused, false},
		"invalid_grant and 500": {&Error{StatusCode: 500, Code: InvalidGrant}, maybeUsed, true},
		"invalid_grant and 429": {&Error{StatusCode: 429, Code: InvalidGrant}, stillValid, false},
		"503":                   {&Error{StatusCode: 503}, stillValid, true},
		"502":                   {&Error{StatusCode: 502}, maybeUsed, true},
		"a time to wait":        {&Error{StatusCode: 403, RetryAfter: time.Second}, stillValid, true},
		"403":                   {&Error{StatusCode: 403}, stillValid, false},
		"401":                   {&Error{StatusCode: 401}, stillValid, true},
		"401 for the scope":     {&Error{StatusCode: 401, Code: InvalidScope}, stillValid, false},
		"401 for the grant":     {&Error{StatusCode: 401, Code: InvalidGrant}, refreshRefused, false},
		"invalid_client":        {&Error{StatusCode: 400, Code: InvalidClient}, stillValid, true},
	} {
		assert.Equal(t, tt.outcome, refreshOutcomeOf(tt.err, &requested), name)
		assert.Equal(t, notPresented, refreshOutcomeOf(tt.err, new(time.Time)), "%s, before a request", name)
		assert.Equal(t, tt.shared, isShared(tt.err), name)
	}
}

// A new login is tried at once, even if the one before it has to wait.
func TestCacheSetForgetsTheWait(t *testing.T) {
	for name, refuse := range map[string]func(int, url.Values) (*http.Response, error){
		"refused": refuses(400, "invalid_grant"), "lost": lose, "a bad scope": refuses(400, "invalid_scope", "Retry-After", "600"),
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &tokenServer{respond: refuse}
			c := login(t, s, CacheOptions{})
			_, err := c.Token(t.Context())
			require.Error(t, err)
			s.set(nil)
			require.NoError(t, c.Set(t.Context(), &Token{RefreshToken: "rt-new"}))
			if name == "a bad scope" {
				pass(10 * time.Minute) // its Retry-After applies to the whole Endpoint
			}
			require.Equal(t, "at-2", access(t, c), name)
			require.Equal(t, []string{"rt-0", "rt-new"}, s.presented(), name)
			require.NoError(t, c.Stats().LastError, name)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: lose}
		c := login(t, s, CacheOptions{})
		_, err := c.Token(t.Context())
		require.Error(t, err, "the next attempt is a minute later")
		s.set(nil)
		require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set", RefreshToken: "rt-new", Expiry: time.Now().Add(40 * time.Second)}))
		require.Equal(t, "set", access(t, c))
		pass(33 * time.Second)
		require.Equal(t, "set", access(t, c))
		pass(time.Second)
		require.Equal(t, "at-2", access(t, c), "it was renewed when it was due")
	})
}

// The vault with the client secret may use OAuth too.
func TestCacheInvalidGrantOfAnotherEndpointEndsNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var vault error = &Error{Method: "POST", URL: "https://vault.example.com", StatusCode: 400, Code: InvalidGrant}
		creds := CredentialsFunc(func(context.Context) (Credentials, error) { return testCredentials, vault })
		e, err := NewMoov(creds, &MoovOptions{HTTPClient: &http.Client{Transport: &tokenServer{}}})
		require.NoError(t, err)
		c := newCache(t, e, &CacheOptions{Session: "a", Initial: &Token{RefreshToken: "rt-0"}})
		_, err = c.Token(t.Context())
		require.ErrorContains(t, err, "invalid_grant")
		require.NotErrorIs(t, err, ErrLoginRequired)
		vault = nil
		pass(firstBackOff)
		require.Equal(t, "at-1", access(t, c), "it is not permanent either")
	})
}

// A rotated refresh token is not lost if Set is called meanwhile, unless Set brings another login.
func TestCacheSetDuringARefresh(t *testing.T) {
	for _, tt := range []struct {
		name   string
		set    *Token
		served string
		stored []string // access and refresh tokens passed to OnToken
		next   string   // the refresh token of the next request
	}{
		{"nil", nil, "at-2", []string{"at-1 rt-1", "at-2 rt-2"}, "rt-1"},
		{"no refresh token", &Token{AccessToken: "set"}, "set", []string{"set rt-1"}, "rt-1"},
		{"another refresh token", &Token{AccessToken: "set", RefreshToken: "rt-9"}, "set", nil, "rt-9"},
		{"the one under way", &Token{AccessToken: "set", RefreshToken: "rt-0"}, "set", []string{"set rt-1"}, "rt-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{delay: time.Second}
				var stored []string
				underWay, most := 0, 0
				s.respond = func(n int, _ url.Values) (*http.Response, error) { return grants(n, "3600"), nil }
				c := login(t, s, CacheOptions{OnToken: func(_ context.Context, token *Token) error {
					stored = append(stored, token.AccessToken+" "+token.RefreshToken)
					return nil
				}})
				c.endpoint.exchange = counting(c.endpoint.exchange, &underWay, &most)
				start := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() { assert.Equal(t, tt.served, access(t, c)) })
				synctest.Wait()
				set := tt.set
				if set != nil {
					set = set.clone()
					set.Expiry = time.Now().Add(time.Hour)
				}
				require.NoError(t, c.Set(t.Context(), set))
				if set != nil {
					wg.Wait()
					require.Zero(t, time.Since(start), "nobody waits for a superseded fetch")
				}
				wg.Wait()
				require.NoError(t, c.waitForQuiet(t.Context()))
				require.Equal(t, tt.stored, stored)
				require.Equal(t, tt.served, access(t, c))
				pass(time.Hour)
				access(t, c)
				require.Equal(t, tt.next, s.presented()[1])
				require.Equal(t, 1, most, "refreshes never overlap")
			})
		})
	}
}

// counting counts concurrent exchanges.
func counting[F any](exchange func(context.Context, F, requestEditor) (*http.Response, error), underWay, most *int) func(context.Context, F, requestEditor) (*http.Response, error) {
	var mu sync.Mutex
	return func(ctx context.Context, form F, edit requestEditor) (*http.Response, error) {
		mu.Lock()
		*underWay++
		*most = max(*most, *underWay)
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			*underWay--
		}()
		return exchange(ctx, form, edit)
	}
}

// What a superseded fetch learns about the refresh token counts.
func TestCacheRefreshThatFailsAfterSet(t *testing.T) {
	for _, tt := range []struct {
		name    string
		respond func(int, url.Values) (*http.Response, error)
		ends    bool // the login ends
	}{
		{"lost", lose, false},
		{"invalid_grant", refuses(400, "invalid_grant"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{delay: time.Second, respond: tt.respond}
				c := login(t, s, CacheOptions{})
				go func() { _, _ = c.Token(t.Context()) }()
				synctest.Wait()
				require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set", Expiry: time.Now().Add(10 * time.Second)}))
				pass(10 * time.Second)
				s.set(nil)
				s.delayBy(0)
				_, err := c.Token(t.Context())
				require.Error(t, err)
				require.Equal(t, tt.ends, errors.Is(err, ErrLoginRequired))
				require.Equal(t, 1, s.count())
				pass(51 * time.Second)
				_, err = c.Token(t.Context())
				require.Equal(t, tt.ends, err != nil)
			})
		})
	}
}

// What a superseded fetch learns about an app, or about a login that Set replaced, does not count.
func TestCacheForgetsAFetchThatFailsAfterSet(t *testing.T) {
	for name, respond := range map[string]func(int, url.Values) (*http.Response, error){
		"lost": lose, "502": refuses(502, ""), "invalid_grant": refuses(400, "invalid_grant"),
	} {
		for _, session := range []string{"", "a"} {
			t.Run(name+" "+session, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &tokenServer{delay: time.Second, respond: respond}
					opts, set := CacheOptions{Grant: ping}, &Token{AccessToken: "set", Expiry: time.Now().Add(time.Hour)}
					if session != "" {
						opts.Session, opts.Initial, set.RefreshToken = session, &Token{RefreshToken: "rt-0"}, "rt-9"
					}
					c := newCache(t, stubEndpoint(t, s, onlyOnce), &opts)
					go func() { _, _ = c.Token(t.Context()) }()
					synctest.Wait()
					require.NoError(t, c.Set(t.Context(), set))
					pass(2 * time.Second)
					require.NoError(t, c.Stats().LastError)
					require.Equal(t, "set", access(t, c))
				})
			})
		}
	}
}

// A response stays lost after a Set without another refresh token.
func TestCacheSetAfterALostRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: lose}
		c := login(t, s, CacheOptions{})
		_, err := c.Token(t.Context())
		require.Error(t, err)
		require.NoError(t, c.Set(t.Context(), nil))
		_, err = c.Token(t.Context())
		require.Error(t, err)
		require.Equal(t, 1, s.count())
		s.set(nil)
		pass(time.Minute)
		require.Equal(t, "at-2", access(t, c))

		s.set(lose)
		pass(time.Hour)
		_, err = c.Token(t.Context())
		require.Error(t, err)
		require.NoError(t, c.Set(t.Context(), &Token{RefreshToken: "rt-new"}))
		s.set(nil)
		require.Equal(t, "at-4", access(t, c), "another login does not wait")
	})
}

// If the transport panics, the request may have been sent.
func TestCacheRefreshWhoseTransportPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &tokenServer{}
		c := login(t, s, CacheOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		access(t, c)
		s.set(func(int, url.Values) (*http.Response, error) { panic("CANARY") })
		pass(57 * time.Minute)
		for range 160 {
			require.Equal(t, "at-1", access(t, c))
			pass(time.Second)
		}
		synctest.Wait()
		require.Equal(t, 2, s.count(), "not presented again before the access token expires")
		pass(time.Minute)
		s.set(nil)
		require.Equal(t, "at-3", access(t, c))
		require.NoError(t, c.Close(t.Context()))
		require.NotContains(t, log.String(), "CANARY")
	})
}

// After a 5xx the refresh token may have been consumed, but there was a response: once the access token has expired,
// the wait is only a backoff.
func TestCacheRefreshAfterA500(t *testing.T) {
	for _, status := range []int{500, 502, 504} {
		synctest.Test(t, func(t *testing.T) {
			s := &tokenServer{respond: refuses(status, "")}
			var log bytes.Buffer
			c := login(t, s, CacheOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			_, err := c.Token(t.Context())
			require.Error(t, err)
			s.set(nil)
			pass(firstBackOff)
			require.Equal(t, "at-2", access(t, c))
			require.NoError(t, c.Close(t.Context()))
			require.NotContains(t, log.String(), "lost")
		})
	}
}

// After a 503 the refresh token is still valid, and is presented again after the backoff. After another 5xx it may have
// been consumed, and is not presented before the access token expires.
func TestCacheRefreshThatIsRefusedWhileTheTokenLives(t *testing.T) {
	for status, soon := range map[int]bool{503: true, 500: false, 502: false, 504: false} {
		synctest.Test(t, func(t *testing.T) {
			s := &tokenServer{}
			c := login(t, s, CacheOptions{})
			access(t, c)
			pass(57 * time.Minute)
			s.set(refuses(status, ""))
			require.Equal(t, "at-1", access(t, c))
			synctest.Wait()
			s.set(nil)
			pass(firstBackOff)
			require.Equal(t, "at-1", access(t, c))
			synctest.Wait()
			require.Equal(t, soon, s.count() == 3, "%d", status)
			pass(2*time.Minute + 50*time.Second)
			access(t, c)
			require.Equal(t, 3, s.count(), "%d", status)
		})
	}
}

// A 2xx with an error code is a refusal, not a lost response.
func TestCacheRefreshRefusedWith200(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: refuses(200, "temporarily_unavailable")}
		c := login(t, s, CacheOptions{})
		_, err := c.Token(t.Context())
		require.ErrorIs(t, err, Code("temporarily_unavailable"))
		s.set(nil)
		pass(firstBackOff)
		require.Equal(t, "at-2", access(t, c))
	})
}

// A refresh that is not sent after a lost one does not make it wait for another minute.
func TestCacheLostAndThenNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: lose}
		c := login(t, s, CacheOptions{})
		_, err := c.Token(t.Context())
		require.Error(t, err)
		pass(time.Minute)
		s.set(unreachable)
		_, err = c.Token(t.Context())
		require.Error(t, err)
		s.set(nil)
		pass(time.Second)
		require.Equal(t, "at-3", access(t, c))
	})
}

// What does not concern the refresh token does not count if Set overtook the refresh.
func TestCacheForgetsARefreshThatWasRefusedAfterSet(t *testing.T) {
	for name, respond := range map[string]func(int, url.Values) (*http.Response, error){"not sent": unreachable, "403": refuses(403, "")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &tokenServer{delay: time.Second, respond: respond}
				c := login(t, s, CacheOptions{})
				go func() { _, _ = c.Token(t.Context()) }()
				synctest.Wait()
				require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set", Expiry: time.Now().Add(time.Hour)}))
				pass(2 * time.Second)
				require.NoError(t, c.Stats().LastError)
			})
		})
	}
}

// A response ends the state after a lost one.
func TestCacheLostIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: lose}
		var log bytes.Buffer
		c := login(t, s, CacheOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		_, err := c.Token(t.Context())
		require.Error(t, err)
		pass(time.Minute)
		s.set(refuses(503, ""))
		_, err = c.Token(t.Context())
		require.Error(t, err)
		pass(time.Minute - 1)
		_, err = c.Token(t.Context())
		require.Error(t, err)
		require.Equal(t, 2, s.count(), "a 503 does not settle it: still one minute apart")
		pass(1)
		s.set(nil)
		require.Equal(t, "at-3", access(t, c))
		require.Equal(t, 2, strings.Count(stringOf(c, &log), "presenting a refresh token again"))
		s.set(refuses(503, ""))
		pass(time.Hour)
		_, err = c.Token(t.Context())
		require.Error(t, err)
		s.set(nil)
		pass(firstBackOff)
		require.Equal(t, "at-5", access(t, c))
		require.Equal(t, 2, strings.Count(stringOf(c, &log), "presenting a refresh token again"))
	})
}

// A lost response is forgotten even if the next token is dead on arrival.
func TestCacheLostIsForgottenWithADeadToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &tokenServer{respond: lose}
		var log bytes.Buffer
		c := login(t, s, CacheOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		_, err := c.Token(t.Context())
		require.Error(t, err)
		pass(time.Minute)
		s.set(func(n int, _ url.Values) (*http.Response, error) { return grants(n, "0"), nil })
		require.Equal(t, "at-2", access(t, c), "who waited gets it")
		pass(time.Minute)
		require.Equal(t, "at-3", access(t, c))
		require.Equal(t, 1, strings.Count(stringOf(c, &log), "presenting a refresh token again"))
		require.NoError(t, c.Set(t.Context(), &Token{AccessToken: "set", Expiry: time.Now().Add(time.Hour)}))
		require.NoError(t, c.Stats().LastError)
	})
}

// stringOf returns the log after the Cache has become idle.
func stringOf(c *Cache, log *bytes.Buffer) string {
	_ = c.waitForQuiet(context.Background())
	return log.String()
}

func TestCacheShowsNobodyAnAppsRefreshToken(t *testing.T) {
	s := &tokenServer{}
	c := newCache(t, stubEndpoint(t, s, onlyOnce), &CacheOptions{Grant: ping, OnToken: func(_ context.Context, token *Token) error {
		assert.Empty(t, token.RefreshToken)
		return nil
	}})
	token, err := c.Token(t.Context())
	require.NoError(t, err)
	require.Empty(t, token.RefreshToken)
}
