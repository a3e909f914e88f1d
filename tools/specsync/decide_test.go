package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

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
		"security scheme that becomes two": {
			[]string{things, things + "      security: [{bearer: []}]\n", "  securitySchemes:\n", "  securitySchemes:\n    bearer: {type: http, scheme: bearer}\n"},
			[]string{"GET /things/security/basic/scheme: we share one component where upstream now has two; describe them apart by hand"},
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

// TestDescriptionInFlowStyle merges into a description that cannot be edited: it stays as it is, and a decision for each
// change says why.
func TestDescriptionInFlowStyle(t *testing.T) {
	t.Parallel()
	const (
		refused = "          description: Refused.\n"
		failed  = "          description: The vendor failed.\n"
		header  = "          headers: {X-Request-Id: {schema: {type: string}}}\n"
		thing   = "    Thing:\n      type: object\n"
		count   = "        count:\n"
		things  = "      operationId: listThings\n"
		version = "        - name: X-Version\n          in: header\n          schema: {type: string, default: v1}\n"
		limit   = "        - {name: limit, in: query, schema: {type: integer}}\n"
		servers = "servers:\n  - url: https://{tenant}.example.com\n    variables:\n      tenant: {default: acme}\n"
		basic   = "  - basic: []\n"
		inline  = "        error: {type: object, required: [error], properties: {error: {type: string}}}\n"
		why     = ": the document itself is in flow style"
	)
	base := edited(t, acme, count, inline+count)
	ours, _ := written(t, edited(t, base, refused, refused+"          x-deviation: {description: Shorter.}\n"), base)
	ours = inFlowStyle(t, ours)
	for name, test := range map[string]struct {
		changes []string
		place   string
	}{
		"keyword":           {[]string{"maxLength: 100", "maxLength: 200"}, "/schema/properties/access_token/maxLength"},
		"list":              {[]string{thing, thing + "      required: [id]\n"}, "/schema/items/required/id"},
		"member of a list":  {[]string{"        - mac\n", "        - mac\n        - DPoP\n"}, "/schema/properties/token_type/enum/DPoP"},
		"keyword gone":      {[]string{"          maxLength: 100\n", ""}, "/schema/properties/access_token/maxLength"},
		"property":          {[]string{count, "        size: {type: integer}\n" + count}, "/schema/items/properties/size"},
		"component":         {[]string{inline, "        error: {$ref: '#/components/schemas/OAuthError'}\n"}, "/schema/items/properties/error/required/error"},
		"header":            {[]string{failed, failed + header}, "/responses/500/headers/X-Request-Id"},
		"another header":    {[]string{refused, refused + header}, "/responses/400/headers/X-Request-Id"},
		"parameter":         {[]string{things, things + "      parameters:\n" + limit}, "/parameters/query:limit"},
		"second parameter":  {[]string{version, limit + version}, "/parameters/query:limit"},
		"parameter gone":    {[]string{"      parameters:\n" + version, ""}, "/parameters/header:X-Version"},
		"second server":     {[]string{servers, servers + "  - url: https://example.org\n"}, "/servers/https:~1~1example.org"},
		"servers gone":      {[]string{servers, ""}, "/servers/https:~1~1{tenant}.example.com"},
		"security":          {[]string{basic, basic + "  - {}\n"}, "/security/[]"},
		"shared component":  {[]string{"$ref: '#/components/schemas/OAuthError'\n        '500'", "type: string\n        '500'"}, "/responses/400/content/application~1json/schema/type"},
		"status":            {[]string{"        '400':\n", "        '422': {}\n        '400':\n"}, "/responses/422"},
		"server":            {[]string{"https://{tenant}.example.com", "https://{tenant}.example.net"}, "/servers/0/url"},
		"variable's values": {[]string{"{default: acme}", "{default: acme, enum: [acme]}"}, "/servers/0/variables/tenant/enum"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acmeSession(t, ours, edited(t, base, test.changes...))
			decide, err := s.merge()
			require.NoError(t, err)
			assert.Equal(t, ours, s.merged)
			assert.Contains(t, strings.Join(decide, "\n"), test.place+why)
		})
	}

	t.Run("operation gone", func(t *testing.T) {
		t.Parallel()
		gone := edited(t, acme, "  /things:\n    get:", "  /others:\n    get:")
		kept, _ := written(t, acme, gone)
		reason := "    x-deviation:\n      get: Upstream no longer describes it; kept until it is known to be gone.\n"
		s := acmeSession(t, inFlowStyle(t, edited(t, kept, reason, "")), gone)
		decide, err := s.merge()
		require.NoError(t, err)
		assert.Contains(t, decide[1], "GET /things"+why)
	})
}

// TestMergeFails merges into descriptions that cannot be read, or cannot be given what the next merge needs to know.
func TestMergeFails(t *testing.T) {
	t.Parallel()
	moved := edited(t, acme, "Life in seconds.", "Unix timestamp of its end.")
	noted, _ := written(t, acme, moved)
	seen, _ := written(t, acme, acme)
	for name, test := range map[string]struct{ ours, theirs, want string }{
		"no description": {"a: b\n", acme, "not an OpenAPI 3 description"},
		"hashes":         {inFlowStyle(t, acme), acme, "in flow style"},
		"hashes of what is gone": {
			inFlowStyle(t, seen), edited(t, acme, "  /things:\n    get:", "  /others:\n    get:"), "in flow style",
		},
		"meaning that we say now": {inFlowStyle(t, edited(t, noted, "Life in seconds.", "Unix time of its end.")), moved, "in flow style"},
		"meaning":                 {inFlowStyle(t, edited(t, noted, "          x-upstream-meaning: unix time\n", "")), moved, "in flow style"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acmeSession(t, test.ours, test.theirs)
			_, err := s.merge()
			assert.ErrorContains(t, err, test.want)
		})
	}
}

// inFlowStyle returns a description in flow style.
func inFlowStyle(t *testing.T, text string) string {
	t.Helper()
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &doc))
	doc.Content[0].Style = yaml.FlowStyle
	flow, err := yaml.Marshal(&doc)
	require.NoError(t, err)
	return string(flow)
}
