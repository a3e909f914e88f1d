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

// imports returns, for each package, the packages outside the standard library that it depends on.
func imports(t *testing.T, packages ...string) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-f", `{{.ImportPath}} {{join .Deps " "}}`}, packages...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	found := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		found[words[0]] = slices.DeleteFunc(words[1:], func(p string) bool {
			first, _, _ := strings.Cut(p, "/")
			return first == "vendor" || !strings.Contains(first, ".")
		})
	}
	return found
}

// TestArrows checks the dependencies of each package, as prefixes of import paths.
func TestArrows(t *testing.T) {
	runtime := []string{"github.com/oapi-codegen/runtime", "github.com/google/uuid", "github.com/apapsch/go-jsonmerge/v2"}
	gen := append([]string{module + "/gen/"}, runtime...)
	arrows := map[string][]string{
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
	}
	var packages []string
	for pkg := range arrows {
		packages = append(packages, module+pkg)
	}
	found := imports(t, packages...)
	require.Len(t, found, len(arrows))
	for pkg, allowed := range arrows {
		t.Run(strings.TrimPrefix(pkg, "/"), func(t *testing.T) {
			for _, dep := range found[module+pkg] {
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
