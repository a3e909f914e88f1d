package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// madeByHand finds the places in a Go file that make or send an HTTP request, except those that pass on the request of
// a generated method.
func madeByHand(t *testing.T, name string, src any) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	require.NoError(t, err)

	pkg := "" // the name under which this file imports net/http
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		switch {
		case path == "net/http/httputil":
			return []string{name + " imports " + path}
		case path == "net/http" && spec.Name != nil:
			pkg = spec.Name.Name
		case path == "net/http":
			pkg = "http"
		}
	}
	isHTTP := func(e ast.Expr, names ...string) bool {
		sel, ok := e.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		x, ok := sel.X.(*ast.Ident)
		return ok && x.Name == pkg && slices.Contains(names, sel.Sel.Name)
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		byHand := false
		switch n := n.(type) {
		case *ast.SelectorExpr:
			byHand = isHTTP(n, "NewRequest", "NewRequestWithContext", "ReadRequest", "DefaultClient", "Get", "Head", "Post", "PostForm")
		case *ast.CompositeLit:
			byHand = isHTTP(n.Type, "Request")
		case *ast.ImportSpec:
			byHand = n.Name != nil && n.Name.Name == "." && n.Path.Value == `"net/http"`
		}
		if byHand {
			found = append(found, fset.Position(n.Pos()).String())
		}
		return true
	})
	return found
}

func TestEveryRequestIsBuiltByAGeneratedMethod(t *testing.T) {
	files := 0
	for _, root := range []string{"../tokens", "../oauthclients"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			assert.Empty(t, madeByHand(t, path, nil), "use a method of the generated client")
			return nil
		})
		require.NoError(t, err)
	}
	assert.Greater(t, files, 20, "the packages were not found")
}

func TestRequestsMadeByHandAreFound(t *testing.T) {
	for src, want := range map[string]int{
		`package p; import "net/http"; var _, _ = http.NewRequest("GET", "/", nil)`:                          1,
		`package p; import h "net/http"; var _, _ = h.NewRequestWithContext(nil, "GET", "/", nil)`:           1,
		`package p; import "net/http"; var f = http.NewRequest`:                                              1,
		`package p; import "net/http"; var _ = &http.Request{Method: "GET"}`:                                 1,
		`package p; import "net/http"; var _, _ = http.Get("/")`:                                             1,
		`package p; import "net/http"; var _, _ = http.DefaultClient.Get("/")`:                               1,
		`package p; import . "net/http"; var _, _ = NewRequest("GET", "/", nil)`:                             1,
		`package p; import "net/http"; func f(r *http.Request) *http.Request { c := *r; return &c }`:         0,
		`package p; import "net/http"; func f(c *http.Client, r *http.Request) { _, _ = c.Do(r) }`:           0,
		`package p; import http "example.com/other"; var _, _ = http.NewRequest, http.Request{}; type T int`: 0,
	} {
		assert.Len(t, madeByHand(t, "p.go", src), want, src)
	}
}
