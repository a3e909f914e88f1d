package sandbox

import (
	"crypto/rand"
	"time"
)

const maxTokens = 1 << 16

// token is an access or refresh token that was issued.
type token struct {
	client  string
	user    string
	scopes  []string
	refresh bool
	used    bool      // a refresh token that a newer one has replaced
	expires time.Time // zero: lives until it is revoked
	family  *family
}

// family joins the tokens that come from one grant, so that they can die together.
type family struct{ revoked bool }

func (t *token) expired(now time.Time) bool { return !t.expires.IsZero() && !now.Before(t.expires) }

// ledger knows the tokens that were issued. The oldest is forgotten, and with that refused, when there are too many.
type ledger struct {
	tokens map[string]*token
	order  []string
}

func (l *ledger) issue(t token) string {
	if l.tokens == nil {
		l.tokens = map[string]*token{}
	}
	if len(l.order) == maxTokens {
		delete(l.tokens, l.order[0])
		l.order = l.order[1:]
	}
	value := "access-" + rand.Text()
	if t.refresh {
		value = "refresh-" + rand.Text()
	}
	l.tokens[value] = &t
	l.order = append(l.order, value)
	return value
}

// find returns a token that was issued and not revoked, or nil. It may have expired.
func (l *ledger) find(value string) *token {
	t := l.tokens[value]
	if t == nil || t.family.revoked {
		return nil
	}
	return t
}

// access returns the live access token, or nil.
func (l *ledger) access(value string, now time.Time) *token {
	t := l.find(value)
	if t == nil || t.refresh || t.expired(now) {
		return nil
	}
	return t
}

func (l *ledger) revoke(value string) {
	t := l.tokens[value]
	if t == nil {
		return
	}
	if t.refresh {
		t.family.revoked = true // RFC 7009, section 2.1: its access tokens die with it
	}
	delete(l.tokens, value)
}
