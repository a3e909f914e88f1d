package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// checker type-checks the packages of the module in memory, with new generated code for a vendor instead of the code on
// disk. It can be used by several goroutines.
type checker struct {
	root    string
	module  []listed          // its packages, dependencies first
	exports map[string]string // files of the compiler's export data, by import path
}

// listed is a package in the output of go list.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles, Imports        []string
	Module                  *struct{ Main bool }
}

func newChecker(ctx context.Context, root string) (*checker, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("specsync: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-e", "-trimpath", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Imports,Module", "./...")
	cmd.Dir = root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("specsync: go list: %w\n%s", err, stderr.String())
	}
	c := &checker{root: root, exports: map[string]string{}}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		switch err := dec.Decode(&p); { //nolint:musttag // go list uses the names of the fields
		case errors.Is(err, io.EOF):
			return c, nil
		case err != nil:
			return nil, fmt.Errorf("specsync: go list: %w", err)
		case p.Module != nil && p.Module.Main:
			c.module = append(c.module, p)
		}
		c.exports[p.ImportPath] = p.Export
	}
}

// compileErrors returns the compile errors in a generated file, whose name is relative to the root and whose content is
// source, and those in the packages that import it, one per line.
func (c *checker) compileErrors(file string, source []byte) (generated, others []string) {
	file = filepath.Join(c.root, file)
	fset := token.NewFileSet()
	checked := map[string]*types.Package{}
	rest := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(c.exports[path])
	})
	for _, p := range c.module {
		replaced := filepath.Dir(file) == p.Dir
		if !replaced && !slices.ContainsFunc(p.Imports, func(path string) bool { return checked[path] != nil }) {
			continue // it does not change; importers use its export data
		}
		var found []string
		files, err := parseFiles(fset, p, file, source)
		if err != nil {
			found = append(found, err.Error())
		}
		conf := types.Config{
			Importer: importerFunc(func(path string) (*types.Package, error) {
				if local := checked[path]; local != nil {
					return local, nil
				}
				return rest.Import(path)
			}),
			Error: func(err error) { found = append(found, err.Error()) },
		}
		checked[p.ImportPath], _ = conf.Check(p.ImportPath, fset, files, nil)
		for i := range found {
			found[i] = strings.TrimPrefix(filepath.ToSlash(found[i]), filepath.ToSlash(c.root)+"/")
		}
		if replaced {
			generated = found
		} else {
			others = append(others, found...)
		}
	}
	return generated, others
}

func parseFiles(fset *token.FileSet, p listed, file string, source []byte) ([]*ast.File, error) {
	var files []*ast.File
	for _, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		var text any // nil reads the file on disk
		if path == file {
			text = source
		}
		f, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution)
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

type importerFunc func(path string) (*types.Package, error)

func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }
