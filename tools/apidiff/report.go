package main

import (
	"fmt"
	"go/token"
	"go/types"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/exp/apidiff"
	"golang.org/x/mod/semver"
)

// report lists the changes since a commit.
type report struct {
	ref                string
	breaking, additive []string
	unnamed            []string // breaking changes that the changelog does not mention
}

func newReport(ref string, before, after *api, changelog string) *report {
	r := &report{ref: ref}
	said := breakingSection(changelog, ref)
	for _, name := range names(before.packages, after.packages) {
		for _, c := range changes(before.packages[name], after.packages[name]) {
			r.add(name, c, said)
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

// symbol returns the name that a change is about: "Endpoint", "Endpoint.Revoke", or "" for a package.
func symbol(c apidiff.Change) string {
	name, _, ok := strings.Cut(c.Message, ": ")
	if !ok {
		return ""
	}
	plain := strings.NewReplacer("(", "", ")", "", "*", "")
	name, embedder, _ := strings.Cut(plain.Replace(name), ", method set of ")
	if receiver, method, _ := strings.Cut(name, "."); embedder != "" && !token.IsExported(receiver) {
		return embedder + "." + method
	}
	return name
}

func (r *report) add(name string, c apidiff.Change, said string) {
	line := name + ": " + c.Message
	if c.Compatible {
		r.additive = append(r.additive, line)
		return
	}
	r.breaking = append(r.breaking, line)
	full := path.Base(name)
	if s := symbol(c); s != "" {
		full += "." + s
	}
	if !mentions(said, full) && !slices.Contains(r.unnamed, full) {
		r.unnamed = append(r.unnamed, full)
	}
}

// mentions reports whether text contains name as a whole word.
func mentions(text, name string) bool {
	return regexp.MustCompile(`(^|[^\w.])` + regexp.QuoteMeta(name) + `($|\W)`).MatchString(text)
}

// breakingSection returns the text under "Breaking" in the changelog above the section of a version.
func breakingSection(changelog, ref string) string {
	var b strings.Builder
	breaking := false
	for line := range strings.Lines(changelog) {
		switch heading := strings.TrimSpace(strings.TrimLeft(line, "#")); {
		case strings.HasPrefix(line, "## ") && mentions(heading, strings.TrimPrefix(ref, "v")):
			return b.String()
		case strings.HasPrefix(line, "#"):
			breaking = strings.EqualFold(heading, "Breaking")
		case breaking:
			b.WriteString(line)
		}
	}
	return b.String()
}

// next returns the version that the changes require.
func (r *report) next() string {
	part := "patch"
	switch {
	case len(r.breaking) > 0:
		part = "major"
	case len(r.additive) > 0:
		part = "minor"
	}
	var major, minor, patch int
	if _, err := fmt.Sscanf(semver.Canonical(r.ref), "v%d.%d.%d", &major, &minor, &patch); err != nil { // the ref is no version
		return "a new " + part + " version"
	}
	switch {
	case part == "patch":
		patch++
	case part == "minor", major == 0: // before v1, a minor version may have breaking changes
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
	}{{"Breaking", r.breaking}, {"Additive", r.additive}} {
		if len(part.lines) > 0 {
			fmt.Fprintf(w, "%s:\n  %s\n", part.title, strings.Join(part.lines, "\n  "))
		}
	}
	if len(r.unnamed) > 0 {
		fmt.Fprintf(w, "Not named under \"Breaking\" in CHANGELOG.md:\n  %s\n", strings.Join(r.unnamed, "\n  "))
	}
	fmt.Fprintf(w, "Since %s, the next version is %s.\n", r.ref, r.next())
}

// exitCode returns the exit code of the command.
func (r *report) exitCode() int {
	if len(r.unnamed) > 0 {
		return exitBreaking
	}
	return exitCompatible
}
