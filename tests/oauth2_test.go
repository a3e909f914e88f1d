package tests

import (
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/oauth2"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// Every request to a server without its own constructor, for each grant and method of client authentication, follows
// api/oauth2.yaml.
func TestOAuth2RequestsAreAsDescribed(t *testing.T) {
	const origin = "https://auth.example.com"
	paths := map[string]int{}
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths[r.URL.Path]++
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/token":
			assert.NoError(t, json.NewEncoder(w).Encode(oauth2.TokenResponse{AccessToken: wire.NewSecret("at"), TokenType: "bearer"}))
		case "/revoke":
			w.Header().Del("Content-Type")
		default:
			assert.NoError(t, json.NewEncoder(w).Encode(oauth2.ServerMetadata{
				Issuer: origin, TokenEndpoint: new(origin + "/token"), RevocationEndpoint: new(origin + "/revoke"),
				TokenEndpointAuthMethodsSupported: []string{"client_secret_basic"},
			}))
		}
	})
	client := &http.Client{Transport: sandbox.Transport(validating(t, "oauth2", server))}
	public := tokens.Credentials{ClientID: "client"}
	confidential := tokens.Credentials{ClientID: "client", ClientSecret: "secret"}
	grants := []tokens.Grant{
		{},
		{Scopes: []string{"a", "b"}, Params: url.Values{"resource": {"https://a.example.com", "https://b.example.com"}, "audience": {"x"}}},
		{RefreshToken: "rt"},
		{Code: &tokens.AuthorizationCode{Code: "c", RedirectURI: "https://app.example.com/cb", CodeVerifier: tokens.GenerateVerifier()}},
		{Type: "urn:ietf:params:oauth:grant-type:jwt-bearer", Params: url.Values{"assertion": {"jwt"}}},
		{Type: "urn:ietf:params:oauth:grant-type:device_code", Params: url.Values{"device_code": {"dc"}}},
		{Type: "urn:ietf:params:oauth:grant-type:token-exchange", Params: url.Values{
			"subject_token": {"st"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}, "actor_token": {"at"}, "actor_token_type": {"x"},
		}},
	}
	for _, how := range []struct {
		creds tokens.Credentials
		opts  tokens.EndpointOptions
	}{
		{confidential, tokens.EndpointOptions{}},
		{confidential, tokens.EndpointOptions{AuthStyle: tokens.AuthStyleBasicUnencoded}},
		{confidential, tokens.EndpointOptions{AuthStyle: tokens.AuthStyleBody}},
		{public, tokens.EndpointOptions{AuthStyle: tokens.AuthStyleNone}},
		{public, tokens.EndpointOptions{Assertion: func(context.Context, string) (string, error) { return "jwt", nil }}},
	} {
		how.opts.HTTPClient = client
		e, err := tokens.Discover(t.Context(), origin, how.creds, &how.opts)
		require.NoError(t, err)
		for _, grant := range grants {
			token, err := e.Exchange(t.Context(), grant)
			require.NoError(t, err)
			assert.Equal(t, "at", token.AccessToken)
		}
		for _, hint := range []tokens.Hint{tokens.HintNone, tokens.HintAccessToken, tokens.HintRefreshToken} {
			require.NoError(t, e.Revoke(t.Context(), "the-token", hint))
		}
	}
	assert.Equal(t, map[string]int{"/.well-known/oauth-authorization-server": 5, "/token": 5 * len(grants), "/revoke": 15}, paths)
}

// Package tokens and the description have the same error codes.
func TestErrorCodesAreAsDescribed(t *testing.T) {
	var described []string
	for _, code := range loadSpec(t, "oauth2").Components.Schemas["ErrorCode"].Value.Enum {
		described = append(described, code.(string))
	}
	pkgs, err := parser.ParseFile(token.NewFileSet(), "../tokens/error.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	var named []string
	ast.Inspect(pkgs, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Code" {
				named = append(named, strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`))
			}
		}
		return true
	})
	assert.ElementsMatch(t, described, named)
}

// The package comment of a generated package directs users to the packages that are easier to use.
func TestGeneratedPackagesSendUsersOn(t *testing.T) {
	files, err := filepath.Glob("../gen/*/*.gen.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		doc, err := parser.ParseFile(token.NewFileSet(), filepath.Join(filepath.Dir(file), "doc.go"), nil, parser.ParseComments|parser.PackageClauseOnly)
		require.NoError(t, err)
		assert.Contains(t, doc.Doc.Text(), "package tokens", file)
	}
}

// Every value of an enum has a constant: incomplete x-enum-varnames would drop some.
func TestEnumsHaveAllTheirNames(t *testing.T) {
	for _, name := range append([]string{"oauth2"}, vendorNames...) {
		for schema, ref := range loadSpec(t, name).Components.Schemas {
			if names, ok := ref.Value.Extensions["x-enum-varnames"].([]any); ok {
				assert.Len(t, names, len(ref.Value.Enum), "%s of %s", schema, name)
			}
		}
	}
}

// A login with NewEndpoint over real HTTP on loopback, with real redirects, hosts and ports.
func TestNewEndpointOverLoopback(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "1", r.URL.Query().Get("tenant"))
		id, secret, ok := r.BasicAuth()
		assert.True(t, ok)
		assert.Equal(t, "id secret", id+" "+secret)
		w.Header().Set("Content-Type", "application/json")
		_, err := w.Write([]byte(`{"access_token":"at-` + r.FormValue("code") + `","token_type":"Bearer"}`))
		assert.NoError(t, err)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	e, err := tokens.NewEndpoint(server.URL+"/oauth/token?tenant=1", tokens.Credentials{ClientID: "id", ClientSecret: "secret"}, nil)
	require.NoError(t, err)
	token, err := e.Exchange(t.Context(), tokens.Grant{Code: &tokens.AuthorizationCode{Code: "c"}})
	require.NoError(t, err)
	assert.Equal(t, "at-c", token.AccessToken)
}
