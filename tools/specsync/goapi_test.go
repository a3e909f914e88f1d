package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSymbols tests which symbols of a generated file a user can name, and how they are declared.
func TestSymbols(t *testing.T) {
	t.Parallel()
	got, err := symbols([]byte(`package acme

const (
	KindOne Kind = "one"
	Most         = 2
	least        = 1
)

var Spare, Other string

type (
	Kind string
	Text = string
)

type Thing struct {
	ID   *string ` + "`json:\"id,omitempty\"`" + `
	A, B int
	tags []string
	Embedded
}

type ClientInterface interface{ Do() }

type client struct{ Server string }

func New(server string) (*Client, error) { return nil, nil }

func (c *Client) Do(
	n int,
) error {
	return nil
}

func (k Kind) Valid() bool { return true }

func (c *Client) do()     {}
func (c *client) Do()     {}
func help()               {}
`))
	require.NoError(t, err)
	assert.Equal(t, map[string]symbol{
		"KindOne":    {"KindOne", "Kind", "one", `Kind = "one"`},
		"Most":       {"Most", "", "", " = 2"},
		"Kind":       {"Kind", "Kind", "", "string"},
		"Text":       {"Text", "Text", "", "= string"},
		"Kind.Valid": {"Kind.Valid", "Kind.Valid", "", "func() bool"},
		"Thing":      {"Thing", "Thing", "", "struct"},
		"Thing.ID":   {"Thing.ID", "Thing", "id", "*string"},
		"Thing.A":    {"Thing.A", "Thing", "", "int"},
		"Thing.B":    {"Thing.B", "Thing", "", "int"},
		"New":        {"New", "New", "", "func(server string) (*Client, error)"},
		"Client.Do":  {"Client.Do", "Client.Do", "", "func(n int) error"},
	}, got)
}

// TestGoChanges tests that the changes of two generated files are in the order of their names.
func TestGoChanges(t *testing.T) {
	t.Parallel()
	fields := func(of string) map[string]symbol {
		var b strings.Builder
		for i := range 10 {
			fmt.Fprintf(&b, "type T%d %s\n", i, of)
		}
		all, err := symbols([]byte("package acme\n" + b.String()))
		require.NoError(t, err)
		return all
	}
	was, is := fields("string"), fields("int")
	delete(was, "T3")
	delete(is, "T5")
	var got []string
	for _, c := range goChanges(was, is) {
		got = append(got, fmt.Sprintf("%s %s>%s %t", c.Name, c.Was, c.Is, c.breaks()))
	}
	assert.Equal(t, []string{
		"T0 string>int true", "T1 string>int true", "T2 string>int true", "T3 >int false", "T4 string>int true",
		"T5 string> true", "T6 string>int true", "T7 string>int true", "T8 string>int true", "T9 string>int true",
	}, got)
	assert.Empty(t, goChanges(was, was))
}

// TestGoSymbolsOfChanges tests which of the changed Go symbols each change names.
func TestGoSymbolsOfChanges(t *testing.T) {
	t.Parallel()
	const (
		things = "      operationId: listThings\n"
		create = "      operationId: createAccessToken\n"
		thing  = "    Thing:\n      type: object\n"
		id     = "        id:\n          type: string\n"
		count  = "        count:\n          type: string\n"
		form   = "          application/x-www-form-urlencoded:\n"
		body   = "      requestBody: {content: {application/json: {schema: {type: object, properties: {a: {type: string}}}}}}\n"
		owner  = "        owner:\n          type: object\n          properties:\n            id: {type: string, maxLength: 9}\n"
	)
	listThings := func(params string) string {
		return "func (c *Client) ListThings(" + params + "ctx int) error { return nil }\n" +
			"func (c *ClientWithResponses) ListThingsWithResponse(" + params + "ctx int) error { return nil }\n" +
			"func NewListThingsRequest(" + params + "server string) error { return nil }\n"
	}
	for name, test := range map[string]struct {
		ours, theirs string // descriptions
		was, is      string // the code generated from them
		want         []string
	}{
		"properties": {
			acme, edited(t, acme, id, strings.Replace(id, "string", "integer", 1), count, count+"          enum: [one]\n"),
			"type Thing struct {\n ID *string `json:\"id\"`\n Count *string `json:\"count\"`\n}\ntype TokenCount string\ntype Two string\n",
			"type Thing struct {\n ID *int `json:\"id\"`\n Count *ThingCount `json:\"count\"`\n}\ntype TokenCount int\ntype Two int\ntype ThingCount string\n const ThingCountOne ThingCount = `one`\n",
			[]string{"breaking: id: type changed [acme.Thing.ID]", "breaking: count: enum added [acme.Thing.Count acme.ThingCount acme.ThingCountOne]"},
		},
		"a property inside another": {
			edited(t, acme, id, id+owner), edited(t, acme, id, id+strings.Replace(owner, "string", "integer", 1)),
			"type Thing struct {\n ID *string `json:\"id\"`\n Owner *struct { ID string } `json:\"owner\"`\n}\n",
			"type Thing struct {\n ID *int `json:\"id\"`\n Owner *struct { ID int } `json:\"owner\"`\n}\n",
			[]string{"breaking: id: type changed [acme.Thing.Owner]"},
		},
		"a whole schema": {
			acme, edited(t, acme, thing, thing+"      additionalProperties: false\n"),
			"type Thing struct {\n ID *string `json:\"id\"`\n}\ntype ThingCount string\n func (t Thing) Get() {}\n type Things []Thing\n",
			"type Thing struct {\n ID string `json:\"id\"`\n}\ntype ThingCount int\n func (t *Thing) Get(int) {}\n type Things int\n",
			[]string{"breaking: 200: additionalProperties added [acme.Thing.ID]"},
		},
		"a required property": {
			acme, edited(t, acme, thing, thing+"      required: [id]\n"),
			"type Thing struct {\n ID *string `json:\"id\"`\n Count *string `json:\"count\"`\n}\n",
			"type Thing struct {\n ID string `json:\"id\"`\n Count int `json:\"count\"`\n}\n",
			[]string{"breaking: 200: required entry id added [acme.Thing.ID]"},
		},
		"a branch": {
			acme, edited(t, acme, "            - type: integer\n", "            - type: boolean\n            - type: integer\n"),
			"type Thing struct {\n Value *Thing_Value `json:\"value\"`\n}\ntype ThingValue1 = int\n",
			"type Thing struct {\n Value *int `json:\"value\"`\n}\ntype ThingValue1 = bool\ntype ThingValue2 = int\n",
			[]string{"breaking: value: anyOf branch 1 added [acme.Thing.Value acme.ThingValue1 acme.ThingValue2]"},
		},
		"values of an enum": {
			acme, edited(t, acme, "        - mac\n", "        - DPoP\n"),
			"type TokenType string\nconst TokenTypeMac TokenType = \"mac\"\n", "type TokenType string\nconst TokenTypeDPoP TokenType = \"DPoP\"\n",
			[]string{"breaking: token_type: enum value mac removed [acme.TokenTypeMac]", "tolerated: token_type: enum value DPoP added [acme.TokenTypeDPoP]"},
		},
		"an enum": {
			acme, edited(t, acme, "      enum:\n        - bearer\n        - mac\n", ""),
			"type TokenType string\nconst TokenTypeMac TokenType = \"mac\"\n", "type TokenType = string\n",
			[]string{"breaking: token_type: enum removed [acme.TokenType acme.TokenTypeMac]"},
		},
		"a status": {
			acme, edited(t, acme, "'400':", "'409':"),
			"type CreateAccessTokenResult struct {\n JSON400 *OAuthError\n}\n type ListThingsResult struct {\n JSON400 *OAuthError\n}\n",
			"type CreateAccessTokenResult struct {\n JSON409 *OAuthError\n}\n type ListThingsResult struct {\n JSON409 *OAuthError\n}\n",
			[]string{"breaking: status 400 removed [acme.CreateAccessTokenResult.JSON400]", "additive: status 409 added [acme.CreateAccessTokenResult.JSON409]"},
		},
		"media types of a request": {
			acme, edited(t, acme, form, strings.Replace(form, "x-www-form-urlencoded", "json", 1)),
			"type CreateAccessTokenFormdataRequestBody int\n", "type CreateAccessTokenJSONRequestBody int\n",
			[]string{
				"breaking: media type application/x-www-form-urlencoded removed [acme.CreateAccessTokenFormdataRequestBody]",
				"additive: media type application/json added [acme.CreateAccessTokenJSONRequestBody]",
			},
		},
		"a property of a request without a component": {
			edited(t, acme, things, things+body), edited(t, acme, things, things+strings.Replace(body, "string", "integer", 1)),
			"type ListThingsJSONBody struct {\n A string\n}\n" + listThings("a int, "), "type ListThingsJSONBody struct {\n A int\n}\n" + listThings("b int, "),
			[]string{"breaking: a: type changed [acme.ListThingsJSONBody.A]"},
		},
		"whether a request may be empty": {
			acme, edited(t, acme, "        required: true\n", "", id, strings.Replace(id, "string", "integer", 1)),
			"type Thing struct {\n ID string `json:\"id\"`\n}\ntype CreateAccessTokenJSONBody string\n", "type Thing struct {\n ID int `json:\"id\"`\n}\ntype CreateAccessTokenJSONBody int\n",
			[]string{"additive: required removed []", "breaking: id: type changed [acme.Thing.ID]"},
		},
		"a request with a body": { // which the method takes as an argument
			acme, edited(t, acme, things, things+body), listThings(""), listThings("body string, "),
			[]string{"breaking: requestBody added [acme.Client.ListThings acme.ClientWithResponses.ListThingsWithResponse acme.NewListThingsRequest]"},
		},
		"a parameter": {
			acme, edited(t, acme, things, things+"      parameters: [{name: limit, in: query, schema: {type: integer}}]\n"),
			listThings("") + "func (c *Client) CreateAccessToken() {}\n", listThings("params int, ") + "func (c *Client) CreateAccessToken(int) {}\n",
			[]string{"breaking: parameter limit added [acme.Client.ListThings acme.ClientWithResponses.ListThingsWithResponse acme.NewListThingsRequest]"},
		},
		"the type of a parameter": {
			acme, edited(t, acme, "{type: string, default: v1}", "{type: integer, default: v1}", create, create+"      deprecated: true\n"),
			"type CreateAccessTokenParams struct {\n XVersion string\n}\n func (c *Client) CreateAccessTokenJSON() {}\n type ListThingsParams int\n",
			"type CreateAccessTokenParams struct {\n XVersion int\n}\n func (c *Client) CreateAccessTokenJSON(int) {}\n type ListThingsParams string\n",
			[]string{"breaking: X-Version: type changed [acme.CreateAccessTokenParams.XVersion]", "tolerated: deprecated added []"},
		},
		"a parameter of two operations": func() (test struct {
			ours, theirs string
			was, is      string
			want         []string
		}) {
			const both = "      parameters: [{$ref: '#/components/parameters/Version'}]\n"
			test.ours = edited(t, acme, things, things+both, "      parameters:\n        - name: X-Version\n          in: header\n          schema: {type: string, default: v1}\n", both,
				"components:\n", "components:\n  parameters:\n    Version: {name: X-Version, in: header, schema: {type: string}}\n")
			test.theirs = edited(t, test.ours, "in: header, schema: {type: string}", "in: header, schema: {type: integer}")
			test.was = "type CreateAccessTokenParams struct {\n XVersion string\n}\n type ListThingsParams struct {\n XVersion string\n}\n"
			test.is = "type CreateAccessTokenParams struct {\n XVersion int\n}\n type ListThingsParams struct {\n XVersion int\n}\n"
			test.want = []string{"breaking: X-Version: type changed [acme.CreateAccessTokenParams.XVersion acme.ListThingsParams.XVersion]"}
			return test
		}(),
		"headers that -write leaves": {
			acme, edited(t, acme, "          description: Refused.\n", "          description: Refused.\n          headers: {X-A: {schema: {type: string}}}\n"),
			"type CreateAccessTokenResult struct {\n JSON400 *string\n}\n", "type CreateAccessTokenResult struct {\n JSON400 *int\n}\n",
			[]string{"tolerated: 400: response header X-A added []"},
		},
		"operations that -write leaves": {
			acme, edited(t, acme, things, "", "  /oauth/token:\n", "  /none:\n", "  /things:\n", "  /things:\n    post: {responses: {'204': {description: D.}}}\n", id, strings.Replace(id, "string", "integer", 1)),
			"type Thing struct {\n ID string `json:\"id\"`\n}\n type CreateAccessTokenResult int\n", "type Thing struct {\n ID int `json:\"id\"`\n}\n type CreateAccessTokenResult string\n",
			[]string{"breaking: operation not found []", "breaking: id: type changed [acme.Thing.ID]", "additive: operation that we do not have []"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			was, err := symbols([]byte("package acme\n\n" + test.was))
			require.NoError(t, err)
			is, err := symbols([]byte("package acme\n\n" + test.is))
			require.NoError(t, err)
			s := acmeSession(t, test.ours, test.theirs)
			r := s.reportOnly(t)
			r.addGo("acme", goChanges(was, is))
			var got []string
			for _, c := range r.Changes {
				got = append(got, fmt.Sprintf("%s: %s %v", c.Class, c.What, c.Go))
			}
			assert.ElementsMatch(t, test.want, got)
		})
	}
}
