package openapi

import (
	"iter"
	"slices"
)

var components = map[string]Kind{
	"schemas": KindSchema, "responses": KindResponse, "parameters": KindParameter, "examples": KindExample,
	"requestBodies": KindRequestBody, "headers": KindHeader, "securitySchemes": KindScheme,
}

// Nodes returns all nodes whose members are compared one by one, in the order of the document. References are not
// followed, and members next to a reference are omitted.
func (d *Document) Nodes() iter.Seq2[Place, Kind] {
	return func(yield func(Place, Kind) bool) {
		root := d.Root()
		for _, keyword := range root.Keys() {
			at := root.Child(keyword)
			for _, name := range at.Keys() {
				more := true
				switch keyword {
				case "paths":
					more = walk(at.Child(name), KindPathItem, yield)
				case "servers":
					more = walk(at.Child(name), KindServer, yield)
				case "components":
					for _, component := range at.Child(name).Keys() {
						if kind, ok := components[name]; ok && more {
							more = walk(at.Child(name).Child(component), kind, yield)
						}
					}
				}
				if !more {
					return
				}
			}
		}
	}
}

func walk(p Place, kind Kind, yield func(Place, Kind) bool) bool {
	if !yield(p, kind) {
		return false
	}
	if p.Child("$ref").Exists() {
		return true
	}
	for _, keyword := range p.Keys() {
		r := grammar[kind][keyword]
		switch {
		case slices.Contains([]Kind{KindPathItem, KindOperation}, kind) && keyword == "parameters":
			r = rule{branches, KindParameter}
		case slices.Contains([]Kind{KindPathItem, KindOperation}, kind) && keyword == "servers":
			r = rule{branches, KindServer}
		case kind == KindPathItem && slices.Contains(Methods, keyword):
			r = rule{node, KindOperation}
		}
		at := p.Child(keyword)
		switch r.shape {
		case node:
			if !walk(at, r.kind, yield) {
				return false
			}
		case named, branches:
			for _, name := range at.Keys() {
				if !walk(at.Child(name), r.kind, yield) {
					return false
				}
			}
		}
	}
	return true
}
