package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/oauthclients/patch"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

func serve(t *testing.T) (*sandbox.SailPoint, func(string) string) {
	t.Helper()
	vendor := sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true})
	server, err := sandbox.Listen(vendor)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return vendor, func(name string) string {
		return map[string]string{
			"SAILPOINT_BASE_URL": server.URL, "SAILPOINT_CLIENT_ID": sandbox.ClientID, "SAILPOINT_CLIENT_SECRET": sandbox.ClientSecret,
		}[name]
	}
}

func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "client.json")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

func TestShowsWithoutSending(t *testing.T) {
	vendor, getenv := serve(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), nil, getenv, &out))
	assert.Equal(t, `PATCH ef38f94347e94562b5bb8424a56397d8
  {"op":"test","path":"/homepageUrl","value":"http://localhost:12345"}
  {"op":"replace","path":"/homepageUrl","value":null}
  {"op":"test","path":"/description","value":"A client for demonstrations."}
  {"op":"replace","path":"/description","value":"Kept in step with client.json."}
  {"op":"test","path":"/accessTokenValiditySeconds","value":750}
  {"op":"replace","path":"/accessTokenValiditySeconds","value":600}
  {"op":"test","path":"/redirectUris","value":["http://localhost:12345"]}
  {"op":"replace","path":"/redirectUris","value":["https://example.com/callback"]}
nothing was sent; -apply does it
`, out.String())
	assert.Zero(t, vendor.Count("patchOAuthClient"))
}

func TestAppliesOnce(t *testing.T) {
	vendor, getenv := serve(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-apply"}, getenv, &out))
	assert.Contains(t, out.String(), "is now as the file says")
	out.Reset()
	require.NoError(t, run(t.Context(), []string{"-apply"}, getenv, &out))
	assert.Equal(t, "client ef38f94347e94562b5bb8424a56397d8 is as the file says\n", out.String())
	assert.Equal(t, 1, vendor.Count("patchOAuthClient"))
}

func TestDoesNotUndoWhatAnotherDid(t *testing.T) {
	vendor, getenv := serve(t)
	vendor.Fault("getOAuthClient", sandbox.Fault{After: true, Body: `{"id":"ef38f94347e94562b5bb8424a56397d8","name":"Demo API Client",
		"accessTokenValiditySeconds":900,"accessType":"OFFLINE","enabled":true}`}) // as it was a moment ago
	var out bytes.Buffer
	err := run(t.Context(), []string{"-apply", "-file", write(t, `{"accessTokenValiditySeconds":600}`)}, getenv, &out)
	require.ErrorIs(t, err, tokens.Status(http.StatusBadRequest))
	assert.Contains(t, out.String(), `{"op":"replace","path":"/accessTokenValiditySeconds","value":600}`)
}

func TestRefusesWhatCannotBePatched(t *testing.T) {
	vendor, getenv := serve(t)
	var out bytes.Buffer
	err := run(t.Context(), []string{"-apply", "-file", write(t, `{"name":"x","scope":["a"],"internal":true}`)}, getenv, &out)
	var fields *patch.FieldsError
	require.ErrorAs(t, err, &fields)
	assert.Equal(t, []string{"internal", "scope"}, fields.Fields)
	assert.Zero(t, vendor.Count("patchOAuthClient"))
}

func TestBadFiles(t *testing.T) {
	_, getenv := serve(t)
	var out bytes.Buffer
	require.ErrorContains(t, run(t.Context(), []string{"-file", write(t, `{"nam":"x"}`)}, getenv, &out), `no member "nam"`)
	require.ErrorContains(t, run(t.Context(), []string{"-file", write(t, `{"enabled":"no"}`)}, getenv, &out), `member "enabled"`)
	require.ErrorIs(t, run(t.Context(), []string{"-file", filepath.Join(t.TempDir(), "none")}, getenv, &out), os.ErrNotExist)
}
