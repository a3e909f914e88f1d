package openapi

import "slices"

// servers compares the servers that apply to the two operations, wherever they are written. Servers with the same URL
// are compared with each other, the others in order.
func (c *comparer) servers(ours, theirs Operation) {
	our, their := ours.Servers(), theirs.Servers()
	left := their.Keys()
	var unmatched []string
	compare := func(i, j string) {
		c.in(func() { c.node(KindServer, our.Child(i), their.Child(j)) }, "servers", i)
	}
	for _, i := range our.Keys() {
		url := our.Child(i).Child("url").Text()
		same := slices.IndexFunc(left, func(j string) bool { return c.opts.Server(their.Child(j).Child("url").Text()) == url })
		if same < 0 {
			unmatched = append(unmatched, i)
			continue
		}
		compare(i, left[same])
		left = slices.Delete(left, same, same+1)
	}
	for len(unmatched) > 0 && len(left) > 0 {
		compare(unmatched[0], left[0])
		unmatched, left = unmatched[1:], left[1:]
	}
	d := Difference{Kind: KindOperation, Keyword: "servers", Node: ours.op, TheirNode: theirs.op, Element: KindServer}
	for _, i := range unmatched {
		d.Ours, d.Theirs = our.Child(i), Place{}
		d.Member, d.Was, d.Is = d.Ours.Child("url").Text(), d.Ours.JSON(KindServer), ""
		c.report(d)
	}
	for _, i := range left {
		d.Ours, d.Theirs = Place{}, their.Child(i)
		d.Member, d.Was, d.Is = d.Theirs.Child("url").Text(), "", d.Theirs.JSON(KindServer)
		c.report(d)
	}
}

func (c *comparer) serverURL(d Difference) {
	url := c.opts.Server(d.Theirs.Text())
	if d.Ours.Text() != url {
		d.Was, d.Is = encode(d.Ours.Text()), encode(url)
		c.report(d)
	}
}

// security compares the security requirements of the two operations. Equal alternatives are paired, then the others in
// order.
func (c *comparer) security(ours, theirs Operation) {
	our, their := ours.requirements(), theirs.requirements()
	for _, r := range their {
		for _, s := range r.schemes {
			if !s.definition.Exists() && !slices.Contains(c.result.Undefined, s.name) {
				c.result.Undefined = append(c.result.Undefined, s.name)
			}
		}
	}
	d := Difference{Kind: KindOperation, Keyword: "security", Node: ours.op, TheirNode: theirs.op}
	our = slices.DeleteFunc(our, func(r requirement) bool {
		i := slices.IndexFunc(their, r.equal)
		if i >= 0 {
			c.requirement(d, r, their[i]) // adds the pairs of schemes to the result
			their = slices.Delete(their, i, i+1)
		}
		return i >= 0
	})
	for len(our) > 0 && len(their) > 0 && our[0].alike(their[0]) {
		c.requirement(d, our[0], their[0])
		our, their = our[1:], their[1:]
	}
	for _, r := range our {
		d.Member, d.Was, d.Is = r.text(), r.text(), ""
		d.Ours, d.Theirs = r.at, Place{}
		c.report(d)
	}
	for _, r := range their {
		d.Member, d.Was, d.Is = r.text(), "", r.text()
		d.Ours, d.Theirs = Place{}, r.at
		c.report(d)
	}
}

func (c *comparer) requirement(d Difference, ours, theirs requirement) {
	for i, s := range ours.schemes {
		t := theirs.schemes[i]
		c.in(func() {
			if s.definition.Exists() && t.definition.Exists() {
				c.node(KindScheme, s.definition, t.definition)
			}
			d := Difference{Kind: KindRequirement, Keyword: "scopes", Node: d.Node, TheirNode: d.TheirNode, Ours: ours.at, Theirs: theirs.at}
			for _, scope := range s.scopes {
				if !slices.Contains(t.scopes, scope) {
					d.Member, d.Was, d.Is = scope, encode(scope), ""
					c.report(d)
				}
			}
			for _, scope := range t.scopes {
				if !slices.Contains(s.scopes, scope) {
					d.Member, d.Was, d.Is = scope, "", encode(scope)
					c.report(d)
				}
			}
		}, "security", s.name)
	}
}
