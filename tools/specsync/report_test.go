package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// TestReport tests a whole report: what is grouped, where changes are, and which of them follow from others.
func TestReport(t *testing.T) {
	t.Parallel()
	const (
		things = "      operationId: listThings\n"
		count  = "        count:\n          type: string\n"
		access = "        access_token:\n          type: string\n          maxLength: 100\n"
		basic  = "    basic: {type: http, scheme: basic}\n"
		oauth  = "    oauth: {type: oauth2, flows: {clientCredentials: {tokenUrl: https://example.com, scopes: {a: A., b: B.}}}}\n"
		server = "      tenant: {default: acme}\n"
	)
	ours := edited(t, acme,
		count, "        count:\n          type: string\n          maxLength: 5\n          x-deviation: {maxLength: Ours., minLength: Gone.}\n        name:\n          type: string\n        lengthOf:\n          type: string\n",
		access, access+"          x-deviation: {minLength: Gone., pattern: Gone too.}\n",
		"    Thing:\n      type: object\n", "    Thing:\n      type: object\n      x-deviation: {properties/size: Not read.}\n",
		"    OAuthError:\n      type: object\n", "    OAuthError:\n      type: object\n      x-deviation: {maxProperties: Ours.}\n      maxProperties: 3\n",
		basic, basic+oauth, "security:\n", "security:\n  - oauth: [a]\n")
	theirs := edited(t, acme,
		count, "        count:\n          type: integer\n        nameOf:\n          type: string\n        length:\n          type: string\n        size:\n          type: integer\n",
		"        id:\n          type: string\n", "        id:\n          type: integer\n          format: int32\n          maximum: 5\n",
		"    Thing:\n      type: object\n", "    Thing:\n      type: object\n      required: [id, nameOf, name]\n",
		"        error:\n          type: string\n", "        error:\n          type: integer\n",
		"        - mac\n", "        - mac\n        - DPoP\n",
		"        - grant_type\n", "        - grant_type\n        - client_id\n",
		"        '400':\n", "        '422':\n          description: No.\n        '400':\n",
		server, server+"  - url: https://example.com\n",
		"security:\n  - basic: []\n", "security:\n  - oauth: [a, b]\n  - basic: []\n  - other: []\n    basic: []\n",
		"  /oauth/token:\n", "  /v2/oauth/token:\n",
		basic, basic+oauth,
		things, things+"      parameters: [{name: limit, in: query, schema: {type: integer}}]\n")
	c, err := readConfig("../..")
	require.NoError(t, err)
	c.Vendors["acme"] = vendor{Paths: []rewrite{{compile("^/v2"), ""}}}
	our, err := openapi.Parse([]byte(ours))
	require.NoError(t, err)
	their, err := openapi.Parse([]byte(theirs))
	require.NoError(t, err)
	s := session{name: "acme", config: c, theirs: their, ours: ours}
	var b bytes.Buffer
	require.NoError(t, printText(&b, newReport("acme", "openapi.yaml", openapi.Compare(our, their, s.options()), c)))
	assert.Equal(t, `acme: 7 breaking, 8 additive, 1 tolerated, 2 deviations that nothing needs any more
  from openapi.yaml

breaking: scope b added
  POST /oauth/token, GET /things
  at /security/oauth/scopes/b
  ours /security/0
  upstream /security/0
  was nothing, is "b"

breaking: required entry client_id added
  POST /oauth/token
  at /requestBody/content/application~1x-www-form-urlencoded/schema/required/client_id
  ours /components/schemas/AccessTokenRequest/required
  upstream /components/schemas/AccessTokenRequest/required/1
  was nothing, is "client_id"

breaking: error: type changed
  POST /oauth/token, GET /things
  at /responses/400/content/application~1json/schema/properties/error/type
  ours /components/schemas/OAuthError/properties/error/type
  upstream /components/schemas/OAuthError/properties/error/type
  was "string", is "integer"

breaking: id: type changed
  GET /things
  at /responses/200/content/application~1json/schema/items/properties/id/type
  ours /components/schemas/Thing/properties/id/type
  upstream /components/schemas/Thing/properties/id/type
  was "string", is "integer"

breaking: count: type changed
  GET /things
  at /responses/200/content/application~1json/schema/items/properties/count/type
  ours /components/schemas/Thing/properties/count/type
  upstream /components/schemas/Thing/properties/count/type
  was "string", is "integer"

breaking: 200: property name removed (renamed to nameOf?)
  GET /things
  at /responses/200/content/application~1json/schema/items/properties/name
  ours /components/schemas/Thing/properties/name
  was {"type":"string"}, is nothing

breaking: 200: property lengthOf removed (renamed to length?)
  GET /things
  at /responses/200/content/application~1json/schema/items/properties/lengthOf
  ours /components/schemas/Thing/properties/lengthOf
  was {"type":"string"}, is nothing

additive: server https://example.com added
  POST /oauth/token, GET /things
  at /servers/https:~1~1example.com
  ours /servers
  upstream /servers/1
  was nothing, is {"url":"https://example.com"}

additive: security alternative [{"scheme":"","scopes":[]},{"scheme":"http","scopes":[]}] added
  POST /oauth/token, GET /things
  at /security/[{"scheme":"","scopes":[]},{"scheme":"http","scopes":[]}]
  ours /paths/~1oauth~1token/post/security
  upstream /security/2
  was nothing, is [{"scheme":"","scopes":[]},{"scheme":"http","scopes":[]}]

additive: status 422 added
  POST /oauth/token
  at /responses/422
  ours /paths/~1oauth~1token/post/responses/422
  upstream /paths/~1v2~1oauth~1token/post/responses/422
  was nothing, is {}

additive: parameter limit added
  GET /things
  at /parameters/query:limit
  ours /paths/~1things/get/parameters
  upstream /paths/~1things/get/parameters/0
  was nothing, is {"in":"query","name":"limit","schema":{"type":"integer"}}

additive: 200: property nameOf added (required; renamed from name?)
  GET /things
  at /responses/200/content/application~1json/schema/items/properties/nameOf
  ours /components/schemas/Thing/properties/nameOf
  upstream /components/schemas/Thing/properties/nameOf
  was nothing, is {"type":"string"}

additive: 200: property length added (renamed from lengthOf?)
  GET /things
  at /responses/200/content/application~1json/schema/items/properties/length
  ours /components/schemas/Thing/properties/length
  upstream /components/schemas/Thing/properties/length
  was nothing, is {"type":"string"}

additive: 200: required entry id added
  GET /things
  at /responses/200/content/application~1json/schema/items/required/id
  ours /components/schemas/Thing/required
  upstream /components/schemas/Thing/required/0
  was nothing, is "id"

additive: 200: required entry name added
  GET /things
  at /responses/200/content/application~1json/schema/items/required/name
  ours /components/schemas/Thing/required
  upstream /components/schemas/Thing/required/2
  was nothing, is "name"

tolerated: token_type: enum value DPoP added
  POST /oauth/token
  at /responses/200/content/application~1json/schema/properties/token_type/enum/DPoP
  ours /components/schemas/TokenType/enum
  upstream /components/schemas/TokenType/enum/2
  was nothing, is "DPoP"

How it was read:
  POST /oauth/token is read from POST /v2/oauth/token
  security scheme other is named and not defined; only its scopes were compared

Our deviations:
  x-go-type at /components/schemas/AccessToken/properties/expires_in: Servers also send strings.
  maxProperties at /components/schemas/OAuthError: Ours.
  maxLength at /components/schemas/Thing/properties/count: Ours.
  properties/size at /components/schemas/Thing: Not read.

Deviations that nothing needs any more:
  minLength at /components/schemas/AccessToken/properties/access_token and 1 more: Gone.
  pattern at /components/schemas/AccessToken/properties/access_token: Gone too.

`, b.String())
}

// TestReportNamesGoSymbols tests which changes name the Go symbols that change, and become breaking with them.
func TestReportNamesGoSymbols(t *testing.T) {
	t.Parallel()
	const id, count, header = "        id:\n          type: string\n", "        count:\n          type: string\n", "          description: Refused.\n"
	c, err := readConfig("../..")
	require.NoError(t, err)
	theirs, err := openapi.Parse([]byte(edited(t, acme, id, id+"          example: '1'\n        size:\n          type: integer\n", count, count+"          format: hostname\n",
		header, header+"          headers: {X-Request-Id: {schema: {type: string}}}\n")))
	require.NoError(t, err)
	was, err := symbols([]byte("package acme\n\ntype Thing struct {\n\tId *string `json:\"id\"`\n\tCount *string `json:\"count\"`\n}\n"))
	require.NoError(t, err)
	is, err := symbols([]byte("package acme\n\ntype Thing struct {\n\tId *int `json:\"id\"`\n\tCount *int `json:\"count\"`\n\tSize *int `json:\"size\"`\n}\n"))
	require.NoError(t, err)
	s := session{name: "acme", config: c, theirs: theirs, ours: acme}
	r := s.reportOnly(t)
	r.addGo("acme", goChanges(was, is))
	var got []string
	for _, c := range r.Changes {
		got = append(got, strings.TrimSpace(string(c.Class)+": "+c.What+" "+strings.Join(c.Go, " ")))
	}
	assert.Equal(t, []string{
		"tolerated: 400: response header X-Request-Id added", "prose: id: example added",
		"breaking: count: format added acme.Thing.Count", "additive: 200: property size added acme.Thing.Size",
	}, got)
}

// TestReportOfNoChanges tests that a program finds an empty list of changes.
func TestReportOfNoChanges(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, printJSON(&b, newReport("acme", "", openapi.Result{}, &config{})))
	assert.Contains(t, b.String(), `"changes": [],`)
}

// TestWhatFollowsFromAType tests that the rest of a schema whose type changed is not listed, except what has a meaning of
// its own.
func TestWhatFollowsFromAType(t *testing.T) {
	t.Parallel()
	const count = "        count:\n          type: string\n"
	limited := count + "          maxLength: 5\n          example: a\n"
	for name, test := range map[string]struct {
		ours, theirs string
		want         []string
	}{
		"changed": {limited, strings.Replace(count, "string", "integer", 1) + "          nullable: true\n          example: 1\n          format: int32\n          maximum: 5\n", []string{
			"breaking: type changed", "tolerated: nullable added", "prose: example changed",
		}},
		"gone": {limited, "        count:\n          nullable: true\n          example: 1\n          maximum: 5\n", []string{
			"breaking: type removed", "tolerated: nullable added", "prose: example changed", "tolerated: maxLength removed", "tolerated: maximum added",
		}},
		"added": {"        count:\n          maximum: 5\n", limited, []string{
			"breaking: type added", "prose: example added", "tolerated: maxLength added", "tolerated: maximum removed",
		}},
	} {
		s := acmeSession(t, edited(t, acme, count, test.ours), edited(t, acme, count, test.theirs))
		var got []string
		for _, c := range s.reportOnly(t).Changes {
			got = append(got, string(c.Class)+": "+strings.TrimPrefix(c.What, "count: "))
		}
		assert.ElementsMatch(t, test.want, got, name)
	}
}

// TestGroupsOfAReport tests which differences are one change: only equal ones of one node, or of what each operation has
// on its own.
func TestGroupsOfAReport(t *testing.T) {
	t.Parallel()
	const (
		things = "      operationId: listThings\n"
		create = "      operationId: createAccessToken\n"
		scope  = "        scope:\n          type: string\n"
		one    = "{url: 'https://a.example.com'}"
		two    = "{url: 'https://b.example.com', variables: {v: {default: %s}}}"
		fault  = "$ref: '#/components/schemas/OAuthError'"
	)
	servers := func(a, b string) string {
		return edited(t, acme, create, create+"      servers: ["+a+"]\n", things, things+"      servers: ["+b+"]\n")
	}
	first, second := strings.Replace(two, "%s", "a", 1), strings.Replace(two, "%s", "b", 1)
	for name, test := range map[string]struct {
		ours, theirs string
		want         []string
	}{
		"two properties of one name": {acme, edited(t, acme, scope, strings.Replace(scope, "string", "integer", 1)), []string{
			"scope: type changed at /components/schemas/AccessTokenRequest/properties/scope/type of POST /oauth/token",
			"scope: type changed at /components/schemas/AccessToken/properties/scope/type of POST /oauth/token",
		}},
		"a component that becomes two others": {acme, edited(t, acme, "'401':\n          description: No token.\n          content:\n            application/json:\n              schema:\n                "+fault, "'401':\n          description: No token.\n          content:\n            application/json:\n              schema:\n                type: object\n                properties:\n                  error: {type: boolean}\n",
			"        error:\n          type: string\n", "        error:\n          type: integer\n"), []string{
			"error: type changed at /components/schemas/OAuthError/properties/error/type of POST /oauth/token",
			"error: type changed at /components/schemas/OAuthError/properties/error/type of GET /things",
		}},
		"a server of two operations": {servers(one+", "+first, one+", "+first), servers(one, one), []string{
			"server https://b.example.com removed at /paths/~1oauth~1token/post/servers/1 of POST /oauth/token, GET /things",
		}},
		"servers of one URL": {servers(one+", "+first, one+", "+second), servers(one, one), []string{
			"server https://b.example.com removed at /paths/~1oauth~1token/post/servers/1 of POST /oauth/token",
			"server https://b.example.com removed at /paths/~1things/get/servers/1 of GET /things",
		}},
		"a body": {acme, edited(t, acme, things, things+"      requestBody: {content: {application/json: {schema: {type: string}}}}\n"), []string{
			"requestBody added at /paths/~1things/get/requestBody of GET /things",
		}},
		"operations on one path": {acme, edited(t, acme, "  /things:\n", "  /things:\n    put: {responses: {'204': {description: D.}}}\n    post: {responses: {'204': {description: D.}}}\n"), []string{
			"operation that we do not have at /paths/~1things/put of PUT /things", "operation that we do not have at /paths/~1things/post of POST /things",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acmeSession(t, test.ours, test.theirs)
			var got []string
			for _, c := range s.reportOnly(t).Changes {
				got = append(got, c.What+" at "+c.Pointer+" of "+strings.Join(c.Operations, ", "))
			}
			assert.Equal(t, test.want, got)
		})
	}
}

// TestRenames tests which properties the report takes for renamed: of one schema and one type, one removed, the other
// added, with names alike.
func TestRenames(t *testing.T) {
	t.Parallel()
	const (
		count = "        count:\n          type: string\n"
		id    = "        id:\n          type: string\n"
		self  = "        self:\n          $ref: '#/components/schemas/Thing'\n"
		token = "        token_type:\n          $ref: '#/components/schemas/TokenType'\n"
		thing = "    Thing:\n      type: object\n"
		scope = "        scope:\n          type: string\n          description: Ours.\n"
	)
	need := func(name string) string { return thing + "      required: [" + name + "]\n" }
	for name, test := range map[string]struct {
		ours, theirs string
		renamed      bool
	}{
		"more letters":                    {acme, edited(t, acme, count, strings.Replace(count, "count", "counts", 1)), true},
		"another case":                    {acme, edited(t, acme, self, strings.Replace(self, "self", "SELF", 1)), true},
		"another name":                    {acme, edited(t, acme, count, strings.Replace(count, "count", "number", 1)), false},
		"another type":                    {acme, edited(t, acme, count, "        counts:\n          type: integer\n"), false},
		"of another schema":               {acme, edited(t, acme, count, "", scope, "        counts:\n          type: string\n"+scope), false},
		"only added":                      {acme, edited(t, acme, id, id+strings.Replace(self, "self", "other", 1)), false},
		"only removed":                    {acme, edited(t, acme, token, ""), false},
		"a required entry came":           {acme, edited(t, acme, self, "", thing, need("selfs")), false},
		"a required entry went":           {edited(t, acme, thing, need("others")), edited(t, acme, id, id+strings.Replace(self, "self", "other", 1)), false},
		"a required entry came with both": {acme, edited(t, acme, count, strings.Replace(count, "count", "counts", 1), thing, need("counts")), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acmeSession(t, test.ours, test.theirs)
			got := strings.Join(described(s.reportOnly(t)), "\n")
			assert.NotEmpty(t, got)
			assert.Equal(t, test.renamed, strings.Contains(got, "renamed "), got)
		})
	}
}

// TestDeviationsOfAReport tests that deviations of one keyword are listed once for each reason.
func TestDeviationsOfAReport(t *testing.T) {
	t.Parallel()
	const id, count = "        id:\n          type: string\n", "        count:\n          type: string\n"
	limited := func(reason string) string {
		return "          maxLength: 5\n          x-deviation: {maxLength: " + reason + "}\n"
	}
	s := acmeSession(t, edited(t, acme, id, id+limited("Short."), count, count+limited("Shorter.")), acme)
	assert.Equal(t, []string{
		"x-go-type at /components/schemas/AccessToken/properties/expires_in: Servers also send strings.",
		"maxLength at /components/schemas/Thing/properties/id: Short.", "maxLength at /components/schemas/Thing/properties/count: Shorter.",
	}, deviationLines(s.reportOnly(t).Deviations))
}
