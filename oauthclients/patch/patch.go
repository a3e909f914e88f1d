// Package patch has one value for each field of a SailPoint OAuth client that can be patched. Their methods return the
// operations of a JSON Patch (RFC 6902):
//
//	clients.Patch(ctx, id,
//		patch.Name.Test("Demo API Client"), // if it fails, nothing is changed
//		patch.Enabled.Set(false),
//		patch.HomepageURL.Clear(),
//		patch.RedirectURIs.Append("https://example.com/callback"))
//
// A field that cannot be patched, a value of the wrong type and a null where none is allowed do not compile. Nor can a patch
// test such a field: there is no guard on lastUsed, so that a client may be used between a look at it and the patch.
//
// [Overlay] returns a copy of a client with the members of a JSON document, and [Diff] the operations that turn one
// client into another. What this package lacks, such as move and copy, is in oauthclients/jsonpatch.
package patch

import (
	"slices"
	"strconv"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

// The fields that can be patched at the vendor: x-patchable in api/sailpoint.yaml.
var (
	// Tenant is in no response, so its Set is an add, which needs no value to be there.
	Tenant       = Field[string]{path: "/tenant", unseen: true}
	BusinessName = Nullable[string]{Field[string]{path: "/businessName"}}
	HomepageURL  = Nullable[string]{Field[string]{path: "/homepageUrl"}}
	Name         = Field[string]{path: "/name"}
	Description  = Nullable[string]{Field[string]{path: "/description"}}
	// AccessTokenValiditySeconds is the life of access tokens.
	AccessTokenValiditySeconds = Field[int32]{path: "/accessTokenValiditySeconds"}
	// RefreshTokenValiditySeconds is the life of refresh tokens.
	RefreshTokenValiditySeconds = Field[int32]{path: "/refreshTokenValiditySeconds"}
	RedirectURIs                = NullableList[string]{List[string]{path: "/redirectUris"}}
	GrantTypes                  = List[sailpoint.GrantType]{path: "/grantTypes"}
	AccessType                  = Field[sailpoint.AccessType]{path: "/accessType"}
	Enabled                     = Field[bool]{path: "/enabled"}
	StrongAuthSupported         = Field[bool]{path: "/strongAuthSupported"}
	ClaimsSupported             = Field[bool]{path: "/claimsSupported"}
)

// A Field is a field with values of type T. Only this package can make one: the operations of the zero Field are
// refused as invalid before anything is sent.
type Field[T any] struct {
	path   string
	unseen bool // not in the clients that the vendor returns
}

// Set returns the operation that gives the field a value.
func (f Field[T]) Set(value T) jsonpatch.Operation {
	if f.unseen {
		return jsonpatch.Add(pointer(f.path), value)
	}
	return jsonpatch.Replace(pointer(f.path), value)
}

// Test returns the operation that makes the whole patch fail if the field has another value.
func (f Field[T]) Test(value T) jsonpatch.Operation { return jsonpatch.Test(pointer(f.path), value) }

// A Nullable is a [Field] that may be null.
type Nullable[T any] struct{ Field[T] }

// Clear returns the operation that makes the field null. The vendor's descriptions return null in this field, but list
// only strings, booleans, integers, objects and arrays as values of an operation, in every version. If the vendor
// refuses it, the error matches tokens.Status(400).
func (f Nullable[T]) Clear() jsonpatch.Operation { return jsonpatch.Replace(pointer(f.path), nil) }

// TestNull returns the operation that makes the whole patch fail if the field is not null. It sends a null, as Clear
// does.
func (f Nullable[T]) TestNull() jsonpatch.Operation { return jsonpatch.Test(pointer(f.path), nil) }

// A List is a field with an array of values of type T. The zero List is like the zero [Field].
type List[T comparable] struct{ path string }

// Set returns the operation that gives the field these values in place of those that it has. If values is nil, the array
// is empty.
func (f List[T]) Set(values []T) jsonpatch.Operation {
	return jsonpatch.Replace(pointer(f.path), notNil(values))
}

// Append returns the operation that adds a value after the last. The patch fails if the field is null.
func (f List[T]) Append(value T) jsonpatch.Operation {
	return jsonpatch.Add(pointer(f.path)+"/-", value)
}

// Insert returns the operation that adds a value before the one at an index, counted from 0, or after the last if the
// index is their number. The patch fails if the index is greater, or if the field is null.
func (f List[T]) Insert(index uint, value T) jsonpatch.Operation {
	return jsonpatch.Add(f.at(index), value)
}

// RemoveAt returns the operation that removes the value at an index, counted from 0. The patch fails if there is none.
// Each operation is applied to what those before it left, so remove the higher index first. A Test of the whole list
// makes sure that the index is right; [List.Remove] tests the value.
func (f List[T]) RemoveAt(index uint) jsonpatch.Operation { return jsonpatch.Remove(f.at(index)) }

// Remove returns the operations that remove a value from the list, of which values are the present ones: JSON Patch
// removes by index only. Each removal is preceded by a test that the value is there, so that the patch fails if the list
// has changed in the meantime. If values has the value more than once, all are removed; if it lacks the value, there are
// no operations. No other operation of the patch may add or remove values of the list before these.
func (f List[T]) Remove(values []T, value T) jsonpatch.Patch {
	var ops jsonpatch.Patch
	for i, present := range slices.Backward(values) {
		if present == value {
			ops = append(ops, jsonpatch.Test(f.at(uint(i)), value), f.RemoveAt(uint(i)))
		}
	}
	return ops
}

// Test returns the operation that makes the whole patch fail if the field has other values, or the same in another
// order. If values is nil, the array must be empty.
func (f List[T]) Test(values []T) jsonpatch.Operation {
	return jsonpatch.Test(pointer(f.path), notNil(values))
}

func (f List[T]) at(index uint) string {
	return pointer(f.path) + "/" + strconv.FormatUint(uint64(index), 10)
}

// A NullableList is a [List] that may be null.
type NullableList[T comparable] struct{ List[T] }

// Clear returns the operation that makes the field null. What [Nullable.Clear] says of the vendor holds here too.
func (f NullableList[T]) Clear() jsonpatch.Operation { return jsonpatch.Replace(pointer(f.path), nil) }

// TestNull returns the operation that makes the whole patch fail if the field is not null.
func (f NullableList[T]) TestNull() jsonpatch.Operation {
	return jsonpatch.Test(pointer(f.path), nil)
}

// Test returns the operation that makes the whole patch fail if the field has other values, or the same in another
// order. If values is nil, the field must be null, as it is nil in a client that was returned with null.
func (f NullableList[T]) Test(values []T) jsonpatch.Operation {
	if values == nil {
		return f.TestNull()
	}
	return f.List.Test(values)
}

// pointer returns the pointer to a field. That of a zero Field, of which the path is empty, would be the whole client;
// what is returned for it is refused as a pointer, with an error that says what is wrong.
func pointer(path string) string {
	if path == "" {
		return "zero Field; use those of package patch, such as patch.Name"
	}
	return path
}

func notNil[T any](values []T) []T {
	if values == nil {
		return []T{}
	}
	return values
}
