package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/grantwright/oauth-go"

// imports returns the packages outside the standard library that a package depends on, except itself.
func imports(t *testing.T, pkg string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", pkg)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	return slices.DeleteFunc(strings.Fields(string(out)), func(p string) bool { return p == pkg })
}

// TestArrows checks the dependencies of each package, as prefixes of import paths.
func TestArrows(t *testing.T) {
	runtime := []string{"github.com/oapi-codegen/runtime", "github.com/google/uuid", "github.com/apapsch/go-jsonmerge/v2"}
	gen := append([]string{module + "/gen/"}, runtime...)
	for pkg, allowed := range map[string][]string{
		"/gen/wire":               nil,
		"/gen/thousandeyes":       append([]string{module + "/gen/wire"}, runtime...),
		"/gen/moov":               append([]string{module + "/gen/wire"}, runtime...),
		"/gen/oauth2":             append([]string{module + "/gen/wire"}, runtime...),
		"/gen/sailpoint":          append([]string{module + "/gen/wire"}, runtime...),
		"/tokens":                 gen,
		"/oauthclients/jsonpatch": nil,
		"/oauthclients/patch":     append([]string{module + "/oauthclients/jsonpatch"}, gen...),
		"/oauthclients":           append([]string{module + "/tokens", module + "/oauthclients/"}, gen...),
		"/sandbox":                append([]string{module + "/oauthclients/jsonpatch"}, gen...),
	} {
		t.Run(strings.TrimPrefix(pkg, "/"), func(t *testing.T) {
			for _, dep := range imports(t, module+pkg) {
				ok := slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(dep, prefix) })
				assert.True(t, ok, "%s needs %s, which it must not know", pkg, dep)
			}
		})
	}
}

// TestEveryVendorHasItsFiles fails if a vendor has generated code but not the other files.
func TestEveryVendorHasItsFiles(t *testing.T) {
	generated, err := filepath.Glob("../gen/*/*.gen.go")
	require.NoError(t, err)
	require.NotEmpty(t, generated)
	for _, file := range generated {
		vendor := filepath.Base(filepath.Dir(file))
		want := []string{"../api/" + vendor + ".yaml", "../tokens/" + vendor + ".go", "../sandbox/" + vendor + ".go"}
		if vendor == "oauth2" {
			want = want[:2] // oauth2 stands for any server and has no sandbox
		}
		for _, file := range want {
			assert.FileExists(t, file)
		}
	}
}
