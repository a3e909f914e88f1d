package sailpoint

// This file is written by hand: the models that hold secrets, as package log/slog prints them.

import (
	"log/slog"

	"github.com/grantwright/oauth-go/gen/wire"
)

// LogValue returns the model without its secrets.
func (a AccessToken) LogValue() slog.Value {
	type plain AccessToken // without this method
	a.AccessToken = wire.Redacted
	if a.RefreshToken != nil {
		a.RefreshToken = new(wire.Redacted)
	}
	return slog.AnyValue(plain(a))
}

// LogValue returns the model without its secrets.
func (c CreateOAuthClientResponse) LogValue() slog.Value {
	type plain CreateOAuthClientResponse // without this method
	c.Secret = wire.Redacted
	return slog.AnyValue(plain(c))
}

// LogValue returns the model without its secrets.
func (o OAuthClient) LogValue() slog.Value {
	type plain OAuthClient // without this method
	if o.Secret != nil {
		o.Secret = new(wire.Redacted)
	}
	return slog.AnyValue(plain(o))
}
