package tokens

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requestClass is a way to send a request: a row of the table in the comment of Retry.
type requestClass struct {
	name string
	send func(t *testing.T, s *script, r Retry) error
}

func apiCall(method, body string) func(*testing.T, *script, Retry) error {
	return func(t *testing.T, s *script, r Retry) error {
		d, err := NewDoer(Static("at"), &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Retry: r})
		require.NoError(t, err)
		resp, err := d.Do(newRequest(t, method, apiURL+"/x", body))
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
}

func moovCall(call func(*testing.T, *Endpoint) error) func(*testing.T, *script, Retry) error {
	return func(t *testing.T, s *script, r Retry) error {
		e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: s.client(), Retry: r})
		require.NoError(t, err)
		return call(t, e)
	}
}

var (
	getting      = requestClass{"GET", apiCall("GET", "")}
	heading      = requestClass{"HEAD", apiCall("HEAD", "")}
	deleting     = requestClass{"DELETE", apiCall("DELETE", "")}
	credential   = requestClass{"client_credentials", moovCall(exchanging(Grant{Scopes: []string{"a"}}))}
	revokingMoov = requestClass{"revoke", moovCall(revoking("the-token", HintNone))}
	refreshing   = requestClass{"refresh_token", moovCall(exchanging(Grant{RefreshToken: "rt"}))}
	posting      = requestClass{"POST", apiCall("POST", "body")}
	patching     = requestClass{"PATCH", apiCall("PATCH", "body")}
	putting      = requestClass{"PUT", apiCall("PUT", "body")}
)

var (
	errConnRefused = errors.New("connection refused")
	errConnReset   = errors.New("connection reset by peer")
	errRefused     = &net.OpError{Op: "dial", Net: "tcp", Err: errConnRefused}
	errReset       = &net.OpError{Op: "read", Net: "tcp", Err: errConnReset}
)

// outcomes are the columns of that table. "lost" means that the request was sent and got no response.
var outcomes = []struct {
	name string
	kind string
	step step
}{
	{"refused", "not sent", withoutResponse(errRefused)},
	{"no such host", "not sent", withoutResponse(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{IsNotFound: true}})},
	{"dialling took too long", "not sent", withoutResponse(&net.OpError{Op: "dial", Net: "tcp", Err: timeoutError{}})},
	{"proxy", "not sent", withoutResponse(&net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New("refused")})},
	{"dial, wrapped", "not sent", withoutResponse(fmt.Errorf("by proxy: %w", errRefused))},

	{"reset", "lost", withoutResponse(errReset)},
	{"write failed", "lost", withoutResponse(&net.OpError{Op: "write", Net: "tcp", Err: errors.New("broken pipe")})},
	{"closed here", "lost", withoutResponse(net.ErrClosed)},
	{"EOF", "lost", withoutResponse(io.EOF)},
	{"unexpected EOF", "lost", withoutResponse(fmt.Errorf("transport connection broken: %w", io.ErrUnexpectedEOF))},
	{"idle connection", "lost", withoutResponse(errors.New("http: server closed idle connection"))},
	{"the header is cut off", "lost", withoutResponse(errors.New("net/http: HTTP/1.x transport connection broken: malformed MIME header"))},
	{"HTTP/2 stream", "lost", withoutResponse(fmt.Errorf("gateway: %w", errors.New("stream error: stream ID 1; INTERNAL_ERROR; received from peer")))},

	{"HTTP/2 in a transport that uses an http.Client", "lost", withoutResponse(&url.Error{Op: "Get", URL: apiURL, Err: errors.New("http2: client connection lost")})},

	{"certificate", "other", withoutResponse(&tls.CertificateVerificationError{Err: errors.New("expired")})},
	{"awaiting headers took too long", "other", withoutResponse(timeoutError{})},
	{"awaiting headers over HTTP/2 took too long", "other", withoutResponse(http2Timeout{})},
	{"anything else", "other", withoutResponse(errors.New("malformed response"))},

	{"400", "400", reply(400, "", "")},
	{"401", "401", reply(401, "", "")},
	{"403", "403", reply(403, "", "")},
	{"404", "404", reply(404, "", "")},
	{"408", "408", reply(408, "", "")},
	{"409", "409", reply(409, "", "")},
	{"429", "429", reply(429, "", "")},
	{"500", "500", reply(500, "", "")},
	{"501", "501", reply(501, "", "")},
	{"502", "502", reply(502, "", "")},
	{"503", "503", reply(503, "", "")},
	{"504", "504", reply(504, "", "")},
}

// http2Timeout is like the error of net/http if ResponseHeaderTimeout passes over HTTP/2. Its text begins like that of a
// broken connection.
type http2Timeout struct{}

func (http2Timeout) Error() string   { return "http2: timeout awaiting response headers" }
func (http2Timeout) Timeout() bool   { return true }
func (http2Timeout) Temporary() bool { return true }

func TestRetryTable(t *testing.T) {
	const (
		idempotent = "not sent, lost, 429, 502, 503, 504"
		rotates    = "not sent, 429, 503"
		acts       = "not sent, 429"
	)
	tests := []struct {
		class    requestClass
		statuses []int
		repeated string
	}{
		{getting, nil, idempotent},
		{heading, nil, idempotent},
		{deleting, nil, idempotent},
		{credential, nil, idempotent},
		{revokingMoov, nil, idempotent},
		{refreshing, nil, rotates},
		{posting, nil, acts},
		{patching, nil, acts},
		{putting, nil, acts},

		{getting, []int{500}, "not sent, 500"},
		{getting, []int{0, 500}, "not sent, lost, 500"},
		{getting, []int{0}, "not sent, lost"},
		{getting, []int{}, "not sent"},
		{credential, []int{408, 503}, "not sent, 408, 503"},
		{posting, []int{0, 429}, "not sent, 429"},
		{refreshing, []int{0}, "not sent"},
		{refreshing, []int{503, 500, 502}, "not sent, 503"},
		{refreshing, []int{}, "not sent"},
		{posting, []int{429, 503, 500, 502, 504}, "not sent, 429, 503"},
		{patching, []int{503}, "not sent, 503"},
		{patching, []int{}, "not sent"},
	}
	for _, tt := range tests {
		for _, outcome := range outcomes {
			t.Run(fmt.Sprint(tt.class.name, tt.statuses, " ", outcome.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newScript(outcome.step)
					err := tt.class.send(t, s, Retry{Statuses: tt.statuses})
					require.Error(t, err)
					switch repeated := strings.Contains(tt.repeated+",", outcome.kind+","); {
					case !repeated:
						assert.Len(t, s.requests(), 1)
					case outcome.kind == "429":
						assert.Greater(t, len(s.requests()), 3, "it is sent on each turn within MaxWait")
					default:
						assert.Len(t, s.requests(), 3)
					}
					for _, sent := range s.requests() {
						assert.Equal(t, s.requests()[0].Wire, sent.Wire)
					}
					assert.Zero(t, s.leaks())

					var e *Error
					require.ErrorAs(t, err, &e)
					if status, notStatus := strconv.Atoi(outcome.kind); notStatus == nil {
						assert.Equal(t, status, e.StatusCode)
					} else {
						assert.Zero(t, e.StatusCode)
					}
				})
			})
		}
	}
}

// Transports other than net/http's may return a bare errno.
func TestRetryAfterABareErrno(t *testing.T) {
	for _, errno := range brokenErrnos {
		s := newScript(withoutResponse(errno), reply(200, jsonType, "{}"))
		require.NoError(t, getting.send(t, s, quick))
	}
}

func TestRetryAttempts(t *testing.T) {
	for attempts, want := range map[int]int{0: 3, 1: 1, 2: 2, 5: 5} {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(reply(503, "", ""))
			require.ErrorIs(t, getting.send(t, s, Retry{Attempts: attempts}), Status(503))
			assert.Len(t, s.requests(), want)
		})
	}
	t.Run("success ends it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(reply(503, "", ""), withoutResponse(errReset), reply(200, jsonType, tokenReply))
			require.NoError(t, credential.send(t, s, Retry{Attempts: 9}))
			assert.Len(t, s.requests(), 3)
			assert.Zero(t, s.leaks())
		})
	})
}

// A refresh or a create whose response was lost may have had an effect: it is sent only once, and the caller gets the
// error.
func TestRetryNeverResendsALostRefreshOrCreate(t *testing.T) {
	for _, class := range []requestClass{refreshing, posting, patching} {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(withoutResponse(errReset), reply(200, jsonType, tokenReply))
			err := class.send(t, s, Retry{Attempts: 10, Statuses: []int{429, 500, 502, 503, 504}})
			require.ErrorIs(t, err, errConnReset)
			s.only(t)
		})
	}
}

func TestRetryBodies(t *testing.T) {
	t.Run("that cannot be had again are sent once", func(t *testing.T) {
		for _, outcome := range []step{reply(429, "", ""), withoutResponse(errRefused)} {
			s := newScript(outcome, reply(200, jsonType, "{}"))
			d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
			require.NoError(t, err)
			body := &countedBody{Reader: strings.NewReader("body")}
			req := newRequest(t, http.MethodPost, apiURL, "")
			req.Body = body
			_, err = d.Do(req)
			require.True(t, errors.Is(err, Status(429)) || errors.Is(err, errConnRefused), "%v", err)
			s.only(t)
			assert.Equal(t, 1, body.closed())
			assert.Zero(t, s.leaks())
		}
	})
	lastResponses := []struct {
		name, method string
		last         step
	}{
		{"given up", http.MethodPost, reply(429, "", "", "Retry-After", "31")},
		{"cancelled", http.MethodPost, reply(429, "", "", "Retry-After", "10")},
		{"cancelled before a retry", http.MethodDelete, reply(503, "", "", "Retry-After", "10")},
		{"refused for good", http.MethodPost, reply(403, "", "")},
	}
	for _, tt := range lastResponses {
		t.Run("that can are sent whole and closed once/"+tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(5*time.Second, cancel)
				s := newScript(reply(429, "", "", "Retry-After", "1"), tt.last)
				d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
				require.NoError(t, err)
				var bodies []*countedBody
				req := newRequest(t, tt.method, apiURL, "").WithContext(ctx)
				req.GetBody = func() (io.ReadCloser, error) {
					bodies = append(bodies, &countedBody{Reader: strings.NewReader("body")})
					return bodies[len(bodies)-1], nil
				}
				req.Body, _ = req.GetBody()
				_, err = d.Do(req)
				require.Error(t, err)
				require.Len(t, s.requests(), 2)
				for _, sent := range s.requests() {
					assert.Equal(t, "body", sent.Body)
				}
				for i, b := range bodies {
					assert.Equal(t, 1, b.closed(), "body %d", i)
				}
				assert.Zero(t, s.leaks())
			})
		})
	}
}

// A request whose Source failed was not sent; retrying is up to the Source.
func TestRetryNotForASourceThatFails(t *testing.T) {
	asked := 0
	src := sourceFunc(func(context.Context) (*Token, error) {
		asked++
		return nil, errRefused
	})
	s := newScript(reply(200, jsonType, "{}"))
	d, err := NewDoer(src, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
	require.NoError(t, err)
	_, err = d.Do(newRequest(t, http.MethodGet, apiURL, ""))
	require.ErrorIs(t, err, ErrNoToken)
	require.ErrorIs(t, err, errConnRefused)
	assert.Equal(t, 1, asked)
	assert.Empty(t, s.requests())
}

// Each attempt has a token that is valid at its time, because retries are above the Transport.
func TestRetryWithAFreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(reply(503, "", "", "Retry-After", "10"), reply(200, jsonType, "{}"))
		src := sourceFunc(func(context.Context) (*Token, error) {
			return &Token{AccessToken: "at-" + strconv.Itoa(int(time.Since(start).Seconds()))}, nil
		})
		d, err := NewDoer(src, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
		require.NoError(t, err)
		resp, err := d.Do(newRequest(t, http.MethodGet, apiURL, ""))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, "Bearer at-0", s.requests()[0].Header.Get("Authorization"))
		assert.Equal(t, "Bearer at-10", s.requests()[1].Header.Get("Authorization"))
	})
}

// at returns a time d after the start of a synctest bubble, in the format of a header.
func at(d time.Duration) string { return start.Add(d).Format(http.TimeFormat) }

func unix(d time.Duration) string { return strconv.FormatInt(start.Add(d).Unix(), 10) }

func TestRetryWaits(t *testing.T) {
	const reset = "X-Organization-Rate-Limit-Reset"
	const backOff = -1 // a wait of at most 250 ms or, after a 429, that of the Limiter
	tests := []struct {
		name    string
		status  int
		headers []string
		want    time.Duration
	}{
		{"seconds", 429, []string{"Retry-After", "7"}, 7 * time.Second},
		{"seconds after 503", 503, []string{"Retry-After", "7"}, 7 * time.Second},
		{"padded seconds", 429, []string{"Retry-After", " 7 "}, 7 * time.Second},
		{"the longest wait", 429, []string{"Retry-After", "29"}, 29 * time.Second},
		{"a date", 429, []string{"Retry-After", at(9 * time.Second)}, 9 * time.Second},
		{"a date of RFC 850", 503, []string{"Retry-After", start.Add(9 * time.Second).Format("Monday, 02-Jan-06 15:04:05 GMT")}, 9 * time.Second},
		{"a date of asctime", 503, []string{"Retry-After", start.Add(9 * time.Second).Format(time.ANSIC)}, 9 * time.Second},
		{"a date that has passed", 429, []string{"Retry-After", at(-time.Hour)}, backOff},
		{"now", 429, []string{"Retry-After", at(0)}, backOff},
		{"zero", 429, []string{"Retry-After", "0"}, backOff},
		{"negative", 429, []string{"Retry-After", "-7"}, backOff},
		{"a fraction", 429, []string{"Retry-After", "1.5"}, 1500 * time.Millisecond},
		{"no whole number", 429, []string{"Retry-After", ".5"}, backOff},
		{"two fractions", 429, []string{"Retry-After", "1.5.5"}, backOff},
		{"an exponent", 429, []string{"Retry-After", "1e1"}, backOff},
		{"a date by a server whose clock is slow", 429, []string{"Date", at(-time.Hour), "Retry-After", at(-time.Hour + 5*time.Second)}, 5 * time.Second},
		{"a date by a server whose clock is fast", 429, []string{"Date", at(time.Hour), "Retry-After", at(time.Hour + 5*time.Second)}, 5 * time.Second},
		{"a date that is not the response's", 429, []string{"Date", "yesterday", "Retry-After", at(5 * time.Second)}, 5 * time.Second},
		{"Moov's older header", 429, []string{"X-Retry-In", "2500"}, 2500 * time.Millisecond},
		{"Moov's older header with a unit", 429, []string{"X-Retry-In", "2.5s"}, 2500 * time.Millisecond},
		{"Moov's older header, negative", 429, []string{"X-Retry-In", "-2s"}, backOff},
		{"Retry-After before Moov's", 429, []string{"X-Retry-In", "2500", "Retry-After", "1"}, time.Second},
		{"a reset by a server whose clock is fast", 429, []string{"Date", at(time.Hour), reset, unix(time.Hour + 5*time.Second)}, 5 * time.Second},
		{"a word", 429, []string{"Retry-After", "soon"}, backOff},
		{"empty", 429, []string{"Retry-After", ""}, backOff},
		{"none", 429, nil, backOff},
		{"ThousandEyes' reset", 429, []string{reset, unix(11 * time.Second)}, 11 * time.Second},
		{"Retry-After before the reset", 429, []string{"Retry-After", "3", reset, unix(11 * time.Second)}, 3 * time.Second},
		{"a reset behind a Retry-After that says nothing", 429, []string{"Retry-After", "soon", reset, unix(11 * time.Second)}, 11 * time.Second},
		{"a reset that has passed", 429, []string{reset, unix(-time.Second)}, backOff},
		{"a reset before 1970", 429, []string{reset, "-9223372036854775808"}, backOff},
		{"a reset that is no time", 429, []string{reset, "soon"}, backOff},
		{"a reset beyond all time", 429, []string{reset, "4611686018427387904"}, backOff},
		{"a reset on another status", 503, []string{reset, unix(11 * time.Second)}, backOff},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(reply(tt.status, "", "", tt.headers...), reply(200, jsonType, "{}"))
				require.NoError(t, getting.send(t, s, Retry{}))
				require.Len(t, s.requests(), 2)
				waited := s.requests()[1].At.Sub(s.requests()[0].At)
				switch {
				case tt.want == backOff && tt.status == 429: // the wait of the Limiter
					assert.GreaterOrEqual(t, waited, time.Second)
					assert.LessOrEqual(t, waited, 1250*time.Millisecond)
				case tt.want == backOff:
					assert.LessOrEqual(t, waited, 250*time.Millisecond)
				default:
					assert.Equal(t, tt.want, waited)
				}
			})
		})
	}
}

// If a wait would be too long, the response is returned at once.
func TestRetryWaitsNotBegun(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		name     string
		retry    Retry
		deadline time.Duration // the caller's deadline
		headers  []string
		want     time.Duration
	}{
		{"longer than 30 s", Retry{}, 0, []string{"Retry-After", "31"}, 31 * time.Second},
		{"longer than Max", Retry{Max: 5 * time.Second}, 0, []string{"Retry-After", "6"}, 6 * time.Second},
		{"to the Doer's deadline", Retry{Max: time.Hour}, 0, []string{"Retry-After", "30"}, 30 * time.Second},
		{"past the Doer's deadline", Retry{Max: time.Hour}, 0, []string{"Retry-After", "60"}, time.Minute},
		{"past the caller's deadline", Retry{}, 4 * time.Second, []string{"Retry-After", "5"}, 5 * time.Second},
		{"past MaxElapsed", Retry{MaxElapsed: 4 * time.Second}, 0, []string{"Retry-After", "5"}, 5 * time.Second},
		{"a date far off", Retry{}, 0, []string{"Retry-After", at(day)}, day},
		{"a reset far off", Retry{}, 0, []string{"X-Organization-Rate-Limit-Reset", unix(day)}, day},
		{"a reset in milliseconds", Retry{Max: math.MaxInt64}, 0, []string{"X-Organization-Rate-Limit-Reset", "946684801000"}, math.MaxInt64},
		{"overflow", Retry{Max: math.MaxInt64}, 0, []string{"Retry-After", strings.Repeat("9", 40)}, math.MaxInt64},
		{"beyond a Duration", Retry{}, 0, []string{"Retry-After", "9223372037"}, math.MaxInt64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				status := 503
				if tt.headers[0] != "Retry-After" {
					status = 429
				}
				s := newScript(reply(status, jsonType, `{"error":"slow_down"}`, tt.headers...))
				ctx := WithRetry(t.Context(), tt.retry)
				if tt.deadline != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				_, err := moovOver(t, s).Exchange(ctx, vendorCases[1].grant)
				assert.Equal(t, start, time.Now().UTC(), "no time has passed")
				s.only(t)
				var e *Error
				require.ErrorAs(t, err, &e)
				assert.Equal(t, Code("slow_down"), e.Code)
				assert.Equal(t, tt.want, e.RetryAfter)
				assert.False(t, e.Timeout())
				assert.Zero(t, s.leaks())
			})
		})
	}
}

func TestRetryMaxElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(reply(503, "", "", "Retry-After", "4"))
		require.ErrorIs(t, getting.send(t, s, Retry{Attempts: 100, MaxElapsed: 10 * time.Second}), Status(503))
		assert.Len(t, s.requests(), 3)
		assert.Equal(t, 8*time.Second, time.Since(start))
	})
	synctest.Test(t, func(t *testing.T) {
		s := newScript(reply(503, "", "", "Retry-After", "4"))
		require.ErrorIs(t, getting.send(t, s, Retry{Attempts: 100, MaxElapsed: 12 * time.Second}), Status(503))
		assert.Len(t, s.requests(), 4, "a wait may reach MaxElapsed itself")
	})
	synctest.Test(t, func(t *testing.T) {
		s := newScript(reply(503, "", "", "Retry-After", "4"))
		require.ErrorIs(t, getting.send(t, s, Retry{Max: 4 * time.Second}), Status(503))
		assert.Len(t, s.requests(), 3, "a wait may be as long as Max")
	})
}

// The backoff is a random part of a bound that doubles up to Max (full jitter).
func TestRetryBackOff(t *testing.T) {
	longest := func(r Retry, attempt int) (most time.Duration) {
		for range 2000 {
			d := r.withDefaults().backOff(attempt)
			require.GreaterOrEqual(t, d, time.Duration(0))
			most = max(most, d)
		}
		return most
	}
	tests := []struct {
		retry   Retry
		attempt int
		bound   time.Duration
	}{
		{Retry{}, 1, 250 * time.Millisecond},
		{Retry{}, 2, 500 * time.Millisecond},
		{Retry{}, 3, time.Second},
		{Retry{}, 8, 30 * time.Second},
		{Retry{Initial: 1 << 33, Max: time.Hour}, 32, time.Hour}, // twice as often, it exceeds every Duration
		{Retry{}, 1000, 30 * time.Second},
		{Retry{Initial: time.Minute}, 1, 30 * time.Second},
		{Retry{Initial: time.Second, Max: 3 * time.Second}, 2, 2 * time.Second},
		{Retry{Initial: time.Second, Max: 3 * time.Second}, 3, 3 * time.Second},
		{Retry{Initial: math.MaxInt64, Max: math.MaxInt64}, 1, math.MaxInt64},
		{Retry{Max: math.MaxInt64}, 100, math.MaxInt64},
		{Retry{Initial: 1}, 1, 1},
	}
	for _, tt := range tests {
		most := longest(tt.retry, tt.attempt)
		assert.LessOrEqual(t, most, tt.bound)
		assert.GreaterOrEqual(t, most, tt.bound-tt.bound/10-1, "%+v, attempt %d", tt.retry, tt.attempt)
	}
}

// A response is closed before the wait for the next attempt, so that it does not occupy a connection.
func TestRetryClosesBeforeItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(reply(503, "", strings.Repeat("x", 1<<20), "Retry-After", "10"), reply(200, jsonType, "{}"))
		go func() {
			pass(5 * time.Second)
			assert.Len(t, s.requests(), 1)
			assert.Zero(t, s.leaks())
		}()
		require.NoError(t, getting.send(t, s, Retry{}))
	})
}

func TestRetryReturnsTheLastResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(
			reply(503, jsonType, `{"error":"first"}`),
			reply(503, jsonType, `{"error":"second"}`),
			reply(503, jsonType, `{"error":"third","error_description":"still down"}`),
		)
		err := getting.send(t, s, Retry{})
		require.ErrorIs(t, err, Code("third"))
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.JSONEq(t, `{"error":"third","error_description":"still down"}`, string(e.Body))
		assert.Zero(t, s.leaks())
	})
}

func TestRetryCancelledWhileItWaits(t *testing.T) {
	for _, class := range []requestClass{getting, credential} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(3*time.Second, cancel)
			s := newScript(reply(503, "", "", "Retry-After", "10"))
			d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
			require.NoError(t, err)
			_, err = d.Do(newRequest(t, http.MethodGet, apiURL, "").WithContext(ctx))
			require.ErrorIs(t, err, context.Canceled, class.name)
			assert.Equal(t, 3*time.Second, time.Since(start))
			s.only(t)
			assert.Zero(t, s.leaks())
		})
	}
}

// Once the caller has gone, there is no retry, log line or wait.
func TestRetryNotForACallerThatLeft(t *testing.T) {
	for _, outcome := range []step{withoutResponse(errRefused), withoutResponse(errReset), reply(503, "", "")} {
		ctx, cancel := context.WithCancel(t.Context())
		var log strings.Builder
		s := newScript(func(req *http.Request) (*http.Response, error) {
			cancel()
			return outcome(req)
		})
		d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		_, err = d.Do(newRequest(t, http.MethodGet, apiURL, "").WithContext(ctx))
		require.Error(t, err)
		s.only(t)
		assert.Empty(t, log.String())
		assert.Zero(t, s.leaks())
	}
}

func TestRetryLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := newScript(
			reply(503, jsonType, `{"error":"the body is not logged"}`, "Retry-After", "2"),
			withoutResponse(errReset),
			reply(200, jsonType, "{}"),
		)
		d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		resp, err := d.Do(newRequest(t, http.MethodGet, apiURL+"/x?filters=s3cret", ""))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		require.Len(t, lines, 2)
		assert.Equal(t, `time=2000-01-01T00:00:00.000Z level=INFO msg="retrying a request" method=GET url=https://api.example.com/x attempt=1 status=503 next=retry next_in=2s`,
			strings.ReplaceAll(lines[0], start.Local().Format("2006-01-02T15:04:05.000Z07:00"), "2000-01-01T00:00:00.000Z"))
		assert.Contains(t, lines[1], "method=GET url=https://api.example.com/x attempt=2 cause=")
		assert.Contains(t, lines[1], `cause="read tcp: connection reset by peer"`)
		assert.NotContains(t, log.String(), "s3cret")
	})
}

// A log handler that panics prevents no retry and fails no call.
func TestRetryWithALogHandlerThatPanics(t *testing.T) {
	for _, src := range []Source{nil, Static("the-token")} {
		for _, handler := range []slog.Handler{brokenHandler{}, brokenHandler{enabled: true}} {
			s := newScript(reply(503, "", ""))
			d, err := NewDoer(src, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Retry: quick, Logger: slog.New(handler)})
			require.NoError(t, err)
			_, err = d.Do(newRequest(t, http.MethodGet, apiURL, ""))
			require.ErrorIs(t, err, Status(503))
			assert.Len(t, s.requests(), 3)
		}
	}
}

// A wait is never negative, and the time in a header is respected.
func FuzzRetryAfter(f *testing.F) {
	f.Add(429, "120", "")
	f.Add(503, "Fri, 31 Dec 1999 23:59:59 GMT", "")
	f.Add(429, "", "946684800")
	f.Add(429, "99999999999999999999", "-1")
	f.Fuzz(func(t *testing.T, status int, retryAfterValue, reset string) {
		resp := &http.Response{StatusCode: status, Header: http.Header{
			"Retry-After": {retryAfterValue}, "X-Organization-Rate-Limit-Reset": {reset},
		}}
		wait := retryAfter(resp, start)
		require.GreaterOrEqual(t, wait, time.Duration(0))
		if seconds, err := strconv.ParseUint(retryAfterValue, 10, 32); err == nil {
			require.Equal(t, time.Duration(seconds)*time.Second, wait)
		}
	})
}

// With real HTTP/2, a stream that the server resets counts as a broken connection.
func TestRetryOverHTTP2(t *testing.T) {
	for method, want := range map[string]int32{http.MethodGet: 2, http.MethodDelete: 2, http.MethodPost: 1} {
		t.Run(method, func(t *testing.T) {
			var requests atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, 2, r.ProtoMajor)
				if requests.Add(1) == 1 {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(http.StatusNoContent)
			}))
			server.EnableHTTP2 = true
			server.StartTLS()
			defer server.Close()
			d, err := NewDoer(nil, &DoerOptions{BaseURL: server.URL, HTTPClient: server.Client(), Retry: Retry{Initial: 1}})
			require.NoError(t, err)
			resp, err := d.Do(newRequest(t, method, server.URL, ""))
			assert.Equal(t, want, requests.Load())
			if want == 1 {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		})
	}
}
