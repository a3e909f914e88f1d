package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const page = `# Ours.
openapi: 3.0.1
x-items:
  - a: 1

    # Why b.
    b: "one # two" # both
  - &c c # unused
  - "\x41": d
x-nothing: # yet
x-empty: '' # none
x-below:
  c
paths:
  /things:
    # Why this one.
    get:
      operationId: getThing # kept
      security:
        - basic: [] # no scope
      parameters:
        - name: a
          in: query

        - in: header
          name: b
      responses:
        '200': {description: Fine., x-flow: {a: 1}}
components:
  schemas:
    Thing:
      type: object
      required: [id, name]
      # About the properties.
      properties:
        id:
          description: >-
            Two lines
            of words.
          type: string
        # The name.
        name: {type: string} # short
`

func TestSheet(t *testing.T) {
	tests := []struct {
		name     string
		edit     func(*sheet) error
		old, new string // a text of the sheet before and after
	}{
		{
			"a scalar keeps its comment",
			func(s *sheet) error { return s.replace("/paths/~1things/get/operationId", text("getThings")) },
			"operationId: getThing # kept", "operationId: getThings # kept",
		},
		{
			"a key behind another",
			func(s *sheet) error {
				return s.set("/components/schemas/Thing/properties/id", "format", text("uuid"), []string{"type"}, nil)
			},
			"          type: string\n        # The name.", "          type: string\n          format: uuid\n        # The name.",
		},
		{
			"a key before another",
			func(s *sheet) error {
				return s.set("/components/schemas/Thing/properties", "age", mapping("type", "integer"), nil, []string{"none", "name"})
			},
			"        # The name.\n        name:", "        # The name.\n        age:\n          type: integer\n        name:",
		},
		{
			"a key before the first of an item takes the dash",
			func(s *sheet) error {
				return s.set("/paths/~1things/get/parameters/1", "x", text("y"), nil, []string{"in"})
			},
			"        - in: header\n", "        - x: y\n          in: header\n",
		},
		{
			"an entry goes with the comment above it",
			func(s *sheet) error { return s.remove("/components/schemas/Thing/properties/name") },
			"        # The name.\n        name: {type: string} # short\n", "",
		},
		{
			"the first key of an item goes",
			func(s *sheet) error { return s.remove("/paths/~1things/get/parameters/0/name") },
			"        - name: a\n          in: query\n", "        - in: query\n",
		},
		{
			"the first key of an item goes, before an empty line",
			func(s *sheet) error { return s.remove("/x-items/0/a") },
			"  - a: 1\n\n    # Why b.\n    b:", "\n    # Why b.\n  - b:",
		},
		{
			"an item goes",
			func(s *sheet) error { return s.remove("/paths/~1things/get/parameters/0") },
			"        - name: a\n          in: query\n\n", "\n",
		},
		{
			"the last item takes its key along",
			func(s *sheet) error {
				if err := s.remove("/paths/~1things/get/parameters/0"); err != nil {
					return err
				}
				return s.remove("/paths/~1things/get/parameters/0")
			},
			"      parameters:\n        - name: a\n          in: query\n\n        - in: header\n          name: b\n", "",
		},
		{
			"an item at the end",
			func(s *sheet) error { return s.insert("/paths/~1things/get/parameters", 9, mapping("name", "c")) },
			"          name: b\n", "          name: b\n        - name: c\n",
		},
		{
			"flow style opens where it is edited",
			func(s *sheet) error { return s.insert("/components/schemas/Thing/required", 1, text("404")) },
			"      required: [id, name]\n", "      required:\n        - id\n        - '404'\n        - name\n",
		},
		{
			"flow style opens as far as it must",
			func(s *sheet) error {
				return s.set("/paths/~1things/get/responses/200", "content", mapping("a", "b"), nil, nil)
			},
			"        '200': {description: Fine., x-flow: {a: 1}}\n",
			"        '200':\n          description: Fine.\n          x-flow:\n            a: 1\n          content:\n            a: b\n",
		},
		{
			"a schema that loses all stays",
			func(s *sheet) error { return s.remove("/components/schemas/Thing/properties/name/type") },
			"        name: {type: string} # short\n", "        name: {}\n",
		},
		{
			"a text of several lines becomes one",
			func(s *sheet) error {
				return s.replace("/components/schemas/Thing/properties/id/description", text("One."))
			},
			"description: >-\n            Two lines\n            of words.\n", "description: One.\n",
		},
		{
			"a number sign in quotes begins no comment",
			func(s *sheet) error {
				if err := s.replace("/paths/~1things/get/parameters/0/name", text("a #1")); err != nil {
					return err
				}
				return s.replace("/paths/~1things/get/parameters/0/name", text("c"))
			},
			"        - name: a\n", "        - name: c\n",
		},
		{
			"a comment behind a number sign in quotes stays",
			func(s *sheet) error { return s.replace("/x-items/0/b", text("c")) },
			`b: "one # two" # both`, "b: c # both",
		},
		{
			"an empty text keeps its comment",
			func(s *sheet) error { return s.replace("/x-empty", text("c")) },
			"x-empty: '' # none\n", "x-empty: c # none\n",
		},
		{
			"no value becomes one",
			func(s *sheet) error { return s.replace("/x-nothing", text("c")) },
			"x-nothing: # yet\n", "x-nothing: c\n",
		},
		{
			"an anchor goes with its value",
			func(s *sheet) error { return s.replace("/x-items/1", text("d")) },
			"  - &c c # unused\n", "  - d\n",
		},
		{
			"a key is renamed",
			func(s *sheet) error { return s.rename("/paths/~1things/get/responses/200", "404") },
			"        '200': {", "        '404': {",
		},
		{
			"the first key of an item is renamed",
			func(s *sheet) error { return s.rename("/paths/~1things/get/parameters/0/name", "title") },
			"        - name: a\n", "        - title: a\n",
		},
		{
			"a member of the document goes",
			func(s *sheet) error { return s.remove("/components") },
			page[strings.Index(page, "components:"):], "",
		},
		{
			"a member of the document",
			func(s *sheet) error { return s.replace("/openapi", text("3.0.3")) },
			"openapi: 3.0.1\n", "openapi: 3.0.3\n",
		},
		{
			"a new member of the document",
			func(s *sheet) error { return s.set("", "x-new", text("a"), []string{"openapi"}, nil) },
			"openapi: 3.0.1\n", "openapi: 3.0.1\nx-new: a\n",
		},
		{
			"a scalar becomes a mapping",
			func(s *sheet) error {
				return s.replace("/paths/~1things/get/parameters/0/name", mapping("b", "c"))
			},
			"        - name: a\n", "        - name:\n            b: c\n",
		},
		{
			"a scalar below its key",
			func(s *sheet) error { return s.replace("/x-below", text("d")) },
			"x-below:\n  c\n", "x-below: d\n",
		},
		{
			"what no key follows",
			func(s *sheet) error { return s.set("/x-nothing", "a", text("b"), nil, nil) },
			"x-nothing: # yet\n", "x-nothing:\n  a: b\n",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := newSheet(page)
			require.NoError(t, err)
			require.NoError(t, test.edit(s))
			assert.Equal(t, replaceOnce(t, page, test.old, test.new), s.text)
		})
	}
}

func TestSheetRefusesWhatIsNotThere(t *testing.T) {
	s, err := newSheet(page)
	require.NoError(t, err)
	assert.Error(t, s.remove("/components/schemas/Other"))
	assert.Error(t, s.set("/components/schemas/Other", "type", text("object"), nil, nil))
	assert.Error(t, s.replace("/paths/~1things/get/parameters/2", text("a")))
	assert.Error(t, s.insert("/components/schemas/Other", 0, text("object")))
	assert.Error(t, s.rename("/paths/~1things/put", "post"))
	assert.EqualError(t, s.replace("/x-items/first", text("a")), "/x-items/first is not there")
	assert.EqualError(t, s.insert("/paths", 0, text("a")), "/paths/0 is not there")
	assert.ErrorContains(t, s.rename("/paths/~1things/get/parameters/0/name", "in"), `the edit would break the description: openapi: line 23: the key "in" is there twice`)
	assert.EqualError(t, s.rename("/x-items/2/A", "b"), "/x-items/2/A: its key is written in an unusual way")
	assert.Equal(t, page, s.text)
}

// TestRenderedStrings tests that a string is in single quotes if it would be read as another type or as syntax.
func TestRenderedStrings(t *testing.T) {
	for value, want := range map[string]string{
		"a": "a", "a b": "a b", "a#b": "a#b", "": "''", "404": "'404'", "true": "'true'", "null": "'null'", "1.5": "'1.5'", "2026-01-01": "'2026-01-01'",
		"#a": "'#a'", "- a": "'- a'", "*a": "'*a'", "{a}": "'{a}'", "'a": "'''a'", "a: b": "'a: b'", "a\nb": "|-\n  a\n  b", "# a\nb": "|-\n  # a\n  b",
	} {
		assert.Equal(t, strings.Split(want, "\n"), render(text(value), 0), value)
	}
	assert.Equal(t, []string{`"404"`}, render(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "404", Style: yaml.DoubleQuotedStyle}, 0))
	assert.Equal(t, []string{"404"}, render(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: "404"}, 0))
}

// TestSheetRefusesWhatItWouldBreak tests edits of what goes on in lines that are not indented.
func TestSheetRefusesWhatItWouldBreak(t *testing.T) {
	const unusual = "openapi: 3.0.1\npaths:\n  /things: {}\nx-quoted: \"a\nb\"\nx-value: &v c\nx-flow: {\n  a: *v\n}\n" +
		"x-complex:\n  ? a\n  : b\nx-list:\n  - {\n  a: 1\n}\nx-required:\n  required:\n    - {\n a: 1\n}\nx-nested:\n  more:\n    a: {\n a: 1\n}\n"
	for name, edit := range map[string]func(*sheet) error{
		"text":            func(s *sheet) error { return s.replace("/x-quoted", text("c")) },
		"new key":         func(s *sheet) error { return s.set("/x-flow", "b", text("2"), nil, nil) },
		"key goes":        func(s *sheet) error { return s.remove("/x-flow/a") },
		"mapping":         func(s *sheet) error { return s.replace("/x-list", mapping("a", "b")) },
		"text goes":       func(s *sheet) error { return s.remove("/x-quoted") },
		"key behind it":   func(s *sheet) error { return s.set("", "x-new", text("2"), []string{"x-flow"}, nil) },
		"key before it":   func(s *sheet) error { return s.set("/x-complex", "b", text("2"), nil, []string{"a"}) },
		"item behind it":  func(s *sheet) error { return s.insert("/x-list", 1, text("2")) },
		"last item goes":  func(s *sheet) error { return s.remove("/x-required/required/0") },
		"last key goes":   func(s *sheet) error { return s.remove("/x-nested/more/a") },
		"anchor goes":     func(s *sheet) error { return s.remove("/x-value") },
		"anchor replaced": func(s *sheet) error { return s.replace("/x-value", text("d")) },
	} {
		s, err := newSheet(unusual)
		require.NoError(t, err)
		require.ErrorContains(t, edit(s), "the edit would break the description: ", name)
		assert.Equal(t, unusual, s.text, name)
	}
}

// TestSheetRefusesAgain tests that an edit that was refused is refused again, because nothing has changed.
func TestSheetRefusesAgain(t *testing.T) {
	const unusual = "openapi: 3.0.1\npaths: {}\nx-flow: {\n  a: 1, b: 2\n}\n"
	s, err := newSheet(unusual)
	require.NoError(t, err)
	for range 2 {
		assert.ErrorContains(t, s.replace("/x-flow/a", text("c")), "the edit would break the description: ")
	}
	assert.Equal(t, unusual, s.text)
}

// TestFirstLineGoes removes an entry that no line is above.
func TestFirstLineGoes(t *testing.T) {
	for _, first := range []string{"x-first: a\n", "# About it.\nx-first: a\n"} {
		s, err := newSheet(first + "openapi: 3.0.1\npaths: {}\n")
		require.NoError(t, err)
		require.NoError(t, s.remove("/x-first"))
		assert.Equal(t, "openapi: 3.0.1\npaths: {}\n", s.text)
	}
}

// TestAliasInAList removes the value that the items of a list repeat: the first of them gets it.
func TestAliasInAList(t *testing.T) {
	const rest = "openapi: 3.0.1\npaths: {}\n"
	s, err := newSheet(rest + "x-a: &c c\nx-list:\n  - *c\n  - *c\n")
	require.NoError(t, err)
	require.NoError(t, s.replace("/x-a", text("d")))
	assert.Equal(t, rest+"x-a: d\nx-list:\n  - &c c\n  - *c\n", s.text)

	s, err = newSheet(rest + "x-a:\n  b: &b 1\n  c: &c 2\n  d: *b\nx-list: [*c, *b]\n")
	require.NoError(t, err)
	require.NoError(t, s.remove("/x-a"))
	assert.Equal(t, rest+"x-list:\n  - &c 2\n  - &b 1\n", s.text)
}

// TestListWithinAList tests that an item which is a list ends before the next item, and a list in the column of its key
// before the next key, even if the list has an anchor.
func TestListWithinAList(t *testing.T) {
	const rest = "openapi: 3.0.1\npaths: {}\n"
	s, err := newSheet(rest + "x-list:\n- - a\n  - b\n- c\nx-anchored: &a\n- d\n- e\n-f: g\n")
	require.NoError(t, err)
	require.NoError(t, s.remove("/x-list/0"))
	require.NoError(t, s.remove("/x-anchored"))
	assert.Equal(t, rest+"x-list:\n- c\n-f: g\n", s.text)
}

// TestSheetRefusesAnAlias tests that what stands elsewhere is not edited through an alias where it would have to be
// written anew.
func TestSheetRefusesAnAlias(t *testing.T) {
	const aliases = "openapi: 3.0.1\npaths: {}\nx-nothing: &n\nx-flow: &f {a: 1}\nx-value: &v c\nx-of-nothing: *n\nx-of-flow: *f\nx-of-value: *v\n"
	s, err := newSheet(aliases)
	require.NoError(t, err)
	assert.EqualError(t, s.set("/x-of-nothing", "a", text("b"), nil, nil), "/x-of-nothing is an alias")
	assert.EqualError(t, s.insert("/x-of-nothing", 0, text("b")), "/x-of-nothing is an alias")
	assert.EqualError(t, s.set("/x-of-flow", "b", text("2"), nil, nil), "/x-of-flow is an alias")
	assert.EqualError(t, s.replace("/x-of-value", text("d")), "/x-of-value is an alias")
	assert.Equal(t, aliases, s.text)
}

func TestSheetRefusesADocumentInFlowStyle(t *testing.T) {
	for _, flow := range []string{"{openapi: 3.0.1, paths: {/things: {}}}\n", `{"openapi": "3.0.1", "paths": {"/things": {}}}`} {
		s, err := newSheet(flow)
		require.NoError(t, err)
		for _, err := range []error{
			s.replace("/openapi", text("3.0.3")), s.remove("/openapi"), s.remove("/paths/~1things"), s.rename("/paths/~1things", "/others"),
			s.set("", "x-new", text("a"), nil, nil), s.set("/paths", "/others", mapping("a", "b"), nil, nil),
		} {
			assert.EqualError(t, err, "the document itself is in flow style, which cannot be edited; write it in block style")
		}
	}
}

func mapping(key, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(key), text(value)}}
}
