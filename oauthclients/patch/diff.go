package patch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

// DiffOptions are the options of [Diff].
type DiffOptions struct {
	// Guard, if true, precedes each change by a test of the value in before, so that the patch fails if somebody else has
	// changed the field in the meantime.
	Guard bool
	// ListsAsSets, if true, treats lists as sets: two lists are equal if they have the same values, in any order and
	// number.
	ListsAsSets bool
}

// Diff returns the operations that turn before into after, in the order of the vendor's list of fields. The result is
// empty if nothing differs. Lists are replaced as a whole. A nil list becomes null if the field may be null, and an
// empty list otherwise. If opts is nil, the defaults are used.
//
// If fields differ that cannot be patched, Diff returns a [*FieldsError] with their names, together with the operations
// for all other fields. Fields that the vendor sets itself (lastUsed, modified) differ if before was read before the
// last use or change of the client. A string in after that is not UTF-8 is an error, because JSON cannot represent it.
//
// before and after must not share memory. A client that was copied by assignment still has the pointers and slices of
// the original; a change through one of them changes both, and Diff cannot see it. [Overlay] returns a deep copy.
func Diff(before, after sailpoint.OAuthClient, opts *DiffOptions) (jsonpatch.Patch, error) {
	var d differ
	if opts != nil {
		d.DiffOptions = *opts
	}
	nullable(&d, BusinessName, before.BusinessName, after.BusinessName)
	nullable(&d, HomepageURL, before.HomepageURL, after.HomepageURL)
	field(&d, Name, before.Name, after.Name)
	nullable(&d, Description, before.Description, after.Description)
	field(&d, AccessTokenValiditySeconds, before.AccessTokenValiditySeconds, after.AccessTokenValiditySeconds)
	field(&d, RefreshTokenValiditySeconds, before.RefreshTokenValiditySeconds, after.RefreshTokenValiditySeconds)
	nullableList(&d, RedirectURIs, before.RedirectURIs, after.RedirectURIs)
	list(&d, GrantTypes, before.GrantTypes, after.GrantTypes)
	field(&d, AccessType, before.AccessType, after.AccessType)
	field(&d, Enabled, before.Enabled, after.Enabled)
	field(&d, StrongAuthSupported, before.StrongAuthSupported, after.StrongAuthSupported)
	field(&d, ClaimsSupported, before.ClaimsSupported, after.ClaimsSupported)

	d.refuse("id", before.ID == after.ID)
	d.refuse("type", before.Type == after.Type)
	d.refuse("internal", before.Internal == after.Internal)
	d.refuse("created", sameTime(before.Created, after.Created))
	d.refuse("modified", sameTime(before.Modified, after.Modified))
	d.refuse("secret", secretOf(before) == secretOf(after))
	d.refuse("metadata", same(before.Metadata, after.Metadata))
	d.refuse("lastUsed", sameTime(timeOf(before.LastUsed), timeOf(after.LastUsed)))
	d.refuse("scope", sameList(&d, before.Scope, after.Scope) && (before.Scope == nil) == (after.Scope == nil))
	if _, err := d.patch.MarshalJSON(); err != nil {
		return nil, fmt.Errorf("patch: a value of after cannot be sent: %w", err)
	}
	if d.refused != nil {
		return d.patch, &FieldsError{d.refused}
	}
	return d.patch, nil
}

// A FieldsError lists the fields that differ but cannot be patched, by the vendor's names.
type FieldsError struct{ Fields []string }

// Error returns a text with the names.
func (e *FieldsError) Error() string {
	return "patch: these fields differ and cannot be patched: " + strings.Join(e.Fields, ", ")
}

type differ struct {
	DiffOptions
	patch   jsonpatch.Patch
	refused []string
}

// change adds the operation that changes a field, and the test that guards it.
func (d *differ) change(test, set jsonpatch.Operation) {
	if d.Guard {
		d.patch = append(d.patch, test)
	}
	d.patch = append(d.patch, set)
}

func (d *differ) refuse(name string, same bool) {
	if !same {
		d.refused = append(d.refused, name)
	}
}

func field[T comparable](d *differ, f Field[T], before, after T) {
	if before != after {
		d.change(f.Test(before), f.Set(after))
	}
}

func nullable[T comparable](d *differ, f Nullable[T], before, after *T) {
	if same(before, after) {
		return
	}
	test, set := f.TestNull(), f.Clear()
	if before != nil {
		test = f.Test(*before)
	}
	if after != nil {
		set = f.Set(*after)
	}
	d.change(test, set)
}

func list[T comparable](d *differ, f List[T], before, after []T) {
	if !sameList(d, before, after) {
		d.change(f.Test(before), f.Set(after))
	}
}

func nullableList[T comparable](d *differ, f NullableList[T], before, after []T) {
	switch {
	case (before == nil) == (after == nil) && sameList(d, before, after):
	case after == nil:
		d.change(f.Test(before), f.Clear())
	default:
		d.change(f.Test(before), f.Set(after))
	}
}

// sameList reports whether two lists have the same values. Nil and empty are the same.
func sameList[T comparable](d *differ, a, b []T) bool {
	if d.ListsAsSets {
		return subset(a, b) && subset(b, a)
	}
	return slices.Equal(a, b)
}

// subset reports whether all values of a are in b.
func subset[T comparable](a, b []T) bool {
	return !slices.ContainsFunc(a, func(value T) bool { return !slices.Contains(b, value) })
}

func same[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// sameTime compares times as instants, whatever their zone and format, and values that are not times as strings.
func sameTime(a, b wire.Time) bool {
	if a.IsZero() || b.IsZero() {
		return a.Text() == b.Text()
	}
	return a.Time().Equal(b.Time())
}

func secretOf(c sailpoint.OAuthClient) string {
	if c.Secret == nil {
		return ""
	}
	return c.Secret.Reveal()
}

func timeOf(t *wire.Time) wire.Time {
	if t == nil {
		return wire.Time{}
	}
	return *t
}
