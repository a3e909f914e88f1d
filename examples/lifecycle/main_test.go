package main

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

func none(string) string { return "" }

func TestRunsEveryOperationAgainstTheSandbox(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), none, &out))
	for _, want := range []string{"17 steps", "on behalf of a user", "revoked token is refused", "patch the client", "204 No Content"} {
		assert.Contains(t, out.String(), want)
	}
	assert.NotContains(t, out.String(), "FAIL")
	assert.NotContains(t, out.String(), sandbox.ClientSecret)
	assert.NotContains(t, out.String(), sandbox.UserToken)
}

// given returns the settings for one vendor at a server.
func given(prefix, url string) func(string) string {
	return func(name string) string {
		return map[string]string{
			prefix + "_BASE_URL":      url,
			prefix + "_CLIENT_ID":     sandbox.ClientID,
			prefix + "_CLIENT_SECRET": sandbox.ClientSecret,
		}[name]
	}
}

func TestCallsTheVendorThatIsGiven(t *testing.T) {
	vendors := sandbox.NewStrict()
	server, err := sandbox.Listen(vendors)
	require.NoError(t, err)
	defer func() { _ = server.Close() }()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), given("MOOV", server.URL), &out))
	assert.Contains(t, out.String(), "Moov at "+server.URL)
	assert.Equal(t, 2, vendors.Moov.Count("createAccessToken"))
	assert.Zero(t, vendors.SailPoint.Count("createAccessToken"))
}

func TestFailsWithTheStepThatFails(t *testing.T) {
	vendors := sandbox.NewStrict()
	server, err := sandbox.Listen(vendors)
	require.NoError(t, err)
	defer func() { _ = server.Close() }()
	vendors.SailPoint.Fault("patchOAuthClient", sandbox.Fault{Status: http.StatusForbidden})
	var out bytes.Buffer
	err = run(t.Context(), given("SAILPOINT", server.URL), &out)
	require.ErrorIs(t, err, tokens.Status(http.StatusForbidden))
	assert.Contains(t, out.String(), "FAIL  403 Forbidden")
	assert.Equal(t, 1, vendors.SailPoint.Count("deleteOAuthClient"), "the client is deleted")
}

func TestLeavesNoClientBehindWhoseCreationCouldNotBeRead(t *testing.T) {
	vendors := sandbox.NewStrict()
	server, err := sandbox.Listen(vendors)
	require.NoError(t, err)
	defer func() { _ = server.Close() }()
	vendors.SailPoint.Fault("createOAuthClient", sandbox.Fault{Status: http.StatusOK, Body: `{"id": "` + sandbox.SampleClientID +
		`", "secret": "s3cret", "name": 1}`})
	var out bytes.Buffer
	require.Error(t, run(t.Context(), given("SAILPOINT", server.URL), &out))
	assert.Equal(t, 1, vendors.SailPoint.Count("deleteOAuthClient"))
	assert.NotContains(t, out.String(), "s3cret")
}

func TestWantsAllOfAVendorsSettings(t *testing.T) {
	for _, missing := range []string{"MOOV_BASE_URL", "MOOV_CLIENT_ID", "MOOV_CLIENT_SECRET"} {
		getenv := given("MOOV", "https://api.moov.io")
		var out bytes.Buffer
		err := run(t.Context(), func(name string) string {
			if name == missing {
				return ""
			}
			return getenv(name)
		}, &out)
		require.ErrorContains(t, err, "set all of MOOV_BASE_URL", missing)
	}
}
