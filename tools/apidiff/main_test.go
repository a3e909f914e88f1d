package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// sdk is the module that the test cases change; each file is a single text.
var sdk = map[string]string{
	"go.mod":       "module example.com/sdk\n\ngo 1.26.0\n",
	"CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n## 1.2.3\n\n- `tokens.Old.Name` is gone.\n",
	"tokens/tokens.go": `// Package tokens is one of the two.
package tokens

import "example.com/sdk/gen/example"

// Token is what is got.
type Token struct{ Value string }

// Fetch gets a Token.
func Fetch(id string) (*Token, error) { return nil, nil }

// Old is not new.
type Old struct{ Name string }

// Read returns a generated type.
func Read() []*example.Thing { return nil }
`,
	"oauthclients/oauthclients.go": "// Package oauthclients is the other.\npackage oauthclients\n",
	"gen/example/example.go": `// Package example is generated.
package example

// Thing is reached by way of tokens.Read, and Kind by way of Thing.
type Thing struct {
	ID   string
	Kind Kind
}

// Kind is an enum.
type Kind string

// KindA is one of its values.
const KindA Kind = "a"

// Client is reached by nothing.
type Client struct{ Server string }
`,
}

// edits change the module; want is what the report contains if the edit is the only one.
var edits = []struct {
	name, file, old, new string
	code                 int
	want                 []string
}{
	{"nothing", "CHANGELOG.md", "", "", exitCompatible, []string{"Since v1.2.3, the next version is v1.2.4.\n"}},
	{"additive", "tokens/tokens.go", "// Old", "// New is new.\nfunc New() {}\n\n// Old", exitCompatible, []string{"Additive:\n  tokens: New: added\n", "is v1.3.0"}},
	{"breaking", "tokens/tokens.go", "Fetch(id string)", "Fetch(id int)", exitBreaking, []string{"Breaking:\n  tokens: Fetch: changed from", "Not named under \"Breaking\" in CHANGELOG.md:\n  tokens.Fetch\n", "is v2.0.0"}},
	{"breaking, named long ago", "tokens/tokens.go", "Name string", "Name int", exitBreaking, []string{"tokens.Old.Name\n"}},
	{"generated and reached", "gen/example/example.go", "ID   string", "ID   int", exitBreaking, []string{"Breaking:\n  gen/example: Thing.ID: changed from string to int\n"}},
	{"generated constant of what is reached", "gen/example/example.go", "const KindA", "const KindB", exitBreaking, []string{"gen/example: KindA: removed"}},
	{"generated and used by nothing", "gen/example/example.go", "struct{ Server string }", "struct{}", exitBreaking, []string{"gen/example: Client.Server: removed\n", "is v2.0.0"}},
}

// apply makes an edit of files.
func apply(t *testing.T, files map[string]string, file, old, replacement string) {
	t.Helper()
	require.Contains(t, files[file], old)
	files[file] = strings.Replace(files[file], old, replacement, 1)
}

// TestReport compares packages that were loaded without git and the go command; TestApidiff makes the same edits.
func TestReport(t *testing.T) {
	before := check(t, sdk)
	run := func(t *testing.T, files map[string]string) (int, string) {
		t.Helper()
		r := newReport("v1.2.3", before, check(t, files), files["CHANGELOG.md"])
		var out strings.Builder
		r.print(&out)
		return r.exitCode(), out.String()
	}
	for _, edit := range edits {
		t.Run(edit.name, func(t *testing.T) {
			files := maps.Clone(sdk)
			apply(t, files, edit.file, edit.old, edit.new)
			code, out := run(t, files)
			assert.Equal(t, edit.code, code, out)
			for _, want := range edit.want {
				assert.Contains(t, out, want)
			}
		})
	}
	t.Run("named, elsewhere, or in part", func(t *testing.T) {
		files := maps.Clone(sdk)
		apply(t, files, "tokens/tokens.go", "Fetch(id string)", "Fetch(id int)")
		for want, changelogs := range map[int][]string{
			exitBreaking: {
				"## Unreleased\n\n### Added\n\n- `tokens.Fetch` is faster.\n\n## 1.2.3\n",
				"## Unreleased\n\n### Breaking\n\n- `tokens.Fetcher` is gone, `mytokens.Fetch` too.\n\n## 1.2.3\n",
				"## Unreleased\n\n## 1.2.3\n\n### Breaking\n\n- `tokens.Fetch` takes a string.\n",
				"Of `tokens.Fetch`.\n\n## Unreleased\n\n## 1.2.3\n",
			},
			exitCompatible: {
				"## Unreleased\n\n### Breaking\n\n- `tokens.Fetch` takes a number.\n\n## 1.2.3\n",
				"## Unreleased\n\n## 1.3.0\n\n### Breaking\n\n- Not as in 1.2.3:\n- `tokens.Fetch` takes a number.\n\n### Added\n\n## 1.2.3\n",
				"## Unreleased\n\n### Breaking\n\n- `tokens.Fetch` takes a number.\n",
			},
		} {
			for _, changelog := range changelogs {
				files["CHANGELOG.md"] = changelog
				code, out := run(t, files)
				assert.Equal(t, want, code, changelog+out)
			}
		}
	})
	t.Run("nothing else is printed", func(t *testing.T) {
		_, out := run(t, sdk)
		assert.Equal(t, "Since v1.2.3, the next version is v1.2.4.\n", out)
	})
	t.Run("every change at once", func(t *testing.T) {
		files := maps.Clone(sdk)
		for _, edit := range edits {
			apply(t, files, edit.file, edit.old, edit.new)
		}
		delete(files, "oauthclients/oauthclients.go")
		r := newReport("v1.2.3", before, check(t, files), "")
		assert.Len(t, r.breaking, 6)
		assert.True(t, slices.IsSorted(r.breaking), r.breaking)
	})
	t.Run("packages added and removed", func(t *testing.T) {
		files := maps.Clone(sdk)
		files["tokens/more/more.go"] = "package more\n"
		delete(files, "oauthclients/oauthclients.go")
		code, out := run(t, files)
		assert.Equal(t, exitBreaking, code, out)
		assert.Contains(t, out, "Breaking:\n  oauthclients: package removed\nAdditive:\n  tokens/more: package added\nNot named under \"Breaking\" in CHANGELOG.md:\n  oauthclients\n")
	})
}

// TestReportOfAnEmbeddedMethod removes methods of structs that another one embeds: the changelog must name each once, by the
// embedded struct or, if users cannot name that, by the other.
func TestReportOfAnEmbeddedMethod(t *testing.T) {
	const source = "package tokens\n\ntype base struct{}\n\ntype Base struct{}\n\ntype All struct {\n\tbase\n\tBase\n}\n\nfunc (Base) Reset() {}\n"
	before := check(t, map[string]string{"tokens/tokens.go": source + "\nfunc (*base) Close() {}\n\nfunc (*Base) Read() {}\n"})
	after := check(t, map[string]string{"tokens/tokens.go": source})
	for said, want := range map[string][]string{
		"`tokens.Base.Reset` is slower.":                      {"tokens.Base.Read", "tokens.All.Close"},
		"`tokens.All.Read` is gone.":                          {"tokens.Base.Read", "tokens.All.Close"},
		"`tokens.All.Close` and `tokens.Base.Read` are gone.": nil,
	} {
		r := newReport("v1.2.3", before, after, "## Unreleased\n\n### Breaking\n\n- "+said+"\n")
		assert.Len(t, r.breaking, 3)
		assert.Equal(t, want, r.unnamed, said)
	}
}

// check type-checks the packages in files, each of one file, without the go command.
func check(t *testing.T, files map[string]string) *api {
	t.Helper()
	a := &api{module: "example.com/sdk", packages: map[string]*types.Package{}}
	config := types.Config{Importer: importer(func(path string) (*types.Package, error) {
		return a.packages[strings.TrimPrefix(path, a.module+"/")], nil
	})}
	for _, file := range slices.Sorted(maps.Keys(files)) { // gen, which the others import, is the first
		if path.Ext(file) != ".go" {
			continue
		}
		name, set := path.Dir(file), token.NewFileSet()
		syntax, err := parser.ParseFile(set, file, files[file], 0)
		require.NoError(t, err)
		a.packages[name], err = config.Check(a.module+"/"+name, set, []*ast.File{syntax}, nil)
		require.NoError(t, err)
	}
	return a
}

type importer func(path string) (*types.Package, error)

func (i importer) Import(path string) (*types.Package, error) { return i(path) }

func TestApidiff(t *testing.T) {
	original := repository(t)
	repository := func(t *testing.T) string {
		t.Helper()
		root := t.TempDir()
		require.NoError(t, os.CopyFS(root, os.DirFS(original)))
		return root
	}
	workTreeIsRemoved := func(t *testing.T, root string) {
		t.Helper()
		trees, err := git(t.Context(), root, "worktree", "list")
		require.NoError(t, err)
		assert.Equal(t, 1, strings.Count(trees, "\n"), "its work tree is removed")
	}

	t.Run("every change at once", func(t *testing.T) {
		root, files := repository(t), maps.Clone(sdk)
		for _, edit := range edits {
			apply(t, files, edit.file, edit.old, edit.new)
		}
		for name, text := range files {
			write(t, root, name, text)
		}
		write(t, root, "tokens/internal/x/x.go", "// Package x is internal.\npackage x\n\n// X is new.\nconst X = 1\n")
		write(t, root, "tokens/more/more.go", "// Package more is new.\npackage more\n")
		require.NoError(t, os.RemoveAll(filepath.Join(root, "oauthclients")))
		write(t, root, "workspace/go.work", "go 1.26.0\n") // of the user, without the module
		t.Setenv("GOWORK", filepath.Join(root, "workspace", "go.work"))
		temporary := t.TempDir()
		t.Setenv("TMPDIR", temporary)
		code, out := runTool(t, "-root", root)
		assert.Equal(t, exitBreaking, code, out)
		assert.Equal(t, `Breaking:
  gen/example: Client.Server: removed
  gen/example: KindA: removed
  gen/example: Thing.ID: changed from string to int
  oauthclients: package removed
  tokens: Fetch: changed from func(string) (*Token, error) to func(int) (*Token, error)
  tokens: Old.Name: changed from string to int
Additive:
  gen/example: KindB: added
  tokens: New: added
  tokens/more: package added
Not named under "Breaking" in CHANGELOG.md:
  example.Client.Server
  example.KindA
  example.Thing.ID
  oauthclients
  tokens.Fetch
  tokens.Old.Name
Since v1.2.3, the next version is v2.0.0.
`, out)
		left, err := filepath.Glob(filepath.Join(temporary, "apidiff*"))
		require.NoError(t, err)
		assert.Empty(t, left, "nothing temporary is left")
		workTreeIsRemoved(t, root)
	})
	t.Run("breaking and named", func(t *testing.T) {
		root, files := repository(t), maps.Clone(sdk)
		apply(t, files, "tokens/tokens.go", "Fetch(id string)", "Fetch(id int)")
		write(t, root, "tokens/tokens.go", files["tokens/tokens.go"])
		write(t, root, "CHANGELOG.md", "## Unreleased\n\n### Breaking\n\n- `tokens.Fetch` takes a number.\n\n## 1.2.3\n")
		code, out := runTool(t, "-root", root)
		assert.Equal(t, exitCompatible, code, out)
		assert.Contains(t, out, "is v2.0.0")
		workTreeIsRemoved(t, root)
	})
	t.Run("a work tree that cannot be removed", func(t *testing.T) {
		root := repository(t)
		write(t, root, ".git/hooks/post-checkout", "#!/bin/sh\ngit worktree lock .\n")
		require.NoError(t, os.Chmod(filepath.Join(root, ".git", "hooks", "post-checkout"), 0o755))
		code, out := runTool(t, "-root", root)
		assert.Equal(t, exitUnknown, code)
		assert.Contains(t, out, "apidiff: git worktree: ")
	})
	t.Run("packages of no module", func(t *testing.T) {
		root := t.TempDir()
		write(t, root, "tokens/tokens.go", "// Package tokens is in no module.\npackage tokens\n")
		_, err := load(t.Context(), root)
		require.Error(t, err, "there is no go.mod")
		t.Setenv("GO111MODULE", "off")
		_, err = load(t.Context(), root)
		assert.ErrorContains(t, err, "is in no module")
	})
	t.Run("a given commit", func(t *testing.T) {
		root := repository(t)
		code, out := runTool(t, "-root", root, "-ref", "HEAD")
		assert.Equal(t, exitCompatible, code, out)
		assert.Contains(t, out, "Since HEAD, the next version is a new patch version.")
		workTreeIsRemoved(t, root)
	})
	t.Run("no tag", func(t *testing.T) {
		root := repository(t)
		_, err := git(t.Context(), root, "tag", "--delete", "v1.2.3")
		require.NoError(t, err)
		code, out := runTool(t, "-root", root)
		assert.Equal(t, exitCompatible, code)
		assert.Contains(t, out, "no tag to compare with")
	})
	t.Run("what does not compile", func(t *testing.T) {
		root := repository(t)
		write(t, root, "tokens/tokens.go", "package tokens\n\nvar x int = \"\"\n")
		code, _ := runTool(t, "-root", root)
		assert.Equal(t, exitUnknown, code)
	})
	t.Run("an older version that does not compile", func(t *testing.T) {
		root := repository(t)
		write(t, root, "tokens/tokens.go", "package tokens\n\nvar x int = \"\"\n")
		_, err := git(t.Context(), root, "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-qam", "second")
		require.NoError(t, err)
		write(t, root, "tokens/tokens.go", sdk["tokens/tokens.go"])
		code, out := runTool(t, "-root", root, "-ref", "HEAD")
		assert.Equal(t, exitUnknown, code)
		assert.Contains(t, out, "apidiff: at HEAD: ")
		workTreeIsRemoved(t, root)
	})
	t.Run("no such commit", func(t *testing.T) {
		code, out := runTool(t, "-root", repository(t), "-ref", "v9.9.9")
		assert.Equal(t, exitUnknown, code)
		assert.Contains(t, out, "apidiff: git worktree: exit status 128: fatal: invalid reference: v9.9.9")
	})
	t.Run("no changelog", func(t *testing.T) {
		root := repository(t)
		require.NoError(t, os.Remove(filepath.Join(root, "CHANGELOG.md")))
		code, out := runTool(t, "-root", root)
		assert.Equal(t, exitUnknown, code)
		assert.Contains(t, out, "CHANGELOG.md: no such file or directory")
	})
	t.Run("no go command", func(t *testing.T) {
		root := repository(t)
		t.Setenv("PATH", "")
		_, err := load(t.Context(), root)
		assert.ErrorContains(t, err, "go")
	})
	t.Run("no repository", func(t *testing.T) {
		code, out := runTool(t, "-root", t.TempDir())
		assert.Equal(t, exitUnknown, code)
		assert.Contains(t, out, "apidiff: git tag: exit status 128: fatal: not a git repository")
	})
	t.Run("no git", func(t *testing.T) {
		root := repository(t)
		t.Setenv("PATH", "")
		code, out := runTool(t, "-root", root)
		assert.Equal(t, exitUnknown, code)
		assert.Contains(t, out, "apidiff: git tag: exec: ")
	})
	t.Run("no room for the older version", func(t *testing.T) {
		root := repository(t)
		t.Setenv("TMPDIR", filepath.Join(root, "missing"))
		code, out := runTool(t, "-root", root)
		assert.Equal(t, exitUnknown, code)
		assert.Contains(t, out, filepath.Join(root, "missing"))
	})
	t.Run("an unknown flag", func(t *testing.T) {
		code, out := runTool(t, "-since", "v1.2.3")
		assert.Equal(t, exitUnknown, code)
		assert.Contains(t, out, "flag provided but not defined: -since")
	})
}

// TestMain runs the command instead of the tests if TestExitCode started it.
func TestMain(m *testing.M) {
	if os.Getenv("APIDIFF_TEST_RUNS_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// make apidiff and the workflows check the exit code of the process.
func TestExitCode(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "-since", "v1.2.3")
	cmd.Env = append(os.Environ(), "APIDIFF_TEST_RUNS_MAIN=1")
	require.Error(t, cmd.Run())
	assert.Equal(t, exitUnknown, cmd.ProcessState.ExitCode())
}

func runTool(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code := apidiffMain(t.Context(), args, &out, &out)
	return code, out.String()
}

// repository is a git repository with the module at tag v1.2.3.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range sdk {
		write(t, root, name, text)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"commit", "-qm", "first"}, {"tag", "v1.2.3"}} {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=test", "-c", "user.email=test@example.com"}, args...)...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	return root
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
}

func TestNewest(t *testing.T) {
	assert.Equal(t, "v0.2.0", newest([]string{"v0.1.9", "v0.2.0-rc.1", "v0.2.0", "v0.3.0-rc.1", "vendor"}))
	assert.Equal(t, "v0.10.0", newest([]string{"v0.9.0", "v0.10.0"}))
	assert.Equal(t, "v0.1.0-rc.2", newest([]string{"v0.1.0-rc.1", "v0.1.0-rc.2"}))
	assert.Empty(t, newest([]string{"vendor"}))
}

func TestNextVersion(t *testing.T) {
	breaking, additive := report{breaking: []string{"x"}, additive: []string{"y"}}, report{additive: []string{"y"}}
	for _, tt := range []struct {
		ref      string
		r        report
		expected string
	}{
		{"v1.2.3", breaking, "v2.0.0"},
		{"v1.2.3", additive, "v1.3.0"},
		{"v1.2.3", report{}, "v1.2.4"},
		{"v0.2.3", breaking, "v0.3.0"}, // before v1, a minor version may have breaking changes
		{"v0.2.3", additive, "v0.3.0"},
		{"v1.2.3-rc.1", additive, "v1.3.0"},
		{"main", breaking, "a new major version"},
		{"main", additive, "a new minor version"},
	} {
		tt.r.ref = tt.ref
		assert.Equal(t, tt.expected, tt.r.next(), tt)
	}
}

// TestDependencyBumpOnAFreshModuleCache compares two versions of the module that need different versions of another
// one, neither of which has been downloaded.
func TestDependencyBumpOnAFreshModuleCache(t *testing.T) {
	proxy := t.TempDir()
	for _, version := range []string{"v1.0.0", "v1.1.0"} {
		publish(t, proxy, module.Version{Path: "example.com/dep", Version: version})
	}
	freshCache := func() { t.Setenv("GOMODCACHE", filepath.Join(t.TempDir(), "mod")) }
	t.Setenv("GOPROXY", "file://"+filepath.ToSlash(proxy))
	t.Setenv("GOFLAGS", "-modcacherw") // allows the cleanup to delete the cache
	t.Setenv("GOSUMDB", "off")
	t.Setenv("GOPRIVATE", "")
	freshCache()

	root := repository(t)
	write(t, root, "sandbox/sandbox.go", "// Package sandbox needs the other module.\npackage sandbox\n\nimport \"example.com/dep\"\n\n// Dep is its type.\ntype Dep = dep.Dep\n")
	run := func(command ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	run("go", "get", "example.com/dep@v1.0.0")
	run("git", "add", "-A")
	run("git", "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-qm", "second")
	run("git", "tag", "v1.2.4")
	run("go", "get", "example.com/dep@v1.1.0")

	freshCache()
	code, out := runTool(t, "-root", root)
	assert.Equal(t, exitCompatible, code, out)
	assert.Contains(t, out, "Since v1.2.4")
}

// publish puts a version of a module into the directory of a file proxy.
func publish(t *testing.T, proxy string, version module.Version) {
	t.Helper()
	source := t.TempDir()
	write(t, source, "go.mod", "module "+version.Path+"\n\ngo 1.26.0\n")
	write(t, source, "dep.go", "// Package dep is needed.\npackage dep\n\n// Dep is a type.\ntype Dep struct{}\n")
	name := filepath.Join(version.Path, "@v", version.Version)
	write(t, proxy, name+".info", `{"Version": "`+version.Version+`"}`)
	write(t, proxy, name+".mod", "module "+version.Path+"\n\ngo 1.26.0\n")
	f, err := os.Create(filepath.Join(proxy, filepath.FromSlash(name)+".zip"))
	require.NoError(t, err)
	require.NoError(t, zip.CreateFromDir(f, version, source))
	require.NoError(t, f.Close())
}
