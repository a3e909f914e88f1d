package moov

// This file is written by hand: the models that hold secrets, as package log/slog prints them.

import (
	"log/slog"

	"github.com/grantwright/oauth-go/gen/wire"
)

// LogValue returns the model without its secrets.
func (a AuthToken) LogValue() slog.Value {
	type plain AuthToken // without this method
	a.AccessToken = wire.Redacted
	a.RefreshToken = wire.Redacted
	return slog.AnyValue(plain(a))
}
