// Package moov is generated from api/moov.yaml.
//
// To get and revoke tokens, use package tokens of this module instead: tokens.NewMoov sends the requests of this
// package, and adds credentials, retries and errors. A Client of this package sends requests as they are; pass it a
// tokens.Doer with WithHTTPClient for the limits and errors of package tokens.
package moov

import (
	"log/slog"

	"github.com/grantwright/oauth-go/gen/wire"
)

// LogValue returns the response with its tokens redacted.
func (t AuthToken) LogValue() slog.Value { return wire.LogValue(t) }
