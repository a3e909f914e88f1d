package main

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// enumPrefix is the prefix of extensions that describe each value of an enum, such as x-enum-varnames and
// x-enum-descriptions. They are lists in the order of the enum, or maps by value.
const enumPrefix = "x-enum"

// editEnum edits an enum and the extensions that have an entry for each value. It makes all edits or none.
func (m *merger) editEnum(d openapi.Difference) error {
	was := *m.sheet
	err := m.editKeyword(d)
	if err == nil {
		err = m.followEnum(d)
	}
	if err != nil {
		*m.sheet = was
	}
	return err
}

// followEnum applies the edit of an enum to its extensions.
func (m *merger) followEnum(d openapi.Difference) error {
	before, now := values(d.Node.Child("enum")), values(m.sheet.doc.At(d.Node.Pointer).Child("enum"))
	for keyword, beside := range d.Node.Members() {
		at := below(d.Node.Pointer, keyword)
		var err error
		switch {
		case !strings.HasPrefix(keyword, enumPrefix):
		case len(now) == 0:
			err = m.sheet.remove(at)
		case beside.Node().Kind == yaml.MappingNode:
			err = m.followEnumMap(d, beside)
		case beside.Node().Kind != yaml.SequenceNode || len(beside.Keys()) != len(before):
			m.decidef("%s has no entry for each value of the enum", at)
		case d.Is == "":
			_, i := parent(d.Ours.Pointer)
			err = m.sheet.remove(below(at, i))
		default:
			i := 0 // index of the new value
			for i < len(before) && before[i] == now[i] {
				i++
			}
			entry := "" // prose is not merged
			if keyword == "x-enum-varnames" || keyword == "x-enumNames" {
				entry = enumName(now[i], values(beside))
			}
			m.decidef("%s: %s is new, look at its entry %q", at, now[i], entry)
			err = m.sheet.insert(at, i, text(entry))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// followEnumMap removes a removed value from a map, or reports that the map lacks an added one.
func (m *merger) followEnumMap(d openapi.Difference, beside openapi.Place) error {
	switch {
	case d.Is == "" && beside.Child(d.Ours.Text()).Exists():
		return m.sheet.remove(below(beside.Pointer, d.Ours.Text()))
	case d.Is != "":
		m.decidef("%s: %s is new and has no entry", beside.Pointer, d.Theirs.Text())
	}
	return nil
}

// values returns the scalars of a list.
func values(list openapi.Place) []string {
	var all []string
	for _, value := range list.Members() {
		all = append(all, value.Text())
	}
	return all
}

// enumName makes a Go name of an enum's value in our style: AUTHORIZATION_CODE becomes AuthorizationCode. It returns
// none of the taken names, because the generator would drop one of two values with the same name.
func enumName(value string, taken []string) string {
	if value == strings.ToUpper(value) {
		value = strings.ToLower(value)
	}
	name := goName(value)
	if name == "" || unicode.IsDigit(rune(name[0])) {
		name = "Value" + name
	}
	for base, i := name, 2; slices.Contains(taken, name); i++ {
		name = base + strconv.Itoa(i)
	}
	return name
}
