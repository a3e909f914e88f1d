// Package oauth2 is generated from api/oauth2.yaml.
//
// To use any OAuth 2.0 server, use package tokens of this module instead: tokens.NewEndpoint and tokens.Discover send
// the requests of this package to the server's URLs, and add credentials, retries and errors.
//
// The form encoder of this package cannot repeat a field: to send resource or audience several times, use the Params of
// tokens.Grant.
package oauth2

import (
	"log/slog"

	"github.com/grantwright/oauth-go/gen/wire"
)

// LogValue returns the response with its tokens redacted.
func (t TokenResponse) LogValue() slog.Value { return wire.LogValue(t) }
