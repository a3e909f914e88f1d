package sandbox

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"time"
)

const maxTokens = 1 << 16

// Token is an access token that a vendor has issued, with the refresh token that came with it.
type Token struct {
	AccessToken  string
	RefreshToken string // "" if there is none
	ClientID     string
	User         string // SailPoint: "" if the token carries none
	Scopes       []string
	Expires      time.Time // of the access token
}

// Issue issues tokens without a request, as a login would. Where a field of t is zero, the vendor chooses: random values for
// the tokens, [ClientID], the user and scopes of the client, and the documented life. There is a refresh token if the
// vendor gives one to a user of the client. Issue panics if there is no such client.
func (s *server) Issue(t Token) Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.ClientID = cmp.Or(t.ClientID, ClientID)
	terms, ok := s.vendor.terms(t.ClientID)
	if !ok {
		panic(fmt.Sprintf("sandbox: %s has no client %q; name another in Token.ClientID", s.vendor.name, t.ClientID))
	}
	now := time.Now()
	t.User = cmp.Or(t.User, terms.client.User, terms.user)
	if t.Scopes == nil {
		t.Scopes = terms.scopes
	}
	if t.Expires.IsZero() {
		t.Expires = now.Add(terms.life)
	}
	return s.issue(now, t, terms, t.Scopes, &family{}, terms.refreshes)
}

// Rotate redeems a refresh token without a request, as another process of the client would. It panics if the token cannot be
// redeemed.
func (s *server) Rotate(refreshToken string) Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	old := s.tokens.known(s.vendor.name, refreshToken)
	if !s.tokens.redeemable(old, old.client, now) {
		panic(fmt.Sprintf("sandbox: %s does not take this token as a refresh token", s.vendor.name))
	}
	terms, _ := s.vendor.terms(old.client)
	old.used = true
	t := Token{ClientID: old.client, User: old.user, Scopes: old.scopes, Expires: now.Add(terms.life)}
	return s.issue(now, t, terms, old.scopes, old.family, true)
}

// Lookup returns a live token, an access or a refresh token, with the client and scopes that it was issued for. It reports
// whether there is one.
func (s *server) Lookup(token string) (Token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens.find(token)
	if t == nil || t.used || t.expired(time.Now()) {
		return Token{}, false
	}
	found := Token{ClientID: t.client, User: t.user, Scopes: slices.Clone(t.scopes), Expires: t.expires}
	if t.refresh {
		found.RefreshToken = token
	} else {
		found.AccessToken = token
	}
	return found, true
}

// Expire ends the life of an access or refresh token. It panics if the vendor has not issued it.
func (s *server) Expire(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens.known(s.vendor.name, token).expires = time.Now()
}

// ExpireAll ends the life of every access token.
func (s *server) ExpireAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, t := range s.tokens.tokens {
		if !t.refresh && !t.expired(now) {
			t.expires = now
		}
	}
}

// Revoke revokes a token and, if it is a refresh token, the access tokens that came with it. It panics if the vendor has
// not issued it.
func (s *server) Revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens.known(s.vendor.name, token)
	s.tokens.revoke(token)
}

// RevokeAll revokes every access and refresh token.
func (s *server) RevokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens.tokens {
		t.family.revoked = true
	}
}

// terms are what the tokens of a client are like.
type terms struct {
	client      Client
	user        string   // of a login that names no other
	scopes      []string // by default
	life        time.Duration
	refreshes   bool          // there is a refresh token with a login
	refreshLife time.Duration // 0: lives until it is used or revoked
}

// issue issues the access token that t describes and, if refresh is set, a refresh token, which keeps what was granted at
// first (RFC 6749, section 6).
func (s *server) issue(now time.Time, t Token, terms terms, granted []string, of *family, refresh bool) Token {
	t.AccessToken = s.tokens.issue(t.AccessToken, token{
		client: t.ClientID, user: t.User, scopes: t.Scopes, expires: t.Expires, family: of})
	if !refresh {
		t.RefreshToken = ""
		return t
	}
	r := token{client: t.ClientID, user: t.User, scopes: granted, refresh: true, family: of}
	if terms.refreshLife > 0 {
		r.expires = now.Add(terms.refreshLife)
	}
	t.RefreshToken = s.tokens.issue(t.RefreshToken, r)
	return t
}

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

// family joins the tokens that come from one grant, so that they can be revoked together.
type family struct{ revoked bool }

func (t *token) expired(now time.Time) bool { return !t.expires.IsZero() && !now.Before(t.expires) }

// ledger knows the tokens that were issued. When there are too many, the oldest is forgotten, and refused from then on.
type ledger struct {
	tokens map[string]*token
	order  []string
}

// issue adds a token under a value, or under a random one if it is "".
func (l *ledger) issue(value string, t token) string {
	if l.tokens == nil {
		l.tokens = map[string]*token{}
	}
	if len(l.order) == maxTokens {
		delete(l.tokens, l.order[0])
		l.order = l.order[1:]
	}
	if value == "" {
		value = "access-" + rand.Text()
		if t.refresh {
			value = "refresh-" + rand.Text()
		}
	}
	if l.tokens[value] == nil {
		l.order = append(l.order, value)
	}
	l.tokens[value] = &t
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

// known is find for the functions that a test calls, which panic.
func (l *ledger) known(vendor, value string) *token {
	t := l.find(value)
	if t == nil {
		panic(fmt.Sprintf("sandbox: %s has no such token; it was never issued, or is revoked", vendor))
	}
	return t
}

// redeemable reports whether the client may redeem a refresh token. A token that has been used before is not only refused:
// somebody else has it too, so its family is revoked (RFC 9700, section 4.14.2).
func (l *ledger) redeemable(t *token, client string, now time.Time) bool {
	if t == nil || !t.refresh || t.client != client || t.expired(now) {
		return false
	}
	if t.used {
		t.family.revoked = true
	}
	return !t.used
}

func (l *ledger) revoke(value string) {
	t := l.tokens[value]
	if t == nil {
		return
	}
	if t.refresh {
		t.family.revoked = true // RFC 7009, section 2.1: its access tokens are revoked with it
	}
	delete(l.tokens, value)
}
