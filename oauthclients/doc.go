// Package oauthclients manages the OAuth clients of a tenant of SailPoint Identity Security Cloud: create, list, get,
// patch, delete.
//
// [NewSailPoint] takes the origin of the tenant's API and a [tokens.Source], in most programs a tokens.Cache over
// tokens.SailPoint. It returns the generated models of gen/sailpoint. Patches are made with oauthclients/patch, which
// knows the fields that can be patched and their types, or with oauthclients/jsonpatch, which can say everything that
// RFC 6902 can.
//
// # Errors
//
// Bad input is an error that names the field, before anything is sent. All else is a [*tokens.Error], which is matched
// by status and decoded into a generated model:
//
//	errors.Is(err, tokens.Status(http.StatusForbidden))
//	errors.As(err, &tokenErr) && tokenErr.Decode(&model) == nil // sailpoint.ErrorResponseDto, ...
//
// Where no token could be had, nothing was sent and the error matches [tokens.ErrNoToken]. Look at that before any
// status: the 404 of a token endpoint is no client that is gone. An *Error whose StatusCode is 2xx says that the vendor
// did what was asked, and that its answer could not be read.
//
// The settings of one call travel in its context: tokens.WithRetry and tokens.WithResponse.
package oauthclients
