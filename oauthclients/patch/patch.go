// Package patch has a typed value for each field of a SailPoint OAuth client that can be patched. Their methods return
// operations of a JSON Patch (RFC 6902):
//
//	clients.Patch(ctx, id,
//		patch.Name.Test("Demo API Client"), // if it fails, nothing is changed
//		patch.Enabled.Set(false),
//		patch.HomepageURL.Clear(),
//		patch.RedirectURIs.Append("https://example.com/callback"))
//
// Code that patches another field, uses a value of the wrong type, or sets null where it is not allowed does not
// compile. For the same reason a patch cannot test other fields: there is no guard on lastUsed, so a client may be used
// between a look at it and the patch.
//
// [Overlay] returns a copy of a client with the members of a JSON document, and [Diff] returns the operations that turn
// one client into another. For other operations, such as move and copy, use oauthclients/jsonpatch.
package patch

import (
	"slices"
	"strconv"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

// The fields that can be patched, as marked by x-patchable in api/sailpoint.yaml.
var (
	// Tenant is not part of any response, so Set returns an add, which does not require an existing value.
	Tenant       = Field[string]{path: "/tenant", unseen: true}
	BusinessName = Nullable[string]{Field[string]{path: "/businessName"}}
	HomepageURL  = Nullable[string]{Field[string]{path: "/homepageUrl"}}
	Name         = Field[string]{path: "/name"}
	Description  = Nullable[string]{Field[string]{path: "/description"}}
	// AccessTokenValiditySeconds is the lifetime of access tokens in seconds.
	AccessTokenValiditySeconds = Field[int32]{path: "/accessTokenValiditySeconds"}
	// RefreshTokenValiditySeconds is the lifetime of refresh tokens in seconds.
	RefreshTokenValiditySeconds = Field[int32]{path: "/refreshTokenValiditySeconds"}
	RedirectURIs                = NullableList[string]{List[string]{path: "/redirectUris"}}
	GrantTypes                  = List[sailpoint.GrantType]{path: "/grantTypes"}
	AccessType                  = Field[sailpoint.AccessType]{path: "/accessType"}
	Enabled                     = Field[bool]{path: "/enabled"}
	StrongAuthSupported         = Field[bool]{path: "/strongAuthSupported"}
	ClaimsSupported             = Field[bool]{path: "/claimsSupported"}
)

// A Field is a field with values of type T. Only this package can make one: operations of the zero Field are refused
// before anything is sent.
type Field[T any] struct {
	path   string
	unseen bool // not part of the clients that the vendor returns
}

// Set returns an operation that sets the field to value.
func (f Field[T]) Set(value T) jsonpatch.Operation {
	if f.unseen {
		return jsonpatch.Add(pointer(f.path), value)
	}
	return jsonpatch.Replace(pointer(f.path), value)
}

// Test returns an operation that makes the whole patch fail unless the field has this value.
func (f Field[T]) Test(value T) jsonpatch.Operation { return jsonpatch.Test(pointer(f.path), value) }

// A Nullable is a [Field] that may be null.
type Nullable[T any] struct{ Field[T] }

// Clear returns an operation that sets the field to null. The vendor's descriptions have null in responses, but their
// list of possible values of an operation has only strings, booleans, integers, objects and arrays, in every version.
// If the vendor refuses the null, the error matches tokens.Status(400).
func (f Nullable[T]) Clear() jsonpatch.Operation { return jsonpatch.Replace(pointer(f.path), nil) }

// TestNull returns an operation that makes the whole patch fail unless the field is null. It sends a null, as Clear
// does.
func (f Nullable[T]) TestNull() jsonpatch.Operation { return jsonpatch.Test(pointer(f.path), nil) }

// A List is a field with an array of values of type T. Operations of the zero List are refused, like those of the zero
// [Field].
type List[T comparable] struct{ path string }

// Set returns an operation that replaces the list with values. If values is nil, the list becomes empty.
func (f List[T]) Set(values []T) jsonpatch.Operation {
	return jsonpatch.Replace(pointer(f.path), notNil(values))
}

// Append returns an operation that adds value at the end of the list. The patch fails if the field is null.
func (f List[T]) Append(value T) jsonpatch.Operation {
	return jsonpatch.Add(pointer(f.path)+"/-", value)
}

// Insert returns an operation that inserts value before the one at index, counted from 0. If index is the length of the
// list, value is appended. The patch fails if index is greater, or if the field is null.
func (f List[T]) Insert(index uint, value T) jsonpatch.Operation {
	return jsonpatch.Add(f.at(index), value)
}

// RemoveAt returns an operation that removes the value at index, counted from 0. The patch fails if there is none. Each
// operation is applied to the result of the ones before it, so remove higher indices first. To make sure that the index
// is right, precede it with a Test of the whole list, or use [List.Remove], which tests the value.
func (f List[T]) RemoveAt(index uint) jsonpatch.Operation { return jsonpatch.Remove(f.at(index)) }

// Remove returns operations that remove value from a list that currently has the given values, because JSON Patch
// removes by index only. Each removal is preceded by a test of the value, so that the patch fails if the list has
// changed in the meantime. All occurrences of value are removed; if there is none, there are no operations. No earlier
// operation of the patch may add or remove values of the list.
func (f List[T]) Remove(values []T, value T) jsonpatch.Patch {
	var ops jsonpatch.Patch
	for i, present := range slices.Backward(values) {
		if present == value {
			ops = append(ops, jsonpatch.Test(f.at(uint(i)), value), f.RemoveAt(uint(i)))
		}
	}
	return ops
}

// Test returns an operation that makes the whole patch fail unless the field has exactly these values, in this order.
// If values is nil, the list must be empty.
func (f List[T]) Test(values []T) jsonpatch.Operation {
	return jsonpatch.Test(pointer(f.path), notNil(values))
}

func (f List[T]) at(index uint) string {
	return pointer(f.path) + "/" + strconv.FormatUint(uint64(index), 10)
}

// A NullableList is a [List] that may be null.
type NullableList[T comparable] struct{ List[T] }

// Clear returns an operation that sets the field to null. See [Nullable.Clear] for what the vendor documents about
// that.
func (f NullableList[T]) Clear() jsonpatch.Operation { return jsonpatch.Replace(pointer(f.path), nil) }

// TestNull returns an operation that makes the whole patch fail unless the field is null.
func (f NullableList[T]) TestNull() jsonpatch.Operation {
	return jsonpatch.Test(pointer(f.path), nil)
}

// Test returns an operation that makes the whole patch fail unless the field has exactly these values, in this order.
// If values is nil, the field must be null, as in a client whose list is nil because the vendor returned null.
func (f NullableList[T]) Test(values []T) jsonpatch.Operation {
	if values == nil {
		return f.TestNull()
	}
	return f.List.Test(values)
}

// pointer returns the JSON Pointer of a field. The path of a zero Field is empty, which would be the pointer of the
// whole client; for it, pointer returns an invalid pointer, whose error says what is wrong.
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
