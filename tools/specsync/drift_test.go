package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestDriftOpensOnePullRequest runs the step of the drift workflow that opens or updates a pull request, with a fake gh
// that records its calls.
func TestDriftOpensOnePullRequest(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the workflow runs on Linux, by a shell")
	}
	const (
		list   = "pr list --head drift --state open --json number --jq .[0].number // empty"
		create = "pr create --head drift --title Follow the vendors"
		start  = "workflow run ci.yml --ref drift"
	)
	for name, test := range map[string]struct {
		code    string // the exit code of specsync
		changed bool
		open    string // number of an open pull request
		fails   bool
		want    []string
	}{
		"nothing changed":            {code: "0"},
		"none is open":               {code: "1", changed: true, want: []string{list, create, start}},
		"one is open":                {code: "1", changed: true, open: "7", want: []string{list, "pr edit 7 --title Follow the vendors", start}},
		"something breaks":           {code: "2", changed: true, want: []string{list, create + ": something breaks", start}},
		"breaks and was not written": {code: "2", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			calls := filepath.Join(dir, "calls")
			bin := filepath.Join(dir, "bin")
			require.NoError(t, os.Mkdir(bin, 0o755))
			gh := "#!/bin/sh\necho \"$*\" >> '" + calls + "'\nif [ \"$2\" = list ]; then echo '" + test.open + "'; fi\n"
			require.NoError(t, os.WriteFile(filepath.Join(bin, "gh"), []byte(gh), 0o755))
			origin, tree := filepath.Join(dir, "origin"), filepath.Join(dir, "tree")
			sh(t, dir, bin, "git init -q --bare origin && git init -q -b main tree && cd tree && echo a > file && git add -A && "+
				"git -c user.name=test -c user.email=test@example.com commit -qm first && git remote add origin '"+origin+"'")
			if test.changed {
				require.NoError(t, os.WriteFile(filepath.Join(tree, "file"), []byte("b\n"), 0o644))
			}

			out, err := sh(t, tree, bin, driftStep(t, test.code))
			assert.Equal(t, test.fails, err != nil, out)
			data, _ := os.ReadFile(calls)
			var got []string
			for line := range strings.Lines(string(data)) {
				call, _, _ := strings.Cut(strings.TrimSpace(line), " --body-file")
				got = append(got, call)
			}
			assert.Equal(t, test.want, got)
			if test.changed {
				out, err = sh(t, origin, bin, "git show drift:file")
				require.NoError(t, err)
				assert.Equal(t, "b\n", out, "the pushed content")
			}
		})
	}
}

// driftStep returns the script of the step, given the exit code of specsync.
func driftStep(t *testing.T, code string) string {
	t.Helper()
	data, err := os.ReadFile("../../.github/workflows/drift.yml")
	require.NoError(t, err)
	var workflow struct {
		Jobs map[string]struct {
			TimeoutMinutes int `yaml:"timeout-minutes"`
			Steps          []struct{ Name, Run string }
		}
	}
	require.NoError(t, yaml.Unmarshal(data, &workflow))
	assert.Positive(t, workflow.Jobs["drift"].TimeoutMinutes)
	for _, step := range workflow.Jobs["drift"].Steps {
		if step.Name == "Open or update the pull request" {
			return strings.ReplaceAll(step.Run, "${{ steps.specsync.outputs.code }}", code)
		}
	}
	require.Fail(t, "the workflow has no such step")
	return ""
}

// sh runs a script like GitHub, with the commands in bin first in PATH.
func sh(t *testing.T, dir, bin, script string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-e", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "BRANCH=drift", "RUNNER_TEMP="+dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
