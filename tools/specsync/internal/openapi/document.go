// Package openapi parses published OpenAPI 3 descriptions and compares ours with a vendor's, operation by operation and
// keyword by keyword, except prose.
//
// A description may be YAML or JSON of any size, with or without local references, and may use security schemes that it
// does not define. References to other documents are kept but not followed. Names of components are not compared, only
// their content: a renamed schema is no difference.
//
// A node of our description may have x-deviation, a map from keywords of that node to the reasons why they differ.
package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Document is a parsed description. It must not be used by several goroutines at once.
type Document struct {
	root   *yaml.Node
	uri    string // the base of its references, and the name of a document that another refers to
	first  *Document
	others map[string]*Document // in the first document: all documents referred to; nil for those that could not be loaded
	load   Loader

	operations []Operation // computed when first needed
}

// Loader returns the document at a URI in a reference, without its fragment. If it fails, the reference is kept as it
// is.
type Loader func(uri string) ([]byte, error)

// Parse parses a description in YAML or JSON. It fails if the document is not OpenAPI 3 with paths. References to other
// documents are not followed.
func Parse(data []byte) (*Document, error) { return ParseAt("", data, nil) }

// ParseAt is like Parse for a description read from uri. References to other documents are followed with load.
func ParseAt(uri string, data []byte, load Loader) (*Document, error) {
	root, err := parseNode(data)
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	d := &Document{root: root, uri: uri, others: map[string]*Document{}, load: load}
	d.first = d
	version := d.Root().Child("openapi")
	if !version.Exists() || !strings.HasPrefix(version.node.Value, "3.") {
		return nil, errors.New("openapi: not an OpenAPI 3 description: openapi is missing or not 3.x")
	}
	if !d.Root().Child("paths").isMapping() {
		return nil, errors.New("openapi: paths is missing or not a mapping")
	}
	return d, nil
}

func parseNode(data []byte) (*yaml.Node, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	root, err := parseTree(data)
	if err != nil {
		return nil, err
	}
	return root, checkTree(root)
}

func parseTree(data []byte) (*yaml.Node, error) {
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); bytes.HasPrefix(trimmed, []byte("{")) && json.Valid(data) {
		return parseJSON(json.NewDecoder(bytes.NewReader(data))), nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("the document is empty or not a mapping")
	}
	switch err := dec.Decode(&more); {
	case errors.Is(err, io.EOF):
		return doc.Content[0], nil
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("line %d: a second document", more.Line)
}

// parseJSON builds a YAML tree from valid JSON. YAML parsers refuse tabs and surrogate pairs, which JSON allows.
func parseJSON(dec *json.Decoder) *yaml.Node {
	dec.UseNumber()
	tok, _ := dec.Token()
	switch v := tok.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle}
		if v == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		for dec.More() { // in an object, keys and values alternate
			n.Content = append(n.Content, parseJSON(dec))
		}
		_, _ = dec.Token()
		return n
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v, Style: yaml.DoubleQuotedStyle}
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

// Place is a node of a document and its location. The zero Place is no node.
type Place struct {
	// Pointer is the JSON Pointer (RFC 6901) of the node in its document. For a document that another one refers to, it
	// follows the URI and "#".
	Pointer string

	doc  *Document
	node *yaml.Node // never an alias
}

// Root returns the whole document.
func (d *Document) Root() Place {
	if d != d.first {
		return Place{Pointer: d.uri + "#", doc: d, node: d.root}
	}
	return Place{doc: d, node: d.root}
}

// At returns the node at a JSON Pointer without following references. It may not exist.
func (d *Document) At(pointer string) Place {
	at := d.Root()
	if pointer == "" {
		return at
	}
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		at = at.Child(unescape(token))
	}
	return at
}

func (p Place) isMapping() bool { return p.node != nil && p.node.Kind == yaml.MappingNode }

// Exists reports whether there is a node.
func (p Place) Exists() bool { return p.node != nil }

// Node returns the YAML node, with its line and column unless the document was JSON, or nil.
func (p Place) Node() *yaml.Node { return p.node }

// Child returns the value of a key of a mapping, or the element of a sequence at an index. It may not exist.
func (p Place) Child(token string) Place {
	if p.node == nil {
		return Place{}
	}
	switch p.node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(p.node.Content); i += 2 {
			if p.node.Content[i].Value == token {
				return p.child(token, p.node.Content[i+1])
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(p.node.Content) {
			return p.child(token, p.node.Content[i])
		}
	}
	return Place{}
}

func (p Place) child(token string, n *yaml.Node) Place {
	return Place{Pointer: p.Pointer + "/" + escape(token), doc: p.doc, node: unalias(n)}
}

// Keys returns the keys of a mapping or the indices of a sequence, in order.
func (p Place) Keys() []string {
	var keys []string
	switch {
	case p.node == nil:
	case p.node.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(p.node.Content); i += 2 {
			keys = append(keys, p.node.Content[i].Value)
		}
	case p.node.Kind == yaml.SequenceNode:
		for i := range p.node.Content {
			keys = append(keys, strconv.Itoa(i))
		}
	}
	return keys
}

// Members returns the members of a mapping by key, or of a sequence by index, in order.
func (p Place) Members() iter.Seq2[string, Place] {
	return func(yield func(string, Place) bool) {
		if p.node == nil {
			return
		}
		step, isMapping := 1, p.node.Kind == yaml.MappingNode
		if isMapping {
			step = 2
		}
		for i := 0; i+step <= len(p.node.Content); i += step {
			token := strconv.Itoa(i)
			if isMapping {
				token = p.node.Content[i].Value
			}
			if !yield(token, p.child(token, p.node.Content[i+step-1])) {
				return
			}
		}
	}
}

// Text returns the value of a scalar, or "".
func (p Place) Text() string {
	if p.node == nil {
		return ""
	}
	return p.node.Value
}

// Resolve follows $ref. Members next to it are ignored, as OpenAPI 3.0 requires. If the reference leads nowhere or to
// itself, Resolve returns the node with the reference. If it leads to a reference to a document that cannot be loaded,
// Resolve returns the node with that one.
func (p Place) Resolve() Place {
	start, seen := p, []*yaml.Node(nil)
	for p.isMapping() {
		ref := p.Child("$ref").Text()
		if ref == "" {
			return p
		}
		seen = append(seen, p.node)
		uri, fragment, _ := strings.Cut(ref, "#")
		fragment, err := url.PathUnescape(fragment)
		doc := p.doc.other(uri)
		switch {
		case err != nil:
			return start
		case doc == nil:
			return p
		}
		if p = doc.At(fragment); p.node == nil || slices.Contains(seen, p.node) {
			return start
		}
	}
	return p
}

// other returns the document that a reference of d names, or nil.
func (d *Document) other(ref string) *Document {
	if ref == "" {
		return d
	}
	base, err := url.Parse(d.uri)
	if err != nil || d.first.load == nil {
		return nil
	}
	target, err := base.Parse(ref)
	if err != nil {
		return nil
	}
	uri := target.String()
	if uri == d.first.uri {
		return d.first
	}
	if other, ok := d.first.others[uri]; ok {
		return other
	}
	d.first.others[uri] = nil
	if data, err := d.first.load(uri); err == nil {
		if root, err := parseNode(data); err == nil {
			d.first.others[uri] = &Document{root: root, uri: uri, first: d.first}
		}
	}
	return d.first.others[uri]
}

func unalias(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

var (
	escaper   = strings.NewReplacer("~", "~0", "/", "~1")
	unescaper = strings.NewReplacer("~1", "/", "~0", "~")
)

func escape(token string) string { return escaper.Replace(token) }

func unescape(token string) string { return unescaper.Replace(token) }
