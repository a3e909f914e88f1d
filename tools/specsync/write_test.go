package main

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// vendorNames renames the components of Acme's description, because a vendor has its own names.
var vendorNames = []string{
	"schemas/AccessTokenRequest", "schemas/Auth.AccessTokenRequest", "    AccessTokenRequest:", "    Auth.AccessTokenRequest:",
	"schemas/AccessToken'", "schemas/Auth.AccessToken'", "    AccessToken:", "    Auth.AccessToken:",
	"schemas/Thing", "schemas/Main.Thing", "    Thing:", "    Main.Thing:",
}

// acmeSession returns a session that compares two descriptions of Acme.
func acmeSession(t *testing.T, ours, theirs string) session {
	t.Helper()
	c, err := readConfig("../..")
	require.NoError(t, err)
	doc, err := openapi.Parse([]byte(theirs))
	require.NoError(t, err)
	return session{name: "acme", config: c, theirs: doc, ours: ours}
}

// written returns our description after -write with the vendor's, and the decisions left to a person. It checks that no
// difference is left, and that a second -write changes nothing.
func written(t *testing.T, ours, theirs string) (string, []string) {
	t.Helper()
	s := acmeSession(t, ours, theirs)
	decide, err := s.merge()
	require.NoError(t, err)
	first := s.merged
	s.ours = first
	assert.Empty(t, described(s.reportOnly(t)), "after -write")
	_, err = s.merge()
	require.NoError(t, err)
	assert.Equal(t, first, s.merged, "a second -write changes nothing")
	return first, decide
}

// edited replaces texts in a description, given in pairs, wherever they occur.
func edited(t *testing.T, in string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(t, in, pairs[i])
		in = strings.ReplaceAll(in, pairs[i], pairs[i+1])
	}
	return in
}

// TestRenamedStatusAndMediaTypeKeepOurs tests renames that must change only the key: our descriptions and component
// names stay.
func TestRenamedStatusAndMediaTypeKeepOurs(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded:"
	tests := []struct {
		name    string
		changes []string
	}{
		{"status", []string{"'200':\n          description: The token.", "'201':\n          description: The token."}},
		{"statuses of every operation", []string{"'200':", "'201':"}},
		{"error status", []string{"'400':", "'422':"}},
		{"statuses of two classes", []string{"'200':", "'201':", "'500':", "'503':"}},
		{"range of statuses", []string{"'500':", "'5XX':"}},
		{"charset of responses", []string{"application/json:", "application/json; charset=utf-8:"}},
		{"charset of a request", []string{form, "application/x-www-form-urlencoded; charset=utf-8:"}},
		{"another media type of a request", []string{form, "application/vnd.acme+json:"}},
		{"status and media type at once", []string{"'200':", "'202':", "application/json:", "application/vnd.acme+json:"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, decide := written(t, acme, edited(t, acme, append(slices.Clone(vendorNames), test.changes...)...))
			want, _ := written(t, edited(t, acme, test.changes...), edited(t, acme, test.changes...))
			assert.Equal(t, withoutHashes(want), withoutHashes(got))
			assert.Contains(t, strings.Join(decide, "\n"), "is now")
		})
	}
}

// TestStatusesThatAreNoRenames tests members that are added and removed but not renamed.
func TestStatusesThatAreNoRenames(t *testing.T) {
	t.Parallel()
	const (
		refused   = "        '400':\n          description: Refused.\n"
		forbidden = "        '403':\n          description: Forbidden by us.\n"
		later     = "        '503':\n          description: Later.\n"
		gone      = "        '410':\n          description: Gone.\n"
		conflict  = "        '409':\n          description: Conflict.\n"
	)
	body := "          content:\n            application/json:\n              schema:\n                $ref: '#/components/schemas/OAuthError'\n"
	two := edited(t, acme, refused, forbidden+body+refused)
	for name, test := range map[string]struct {
		ours, theirs string
		lost         []string
	}{
		"of two classes":      {acme, edited(t, acme, refused, later), []string{"Refused."}},
		"two went, one came":  {two, edited(t, acme, refused, gone), []string{"Refused.", "Forbidden by us."}},
		"one went, two came":  {acme, edited(t, acme, refused, gone+body+conflict), []string{"Refused."}},
		"two went and came":   {two, edited(t, acme, refused, gone+body+conflict), []string{"Refused.", "Forbidden by us."}},
		"one went, none came": {two, acme, []string{"Forbidden by us."}},
		"none went, one came": {acme, edited(t, acme, refused, gone+body+refused), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, decide := written(t, test.ours, test.theirs)
			for _, words := range test.lost {
				assert.NotContains(t, got, words)
			}
			assert.NotContains(t, strings.Join(decide, "\n"), "is now")
		})
	}
}

// TestCharsetIsNoOtherMediaType adds a parameter to one media type while another one is added.
func TestCharsetIsNoOtherMediaType(t *testing.T) {
	t.Parallel()
	const media = "            application/json:\n              schema:\n                type: array\n"
	ours := edited(t, acme, media, strings.Replace(media, "schema:\n", "schema:\n                description: Our list.\n", 1))
	theirs := edited(t, acme, media, "            text/csv:\n              schema:\n                type: string\n"+strings.Replace(media, "json:", "JSON;charset=utf-8:", 1))
	got, _ := written(t, ours, theirs)
	assert.Contains(t, got, "            application/JSON;charset=utf-8:\n              schema:\n                description: Our list.\n")
	assert.Contains(t, got, "            text/csv:\n")
}

func TestAllOfAroundOneSchemaIsThatSchema(t *testing.T) {
	t.Parallel()
	const (
		ref     = "              schema:\n                $ref: '#/components/schemas/AccessToken'\n"
		wrapped = "              schema:\n                allOf:\n                  - $ref: '#/components/schemas/AccessToken'\n"
		self    = "        self:\n          $ref: '#/components/schemas/Thing'\n"
		around  = "        self:\n          description: Around it.\n          allOf:\n            - $ref: '#/components/schemas/Thing'\n"
	)
	both := edited(t, acme, ref, wrapped, self, around)
	for name, test := range map[string]struct{ ours, theirs string }{
		"theirs":              {acme, both},
		"theirs, other names": {acme, edited(t, both, vendorNames...)},
		"theirs, twice":       {acme, edited(t, acme, ref, strings.ReplaceAll(wrapped, "- $ref: '#/components/schemas/AccessToken'", "- allOf: [{$ref: '#/components/schemas/AccessToken'}]"))},
		"theirs, and a type":  {acme, edited(t, acme, ref, wrapped+"                type: object\n")},
		"ours":                {both, acme},
		"both":                {both, both},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := written(t, test.ours, test.theirs)
			want, _ := written(t, test.ours, test.ours)
			assert.Equal(t, withoutHashes(want), withoutHashes(got))
		})
	}

	t.Run("what is beside it is taken over there alone", func(t *testing.T) {
		t.Parallel()
		theirs := edited(t, acme, ref, wrapped+"                nullable: true\n")
		got, _ := written(t, acme, edited(t, theirs, vendorNames...))
		want := edited(t, acme, ref, "              schema:\n                allOf:\n                  - $ref: '#/components/schemas/AccessToken'\n                nullable: true\n")
		want, _ = written(t, want, want)
		assert.Equal(t, withoutHashes(want), withoutHashes(got))
	})
	t.Run("what is beside it in a recursive schema is left to a person", func(t *testing.T) {
		t.Parallel()
		c, err := readConfig("../..")
		require.NoError(t, err)
		theirs, err := openapi.Parse([]byte(edited(t, edited(t, acme, self, around+"          nullable: true\n"), vendorNames...)))
		require.NoError(t, err)
		s := session{name: "acme", config: c, theirs: theirs, ours: acme}
		decide, err := s.merge()
		require.NoError(t, err)
		want, _ := written(t, acme, acme)
		assert.Equal(t, withoutHashes(want), withoutHashes(s.merged))
		assert.Contains(t, strings.Join(decide, "\n"), "GET /things/responses/200/content/application~1json/schema/items/properties/self/nullable: ")
	})
	t.Run("a change behind it is one", func(t *testing.T) {
		t.Parallel()
		got, _ := written(t, acme, edited(t, both, "maxLength: 100", "maxLength: 200"))
		want, _ := written(t, acme, edited(t, acme, "maxLength: 100", "maxLength: 200"))
		assert.Equal(t, withoutHashes(want), withoutHashes(got))
	})
	t.Run("a property behind it is new everywhere", func(t *testing.T) {
		t.Parallel()
		got, _ := written(t, acme, edited(t, both, "        count:\n", "        size:\n          type: integer\n        count:\n"))
		want, _ := written(t, acme, edited(t, acme, "        count:\n", "        size:\n          type: integer\n        count:\n"))
		assert.Equal(t, withoutHashes(want), withoutHashes(got))
	})
	t.Run("around what is written out", func(t *testing.T) {
		t.Parallel()
		const count, nullable = "        count:\n          type: string\n", "        count:\n          type: string\n          nullable: true\n"
		theirs := edited(t, acme, count, "        count:\n          nullable: true\n          allOf: [{type: string}]\n")
		want := edited(t, acme, count, nullable)
		want, _ = written(t, want, want)
		for _, ours := range []string{acme, edited(t, acme, count, nullable)} {
			got, _ := written(t, ours, theirs)
			assert.ElementsMatch(t, strings.Split(withoutHashes(want), "\n"), strings.Split(withoutHashes(got), "\n"))
		}
	})
	t.Run("with what may stand beside it", func(t *testing.T) {
		t.Parallel()
		const count = "        count:\n          type: string\n"
		for _, beside := range []string{
			"type: string", "nullable: true", "deprecated: true", "readOnly: true", "writeOnly: true", "default: a", "example: a", "examples: {a: {value: a}}",
		} {
			plain := edited(t, acme, count, "        count: {type: string, "+strings.TrimPrefix(beside, "type: string")+"}\n")
			want, _ := written(t, plain, plain)
			for _, around := range []string{"{%s, allOf: [{type: string}]}", "{%s, allOf: [{allOf: [{type: string}]}]}"} {
				got, _ := written(t, plain, edited(t, acme, count, "        count: "+strings.Replace(around, "%s", beside, 1)+"\n"))
				assert.Equal(t, withoutHashes(want), withoutHashes(got), "%s in %s", beside, around)
			}
		}
	})
	t.Run("not where more stands beside it", func(t *testing.T) {
		t.Parallel()
		more := "        self:\n          allOf:\n            - $ref: '#/components/schemas/TokenType'\n          maxLength: 9\n"
		got, _ := written(t, edited(t, acme, self, "        self:\n          type: string\n"), edited(t, acme, self, more))
		assert.Contains(t, got, more)
	})
	t.Run("a meaning behind it is watched", func(t *testing.T) {
		t.Parallel()
		got, _ := written(t, acme, edited(t, both, "Life in seconds.", "Unix timestamp of its end."))
		assert.Contains(t, got, "x-upstream-meaning: unix time")
	})
}

// TestAnchoredCanBeRemoved removes a node with an anchor that has aliases: the first alias gets the value.
func TestAnchoredCanBeRemoved(t *testing.T) {
	t.Parallel()
	const refused = "        '400':\n          description: Refused.\n"
	body := "          content:\n            application/json:\n              schema:\n                $ref: '#/components/schemas/OAuthError'\n"
	failed := "        '500':\n          description: The vendor failed.\n" + body
	gone := edited(t, acme, refused+body, "")

	t.Run("a response", func(t *testing.T) {
		t.Parallel()
		ours := edited(t, acme, "'400':\n", "'400': &refused\n", failed, "        '500': *refused\n")
		got, _ := written(t, ours, gone)
		assert.Contains(t, got, "        '500': &refused\n          description: Refused.\n"+body)
		assert.NotContains(t, got, "'400'")
	})
	t.Run("what holds it", func(t *testing.T) {
		t.Parallel()
		ours := edited(t, acme, refused, refused+"          x-deviation: &why {headers: Not read.}\n",
			"          description: The vendor failed.\n", "          description: The vendor failed.\n          x-deviation: *why\n",
			"          description: No token.\n", "          description: No token.\n          x-deviation: *why\n")
		got, _ := written(t, ours, gone)
		assert.Contains(t, got, "          description: The vendor failed.\n          x-deviation: &why {headers: Not read.}\n")
		assert.Contains(t, got, "          description: No token.\n          x-deviation: *why\n")
	})
	t.Run("a value that changes", func(t *testing.T) {
		t.Parallel()
		ours := edited(t, acme, "maxLength: 100", "maxLength: &most 100", "          type: string\n        count:", "          type: string\n          maxLength: *most\n        count:")
		theirs := edited(t, acme, "maxLength: 100", "maxLength: 200", "          type: string\n        count:", "          type: string\n          maxLength: 100\n        count:")
		got, _ := written(t, ours, theirs)
		assert.Contains(t, got, "          maxLength: 200\n")
		assert.Contains(t, got, "          maxLength: &most 100\n")
	})
}

// TestMembersComeWhereTheVendorHasThem adds members at the beginning, in the middle and at the end of lists and maps.
func TestMembersComeWhereTheVendorHasThem(t *testing.T) {
	t.Parallel()
	const (
		enum   = "        - bearer\n        - mac\n"
		anyOf  = "            - type: string\n            - type: integer\n"
		things = "        id:\n          type: string\n        count:\n          type: string\n"
		added  = "        size:\n          type: integer\n"
	)
	for name, test := range map[string]struct{ old, new string }{
		"first enum value":    {enum, "        - DPoP\n" + enum},
		"enum value between":  {enum, "        - bearer\n        - DPoP\n        - mac\n"},
		"last enum value":     {enum, enum + "        - DPoP\n"},
		"two enum values":     {enum, "        - bearer\n        - DPoP\n        - N_A\n        - mac\n"},
		"first branch":        {anyOf, "            - type: boolean\n" + anyOf},
		"branch between":      {anyOf, "            - type: string\n            - type: boolean\n            - type: integer\n"},
		"last branch":         {anyOf, anyOf + "            - type: boolean\n"},
		"first property":      {things, added + things},
		"property between":    {things, "        id:\n          type: string\n" + added + "        count:\n          type: string\n"},
		"last property":       {things, things + added},
		"first required":      {"        - grant_type\n", "        - client_id\n        - grant_type\n"},
		"last required":       {"        - grant_type\n", "        - grant_type\n        - client_id\n"},
		"required in between": {"        - access_token\n", "        - access_token\n        - expires_in\n        - scope\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs := edited(t, acme, test.old, test.new)
			got, _ := written(t, acme, theirs)
			want, _ := written(t, theirs, theirs)
			assert.Equal(t, withoutHashes(want), withoutHashes(got))
		})
	}
}

// TestListInTheColumnOfItsKey edits a list whose dashes are in the column of its key.
func TestListInTheColumnOfItsKey(t *testing.T) {
	t.Parallel()
	const (
		enum   = "      enum:\n        - bearer\n        - mac\n"
		column = "      enum:\n      - bearer\n      - mac\n"
	)
	ours := edited(t, acme, enum, column+"      example: mac\n")
	for want, theirs := range map[string]string{
		"      enum:\n      - bearer\n      - DPoP\n      - mac\n      example: mac\n": "      enum: [bearer, DPoP, mac]\n      example: mac\n",
		"      enum:\n      - bearer\n      - mac\n      - DPoP\n      example: mac\n": "      enum: [bearer, mac, DPoP]\n      example: mac\n",
		"      enum:\n      - mac\n      example: mac\n":                               "      enum: [mac]\n      example: mac\n",
		"      description: In lower case.\n      example: mac\n":                      "      example: mac\n",
	} {
		got, _ := written(t, ours, edited(t, acme, enum, theirs))
		assert.Contains(t, got, want)
	}
}

// TestNewMemberComesBehindItsNeighbour adds a property when our order differs from the vendor's.
func TestNewMemberComesBehindItsNeighbour(t *testing.T) {
	t.Parallel()
	const (
		id, count = "        id:\n          type: string\n", "        count:\n          type: string\n"
		size      = "        size:\n          type: integer\n"
	)
	const bearer, mac, dpop = "        - bearer\n", "        - mac\n", "        - DPoP\n"
	for name, test := range map[string]struct{ old, ours, theirs, want string }{
		"between":        {id + count, count + id, id + size + count, count + id + size},
		"at front":       {id + count, count + id, size + id + count, count + size + id},
		"at end":         {id + count, count + id, id + count + size, count + size + id},
		"value between":  {bearer + mac, mac + bearer, bearer + dpop + mac, mac + bearer + dpop},
		"value at front": {bearer + mac, mac + bearer, dpop + bearer + mac, dpop + mac + bearer},
		"value at end":   {bearer + mac, mac + bearer, bearer + mac + dpop, mac + dpop + bearer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := written(t, edited(t, acme, test.old, test.ours), edited(t, acme, test.old, test.theirs))
			assert.Contains(t, got, test.want)
		})
	}
}

// TestSharedResponseWhoseMediaTypeBecomesTwo renames a media type of a response that two operations share, differently
// in each.
func TestSharedResponseWhoseMediaTypeBecomesTwo(t *testing.T) {
	t.Parallel()
	const (
		refused = "        '400':\n          description: Refused.\n          content:\n            application/json:\n              schema:\n                $ref: '#/components/schemas/OAuthError'\n"
		noToken = "        '401':\n          description: No token.\n          content:\n            application/json:\n              schema:\n                $ref: '#/components/schemas/OAuthError'\n"
		shared  = "  responses:\n    Refused:\n      description: Refused by us.\n      content:\n        application/json:\n          schema:\n            $ref: '#/components/schemas/OAuthError'\n"
	)
	ours := edited(t, acme, refused, "        '400':\n          $ref: '#/components/responses/Refused'\n",
		noToken, "        '401':\n          $ref: '#/components/responses/Refused'\n", "components:\n", "components:\n"+shared)
	got, _ := written(t, ours, edited(t, acme, refused, strings.Replace(refused, "/json", "/vnd.acme+json", 1), noToken, strings.Replace(noToken, "/json", "/problem+json", 1)))
	assert.Contains(t, got, "Refused by us.")
	assert.Contains(t, got, "        '401':\n          description: Unauthorized.\n", "which is new")

	same := strings.NewReplacer("/json", "/vnd.acme+json")
	got, _ = written(t, ours, edited(t, acme, refused, same.Replace(refused), noToken, same.Replace(noToken)))
	assert.Contains(t, got, same.Replace(shared), "the same in both is a rename")
}

// TestSharedParameterThatBecomesTwo changes a parameter of one of two operations, where ours is that of their path: no
// edit of ours can be right for both, so it is left to a person.
func TestSharedParameterThatBecomesTwo(t *testing.T) {
	t.Parallel()
	const (
		item    = "  /things:\n    get:\n"
		removal = "    delete:\n      operationId: deleteThings\n      responses:\n        '204': {description: Gone.}\n"
		limit   = "    parameters:\n      - {name: limit, in: query, schema: {type: integer}}\n"
		own     = "      parameters:\n        - {name: limit, in: query, schema: {type: string}}\n"
	)
	ours := edited(t, acme, item, strings.Replace(item, "    get:\n", limit+removal+"    get:\n", 1))
	theirs := edited(t, ours, "      operationId: deleteThings\n", "      operationId: deleteThings\n"+own)
	s := acmeSession(t, ours, theirs)
	decide, err := s.merge()
	require.NoError(t, err)
	assert.Contains(t, strings.Join(decide, "\n"), "we share one component where upstream now has two")
	assert.Contains(t, s.merged, "{name: limit, in: query, schema: {type: integer}}")
}

// TestReferenceToTheComponentThatWeHave adds a reference to a component of the vendor's that we have inline in one place
// and as a component in another.
func TestReferenceToTheComponentThatWeHave(t *testing.T) {
	t.Parallel()
	const (
		ref    = "          $ref: '#/components/schemas/TokenType'\n"
		inline = "          type: string\n          enum: [bearer, mac]\n"
		count  = "        count:\n"
	)
	ours := edited(t, acme, ref, inline, count, "        kind:\n"+ref+count)
	theirs := edited(t, acme, count, "        kind:\n"+ref+"        size:\n"+ref+count)
	got, _ := written(t, ours, theirs)
	assert.Contains(t, got, inline, "what is equal stays")
	assert.Contains(t, got, "        size:\n"+ref)
}

// TestNewComponentWhoseNameIsTaken adds a component of the vendor's that has the name of another one of ours.
func TestNewComponentWhoseNameIsTaken(t *testing.T) {
	t.Parallel()
	const (
		count = "        count:\n"
		spare = "    Thing2:\n      type: string\n"
		thing = "    Thing:\n      type: object\n      properties:\n        expires_in:\n          type: integer\n"
	)
	theirs := edited(t, acme, "schemas/Thing", "schemas/Main.Thing", "    Thing:\n", thing+"    Main.Thing:\n",
		count, "        life:\n          $ref: '#/components/schemas/Thing'\n"+count)
	for want, ours := range map[string]string{"Thing2": acme, "Thing3": edited(t, acme, "    Thing:\n", spare+"    Thing:\n")} {
		got, _ := written(t, ours, theirs)
		assert.Contains(t, got, "        life:\n          $ref: '#/components/schemas/"+want+"'\n")
		assert.Contains(t, got, "    "+want+strings.TrimPrefix(thing, "    Thing")+"          x-go-type: json.Number\n")
	}
}

// TestNewResponse tests that a new response has the description that OpenAPI requires, but not beside a reference, and
// the Go types of a success if it is the default.
func TestNewResponse(t *testing.T) {
	t.Parallel()
	const (
		noToken = "        '401':\n          description: No token.\n"
		shared  = "  responses:\n    Refused:\n      description: Refused by us.\n"
		refused = "\n          $ref: '#/components/responses/Refused'\n"
	)
	ours := edited(t, acme, noToken, "        '403':"+refused+noToken, "components:\n", "components:\n"+shared)
	for added, want := range map[string]string{
		"'409':" + refused:                "'409':" + refused,
		"'409': {description: Theirs.}\n": "'409':\n          description: Conflict.\n",
		"'599': {description: Theirs.}\n": "'599':\n          description: Status 599.\n",
		"default: {content: {application/json: {schema: {type: object, properties: {expires_in: {type: integer}}}}}}\n": "                  expires_in:\n                    type: integer\n                    x-go-type: json.Number\n",
	} {
		got, _ := written(t, ours, edited(t, ours, noToken, "        "+added+noToken))
		assert.Contains(t, got, want)
	}
}

// TestLastServerGoes removes our servers, because the vendor no longer names one.
func TestLastServerGoes(t *testing.T) {
	t.Parallel()
	const servers = "servers:\n  - url: https://{tenant}.example.com\n    variables:\n      tenant: {default: acme}\n"
	got, _ := written(t, acme, edited(t, acme, servers, ""))
	assert.NotContains(t, got, "servers:")
}

// TestListsBesideAnEnumFollowIt changes the values of an enum that has a name and a description of ours for each.
func TestListsBesideAnEnumFollowIt(t *testing.T) {
	t.Parallel()
	const (
		enum  = "      enum:\n        - bearer\n        - mac\n"
		names = "      x-enum-varnames:\n        - Bearer\n        - MAC\n"
		words = "      x-enum-descriptions: [Whoever holds it., Signed.]\n"
		byKey = "      x-enumDescriptions:\n        bearer: Whoever holds it.\n        mac: Signed.\n"
	)
	ours := edited(t, acme, enum, enum+names+words+byKey)
	for name, test := range map[string]struct{ values, varnames, descriptions, byKey string }{
		"first":       {"[DPoP, bearer, mac]", "DPoP Bearer MAC", "'' Whoever holds it. Signed.", "bearer mac"},
		"between":     {"[bearer, token_exchange, mac]", "Bearer TokenExchange MAC", "Whoever holds it. '' Signed.", "bearer mac"},
		"last":        {"[bearer, mac, N_A]", "Bearer MAC NA", "Whoever holds it. Signed. ''", "bearer mac"},
		"two":         {"[bearer, MY_OWN, mac, 1st]", "Bearer MyOwn MAC Value1st", "Whoever holds it. '' Signed. ''", "bearer mac"},
		"name taken":  {"[bearer, mac, BEARER]", "Bearer MAC Bearer2", "Whoever holds it. Signed. ''", "bearer mac"},
		"first gone":  {"[mac]", "MAC", "Signed.", "mac"},
		"last gone":   {"[bearer]", "Bearer", "Whoever holds it.", "bearer"},
		"one renamed": {"[bearer, hmac]", "Bearer Hmac", "Whoever holds it. ''", "bearer"},
		"all gone":    {"", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			published := ""
			if test.values != "" {
				published = "      enum: " + test.values + "\n"
			}
			got, decide := written(t, ours, edited(t, acme, enum, published))
			doc, err := openapi.Parse([]byte(got))
			require.NoError(t, err)
			schema := doc.At("/components/schemas/TokenType")
			for keyword, want := range map[string]string{"x-enum-varnames": test.varnames, "x-enum-descriptions": test.descriptions} {
				have := values(schema.Child(keyword))
				for i := range have {
					have[i] = cmp.Or(have[i], "''")
				}
				assert.Equal(t, want, strings.Join(have, " "), keyword)
				assert.Len(t, have, len(schema.Child("enum").Keys()), keyword)
			}
			assert.Equal(t, test.byKey, strings.Join(schema.Child("x-enumDescriptions").Keys(), " "))
			if strings.Contains(test.descriptions, "''") {
				assert.Contains(t, strings.Join(decide, "\n"), "/components/schemas/TokenType/x-enum-varnames: ")
			}
			assert.Contains(t, got, "description: In lower case.\n", "our descriptions stay")
		})
	}

	t.Run("a list that was too short before is left", func(t *testing.T) {
		t.Parallel()
		short := edited(t, acme, enum, enum+"      x-enum-varnames: [Bearer]\n")
		got, decide := written(t, short, edited(t, acme, enum, "      enum: [bearer, mac, DPoP]\n"))
		assert.Contains(t, got, "      x-enum-varnames: [Bearer]\n")
		assert.Contains(t, strings.Join(decide, "\n"), "x-enum-varnames has no entry for each value")
	})
}

// TestSweepTakesWhatOnlyTheSweptReferredTo removes a property whose schema refers to one that refers to another.
// Components that were not referenced before stay.
func TestSweepTakesWhatOnlyTheSweptReferredTo(t *testing.T) {
	t.Parallel()
	const (
		property = "        owner:\n          $ref: '#/components/schemas/Owner'\n"
		chain    = "    Address:\n      type: object\n      properties:\n        country:\n          $ref: '#/components/schemas/Country'\n" +
			"    Country:\n      type: string\n" +
			"    Owner:\n      type: object\n      properties:\n        address:\n          $ref: '#/components/schemas/Address'\n"
		spare = "    Spare:\n      type: string\n"
	)
	ours := edited(t, acme, "        count:\n", property+"        count:\n", "    Thing:\n", chain+spare+"    Thing:\n")
	got, decide := written(t, ours, acme)
	assert.Len(t, decide, 1, "only to name what was read")
	kept := edited(t, acme, "    Thing:\n", spare+"    Thing:\n")
	want, _ := written(t, kept, acme)
	assert.Equal(t, withoutHashes(want), withoutHashes(got))
}

// TestMappingKeepsItsComponent removes the last $ref to a component that the mapping of a discriminator names.
func TestMappingKeepsItsComponent(t *testing.T) {
	t.Parallel()
	const (
		thing = "    Thing:\n      type: object\n"
		named = thing + "      discriminator:\n        propertyName: id\n        mapping: {a: '#/components/schemas/Owner'}\n"
		owner = "    Owner:\n      type: object\n"
	)
	theirs := edited(t, acme, thing, owner+named)
	got, _ := written(t, edited(t, theirs, "        count:\n", "        owner:\n          $ref: '#/components/schemas/Owner'\n        count:\n"), theirs)
	assert.NotContains(t, got, "owner:")
	assert.Contains(t, got, owner)
}

// TestMeaningIsNotedWhileOurWordsDiffer tests a meaning that changes and changes back.
func TestMeaningIsNotedWhileOurWordsDiffer(t *testing.T) {
	t.Parallel()
	moved := edited(t, acme, "Life in seconds.", "Unix timestamp of its end.")
	noted, decide := written(t, acme, moved)
	assert.Equal(t, 1, strings.Count(noted, "          description: Life in seconds.\n          x-upstream-meaning: unix time\n"))
	assert.Contains(t, strings.Join(decide, "\n"), "upstream now means unix time; say so in our words")

	back, decide := written(t, noted, acme)
	want, _ := written(t, acme, acme)
	assert.Equal(t, want, back, "upstream agrees with us again")
	assert.NotContains(t, strings.Join(decide, "\n"), "upstream now means")

	const name = "        scope:\n          type: string\n"
	end := strings.LastIndex(acme, name) + len(name)
	elsewhere := func(words string) string { return acme[:end] + "          description: " + words + "\n" + acme[end:] }
	other, _ := written(t, elsewhere("Life in seconds."), elsewhere("Unix timestamp of its end."))
	assert.NotContains(t, other, "x-upstream-meaning", "only the properties that are watched have one")

	said, _ := written(t, edited(t, noted, "Life in seconds.", "Unix time of its end."), moved)
	assert.NotContains(t, said, "x-upstream-meaning", "our description says it now")
}

// TestRefusedWriteLeavesTheTree runs -write with descriptions that cannot be read, generated or compiled: no file of
// the module changes, and the next report is the same.
func TestRefusedWriteLeavesTheTree(t *testing.T) {
	t.Parallel()
	root := withAcme(t)
	before := files(t, root)
	const things = "      operationId: listThings\n"
	for _, test := range []struct {
		name, old, new string
		code           int
		want           string
	}{
		{"cannot be read", "        count:\n          type: string\n", "        count:\n          type: [string, 'null']\n", exitUnread, "a list of types, which is OpenAPI 3.1"},
		{"is OpenAPI 3.1", "        count:\n          type: string\n", "        count:\n          anyOf: [{type: string}, {type: 'null'}]\n", exitUnread, "which is OpenAPI 3.1"},
		{"refers to nothing", things, things + "      requestBody: {$ref: '#/components/requestBodies/None'}\n", exitUnread, "refers to #/components/requestBodies/None"},
		{"refers to itself", "        count:\n", "        loop: {$ref: '#/components/schemas/Thing/properties/loop'}\n        count:\n", exitUnread, "refers to itself"},
		{"has a hostile name", "        count:\n", "        \"a\\nfunc init() {}\": {type: string}\n        count:\n", exitUnread, "is not a name"},
		{"has text for a list", "      required:\n        - grant_type\n", "      required: yes\n", exitUnread, "is not a list"},
		{"is cut off", acme[strings.Index(acme, "components:"):], "", exitUnread, "refers to #/components/schemas/"},
		{"does not generate", things, things + "      parameters: [{name: id, in: path, required: true, schema: {type: string}}]\n", exitBreaking, "the generator refuses the merged description"},
		{"does not compile", "        count:\n", "        id-token:\n          type: string\n        idToken:\n          type: string\n        count:\n", exitBreaking, "does not compile"},
	} {
		t.Run(test.name, func(t *testing.T) {
			theirs := edited(t, acme, test.old, test.new)
			for range 2 {
				code, out, errors := runTool(t, theirs, "-root", root, "-vendor", "acme", "-from", "-", "-write")
				assert.Equal(t, test.code, code, errors)
				assert.Contains(t, out+errors, test.want)
				assert.NotContains(t, out, "nothing changed")
				assert.Equal(t, before, files(t, root))
			}
		})
	}
}

// files returns the content of every file below a directory.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = string(data)
		return err
	}))
	return all
}

// TestListsThatOursLacks adds lists that our description does not have yet.
func TestListsThatOursLacks(t *testing.T) {
	t.Parallel()
	thing := "    Thing:\n      type: object\n"
	for name, test := range map[string]struct{ theirs, want string }{
		"required": {edited(t, acme, thing, thing+"      required: [id, count]\n"), "      required:\n        - id\n        - count\n    OAuthError:\n"},
		"enum": {
			edited(t, acme, "        count:\n          type: string\n", "        count:\n          type: string\n          enum: [one, two]\n"),
			"          enum:\n            - one\n            - two\n        value:\n",
		},
		"parameters": {
			edited(t, acme, "      operationId: listThings\n", "      operationId: listThings\n      parameters:\n        - {name: limit, in: query, schema: {type: integer}}\n"),
			"      parameters:\n        - name: limit\n",
		},
		"security": {
			edited(t, acme, "      operationId: listThings\n", "      operationId: listThings\n      security: [{basic: []}, {bearer: []}]\n",
				"  securitySchemes:\n", "  securitySchemes:\n    bearer: {type: http, scheme: bearer}\n"),
			"- bearer: []\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := written(t, acme, test.theirs)
			assert.Contains(t, got, test.want)
		})
	}
}

// TestMeaningThatOursLacks compares a description that says what a number means with one of ours that does not.
func TestMeaningThatOursLacks(t *testing.T) {
	t.Parallel()
	ours := edited(t, acme, "          description: Life in seconds.\n", "          description: When it ends.\n")
	got, _ := written(t, ours, edited(t, acme, "Life in seconds.", "Unix timestamp of its end."))
	assert.NotContains(t, got, "x-upstream-meaning")
}

// TestPlacesOfSecurityAlternatives tests that a report says where an alternative stands.
func TestPlacesOfSecurityAlternatives(t *testing.T) {
	t.Parallel()
	c, err := readConfig("../..")
	require.NoError(t, err)
	theirs, err := openapi.Parse([]byte(edited(t, acme, "security:\n  - basic: []\n", "security:\n  - {}\n")))
	require.NoError(t, err)
	s := session{name: "acme", config: c, theirs: theirs, ours: acme}
	places := map[string][2]string{}
	for _, c := range s.reportOnly(t).Changes {
		places[c.What] = [2]string{c.Pointer, c.Upstream}
	}
	assert.Equal(t, map[string][2]string{
		`security alternative [{"scheme":"http","scopes":[]}] removed`: {"/security/0", ""},
		"security alternative [] added":                                {"/paths/~1oauth~1token/post/security", "/security/0"},
	}, places)
}

// TestKeywordsThatMeanSomethingElsewhere merges keywords of an operation that a vendor has in a schema, and one of its own
// in a server, as the values that they are.
func TestKeywordsThatMeanSomethingElsewhere(t *testing.T) {
	t.Parallel()
	const thing, url = "    Thing:\n      type: object\n", "  - url: https://{tenant}.example.com\n"
	odd := edited(t, acme, thing, thing+"      parameters:\n        - a\n      servers:\n        - b\n      security:\n        - c\n      responses:\n        d: e\n      url: 9\n",
		url, url+"    port: 8080\n")
	got, _ := written(t, acme, odd)
	want, _ := written(t, odd, odd)
	assert.ElementsMatch(t, strings.Split(want, "\n"), strings.Split(got, "\n"))
	back, _ := written(t, odd, acme)
	want, _ = written(t, acme, acme)
	assert.Equal(t, want, back)
}

// TestHeadersOfOurs tests a response whose headers we describe: a header that the vendor drops goes, and a new one is left.
func TestHeadersOfOurs(t *testing.T) {
	t.Parallel()
	const refused, headers = "          description: Refused.\n", "          headers:\n            X-Request-Id: {schema: {type: string}}\n"
	ours := edited(t, acme, refused, refused+headers)
	got, _ := written(t, ours, acme)
	assert.NotContains(t, got, "X-Request-Id")
	assert.NotContains(t, got, "A generated reader drops")

	got, _ = written(t, ours, edited(t, acme, refused, refused+headers+"            X-Cost: {schema: {type: integer}}\n"))
	assert.Contains(t, got, headers)
	assert.Contains(t, got, "            headers/X-Cost: A generated reader drops")

	got, _ = written(t, acme, ours)
	assert.Contains(t, got, "            headers: A generated reader drops")
}

// TestRenameBesideANewHeader renames the media type of a response that also gets a header.
func TestRenameBesideANewHeader(t *testing.T) {
	t.Parallel()
	const refused, media = "          description: Refused.\n", "            application/json:\n              schema:\n                $ref: '#/components/schemas/OAuthError'\n"
	ours := edited(t, acme, media, "            application/json:\n              schema:\n                type: object\n                description: Ours, in words.\n")
	theirs := edited(t, ours, refused, refused+"          headers: {X-Request-Id: {schema: {type: string}}}\n", "application/json:\n              schema:\n                type: object", "application/problem+json:\n              schema:\n                type: object")
	got, _ := written(t, ours, theirs)
	assert.Equal(t, 3, strings.Count(got, "            application/problem+json:\n              schema:\n                type: object\n                description: Ours, in words.\n"))
}

// TestKeyThatCannotBeRenamed renames a status whose key is written with an escape: it goes, and the new one comes.
func TestKeyThatCannotBeRenamed(t *testing.T) {
	t.Parallel()
	got, decide := written(t, edited(t, acme, "        '400':\n", "        \"4\\x300\":\n"), edited(t, acme, "'400':", "'422':"))
	assert.NotContains(t, got, "Refused.")
	assert.Contains(t, got, "        '422':\n          description: Unprocessable Entity.\n")
	assert.NotContains(t, strings.Join(decide, "\n"), "is now")
}

// TestNamesOfSecuritySchemes tests under which name a scheme of the vendor's is written into a list of ours.
func TestNamesOfSecuritySchemes(t *testing.T) {
	t.Parallel()
	const (
		things = "      operationId: listThings\n"
		token  = "      operationId: createAccessToken\n"
		basic  = "    basic: {type: http, scheme: basic}\n"
		global = "security:\n  - basic: []\n"
	)
	oauth := func(name, url string) string {
		return "    " + name + ": {type: oauth2, flows: {clientCredentials: {tokenUrl: " + url + ", scopes: {a: A., b: B.}}}}\n"
	}
	needs := func(op, scheme, scopes string) string {
		return op + "      security: [{" + scheme + ": [" + scopes + "]}]\n"
	}

	t.Run("ours, if the vendor does not define it", func(t *testing.T) {
		t.Parallel()
		ours := edited(t, acme, things, needs(things, "oauth", "a"), basic, basic+oauth("oauth", "https://example.com"))
		got, _ := written(t, ours, edited(t, acme, things, needs(things, "oauth", "a, b")))
		assert.Contains(t, got, "        - oauth:\n            - a\n            - b\n")
	})
	t.Run("ours, if the vendor defines it otherwise", func(t *testing.T) {
		t.Parallel()
		theirs := edited(t, acme, global, "security:\n  - basic: []\n    key: []\n", basic, "    basic: {type: http, scheme: digest}\n    key: {type: apiKey, in: header, name: X-Key}\n")
		got, _ := written(t, acme, theirs)
		assert.Contains(t, got, "        - basic: []\n          key: []\n")
		assert.Contains(t, got, "    basic:\n      type: http\n      scheme: digest\n    key:\n      type: apiKey\n")
	})
	t.Run("ours, if the vendor has two in its place", func(t *testing.T) {
		t.Parallel()
		ours := edited(t, acme, token, needs(token, "oauth", "a"), things, needs(things, "oauth", "a"), basic, basic+oauth("oauth", "https://example.com"))
		theirs := edited(t, acme, token, needs(token, "OAuthA", "a"), things, needs(things, "OAuthB", "a, b"),
			basic, basic+oauth("OAuthA", "https://example.com/a")+oauth("OAuthB", "https://example.com/b"))
		s := acmeSession(t, ours, theirs)
		decide, err := s.merge()
		require.NoError(t, err)
		assert.Contains(t, strings.Join(decide, "\n"), "/tokenUrl: we share one component where upstream now has two")
		assert.Contains(t, s.merged, "        - oauth:\n            - a\n            - b\n")
	})
	t.Run("the vendor's, if ours has none", func(t *testing.T) {
		t.Parallel()
		got, _ := written(t, edited(t, acme, global, "", "  securitySchemes:\n"+basic, ""), acme)
		assert.Equal(t, 2, strings.Count(got, "      security:\n        - basic: []\n"))
		assert.Contains(t, got, "  securitySchemes:\n    basic:\n      type: http\n      scheme: basic\n")
	})
}

// bareDescription is one without components.
const bareDescription = `openapi: 3.0.1
x-spare: &spare {securitySchemes: {other: {type: http, scheme: digest}}, schemas: {Kind: {type: string}}}
x-schemas: &schemas {Kind: {type: string}}
paths:
  /things:
    get:
      responses:
        '200':
          description: The things.
          content:
            application/json:
              schema:
                type: object
                properties:
                  id:
                    type: string
`

// TestFirstComponent adds the first component to a description, and to a section that has none.
func TestFirstComponent(t *testing.T) {
	t.Parallel()
	theirs := edited(t, bareDescription, "                  id:\n", "                  size:\n                    $ref: '#/components/schemas/Size'\n                  id:\n") +
		"components:\n  schemas:\n    Size:\n      type: object\n      properties:\n        length:\n          type: integer\n"
	want, _ := written(t, theirs, theirs)
	for _, components := range []string{"", "components: {}\n", "components:\n  schemas:\n"} {
		got, _ := written(t, bareDescription+components, theirs)
		assert.Equal(t, withoutHashes(want), withoutHashes(got), components)
	}
}

// TestComponentsBehindAnAlias tests components of ours that stand elsewhere, in flow style, and cannot be edited there.
func TestComponentsBehindAnAlias(t *testing.T) {
	t.Parallel()
	const id, kind = "                  id:\n", "                  kind:\n                    $ref: '#/components/schemas/Kind'\n"
	size := edited(t, bareDescription, id, "                  size:\n                    $ref: '#/components/schemas/Size'\n"+id) +
		"components:\n  schemas:\n    Size:\n      type: object\n      properties:\n        length:\n          type: integer\n"
	secured := edited(t, bareDescription, "      responses:\n", "      security: [{basic: []}]\n      responses:\n") + "components:\n  securitySchemes:\n    basic: {type: http, scheme: basic}\n"
	for name, test := range map[string]struct{ ours, theirs, want, decide string }{
		"a new one is written out":       {bareDescription + "components:\n  schemas: *schemas\n", size, "                  size:\n                    type: object\n", "/size: a new property"},
		"so if the section is new":       {strings.Replace(bareDescription, ", schemas: {Kind: {type: string}}}", "}", 1) + "components: *spare\n", size, "                  size:\n                    type: object\n", "/size: a new property"},
		"what is no longer needed stays": {edited(t, bareDescription, id, kind+id) + "components:\n  schemas: *schemas\n", bareDescription, "x-schemas: &schemas {Kind: {type: string}}\n", "/components/schemas/Kind is no longer referred to: /components/schemas is an alias"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, decide := written(t, test.ours, test.theirs)
			assert.Contains(t, got, test.want)
			assert.NotContains(t, got, "#/components/schemas/")
			assert.Contains(t, strings.Join(decide, "\n"), test.decide)
		})
	}
	for _, ours := range []string{
		bareDescription + "components: *spare\n",
		strings.Replace(bareDescription, "{securitySchemes: {other: {type: http, scheme: digest}}, ", "{", 1) + "components: *spare\n",
	} {
		s := acmeSession(t, ours, secured)
		decide, err := s.merge()
		require.NoError(t, err)
		assert.NotContains(t, s.merged, "basic", "no name of what is not defined")
		assert.Contains(t, strings.Join(decide, "\n"), "/components is an alias")
	}
}

// TestSharedParameterComponentThatBecomesTwo changes a parameter in one of two operations that share a component for it.
func TestSharedParameterComponentThatBecomesTwo(t *testing.T) {
	t.Parallel()
	const (
		token, things = "      operationId: createAccessToken\n      parameters:\n", "      operationId: listThings\n"
		ref           = "        - $ref: '#/components/parameters/Limit'\n"
		limit         = "        - {name: X-Limit, in: header, schema: {type: integer}}\n"
	)
	ours := edited(t, acme, token, token+ref, things, things+"      parameters:\n"+ref,
		"components:\n", "components:\n  parameters:\n    Limit: {name: X-Limit, in: header, description: Ours., schema: {type: integer}}\n")
	theirs := func(limits ...string) string {
		return edited(t, acme, token, token+limits[0], things, things+"      parameters:\n"+limits[1])
	}
	number := strings.Replace(limit, "integer", "number", 1)

	got, decide := written(t, ours, theirs(limit, number))
	assert.Equal(t, 1, strings.Count(got, "      parameters:\n"+ref))
	assert.Contains(t, got, "      parameters:\n        - name: X-Limit\n          in: header\n          schema:\n            type: number\n      responses:\n")
	assert.Contains(t, strings.Join(decide, "\n"), "GET /things/parameters/header:X-Limit no longer shares a component")

	// A header whose name is in another case is not found in the vendor's operation.
	s := acmeSession(t, ours, theirs(limit, strings.Replace(number, "X-Limit", "x-limit", 1)))
	decide, err := s.merge()
	require.NoError(t, err)
	assert.Contains(t, strings.Join(decide, "\n"), "GET /things/parameters/header:X-Limit/schema/type: we share one component where upstream now has two")
}

// TestServerThatOursLacks tests that the first server of a description is left to a person.
func TestServerThatOursLacks(t *testing.T) {
	t.Parallel()
	ours := edited(t, acme, "servers:\n  - url: https://{tenant}.example.com\n    variables:\n      tenant: {default: acme}\n", "")
	s := acmeSession(t, ours, acme)
	decide, err := s.merge()
	require.NoError(t, err)
	assert.NotContains(t, s.merged, "servers:")
	assert.Contains(t, strings.Join(decide, "\n"), "GET /things/servers/https:~1~1{tenant}.example.com: upstream names a server, ours none")
}

// TestReferencesInWhatIsNew tests which components of the vendor's become components of ours: schemas that have a Go type
// of their own.
func TestReferencesInWhatIsNew(t *testing.T) {
	t.Parallel()
	const (
		count, things = "        count:\n", "      operationId: listThings\n"
		components    = `components:
  parameters:
    Limit: {name: limit, in: query, schema: {type: integer}}
    Order: {name: order, in: query, schema: {$ref: '#/components/schemas/Order'}}
    Page: {name: page, in: query, enum: [a, b], schema: {type: string}}
    Version: {name: x-moov-version, in: header, schema: {$ref: '#/components/schemas/Version'}}
`
		schemas = "    Text: {type: string, maxLength: 9}\n    Level: {type: string, enum: [low, high]}\n    Order: {type: string, enum: [up, down]}\n    Version: {type: string, enum: [v1, v2]}\n"
	)
	parameters := "      parameters:\n"
	for _, name := range []string{"Limit", "Order", "Page", "Version"} {
		parameters += "        - $ref: '#/components/parameters/" + name + "'\n"
	}
	got, decide := written(t, acme, edited(t, acme, "components:\n", components, "    TokenType:\n", schemas+"    TokenType:\n", things, things+parameters,
		count, "        level:\n          $ref: '#/components/schemas/Level'\n        text:\n          $ref: '#/components/schemas/Text'\n"+count))
	assert.Contains(t, got, "        level:\n          $ref: '#/components/schemas/Level'\n        text:\n          type: string\n          maxLength: 9\n")
	assert.Contains(t, got, "        - name: limit\n          in: query\n          schema:\n            type: integer\n"+
		"        - name: order\n          in: query\n          schema:\n            $ref: '#/components/schemas/Order'\n"+
		"        - name: page\n          in: query\n          enum:\n            - a\n            - b\n          schema:\n            type: string\n"+
		"        - name: x-moov-version\n          in: header\n          schema:\n            type: string\n            x-deviation:\n              enum: A Go type of versions")
	var made []string
	for _, line := range decide {
		if name, ok := strings.CutPrefix(line, "new component "); ok {
			made = append(made, strings.TrimSuffix(name, ", named by upstream: give it a name and words of ours"))
		}
	}
	assert.Equal(t, []string{"Order", "Level"}, made)
}

// TestReferenceToOneOfTwoEqualComponents adds a reference to one of two components of the vendor's that ours has as one.
func TestReferenceToOneOfTwoEqualComponents(t *testing.T) {
	t.Parallel()
	const count, kind = "        count:\n", "        kind:\n          $ref: '#/components/schemas/"
	ours := edited(t, acme, count, kind+"TokenType'\n"+count)
	theirs := edited(t, acme, count, kind+"Kind'\n        size:\n          $ref: '#/components/schemas/Kind'\n"+count,
		"    TokenType:\n", "    Kind:\n      type: string\n      enum:\n        - bearer\n        - mac\n    TokenType:\n")
	got, _ := written(t, ours, theirs)
	assert.Contains(t, got, "        size:\n          $ref: '#/components/schemas/TokenType'\n")
	assert.NotContains(t, got, "Kind")
}

// TestChangesInAnotherDocument merges what a vendor describes in a document of its own.
func TestChangesInAnotherDocument(t *testing.T) {
	t.Parallel()
	const count = "        count:\n          type: string\n"
	const types = "components:\n  schemas:\n    Size: {type: object, properties: {length: {type: integer}}}\n    Count: {type: string, maxLength: 9}\n"
	theirs, err := openapi.ParseAt("openapi.yaml", []byte(edited(t, acme, count, "        size: {$ref: 'types.yaml#/components/schemas/Size'}\n        count: {$ref: 'types.yaml#/components/schemas/Count'}\n")),
		func(string) ([]byte, error) { return []byte(types), nil })
	require.NoError(t, err)
	s := acmeSession(t, acme, acme)
	s.theirs = theirs
	_, err = s.merge()
	require.NoError(t, err)
	assert.Contains(t, s.merged, "        size:\n          type: object\n          properties:\n            length:\n              type: integer\n"+count+"          maxLength: 9\n")
	s.ours = s.merged
	assert.Empty(t, described(s.reportOnly(t)))
}

// TestSharedMappingThatBecomesTwo adds a name to the discriminator of one of two schemas of the vendor's that ours has as one.
func TestSharedMappingThatBecomesTwo(t *testing.T) {
	t.Parallel()
	const failure = "    OAuthError:\n      type: object\n"
	mapped := func(names string) string {
		return failure + "      discriminator:\n        propertyName: error\n        mapping:\n" + names
	}
	const one, two = "          a: '#/components/schemas/Thing'\n", "          b: '#/components/schemas/Thing'\n"
	theirs := edited(t, acme, "          description: No token.\n          content:\n            application/json:\n              schema:\n                $ref: '#/components/schemas/OAuthError'\n",
		"          description: No token.\n          content:\n            application/json:\n              schema:\n                $ref: '#/components/schemas/Other'\n",
		failure, strings.Replace(mapped(one+two), "OAuthError", "Other", 1)+"      properties: {error: {type: string}}\n"+mapped(one))
	got, decide := written(t, edited(t, acme, failure, mapped(one)), theirs)
	assert.Contains(t, got, mapped(one)+"      properties:\n")
	assert.Contains(t, got, "    Other:\n")
	assert.Contains(t, strings.Join(decide, "\n"), "GET /things/responses/401/content/application~1json/schema no longer shares a component")

	both := edited(t, theirs, mapped(one), mapped(one+strings.Replace(two, "Thing", "OAuthError", 1)))
	got, decide = written(t, edited(t, acme, failure, mapped(one)), both)
	assert.Contains(t, got, mapped(one+"          b: ''\n"))
	assert.NotContains(t, strings.Join(decide, "\n"), "no longer shares", "the names of components mean nothing")
}

// TestSharedEnumThatBecomesTwo adds a value to one of two enums of the vendor's that ours has as one.
func TestSharedEnumThatBecomesTwo(t *testing.T) {
	t.Parallel()
	const count, kind, enum = "        count:\n", "        kind:\n          $ref: '#/components/schemas/", "      type: string\n      enum:\n        - bearer\n        - mac\n"
	ours := edited(t, acme, count, kind+"TokenType'\n"+count)
	theirs := edited(t, acme, count, kind+"Kind'\n"+count, "    TokenType:\n", "    Kind:\n"+enum+"        - DPoP\n    TokenType:\n")
	got, decide := written(t, ours, theirs)
	assert.Contains(t, got, kind+"Kind'\n")
	assert.Contains(t, got, "    Kind:\n"+enum+"        - DPoP\n")
	assert.Equal(t, 1, strings.Count(got, "DPoP"))
	assert.Contains(t, strings.Join(decide, "\n"), "properties/kind no longer shares a component")
}

// TestGoTypesOfNewProperties tests that a rule for Go types applies only to new properties that it matches in full.
func TestGoTypesOfNewProperties(t *testing.T) {
	t.Parallel()
	const count = "        count:\n"
	tags := "        tags:\n          type: array\n"
	ours := edited(t, acme, count, tags+count)
	got, _ := written(t, ours, edited(t, acme, count, tags+"          items: {type: string, format: date-time}\n"+
		"        day: {type: string, format: date}\n        made_of_secret: {type: string, format: date-time}\n        has_secret: {type: boolean}\n        made: {type: string, format: date-time}\n"+count,
		"            - type: integer\n", "            - type: integer\n            - {type: string, format: date-time}\n"))
	assert.Equal(t, 2, strings.Count(got, "x-go-type: wire."))
	assert.Contains(t, got, "        made_of_secret:\n          type: string\n          format: date-time\n          x-go-type: wire.Time\n", "the first rule counts")
	assert.Contains(t, got, "        made:\n          type: string\n          format: date-time\n          x-go-type: wire.Time\n")

	got, _ = written(t, ours, edited(t, acme, count, tags+"          items: {type: object, properties: {id: {type: string}, expires_in: {type: integer}, user_secret: {type: string}}}\n"+count))
	assert.Contains(t, got, "              expires_in:\n                type: integer\n                x-go-type: json.Number\n")
	assert.Contains(t, got, "              user_secret:\n                type: string\n                x-go-type: wire.Secret\n")

	got, _ = written(t, acme, edited(t, acme, "        client_secret:\n", "        password: {type: string}\n        login: {type: object, properties: {id: {type: string}, password: {type: string}}}\n        client_secret:\n"))
	assert.Equal(t, 2, strings.Count(got, "password:"))
	assert.NotContains(t, got, "wire.Secret", "a request needs the text")
}

// TestGoTypesOfWhatComesApart tests that a schema that is no longer shared has the Go types of a new one.
func TestGoTypesOfWhatComesApart(t *testing.T) {
	t.Parallel()
	const list, token = "                type: array\n                items:\n                  $ref: '#/components/schemas/Thing'\n", "                $ref: '#/components/schemas/AccessToken'\n"
	ours := edited(t, acme, list, token)
	got, _ := written(t, ours, edited(t, acme, list, "                type: object\n                required: [access_token]\n                properties: {access_token: {type: string, maxLength: 9}, expires_in: {type: integer}}\n"))
	assert.Contains(t, got, "                  expires_in:\n                    type: integer\n                    x-go-type: json.Number\n")
}

// TestMapsThatOursLacks adds the first member of maps that our description does not have yet.
func TestMapsThatOursLacks(t *testing.T) {
	t.Parallel()
	const (
		gone    = "        '401':\n          description: No token.\n"
		body    = "          content:\n            application/json:\n              schema:\n                $ref: '#/components/schemas/OAuthError'\n"
		failure = "    OAuthError:\n      type: object\n      properties:\n        error:\n          type: string\n"
	)
	for name, test := range map[string][2]string{
		"content":    {gone + body, gone},
		"properties": {failure, "    OAuthError:\n      type: object\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := written(t, edited(t, acme, test[0], test[1]), acme)
			want, _ := written(t, acme, acme)
			assert.Equal(t, withoutHashes(want), withoutHashes(got))
		})
	}
}

// TestServerIsWrittenByOurRule tests that the URL of a server is written as the rules of specsync.yaml say.
func TestServerIsWrittenByOurRule(t *testing.T) {
	t.Parallel()
	s := acmeSession(t, acme, edited(t, acme, "https://{tenant}.example.com", "https://{tenant}.example.net/beta"))
	s.config.Vendors["acme"] = vendor{Servers: []rewrite{{compile("^(.*)/beta$"), "$1"}}}
	_, err := s.merge()
	require.NoError(t, err)
	assert.Contains(t, s.merged, "  - url: https://{tenant}.example.net\n")
}

// TestParameterThatWeHave adds a reference to a parameter that ours has as a component for another operation.
func TestParameterThatWeHave(t *testing.T) {
	t.Parallel()
	const things, ref = "      operationId: listThings\n", "        - $ref: '#/components/parameters/Limit'\n"
	const token = "      operationId: createAccessToken\n      parameters:\n"
	ours := edited(t, acme, token, token+ref, "components:\n", "components:\n  parameters:\n    Limit: {name: limit, in: query, description: Ours., schema: {type: integer}}\n")
	got, _ := written(t, ours, edited(t, ours, things, things+"      parameters:\n"+ref))
	assert.Equal(t, 2, strings.Count(got, "      parameters:\n"+ref))
}

// TestResponseThatWeHaveTwice changes a component of the vendor's that ours has written out in one operation and as a
// component in another: the words of both stay.
func TestResponseThatWeHaveTwice(t *testing.T) {
	t.Parallel()
	const (
		media   = "            application/json:\n              schema:\n                $ref: '#/components/schemas/OAuthError'\n"
		refused = "        '400':\n          description: Refused.\n          content:\n" + media
		noToken = "        '401':\n          description: No token.\n          content:\n" + media
		failed  = "          $ref: '#/components/responses/Failed'\n"
	)
	shared := func(media string) string {
		return "components:\n  responses:\n    Failed:\n      description: Failed.\n      content:\n" + media
	}
	plain := "        application/json:\n          schema:\n            $ref: '#/components/schemas/OAuthError'\n"
	ours := edited(t, acme, noToken, "        '401':\n"+failed, "components:\n", shared(plain))
	theirs := edited(t, acme, noToken, "        '401':\n"+failed, refused, "        '400':\n"+failed, "components:\n", shared(plain+strings.Replace(plain, "/json", "/problem+json", 1)))
	got, _ := written(t, ours, theirs)
	assert.Contains(t, got, refused+strings.Replace(media, "/json", "/problem+json", 1))
	assert.Contains(t, got, shared(plain+strings.Replace(plain, "/json", "/problem+json", 1)))
}

// TestNewComponents tests new components that refer to themselves or each other, are used twice, or have a name that is none in Go.
func TestNewComponents(t *testing.T) {
	t.Parallel()
	const count = "        count:\n"
	schemas := "    Man: {type: object, properties: {dog: {$ref: '#/components/schemas/Dog'}}}\n    Dog: {type: object, properties: {man: {$ref: '#/components/schemas/Man'}}}\n    acme.tree-node: {type: object, properties: {children: {type: array, items: {$ref: '#/components/schemas/acme.tree-node'}}}}\n    Size: {type: object, properties: {a: {type: integer}}}\n"
	got, decide := written(t, acme, edited(t, acme, "    OAuthError:\n", schemas+"    OAuthError:\n", count,
		"        box: {type: object, properties: {inner: {$ref: '#/components/schemas/Size'}, outer: {$ref: '#/components/schemas/Size'}}}\n"+
			"        tree: {$ref: '#/components/schemas/acme.tree-node'}\n        own: {$ref: '#/x-own/schemas/Own'}\n        man: {$ref: '#/components/schemas/Man'}\n"+count)+
		"x-own: {schemas: {Own: {type: object, properties: {b: {type: string}}}}}\n")
	assert.Contains(t, got, "    AcmeTreeNode:\n      type: object\n      properties:\n        children:\n          type: array\n          items:\n            $ref: '#/components/schemas/AcmeTreeNode'\n")
	assert.Equal(t, 2, strings.Count(got, "$ref: '#/components/schemas/Size'"))
	assert.Contains(t, got, "        own:\n          type: object\n")
	assert.Contains(t, got, "    Man:\n      type: object\n      properties:\n        dog:\n          $ref: '#/components/schemas/Dog'\n")
	assert.Contains(t, got, "    Dog:\n      type: object\n      properties:\n        man:\n          $ref: '#/components/schemas/Man'\n")
	assert.NotContains(t, strings.Join(decide, "\n"), "component Own")
	assert.NotContains(t, got, "Size2")
}

// TestBranchesOfWhatComesApart adds a branch to one of two schemas that ours has as one.
func TestBranchesOfWhatComesApart(t *testing.T) {
	t.Parallel()
	const (
		count    = "        count:\n"
		branches = "      anyOf:\n        - {type: string, description: As text.}\n        - {type: integer, description: As a number.}\n"
		more     = "      anyOf:\n        - {type: string, description: As text.}\n        - {type: integer, description: As a number.}\n        - {type: boolean, description: Yes or no.}\n"
		thing    = "    Thing:\n"
	)
	base := edited(t, acme, count, "        first: {$ref: '#/components/schemas/Value'}\n        second: {$ref: '#/components/schemas/Value'}\n"+count)
	theirs := edited(t, base, "second: {$ref: '#/components/schemas/Value'}", "second: {$ref: '#/components/schemas/More'}", thing, "    Value:\n"+branches+"    More:\n"+more+thing)
	got, decide := written(t, edited(t, base, thing, "    Value:\n"+branches+thing), theirs)
	assert.Contains(t, got, "    Value:\n"+branches+thing)
	assert.Contains(t, got, "#/components/schemas/More'")
	assert.Contains(t, strings.Join(decide, "\n"), "new component More")
}
