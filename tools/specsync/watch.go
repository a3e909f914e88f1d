package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// Changes in the vendor's prose are detected without copying it: our description stores, for each operation, hashes of
// the vendor's prose and of the nodes under our deviations. For a property with a watched meaning it also stores what
// upstream says, if our text says something else.
const (
	seenKey    = "x-upstream-seen"
	meaningKey = "x-upstream-meaning"
)

// seen returns the hashes of an operation: that of its prose under "prose", and those of the vendor's nodes under our
// deviations by the keyword that deviates.
func seen(op [2]openapi.Operation, excused []openapi.Difference) map[string]string {
	words := sha256.New()
	for r := range op[1].Reached() {
		for _, keyword := range []string{"title", "summary", "description"} {
			if text := strings.Join(strings.Fields(r.Place.Child(keyword).Text()), " "); text != "" {
				fmt.Fprintf(words, "%s/%s %s\n", r.Path, keyword, text)
			}
		}
	}
	sums := map[string]hash.Hash{"prose": words}
	for _, d := range excused {
		if d.Operation.String() != op[0].String() || d.Is == "" || d.Keyword == "example" || d.Kind == openapi.KindExample {
			continue
		}
		if sums[d.Keyword] == nil {
			sums[d.Keyword] = sha256.New()
		}
		fmt.Fprintf(sums[d.Keyword], "%s %s\n", d.Place, d.Is)
	}
	all := map[string]string{}
	for name, sum := range sums {
		all[name] = hex.EncodeToString(sum.Sum(nil)[:5])
	}
	return all
}

// remembered returns the x-upstream-seen of our operation.
func remembered(op openapi.Operation) map[string]string {
	all := map[string]string{}
	for name, sum := range op.Place().Child(seenKey).Members() {
		all[name] = sum.Text()
	}
	return all
}

// watch reports changes in the prose of the operations.
func (r *report) watch(result openapi.Result, c *config, v vendor) {
	for _, op := range result.Operations {
		if was, is := remembered(op[0]), seen(op, result.Excused); len(was) > 0 {
			if was["prose"] != is["prose"] {
				r.note(change{Class: prose, What: "words changed"}, op[0])
			}
			for _, keyword := range slices.Sorted(maps.Keys(is)) {
				if keyword != "prose" && was[keyword] != is[keyword] {
					r.note(change{Class: tolerated, What: "changed under a deviation of ours", Note: keyword}, op[0])
				}
			}
			for _, keyword := range slices.Sorted(maps.Keys(was)) {
				if is[keyword] == "" {
					r.note(change{Class: tolerated, What: "gone under a deviation of ours", Note: keyword}, op[0])
				}
			}
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

// note adds a change that is not structural, or adds the operation to such a change if it exists.
func (r *report) note(c change, op openapi.Operation) {
	for i := range r.Changes {
		if have := &r.Changes[i]; have.What == c.What && have.Note == c.Note {
			have.Operations = append(have.Operations, op.String())
			return
		}
	}
	c.Operations = []string{op.String()}
	r.Changes = append(r.Changes, c)
}

func (r *report) watchMeaning(op [2]openapi.Operation, m meaning) {
	for _, s := range meanings(op, m) {
		if s.was != s.is {
			r.Changes = append(r.Changes, change{
				Class: breaking, What: "meaning of " + m.Property + " changed", Operations: []string{op[0].String()}, Place: s.at.Path + "/description",
				Pointer: s.at.Place.Pointer, Was: s.was, Is: s.is, Note: "the structure does not show it",
			})
		}
	}
}

// said is what our description and the vendor's say about a property.
type said struct {
	at      openapi.Reached // in ours
	was, is string
}

// meanings returns the places where both descriptions have a watched meaning.
func meanings(op [2]openapi.Operation, m meaning) []said {
	theirs := map[string]string{}
	for r := range op[1].Reached() {
		theirs[openapi.PlainPath(r.Path)] = m.of(r.Place.Child("description").Text())
	}
	var all []said
	for r := range op[0].Reached() {
		if !strings.HasSuffix(r.Path, "/properties/"+m.Property) || theirs[openapi.PlainPath(r.Path)] == "" {
			continue
		}
		was := r.Place.Child(meaningKey).Text()
		if was == "" {
			was = m.of(r.Place.Child("description").Text())
		}
		if was != "" {
			all = append(all, said{r, was, theirs[openapi.PlainPath(r.Path)]})
		}
	}
	return all
}

// watchList compares a list in the vendor's prose with the extension of our operation that has the same list.
func (r *report) watchList(op [2]openapi.Operation, l listRule) {
	var theirs []string
	for reached := range op[1].Reached() {
		for _, match := range l.Item.FindAllStringSubmatch(reached.Place.Child("description").Text(), -1) {
			theirs = append(theirs, match[1])
		}
	}
	if len(theirs) == 0 { // the list is gone, or has another format
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

// remember writes into our description what watch compares next time. Operations that the vendor does not describe are
// skipped.
func (m *merger) remember() error {
	for _, op := range m.sheet.doc.Operations() {
		met := slices.ContainsFunc(m.now.Operations, func(both [2]openapi.Operation) bool { return both[0].String() == op.String() })
		if last := op.Place().Child(seenKey); last.Exists() && !met {
			if err := m.sheet.remove(last.Pointer); err != nil {
				return err
			}
		}
	}
	for _, op := range m.now.Operations {
		if is := seen(op, m.now.Excused); !maps.Equal(is, remembered(op[0])) {
			record := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle, Content: []*yaml.Node{text("prose"), text(is["prose"])}}
			for _, keyword := range slices.Sorted(maps.Keys(is)) {
				if keyword != "prose" {
					record.Content = append(record.Content, text(keyword), text(is[keyword]))
				}
			}
			if err := m.sheet.set(op[0].Place().Pointer, seenKey, record, keywordsBefore(openapi.KindOperation, seenKey), nil); err != nil {
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

func (m *merger) rememberMeaning(at openapi.Place, rule meaning, is string) error {
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
