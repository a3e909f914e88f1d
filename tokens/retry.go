package tokens

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Retry says how often and how patiently a request is repeated. The zero value is the default. What may be repeated at
// all depends on the request; nothing is once its body cannot be had again:
//
//	GET, HEAD, DELETE, client_credentials, revocation   not sent, connection broken, 429, 502, 503, 504
//	refresh_token, authorization_code                   not sent, 429, 503
//	any other POST, PATCH                               not sent, 429; 503 if Statuses has it
//
// A request was not sent if no connection was had for it, or if the server went away and said that it would not act on it (the
// GOAWAY of HTTP/2). What has the same effect as once net/http sends again by itself after a REFUSED_STREAM or GOAWAY of HTTP/2,
// up to six times within one attempt; anything else it is kept from repeating.
//
// The wait is that of Retry-After (RFC 9110, section 10.2.3), else that of ThousandEyes' X-Organization-Rate-Limit-Reset (in
// Unix seconds), else exponential with full jitter. A wait longer than Max, or past the deadline of the call, is not begun:
// the response is returned at once, with its RetryAfter.
//
// A request that is refused with 429 is no attempt: it waits for its turn at the [Limiter] and is sent again, as often as its
// context and the Limiter's MaxWait allow. What is said here of waits does not apply to it.
type Retry struct {
	// Attempts is how often a request is sent at most, redirects that are followed aside. If zero, it is 3.
	Attempts int
	// MaxElapsed is the time after the beginning of the call past which no further wait may reach. If zero, only the deadline
	// of the call bounds it.
	MaxElapsed time.Duration
	// Initial bounds the first wait that no header asks for; it doubles with each. If zero, it is 250 ms.
	Initial time.Duration
	// Max is the longest single wait. If zero, it is 30 s.
	Max time.Duration
	// Statuses, if not nil, are repeated in place of those above; 0 stands for a connection that broke. Of the requests in
	// the last two rows only 429 and 503 are repeated: after any other the server may have acted.
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
type idempotency int

const (
	byMethod   idempotency = iota // as the method says: GET, HEAD and DELETE have the same effect as once
	idempotent                    // the same effect as once
	singleUse                     // the first may have used up a refresh token or a code
)

// policy is a Retry for one kind of request.
type policy struct {
	Retry

	idempotency idempotency
}

// broken stands among the statuses for a connection that broke before a response came.
const connectionBroken = 0

// idempotent reports whether a request that may have reached the server may be sent again.
func (p policy) mayResend(method string) bool {
	switch p.idempotency {
	case idempotent:
		return true
	case byMethod:
		return slices.Contains([]string{"", http.MethodGet, http.MethodHead, http.MethodDelete}, method)
	default:
		return false
	}
}

// statuses are those after which a request is repeated.
func (p policy) statuses(method string) []int {
	const tooMany, unavailable = http.StatusTooManyRequests, http.StatusServiceUnavailable
	switch {
	case p.mayResend(method) && p.Statuses != nil:
		return p.Statuses
	case p.mayResend(method):
		return []int{connectionBroken, tooMany, http.StatusBadGateway, unavailable, http.StatusGatewayTimeout}
	case p.Statuses != nil:
		return slices.DeleteFunc(slices.Clone(p.Statuses), func(s int) bool { return s != tooMany && s != unavailable })
	case p.idempotency == singleUse:
		return []int{tooMany, unavailable}
	}
	return []int{tooMany}
}

// repeats reports whether req may be sent again after its last attempt ended so.
func (c *doerCall) shouldRetry(req *http.Request, resp *http.Response, err error) bool {
	statuses := c.policy.statuses(req.Method)
	switch {
	case err == nil:
		return slices.Contains(statuses, resp.StatusCode)
	case errors.Is(err, ErrNoToken):
		return false
	case c.notSent:
		return c.noConnection
	}
	return slices.Contains(statuses, connectionBroken) && isBroken(err)
}

// backOff is the wait before attempt n+1 where no header asks for one.
func (r Retry) backOff(n int) time.Duration {
	bound := r.Max
	if shift := n - 1; shift < 32 && r.Initial<<shift > 0 {
		bound = min(bound, r.Initial<<shift)
	}
	return rand.N(bound)
}

// retryTransport repeats requests beneath an http.Client, and above the Transport so that each attempt has a token that is
// valid then.
type retryTransport struct{ base http.RoundTripper }

func (t *retryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	c.attempts = max(0, c.attempts-1) // a redirect that is followed is no attempt of its own
	turn, err := c.firstTurn(req.Context())
	if err != nil {
		closeBody(req)
		return nil, err
	}
	for {
		c.attempts++
		began := time.Now()
		resp, err := t.attempt(req, turn)
		if err == nil && resp.StatusCode < 300 || req.Context().Err() != nil || !c.shouldRetry(req, resp, err) {
			return resp, c.sentBefore(err)
		}
		refused := err == nil && resp.StatusCode == http.StatusTooManyRequests
		wait := c.wait(resp)
		if !refused && (c.attempts >= c.policy.Attempts || !c.fits(req.Context(), wait)) || refused && c.settings.attempt != nil {
			return resp, err
		}
		again, ok := rewind(req)
		if !ok {
			return resp, err
		}
		if refused {
			next, kept, err := c.takeTurnAgain(req.Context(), resp, began)
			if kept != nil || err != nil {
				closeBody(again)
				return kept, err
			}
			c.log(req, resp, nil, time.Since(began))
			c.attempts-- // what the rate limit refuses is no attempt
			turn, req = next, again
			continue
		}
		c.log(req, resp, err, wait)
		end := time.Now().Add(wait)
		if resp != nil {
			discard(resp, wait)
		}
		if err = sleep(req.Context(), time.Until(end)); err == nil {
			turn, err = c.takeTurn(req.Context())
		}
		if err != nil {
			closeBody(again)
			return nil, err
		}
		req = again
	}
}

// attempt uses a turn to send a request once.
func (t *retryTransport) attempt(req *http.Request, turn turn) (resp *http.Response, err error) {
	defer func() { turn.done(resp) }()
	return t.base.RoundTrip(req)
}

// sentBefore returns err, but for a failure to get a token after an attempt that was sent: then it is that attempt's outcome
// and why there was no other.
func (c *doerCall) sentBefore(err error) error {
	if c.sent && errors.Is(err, ErrNoToken) {
		return fmt.Errorf("%w; %w", c.outcome, &repetitionError{"repeat the request", err})
	}
	return err
}

// wait is how long to wait after the last attempt: as its response asks for, else a back-off.
func (c *doerCall) wait(resp *http.Response) time.Duration {
	if resp != nil {
		if hint := retryAfter(resp, time.Now()); hint > 0 {
			return hint
		}
	}
	return c.policy.backOff(c.attempts)
}

// fits reports whether a wait is worth beginning.
func (c *doerCall) fits(ctx context.Context, wait time.Duration) bool {
	if wait > c.policy.Max {
		return false
	}
	end := time.Now().Add(wait)
	if deadline, ok := ctx.Deadline(); ok && !end.Before(deadline) {
		return false
	}
	return end.Before(c.deadline) && (c.policy.MaxElapsed == 0 || end.Sub(c.began) <= c.policy.MaxElapsed)
}

func (c *doerCall) log(req *http.Request, resp *http.Response, err error, wait time.Duration) {
	if c.logger == nil {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", req.Method), slog.String("url", redactURL(req.URL)),
		slog.Int("attempt", c.attempts),
	}
	if err != nil {
		attrs = append(attrs, slog.String("cause", failure(req, err).causeText()))
	} else {
		attrs = append(attrs, slog.Int("status", resp.StatusCode))
	}
	c.logger.LogAttrs(req.Context(), slog.LevelInfo, "repeating a request", append(attrs, next{"retry", wait}.attrs()...)...)
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

// isBroken reports whether err is that of a connection, or an HTTP/2 stream, that broke. net/http does not export the types
// of most of them.
func isBroken(err error) bool {
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	for _, target := range append([]error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed}, brokenErrnos...) {
		if errors.Is(err, target) {
			return true
		}
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return false
	}
	for ; err != nil; err = errors.Unwrap(err) {
		text := err.Error()
		if slices.ContainsFunc(brokenTexts, func(s string) bool { return strings.HasPrefix(text, s) }) {
			return true
		}
	}
	return false
}

var brokenTexts = []string{
	"http: server closed idle connection", "http: CloseIdleConnections called", "http: persistConn.readLoop exiting",
	"net/http: HTTP/1.x transport connection broken: ", // also where the head of a response breaks off
	"http2: ", "stream error: ", "connection error: ",
}
