package openapi

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Kind is the kind of a node of a description.
type Kind string

// The kinds of nodes whose members are compared one by one.
const (
	KindPathItem    Kind = "path item"
	KindOperation   Kind = "operation"
	KindParameter   Kind = "parameter"
	KindRequestBody Kind = "request body"
	KindMediaType   Kind = "media type"
	KindEncoding    Kind = "encoding"
	KindResponse    Kind = "response"
	KindHeader      Kind = "header"
	KindExample     Kind = "example"
	KindSchema      Kind = "schema"
	KindServer      Kind = "server"
	KindVariable    Kind = "server variable"
	KindScheme      Kind = "security scheme"
	KindRequirement Kind = "security requirement" // its only keyword is scopes

	kindFlows         Kind = "flows"
	kindFlow          Kind = "flow"
	kindDiscriminator Kind = "discriminator"
)

// shape says how to compare the value of a keyword.
type shape int

const (
	value    shape = iota // as a whole
	node                  // member by member
	named                 // a map from names to nodes
	branches              // a list of nodes
	set                   // a list whose order does not matter
	keys                  // a map whose values are prose or names of components
)

type rule struct {
	shape shape
	kind  Kind
}

// grammar has the keywords that are not plain values. All others are compared as a whole.
var grammar = map[Kind]map[string]rule{
	KindOperation:   {"requestBody": {node, KindRequestBody}, "responses": {named, KindResponse}},
	KindParameter:   {"schema": {node, KindSchema}, "content": {named, KindMediaType}, "examples": {named, KindExample}},
	KindRequestBody: {"content": {named, KindMediaType}},
	KindMediaType:   {"schema": {node, KindSchema}, "examples": {named, KindExample}, "encoding": {named, KindEncoding}},
	KindEncoding:    {"headers": {named, KindHeader}},
	KindResponse:    {"headers": {named, KindHeader}, "content": {named, KindMediaType}},
	KindHeader:      {"schema": {node, KindSchema}, "content": {named, KindMediaType}, "examples": {named, KindExample}},
	KindSchema: {
		"properties": {named, KindSchema}, "patternProperties": {named, KindSchema},
		"items": {node, KindSchema}, "additionalProperties": {node, KindSchema}, "not": {node, KindSchema},
		"allOf": {branches, KindSchema}, "anyOf": {branches, KindSchema}, "oneOf": {branches, KindSchema},
		"enum": {shape: set}, "required": {shape: set}, "discriminator": {node, kindDiscriminator},
	},
	kindDiscriminator: {"mapping": {shape: keys}},
	KindServer:        {"variables": {named, KindVariable}},
	KindVariable:      {"enum": {shape: set}},
	KindScheme:        {"flows": {node, kindFlows}},
	kindFlows: {
		"implicit": {node, kindFlow}, "password": {node, kindFlow},
		"clientCredentials": {node, kindFlow}, "authorizationCode": {node, kindFlow},
	},
	kindFlow: {"scopes": {shape: keys}},
}

// prose are the members of each kind that have no meaning to a machine.
var prose = map[Kind][]string{
	KindOperation:   {"summary", "description", "operationId", "tags", "externalDocs"},
	KindParameter:   {"description"},
	KindRequestBody: {"description"},
	KindResponse:    {"description"},
	KindHeader:      {"description"},
	KindExample:     {"summary", "description"},
	KindSchema:      {"title", "description", "externalDocs"},
	KindServer:      {"name", "description"},
	KindVariable:    {"description"},
	KindScheme:      {"description"},
}

// effective are the members that are compared by what applies, not by what is written at the node.
var effective = map[Kind][]string{
	KindOperation: {"parameters", "servers", "security"},
	KindParameter: {"name", "in"},
}

// GoType is the only extension that is compared: it sets the Go type of a schema.
const GoType = "x-go-type"

// structural reports whether a member is compared where it is written.
func structural(kind Kind, keyword string) bool {
	if strings.HasPrefix(keyword, "x-") {
		return kind == KindSchema && keyword == GoType
	}
	return !slices.Contains(prose[kind], keyword) && !slices.Contains(effective[kind], keyword)
}

// omittable are the keywords for which false or an empty value means the same as their absence.
var omittable = []string{
	"required", "deprecated", "nullable", "readOnly", "writeOnly", "allowEmptyValue", "allowReserved", "uniqueItems",
	"exclusiveMinimum", "exclusiveMaximum", "variables", "headers", "examples", "links", "encoding",
}

// member returns a member of a node. It does not exist if its value means the same as its absence.
func member(p Place, keyword string) Place {
	m := p.Child(keyword)
	if m.Exists() && slices.Contains(omittable, keyword) {
		if scalar := m.node.Kind == yaml.ScalarNode; scalar && m.node.Value == "false" || !scalar && len(m.node.Content) == 0 {
			return Place{}
		}
	}
	return m
}

// Methods are the operations of a path item, in the order of the OpenAPI specification.
var Methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}
