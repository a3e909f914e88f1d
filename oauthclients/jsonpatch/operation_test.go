package jsonpatch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

func TestMarshalValues(t *testing.T) {
	type grant string
	text := "text"
	for _, c := range []struct {
		value any
		want  string
	}{
		{nil, `null`},
		{(*string)(nil), `null`},
		{[]string(nil), `null`},
		{json.RawMessage(nil), `null`},
		{true, `true`},
		{"", `""`},
		{"<a>&'\u2028", "\"<a>&'\u2028\""},
		{"\"\\\n\r\t\x00\x1f\x7f~é😀", "\"\\\"\\\\\\n\\r\\t\\u0000\\u001f\x7f~é😀\""},
		{&text, `"text"`},
		{grant("CLIENT_CREDENTIALS"), `"CLIENT_CREDENTIALS"`},
		{math.MinInt32, `-2147483648`},
		{int32(750), `750`},
		{int64(math.MaxInt64), `9223372036854775807`},
		{uint64(math.MaxUint64), `18446744073709551615`},
		{0.1, `0.1`},
		{json.Number("9007199254740993"), `9007199254740993`},
		{json.Number("1.00"), `1.00`},
		{json.RawMessage(`{"n": 1e400, "s": "<"}`), `{"n":1e400,"s":"<"}`},
		{[]string{"<a>", "b"}, `["<a>","b"]`},
		{map[string]any{"b": nil, "a": 1}, `{"a":1,"b":null}`},
		{struct {
			A int `json:"a,omitempty"`
		}{}, `{}`},
	} {
		o := jsonpatch.Replace("/x", c.value)
		got, err := o.MarshalJSON()
		require.NoError(t, err, "%#v", c.value)
		assert.Equal(t, `{"op":"replace","path":"/x","value":`+c.want+`}`, string(got))
		assert.Equal(t, c.want, string(o.Value()))
	}
}

func TestMarshalPatch(t *testing.T) {
	p := jsonpatch.Patch{
		jsonpatch.Add("/a~1<b>/-", 1),
		jsonpatch.Remove(`/"q"`),
		jsonpatch.Replace("", "<&>"),
		jsonpatch.Move("/é", "/to"),
		jsonpatch.Copy("/from", "/to"),
		jsonpatch.Test("/", nil),
	}
	const want = `[{"op":"add","path":"/a~1<b>/-","value":1},` +
		`{"op":"remove","path":"/\"q\""},` +
		`{"op":"replace","path":"","value":"<&>"},` +
		`{"op":"move","from":"/é","path":"/to"},` +
		`{"op":"copy","from":"/from","path":"/to"},` +
		`{"op":"test","path":"/","value":null}]`
	got, err := p.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, want, string(got))

	got, err = json.Marshal(p)
	require.NoError(t, err)
	assert.Contains(t, string(got), `\u003c\u0026\u003e`, "encoding/json escapes a Marshaler's output, as documented")
	var read jsonpatch.Patch
	require.NoError(t, json.Unmarshal(got, &read))
	again, err := read.MarshalJSON()
	require.NoError(t, err)
	assert.JSONEq(t, want, string(again))
}

func TestUnmarshalKeepsEverything(t *testing.T) {
	const text = `[{"op":"add","path":"/a~1b/-","value":{"n":9007199254740993.00,"s":"\u00e9<","z":null}},` +
		`{"op":"remove","path":"/b"},` +
		`{"op":"replace","path":"","value":1E400},` +
		`{"op":"move","from":"/c","path":"/d"},` +
		`{"op":"copy","from":"","path":"/e"},` +
		`{"op":"test","path":"/","value":null}]`
	p, err := readPatch(text)
	require.NoError(t, err)
	got, err := p.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, text, string(got))

	assert.Equal(t, "add", p[0].Op())
	assert.Equal(t, "/a~1b/-", p[0].Path())
	assert.Equal(t, `{"n":9007199254740993.00,"s":"\u00e9<","z":null}`, string(p[0].Value()))
	assert.Equal(t, "move", p[3].Op())
	assert.Equal(t, "/c", p[3].From())
	assert.Empty(t, p[0].From())

	var o jsonpatch.Operation
	require.NoError(t, json.Unmarshal([]byte(` {"path":"/a","value":[1] , "op":"test"} `), &o))
	one, err := json.Marshal(o)
	require.NoError(t, err)
	assert.Equal(t, `{"op":"test","path":"/a","value":[1]}`, string(one))
}

func TestUnmarshalFailureChangesNothing(t *testing.T) {
	p := jsonpatch.Patch{jsonpatch.Remove("/a")}
	require.Error(t, p.UnmarshalJSON([]byte(`[{"op":"remove","path":"/b"},{}]`)))
	assert.Equal(t, `[remove "/a"]`, fmt.Sprint(p))

	o := jsonpatch.Remove("/a")
	require.Error(t, o.UnmarshalJSON([]byte(`{"op":"test","path":"/b"}`)))
	assert.Equal(t, `remove "/a"`, fmt.Sprint(o))
}

// An operation outside a patch has no index.
func TestErrorsOfOperationsOutsideAPatch(t *testing.T) {
	var o jsonpatch.Operation
	readErr := o.UnmarshalJSON([]byte(`{"op":"test","path":"/b"}`))
	_, writeErr := jsonpatch.Remove("b").MarshalJSON()
	for _, err := range []error{readErr, writeErr} {
		var e *jsonpatch.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, -1, e.Index)
		assert.NotContains(t, err.Error(), "operation")
	}
	assert.Equal(t, "jsonpatch: <nil>", (&jsonpatch.Error{Index: -1}).Error())
}

func TestUnmarshalRefusesMalformedJSON(t *testing.T) {
	for _, text := range []string{
		`[{"op":"add","path":"/a","value":01}]`,
		`[{"op":"add","path":"/a","value":{"b":1,"b":2}}]`,
		`[{"op":"add","path":"/a","value":1,"x":0,"x":0}]`,
		`[{"op":"add","path":"/a","value":}]`,
		`[{"op":"add","path":"/a","value":1},]`,
		"[{\"op\":\"add\",\"path\":\"/\xff\",\"value\":1}]",
		"[{\"op\":\"add\",\"path\":\"/a\",\"value\":\"\xff\"}]",
		`[{"op":"add","path":"/a","value":1}`,
	} {
		_, err := readPatch(text)
		assert.ErrorIs(t, err, jsonpatch.ErrInvalidPatch, text)
		assert.ErrorIs(t, new(jsonpatch.Operation).UnmarshalJSON([]byte(text[1:len(text)-1])), jsonpatch.ErrInvalidPatch, text)
	}
}

type failing struct{}

func (failing) MarshalJSON() ([]byte, error) { return nil, errors.New("secret-9f1c is unhappy") }

type doubled struct{}

func (doubled) MarshalJSON() ([]byte, error) { return []byte(`{"a":1,"a":2}`), nil }

func TestBadValuesAreReportedWithTheirPlace(t *testing.T) {
	for _, value := range []any{
		make(chan int), func() {}, math.NaN(), math.Inf(1), failing{}, doubled{}, "\xff", "\xed\xa0\x80",
		json.Number("1x"), json.RawMessage(`{`), json.RawMessage(`{"a":1,"a":2}`),
	} {
		p := jsonpatch.Patch{jsonpatch.Remove("/a"), jsonpatch.Test("/b", value)}
		_, marshalErr := p.MarshalJSON()
		_, applyErr := p.Apply([]byte(`{"a":1,"b":2}`))
		for _, err := range []error{marshalErr, applyErr} {
			require.ErrorIs(t, err, jsonpatch.ErrInvalidPatch, "%T", value)
			var e *jsonpatch.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, 1, e.Index)
			assert.Equal(t, "test", e.Op)
			assert.Equal(t, "/b", e.Path)
			assert.Contains(t, err.Error(), `jsonpatch: operation 1: test "/b": invalid patch: `)
			assert.NotContains(t, err.Error(), "secret-9f1c")
		}
	}
	assert.Nil(t, jsonpatch.Test("/b", make(chan int)).Value())

	_, err := jsonpatch.Test("/b", make(chan int)).MarshalJSON()
	assert.EqualError(t, err, `jsonpatch: test "/b": invalid patch: value of Go type chan int cannot be encoded`)
}

type selfMade struct{ Text string }

func (s *selfMade) MarshalJSON() ([]byte, error) { return []byte(`"self-made"`), nil }

type selfMadeByValue struct{ Text string }

func (selfMadeByValue) MarshalJSON() ([]byte, error) { return []byte(`"by value"`), nil }

// A string that is not UTF-8 is refused if encoding/json would replace it, and only then.
func TestStringsInValues(t *testing.T) {
	const bad = "a\xff"
	type named string
	type embedded struct{ Text string }
	for _, value := range []any{
		bad, named(bad), new(bad), []string{"a", bad}, [1]named{bad}, map[string]any{"a": bad}, map[string]int{bad: 1},
		struct{ A any }{[]any{bad}}, struct{ embedded }{embedded{bad}}, &struct{ A *string }{new(bad)}, map[string]selfMade{"a": {bad}}, []any{map[string]named{"a": bad}},
	} {
		_, err := jsonpatch.Add("/a", value).MarshalJSON()
		require.ErrorIs(t, err, jsonpatch.ErrInvalidPatch, "%T", value)
		assert.Nil(t, jsonpatch.Add("/a", value).Value(), "%T", value)
	}
	for want, value := range map[string]any{
		`{"C":"é"}`: struct {
			A string `json:"-"`
			b string
			C string
		}{bad, bad, "é"},
		`"Yf8="`:            []byte(bad),
		`["self-made"]`:     []*selfMade{{bad}},
		`{"A":"self-made"}`: &struct{ A selfMade }{selfMade{bad}},
		`["by value"]`:      []any{selfMadeByValue{bad}},
		`"\ufffd"`:          json.RawMessage(`"\ufffd"`),
		"\"\ufffd\"":        []string{"\ufffd"}[0],
		`{"a":null}`:        map[string]any{"a": nil},
	} {
		got, err := jsonpatch.Add("/a", value).MarshalJSON()
		require.NoError(t, err, want)
		assert.Equal(t, `{"op":"add","path":"/a","value":`+want+`}`, string(got))
	}
}

func TestValuesAreTakenWhenBuilt(t *testing.T) {
	uris := []string{"https://example.com/a"}
	o := jsonpatch.Replace("/redirectUris", uris)
	uris[0] = "https://example.com/b"
	assert.Equal(t, `["https://example.com/a"]`, string(o.Value()))
}

func TestFormattingHidesValues(t *testing.T) {
	p := jsonpatch.Patch{
		jsonpatch.Add("/a", "secret-9f1c"),
		jsonpatch.Test("/b", []string{"secret-9f1c"}),
		jsonpatch.Move("/c", "/d"),
		jsonpatch.Copy("/e", "/f"),
	}
	for _, format := range []string{"%v", "%+v", "%s"} {
		assert.Equal(t, `[add "/a" test "/b" move "/c" to "/d" copy "/e" to "/f"]`, fmt.Sprintf(format, p))
	}
}
