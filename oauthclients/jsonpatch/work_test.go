package jsonpatch_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

// TestWorkIsBounded applies small patches to documents that are designed to be expensive. If the work grew with the
// product of their sizes, most of them would take minutes; each takes a fraction of a second.
func TestWorkIsBounded(t *testing.T) {
	million := "[" + strings.Repeat("1,", 1_000_000-1) + "1]"
	fifty := "[" + strings.Repeat("1,", 50_000-1) + "1]"
	deep := func(levels int, inside string) string {
		return strings.Repeat("[", levels) + inside + strings.Repeat("]", levels)
	}
	for _, c := range []struct {
		name, doc string
		ops       int
		op        func(i int) string
		err       error
	}{
		{"deep above a long string", deep(998, `"`+strings.Repeat("x", 8<<20)+`"`), 1, func(int) string {
			return `{"op":"replace","path":"` + strings.Repeat("/0", 998) + `","value":1}`
		}, nil},
		{"deep above many elements", deep(990, million[1:len(million)-1]), 100, func(int) string {
			return `{"op":"add","path":"` + strings.Repeat("/0", 989) + `/-","value":1}`
		}, nil},
		{"deep in a value of the patch", `[]`, 2, func(i int) string {
			if i == 0 {
				return `{"op":"add","path":"/0","value":` + deep(990, `"`+strings.Repeat("x", 8<<20)+`"`) + `}`
			}
			return `{"op":"remove","path":"` + strings.Repeat("/0", 991) + `"}`
		}, nil},
		{"inserts at the front", million, 10_000, func(int) string { return `{"op":"add","path":"/0","value":2}` }, nil},
		{"removals at the front", million, 10_000, func(int) string { return `{"op":"remove","path":"/0"}` }, nil},
		{"moves from end to end", fifty, 10_000, func(int) string { return `{"op":"move","from":"/49999","path":"/0"}` }, nil},
		{"everywhere", million, 10_000, func(i int) string {
			return fmt.Sprintf(`{"op":"replace","path":"/%d","value":3}`, i*99)
		}, nil},
		{"moves of what has changed", `{"a":` + million + `,"b":{}}`, 10_000, func(i int) string {
			switch i % 3 {
			case 0:
				return `{"op":"replace","path":"/a/0","value":3}`
			case 1:
				return `{"op":"move","from":"/a","path":"/b/a"}`
			}
			return `{"op":"move","from":"/b/a","path":"/a"}`
		}, nil},
		{"new members", `{` + manyMembers(100_000) + `}`, 10_000, func(i int) string {
			return fmt.Sprintf(`{"op":"add","path":"/new%d","value":1}`, i)
		}, nil},
		{"members that come and go", `{}`, 10_000, func(i int) string {
			return fmt.Sprintf(`{"op":"%s","path":"/new%d","value":1}`, []string{"add", "remove"}[i%2], i/2)
		}, nil},
		{"white space that would be repeated", "[1,\n" + strings.Repeat(" ", 1<<20) + "2]", 10_000, func(int) string {
			return `{"op":"add","path":"/-","value":1}`
		}, nil},
		{"white space after a name that would be repeated", "{\"a\":" + strings.Repeat(" ", 1<<20) + "2}", 10_000, func(i int) string {
			return fmt.Sprintf(`{"op":"add","path":"/n%d","value":1}`, i)
		}, nil},
		{"tests of a long number", "[1" + strings.Repeat("0", 1_000_000) + "]", 10_000, func(int) string {
			return `{"op":"test","path":"/0","value":1e1000000}`
		}, jsonpatch.ErrLimit},
		{"tests of white space", "[[{" + strings.Repeat(" ", 1<<20) + "}]]", 10_000, func(int) string {
			return `{"op":"test","path":"","value":[[{}]]}`
		}, jsonpatch.ErrLimit},
		{"tests of white space between elements", "[[1," + strings.Repeat(" ", 1<<20) + "2]]", 10_000, func(int) string {
			return `{"op":"test","path":"","value":[[1,2]]}`
		}, jsonpatch.ErrLimit},
		{"tests of white space before a member", "{\"a\":" + strings.Repeat(" ", 1<<20) + "1}", 10_000, func(int) string {
			return `{"op":"test","path":"","value":{"a":1}}`
		}, jsonpatch.ErrLimit},
		{"tests of a long exponent", "[1e" + strings.Repeat("9", 1_000_000) + "]", 10_000, func(int) string {
			return `{"op":"test","path":"/0","value":1e999999999}`
		}, jsonpatch.ErrTestFailed},
		{"copies that double", `{"a":["` + strings.Repeat("x", 1000) + `"]}`, 10_000, func(int) string {
			return `{"op":"copy","from":"/a","path":"/a/-"}`
		}, jsonpatch.ErrLimit},
		{"copies of what has changed", `{"a":` + million + `}`, 10_000, func(i int) string {
			return []string{`{"op":"replace","path":"/a/0","value":3}`, `{"op":"copy","from":"/a","path":"/b"}`}[i%2]
		}, jsonpatch.ErrLimit},
		{"copies that are looked into", `{"a":` + fifty + `}`, 10_000, func(i int) string {
			return []string{`{"op":"copy","from":"/a","path":"/b"}`, `{"op":"remove","path":"/b/0"}`}[i%2]
		}, jsonpatch.ErrLimit},
		{"small tests in a large object", `{` + manyMembers(100_000) + `}`, 10_000, func(i int) string {
			return fmt.Sprintf(`{"op":"test","path":"/m%d","value":%d}`, i, i)
		}, nil},
		{"tests of a value of the patch that has changed", `{"a":0}`, 9_999, func(i int) string {
			if i == 0 {
				return `{"op":"add","path":"/a","value":` + fifty + `}`
			}
			return []string{`{"op":"replace","path":"/a/0","value":3}`, `{"op":"test","path":"/a/49999","value":1}`}[i%2]
		}, nil},
		{"removals and inserts in turn", million, 10_000, func(i int) string {
			return []string{`{"op":"remove","path":"/500000"}`, `{"op":"add","path":"/500000","value":1}`}[i%2]
		}, nil},
		{"pointers that lead nowhere", deep(998, "1"), 1, func(int) string {
			return `{"op":"test","path":"` + strings.Repeat("/0", 1_000_000) + `","value":1}`
		}, jsonpatch.ErrNotFound},
		{"depth by wrapping", `{"a":0}`, 9_999, func(i int) string {
			return []string{`{"op":"add","path":"/b","value":{}}`, `{"op":"move","from":"/a","path":"/b/a"}`, `{"op":"move","from":"/b","path":"/a"}`}[i%3]
		}, jsonpatch.ErrLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			ops := make([]string, c.ops)
			for i := range ops {
				ops[i] = c.op(i)
			}
			start := time.Now()
			p := read(t, "["+strings.Join(ops, ",")+"]")
			_, err := p.Apply([]byte(c.doc))
			if c.err == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, c.err)
			}
			assert.Less(t, time.Since(start), 30*time.Second)
		})
	}
}

// The tests of a patch may read a few dozen times as many bytes as the patch and the document have, and no more.
func TestTestsReadABoundedAmount(t *testing.T) {
	const size = 1 << 16
	spaces, zeros := strings.Repeat(" ", size), strings.Repeat("0", size)
	for name, c := range map[string]struct{ doc, value string }{
		"a long number":                          {"[1" + zeros + "]", "[1e65536]"},
		"white space of an empty object":         {"[{" + spaces + "}]", "[{}]"},
		"white space of an empty array":          {"[[" + spaces + "]]", "[[]]"},
		"white space before the first element":   {"[" + spaces + "1]", "[1]"},
		"white space after the last element":     {"[1" + spaces + "]", "[1]"},
		"white space between elements":           {"[1," + spaces + "1]", "[1,1]"},
		"white space before the first member":    {"{" + spaces + `"a":1}`, `{"a":1}`},
		"white space after the last member":      {`{"a":1` + spaces + "}", `{"a":1}`},
		"white space between members":            {`{"a":1,` + spaces + `"b":1}`, `{"a":1,"b":1}`},
		"white space between a name and a value": {`{"a":` + spaces + "1}", `{"a":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			p := make(jsonpatch.Patch, 300)
			for i := range p {
				p[i] = jsonpatch.Test("", json.RawMessage(c.value))
			}
			_, err := p[:100].Apply([]byte(c.doc))
			require.NoError(t, err)
			_, err = p.Apply([]byte(c.doc))
			require.ErrorIs(t, err, jsonpatch.ErrLimit)
			require.NotErrorIs(t, err, jsonpatch.ErrTestFailed, "the values may be equal")
		})
	}
	t.Run("a long number of the patch itself", func(t *testing.T) {
		p := jsonpatch.Patch{jsonpatch.Replace("", json.RawMessage("1"+strings.Repeat("0", 1<<20)))}
		for range 10 {
			p = append(p, jsonpatch.Test("", json.RawMessage("1e1048576")))
		}
		_, err := p.Apply([]byte("0"))
		require.NoError(t, err)
	})
}

// A result must not be nested too deeply, however that came about.
func TestDepthOfTheResult(t *testing.T) {
	wrap := read(t, `[{"op":"add","path":"/b","value":{}},{"op":"move","from":"/a","path":"/b/a"},{"op":"move","from":"/b","path":"/a"}]`)
	var p jsonpatch.Patch
	for range jsonpatch.MaxDepth - 1 {
		p = append(p, wrap...)
	}
	got, err := p.Apply([]byte(`{"a":0}`))
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat(`{"a":`, jsonpatch.MaxDepth)+"0"+strings.Repeat("}", jsonpatch.MaxDepth), string(got))

	p = append(p, wrap...)
	_, err = p.Apply([]byte(`{"a":0}`))
	require.EqualError(t, err, "jsonpatch: limit exceeded: the result is nested more than 1000 levels deep")
	p = append(p, jsonpatch.Copy("/a", "/c"), jsonpatch.Replace("/a", 0), jsonpatch.Replace("/c", 1))
	got, err = p.Apply([]byte(`{"a":0}`))
	require.NoError(t, err)
	assert.Equal(t, `{"a":0,"c":1}`, string(got))
	_, err = append(wrap, p...).Apply([]byte(`{"a":0}`))
	require.EqualError(t, err, `jsonpatch: operation 3003: copy "/a" to "/c": limit exceeded: the value to copy is nested more than 1000 levels deep`)
}

// TestMemoryIsBounded applies patches that once used a hundred times their size.
func TestMemoryIsBounded(t *testing.T) {
	million := "[" + strings.Repeat("1,", 1_000_000-1) + "1]"
	spaced := strings.ReplaceAll(million, ",", ", ")
	object := "{" + manyMembers(50_000) + "}"
	many := []byte("[" + strings.Repeat(`{"op":"remove","path":"/a"},`, 1_000_000) + "0]")
	for _, c := range []struct {
		name string
		most float64 // maximum bytes allocated per byte of input
		size int
		run  func() error
	}{
		{"one operation on a long array", 10, len(million), func() error {
			_, err := jsonpatch.Patch{jsonpatch.Add("/-", 7)}.Apply([]byte(million))
			return err
		}},
		{"a test of a long array", 10, len(spaced) + len(million), func() error {
			p := jsonpatch.Patch{jsonpatch.Test("", json.RawMessage(million)), jsonpatch.Add("/-", 7)}
			_, err := p.Apply([]byte(spaced))
			return err
		}},
		{"a test of a large object", 12, 2 * len(object), func() error {
			_, err := jsonpatch.Patch{jsonpatch.Test("", json.RawMessage(object))}.Apply([]byte(strings.ReplaceAll(object, ":", ": ")))
			return err
		}},
		{"many operations on a large object", 12, len(object), func() error {
			p := make(jsonpatch.Patch, 200)
			for i := range p {
				p[i] = jsonpatch.Replace("/m7", i)
			}
			_, err := p.Apply([]byte(object))
			return err
		}},
		{"many small objects", 5, 900_000, func() error {
			_, err := jsonpatch.Patch(nil).Apply([]byte("[" + strings.Repeat(`{"a":1},`, 112_499) + `{"a":1}]`))
			return err
		}},
		{"a difference beside a large object", 9, 2 * len(object), func() error {
			_, err := jsonpatch.Diff([]byte(`{"a":`+object+`,"b":1}`), []byte(`{"a":`+object+`,"b":2}`))
			return err
		}},
		{"reading too many operations", 1.5, len(many), func() error {
			var p jsonpatch.Patch
			err := p.UnmarshalJSON(many)
			if assert.ErrorIs(t, err, jsonpatch.ErrLimit) && assert.ErrorIs(t, err, jsonpatch.ErrInvalidPatch) {
				return nil
			}
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			require.NoError(t, c.run())
			runtime.ReadMemStats(&after)
			assert.Less(t, float64(after.TotalAlloc-before.TotalAlloc)/float64(c.size), c.most)
		})
	}
}
