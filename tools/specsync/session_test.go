package main

import (
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestWriteOfBothOrNeither runs -write in a tree with a generator of its own, a shell script.
func TestWriteOfBothOrNeither(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the generator is a script of a shell")
	}
	const (
		line     = "//go:generate sh gen.sh -o acme/acme.gen.go ../api/acme.yaml\n"
		api, gen = "api/acme.yaml", "gen/acme/acme.gen.go"
	)
	adds := edited(t, acme, "        count:\n", "        size:\n          type: integer\n        count:\n")
	for name, test := range map[string]struct {
		script  string            // of the generator; its arguments are -o, the file to write and the description
		files   map[string]string // besides those of a tree in order; "" is none, "/" a directory
		code    int
		want    string // in the output or the error
		written bool
	}{
		"the same code":              {"grep -q size: $3 && echo package acme > $2; dirname $2 > seen", nil, exitChanged, "additive: 200: property size added", true},
		"the generator fails":        {"echo why; exit 3", nil, exitBreaking, "the generator refuses the merged description: sh gen.sh -o ", false},
		"it says why":                {"echo why; exit 3", nil, exitBreaking, "exit status 3\n    why\n", false},
		"it writes nothing":          {"true", nil, exitBreaking, "acme.gen.go: no such file or directory", false},
		"it writes no Go":            {"echo no > $2", nil, exitBreaking, "Cannot be written:\n  the generator wrote no Go: ", false},
		"our code is no Go":          {"echo package acme > $2", map[string]string{gen: "no"}, exitUnread, "acme.gen.go: ", false},
		"no code of ours":            {"", map[string]string{gen: ""}, exitUnread, "specsync: open ", false},
		"no description of ours":     {"", map[string]string{api: ""}, exitUnread, "specsync: open ", false},
		"our description is none":    {"", map[string]string{api: "a: b\n"}, exitUnread, "acme.yaml: openapi: ", false},
		"no line for the generator":  {"", map[string]string{"gen/generate.go": "package gen\n"}, exitUnread, "gen/generate.go has no line for api/acme.yaml", false},
		"a line for another one":     {"", map[string]string{"gen/generate.go": "// sh gen.sh -o acme/acme.gen.go ../api/acme.yaml\n"}, exitUnread, "has no line for", false},
		"a line without a file":      {"", map[string]string{"gen/generate.go": "//go:generate sh gen.sh ../api/acme.yaml\n"}, exitUnread, "has no line for", false},
		"no directives at all":       {"", map[string]string{"gen/generate.go": ""}, exitUnread, "specsync: open ", false},
		"code cannot be replaced":    {"echo package acme > $2", map[string]string{gen + ".new": "/"}, exitUnread, "acme.gen.go.new: is a directory", false},
		"description stays, so code": {"echo package acme > $2", map[string]string{api + ".new": "/", gen: "package  acme\n"}, exitUnread, "acme.yaml.new", false},
		"no module":                  {"echo package acme > $2", map[string]string{"go.mod": "no\n", gen: "package  acme\n"}, exitUnread, "unknown directive: no", false},
		"no such tool":               {"", map[string]string{"gen/generate.go": strings.Replace(line, "sh gen.sh", "go tool none", 1)}, exitBreaking, "specsync: go tool -n none: exit status ", false},
		"go, but no tool":            {"", map[string]string{"gen/generate.go": strings.Replace(line, "sh gen.sh", "go version", 1)}, exitBreaking, "the generator refuses the merged description: go version -o ", false},
		"tool, but not of go":        {"", map[string]string{"gen/generate.go": strings.Replace(line, "sh gen.sh", "sh tool", 1)}, exitBreaking, "the generator refuses the merged description: sh tool -o ", false},
		"our description is JSON":    {"echo package acme > $2", map[string]string{api: asJSON(t, acme)}, exitUnread, "in flow style, which cannot be edited", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := map[string]string{"gen/generate.go": "package gen\n\n" + line, "gen/gen.sh": test.script + "\n", gen: "package acme\n", api: acme}
			maps.Copy(tree, test.files)
			root := acmeTree(t, tree)
			before := files(t, root)
			if test.written {
				_, _, errors := runTool(t, adds, "-root", root, "-vendor", "acme", "-from", "-")
				assert.Empty(t, errors)
				assert.Equal(t, acme, files(t, root)[filepath.Join(root, filepath.FromSlash(api))], "without -write")
			}
			code, out, errors := runTool(t, adds, "-root", root, "-vendor", "acme", "-from", "-", "-write")
			assert.Equal(t, test.code, code, errors)
			assert.Contains(t, out+errors, test.want)
			after := files(t, root)
			if test.written {
				assert.Contains(t, after[filepath.Join(root, filepath.FromSlash(api))], "        size:\n")
				assert.Equal(t, "package acme\n", after[filepath.Join(root, filepath.FromSlash(gen))])
				info, err := os.Stat(filepath.Join(root, filepath.FromSlash(gen)))
				require.NoError(t, err)
				assert.Zero(t, info.Mode().Perm()&0o111, "it is no program")
				temporary := strings.TrimSpace(after[filepath.Join(root, "gen", "seen")])
				require.NotEmpty(t, temporary)
				assert.NoDirExists(t, temporary)
				return
			}
			assert.Equal(t, before, after)
		})
	}
}

// asJSON returns a description as JSON.
func asJSON(t *testing.T, text string) string {
	t.Helper()
	var v any
	require.NoError(t, yaml.Unmarshal([]byte(text), &v))
	data, err := json.MarshalIndent(v, "", "\t")
	require.NoError(t, err)
	return string(data)
}

// acmeTree writes files into a new directory, with a specsync.yaml for Acme. An empty text is no file, and "/" a directory.
func acmeTree(t *testing.T, tree map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	tree["tools/specsync/specsync.yaml"] = "vendors:\n  acme: {}\n"
	for name, text := range tree {
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		switch text {
		case "":
		case "/":
			require.NoError(t, os.MkdirAll(filepath.Join(file, "full"), 0o755))
		default:
			require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		}
	}
	return root
}

// TestAllowRef tests that the command follows references below any of the prefixes that it is given.
func TestAllowRef(t *testing.T) {
	t.Parallel()
	ours, _ := written(t, acme, acme)
	const enum = "      type: string\n      description: In lower case.\n      enum:\n        - bearer\n        - mac\n"
	root := acmeTree(t, map[string]string{
		"api/acme.yaml": ours, "gen/acme/acme.gen.go": "package acme\n", "types/type.yaml": "type: string\ndescription: In lower case.\nenum: [bearer, mac]\n",
		"gen/generate.go": "package gen\n\n//go:generate none -o acme/acme.gen.go ../api/acme.yaml\n",
		"published.yaml":  edited(t, acme, enum, "      $ref: types/type.yaml\n"),
	})
	run := func(allow ...string) int {
		code, _, _ := runTool(t, "", append([]string{"-root", root, "-vendor", "acme", "-from", filepath.Join(root, "published.yaml")}, allow...)...)
		return code
	}
	assert.Equal(t, exitBreaking, run())
	assert.Equal(t, exitNone, run("-allow-ref", filepath.Join(root, "types"), "-allow-ref", "https://example.com"))
	assert.Equal(t, exitNone, run("-allow-ref", "https://example.com", "-allow-ref", filepath.Join(root, "types")))
}

// TestProseIsWatched tests that the command reports words that changed since the last -write.
func TestProseIsWatched(t *testing.T) {
	t.Parallel()
	ours, _ := written(t, acme, acme)
	root := acmeTree(t, map[string]string{
		"api/acme.yaml": ours, "gen/acme/acme.gen.go": "package acme\n", "gen/generate.go": "package gen\n\n//go:generate none -o acme/acme.gen.go ../api/acme.yaml\n",
	})
	_, out, errors := runTool(t, edited(t, acme, "The token.", "A token."), "-root", root, "-vendor", "acme", "-from", "-")
	assert.Empty(t, errors)
	assert.Contains(t, out, "prose: words changed\n  POST /oauth/token\n")
}

// TestWriteOfWhatWeHave tests that -write of a description with nothing new, or with what cannot be compared, leaves
// every file.
func TestWriteOfWhatWeHave(t *testing.T) {
	t.Parallel()
	ours, _ := written(t, acme, acme)
	root := acmeTree(t, map[string]string{
		"api/acme.yaml": ours, "gen/acme/acme.gen.go": "package acme\n", "gen/generate.go": "package gen\n\n//go:generate none -o acme/acme.gen.go ../api/acme.yaml\n",
	})
	before := files(t, root)
	code, _, errors := runTool(t, acme, "-root", root, "-vendor", "acme", "-from", "-", "-write")
	assert.Equal(t, exitNone, code, errors)
	assert.Equal(t, before, files(t, root))

	later := edited(t, acme, "        count:\n          type: string\n", "        count:\n          type: [string, 'null']\n")
	code, _, errors = runTool(t, later, "-root", root, "-vendor", "acme", "-from", "-", "-write")
	assert.Equal(t, exitUnread, code)
	assert.Contains(t, errors, "specsync: -: /components/schemas/Thing/properties/count/type: a list of types")
	assert.Equal(t, before, files(t, root))
}

// TestNoModuleAbove runs the command in a directory that is in no module.
func TestNoModuleAbove(t *testing.T) {
	t.Chdir(t.TempDir())
	code, _, errors := runTool(t, "", "-vendor", "acme")
	assert.Equal(t, exitUnread, code)
	assert.Equal(t, "specsync: no gen/generate.go in the working directory or above; give -root\n", errors)
}

// TestResolveTool tests that only "go tool" is replaced, by the program that it would run.
func TestResolveTool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tools.mod"), []byte("module example.com/tools\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/m\n"), 0o644))
	for _, flags := range [][]string{nil, {"-modfile=tools.mod"}} {
		for range 2 { // the second time from what was found before
			got, err := resolveTool(t.Context(), dir, slices.Concat([]string{"go", "tool"}, flags, []string{"compile", "-o", "out", "in"}))
			require.NoError(t, err)
			assert.Equal(t, "compile", strings.TrimSuffix(filepath.Base(got[0]), ".exe"))
			assert.True(t, filepath.IsAbs(got[0]), got[0])
			assert.Equal(t, []string{"-o", "out", "in"}, got[1:])
		}
	}
	for _, other := range []string{"sh gen.sh -o out in", "go run gen.go -o out in", "sh tool compile -o out in"} {
		got, err := resolveTool(t.Context(), dir, strings.Fields(other))
		require.NoError(t, err)
		assert.Equal(t, other, strings.Join(got, " "))
	}
	_, err := resolveTool(t.Context(), dir, strings.Fields("go tool none -o out in"))
	require.ErrorContains(t, err, "go tool -n none: exit status ")
	require.ErrorContains(t, err, `no such tool "none"`)
}

// TestGenerateFails tests that an error before the generator runs is not passed over.
func TestGenerateFails(t *testing.T) {
	root := acmeTree(t, map[string]string{"gen/generate.go": "package gen\n\n//go:generate none -o sub/acme.gen.go ../api/sub/acme.yaml\n"})
	_, err := generate(t.Context(), root, "other", acme)
	require.EqualError(t, err, "specsync: gen/generate.go has no line for api/other.yaml")
	_, err = generate(t.Context(), root, "sub/acme", acme)
	require.ErrorIs(t, err, os.ErrNotExist, "there is no such directory for its input")

	for _, name := range []string{"TMPDIR", "TMP"} {
		t.Setenv(name, filepath.Join(root, "none"))
	}
	_, err = generate(t.Context(), root, "sub/acme", acme)
	require.ErrorContains(t, err, "specsync: ")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestOutputFails tests that a report that cannot be printed is an error.
func TestOutputFails(t *testing.T) {
	t.Parallel()
	root := acmeTree(t, map[string]string{
		"api/acme.yaml": acme, "gen/acme/acme.gen.go": "package acme\n", "gen/generate.go": "package gen\n\n//go:generate none -o acme/acme.gen.go ../api/acme.yaml\n",
	})
	for format := range formats {
		full, writer := io.Pipe()
		require.NoError(t, full.CloseWithError(os.ErrClosed))
		var errors strings.Builder
		code := specsync(t.Context(), []string{"-root", root, "-vendor", "acme", "-from", "-", "-format", format}, strings.NewReader(acme), writer, &errors)
		assert.Equal(t, exitUnread, code, format)
		assert.Equal(t, os.ErrClosed.Error()+"\n", errors.String(), format)
	}
}

// TestInputFails tests that a description of which only a part arrives is not read.
func TestInputFails(t *testing.T) {
	t.Parallel()
	root := acmeTree(t, map[string]string{})
	var errors strings.Builder
	stdin := io.MultiReader(strings.NewReader(acme), iotest.ErrReader(os.ErrDeadlineExceeded))
	code := specsync(t.Context(), []string{"-root", root, "-vendor", "acme", "-from", "-"}, stdin, io.Discard, &errors)
	assert.Equal(t, exitUnread, code)
	assert.Equal(t, "specsync: standard input: "+os.ErrDeadlineExceeded.Error()+"\n", errors.String())
}

// TestNoWorkingDirectory runs the command in a directory that was removed: names of files that are relative to it name
// nothing.
func TestNoWorkingDirectory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the system keeps a working directory")
	}
	root := acmeTree(t, map[string]string{"api/acme.yaml": acme})
	dir := filepath.Join(t.TempDir(), "gone")
	require.NoError(t, os.Mkdir(dir, 0o755))
	t.Chdir(dir)
	require.NoError(t, os.Remove(dir))
	for _, args := range [][]string{{}, {"-root", root, "-allow-ref", "shared", "-from", "-"}, {"-root", root, "-from", "openapi.yaml"}} {
		code, _, errors := runTool(t, acme, append(args, "-vendor", "acme")...)
		assert.Equal(t, exitUnread, code)
		assert.Equal(t, "specsync: getwd: no such file or directory\n", errors)
	}
	_, err := newChecker(t.Context(), ".")
	require.EqualError(t, err, "specsync: getwd: no such file or directory")
}

// TestReplaceFile tests that a file that cannot be replaced leaves no temporary one.
func TestReplaceFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "acme.yaml", "full"), 0o755))
	require.ErrorContains(t, replaceFile(filepath.Join(dir, "acme.yaml"), []byte("a")), "specsync: rename ")
	assert.NoFileExists(t, filepath.Join(dir, "acme.yaml.new"))
}
