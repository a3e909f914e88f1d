package tokens

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// A doerCall is one call of a Doer or of NewClient's client, with all its attempts and redirects. The layers beneath find
// it in the context of the request. It is used by one goroutine at a time.
type doerCall struct {
	settings settings
	policy   policy
	logger   *slog.Logger // if nil, nothing is logged
	began    time.Time
	deadline time.Time   // what a rate limit costs the call does not count
	timer    *time.Timer // ends the call at its deadline
	cancel   context.CancelCauseFunc
	limiter  *Limiter
	visit    visit       // at the limiter
	limited  *limitError // why the call got no turn; if nil, it got all it needed

	attempts     int   // begun so far
	notSent      bool  // nothing of the last attempt's request was sent
	noConnection bool  // for want of a connection, which another attempt may have
	sent         bool  // some attempt was sent
	lost         bool  // some attempt was sent and had no response
	outcome      error // of the last attempt that was sent: its error, or the Status of its response
	noRenewal    error // why its Source had no token to repeat a request after a 401; nil if it had one
}

// callOf returns the call that ctx belongs to, or nil.
func callOf(ctx context.Context) *doerCall {
	c, _ := ctx.Value(callKey{}).(*doerCall)
	return c
}

// startCall begins a call with the settings in ctx. The context that it returns has the call in their place, and must be
// released by the call's end.
func (s *sender) startCall(ctx context.Context) (context.Context, *doerCall) {
	set, retry := settingsOf(ctx), s.retry
	if set.retry != nil {
		retry = *set.retry
	}
	now, logger := time.Now(), cmp.Or(set.logger, s.logger)
	ctx, cancel := context.WithCancelCause(ctx)
	c := &doerCall{
		settings: set,
		policy:   policy{retry.withDefaults(), set.idempotency},
		logger:   logger,
		began:    now,
		deadline: now.Add(s.timeout),
		cancel:   cancel,
		limiter:  s.limiter,
		visit:    visit{lane: s.lane, arrival: now, latest: set.latestTurn, logger: logger},
	}
	c.timer = time.AfterFunc(s.timeout, c.expire)
	return context.WithValue(ctx, callKey{}, c), c
}

// expire ends the call because its time is over.
func (c *doerCall) expire() {
	if one := c.settings.attempt; one != nil {
		time.AfterFunc(one.grace, func() { c.cancel(errTimeout) })
		return
	}
	c.cancel(errTimeout)
}

// postpone lets a call whose timer was stopped go on, and expire later.
func (c *doerCall) postpone(by time.Duration) {
	c.deadline = c.deadline.Add(by)
	c.timer.Reset(time.Until(c.deadline))
}

// end releases what the call holds.
func (c *doerCall) end() {
	c.timer.Stop()
	c.cancel(nil)
}

// failed returns the error of a call of req that ended with err in place of a response.
func (c *doerCall) failed(ctx context.Context, req *http.Request, err error) *Error {
	if context.Cause(ctx) == errTimeout { //nolint:errorlint // the very cause that the deadline sets
		switch noneYet := errors.Is(err, ErrNoToken); {
		case noneYet && errors.Is(err, context.DeadlineExceeded): // it says what the token waits for
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
	if c.limited != nil && !c.lost { // else the server may have acted, and a 429 would say that it has not
		e.StatusCode = http.StatusTooManyRequests
	}
	return e
}
