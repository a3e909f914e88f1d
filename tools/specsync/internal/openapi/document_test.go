package openapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

func TestParseJSON(t *testing.T) {
	doc := parse(t, "\ufeff{\n\t\"openapi\": \"3.0.3\",\n\t\"paths\": {\"\\/a\": {\"get\": {\"description\": \"\\ud83d\\ude00\", \"x-n\": [1, 2.5, true, null]}}}}")
	get := doc.At("/paths/~1a/get")
	assert.Equal(t, "\U0001F600", get.Child("description").Text())
	assert.Equal(t, "[1,2.5,true,null]", get.Child("x-n").JSON(""))
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", "empty"},
		{"a list", "[1]", "not a mapping"},
		{"half a document", "openapi: 3.0.1\npaths: {", "yaml"},
		{"Swagger 2", "swagger: '2.0'\npaths: {}", "openapi is missing"},
		{"no paths", "openapi: 3.0.1", "paths is missing"},
		{"HTML", "<html><body>Not found: {}</body></html>", "yaml"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := openapi.Parse([]byte(test.text))
			require.Error(t, err)
			assert.ErrorContains(t, err, test.want)
			assert.True(t, strings.HasPrefix(err.Error(), "openapi: "))
		})
	}
}

func TestResolve(t *testing.T) {
	doc := parse(t, `openapi: 3.0.1
paths: {}
components:
  schemas:
    a~/b: {type: string}
    chain: {$ref: '#/components/schemas/a~0~1b'}
    encoded: {$ref: '#/components/schemas/a%7E0~1b'}
    self: {$ref: '#/components/schemas/self'}
    nowhere: {$ref: '#/components/schemas/none'}
    remote: {$ref: 'other.yaml#/components/schemas/a'}
    alias: &x {type: string}
    aliased: *x
`)
	schemas := doc.At("/components/schemas")
	for _, name := range []string{"chain", "encoded"} {
		assert.Equal(t, "/components/schemas/a~0~1b", schemas.Child(name).Resolve().Pointer)
	}
	for _, name := range []string{"self", "nowhere", "remote"} {
		assert.Equal(t, "/components/schemas/"+name, schemas.Child(name).Resolve().Pointer, "it stays where it is")
	}
	assert.Equal(t, `{"type":"string"}`, schemas.Child("aliased").JSON(openapi.KindSchema))
	assert.False(t, schemas.Child("other").Exists())
}

func TestJSONEndsInARecursiveSchema(t *testing.T) {
	assert.Equal(t, `{"properties":{"id":{"maxLength":10,"type":"string"},"parent":{"$up":2},"value":{"oneOf":[{"type":"string"},{"type":"integer"}]}},"type":"object"}`,
		parse(t, base).At("/components/schemas/Token").JSON(openapi.KindSchema))
}
