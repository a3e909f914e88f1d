package tokens

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tokensThenNone returns a Source that returns n tokens and then err.
func tokensThenNone(n int, err error) Source {
	return sourceFunc(func(context.Context) (*Token, error) {
		if n--; n < 0 {
			return nil, err
		}
		return &Token{AccessToken: "the-token"}, nil
	})
}

// ErrNoToken means that nothing was sent. If a request was sent but there was no token for its retry, the error does
// not match it, but matches what the Source's error matches.
func TestCallWithoutATokenForTheRetry(t *testing.T) {
	endpoint := &Error{Method: "POST", URL: "https://auth.example.com", StatusCode: 404, Code: InvalidGrant}
	tests := []struct {
		name    string
		first   step
		noToken bool
		is      error
		want    string
	}{
		{"never sent", withoutResponse(errRefused), true, InvalidGrant, "no access token: POST https://auth.example.com: 404 Not Found: invalid_grant"},
		{"lost", withoutResponse(errReset), false, errConnReset, "read tcp: connection reset by peer; the retry failed: no access token: POST https://auth.example.com: 404 Not Found: invalid_grant (the server may have acted on it)"},
		{"refused", reply(503, "", "", "X-Id", "1"), false, Status(503), "503 Service Unavailable; the retry failed: no access token: POST https://auth.example.com: 404 Not Found: invalid_grant"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(tt.first)
				d, err := NewDoer(tokensThenNone(1, endpoint), &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
				require.NoError(t, err)
				_, err = d.Do(newRequest(t, http.MethodDelete, apiURL+"/x", ""))
				require.EqualError(t, err, "DELETE https://api.example.com/x: "+tt.want)
				assert.Equal(t, tt.noToken, errors.Is(err, ErrNoToken))
				require.ErrorIs(t, err, InvalidGrant)
				require.ErrorIs(t, err, tt.is)
				require.NotErrorIs(t, err, Status(404))
				assert.Zero(t, s.leaks())
			})
		})
	}
}

// Sometimes only a 401 of the API shows that a login has ended. The reason must then be part of the error.
func TestCallWithoutAnotherTokenAfter401(t *testing.T) {
	refused := noToken(&noTokenError{kind: ErrLoginRequired, cause: &Error{Method: "POST", URL: "https://auth.example.com", StatusCode: 404, Code: InvalidGrant}})
	sealed := errors.New("vault sealed, says at-secret")
	unauthorized := reply(401, jsonType, `{"error":"invalid_token"}`)
	tests := []struct {
		name  string
		src   *renewable
		steps []step
		is    []error
		isNot []error
		want  string
	}{
		{
			"the login is over", &renewable{err: refused}, []step{unauthorized}, []error{ErrLoginRequired, InvalidGrant, InvalidToken, Status(401)}, []error{ErrNoToken, Status(404), ErrStore},
			": 401 Unauthorized: invalid_token: the renewal of the token failed: no access token: a login is required: POST https://auth.example.com: 404 Not Found: invalid_grant",
		},
		{
			"another Source's error", &renewable{err: sealed}, []step{unauthorized}, []error{sealed, Status(401)}, []error{ErrNoToken, ErrLoginRequired},
			": 401 Unauthorized: invalid_token: the renewal of the token failed: no access token: vault sealed, says [REDACTED]",
		},
		{"a response that is no 401", &renewable{err: refused}, []step{reply(403, "", "")}, []error{Status(403)}, []error{ErrLoginRequired}, ": 403 Forbidden"},
		{
			"a 401 that is repeated and comes again with a token", &renewable{tokens: []*Token{{AccessToken: "other"}}, err: refused}, []step{unauthorized},
			[]error{Status(401)}, []error{ErrLoginRequired}, ": 401 Unauthorized: invalid_token",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.src.tokens = append([]*Token{{AccessToken: "at-secret"}}, tt.src.tokens...)
			first, s := tt.src.tokens, newScript(tt.steps...)
			opts := &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()}
			d, err := NewDoer(tt.src, opts)
			require.NoError(t, err)
			_, err = d.Do(newRequest(t, http.MethodPost, apiURL+"/x", "body"))
			check := func(err error) {
				require.EqualError(t, err, "POST https://api.example.com/x"+tt.want)
				for _, is := range tt.is {
					require.ErrorIs(t, err, is)
				}
				for _, isNot := range tt.isNot {
					require.NotErrorIs(t, err, isNot)
				}
				_, ok := errors.AsType[*noTokenError](err)
				assert.False(t, ok, "it must not look like an error without a response")
			}
			check(err)

			// The http.Client returns the response; NewError makes the same error from it.
			tt.src.tokens = first
			client, err := NewClient(tt.src, opts)
			require.NoError(t, err)
			resp, err := client.Do(newRequest(t, http.MethodPost, apiURL+"/x", "body"))
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			check(NewError(resp, body, nil))
			assert.Zero(t, s.leaks())
		})
	}
}

// seldom is a Source that has a token for every other call.
type seldom struct{ calls int }

func (s *seldom) Token(context.Context) (*Token, error) {
	if s.calls++; s.calls%2 == 0 {
		return nil, ErrLoginRequired
	}
	return &Token{AccessToken: fmt.Sprintf("at-%d", s.calls)}, nil
}
func (s *seldom) Invalidate(*Token) {}

// Why there was no token after a 401 is part of the error of that response alone, and not of a later one.
func TestCallWithATokenForTheRetryOfA401(t *testing.T) {
	s := newScript(reply(401, "", ""), reply(403, "", ""))
	d, err := NewDoer(&seldom{}, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Retry: Retry{Statuses: []int{401}, Initial: 1}})
	require.NoError(t, err)
	_, err = d.Do(newRequest(t, http.MethodGet, apiURL, ""))
	require.ErrorIs(t, err, Status(403))
	require.NotErrorIs(t, err, ErrLoginRequired)
	assert.Len(t, s.requests(), 2)
}

// A request whose response was lost may have had an effect, even if a rate limit prevented its retry.
func TestCallThatWasLostAndThenLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newScript(withoutResponse(errReset)), &Limiter{MaxWait: time.Second}
		d, err := NewDoer(Static("at"), &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Limiter: l})
		require.NoError(t, err)
		time.AfterFunc(1, func() { closeFor(t, l, 20*time.Second) })
		_, err = d.Do(newRequest(t, http.MethodDelete, apiURL+"/x", ""))
		e, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		assert.True(t, e.MayHaveActed(), err)
		require.ErrorContains(t, err, "waiting for the rate limit would take longer")
		assert.InDelta(t, 20, e.RetryAfter.Seconds(), 1)
		assert.Len(t, s.requests(), 1)
	})
}

// The last response is captured, whatever happened after it.
func TestCallCapturesTheLastResponse(t *testing.T) {
	failure := errors.New("no redirects here")
	tests := []struct {
		name  string
		src   Source
		steps []step
		check func(*http.Request, []*http.Request) error
		want  int
		is    error
	}{
		{"then the connection breaks", Static("at"), []step{reply(503, "", ""), withoutResponse(io.EOF)}, nil, 503, io.EOF},
		{"then there is no token", tokensThenNone(1, errors.New("none")), []step{reply(503, "", "")}, nil, 503, Status(503)},
		{"then the renewal breaks", tokensNamed("one", "two"), []step{reply(401, "", ""), withoutResponse(io.EOF)}, nil, 401, io.EOF},
		{"then CheckRedirect fails", Static("at"), []step{reply(302, "", "", "Location", "/x")}, func(*http.Request, []*http.Request) error { return failure }, 302, failure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(tt.steps...)
				d, err := NewDoer(tt.src, &DoerOptions{BaseURL: apiURL, HTTPClient: &http.Client{Transport: s, CheckRedirect: tt.check}})
				require.NoError(t, err)
				var got *http.Response
				_, err = d.Do(newRequest(t, http.MethodGet, apiURL, "").WithContext(WithResponse(t.Context(), &got)))
				require.ErrorIs(t, err, tt.is)
				require.NotNil(t, got)
				assert.Equal(t, tt.want, got.StatusCode)
				if tt.want == 302 {
					require.ErrorIs(t, err, Status(302))
				}
				assert.Zero(t, s.leaks())
			})
		})
	}
}

// Attempts are counted per call, however many redirects there are; redirects do not count.
func TestCallCountsAttemptsOverRedirects(t *testing.T) {
	down, redirect := reply(503, "", ""), reply(302, "", "", "Location", "/next")
	tests := []struct {
		attempts int
		steps    []step
		want     int
	}{
		{3, []step{down, redirect, down, redirect, down}, 5},
		{1, []step{redirect, redirect, reply(200, "", "")}, 3},
		{1, []step{redirect, down}, 2},
		{2, []step{redirect, down, down}, 3},
		{2, []step{down, redirect, down}, 3},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(tt.steps...)
			_ = getting.send(t, s, Retry{Attempts: tt.attempts})
			assert.Len(t, s.requests(), tt.want)
			assert.Zero(t, s.leaks())
		})
	}
}

// The wait is exactly as long as the response asks, whether its body arrives or not.
func TestCallWithAStalledBodyWaitsExactly(t *testing.T) {
	for status, want := range map[int]time.Duration{503: time.Second, 401: 50 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			stalled := func(req *http.Request) (*http.Response, error) {
				resp, err := reply(status, "", "", "Retry-After", "1")(req)
				resp.Body, _ = io.Pipe()
				resp.ContentLength = -1
				return resp, err
			}
			s := newScript(stalled, reply(204, "", ""))
			d, err := NewDoer(tokensNamed("one", "two"), &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
			require.NoError(t, err)
			resp, err := d.Do(newRequest(t, http.MethodGet, apiURL, ""))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, want, time.Since(start))
			assert.Zero(t, s.leaks())
		})
	}
}

// With IdleTimeout, Timeout still limits reading the body of an error, including any status outside 2xx with NewClient.
func TestCallBoundsTheBodyOfAnError(t *testing.T) {
	dripping := func(req *http.Request) (*http.Response, error) {
		resp, err := streamed(jsonType, func(ctx context.Context) io.Reader {
			return &dripping{ctx, time.Second, strings.Split(strings.Repeat("x", 1000), "")}
		})(req)
		resp.StatusCode = 404
		return resp, err
	}
	opts := DoerOptions{BaseURL: apiURL, IdleTimeout: 5 * time.Second, Timeout: 20 * time.Second}
	synctest.Test(t, func(t *testing.T) {
		s := newScript(dripping)
		opts := opts
		opts.HTTPClient = s.client()
		d, err := NewDoer(nil, &opts)
		require.NoError(t, err)
		_, err = d.Do(newRequest(t, http.MethodGet, apiURL, ""))
		require.ErrorIs(t, err, Status(404))
		assert.Equal(t, 20*time.Second, time.Since(start))
		assert.Zero(t, s.leaks())
	})
	synctest.Test(t, func(t *testing.T) {
		opts := opts
		opts.HTTPClient = newScript(dripping).client()
		client, err := NewClient(nil, &opts)
		require.NoError(t, err)
		resp, err := client.Do(newRequest(t, http.MethodGet, apiURL, ""))
		require.NoError(t, err)
		_, err = io.ReadAll(resp.Body)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 20*time.Second, time.Since(start))
		require.NoError(t, resp.Body.Close())
	})
}

// A transport that panics leaves no part of the call running.
func TestCallThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ctx context.Context
		s := newScript(func(req *http.Request) (*http.Response, error) {
			ctx = req.Context()
			panic("oops")
		})
		assert.PanicsWithValue(t, "oops", func() { _, _ = doerOver(t, s, nil).Do(newRequest(t, http.MethodGet, apiURL, "")) })
		require.ErrorIs(t, ctx.Err(), context.Canceled)
	})
}

// A call does not notice if the caller changes the Retry later.
func TestCallKeepsItsOwnStatuses(t *testing.T) {
	statuses := []int{503}
	s := newScript(reply(503, "", ""))
	d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Retry: Retry{Statuses: statuses, Initial: 1, Attempts: 2}})
	require.NoError(t, err)
	ctx := WithRetry(t.Context(), Retry{Statuses: statuses, Initial: 1, Attempts: 3})
	statuses[0] = 404
	_, err = d.Do(newRequest(t, http.MethodGet, apiURL, ""))
	require.ErrorIs(t, err, Status(503))
	assert.Len(t, s.requests(), 2)
	_, err = d.Do(newRequest(t, http.MethodGet, apiURL, "").WithContext(ctx))
	require.ErrorIs(t, err, Status(503))
	assert.Len(t, s.requests(), 5)
}

// The token that a Transport added is redacted too, in the error and in the log of the retry.
func TestCanaryTokenInACause(t *testing.T) {
	quoting := func(req *http.Request) (*http.Response, error) {
		cause := fmt.Errorf("malformed MIME header line: Authorization: %s and %q: %w", req.Header.Get("Authorization"), req.Header.Get("Authorization"), io.ErrUnexpectedEOF)
		return nil, cause
	}
	var b strings.Builder
	s := newScript(quoting)
	opts := &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Retry: quick, Logger: slog.New(slog.NewTextHandler(&b, nil))}
	src := Static(strings.TrimRight(canaryAccess, "="))
	d, err := NewDoer(src, opts)
	require.NoError(t, err)
	client, err := NewClient(src, opts)
	require.NoError(t, err)
	for _, do := range []func(*http.Request) (*http.Response, error){d.Do, client.Do, transportOver(t, s, src).RoundTrip} {
		_, err := do(newRequest(t, http.MethodGet, apiURL+"/x", ""))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.ErrorContains(t, err, "malformed MIME header line: Authorization: Bearer [REDACTED]")
		assertSilent(t, err)
	}
	assert.Contains(t, b.String(), "retrying a request")
	assertNoCanary(t, b.String())
}

// If reading a body fails with an error that quotes the request, the error shows no secret either.
func TestCanaryTokenInABody(t *testing.T) {
	s := newScript(func(req *http.Request) (*http.Response, error) {
		resp, err := reply(200, jsonType, "")(req)
		resp.Body = io.NopCloser(brokenReader{errors.New("cut after " + req.Header.Get("Authorization"))})
		resp.ContentLength = -1
		return resp, err
	})
	d, err := NewDoer(Static(strings.TrimRight(canaryAccess, "=")), &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
	require.NoError(t, err)
	resp, err := d.Do(newRequest(t, http.MethodGet, apiURL, ""))
	require.NoError(t, err)
	err = DecodeResponse(resp, new(int))
	require.ErrorContains(t, err, "cut after Bearer [REDACTED]")
	assertSilent(t, err)
}
