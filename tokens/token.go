package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrNoToken marks the failure of a request that was never sent because its [Source] gave no usable token. The cause,
// often an [*Error] of the token endpoint, is wrapped beside it.
var ErrNoToken = errors.New("no access token")

// A Source gives the token to use now. Implementations are safe for concurrent use, and return early with ctx's error
// when ctx ends. The returned Token is shared: it must not be modified.
type Source interface {
	Token(ctx context.Context) (*Token, error)
}

// An Invalidator is a [Source] that can be told that the resource server answered 401 to a token. A Transport repeats
// a request only if the Source then gives another token.
type Invalidator interface {
	Invalidate(rejected *Token)
}

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

const redacted = "[REDACTED]"

// redact hides a secret but not its absence.
func redact(secret string) string {
	if secret == "" {
		return ""
	}
	return redacted
}

// Static is a [Source] of one Bearer token that never changes. It has no expiry and cannot be renewed.
func Static(accessToken string) Source {
	return &static{Token{AccessToken: accessToken, TokenType: "Bearer"}}
}

type static struct{ token Token }

func (s *static) Token(context.Context) (*Token, error) {
	if s.token.AccessToken == "" {
		return nil, fmt.Errorf("tokens: the static access token is empty: %w", ErrNoToken)
	}
	return &s.token, nil
}

func (s *static) Format(f fmt.State, verb rune) { s.token.Format(f, verb) }
