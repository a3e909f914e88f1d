// Package patch has one value for each field of a SailPoint OAuth client that can be patched, and makes operations of
// JSON Patch (RFC 6902) from it:
//
//	clients.Patch(ctx, id,
//		patch.Name.Test("Demo API Client"), // or nothing of this is done
//		patch.Enabled.Set(false),
//		patch.HomepageURL.Clear(),
//		patch.RedirectURIs.Append("https://example.com/callback"))
//
// A field that cannot be patched, a value of the wrong type and a null where none is allowed do not compile. [Diff]
// makes the operations that lead from one client to another. What is missing here (move, copy, other tests) is in
// oauthclients/jsonpatch.
package patch

import (
	"strconv"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

// The fields that the vendor lets be patched: x-patchable in api/sailpoint.yaml.
var (
	// Tenant is in no model of a client, so that nothing can be said of its values.
	Tenant       = Field[string]{"/tenant"}
	BusinessName = Nullable[string]{Field[string]{"/businessName"}}
	HomepageURL  = Nullable[string]{Field[string]{"/homepageUrl"}}
	Name         = Field[string]{"/name"}
	Description  = Nullable[string]{Field[string]{"/description"}}
	// AccessTokenValiditySeconds is the life of access tokens.
	AccessTokenValiditySeconds = Field[int32]{"/accessTokenValiditySeconds"}
	// RefreshTokenValiditySeconds is the life of refresh tokens.
	RefreshTokenValiditySeconds = Field[int32]{"/refreshTokenValiditySeconds"}
	RedirectURIs                = NullableList[string]{List[string]{"/redirectUris"}}
	GrantTypes                  = List[sailpoint.GrantType]{"/grantTypes"}
	AccessType                  = Field[sailpoint.AccessType]{"/accessType"}
	Enabled                     = Field[bool]{"/enabled"}
	StrongAuthSupported         = Field[bool]{"/strongAuthSupported"}
	ClaimsSupported             = Field[bool]{"/claimsSupported"}
)

// Field is a field with values of type T. Only this package can make one: the operations of the zero Field are refused
// as invalid before anything is sent.
type Field[T any] struct{ path string }

// Set gives the field a value.
func (f Field[T]) Set(value T) jsonpatch.Operation { return replace(f.path, value) }

// Test lets the whole patch fail if the field has another value.
func (f Field[T]) Test(value T) jsonpatch.Operation { return jsonpatch.Test(f.path, value) }

// Nullable is a [Field] that may be null.
type Nullable[T any] struct{ Field[T] }

// Clear makes the field null.
func (f Nullable[T]) Clear() jsonpatch.Operation { return replace(f.path, nil) }

// List is a field that holds an array of values of type T. The zero List is like the zero [Field].
type List[T any] struct{ path string }

// Set gives the field these values, in place of those that it has; nil is the empty array.
func (f List[T]) Set(values []T) jsonpatch.Operation { return replace(f.path, notNil(values)) }

// Append adds a value after the last. The patch fails if the field is null.
func (f List[T]) Append(value T) jsonpatch.Operation { return jsonpatch.Add(f.path+"/-", value) }

// RemoveAt removes the value at an index, counted from 0. The patch fails if there is none. Each operation sees what
// those before it left, so remove the higher index first; a Test of the whole list keeps the index true.
func (f List[T]) RemoveAt(index uint) jsonpatch.Operation {
	return jsonpatch.Remove(f.path + "/" + strconv.FormatUint(uint64(index), 10))
}

// Test lets the whole patch fail if the field has other values, or the same in another order.
func (f List[T]) Test(values []T) jsonpatch.Operation { return jsonpatch.Test(f.path, notNil(values)) }

// NullableList is a [List] that may be null.
type NullableList[T any] struct{ List[T] }

// Clear makes the field null.
func (f NullableList[T]) Clear() jsonpatch.Operation { return replace(f.path, nil) }

// replace is jsonpatch.Replace, but for the path of a zero Field, which would be the whole client.
func replace(path string, value any) jsonpatch.Operation {
	if path == "" {
		return jsonpatch.Operation{}
	}
	return jsonpatch.Replace(path, value)
}

func notNil[T any](values []T) []T {
	if values == nil {
		return []T{}
	}
	return values
}
