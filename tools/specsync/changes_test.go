package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// TestChanges has the kinds of changes that the vendors really made. Each is applied to Acme's description and merged.
func TestChanges(t *testing.T) {
	const oauthError = "'#/components/schemas/OAuthError'"
	tests := []struct {
		name    string
		changes []string // pairs of a text in the description and its replacement
		want    []string
	}{
		{"nothing", nil, nil},

		// 1, 2: types.
		{"type of a property", []string{"count:\n          type: string", "count:\n          type: integer\n          format: int32"}, []string{"breaking: count: type changed"}},
		{"type that our decoder takes as well", []string{"expires_in:\n          type: integer", "expires_in:\n          type: string"}, []string{"tolerated: expires_in: type changed"}},
		{"type that our decoder does not take", []string{"expires_in:\n          type: integer", "expires_in:\n          type: object"}, []string{"breaking: expires_in: type changed"}},
		{"format of a number that our decoder takes as text", []string{"expires_in:\n          type: integer", "expires_in:\n          type: integer\n          format: int64"}, []string{"tolerated: expires_in: format added"}},
		// 3: nullability and required.
		{"nullable in a response", []string{"count:\n          type: string", "count:\n          type: string\n          nullable: true"}, []string{"tolerated: count: nullable added"}},
		{"nullable in a request", []string{"client_id:\n          type: string", "client_id:\n          type: string\n          nullable: true"}, []string{"additive: client_id: nullable added"}},
		{
			"new required property in a response",
			[]string{"        - access_token\n", "        - access_token\n        - user\n", "        access_token:\n", "        user:\n          type: string\n        access_token:\n"},
			[]string{"additive: 200: property user added (required)"},
		},
		{
			"new required property in a request",
			[]string{"        - grant_type\n", "        - grant_type\n        - audience\n", "        client_id:\n", "        audience:\n          type: string\n        client_id:\n"},
			[]string{"breaking: property audience added (required)"},
		},
		{"property of a request becomes required", []string{"        - grant_type\n", "        - grant_type\n        - client_id\n"}, []string{"breaking: required entry client_id added"}},
		{"property of a response is no longer required", []string{"      required:\n        - access_token\n", ""}, []string{"breaking: 200: required entry access_token removed"}},
		// 4: parameters.
		{"new parameter", []string{"      operationId: listThings\n", "      operationId: listThings\n      parameters:\n        - {name: filters, in: query, schema: {type: string}}\n"}, []string{"additive: parameter filters added"}},
		{"new required parameter", []string{"      operationId: listThings\n", "      operationId: listThings\n      parameters:\n        - {name: filters, in: query, required: true, schema: {type: string}}\n"}, []string{"breaking: parameter filters added"}},
		{"parameter gone", []string{"      parameters:\n        - name: X-Version\n          in: header\n          schema: {type: string, default: v1}\n", ""}, []string{"breaking: parameter X-Version removed"}},
		{"default of a parameter", []string{"default: v1", "default: v2"}, []string{"tolerated: X-Version: default changed"}},
		// 5: unions.
		{"kind of a union", []string{"anyOf", "oneOf"}, []string{"breaking: value: anyOf removed", "breaking: value: oneOf added"}},
		{"branch in the middle", []string{"            - type: integer", "            - type: boolean\n            - type: integer"}, []string{"breaking: value: anyOf branch 1 added"}},
		// 6: enums.
		{"enum gains null", []string{"        - mac\n", "        - mac\n        - null\n"}, []string{"tolerated: token_type: enum value null added"}},
		{"enum of a response replaced", []string{"        - bearer\n        - mac\n", "        - DPoP\n"}, []string{
			"breaking: token_type: enum value bearer removed", "breaking: token_type: enum value mac removed", "tolerated: token_type: enum value DPoP added",
		}},
		{"enum of a request widened", []string{"            - refresh_token\n", "            - refresh_token\n            - authorization_code\n"}, []string{"additive: grant_type: enum value authorization_code added"}},
		{"enum becomes a string", []string{"      enum:\n        - bearer\n        - mac\n", ""}, []string{"breaking: token_type: enum removed"}},
		// 7, 8: names.
		{"operation ids and component names", []string{
			"createAccessToken", "Auth_createAuthToken", "listThings", "listThingsV1",
			"schemas/AccessTokenRequest", "schemas/Auth.AccessTokenRequest", "    AccessTokenRequest:", "    Auth.AccessTokenRequest:",
			"schemas/TokenType", "schemas/tokentype", "    TokenType:", "    tokentype:", "basic", "BasicAuth", "scheme: BasicAuth", "scheme: basic",
		}, nil},
		// 9: a renamed request property.
		{"property renamed", []string{"        scope:\n          type: string\n          description", "        scopes:\n          type: string\n          description"}, []string{"breaking: property scope removed (renamed to scopes?)", "additive: property scopes added (renamed from scope?)"}},
		// 10: media types and statuses.
		{"media type added", []string{"          application/x-www-form-urlencoded:\n", "          application/json:\n            schema:\n              $ref: '#/components/schemas/AccessTokenRequest'\n          application/x-www-form-urlencoded:\n"}, []string{"additive: media type application/json added"}},
		{"media type gone", []string{"          application/x-www-form-urlencoded:\n", "          application/json:\n"}, []string{
			"breaking: media type application/x-www-form-urlencoded removed", "additive: media type application/json added",
		}},
		{"status added", []string{"        '400':\n", "        '401':\n          description: No.\n        '400':\n"}, []string{"additive: status 401 added"}},
		{"status gone", []string{"        '400':\n          description: Refused.\n          content:\n            application/json:\n              schema:\n                $ref: " + oauthError + "\n", ""}, []string{"breaking: status 400 removed"}},
		{"body of one status changes", []string{"$ref: " + oauthError + "\n        '500'", "type: string\n        '500'"}, []string{"breaking: 400: type changed"}},
		// 11: response headers.
		{"response header", []string{"          description: Refused.\n", "          description: Refused.\n          headers: {X-Request-Id: {required: true, schema: {type: string, format: uuid}}}\n"}, []string{"tolerated: 400: response header X-Request-Id added (left as it is)"}},
		{"new status with a header", []string{"        '400':\n", "        '401':\n          description: No.\n          headers: {X-Request-Id: {schema: {type: string}}}\n        '400':\n"}, []string{"additive: status 401 added"}},
		// 12: a meaning that is only in prose.
		{"meaning", []string{"Life in seconds.", "Unix timestamp of its end."}, []string{"breaking: meaning of expires_in changed (the structure does not show it)"}},
		{"other words for it", []string{"Life in seconds.", "For how many seconds it lives."}, nil},
		// 13: security.
		{"security alternative", []string{"  - basic: []\n", "  - basic: []\n  - {}\n"}, []string{"additive: security alternative [] added"}},
		{"security dropped", []string{"security:\n  - basic: []\n", ""}, []string{`breaking: security alternative [{"scheme":"http","scopes":[]}] removed`}},
		{"security of an operation", []string{"      operationId: listThings\n", "      operationId: listThings\n      security: [{oauth: [things.read]}]\n", "    basic: {type: http, scheme: basic}\n", "    basic: {type: http, scheme: basic}\n    oauth: {type: oauth2, flows: {clientCredentials: {tokenUrl: https://example.com, scopes: {things.read: Read things.}}}}\n"}, []string{
			`breaking: security alternative [{"scheme":"http","scopes":[]}] removed`, `additive: security alternative [{"scheme":"oauth2","scopes":["things.read"]}] added`,
		}},
		// 14: paths.
		{"path moved", []string{"  /oauth/token:\n", "  /token/v2:\n"}, nil},
		{"path and server moved", []string{"  /oauth/token:\n", "  /beta/oauth/token:\n", "https://{tenant}.example.com", "https://{tenant}.example.com/beta"}, nil},
		{"server changed", []string{"https://{tenant}.example.com", "https://{tenant}.example.net"}, []string{"breaking: url changed"}},
		// 16, 17: no change.
		{"version goes backwards", []string{"2.1.0", "2.0.9"}, nil},
		{"titles, tags and extensions", []string{"      operationId: listThings\n", "      operationId: listThings\n      summary: S\n      tags: [a]\n      x-n: 1\n", "    Thing:\n      type", "    Thing:\n      title: A Thing\n      type"}, nil},
		{"example", []string{"        id:\n          type: string\n", "        id:\n          type: string\n          example: '1'\n"}, nil},
		// 18: undefined security schemes.
		{"security scheme not defined", []string{"    basic: {type: http, scheme: basic}\n", "    other: {type: http, scheme: basic}\n"}, nil},

		// Others.
		{"operation gone", []string{"  /things:\n    get:", "  /others:\n    get:"}, []string{"breaking: operation not found"}},
		{"operation new", []string{"  /things:\n", "  /things:\n    post: {responses: {'204': {description: D.}}}\n"}, []string{"additive: operation that we do not have"}},
		{"tighter limit in a response", []string{"maxLength: 100", "maxLength: 10"}, []string{"tolerated: access_token: maxLength changed"}},
		{"limit in a request", []string{"client_secret:\n          type: string", "client_secret:\n          type: string\n          maxLength: 10"}, []string{"breaking: client_secret: maxLength added"}},
		{"body becomes optional", []string{"        required: true\n", ""}, []string{"additive: required removed"}},
		{"component that is shared comes apart", []string{"      operationId: listThings\n      responses:\n        '200':\n          description: The things.\n", "      operationId: listThings\n      responses:\n        '400': {description: D., content: {application/json: {schema: {$ref: '#/components/schemas/Problem'}}}}\n        '200':\n          description: The things.\n", "    OAuthError:\n", "    Problem: {type: object, properties: {title: {type: string}, secret: {type: string}}}\n    OAuthError:\n"}, []string{"additive: status 400 added"}},
		{"reference to elsewhere", []string{"                $ref: '#/components/schemas/AccessToken'\n", "                $ref: https://example.com/token.yaml\n"}, []string{"breaking: reference not followed"}},
	}
	c, err := readConfig("../..")
	require.NoError(t, err)
	c.Vendors["acme"] = vendor{
		Paths:   []rewrite{{compile("^(?:/token/v2|/beta/oauth/token)$"), "/oauth/token"}},
		Servers: []rewrite{{compile(`^(https://\{tenant\}\.example\.com)(?:/beta)?$`), "$1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			next := acme
			for i := 0; i < len(test.changes); i += 2 {
				require.Contains(t, next, test.changes[i])
				next = strings.ReplaceAll(next, test.changes[i], test.changes[i+1])
			}
			theirs, err := openapi.Parse([]byte(next))
			require.NoError(t, err)
			s := session{name: "acme", config: c, theirs: theirs, ours: seenAcme(t, c)}
			assert.Equal(t, test.want, described(s.reportOnly(t)))

			_, err = s.merge()
			require.NoError(t, err)
			s.ours = s.merged
			left := s.reportOnly(t)
			for _, c := range left.Changes {
				assert.Contains(t, []string{"operation that we do not have", "reference not followed"}, c.What, "-write merged it")
			}
			_, err = s.merge()
			require.NoError(t, err)
			assert.Equal(t, s.ours, s.merged, "a second -write changes nothing")
		})
	}
}

// A change of a component is reported once, with each operation that has it.
func TestChangeOfAComponentNamesItsOperations(t *testing.T) {
	c, err := readConfig("../..")
	require.NoError(t, err)
	theirs, err := openapi.Parse([]byte(edited(t, acme, "        error:\n          type: string", "        error:\n          type: integer")))
	require.NoError(t, err)
	s := session{name: "acme", config: c, theirs: theirs, ours: seenAcme(t, c)}
	changes := s.reportOnly(t).Changes
	require.Len(t, changes, 1)
	assert.Equal(t, []string{"POST /oauth/token", "GET /things"}, changes[0].Operations)
}

// seenAcme is our description of Acme after its first -write.
func seenAcme(t *testing.T, c *config) string {
	t.Helper()
	theirs, err := openapi.Parse([]byte(acme))
	require.NoError(t, err)
	s := session{name: "acme", config: c, theirs: theirs, ours: acme}
	_, err = s.merge()
	require.NoError(t, err)
	return s.merged
}

// reportOnly compares without generating code.
func (s *session) reportOnly(t *testing.T) *report {
	t.Helper()
	ours, err := openapi.Parse([]byte(s.ours))
	require.NoError(t, err)
	result := openapi.Compare(ours, s.theirs, s.options())
	r := newReport(s.name, "", result, s.config)
	r.watch(result, s.config, s.config.Vendors[s.name])
	return r
}

func compile(expression string) (p pattern) {
	p.Regexp = regexp.MustCompile(expression)
	return p
}
