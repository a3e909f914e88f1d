package tests

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/moov"
	"github.com/grantwright/oauth-go/gen/oauth2"
	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/thousandeyes"
	"github.com/grantwright/oauth-go/gen/wire"
)

// modelsWithSecrets are all generated models with a wire.Secret, each filled with a canary.
var modelsWithSecrets = map[string]any{
	"moov.AuthToken":                      moov.AuthToken{AccessToken: canary, RefreshToken: canary},
	"oauth2.TokenResponse":                oauth2.TokenResponse{AccessToken: canary, RefreshToken: new(canary)},
	"sailpoint.AccessToken":               sailpoint.AccessToken{AccessToken: canary, RefreshToken: new(canary)},
	"sailpoint.CreateOAuthClientResponse": sailpoint.CreateOAuthClientResponse{ID: "1", Secret: canary},
	"sailpoint.OAuthClient":               sailpoint.OAuthClient{ID: "1", Secret: new(canary)},
	"thousandeyes.AccessToken":            thousandeyes.AccessToken{AccessToken: new(canary)},
}

var canary = wire.NewSecret("canary-5f0d2c")

// No log handler shows a secret in a response, and logging does not change the response.
func TestResponsesAreLoggedWithoutSecrets(t *testing.T) {
	var b bytes.Buffer
	for name, model := range modelsWithSecrets {
		before := fmt.Sprintf("%#v", model)
		for _, handler := range []slog.Handler{slog.NewJSONHandler(&b, nil), slog.NewTextHandler(&b, nil)} {
			b.Reset()
			slog.New(handler).Info("response", "model", model)
			assert.NotContains(t, b.String(), canary.Reveal(), name)
			if _, isJSON := handler.(*slog.JSONHandler); isJSON {
				assert.Contains(t, b.String(), "[REDACTED]", name)
			}
		}
		assert.Equal(t, before, fmt.Sprintf("%#v", model), name)
	}
}

// The list of models above is complete.
func TestEveryModelWithASecretIsLoggedWithoutIt(t *testing.T) {
	files, err := filepath.Glob("../gen/*/*.gen.go")
	require.NoError(t, err)
	var found []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			types, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range types.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok && hasSecret(spec.Type) {
					found = append(found, file.Name.Name+"."+spec.Name.Name)
				}
			}
		}
	}
	for _, model := range found {
		assert.Contains(t, modelsWithSecrets, model, "give it a LogValue method in doc.go, and a row above")
	}
	assert.Len(t, modelsWithSecrets, len(found))
}

// hasSecret reports whether a type has wire.Secret somewhere in it.
func hasSecret(typ ast.Expr) (found bool) {
	ast.Inspect(typ, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Secret" {
			if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "wire" {
				found = true
			}
		}
		return true
	})
	return found
}
