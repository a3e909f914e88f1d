package main

import (
	"context"
	"fmt"
	"go/types"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

// api holds the packages of a module that users import.
type api struct {
	module   string
	packages map[string]*types.Package // by path relative to the module
}

// load type-checks the packages of the module in dir.
func load(ctx context.Context, dir string) (*api, error) {
	config := &packages.Config{
		Context: ctx,
		Dir:     dir,
		Env:     append(os.Environ(), "GOWORK=off"),
		Mode:    packages.NeedName | packages.NeedTypes | packages.NeedModule,
		// What was compiled in another directory is used again: each work tree has a directory of its own.
		BuildFlags: []string{"-trimpath"},
	}
	var patterns []string
	for _, folder := range []string{"tokens", "oauthclients", "sandbox", "gen"} { // an older commit may lack one
		if _, err := os.Stat(filepath.Join(dir, folder)); err == nil {
			patterns = append(patterns, "./"+folder+"/...")
		}
	}
	all, err := packages.Load(config, patterns...)
	if err != nil {
		return nil, err
	}
	a := &api{packages: map[string]*types.Package{}}
	for _, p := range all {
		if len(p.Errors) > 0 {
			return nil, p.Errors[0]
		}
		if p.Module == nil {
			return nil, fmt.Errorf("%s is in no module", p.PkgPath)
		}
		a.module = p.Module.Path
		if name := a.name(p.Types); !strings.Contains(name, "internal") {
			a.packages[name] = p.Types
		}
	}
	return a, nil
}

// name returns the path of a package relative to the module.
func (a *api) name(p *types.Package) string { return strings.TrimPrefix(p.Path(), a.module+"/") }
