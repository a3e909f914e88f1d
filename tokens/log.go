package tokens

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"
)

// An owner is whose tokens a log line is about: an Endpoint's client or, with a session, one of its users. The zero owner
// is not known.
type owner struct {
	endpoint *Endpoint
	session  string
}

// ownerOf returns whose tokens a Source gives, if it is a Cache or there is one behind its Unwrap methods.
func ownerOf(src Source) owner {
	if c, _ := As[*Cache](src); c != nil {
		return owner{c.endpoint, c.session}
	}
	return owner{}
}

// logger returns a logger that says in each line whose token it is about, or nil if l is nil.
func (o owner) logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return nil
	}
	return slog.New(ownedHandler{o, l.Handler()})
}

// attrs returns what tells one owner from another, without names.
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

// A next says what comes after what a log line reports. If in is zero, nobody knows when.
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

// log logs what happened in the background, when the token ends that is served now, if there is one, and what comes next.
func (c *Cache) log(level slog.Level, message string, n next, attrs ...slog.Attr) {
	var token *Token
	if e := c.current.Load(); e != nil && e.lives(c.now(), 0) {
		token = e.token
	}
	c.logAbout(token, level, message, n, attrs...)
}

// logAbout is log about another token than the one that is served. It may be nil.
func (c *Cache) logAbout(token *Token, level slog.Level, message string, n next, attrs ...slog.Attr) {
	if c.logger == nil {
		return
	}
	if token != nil && !token.Expiry.IsZero() {
		attrs = append(attrs, slog.Time("expiry", token.Expiry))
	}
	c.logger.LogAttrs(context.Background(), level, message, append(attrs, n.attrs()...)...)
}

// logToken logs that a token came.
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

// afterFailure says what comes after a failure: the next try, or a login if only a person can help.
func afterFailure(loginRequired bool, wait time.Duration) next {
	if loginRequired {
		return next{what: "login"}
	}
	return next{"retry", wait}
}

// An ownedHandler says whose token each line is about, and cannot panic: no request may fail, nor a process end, for a line
// in a log.
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

func (h ownedHandler) WithAttrs(attrs []slog.Attr) (handler slog.Handler) {
	defer func() {
		if recover() != nil {
			handler = h
		}
	}()
	return ownedHandler{h.owner, h.next.WithAttrs(attrs)}
}

func (h ownedHandler) WithGroup(name string) (handler slog.Handler) {
	defer func() {
		if recover() != nil {
			handler = h
		}
	}()
	return ownedHandler{h.owner, h.next.WithGroup(name)}
}
