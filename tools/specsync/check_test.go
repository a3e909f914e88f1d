package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCompileErrors merges a change in a small module, whose generator is a script, and tests which compile errors are
// reported: those of the new code, and those that it causes in packages that import it.
func TestCompileErrors(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the generator is a script of a shell")
	}
	const wasText, isNumber = "package acme\n\ntype Thing struct{ ID string }\n", "package acme\n\ntype Thing struct{ ID int }\n"
	adds := edited(t, acme, "        count:\n", "        size:\n          type: integer\n        count:\n")
	for name, test := range map[string]struct {
		code     string // the new code
		files    map[string]string
		refused  string
		wrappers []string // file and line
	}{
		"new code": {"package acme\n\ntype Thing struct{ ID text }\n", nil, "does not compile:\ngen/acme/acme.gen.go:3:", nil},
		"another file of its package": {
			isNumber, map[string]string{"gen/acme/more.go": "package acme\n\nfunc ID(t Thing) string { return t.ID }\n"},
			"does not compile:\ngen/acme/more.go:3:", nil,
		},
		"another file of its package, which is no Go": {
			isNumber, map[string]string{"gen/acme/more.go": "package acme\n\nfunc\n"}, "does not compile:\ngen/acme/more.go:3:", nil,
		},
		"importers, and theirs": {
			isNumber, map[string]string{
				"tokens/acme.go": "package tokens\n\nimport (\n\t\"strings\"\n\n\t\"example.com/m/gen/acme\"\n)\n\nvar ID = strings.ToLower(acme.Thing{}.ID)\n\ntype Thing = acme.Thing\n",
				"use/use.go":     "package use\n\nimport \"example.com/m/tokens\"\n\nvar ID string = tokens.Thing{}.ID\n",
				"other/other.go": "package other\n\nvar ID = id\n", // it does not import the code
			},
			"", []string{"tokens/acme.go:9", "use/use.go:5"},
		},
		"a line of an importer": {
			isNumber, map[string]string{"tokens/acme.go": "package tokens\n\nimport \"example.com/m/gen/acme\"\n\nvar A string = acme.Thing{}.ID\n"},
			"", []string{"tokens/acme.go:5"},
		},
		"importers that did not compile before": {
			isNumber, map[string]string{"tokens/acme.go": "package tokens\n\nimport \"example.com/m/gen/acme\"\n\nvar A string = acme.Thing{}.ID\n\nvar B = acme.Thing{}.Other\n"},
			"", []string{"tokens/acme.go:5"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := map[string]string{
				"go.mod": "module example.com/m\n\ngo 1.26\n", "api/acme.yaml": acme, "gen/acme/acme.gen.go": wasText, "gen/new.txt": test.code,
				"gen/generate.go": "package gen\n\n//go:generate sh gen.sh -o acme/acme.gen.go ../api/acme.yaml\n", "gen/gen.sh": "cp new.txt $2\n",
			}
			maps.Copy(tree, test.files)
			root := acmeTree(t, tree)
			_, out, errors := runTool(t, adds, "-root", root, "-vendor", "acme", "-from", "-", "-format", "json", "-write")
			var r report
			require.NoError(t, json.Unmarshal([]byte(out), &r), errors)
			var wrappers []string
			for _, line := range r.Wrappers {
				wrappers = append(wrappers, strings.Join(strings.Split(line, ":")[:2], ":"))
			}
			assert.ElementsMatch(t, test.wrappers, wrappers)
			now, err := os.ReadFile(filepath.Join(root, "gen", "acme", "acme.gen.go"))
			require.NoError(t, err)
			if test.refused != "" {
				assert.Contains(t, r.Refused, test.refused)
				assert.Equal(t, wasText, string(now))
				return
			}
			assert.Empty(t, r.Refused)
			assert.Contains(t, r.Go, goChange{Name: "Thing.ID", Was: "string", Is: "int"})
			assert.Equal(t, test.code, string(now))
		})
	}
}
