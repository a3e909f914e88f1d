package openapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

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
		{"OpenAPI 4", "openapi: 4.0.0\npaths: {}", "openapi is missing or not 3.x"},
		{"a key that is a list", "openapi: 3.0.1\npaths:\n  ? [a]\n  : {}", "line 3: a key is not a scalar"},
		{"no paths", "openapi: 3.0.1", "paths is missing"},
		{"a key twice", "openapi: 3.0.1\npaths:\n  /a: {}\n  /a: {}", `line 4: the key "/a" is there twice`},
		{"a key twice in JSON", `{"openapi": "3.0.1", "paths": {"/a": {"get": {}, "get": {}}}}`, `the key "get" is there twice`},
		{"two documents", "openapi: 3.0.1\npaths: {}\n---\nopenapi: 3.0.1\npaths: {}", "a second document"},
		{"text behind it", "openapi: 3.0.1\npaths: {}\n...\nand so on", "did not find expected <document start>"},
		{"an anchor in itself", "openapi: 3.0.1\npaths: &a\n  /a: *a", "stands in itself"},
		{"aliases that multiply", bomb, "aliases"},
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

// bomb is a document of 20 lines that would expand to ten million million nodes.
var bomb = func() string {
	var b strings.Builder
	b.WriteString("openapi: 3.0.1\npaths: {}\nx-0: &x0 [a, a]\n")
	for i := range 16 {
		alias := fmt.Sprintf("*x%d", i)
		fmt.Fprintf(&b, "x-%d: &x%d [%s]\n", i+1, i+1, strings.Join(slices.Repeat([]string{alias}, 10), ", "))
	}
	return b.String()
}()

func TestCheck(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"nothing", "", "", ""},
		{"reference to nothing", "schema: {$ref: '#/components/schemas/Token'}", "schema: {$ref: '#/components/schemas/None'}", "refers to #/components/schemas/None"},
		{"cut before components", base[strings.Index(base, "components:"):], "", "refers to #/components/schemas/Token"},
		{"reference to itself", "        id: {type: string", "        loop: {$ref: '#/components/schemas/Token/properties/loop'}\n        id: {type: string", "refers to itself"},
		{"list of types", "note: {type: string", "note: {type: [string, 'null']", "OpenAPI 3.1"},
		{"type null", "note: {type: string", "note: {type: 'null'", "the type null, which is OpenAPI 3.1"},
		{"no such type", "note: {type: string", "note: {type: text", `"text" is not a type`},
		{"keyword of OpenAPI 3.1", "note: {type: string", "note: {const: 1", "/const: is OpenAPI 3.1"},
		{"required is no list", "required: [grant]", "required: yes", "is not a list"},
		{"required body is text", "required: true\n        content", "required: yes\n        content", "is neither true nor false"},
		{"properties are a list", "properties:\n                grant: {type: string, enum: [code, refresh]}\n                note: {type: string, example: hello}", "properties: [grant]", "is not a mapping"},
		{"number for a boolean", "maxLength: 10", "exclusiveMinimum: 5", "is neither true nor false"},
		{"boolean schema", "id: {type: string, maxLength: 10}", "id: true", "a schema is not a mapping"},
		{"hostile name", "        id: {type", "        \"a\\nfunc init() {}\": {type", "is not a name"},
		{"blank name in an example", "example: hello", "example: {' ': hello}", ""},
		{"reference elsewhere", "schema: {$ref: '#/components/schemas/Token'}", "schema: {$ref: 'https://example.com/a.yaml'}", ""},
		{"type is a number", "note: {type: string", "note: {type: 1", "/note/type: is not a string"},
		{"type is a mapping", "note: {type: string", "note: {type: {}", "/note/type: is not a string"},
		{"type is nothing", "note: {type: string", "note: {type: null", ""},
		{"headers are a list", "headers:\n            X-Left: {schema: {type: integer}}", "headers: [a]", "/headers: is not a mapping"},
		{"schema is a list", "schema: {$ref: '#/components/schemas/Token'}", "schema: []", "/schema: is not a mapping"},
		{"further members of any kind", "id: {type: string", "id: {additionalProperties: true", ""},
		{"further members are text", "id: {type: string", "id: {additionalProperties: 'true'", "/additionalProperties: is not a mapping"},
		{"items are a boolean", "id: {type: string", "id: {items: true", "/items: is not a mapping"},
		{"branches are a mapping", "id: {type: string", "id: {oneOf: {}", "/oneOf: is not a list"},
		{"mapping of a discriminator is a list", "id: {type: string", "id: {discriminator: {mapping: []}", "/mapping: is not a mapping"},
		{"required entry is a number", "required: [grant]", "required: [grant, 1]", "/required/1: is not a string"},
		{"enum value is a number", "enum: [code, refresh]", "enum: [code, 1]", ""},
		{"blank name", "        id: {type", "        ' ': {type", `" " is not a name`},
		{"merge key", "id: {type: string", "id: {<<: {}, type: string", "merge keys are not read"},
		{"extension like a keyword", "id: {type: string", "id: {x-const: 1, type: string", ""},
		{"scheme that is not defined", "    oauth:\n      type", "    other:\n      type", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.Contains(t, base, test.old)
			err := parse(t, strings.Replace(base, test.old, test.new, 1)).Operations()[0].Check()
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.want)
			}
		})
	}
}

// TestCheckOfKeywords tests keywords one by one, with a value that they must not have.
func TestCheckOfKeywords(t *testing.T) {
	check := func(keyword string) error {
		return parse(t, strings.Replace(base, "id: {type: string", "id: {"+keyword+", type: string", 1)).Operations()[0].Check()
	}
	for _, keyword := range []string{"deprecated", "nullable", "readOnly", "writeOnly", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum"} {
		require.ErrorContains(t, check(keyword+": 5"), "/"+keyword+": is neither true nor false")
		require.NoError(t, check(keyword+": true"))
	}
	for _, keyword := range []string{
		"$anchor", "$defs", "$dynamicAnchor", "$dynamicRef", "$id", "$schema", "$vocabulary", "const", "contains", "contentEncoding",
		"contentMediaType", "contentSchema", "dependentRequired", "dependentSchemas", "else", "if", "maxContains", "minContains",
		"patternProperties", "prefixItems", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
	} {
		require.ErrorContains(t, check(keyword+": {}"), "/"+keyword+": is OpenAPI 3.1")
	}
	for _, name := range []string{"array", "boolean", "integer", "number", "object", "string"} {
		require.NoError(t, check("not: {type: "+name+"}"))
	}
	for _, keyword := range []string{"allowEmptyValue", "allowReserved", "explode"} {
		text := strings.Replace(base, "in: header\n", "in: header\n          "+keyword+": 5\n", 1)
		require.ErrorContains(t, parse(t, text).Operations()[0].Check(), "/"+keyword+": is neither true nor false")
	}
}

// TestAliasesOfALargeDocument tests that a document may become ten times as large by its aliases, but not more.
func TestAliasesOfALargeDocument(t *testing.T) {
	for aliases, ok := range map[int]bool{8: true, 11: false} {
		text := "openapi: 3.0.1\npaths: {}\nx-list: &list [" + strings.Repeat("a, ", 13_000) + "]\nx-more: [" + strings.Repeat("*list, ", aliases) + "]\n"
		_, err := openapi.Parse([]byte(text))
		if ok {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "with its aliases written out")
		}
	}
}

// TestChildOfAList tests that only an index in a list leads to an element.
func TestChildOfAList(t *testing.T) {
	doc := parse(t, "openapi: 3.0.1\npaths: {}\nx-list: [a, b]\n")
	assert.Equal(t, "b", doc.At("/x-list/1").Text())
	for _, token := range []string{"2", "-1", "a", ""} {
		assert.False(t, doc.At("/x-list/"+token).Exists(), token)
	}
}

// TestReferencesThatAreNoURLs tests that a malformed reference, or one from a document without a proper name, is kept.
func TestReferencesThatAreNoURLs(t *testing.T) {
	load := func(string) ([]byte, error) { return []byte("type: string\n"), nil }
	for uri, ref := range map[string]string{"file:///a.yaml": "http://[::1/b.yaml", "http://[::1": "b.yaml"} {
		doc, err := openapi.ParseAt(uri, []byte("openapi: 3.0.1\npaths: {}\nx-a: {$ref: '"+ref+"'}\n"), load)
		require.NoError(t, err)
		assert.Equal(t, ref, doc.At("/x-a").Resolve().Child("$ref").Text())
	}
	doc, err := openapi.ParseAt("file:///a.yaml", []byte("openapi: 3.0.1\npaths: {}\nx-a: {$ref: b.yaml}\n"), load)
	require.NoError(t, err)
	assert.Equal(t, "string", doc.At("/x-a").Resolve().Child("type").Text())
}

// TestLoopsCanStop tests that a loop over nodes may end at any of them.
func TestLoopsCanStop(t *testing.T) {
	doc := parse(t, base+"    Other: {type: string}\n")
	op := doc.Operations()[0]
	loops := map[string]func(most int) int{
		"nodes": func(most int) (n int) {
			for range doc.Nodes() {
				if n++; n == most {
					break
				}
			}
			return n
		},
		"reached": func(most int) (n int) {
			for range op.Reached() {
				if n++; n == most {
					break
				}
			}
			return n
		},
	}
	for name, loop := range loops {
		all := loop(-1)
		assert.Greater(t, all, 10, name)
		for most := 1; most <= all; most++ {
			assert.Equal(t, most, loop(most), name)
		}
	}
}

// TestAround tests which schemas are only an allOf around another one.
func TestAround(t *testing.T) {
	doc := parse(t, `openapi: 3.0.1
paths: {}
x-in: {type: string}
x-around: {allOf: [{$ref: '#/x-in'}], nullable: true}
x-two: {allOf: [{$ref: '#/x-in'}, {}]}
x-none: {allOf: []}
x-more: {allOf: [{$ref: '#/x-in'}], maxLength: 5}
x-elsewhere: {allOf: [{$ref: 'other.yaml'}]}
x-self: {allOf: [{$ref: '#/x-self'}]}
x-text: {allOf: [text]}
x-map: {allOf: {'0': {type: string}}}
x-list: [allOf]
`)
	assert.Equal(t, "/x-in", doc.At("/x-around").Around().Pointer)
	for _, name := range []string{"in", "two", "none", "more", "elsewhere", "self", "text", "map", "list", "missing"} {
		assert.False(t, doc.At("/x-"+name).Around().Exists(), name)
	}
}

// TestCopy tests what a copy of a vendor's node has: its structure, with the targets of references or what stands for
// them, and dates as strings, because they are none in JSON.
func TestCopy(t *testing.T) {
	doc := parse(t, strings.Replace(base, "        id: {type: string, maxLength: 10}\n",
		"        id: {type: string, description: Theirs., x-go-type: T, x-order: 1, nullable: false, example: 2026-01-02, default: !!binary aGk=}\n"+
			"        any: {example: {b: 1, a: {$ref: '#/none', description: D., list: [x]}}}\n", 1))
	copied := func(at string, kind openapi.Kind, ref func(openapi.Place, openapi.Kind) *yaml.Node) string {
		text, err := yaml.Marshal(doc.At(at).Copy(kind, ref))
		require.NoError(t, err)
		return string(text)
	}
	inline := func(openapi.Place, openapi.Kind) *yaml.Node { return nil }
	const token = `type: object
properties:
    id:
        type: string
        example: "2026-01-02"
        default: aGk=
    any:
        example:
            b: 1
            a:
                $ref: '#/none'
                description: D.
                list:
                    - x
    parent: {}
    value:
        oneOf:
            - type: string
            - type: integer
`
	assert.Equal(t, token, copied("/paths/~1tokens~1{id}/post/responses/200/content/application~1json/schema", openapi.KindSchema, inline))
	assert.Equal(t, "schema: for /components/schemas/Token\nexamples:\n    one:\n        value:\n            id: a\n",
		copied("/paths/~1tokens~1{id}/post/responses/200/content/application~1json", openapi.KindMediaType, func(target openapi.Place, _ openapi.Kind) *yaml.Node {
			return &yaml.Node{Kind: yaml.ScalarNode, Value: "for " + target.Pointer}
		}))
	assert.Equal(t, "type: oauth2\nflows:\n    clientCredentials:\n        tokenUrl: https://example.com/token\n        scopes:\n            read: \"\"\n            write: \"\"\n",
		copied("/components/securitySchemes/oauth", openapi.KindScheme, inline))
	assert.Equal(t, "$ref: '#/components/schemas/Token'\n", copied("/paths/~1tokens~1{id}/post/responses/200/content/application~1json/schema", "", nil))
}

func TestCheckBoundsReferencesThatMultiply(t *testing.T) {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "    S%d: {type: object, properties: {a: {$ref: '#/components/schemas/S%d'}, b: {$ref: '#/components/schemas/S%d'}}}\n", i, i+1, i+1)
	}
	b.WriteString("    S40: {type: string}\n    Token:\n")
	text := strings.Replace(base, "    Token:\n", b.String(), 1)
	text = strings.Replace(text, "schema: {$ref: '#/components/schemas/Token'}", "schema: {$ref: '#/components/schemas/S0'}", 1)
	require.ErrorContains(t, parse(t, text).Operations()[0].Check(), "its references multiply")
	text = strings.Replace(text, "schema: {type: string, default: v1}", "schema: {$ref: '#/components/schemas/S0'}", 1)
	err := parse(t, text).Operations()[0].Check()
	require.ErrorContains(t, err, "its references multiply")
	assert.NotContains(t, err.Error(), "\n", "it stops at the first")
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
    far: {$ref: '#/components/schemas/remote'}
    escape: {$ref: '#/components/schemas/%zz'}
    alias: &x {type: string}
    aliased: *x
`)
	schemas := doc.At("/components/schemas")
	for _, name := range []string{"chain", "encoded"} {
		assert.Equal(t, "/components/schemas/a~0~1b", schemas.Child(name).Resolve().Pointer)
	}
	for _, name := range []string{"self", "nowhere", "remote", "escape"} {
		assert.Equal(t, "/components/schemas/"+name, schemas.Child(name).Resolve().Pointer, "it is not followed")
	}
	assert.Equal(t, "/components/schemas/remote", schemas.Child("far").Resolve().Pointer)
	assert.Equal(t, `{"type":"string"}`, schemas.Child("aliased").JSON(openapi.KindSchema))
	assert.False(t, schemas.Child("other").Exists())
}

func TestJSONEndsInARecursiveSchema(t *testing.T) {
	assert.Equal(t, `{"properties":{"id":{"maxLength":10,"type":"string"},"parent":{"$up":2},"value":{"oneOf":[{"type":"string"},{"type":"integer"}]}},"type":"object"}`,
		parse(t, base).At("/components/schemas/Token").JSON(openapi.KindSchema))
}
