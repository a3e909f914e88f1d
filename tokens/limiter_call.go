package tokens

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// A heldTurn is a turn that was taken before the call that uses it.
type heldTurn struct {
	turn turn
	used bool
}

// takeTurn waits until latest for the turn of a single request, for use with oneAttempt. The caller must release it. If
// the rate limit does not allow the request in time, the error is an *Error.
func (e *Endpoint) takeTurn(ctx context.Context, latest time.Time, logger *slog.Logger) (*heldTurn, error) {
	turn, err := e.limiter.take(ctx, &visit{lane: tokenLane, arrival: time.Now(), latest: latest, logger: cmp.Or(logger, e.logger)})
	if limited, ok := errors.AsType[*limitError](err); ok {
		return nil, e.limited(limited, fmt.Errorf("not sent: %w", err))
	}
	if err != nil {
		return nil, err
	}
	return &heldTurn{turn: turn}, nil
}

// limited returns the Error of a request that the rate limit delays for too long.
func (e *Endpoint) limited(err *limitError, cause error) *Error {
	failed := &Error{Method: http.MethodPost, StatusCode: http.StatusTooManyRequests, RetryAfter: err.retryAfter, cause: cause, unsent: true}
	if at, err := url.Parse(e.tokenURL); err == nil {
		failed.URL = redactURL(at)
	}
	return failed
}

// waitEnded returns the error of a caller whose ctx ended while it waited for a token. If the token request is waiting
// for the rate limit, the error says so.
func (e *Endpoint) waitEnded(ctx context.Context) error {
	err := ctx.Err()
	if context.Cause(ctx) == errTimeout { //nolint:errorlint // the very cause that the deadline of a call sets
		err = context.DeadlineExceeded
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if limited := e.limiter.holdsUp(tokenLane); limited != nil {
		return e.limited(limited, fmt.Errorf("the request for a token waits for the rate limit: %w", err))
	}
	return err
}

// release gives the turn back if there is one and no request has used it.
func (h *heldTurn) release() {
	if h != nil && !h.used {
		h.used = true
		h.turn.done(nil)
	}
}

// firstTurn waits for the turn of the call's first request.
func (c *doerCall) firstTurn(ctx context.Context) (turn, error) {
	if one := c.settings.attempt; one != nil && one.turn != nil && !one.turn.used {
		one.turn.used = true
		return one.turn.turn, nil
	}
	return c.takeTurn(ctx)
}

// takeTurn waits for the turn of the call's next request.
func (c *doerCall) takeTurn(ctx context.Context) (turn, error) {
	if turn, ok := c.limiter.takeNow(&c.visit); ok {
		return turn, nil
	}
	since := time.Now()
	c.timer.Stop()
	turn, err := c.limiter.take(ctx, &c.visit)
	c.wasLimited(since)
	if err != nil {
		return turn, c.noTurn(err)
	}
	return turn, nil
}

// takeTurnAgain waits for another turn after the request that was sent at the given time was refused with resp. If
// there is no turn before MaxWait is over, it returns resp.
func (c *doerCall) takeTurnAgain(ctx context.Context, resp *http.Response, sent time.Time) (turn, *http.Response, error) {
	c.timer.Stop()
	defer c.wasLimited(sent)
	w, err := c.limiter.enter(ctx, &c.visit, true)
	if err != nil {
		if _, ok := errors.AsType[*limitError](err); ok {
			return turn{}, resp, nil
		}
		_ = resp.Body.Close()
		return turn{}, nil, c.noTurn(err)
	}
	body := keepBody(resp) // reads the body in the background
	next, err := c.limiter.await(ctx, w)
	switch {
	case err == nil:
		return next, nil, nil
	case errors.As(err, &c.limited):
		resp.Body = io.NopCloser(bytes.NewReader(body()))
		return turn{}, resp, nil
	default:
		return turn{}, nil, c.noTurn(err)
	}
}

// wasLimited excludes the time since then from the call's limits, because the rate limit caused it.
func (c *doerCall) wasLimited(since time.Time) {
	d := time.Since(since)
	c.began = c.began.Add(d)
	c.postpone(d)
}

// noTurn returns the error of a call that got no turn.
func (c *doerCall) noTurn(err error) error {
	if !errors.As(err, &c.limited) {
		err = fmt.Errorf("waiting for the rate limit: %w", err)
	}
	if c.sent {
		return fmt.Errorf("not sent again after %s: %w", c.outcome.Error(), err)
	}
	return fmt.Errorf("not sent: %w", err)
}

// keepBody reads the body of a response in the background, so that its connection can be reused. The returned function
// returns the start of the body.
func keepBody(resp *http.Response) func() []byte {
	const patience = 50 * time.Millisecond // how long the returned function waits for the body
	body, kept := resp.Body, make(chan []byte, 1)
	go func() {
		defer close(kept)
		defer func() { _ = recover() }() // the body may be of any type, and nobody else can recover here
		defer func() { _ = body.Close() }()
		start, _ := io.ReadAll(io.LimitReader(body, maxErrorBody))
		kept <- start
	}()
	return func() []byte {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case body := <-kept:
			return body
		case <-timer.C:
			return nil
		}
	}
}
