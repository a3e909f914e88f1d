package tokens

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"
)

// An owner identifies whose token a log line is about: an Endpoint's client or, with a session, one user's login. The
// zero owner is unknown.
type owner struct {
	endpoint *Endpoint
	session  string
}

// ownerOf returns the owner of a Source's tokens if the Source is, or wraps, a Cache.
func ownerOf(src Source) owner {
	if c, _ := As[*Cache](src); c != nil {
		return owner{c.endpoint, c.session}
	}
	return owner{}
}

// logger returns a logger that adds the owner to each line, or nil if l is nil.
func (o owner) logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return nil
	}
	return slog.New(ownedHandler{o, l.Handler()})
}

// attrs returns attributes that tell owners apart without revealing names.
func (o owner) attrs() []slog.Attr {
	if o.endpoint == nil {
		return nil
	}
	attrs := []slog.Attr{slog.String("vendor", o.endpoint.vendor.name)}
	if id := o.endpoint.secrets.clientID.Load(); id != nil {
		attrs = append(attrs, slog.String("client", shortHash(*id)))
	}
	if o.session != "" {
		attrs = append(attrs, slog.String("session", shortHash(o.session)))
	}
	return attrs
}

// shortHash returns the first eight hexadecimal digits of the SHA-256 of s.
func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// A next says what happens after the event of a log line. If in is zero, it is not known when.
type next struct {
	what string
	in   time.Duration
}

func (n next) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("next", n.what)}
	if n.in > 0 {
		attrs = append(attrs, slog.Duration("next_in", n.in))
	}
	return attrs
}

// log writes a line about a background event. It adds the expiry of the current token, if there is one, and what
// happens next.
func (c *Cache) log(level slog.Level, message string, n next, attrs ...slog.Attr) {
	var token *Token
	if e := c.current.Load(); e != nil && e.lives(c.now(), 0) {
		token = e.token
	}
	c.logAbout(token, level, message, n, attrs...)
}

// logAbout is like log, but about token instead of the current one. token may be nil.
func (c *Cache) logAbout(token *Token, level slog.Level, message string, n next, attrs ...slog.Attr) {
	if c.logger == nil {
		return
	}
	if token != nil && !token.Expiry.IsZero() {
		attrs = append(attrs, slog.Time("expiry", token.Expiry))
	}
	c.logger.LogAttrs(context.Background(), level, message, append(attrs, n.attrs()...)...)
}

// logToken logs that a token arrived.
func (c *Cache) logToken(e *entry) {
	now, n := c.now(), next{"renewal", 0}
	switch left := e.renewAt - e.at(now); {
	case e.renewAt == never:
		n.what = "none until it is rejected"
	case left > 0:
		n.in = left
	}
	c.logAbout(e.token, slog.LevelDebug, "got a token", n, slog.Any("scopes", e.token.Scopes))
}

// afterFailure returns what happens after a failure: a retry, or a login if only a person can help.
func afterFailure(loginRequired bool, wait time.Duration) next {
	if loginRequired {
		return next{what: "login"}
	}
	return next{"retry", wait}
}

// An ownedHandler adds the owner to each line, and recovers from panics of the caller's handler: logging must not make
// a request fail.
type ownedHandler struct {
	owner owner
	next  slog.Handler
}

func (h ownedHandler) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() { _ = recover() }()
	return h.next.Enabled(ctx, level)
}

func (h ownedHandler) Handle(ctx context.Context, r slog.Record) error {
	defer func() { _ = recover() }()
	r = r.Clone()
	r.AddAttrs(h.owner.attrs()...)
	return h.next.Handle(ctx, r)
}

func (h ownedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return ownedHandler{h.owner, h.next.WithAttrs(attrs)}
}

func (h ownedHandler) WithGroup(name string) slog.Handler {
	return ownedHandler{h.owner, h.next.WithGroup(name)}
}
