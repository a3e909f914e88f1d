package tokens

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func limitedDoer(t *testing.T, s *script, l *Limiter, opts DoerOptions) Doer {
	t.Helper()
	opts.BaseURL, opts.HTTPClient, opts.Limiter = apiURL, s.client(), l
	d, err := NewDoer(Static("at"), &opts)
	require.NoError(t, err)
	return d
}

// closeFor closes a Limiter for d.
func closeFor(t *testing.T, l *Limiter, d time.Duration) {
	t.Helper()
	turn, err := l.take(t.Context(), newVisit())
	require.NoError(t, err)
	turn.done(statusResponse(429, "Retry-After", strconv.Itoa(int(d.Seconds()))))
}

func TestDoerWaitsAtTheLimiter(t *testing.T) {
	t.Run("longer than its Timeout, and without an attempt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(reply(429, "", "", "Retry-After", "50"), reply(429, "", "", "Retry-After", "60"), after(29*time.Second, reply(200, jsonType, "{}")))
			begin := time.Now()
			var log bytes.Buffer
			opts := DoerOptions{Retry: Retry{Attempts: 1, MaxElapsed: time.Second}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			resp, err := limitedDoer(t, s, nil, opts).Do(newRequest(t, "POST", apiURL+"/x", "body"))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, 139*time.Second, time.Since(begin))
			for _, sent := range s.requests() {
				assert.Equal(t, "body", sent.Body)
			}
			assert.Zero(t, s.leaks())
			assert.Equal(t, 2, strings.Count(log.String(), "status=429"), "each is logged")
		})
	})
	t.Run("and its Timeout still limits each request", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(after(time.Second, reply(429, "", "", "Retry-After", "50")), after(time.Hour, reply(200, jsonType, "{}")))
			begin := time.Now()
			_, err := limitedDoer(t, s, nil, DoerOptions{}).Do(newRequest(t, "GET", apiURL, ""))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, 81*time.Second, time.Since(begin))
		})
	})
	t.Run("without effect on other limits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(reply(429, "", "", "Retry-After", "50"), reply(503, "", "", "Retry-After", "1"), reply(200, jsonType, "{}"))
			resp, err := limitedDoer(t, s, nil, DoerOptions{Retry: Retry{Attempts: 2, MaxElapsed: 5 * time.Second}}).Do(newRequest(t, "GET", apiURL, ""))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Len(t, s.requests(), 3)
		})
	})
	t.Run("not if the body cannot be replayed", func(t *testing.T) {
		s := newScript(reply(429, "", ""))
		req := newRequest(t, "POST", apiURL, "")
		req.Body = io.NopCloser(strings.NewReader("body"))
		_, err := limitedDoer(t, s, nil, DoerOptions{}).Do(req)
		require.ErrorIs(t, err, Status(429))
		s.only(t)
	})
	t.Run("not if Statuses says so", func(t *testing.T) {
		s := newScript(reply(429, "", ""))
		_, err := limitedDoer(t, s, nil, DoerOptions{Retry: Retry{Statuses: []int{503}}}).Do(newRequest(t, "GET", apiURL, ""))
		require.ErrorIs(t, err, Status(429))
		s.only(t)
	})
}

func TestDoerErrorsOfTheLimiter(t *testing.T) {
	t.Run("not sent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &Limiter{MaxWait: 20 * time.Second}
			closeFor(t, l, 30*time.Second)
			s := newScript(reply(200, jsonType, "{}"))
			req := newRequest(t, "POST", apiURL+"/x?secret=canary", "body")
			body := &countedBody{Reader: req.Body}
			req.Body = body
			_, err := limitedDoer(t, s, l, DoerOptions{}).Do(req)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.ErrorIs(t, err, Status(429))
			assert.Equal(t, 30*time.Second, e.RetryAfter)
			assert.Equal(t, "POST https://api.example.com/x: 429 Too Many Requests: not sent: waiting for the rate limit would take "+
				"longer than the Limiter's MaxWait or the context allows (retry after 30s)", e.Error())
			assert.Empty(t, s.requests())
			assert.Equal(t, 1, body.closed())
		})
	})
	t.Run("sent and refused at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(reply(429, jsonType, `{"message":"Rate Limit Exceeded"}`, "Retry-After", "130"))
			_, err := limitedDoer(t, s, nil, DoerOptions{}).Do(newRequest(t, "GET", apiURL, ""))
			require.EqualError(t, err, "GET https://api.example.com: 429 Too Many Requests: Rate Limit Exceeded (retry after 2m10s)")
			assert.Zero(t, s.leaks())
		})
	})
	t.Run("sent and refused until MaxWait is over", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &Limiter{MaxWait: 15 * time.Second}
			s := newScript(reply(429, jsonType, `{"message":"Rate Limit Exceeded"}`, "Retry-After", "10"))
			begin := time.Now()
			_, err := limitedDoer(t, s, l, DoerOptions{}).Do(newRequest(t, "GET", apiURL, ""))
			require.EqualError(t, err, "GET https://api.example.com: 429 Too Many Requests: Rate Limit Exceeded (retry after 10s)")
			assert.Equal(t, 10*time.Second, time.Since(begin))
			assert.Len(t, s.requests(), 2)
			assert.Zero(t, s.leaks())
		})
	})
	t.Run("sent, and then not refused but queued", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &Limiter{MaxWait: 15 * time.Second}
			closeFor(t, l, 5*time.Second)
			earlier := enterAll(t, l, 4) // never done, so the fifth waits
			s := newScript(reply(200, jsonType, "{}"))
			_, err := limitedDoer(t, s, l, DoerOptions{}).Do(newRequest(t, "GET", apiURL, ""))
			require.NoError(t, err, "after a while the next one is sent")
			assert.Len(t, s.requests(), 1)
			assert.Equal(t, 4, sentOf(earlier))
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for want, steps := range map[string][]step{
				"not sent: waiting for the rate limit: context canceled":                                   nil,
				"not sent again after 429 Too Many Requests: waiting for the rate limit: context canceled": {reply(429, jsonType, "{}", "Retry-After", "5")},
			} {
				l := new(Limiter)
				if steps == nil {
					closeFor(t, l, 30*time.Second)
				}
				s := newScript(append(steps, reply(200, jsonType, "{}"))...)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				_, err := limitedDoer(t, s, l, DoerOptions{}).Do(newRequest(t, "GET", apiURL, "").WithContext(ctx))
				require.ErrorIs(t, err, context.Canceled)
				require.NotErrorIs(t, err, Status(429))
				assert.EqualError(t, err, "GET https://api.example.com: "+want)
				assert.Zero(t, s.leaks())
				assert.Zero(t, l.Stats().Waiting)
			}
		})
	})
	t.Run("cancelled before it waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(reply(429, "", "", "Retry-After", "5"))
			ctx, cancel := context.WithCancel(t.Context())
			req := newRequest(t, "POST", apiURL, "body").WithContext(ctx)
			req.GetBody = func() (io.ReadCloser, error) {
				cancel()
				return io.NopCloser(strings.NewReader("body")), nil
			}
			_, err := limitedDoer(t, s, nil, DoerOptions{}).Do(req)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorContains(t, err, "not sent again after 429 Too Many Requests")
			s.only(t)
			assert.Zero(t, s.leaks())
		})
	})
	t.Run("not sent again after another failure", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &Limiter{MaxWait: time.Second}
			s := newScript(reply(503, "", "", "Retry-After", "2"))
			time.AfterFunc(time.Second, func() { closeFor(t, l, 30*time.Second) })
			_, err := limitedDoer(t, s, l, DoerOptions{}).Do(newRequest(t, "GET", apiURL, ""))
			require.ErrorIs(t, err, Status(429))
			require.ErrorContains(t, err, "not sent again after 503 Service Unavailable")
			s.only(t)
		})
	})
	t.Run("of NewClient", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &Limiter{MaxWait: 15 * time.Second}
			s := newScript(reply(429, jsonType, "body of the 429", "Retry-After", "10"))
			client, err := NewClient(Static("at"), &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Limiter: l})
			require.NoError(t, err)
			resp, err := client.Get(apiURL)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, 429, resp.StatusCode)
			assert.Equal(t, "body of the 429", string(body))
			closed := &Limiter{MaxWait: time.Second}
			closeFor(t, closed, 10*time.Second)
			client, err = NewClient(Static("at"), &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Limiter: closed})
			require.NoError(t, err)
			_, err = client.Get(apiURL)
			require.ErrorIs(t, err, Status(429), "nothing was sent, so there is no response")
			assert.Len(t, s.requests(), 2)
			assert.Zero(t, s.leaks())
		})
	})
	t.Run("a body that does not end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &Limiter{MaxWait: 15 * time.Second}
			endless := func(req *http.Request) (*http.Response, error) {
				resp, err := streamed(jsonType, func(ctx context.Context) io.Reader {
					return &dripping{ctx: ctx, every: time.Hour, parts: []string{"late"}}
				})(req)
				resp.StatusCode = 429
				resp.Header.Set("Retry-After", "10")
				return resp, err
			}
			begin := time.Now()
			_, err := limitedDoer(t, newScript(endless), l, DoerOptions{}).Do(newRequest(t, "GET", apiURL, ""))
			require.ErrorIs(t, err, Status(429))
			assert.Less(t, time.Since(begin), 11*time.Second+30*time.Second)
		})
	})
}

type wrapped struct{ Source }

func (w wrapped) Unwrap() Source { return w.Source }

// A limitedSource is a Source with a Limiter, but without a BaseURL.
type limitedSource struct {
	Source

	limiter *Limiter
}

func (s limitedSource) BaseURL() string   { return "" }
func (s limitedSource) Limiter() *Limiter { return s.limiter }

func TestLimiterIsShared(t *testing.T) {
	e, err := NewSailPoint("acme", testCredentials, nil)
	require.NoError(t, err)
	cache := newCache(t, e, nil)
	require.NotNil(t, e.Limiter())
	assert.Same(t, e.Limiter(), cache.Limiter())

	given := new(Limiter)
	other, err := NewEndpoint("https://auth.example.com/token", testCredentials, &EndpointOptions{BaseURL: apiURL, Limiter: given})
	require.NoError(t, err)
	assert.Nil(t, other.Limiter(), "the API has another origin")
	assert.Zero(t, newCache(t, other, nil).Limiter().Stats(), "metrics can be read for any Endpoint")
	same, err := NewEndpoint(apiURL+"/token", testCredentials, &EndpointOptions{BaseURL: apiURL, Limiter: given})
	require.NoError(t, err)
	assert.Same(t, given, same.Limiter())

	limiter := func(src Source, opts *DoerOptions) *Limiter {
		d, err := NewDoer(src, opts)
		require.NoError(t, err)
		return d.sender.limiter
	}
	assert.Same(t, e.Limiter(), limiter(cache, nil))
	assert.Same(t, e.Limiter(), limiter(wrapped{wrapped{cache}}, nil))
	assert.Same(t, given, limiter(cache, &DoerOptions{Limiter: given}))
	assert.Same(t, given, limiter(newCache(t, same, nil), nil))
	assert.NotSame(t, given, limiter(newCache(t, other, nil), nil))
	unknown, err := NewEndpoint(apiURL+"/token", testCredentials, &EndpointOptions{Limiter: given})
	require.NoError(t, err)
	assert.NotSame(t, given, limiter(newCache(t, unknown, nil), &DoerOptions{BaseURL: apiURL}), "the origin of the API is not known")
	assert.NotNil(t, limiter(Static("at"), &DoerOptions{BaseURL: apiURL}))
	assert.NotSame(t, given, limiter(limitedSource{Static("at"), given}, &DoerOptions{BaseURL: apiURL}), "nor that of its own")
	assert.Nil(t, (*Endpoint)(nil).Limiter())
	assert.Nil(t, (*Cache)(nil).Limiter())
}

// A server's refusals of token requests say nothing about another server, which revokes the tokens.
func TestRevocationAtAnotherOriginDoesNotWaitForTheTokenEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for revocationURL, want := range map[string]time.Duration{"https://revoke.example.com": 0, "https://auth.example.com/revoke": 10 * time.Second} {
			s := newScript(reply(429, "", "", "Retry-After", "10"), reply(200, jsonType, tokenReply))
			e, err := NewEndpoint("https://auth.example.com/token", testCredentials, &EndpointOptions{HTTPClient: s.client(), RevocationURL: revocationURL})
			require.NoError(t, err)
			go func() { _, _ = e.Exchange(t.Context(), Grant{}) }()
			synctest.Wait()
			begin := time.Now()
			require.NoError(t, e.Revoke(t.Context(), "token", HintNone))
			assert.InDelta(t, want.Seconds(), time.Since(begin).Seconds(), 1, revocationURL)
		}
	})
}

func TestLimiterOfOptionsIsChecked(t *testing.T) {
	negative := &Limiter{MaxWait: -1}
	_, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, Limiter: negative})
	require.ErrorContains(t, err, "MaxWait is negative")
	_, err = NewClient(nil, &DoerOptions{BaseURL: apiURL, Limiter: negative})
	require.ErrorContains(t, err, "MaxWait is negative")
	for _, v := range vendorCases {
		_, err = v.make(testCredentials, options{limiter: negative})
		require.ErrorContains(t, err, "MaxWait is negative", v.name)
	}
	_, err = NewEndpoint("https://auth.example.com/token", testCredentials, &EndpointOptions{Limiter: negative})
	require.ErrorContains(t, err, "MaxWait is negative")
}

// Requests in flight whose token has expired wait for a new one, and the token request does not wait for them.
func TestLimiterWithATokenThatExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		serve := func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/token") {
				return reply(200, jsonType, tokenReply)(req)
			}
			return reply(200, jsonType, "{}")(req)
		}
		s := newScript(serve)
		e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: s.client()})
		require.NoError(t, err)
		cache := newCache(t, e, &CacheOptions{Grant: Grant{Scopes: []string{"a"}}})
		d, err := NewDoer(cache, &DoerOptions{HTTPClient: s.client()})
		require.NoError(t, err)
		closeFor(t, e.Limiter(), 10*time.Second)
		e.Limiter().few = 1
		begin := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				resp, err := d.Do(newRequest(t, "GET", "https://api.moov.io/things", ""))
				if assert.NoError(t, err) {
					_ = resp.Body.Close()
				}
			})
		}
		wg.Wait()
		assert.Equal(t, 10*time.Second, time.Since(begin))
		assert.Len(t, s.requests(), 4)
	})
}

// A fetch of a Cache ends within a minute. A caller that gets no token because of the rate limit must learn the reason,
// and how long the limit lasts.
func TestLimiterOfACache(t *testing.T) {
	tests := []struct {
		name    string
		limited time.Duration // how long another request has closed the Limiter
		steps   []step
		patient time.Duration // how long the caller waits; if zero, for ever
		held    bool          // another token request is in flight, and only one is allowed
		waits   time.Duration
		left    time.Duration // the wait in the error; if zero, there is no error
		stored  bool          // run with a Store too, with which a 429 ends the attempt
	}{
		{name: "refused, in time", steps: []step{reply(429, "", "", "Retry-After", "20"), reply(200, jsonType, tokenReply)}, waits: 20 * time.Second},
		{name: "refused, opens as the fetch ends", steps: []step{reply(429, "", "", "Retry-After", "60")}, left: time.Minute, stored: true},
		{name: "refused, opens later", steps: []step{reply(429, "", "", "Retry-After", "70")}, left: 70 * time.Second, stored: true},
		{name: "closed, in time", limited: 50 * time.Second, steps: []step{reply(200, jsonType, tokenReply)}, waits: 50 * time.Second, stored: true},
		{name: "closed, with too little time for the request", limited: 59 * time.Second, left: 59 * time.Second, stored: true},
		{name: "closed, opens later", limited: 90 * time.Second, left: 90 * time.Second, stored: true},
		{name: "no turn until it is too late", limited: time.Second, held: true, waits: turnTimeout, left: time.Second, stored: true},
		{name: "the caller's time ends first", limited: 50 * time.Second, steps: []step{reply(200, jsonType, tokenReply)}, patient: 10 * time.Second, waits: 10 * time.Second, left: 40 * time.Second, stored: true},
	}
	for _, tt := range tests {
		for _, store := range []Store{nil, NewMemoryStore()} {
			if store != nil && !tt.stored {
				continue
			}
			t.Run(fmt.Sprintf("%s, Store %v", tt.name, store != nil), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newScript(tt.steps...)
					e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: s.client()})
					require.NoError(t, err)
					cache := newCache(t, e, &CacheOptions{Grant: Grant{Scopes: []string{"a"}}, Store: store})
					if tt.limited > 0 {
						closeFor(t, e.limiter, tt.limited)
					}
					if tt.held {
						e.limiter.few = 1e-9 // the limit does not grow in time
						pass(tt.limited)
						e.limiter.inFlight[tokenLane] = 1
					}
					ctx := t.Context()
					if tt.patient > 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, tt.patient)
						defer cancel()
					}
					begin := time.Now()
					_, err = cache.Token(ctx)
					assert.Equal(t, tt.waits, time.Since(begin))
					if tt.left == 0 {
						require.NoError(t, err)
						return
					}
					require.ErrorIs(t, err, ErrNoToken)
					limited, ok := errors.AsType[*Error](err)
					require.True(t, ok, err)
					assert.Equal(t, 429, limited.StatusCode)
					assert.Equal(t, tt.left, limited.RetryAfter.Round(time.Millisecond))
					assert.Contains(t, err.Error(), "429 Too Many Requests")
					assert.Equal(t, tt.patient > 0, errors.Is(err, context.DeadlineExceeded))
					if tt.patient > 0 {
						require.NoError(t, cache.Close(t.Context())) // after the fetch has ended
						return
					}
					require.ErrorContains(t, cache.Stats().LastError, "429 Too Many Requests")
					if store == nil {
						assert.EqualValues(t, 1, cache.Stats().Failures)
					}
				})
			})
		}
	}
}

// The same for a request to the API that waits for the token.
func TestLimiterOfATokenForACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(reply(429, "", "", "Retry-After", "50"), reply(200, jsonType, tokenReply))
		e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: s.client()})
		require.NoError(t, err)
		cache := newCache(t, e, &CacheOptions{Grant: Grant{Scopes: []string{"a"}}})
		d, err := NewDoer(cache, &DoerOptions{HTTPClient: s.client()})
		require.NoError(t, err)
		begin := time.Now()
		_, err = d.Do(newRequest(t, "GET", "https://api.moov.io/things", ""))
		assert.Equal(t, defaultTimeout, time.Since(begin))
		require.ErrorIs(t, err, ErrNoToken)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "GET https://api.moov.io/things: no access token: POST https://api.moov.io/oauth2/token: 429 Too Many Requests: "+
			"the request for a token waits for the rate limit: context deadline exceeded (retry after 20s)")
		require.NoError(t, cache.Close(t.Context()))
	})
}

// A request that waits to be sent again, and finds that it would wait too long, fails with the response that it had.
func TestRefusedRequestThatCannotBeRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(reply(429, jsonType, `{"error":"slow_down","error_description":"too many"}`, "Retry-After", "5"))
		limiter := &Limiter{MaxWait: 10 * time.Second}
		other, err := limiter.take(t.Context(), newVisit())
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := limitedDoer(t, s, limiter, DoerOptions{}).Do(newRequest(t, http.MethodGet, apiURL, ""))
			assert.ErrorIs(t, err, Status(429))
			assert.ErrorContains(t, err, "slow_down: too many (retry after 1h0m0s)", "not 5 s, which was before the other's response")
		})
		pass(time.Second)
		other.done(statusResponse(429, "Retry-After", "3600"))
		wg.Wait()
		assert.Len(t, s.requests(), 1)
	})
}

// A request that is refused after MaxWait is over fails at once, even if others may send.
func TestRefusedRequestAfterMaxWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(reply(429, "", "", "Retry-After", "1"), after(9*time.Second, reply(429, "", "", "Retry-After", "1")), reply(200, jsonType, "{}"))
		limiter := &Limiter{MaxWait: 5 * time.Second}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := limitedDoer(t, s, limiter, DoerOptions{}).Do(newRequest(t, http.MethodGet, apiURL, ""))
			assert.ErrorIs(t, err, Status(429))
		})
		elapse(2 * time.Second)
		enter(t, limiter, newVisit()).done(t, 429, "Retry-After", "2")
		elapse(3 * time.Second)
		enter(t, limiter, newTokenVisit()).done(t, 200) // the Limiter is open
		wg.Wait()
		assert.Len(t, s.requests(), 2)
		assert.True(t, enter(t, limiter, newVisit()).sent())
	})
}

func TestHeldTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(reply(429, "", "", "Retry-After", "10"), reply(200, jsonType, tokenReply))
		e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: s.client()})
		require.NoError(t, err)
		exchange := func() error {
			held, err := e.takeTurn(t.Context(), time.Time{}, nil)
			require.NoError(t, err)
			defer held.release()
			_, err = e.exchangeWith(t.Context(), Grant{Scopes: []string{"a"}}, settings{attempt: &oneAttempt{turn: held}}, new(time.Time))
			return err
		}
		require.ErrorIs(t, exchange(), Status(429), "it is not retried")
		begin := time.Now()
		require.NoError(t, exchange())
		assert.Equal(t, 10*time.Second, time.Since(begin))
		assert.Zero(t, e.limiter.Stats().InFlight)

		held, err := e.takeTurn(t.Context(), time.Time{}, nil)
		require.NoError(t, err)
		assert.Equal(t, 1, e.limiter.Stats().InFlight)
		held.release()
		held.release()
		assert.Zero(t, e.limiter.Stats().InFlight)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		held, err = e.takeTurn(ctx, time.Time{}, nil)
		require.ErrorIs(t, err, context.Canceled)
		assert.Nil(t, held)
	})
}

// A held turn is for one request. The second one of a call, with credentials that have changed, takes its own.
func TestHeldTurnOfTwoRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(reply(401, "", ""), reply(200, jsonType, tokenReply))
		asked := 0
		creds := CredentialsFunc(func(context.Context) (Credentials, error) {
			asked++
			return Credentials{"id", strconv.Itoa(asked)}, nil
		})
		e, err := NewMoov(creds, &MoovOptions{HTTPClient: s.client()})
		require.NoError(t, err)
		closeFor(t, e.limiter, time.Second)
		held, err := e.takeTurn(t.Context(), time.Time{}, nil)
		require.NoError(t, err)
		_, err = e.exchangeWith(t.Context(), Grant{Scopes: []string{"a"}}, settings{attempt: &oneAttempt{turn: held}}, new(time.Time))
		require.NoError(t, err)
		assert.Len(t, s.requests(), 2)
		assert.Zero(t, e.limiter.Stats().InFlight)
	})
}
