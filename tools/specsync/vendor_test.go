package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testdata/acme is a vendor for tests: its description, and its files for packages tokens and sandbox. Test cases
// change the description by a replacement.
const acmeFolder = "testdata/acme"

var acme = func() string {
	data, err := os.ReadFile(acmeFolder + "/api/acme.yaml")
	if err != nil {
		panic(err)
	}
	return string(data)
}()

// acmeRow is the vendor's row in the table of the tests that run for every vendor.
const acmeRow = `	{
		name:      "acme",
		style:     tokens.AuthStyleBody,
		tokenPath: "/oauth/token",
		probe:     "listThings",
		probePath: "/things",
		endpoint: func(creds tokens.CredentialsProvider, o endpointOptions) (*tokens.Endpoint, error) {
			return tokens.NewAcme(creds, &tokens.AcmeOptions{BaseURL: o.baseURL, HTTPClient: o.client, AuthStyle: o.style, Retry: o.retry, Limiter: o.limiter})
		},
		sandbox: func(o sandboxOptions) vendorServer {
			return sandbox.NewAcme(&sandbox.AcmeOptions{Strict: true, Clients: o.clients, TokenLife: o.life, RateLimit: sandbox.Limit{Requests: -1}})
		},
	},
`

// acmeOperations are its rows in the table of generated operations.
const acmeOperations = `	{
		"acme", "createAccessToken", reflect.TypeFor[*acme.ClientWithResponses](),
		map[string]func(context.Context, string) (any, error){
			"CreateAccessTokenWithBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return acmeClient(url).CreateAccessTokenWithBodyWithResponse(ctx, nil, "text/plain", strings.NewReader("x"))
			},
			"CreateAccessTokenWithFormdataBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return acmeClient(url).CreateAccessTokenWithFormdataBodyWithResponse(ctx, nil, acme.AccessTokenRequest{})
			},
		},
		[]documentedResponse{
			{200, "application/json", ` + "`" + `{"access_token": "a", "expires_in": 60}` + "`" + `, "JSON200", &acme.AccessToken{AccessToken: "a", ExpiresIn: new(json.Number("60"))}},
			{400, "application/json", ` + "`" + `{"error": "invalid_grant"}` + "`" + `, "JSON400", &acme.OAuthError{Error: new("invalid_grant")}},
			{500, "application/json", ` + "`" + `{"error": "failed"}` + "`" + `, "JSON500", &acme.OAuthError{Error: new("failed")}},
		},
	},
	{
		"acme", "listThings", reflect.TypeFor[*acme.ClientWithResponses](),
		map[string]func(context.Context, string) (any, error){
			"ListThingsWithResponse": func(ctx context.Context, url string) (any, error) { return acmeClient(url).ListThingsWithResponse(ctx) },
		},
		[]documentedResponse{
			{200, "application/json", ` + "`" + `[{"id": "1"}]` + "`" + `, "JSON200", &[]acme.Thing{{ID: new("1")}}},
			{401, "application/json", ` + "`" + `{"error": "invalid_token"}` + "`" + `, "JSON401", &acme.OAuthError{Error: new("invalid_token")}},
		},
	},
`

// acmeClient is the function that these rows call.
const acmeClient = `
func acmeClient(url string) *acme.ClientWithResponses {
	c, err := acme.NewClientWithResponses(url)
	if err != nil {
		panic(err)
	}
	return c
}
`

const acmeConfig = `  acme:
    from: https://example.com/openapi.yaml
    paths:
      - match: ^(?:/token/v2|/beta/oauth/token)$
        as: /oauth/token
    servers:
      - match: ^(https://\{tenant\}\.example\.com)(?:/beta)?$
        as: $1
`

const acmeGenerate = "//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config ../oapi-codegen.yaml -package acme -o acme/acme.gen.go ../api/acme.yaml\n"

// withAcme adds Acme as a fourth vendor to a copy of the module, following api/README.md.
func withAcme(t *testing.T) (root string) {
	t.Helper()
	root = copyModule(t)
	require.NoError(t, os.CopyFS(root, os.DirFS(acmeFolder)))
	insert := func(name, behind, text string) {
		t.Helper()
		file := filepath.Join(root, filepath.FromSlash(name))
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, []byte(replaceOnce(t, string(data), behind, behind+text)), 0o644))
	}
	insert("gen/generate.go", "package gen\n", "\n"+acmeGenerate)
	insert("tests/vendors_test.go", "var vendors = []vendor{\n", acmeRow)
	generatedTest := "tests/generated_test.go"
	insert(generatedTest, "	responses  []documentedResponse\n}{\n", acmeOperations)
	insert(generatedTest, "// The generated constructors fail only for a malformed URL.\n", acmeClient)
	insert(generatedTest, "	\"github.com/stretchr/testify/require\"\n\n", "	\"github.com/grantwright/oauth-go/gen/acme\"\n")
	insert("tools/specsync/specsync.yaml", "vendors:\n", acmeConfig)
	acmeCode.Do(func() {
		code, err := generate(t.Context(), root, "acme", acme)
		require.NoError(t, err)
		acmeCode.code = code
	})
	require.NoError(t, os.MkdirAll(filepath.Join(root, "gen", "acme"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "gen", "acme", "acme.gen.go"), acmeCode.code, 0o644))
	return root
}

// acmeCode is the code generated from Acme's description, shared by all tests.
var acmeCode struct {
	sync.Once
	code []byte
}

// replaceOnce replaces a text that must occur exactly once.
func replaceOnce(t *testing.T, in, old, with string) string {
	t.Helper()
	if !strings.Contains(in, old) {
		t.Fatalf("there is no %q", old) // without all of the text
	}
	return strings.Replace(in, old, with, 1)
}

var every = flag.Bool("every", false, "run every test of the module in TestFourthVendor, not only those in tests/")

// TestFourthVendor adds a vendor by following api/README.md, runs the tests in tests/ with it, and counts the lines. Every
// test of the module takes a minute or more:
//
//	go test -run TestFourthVendor . -every
func TestFourthVendor(t *testing.T) {
	t.Parallel()
	root := withAcme(t)
	description := filepath.Join(root, "api", "acme.yaml")
	described := replaceOnce(t, acme, "      operationId: createAccessToken\n", "      operationId: createAccessToken\n      security: [{basic: []}, {}]\n")
	described = replaceOnce(t, described, "      operationId: listThings\n", "      operationId: listThings\n      security: [{bearer: []}]\n")
	described = replaceOnce(t, described, "  securitySchemes:\n", "  securitySchemes:\n    bearer: {type: http, scheme: bearer}\n")
	require.NoError(t, os.WriteFile(description, []byte(described), 0o644))
	packages := "./tests"
	if *every {
		packages = "./..."
	}
	message, err := run(t.Context(), root, "go", "test", "-trimpath", packages)
	require.NoError(t, err, message)

	s := open(t, root, "acme", description)
	r, err := s.compare(t.Context(), "itself")
	require.NoError(t, err)
	assert.Empty(t, r.Changes)
	assert.Empty(t, r.Unused)

	lines := func(name string) int {
		data, err := os.ReadFile(filepath.Join(acmeFolder, name))
		require.NoError(t, err)
		return strings.Count(string(data), "\n")
	}
	inPackages := lines("tokens/acme.go") + strings.Count(acmeGenerate+acmeConfig, "\n")
	assert.LessOrEqual(t, inPackages, 80, "lines besides the description")
	assert.LessOrEqual(t, inPackages+lines("sandbox/acme.go")+strings.Count(acmeRow+acmeOperations+acmeClient, "\n"), 215, "lines including tests")
}
