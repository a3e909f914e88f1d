package oauth2

// This file is written by hand: the models that hold secrets, as package log/slog prints them.

import (
	"log/slog"

	"github.com/grantwright/oauth-go/gen/wire"
)

// LogValue returns the model without its secrets.
func (t TokenResponse) LogValue() slog.Value {
	type plain TokenResponse // without this method
	t.AccessToken = wire.Redacted
	if t.RefreshToken != nil {
		t.RefreshToken = new(wire.Redacted)
	}
	return slog.AnyValue(plain(t))
}
