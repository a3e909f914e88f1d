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
	return &doerCall{
		settings: set,
		policy:   policy{retry.withDefaults(), set.repeat},
		logger:   cmp.Or(set.logger, s.logger),
		began:    time.Now(),
		deadline: deadline,
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
	return e
}

// A callDeadline ends a call when its time is over. It can be stopped for a while: waits at a Limiter do not count.
type callDeadline struct {
	end   time.Time
	timer *time.Timer
}

func newCallDeadline(d time.Duration, end func()) *callDeadline {
	return &callDeadline{end: time.Now().Add(d), timer: time.AfterFunc(d, end)}
}

func (d *callDeadline) stop() { d.timer.Stop() }
