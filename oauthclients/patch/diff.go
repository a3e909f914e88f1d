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
	// Guard, if true, puts a test of the value in before in front of each change, so that the patch fails if somebody
	// else has changed the field in the meantime.
	Guard bool
	// ListsAsSets, if true, takes two lists as equal if they have the same values in any order and number.
	ListsAsSets bool
}

// Diff returns the operations that turn before into after, in the order of the vendor's list of fields. There are none
// if nothing differs. Lists are replaced as a whole. A nil list is null if the field may be null, and else empty. If opts
// is nil, the defaults are used.
//
// If fields differ that cannot be patched, a [*FieldsError] with their names is returned beside the operations for all
// others. Those that the vendor keeps itself (lastUsed, modified) differ if before is older than the last use or change
// of the client. A text in after that is not UTF-8 is an error, because JSON cannot hold it.
//
// Take care that the two share nothing: a client that was copied by assignment still has the pointers and arrays of the
// original, and a change through one of them is a change of both, which Diff cannot see. [Overlay] returns a deep copy.
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

// A FieldsError has the vendor's names of the fields that differ and cannot be patched.
type FieldsError struct{ Fields []string }

// Error returns the names.
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

// sameList reports whether two lists have the same values. It does not distinguish nil from empty.
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

// sameTime compares times as instants, whatever their zone and spelling, and texts that are not times as texts.
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
