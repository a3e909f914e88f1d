package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// serve serves a vendor with the sample clients, and returns settings for it.
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

// deleted returns the paths of the DELETE requests.
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
	require.NoError(t, run(t.Context(), nil, getenv, strings.NewReader(""), &out))
	assert.Empty(t, deleted(vendor))
	for _, want := range []string{
		`skip    sandbox-client  "This program": this program authenticates as it`,
		`remove  used-last-year  "Used last year": last used at `,
		`keep    used-yesterday  "Used yesterday": last used at `,
		`remove  never-used  "Never used": never used, created at `,
		`keep    never-used-but-new  "Never used, but new": never used, created at `,
		`skip    unreadable  "Used at no time": last used at "last summer", which is not a time`,
		"2 of 6 clients are unused since ",
		"Nothing was deleted; -delete does that.\n",
	} {
		assert.Contains(t, out.String(), want)
	}
	assert.NotContains(t, out.String(), sandbox.ClientSecret)
}

func TestDeletes(t *testing.T) {
	vendor, getenv := serve(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-delete", "-yes", "-days", "350"}, getenv, strings.NewReader(""), &out))
	assert.Equal(t, []string{"/beta/oauth-clients/used-last-year"}, deleted(vendor))
	assert.Contains(t, out.String(), "1 clients were deleted.\n")
}

func TestAnotherMayHaveDeletedIt(t *testing.T) {
	vendor, getenv := serve(t)
	vendor.Fault("deleteOAuthClient", sandbox.Fault{Status: http.StatusNotFound})
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-delete", "-yes"}, getenv, strings.NewReader(""), &out))
	assert.Len(t, deleted(vendor), 2)
}

func TestStopsAtAnError(t *testing.T) {
	vendor, getenv := serve(t)
	vendor.Fault("deleteOAuthClient", sandbox.Fault{}, sandbox.Fault{Status: http.StatusForbidden})
	var out bytes.Buffer
	err := run(t.Context(), []string{"-delete", "-yes"}, getenv, strings.NewReader(""), &out)
	require.ErrorIs(t, err, tokens.Status(http.StatusForbidden))
	require.ErrorContains(t, err, "1 of 2 clients were deleted, then: ")
}

// A writerFunc is a function that writes.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A rate limit that lasts for minutes does not end the program: it waits until the user stops it.
func TestWaitsForARateLimit(t *testing.T) {
	vendor, getenv := serve(t)
	vendor.Fault("deleteOAuthClient", sandbox.Fault{},
		sandbox.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"600"}}})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte("rate limit reached, requests wait")) {
			time.AfterFunc(500*time.Millisecond, stop)
		}
		return len(p), nil
	})
	err := run(ctx, []string{"-delete", "-yes"}, getenv, strings.NewReader(""), out)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "1 of 2 clients were deleted, then: ")
	assert.Len(t, deleted(vendor), 2)
}

// The program says where it works before it does anything, and deletes only after a confirmation.
func TestAsks(t *testing.T) {
	for answer, want := range map[string]int{"": 0, "n\n": 0, "y\n": 2} {
		vendor, getenv := serve(t)
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), []string{"-delete"}, getenv, strings.NewReader(answer), &out))
		assert.Len(t, deleted(vendor), want)
		assert.True(t, strings.HasPrefix(out.String(), "Working on tenant "+getenv("SAILPOINT_BASE_URL")+".\n"), out.String())
		assert.Contains(t, out.String(), "Delete these 2 clients of tenant "+getenv("SAILPOINT_BASE_URL")+"? [y/N] ")
	}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-delete"}, func(string) string { return "" }, strings.NewReader(""), &out))
	assert.Contains(t, out.String(), "Working on a sandbox, because SAILPOINT_BASE_URL is not set.\n")
}

func TestRefusesHalfASetting(t *testing.T) {
	_, getenv := serve(t)
	half := func(name string) string {
		if name == "SAILPOINT_BASE_URL" {
			return ""
		}
		return getenv(name)
	}
	var out bytes.Buffer
	require.ErrorContains(t, run(t.Context(), []string{"-delete", "-yes"}, half, strings.NewReader(""), &out), "not set: SAILPOINT_BASE_URL")
	assert.Empty(t, out.String())
}

func TestKeepAndReport(t *testing.T) {
	vendor, getenv := serve(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keep.yaml"), []byte("- used-last-year\n- Never used\n"), 0o600))
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-delete", "-yes", "-keep", filepath.Join(dir, "keep.yaml"), "-report", filepath.Join(dir, "plan.csv")},
		getenv, strings.NewReader(""), &out))
	assert.Empty(t, deleted(vendor))
	assert.Contains(t, out.String(), `skip    never-used  "Never used": -keep names it`)
	assert.Contains(t, out.String(), "0 of 6 clients are unused")
	report, err := os.ReadFile(filepath.Join(dir, "plan.csv"))
	require.NoError(t, err)
	lines := strings.Split(string(report), "\n")
	assert.Len(t, lines, 8)
	assert.Equal(t, "verdict,id,name,why", lines[0])
	assert.Equal(t, "skip,used-last-year,Used last year,-keep names it", lines[2])

	require.NoError(t, os.WriteFile(filepath.Join(dir, "keep.json"), []byte(`{"a":1}`), 0o600))
	require.ErrorContains(t, run(t.Context(), []string{"-keep", filepath.Join(dir, "keep.json")}, getenv, strings.NewReader(""), &out), "there must be a list of ids and names")
	require.ErrorContains(t, run(t.Context(), []string{"-report", "plan.txt"}, getenv, strings.NewReader(""), &out), ".csv or .json")
}

func TestAListThatBreaksOffDeletesNothing(t *testing.T) {
	vendor, getenv := serve(t)
	vendor.Fault("listOAuthClients", sandbox.Fault{Cut: 1300})
	var out bytes.Buffer
	require.Error(t, run(t.Context(), []string{"-delete", "-yes"}, getenv, strings.NewReader(""), &out))
	assert.Empty(t, deleted(vendor))
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
		require.ErrorContains(t, run(t.Context(), args, func(string) string { return "" }, strings.NewReader(""), &out), "-days must be at least 1")
	}
}
