package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve runs the program until the test ends, and returns its output.
func serve(t *testing.T, args ...string) (printed string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, args, write) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	lines := bufio.NewScanner(read)
	for lines.Scan() {
		printed += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "redirect URI") {
			return printed
		}
	}
	t.Fatalf("printed only %q", printed)
	return ""
}

// urlIn returns the base URL in the first line.
func urlIn(t *testing.T, printed string) string {
	t.Helper()
	first, _, _ := strings.Cut(printed, "\n")
	_, url, found := strings.Cut(first, " at ")
	require.True(t, found, first)
	url, _, _ = strings.Cut(url, ",")
	return url
}

func TestServes(t *testing.T) {
	url := urlIn(t, serve(t))
	assert.Regexp(t, `^http://127\.0\.0\.1:[1-9][0-9]*$`, url)
	assert.Equal(t, http.StatusUnauthorized, get(t, url+"/ping"))
}

func get(t *testing.T, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestServesOnTheAddressThatIsGiven(t *testing.T) {
	assert.Regexp(t, `^http://127\.0\.0\.1:[1-9][0-9]*$`, urlIn(t, serve(t, "-addr", "0.0.0.0:0")), "the address for clients on this machine")

	var out bytes.Buffer
	require.Error(t, run(t.Context(), []string{"-addr", "127.0.0.1:99999"}, &out))
	require.ErrorContains(t, run(t.Context(), []string{"127.0.0.1:0"}, &out), `unexpected argument "127.0.0.1:0"`)
	assert.Empty(t, out.String())
}

// The commands for a shell can be pasted into one.
func TestCurlLines(t *testing.T) {
	for _, tool := range []string{"curl", "sh", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	printed := serve(t)
	_, script, found := strings.Cut(printed, "curl:\n")
	require.True(t, found)
	script, _, found = strings.Cut(script, "\nGo:\n")
	require.True(t, found)
	cmd := exec.CommandContext(t.Context(), "sh", "-e")
	cmd.Stdin = strings.NewReader(script)
	got, err := cmd.Output()
	require.NoError(t, err)
	assert.Equal(t, 3, strings.Count(string(got), "HTTP/1.1 200 OK"), "%s", got)
	assert.Equal(t, 1, strings.Count(string(got), "HTTP/1.1 204 No Content"), "%s", got)
}
