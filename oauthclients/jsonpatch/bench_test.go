package jsonpatch_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

// clientDoc is an OAuth client as SailPoint returns it.
const clientDoc = `{"id":"2c9180835d2e5168015d32f890ca1581","secret":null,"businessName":"Acme-Solar",` +
	`"homepageUrl":"http://localhost:12345","name":"Demo API Client",` +
	`"description":"An API client used for the authorization_code, refresh_token, and client_credentials flows",` +
	`"accessTokenValiditySeconds":750,"refreshTokenValiditySeconds":86400,` +
	`"redirectUris":["http://localhost:12345","http://localhost:67890"],` +
	`"grantTypes":["AUTHORIZATION_CODE","CLIENT_CREDENTIALS","REFRESH_TOKEN"],"accessType":"OFFLINE",` +
	`"type":"CONFIDENTIAL","internal":false,"enabled":true,"strongAuthSupported":false,"claimsSupported":false,` +
	`"created":"2017-07-11T18:45:37.098Z","modified":"2018-06-25T20:22:28.104Z","lastUsed":"2017-07-11T18:45:37.098Z",` +
	`"scope":["demo:api-client-scope:first","demo:api-client-scope:second"],"metadata":null}`

// changedDoc is clientDoc after changedPatch.
var changedDoc = strings.NewReplacer(
	`"name":"Demo API Client"`, `"name":"Renamed Client"`,
	`"enabled":true`, `"enabled":false`,
	`"homepageUrl":"http://localhost:12345"`, `"homepageUrl":null`,
).Replace(clientDoc)

func changedPatch(name string, enabled bool) jsonpatch.Patch {
	return jsonpatch.Patch{
		jsonpatch.Replace("/name", name),
		jsonpatch.Replace("/enabled", enabled),
		jsonpatch.Replace("/homepageUrl", nil),
	}
}

// appendedByHand returns what one would write by hand for changedPatch.
func appendedByHand(name string, enabled bool) []byte {
	b := make([]byte, 0, 192)
	b = append(b, `[{"op":"replace","path":"/name","value":`...)
	b = strconv.AppendQuote(b, name)
	b = append(b, `},{"op":"replace","path":"/enabled","value":`...)
	b = strconv.AppendBool(b, enabled)
	return append(b, `},{"op":"replace","path":"/homepageUrl","value":null}]`...)
}

var (
	newName    = strings.Clone("Renamed Client") // hides the constant from the compiler
	newEnabled = len(newName) == 0
)

func TestBenchmarksDoTheSame(t *testing.T) {
	byHand := appendedByHand(newName, newEnabled)
	patch := changedPatch(newName, newEnabled)
	built, err := patch.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, string(byHand), string(built))

	applied, err := patch.Apply([]byte(clientDoc))
	require.NoError(t, err)
	assert.Equal(t, changedDoc, string(applied))

	diff, err := jsonpatch.Diff([]byte(clientDoc), []byte(changedDoc))
	require.NoError(t, err)
	assert.Equal(t, `[replace "/enabled" replace "/homepageUrl" replace "/name"]`, fmt.Sprint(diff))
}

func BenchmarkByHand(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = appendedByHand(newName, newEnabled)
	}
}

func BenchmarkBuildAndMarshal(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		patch := jsonpatch.Patch{
			jsonpatch.Replace("/name", newName),
			jsonpatch.Replace("/enabled", newEnabled),
			jsonpatch.Replace("/homepageUrl", nil),
		}
		if _, err := patch.MarshalJSON(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	text := appendedByHand(newName, newEnabled)
	b.ReportAllocs()
	for b.Loop() {
		var p jsonpatch.Patch
		if err := p.UnmarshalJSON(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	doc := []byte(clientDoc)
	patch := changedPatch(newName, newEnabled)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := patch.Apply(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDiff(b *testing.B) {
	before, after := []byte(clientDoc), []byte(changedDoc)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jsonpatch.Diff(before, after); err != nil {
			b.Fatal(err)
		}
	}
}
