package interop

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// modules is the directory where npm installs the packages of package.json, or "" with the reason for a failure.
var modules, modulesError = install()

// install installs the packages once per process, in a directory that later runs reuse.
func install() (dir, failure string) {
	if os.Getenv(fleetVariable) != "" {
		return "", "a process of TestFleetRotates needs none"
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", "npm is not installed"
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err.Error()
	}
	dir = filepath.Join(cache, "oauth-go-interop")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err.Error()
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join("node", name))
		if err != nil {
			return "", err.Error()
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return "", err.Error()
		}
	}
	cmd := exec.Command(npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "npm install: " + err.Error() + "\n" + string(out)
	}
	return dir, ""
}

// node runs a script in the directory node, and returns the URL in its first line of output. The process is stopped at
// the end of the test.
func node(t *testing.T, script string, args ...string) string {
	t.Helper()
	if modules == "" {
		t.Skip(modulesError)
	}
	path, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	source, err := os.ReadFile(filepath.Join("node", script))
	require.NoError(t, err)
	copied := filepath.Join(modules, script) // next to its packages
	require.NoError(t, os.WriteFile(copied, source, 0o644))
	cmd := exec.Command(path, append([]string{copied}, args...)...)
	var complaints bytes.Buffer // read after the process has ended
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := make(chan string, 1)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(out)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			default:
			}
		}
	}()
	select {
	case line, ok := <-lines:
		if !ok {
			_ = cmd.Wait()
			t.Fatalf("%s ends at once: %s", script, complaints.String())
		}
		require.True(t, strings.HasPrefix(line, "http://127.0.0.1:"), line)
		return line
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not start", script)
		return ""
	}
}
