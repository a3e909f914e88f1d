package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// sheet is the text of one of our descriptions. It is edited by lines: what an edit does not name keeps its words,
// order, comments and spacing to the byte.
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

// become takes a new text, if it still is a description.
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

// parent splits a JSON Pointer before its last token.
func parent(pointer string) (above, token string) {
	i := strings.LastIndex(pointer, "/")
	return pointer[:i], unescaper.Replace(pointer[i+1:])
}

// below returns the JSON Pointer of what stands under a pointer.
func below(pointer string, tokens ...string) string {
	var b strings.Builder
	b.WriteString(pointer)
	for _, t := range tokens {
		b.WriteString("/" + escaper.Replace(t))
	}
	return b.String()
}

// span is where an entry of a mapping or an item of a sequence stands: whole lines, but for a dash that the first key
// of a mapping shares with the item that the mapping is.
type span struct {
	start, end int // lines, from 0; end is the one after the last
	indent     int // column of the key or of the dash, from 0
	key        *yaml.Node
	value      *yaml.Node // not followed if an alias
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
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == token {
				at = span{start: n.Content[i].Line - 1, indent: n.Content[i].Column - 1, key: n.Content[i], value: n.Content[i+1]}
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
	sameColumn := at.key != nil && at.value.Kind == yaml.SequenceNode && at.value.Column-1 == at.indent
	at.end = at.start + 1
	for i := at.end; i < len(lines); i++ {
		rest := strings.TrimLeft(lines[i], " ")
		indent := len(lines[i]) - len(rest)
		if rest == "" {
			continue
		}
		if indent < at.indent || indent == at.indent && (!sameColumn || !strings.HasPrefix(rest, "-")) {
			break
		}
		at.end = i + 1
	}
	return at, nil
}

// set gives a key of a mapping a value. A new key comes behind the last of the keys in after that is there, or before
// the first in before, or at the end.
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
	if first := strings.TrimSpace(lines[at.start][:at.indent]); first != "" { // the new key takes over the dash
		entry[0] = lines[at.start][:at.indent] + entry[0][at.indent:]
		lines[at.start] = strings.Repeat(" ", at.indent) + lines[at.start][at.indent:]
	}
	return s.become(slices.Insert(lines, at.start, entry...))
}

// rename gives an entry of a mapping another key, where it stands.
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

// replace gives an entry or an item another value. Of a scalar that stays one, only the value itself changes.
func (s *sheet) replace(pointer string, value *yaml.Node) error {
	above, _ := parent(pointer)
	if above != "" {
		if err := s.open(above); err != nil {
			return err
		}
	}
	if err := s.release(pointer); err != nil {
		return err
	}
	at, err := s.span(pointer)
	if err != nil {
		return err
	}
	lines := s.lines()
	old := at.value
	if old.Kind == yaml.ScalarNode && value.Kind == yaml.ScalarNode && old.Anchor == "" && at.end == at.start+1 && old.Line-1 == at.start {
		head, rest := lines[at.start][:old.Column-1], lines[at.start][old.Column-1:]
		comment := ""
		if i := strings.Index(rest, " #"); i >= 0 && old.LineComment != "" || i >= 0 && at.key != nil && at.key.LineComment != "" {
			comment = rest[i:]
		}
		lines[at.start] = head + render(value, 0)[0] + comment
		return s.become(lines)
	}
	return s.write(pointer, value)
}

// insert puts an item into a sequence, before the one that now has the index, or at the end.
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

// remove takes out an entry or an item, with the comment lines right above it. A mapping or sequence that it leaves
// empty goes too, except one that says something by being there: a schema, a response, an item.
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
	if err := s.release(pointer); err != nil {
		return err
	}
	at, err := s.span(pointer)
	if err != nil {
		return err
	}
	lines := s.lines()
	if strings.TrimSpace(lines[at.start][:at.indent]) != "" { // the next key takes over the dash
		if next := lines[at.end]; len(next) >= at.indent {
			lines[at.end] = lines[at.start][:at.indent] + next[at.indent:]
		}
	}
	for at.start > 0 && strings.HasPrefix(lines[at.start-1], strings.Repeat(" ", at.indent)+"#") {
		at.start--
	}
	return s.become(slices.Delete(lines, at.start, at.end))
}

// release writes what carries an anchor at or below an entry or item, and has aliases elsewhere, in the place of the
// first of those, so that the entry or item can go.
func (s *sheet) release(pointer string) error {
	for {
		at, err := s.span(pointer)
		if err != nil {
			return err
		}
		alias := firstAlias(s.doc.Root().Node(), "", anchored(at.value), at.value)
		if alias == "" {
			return nil
		}
		above, _ := parent(alias)
		was := s.text
		if err := s.open(above); err != nil {
			return err
		}
		if s.text == was {
			err = s.put(alias, s.doc.At(alias).Node())
		}
		if err != nil {
			return err
		}
	}
}

// anchored returns the nodes at and below one that carry an anchor.
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

// firstAlias returns the JSON Pointer of the first alias of one of the nodes that does not stand in without, or "".
func firstAlias(n *yaml.Node, pointer string, nodes []*yaml.Node, without *yaml.Node) string {
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	for i := step - 1; i < len(n.Content) && n != without; i += step {
		token := strconv.Itoa(i)
		if step == 2 {
			token = n.Content[i-1].Value
		}
		at, child := below(pointer, token), n.Content[i]
		if child.Kind == yaml.AliasNode && slices.Contains(nodes, child.Alias) {
			return at
		}
		if found := firstAlias(child, at, nodes, without); found != "" {
			return found
		}
	}
	return ""
}

// emptiable are the keywords that go with their last member.
var emptiable = []string{
	"properties", "patternProperties", "required", "enum", "parameters", "headers", "content", "examples", "variables",
	"encoding", "allOf", "anyOf", "oneOf", "servers", "x-deviation", "schemas", "responses", "securitySchemes",
}

// open writes a mapping or sequence in block style if it or one that it stands in is in flow style.
func (s *sheet) open(pointer string) error {
	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i := range tokens {
		at := "/" + strings.Join(tokens[:i+1], "/")
		n := s.doc.At(at).Node()
		if n == nil {
			return fmt.Errorf("%s is not there", at)
		}
		if n.Kind != yaml.ScalarNode && n.Style&yaml.FlowStyle != 0 && len(n.Content) > 0 {
			block(n)
			return s.write(at, n)
		}
	}
	return nil
}

// write renders an entry or an item anew with a value.
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

// put is write in the place of an alias too.
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

func block(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	for _, c := range n.Content {
		block(c)
	}
}

// bare is a key without its comments, which the lines around it keep.
func bare(key *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: key.Tag, Value: key.Value, Style: key.Style}
}

// text is a string as a YAML node.
func text(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// render returns a node as lines in block style, every one indented.
func render(n *yaml.Node, indent int) []string {
	quote(n)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		panic(err) // the node was built by us
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = strings.Repeat(" ", indent) + line
		}
	}
	return lines
}

// quote puts a string that would be read as something else, such as a status, in single quotes.
func quote(n *yaml.Node) {
	plain := yaml.Node{Kind: yaml.ScalarNode, Value: n.Value}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Style == 0 && !strings.Contains(n.Value, "\n") &&
		(plain.ShortTag() != "!!str" || n.Value == "" || strings.ContainsAny(n.Value[:1], "#&*!|>%@`'\"[]{},?:-")) {
		n.Style = yaml.SingleQuotedStyle
	}
	for _, c := range n.Content {
		quote(c)
	}
}
