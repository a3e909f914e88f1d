package openapi

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Difference is a keyword, or a member of a keyword, that differs between a vendor's description and ours.
type Difference struct {
	// Operation is our operation, or the vendor's if we do not have it. Their is the vendor's, or zero if it does not
	// exist.
	Operation, Their Operation
	// Place is the JSON Pointer of the difference, relative to the operation. It passes through references, and names
	// parameters by their location and name.
	Place string

	Kind    Kind   // the kind of the node that has the keyword
	Keyword string // the keyword of that node
	Member  string // the member of the keyword that only one side has; "" if the whole keyword differs

	Was, Is string // our value and the vendor's as JSON without prose; "" if there is none

	Node, TheirNode Place // the nodes that have or lack the keyword
	Ours, Theirs    Place // the values or members; one may not exist
	Element         Kind  // the kind of the members; "" if they are plain values

	// Reason is the reason in the x-deviation that excuses the difference, or "".
	Reason string
}

// Result is the result of a comparison, in the order of our document.
type Result struct {
	Differences []Difference // not excused by an x-deviation
	Excused     []Difference
	Unused      []Deviation    // entries that excuse nothing
	Operations  [][2]Operation // pairs of our and the vendor's operations
	Undefined   []string       // security schemes that the vendor uses but does not define
	// Pairs maps the JSON Pointer of each compared node of the vendor's document to those of our nodes.
	Pairs map[string][]string
}

// Options adapt the vendor's document to ours. A nil function changes nothing.
type Options struct {
	Path   func(path string) string // returns our path for the vendor's
	Server func(url string) string  // returns our server URL for the vendor's
}

// Compare compares each of our operations with the vendor's at the same method and path. It also reports methods that
// the vendor has on our paths and we do not. The vendor's other paths are ignored.
func Compare(ours, theirs *Document, opts Options) Result {
	if opts.Path == nil {
		opts.Path = func(path string) string { return path }
	}
	if opts.Server == nil {
		opts.Server = func(url string) string { return url }
	}
	c := &comparer{opts: opts, used: map[Deviation]bool{}, same: map[[2]*yaml.Node]bool{}}
	c.result.Pairs = map[string][]string{}

	their := theirOperations(theirs, opts.Path)
	seen := map[string]bool{}
	for _, op := range ours.Operations() {
		key := op.Method + op.template
		seen[key] = true
		c.operation(op, their[key])
	}
	for _, item := range items(ours) {
		for _, method := range Methods {
			key := method + item.template
			if op, ok := their[key]; ok && !seen[key] {
				seen[key] = true
				c.op, c.their, c.path = op, op, ""
				c.report(Difference{Kind: KindPathItem, Keyword: method, Is: encode(op.String()), Node: item.item, Theirs: op.op})
			}
		}
	}
	for _, d := range ours.Deviations() {
		if !c.used[d] {
			c.result.Unused = append(c.result.Unused, d)
		}
	}
	return c.result
}

// Match returns the pairs of operations that Compare compares, in our order.
func Match(ours, theirs *Document, path func(string) string) [][2]Operation {
	if path == nil {
		path = func(path string) string { return path }
	}
	their := theirOperations(theirs, path)
	var all [][2]Operation
	for _, op := range ours.Operations() {
		if match, ok := their[op.Method+op.template]; ok {
			all = append(all, [2]Operation{op, match})
		}
	}
	return all
}

// Equal reports whether two nodes of a kind are equal, apart from differences that our x-deviations excuse.
func Equal(kind Kind, ours, theirs Place) bool {
	c := &comparer{used: map[Deviation]bool{}, same: map[[2]*yaml.Node]bool{}}
	c.opts.Server = func(url string) string { return url }
	c.result.Pairs = map[string][]string{}
	c.node(kind, ours, theirs)
	return len(c.result.Differences) == 0
}

// theirOperations returns the vendor's operations by method and template. A path that matches without a rule takes
// precedence.
func theirOperations(d *Document, rewrite func(string) string) map[string]Operation {
	all := map[string]Operation{}
	for _, op := range d.Operations() {
		all[op.Method+op.template] = op
	}
	for _, op := range d.Operations() {
		key := op.Method + Template(rewrite(op.Path))
		if _, ok := all[key]; !ok {
			all[key] = op
		}
	}
	return all
}

func items(d *Document) []Operation {
	ops := slices.Clone(d.Operations())
	return slices.CompactFunc(ops, func(a, b Operation) bool { return a.Path == b.Path })
}

type comparer struct {
	opts   Options
	result Result
	used   map[Deviation]bool

	op, their Operation       // being compared
	path      string          // of the node being compared, relative to the operation
	above     [][2]*yaml.Node // pairs being compared, because a schema may contain itself
	same      map[[2]*yaml.Node]bool
}

func (c *comparer) operation(ours, theirs Operation) {
	c.op, c.their, c.path = ours, theirs, ""
	if !theirs.op.Exists() {
		c.report(Difference{Kind: KindPathItem, Keyword: ours.Method, Was: encode(ours.String()), Node: ours.item, Ours: ours.op})
		return
	}
	c.result.Operations = append(c.result.Operations, [2]Operation{ours, theirs})
	c.servers(ours, theirs)
	c.security(ours, theirs)
	c.parameters(ours, theirs)
	c.node(KindOperation, ours.op, theirs.op)
}

// report adds a difference to the result. It is an excused one if an x-deviation of the node names its keyword or
// member.
func (c *comparer) report(d Difference) {
	d.Operation, d.Their, d.Place = c.op, c.their, c.path
	if d.Kind != KindPathItem {
		d.Place += "/" + escape(d.Keyword)
	}
	switch {
	case d.Element == KindParameter:
		d.Place += "/" + escape(cmp.Or(d.Ours.Child("in").Text(), d.Theirs.Child("in").Text())+":"+d.Member)
	case d.Member != "":
		d.Place += "/" + escape(d.Member)
	}
	for _, keyword := range excuses(d) {
		if reason := d.Node.Child(deviationKey).Child(keyword); reason.Exists() {
			c.used[Deviation{d.Node.Pointer, keyword, reason.Text()}] = true
			d.Reason = reason.Text()
			c.result.Excused = append(c.result.Excused, d)
			return
		}
	}
	c.result.Differences = append(c.result.Differences, d)
}

// excuses returns the x-deviation entries that would excuse a difference. A keyword that maps names, such as
// properties, does not excuse its members.
func excuses(d Difference) []string {
	switch one := d.Keyword + "/" + d.Member; {
	case d.Kind == KindRequirement:
		return []string{"security"}
	case d.Member == "":
		return []string{d.Keyword}
	case grammar[d.Kind][d.Keyword].shape == named, d.Keyword == "parameters":
		return []string{one}
	default:
		return []string{d.Keyword, one}
	}
}

// in calls f with the path extended by tokens.
func (c *comparer) in(f func(), tokens ...string) {
	path := c.path
	for _, token := range tokens {
		c.path += "/" + escape(token)
	}
	f()
	c.path = path
}

// node compares two nodes of one kind by keyword: first our keywords in our order, then those that only the vendor has.
func (c *comparer) node(kind Kind, ours, theirs Place) {
	c.nodeBut(kind, ours, theirs, nil)
}

// nodeBut is node without the keywords in skip.
func (c *comparer) nodeBut(kind Kind, ours, theirs Place, skip []string) {
	ours, theirs = ours.Resolve(), theirs.Resolve()
	pair := [2]*yaml.Node{ours.node, theirs.node}
	if c.same[pair] || slices.Contains(c.above, pair) {
		return
	}
	c.above = append(c.above, pair)
	found := len(c.result.Differences) + len(c.result.Excused)
	defer func() {
		c.above = c.above[:len(c.above)-1]
		c.same[pair] = found == len(c.result.Differences)+len(c.result.Excused)
	}()
	if pairs := c.result.Pairs[theirs.Pointer]; !slices.Contains(pairs, ours.Pointer) {
		c.result.Pairs[theirs.Pointer] = append(pairs, ours.Pointer)
	}

	if ref := theirs.Child("$ref"); ref.Exists() {
		c.report(Difference{Kind: kind, Keyword: "$ref", Is: ref.JSON(""), Node: ours, Theirs: ref})
		return
	}
	if kind == KindSchema && c.around(ours, theirs, skip) {
		return
	}
	keywords := ours.Keys()
	for _, keyword := range theirs.Keys() {
		if !slices.Contains(keywords, keyword) {
			keywords = append(keywords, keyword)
		}
	}
	for _, keyword := range keywords {
		if structural(kind, keyword) && !slices.Contains(skip, keyword) {
			c.keyword(kind, keyword, ours, theirs)
		}
	}
}

// around compares two schemas if one is only an allOf around the other, and reports whether that is so. The keywords
// next to the allOf are compared with those of the other schema.
func (c *comparer) around(ours, theirs Place, skip []string) bool {
	our, their, wrapper := ours, theirs, ours
	switch inOurs, inTheirs := ours.Around(), theirs.Around(); {
	case ours.Child(deviationKey).Child("allOf").Exists():
		return false
	case inOurs.Exists() && !theirs.Child("allOf").Exists():
		our = inOurs
	case inTheirs.Exists() && !ours.Child("allOf").Exists():
		their, wrapper = inTheirs, theirs
	default:
		return false
	}
	var beside []string
	for _, keyword := range wrapper.Keys() {
		if keyword != "allOf" && structural(KindSchema, keyword) {
			beside = append(beside, keyword)
		}
	}
	c.nodeBut(KindSchema, our, their, slices.Concat(skip, beside))
	for _, keyword := range beside {
		if !slices.Contains(skip, keyword) {
			c.keyword(KindSchema, keyword, ours, theirs)
		}
	}
	return true
}

func (c *comparer) keyword(kind Kind, keyword string, ours, theirs Place) {
	r := grammar[kind][keyword]
	d := Difference{
		Kind: kind, Keyword: keyword, Node: ours, TheirNode: theirs,
		Ours: member(ours, keyword), Theirs: member(theirs, keyword), Element: r.kind,
	}
	if keyword == GoType { // a vendor's value is not meant for our generator
		d.Theirs = Place{}
	}
	if kind == KindServer && keyword == "url" {
		c.serverURL(d)
		return
	}
	oneSided := d.Ours.Exists() != d.Theirs.Exists()
	excused := ours.Child(deviationKey).Child(keyword).Exists()
	switch {
	case !d.Ours.Exists() && !d.Theirs.Exists():
	case r.shape == named && (!oneSided || !excused):
		c.named(d, r.kind)
	case r.shape == set && (!oneSided || keyword == "required") && !excused, r.shape == keys && !oneSided:
		c.set(d, r)
	case r.shape == branches && !oneSided:
		c.branches(d, r.kind)
	case r.shape == node && d.Ours.isMapping() && d.Theirs.isMapping():
		c.in(func() { c.node(r.kind, d.Ours, d.Theirs) }, keyword)
	default:
		d.Was, d.Is = d.Ours.json(r), d.Theirs.json(r)
		if d.Was != d.Is {
			c.report(d)
		}
	}
}

func (c *comparer) named(d Difference, kind Kind) {
	ours, theirs := d.Ours, d.Theirs
	fold := func(name string) string {
		if d.Keyword == "headers" { // RFC 9110, section 5.1
			return strings.ToLower(name)
		}
		return name
	}
	index := func(p Place) map[string]Place {
		all := map[string]Place{}
		for name, member := range p.Members() {
			if !strings.HasPrefix(name, "x-") || kind != KindResponse {
				all[fold(name)] = member
			}
		}
		return all
	}
	our, their := index(ours), index(theirs)
	for name := range ours.Members() {
		one, ok := our[fold(name)]
		if !ok {
			continue
		}
		if other, ok := their[fold(name)]; ok {
			c.in(func() { c.node(kind, one, other) }, d.Keyword, name)
			continue
		}
		d.Member, d.Ours, d.Theirs = name, one, Place{}
		d.Was, d.Is = d.Ours.JSON(kind), ""
		c.report(d)
	}
	for name := range theirs.Members() {
		other, ok := their[fold(name)]
		if _, have := our[fold(name)]; have || !ok {
			continue
		}
		d.Member, d.Ours, d.Theirs = name, Place{}, other
		d.Was, d.Is = "", d.Theirs.JSON(kind)
		c.report(d)
	}
}

// set compares two lists, or the keys of two maps, in any order.
func (c *comparer) set(d Difference, r rule) {
	text := func(list Place, token string) string {
		if r.shape == keys {
			return encode(token)
		}
		return list.Child(token).JSON("")
	}
	missing := func(from, in Place) []string {
		have := map[string]bool{}
		for _, token := range in.Keys() {
			have[text(in, token)] = true
		}
		return slices.DeleteFunc(from.Keys(), func(token string) bool { return have[text(from, token)] })
	}
	ours, theirs := d.Ours, d.Theirs
	for _, token := range missing(ours, theirs) {
		d.Was, d.Is, d.Ours, d.Theirs = text(ours, token), "", ours.Child(token), Place{}
		d.Member = strings.Trim(d.Was, `"`)
		c.report(d)
	}
	for _, token := range missing(theirs, ours) {
		d.Was, d.Is, d.Ours, d.Theirs = "", text(theirs, token), Place{}, theirs.Child(token)
		d.Member = strings.Trim(d.Is, `"`)
		c.report(d)
	}
}

// branches compares two lists of schemas by position if they have the same length. Otherwise it pairs equal branches in
// order; the others were added or removed.
func (c *comparer) branches(d Difference, kind Kind) {
	ours, theirs := d.Ours.Keys(), d.Theirs.Keys()
	if len(ours) == len(theirs) {
		for _, i := range ours {
			c.in(func() { c.node(kind, d.Ours.Child(i), d.Theirs.Child(i)) }, d.Keyword, i)
		}
		return
	}
	our, their := d.Ours, d.Theirs
	matched := 0
	for _, i := range ours {
		same := slices.IndexFunc(theirs[matched:], func(j string) bool { return our.Child(i).JSON(kind) == their.Child(j).JSON(kind) })
		if same < 0 {
			d.Member, d.Ours, d.Theirs = i, our.Child(i), Place{}
			d.Was, d.Is = d.Ours.JSON(kind), ""
			c.report(d)
			continue
		}
		c.newBranches(d, their, theirs[matched:matched+same])
		matched += same + 1
	}
	c.newBranches(d, their, theirs[matched:])
}

func (c *comparer) newBranches(d Difference, theirs Place, indices []string) {
	for _, i := range indices {
		d.Member, d.Ours, d.Theirs = i, Place{}, theirs.Child(i)
		d.Was, d.Is = "", d.Theirs.JSON(KindSchema)
		c.report(d)
	}
}

func (c *comparer) parameters(ours, theirs Operation) {
	their := theirs.Parameters()
	d := Difference{Kind: KindOperation, Keyword: "parameters", Node: ours.op, TheirNode: theirs.op, Element: KindParameter}
	for _, p := range ours.Parameters() {
		if i := slices.IndexFunc(their, func(q Parameter) bool { return q.key == p.key }); i >= 0 {
			c.in(func() { c.node(KindParameter, p.Place, their[i].Place) }, "parameters", p.In+":"+p.Name)
			their = slices.Delete(their, i, i+1)
			continue
		}
		d.Member, d.Ours, d.Theirs = p.Name, p.Place, Place{}
		d.Was, d.Is = parameterJSON(p), ""
		c.report(d)
	}
	for _, p := range their {
		d.Member, d.Ours, d.Theirs = p.Name, Place{}, p.Place
		d.Was, d.Is = "", parameterJSON(p)
		c.report(d)
	}
}

func parameterJSON(p Parameter) string {
	m := plain(p.Place, rule{node, KindParameter}, nil).(map[string]any) //nolint:forcetypeassert // a parameter with a name is a mapping
	m["name"], m["in"] = p.Name, p.In
	return encode(m)
}
