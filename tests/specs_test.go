package tests

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
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

// OpenAPI 3.0.3 gives nullable a meaning only beside type, and validators refuse it alone.
func TestNullableStandsBesideType(t *testing.T) {
	files, err := filepath.Glob("../api/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var spec any
		require.NoError(t, yaml.Unmarshal(data, &spec))
		var walk func(path string, v any)
		walk = func(path string, v any) {
			switch v := v.(type) {
			case map[string]any:
				if v["nullable"] == true {
					assert.Contains(t, v, "type", path)
				}
				for name, member := range v {
					walk(path+"/"+name, member)
				}
			case []any:
				for _, entry := range v {
					walk(path, entry)
				}
			}
		}
		walk(filepath.Base(file), spec)
	}
}
