package jsonpatch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

func TestDiff(t *testing.T) {
	for _, c := range []struct {
		name, before, after string
		want                string
	}{
		{"equal", `{"a":1,"b":[1,{"c":"é"}]}`, "{ \"b\" : [1.0, {\"c\":\"\\u00e9\"}],\n\"a\":10e-1 }", `[]`},
		{"scalars", `1`, `"1"`, `[{"op":"replace","path":"","value":"1"}]`},
		{"another kind", `{"a":{}}`, `{"a":[]}`, `[{"op":"replace","path":"/a","value":[]}]`},
		{"null is not absent", `{"a":null}`, `{"b":null}`, `[{"op":"remove","path":"/a"},{"op":"add","path":"/b","value":null}]`},
		{"to null", `{"a":1}`, `{"a":null}`, `[{"op":"replace","path":"/a","value":null}]`},
		{"sorted by name", `{"z":1,"c":1,"a":1,"m":1}`, `{"y":1,"m":2,"c":1,"b":1}`,
			`[{"op":"remove","path":"/a"},{"op":"add","path":"/b","value":1},{"op":"replace","path":"/m","value":2},{"op":"add","path":"/y","value":1},{"op":"remove","path":"/z"}]`},
		{"only what differs, however deep", `{"a":{"b":{"c":1,"d":2},"e":3},"f":4}`, `{"a":{"b":{"c":1,"d":5},"e":3},"f":4}`,
			`[{"op":"replace","path":"/a/b/d","value":5}]`},
		{"escaped names", `{"a/b":{"~":1}}`, `{"a/b":{"~":2}}`, `[{"op":"replace","path":"/a~1b/~0","value":2}]`},
		{"exact numbers", `{"a":9007199254740992}`, `{"a":9007199254740993}`, `[{"op":"replace","path":"/a","value":9007199254740993}]`},
		{"value in its own spelling", `{}`, `{"a":"\u003c<","b":1.50}`, `[{"op":"add","path":"/a","value":"\u003c<"},{"op":"add","path":"/b","value":1.50}]`},
		{"indented value", `{}`, "{\"a\": {\n\t\"b\": [ 1 ]\n} }", `[{"op":"add","path":"/a","value":{"b":[1]}}]`},

		{"arrays are replaced whole", `{"a":[1,2,3]}`, `{"a":[1,3]}`, `[{"op":"replace","path":"/a","value":[1,3]}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := jsonpatch.Diff([]byte(c.before), []byte(c.after))
			require.NoError(t, err)
			got, err := p.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, c.want, string(got))
			assert.NotNil(t, p)

			result, err := p.Apply([]byte(c.before))
			require.NoError(t, err)
			assertSame(t, c.after, string(result))
		})
	}
}
func TestDiffStaysWithinTheLimits(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	for _, c := range []struct{ name, before, after string }{
		{"operations", `{` + manyMembers(jsonpatch.MaxOperations+1) + `}`, `{"x":{}}`},
		{"pointers", `{"` + long + `":{` + manyMembers(100) + `}}`, `{"` + long + `":{}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := jsonpatch.Diff([]byte(c.before), []byte(c.after))
			require.NoError(t, err)
			assert.Equal(t, `[replace ""]`, fmt.Sprint(p))
			got, err := p.Apply([]byte(c.before))
			require.NoError(t, err)
			assert.Equal(t, c.after, string(got))
		})
	}
	p, err := jsonpatch.Diff([]byte(`{`+manyMembers(jsonpatch.MaxOperations)+`}`), []byte(`{}`))
	require.NoError(t, err)
	assert.Len(t, p, jsonpatch.MaxOperations)

	// The pointers may be as long as 1 MiB and, if that is more, as both documents.
	const members, mebibyte = 16, 1 << 20
	name := strings.Repeat("x", mebibyte/members-len("//m10"))
	inside := `{` + manyMembers(members + 10)[len(`"m0":0,`)*10:] + `}` // m10 to m25
	for _, c := range []struct {
		name, padding string
		want          int
	}{
		{name, "", members},
		{name + "x", "", 1},
		{name + "x", strings.Repeat("x", mebibyte), members},
	} {
		before := `{"` + c.name + `":` + inside + `,"z":"` + c.padding + `"}`
		p, err := jsonpatch.Diff([]byte(before), []byte(strings.Replace(before, inside, "{}", 1)))
		require.NoError(t, err)
		assert.Len(t, p, c.want)
	}
}

// Lists are replaced as a whole, however long they are: their lengths multiplied overflow an int of 32 bits.
func TestDiffOfLongLists(t *testing.T) {
	before := `[` + strings.Repeat("1,", 50_000) + `1]`
	after := `[` + strings.Repeat("2,", 50_000) + `2]`
	p, err := jsonpatch.Diff([]byte(before), []byte(after))
	require.NoError(t, err)
	assert.Equal(t, `[replace ""]`, fmt.Sprint(p))
	got, err := p.Apply([]byte(before))
	require.NoError(t, err)
	assert.Equal(t, after, string(got))
}

// A name may be half of a surrogate pair, which UTF-8 cannot represent.
func TestDiffOfNamesThatAreNoText(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{`{"\ud800":1}`, `{"\ud800":2}`, `[{"op":"replace","path":"/\ud800","value":2}]`},
		{`{"\uDFFF/~":{}}`, `{"\udfff/~":{"a\ud83d":"\ud83d"}}`, `[{"op":"add","path":"/\udfff~1~0/a\ud83d","value":"\ud83d"}]`},
		{`{"\ude00\ud83d":1}`, `{}`, `[{"op":"remove","path":"/\ude00\ud83d"}]`},
		{"{\"\ud7ff\ue000\\ud800\":1}", `{}`, `[{"op":"remove","path":"/` + "\ud7ff\ue000" + `\ud800"}]`}, // only the last is a half
		{`{"\ufffd\ud800":1}`, `{}`, "[{\"op\":\"remove\",\"path\":\"/\ufffd\\ud800\"}]"},                 // U+FFFD is a character
		{`{"\ud83d\ud83d\ude00":1}`, `{}`, `[{"op":"remove","path":"/\ud83d😀"}]`},
	} {
		p, err := jsonpatch.Diff([]byte(c.before), []byte(c.after))
		require.NoError(t, err)
		text, err := p.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, c.want, string(text))
		for _, p := range []jsonpatch.Patch{p, read(t, string(text))} {
			got, err := p.Apply([]byte(c.before))
			require.NoError(t, err)
			rest, err := jsonpatch.Diff(got, []byte(c.after))
			require.NoError(t, err)
			assert.Empty(t, rest)
		}
	}
}
