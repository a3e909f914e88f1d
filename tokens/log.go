package tokens

import (
	"context"
	"log/slog"
)

// guardLogger returns a logger whose handler cannot panic, or one that discards if l is nil: a fetch must not fail, nor a
// process end, for a line in a log.
func guardLogger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return discardLogger
	}
	return slog.New(guardedHandler{l.Handler()})
}

var discardLogger = slog.New(slog.DiscardHandler)

type guardedHandler struct{ next slog.Handler }

func (h guardedHandler) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() { _ = recover() }()
	return h.next.Enabled(ctx, level)
}

func (h guardedHandler) Handle(ctx context.Context, r slog.Record) error {
	defer func() { _ = recover() }()
	return h.next.Handle(ctx, r)
}

func (h guardedHandler) WithAttrs(attrs []slog.Attr) (handler slog.Handler) {
	defer func() {
		if recover() != nil {
			handler = h
		}
	}()
	return guardedHandler{h.next.WithAttrs(attrs)}
}

func (h guardedHandler) WithGroup(name string) (handler slog.Handler) {
	defer func() {
		if recover() != nil {
			handler = h
		}
	}()
	return guardedHandler{h.next.WithGroup(name)}
}
