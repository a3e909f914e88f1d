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

// Retry says how often a request is retried, and how long to wait in between. The zero value is the default policy.
// Which failures are retried depends on the request. No request is retried if its body cannot be replayed (GetBody):
//
//	GET, HEAD, DELETE, client_credentials, revocation   not sent, connection broken, 429, 502, 503, 504
//	refresh_token, authorization_code                   not sent, 429, 503
//	any other POST, PATCH                               not sent, 429; 503 if Statuses has it
//
// A request was not sent if no connection could be opened for it, or if an HTTP/2 server refused it with GOAWAY. After
// any other failure, it may have reached the server. By itself, net/http resends an idempotent request after
// REFUSED_STREAM or GOAWAY of HTTP/2, up to six times within one attempt; all other requests are kept from being
// resent.
//
// The wait is taken from Retry-After (RFC 9110, section 10.2.3), or else from ThousandEyes'
// X-Organization-Rate-Limit-Reset (in Unix seconds), or else it is exponential with full jitter. If the wait would be
// longer than Max, or would end after the deadline of the call, the response is returned at once, with its RetryAfter.
//
// A request that is refused with 429 does not count as an attempt. It waits for its turn at the [Limiter] and is sent
// again, as often as its context and the Limiter's MaxWait allow. The rules for waits above do not apply to it.
type Retry struct {
	// Attempts is the maximum number of times that a request is sent, not counting redirects. If zero, it is 3.
	Attempts int
	// MaxElapsed is how long after the start of the call a wait may end at the latest. If zero, only the deadline of the
	// call limits it.
	MaxElapsed time.Duration
	// Initial is the upper bound of the first backoff, which doubles each time. If zero, it is 250 ms.
	Initial time.Duration
	// Max is the longest single wait. If zero, it is 30 s.
	Max time.Duration
	// Statuses, if not nil, replaces the statuses above; 0 stands for a broken connection. For the requests in the last
	// two rows only 429 and 503 have an effect: after any other status the server may have acted.
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

// idempotency says whether a request may be sent twice.
type idempotency int

const (
	byMethod   idempotency = iota // GET, HEAD and DELETE may, others may not
	idempotent                    // it may, whatever its method
	singleUse                     // it may not: it consumes a refresh token or a code
)

// policy is a Retry applied to one kind of request.
type policy struct {
	Retry

	idempotency idempotency
}

// connectionBroken stands for a broken connection in a list of statuses.
const connectionBroken = 0

// mayResend reports whether a request that may have reached the server may be sent again.
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

// statuses returns the statuses after which a request is retried.
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

// shouldRetry reports whether req may be sent again after its last attempt ended with resp or err.
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

// backOff returns the wait before attempt n+1 if no header asks for one.
func (r Retry) backOff(n int) time.Duration {
	bound := r.Max
	if shift := n - 1; shift < 32 && r.Initial<<shift > 0 {
		bound = min(bound, r.Initial<<shift)
	}
	return rand.N(bound)
}

// retryTransport retries requests. It is beneath the http.Client and above the Transport, so that each attempt gets a
// token that is valid at that time.
type retryTransport struct{ base http.RoundTripper }

func (t *retryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	c.attempts = max(0, c.attempts-1) // following a redirect does not count
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
			c.attempts-- // a 429 does not count
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

// sentBefore returns err, unless an earlier attempt was sent and err says that there is no token for another. In that
// case the error is the outcome of the earlier attempt, followed by err.
func (c *doerCall) sentBefore(err error) error {
	if c.sent && errors.Is(err, ErrNoToken) {
		return fmt.Errorf("%w; %w", c.outcome, &retryError{"retry", err})
	}
	return err
}

// wait returns how long to wait after the last attempt: as long as its response asks, or else a backoff.
func (c *doerCall) wait(resp *http.Response) time.Duration {
	if resp != nil {
		if hint := retryAfter(resp, time.Now()); hint > 0 {
			return hint
		}
	}
	return c.policy.backOff(c.attempts)
}

// fits reports whether a wait is within the limits of the policy and the deadlines.
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
	c.logger.LogAttrs(req.Context(), slog.LevelInfo, "retrying a request", append(attrs, next{"retry", wait}.attrs()...)...)
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

// isBroken reports whether err is the failure of a connection or an HTTP/2 stream. net/http does not export the types
// of most of these errors.
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
	"net/http: HTTP/1.x transport connection broken: ", // also if a response header is cut off
	"http2: ", "stream error: ", "connection error: ",
}
