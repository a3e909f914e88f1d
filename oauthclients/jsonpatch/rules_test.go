package jsonpatch_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

// TestJ01 to TestJ13 test the rules for an implementation of JSON Patch (RFC 6902 and RFC 6901), one test per rule.

// An applied case: want is the result, or err the cause of the failure.
type applied struct {
	name, doc, patch, want string
	err                    error
}

func (c applied) run(t *testing.T) {
	t.Run(c.name, func(t *testing.T) {
		got, err := applyText(c.doc, c.patch)
		if c.err != nil {
			require.ErrorIs(t, err, c.err)
			assert.Empty(t, got)
			return
		}
		require.NoError(t, err)
		assert.Equal(t, c.want, got)
	})
}

func TestJ01PatchIsAnArray(t *testing.T) {
	for _, p := range []jsonpatch.Patch{nil, {}} {
		direct, err := p.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, `[]`, string(direct))

		nested, err := json.Marshal(struct{ P jsonpatch.Patch }{p})
		require.NoError(t, err)
		assert.Equal(t, `{"P":[]}`, string(nested))
	}
	for _, text := range []string{`null`, `{}`, `"[]"`, `1`, `{"op":"remove","path":"/a"}`, ``, `[`, `[]]`, `[] []`, `{]`, `0]`, `[,]`, `[null]`, `[[]]`, `["remove"]`} {
		_, err := readPatch(text)
		assert.ErrorIs(t, err, jsonpatch.ErrInvalidPatch, text)
	}
	p, err := readPatch(" [ ] \n")
	require.NoError(t, err)
	assert.Empty(t, p)
}

func TestJ02ExactlyOneKnownOp(t *testing.T) {
	for _, text := range []string{
		`[{"path":"/a","value":1}]`,
		`[{"op":null,"path":"/a","value":1}]`,
		`[{"op":1,"path":"/a","value":1}]`,
		`[{"op":"","path":"/a","value":1}]`,
		`[{"op":"Add","path":"/a","value":1}]`,
		`[{"OP":"add","path":"/a","value":1}]`,
		`[{"op":"spam","path":"/a","value":1}]`,
		`[{"op":"add","path":"/a","value":1,"op":"add"}]`,
		`[{"op":"add","path":"/a","value":1,"\u006fp":"add"}]`,
	} {
		_, err := readPatch(text)
		assert.ErrorIs(t, err, jsonpatch.ErrInvalidPatch, text)
	}
	p, err := readPatch(`[{"op":"\u0061dd","path":"/a","value":1}]`)
	require.NoError(t, err, "an escaped spelling is the same string")
	assert.Equal(t, "add", p[0].Op())

	_, err = jsonpatch.Patch{{}}.MarshalJSON()
	assert.ErrorIs(t, err, jsonpatch.ErrInvalidPatch, "the zero Operation has no op")
}

func TestJ03ExactlyOnePathAPointer(t *testing.T) {
	for _, text := range []string{
		`[{"op":"remove"}]`,
		`[{"op":"remove","path":null}]`,
		`[{"op":"add","value":1}]`,
		`[{"op":"replace","path":null,"value":1}]`,
		`[{"op":"copy","from":"/a"}]`,
		`[{"op":"remove","path":["a"]}]`,
		`[{"op":"remove","path":"foo"}]`,
		`[{"op":"remove","path":"#/foo"}]`,
		`[{"op":"remove","path":"/a~"}]`,
		`[{"op":"remove","path":"/a~2b"}]`,
		`[{"op":"remove","path":"/a","path":"/a"}]`,
		`[{"op":"move","from":"a","path":"/b"}]`,
	} {
		_, err := readPatch(text)
		assert.ErrorIs(t, err, jsonpatch.ErrInvalidPatch, text)
	}
	for _, path := range []string{"foo", "/a~", "/~2", "\xff", "/\xff", "/\xed\xa0", "/\xed\xa0a", "/\xed\xa0\xc0", "/\xed\xc0\x80", "/\xed\xa0\x80\xed\xb0\x80"} {
		_, err := jsonpatch.Patch{jsonpatch.Remove(path)}.MarshalJSON()
		assert.ErrorIs(t, err, jsonpatch.ErrInvalidPatch, path)
		assert.ErrorIs(t, err, jsonpatch.ErrInvalidPointer, path)
	}
}

func TestJ04ValueIsAlwaysThereNullIncluded(t *testing.T) {
	build := map[string]func(string, any) jsonpatch.Operation{
		"add": jsonpatch.Add, "replace": jsonpatch.Replace, "test": jsonpatch.Test,
	}
	for op, operation := range build {
		t.Run(op, func(t *testing.T) {
			for value, want := range map[any]string{nil: `null`, false: `false`, 0: `0`, "": `""`} {
				got, err := operation("/x", value).MarshalJSON()
				require.NoError(t, err)
				assert.Equal(t, `{"op":"`+op+`","path":"/x","value":`+want+`}`, string(got))
			}
			_, err := readPatch(`[{"op":"` + op + `","path":"/x"}]`)
			assert.ErrorIs(t, err, jsonpatch.ErrInvalidPatch)

			p, err := readPatch(`[{"op":"` + op + `","path":"/x","value":null}]`)
			require.NoError(t, err)
			assert.Equal(t, json.RawMessage(`null`), p[0].Value())
		})
	}
	for _, o := range []jsonpatch.Operation{jsonpatch.Remove("/x"), jsonpatch.Move("/y", "/x"), jsonpatch.Copy("/y", "/x")} {
		got, err := o.MarshalJSON()
		require.NoError(t, err)
		assert.NotContains(t, string(got), "value")
		assert.Nil(t, o.Value())
	}
}

func TestJ05TargetAndFromMustExist(t *testing.T) {
	for _, c := range []applied{
		{name: "remove", doc: `{}`, patch: `[{"op":"remove","path":"/a"}]`, err: jsonpatch.ErrNotFound},
		{name: "replace", doc: `{}`, patch: `[{"op":"replace","path":"/a","value":1}]`, err: jsonpatch.ErrNotFound},
		{name: "test", doc: `{}`, patch: `[{"op":"test","path":"/a","value":1}]`, err: jsonpatch.ErrNotFound},
		{name: "test is failed as well", doc: `{}`, patch: `[{"op":"test","path":"/a","value":1}]`, err: jsonpatch.ErrTestFailed},
		{name: "absent is not null", doc: `{}`, patch: `[{"op":"test","path":"/a","value":null}]`, err: jsonpatch.ErrNotFound},
		{name: "null is there", doc: `{"a":null}`, patch: `[{"op":"test","path":"/a","value":null},{"op":"remove","path":"/a"}]`, want: `{}`},
		{name: "move", doc: `{}`, patch: `[{"op":"move","from":"/a","path":"/b"}]`, err: jsonpatch.ErrNotFound},
		{name: "copy", doc: `{}`, patch: `[{"op":"copy","from":"/a","path":"/b"}]`, err: jsonpatch.ErrNotFound},
		{name: "move without from", doc: `{"a":1}`, patch: `[{"op":"move","path":"/b"}]`, err: jsonpatch.ErrInvalidPatch},
		{name: "copy without from", doc: `{"a":1}`, patch: `[{"op":"copy","path":"/b"}]`, err: jsonpatch.ErrInvalidPatch},
		{name: "from null", doc: `{"a":1}`, patch: `[{"op":"copy","from":null,"path":"/b"}]`, err: jsonpatch.ErrInvalidPatch},
		{name: "index after the end", doc: `[1]`, patch: `[{"op":"remove","path":"/1"}]`, err: jsonpatch.ErrNotFound},
		{name: "huge index", doc: `[1]`, patch: `[{"op":"remove","path":"/18446744073709551616"}]`, err: jsonpatch.ErrNotFound},
		{name: "inside a string", doc: `{"a":"b"}`, patch: `[{"op":"remove","path":"/a/0"}]`, err: jsonpatch.ErrNotFound},
		{name: "add inside a number", doc: `{"a":1}`, patch: `[{"op":"add","path":"/a/0","value":1}]`, err: jsonpatch.ErrNotFound},
		{name: "parent missing", doc: `{}`, patch: `[{"op":"add","path":"/a/b","value":1}]`, err: jsonpatch.ErrNotFound},
		{name: "whole document removed", doc: `{}`, patch: `[{"op":"remove","path":""}]`, err: jsonpatch.ErrInvalidPatch},
	} {
		c.run(t)
	}
	_, err := applyText(`{}`, `[{"op":"remove","path":"/a"}]`)
	assert.NotErrorIs(t, err, jsonpatch.ErrTestFailed, "only a test fails as one")
	_, err = applyText(`{}`, `[{"op":"test","path":"/a","value":1}]`)
	assert.NotErrorIs(t, err, jsonpatch.ErrLimit)
}

func TestJ06MoveIntoItself(t *testing.T) {
	for _, c := range []applied{
		{name: "own child", doc: `{"a":{"b":1}}`, patch: `[{"op":"move","from":"/a","path":"/a/c"}]`, err: jsonpatch.ErrInvalidPatch},
		{name: "document into itself", doc: `{"a":1}`, patch: `[{"op":"move","from":"","path":"/b"}]`, err: jsonpatch.ErrInvalidPatch},
		{name: "same place", doc: `{"a":{"b":1}, "c":2}`, patch: `[{"op":"move","from":"/a","path":"/a"}]`, want: `{"a":{"b":1}, "c":2}`},
		{name: "whole document onto itself", doc: `{"a":1}`, patch: `[{"op":"move","from":"","path":""}]`, want: `{"a":1}`},
		{name: "same missing place", doc: `{}`, patch: `[{"op":"move","from":"/a","path":"/a"}]`, err: jsonpatch.ErrNotFound},
		{name: "longer name, not a child", doc: `{"a":1}`, patch: `[{"op":"move","from":"/a","path":"/ab"}]`, want: `{"ab":1}`},
		{name: "child to its parent", doc: `{"a":{"b":1}}`, patch: `[{"op":"move","from":"/a/b","path":"/a"}]`, want: `{"a":1}`},
		{name: "child to the document", doc: `{"a":{"b":1}}`, patch: `[{"op":"move","from":"/a/b","path":""}]`, want: `1`},
		{name: "copy into own child", doc: `{"a":{}}`, patch: `[{"op":"copy","from":"/a","path":"/a/b"}]`, want: `{"a":{"b":{}}}`},
	} {
		c.run(t)
	}
	_, err := jsonpatch.Patch{jsonpatch.Move("/a", "/a/b")}.MarshalJSON()
	assert.ErrorIs(t, err, jsonpatch.ErrInvalidPatch, "refused before it is sent")
}

func TestJ07Add(t *testing.T) {
	for _, c := range []applied{
		{name: "first", doc: `[1,2]`, patch: `[{"op":"add","path":"/0","value":0}]`, want: `[0,1,2]`},
		{name: "middle", doc: `[1,2]`, patch: `[{"op":"add","path":"/1","value":0}]`, want: `[1,0,2]`},
		{name: "at the length", doc: `[1,2]`, patch: `[{"op":"add","path":"/2","value":0}]`, want: `[1,2,0]`},
		{name: "past the length", doc: `[1,2]`, patch: `[{"op":"add","path":"/3","value":0}]`, err: jsonpatch.ErrNotFound},
		{name: "append", doc: `[1,2]`, patch: `[{"op":"add","path":"/-","value":0}]`, want: `[1,2,0]`},
		{name: "append to empty", doc: `[]`, patch: `[{"op":"add","path":"/-","value":0}]`, want: `[0]`},
		{name: "move to the end", doc: `[1,2]`, patch: `[{"op":"move","from":"/0","path":"/-"}]`, want: `[2,1]`},
		{name: "existing member keeps its place", doc: `{"a":1,"b":2}`, patch: `[{"op":"add","path":"/a","value":0}]`, want: `{"a":0,"b":2}`},
		{name: "member called -", doc: `{}`, patch: `[{"op":"add","path":"/-","value":0}]`, want: `{"-":0}`},
		{name: "member called 01", doc: `{}`, patch: `[{"op":"add","path":"/01","value":0}]`, want: `{"01":0}`},
		{name: "whole document", doc: `{"a":1}`, patch: `[{"op":"add","path":"","value":[1]}]`, want: `[1]`},
		{name: "- names no element to remove", doc: `[1]`, patch: `[{"op":"remove","path":"/-"}]`, err: jsonpatch.ErrNotFound},
		{name: "- names no element to replace", doc: `[1]`, patch: `[{"op":"replace","path":"/-","value":1}]`, err: jsonpatch.ErrNotFound},
		{name: "- names no element to test", doc: `[1]`, patch: `[{"op":"test","path":"/-","value":1}]`, err: jsonpatch.ErrNotFound},
		{name: "- names no element to look into", doc: `[{}]`, patch: `[{"op":"add","path":"/-/a","value":1}]`, err: jsonpatch.ErrNotFound},
		{name: "- names no element to copy", doc: `[1]`, patch: `[{"op":"copy","from":"/-","path":"/0"}]`, err: jsonpatch.ErrNotFound},
	} {
		c.run(t)
	}
}

func TestJ08ArrayIndices(t *testing.T) {
	const length = 3000 // long enough that a byte below or above the digits, taken for one, would be within the array
	doc := "[" + strings.Repeat("1,", length-1) + "1]"
	last := strconv.Itoa(length)
	for _, index := range []string{"01", "00", "-1", "+1", "1e0", "1.0", " 1", "1 ", "1a", "1:", "1~1", "0x1", "", "a", "١", last, "99999999999999999999"} {
		for _, op := range []string{
			`{"op":"remove","path":"/` + index + `"}`,
			`{"op":"replace","path":"/` + index + `","value":1}`,
			`{"op":"test","path":"/` + index + `","value":1}`,
			`{"op":"move","from":"/` + index + `","path":"/0"}`,
		} {
			_, err := applyText(doc, "["+op+"]")
			assert.ErrorIs(t, err, jsonpatch.ErrNotFound, op)
		}
		if index != last {
			_, err := applyText(doc, `[{"op":"add","path":"/`+index+`","value":1}]`)
			assert.ErrorIs(t, err, jsonpatch.ErrNotFound, index)
		}
	}
}

func TestJ09Escapes(t *testing.T) {
	for pointer, names := range map[string][]string{
		"":         nil,
		"/":        {""},
		"//":       {"", ""},
		"/~01":     {"~1"},
		"/~10":     {"/0"},
		"/~0~1":    {"~/"},
		"/~1~0":    {"/~"},
		"/~00":     {"~0"},
		"/a~1b/~0": {"a/b", "~"},
		"/é/\x00":  {"é", "\x00"},
	} {
		assert.Equal(t, pointer, jsonpatch.Pointer(names...))
		got, err := jsonpatch.ParsePointer(pointer)
		require.NoError(t, err)
		assert.Equal(t, names, got)
	}
	for _, bad := range []string{"a", "~0", "/~", "/~2", "/a/~/b", "/\xff"} {
		_, err := jsonpatch.ParsePointer(bad)
		assert.ErrorIs(t, err, jsonpatch.ErrInvalidPointer, bad)
	}
}

func TestJ10Equality(t *testing.T) {
	equal := [][]string{
		{`1`, `1.0`, `1e0`, `10e-1`, `0.1E+1`, `0.0001e4`, `100e-2`},
		{`0`, `-0`, `0.0`, `0e9`, `-0.00E-5`, `0e99999999999999999999`},
		{`9007199254740993`, `9007199254740993.0`, `9.007199254740993e15`},
		{`9007199254740992`},
		{`-1`, `-1.0`},
		{`1e400`, `10e399`, `1` + string(bytes.Repeat([]byte("0"), 400))},
		{`1e-400`, `0.1e-399`},
		{`1e999999999`, `10e999999998`},
		{`1e10000000000000000000`, `10e9999999999999999999`, `0.01e10000000000000000002`},
		{`1e-10000000000000000000`, `0.1e-9999999999999999999`, `100e-10000000000000000002`},
		{`1e-10000000000000000002`},
		{`1e9999999999999999999`},
		{`1e1000000000000000000`, `10e999999999999999999`, `1e+0001000000000000000000`},
		{`0.1`, `1e-1`},
		{`0.1000000000000000055511151231257827`},
		{`"a"`, `"\u0061"`},
		{`"/"`, `"\/"`},
		{`"é"`, `"\u00e9"`, `"\u00E9"`},
		{`"\uabcd"`, `"\uABCD"`},
		{`"e\u0301"`, "\"e\u0301\""},
		{`"😀"`, `"\ud83d\ude00"`},
		{`"\ud83d"`, `"\uD83D"`},
		{`"\ude00"`},
		{`"\ude00\ud83d"`},
		{`"\ufffd"`},
		{`"\b\f\n\r\t\"\\"`, `"\u0008\u000c\u000a\u000d\u0009\u0022\u005C"`},
		{`"\u0000"`},
		{`""`},
		{`"1"`},
		{`null`}, {`true`}, {`false`},
		{`[]`, `[ ]`},
		{`{}`, `{ }`},
		{`[1,2]`, `[1.0, 2]`},
		{`[2,1]`},
		{`[[]]`},
		{`{"a":1,"b":[1]}`, `{"b":[1.0],"a":1}`, `{ "\u0061" : 1e0, "b" : [ 1 ] }`},
		{`{"a":1}`}, {`{"a":null}`}, {`{"b":null}`},
	}
	for i, class := range equal {
		for _, a := range class {
			for k, others := range equal {
				for _, b := range others {
					_, err := applyText(`{"x":`+a+`}`, `[{"op":"test","path":"/x","value":`+b+`}]`)
					if i == k {
						assert.NoError(t, err, "%s = %s", a, b)
					} else {
						assert.ErrorIs(t, err, jsonpatch.ErrTestFailed, "%s ≠ %s", a, b)
					}
				}
			}
		}
	}
}

func TestJ11UnknownMembersAreIgnored(t *testing.T) {
	for _, c := range []applied{
		{name: "unknown", doc: `{}`, patch: `[{"op":"add","path":"/a","value":1,"xyz":{"op":"spam"}}]`, want: `{"a":1}`},
		{name: "from of an add", doc: `{}`, patch: `[{"op":"add","path":"/a","value":1,"from":null}]`, want: `{"a":1}`},
		{name: "value of a remove", doc: `{"a":1}`, patch: `[{"op":"remove","path":"/a","value":2}]`, want: `{}`},
		{name: "names differ by case", doc: `{}`, patch: `[{"op":"add","path":"/a","value":1,"Value":2,"PATH":"/b"}]`, want: `{"a":1}`},
	} {
		c.run(t)
	}
	p, err := readPatch(`[{"op":"remove","path":"/a","value":2,"from":"/b","x":1}]`)
	require.NoError(t, err)
	text, err := p.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, `[{"op":"remove","path":"/a"}]`, string(text), "they are not sent")
}

func TestJ12Atomic(t *testing.T) {
	doc := []byte(`{"a":{"b":[1,2,3]},"c":4}`)
	original := bytes.Clone(doc)
	patch := jsonpatch.Patch{
		jsonpatch.Replace("/a/b/0", "changed"),
		jsonpatch.Remove("/c"),
		jsonpatch.Move("/a/b", "/d"),
		jsonpatch.Test("/d/1", 5),
	}
	got, err := patch.Apply(doc)
	require.ErrorIs(t, err, jsonpatch.ErrTestFailed)
	assert.Nil(t, got)
	assert.Equal(t, original, doc)

	got, err = patch[:3].Apply(doc)
	require.NoError(t, err, "the operations before it would have worked")
	assert.Equal(t, `{"a":{},"d":["changed",2,3]}`, string(got))
	assert.Equal(t, original, doc)
}

func TestJ13Sequential(t *testing.T) {
	for _, c := range []applied{
		{name: "on the result before", doc: `{}`, patch: `[{"op":"add","path":"/a","value":{}},{"op":"add","path":"/a/b","value":[]},{"op":"add","path":"/a/b/-","value":1},{"op":"test","path":"/a","value":{"b":[1]}}]`, want: `{"a":{"b":[1]}}`},
		{name: "indices shift", doc: `["a","b","c"]`, patch: `[{"op":"remove","path":"/0"},{"op":"remove","path":"/0"}]`, want: `["c"]`},
		{name: "a move resolves its path after the removal", doc: `["a","b","c"]`, patch: `[{"op":"move","from":"/0","path":"/2"}]`, want: `["b","c","a"]`},
		{name: "and then its length is the shorter one", doc: `["a","b"]`, patch: `[{"op":"move","from":"/0","path":"/2"}]`, err: jsonpatch.ErrNotFound},
		{name: "a copy is independent", doc: `{"a":{"b":1}}`, patch: `[{"op":"copy","from":"/a","path":"/c"},{"op":"replace","path":"/c/b","value":2},{"op":"add","path":"/a/d","value":3}]`, want: `{"a":{"b":1,"d":3},"c":{"b":2}}`},
		{name: "a copy of what was tested is independent", doc: `{"a":{"b":1}}`, patch: `[{"op":"test","path":"/a/b","value":1},{"op":"copy","from":"/a","path":"/c"},{"op":"replace","path":"/c/b","value":2}]`, want: `{"a":{"b":1},"c":{"b":2}}`},
		{name: "a copy of what changed", doc: `{"a":{"b":1}}`, patch: `[{"op":"replace","path":"/a/b","value":2},{"op":"copy","from":"/a","path":"/c"},{"op":"remove","path":"/a/b"}]`, want: `{"a":{},"c":{"b":2}}`},
		{name: "a test of what changed", doc: `{"a":{"b":1}}`, patch: `[{"op":"replace","path":"/a/b","value":2},{"op":"test","path":"/a","value":{"b":1}}]`, err: jsonpatch.ErrTestFailed},
		{name: "a long name again and again", doc: `{"a name longer than its value":1}`, patch: `[{"op":"copy","from":"/a name longer than its value","path":"/b"},{"op":"copy","from":"/a name longer than its value","path":"/c"},{"op":"move","from":"/a name longer than its value","path":"/d"}]`, want: `{"b":1,"c":1,"d":1}`},
		{name: "removed and added again", doc: `{"a":1,"b":2}`, patch: `[{"op":"remove","path":"/a"},{"op":"add","path":"/a","value":3}]`, want: `{"b":2,"a":3}`},
	} {
		c.run(t)
	}
}
