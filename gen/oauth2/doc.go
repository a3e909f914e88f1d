// Package oauth2 is generated from api/oauth2.yaml.
//
// To use any OAuth 2.0 server, use package tokens of this module instead: tokens.NewEndpoint and tokens.Discover send the
// requests of this package to the server's own URLs, with credentials, retries and errors.
//
// The form encoder of this package does not repeat the name of a field: resource and audience, of which there may be
// several, are sent by tokens.Grant's Params.
package oauth2

import (
	"log/slog"

	"github.com/grantwright/oauth-go/gen/wire"
)

// LogValue returns the response with its tokens redacted.
func (t TokenResponse) LogValue() slog.Value { return wire.LogValue(t) }
