package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// copyModule copies the module into a new directory, without its nested modules but the one that pins the generator.
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
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			_, nested := os.Stat(filepath.Join(path, "go.mod"))
			if strings.HasPrefix(name, ".") && name != "." || nested == nil && name != "." && name != "tools" {
				if name != "tools/specsync" {
					return filepath.SkipDir
				}
			}
			return os.MkdirAll(filepath.Join(root, name), 0o755)
		}
		if strings.HasPrefix(name, "tools/specsync/") && name != "tools/specsync/specsync.yaml" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(root, name), data, 0o644)
	}))
	return root
}
