package patch_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/oauthclients/patch"
)

func TestOverlay(t *testing.T) {
	after, err := patch.Overlay(client(), []byte(`{
		"name": "R&D \u00fc", "businessName": null, "accessTokenValiditySeconds": 600,
		"redirectUris": ["https://example.com"], "grantTypes": [], "enabled": false, "type": "PUBLIC",
		"lastUsed": "2020-01-01T00:00:00Z"}`))
	require.NoError(t, err)
	want := client()
	want.Name, want.BusinessName, want.AccessTokenValiditySeconds = "R&D ü", nil, 600
	want.RedirectURIs, want.GrantTypes, want.Enabled, want.Type = []string{"https://example.com"}, []sailpoint.GrantType{}, false, "PUBLIC"
	want.LastUsed = after.LastUsed
	assert.Equal(t, want, after)
	assert.Equal(t, "2020-01-01T00:00:00Z", after.LastUsed.Text())
}

// If the copy shared a pointer or an array, Diff would miss a change.
func TestOverlaySharesNothing(t *testing.T) {
	before := client()
	before.Description, before.Secret, before.Metadata = new("d"), new(wire.NewSecret("s")), new("m")
	before.LastUsed = new(before.Created)
	after, err := patch.Overlay(before, []byte(`{"businessName":"other","redirectUris":["https://example.com"],"description":"other"}`))
	require.NoError(t, err)
	assert.Equal(t, "Acme-Solar", *before.BusinessName)
	assert.Equal(t, []string{"http://localhost:12345"}, before.RedirectURIs)
	ops, err := patch.Diff(before, after, nil)
	require.NoError(t, err)
	assert.Len(t, ops, 3)

	after, err = patch.Overlay(before, []byte(`{}`))
	require.NoError(t, err)
	assert.Equal(t, before, after)
	a, b := reflect.ValueOf(before), reflect.ValueOf(after)
	for f := range a.Type().Fields() {
		switch f.Type.Kind() {
		case reflect.Pointer, reflect.Slice:
			require.False(t, a.FieldByIndex(f.Index).IsNil(), f.Name)
			assert.NotEqual(t, a.FieldByIndex(f.Index).Pointer(), b.FieldByIndex(f.Index).Pointer(), f.Name)
		}
	}
}

func TestOverlayKeepsNilAndEmpty(t *testing.T) {
	before := client()
	before.RedirectURIs, before.Scope = nil, []string{}
	after, err := patch.Overlay(before, []byte(`{}`))
	require.NoError(t, err)
	assert.Nil(t, after.RedirectURIs)
	assert.NotNil(t, after.Scope)
}

func TestOverlaySetsListsToNull(t *testing.T) {
	after, err := patch.Overlay(client(), []byte(`{"redirectUris":null}`))
	require.NoError(t, err)
	assert.Nil(t, after.RedirectURIs)
	after, err = patch.Overlay(client(), []byte(`{"redirectUris":[null]}`))
	require.NoError(t, err)
	assert.Equal(t, []string{""}, after.RedirectURIs, "nothing is left of the old list")
}

func TestOverlayRefuses(t *testing.T) {
	for doc, want := range map[string]string{
		`{"nam":"x"}`:                `patch: overlay: a client has no member "nam"`,
		`{"Name":"x"}`:               `patch: overlay: a client has no member "Name"`,
		`{"tenant":"x"}`:             `patch: overlay: a client has no member "tenant"`,
		`{"name":null}`:              `patch: overlay: member "name" cannot be null`,
		`{"enabled":"no"}`:           `patch: overlay: member "enabled": json: cannot unmarshal string into Go value of type bool`,
		`{"name":"x","name":"y"}`:    `patch: overlay: jsonpatch: invalid document: an object has two members of one name at offset 12`,
		`{"name":"x"} {}`:            `patch: overlay: jsonpatch: invalid document: malformed JSON at offset 13`,
		`null`:                       `patch: overlay: the document is not a JSON object`,
		`[]`:                         `patch: overlay: the document is not a JSON object`,
		``:                           `patch: overlay: jsonpatch: invalid document: malformed JSON at offset 0`,
		`{"redirectUris":[1]}`:       `patch: overlay: member "redirectUris": json: cannot unmarshal number into Go value of type string`,
		`{"redirectUris":["a\xff"]}`: `patch: overlay: jsonpatch: invalid document: malformed JSON at offset 20`,
	} {
		after, err := patch.Overlay(client(), []byte(doc))
		require.EqualError(t, err, want)
		assert.Equal(t, client(), after)
	}
}
