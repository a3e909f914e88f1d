package tokens

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// settings are what the caller of one call asks for. They travel in the call's context, because a generated client lies
// between the caller and the Doer, which reads and removes them: a token fetch inside a call has none of them.
type settings struct {
	retry       *Retry          // if nil, the Doer's own
	response    **http.Response // if nil, nobody asks for it
	idempotency idempotency
	sent        *time.Time   // set to when the last request began; if nil, nobody asks for it
	logger      *slog.Logger // if nil, the Doer's own
	attempt     *oneAttempt  // if nil, the call is as any other

	latestTurn time.Time // when it is too late for a turn at the Limiter; if zero, only its MaxWait and the context count
}

// oneAttempt is what is special about a call that is one request, which a Cache makes after it told other processes.
type oneAttempt struct {
	beforeSend func() error  // called right before the request is sent; if nil, it may go
	grace      time.Duration // how much later than its timeout the call ends: a response that is there by then counts
	turn       *heldTurn     // at the Limiter, which was taken before; if nil, the call takes its own
}

// callKey is the context key of settings, and within a call of its *doerCall.
type callKey struct{}

// WithRetry returns a context in which calls use r in place of the Doer's or the Endpoint's own Retry. The calls that a
// [Cache] makes for its callers do not.
func WithRetry(ctx context.Context, r Retry) context.Context {
	r.Statuses = slices.Clone(r.Statuses)
	s := settingsOf(ctx)
	s.retry = &r
	return s.in(ctx)
}

// WithResponse returns a context whose call stores the status and headers of its last response in *into, also when the
// call fails. If there was no response, *into stays as it is. The body is not in it. Use the context for one call at a
// time.
func WithResponse(ctx context.Context, into **http.Response) context.Context {
	s := settingsOf(ctx)
	s.response = into
	return s.in(ctx)
}

func settingsOf(ctx context.Context) settings {
	s, _ := ctx.Value(callKey{}).(settings)
	return s
}

// in returns a context with these settings in place of those of ctx.
func (s settings) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, s)
}

// withoutSettings returns a context for what a call needs on the way, such as its token.
func withoutSettings(ctx context.Context) context.Context {
	if settingsOf(ctx) == (settings{}) {
		return ctx
	}
	return settings{}.in(ctx)
}

// capture stores resp for the caller of WithResponse.
func (s settings) capture(resp *http.Response) {
	if s.response == nil {
		return
	}
	captured := *resp
	captured.Body = http.NoBody
	*s.response = &captured
}
