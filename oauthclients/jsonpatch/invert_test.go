package jsonpatch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

func TestInvert(t *testing.T) {
	for _, c := range []struct{ name, before, patch, want string }{
		{"empty", `{}`, `[]`, `[]`},
		{"add a member", `{}`, `[{"op":"add","path":"/a","value":1}]`, `[{"op":"remove","path":"/a"}]`},
		{"add over a member", `{"a":0}`, `[{"op":"add","path":"/a","value":1}]`, `[{"op":"replace","path":"/a","value":0}]`},
		{"add an element", `[1,2]`, `[{"op":"add","path":"/1","value":3}]`, `[{"op":"remove","path":"/1"}]`},
		{"append", `{"a":[1,2]}`, `[{"op":"add","path":"/a/-","value":3}]`, `[{"op":"remove","path":"/a/2"}]`},
		{"member called -", `{}`, `[{"op":"add","path":"/-","value":3}]`, `[{"op":"remove","path":"/-"}]`},
		{"add the document", `[1]`, `[{"op":"add","path":"","value":3}]`, `[{"op":"replace","path":"","value":[1]}]`},
		{"remove", `{"a":null}`, `[{"op":"remove","path":"/a"}]`, `[{"op":"add","path":"/a","value":null}]`},
		{"remove an element", `[1,2,3]`, `[{"op":"remove","path":"/1"}]`, `[{"op":"add","path":"/1","value":2}]`},
		{"replace", `{"a":1.50}`, `[{"op":"replace","path":"/a","value":2}]`, `[{"op":"replace","path":"/a","value":1.50}]`},
		{"test", `{"a":1}`, `[{"op":"test","path":"/a","value":1},{"op":"replace","path":"/a","value":2}]`,
			`[{"op":"replace","path":"/a","value":1},{"op":"test","path":"/a","value":1}]`},
		{"move", `{"a":1}`, `[{"op":"move","from":"/a","path":"/b"}]`, `[{"op":"move","from":"/b","path":"/a"}]`},
		{"move to the end", `[1,2,3]`, `[{"op":"move","from":"/0","path":"/-"}]`, `[{"op":"move","from":"/2","path":"/0"}]`},
		{"move over a member", `{"a":1,"b":2}`, `[{"op":"move","from":"/a","path":"/b"}]`,
			`[{"op":"move","from":"/b","path":"/a"},{"op":"add","path":"/b","value":2}]`},
		{"move over the parent", `{"a":{"b":1,"c":2}}`, `[{"op":"move","from":"/a/b","path":"/a"}]`,
			`[{"op":"replace","path":"/a","value":{"c":2}},{"op":"add","path":"/a/b","value":1}]`},
		{"move over the document", `{"a":1,"c":2}`, `[{"op":"move","from":"/a","path":""}]`,
			`[{"op":"replace","path":"","value":{"c":2}},{"op":"add","path":"/a","value":1}]`},
		{"move beside the parent", `[{"a":1}]`, `[{"op":"move","from":"/0/a","path":"/0"}]`,
			`[{"op":"remove","path":"/0"},{"op":"add","path":"/0/a","value":1}]`},
		{"move nowhere", `{"a":1}`, `[{"op":"move","from":"/a","path":"/a"}]`, `[]`},
		{"copy", `{"a":1}`, `[{"op":"copy","from":"/a","path":"/b"}]`, `[{"op":"remove","path":"/b"}]`},
		{"copy over a member", `{"a":1,"b":2}`, `[{"op":"copy","from":"/a","path":"/b"}]`, `[{"op":"replace","path":"/b","value":2}]`},
		{"in reverse order", `{}`, `[{"op":"add","path":"/a","value":[]},{"op":"add","path":"/a/0","value":1}]`,
			`[{"op":"remove","path":"/a/0"},{"op":"remove","path":"/a"}]`},
		{"what an operation made", `{"a":{"b":1}}`, `[{"op":"replace","path":"/a/b","value":2},{"op":"remove","path":"/a"}]`,
			`[{"op":"add","path":"/a","value":{"b":2}},{"op":"replace","path":"/a/b","value":1}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := readPatch(c.patch)
			require.NoError(t, err)
			inverse, err := jsonpatch.Invert([]byte(c.before), p)
			require.NoError(t, err)
			got, err := inverse.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, c.want, string(got))

			after, err := p.Apply([]byte(c.before))
			require.NoError(t, err)
			back, err := inverse.Apply(after)
			require.NoError(t, err)
			assertSame(t, c.before, string(back))
		})
	}
}

func TestInvertFailsAsApplyDoes(t *testing.T) {
	for _, patch := range []string{
		`[{"op":"remove","path":"/x"}]`,
		`[{"op":"replace","path":"/x","value":1}]`,
		`[{"op":"add","path":"/x/y","value":1}]`,
		`[{"op":"add","path":"/l/01","value":1}]`,
		`[{"op":"test","path":"/a","value":2}]`,
		`[{"op":"copy","from":"/x","path":"/a"}]`,
		`[{"op":"move","from":"/x","path":"/a"}]`,
		`[{"op":"move","from":"/a","path":"/x/y"}]`,
		`[{"op":"move","from":"/a","path":"/l/9"}]`,
		`[{"op":"move","from":"/x","path":"/x"}]`,
		`[{"op":"remove","path":"/a"},{"op":"remove","path":"/a"}]`,
	} {
		p, err := readPatch(patch)
		require.NoError(t, err)
		_, applyErr := p.Apply([]byte(`{"a":1,"l":[]}`))
		_, invertErr := jsonpatch.Invert([]byte(`{"a":1,"l":[]}`), p)
		require.Error(t, applyErr, patch)
		assert.Equal(t, applyErr, invertErr)
	}
}
