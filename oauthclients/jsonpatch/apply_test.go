package jsonpatch_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

const indented = `{
  "name" : "Demo",
  "limits": {"n": 1.50, "big": 123456789012345678901234567890},
  "uris": [
    "a",
    "\u0062"
  ],
  "empty": { },
  "last": null
}
`

func TestApplyKeepsUntouchedBytes(t *testing.T) {
	for _, c := range []struct{ name, patch, old, new string }{
		{"nothing", `[]`, ``, ``},
		{"a test", `[{"op":"test","path":"/limits","value":{"big":123456789012345678901234567890,"n":1.5}}]`, ``, ``},
		{"replace", `[{"op":"replace","path":"/limits/n","value":2}]`, `1.50`, `2`},
		{"replace an element", `[{"op":"replace","path":"/uris/1","value":"c"}]`, `"\u0062"`, `"c"`},
		{"remove the first member", `[{"op":"remove","path":"/name"}]`, "\n  \"name\" : \"Demo\",", ``},
		{"remove a member", `[{"op":"remove","path":"/limits/n"}]`, `"n": 1.50, `, ``},
		{"remove the last member", `[{"op":"remove","path":"/last"}]`, ",\n  \"last\": null", ``},
		{"remove the only members", `[{"op":"remove","path":"/limits/n"},{"op":"remove","path":"/limits/big"}]`, `{"n": 1.50, "big": 123456789012345678901234567890}`, `{}`},
		{"remove the first element", `[{"op":"remove","path":"/uris/0"}]`, "\n    \"a\",", ``},
		{"remove the last element", `[{"op":"remove","path":"/uris/1"}]`, ",\n    \"\\u0062\"", ``},
		{"add a member", `[{"op":"add","path":"/x","value":[1, 2]}]`, "null\n}", "null,\n  \"x\": [1, 2]\n}"},
		{"add a member in a line", `[{"op":"add","path":"/limits/x","value":1}]`, "67890}", "67890, \"x\": 1}"},
		{"add to an empty object", `[{"op":"add","path":"/empty/x","value":1}]`, `{ }`, `{"x":1}`},
		{"add before the first element", `[{"op":"add","path":"/uris/0","value":"z"}]`, "\n    \"a\"", "\n    \"z\",\n    \"a\""},
		{"append an element", `[{"op":"add","path":"/uris/-","value":"z"}]`, "\"\\u0062\"\n", "\"\\u0062\",\n    \"z\"\n"},
		{"replace the document", `[{"op":"replace","path":"","value":1}]`, strings.TrimSpace(indented), `1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, indented, c.old)
			got, err := applyText(indented, c.patch)
			require.NoError(t, err)
			assert.Equal(t, strings.Replace(indented, c.old, c.new, 1), got)
		})
	}
}

func TestApplySpacesWhatItAdds(t *testing.T) {
	long := "\n" + strings.Repeat(" ", 300)
	for _, c := range []struct{ doc, patch, want string }{
		{"[\n 1\n]", `[{"op":"add","path":"/-","value":2}]`, "[\n 1,\n 2\n]"},
		{"[\n 1\n]", `[{"op":"add","path":"/0","value":2}]`, "[\n 2,\n 1\n]"},
		{"[1,\n2]", `[{"op":"add","path":"/-","value":3}]`, "[1,\n2,\n3]"},
		{"[1,\n2, 3]", `[{"op":"add","path":"/-","value":4}]`, "[1,\n2, 3,\n4]"}, // the first separator counts
		{"[ 1,2 ]", `[{"op":"add","path":"/-","value":3}]`, "[ 1,2,3 ]"},
		{"{\n \"a\" : 1\n}", `[{"op":"add","path":"/b","value":2}]`, "{\n \"a\" : 1,\n \"b\": 2\n}"},
		{"[1," + long + "2]", `[{"op":"add","path":"/-","value":3}]`, "[1," + long + "2,3]"},
		{"[" + long + "1]", `[{"op":"add","path":"/-","value":3}]`, "[" + long + "1,3]"},
		{"[1]", `[{"op":"remove","path":"/0"},{"op":"add","path":"/-","value":3}]`, "[3]"},
		{"[\n 1,\n 2\n]", `[{"op":"remove","path":"/0"},{"op":"remove","path":"/0"}]`, "[]"},
	} {
		got, err := applyText(c.doc, c.patch)
		require.NoError(t, err)
		assert.Equal(t, c.want, got)
	}
}

func TestApplyReturnsACopy(t *testing.T) {
	doc := []byte(`{"a":1}`)
	got, err := jsonpatch.Patch(nil).Apply(doc)
	require.NoError(t, err)
	got[0] = 'x'
	assert.Equal(t, `{"a":1}`, string(doc))
}

func TestApplyRefusesBadDocuments(t *testing.T) {
	for name, doc := range map[string]string{
		"empty":                     ``,
		"spaces":                    " \n",
		"cut":                       `{"a":1`,
		"cut after a comma":         `{"a":1,`,
		"cut string":                `"a`,
		"cut escape":                `"\`,
		"two texts":                 `{} {}`,
		"trailing comma":            `[1,]`,
		"leading comma":             `[,1]`,
		"no colon":                  `{"a" 1}`,
		"a comma for a colon":       `{"a",1}`,
		"no comma":                  `[1 2]`,
		"no quotes":                 `{a:1}`,
		"single quotes":             `{'a':1}`,
		"comment":                   `[1 /* one */]`,
		"wrong end":                 `[1}`,
		"leading zero":              `01`,
		"minus alone":               `-`,
		"plus":                      `+1`,
		"no digits after the point": `1.`,
		"no digits before":          `.5`,
		"no exponent":               `1e`,
		"NaN":                       `NaN`,
		"literal in capitals":       `True`,
		"cut literal":               `nul`,
		"cut literal in an array":   `[tru`,
		"control character":         "\"a\nb\"",
		"line break for a quote":    "[\"a\n]",
		"bad escape":                `"\x41"`,
		"bad unicode escape":        `"\u00g0"`,
		"cut unicode escape":        `"\u00`,
		"bad escape in a name":      `{"\x":1}`,
		"too deep, objects":         strings.Repeat(`{"a":`, jsonpatch.MaxDepth+1),
		"not UTF-8":                 "\"\xff\"",
		"byte order mark":           "\ufeff{}",
		"other space":               "[1,\u00a02]",
		"duplicate members":         `{"a":1,"a":1}`,
		"deep in another place":     `{"b":[{"x":{"a":1,"\u0061":2}}]}`,
		"duplicates among many":     `{` + manyMembers(100) + `,"m7":0}`,
		"a late one among many":     `{` + manyMembers(100) + `,"m99":0}`,
		"too deep":                  nested(jsonpatch.MaxDepth + 1),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := jsonpatch.Patch(nil).Apply([]byte(doc))
			require.ErrorIs(t, err, jsonpatch.ErrInvalidDocument)
			_, err = jsonpatch.Diff([]byte(doc), []byte(`{}`))
			require.ErrorIs(t, err, jsonpatch.ErrInvalidDocument)
			assert.Contains(t, err.Error(), "before")
			_, err = jsonpatch.Diff([]byte(`{}`), []byte(doc))
			require.ErrorIs(t, err, jsonpatch.ErrInvalidDocument)
			assert.Contains(t, err.Error(), "after")
		})
	}
	for _, doc := range []string{
		nested(jsonpatch.MaxDepth), `0`, `-0.0e+00`, `""`, "\t\r\n null ", `{"a":{"a":{}},"b":{"a":1}}`,
		`[{"a":1},{"a":1}]`, `{"a":1,"A":2}`, `"\ud800"`, `{` + manyMembers(100) + `}`,
	} {
		got, err := jsonpatch.Patch(nil).Apply([]byte(doc))
		require.NoError(t, err)
		assert.Equal(t, doc, string(got))
	}
}

// manyMembers is a number of members for which an object is indexed.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return b.String()[1:]
}

func TestApplyToManyMembers(t *testing.T) {
	doc := `{` + manyMembers(100) + `}`
	got, err := applyText(doc, `[
		{"op":"test","path":"/m99","value":99},
		{"op":"remove","path":"/m50"},
		{"op":"add","path":"/m50","value":"again"},
		{"op":"replace","path":"/m0","value":"first"},
		{"op":"move","from":"/m1","path":"/moved"},
		{"op":"remove","path":"/moved"}]`)
	require.NoError(t, err)
	want := strings.NewReplacer(`"m50":50,`, ``, `"m0":0`, `"m0":"first"`, `"m1":1,`, ``, `}`, `,"m50":"again"}`).Replace(doc)
	assert.Equal(t, want, got)

	_, err = applyText(doc, `[{"op":"remove","path":"/m1"},{"op":"remove","path":"/m1"}]`)
	assert.ErrorIs(t, err, jsonpatch.ErrNotFound)
}

func TestApplyErrorsNameThePlaceAndHideValues(t *testing.T) {
	const doc = `{"a":{"secret":"canary-1"},"list":["canary-2"],"n":4711}`
	for _, c := range []struct{ patch, want string }{
		{`[{"op":"test","path":"/a/secret","value":"canary-3"}]`,
			`jsonpatch: operation 0: test "/a/secret": test failed: the value is another`},
		{`[{"op":"remove","path":"/n"},{"op":"remove","path":"/a/b/c"}]`,
			`jsonpatch: operation 1: remove "/a/b/c": not found: nothing at "/a/b"`},
		{`[{"op":"add","path":"/n/x","value":"canary-3"}]`,
			`jsonpatch: operation 0: add "/n/x": not found: "/n" is neither an object nor an array`},
		{`[{"op":"add","path":"/list/7","value":"canary-3"}]`,
			`jsonpatch: operation 0: add "/list/7": not found: "7" is not a place in an array of 1`},
		{`[{"op":"copy","from":"/x","path":"/list/-"}]`,
			`jsonpatch: operation 0: copy "/x" to "/list/-": not found: nothing at "/x"`},
		{`[{"op":"move","from":"","path":"/list"}]`,
			`jsonpatch: operation 0: move "" to "/list": invalid patch: a value cannot be moved into itself`},
		{`[{"op":"remove","path":"list"}]`,
			`jsonpatch: operation 0: remove "list": invalid patch: path: invalid pointer: "list" does not start with "/"`},
		{`[{"op":"remove","path":"/n"},{"op":"canary-3"}]`,
			`jsonpatch: operation 1: invalid patch: op is none of add, remove, replace, move, copy and test`},
		{`[{"op":"test","path":"/n"}]`,
			`jsonpatch: operation 0: test "/n": invalid patch: value is missing`},
		{`[{"op":"test","path":"/n","value":"canary-3]`,
			`jsonpatch: invalid patch: malformed JSON at offset 44`},
		{`[{"path":"/n","value":"canary-3"}]`,
			`jsonpatch: operation 0: invalid patch: op is missing`},
		{`{"op":"remove"`,
			`jsonpatch: invalid patch: malformed JSON at offset 14`},
		{`{"op":"remove","path":"/n"}`,
			`jsonpatch: invalid patch: a patch is an array of operations`},
	} {
		_, err := applyText(doc, c.patch)
		require.EqualError(t, err, c.want)
		assert.NotContains(t, err.Error(), "canary")
	}
	_, err := applyText(`{"a":"canary-1","a":"canary-2"}`, `[]`)
	require.EqualError(t, err, `jsonpatch: invalid document: an object has two members of one name at offset 16`)
}

func TestApplyIsBounded(t *testing.T) {
	t.Run("operations", func(t *testing.T) {
		p := make(jsonpatch.Patch, jsonpatch.MaxOperations+1)
		for i := range p {
			p[i] = jsonpatch.Add("/a", i)
		}
		_, err := p.Apply([]byte(`{}`))
		require.ErrorIs(t, err, jsonpatch.ErrLimit)
		got, err := p[1:].Apply([]byte(`{}`))
		require.NoError(t, err)
		assert.Equal(t, `{"a":10000}`, string(got))
	})
	t.Run("copies that double", func(t *testing.T) {
		var p jsonpatch.Patch
		for range 64 {
			p = append(p, jsonpatch.Copy("", "/a/-"))
		}
		_, err := p.Apply([]byte(`{"a":["0123456789"]}`))
		require.ErrorIs(t, err, jsonpatch.ErrLimit)
		var e *jsonpatch.Error
		require.ErrorAs(t, err, &e)
		assert.Less(t, e.Index, 25, "the size doubles each time")
	})
	t.Run("one copy of a large document", func(t *testing.T) {
		doc := `["` + strings.Repeat("x", 2*jsonpatch.MaxCopied) + `"]`
		got, err := jsonpatch.Patch{jsonpatch.Copy("/0", "/-")}.Apply([]byte(doc))
		require.NoError(t, err)
		assert.Len(t, got, 2*len(doc)-1)
		_, err = jsonpatch.Patch{jsonpatch.Copy("/0", "/-"), jsonpatch.Copy("/0", "/-")}.Apply([]byte(doc))
		require.ErrorIs(t, err, jsonpatch.ErrLimit)
	})
	t.Run("one copy of the whole document", func(t *testing.T) {
		doc := `{"a":"` + strings.Repeat("x", jsonpatch.MaxCopied) + `"}`
		got, err := jsonpatch.Patch{jsonpatch.Copy("", "/b")}.Apply([]byte(doc))
		require.NoError(t, err)
		assert.Len(t, got, 2*len(doc)+len(`,"b":`))
	})
	t.Run("no padding", func(t *testing.T) {
		_, err := applyText(`[]`, `[{"op":"add","path":"/1000000000","value":0}]`)
		require.ErrorIs(t, err, jsonpatch.ErrNotFound)
	})
	t.Run("exponents", func(t *testing.T) {
		_, err := applyText(`1e999999999`, `[{"op":"test","path":"","value":1e999999998}]`)
		require.ErrorIs(t, err, jsonpatch.ErrTestFailed)
		digits := strings.Repeat("9", 1_000_000)
		_, err = applyText(`0.1e`+digits, `[{"op":"test","path":"","value":0.01e1`+strings.Repeat("0", len(digits))+`}]`)
		require.NoError(t, err)
	})
}

func TestDepthIsBounded(t *testing.T) {
	t.Run("depth of a value", func(t *testing.T) {
		op := `{"op":"replace","path":"","value":` + nested(jsonpatch.MaxDepth) + `}`
		got, err := applyText(`0`, `[`+op+`]`)
		require.NoError(t, err)
		assert.Equal(t, nested(jsonpatch.MaxDepth), got)
		require.NoError(t, new(jsonpatch.Operation).UnmarshalJSON([]byte(op)))

		deeper := strings.Replace(op, "[]", "[[]]", 1)
		_, err = readPatch(`[` + deeper + `]`)
		require.ErrorIs(t, err, jsonpatch.ErrInvalidPatch)
		require.ErrorIs(t, new(jsonpatch.Operation).UnmarshalJSON([]byte(deeper)), jsonpatch.ErrInvalidPatch)
		_, err = jsonpatch.Patch{jsonpatch.Replace("/0", json.RawMessage(nested(jsonpatch.MaxDepth)))}.Apply([]byte(`[0]`))
		require.ErrorIs(t, err, jsonpatch.ErrLimit)
	})
	t.Run("depth of the document", func(t *testing.T) {
		for _, level := range []string{"[", `{"a":`} {
			_, err := jsonpatch.Patch(nil).Apply([]byte(strings.Repeat(level, jsonpatch.MaxDepth+1)))
			require.ErrorIs(t, err, jsonpatch.ErrInvalidDocument)
			require.ErrorContains(t, err, "too many levels of objects and arrays")
		}
	})
	t.Run("depth of a sum", func(t *testing.T) {
		at := strings.Repeat("/0", 600)
		doc := []byte(nested(600) + " ")
		_, err := jsonpatch.Patch{jsonpatch.Add(at, json.RawMessage(nested(401)))}.Apply(doc)
		require.ErrorIs(t, err, jsonpatch.ErrLimit)
		got, err := jsonpatch.Patch{jsonpatch.Add(at, json.RawMessage(nested(400)))}.Apply(doc)
		require.NoError(t, err)
		assert.Equal(t, nested(1000)+" ", string(got))
	})
	t.Run("depth of objects", func(t *testing.T) {
		doc := []byte(strings.Repeat(`{"a":`, 999) + "{}" + strings.Repeat("}", 999))
		at := strings.Repeat("/a", 999) + "/b"
		_, err := jsonpatch.Patch{jsonpatch.Add(at, map[string]int{})}.Apply(doc)
		require.EqualError(t, err, "jsonpatch: limit exceeded: the result is nested more than 1000 levels deep")
		_, err = jsonpatch.Patch{jsonpatch.Add(at, 1)}.Apply(doc)
		require.NoError(t, err)
	})
	t.Run("brackets side by side or in strings are not depth", func(t *testing.T) {
		doc := `{"list":[` + strings.Repeat("{},[],", 1000) + `0],"text":"` + strings.Repeat(`[{\"`, 1000) + `"}`
		got, err := jsonpatch.Patch{jsonpatch.Remove("/list/0")}.Apply([]byte(doc))
		require.NoError(t, err)
		assert.Equal(t, strings.Replace(doc, "{},", "", 1), string(got))
	})
	t.Run("depth by copies", func(t *testing.T) {
		var p jsonpatch.Patch
		path := ""
		for range 12 {
			p = append(p, jsonpatch.Copy("", path+"/0"))
			path += path + "/0"
		}
		_, err := p.Apply([]byte(`[0]`))
		require.ErrorIs(t, err, jsonpatch.ErrLimit)
	})
	t.Run("depth by moves", func(t *testing.T) {
		doc := []byte(`{"a":` + nested(998) + `,"b":{"c":{}}}`)
		_, err := jsonpatch.Patch{jsonpatch.Move("/a", "/b/a")}.Apply(doc)
		require.NoError(t, err)
		_, err = jsonpatch.Patch{jsonpatch.Move("/a", "/b/c/a")}.Apply(doc)
		require.ErrorIs(t, err, jsonpatch.ErrLimit)
		_, err = jsonpatch.Patch{jsonpatch.Replace("/a/0/0", 1), jsonpatch.Move("/a", "/b/c/a")}.Apply(doc)
		require.NoError(t, err, "what is no longer deep may move")
	})
}

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
