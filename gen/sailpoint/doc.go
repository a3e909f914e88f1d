// Package sailpoint is generated from api/sailpoint.yaml.
//
// To get tokens, use package tokens of this module, and to manage OAuth clients, package oauthclients: they send the
// requests of this package, and add tokens, retries and errors. A Client of this package sends requests as they are;
// pass it a tokens.Doer with WithHTTPClient to add a token.
package sailpoint

import (
	"log/slog"

	"github.com/grantwright/oauth-go/gen/wire"
)

// LogValue returns the response with its tokens redacted.
func (t AccessToken) LogValue() slog.Value { return wire.LogValue(t) }

// LogValue returns the client with its secret redacted.
func (c OAuthClient) LogValue() slog.Value { return wire.LogValue(c) }

// LogValue returns the client with its secret redacted.
func (c CreateOAuthClientResponse) LogValue() slog.Value { return wire.LogValue(c) }
