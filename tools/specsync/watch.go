package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grantwright/oauth-go/tests/upstream"
)

// What no structure shows is remembered in our description, because we never copy a vendor's words: at each operation
// the hashes of its prose and of what stands under our deviations, and at a property with a watched meaning what
// upstream says, where our words say something else.
const (
	seenKey    = "x-upstream-seen"
	meaningKey = "x-upstream-meaning"
)

// seen returns the hash of an operation's prose and that of the vendor's values that our deviations excuse.
func seen(op [2]upstream.Operation, excused []upstream.Difference) (words, deviations string) {
	h := sha256.New()
	for r := range op[1].Reached() {
		for _, keyword := range []string{"title", "summary", "description"} {
			if text := strings.Join(strings.Fields(r.Place.Child(keyword).Text()), " "); text != "" {
				fmt.Fprintf(h, "%s/%s %s\n", r.Path, keyword, text)
			}
		}
	}
	d := sha256.New()
	for _, e := range under(op[0], excused) {
		fmt.Fprintf(d, "%s %s\n", e.Place, e.Is)
	}
	return short(h.Sum(nil)), short(d.Sum(nil))
}

// under returns the differences of an operation that our deviations excuse and where the vendor has something.
func under(op upstream.Operation, excused []upstream.Difference) []upstream.Difference {
	return slices.DeleteFunc(slices.Clone(excused), func(d upstream.Difference) bool {
		return d.Operation.String() != op.String() || d.Is == "" || d.Keyword == "example" || d.Kind == upstream.KindExample
	})
}

func short(sum []byte) string { return hex.EncodeToString(sum[:5]) }

// watch reports what changed in the prose of the operations.
func (r *report) watch(result upstream.Result, c *config, v vendor) {
	for _, op := range result.Operations {
		last := op[0].Place().Child(seenKey)
		words, deviations := seen(op, result.Excused)
		if was := last.Child("prose"); was.Exists() && was.Text() != words {
			r.note(change{Class: prose, What: "words changed"}, op[0])
		}
		if was := last.Child("deviations"); was.Exists() && was.Text() != deviations {
			var keywords []string
			for _, e := range under(op[0], result.Excused) {
				keywords = append(keywords, e.Keyword)
			}
			slices.Sort(keywords)
			which := cmp.Or(strings.Join(slices.Compact(keywords), " or "), "nothing is left there")
			r.note(change{Class: tolerated, What: "changed under a deviation of ours", Note: which}, op[0])
		}
		for _, m := range c.Meanings {
			r.watchMeaning(op, m)
		}
		for _, l := range v.Lists {
			if l.Operation == op[0].String() {
				r.watchList(op, l)
			}
		}
	}
}

// note adds a change that no structure shows, or the operation to the change if it is there.
func (r *report) note(c change, op upstream.Operation) {
	for i := range r.Changes {
		if have := &r.Changes[i]; have.What == c.What && have.Note == c.Note {
			have.Operations = append(have.Operations, op.String())
			return
		}
	}
	c.Operations = []string{op.String()}
	r.Changes = append(r.Changes, c)
}

func (r *report) watchMeaning(op [2]upstream.Operation, m meaning) {
	for _, s := range meanings(op, m) {
		if s.was != s.is {
			r.Changes = append(r.Changes, change{
				Class: breaking, What: "meaning of " + m.Property + " changed", Operations: []string{op[0].String()}, Place: s.at.Path + "/description",
				Pointer: s.at.Place.Pointer, Was: s.was, Is: s.is, Note: "the structure does not show it",
			})
		}
	}
}

// said is what our description and the vendor's say of a property.
type said struct {
	at      upstream.Reached // in ours
	was, is string
}

// meanings returns the places where both say something of a watched property.
func meanings(op [2]upstream.Operation, m meaning) []said {
	theirs := map[string]string{}
	for r := range op[1].Reached() {
		theirs[r.Path] = m.of(r.Place.Child("description").Text())
	}
	var all []said
	for r := range op[0].Reached() {
		if !strings.HasSuffix(r.Path, "/properties/"+m.Property) || theirs[r.Path] == "" {
			continue
		}
		was := r.Place.Child(meaningKey).Text()
		if was == "" {
			was = m.of(r.Place.Child("description").Text())
		}
		if was != "" {
			all = append(all, said{r, was, theirs[r.Path]})
		}
	}
	return all
}

// watchList compares a list in the vendor's prose with the one that our operation has as an extension.
func (r *report) watchList(op [2]upstream.Operation, l listRule) {
	var theirs []string
	for reached := range op[1].Reached() {
		for _, match := range l.Item.FindAllStringSubmatch(reached.Place.Child("description").Text(), -1) {
			theirs = append(theirs, match[1])
		}
	}
	if len(theirs) == 0 { // the list went, or is written in another way
		return
	}
	var ours []string
	list := op[0].Place().Child(l.Ours)
	for _, i := range list.Keys() {
		ours = append(ours, list.Child(i).Text())
	}
	add := func(c class, verb, item, was, is string) {
		r.Changes = append(r.Changes, change{
			Class: c, What: item + " " + verb + " the list in the prose", Operations: []string{op[0].String()}, Pointer: list.Pointer, Was: was, Is: is,
			Note: "the structure does not show it; " + l.Ours + " is kept by hand",
		})
	}
	for _, item := range ours {
		if !slices.Contains(theirs, item) {
			add(breaking, "removed from", item, item, "")
		}
	}
	for _, item := range theirs {
		if !slices.Contains(ours, item) {
			add(additive, "added to", item, "", item)
		}
	}
}

// remember writes into our description what watch compares with the next time. Of an operation that the vendor does not
// describe there is nothing to remember.
func (m *merger) remember() error {
	m.now = upstream.Compare(m.sheet.doc, m.theirs, m.opts)
	for _, op := range m.sheet.doc.Operations() {
		met := slices.ContainsFunc(m.now.Operations, func(both [2]upstream.Operation) bool { return both[0].String() == op.String() })
		if last := op.Place().Child(seenKey); last.Exists() && !met {
			if err := m.sheet.remove(last.Pointer); err != nil {
				return err
			}
		}
	}
	for _, op := range m.now.Operations {
		words, deviations := seen(op, m.now.Excused)
		last := op[0].Place().Child(seenKey)
		if last.Child("prose").Text() != words || last.Child("deviations").Text() != deviations {
			record := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle, Content: []*yaml.Node{text("prose"), text(words), text("deviations"), text(deviations)}}
			if err := m.sheet.set(op[0].Place().Pointer, seenKey, record, keywordsBefore(upstream.KindOperation, seenKey), nil); err != nil {
				return err
			}
		}
		for _, meaning := range m.config.Meanings {
			for _, s := range meanings(op, meaning) {
				if err := m.rememberMeaning(s.at.Place, meaning, s.is); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (m *merger) rememberMeaning(at upstream.Place, rule meaning, is string) error {
	noted := at.Child(meaningKey)
	if rule.of(at.Child("description").Text()) == is {
		if noted.Exists() {
			return m.sheet.remove(noted.Pointer)
		}
		return nil
	}
	m.decidef("%s: upstream now means %s; say so in our words", at.Pointer, is)
	if noted.Text() == is {
		return nil
	}
	return m.sheet.set(at.Pointer, meaningKey, text(is), []string{"description"}, nil)
}
