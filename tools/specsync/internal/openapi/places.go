package openapi

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Reached is a node that a reader of an operation reaches.
type Reached struct {
	Path  string // JSON Pointer from the operation; see Difference.Place
	Place Place  // after references are followed
	Kind  Kind
}

// Reached returns the nodes of the operation in the order of the document, with references followed. The content of a
// recursive schema is returned once per path to it. Servers and security are omitted.
func (o Operation) Reached() iter.Seq[Reached] {
	return func(yield func(Reached) bool) {
		r := reacher{yield: yield}
		for _, p := range o.Parameters() {
			if !r.reach("/parameters/"+escape(p.In+":"+p.Name), p.Place, KindParameter) {
				return
			}
		}
		r.reach("", o.op, KindOperation)
	}
}

type reacher struct {
	yield func(Reached) bool
	above []*yaml.Node
}

func (r *reacher) reach(path string, p Place, kind Kind) bool {
	p = p.Resolve()
	if slices.Contains(r.above, p.node) {
		return true
	}
	if !r.yield(Reached{path, p, kind}) {
		return false
	}
	r.above = append(r.above, p.node)
	defer func() { r.above = r.above[:len(r.above)-1] }()
	for _, keyword := range p.Keys() {
		rule, at := grammar[kind][keyword], p.Child(keyword)
		below := path + "/" + escape(keyword)
		switch rule.shape {
		case node:
			if at.isMapping() && !r.reach(below, at, rule.kind) {
				return false
			}
		case named, branches:
			for _, name := range at.Keys() {
				if !r.reach(below+"/"+escape(name), at.Child(name), rule.kind) {
					return false
				}
			}
		}
	}
	return true
}

// besideAllOf are the structural keywords that are allowed next to an allOf that only wraps a schema.
var besideAllOf = []string{"type", "nullable", "deprecated", "readOnly", "writeOnly", "default", "example", "examples"}

// Around returns the schema, with references followed, that this one only wraps in an allOf: the allOf has one branch,
// and no other keyword adds to the structure. It does not exist if there is none.
func (p Place) Around() Place {
	branches := p.Child("allOf")
	if branches.node == nil || len(branches.node.Content) != 1 {
		return Place{}
	}
	for _, keyword := range p.Keys() {
		if keyword != "allOf" && structural(KindSchema, keyword) && !slices.Contains(besideAllOf, keyword) {
			return Place{}
		}
	}
	branch := branches.Child("0").Resolve()
	if !branch.isMapping() || branch.node == p.node || branch.Child("$ref").Exists() {
		return Place{}
	}
	return branch
}

// PlainPath returns the path of a Reached node without steps through the first branch of an allOf, so that a wrapped
// schema has the same path as without the allOf.
func PlainPath(path string) string { return strings.ReplaceAll(path+"/", "/allOf/0/", "/") }

// Copy returns the structure of a node as new YAML in block style, without prose, extensions and comments. A reference
// is replaced by the result of ref for its target or, if that is nil, by a copy of the target.
func (p Place) Copy(kind Kind, ref func(target Place, kind Kind) *yaml.Node) *yaml.Node {
	return p.copy(rule{node, kind}, ref, nil)
}

// CopyMember is like Copy for the value of a keyword of a node.
func (p Place) CopyMember(kind Kind, keyword string, ref func(target Place, kind Kind) *yaml.Node) *yaml.Node {
	return p.Child(keyword).copy(grammar[kind][keyword], ref, nil)
}

func (p Place) copy(r rule, ref func(Place, Kind) *yaml.Node, above []*yaml.Node) *yaml.Node {
	if r.kind != "" && r.shape == node {
		if target := p.Resolve(); target.node != p.node {
			if slices.Contains(above, target.node) {
				return &yaml.Node{Kind: yaml.MappingNode} // for a recursive schema, ref has made a component before
			}
			if n := ref(target, r.kind); n != nil {
				return n
			}
			p = target
		}
	}
	above = append(slices.Clip(above), p.node)
	c := &yaml.Node{Kind: p.node.Kind, Tag: p.node.Tag, Value: p.node.Value}
	switch p.node.Kind {
	case yaml.MappingNode:
		for i, key := range p.Keys() {
			child := p.Child(key)
			switch {
			case r.shape == keys:
				child, r := Place{node: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str"}}, rule{}
				c.Content = append(c.Content, scalarCopy(p.node.Content[2*i]), child.copy(r, ref, above))
			case r.shape == named:
				c.Content = append(c.Content, scalarCopy(p.node.Content[2*i]), child.copy(rule{node, r.kind}, ref, above))
			case r.kind == "":
				c.Content = append(c.Content, scalarCopy(p.node.Content[2*i]), child.copy(rule{}, ref, above))
			case (structural(r.kind, key) || slices.Contains(effective[r.kind], key)) && key != GoType && member(p, key).Exists():
				c.Content = append(c.Content, scalarCopy(p.node.Content[2*i]), child.copy(grammar[r.kind][key], ref, above))
			}
		}
	case yaml.SequenceNode:
		for i := range p.node.Content {
			element := rule{}
			if r.shape == branches {
				element = rule{node, r.kind}
			}
			c.Content = append(c.Content, p.Child(strconv.Itoa(i)).copy(element, ref, above))
		}
	default:
		return scalarCopy(p.node)
	}
	return c
}

func scalarCopy(n *yaml.Node) *yaml.Node {
	c := &yaml.Node{Kind: yaml.ScalarNode, Tag: n.ShortTag(), Value: n.Value}
	if c.Tag == "!!timestamp" || c.Tag == "!!binary" {
		c.Tag = "!!str"
	}
	return c
}
