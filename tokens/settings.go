package tokens

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// settingsKey finds, in a context, either the *settings that a caller made for its next call or, beneath a Doer, the
// *call that took their place: so that a token fetch inside a call sees none of them.
type settingsKey struct{}

// settings are what a caller says of one call.
type settings struct {
	retry    *Retry
	response **http.Response
	repeat   repeat
	sent     *time.Time // is told when the last attempt began; nil: nobody asks
	logger   *slog.Logger
}

// settingsContext is context.WithValue in one allocation.
type settingsContext struct {
	context.Context //nolint:containedctx // it is one

	settings settings
}

func (c *settingsContext) Value(key any) any {
	if key == (settingsKey{}) {
		return &c.settings
	}
	return c.Context.Value(key)
}

// call is what the layers beneath a Doer need to know of the call under way.
type call struct {
	policy   policy
	logger   *slog.Logger
	deadline time.Time
	sent     *time.Time
}

// callContext is context.WithValue in one allocation, with room for the body of the answer.
type callContext struct {
	context.Context //nolint:containedctx // it is one

	call   call
	answer answerBody
}

func (c *callContext) Value(key any) any {
	if key == (settingsKey{}) {
		return &c.call
	}
	return c.Context.Value(key)
}

// WithRetry returns a context in which calls use r in place of the Doer's or the Endpoint's own Retry. The calls that a
// [Cache] makes for its callers do not.
func WithRetry(ctx context.Context, r Retry) context.Context {
	s := settingsOf(ctx)
	s.retry = &r
	return s.in(ctx)
}

// WithResponse returns a context whose call stores the status and headers of its last answer in *into, also when the
// call fails; *into stays as it is if no answer came. The body is not in it. Use the context for one call at a time.
func WithResponse(ctx context.Context, into **http.Response) context.Context {
	s := settingsOf(ctx)
	s.response = into
	return s.in(ctx)
}

func settingsOf(ctx context.Context) settings {
	if s, ok := ctx.Value(settingsKey{}).(*settings); ok {
		return *s
	}
	return settings{}
}

// withoutSettings is for what a call does on the way that is not the call.
func withoutSettings(ctx context.Context) context.Context {
	return context.WithValue(ctx, settingsKey{}, nil)
}

func (s settings) in(ctx context.Context) *settingsContext {
	return &settingsContext{Context: ctx, settings: s}
}

func (s settings) policy(retry Retry) policy {
	if s.retry != nil {
		retry = *s.retry
	}
	return policy{retry.withDefaults(), s.repeat}
}

func (s settings) loggerOr(logger *slog.Logger) *slog.Logger {
	if s.logger != nil {
		return s.logger
	}
	return logger
}

func (s settings) capture(resp *http.Response) {
	if s.response == nil {
		return
	}
	answer := *resp
	answer.Body = http.NoBody
	*s.response = &answer
}
