//go:build interop

package jsonpatch_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSuite runs the npm package json-patch-test-suite, the records of
// github.com/json-patch/json-patch-tests, from the folder that the environment
// variable JSON_PATCH_TEST_SUITE names.
func TestSuite(t *testing.T) {
	dir := os.Getenv("JSON_PATCH_TEST_SUITE")
	if dir == "" {
		t.Skip("JSON_PATCH_TEST_SUITE does not name the unpacked npm package json-patch-test-suite")
	}
	for _, name := range []string{"tests.json", "spec_tests.json"} {
		t.Run(name, func(t *testing.T) {
			var records []struct {
				Comment              string
				Doc, Patch, Expected json.RawMessage
				Error                string
				Disabled             bool
			}
			readFile(t, filepath.Join(dir, name), &records)
			ran := 0
			for _, r := range records {
				if r.Disabled {
					continue
				}
				ran++
				t.Run(r.Comment+r.Error, func(t *testing.T) {
					got, err := applyText(string(r.Doc), string(r.Patch))
					if r.Error != "" {
						require.Error(t, err, "patch %s", r.Patch)
						return
					}
					require.NoError(t, err, "patch %s", r.Patch)
					if r.Expected != nil {
						assert.JSONEq(t, string(r.Expected), got)
					}
				})
			}
			require.NotZero(t, ran, "no record in %s", name)
			t.Logf("%d of %d records enabled", ran, len(records))
		})
	}
}
