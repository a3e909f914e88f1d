package openapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// base is the description that each test case changes by a replacement.
const base = `openapi: 3.0.1
info: {title: Base, version: "1"}
servers:
  - url: https://{tenant}.example.com/v1
    variables:
      tenant: {default: example}
security:
  - oauth: [read, write]
paths:
  /tokens/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: string}}
    post:
      operationId: createToken
      parameters:
        - name: X-Version
          in: header
          schema: {type: string, default: v1}
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [grant]
              properties:
                grant: {type: string, enum: [code, refresh]}
                note: {type: string, example: hello}
      responses:
        '200':
          description: Fine.
          headers:
            X-Left: {schema: {type: integer}}
          content:
            application/json:
              schema: {$ref: '#/components/schemas/Token'}
              examples:
                one: {value: {id: a}}
        '400':
          description: Not fine.
components:
  securitySchemes:
    oauth:
      type: oauth2
      flows:
        clientCredentials: {tokenUrl: https://example.com/token, scopes: {read: Read., write: Write.}}
  schemas:
    Token:
      type: object
      properties:
        id: {type: string, maxLength: 10}
        parent: {$ref: '#/components/schemas/Token'}
        value:
          oneOf:
            - {type: string}
            - {type: integer}
`

func TestCompare(t *testing.T) {
	const post = "POST /tokens/{id} "
	const schema = post + "/responses/200/content/application~1json/schema"
	tests := []struct {
		name, old, new string
		want           []string // operation and place: was -> is
	}{
		{"nothing", "", "", nil},
		{"description", "Not fine.", "Worse.", nil},
		{"operation id", "createToken", "issueToken", nil},
		{"title", "type: object\n      properties", "type: object\n      title: T\n      properties", nil},
		{"extension", "maxLength: 10", "maxLength: 10, x-order: 1", nil},
		{"false is the default", "schema: {type: string, default: v1}", "required: false\n          schema: {type: string, default: v1, nullable: false}", nil},
		{"order of a set", "[read, write]", "[write, read]", nil},
		{"order of an enum", "[code, refresh]", "[refresh, code]", nil},
		{"header spelling", "X-Left", "x-left", nil},
		{"name of a path parameter", "id}:\n    parameters:\n      - {name: id", "key}:\n    parameters:\n      - {name: key", nil},
		{"security on the operation", "      operationId: createToken\n", "      security: [{oauth: [write, read]}]\n", nil},
		{"sibling of a reference", "schema: {$ref: '#/components/schemas/Token'}", "schema: {$ref: '#/components/schemas/Token', type: string}", nil},

		{"type", "id: {type: string, maxLength: 10}", "id: {type: integer, maxLength: 10}", []string{schema + `/properties/id/type: "string" -> "integer"`}},
		{"limit gone", ", maxLength: 10", "", []string{schema + `/properties/id/maxLength: 10 -> `}},
		{"nullable", "maxLength: 10", "maxLength: 10, nullable: true", []string{schema + `/properties/id/nullable:  -> true`}},
		{"property", "        parent:", "        other: {type: boolean}\n        parent:", []string{schema + `/properties/other:  -> {"type":"boolean"}`}},
		{"branch in the middle", "            - {type: integer}", "            - {type: boolean}\n            - {type: integer}", []string{schema + `/properties/value/oneOf/1:  -> {"type":"boolean"}`}},
		{"branch gone", "            - {type: string}\n", "", []string{schema + `/properties/value/oneOf/0: {"type":"string"} -> `}},
		{"limit without end", "maxLength: 10", "maxLength: .inf", []string{schema + `/properties/id/maxLength: 10 -> +Inf`}},
		{"example of markup", "example: hello", "example: <b>", []string{post + `/requestBody/content/application~1json/schema/properties/note/example: "hello" -> "<b>"`}},
		{"property with a default that is left out", "        parent:", "        other: {type: boolean, nullable: false, required: []}\n        parent:", []string{schema + `/properties/other:  -> {"type":"boolean"}`}},
		{"second header", "            X-Left:", "            X-More: {schema: {type: string}}\n            X-Left:", []string{post + `/responses/200/headers/X-More:  -> {"schema":{"type":"string"}}`}},
		{"extension among responses", "        '400':", "        x-note: {description: Ours.}\n        '400':", nil},
		{"empty list", "    Token:\n      type: object\n", "    Token:\n      type: object\n      required: []\n", nil},
		{"allOf around it", "schema: {$ref: '#/components/schemas/Token'}", "schema: {allOf: [{$ref: '#/components/schemas/Token'}]}", nil},
		{"union kind", "oneOf", "anyOf", []string{
			schema + `/properties/value/oneOf: [{"type":"string"},{"type":"integer"}] -> `,
			schema + `/properties/value/anyOf:  -> [{"type":"string"},{"type":"integer"}]`,
		}},
		{"enum", "[code, refresh]", "[code, null]", []string{
			post + `/requestBody/content/application~1json/schema/properties/grant/enum/refresh: "refresh" -> `,
			post + `/requestBody/content/application~1json/schema/properties/grant/enum/null:  -> null`,
		}},
		{"enum gone", ", enum: [code, refresh]", "", []string{post + `/requestBody/content/application~1json/schema/properties/grant/enum: ["code","refresh"] -> `}},
		{"required", "required: [grant]", "required: [grant, note]", []string{post + `/requestBody/content/application~1json/schema/required/note:  -> "note"`}},
		{"example", "example: hello", "example: bye", []string{post + `/requestBody/content/application~1json/schema/properties/note/example: "hello" -> "bye"`}},
		{"named example", "{id: a}", "{id: b}", []string{post + `/responses/200/content/application~1json/examples/one/value: {"id":"a"} -> {"id":"b"}`}},
		{"body optional", "requestBody:\n        required: true", "requestBody:", []string{post + `/requestBody/required: true -> `}},
		{"media type", "application/json:\n            schema:\n", "text/json:\n            schema:\n", []string{
			post + `/requestBody/content/application~1json: {"schema":{"properties":{"grant":{"enum":["code","refresh"],"type":"string"},"note":{"example":"hello","type":"string"}},"required":["grant"],"type":"object"}} -> `,
			post + `/requestBody/content/text~1json:  -> {"schema":{"properties":{"grant":{"enum":["code","refresh"],"type":"string"},"note":{"example":"hello","type":"string"}},"required":["grant"],"type":"object"}}`,
		}},
		{"status", "'400'", "404", []string{post + `/responses/400: {} -> `, post + `/responses/404:  -> {}`}},
		{"response header", "{schema: {type: integer}}", "{required: true, schema: {type: integer}}", []string{post + `/responses/200/headers/X-Left/required:  -> true`}},
		{"parameter", "name: X-Version", "name: X-Api-Version", []string{
			post + `/parameters/header:X-Version: {"in":"header","name":"X-Version","schema":{"default":"v1","type":"string"}} -> `,
			post + `/parameters/header:X-Api-Version:  -> {"in":"header","name":"X-Api-Version","schema":{"default":"v1","type":"string"}}`,
		}},
		{"parameter default", "default: v1", "default: v2", []string{post + `/parameters/header:X-Version/schema/default: "v1" -> "v2"`}},
		{"server", "example.com/v1", "example.com/v2", []string{post + `/servers/0/url: "https://{tenant}.example.com/v1" -> "https://{tenant}.example.com/v2"`}},
		{"server variable", "default: example", "default: other", []string{post + `/servers/0/variables/tenant/default: "example" -> "other"`}},
		{"scope", "[read, write]", "[read]", []string{post + `/security/oauth/scopes/write: "write" -> `}},
		{"declared scope", "read: Read., ", "", []string{post + `/security/oauth/flows/clientCredentials/scopes/read: "read" -> `}},
		{"security alternative", "  - oauth: [read, write]", "  - oauth: [read, write]\n  - {}", []string{post + `/security/[]:  -> []`}},
		{"security scheme undefined", "    oauth:\n      type", "    other:\n      type", nil},
		{"method", "    post:", "    put:", []string{post + `: "POST /tokens/{id}" -> `, `PUT /tokens/{id} :  -> "PUT /tokens/{id}"`}},
		{"reference to elsewhere", "schema: {$ref: '#/components/schemas/Token'}", "schema: {$ref: 'https://example.com/a.yaml'}", []string{schema + `/$ref:  -> "https://example.com/a.yaml"`}},
	}
	ours := parse(t, base)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.Contains(t, base, test.old)
			result := openapi.Compare(ours, parse(t, strings.ReplaceAll(base, test.old, test.new)), openapi.Options{})
			assert.Equal(t, test.want, texts(result.Differences))
			assert.Empty(t, result.Excused)
		})
	}
}

func TestCompareDeviations(t *testing.T) {
	const id, responses = "id: {type: string, maxLength: 10", "          headers:\n            X-Left: {schema: {type: integer}}\n"
	tests := []struct {
		name, ours, theirs string // replacements in base: old => new
		differences        int
		excused, unused    []string
	}{
		{"of the keyword", id + " => " + id + ", x-deviation: {type: Because.}", "id: {type: string => id: {type: number", 0, []string{"type"}, nil},
		{"of another keyword", id + " => " + id + ", x-deviation: {format: Because.}", "id: {type: string => id: {type: number", 1, nil, []string{"format"}},
		{"of nothing", id + " => " + id + ", x-deviation: {type: Because.}", "", 0, nil, []string{"type"}},
		{"of a Go type", id + " => " + id + ", x-go-type: T, x-deviation: {x-go-type: Because.}", "", 0, []string{"x-go-type"}, nil},
		{"Go type without one", id + " => " + id + ", x-go-type: T", "", 1, nil, nil},
		{"of a member", "      type: object\n      properties: =>       type: object\n      x-deviation: {properties/more: Because.}\n      properties:", "        parent: =>         more: {}\n        parent:", 0, []string{"properties"}, nil},
		{"of all members", "      type: object\n      properties: =>       type: object\n      x-deviation: {properties: Because.}\n      properties:", "        parent: =>         more: {}\n        parent:", 1, nil, []string{"properties"}},
		{"of a whole map that we leave out", responses + " =>           x-deviation: {headers: Because.}\n", "", 0, []string{"headers"}, nil},
		{"of a set", "enum: [code, refresh] => enum: [code], x-deviation: {enum: Because.}", "", 0, []string{"enum"}, nil},
		{"of a method", "  /tokens/{id}: =>   /more:\n    x-deviation: {get: Because.}\n    get: {responses: {}}\n  /tokens/{id}:", "", 0, []string{"get"}, nil},
		{"of security", "      operationId: createToken =>       x-deviation: {security: Because.}\n      security: [{oauth: [read]}]", "", 0, []string{"scopes"}, nil},
		{"of an allOf around it", "note: {type: string => note: {allOf: [{maxLength: 3}], x-deviation: {allOf: Because.}, type: string", "", 0, []string{"allOf"}, nil},
		{"in a component that is none of OpenAPI 3.0", "components:\n => components:\n  others:\n    Token: {x-deviation: {type: Because.}}\n", "", 0, nil, nil},
		{"in a component that nothing uses", "    Token: =>     Unused: {x-deviation: {type: Because.}}\n    Token:", "", 0, nil, []string{"type"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			result := openapi.Compare(parse(t, edit(t, test.ours)), parse(t, edit(t, test.theirs)), openapi.Options{})
			assert.Len(t, result.Differences, test.differences, texts(result.Differences))
			var excused, unused []string
			for _, d := range result.Excused {
				assert.Equal(t, "Because.", d.Reason)
				excused = append(excused, d.Keyword)
			}
			for _, d := range result.Unused {
				unused = append(unused, d.Keyword)
			}
			assert.Equal(t, test.excused, excused)
			assert.Equal(t, test.unused, unused)
		})
	}
}

// TestCompareOfBoth tests differences between two descriptions that both differ from the one above.
func TestCompareOfBoth(t *testing.T) {
	const (
		post    = "POST /tokens/{id} "
		schema  = post + "/responses/200/content/application~1json/schema"
		ref     = "schema: {$ref: '#/components/schemas/Token'}"
		value   = "        value:\n"
		servers = "  - url: https://{tenant}.example.com/v1\n    variables:\n      tenant: {default: example}\n"
		scopes  = "  - oauth: [read, write]\n"
		defined = "    oauth:\n      type: oauth2\n"
		flows   = "      flows:\n        clientCredentials: {tokenUrl: https://example.com/token, scopes: {read: Read., write: Write.}}\n"
		basic   = "    basic: {type: http, scheme: basic}\n"
	)
	for name, test := range map[string]struct {
		ours, theirs []string // pairs of a text in base and its replacement
		want         []string
	}{
		"extension among our responses": {[]string{"        '400':", "        x-note: {description: Ours.}\n        '400':"}, nil, nil},
		"Go type of a parameter":        {[]string{"          in: header\n", "          in: header\n          x-go-type: T\n"}, nil, nil},
		"change behind our allOf": {
			[]string{ref, "schema: {allOf: [{$ref: '#/components/schemas/Token'}]}"}, []string{"maxLength: 10", "maxLength: 20"},
			[]string{schema + "/properties/id/maxLength: 10 -> 20"},
		},
		"one branch of our two": {
			[]string{ref, "schema: {allOf: [{$ref: '#/components/schemas/Token'}, {type: object}]}"}, []string{ref, "schema: {allOf: [{$ref: '#/components/schemas/Token'}]}"},
			[]string{schema + `/allOf/1: {"type":"object"} -> `},
		},
		"one branch of their two": {
			[]string{ref, "schema: {allOf: [{$ref: '#/components/schemas/Token'}]}"}, []string{ref, "schema: {allOf: [{$ref: '#/components/schemas/Token'}, {type: object}]}"},
			[]string{schema + `/allOf/1:  -> {"type":"object"}`},
		},
		"mapping of a discriminator": {
			[]string{value, value + "          discriminator: {propertyName: t}\n"}, []string{value, value + "          discriminator: {propertyName: t, mapping: {a: A, b: B}}\n"},
			[]string{schema + `/properties/value/discriminator/mapping:  -> {"a":null,"b":null}`},
		},
		"names in a mapping of a discriminator": {
			[]string{value, value + "          discriminator: {propertyName: t, mapping: {a: A, b: B}}\n"}, []string{value, value + "          discriminator: {propertyName: t, mapping: {a: C, c: B}}\n"},
			[]string{schema + `/properties/value/discriminator/mapping/b: "b" -> `, schema + `/properties/value/discriminator/mapping/c:  -> "c"`},
		},
		"references in branches": {
			nil, []string{"        parent:", "        other: {oneOf: [{$ref: '#/components/schemas/Text'}]}\n        parent:", "    Token:\n", "    Text: {type: string, title: T}\n    Token:\n"},
			[]string{schema + `/properties/other:  -> {"oneOf":[{"type":"string"}]}`},
		},
		"one of several servers": { // the one that both have is not compared with another
			[]string{servers, "  - url: https://a.example.com\n" + servers}, []string{servers, servers + "  - url: https://b.example.com\n"},
			[]string{post + `/servers/0/url: "https://a.example.com" -> "https://b.example.com"`},
		},
		"order of security alternatives": {
			[]string{scopes, scopes + "  - basic: []\n", defined, basic + defined}, []string{scopes, "  - basic: []\n" + scopes, defined, basic + defined}, nil,
		},
		"scope of a scheme that only we define": {
			nil, []string{scopes, "  - other: [read]\n", defined, "    unused:\n      type: oauth2\n"}, []string{post + `/security/oauth/scopes/write: "write" -> `},
		},
		"scope of a scheme that only they define": {
			[]string{scopes, "  - other: [read]\n", defined, "    unused:\n      type: oauth2\n"}, nil, []string{post + `/security/other/scopes/write:  -> "write"`},
		},
		"scheme that only they define": {[]string{defined, "    unused:\n      type: oauth2\n"}, nil, nil},
		"scheme of another name and URL": {
			nil, []string{scopes, "  - login: [read, write]\n", defined, "    login:\n      type: oauth2\n", "com/token", "com/login"},
			[]string{post + `/security/oauth/flows/clientCredentials/tokenUrl: "https://example.com/token" -> "https://example.com/login"`},
		},
		"scheme of another type": {
			nil, []string{scopes, "  - oauth: []\n", defined + flows, "    oauth: {type: http, scheme: basic}\n"},
			[]string{
				post + `/security/oauth/type: "oauth2" -> "http"`, post + `/security/oauth/flows: {"clientCredentials":{"scopes":{"read":null,"write":null},"tokenUrl":"https://example.com/token"}} -> `,
				post + `/security/oauth/scheme:  -> "basic"`, post + `/security/oauth/scopes/read: "read" -> `, post + `/security/oauth/scopes/write: "write" -> `,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, texts(openapi.Compare(parse(t, edits(t, test.ours)), parse(t, edits(t, test.theirs)), openapi.Options{}).Differences))
		})
	}
}

func edits(t *testing.T, pairs []string) string {
	t.Helper()
	text := base
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(t, text, pairs[i])
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// TestDifferenceOfAComponentIsReportedForEachOperation tests that a difference is found again where the component is used
// again, even if another one in it is excused.
func TestDifferenceOfAComponentIsReportedForEachOperation(t *testing.T) {
	t.Parallel()
	const get = "    get:\n      responses:\n        '200': {description: Fine., content: {application/json: {schema: {$ref: '#/components/schemas/Token'}}}}\n    post:\n"
	both := strings.Replace(base, "    post:\n", get, 1)
	ours := strings.Replace(both, "maxLength: 10}", "maxLength: 10, x-deviation: {maxLength: Because.}}", 1)
	theirs := strings.Replace(both, "id: {type: string, maxLength: 10}", "id: {type: integer, maxLength: 20}", 1)
	result := openapi.Compare(parse(t, ours), parse(t, theirs), openapi.Options{})
	const at = " /responses/200/content/application~1json/schema/properties/id/type: \"string\" -> \"integer\""
	assert.Equal(t, []string{"GET /tokens/{id}" + at, "POST /tokens/{id}" + at}, texts(result.Differences))
	assert.Len(t, result.Excused, 2)
}

// TestPathThatIsOursGoesBeforeRules tests a description that has our path and another one that a rule makes ours.
func TestPathThatIsOursGoesBeforeRules(t *testing.T) {
	t.Parallel()
	theirs := strings.Replace(base, "  /tokens/{id}:\n", "  /v2/tokens/{id}:\n    post: {responses: {}}\n  /tokens/{id}:\n", 1)
	opts := openapi.Options{Path: func(path string) string { return strings.TrimPrefix(path, "/v2") }}
	assert.Empty(t, texts(openapi.Compare(parse(t, base), parse(t, theirs), opts).Differences))
	for _, met := range openapi.Match(parse(t, base), parse(t, theirs), opts.Path) {
		assert.Equal(t, "/tokens/{id}", met[1].Path)
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	ours := parse(t, base)
	theirs := parse(t, strings.NewReplacer("com/v1", "com/v2", "maxLength: 10", "maxLength: 20").Replace(base))
	for kind, pointer := range map[openapi.Kind]string{openapi.KindServer: "/servers/0", openapi.KindSchema: "/components/schemas/Token"} {
		assert.True(t, openapi.Equal(kind, ours.At(pointer), ours.At(pointer)))
		assert.False(t, openapi.Equal(kind, ours.At(pointer), theirs.At(pointer)))
	}
}

// TestWhatOperationsAre tests path items that are references, extensions next to paths, and parameters that an operation
// overrides.
func TestWhatOperationsAre(t *testing.T) {
	t.Parallel()
	text := strings.Replace(base, "paths:\n", "paths:\n  x-common: {get: {responses: {}}}\n  /copies/{id}: {$ref: '#/paths/~1tokens~1{id}'}\n", 1)
	text = strings.Replace(text, "        - name: X-Version\n", "        - {name: id, in: path, required: true, schema: {type: integer}}\n        - name: X-Version\n", 1)
	var got []string
	for _, op := range parse(t, text).Operations() {
		got = append(got, op.String())
		for _, p := range op.Parameters() {
			got = append(got, p.In+" "+p.Name+" "+p.Place.Pointer)
		}
	}
	const at = "/paths/~1tokens~1{id}/post/parameters/"
	assert.Equal(t, []string{
		"POST /copies/{id}", "path id " + at + "0", "header X-Version " + at + "1", "POST /tokens/{id}", "path id " + at + "0", "header X-Version " + at + "1",
	}, got)
}

func TestCompareReadsMovedPathsAndServers(t *testing.T) {
	theirs := parse(t, strings.NewReplacer("/tokens/", "/v1/tokens/", "example.com/v1", "example.com").Replace(base))
	result := openapi.Compare(parse(t, base), theirs, openapi.Options{
		Path:   func(path string) string { return strings.TrimPrefix(path, "/v1") },
		Server: func(url string) string { return url + "/v1" },
	})
	assert.Empty(t, texts(result.Differences))
}

func TestPairsLeadToOurNames(t *testing.T) {
	theirs := parse(t, strings.NewReplacer("schemas/Token", "schemas/token", "    Token:", "    token:").Replace(base))
	result := openapi.Compare(parse(t, base), theirs, openapi.Options{})
	require.Empty(t, texts(result.Differences))
	assert.Equal(t, []string{"/components/schemas/Token"}, result.Pairs["/components/schemas/token"])
}

func edit(t *testing.T, replacement string) string {
	t.Helper()
	old, with, _ := strings.Cut(replacement, " => ")
	require.Contains(t, base, old)
	if old == "" {
		return base
	}
	return strings.Replace(base, old, with, 1)
}

func parse(t *testing.T, text string) *openapi.Document {
	t.Helper()
	doc, err := openapi.Parse([]byte(text))
	require.NoError(t, err)
	return doc
}

func texts(differences []openapi.Difference) []string {
	var all []string
	for _, d := range differences {
		all = append(all, d.Operation.String()+" "+d.Place+": "+d.Was+" -> "+d.Is)
	}
	return all
}
