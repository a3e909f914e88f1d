package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// TestChangesOfWhatAcmeLacks tests changes of keywords that Acme's description does not have: each test case adds one
// to ours, and a different one to the vendor's. All are merged.
func TestChangesOfWhatAcmeLacks(t *testing.T) {
	t.Parallel()
	const (
		request = "        client_secret:\n          type: string\n"
		reply   = "        count:\n          type: string\n"
		things  = "      operationId: listThings\n"
		server  = "  - url: https://{tenant}.example.com\n    variables:\n      tenant: {default: acme}\n"
		array   = "              schema:\n                type: array\n"
		schemes = "    basic: {type: http, scheme: basic}\n"
		form    = "              $ref: '#/components/schemas/AccessTokenRequest'\n"
		part    = "            encoding: {scope: {contentType: text/plain"
		header  = "          in: header\n"
		refused = "          description: Refused.\n"
		body    = "      requestBody: {content: {application/json: {schema: {type: string}}}}\n"
		needed  = "      requestBody: {required: true, content: {application/json: {schema: {type: string}}}}\n"
	)
	scopes := func(list string) string { return things + "      security: [{oauth: [" + list + "]}]\n" }
	oauth := func(url string) string {
		return schemes + "    oauth: {type: oauth2, flows: {clientCredentials: {tokenUrl: '" + url + "', scopes: {a: A., b: B.}}}}\n"
	}
	for name, test := range map[string]struct {
		old          string // a text in Acme's description
		ours, theirs string // its replacements in ours and in the vendor's
		want         []string
		also         []string // replaced in both
	}{
		"limit of a request loosened":    {request, request + "          maxLength: 10\n", request + "          maxLength: 20\n", []string{"additive: client_secret: maxLength changed"}, nil},
		"limit of a request tightened":   {request, request + "          maxLength: 20\n", request + "          maxLength: 10\n", []string{"breaking: client_secret: maxLength changed"}, nil},
		"least length of a request less": {request, request + "          minLength: 5\n", request + "          minLength: 3\n", []string{"additive: client_secret: minLength changed"}, nil},
		"least length of a request more": {request, request + "          minLength: 3\n", request + "          minLength: 5\n", []string{"breaking: client_secret: minLength changed"}, nil},
		"limit of a request gone":        {request, request + "          maxLength: 20\n", request, []string{"additive: client_secret: maxLength removed"}, nil},
		"pattern of a request":           {request, request, request + "          pattern: ^a\n", []string{"breaking: client_secret: pattern added"}, nil},
		"pattern of a request gone":      {request, request + "          pattern: ^a\n", request, []string{"additive: client_secret: pattern removed"}, nil},
		"pattern of a response":          {reply, reply, reply + "          pattern: ^a\n", []string{"tolerated: count: pattern added"}, nil},
		"no member twice, in a response": {array, array, strings.Replace(array, "type: array\n", "type: array\n                uniqueItems: true\n", 1), []string{"tolerated: 200: uniqueItems added"}, nil},
		"format without a Go type":       {reply, reply + "          format: password\n", reply + "          format: hostname\n", []string{"tolerated: count: format changed"}, nil},
		"format with a Go type":          {reply, reply + "          format: password\n", reply + "          format: byte\n", []string{"breaking: count: format changed"}, nil},
		"further members of a response":  {"    Thing:\n      type: object\n", "    Thing:\n      type: object\n", "    Thing:\n      type: object\n      additionalProperties: false\n", []string{"tolerated: 200: additionalProperties added"}, nil},
		"no member twice, in a request":  {request, request, request + "          uniqueItems: true\n", []string{"breaking: client_secret: uniqueItems added"}, nil},
		"further members of a request":   {"    AccessTokenRequest:\n      type: object\n", "    AccessTokenRequest:\n      type: object\n", "    AccessTokenRequest:\n      type: object\n      additionalProperties: false\n", []string{"breaking: additionalProperties added"}, nil},
		"format that had a Go type":      {reply, reply + "          format: byte\n", reply + "          format: password\n", []string{"breaking: count: format changed"}, nil},
		"nullable in a request no more":  {request, request + "          nullable: true\n", request, []string{"breaking: client_secret: nullable removed"}, nil},
		"values of a request":            {request, request, request + "          enum: [a]\n", []string{"breaking: client_secret: enum added"}, nil},
		"values of a response":           {reply, reply, reply + "          enum: [a]\n", []string{"breaking: count: enum added"}, nil},
		"branch of a request":            {request, "        client_secret:\n          anyOf: [{type: string}]\n", "        client_secret:\n          anyOf: [{type: string}, {type: integer}]\n", []string{"breaking: client_secret: anyOf branch 1 added"}, nil},
		"header of a part of a request":  {form, form + part + "}}\n", form + part + ", headers: {X-A: {schema: {type: string}}}}}\n", []string{"additive: response header X-A added"}, nil},
		"value of a request gone":        {"            - refresh_token\n", "            - refresh_token\n", "", []string{"breaking: grant_type: enum value refresh_token removed"}, nil},
		"type gone":                      {reply, reply + "          maxLength: 5\n", "        count:\n          maxLength: 6\n", []string{"breaking: count: type removed", "tolerated: count: maxLength changed"}, nil},
		"time that our decoder reads":    {reply, reply + "          x-go-type: wire.Time\n          x-deviation: {x-go-type: Ours.}\n", reply + "          format: date-time\n", []string{"tolerated: count: format added"}, nil},
		"any value, which we keep":       {reply, reply + "          x-go-type: json.RawMessage\n          x-deviation: {x-go-type: Ours.}\n", strings.Replace(reply, "string", "integer", 1), []string{"tolerated: count: type changed"}, nil},
		"limit of any value":             {request, request + "          x-go-type: any\n          x-deviation: {x-go-type: Ours.}\n", request + "          maxLength: 5\n", []string{"breaking: client_secret: maxLength added"}, nil},
		"style of a parameter":           {header, header, header + "          style: simple\n", []string{"breaking: X-Version: style added"}, nil},
		"parameter becomes required":     {header, header, header + "          required: true\n", []string{"breaking: X-Version: required added"}, nil},
		"parameter becomes optional":     {header, header + "          required: true\n", header, []string{"additive: X-Version: required removed"}, nil},
		"response header gone":           {refused, refused + "          headers: {X-Left: {schema: {type: string}}}\n", refused, []string{"breaking: 400: response header X-Left removed"}, nil},
		"format of a bearer token":       {schemes, "    basic: {type: http, scheme: bearer}\n", "    basic: {type: http, scheme: bearer, bearerFormat: JWT}\n", []string{"tolerated: bearerFormat added"}, nil},
		"type of a security scheme": {schemes, schemes, "    basic: {type: apiKey, in: header, name: X-Key}\n",
			[]string{"breaking: type changed", "breaking: scheme removed", "tolerated: in added", "tolerated: name added"}, nil},
		"no credentials any more":        {things, things, things + "      security: []\n", []string{`breaking: security alternative [{"scheme":"http","scopes":[]}] removed`}, nil},
		"deprecated operation":           {things, things, things + "      deprecated: true\n", []string{"tolerated: deprecated added"}, nil},
		"body":                           {things, things, things + body, []string{"additive: requestBody added"}, nil},
		"body that is required":          {things, things, things + needed, []string{"breaking: requestBody added"}, nil},
		"body gone":                      {things, things + body, things, []string{"breaking: requestBody removed"}, nil},
		"second server":                  {server, server, server + "  - url: https://example.com\n", []string{"additive: server https://example.com added"}, nil},
		"second server gone":             {server, server + "  - url: https://example.com\n", server, []string{"breaking: server https://example.com removed"}, nil},
		"default of a server variable":   {server, server, "  - url: https://{tenant}.example.com\n    variables:\n      tenant: {default: other}\n", []string{"tolerated: default changed"}, nil},
		"values of a server variable":    {server, server, "  - url: https://{tenant}.example.com\n    variables:\n      tenant: {default: acme, enum: [acme]}\n", []string{"tolerated: enum added"}, nil},
		"scope more":                     {things, scopes("a"), scopes("a, b"), []string{"breaking: scope b added"}, []string{schemes, oauth("https://example.com")}},
		"scope less":                     {things, scopes("a, b"), scopes("a"), []string{"additive: scope b removed"}, []string{schemes, oauth("https://example.com")}},
		"first scope":                    {things, scopes(""), scopes("a"), []string{"additive: scope a added"}, []string{schemes, oauth("https://example.com")}},
		"URL of an authorization server": {schemes, oauth("https://example.com/a"), oauth("https://example.com/b"), []string{"tolerated: tokenUrl changed"}, []string{things, scopes("a")}},
		"kind of a security scheme":      {schemes, schemes, "    basic: {type: http, scheme: digest}\n", []string{"breaking: scheme changed"}, nil},
		"written out where ours is a component": {reply, reply + "        kind:\n          $ref: '#/components/schemas/TokenType'\n",
			reply + "        kind:\n          type: string\n          enum:\n            - bearer\n            - mac\n", nil, nil},
		"a component where ours is written out": {reply, reply + "        kind:\n          type: object\n          properties:\n            error: {type: string, maxLength: 9}\n",
			reply + "        kind:\n          $ref: '#/components/schemas/OAuthError'\n", []string{"tolerated: error: maxLength removed"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := edited(t, acme, test.also...)
			ours, theirs := edited(t, base, test.old, test.ours), edited(t, base, test.old, test.theirs)
			s := acmeSession(t, ours, theirs)
			assert.Equal(t, test.want, described(s.reportOnly(t)))
			written(t, ours, theirs)
		})
	}
}

// TestFormats tests which formats in a response change the Go type of a string.
func TestFormats(t *testing.T) {
	t.Parallel()
	const count = "        count:\n          type: string\n"
	for want, formats := range map[string][]string{
		"breaking: count: format added": {
			"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "double", "date", "date-time",
			"uuid", "email", "byte", "binary", "json",
		},
		"tolerated: count: format added": {"hostname", "ipv4", "password", "uri"},
	} {
		for _, format := range formats {
			s := acmeSession(t, acme, edited(t, acme, count, count+"          format: "+format+"\n"))
			assert.Equal(t, []string{want}, described(s.reportOnly(t)), format)
		}
	}
}

// TestLimits tests that a request with a value that was allowed stays allowed if a limit is loosened, and that
// responses may have any.
func TestLimits(t *testing.T) {
	t.Parallel()
	const secret, count = "        client_secret:\n          type: string\n", "        count:\n          type: string\n"
	limits := []string{
		"maximum", "maxLength", "maxItems", "maxProperties", "exclusiveMaximum",
		"minimum", "minLength", "minItems", "minProperties", "exclusiveMinimum",
	}
	loose, tight := "", ""
	for _, limit := range limits {
		wide, narrow := "8", "7.5"
		if strings.Contains(strings.ToLower(limit), "min") {
			wide, narrow = narrow, wide
		}
		loose += "          " + limit + ": " + wide + "\n"
		tight += "          " + limit + ": " + narrow + "\n"
	}
	for _, test := range []struct{ of, was, is, class, verb string }{
		{secret, tight, loose, "additive", "changed"},
		{secret, loose, tight, "breaking", "changed"},
		{secret, "", tight, "breaking", "added"},
		{secret, tight, "", "additive", "removed"},
		{count, loose, tight, "tolerated", "changed"},
		{count, "", tight, "tolerated", "added"},
	} {
		s := acmeSession(t, edited(t, acme, test.of, test.of+test.was), edited(t, acme, test.of, test.of+test.is))
		name, _, _ := strings.Cut(strings.TrimSpace(test.of), ":")
		var want []string
		for _, limit := range limits {
			want = append(want, test.class+": "+name+": "+limit+" "+test.verb)
		}
		assert.Equal(t, want, described(s.reportOnly(t)))
	}
}

// TestScopesOfWhichOneIsEnough tests a vendor that requires only one of the scopes of an alternative.
func TestScopesOfWhichOneIsEnough(t *testing.T) {
	t.Parallel()
	const things, basic = "      operationId: listThings\n", "    basic: {type: http, scheme: basic}\n"
	with := func(scopes string) string {
		return edited(t, acme, things, things+"      security: [{oauth: ["+scopes+"]}]\n",
			basic, basic+"    oauth: {type: oauth2, flows: {clientCredentials: {tokenUrl: https://example.com, scopes: {a: A., b: B.}}}}\n")
	}
	c, err := readConfig("../..")
	require.NoError(t, err)
	c.Vendors["acme"] = vendor{Scopes: "any"}
	for want, texts := range map[string][2]string{
		"additive: scope b added":   {with("a"), with("a, b")},
		"breaking: scope b removed": {with("a, b"), with("a")},
	} {
		theirs, err := openapi.Parse([]byte(texts[1]))
		require.NoError(t, err)
		s := session{name: "acme", config: c, theirs: theirs, ours: texts[0]}
		assert.Equal(t, []string{want}, described(s.reportOnly(t)))
	}
}

// TestListInTheProse compares a list that the vendor has only in prose.
func TestListInTheProse(t *testing.T) {
	t.Parallel()
	const things = "      operationId: listThings\n"
	c, err := readConfig("../..")
	require.NoError(t, err)
	c.Vendors["acme"] = vendor{Lists: []listRule{{Operation: "GET /things", Item: compile(`(?m)^\s*\* (\w+)\s*$`), Ours: "x-listed"}}}
	ours := edited(t, acme, things, things+"      x-listed: [a, b]\n")
	for words, want := range map[string][]string{
		"Those are: a, b.":    nil, // another format
		"\"* a\\n* b\"":       nil,
		"\"* b\\n* a\"":       nil,
		"\"* a\\n* c\\n\\n\"": {"breaking: b removed from the list in the prose (the structure does not show it; x-listed is kept by hand)", "additive: c added to the list in the prose (the structure does not show it; x-listed is kept by hand)"},
	} {
		if words[0] != '"' {
			words = "'" + words + "'"
		}
		theirs, err := openapi.Parse([]byte(edited(t, acme, things, things+"      description: "+words+"\n")))
		require.NoError(t, err)
		s := session{name: "acme", config: c, theirs: theirs, ours: ours}
		assert.Equal(t, want, described(s.reportOnly(t)), words)
	}
}

// TestEveryVendorWithoutAName compares all vendors that publish a description, even after one that cannot be read.
func TestEveryVendorWithoutAName(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	const generate = "//go:generate go tool oapi-codegen -o acme/acme.gen.go ../api/"
	put("gen/generate.go", "package gen\n\n"+generate+"acme.yaml\n"+generate+"zeta.yaml\n")
	put("gen/acme/acme.gen.go", "package acme\n")
	ours, _ := written(t, acme, acme)
	put("api/acme.yaml", ours)
	put("api/zeta.yaml", ours)
	put("published.yaml", acme)
	from := "    from: " + filepath.ToSlash(filepath.Join(root, "published.yaml")) + "\n"

	put("tools/specsync/specsync.yaml", "vendors:\n  acme:\n"+from+"  silent:\n    note: Publishes nothing.\n  zeta:\n"+from)
	code, out, errors := runTool(t, "", "-root", root)
	assert.Equal(t, exitNone, code, errors)
	assert.Contains(t, out, "acme: nothing changed")
	assert.Contains(t, out, "zeta: nothing changed")
	assert.NotContains(t, out, "silent")

	put("tools/specsync/specsync.yaml", "vendors:\n  acme:\n    from: none.yaml\n  zeta:\n"+from)
	code, out, errors = runTool(t, "", "-root", root)
	assert.Equal(t, exitUnread, code)
	assert.Contains(t, errors, "none.yaml")
	assert.Contains(t, out, "zeta: nothing changed")

	for typo, want := range map[string]string{"form: typo": "field form not found", "paths: [{match: '(', as: a}]": "missing closing ): `(`"} {
		put("tools/specsync/specsync.yaml", "vendors:\n  acme:\n    "+typo+"\n")
		code, _, errors = runTool(t, "", "-root", root)
		assert.Equal(t, exitUnread, code)
		assert.Contains(t, errors, want)
	}
}

func TestDescriptionOfEndlessLength(t *testing.T) {
	t.Parallel()
	_, err := limited(endless{})
	require.EqualError(t, err, "more than 67108864 bytes")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

var _ io.Reader = endless{}

// TestWhatIsNeverTakenOver tests rules of specsync.yaml that exclude something from new nodes.
func TestWhatIsNeverTakenOver(t *testing.T) {
	t.Parallel()
	const things = "      operationId: listThings\n"
	got, _ := written(t, acme, edited(t, acme, "        '400':\n", "        '401':\n          description: No.\n          headers: {X-Request-Id: {schema: {type: string}}}\n        '400':\n",
		things, things+"      parameters: [{name: x-moov-version, in: header, schema: {type: string, enum: [v1, v2]}}]\n"))
	assert.NotContains(t, got, "X-Request-Id")
	assert.Contains(t, got, "            headers: A generated reader drops")
	assert.NotContains(t, got, "v2")
	assert.Contains(t, got, "              enum: A Go type of versions")
}
