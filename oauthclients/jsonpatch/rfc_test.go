package jsonpatch_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

// TestRFC6902 runs the examples of RFC 6902 appendix A.
func TestRFC6902(t *testing.T) {
	var cases []struct {
		Name             string
		Doc, Patch, Want json.RawMessage
		Error            string
	}
	readFile(t, "testdata/rfc6902.json", &cases)
	require.Len(t, cases, 16)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			got, err := applyText(string(c.Doc), string(c.Patch))
			if c.Error != "" {
				require.ErrorContains(t, err, c.Error)
				return
			}
			require.NoError(t, err)
			assert.JSONEq(t, string(c.Want), got)
		})
	}
}

// TestRFC6901 runs the examples of RFC 6901 section 5. The one it has for the
// whole document is the first assertion.
func TestRFC6901(t *testing.T) {
	var cases struct {
		Doc      json.RawMessage
		Pointers []struct {
			Pointer string
			Names   []string
			Want    json.RawMessage
		}
	}
	readFile(t, "testdata/rfc6901.json", &cases)
	require.Len(t, cases.Pointers, 11)

	holds := func(pointer string, value json.RawMessage) error {
		_, err := jsonpatch.Patch{jsonpatch.Test(pointer, value)}.Apply(cases.Doc)
		return err
	}
	require.NoError(t, holds("", cases.Doc))
	for _, c := range cases.Pointers {
		t.Run(c.Pointer, func(t *testing.T) {
			require.NoError(t, holds(c.Pointer, c.Want))
			require.ErrorIs(t, holds(c.Pointer, json.RawMessage(`"another"`)), jsonpatch.ErrTestFailed)

			names, err := jsonpatch.ParsePointer(c.Pointer)
			require.NoError(t, err)
			assert.Equal(t, c.Names, names)
			assert.Equal(t, c.Pointer, jsonpatch.Pointer(c.Names...))
		})
	}
}

func readFile(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, into))
}

// applyText parses a patch and applies it.
func applyText(doc, patch string) (string, error) {
	p, err := readPatch(patch)
	if err != nil {
		return "", err
	}
	got, err := p.Apply([]byte(doc))
	return string(got), err
}

func readPatch(text string) (jsonpatch.Patch, error) {
	var p jsonpatch.Patch
	err := p.UnmarshalJSON([]byte(text))
	return p, err
}

func read(t *testing.T, text string) jsonpatch.Patch {
	t.Helper()
	p, err := readPatch(text)
	require.NoError(t, err)
	return p
}
