// Command apidiff compares the exported API of the packages that users import, including generated ones, with that of
// an older commit, by default the one with the highest version tag that is not a pre-release.
//
// It exits with 1 if there is a breaking change that CHANGELOG.md does not list under "Breaking" above the section of
// the older version, and with 2 if it cannot compare.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

func main() {
	os.Exit(apidiffMain(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

const (
	exitCompatible = iota
	exitBreaking
	exitUnknown
)

func apidiffMain(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("apidiff", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", "../..", "`directory` of the module")
	ref := flags.String("ref", "", "`commit` to compare with; the highest version tag if empty")
	if err := flags.Parse(args); err != nil {
		return exitUnknown
	}
	r, err := compare(ctx, *root, *ref)
	switch {
	case errors.Is(err, errNoTag):
		fmt.Fprintln(stdout, err)
		return exitCompatible
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUnknown
	}
	r.print(stdout)
	return r.exitCode()
}

var errNoTag = errors.New("apidiff: no tag to compare with")

// compare compares the module in root, as it is on disk, with a commit.
func compare(ctx context.Context, root, ref string) (*report, error) {
	if ref == "" {
		tags, err := git(ctx, root, "tag", "--list", "v*", "--merged", "HEAD") // not the tags of nested modules
		if err != nil {
			return nil, err
		}
		if ref = newest(strings.Fields(tags)); ref == "" {
			return nil, errNoTag
		}
	}
	changelog, err := os.ReadFile(filepath.Join(root, "CHANGELOG.md"))
	if err != nil {
		return nil, fmt.Errorf("apidiff: %w", err)
	}
	before, err := loadCommit(ctx, root, ref)
	if err != nil {
		return nil, err
	}
	after, err := load(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("apidiff: %w", err)
	}
	return newReport(ref, before, after, string(changelog)), nil
}

// loadCommit type-checks a commit, which it checks out into a work tree that it removes.
func loadCommit(ctx context.Context, root, ref string) (_ *api, err error) {
	dir, err := os.MkdirTemp("", "apidiff")
	if err != nil {
		return nil, fmt.Errorf("apidiff: %w", err)
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(dir)) }()
	tree := filepath.Join(dir, "tree")
	if _, err := git(ctx, root, "worktree", "add", "--quiet", "--detach", tree, ref); err != nil {
		return nil, err
	}
	defer func() {
		_, removal := git(context.WithoutCancel(ctx), root, "worktree", "remove", "--force", tree)
		err = cmp.Or(err, removal)
	}()
	a, err := load(ctx, tree)
	if err != nil {
		return nil, fmt.Errorf("apidiff: at %s: %w", ref, err)
	}
	return a, nil
}

// newest returns the highest version, or "". It returns a pre-release only if there are no others.
func newest(tags []string) string {
	tags = slices.DeleteFunc(tags, func(tag string) bool { return !semver.IsValid(tag) })
	if len(tags) == 0 {
		return ""
	}
	return slices.MaxFunc(tags, func(a, b string) int {
		if pre := semver.Prerelease(b) != ""; pre != (semver.Prerelease(a) != "") {
			if pre {
				return 1
			}
			return -1
		}
		return semver.Compare(a, b)
	})
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("apidiff: git %s: %w", args[0], err)
	}
	return string(out), nil
}
