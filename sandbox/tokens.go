package sandbox

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"time"
)

const maxTokens = 1 << 16

// Token is an access token that a vendor has issued, and the refresh token issued with it.
type Token struct {
	AccessToken  string
	RefreshToken string // "" if there is none
	ClientID     string
	User         string // at SailPoint; "" if the token has none
	Scopes       []string
	Expires      time.Time // of the access token
}

// Issue issues tokens without a request, as a login would. Zero fields of t are set by the vendor: random values for
// the tokens, [ClientID], the user and scopes of the client, and the documented lifetime. There is a refresh token if
// the vendor issues one for a login with this client. Issue panics if there is no such client.
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

// Rotate redeems a refresh token without a request, as another process of the client would. It panics if that is not
// possible.
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

// Lookup returns the live access or refresh token, with its client and scopes. It returns false if there is none.
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

// Expire makes an access or refresh token expire now. It panics if the vendor has not issued it.
func (s *server) Expire(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens.known(s.vendor.name, token).expires = time.Now()
}

// ExpireAll makes all access tokens expire now.
func (s *server) ExpireAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, t := range s.tokens.tokens {
		if !t.refresh {
			t.expires = now
		}
	}
}

// Revoke revokes a token and, if it is a refresh token, the access tokens issued with it. It panics if the vendor has
// not issued it.
func (s *server) Revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens.known(s.vendor.name, token)
	s.tokens.revoke(token)
}

// RevokeAll revokes all access and refresh tokens.
func (s *server) RevokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens.tokens {
		t.family.revoked = true
	}
}

// terms are the properties of a client's tokens.
type terms struct {
	client      Client
	user        string   // the default user of a login
	scopes      []string // the default scopes
	life        time.Duration
	refreshes   bool          // a login gets a refresh token
	refreshLife time.Duration // 0 if it does not expire
}

// issue issues the access token described by t and, if refresh is true, a refresh token, which keeps the scopes that
// were first granted (RFC 6749, section 6).
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
	used    bool      // a refresh token that has been replaced
	expires time.Time // zero if it does not expire
	family  *family
}

// family connects the tokens of one grant, so that they can be revoked together.
type family struct{ revoked bool }

func (t *token) expired(now time.Time) bool { return !t.expires.IsZero() && !now.Before(t.expires) }

// ledger holds the tokens that were issued. When there are too many, the oldest is deleted, and thus refused from then
// on.
type ledger struct {
	tokens map[string]*token
	order  []string
}

// issue adds a token with the given value, or with a random one if it is "".
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

// known is like find, but panics; it is for methods that tests call.
func (l *ledger) known(vendor, value string) *token {
	t := l.find(value)
	if t == nil {
		panic(fmt.Sprintf("sandbox: %s has no such token; it was never issued, or is revoked", vendor))
	}
	return t
}

// redeemable reports whether the client may redeem a refresh token. If the token has been used before, somebody else
// has it too, so its family is revoked (RFC 9700, section 4.14.2).
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
		t.family.revoked = true // this revokes its access tokens too (RFC 7009, section 2.1)
	}
	delete(l.tokens, value)
}
