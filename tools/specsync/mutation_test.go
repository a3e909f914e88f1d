package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// mutations change one thing in a description. Each keyword belongs to a kind of node, and is changed wherever the
// description has it.
var mutations = []struct {
	name    string
	kind    openapi.Kind
	keyword string
	change  func(*yaml.Node)
}{
	{"property type", openapi.KindSchema, "type", alter},
	{"format", openapi.KindSchema, "format", alter},
	{"nullable", openapi.KindSchema, "nullable", alter},
	{"enum value", openapi.KindSchema, "enum", alterFirst},
	{"enum value gone", openapi.KindSchema, "enum", dropFirst},
	{"enum value new", openapi.KindSchema, "enum", addOne},
	{"required entry gone", openapi.KindSchema, "required", dropFirst},
	{"required entry new", openapi.KindSchema, "required", addOne},
	{"property renamed", openapi.KindSchema, "properties", alterFirst},
	{"property gone", openapi.KindSchema, "properties", dropFirst},
	{"property new", openapi.KindSchema, "properties", addOne},
	{"branch gone", openapi.KindSchema, "allOf", dropFirst},
	{"schema default", openapi.KindSchema, "default", alter},
	{"length limit", openapi.KindSchema, "maxLength", alter},
	{"schema example", openapi.KindSchema, "example", alter},
	{"parameter name", openapi.KindParameter, "name", alter},
	{"parameter place", openapi.KindParameter, "in", alter},
	{"parameter example", openapi.KindParameter, "example", alter},
	{"body optional", openapi.KindRequestBody, "required", alter},
	{"request media type", openapi.KindRequestBody, "content", alterFirst},
	{"response media type", openapi.KindResponse, "content", alterFirst},
	{"body example", openapi.KindMediaType, "example", alter},
	{"status", openapi.KindOperation, "responses", alterFirst},
	{"status gone", openapi.KindOperation, "responses", dropFirst},
	{"scope", openapi.KindOperation, "security", alterFirst},
	{"security alternative new", openapi.KindOperation, "security", addOne},
	{"server", openapi.KindServer, "url", alter},
	{"server variable", openapi.KindServer, "variables", alterFirst},
	{"server variable default", openapi.KindVariable, "default", alter},
	{"security scheme", openapi.KindScheme, "type", alter},
}

// alter changes the last scalar value below n, or adds one where there is none.
func alter(n *yaml.Node) {
	for n.Kind != yaml.ScalarNode {
		if len(n.Content) == 0 {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode})
		}
		n = n.Content[len(n.Content)-1]
	}
	switch n.Value {
	case "true":
		n.Value = "false"
	case "false":
		n.Value = "true"
	default:
		n.Value += "1"
	}
}

// alterFirst changes the first key or element or, in a security requirement, its last scope.
func alterFirst(n *yaml.Node) {
	if first := n.Content[0]; first.Kind == yaml.MappingNode {
		alter(first)
	} else {
		first.Value += "1"
	}
}

func dropFirst(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		n.Content = n.Content[2:]
	} else {
		n.Content = n.Content[1:]
	}
}

func addOne(n *yaml.Node) {
	value := &yaml.Node{Kind: yaml.ScalarNode, Value: "new"}
	switch {
	case n.Kind == yaml.MappingNode:
		n.Content = append(n.Content, value, &yaml.Node{Kind: yaml.MappingNode})
	case n.Content[0].Kind == yaml.MappingNode: // a requirement
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.MappingNode})
	default:
		n.Content = append(n.Content, value)
	}
}

func TestEveryMutationOfUpstreamIsCaught(t *testing.T) {
	t.Parallel()
	for _, s := range publishedSpecs(t) {
		t.Run(s.name, func(t *testing.T) {
			ours, theirs := parse(t, s.file), parse(t, s.published)
			excused := excusedPlaces(ours, theirs)
			tried := map[string]int{}
			for _, m := range mutations {
				for _, pointer := range places(theirs, m.kind, m.keyword) {
					if slices.ContainsFunc(excused, func(e string) bool { return pointer == e || strings.HasPrefix(pointer, e+"/") }) {
						continue
					}
					n := theirs.At(pointer).Node()
					before := clone(n)
					m.change(n)
					assert.NotEmpty(t, openapi.Compare(ours, theirs, openapi.Options{}).Differences, "%s at %s", m.name, pointer)
					*n = *before
					tried[m.name]++
				}
			}
			assertSame(t, ours, theirs)
			for _, name := range []string{"property type", "property gone", "status", "response media type", "parameter name", "server"} {
				assert.Positive(t, tried[name], "%s was never tried", name)
			}
		})
	}
}

// TestEveryMutationOfOursIsCaught changes api/ in the same ways: each change must be a difference from the published
// description, or from testdata/own.
func TestEveryMutationOfOursIsCaught(t *testing.T) {
	t.Parallel()
	tried := map[string]int{}
	for _, s := range specs(t) {
		ours, theirs := parse(t, s.file), s.theirs(t)
		own := ownStructure(t, ours, compared(ours, theirs))
		for _, m := range mutations {
			for _, pointer := range places(ours, m.kind, m.keyword) {
				n := ours.At(pointer).Node()
				before := clone(n)
				m.change(n)
				result := compared(ours, theirs)
				differs := result != nil && len(result.Differences) > 0
				assert.True(t, differs || ownStructure(t, ours, result) != own, "%s: %s at %s", s.name, m.name, pointer)
				*n = *before
				tried[m.name]++
			}
		}
		require.Equal(t, own, ownStructure(t, ours, compared(ours, theirs)))
	}
	for _, m := range mutations {
		assert.Positive(t, tried[m.name], "%s was never tried", m.name)
	}
}

func clone(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = nil
	for _, child := range n.Content {
		c.Content = append(c.Content, clone(child))
	}
	return &c
}

// excusedPlaces returns the places where our description differs for a reason, so that a change there has no effect.
func excusedPlaces(ours, theirs *openapi.Document) []string {
	var all []string
	for _, d := range openapi.Compare(ours, theirs, openapi.Options{}).Excused {
		if d.Theirs.Exists() {
			all = append(all, d.Theirs.Pointer)
		} else {
			all = append(all, d.Node.Pointer+"/"+d.Keyword)
		}
		if d.Keyword == "security" {
			all = append(all, "/components/securitySchemes") // they are compared as part of security
		}
	}
	return all
}

func places(d *openapi.Document, kind openapi.Kind, keyword string) []string {
	var all []string
	for p, k := range d.Nodes() {
		if at := p.Child(keyword); k == kind && !p.Child("$ref").Exists() && (at.Text() != "" || len(at.Keys()) > 0) {
			all = append(all, at.Pointer)
		}
	}
	return all
}

func TestEveryDeviationIsNeeded(t *testing.T) {
	t.Parallel()
	for _, s := range publishedSpecs(t) {
		t.Run(s.name, func(t *testing.T) {
			theirs := parse(t, s.published)
			for _, d := range parse(t, s.file).Deviations() {
				ours := parse(t, s.file)
				detach(ours, d.Pointer)
				assert.NotEmpty(t, openapi.Compare(ours, theirs, openapi.Options{}).Differences, "without %s at %s", d.Keyword, d.Pointer)
			}
		})
	}
}

// detach empties the x-deviation of a node, which an alias may share with others.
func detach(d *openapi.Document, pointer string) {
	n := d.At(pointer).Node()
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == "x-deviation" {
			n.Content[i+1] = &yaml.Node{Kind: yaml.MappingNode}
		}
	}
}

func TestDeviationThatExcusesNothingIsCaught(t *testing.T) {
	t.Parallel()
	for _, s := range publishedSpecs(t) {
		t.Run(s.name, func(t *testing.T) {
			ours, theirs := parse(t, s.file), parse(t, s.published)
			var entry yaml.Node
			require.NoError(t, yaml.Unmarshal([]byte("x-deviation: {pattern: No reason.}"), &entry))
			var want []openapi.Deviation
			for p := range ours.Nodes() {
				if n := p.Node(); n.Kind == yaml.MappingNode && !p.Child("x-deviation").Exists() {
					n.Content = append(n.Content, entry.Content[0].Content...)
					want = append(want, openapi.Deviation{Pointer: p.Pointer, Keyword: "pattern", Reason: "No reason."})
				}
			}
			require.NotEmpty(t, want)
			assert.Equal(t, want, openapi.Compare(ours, theirs, openapi.Options{}).Unused)
		})
	}
}
