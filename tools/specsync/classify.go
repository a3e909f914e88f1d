package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// class says what a change means for those who use the package.
type class string

const (
	prose     class = "prose"     // words, examples, titles
	tolerated class = "tolerated" // our decoders take it as it comes
	additive  class = "additive"  // what works goes on working
	breaking  class = "breaking"
)

// classes are in the order of a report.
var classes = []class{breaking, additive, tolerated, prose}

// nouns name one member of a keyword.
var nouns = map[string]string{
	"properties": "property", "patternProperties": "property pattern", "required": "required entry", "enum": "enum value",
	"responses": "status", "content": "media type", "headers": "response header", "parameters": "parameter",
	"examples": "example", "variables": "server variable", "servers": "server", "security": "security alternative",
	"scopes": "scope", "allOf": "allOf branch", "anyOf": "anyOf branch", "oneOf": "oneOf branch",
}

// what says in words what happened.
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

// of names the innermost thing with a name that holds a difference, such as a property, for people.
func of(place string) string {
	tokens := strings.Split(place, "/")
	tokens = tokens[:len(tokens)-1] // what differs is the last
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

// classify says what a difference means by what is sent; what it does to Go code is found by generating it. scopes is
// "any" where a token needs one of the scopes that are listed, not all.
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
		first := added && !strings.Contains(d.Node.KeywordJSON(openapi.KindOperation, "security"), ":[\"")
		return pick(added == (scopes == "any") || first, additive) // the first that is named was needed before
	case d.Kind == openapi.KindScheme && d.Keyword == "type", d.Kind == openapi.KindScheme && d.Keyword == "scheme":
		return breaking
	case strings.HasPrefix(d.Place, "/security/") && d.Kind != openapi.KindOperation:
		return tolerated // no code is made of the flows' URLs and lists of scopes
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
	case d.Kind == openapi.KindParameter && d.Keyword == "required", d.Kind == openapi.KindRequestBody && d.Keyword == "required":
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

// requires reports whether a property that is added is required as well.
func requires(property openapi.Difference, all []openapi.Difference) bool {
	return slices.ContainsFunc(all, func(d openapi.Difference) bool {
		return d.Keyword == "required" && d.Member == property.Member && d.Node.Pointer == property.Node.Pointer && d.Was == property.Was && d.Was == ""
	})
}

// tolerant reports whether the Go type of our node takes both what was and what is.
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

// goFormats are the formats that the generator gives a Go type of their own.
var goFormats = map[string]bool{
	"int8": true, "int16": true, "int32": true, "int64": true, "uint8": true, "uint16": true, "uint32": true, "uint64": true,
	"float": true, "double": true, "date": true, "date-time": true, "uuid": true, "email": true, "byte": true, "binary": true, "json": true,
}

// limits are the keywords whose value bounds from above (1) or from below (-1).
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
