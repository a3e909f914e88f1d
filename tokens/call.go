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
	deadline *callDeadline
	limiter  *Limiter
	visit    visit       // at the limiter
	limited  *limitError // why the call got no turn; if nil, it got all it needed

	attempts     int   // begun so far
	notSent      bool  // nothing of the last attempt's request was sent
	noConnection bool  // for want of a connection, which another attempt may have
	sent         bool  // some attempt was sent
	lost         bool  // some attempt was sent and had no response
	outcome      error // of the last attempt that was sent: its error, or the Status of its response
}

// callKey is the context key of a *doerCall.
type callKey struct{}

func callOf(ctx context.Context) *doerCall {
	c, _ := ctx.Value(callKey{}).(*doerCall)
	return c
}

func (s *sender) newCall(set settings, deadline *callDeadline) *doerCall {
	retry := s.retry
	if set.retry != nil {
		retry = *set.retry
	}
	now, logger := time.Now(), cmp.Or(set.logger, s.logger)
	return &doerCall{
		settings: set,
		policy:   policy{retry.withDefaults(), set.repeat},
		logger:   logger,
		began:    now,
		deadline: deadline,
		limiter:  s.limiter,
		visit:    visit{lane: s.lane, arrival: now, logger: logger},
	}
}

// failed returns the error of a call of req that ended with err in place of a response.
func (c *doerCall) failed(ctx context.Context, req *http.Request, err error) *Error {
	if context.Cause(ctx) == errTimeout { //nolint:errorlint // the very cause that the deadline sets
		timeout := context.DeadlineExceeded
		if errors.Is(err, ErrNoToken) {
			timeout = noToken(timeout)
		}
		err = timeout
	}
	e := failure(req, err)
	e.unsent = !c.lost
	if c.limited != nil {
		e.StatusCode, e.RetryAfter = http.StatusTooManyRequests, c.limited.retryAfter
	}
	return e
}

// A callDeadline ends a call when its time is over. What a rate limit costs the call does not count.
type callDeadline struct {
	end   time.Time
	timer *time.Timer
}

func newCallDeadline(d time.Duration, end func()) *callDeadline {
	return &callDeadline{end: time.Now().Add(d), timer: time.AfterFunc(d, end)}
}

func (d *callDeadline) stop() { d.timer.Stop() }

// postpone lets a call that was stopped go on, and end later.
func (d *callDeadline) postpone(by time.Duration) {
	d.end = d.end.Add(by)
	d.timer.Reset(time.Until(d.end))
}
