package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/examples/internal/cli"
	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// TestMain makes the test binary the command that stores a secret: "keep FILE", or "fail".
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "keep" {
		secret, _ := io.ReadAll(os.Stdin)
		if os.WriteFile(os.Args[2], secret, 0o600) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == "fail" {
		os.Exit(3)
	}
	os.Exit(m.Run())
}

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

// rotate runs the program with answer as its input, and returns its output.
func rotate(t *testing.T, getenv func(string) string, answer string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, getenv, strings.NewReader(answer), &out)
	return out.String(), err
}

// works reports whether the client with this secret gets a token.
func works(t *testing.T, getenv func(string) string, id, secret string) bool {
	t.Helper()
	endpoint, err := tokens.NewSailPoint("", tokens.Credentials{ClientID: id, ClientSecret: secret}, &tokens.SailPointOptions{BaseURL: getenv("SAILPOINT_BASE_URL")})
	require.NoError(t, err)
	_, err = endpoint.Exchange(t.Context(), tokens.Grant{})
	return err == nil
}

// newID returns the id of the new client in the program's output.
func newID(t *testing.T, out string) string {
	t.Helper()
	_, rest, ok := strings.Cut(out, "new client  ")
	require.True(t, ok, out)
	id, _, _ := strings.Cut(rest, " ")
	return id
}

func TestStoresTheSecretInAFile(t *testing.T) {
	vendor, getenv := serve(t, nil)
	file := filepath.Join(t.TempDir(), "secret")
	out, err := rotate(t, getenv, "", "-file", file)
	require.NoError(t, err)
	secret, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.True(t, works(t, getenv, newID(t, out), string(secret)))
	assert.True(t, works(t, getenv, sandbox.SampleClientID, sandbox.ClientSecret), "the old client still works")
	assert.NotContains(t, out, string(secret))
	assert.True(t, strings.HasPrefix(out, "Working on tenant "+getenv("SAILPOINT_BASE_URL")+".\n"), out)
	assert.Contains(t, out, "1 client was created, 0 were deleted.")
	assert.Zero(t, vendor.Count("deleteOAuthClient"))
	if runtime.GOOS != "windows" {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())
	}
}

func TestGivesTheSecretToACommand(t *testing.T) {
	_, getenv := serve(t, nil)
	file := filepath.Join(t.TempDir(), "secret")
	self, err := os.Executable()
	require.NoError(t, err)
	out, err := rotate(t, getenv, "", self, "keep", file)
	require.NoError(t, err)
	secret, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.True(t, works(t, getenv, newID(t, out), string(secret)))
}

func TestTheTwinHasTheSameSettings(t *testing.T) {
	vendor, getenv := serve(t, nil)
	_, err := rotate(t, getenv, "", "-file", filepath.Join(t.TempDir(), "secret"))
	require.NoError(t, err)
	for _, r := range vendor.Requests() {
		if r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/oauth-clients") {
			var sent map[string]any
			require.NoError(t, json.Unmarshal(r.Body, &sent))
			assert.Equal(t, "Demo API Client", sent["name"])
			assert.NotEmpty(t, sent["scope"])
			assert.Equal(t, "CONFIDENTIAL", sent["type"])
			assert.Len(t, sent["grantTypes"], 3)
			return
		}
	}
	assert.Fail(t, "no client was created")
}

func TestDeletesTheOldClientOnlyWhenTold(t *testing.T) {
	for answer, want := range map[string]int{"": 0, "n\n": 0, "y\n": 1} {
		vendor, getenv := serve(t, nil)
		out, err := rotate(t, getenv, answer, "-delete-old", "-file", filepath.Join(t.TempDir(), "secret"))
		require.NoError(t, err)
		assert.Contains(t, out, `Delete client ef38f94347e94562b5bb8424a56397d8 "Demo API Client" of tenant `)
		assert.Equal(t, want, vendor.Count("deleteOAuthClient"))
	}
	vendor, getenv := serve(t, nil)
	out, err := rotate(t, getenv, "", "-delete-old", "-yes", "-file", filepath.Join(t.TempDir(), "secret"))
	require.NoError(t, err)
	assert.Contains(t, out, "1 client was created, 1 was deleted.\n")
	assert.Equal(t, 1, vendor.Count("deleteOAuthClient"))
}

// A client whose secret nobody has is deleted, and the old one never is.
func TestASecretThatCannotBeStored(t *testing.T) {
	vendor, getenv := serve(t, nil)
	self, err := os.Executable()
	require.NoError(t, err)
	out, err := rotate(t, getenv, "", "-delete-old", "-yes", self, "fail")
	require.ErrorContains(t, err, "the secret could not be stored by the command")
	assert.Contains(t, out, " was deleted again\n")
	assert.Equal(t, 1, vendor.Count("createOAuthClient"))
	assert.Equal(t, 1, vendor.Count("deleteOAuthClient"))
	assert.True(t, works(t, getenv, sandbox.SampleClientID, sandbox.ClientSecret))
}

// If the secret is of no use, its file is removed, unless its client could not be deleted: then the file is needed.
func TestAFileThatCannotBeWritten(t *testing.T) {
	for _, deleted := range []bool{true, false} {
		vendor, getenv := serve(t, nil)
		if !deleted {
			vendor.Fault("deleteOAuthClient", sandbox.Fault{Status: http.StatusForbidden})
		}
		discarded := false
		var out bytes.Buffer
		r := rotator{Console: cli.NewConsole(&out), store: &store{
			name:    "file on a full disk",
			prepare: func() error { return nil },
			keep:    func(context.Context, string) error { return errors.New("no space left") },
			discard: func() { discarded = true },
		}}
		target, err := cli.Open(getenv, nil, r)
		require.NoError(t, err)
		defer target.Close()
		r.clients = target.Clients
		err = r.run(t.Context(), sandbox.SampleClientID)
		require.ErrorContains(t, err, "the secret could not be stored by the file on a full disk: no space left")
		assert.Equal(t, deleted, discarded)
		assert.Equal(t, !deleted, strings.Contains(err.Error(), "is of no use and could not be deleted"))
	}
}

func TestAResponseWithoutASecret(t *testing.T) {
	vendor, getenv := serve(t, nil)
	vendor.Fault("createOAuthClient", sandbox.Fault{Status: http.StatusOK, Body: `{"id":"ghost"}`})
	file := filepath.Join(t.TempDir(), "secret")
	_, err := rotate(t, getenv, "", "-delete-old", "-yes", "-file", file)
	require.ErrorContains(t, err, "client ghost was created, but its secret was not in the response")
	assert.NoFileExists(t, file)
	assert.Equal(t, 1, vendor.Count("deleteOAuthClient"), "the new client")
}

func TestAResponseThatIsCutAfterTheSecret(t *testing.T) {
	vendor, getenv := serve(t, nil)
	vendor.Fault("createOAuthClient", sandbox.Fault{Status: http.StatusOK, Body: `{"id":"new","secret":"s3cr3t","name":`})
	file := filepath.Join(t.TempDir(), "secret")
	out, err := rotate(t, getenv, "", "-delete-old", "-yes", "-file", file)
	require.ErrorContains(t, err, "could not be read whole")
	assert.Equal(t, "new", newID(t, out))
	secret, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "s3cr3t", string(secret))
	assert.Zero(t, vendor.Count("deleteOAuthClient"))
}

// Nothing is created if the secret cannot be stored.
func TestNothingIsCreated(t *testing.T) {
	vendor, getenv := serve(t, nil)
	existing := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(existing, []byte("precious"), 0o600))
	for want, args := range map[string][]string{
		"there is nowhere to put the secret": nil,
		"choose one":                         {"-file", existing, "true"},
		"nothing was created":                {"-file", existing},
		"no-such-command-anywhere":           {"no-such-command-anywhere"},
		"404":                                {"-id", "none", "-file", existing},
	} {
		_, err := rotate(t, getenv, "", args...)
		require.ErrorContains(t, err, want)
	}
	content, err := os.ReadFile(existing)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(content))
	assert.Zero(t, vendor.Count("createOAuthClient"))

	half := func(name string) string { return map[string]string{"SAILPOINT_BASE_URL": getenv(name)}[name] }
	_, err = rotate(t, half, "", "-file", existing+"2")
	require.ErrorContains(t, err, "not set: SAILPOINT_CLIENT_ID, SAILPOINT_CLIENT_SECRET")
}

// Without scopes, the vendor grants all of them.
func TestNoScopesAreNotAllScopes(t *testing.T) {
	vendor, getenv := serve(t, &sandbox.SailPointOptions{OAuthClients: []sailpoint.OAuthClient{
		{ID: "bare", Name: "Bare", GrantTypes: []sailpoint.GrantType{"CLIENT_CREDENTIALS"}, AccessTokenValiditySeconds: 750, AccessType: "ONLINE"},
	}})
	file := filepath.Join(t.TempDir(), "secret")
	_, err := rotate(t, getenv, "", "-id", "bare", "-file", file)
	require.ErrorContains(t, err, "client bare has no scopes")
	assert.Zero(t, vendor.Count("createOAuthClient"))
	assert.NoFileExists(t, file)
	_, err = rotate(t, getenv, "", "-id", "bare", "-all-scopes", "-file", file)
	require.NoError(t, err)
}
