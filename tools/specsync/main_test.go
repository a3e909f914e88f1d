package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// runTool runs the command and returns its exit code and output.
func runTool(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errors bytes.Buffer
	code = specsync(t.Context(), args, strings.NewReader(stdin), &out, &errors)
	return code, out.String(), errors.String()
}

// TestMain runs the command in place of the tests where TestExitCode starts it.
func TestMain(m *testing.M) {
	if os.Getenv("SPECSYNC_TEST_RUNS_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The workflow looks at the exit code of the process.
func TestExitCode(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "-format", "xml")
	cmd.Env = append(os.Environ(), "SPECSYNC_TEST_RUNS_MAIN=1")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Equal(t, exitUnread, cmd.ProcessState.ExitCode())
	assert.Equal(t, "specsync: -format xml: want text, json or markdown\n", string(out))
}

func TestSpecsync(t *testing.T) {
	t.Parallel()
	root := withAcme(t)
	file := func(text string) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "openapi.yaml")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
		return name
	}
	breaks := replaceOnce(t, acme, "        count:\n          type: string", "        count:\n          type: boolean")
	adds := replaceOnce(t, acme, "        count:\n", "        size:\n          type: integer\n        count:\n")
	// The Go code breaks although the requests do not: the method gains an argument.
	first := replaceOnce(t, acme, "      operationId: listThings\n", "      parameters:\n        - {name: filters, in: query, schema: {type: string}}\n")
	renamed := replaceOnce(t, acme, "        scope:\n", "        scopes:\n")

	t.Run("nothing changed", func(t *testing.T) {
		code, out, _ := runTool(t, "", "-root", root, "-vendor", "acme", "-from", file(acme))
		assert.Equal(t, exitNone, code)
		assert.Contains(t, out, "acme: nothing changed")
	})
	t.Run("JSON on standard input", func(t *testing.T) {
		var v any
		require.NoError(t, yaml.Unmarshal([]byte(adds), &v))
		data, err := json.MarshalIndent(v, "", "\t")
		require.NoError(t, err)
		code, out, _ := runTool(t, string(data), "-root", root, "-vendor", "acme", "-from", "-")
		assert.Equal(t, exitChanged, code)
		assert.Contains(t, out, "additive: 200: property size added\n  GET /things\n")
		assert.Contains(t, out, "Go acme.Thing.Size\n")
	})
	t.Run("breaking, over HTTP", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(breaks)) }))
		defer server.Close()
		code, out, _ := runTool(t, "", "-root", root, "-vendor", "acme", "-from", server.URL)
		assert.Equal(t, exitBreaking, code)
		assert.Contains(t, out, "breaking: count: type changed\n  GET /things\n  at /responses/200/content/application~1json/schema/items/properties/count/type\n"+
			"  ours /components/schemas/Thing/properties/count/type\n")
		assert.Contains(t, out, "was \"string\", is \"boolean\"\n  Go acme.Thing.Count\n")
	})
	t.Run("breaking for Go code only", func(t *testing.T) {
		code, out, _ := runTool(t, "", "-root", root, "-vendor", "acme", "-from", file(first))
		assert.Equal(t, exitBreaking, code)
		assert.Contains(t, out, "breaking: parameter filters added")
		assert.Contains(t, out, "acme.Client.ListThings,")
	})
	t.Run("packages that need a hand", func(t *testing.T) {
		code, out, _ := runTool(t, "", "-root", root, "-vendor", "acme", "-from", file(renamed), "-format", "json")
		assert.Equal(t, exitBreaking, code)
		var r report
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.Len(t, r.Wrappers, 1)
		assert.Contains(t, r.Wrappers[0], "unknown field Scope")
		assert.Contains(t, r.Changes[0].Go, "acme.AccessTokenRequest.Scope")
	})
	t.Run("Markdown", func(t *testing.T) {
		code, out, _ := runTool(t, "", "-root", root, "-vendor", "acme", "-from", file(breaks), "-format", "markdown")
		assert.Equal(t, exitBreaking, code)
		assert.Contains(t, out, "## acme: 1 breaking")
		assert.Contains(t, out, "| count: type changed | GET /things<br>`/components/schemas/Thing/properties/count/type` | `\"string\"` | `\"boolean\"` | acme.Thing.Count |")
	})
	t.Run("write", func(t *testing.T) {
		code, out, errors := runTool(t, "", "-root", root, "-vendor", "acme", "-from", file(adds), "-write")
		assert.Equal(t, exitChanged, code, errors)
		assert.Contains(t, out, "needs words of ours")
		spec, err := os.ReadFile(filepath.Join(root, "api", "acme.yaml"))
		require.NoError(t, err)
		assert.Contains(t, string(spec), "        size:\n          type: integer\n        count:\n")
		code, _, _ = runTool(t, "", "-root", root, "-vendor", "acme", "-from", file(adds), "-write")
		assert.Equal(t, exitNone, code)
		again, err := os.ReadFile(filepath.Join(root, "api", "acme.yaml"))
		require.NoError(t, err)
		assert.Equal(t, string(spec), string(again))
	})
}

func TestSpecsyncCannotRead(t *testing.T) {
	dir := t.TempDir()
	html := filepath.Join(dir, "page.html")
	require.NoError(t, os.WriteFile(html, []byte("<html>Not found</html>"), 0o644))
	other := filepath.Join(dir, "other.yaml")
	require.NoError(t, os.WriteFile(other, []byte("openapi: 3.0.1\npaths: {/a: {get: {responses: {}}}}\n"), 0o644))
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no file", []string{"-vendor", "moov", "-from", filepath.Join(dir, "none.yaml")}, "none.yaml: open "},
		{"no description", []string{"-vendor", "moov", "-from", html}, "openapi: "},
		{"another description", []string{"-vendor", "moov", "-from", other}, "has none of the operations of api/moov.yaml"},
		{"no server", []string{"-vendor", "moov", "-from", closed.URL}, `: Get "http://`},
		{"404", []string{"-vendor", "moov", "-from", server.URL}, "the server responds with 404 Not Found"},
		{"no URL", []string{"-vendor", "moov", "-from", "https://example.com/%zz"}, `invalid URL escape "%zz"`},
		{"no such vendor", []string{"-vendor", "none"}, `specsync.yaml has no vendor "none"`},
		{"nothing published", []string{"-vendor", "thousandeyes"}, "no -from and none in specsync.yaml"},
		{"a description without a vendor", []string{"-from", other}, "-from needs -vendor"},
		{"no such format", []string{"-format", "xml"}, "-format xml"},
		{"no such flag", []string{"-vendor", "none", "-x"}, "flag provided but not defined"},
		{"no module", []string{"-root", dir}, "specsync: open "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, _, errors := runTool(t, "", test.args...)
			assert.Equal(t, exitUnread, code)
			assert.Contains(t, errors, test.want)
		})
	}
	_, _, errors := runTool(t, "", "-vendor", "none", "-x")
	assert.NotContains(t, errors, "has no vendor", "nothing runs after a flag that is not known")
}

func TestReferencesAreFollowedOnlyWhereAllowed(t *testing.T) {
	dir := t.TempDir()
	const schema = "                $ref: '#/components/schemas/AccessToken'\n"
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "acme"), 0o755))
	description := filepath.Join(dir, "acme", "openapi.yaml")
	require.NoError(t, os.WriteFile(description, []byte(replaceOnce(t, acme, schema, "                $ref: ../shared/token.yaml#/a~1b\n")), 0o644))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "shared"), 0o755))
	token := "a/b:\n  type: object\n  required: [access_token]\n  properties:\n    access_token: {type: string, maxLength: 100}\n" +
		"    expires_in: {type: integer}\n    scope: {type: string}\n    token_type: {$ref: '../acme/openapi.yaml#/components/schemas/TokenType'}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "shared", "token.yaml"), []byte(token), 0o644))

	c, err := readConfig("../..")
	require.NoError(t, err)
	for name, test := range map[string]struct{ allow, want []string }{
		"not allowed": {nil, []string{"breaking: reference not followed"}},
		"elsewhere":   {[]string{filepath.Join(dir, "other")}, []string{"breaking: reference not followed"}},
		"allowed":     {[]string{filepath.Join(dir, "shared")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := newReader(nil, test.allow)
			require.NoError(t, err)
			theirs, err := in.read(t.Context(), description)
			require.NoError(t, err)
			s := session{name: "acme", config: c, theirs: theirs, ours: acme}
			assert.Equal(t, test.want, described(s.reportOnly(t)))
		})
	}

	require.NoError(t, os.WriteFile(filepath.Join(dir, "shared", "token.yaml"), []byte(strings.Replace(token, "100", "200", 1)), 0o644))
	in, err := newReader(nil, []string{dir})
	require.NoError(t, err)
	theirs, err := in.read(t.Context(), description)
	require.NoError(t, err)
	s := session{name: "acme", config: c, theirs: theirs, ours: acme}
	changes := s.reportOnly(t).Changes
	require.Len(t, changes, 1)
	assert.Equal(t, "file:///"+strings.TrimPrefix(filepath.ToSlash(dir), "/")+"/shared/token.yaml#/a~1b/properties/access_token/maxLength", changes[0].Upstream)
}

// TestSailPointMoves tests the move to per-service v1: other paths, a server without a version, operation ids with V1,
// component names in lower case, and undefined security schemes.
func TestSailPointMoves(t *testing.T) {
	data, err := os.ReadFile(testdata + "/slices/sailpoint-beta-oauth-clients.yaml")
	require.NoError(t, err)
	moved, _, ok := strings.Cut(string(data), "  securitySchemes:\n")
	require.True(t, ok)
	moved = strings.NewReplacer("/beta\n", "\n", "/oauth-clients:", "/oauth-clients/v1:", "/oauth-clients/{id}:", "/oauth-clients/v1/{id}:",
		"OauthClients\n", "OauthClientsV1\n", "OauthClient\n", "OauthClientV1\n", "OAuthClientResponse", "oauthclientresponse",
		"JsonPatchOperation", "jsonpatchoperation", "GrantType", "granttype").Replace(moved)
	file := filepath.Join(t.TempDir(), "v1.yaml")
	require.NoError(t, os.WriteFile(file, []byte(moved), 0o644))

	s := open(t, "../..", "sailpoint", file)
	r := s.reportOnly(t)
	assert.Empty(t, described(r))
	assert.Contains(t, r.Notes, "DELETE /oauth-clients/{id} is read from DELETE /oauth-clients/v1/{id}")
	assert.Contains(t, r.Notes, "security scheme userAuth is named and not defined; only its scopes were compared")
	_, err = s.merge()
	require.NoError(t, err)
	assert.Equal(t, withoutHashes(s.ours), withoutHashes(s.merged))
}

// TestWriteOfTheSame merges the published descriptions into ours, which changes only the hashes of their prose, because
// testdata has no prose.
func TestWriteOfTheSame(t *testing.T) {
	t.Parallel()
	for _, spec := range publishedSpecs(t) {
		s := open(t, "../..", spec.name, spec.published)
		_, err := s.merge()
		require.NoError(t, err)
		assert.Equal(t, withoutHashes(s.ours), withoutHashes(s.merged), spec.name)
	}
}

var proseHash = regexp.MustCompile(`prose: [0-9a-f]+`)

// withoutHashes returns a description without the hashes of the vendor's prose.
func withoutHashes(text string) string { return proseHash.ReplaceAllString(text, "prose") }
