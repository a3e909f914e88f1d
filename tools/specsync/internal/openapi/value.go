package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// JSON returns a node of a kind as compact JSON with sorted keys. Prose and extensions are removed, references
// followed, and sets sorted. It returns "" if the node does not exist. The empty kind treats the node as a plain value.
func (p Place) JSON(kind Kind) string {
	return p.json(rule{node, kind})
}

// KeywordJSON is like JSON for the value of a keyword of a node of a kind.
func (p Place) KeywordJSON(kind Kind, keyword string) string {
	return member(p, keyword).json(grammar[kind][keyword])
}

func (p Place) json(r rule) string {
	if !p.Exists() {
		return ""
	}
	return encode(plain(p, r, nil))
}

func encode(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v) // .inf and .nan exist only in YAML
	}
	return string(bytes.TrimSpace(b.Bytes()))
}

// plain converts a node to maps, slices and scalars. above are the nodes that contain it: a schema that contains itself
// is replaced by the number of levels up.
func plain(p Place, r rule, above []*yaml.Node) any {
	if r.kind != "" && r.shape == node {
		p = p.Resolve()
	}
	if i := slices.Index(above, p.node); i >= 0 {
		return map[string]any{"$up": len(above) - i}
	}
	above = append(slices.Clip(above), p.node)

	switch p.node.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for _, key := range p.Keys() {
			switch {
			case r.shape == keys:
				m[key] = nil
			case r.shape == named:
				m[key] = plain(p.Child(key), rule{node, r.kind}, above)
			case r.kind == "":
				m[key] = plain(p.Child(key), rule{}, above)
			case structural(r.kind, key) && member(p, key).Exists():
				m[key] = plain(p.Child(key), grammar[r.kind][key], above)
			}
		}
		return m
	case yaml.SequenceNode:
		s := make([]any, 0, len(p.node.Content))
		for _, i := range p.Keys() {
			if r.shape == branches {
				s = append(s, plain(p.Child(i), rule{node, r.kind}, above))
			} else {
				s = append(s, plain(p.Child(i), rule{}, above))
			}
		}
		if r.shape == set {
			slices.SortFunc(s, func(a, b any) int { return strings.Compare(encode(a), encode(b)) })
		}
		return s
	}
	return scalar(p.node)
}

func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		if b, err := strconv.ParseBool(n.Value); err == nil {
			return b
		}
	case "!!int", "!!float":
		var v any
		if n.Decode(&v) == nil {
			return v
		}
	}
	return n.Value // including timestamps, which are strings in JSON
}
