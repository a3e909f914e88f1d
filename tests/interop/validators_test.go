package interop

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// program returns the path of a program installed with npm.
func program(t *testing.T, name string) string {
	t.Helper()
	if modules == "" {
		t.Skip(modulesError)
	}
	return filepath.Join(modules, "node_modules", ".bin", name)
}

// Three validators find no error in any description or its examples.
func TestDescriptionsAreValid(t *testing.T) {
	descriptions, err := filepath.Glob("../../api/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, descriptions)
	validate := func(t *testing.T, name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program(t, name), args...)
		cmd.Env = append(cmd.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s", out)
	}
	t.Run("redocly", func(t *testing.T) {
		t.Parallel()
		validate(t, "redocly", append([]string{"lint", "--extends=spec"}, descriptions...)...)
	})
	t.Run("spectral", func(t *testing.T) {
		t.Parallel()
		validate(t, "spectral", append([]string{"lint", "--ruleset", "node/spectral.yaml"}, descriptions...)...)
	})
	t.Run("openapi-examples-validator", func(t *testing.T) {
		t.Parallel()
		for _, description := range descriptions { // it accepts one at a time
			validate(t, "openapi-examples-validator", description)
		}
	})
}
