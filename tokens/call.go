package tokens

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// A doerCall is one call of a Doer or of NewClient's client, with all its attempts and redirects. The transports find
// it in the context of the request. It is used by one goroutine at a time.
type doerCall struct {
	settings settings
	policy   policy
	logger   *slog.Logger // if nil, nothing is logged
	began    time.Time
	deadline time.Time   // moved back by the time that the call waits for a rate limit
	timer    *time.Timer // cancels the call at its deadline
	cancel   context.CancelCauseFunc
	limiter  *Limiter
	visit    visit       // at the limiter
	limited  *limitError // why the call got no turn, or nil
	first    attempt
	body     responseBody // of the response

	attempts     int       // number of attempts started
	notSent      bool      // the last attempt that failed sent nothing
	noConnection bool      // because it got no connection, so that a retry may help
	sent         bool      // some attempt was sent
	lost         bool      // some attempt was sent and got no response
	outcome      error     // the error of the last attempt that was sent, or the Status of its response
	noRenewal    error     // why the Source had no new token after a 401, or nil
	requested    time.Time // when the last attempt began, before it was sent
}

// in returns a context whose next call of a Doer is c. No other call has its settings.
func (c *doerCall) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callOf returns the call that ctx belongs to, or nil.
func callOf(ctx context.Context) *doerCall {
	c, _ := ctx.Value(callKey{}).(*doerCall)
	return c
}

// startCall begins a call with the settings in ctx. In the returned context, the call replaces the settings. The caller
// must end the call to release it.
func (s *sender) startCall(ctx context.Context) (context.Context, *doerCall) {
	c := callOf(ctx)
	if c == nil || c.cancel != nil { // not in a call, or in one that depends on this one, such as a token request
		c = &doerCall{settings: settingsOf(ctx)}
		ctx = c.in(ctx)
	}
	set, retry := c.settings, s.retry
	if set.retry != nil {
		retry = *set.retry
	}
	now := time.Now()
	ctx, c.cancel = context.WithCancelCause(ctx)
	c.policy = policy{retry.withDefaults(), set.idempotency}
	c.logger = cmp.Or(set.logger, s.logger)
	c.began, c.deadline = now, now.Add(s.timeout)
	c.limiter = s.limiter
	c.visit = visit{lane: s.lane, arrival: now, latest: set.latestTurn, logger: c.logger}
	c.timer = time.AfterFunc(s.timeout, c.expire)
	return ctx, c
}

// expire cancels the call because its time is over.
func (c *doerCall) expire() {
	if one := c.settings.attempt; one != nil {
		time.AfterFunc(one.grace, func() { c.cancel(errTimeout) })
		return
	}
	c.cancel(errTimeout)
}

// postpone moves the deadline back by the given time and restarts the timer.
func (c *doerCall) postpone(by time.Duration) {
	c.deadline = c.deadline.Add(by)
	c.timer.Reset(time.Until(c.deadline))
}

// end releases the resources of the call.
func (c *doerCall) end() {
	c.timer.Stop()
	c.cancel(nil)
}

// failed returns the error of a call that ended with err instead of a response.
func (c *doerCall) failed(ctx context.Context, req *http.Request, err error) *Error {
	if context.Cause(ctx) == errTimeout { //nolint:errorlint // the very cause that the deadline sets
		switch noneYet := errors.Is(err, ErrNoToken); {
		case noneYet && errors.Is(err, context.DeadlineExceeded): // err says what the token waits for
		case noneYet:
			err = noToken(context.DeadlineExceeded)
		default:
			err = context.DeadlineExceeded
		}
	}
	e := failure(req, err)
	e.unsent = !c.lost
	if c.limited != nil {
		e.RetryAfter = c.limited.retryAfter
	}
	if c.limited != nil && !c.lost { // otherwise the server may have acted, which a 429 would deny
		e.StatusCode = http.StatusTooManyRequests
	}
	return e
}
