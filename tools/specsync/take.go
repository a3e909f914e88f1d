package main

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// take converts the vendor's node for our description: its structure, with references to our components.
func (m *merger) take(their openapi.Place, kind openapi.Kind) *yaml.Node {
	if n := m.refer(their.Resolve(), kind); n != nil {
		return n
	}
	return their.Copy(kind, m.refer)
}

// refer returns a reference to our component for the vendor's, which it creates if necessary. It returns nil if the
// vendor's node should be written inline, because it is not a component or has no Go type of its own.
func (m *merger) refer(target openapi.Place, kind openapi.Kind) *yaml.Node {
	section, name, ok := component(target.Pointer)
	if !ok {
		return nil
	}
	if ours := m.counterpart(target, kind); ours != "" {
		return reference(ours)
	}
	if making := m.making[target.Pointer]; making != "" {
		return reference(making)
	}
	if kind != openapi.KindSchema || !typed(target) || m.config.leaves(kind, "enum", m.place) != nil {
		return nil
	}
	name = goName(name)
	for i := 2; m.sheet.doc.At(below("/components", section, name)).Exists(); i++ {
		name = strings.TrimRight(name, "0123456789") + strconv.Itoa(i)
	}
	ours := below("/components", section, name)
	m.making[target.Pointer] = ours
	defer delete(m.making, target.Pointer)
	value := target.Copy(kind, m.refer)
	m.dressAll(value, m.place)
	if err := m.define(section, name, value); err != nil {
		return nil
	}
	m.now.Pairs[target.Pointer] = append(m.now.Pairs[target.Pointer], ours)
	return reference(ours)
}

var componentPointer = regexp.MustCompile("^/components/([^/]*)/([^/]*)$")

// component splits the pointer of a component into its section and name.
func component(pointer string) (section, name string, ok bool) {
	parts := componentPointer.FindStringSubmatch(pointer)
	if parts == nil {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// counterpart returns our component for the vendor's, or "". If ours corresponds to several of the vendor's, it must be
// equal to this one.
func (m *merger) counterpart(target openapi.Place, kind openapi.Kind) string {
	for _, pointer := range m.now.Pairs[target.Pointer] {
		if _, _, ok := component(pointer); !ok {
			continue
		}
		theirs := slices.DeleteFunc(m.theirsOf(pointer), func(their string) bool { return m.theirs.At(their).Around().Exists() })
		if len(theirs) <= 1 || openapi.Equal(kind, m.sheet.doc.At(pointer), target) {
			return pointer
		}
	}
	return ""
}

// theirsOf returns the vendor's nodes that were compared with our node.
func (m *merger) theirsOf(pointer string) []string {
	var all []string
	for their, ours := range m.now.Pairs {
		if slices.Contains(ours, pointer) {
			all = append(all, their)
		}
	}
	return all
}

// agreed reports whether all of the vendor's nodes that correspond to our node require the same edit.
func (m *merger) agreed(d openapi.Difference) bool {
	for _, pointer := range m.theirsOf(d.Node.Pointer) {
		their := m.theirs.At(pointer)
		if _, _, shared := component(d.Node.Pointer); !shared && d.TheirNode.Around().Pointer == pointer {
			continue // we may have other keywords next to the allOf
		}
		if their.Exists() && state(their, d) != state(d.TheirNode, d) {
			return false
		}
	}
	return true
}

// state returns what a vendor's node has at the place of a difference.
func state(their openapi.Place, d openapi.Difference) string {
	for inner := their.Around(); inner.Exists() && !their.Child(d.Keyword).Exists(); inner = their.Around() {
		their = inner
	}
	at := their.Child(d.Keyword)
	switch {
	case d.Member == "":
		return their.KeywordJSON(d.Kind, d.Keyword)
	case at.Exists() && at.Node().Kind == yaml.SequenceNode && d.Element == "":
		has := slices.ContainsFunc(at.Keys(), func(i string) bool { return at.Child(i).JSON("") == d.Was+d.Is })
		return strconv.FormatBool(has)
	case d.Element == "":
		return strconv.FormatBool(at.Child(d.Member).Exists())
	}
	return at.Child(d.Member).JSON(d.Element)
}

// split replaces our reference to a shared component by the vendor's node, because the vendor has something else
// elsewhere.
func (m *merger) split(d openapi.Difference) error {
	site, path, kind, err := m.site(d)
	if err != nil {
		return err
	}
	for their := range d.Their.Reached() {
		if openapi.PlainPath(their.Path) == openapi.PlainPath(path) {
			value := m.refer(their.Place, kind)
			if value == nil {
				value = their.Place.Copy(kind, m.refer)
			}
			if _, token := parent(path); kind == openapi.KindResponse {
				describe(value, token)
			}
			m.dressAll(value, path)
			m.decidef("%s%s no longer shares a component with other places: look at the name of its Go type", d.Operation, path)
			return m.sheet.replace(site, value)
		}
	}
	return errShared
}

// renamed returns our component for a schema that is inline in ours and a reference in the vendor's, or "".
func (m *merger) renamed(d openapi.Difference) string {
	if _, _, ok := component(d.Node.Pointer); ok || d.Kind != openapi.KindSchema {
		return ""
	}
	if _, _, ok := component(d.TheirNode.Pointer); !ok {
		return ""
	}
	return m.counterpart(d.TheirNode, d.Kind)
}

func reference(pointer string) *yaml.Node {
	ref := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "#" + pointer, Style: yaml.SingleQuotedStyle}
	return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("$ref"), ref}}
}

// typed reports whether the generator makes a named type for a schema.
func typed(schema openapi.Place) bool {
	for _, keyword := range []string{"properties", "enum", "allOf", "anyOf", "oneOf"} {
		if schema.Child(keyword).Exists() {
			return true
		}
	}
	return false
}

// goName converts the vendor's component name to a valid Go name.
func goName(name string) string {
	var b strings.Builder
	up := true
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			up = true
		case up:
			b.WriteRune(unicode.ToUpper(r))
			up = false
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// dress adds to a new node what the vendor's structure does not have.
func (m *merger) dress(value *yaml.Node, d openapi.Difference) {
	if d.Keyword == "responses" && d.Member != "" {
		describe(value, d.Member)
	}
	if d.Keyword == "properties" && succeeds(d.Place) {
		m.dressProperty(d.Member, value)
	}
	m.dressAll(value, d.Place)
}

// describe adds the description that OpenAPI requires to a response.
func describe(response *yaml.Node, status string) {
	if entry(response, "$ref") != nil {
		return
	}
	words := "Status " + status + "."
	code, _ := strconv.Atoi(status) // 0 for default and 4XX
	if is := http.StatusText(code); is != "" {
		words = is + "."
	}
	response.Content = append([]*yaml.Node{text("description"), text(words)}, response.Content...)
}

// succeeds reports whether a place is inside a successful response.
func succeeds(place string) bool {
	return strings.HasPrefix(place, "/responses/2") || strings.HasPrefix(place, "/responses/default")
}

// dressAll dresses all properties below a node, and removes what is never merged.
func (m *merger) dressAll(n *yaml.Node, place string) {
	if n.Kind == yaml.MappingNode {
		kind := openapi.KindSchema
		if entry(n, "description") != nil { // schemas do not have one yet
			kind = openapi.KindResponse
		}
		for i := 1; i < len(n.Content); i += 2 {
			if rule := m.config.leaves(kind, n.Content[i-1].Value, place); rule != nil {
				reason := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(rule.Keyword), text(rule.Reason)}}
				n.Content[i-1], n.Content[i] = text("x-deviation"), reason
			}
		}
		if properties := entry(n, "properties"); properties != nil && succeeds(place) {
			for i := 1; i < len(properties.Content); i += 2 {
				m.dressProperty(properties.Content[i-1].Value, properties.Content[i])
			}
		}
	}
	for i, c := range n.Content {
		if i == 0 || n.Content[i-1].Value != "x-deviation" { // it has names of keywords, not keywords
			m.dressAll(c, place)
		}
	}
}

func (m *merger) dressProperty(name string, schema *yaml.Node) {
	is := func(keyword, want string) bool {
		e := entry(schema, keyword)
		return want == "" || e != nil && e.Value == want
	}
	for _, rule := range m.config.Types {
		if entry(schema, openapi.GoType) != nil || !is("type", rule.Type) || !is("format", rule.Format) ||
			rule.Name != nil && !rule.Name.MatchString(name) {
			continue
		}
		reason := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(openapi.GoType), text(rule.Reason)}}
		schema.Content = append(schema.Content, text(openapi.GoType), text(rule.Go), text("x-deviation"), reason)
	}
}

// entry returns the value of a key of a mapping, or nil.
func entry(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.MappingNode {
		for i := 1; i < len(n.Content); i += 2 {
			if n.Content[i-1].Value == key {
				return n.Content[i]
			}
		}
	}
	return nil
}
