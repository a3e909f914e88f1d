package tokens

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Retry says how often and how patiently a request is repeated. The zero value is the default. What may be repeated at
// all depends on the request; nothing is once its body cannot be had again:
//
//	GET, HEAD, DELETE, client_credentials, revocation   not sent, connection broken, 429, 502, 503, 504
//	refresh_token                                       not sent, 429, 503
//	any other POST, PATCH                               not sent, 429; 503 if Statuses has it
//
// "Not sent" is a connection that could not be opened. The wait is that of Retry-After (RFC 9110, section 10.2.3), else
// that of ThousandEyes' X-Organization-Rate-Limit-Reset, else exponential with full jitter. A wait longer than Max, or
// past the deadline of the call, is not begun: the answer is returned at once, with its RetryAfter.
type Retry struct {
	// Attempts is how often a request is sent at most. 0: 3. 1: once.
	Attempts int
	// MaxElapsed is the time after the first attempt past which no further wait may reach. 0: the call's deadline alone.
	MaxElapsed time.Duration
	// Initial is the bound of the first wait that no header gives; it doubles with each. 0: 250 ms.
	Initial time.Duration
	// Max is the longest single wait. 0: 30 s.
	Max time.Duration
	// Statuses are repeated in place of those above. For refresh_token, POST and PATCH only 429 and 503 count: after
	// any other the vendor may have acted. Nil: those above.
	Statuses []int
}

func (r Retry) check() error {
	if r.Attempts < 0 || r.MaxElapsed < 0 || r.Initial < 0 || r.Max < 0 {
		return errors.New("a Retry has a negative member")
	}
	return nil
}

func (r Retry) withDefaults() Retry {
	if r.Attempts <= 0 {
		r.Attempts = 3
	}
	if r.Initial <= 0 {
		r.Initial = 250 * time.Millisecond
	}
	if r.Max <= 0 {
		r.Max = 30 * time.Second
	}
	return r
}

// repeat is what is known of the effect of sending a request twice.
type repeat int

const (
	byMethod repeat = iota // GET, HEAD and DELETE are safe, all else is not
	safe                   // the same as once
	rotating               // the first may have used up the refresh token
)

// policy is a Retry for one kind of request.
type policy struct {
	Retry

	repeat repeat
}

// statuses are those after which the request is repeated.
func (p policy) statuses(method string) (repeated []int, broken bool) {
	idempotent := p.repeat == safe ||
		p.repeat == byMethod && (method == http.MethodGet || method == http.MethodHead || method == http.MethodDelete)
	switch {
	case idempotent && p.Statuses != nil:
		return p.Statuses, true
	case idempotent:
		return []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, true
	case p.Statuses != nil:
		return slices.DeleteFunc(slices.Clone(p.Statuses), func(s int) bool {
			return s != http.StatusTooManyRequests && s != http.StatusServiceUnavailable
		}), false
	case p.repeat == rotating:
		return []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}, false
	}
	return []int{http.StatusTooManyRequests}, false
}

// repeatable tells whether a request that ended so may be sent again.
func (p policy) repeatable(method string, resp *http.Response, err error) bool {
	statuses, broken := p.statuses(method)
	switch {
	case err == nil:
		return slices.Contains(statuses, resp.StatusCode)
	case errors.Is(err, ErrNoToken):
		return false
	}
	op, isOp := errors.AsType[*net.OpError](err)
	if isOp && op.Op == "dial" {
		return true
	}
	return broken && (isOp || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || isHTTP2(err))
}

// isHTTP2 tells whether an HTTP/2 connection or stream broke. net/http does not export the types of these errors.
func isHTTP2(err error) bool {
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return false
	}
	text := err.Error()
	return strings.HasPrefix(text, "http2: ") || strings.HasPrefix(text, "stream error: ")
}

// backOff is the wait before attempt n+1 where no header gives one.
func (r Retry) backOff(n int) time.Duration {
	bound := r.Max
	if shift := n - 1; shift < 32 && r.Initial<<shift > 0 {
		bound = min(bound, r.Initial<<shift)
	}
	return rand.N(bound)
}

// retryTransport repeats requests beneath an http.Client, and above the Transport so that each attempt carries a token
// that is valid then.
type retryTransport struct{ base http.RoundTripper }

func (t *retryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := req.Context().Value(settingsKey{}).(*call) //nolint:forcetypeassert // the Doer put it there
	start := time.Now()
	for attempt := 1; ; attempt++ {
		if c.sent != nil {
			*c.sent = time.Now()
		}
		resp, err := t.base.RoundTrip(req)
		if err == nil {
			complete(resp, req)
		}
		if attempt >= c.policy.Attempts || err == nil && resp.StatusCode < 300 || req.Context().Err() != nil ||
			!c.policy.repeatable(req.Method, resp, err) {
			return resp, err
		}
		wait := c.policy.wait(resp, attempt)
		again, ok := rewind(req)
		if !ok || !c.fits(req.Context(), start, wait) {
			if ok && again.Body != nil {
				_ = again.Body.Close()
			}
			return resp, err
		}
		c.log(req, resp, err, attempt, wait)
		if resp != nil {
			discard(resp)
		}
		if err := sleep(req.Context(), wait); err != nil {
			closeBody(again)
			return nil, err
		}
		req = again
	}
}

// complete makes sure that an answer can be told: net/http fails a call, and quotes the header, where Location is no URL.
func complete(resp *http.Response, req *http.Request) {
	if resp.Request == nil {
		resp.Request = req
	}
	if location := resp.Header.Get("Location"); location != "" {
		if _, err := req.URL.Parse(location); err != nil {
			resp.Header.Del("Location")
		}
	}
}

// wait is what the answer asks for, or a back-off.
func (p policy) wait(resp *http.Response, attempt int) time.Duration {
	if resp != nil {
		if hint := retryAfter(resp, time.Now()); hint > 0 {
			return hint
		}
	}
	return p.backOff(attempt)
}

// fits tells whether a wait is worth beginning.
func (c *call) fits(ctx context.Context, start time.Time, wait time.Duration) bool {
	if wait > c.policy.Max {
		return false
	}
	end := time.Now().Add(wait)
	if deadline, ok := ctx.Deadline(); ok && !end.Before(deadline) {
		return false
	}
	return end.Before(c.deadline) && (c.policy.MaxElapsed == 0 || end.Sub(start) <= c.policy.MaxElapsed)
}

func (c *call) log(req *http.Request, resp *http.Response, err error, attempt int, wait time.Duration) {
	if c.logger == nil {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", req.Method), slog.String("url", redactURL(req.URL)),
		slog.Int("attempt", attempt), slog.Duration("wait", wait),
	}
	if err != nil {
		attrs = append(attrs, slog.String("cause", failure(req, err).causeText()))
	} else {
		attrs = append(attrs, slog.Int("status", resp.StatusCode))
	}
	c.logger.LogAttrs(req.Context(), slog.LevelInfo, "repeating a request", attrs...)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retryAfter is how long an answer asks to wait: by Retry-After in seconds or as a date, or, after a 429 without it, by
// ThousandEyes' reset header, a Unix time. Zero if it does not say or the time has passed.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	if value := strings.TrimSpace(resp.Header.Get("Retry-After")); value != "" {
		if seconds, ok := parseSeconds(value); ok {
			return seconds
		}
		if at, err := http.ParseTime(value); err == nil {
			return max(0, at.Sub(now))
		}
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		if reset, ok := parseSeconds(strings.TrimSpace(resp.Header.Get("X-Organization-Rate-Limit-Reset"))); ok {
			return max(0, time.Unix(int64(reset/time.Second), 0).Sub(now))
		}
	}
	return 0
}

// parseSeconds reads whole seconds; more than a Duration holds reads as the most it holds.
func parseSeconds(s string) (time.Duration, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	seconds, err := strconv.ParseInt(s, 10, 64)
	if err != nil || seconds > int64(math.MaxInt64/time.Second) {
		return math.MaxInt64, true
	}
	return time.Duration(seconds) * time.Second, true
}
