package main

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// serve serves a vendor with the sample clients, and returns the settings that lead to it.
func serve(t *testing.T) (*sandbox.SailPoint, func(string) string) {
	t.Helper()
	vendor := sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true, OAuthClients: sampleClients(time.Now())})
	server, err := sandbox.Listen(vendor)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return vendor, func(name string) string {
		return map[string]string{
			"SAILPOINT_BASE_URL": server.URL, "SAILPOINT_CLIENT_ID": sandbox.ClientID, "SAILPOINT_CLIENT_SECRET": sandbox.ClientSecret,
		}[name]
	}
}

// deleted are the paths that were asked to be deleted.
func deleted(vendor *sandbox.SailPoint) []string {
	paths := []string{}
	for _, r := range vendor.Requests() {
		if r.Method == http.MethodDelete {
			paths = append(paths, r.Path)
		}
	}
	return paths
}

func TestNamesWithoutDeleting(t *testing.T) {
	vendor, getenv := serve(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), nil, getenv, &out))
	assert.Empty(t, deleted(vendor))
	for _, want := range []string{
		`skip    sandbox-client  "This program": this program authenticates as it`,
		`remove  used-last-year  "Used last year": last used at `,
		`keep    used-yesterday  "Used yesterday": last used at `,
		`remove  never-used  "Never used": never used, created at `,
		`keep    never-used-but-new  "Never used, but new": never used, created at `,
		`skip    unreadable  "Used at no time": last used at "last summer", which is no time`,
		"2 of 6 clients are unused since ",
		"nothing was deleted",
	} {
		assert.Contains(t, out.String(), want)
	}
	assert.NotContains(t, out.String(), sandbox.ClientSecret)
}

func TestDeletes(t *testing.T) {
	vendor, getenv := serve(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-delete", "-days", "350"}, getenv, &out))
	assert.Equal(t, []string{"/beta/oauth-clients/used-last-year"}, deleted(vendor))
}

func TestAnotherMayHaveDeletedIt(t *testing.T) {
	vendor, getenv := serve(t)
	vendor.Fault("deleteOAuthClient", sandbox.Fault{Status: http.StatusNotFound})
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-delete"}, getenv, &out))
	assert.Len(t, deleted(vendor), 2)
}

func TestStopsAtAnError(t *testing.T) {
	vendor, getenv := serve(t)
	vendor.Fault("deleteOAuthClient", sandbox.Fault{}, sandbox.Fault{Status: http.StatusForbidden})
	var out bytes.Buffer
	err := run(t.Context(), []string{"-delete"}, getenv, &out)
	require.ErrorIs(t, err, tokens.Status(http.StatusForbidden))
	require.ErrorContains(t, err, "1 were deleted")
}

func TestAListThatBreaksOffDeletesNothing(t *testing.T) {
	vendor, getenv := serve(t)
	vendor.Fault("listOAuthClients", sandbox.Fault{Cut: 1300})
	var out bytes.Buffer
	require.Error(t, run(t.Context(), []string{"-delete"}, getenv, &out))
	assert.Empty(t, deleted(vendor))
	assert.Contains(t, out.String(), "remove", "a client to delete was seen")
}

func TestJudge(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := rule{before: now, self: "me"}
	text := func(s string) *wire.Time {
		at := new(wire.Time)
		require.NoError(t, at.UnmarshalJSON([]byte(s)))
		return at
	}
	old, recent := wire.NewTime(now.Add(-time.Second)), wire.NewTime(now.Add(time.Second))
	for _, tt := range []struct {
		want   verdict
		client sailpoint.OAuthClient
	}{
		{skip, sailpoint.OAuthClient{ID: "me", LastUsed: &old, Created: old}},
		{remove, sailpoint.OAuthClient{LastUsed: &old, Created: old}},
		{remove, sailpoint.OAuthClient{LastUsed: &old, Created: *text(`"?"`)}},
		{keep, sailpoint.OAuthClient{LastUsed: &recent, Created: old}},
		{remove, sailpoint.OAuthClient{Created: old}},
		{remove, sailpoint.OAuthClient{LastUsed: text("null"), Created: old}},
		{keep, sailpoint.OAuthClient{Created: recent}},
		{skip, sailpoint.OAuthClient{LastUsed: text(`"?"`), Created: old}},
		{skip, sailpoint.OAuthClient{LastUsed: text("0"), Created: old}},
		{skip, sailpoint.OAuthClient{Created: *text(`"?"`)}},
		{skip, sailpoint.OAuthClient{}},
	} {
		got, why := r.judge(tt.client)
		assert.Equal(t, tt.want, got, why)
	}
}

func TestBadArguments(t *testing.T) {
	var out bytes.Buffer
	for _, args := range [][]string{{"-days", "0"}, {"-days", "-1"}, {"90"}} {
		require.ErrorContains(t, run(t.Context(), args, func(string) string { return "" }, &out), "-days must be at least 1")
	}
}
