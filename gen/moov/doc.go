// Package moov is generated from api/moov.yaml.
//
// To get and revoke tokens, use package tokens of this module instead: tokens.NewMoov sends the requests of this package,
// with credentials, retries and errors. A Client of this package sends what it is given; pass it a tokens.Doer by
// WithHTTPClient to have the limits and errors of package tokens.
package moov

import (
	"log/slog"

	"github.com/grantwright/oauth-go/gen/wire"
)

// LogValue returns the response with its tokens redacted.
func (t AuthToken) LogValue() slog.Value { return wire.LogValue(t) }
