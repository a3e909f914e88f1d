package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// TestDecisions tests what -write leaves to a person after each kind of change.
func TestDecisions(t *testing.T) {
	t.Parallel()
	const (
		count      = "        count:\n"
		things     = "      operationId: listThings\n"
		refused    = "          description: Refused.\n"
		properties = "/responses/200/content/application~1json/schema/items/properties"
		published  = "x-upstream: name the commit or version and the date of what was read"
	)
	c, err := readConfig("../..")
	require.NoError(t, err)
	for name, test := range map[string]struct {
		changes []string
		want    []string
	}{
		"nothing":       {nil, nil},
		"enum value":    {[]string{"        - mac\n", "        - mac\n        - DPoP\n"}, []string{published}},
		"operation new": {[]string{"  /things:\n", "  /things:\n    post: {responses: {'204': {description: D.}}}\n"}, []string{"POST /things: an operation that we do not have; describe it by hand if it is wanted"}},
		"operation gone": {
			[]string{"  /things:\n    get:", "  /others:\n    get:"},
			[]string{"GET /things is left as it is: Upstream no longer describes it; kept until it is known to be gone.", published},
		},
		"reference elsewhere": {
			[]string{"                $ref: '#/components/schemas/AccessToken'\n", "                $ref: https://example.com/token.yaml\n"},
			[]string{`POST /oauth/token/responses/200/content/application~1json/schema/$ref: upstream refers to "https://example.com/token.yaml", which is not followed; see -allow-ref`},
		},
		"parameter": {
			[]string{things, things + "      parameters:\n        - {name: limit, in: query, schema: {type: integer}}\n"},
			[]string{"GET /things/parameters/query:limit: a new parameter, which needs words of ours", published},
		},
		"property": {
			[]string{count, "        size:\n          type: integer\n" + count},
			[]string{"GET /things" + properties + "/size: a new property, which needs words of ours", published},
		},
		"status": {
			[]string{"        '400':\n", "        '422':\n          description: No.\n        '400':\n"},
			[]string{"POST /oauth/token/responses/422: a new status, which needs words of ours", published},
		},
		"status renamed": {
			[]string{"'500':", "'503':"},
			[]string{"POST /oauth/token/responses/500 is now 503: check that our words still hold", published},
		},
		"header": {
			[]string{refused, refused + "          headers: {X-Request-Id: {schema: {type: string}}}\n"},
			[]string{"POST /oauth/token/responses/400/headers/X-Request-Id is left as it is: A generated reader drops a response with a malformed header; callers read headers themselves.", published},
		},
		"component": {
			[]string{count, "        size:\n          $ref: '#/components/schemas/Size'\n" + count, "    Thing:\n", "    Size: {type: object, properties: {a: {type: string}}}\n    Thing:\n"},
			[]string{"GET /things" + properties + "/size: a new property, which needs words of ours", "new component Size, named by upstream: give it a name and words of ours", published},
		},
		"shared component": {
			[]string{"$ref: '#/components/schemas/OAuthError'\n        '500'", "type: string\n        '500'"},
			[]string{"POST /oauth/token/responses/400/content/application~1json/schema no longer shares a component with other places: look at the name of its Go type", published},
		},
		"security scheme that is not defined": {
			[]string{things, things + "      security: [{basic: [], token: []}]\n"},
			[]string{"GET /things/security/[{\"scheme\":\"http\",\"scopes\":[]}]: upstream names the security scheme token without defining it",
				"GET /things/security/[{\"scheme\":\"\",\"scopes\":[]},{\"scheme\":\"http\",\"scopes\":[]}]: upstream names the security scheme token without defining it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs, err := openapi.Parse([]byte(edited(t, acme, test.changes...)))
			require.NoError(t, err)
			s := session{name: "acme", config: c, theirs: theirs, ours: seenAcme(t, c)}
			decide, err := s.merge()
			require.NoError(t, err)
			assert.Equal(t, test.want, decide)
		})
	}
}
