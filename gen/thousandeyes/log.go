package thousandeyes

// This file is written by hand: the models that hold secrets, as package log/slog prints them.

import (
	"log/slog"

	"github.com/grantwright/oauth-go/gen/wire"
)

// LogValue returns the model without its secrets.
func (a AccessToken) LogValue() slog.Value {
	type plain AccessToken // without this method
	if a.AccessToken != nil {
		a.AccessToken = new(wire.Redacted)
	}
	return slog.AnyValue(plain(a))
}
