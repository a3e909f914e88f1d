package patch_test

import (
	"encoding/json"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/oauthclients/patch"
)

const path = "github.com/grantwright/oauth-go/oauthclients/patch"

func TestOperations(t *testing.T) {
	for want, op := range map[string]jsonpatch.Operation{
		`{"op":"replace","path":"/tenant","value":"t"}`:                                patch.Tenant.Set("t"),
		`{"op":"replace","path":"/businessName","value":"R&D <x>"}`:                    patch.BusinessName.Set("R&D <x>"),
		`{"op":"replace","path":"/businessName","value":""}`:                           patch.BusinessName.Set(""),
		`{"op":"replace","path":"/homepageUrl","value":null}`:                          patch.HomepageURL.Clear(),
		`{"op":"test","path":"/name","value":"x"}`:                                     patch.Name.Test("x"),
		`{"op":"test","path":"/description","value":"x"}`:                              patch.Description.Test("x"),
		`{"op":"replace","path":"/accessTokenValiditySeconds","value":750}`:            patch.AccessTokenValiditySeconds.Set(750),
		`{"op":"test","path":"/refreshTokenValiditySeconds","value":0}`:                patch.RefreshTokenValiditySeconds.Test(0),
		`{"op":"replace","path":"/redirectUris","value":["http://a","http://b"]}`:      patch.RedirectURIs.Set([]string{"http://a", "http://b"}),
		`{"op":"replace","path":"/redirectUris","value":[]}`:                           patch.RedirectURIs.Set(nil),
		`{"op":"replace","path":"/redirectUris","value":null}`:                         patch.RedirectURIs.Clear(),
		`{"op":"add","path":"/redirectUris/-","value":"https://example.com/?a=1&b=2"}`: patch.RedirectURIs.Append("https://example.com/?a=1&b=2"),
		`{"op":"remove","path":"/redirectUris/1"}`:                                     patch.RedirectURIs.RemoveAt(1),
		`{"op":"test","path":"/redirectUris","value":[]}`:                              patch.RedirectURIs.Test(nil),
		`{"op":"add","path":"/grantTypes/-","value":"REFRESH_TOKEN"}`:                  patch.GrantTypes.Append(sailpoint.GrantTypeREFRESHTOKEN),
		`{"op":"replace","path":"/grantTypes","value":["CLIENT_CREDENTIALS"]}`:         patch.GrantTypes.Set([]sailpoint.GrantType{sailpoint.GrantTypeCLIENTCREDENTIALS}),
		`{"op":"replace","path":"/accessType","value":"OFFLINE"}`:                      patch.AccessType.Set(sailpoint.AccessTypeOFFLINE),
		`{"op":"replace","path":"/enabled","value":false}`:                             patch.Enabled.Set(false),
		`{"op":"replace","path":"/strongAuthSupported","value":true}`:                  patch.StrongAuthSupported.Set(true),
		`{"op":"test","path":"/claimsSupported","value":true}`:                         patch.ClaimsSupported.Test(true),
	} {
		got, err := op.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
}

// A Field that is not of this package must not become the whole client, whose path is "".
func TestZeroFieldsAreRefused(t *testing.T) {
	for _, op := range []jsonpatch.Operation{
		patch.Field[string]{}.Set("x"),
		patch.Nullable[string]{}.Clear(),
		patch.List[string]{}.Set(nil),
		patch.NullableList[string]{}.Clear(),
	} {
		_, err := jsonpatch.Patch{op}.MarshalJSON()
		require.ErrorIs(t, err, jsonpatch.ErrInvalidPatch)
	}
}

// readSpec returns what api/sailpoint.yaml says of a client's fields: which can be patched, and which may be null.
func readSpec(t *testing.T) (patchable []string, nullable func(string) bool) {
	t.Helper()
	data, err := os.ReadFile("../../api/sailpoint.yaml")
	require.NoError(t, err)
	var s struct {
		Paths      map[string]yaml.Node
		Components yaml.Node
	}
	require.NoError(t, yaml.Unmarshal(data, &s))
	var item struct {
		Patch struct {
			Patchable []string `yaml:"x-patchable"`
		}
	}
	node := s.Paths["/oauth-clients/{id}"]
	require.NoError(t, node.Decode(&item))
	var components struct {
		Schemas map[string]struct {
			Properties map[string]struct{ Nullable bool }
		}
	}
	require.NoError(t, s.Components.Decode(&components))
	properties := components.Schemas["OAuthClient"].Properties
	require.NotEmpty(t, properties)
	return item.Patch.Patchable, func(name string) bool { return properties[name].Nullable }
}

// modelTypes are the Go types of a client's fields by their JSON names, without pointers.
func modelTypes() map[string]string {
	m := map[string]string{}
	for f := range reflect.TypeFor[sailpoint.OAuthClient]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		typ := f.Type
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		m[name] = typ.String()
	}
	return m
}

// The package and x-patchable name the same fields, with the types and the nulls of the model.
func TestFieldsAreTheSpecs(t *testing.T) {
	patchable, nullable := readSpec(t)
	require.Len(t, patchable, 13)
	paths := map[string]string{} // of each variable
	for name, op := range map[string]jsonpatch.Operation{
		"Tenant": patch.Tenant.Set(""), "BusinessName": patch.BusinessName.Clear(), "HomepageURL": patch.HomepageURL.Clear(),
		"Name": patch.Name.Set(""), "Description": patch.Description.Clear(),
		"AccessTokenValiditySeconds":  patch.AccessTokenValiditySeconds.Set(1),
		"RefreshTokenValiditySeconds": patch.RefreshTokenValiditySeconds.Set(1),
		"RedirectURIs":                patch.RedirectURIs.Clear(), "GrantTypes": patch.GrantTypes.Set(nil),
		"AccessType": patch.AccessType.Set(""), "Enabled": patch.Enabled.Set(true),
		"StrongAuthSupported": patch.StrongAuthSupported.Set(true), "ClaimsSupported": patch.ClaimsSupported.Set(true),
	} {
		paths[name] = strings.TrimPrefix(op.Path(), "/")
	}

	pkg, err := importerFor(t).Import(path)
	require.NoError(t, err)
	var fields []string
	short := func(p *types.Package) string { return p.Name() }
	for _, name := range pkg.Scope().Names() {
		v, ok := pkg.Scope().Lookup(name).(*types.Var)
		if !ok || !v.Exported() {
			continue
		}
		field := paths[name]
		require.NotEmpty(t, field, "%s is missing in this test", name)
		fields = append(fields, field)

		typ := v.Type().(*types.Named)
		value := types.TypeString(typ.TypeArgs().At(0), short)
		if strings.HasSuffix(typ.Obj().Name(), "List") {
			value = "[]" + value
		}
		assert.Equal(t, nullable(field), strings.HasPrefix(typ.Obj().Name(), "Nullable"), "%s: null", name)
		if field != "tenant" {
			assert.Equal(t, modelTypes()[field], value, name)
		}
	}
	assert.ElementsMatch(t, patchable, fields)
}

func TestWhatMustNotCompile(t *testing.T) {
	for name, tt := range map[string]struct {
		code string
		want string // "" if it must compile
	}{
		"the control":                {`patch.Enabled.Set(false)`, ""},
		"the control, with a null":   {`patch.HomepageURL.Clear()`, ""},
		"the control, with an index": {`patch.RedirectURIs.RemoveAt(1)`, ""},
		"a bool as text":             {`patch.Enabled.Set("false")`, "cannot use"},
		"a number as text":           {`patch.AccessTokenValiditySeconds.Set("750")`, "cannot use"},
		"a fraction":                 {`patch.AccessTokenValiditySeconds.Set(7.5)`, "truncated"},
		"a number too large":         {`patch.AccessTokenValiditySeconds.Set(1 << 31)`, "overflows"},
		"text as a number":           {`patch.Name.Set(1)`, "cannot use"},
		"text as null":               {`patch.Name.Set(nil)`, "cannot use"},
		"null where none may be":     {`patch.Name.Clear()`, "undefined"},
		"no grants at all":           {`patch.GrantTypes.Clear()`, "undefined"},
		"one value for a list":       {`patch.RedirectURIs.Set("https://example.com")`, "cannot use"},
		"a list of something else":   {`patch.GrantTypes.Set([]string{"CLIENT_CREDENTIALS"})`, "cannot use"},
		"an element of another type": {`patch.RedirectURIs.Append(1)`, "cannot use"},
		"to append to no list":       {`patch.Name.Append("x")`, "undefined"},
		"an index below 0":           {`patch.RedirectURIs.RemoveAt(-1)`, "overflows"},
		"the wrong enum":             {`patch.AccessType.Set(sailpoint.ClientTypePUBLIC)`, "cannot use"},
		"a field of a string":        {`patch.Field[string]{"/secret"}.Set("x")`, "implicit assignment to unexported field"},
		"a field of a named string":  {`patch.Field[string]{path: "/secret"}.Set("x")`, "path"},
		"a converted string":         {`patch.Field[string]("/secret").Set("x")`, "cannot convert"},
		"the id":                     {`patch.ID.Set("x")`, "undefined"},
		"the secret":                 {`patch.Secret.Set("x")`, "undefined"},
		"the type":                   {`patch.Type.Set("PUBLIC")`, "undefined"},
		"the scope":                  {`patch.Scope.Set(nil)`, "undefined"},
		"whether it is internal":     {`patch.Internal.Set(true)`, "undefined"},
		"its times":                  {`patch.Created.Set("")`, "undefined"},
		"its last use":               {`patch.LastUsed.Set("")`, "undefined"},
		"its metadata":               {`patch.Metadata.Set("")`, "undefined"},
	} {
		t.Run(name, func(t *testing.T) {
			src := "package p\nimport (\"" + path + "\"; \"github.com/grantwright/oauth-go/gen/sailpoint\")\n" +
				"var _ sailpoint.OAuthClient\nvar _ = " + tt.code + "\n"
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, "p.go", src, 0)
			require.NoError(t, err)
			config := types.Config{Importer: importerFor(t)}
			_, err = config.Check("p", fset, []*ast.File{file}, nil)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
			assert.Contains(t, err.Error(), "p.go:4:", "the error must be in the line that is tried")
		})
	}
}

// importerFor imports compiled packages, as the compiler does.
func importerFor(t *testing.T) types.Importer {
	t.Helper()
	exports, err := exported()
	require.NoError(t, err)
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
}

// exported finds the compiled packages that this one needs.
var exported = sync.OnceValues(func() (map[string]string, error) {
	out, err := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export", path).Output()
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); err != nil {
			return nil, err
		}
		exports[p.ImportPath] = p.Export
	}
	return exports, nil
})
