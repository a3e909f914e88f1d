package jsonpatch_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

func FuzzPointer(f *testing.F) {
	for _, seed := range []string{"", "/", "/a/b", "/~0/~1/~01", "/~", "a", "/é\x00", "/\xff", "/\xed\xa0\x80", "/\xed\xa0\x80\xed\xb0\x80"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if names, err := jsonpatch.ParsePointer(text); err == nil {
			assert.Equal(t, text, jsonpatch.Pointer(names...))
		} else {
			assert.ErrorIs(t, err, jsonpatch.ErrInvalidPointer)
		}
		if names, err := jsonpatch.ParsePointer(jsonpatch.Pointer(text, text)); err == nil {
			assert.Equal(t, []string{text, text}, names, "any text is a name")
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`[]`))
	f.Add([]byte(`[{"op":"add","path":"/a/-","value":{"b":[1e400,null,"\u00e9\ud83d"]}},{"op":"move","from":"/~0","path":""}]`))
	f.Add([]byte(`[{"op":"remove","path":"/a"},{"op":"copy","from":"","path":"/b"},{"op":"test","path":"","value":-0.0,"x":{}}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p jsonpatch.Patch
		if err := p.UnmarshalJSON(text); err != nil {
			require.ErrorIs(t, err, jsonpatch.ErrInvalidPatch)
			return
		}
		require.True(t, json.Valid(text))
		first, err := p.MarshalJSON()
		require.NoError(t, err)
		require.True(t, json.Valid(first))
		var again jsonpatch.Patch
		require.NoError(t, again.UnmarshalJSON(first))
		second, err := again.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, string(first), string(second))
	})
}

func FuzzApply(f *testing.F) {
	f.Add([]byte(clientDoc), appendedByHand("a", true))
	f.Add([]byte(indented), []byte(`[{"op":"move","from":"/uris/0","path":"/empty/x"},{"op":"copy","from":"","path":"/last"},{"op":"remove","path":"/last/last"}]`))
	f.Add([]byte(`[[1],[2]]`), []byte(`[{"op":"move","from":"/1/0","path":"/1"},{"op":"add","path":"","value":{"a":[]}},{"op":"add","path":"/a/-","value":0}]`))
	f.Fuzz(func(t *testing.T, doc, patch []byte) {
		var p jsonpatch.Patch
		if p.UnmarshalJSON(patch) != nil {
			return
		}
		original := bytes.Clone(doc)
		after, err := p.Apply(doc)
		require.Equal(t, original, doc)
		if err != nil {
			require.Nil(t, after)
			return
		}
		require.True(t, json.Valid(after))
	})
}

func FuzzDiffApply(f *testing.F) {
	f.Add([]byte(clientDoc), []byte(changedDoc))
	f.Add([]byte(`{"a":[1,2,{"b":3}],"c":{}}`), []byte(`{"a":[2,{"b":4},1.0],"d":null}`))
	f.Add([]byte(`["a","b"]`), []byte(`["\u0062"]`))
	f.Add([]byte(`{"\ud800":1}`), []byte(`{"\ud800":2,"\udc00":3}`))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		p, err := jsonpatch.Diff(before, after)
		if err != nil {
			require.ErrorIs(t, err, jsonpatch.ErrInvalidDocument)
			return
		}
		require.True(t, json.Valid(before) && json.Valid(after))
		got, err := p.Apply(before)
		require.NoError(t, err)
		requireNoDiff(t, after, got)
	})
}

func requireNoDiff(t *testing.T, want, got []byte) {
	t.Helper()
	p, err := jsonpatch.Diff(want, got)
	require.NoError(t, err)
	require.Empty(t, p)
}
