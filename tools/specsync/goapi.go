package main

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// symbol is an exported symbol of a generated package.
type symbol struct {
	name string // "Client.GetOAuthClient", "OAuthClient.BusinessName", "GrantTypeRefreshToken"
	of   string // the type of a field or constant; otherwise its own name
	wire string // the JSON name of a field, or the value of a constant
	is   string // its declaration
}

// symbols returns the exported symbols of a generated file by name, except the client interfaces, which repeat the
// methods of the clients.
func symbols(source []byte) (map[string]symbol, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	all := map[string]symbol{}
	add := func(s symbol) {
		if name := s.name[strings.LastIndex(s.name, ".")+1:]; ast.IsExported(name) && ast.IsExported(s.name) && !strings.HasSuffix(s.of, "Interface") {
			all[s.name] = s
		}
	}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			name := decl.Name.Name
			if decl.Recv != nil {
				name = strings.TrimPrefix(gofmt(decl.Recv.List[0].Type), "*") + "." + name
			}
			add(symbol{name, name, "", gofmt(decl.Type)})
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					addType(add, spec)
				case *ast.ValueSpec:
					for i, name := range spec.Names {
						if i < len(spec.Values) {
							value := gofmt(spec.Values[i])
							wire, _ := strconv.Unquote(value)
							add(symbol{name.Name, gofmt(spec.Type), wire, gofmt(spec.Type) + " = " + value})
						}
					}
				}
			}
		}
	}
	return all, nil
}

func addType(add func(symbol), spec *ast.TypeSpec) {
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		is := gofmt(spec.Type)
		if spec.Assign.IsValid() { // an alias
			is = "= " + is
		}
		add(symbol{spec.Name.Name, spec.Name.Name, "", is})
		return
	}
	add(symbol{spec.Name.Name, spec.Name.Name, "", "struct"})
	for _, field := range structure.Fields.List {
		wire := ""
		if field.Tag != nil {
			tag, _ := strconv.Unquote(field.Tag.Value)
			wire, _, _ = strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		}
		for _, name := range field.Names {
			add(symbol{spec.Name.Name + "." + name.Name, spec.Name.Name, wire, gofmt(field.Type)})
		}
	}
}

func gofmt(n ast.Node) string {
	if n == nil {
		return ""
	}
	var b bytes.Buffer
	_ = format.Node(&b, token.NewFileSet(), n) // what was parsed can be printed
	return strings.Join(strings.Fields(b.String()), " ")
}

// goChange is an exported symbol that differs between two generated files. Was or Is is "" if it does not exist there.
type goChange struct {
	Name string `json:"name"`
	Was  string `json:"was,omitempty"`
	Is   string `json:"is,omitempty"`

	symbol symbol
}

func (c goChange) breaks() bool { return c.Was != "" }

// goChanges compares the exported symbols of two generated files.
func goChanges(before, after map[string]symbol) []goChange {
	var all []goChange
	for name, s := range before {
		if after[name].is != s.is {
			all = append(all, goChange{name, s.is, after[name].is, s})
		}
	}
	for name, s := range after {
		if _, ok := before[name]; !ok {
			all = append(all, goChange{name, "", s.is, s})
		}
	}
	slices.SortFunc(all, func(a, b goChange) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// touches reports whether a difference caused the change of a symbol.
func touches(d openapi.Difference, s symbol) bool {
	operation := s.of
	for _, prefix := range []string{"ClientWithResponses.", "Client.", "New", "Parse"} {
		operation = strings.TrimPrefix(operation, prefix)
	}
	if section, name, _ := component(componentOf(d.Node.Pointer)); section == "schemas" {
		if !same(s.of, name) {
			// The generator names this type after the schema and what it contains.
			return len(s.of) > len(name) && same(s.of[:len(name)], name) && prefixed(s.of[len(name):], propertyOf(d))
		}
		switch property := propertyOf(d); {
		case d.Keyword == "enum" && d.Member != "":
			return s.wire == d.Member
		case property != "":
			return s.wire == property
		}
		return true
	}
	if !prefixed(operation, d.Operation.Place().Child("operationId").Text()) {
		return false
	}
	section, rest, _ := strings.Cut(strings.TrimPrefix(d.Place, "/"), "/")
	switch section {
	case "responses":
		status, _, _ := strings.Cut(rest, "/")
		return strings.Contains(s.name, status)
	case "requestBody":
		media, ok := strings.CutPrefix(rest, "content/")
		media, _, _ = strings.Cut(media, "/")
		return d.Keyword == "requestBody" || ok && strings.Contains(strings.ToLower(s.name), mediaName(media))
	case "parameters":
		return d.Keyword == "parameters" || strings.Contains(s.name, "Params")
	}
	return false // operations are neither added nor removed by -write
}

// mediaName returns the form of a media type in the generator's function names, in lower case.
func mediaName(escaped string) string {
	if strings.Contains(escaped, "form") {
		return "formdata"
	}
	return "json"
}

// componentOf returns the pointer of the component that contains a node, or "".
func componentOf(pointer string) string {
	if tokens := strings.Split(pointer, "/"); len(tokens) >= 4 && tokens[1] == "components" {
		return strings.Join(tokens[:4], "/")
	}
	return ""
}

// propertyOf returns the property of a component that a difference is about, or "" if it is about the component itself.
func propertyOf(d openapi.Difference) string {
	rest := strings.TrimPrefix(d.Node.Pointer, componentOf(d.Node.Pointer))
	if _, property, ok := strings.Cut(rest, "/properties/"); ok {
		property, _, _ = strings.Cut(property, "/")
		return property
	}
	if d.Keyword == "properties" || d.Keyword == "required" {
		return d.Member
	}
	return ""
}

// same reports whether a Go name and a name in a description are the same, apart from case and special characters.
func same(a, b string) bool { return strings.EqualFold(goName(a), goName(b)) }

// prefixed reports whether name begins with prefix in the sense of same.
func prefixed(name, prefix string) bool {
	name, prefix = strings.ToLower(goName(name)), strings.ToLower(goName(prefix))
	return prefix != "" && strings.HasPrefix(name, prefix)
}
