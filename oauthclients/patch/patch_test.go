package patch_test

import (
	"encoding/json"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"net/http"
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
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/oauthclients/patch"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

const path = "github.com/grantwright/oauth-go/oauthclients/patch"

func TestOperations(t *testing.T) {
	for want, op := range map[string]jsonpatch.Operation{
		`{"op":"add","path":"/tenant","value":"t"}`:                                    patch.Tenant.Set("t"),
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
		`{"op":"remove","path":"/redirectUris/10"}`:                                    patch.RedirectURIs.RemoveAt(10),
		`{"op":"add","path":"/redirectUris/0","value":"https://example.com"}`:          patch.RedirectURIs.Insert(0, "https://example.com"),
		`{"op":"test","path":"/redirectUris","value":[]}`:                              patch.RedirectURIs.Test([]string{}),
		`{"op":"test","path":"/homepageUrl","value":null}`:                             patch.HomepageURL.TestNull(),
		`{"op":"test","path":"/grantTypes","value":[]}`:                                patch.GrantTypes.Test(nil),
		`{"op":"add","path":"/grantTypes/-","value":"REFRESH_TOKEN"}`:                  patch.GrantTypes.Append(sailpoint.GrantTypeRefreshToken),
		`{"op":"replace","path":"/grantTypes","value":["CLIENT_CREDENTIALS"]}`:         patch.GrantTypes.Set([]sailpoint.GrantType{sailpoint.GrantTypeClientCredentials}),
		`{"op":"replace","path":"/accessType","value":"OFFLINE"}`:                      patch.AccessType.Set(sailpoint.AccessTypeOffline),
		`{"op":"replace","path":"/enabled","value":false}`:                             patch.Enabled.Set(false),
		`{"op":"replace","path":"/strongAuthSupported","value":true}`:                  patch.StrongAuthSupported.Set(true),
		`{"op":"test","path":"/claimsSupported","value":true}`:                         patch.ClaimsSupported.Test(true),
	} {
		got, err := op.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
}

// Null and the empty array are different values, and a client returned with null has a nil list.
func TestTestOfANilList(t *testing.T) {
	for _, op := range []jsonpatch.Operation{patch.RedirectURIs.Test(nil), patch.RedirectURIs.TestNull()} {
		got, err := op.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, `{"op":"test","path":"/redirectUris","value":null}`, string(got))
	}
}

func TestRemove(t *testing.T) {
	got, err := patch.RedirectURIs.Remove([]string{"a", "b", "a"}, "a").MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, `[{"op":"test","path":"/redirectUris/2","value":"a"},{"op":"remove","path":"/redirectUris/2"},`+
		`{"op":"test","path":"/redirectUris/0","value":"a"},{"op":"remove","path":"/redirectUris/0"}]`, string(got))
	assert.Empty(t, patch.RedirectURIs.Remove([]string{"b"}, "a"))
}

// The path of a zero Field would be "", the whole client.
func TestZeroFieldsAreRefused(t *testing.T) {
	ops := jsonpatch.Patch{
		patch.Field[string]{}.Set("x"),
		patch.Field[string]{}.Test("x"),
		patch.Nullable[string]{}.Set("x"),
		patch.Nullable[string]{}.Test("x"),
		patch.Nullable[string]{}.TestNull(),
		patch.Nullable[string]{}.Clear(),
		patch.List[string]{}.Set(nil),
		patch.List[string]{}.Test(nil),
		patch.List[string]{}.Append("x"),
		patch.List[string]{}.Insert(0, "x"),
		patch.List[string]{}.RemoveAt(0),
		patch.NullableList[string]{}.Clear(),
		patch.NullableList[string]{}.Test(nil),
		patch.NullableList[string]{}.TestNull(),
		patch.NullableList[string]{}.Append("x"),
	}
	ops = append(ops, patch.List[string]{}.Remove([]string{"x"}, "x")...)
	for _, op := range ops {
		_, err := op.MarshalJSON()
		require.ErrorIs(t, err, jsonpatch.ErrInvalidPatch, op.Op())
		require.ErrorContains(t, err, "zero Field; use those of package patch, such as patch.Name")
		_, err = jsonpatch.Patch{op}.Apply([]byte(`{}`))
		require.ErrorIs(t, err, jsonpatch.ErrInvalidPatch, op.Op())
	}
}

// Strings that encoding/json would replace are refused, in a list as in a field.
func TestTextThatIsNotUTF8(t *testing.T) {
	for _, op := range []jsonpatch.Operation{
		patch.Name.Set("a\xff"), patch.RedirectURIs.Set([]string{"a", "a\xff"}), patch.RedirectURIs.Append("a\xff"),
		patch.GrantTypes.Set([]sailpoint.GrantType{"a\xff"}), patch.AccessType.Set("a\xff"),
	} {
		_, err := op.MarshalJSON()
		require.ErrorIs(t, err, jsonpatch.ErrInvalidPatch, op.Path())
		require.ErrorContains(t, err, "not UTF-8")
	}
}

// Each method of each field has the expected effect in the sandbox.
func TestAtTheSandbox(t *testing.T) {
	transport := &http.Client{Transport: sandbox.Transport(sandbox.NewSailPoint(nil))}
	endpoint, err := tokens.NewSailPoint("tenant", tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
		&tokens.SailPointOptions{HTTPClient: transport})
	require.NoError(t, err)
	cache, err := tokens.NewCache(endpoint, nil)
	require.NoError(t, err)
	clients, err := oauthclients.NewSailPoint(cache, &oauthclients.SailPointOptions{HTTPClient: transport})
	require.NoError(t, err)

	uris, grants := patch.RedirectURIs, patch.GrantTypes
	for _, step := range []jsonpatch.Patch{
		{patch.Tenant.Set("acme"), patch.Tenant.Test("acme")},
		{patch.Tenant.Set("other"), patch.Tenant.Test("other")},
		{patch.BusinessName.Set("b"), patch.BusinessName.Test("b"), patch.BusinessName.Clear(), patch.BusinessName.TestNull(), patch.BusinessName.Set("c")},
		{patch.HomepageURL.Set("http://b"), patch.HomepageURL.Test("http://b"), patch.HomepageURL.Clear(), patch.HomepageURL.TestNull(), patch.HomepageURL.Set("http://c")},
		{patch.Description.Set("b"), patch.Description.Test("b"), patch.Description.Clear(), patch.Description.TestNull(), patch.Description.Set("c")},
		{patch.Name.Set("n"), patch.Name.Test("n")},
		{patch.AccessTokenValiditySeconds.Set(60), patch.AccessTokenValiditySeconds.Test(60)},
		{patch.RefreshTokenValiditySeconds.Set(600), patch.RefreshTokenValiditySeconds.Test(600)},
		{uris.Set([]string{"http://a"}), uris.Append("http://c"), uris.Insert(1, "http://b"), uris.Test([]string{"http://a", "http://b", "http://c"}), uris.RemoveAt(0)},
		append(uris.Remove([]string{"http://b", "http://c"}, "http://b"), uris.Test([]string{"http://c"})),
		{grants.Set([]sailpoint.GrantType{"REFRESH_TOKEN"}), grants.Append("CLIENT_CREDENTIALS"), grants.Insert(0, "AUTHORIZATION_CODE"), grants.RemoveAt(1), grants.Test([]sailpoint.GrantType{"AUTHORIZATION_CODE", "CLIENT_CREDENTIALS"})},
		append(grants.Remove([]sailpoint.GrantType{"AUTHORIZATION_CODE", "CLIENT_CREDENTIALS"}, "AUTHORIZATION_CODE"), grants.Test([]sailpoint.GrantType{"CLIENT_CREDENTIALS"})),
		{uris.Set(nil), uris.Test([]string{}), uris.Clear(), uris.TestNull(), uris.Test(nil)},
		{patch.AccessType.Set("ONLINE"), patch.AccessType.Test("ONLINE")},
		{patch.Enabled.Set(false), patch.Enabled.Test(false)},
		{patch.StrongAuthSupported.Set(true), patch.StrongAuthSupported.Test(true)},
		{patch.ClaimsSupported.Set(true), patch.ClaimsSupported.Test(true)},
	} {
		_, err := clients.Patch(t.Context(), sandbox.SampleClientID, step...)
		require.NoError(t, err, "%v", step)
	}
	got, err := clients.Get(t.Context(), sandbox.SampleClientID)
	require.NoError(t, err)
	assert.Equal(t, "c", *got.BusinessName)
	assert.Nil(t, got.RedirectURIs)
	assert.Equal(t, []sailpoint.GrantType{"CLIENT_CREDENTIALS"}, got.GrantTypes)
	assert.False(t, got.Enabled)

	for _, failing := range []jsonpatch.Operation{
		patch.Tenant.Test("acme"), patch.Name.Test("x"), patch.HomepageURL.TestNull(), uris.Test([]string{}), grants.Test(nil),
		patch.Enabled.Test(true), grants.RemoveAt(1), grants.Insert(2, "x"), uris.Append("x"),
	} {
		_, err := clients.Patch(t.Context(), sandbox.SampleClientID, failing)
		require.ErrorIs(t, err, tokens.Status(http.StatusBadRequest), "%v", failing)
	}
}

// readSpec returns the fields of a client that can be patched, and which of them may be null, from api/sailpoint.yaml.
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

// modelTypes returns the Go types of a client's fields by their JSON names, without pointers.
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

// The package has the same fields as x-patchable, with the types and nulls of the model.
func TestFieldsAreTheSpecs(t *testing.T) {
	patchable, nullable := readSpec(t)
	require.Len(t, patchable, 13)
	paths := map[string]string{} // paths by variable
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
		want string // the error; "" if it must compile
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
		"the wrong enum":             {`patch.AccessType.Set(sailpoint.ClientTypePublic)`, "cannot use"},
		"null for null's test":       {`patch.Name.TestNull()`, "undefined"},
		"a field of a string":        {`patch.Field[string]{"/secret", false}.Set("x")`, "implicit assignment to unexported field"},
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

// importerFor returns an importer of compiled packages.
func importerFor(t *testing.T) types.Importer {
	t.Helper()
	exports, err := exported()
	require.NoError(t, err)
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
}

// exported returns the compiled packages that this one depends on.
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
