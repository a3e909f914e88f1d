package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var testName = regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9]*…?`)

// Every test named in the README, in another document or in a package comment exists. A name that ends in … stands for
// all tests with that prefix.
func TestTestsThatDocsNameExist(t *testing.T) {
	defined := make(map[string]bool)
	named := make(map[string][]string) // the places by name
	files := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if name := entry.Name(); name == "node_modules" || name == "testdata" || name == ".git" {
				return filepath.SkipDir
			}
			return nil
		case strings.HasSuffix(path, ".go"):
			files++
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			if strings.HasSuffix(path, "_test.go") {
				collectTests(file, defined)
			} else if file.Doc != nil {
				collectNames(path, file.Doc.Text(), named)
			}
		case strings.HasSuffix(path, ".md"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			collectNames(path, string(text), named)
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, files, 100)
	require.NotEmpty(t, named)
	for _, name := range slices.Sorted(maps.Keys(named)) {
		prefix, isPrefix := strings.CutSuffix(name, "…")
		found := defined[name]
		for test := range defined {
			found = found || isPrefix && strings.HasPrefix(test, prefix)
		}
		assert.True(t, found, "%s is named by %s", name, named[name])
	}
}

func collectTests(file *ast.File, defined map[string]bool) {
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && testName.MatchString(f.Name.Name) {
			defined[f.Name.Name] = true
		}
	}
}

func collectNames(path, text string, named map[string][]string) {
	for _, name := range testName.FindAllString(text, -1) {
		if !slices.Contains(named[name], path) {
			named[name] = append(named[name], path)
		}
	}
}
