package tokens

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// settings are per-call options. They travel in the context, because a generated client lies between the caller and the
// Doer. The Doer reads and removes them, so that a token fetch within the call does not see them.
type settings struct {
	retry       *Retry          // if nil, the Doer's own
	response    **http.Response // where WithResponse wants the response, or nil
	idempotency idempotency
	logger      *slog.Logger // if nil, the Doer's own
	attempt     *oneAttempt  // nil for an ordinary call

	latestTurn time.Time // the deadline for a turn at the Limiter; if zero, only MaxWait and the context limit the wait
}

// oneAttempt are the settings of a call that is a single request, sent by a Cache that has announced it in the Store.
type oneAttempt struct {
	beforeSend func() error  // if not nil, called right before the request is sent; an error prevents that
	grace      time.Duration // how long after its timeout the call is canceled, so that a response that has arrived still counts
	turn       *heldTurn     // a turn at the Limiter that was taken before; if nil, the call takes its own
}

// callKey is the context key of settings and, within a call, of its *doerCall.
type callKey struct{}

// WithRetry returns a context in which calls use r instead of the Retry of the Doer or Endpoint. It does not affect the
// token requests of a [Cache].
func WithRetry(ctx context.Context, r Retry) context.Context {
	r.Statuses = slices.Clone(r.Statuses)
	s := settingsOf(ctx)
	s.retry = &r
	return s.in(ctx)
}

// WithResponse returns a context whose call stores the status and headers of its last response in *into, even if the
// call fails. Its Body is http.NoBody. If there is no response, *into does not change. Use the context for one call at
// a time.
func WithResponse(ctx context.Context, into **http.Response) context.Context {
	s := settingsOf(ctx)
	s.response = into
	return s.in(ctx)
}

func settingsOf(ctx context.Context) settings {
	s, _ := ctx.Value(callKey{}).(settings)
	return s
}

// in returns a context with s in place of the settings of ctx.
func (s settings) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, s)
}

// withoutSettings returns a context for requests that a call depends on, such as a token request.
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
