package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// copyModule copies the module into a new directory, with its nested modules.
func copyModule(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, filepath.WalkDir("../..", func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel("../..", path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); base != ".." && strings.HasPrefix(base, ".") || base == "node_modules" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(root, name), 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(root, name), data, 0o644)
	}))
	return root
}
