package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/tests/upstream"
)

// specs are our descriptions, and the name that the vendor's own has among the published slices.
var specs = []struct{ file, slice string }{
	{"../api/moov.yaml", "moov-latest-oauth2.yaml"},
	{"../api/oauth2.yaml", ""},
	{"../api/sailpoint.yaml", "sailpoint-beta-oauth-clients.yaml"},
	{"../api/thousandeyes.yaml", "thousandeyes-oauth2-reconstructed.yaml"},
}

// published is not part of this repository: the vendors' descriptions are theirs.
const published = "../../shared/upstream/slices"

func TestEverySpecIsListed(t *testing.T) {
	files, err := filepath.Glob("../api/*.yaml")
	require.NoError(t, err)
	var listed []string
	for _, spec := range specs {
		listed = append(listed, filepath.FromSlash(spec.file))
	}
	assert.ElementsMatch(t, files, listed)
}

func TestSpecsAreValid(t *testing.T) {
	for _, spec := range specs {
		t.Run(filepath.Base(spec.file), func(t *testing.T) {
			doc, err := openapi3.NewLoader().LoadFromFile(spec.file)
			require.NoError(t, err)
			assert.NoError(t, doc.Validate(t.Context(), openapi3.EnableExamplesValidation()))

			ours := parse(t, spec.file)
			source := ours.At("/x-upstream")
			for _, key := range []string{"source", "commit", "path", "date"} {
				assert.NotEmpty(t, source.Child(key).Text(), "x-upstream needs %s", key)
			}
			for _, d := range ours.Deviations() {
				assert.NotEmpty(t, strings.TrimSpace(d.Reason), "x-deviation of %s at %s needs a reason", d.Keyword, d.Pointer)
			}
		})
	}
}

func TestSpecsMatchUpstream(t *testing.T) {
	for _, spec := range specs {
		t.Run(filepath.Base(spec.file), func(t *testing.T) {
			theirs := parse(t, slice(t, spec.slice))
			ours := parse(t, spec.file)
			assertSame(t, ours, theirs)

			paths := map[string]bool{}
			for _, op := range ours.Operations() {
				paths[upstream.Template(op.Path)] = true
			}
			for _, op := range theirs.Operations() {
				assert.True(t, paths[upstream.Template(op.Path)], "upstream has %s, we have not", op)
			}
		})
	}
}

func assertSame(t *testing.T, ours, theirs *upstream.Document) {
	t.Helper()
	result := upstream.Compare(ours, theirs, upstream.Options{})
	for _, d := range result.Differences {
		assert.Fail(t, "ours differs from upstream", "%s %s\nours, at %s: %s\nupstream, at %s: %s",
			d.Operation, d.Place, d.Node.Pointer, d.Was, d.Theirs.Pointer, d.Is)
	}
	for _, d := range result.Unused {
		assert.Fail(t, "x-deviation excuses nothing", "%s at %s", d.Keyword, d.Pointer)
	}
}

// slice returns the file of a published slice.
func slice(t *testing.T, name string) string {
	t.Helper()
	if name == "" {
		t.Skip("it follows RFCs, which no file describes")
	}
	file := filepath.Join(published, name)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("the vendors' published descriptions are not at hand: %v", err)
	}
	return file
}

func parse(t *testing.T, file string) *upstream.Document {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	doc, err := upstream.Parse(data)
	require.NoError(t, err)
	return doc
}
