package tests

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/grantwright/oauth-go/tests/upstream"
)

// mutations change one thing of a vendor's description. Each keyword belongs to a node of the kind, and is changed
// wherever the description has it.
var mutations = []struct {
	name    string
	kind    upstream.Kind
	keyword string
	change  func(*yaml.Node)
}{
	{"property type", upstream.KindSchema, "type", rewrite},
	{"format", upstream.KindSchema, "format", rewrite},
	{"nullable", upstream.KindSchema, "nullable", rewrite},
	{"enum value", upstream.KindSchema, "enum", rewriteFirst},
	{"enum value gone", upstream.KindSchema, "enum", dropFirst},
	{"enum value new", upstream.KindSchema, "enum", addOne},
	{"required entry gone", upstream.KindSchema, "required", dropFirst},
	{"required entry new", upstream.KindSchema, "required", addOne},
	{"property renamed", upstream.KindSchema, "properties", rewriteFirst},
	{"property gone", upstream.KindSchema, "properties", dropFirst},
	{"property new", upstream.KindSchema, "properties", addOne},
	{"branch gone", upstream.KindSchema, "allOf", dropFirst},
	{"schema default", upstream.KindSchema, "default", rewrite},
	{"length limit", upstream.KindSchema, "maxLength", rewrite},
	{"schema example", upstream.KindSchema, "example", rewrite},
	{"parameter name", upstream.KindParameter, "name", rewrite},
	{"parameter place", upstream.KindParameter, "in", rewrite},
	{"parameter example", upstream.KindParameter, "example", rewrite},
	{"body optional", upstream.KindRequestBody, "required", rewrite},
	{"request media type", upstream.KindRequestBody, "content", rewriteFirst},
	{"response media type", upstream.KindResponse, "content", rewriteFirst},
	{"body example", upstream.KindMediaType, "example", rewrite},
	{"status", upstream.KindOperation, "responses", rewriteFirst},
	{"status gone", upstream.KindOperation, "responses", dropFirst},
	{"scope", upstream.KindOperation, "security", rewriteFirst},
	{"security alternative new", upstream.KindOperation, "security", addOne},
	{"server", upstream.KindServer, "url", rewrite},
	{"server variable", upstream.KindServer, "variables", rewriteFirst},
	{"server variable default", upstream.KindVariable, "default", rewrite},
	{"security scheme", upstream.KindScheme, "type", rewrite},
}

// rewrite changes the last scalar value below n, or adds one where there is none.
func rewrite(n *yaml.Node) {
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

// rewriteFirst changes the first key or element, and of a security requirement its last scope.
func rewriteFirst(n *yaml.Node) {
	if first := n.Content[0]; first.Kind == yaml.MappingNode {
		rewrite(first)
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
	for _, spec := range specs {
		t.Run(filepath.Base(spec.file), func(t *testing.T) {
			file := slice(t, spec.slice)
			ours := parse(t, spec.file)
			theirs := parse(t, file)
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
					assert.NotEmpty(t, upstream.Compare(ours, theirs, upstream.Options{}).Differences, "%s at %s", m.name, pointer)
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

func clone(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = nil
	for _, child := range n.Content {
		c.Content = append(c.Content, clone(child))
	}
	return &c
}

// excusedPlaces are where the vendor's description differs with our reason, so that a change there shows nothing.
func excusedPlaces(ours, theirs *upstream.Document) []string {
	var all []string
	for _, d := range upstream.Compare(ours, theirs, upstream.Options{}).Excused {
		if d.Theirs.Exists() {
			all = append(all, d.Theirs.Pointer)
		} else {
			all = append(all, d.Node.Pointer+"/"+d.Keyword)
		}
		if d.Keyword == "security" {
			all = append(all, "/components/securitySchemes") // they are compared as part of it
		}
	}
	return all
}

func places(d *upstream.Document, kind upstream.Kind, keyword string) []string {
	var all []string
	for p, k := range d.Nodes() {
		if at := p.Child(keyword); k == kind && !p.Child("$ref").Exists() && (at.Text() != "" || len(at.Keys()) > 0) {
			all = append(all, at.Pointer)
		}
	}
	return all
}

func TestEveryDeviationIsNeeded(t *testing.T) {
	for _, spec := range specs {
		t.Run(filepath.Base(spec.file), func(t *testing.T) {
			theirs := parse(t, slice(t, spec.slice))
			for _, d := range parse(t, spec.file).Deviations() {
				ours := parse(t, spec.file)
				detach(ours, d.Pointer)
				assert.NotEmpty(t, upstream.Compare(ours, theirs, upstream.Options{}).Differences, "without %s at %s", d.Keyword, d.Pointer)
			}
		})
	}
}

// detach empties the x-deviation of a node, which may be shared with others by an alias.
func detach(d *upstream.Document, pointer string) {
	n := d.At(pointer).Node()
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == "x-deviation" {
			n.Content[i+1] = &yaml.Node{Kind: yaml.MappingNode}
		}
	}
}

func TestDeviationThatExcusesNothingIsCaught(t *testing.T) {
	for _, spec := range specs {
		t.Run(filepath.Base(spec.file), func(t *testing.T) {
			theirs := parse(t, slice(t, spec.slice))
			ours := parse(t, spec.file)
			var entry yaml.Node
			require.NoError(t, yaml.Unmarshal([]byte("x-deviation: {pattern: No reason.}"), &entry))
			var want []upstream.Deviation
			for p := range ours.Nodes() {
				if n := p.Node(); n.Kind == yaml.MappingNode && !p.Child("x-deviation").Exists() {
					n.Content = append(n.Content, entry.Content[0].Content...)
					want = append(want, upstream.Deviation{Pointer: p.Pointer, Keyword: "pattern", Reason: "No reason."})
				}
			}
			require.NotEmpty(t, want)
			assert.Equal(t, want, upstream.Compare(ours, theirs, upstream.Options{}).Unused)
		})
	}
}
