package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// sheet is the text of one of our descriptions. It is edited by lines: everything outside an edit keeps its words,
// order, comments and spacing exactly.
type sheet struct {
	text string
	doc  *openapi.Document
}

func newSheet(text string) (*sheet, error) {
	doc, err := openapi.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	return &sheet{text, doc}, nil
}

// become replaces the text, if the new one is still a valid description.
func (s *sheet) become(lines []string) error {
	next, err := newSheet(strings.Join(lines, "\n"))
	if err != nil {
		return fmt.Errorf("the edit would break the description: %w", err)
	}
	*s = *next
	return nil
}

func (s *sheet) lines() []string { return strings.Split(s.text, "\n") }

var (
	escaper   = strings.NewReplacer("~", "~0", "/", "~1")
	unescaper = strings.NewReplacer("~1", "/", "~0", "~")
)

// parent splits a JSON Pointer into its parent and its last token.
func parent(pointer string) (above, token string) {
	i := strings.LastIndex(pointer, "/")
	return pointer[:i], unescaper.Replace(pointer[i+1:])
}

// below returns a JSON Pointer extended by tokens.
func below(pointer string, tokens ...string) string {
	var b strings.Builder
	b.WriteString(pointer)
	for _, t := range tokens {
		b.WriteString("/" + escaper.Replace(t))
	}
	return b.String()
}

// span is the location of an entry of a mapping or an item of a sequence. It consists of whole lines, except that the
// first key of a mapping may share its line with the dash of the mapping's own item.
type span struct {
	start, end int // line numbers, from 0; end is exclusive
	indent     int // column of the key or the dash, from 0
	key        *yaml.Node
	value      *yaml.Node // an alias is not followed
}

func (s *sheet) span(pointer string) (span, error) {
	above, token := parent(pointer)
	n := s.doc.At(above).Node()
	if n == nil {
		return span{}, fmt.Errorf("%s is not there", pointer)
	}
	var at span
	switch n.Kind {
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			if key := n.Content[i-1]; key.Value == token {
				at = span{start: key.Line - 1, indent: key.Column - 1, key: key, value: n.Content[i]}
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(token); err == nil && i < len(n.Content) {
			at = span{start: n.Content[i].Line - 1, indent: n.Column - 1, value: n.Content[i]}
		}
	}
	if at.value == nil {
		return span{}, fmt.Errorf("%s is not there", pointer)
	}
	lines := s.lines()
	at.end = at.start + 1
	for i := at.end; i < len(lines); i++ {
		rest := strings.TrimLeft(lines[i], " ")
		indent := len(lines[i]) - len(rest)
		if rest == "" {
			continue
		}
		if indent < at.indent || indent == at.indent && (at.key == nil || !strings.HasPrefix(rest+" ", "- ")) {
			break // a list may be in the column of its key
		}
		at.end = i + 1
	}
	return at, nil
}

// set sets a key of a mapping. A new key is inserted after the last existing key in after, before the first in before,
// or at the end.
func (s *sheet) set(mapping, key string, value *yaml.Node, after, before []string) error {
	pointer := below(mapping, key)
	if s.doc.At(pointer).Exists() {
		return s.replace(pointer, value)
	}
	if err := s.open(mapping); err != nil {
		return err
	}
	keys := s.doc.At(mapping).Keys()
	if len(keys) == 0 { // {}
		return s.replace(mapping, &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(key), value}})
	}
	neighbour, behind := keys[len(keys)-1], true
	if i := slices.IndexFunc(before, func(k string) bool { return slices.Contains(keys, k) }); i >= 0 {
		neighbour, behind = before[i], false
	}
	for _, k := range after {
		if slices.Contains(keys, k) {
			neighbour, behind = k, true
		}
	}
	at, err := s.span(below(mapping, neighbour))
	if err != nil {
		return err
	}
	lines := s.lines()
	entry := render(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(key), value}}, at.indent)
	if behind {
		return s.become(slices.Insert(lines, at.end, entry...))
	}
	if first := strings.TrimSpace(lines[at.start][:at.indent]); first != "" { // the new key takes the dash
		entry[0] = lines[at.start][:at.indent] + entry[0][at.indent:]
		lines[at.start] = strings.Repeat(" ", at.indent) + lines[at.start][at.indent:]
	}
	return s.become(slices.Insert(lines, at.start, entry...))
}

// rename renames the key of an entry of a mapping.
func (s *sheet) rename(pointer, name string) error {
	above, _ := parent(pointer)
	if err := s.open(above); err != nil {
		return err
	}
	at, err := s.span(pointer)
	if err != nil {
		return err
	}
	lines := s.lines()
	old := render(bare(at.key), 0)[0]
	head, rest := lines[at.start][:at.indent], lines[at.start][at.indent:]
	if !strings.HasPrefix(rest, old) {
		return fmt.Errorf("%s: its key is written in an unusual way", pointer)
	}
	key := bare(at.key)
	key.Value, key.Tag = name, "!!str"
	lines[at.start] = head + render(key, 0)[0] + rest[len(old):]
	return s.become(lines)
}

// replace replaces the value of an entry or item. If a scalar stays a scalar, only the value itself changes.
func (s *sheet) replace(pointer string, value *yaml.Node) error {
	above, _ := parent(pointer)
	if err := s.open(above); err != nil {
		return err
	}
	at, err := s.release(pointer)
	if err != nil {
		return err
	}
	lines := s.lines()
	old := at.value
	empty := old.Value == "" && old.Style == 0 // nothing is written there, not even quotes
	if old.Kind == yaml.ScalarNode && value.Kind == yaml.ScalarNode && !empty && old.Anchor == "" && at.end == at.start+1 {
		line, comment := lines[at.start], ""
		if old.LineComment != "" {
			text := strings.TrimSuffix(strings.TrimRight(line, " "), old.LineComment)
			comment = line[len(strings.TrimRight(text, " ")):]
		}
		lines[at.start] = line[:old.Column-1] + render(value, 0)[0] + comment
		return s.become(lines)
	}
	return s.write(pointer, value)
}

// insert inserts an item into a sequence before the given index, or at the end.
func (s *sheet) insert(sequence string, index int, value *yaml.Node) error {
	if err := s.open(sequence); err != nil {
		return err
	}
	n := s.doc.At(sequence).Node()
	item := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{value}}
	if len(n.Content) == 0 {
		return s.replace(sequence, item)
	}
	last := index >= len(n.Content)
	at, err := s.span(below(sequence, strconv.Itoa(min(index, len(n.Content)-1))))
	if err != nil {
		return err
	}
	line := at.start
	if last {
		line = at.end
	}
	return s.become(slices.Insert(s.lines(), line, render(item, at.indent)...))
}

// remove removes an entry or an item with the comment lines directly above it. It also removes a mapping or sequence
// that becomes empty, except one whose presence has a meaning: a schema, a response, an item.
func (s *sheet) remove(pointer string) error {
	if !s.doc.At(pointer).Exists() {
		return fmt.Errorf("%s is not there", pointer)
	}
	above, _ := parent(pointer)
	if err := s.open(above); err != nil {
		return err
	}
	if len(s.doc.At(above).Keys()) == 1 {
		if _, name := parent(above); slices.Contains(emptiable, name) {
			return s.remove(above)
		}
		return s.replace(above, &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle})
	}
	at, err := s.release(pointer)
	if err != nil {
		return err
	}
	lines := s.lines()
	if head := lines[at.start][:at.indent]; strings.TrimSpace(head) != "" { // the next key takes the dash
		next, err := s.span(below(above, s.doc.At(above).Keys()[1]))
		if err != nil {
			return err
		}
		lines[next.start] = head + lines[next.start][at.indent:]
	}
	for at.start > 0 && strings.HasPrefix(lines[at.start-1], strings.Repeat(" ", at.indent)+"#") {
		at.start--
	}
	return s.become(slices.Delete(lines, at.start, at.end))
}

// release prepares the removal of an entry or item, and returns where it then is: an anchor in it that has aliases
// elsewhere is moved to the first of these.
func (s *sheet) release(pointer string) (span, error) {
	for {
		at, err := s.span(pointer)
		if err != nil {
			return span{}, err
		}
		alias := firstAlias(s.doc.Root().Node(), "", anchored(at.value))
		if alias == "" {
			return at, nil
		}
		above, _ := parent(alias)
		was := s.text
		err = s.open(above)
		if err == nil && s.text == was {
			err = s.put(alias, s.doc.At(alias).Node())
		}
		if err != nil {
			return span{}, err
		}
	}
}

// anchored returns the nodes at and below n that have an anchor.
func anchored(n *yaml.Node) []*yaml.Node {
	var all []*yaml.Node
	if n.Anchor != "" {
		all = append(all, n)
	}
	for _, c := range n.Content {
		all = append(all, anchored(c)...)
	}
	return all
}

// firstAlias returns the JSON Pointer of the first alias of one of the nodes, or "".
func firstAlias(n *yaml.Node, pointer string, nodes []*yaml.Node) string {
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	for i := step - 1; i < len(n.Content); i += step {
		token := strconv.Itoa(i)
		if step == 2 {
			token = n.Content[i-1].Value
		}
		at, child := below(pointer, token), n.Content[i]
		if slices.Contains(nodes, child.Alias) {
			return at
		}
		if found := firstAlias(child, at, nodes); found != "" {
			return found
		}
	}
	return ""
}

// emptiable are the keywords that are removed with their last member.
var emptiable = []string{
	"properties", "patternProperties", "required", "enum", "parameters", "headers", "content", "examples", "variables",
	"encoding", "allOf", "anyOf", "oneOf", "servers", "x-deviation", "schemas", "responses", "securitySchemes",
}

// open converts a mapping or sequence, and those that contain it, from flow style to block style.
func (s *sheet) open(pointer string) error {
	if s.doc.Root().Node().Style&yaml.FlowStyle != 0 { // JSON too
		return errors.New("the document itself is in flow style, which cannot be edited; write it in block style")
	}
	if pointer == "" {
		return nil
	}
	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i := range tokens {
		at := "/" + strings.Join(tokens[:i+1], "/")
		n := s.doc.At(at).Node()
		if n == nil {
			return fmt.Errorf("%s is not there", at)
		}
		if n.Style&yaml.FlowStyle != 0 {
			return s.write(at, block(n))
		}
	}
	return nil
}

// write replaces the lines of an entry or an item by the rendered value.
func (s *sheet) write(pointer string, value *yaml.Node) error {
	at, err := s.span(pointer)
	if err != nil {
		return err
	}
	if at.value.Kind == yaml.AliasNode {
		return fmt.Errorf("%s is an alias", pointer)
	}
	return s.put(pointer, value)
}

// put is like write, but also replaces an alias.
func (s *sheet) put(pointer string, value *yaml.Node) error {
	at, err := s.span(pointer)
	if err != nil {
		return err
	}
	entry := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{value}}
	if at.key != nil {
		entry = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{bare(at.key), value}}
	}
	lines := s.lines()
	rendered := render(entry, at.indent)
	rendered[0] = lines[at.start][:at.indent] + rendered[0][at.indent:]
	return s.become(slices.Replace(lines, at.start, at.end, rendered...))
}

// block returns a copy of a node in block style.
func block(n *yaml.Node) *yaml.Node {
	c := *n
	c.Style &^= yaml.FlowStyle
	c.Content = nil
	for _, child := range n.Content {
		c.Content = append(c.Content, block(child))
	}
	return &c
}

// bare returns a key without its comments, which stay in the lines around it.
func bare(key *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: key.Tag, Value: key.Value, Style: key.Style}
}

// text returns a string as a YAML node.
func text(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// render returns a node as indented lines in block style.
func render(n *yaml.Node, indent int) []string {
	quote(n)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		panic(err) // the node was built here
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = strings.Repeat(" ", indent) + line
		}
	}
	return lines
}

// quote puts a string in single quotes if it would be read as another type, such as a status, or as null, as "" would.
func quote(n *yaml.Node) {
	plain := yaml.Node{Kind: yaml.ScalarNode, Value: n.Value}
	if n.Tag == "!!str" && n.Style == 0 && plain.ShortTag() != "!!str" {
		n.Style = yaml.SingleQuotedStyle
	}
	for _, c := range n.Content {
		quote(c)
	}
}
