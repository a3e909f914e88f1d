package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/oauthclients/patch"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// serve serves a vendor, and returns settings for it.
func serve(t *testing.T, opts *sandbox.SailPointOptions) (*sandbox.SailPoint, func(string) string) {
	t.Helper()
	vendor := sandbox.NewSailPoint(opts)
	server, err := sandbox.Listen(vendor)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return vendor, func(name string) string {
		return map[string]string{
			"SAILPOINT_BASE_URL": server.URL, "SAILPOINT_CLIENT_ID": sandbox.ClientID, "SAILPOINT_CLIENT_SECRET": sandbox.ClientSecret,
		}[name]
	}
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

// reconcile runs the program with answer as its input, and returns its output.
func reconcile(t *testing.T, getenv func(string) string, answer string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, getenv, strings.NewReader(answer), &out)
	return out.String(), err
}

func TestShowsWithoutSending(t *testing.T) {
	vendor, getenv := serve(t, nil)
	out, err := reconcile(t, getenv, "")
	require.NoError(t, err)
	assert.Equal(t, `Working on tenant `+getenv("SAILPOINT_BASE_URL")+`.
PATCH ef38f94347e94562b5bb8424a56397d8
  {"op":"test","path":"/homepageUrl","value":"http://localhost:12345"}
  {"op":"replace","path":"/homepageUrl","value":null}
  {"op":"test","path":"/description","value":"A client for demonstrations."}
  {"op":"replace","path":"/description","value":"Kept in step with client.json."}
  {"op":"test","path":"/accessTokenValiditySeconds","value":750}
  {"op":"replace","path":"/accessTokenValiditySeconds","value":600}
  {"op":"test","path":"/redirectUris","value":["http://localhost:12345"]}
  {"op":"replace","path":"/redirectUris","value":["https://example.com/callback"]}
1 of 1 clients differ from the file.
Nothing was sent; -apply does that.
`, out)
	assert.Zero(t, vendor.Count("patchOAuthClient"))
}

func TestAsks(t *testing.T) {
	for answer, want := range map[string]int{"": 0, "n\n": 0, "yes\n": 1} {
		vendor, getenv := serve(t, nil)
		out, err := reconcile(t, getenv, answer, "-apply")
		require.NoError(t, err)
		assert.Contains(t, out, "Send these patches to tenant "+getenv("SAILPOINT_BASE_URL")+"? [y/N] ")
		assert.Equal(t, want, vendor.Count("patchOAuthClient"))
	}
}

func TestAppliesOnce(t *testing.T) {
	vendor, getenv := serve(t, nil)
	out, err := reconcile(t, getenv, "", "-apply", "-yes")
	require.NoError(t, err)
	assert.Contains(t, out, "changed ef38f94347e94562b5bb8424a56397d8\n1 clients were changed.\n")
	out, err = reconcile(t, getenv, "", "-apply", "-yes")
	require.NoError(t, err)
	assert.Contains(t, out, "0 of 1 clients differ from the file.\n")
	assert.Equal(t, 1, vendor.Count("patchOAuthClient"))
}

func TestAListInYAMLAndAReport(t *testing.T) {
	grants := []sailpoint.GrantType{"CLIENT_CREDENTIALS"}
	vendor, getenv := serve(t, &sandbox.SailPointOptions{OAuthClients: []sailpoint.OAuthClient{
		{ID: "one", Name: "One", Enabled: true, GrantTypes: grants, RedirectURIs: []string{"https://example.com/a", "https://example.com/b"}},
		{ID: "two", Name: "Two", Enabled: true, GrantTypes: grants},
	}})
	file := write(t, "clients.yaml", `
- id: one
  redirectUris: [https://example.com/b, https://example.com/a]
- id: two
  name: The Second
  enabled: false
`)
	report := filepath.Join(t.TempDir(), "plan.csv")
	out, err := reconcile(t, getenv, "", "-apply", "-yes", "-file", file, "-report", report)
	require.NoError(t, err)
	assert.Contains(t, out, "1 of 2 clients differ from the file.\nchanged two\n1 clients were changed.\n", "the order of redirect URIs does not matter")
	assert.Equal(t, 1, vendor.Count("patchOAuthClient"))
	got, err := os.ReadFile(report)
	require.NoError(t, err)
	assert.Equal(t, `id,op,path,value
two,test,/name,"""Two"""
two,replace,/name,"""The Second"""
two,test,/enabled,true
two,replace,/enabled,false
`, string(got))
}

func TestDoesNotUndoWhatAnotherDid(t *testing.T) {
	vendor, getenv := serve(t, nil)
	vendor.Fault("getOAuthClient", sandbox.Fault{After: true, Body: `{"id":"ef38f94347e94562b5bb8424a56397d8","name":"Demo API Client",
		"accessTokenValiditySeconds":900,"accessType":"OFFLINE","enabled":true}`}) // as it was a moment ago
	out, err := reconcile(t, getenv, "", "-apply", "-yes", "-id", sandbox.SampleClientID, "-file", write(t, "client.json", `{"accessTokenValiditySeconds":600}`))
	require.ErrorIs(t, err, tokens.Status(http.StatusBadRequest))
	require.ErrorContains(t, err, "0 of 1 clients were changed, then: client ef38f94347e94562b5bb8424a56397d8: ")
	assert.Contains(t, out, `{"op":"replace","path":"/accessTokenValiditySeconds","value":600}`)
}

func TestSaysWhatTheVendorDidNotDo(t *testing.T) {
	vendor, getenv := serve(t, nil)
	vendor.Fault("patchOAuthClient", sandbox.Fault{Status: http.StatusOK, Body: `{"id":"ef38f94347e94562b5bb8424a56397d8","name":"Demo API Client"}`})
	_, err := reconcile(t, getenv, "", "-apply", "-yes")
	require.ErrorContains(t, err, "these differences are left: [")
	require.ErrorContains(t, err, `replace "/accessTokenValiditySeconds"`)
}

func TestRefusesWhatCannotBePatched(t *testing.T) {
	vendor, getenv := serve(t, nil)
	_, err := reconcile(t, getenv, "", "-apply", "-yes", "-id", sandbox.SampleClientID, "-file", write(t, "client.json", `{"name":"x","scope":["a"],"internal":true}`))
	var fields *patch.FieldsError
	require.ErrorAs(t, err, &fields)
	assert.Equal(t, []string{"internal", "scope"}, fields.Fields)
	assert.Zero(t, vendor.Count("patchOAuthClient"))
}

func TestRefusesHalfASetting(t *testing.T) {
	_, getenv := serve(t, nil)
	half := func(name string) string { return map[string]string{"SAILPOINT_BASE_URL": getenv(name)}[name] }
	out, err := reconcile(t, half, "", "-apply", "-yes")
	require.ErrorContains(t, err, "not set: SAILPOINT_CLIENT_ID, SAILPOINT_CLIENT_SECRET")
	assert.Empty(t, out)
}

func TestBadFiles(t *testing.T) {
	_, getenv := serve(t, nil)
	for content, want := range map[string]string{
		`{"nam":"x"}`:           `no member "nam"`,
		`{"enabled":"no"}`:      `member "enabled"`,
		`{"id":"other"}`:        "the file is about client other",
		`[{"name":"x"}]`:        "leave -id off",
		`"x"`:                   "client 0 of the file",
		`{"name":"x","name":1}`: "two members of one name",
	} {
		_, err := reconcile(t, getenv, "", "-id", sandbox.SampleClientID, "-file", write(t, "client.json", content))
		require.ErrorContains(t, err, want, content)
	}
	_, err := reconcile(t, getenv, "", "-file", write(t, "client.json", `[{"id":"a"},{}]`))
	require.ErrorContains(t, err, "client 1 of the file has no id")
	_, err = reconcile(t, getenv, "", "-file", write(t, "client.json", `{"name":"x","name":"y"}`), "-id", sandbox.SampleClientID)
	require.ErrorIs(t, err, jsonpatch.ErrInvalidDocument)
	_, err = reconcile(t, getenv, "", "-file", filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = reconcile(t, getenv, "", "client.json")
	require.ErrorContains(t, err, `unexpected argument "client.json"`)
}
