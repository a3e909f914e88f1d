package main

import (
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
		"the same code":              {"echo package acme > $2; dirname $2 > seen", nil, exitChanged, "additive: 200: property size added", true},
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
		"no directives at all":       {"", map[string]string{"gen/generate.go": ""}, exitUnread, "generate.go", false},
		"code cannot be replaced":    {"echo package acme > $2", map[string]string{gen + ".new": "/"}, exitUnread, "acme.gen.go.new", false},
		"description stays, so code": {"echo package acme > $2", map[string]string{api + ".new": "/", gen: "package  acme\n"}, exitUnread, "acme.yaml.new", false},
		"no module":                  {"echo package acme > $2", map[string]string{"go.mod": "no\n", gen: "package  acme\n"}, exitUnread, "specsync: go list: ", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := map[string]string{"gen/generate.go": "package gen\n\n" + line, "gen/gen.sh": test.script + "\n", gen: "package acme\n", api: acme}
			maps.Copy(tree, test.files)
			root := acmeTree(t, tree)
			before := files(t, root)
			code, out, errors := runTool(t, adds, "-root", root, "-vendor", "acme", "-from", "-", "-write")
			assert.Equal(t, test.code, code, errors)
			assert.Contains(t, out+errors, test.want)
			after := files(t, root)
			if test.written {
				assert.Contains(t, after[filepath.Join(root, filepath.FromSlash(api))], "        size:\n")
				temporary := strings.TrimSpace(after[filepath.Join(root, "gen", "seen")])
				require.NotEmpty(t, temporary)
				assert.NoDirExists(t, temporary)
				return
			}
			assert.Equal(t, before, after)
		})
	}
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

// TestNoModuleAbove runs the command in a directory that is in no module.
func TestNoModuleAbove(t *testing.T) {
	t.Chdir(t.TempDir())
	code, _, errors := runTool(t, "", "-vendor", "acme")
	assert.Equal(t, exitUnread, code)
	assert.Equal(t, "specsync: no gen/generate.go in the working directory or above; give -root\n", errors)
}
