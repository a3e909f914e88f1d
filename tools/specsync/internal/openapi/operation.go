package openapi

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Operation is one operation of a document.
type Operation struct {
	Method string // lower case
	Path   string // as in the document

	template string // Template(Path)
	doc      *Document
	item, op Place
}

// String returns method and path, such as "POST /oauth2/token".
func (o Operation) String() string { return strings.ToUpper(o.Method) + " " + o.Path }

// Place returns where the operation is written.
func (o Operation) Place() Place { return o.op }

// Item returns the path item that holds the operation.
func (o Operation) Item() Place { return o.item }

// Operations returns the operations in the order of the document.
func (d *Document) Operations() []Operation {
	if d.operations != nil {
		return d.operations
	}
	for path, item := range d.Root().Child("paths").Members() {
		if !strings.HasPrefix(path, "/") {
			continue
		}
		item = item.Resolve()
		for method, op := range item.Members() {
			if slices.Contains(Methods, method) {
				d.operations = append(d.operations, Operation{Method: method, Path: path, template: Template(path), doc: d, item: item, op: op})
			}
		}
	}
	return d.operations
}

var pathParameter = regexp.MustCompile(`\{[^}]*\}`)

// Template returns a path without the names of its parameters, which is how operations of two documents are matched.
func Template(path string) string { return pathParameter.ReplaceAllString(path, "{}") }

// Servers returns the servers that apply to the operation, at the place where they are written.
func (o Operation) Servers() Place {
	for _, at := range []Place{o.op, o.item, o.doc.Root()} {
		if servers := at.Child("servers"); len(servers.Keys()) > 0 {
			return servers
		}
	}
	return Place{}
}

// Security returns the security requirements that apply to the operation, at the place where they are written.
func (o Operation) Security() Place {
	if own := o.op.Child("security"); own.Exists() {
		return own
	}
	return o.doc.Root().Child("security")
}

// Parameter is a parameter of an operation.
type Parameter struct {
	Name, In string
	Place    Place
	key      string // identifies it across documents
}

// Parameters returns the parameters of the operation, and those of its path item that it does not override.
func (o Operation) Parameters() []Parameter {
	var all []Parameter
	for _, list := range []Place{o.op.Child("parameters"), o.item.Child("parameters")} {
		for _, i := range list.Keys() {
			at := list.Child(i).Resolve()
			p := Parameter{Name: at.Child("name").Text(), In: at.Child("in").Text(), Place: at}
			p.key = p.In + ":" + p.Name
			switch p.In {
			case "header": // RFC 9110, section 5.1
				p.key = strings.ToLower(p.key)
			case "path": // its position is the same in all documents, but its name may differ
				p.key = p.In + ":" + strconv.Itoa(slices.Index(pathParameter.FindAllString(o.Path, -1), "{"+p.Name+"}"))
			}
			if !slices.ContainsFunc(all, func(q Parameter) bool { return q.key == p.key }) {
				all = append(all, p)
			}
		}
	}
	return all
}

// requirement is one alternative of a security list.
type requirement struct {
	at      Place
	schemes []scheme
}

type scheme struct {
	name       string
	definition Place // does not exist if the document does not define the scheme
	scopes     []string
}

func (o Operation) requirements() []requirement {
	list := o.Security()
	all := make([]requirement, 0, len(list.Keys()))
	for _, i := range list.Keys() {
		r := requirement{at: list.Child(i)}
		for _, name := range r.at.Keys() {
			s := scheme{name: name, scopes: []string{}, definition: o.doc.Root().Child("components").Child("securitySchemes").Child(name).Resolve()}
			scopes := r.at.Child(name)
			for _, j := range scopes.Keys() {
				s.scopes = append(s.scopes, scopes.Child(j).Text())
			}
			slices.Sort(s.scopes)
			r.schemes = append(r.schemes, s)
		}
		slices.SortStableFunc(r.schemes, func(a, b scheme) int {
			return cmp.Compare(a.definition.JSON(KindScheme), b.definition.JSON(KindScheme))
		})
		all = append(all, r)
	}
	return all
}

// equal reports whether two alternatives require the same. A scheme without a definition may be any scheme.
func (r requirement) equal(s requirement) bool {
	return slices.EqualFunc(r.schemes, s.schemes, func(a, b scheme) bool {
		known := a.definition.Exists() && b.definition.Exists()
		return slices.Equal(a.scopes, b.scopes) && (!known || a.definition.JSON(KindScheme) == b.definition.JSON(KindScheme))
	})
}

// alike reports whether one alternative may have replaced the other: their schemes have the same types or the same
// names.
func (r requirement) alike(s requirement) bool {
	return slices.EqualFunc(r.schemes, s.schemes, func(a, b scheme) bool {
		known := a.definition.Exists() && b.definition.Exists()
		return !known || a.name == b.name || a.definition.Child("type").Text() == b.definition.Child("type").Text()
	})
}

// text describes the alternative without the names of its schemes.
func (r requirement) text() string {
	all := []any{}
	for _, s := range r.schemes {
		all = append(all, map[string]any{"scheme": s.definition.Child("type").Text(), "scopes": s.scopes})
	}
	return encode(all)
}
