package tests

import (
	"path/filepath"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSpecsAreValid validates every description, including its examples. The comparison with the published descriptions
// is in tools/specsync.
func TestSpecsAreValid(t *testing.T) {
	files, err := filepath.Glob("../api/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			doc, err := openapi3.NewLoader().LoadFromFile(file)
			require.NoError(t, err)
			assert.NoError(t, doc.Validate(t.Context(), openapi3.EnableExamplesValidation()))
		})
	}
}
