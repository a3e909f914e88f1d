// Package thousandeyes is generated from api/thousandeyes.yaml.
//
// To get tokens, use package tokens of this module instead: tokens.NewThousandEyes sends the requests of this package,
// and adds credentials, retries and errors. A Client of this package sends requests as they are; pass it a tokens.Doer
// with WithHTTPClient to call other operations with a token.
package thousandeyes

import (
	"log/slog"

	"github.com/grantwright/oauth-go/gen/wire"
)

// LogValue returns the response with its token redacted.
func (t AccessToken) LogValue() slog.Value { return wire.LogValue(t) }
