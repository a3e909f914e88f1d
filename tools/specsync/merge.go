package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// merger changes our description to the vendor's structure. It settles one difference after the other, each in the
// result of the edits before. It leaves what it cannot merge unchanged, and reports it.
type merger struct {
	sheet  *sheet
	theirs *openapi.Document
	config *config
	opts   openapi.Options

	now       openapi.Result    // for the current sheet
	standing  map[string]string // differences that remain, and why
	place     string            // of the current difference
	decisions []string          // decisions that are left to a person
	making    map[string]string // components being made, by the vendor's pointer
	unpaired  map[string]bool   // added statuses and media types that are not a renamed one of ours
}

// merge returns our text with the vendor's structure, and the decisions that are left to a person.
func merge(ours string, theirs *openapi.Document, c *config, opts openapi.Options) (string, []string, error) {
	s, err := newSheet(ours)
	if err != nil {
		return "", nil, err
	}
	m := &merger{sheet: s, theirs: theirs, config: c, opts: opts, standing: map[string]string{}, making: map[string]string{}, unpaired: map[string]bool{}}
	before := referenced(s.doc)
	for range 5000 { // each iteration settles one difference
		m.now = openapi.Compare(m.sheet.doc, theirs, opts)
		i := slices.IndexFunc(m.now.Differences, func(d openapi.Difference) bool { return m.standing[id(d)] == "" })
		if i < 0 {
			m.sweep(before)
			if m.sheet.text != ours {
				m.decidef("x-upstream: name the commit or version and the date of what was read")
			}
			if err := m.remember(); err != nil {
				return "", nil, err
			}
			return m.sheet.text, m.decisions, nil
		}
		d := m.now.Differences[i]
		was := m.sheet.text
		m.place = d.Place
		if err := m.settle(d); err != nil {
			m.stand(d, err.Error())
		} else if m.sheet.text == was {
			m.stand(d, "nothing to edit")
		}
	}
	return "", nil, errors.New("specsync: the merge does not come to an end")
}

func id(d openapi.Difference) string {
	return strings.Join([]string{d.Operation.String(), d.Place, d.Was, d.Is}, " ")
}

func (m *merger) stand(d openapi.Difference, why string) {
	m.standing[id(d)] = why
	m.decidef("%s%s: %s", d.Operation, d.Place, why)
}

func (m *merger) decidef(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !slices.Contains(m.decisions, line) {
		m.decisions = append(m.decisions, line)
	}
}

// settle makes the edit for one difference.
func (m *merger) settle(d openapi.Difference) error {
	switch {
	case d.Kind == openapi.KindPathItem && d.Is == "":
		return m.leave(d, &leaveRule{Reason: "Upstream no longer describes it; kept until it is known to be gone."})
	case d.Kind == openapi.KindPathItem:
		return errors.New("an operation that we do not have; describe it by hand if it is wanted")
	case d.Keyword == "$ref":
		return fmt.Errorf("upstream refers to %s, which is not followed; see -allow-ref", d.Is)
	case d.Kind == openapi.KindRequirement, d.Keyword == "security" && d.Kind == openapi.KindOperation:
		return m.security(d)
	case d.Keyword == "servers" && d.Kind == openapi.KindOperation:
		return m.servers(d)
	case d.Keyword == "parameters" && d.Kind == openapi.KindOperation:
		return m.parameter(d)
	}
	if rule := m.config.leaves(d.Kind, d.Keyword, d.Place); rule != nil && d.Was == "" {
		return m.leave(d, rule)
	}
	if !m.agreed(d) {
		return m.split(d)
	}
	if component := m.renamed(d); component != "" {
		return m.sheet.replace(d.Node.Pointer, reference(component))
	}
	if m.rename(d) {
		return nil
	}
	return m.edit(d)
}

// becomes are tests, in order of preference, whether one of two members of a keyword may be the new name of the other.
var becomes = map[string][]func(a, b string) bool{
	"responses": {func(a, b string) bool { return statusClass(a) == statusClass(b) }},
	"content": {
		func(a, b string) bool { return essence(a) == essence(b) },
		func(string, string) bool { return true },
	},
}

// statusClass returns the first character of a status, such as 4 of 404 and of 4XX.
func statusClass(status string) string { return status[:min(1, len(status))] }

// essence returns a media type without its parameters.
func essence(mediaType string) string {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	return strings.ToLower(strings.TrimSpace(mediaType))
}

// rename renames a removed status or media type of ours to the added one that replaces it, and reports whether there is
// one. Everything below it keeps our descriptions and component names.
func (m *merger) rename(d openapi.Difference) bool {
	if d.Is != "" {
		return false
	}
	for i, alike := range becomes[d.Keyword] {
		var gone, came []openapi.Difference
		for _, o := range m.now.Differences {
			switch {
			case o.Operation.String() != d.Operation.String() || o.Node.Pointer != d.Node.Pointer || o.Keyword != d.Keyword || !alike(o.Member, d.Member):
			case o.Is == "":
				gone = append(gone, o)
			default:
				came = append(came, o)
			}
		}
		if len(gone) != 1 || len(came) != 1 {
			for _, o := range came { // remains true when the other removed ones are settled
				m.unpaired[strconv.Itoa(i)+" "+id(o)] = true
			}
			continue
		}
		if m.unpaired[strconv.Itoa(i)+" "+id(came[0])] {
			continue
		}
		if m.sheet.rename(d.Ours.Pointer, came[0].Member) != nil {
			return false
		}
		m.decidef("%s%s is now %s: check that our words still hold", d.Operation, d.Place, came[0].Member)
		return true
	}
	return false
}

// edit changes the keyword, or a member of it, at the place where it is written.
func (m *merger) edit(d openapi.Difference) error {
	if d.Keyword == "enum" {
		return m.editEnum(d)
	}
	return m.editKeyword(d)
}

func (m *merger) editKeyword(d openapi.Difference) error {
	keyword := below(d.Node.Pointer, d.Keyword)
	list := d.TheirNode.Child(d.Keyword)
	switch {
	case d.Is == "":
		return m.sheet.remove(d.Ours.Pointer)
	case d.Member == "":
		value := d.TheirNode.CopyMember(d.Kind, d.Keyword, m.refer)
		if d.Kind == openapi.KindServer && d.Keyword == "url" {
			value = text(m.opts.Server(value.Value))
		}
		m.dress(value, d)
		return m.sheet.set(d.Node.Pointer, d.Keyword, value, keywordsBefore(d.Kind, d.Keyword), nil)
	}

	if d.Keyword == "properties" || d.Keyword == "responses" {
		m.decidef("%s%s: a new %s, which needs words of ours", d.Operation, d.Place, nouns[d.Keyword])
	}
	value := text("") // the description of a scope is not merged
	if list.Node().Kind == yaml.SequenceNode || d.Element != "" {
		value = m.take(d.Theirs, d.Element)
		m.dress(value, d)
	}
	if !d.Node.Child(d.Keyword).Exists() {
		parent := &yaml.Node{Kind: list.Node().Kind, Content: []*yaml.Node{value}}
		if parent.Kind == yaml.MappingNode {
			parent.Content = []*yaml.Node{text(d.Member), value}
		}
		return m.sheet.set(d.Node.Pointer, d.Keyword, parent, keywordsBefore(d.Kind, d.Keyword), nil)
	}
	_, token := parent(d.Theirs.Pointer)
	keys := list.Keys()
	at := slices.Index(keys, token)
	if list.Node().Kind == yaml.MappingNode {
		return m.sheet.set(keyword, token, value, keys[:at], keys[at+1:])
	}
	if d.Element == "" {
		at = behind(d.Node.Child(d.Keyword), list, at)
	}
	return m.sheet.insert(keyword, at, value)
}

// behind returns the position in ours of a member of the vendor's list: after the nearest one before it that we have.
func behind(ours, theirs openapi.Place, at int) int {
	for at--; at >= 0; at-- {
		for i, token := range ours.Keys() {
			if ours.Child(token).JSON("") == theirs.Child(strconv.Itoa(at)).JSON("") {
				return i + 1
			}
		}
	}
	return 0
}

// order is the order of keywords in our descriptions.
var order = map[openapi.Kind][]string{
	openapi.KindOperation: {"operationId", "summary", "description", "deprecated", seenKey, "x-patchable", "security", "x-deviation", "parameters", "requestBody", "responses"},
	openapi.KindSchema: {"type", "x-go-name", "nullable", "format", "description", "deprecated", "allOf", "anyOf", "oneOf", "enum", "default",
		"minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems", "items", "example", "x-go-type",
		"x-go-type-skip-optional-pointer", "x-deviation", "properties", "additionalProperties", "required"},
	openapi.KindResponse: {"description", "x-deviation", "headers", "content"},
}

func keywordsBefore(kind openapi.Kind, keyword string) []string {
	return order[kind][:max(0, slices.Index(order[kind], keyword))]
}

// leave adds an x-deviation for something that is never merged.
func (m *merger) leave(d openapi.Difference, rule *leaveRule) error {
	m.decidef("%s%s is left as it is: %s", d.Operation, d.Place, rule.Reason)
	keyword := d.Keyword
	if d.Kind != openapi.KindPathItem && d.Node.Child(keyword).Exists() {
		keyword += "/" + d.Member
	}
	at := below(d.Node.Pointer, "x-deviation")
	if d.Node.Child("x-deviation").Exists() {
		return m.sheet.set(at, keyword, text(rule.Reason), nil, nil)
	}
	entry := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(keyword), text(rule.Reason)}}
	return m.sheet.set(d.Node.Pointer, "x-deviation", entry, keywordsBefore(d.Kind, "x-deviation"), openapi.Methods)
}

func (m *merger) parameter(d openapi.Difference) error {
	if d.Is == "" {
		for _, list := range []openapi.Place{d.Node.Child("parameters"), d.Operation.Item().Child("parameters")} {
			for _, i := range list.Keys() {
				if list.Child(i).Resolve().Pointer == d.Ours.Pointer {
					return m.sheet.remove(list.Child(i).Pointer)
				}
			}
		}
	}
	m.decidef("%s%s: a new parameter, which needs words of ours", d.Operation, d.Place)
	value := m.take(d.Theirs, openapi.KindParameter)
	m.dressAll(value, d.Place)
	if d.Node.Child("parameters").Exists() {
		return m.sheet.insert(below(d.Node.Pointer, "parameters"), len(d.Node.Child("parameters").Keys()), value)
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{value}}
	return m.sheet.set(d.Node.Pointer, "parameters", list, keywordsBefore(d.Kind, "parameters"), nil)
}

func (m *merger) servers(d openapi.Difference) error {
	list := d.Operation.Servers()
	switch {
	case d.Is == "":
		return m.sheet.remove(d.Ours.Pointer)
	case !list.Exists():
		return errors.New("upstream names a server, ours none")
	}
	return m.sheet.insert(list.Pointer, len(list.Keys()), d.Theirs.Copy(openapi.KindServer, m.refer))
}

// security writes the vendor's security alternatives into our operation, with our names of the schemes.
func (m *merger) security(d openapi.Difference) error {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	theirs := d.Their.Security()
	for _, i := range theirs.Keys() {
		alternative := &yaml.Node{Kind: yaml.MappingNode}
		for _, name := range theirs.Child(i).Keys() {
			ours, err := m.scheme(name)
			if err != nil {
				return err
			}
			alternative.Content = append(alternative.Content, text(ours), theirs.Child(i).Child(name).Copy("", nil))
		}
		list.Content = append(list.Content, alternative)
	}
	return m.sheet.set(d.Node.Pointer, "security", list, keywordsBefore(openapi.KindOperation, "security"), nil)
}

// scheme returns our name for the vendor's security scheme. A new scheme keeps the vendor's name.
func (m *merger) scheme(name string) (string, error) {
	const schemes = "/components/securitySchemes"
	ours := m.sheet.doc.At(schemes)
	their := m.theirs.At(schemes).Child(name).Resolve()
	if !their.Exists() {
		if ours.Child(name).Exists() {
			return name, nil
		}
		return "", fmt.Errorf("upstream names the security scheme %s without defining it", name)
	}
	for _, our := range ours.Keys() {
		if openapi.Equal(openapi.KindScheme, ours.Child(our), their) {
			return our, nil
		}
	}
	for _, pointer := range m.now.Pairs[their.Pointer] {
		if above, our := parent(pointer); above == schemes {
			return our, nil
		}
	}
	if ours.Child(name).Exists() {
		return name, nil
	}
	return name, m.define("securitySchemes", name, their.Copy(openapi.KindScheme, m.refer))
}

// define adds a component.
func (m *merger) define(section, name string, value *yaml.Node) error {
	for _, step := range [][2]string{{"", "components"}, {"/components", section}} {
		if !m.sheet.doc.At(below(step[0], step[1])).Exists() {
			if err := m.sheet.set(step[0], step[1], &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}, nil, nil); err != nil {
				return err
			}
		}
	}
	m.decidef("new component %s, named by upstream: give it a name and words of ours", name)
	return m.sheet.set(below("/components", section), name, value, nil, nil)
}

// sweep removes components that were referenced before the merge and are no longer.
func (m *merger) sweep(before []string) {
	for _, component := range before {
		if !m.sheet.doc.At(component).Exists() || slices.Contains(referenced(m.sheet.doc), component) {
			continue
		}
		if err := m.sheet.remove(component); err != nil {
			m.decidef("%s is no longer referred to: %v", component, err)
			continue
		}
		m.sweep(before) // it may have had the last reference to another one
	}
}

// referenced returns the components that are referenced in a document, as a $ref or in the mapping of a discriminator.
func referenced(doc *openapi.Document) []string {
	var all []string
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if strings.HasPrefix(n.Value, "#/") {
			all = append(all, n.Value[1:])
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(doc.Root().Node())
	return all
}

var errShared = errors.New("we share one component where upstream now has two; describe them apart by hand")

// site returns the innermost reference in our operation to the component that contains a difference: its pointer, its
// path relative to the operation, and the kind of its target.
func (m *merger) site(d openapi.Difference) (pointer, path string, kind openapi.Kind, err error) {
	at := map[string]string{} // maps paths to pointers
	for r := range d.Operation.Reached() {
		if !strings.HasPrefix(openapi.PlainPath(d.Place), openapi.PlainPath(r.Path)) {
			continue
		}
		above := r.Path
		for above != "" && at[above] == "" {
			above = above[:strings.LastIndex(above, "/")]
		}
		written := at[above] + strings.TrimPrefix(r.Path, above)
		if r.Kind == openapi.KindParameter {
			written = writtenParameter(d.Operation, r.Place)
		}
		at[r.Path] = r.Place.Pointer
		if r.Path != "" && written != r.Place.Pointer {
			pointer, path, kind = written, r.Path, r.Kind
		}
	}
	if pointer == "" {
		return "", "", "", errShared
	}
	return pointer, path, kind, nil
}

func writtenParameter(op openapi.Operation, p openapi.Place) string {
	for _, list := range []openapi.Place{op.Place().Child("parameters"), op.Item().Child("parameters")} {
		for _, i := range list.Keys() {
			if list.Child(i).Resolve().Pointer == p.Pointer {
				return list.Child(i).Pointer
			}
		}
	}
	return p.Pointer
}
