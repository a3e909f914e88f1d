package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// class says how a change affects users of the package.
type class string

const (
	prose     class = "prose"     // descriptions, examples, titles
	tolerated class = "tolerated" // the decoders accept it without a change
	additive  class = "additive"  // existing code keeps working
	breaking  class = "breaking"
)

// classes are in the order of a report.
var classes = []class{breaking, additive, tolerated, prose}

// nouns are the words for one member of a keyword.
var nouns = map[string]string{
	"properties": "property", "patternProperties": "property pattern", "required": "required entry", "enum": "enum value",
	"responses": "status", "content": "media type", "headers": "response header", "parameters": "parameter",
	"examples": "example", "variables": "server variable", "servers": "server", "security": "security alternative",
	"scopes": "scope", "allOf": "allOf branch", "anyOf": "anyOf branch", "oneOf": "oneOf branch",
}

// what describes a difference in words.
func what(d openapi.Difference) string {
	verb := "changed"
	switch {
	case d.Was == "":
		verb = "added"
	case d.Is == "":
		verb = "removed"
	}
	switch {
	case d.Kind == openapi.KindPathItem && d.Is == "":
		return "operation not found"
	case d.Kind == openapi.KindPathItem:
		return "operation that we do not have"
	case d.Keyword == "$ref":
		return "reference not followed"
	case d.Member != "":
		return of(d.Place) + nouns[d.Keyword] + " " + d.Member + " " + verb
	}
	return of(d.Place) + d.Keyword + " " + verb
}

// of returns the name of the innermost named thing that has a difference, such as a property.
func of(place string) string {
	tokens := strings.Split(place, "/")
	tokens = tokens[:len(tokens)-1] // the last one is the difference itself
	for i := len(tokens) - 1; i > 0; i-- {
		switch tokens[i-1] {
		case "properties", "responses":
			return tokens[i] + ": "
		case "parameters":
			_, name, _ := strings.Cut(tokens[i], ":")
			return name + ": "
		}
	}
	return ""
}

// classify returns the class of a difference by its effect on requests and responses. Its effect on Go code is found by
// generating the code. scopes is "any" if a token needs only one of the listed scopes.
func classify(d openapi.Difference, all []openapi.Difference, scopes string) class {
	added, removed := d.Was == "", d.Is == ""
	request := !strings.HasPrefix(d.Place, "/responses/")
	goType := d.Node.Child(openapi.GoType).Text()
	pick := func(when bool, c class) class {
		if when {
			return c
		}
		return breaking
	}
	switch {
	case d.Keyword == "example", d.Keyword == "examples", d.Kind == openapi.KindExample:
		return prose
	case d.Kind == openapi.KindPathItem:
		return pick(added, additive)
	case d.Keyword == "$ref":
		return breaking
	case d.Kind == openapi.KindRequirement:
		first := !strings.Contains(d.Operation.Security().JSON(""), ":[\"")
		return pick(added == (scopes == "any") || first, additive) // the first scope that is documented was required before
	case d.Kind == openapi.KindScheme && d.Keyword == "type", d.Kind == openapi.KindScheme && d.Keyword == "scheme":
		return breaking
	case strings.HasPrefix(d.Place, "/security/") && d.Kind != openapi.KindOperation:
		return tolerated // no code is generated from the flows' URLs and scopes
	case d.Kind == openapi.KindVariable, d.Keyword == "variables":
		return tolerated
	case d.Kind == openapi.KindOperation && d.Keyword == "parameters":
		return pick(added && !strings.Contains(d.Is, `"required":true`), additive)
	case d.Keyword == "servers", d.Keyword == "security", d.Keyword == "responses", d.Keyword == "content", d.Keyword == "headers":
		return pick(added, additive)
	case d.Kind == openapi.KindOperation && d.Keyword == "requestBody" && added:
		return pick(!strings.Contains(d.Is, `"required":true`), additive)
	case d.Keyword == "deprecated", d.Keyword == "default", d.Keyword == "discriminator", d.Keyword == "readOnly", d.Keyword == "writeOnly":
		return tolerated
	case d.Keyword == "required" && (d.Kind == openapi.KindParameter || d.Kind == openapi.KindRequestBody):
		return pick(d.Is != "true", additive)
	case d.Kind != openapi.KindSchema:
		return breaking

	case d.Keyword == "properties":
		return pick(added && (!request || !requires(d, all)), additive)
	case d.Keyword == "required":
		return pick(added != request, additive)
	case tolerant(goType, d):
		return tolerated
	case d.Keyword == "nullable" && request:
		return pick(d.Is == "true", additive)
	case d.Keyword == "nullable":
		return tolerated
	case d.Keyword == "enum" && d.Member != "" && added && request:
		return additive
	case d.Keyword == "enum" && d.Member != "":
		return pick(added, tolerated)
	case d.Keyword == "format" && !goFormats[strings.Trim(d.Was, `"`)] && !goFormats[strings.Trim(d.Is, `"`)]:
		return tolerated
	case d.Keyword == "additionalProperties" && !request:
		return tolerated
	case limits[d.Keyword] != 0 && !request, d.Keyword == "pattern" && !request, d.Keyword == "uniqueItems" && !request:
		return tolerated
	case limits[d.Keyword] != 0:
		return pick(loosened(d), additive)
	case d.Keyword == "pattern", d.Keyword == "uniqueItems":
		return pick(removed, additive)
	}
	return breaking
}

// requires reports whether an added property is also added to the required ones.
func requires(property openapi.Difference, all []openapi.Difference) bool {
	return slices.ContainsFunc(all, func(d openapi.Difference) bool {
		return d.Keyword == "required" && d.Member == property.Member && d.Node.Pointer == property.Node.Pointer && d.Was == property.Was
	})
}

// tolerant reports whether the Go type of our node accepts both the old and the new values.
func tolerant(goType string, d openapi.Difference) bool {
	switch d.Keyword {
	case "type", "format", "nullable", "oneOf", "anyOf", "allOf", "enum", "items", "properties":
	default:
		return false
	}
	switch goType {
	case "any", "json.RawMessage", "wire.Time":
		return true
	case "json.Number":
		return d.Keyword != "type" || slices.Contains([]string{`"integer"`, `"number"`, `"string"`}, d.Is)
	}
	return false
}

// goFormats are the formats for which the generator uses a special Go type.
var goFormats = map[string]bool{
	"int8": true, "int16": true, "int32": true, "int64": true, "uint8": true, "uint16": true, "uint32": true, "uint64": true,
	"float": true, "double": true, "date": true, "date-time": true, "uuid": true, "email": true, "byte": true, "binary": true, "json": true,
}

// limits are the keywords that set an upper (1) or a lower (-1) limit.
var limits = map[string]int{
	"maximum": 1, "maxLength": 1, "maxItems": 1, "maxProperties": 1, "exclusiveMaximum": 1,
	"minimum": -1, "minLength": -1, "minItems": -1, "minProperties": -1, "exclusiveMinimum": -1,
}

func loosened(d openapi.Difference) bool {
	was, err1 := strconv.ParseFloat(d.Was, 64)
	is, err2 := strconv.ParseFloat(d.Is, 64)
	if err1 != nil || err2 != nil {
		return d.Is == ""
	}
	return (is-was)*float64(limits[d.Keyword]) > 0
}
