package patch

import (
	"slices"
	"strings"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

// Diff returns the operations that make before into after, in the order of the vendor's list of fields; none if
// nothing differs. Lists are replaced as a whole; a nil list is null where the field may be null, else empty.
//
// If fields differ that cannot be patched, a [*FieldsError] with their names comes beside the operations for all
// others. Those the vendor keeps itself (lastUsed, modified) differ as soon as before is older than the last use or
// change of the client.
func Diff(before, after sailpoint.OAuthClient) ([]jsonpatch.Operation, error) {
	var d diff
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
	d.refuse("secret", same(before.Secret, after.Secret))
	d.refuse("metadata", same(before.Metadata, after.Metadata))
	d.refuse("lastUsed", sameTime(timeOf(before.LastUsed), timeOf(after.LastUsed)))
	d.refuse("scope", sameList(before.Scope, after.Scope))
	if d.refused != nil {
		return d.ops, &FieldsError{d.refused}
	}
	return d.ops, nil
}

// FieldsError names the fields that would have to change and cannot be patched, as the vendor does.
type FieldsError struct{ Fields []string }

func (e *FieldsError) Error() string {
	return "patch: these fields differ and cannot be patched: " + strings.Join(e.Fields, ", ")
}

type diff struct {
	ops     []jsonpatch.Operation
	refused []string
}

func (d *diff) add(op jsonpatch.Operation) {
	if d.ops == nil {
		const fields = 12
		d.ops = make([]jsonpatch.Operation, 0, fields)
	}
	d.ops = append(d.ops, op)
}

func (d *diff) refuse(name string, same bool) {
	if !same {
		d.refused = append(d.refused, name)
	}
}

func field[T comparable](d *diff, f Field[T], before, after T) {
	if before != after {
		d.add(f.Set(after))
	}
}

func nullable[T comparable](d *diff, f Nullable[T], before, after *T) {
	switch {
	case same(before, after):
	case after == nil:
		d.add(f.Clear())
	default:
		d.add(f.Set(*after))
	}
}

func list[T comparable](d *diff, f List[T], before, after []T) {
	if !slices.Equal(before, after) {
		d.add(f.Set(after))
	}
}

func nullableList[T comparable](d *diff, f NullableList[T], before, after []T) {
	switch {
	case sameList(before, after):
	case after == nil:
		d.add(f.Clear())
	default:
		d.add(f.Set(after))
	}
}

// sameList tells null, which is nil, from the empty array.
func sameList[T comparable](a, b []T) bool {
	return (a == nil) == (b == nil) && slices.Equal(a, b)
}

func same[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// sameTime compares what is understood as a time, whatever its zone and spelling, and else the text.
func sameTime(a, b wire.Time) bool {
	if a.IsZero() || b.IsZero() {
		return a.Text() == b.Text()
	}
	return a.Time().Equal(b.Time())
}

func timeOf(t *wire.Time) wire.Time {
	if t == nil {
		return wire.Time{}
	}
	return *t
}
