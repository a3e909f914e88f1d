package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// report has what a person needs to decide about a new description.
type report struct {
	Vendor  string   `json:"vendor"`
	From    string   `json:"from"`
	Changes []change `json:"changes"`

	// Deviations are intended differences. Unused are reasons that are no longer needed, because upstream now agrees with
	// us or has removed the node.
	Deviations []deviation `json:"deviations"`
	Unused     []deviation `json:"unused"`

	// Notes describe how the description was read, such as paths that moved and undefined security schemes.
	Notes []string `json:"notes"`

	Go       []goChange `json:"go"`       // in the generated package
	Wrappers []string   `json:"wrappers"` // compile errors in its importers
	Decide   []string   `json:"decide"`   // decisions that -write leaves to a person

	// Refused is why nothing can be written: the error of the generator or the compiler for the merged description.
	Refused string `json:"refused,omitempty"`
}

// change is a difference, listed once for all operations that have it.
type change struct {
	Class      class    `json:"class"`
	What       string   `json:"what"`
	Operations []string `json:"operations"`
	Place      string   `json:"place"`              // JSON Pointer relative to the first operation
	Pointer    string   `json:"pointer,omitempty"`  // in api/<vendor>.yaml
	Upstream   string   `json:"upstream,omitempty"` // in the vendor's description
	Was        string   `json:"was,omitempty"`
	Is         string   `json:"is,omitempty"`
	Go         []string `json:"go,omitempty"`
	Note       string   `json:"note,omitempty"`

	differences []openapi.Difference
	left        bool // not merged, by a rule of specsync.yaml, so that it does not affect Go code
}

// deviation is a reason and the nodes that it applies to.
type deviation struct {
	Keyword  string   `json:"keyword"`
	Reason   string   `json:"reason"`
	Pointers []string `json:"pointers"` // in api/<vendor>.yaml
	Upstream string   `json:"upstream"` // the vendor's value at the first one
}

func newReport(name, from string, result openapi.Result, c *config) *report {
	r := &report{Vendor: name, From: from, Changes: []change{}}
	for _, d := range result.Differences {
		if !implied(d, result.Differences) {
			r.add(d, result.Differences, c)
		}
	}
	for _, op := range result.Operations {
		if op[0].Path != op[1].Path {
			r.Notes = append(r.Notes, fmt.Sprintf("%s is read from %s", op[0], op[1]))
		}
	}
	for _, name := range result.Undefined {
		r.Notes = append(r.Notes, "security scheme "+name+" is named and not defined; only its scopes were compared")
	}
	r.markRenames()
	for _, d := range result.Excused {
		keyword := d.Keyword
		if entry := d.Keyword + "/" + d.Member; d.Node.Child("x-deviation").Child(entry).Exists() {
			keyword = entry
		}
		r.Deviations = grouped(r.Deviations, deviation{keyword, d.Reason, []string{d.Node.Pointer}, d.Is})
	}
	for _, d := range result.Unused {
		r.Unused = grouped(r.Unused, deviation{d.Keyword, d.Reason, []string{d.Pointer}, ""})
	}
	return r
}

// implied reports whether a difference follows from another one: a required entry from an added or removed property,
// and the content of a schema from its changed type.
func implied(d openapi.Difference, all []openapi.Difference) bool {
	return d.Kind == openapi.KindSchema && slices.ContainsFunc(all, func(o openapi.Difference) bool {
		switch {
		case o.Node.Pointer != d.Node.Pointer:
			return false
		case o.Keyword == "type" && o.Was != "" && o.Is != "":
			return d.Keyword != "type" && d.Keyword != "nullable" && d.Keyword != "example"
		}
		return d.Keyword == "required" && o.Keyword == "properties" && o.Member == d.Member && (o.Was == "") == (d.Was == "")
	})
}

// where returns the key by which differences are grouped: the node or, for differences that each operation has on its
// own, their description.
func where(d openapi.Difference) string {
	if d.Keyword == "servers" || d.Keyword == "security" || d.Kind == openapi.KindRequirement {
		return ""
	}
	return d.Node.Pointer
}

func (r *report) add(d openapi.Difference, all []openapi.Difference, conf *config) {
	op := d.Operation.String()
	for i := range r.Changes {
		if c := &r.Changes[i]; where(c.differences[0]) == where(d) && c.What == what(d) && c.Was == d.Was && c.Is == d.Is {
			if !slices.Contains(c.Operations, op) {
				c.Operations = append(c.Operations, op)
			}
			c.differences = append(c.differences, d)
			return
		}
	}
	c := change{
		Class: classify(d, all, conf.Vendors[r.Vendor].Scopes), What: what(d), Operations: []string{op}, Place: d.Place,
		Pointer: pointerOf(d), Upstream: d.Theirs.Pointer, Was: d.Was, Is: d.Is, differences: []openapi.Difference{d},
	}
	if d.Keyword == "properties" && requires(d, all) {
		c.note("required")
	}
	if rule := conf.leaves(d.Kind, d.Keyword, d.Place); rule != nil && d.Was == "" {
		c.Class, c.left = tolerated, true
		c.note("left as it is")
	}
	r.Changes = append(r.Changes, c)
}

// pointerOf returns the pointer of a difference in our description, or where it would be.
func pointerOf(d openapi.Difference) string {
	switch {
	case d.Ours.Exists():
		return d.Ours.Pointer
	case d.Element == openapi.KindServer:
		return cmp.Or(d.Operation.Servers().Pointer, below(d.Node.Pointer, d.Keyword))
	case d.Element == openapi.KindParameter || d.Member == "" || d.Element == "":
		return below(d.Node.Pointer, d.Keyword)
	}
	return below(d.Node.Pointer, d.Keyword, d.Member)
}

// markRenames marks removed properties for which one of the same type was added at the same place.
func (r *report) markRenames() {
	for i := range r.Changes {
		gone := r.Changes[i].differences[0]
		for j := range r.Changes {
			came := r.Changes[j].differences[0]
			if gone.Keyword != "properties" || came.Keyword != "properties" || gone.Is != "" || came.Was != "" ||
				gone.Node.Pointer != came.Node.Pointer || gone.Ours.Child("type").Text() != came.Theirs.Child("type").Text() ||
				!alike(gone.Member, came.Member) {
				continue
			}
			r.Changes[i].note("renamed to " + came.Member + "?")
			r.Changes[j].note("renamed from " + gone.Member + "?")
		}
	}
}

func (c *change) note(words string) {
	if c.Note != "" {
		c.Note += "; "
	}
	c.Note += words
}

// alike reports whether two names differ only in spelling, or in letters added at one end.
func alike(a, b string) bool {
	a, b = strings.ToLower(goName(a)), strings.ToLower(goName(b))
	return strings.Contains(a, b) || strings.Contains(b, a)
}

func grouped(all []deviation, d deviation) []deviation {
	for i := range all {
		if have := &all[i]; have.Keyword == d.Keyword && have.Reason == d.Reason {
			if !slices.Contains(have.Pointers, d.Pointers[0]) {
				have.Pointers = append(have.Pointers, d.Pointers...)
			}
			return all
		}
	}
	return append(all, d)
}

// addGo adds to each change the exported symbols that it affects. A change that removes a symbol or changes its type is
// always breaking.
func (r *report) addGo(vendor string, changes []goChange) {
	r.Go = changes
	for i, c := range r.Changes {
		if c.Class == prose || c.left {
			continue
		}
		for _, g := range changes {
			if slices.ContainsFunc(c.differences, func(d openapi.Difference) bool { return touches(d, g.symbol) }) {
				c.Go = append(c.Go, vendor+"."+g.Name)
				if g.breaks() {
					c.Class = breaking
				}
			}
		}
		r.Changes[i] = c
	}
}

// exit returns the exit code for a report.
func (r *report) exit() int {
	switch {
	case r.Refused != "", slices.ContainsFunc(r.Changes, func(c change) bool { return c.Class == breaking }):
		return exitBreaking
	case len(r.Changes)+len(r.Unused) > 0:
		return exitChanged
	}
	return exitNone
}

func (r *report) of(c class) []change {
	return slices.DeleteFunc(slices.Clone(r.Changes), func(have change) bool { return have.Class != c })
}
