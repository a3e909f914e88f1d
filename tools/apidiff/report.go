package main

import (
	"fmt"
	"go/types"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/exp/apidiff"
	"golang.org/x/mod/semver"
)

// report is what changed since a commit.
type report struct {
	ref                string
	breaking, additive []string // of the written packages and what they lead to
	unnamed            []string // the breaking ones that the changelog does not name
	apart              []string // of the rest of gen
	apartBreaks        bool
}

func newReport(ref string, before, after *api, changelog string) *report {
	r := &report{ref: ref}
	for _, name := range names(before.written, after.written) {
		for _, c := range changes(before.written[name], after.written[name]) {
			r.add(name, c, changelog)
		}
	}
	reached := before.reached()
	maps.Copy(reached, after.reached())
	for _, name := range names(before.generated, after.generated) {
		for _, c := range changes(before.generated[name], after.generated[name]) {
			if leadsTo(reached, name, before.generated[name], c) || leadsTo(reached, name, after.generated[name], c) {
				r.add(name, c, changelog)
				continue
			}
			r.apart = append(r.apart, name+": "+c.Message)
			r.apartBreaks = r.apartBreaks || !c.Compatible
		}
	}
	return r
}

func names(before, after map[string]*types.Package) []string {
	all := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(all)
	return slices.Compact(all)
}

func changes(before, after *types.Package) []apidiff.Change {
	switch {
	case before == nil:
		return []apidiff.Change{{Message: "package added", Compatible: true}}
	case after == nil:
		return []apidiff.Change{{Message: "package removed"}}
	}
	return apidiff.Changes(before, after).Changes
}

// symbol is what a change is about: "Endpoint", "Endpoint.Revoke", or "" for a package.
func symbol(c apidiff.Change) string {
	name, _, ok := strings.Cut(c.Message, ": ")
	if !ok || strings.Contains(name, " ") {
		return ""
	}
	name, _, _ = strings.Cut(name, ",") // a method of a struct: what it comes from follows
	return strings.NewReplacer("(", "", ")", "", "*", "").Replace(name)
}

// leadsTo reports whether a change in a generated package is about a type that the written ones lead to, or a constant
// of one.
func leadsTo(reached map[string]bool, name string, p *types.Package, c apidiff.Change) bool {
	base, _, _ := strings.Cut(symbol(c), ".")
	if reached[path.Join(name, base)] {
		return true
	}
	if p == nil {
		return false
	}
	constant, ok := p.Scope().Lookup(base).(*types.Const)
	if !ok {
		return false
	}
	of, ok := constant.Type().(*types.Named)
	return ok && reached[path.Join(name, of.Obj().Name())]
}

func (r *report) add(name string, c apidiff.Change, changelog string) {
	line := name + ": " + c.Message
	if c.Compatible {
		r.additive = append(r.additive, line)
		return
	}
	r.breaking = append(r.breaking, line)
	said := path.Base(name)
	if s := symbol(c); s != "" {
		said += "." + s
	}
	if !strings.Contains(unreleased(changelog, r.ref), said) {
		r.unnamed = append(r.unnamed, said)
	}
}

// unreleased is the part of the changelog above the section of a version.
func unreleased(changelog, ref string) string {
	var b strings.Builder
	for line := range strings.Lines(changelog) {
		if strings.HasPrefix(line, "## ") && strings.Contains(line, strings.TrimPrefix(ref, "v")) {
			break
		}
		b.WriteString(line)
	}
	return b.String()
}

// next is the version that the changes need.
func (r *report) next() string {
	part := "patch"
	switch {
	case len(r.breaking) > 0:
		part = "major"
	case len(r.additive)+len(r.apart) > 0:
		part = "minor"
	}
	if !semver.IsValid(r.ref) {
		return "a new " + part + " version"
	}
	var major, minor, patch int
	if _, err := fmt.Sscanf(semver.Canonical(r.ref), "v%d.%d.%d", &major, &minor, &patch); err != nil {
		return "a new " + part + " version"
	}
	switch {
	case part == "patch":
		patch++
	case part == "minor", major == 0: // before v1 a minor version may break
		minor, patch = minor+1, 0
	default:
		major, minor, patch = major+1, 0, 0
	}
	return fmt.Sprintf("v%d.%d.%d", major, minor, patch)
}

func (r *report) print(w io.Writer) {
	for _, part := range []struct {
		title string
		lines []string
	}{{"Breaking", r.breaking}, {"Additive", r.additive}, {"In gen, apart from what tokens and oauthclients lead to", r.apart}} {
		if len(part.lines) > 0 {
			fmt.Fprintf(w, "%s:\n  %s\n", part.title, strings.Join(part.lines, "\n  "))
		}
	}
	if len(r.unnamed) > 0 {
		fmt.Fprintf(w, "Not named in CHANGELOG.md:\n  %s\n", strings.Join(r.unnamed, "\n  "))
	}
	fmt.Fprintf(w, "Since %s, the next version is %s.\n", r.ref, r.next())
}
