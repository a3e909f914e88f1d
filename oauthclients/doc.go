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
// [NewSailPoint] takes the origin of the tenant's API from its [tokens.Source], usually a tokens.Cache over
// tokens.NewSailPoint. Its methods return the generated models of gen/sailpoint. Make patches with oauthclients/patch,
// which has a typed value for each field that can be patched, or with oauthclients/jsonpatch, which has all of RFC
// 6902.
//
// # Errors
//
// Invalid input is reported by an error that names the field, before anything is sent. Every other error is a
// [*tokens.Error], possibly wrapped. Match it by status, or decode it into a generated model:
//
//	errors.Is(err, tokens.Status(http.StatusForbidden))
//	errors.As(err, &tokenErr) && tokenErr.Decode(&model) == nil // sailpoint.ErrorResponseDto, ...
//
// If there is no token, nothing is sent and the error matches [tokens.ErrNoToken], but no status: a 404 of the token
// endpoint must not look as if a client did not exist. An *Error with a StatusCode of 2xx means that the vendor did
// what was asked, but that its response could not be read.
//
// To change the settings of a single call, use tokens.WithRetry and tokens.WithResponse on its context.
package oauthclients
