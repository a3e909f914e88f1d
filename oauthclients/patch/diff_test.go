package patch_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/oauthclients/patch"
)

func client() sailpoint.OAuthClient {
	return sailpoint.OAuthClient{
		ID: "2c91", BusinessName: new("Acme-Solar"), HomepageURL: new("http://localhost:12345"), Name: "Demo API Client",
		AccessTokenValiditySeconds: 750, RefreshTokenValiditySeconds: 86400, RedirectURIs: []string{"http://localhost:12345"},
		GrantTypes: []sailpoint.GrantType{sailpoint.GrantTypeAuthorizationCode}, AccessType: sailpoint.AccessTypeOffline,
		Type: sailpoint.ClientTypeConfidential, Enabled: true, Scope: []string{"a", "b"},
		Created:  wire.NewTime(time.Date(2017, 7, 11, 18, 45, 37, 98e6, time.UTC)),
		Modified: wire.NewTime(time.Date(2018, 6, 25, 20, 22, 28, 104e6, time.UTC)),
	}
}

func TestDiff(t *testing.T) {
	after := client()
	after.Name = "R&D"
	after.BusinessName, after.HomepageURL = new(""), nil
	after.Description = new("new")
	after.RedirectURIs = append(after.RedirectURIs, "https://example.com/?a=1&b=2")
	after.Enabled = false
	after.Modified = wire.NewTime(after.Modified.Time().In(time.FixedZone("", 3600))) // the same instant
	ops, err := patch.Diff(client(), after, nil)
	require.NoError(t, err)
	body, err := ops.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, `[{"op":"replace","path":"/businessName","value":""},`+
		`{"op":"replace","path":"/homepageUrl","value":null},`+
		`{"op":"replace","path":"/name","value":"R&D"},`+
		`{"op":"replace","path":"/description","value":"new"},`+
		`{"op":"replace","path":"/redirectUris","value":["http://localhost:12345","https://example.com/?a=1&b=2"]},`+
		`{"op":"replace","path":"/enabled","value":false}]`, string(body))
}

func TestDiffOfEqualClients(t *testing.T) {
	ops, err := patch.Diff(client(), client(), nil)
	require.NoError(t, err)
	assert.Empty(t, ops)
}

func TestDiffTellsNullFromEmpty(t *testing.T) {
	for _, tt := range []struct {
		before, after []string
		want          string
	}{
		{nil, nil, "[]"},
		{nil, []string{}, `[{"op":"replace","path":"/redirectUris","value":[]}]`},
		{[]string{}, nil, `[{"op":"replace","path":"/redirectUris","value":null}]`},
		{[]string{"a"}, nil, `[{"op":"replace","path":"/redirectUris","value":null}]`},
		{[]string{"a"}, []string{}, `[{"op":"replace","path":"/redirectUris","value":[]}]`},
	} {
		before, after := client(), client()
		before.RedirectURIs, after.RedirectURIs = tt.before, tt.after
		ops, err := patch.Diff(before, after, nil)
		require.NoError(t, err)
		body, err := ops.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, tt.want, string(body))
	}
}

func TestDiffNamesWhatCannotBePatched(t *testing.T) {
	after := client()
	after.Name = "x"
	after.Scope = []string{"a"}
	after.Secret = new(wire.NewSecret("s3cr3t"))
	after.LastUsed = new(wire.NewTime(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)))
	ops, err := patch.Diff(client(), after, nil)
	require.EqualError(t, err, "patch: these fields differ and cannot be patched: secret, lastUsed, scope")
	var fields *patch.FieldsError
	require.ErrorAs(t, err, &fields)
	assert.Equal(t, []string{"secret", "lastUsed", "scope"}, fields.Fields)
	require.Len(t, ops, 1)
	assert.Equal(t, "/name", ops[0].Path())
}

// A client without scopes is not one whose scopes are unknown.
func TestDiffOfScopesTellsNullFromEmpty(t *testing.T) {
	for _, tt := range []struct {
		before, after []string
		same          bool
	}{{nil, nil, true}, {[]string{}, []string{}, true}, {nil, []string{}, false}, {[]string{}, nil, false}} {
		before, after := client(), client()
		before.Scope, after.Scope = tt.before, tt.after
		_, err := patch.Diff(before, after, nil)
		if tt.same {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "cannot be patched: scope")
		}
	}
}

// Times that cannot be parsed are compared as strings.
func TestDiffOfTimesThatAreNoTimes(t *testing.T) {
	read := func(text string) (read wire.Time) {
		require.NoError(t, read.UnmarshalJSON([]byte(text)))
		return read
	}
	for _, tt := range []struct {
		before, after string
		same          bool
	}{
		{`"soon"`, `"soon"`, true},
		{`"soon"`, `"later"`, false},
		{`"soon"`, `"2020-01-01T00:00:00Z"`, false},
		{`"2020-01-01T00:00:00Z"`, `"soon"`, false},
		{`"2020-01-01T00:00:00Z"`, `"2020-01-01T01:00:00+01:00"`, true},
		{`"2020-01-01T00:00:00Z"`, `"2020-01-01T00:00:01Z"`, false},
	} {
		before, after := client(), client()
		before.Created, after.Created = read(tt.before), read(tt.after)
		_, err := patch.Diff(before, after, nil)
		if tt.same {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "created", "%s, %s", tt.before, tt.after)
		}
	}
}

// If a patch could not be sent, Diff returns an error.
func TestDiffOfTextThatIsNotUTF8(t *testing.T) {
	after := client()
	after.Name, after.RedirectURIs = "R&D", []string{"a\xff"}
	ops, err := patch.Diff(client(), after, nil)
	require.ErrorContains(t, err, `patch: a value of after cannot be sent: jsonpatch: operation 1: replace "/redirectUris"`)
	assert.Nil(t, ops)
}

func TestDiffWithGuards(t *testing.T) {
	before, after := client(), client()
	before.Description, before.RedirectURIs = nil, nil
	after.Name, after.HomepageURL, after.Description = "R&D", nil, new("new")
	after.RedirectURIs, after.GrantTypes, after.Enabled = []string{}, nil, false
	ops, err := patch.Diff(before, after, &patch.DiffOptions{Guard: true})
	require.NoError(t, err)
	body, err := ops.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, `[{"op":"test","path":"/homepageUrl","value":"http://localhost:12345"},{"op":"replace","path":"/homepageUrl","value":null},`+
		`{"op":"test","path":"/name","value":"Demo API Client"},{"op":"replace","path":"/name","value":"R&D"},`+
		`{"op":"test","path":"/description","value":null},{"op":"replace","path":"/description","value":"new"},`+
		`{"op":"test","path":"/redirectUris","value":null},{"op":"replace","path":"/redirectUris","value":[]},`+
		`{"op":"test","path":"/grantTypes","value":["AUTHORIZATION_CODE"]},{"op":"replace","path":"/grantTypes","value":[]},`+
		`{"op":"test","path":"/enabled","value":true},{"op":"replace","path":"/enabled","value":false}]`, string(body))
}

func TestDiffOfListsAsSets(t *testing.T) {
	for _, tt := range []struct {
		before, after []string
		want          string
	}{
		{[]string{"a", "b"}, []string{"b", "a"}, "[]"},
		{[]string{"a", "b"}, []string{"b", "a", "b"}, "[]"},
		{[]string{"a", "b"}, []string{"a"}, `[{"op":"replace","path":"/redirectUris","value":["a"]}]`},
		{[]string{"a"}, []string{"b", "a"}, `[{"op":"replace","path":"/redirectUris","value":["b","a"]}]`},
		{nil, []string{}, `[{"op":"replace","path":"/redirectUris","value":[]}]`},
		{[]string{}, nil, `[{"op":"replace","path":"/redirectUris","value":null}]`},
	} {
		before, after := client(), client()
		before.RedirectURIs, after.RedirectURIs = tt.before, tt.after
		before.GrantTypes, after.GrantTypes = []sailpoint.GrantType{"A", "B"}, []sailpoint.GrantType{"B", "A"}
		before.Scope, after.Scope = []string{"a", "b"}, []string{"b", "a"}
		ops, err := patch.Diff(before, after, &patch.DiffOptions{ListsAsSets: true})
		require.NoError(t, err)
		body, err := ops.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, tt.want, string(body))
	}
}

// Every field of the model is either patched or reported, so that a new field cannot be forgotten.
func TestDiffSeesEveryField(t *testing.T) {
	patchable, _ := readSpec(t)
	for f := range reflect.TypeFor[sailpoint.OAuthClient]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		after := client()
		change(reflect.ValueOf(&after).Elem().FieldByIndex(f.Index))
		ops, err := patch.Diff(client(), after, nil)
		if slices.Contains(patchable, name) {
			require.NoError(t, err, name)
			require.Len(t, ops, 1, name)
			assert.Equal(t, "/"+name, ops[0].Path())
			continue
		}
		assert.Empty(t, ops, name)
		var fields *patch.FieldsError
		require.ErrorAs(t, err, &fields, name)
		assert.Equal(t, []string{name}, fields.Fields)
	}
}

// change sets v to another value.
func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		change(p.Elem())
		v.Set(p)
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int32:
		v.SetInt(v.Int() + 1)
	case reflect.Struct:
		switch v.Interface().(type) {
		case wire.Time:
			v.Set(reflect.ValueOf(wire.NewTime(time.Unix(0, 0))))
		case wire.Secret:
			v.Set(reflect.ValueOf(wire.NewSecret("x")))
		}
	default:
		panic(v.Kind())
	}
}

// Applying the difference results in the other client, whatever differs.
func TestDiffApplied(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	other := func() sailpoint.OAuthClient {
		c := client()
		text := func() *string { return [...]*string{nil, new(""), new("x\"<&>é"), new("y")}[random.IntN(4)] }
		c.BusinessName, c.HomepageURL, c.Description = text(), text(), text()
		c.Name = [...]string{"", "a", "b"}[random.IntN(3)]
		c.AccessTokenValiditySeconds, c.RefreshTokenValiditySeconds = random.Int32N(3), random.Int32N(3)
		c.RedirectURIs = [...][]string{nil, {}, {"a"}, {"a", "b"}}[random.IntN(4)]
		c.GrantTypes = [...][]sailpoint.GrantType{{}, {"A"}, {"A", "B"}}[random.IntN(3)]
		c.AccessType = [...]sailpoint.AccessType{"ONLINE", "OFFLINE"}[random.IntN(2)]
		c.Enabled, c.StrongAuthSupported, c.ClaimsSupported = random.IntN(2) == 0, random.IntN(2) == 0, random.IntN(2) == 0
		return c
	}
	for range 2000 {
		before, after := other(), other()
		ops, err := patch.Diff(before, after, nil)
		require.NoError(t, err)
		doc, err := json.Marshal(before)
		require.NoError(t, err)
		want, err := json.Marshal(after)
		require.NoError(t, err)
		got, err := ops.Apply(doc)
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got))
	}
}

func changed() sailpoint.OAuthClient {
	after := client()
	after.Name, after.Enabled, after.HomepageURL, after.Description = "Renamed Client", false, nil, new("new")
	return after
}

func BenchmarkDiff(b *testing.B) {
	before, after := client(), changed()
	b.ReportAllocs()
	for b.Loop() {
		if ops, err := patch.Diff(before, after, nil); err != nil || len(ops) != 4 {
			b.Fatal(ops, err)
		}
	}
}
