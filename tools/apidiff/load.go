package main

import (
	"context"
	"fmt"
	"go/types"
	"os"
	"path"
	"strings"

	"golang.org/x/tools/go/packages"
)

// api is the packages of a module that importers see: those that are written by hand, and those in gen.
type api struct {
	module             string
	written, generated map[string]*types.Package // by path below the module
}

// load type-checks the packages of the module in dir. It uses no network.
func load(ctx context.Context, dir string) (*api, error) {
	config := &packages.Config{
		Context: ctx,
		Dir:     dir,
		Env:     append(os.Environ(), "GOPROXY=off", "GOWORK=off"),
		Mode:    packages.NeedName | packages.NeedTypes | packages.NeedModule,
	}
	all, err := packages.Load(config, "./tokens/...", "./oauthclients/...", "./gen/...")
	if err != nil {
		return nil, err
	}
	a := &api{written: map[string]*types.Package{}, generated: map[string]*types.Package{}}
	for _, p := range all {
		if len(p.Errors) > 0 {
			return nil, p.Errors[0]
		}
		if p.Module == nil {
			return nil, fmt.Errorf("%s is in no module", p.PkgPath)
		}
		a.module = p.Module.Path
		switch name := a.name(p.Types); {
		case strings.Contains(name, "internal"):
		case strings.HasPrefix(name, "gen"):
			a.generated[name] = p.Types
		default:
			a.written[name] = p.Types
		}
	}
	return a, nil
}

// name is the path of a package below the module.
func (a *api) name(p *types.Package) string { return strings.TrimPrefix(p.Path(), a.module+"/") }

// reached returns the generated types that the exported API of the written packages leads to, by package and name.
func (a *api) reached() map[string]bool {
	r := reacher{api: a, types: map[string]bool{}, seen: map[types.Type]bool{}}
	for _, p := range a.written {
		for _, name := range p.Scope().Names() {
			if o := p.Scope().Lookup(name); o.Exported() {
				r.reach(o.Type())
			}
		}
	}
	return r.types
}

type reacher struct {
	api   *api
	types map[string]bool
	seen  map[types.Type]bool
}

func (r *reacher) reach(t types.Type) {
	if t == nil || r.seen[t] {
		return
	}
	r.seen[t] = true
	switch t := t.(type) {
	case *types.Named:
		r.named(t)
	case *types.Alias:
		r.reach(types.Unalias(t))
	case *types.Pointer:
		r.reach(t.Elem())
	case *types.Slice:
		r.reach(t.Elem())
	case *types.Array:
		r.reach(t.Elem())
	case *types.Chan:
		r.reach(t.Elem())
	case *types.Map:
		r.reach(t.Key())
		r.reach(t.Elem())
	case *types.Tuple:
		for v := range t.Variables() {
			r.reach(v.Type())
		}
	case *types.Signature:
		r.reach(t.Params())
		r.reach(t.Results())
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() {
				r.reach(f.Type())
			}
		}
	case *types.Interface:
		for m := range t.Methods() {
			r.reach(m.Type())
		}
	}
}

// named follows a type of the module. Types of others are theirs to keep.
func (r *reacher) named(t *types.Named) {
	for argument := range t.TypeArgs().Types() {
		r.reach(argument)
	}
	p := t.Obj().Pkg()
	if p == nil || !strings.HasPrefix(p.Path(), r.api.module+"/") {
		return
	}
	if name := r.api.name(p); strings.HasPrefix(name, "gen/") {
		r.types[path.Join(name, t.Obj().Name())] = true
	}
	r.reach(t.Underlying())
	for m := range t.Methods() {
		if m.Exported() {
			r.reach(m.Type())
		}
	}
}
