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
	elements := &jsonpatch.DiffOptions{Elements: true}
	guard := &jsonpatch.DiffOptions{Guard: true}
	both := &jsonpatch.DiffOptions{Elements: true, Guard: true}
	for _, c := range []struct {
		name, before, after string
		opts                *jsonpatch.DiffOptions
		want                string
	}{
		{"equal", `{"a":1,"b":[1,{"c":"é"}]}`, "{ \"b\" : [1.0, {\"c\":\"\\u00e9\"}],\n\"a\":10e-1 }", nil, `[]`},
		{"scalars", `1`, `"1"`, nil, `[{"op":"replace","path":"","value":"1"}]`},
		{"another kind", `{"a":{}}`, `{"a":[]}`, nil, `[{"op":"replace","path":"/a","value":[]}]`},
		{"null is not absent", `{"a":null}`, `{"b":null}`, nil, `[{"op":"remove","path":"/a"},{"op":"add","path":"/b","value":null}]`},
		{"to null", `{"a":1}`, `{"a":null}`, nil, `[{"op":"replace","path":"/a","value":null}]`},
		{"sorted by name", `{"z":1,"c":1,"a":1,"m":1}`, `{"y":1,"m":2,"c":1,"b":1}`, nil,
			`[{"op":"remove","path":"/a"},{"op":"add","path":"/b","value":1},{"op":"replace","path":"/m","value":2},{"op":"add","path":"/y","value":1},{"op":"remove","path":"/z"}]`},
		{"only what differs, however deep", `{"a":{"b":{"c":1,"d":2},"e":3},"f":4}`, `{"a":{"b":{"c":1,"d":5},"e":3},"f":4}`, nil,
			`[{"op":"replace","path":"/a/b/d","value":5}]`},
		{"escaped names", `{"a/b":{"~":1}}`, `{"a/b":{"~":2}}`, nil, `[{"op":"replace","path":"/a~1b/~0","value":2}]`},
		{"exact numbers", `{"a":9007199254740992}`, `{"a":9007199254740993}`, nil, `[{"op":"replace","path":"/a","value":9007199254740993}]`},
		{"value in its own spelling", `{}`, `{"a":"\u003c<","b":1.50}`, nil, `[{"op":"add","path":"/a","value":"\u003c<"},{"op":"add","path":"/b","value":1.50}]`},
		{"indented value", `{}`, "{\"a\": {\n\t\"b\": [ 1 ]\n} }", nil, `[{"op":"add","path":"/a","value":{"b":[1]}}]`},

		{"arrays are replaced whole", `{"a":[1,2,3]}`, `{"a":[1,3]}`, nil, `[{"op":"replace","path":"/a","value":[1,3]}]`},
		{"element removed", `[1,2,3]`, `[1,3]`, elements, `[{"op":"remove","path":"/1"}]`},
		{"elements removed", `[1,2,3,4]`, `[1]`, elements, `[{"op":"remove","path":"/1"},{"op":"remove","path":"/1"},{"op":"remove","path":"/1"}]`},
		{"element inserted", `[1,3]`, `[1,2,3]`, elements, `[{"op":"add","path":"/1","value":2}]`},
		{"elements appended", `[1]`, `[1,2,3]`, elements, `[{"op":"add","path":"/1","value":2},{"op":"add","path":"/2","value":3}]`},
		{"element changed", `[1,2,3]`, `[1,4,3]`, elements, `[{"op":"replace","path":"/1","value":4}]`},
		{"member of an element", `[{"a":1,"b":2}]`, `[{"a":1,"b":3}]`, elements, `[{"op":"replace","path":"/0/b","value":3}]`},
		{"shift rather than two changes", `[1,2]`, `[2,3]`, elements, `[{"op":"remove","path":"/0"},{"op":"add","path":"/1","value":3}]`},
		{"fewest steps", `["a","b","c","d","e"]`, `["x","b","d","e","f"]`, elements,
			`[{"op":"replace","path":"/0","value":"x"},{"op":"remove","path":"/2"},{"op":"add","path":"/4","value":"f"}]`},
		{"arrays in arrays", `[[1,2],[3]]`, `[[1],[3]]`, elements, `[{"op":"remove","path":"/0/1"}]`},
		{"emptied", `[1]`, `[]`, elements, `[{"op":"remove","path":"/0"}]`},

		{"guarded", `{"a":1,"b":{"c":2},"d":3}`, `{"a":4,"b":{"c":2},"e":5}`, guard,
			`[{"op":"test","path":"/a","value":1},{"op":"replace","path":"/a","value":4},{"op":"test","path":"/d","value":3},{"op":"remove","path":"/d"},{"op":"add","path":"/e","value":5}]`},
		{"guarded elements", `[1,2,3]`, `[4,3,5]`, both,
			`[{"op":"test","path":"/0","value":1},{"op":"replace","path":"/0","value":4},{"op":"test","path":"/1","value":2},{"op":"remove","path":"/1"},{"op":"add","path":"/2","value":5}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := jsonpatch.Diff([]byte(c.before), []byte(c.after), c.opts)
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

func TestDiffGuardStopsAfterAnotherChange(t *testing.T) {
	p, err := jsonpatch.Diff([]byte(`{"a":1}`), []byte(`{"a":2}`), &jsonpatch.DiffOptions{Guard: true})
	require.NoError(t, err)
	for _, meanwhile := range []string{`{"a":3}`, `{}`} {
		_, err = p.Apply([]byte(meanwhile))
		assert.ErrorIs(t, err, jsonpatch.ErrTestFailed)
	}
}

func TestDiffStaysWithinTheLimits(t *testing.T) {
	numbers := func(n, from int) string {
		return "[" + strings.Trim(strings.Repeat(fmt.Sprintf("%d,", from), n), ",") + "]"
	}
	elements := &jsonpatch.DiffOptions{Elements: true, Guard: true}
	for _, c := range []struct {
		name, before, after string
		path                string
	}{
		{"members", `{` + manyMembers(jsonpatch.MaxOperations/2+1) + `}`, `{"x":{}}`, ""},
		{"elements", `{"a":[0]}`, `{"a":` + numbers(jsonpatch.MaxOperations+1, 1) + `}`, "/a"},
		{"table", `{"a":` + numbers(2000, 0) + `}`, `{"a":` + numbers(2000, 1) + `}`, "/a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := jsonpatch.Diff([]byte(c.before), []byte(c.after), elements)
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprintf("[test %q replace %[1]q]", c.path), fmt.Sprint(p))
			got, err := p.Apply([]byte(c.before))
			require.NoError(t, err)
			assert.Equal(t, c.after, string(got))
		})
	}
}
