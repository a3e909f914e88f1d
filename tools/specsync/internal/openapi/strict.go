package openapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// maxAliasGrowth is the maximum factor by which a document may grow if all aliases are expanded. Small documents may
// always have maxAliasNodes.
const (
	maxAliasGrowth = 10
	maxAliasNodes  = 100_000
)

// checkTree returns an error for what parsers of YAML and JSON read differently: duplicate keys, and keys that are not
// scalars. It also returns an error if aliases make the document too large.
func checkTree(root *yaml.Node) error {
	written := 0
	var walk func(n *yaml.Node) error
	walk = func(n *yaml.Node) error {
		written++
		if n.Kind == yaml.MappingNode {
			seen := make(map[string]bool, len(n.Content)/2)
			for i := 0; i+1 < len(n.Content); i += 2 {
				key := n.Content[i]
				switch {
				case key.Kind != yaml.ScalarNode:
					return fmt.Errorf("line %d: a key is not a scalar", key.Line)
				case seen[key.Value]:
					return fmt.Errorf("line %d: the key %q is there twice", key.Line, key.Value)
				}
				seen[key.Value] = true
			}
		}
		for _, c := range n.Content {
			if err := walk(c); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(root); err != nil {
		return err
	}
	s := sizer{sizes: map[*yaml.Node]int{}, most: max(maxAliasNodes, maxAliasGrowth*written)}
	size, err := s.size(root)
	if size > s.most {
		err = fmt.Errorf("with its aliases written out it has more than %d nodes", s.most)
	}
	return err
}

// sizer counts the nodes below a node, with aliases expanded. It stops soon after most.
type sizer struct {
	sizes map[*yaml.Node]int // -1 while the node is being counted
	most  int
}

func (s *sizer) size(n *yaml.Node) (int, error) {
	if n.Kind == yaml.AliasNode {
		return s.size(n.Alias)
	}
	if size, ok := s.sizes[n]; ok {
		if size < 0 {
			return 0, fmt.Errorf("line %d: the anchor %s stands in itself", n.Line, n.Anchor)
		}
		return size, nil
	}
	s.sizes[n] = -1
	total := 1
	for _, c := range n.Content {
		size, err := s.size(c)
		if err != nil {
			return 0, err
		}
		total = min(total+size, s.most+1)
	}
	s.sizes[n] = total
	return total, nil
}

// maxReached is the maximum number of nodes that an operation may lead to, counted once per path.
const maxReached = 100_000

// Check returns an error for each part of the operation's description that cannot be compared or used for generation: a
// local reference to nothing or to itself, a value of the wrong type, syntax of OpenAPI 3.1, and names with control
// characters.
func (o Operation) Check() error {
	var all []error
	found := func(at Place, format string, args ...any) {
		err := fmt.Errorf("%s: %s", at.Pointer, fmt.Sprintf(format, args...))
		if !slices.ContainsFunc(all, func(have error) bool { return have.Error() == err.Error() }) {
			all = append(all, err)
		}
	}
	reached := 0
	r := reacher{yield: func(r Reached) bool {
		if reached++; reached > maxReached {
			all = append(all, fmt.Errorf("%s leads to more than %d nodes: its references multiply", o, maxReached))
			return false
		}
		checkNode(r.Place, r.Kind, found)
		return true
	}}
	for _, list := range []Place{o.op.Child("parameters"), o.item.Child("parameters")} {
		for _, p := range list.Members() {
			if !r.reach("", p, KindParameter) {
				return errors.Join(all...)
			}
		}
	}
	for _, server := range o.Servers().Members() {
		if !r.reach("", server, KindServer) {
			return errors.Join(all...)
		}
	}
	for _, alternative := range o.requirements() {
		for _, s := range alternative.schemes {
			if s.definition.Exists() && !r.reach("", s.definition, KindScheme) {
				return errors.Join(all...)
			}
		}
	}
	r.reach("", o.op, KindOperation)
	return errors.Join(all...)
}

// booleans are the keywords that are booleans in every kind of node, except the required list of a schema.
var booleans = []string{
	"required", "deprecated", "nullable", "readOnly", "writeOnly", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum",
	"allowEmptyValue", "allowReserved", "explode",
}

// types are the types of a schema in OpenAPI 3.0, and laterKeywords the keywords that it has only since OpenAPI 3.1,
// except those that are for people ($comment, examples).
var (
	types         = []string{"array", "boolean", "integer", "number", "object", "string"}
	laterKeywords = []string{
		"$anchor", "$defs", "$dynamicAnchor", "$dynamicRef", "$id", "$schema", "$vocabulary", "const", "contains",
		"contentEncoding", "contentMediaType", "contentSchema", "dependentRequired", "dependentSchemas", "else", "if",
		"maxContains", "minContains", "patternProperties", "prefixItems", "propertyNames", "then", "unevaluatedItems",
		"unevaluatedProperties",
	}
)

//nolint:gocognit // independent rules, one per line
func checkNode(p Place, kind Kind, found func(at Place, format string, args ...any)) {
	if !p.isMapping() {
		found(p, "a %s is not a mapping", kind)
		return
	}
	if ref := p.Child("$ref"); ref.Exists() {
		uri, _, _ := strings.Cut(ref.Text(), "#")
		if p.doc.other(uri) != nil {
			found(ref, "refers to %s, which is not there or refers to itself", ref.Text())
		}
		return
	}
	for keyword, at := range p.Members() {
		if at.node.ShortTag() == "!!null" {
			continue
		}
		if keyword == "<<" {
			found(at, "merge keys are not read")
		}
		r := grammar[kind][keyword]
		is := at.node.Kind
		switch {
		case kind == KindSchema && keyword == "type":
			switch {
			case is == yaml.SequenceNode:
				found(at, "a list of types, which is OpenAPI 3.1")
			case at.node.ShortTag() != "!!str":
				found(at, "is not a string")
			case at.node.Value == "null":
				found(at, "the type null, which is OpenAPI 3.1")
			case !slices.Contains(types, at.node.Value):
				found(at, "%q is not a type", at.node.Value)
			}
		case kind == KindSchema && slices.Contains(laterKeywords, keyword):
			found(at, "is OpenAPI 3.1")
		case r.shape == value && slices.Contains(booleans, keyword):
			if at.node.ShortTag() != "!!bool" {
				found(at, "is neither true nor false")
			}
		case r.shape == node && is != yaml.MappingNode && (keyword != "additionalProperties" || at.node.ShortTag() != "!!bool"),
			(r.shape == named || r.shape == keys) && is != yaml.MappingNode:
			found(at, "is not a mapping")
		case (r.shape == branches || r.shape == set) && is != yaml.SequenceNode:
			found(at, "is not a list")
		}
		if r.shape == set && keyword == "required" {
			for _, entry := range at.Members() {
				if entry.node.ShortTag() != "!!str" {
					found(entry, "is not a string")
				}
			}
		}
		if r.shape == named {
			for name, member := range at.Members() {
				if strings.ContainsFunc(name, unicode.IsControl) || strings.TrimSpace(name) == "" {
					found(member, "%q is not a name", name)
				}
			}
		}
	}
}
