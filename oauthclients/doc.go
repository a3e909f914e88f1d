// Package oauthclients manages the OAuth clients of a tenant of SailPoint Identity Security Cloud: create, list, get,
// patch, delete.
//
//	endpoint, err := tokens.NewSailPoint("my-tenant", creds, nil)
//	// ...
//	cache, err := tokens.NewCache(endpoint, nil)
//	// ...
//	clients, err := oauthclients.NewSailPoint(cache, nil)
//	// ...
//	for client, err := range clients.All(ctx, oauthclients.NeverUsed()) {
//		// ...
//	}
//
// [NewSailPoint] takes the origin of the tenant's API from its [tokens.Source], which in most programs is a tokens.Cache
// over tokens.NewSailPoint. Its methods return the generated models of gen/sailpoint. Patches are made with
// oauthclients/patch, which has the fields that can be patched with their types, or with oauthclients/jsonpatch, which
// has everything of RFC 6902.
//
// # Errors
//
// Bad input is an error that names the field, before anything is sent. Everything else is a [*tokens.Error], possibly
// wrapped, which is matched by status and decoded into a generated model:
//
//	errors.Is(err, tokens.Status(http.StatusForbidden))
//	errors.As(err, &tokenErr) && tokenErr.Decode(&model) == nil // sailpoint.ErrorResponseDto, ...
//
// If there was no token, nothing was sent and the error matches [tokens.ErrNoToken], and no status: the 404 of a token
// endpoint does not mean that a client is missing. An *Error with a StatusCode of 2xx means that the vendor did what was
// asked, but that its response could not be read.
//
// The settings of one call are passed in its context, with tokens.WithRetry and tokens.WithResponse.
package oauthclients
