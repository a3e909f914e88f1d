package tokens

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Token is an access token with what came along. Under fmt and slog it prints redacted. Its JSON form, which is for
// storage, holds the real values and equals that of golang.org/x/oauth2 plus "scopes"; that includes a Token nested in
// a value that is logged as JSON.
type Token struct {
	AccessToken string `json:"access_token"`
	// TokenType is "Bearer" however the vendor spells it, or another type as the vendor spells it.
	TokenType    string `json:"token_type,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	// Scopes are the granted ones: those of the answer or, where it names none, the requested ones
	// (RFC 6749, section 5.1).
	Scopes []string `json:"scopes,omitempty"`
	// Expiry is the end of the token's life, counted from before it was requested. Zero: not known.
	Expiry time.Time `json:"expiry,omitzero"`
	// Extra holds the members of the response that no other field holds, such as an id_token or SailPoint's tenant_id. It
	// is redacted like the tokens. Nil if there are none.
	Extra map[string]json.RawMessage `json:"extra,omitempty"`
}

// Format prints the token redacted, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{AccessToken:%s TokenType:%s RefreshToken:%s Scopes:%v Expiry:%s}",
		redact(t.AccessToken), t.TokenType, redact(t.RefreshToken), t.Scopes, t.Expiry.Format(time.RFC3339))
}

// LogValue gives the token redacted.
func (t Token) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("access_token", redact(t.AccessToken)),
		slog.String("token_type", t.TokenType),
		slog.String("refresh_token", redact(t.RefreshToken)),
		slog.Any("scopes", t.Scopes),
		slog.Time("expiry", t.Expiry),
	)
}

// ValidFor reports whether t has an access token that lives for at least d from now, by both clocks of the machine. A token
// whose end is not known does.
func (t *Token) ValidFor(d time.Duration) bool {
	if t == nil || t.AccessToken == "" {
		return false
	}
	return t.Expiry.IsZero() || t.left(time.Now()) >= max(d, 1)
}

// left returns how long t lives from now: by the monotonic clock, if Expiry has its reading, or by the wall clock,
// whichever is less.
func (t *Token) left(now time.Time) time.Duration {
	left := min(t.Expiry.Sub(now), t.Expiry.Round(0).Sub(now.Round(0)))
	return max(-maxLife, min(left, maxLife))
}

// clone returns a copy of t that shares nothing with it.
func (t *Token) clone() *Token {
	c := *t
	c.Scopes = slices.Clone(t.Scopes)
	c.Extra = maps.Clone(t.Extra)
	for name, value := range c.Extra {
		c.Extra[name] = slices.Clone(value)
	}
	return &c
}

const redacted = "[REDACTED]"

// redact hides a secret but not its absence.
func redact(secret string) string {
	if secret == "" {
		return ""
	}
	return redacted
}
