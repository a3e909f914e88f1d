package tokens

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// A Token is an access token and what the server returned with it.
//
// A Token prints redacted with fmt and slog, and as text, YAML and XML. Its JSON form is for storage: it has the real
// values, and is that of golang.org/x/oauth2 plus "scopes" and "extra".
//
// There are two places where a Token prints in the clear. One is JSON of a value that contains a Token, which a JSON
// logger may produce. The other is fmt with a Token in an unexported field of a struct, because fmt cannot call its
// methods there; for a *Token in such a field, %v, %+v and %#v print the address, but %s and %q print what it points
// to. Store a [Source] in such a field instead: a [Cache], or what [Static] returns, never shows a token.
type Token struct {
	AccessToken string `json:"access_token"`
	// TokenType is "Bearer", however the server spells it, or another type as the server spells it.
	TokenType    string `json:"token_type,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	// Scopes are the granted scopes: those of the response or, if it has none, the requested ones (RFC 6749, section 5.1).
	Scopes []string `json:"scopes,omitempty"`
	// Expiry is when the token expires, counted from before it was requested. If zero, it is not known.
	Expiry time.Time `json:"expiry,omitzero"`
	// Extra holds the members of the response that no other field holds, such as an id_token or SailPoint's tenant_id, as
	// raw JSON. Its values are redacted like the tokens. If nil, there are none.
	Extra map[string]json.RawMessage `json:"extra,omitempty"`
}

// Format prints the token redacted, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{AccessToken:%s TokenType:%s RefreshToken:%s Scopes:%v Expiry:%s Extra:%v}",
		redact(t.AccessToken), t.TokenType, redact(t.RefreshToken), t.Scopes, t.Expiry.Format(time.RFC3339), t.extraNames())
}

func (t Token) extraNames() []string { return slices.Sorted(maps.Keys(t.Extra)) }

// LogValue returns the token redacted.
func (t Token) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("access_token", redact(t.AccessToken)),
		slog.String("token_type", t.TokenType),
		slog.String("refresh_token", redact(t.RefreshToken)),
		slog.Any("scopes", t.Scopes),
		slog.Time("expiry", t.Expiry),
		slog.Any("extra", t.extraNames()),
	)
}

// MarshalText returns what Format prints.
func (t Token) MarshalText() ([]byte, error) { return fmt.Append(nil, t), nil }

// MarshalYAML returns what Format prints.
func (t Token) MarshalYAML() (any, error) { return fmt.Sprint(t), nil }

// MarshalJSON returns the real values, for storage.
func (t Token) MarshalJSON() ([]byte, error) {
	type plain Token // without MarshalText
	return json.Marshal(plain(t))
}

// ValidFor reports whether t has an access token that will not expire within d by either clock of the machine. A token
// without a known expiry is valid for any d. It returns false for a nil t.
func (t *Token) ValidFor(d time.Duration) bool {
	if t == nil || t.AccessToken == "" {
		return false
	}
	return t.Expiry.IsZero() || t.left(time.Now()) >= max(d, 1)
}

// left returns how long t is valid from now, by the wall clock and, if Expiry has a monotonic reading, by the monotonic
// clock, whichever is less.
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

// redact hides a secret, but shows whether there is one.
func redact(secret string) string {
	if secret == "" {
		return ""
	}
	return redacted
}
