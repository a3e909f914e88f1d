package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/sandbox"
)

const clients = "/beta/oauth-clients"

// tenant is a SailPoint and a token for it.
type tenant struct {
	*sandbox.SailPoint
	token string
}

func newTenant(t *testing.T, opts *sandbox.SailPointOptions, fields ...string) tenant {
	t.Helper()
	s := sandbox.NewSailPoint(opts)
	got := sendForm(t, s, "/oauth/token", inBody(append(fields, "grant_type", "client_credentials")...))
	require.Equal(t, 200, got.status, got.body)
	return tenant{s, got.text(t, "access_token")}
}

func (s tenant) get(t *testing.T, path string) reply {
	t.Helper()
	return send(t, s, http.MethodGet, path, "", "", bearer(s.token))
}

func (s tenant) create(t *testing.T, body string) reply {
	t.Helper()
	return send(t, s, http.MethodPost, clients, "application/json", body, bearer(s.token))
}

func (s tenant) patch(t *testing.T, id, body string) reply {
	t.Helper()
	return send(t, s, http.MethodPatch, clients+"/"+id, "application/json-patch+json", body, bearer(s.token))
}

const sampleCreate = `{"name": "Demo API Client", "description": null, "businessName": "Acme-Solar",
	"accessTokenValiditySeconds": 750, "refreshTokenValiditySeconds": 86400, "accessType": "OFFLINE", "enabled": true,
	"redirectUris": ["http://localhost:12345", "http://localhost:67890"], "unknown": 1,
	"grantTypes": ["AUTHORIZATION_CODE", "CLIENT_CREDENTIALS", "REFRESH_TOKEN"]}`

func TestClientLifecycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTenant(t, nil)
		made := s.create(t, sampleCreate)
		require.Equal(t, 200, made.status, made.body)
		var client sailpoint.CreateOAuthClientResponse
		require.NoError(t, json.Unmarshal([]byte(made.body), &client))
		assert.Regexp(t, `^[0-9a-f]{32}$`, client.ID)
		require.NotEmpty(t, client.Secret.Reveal())
		assert.Equal(t, []string{"http://localhost:12345", "http://localhost:67890"}, client.RedirectURIs)
		assert.Equal(t, []string{"sp:scopes:all"}, client.Scope)
		assert.Equal(t, sailpoint.ClientTypeConfidential, client.Type)
		assert.NotContains(t, made.body, "null")

		read := s.get(t, clients+"/"+client.ID)
		assertStatus(t, 200, read)
		assert.NotContains(t, read.body, client.Secret.Reveal())
		assert.Contains(t, read.body, `"description":null`)
		assert.Contains(t, read.body, `"lastUsed":null`)
		for _, got := range []reply{made, read} {
			var members map[string]any
			require.NoError(t, json.Unmarshal([]byte(got.body), &members))
			for name, want := range map[string]any{
				"name": "Demo API Client", "businessName": "Acme-Solar", "accessTokenValiditySeconds": 750.0, "refreshTokenValiditySeconds": 86400.0,
				"accessType": "OFFLINE", "enabled": true, "internal": false, "strongAuthSupported": false, "claimsSupported": false,
				"grantTypes": []any{"AUTHORIZATION_CODE", "CLIENT_CREDENTIALS", "REFRESH_TOKEN"},
			} {
				assert.Equal(t, want, members[name], name)
			}
		}
		list := s.get(t, clients)
		assert.Contains(t, list.body, client.ID)
		assert.NotContains(t, list.body, client.Secret.Reveal())

		credentials := []string{"client_id", client.ID, "client_secret", client.Secret.Reveal(), "grant_type", "client_credentials"}
		own := sendForm(t, s, "/oauth/token", credentials)
		require.Equal(t, 200, own.status, own.body)
		assert.NotContains(t, own.body, "refresh_token")
		for _, name := range []string{"user_id", "identity_id", "user_name"} {
			assert.NotContains(t, own.body, name, "the token has no user")
		}
		used := func() string { return s.get(t, clients+"/"+client.ID).text(t, "lastUsed") }
		assert.Equal(t, "2000-01-01T00:00:00Z", used())
		pass(time.Minute)
		sendForm(t, s, "/oauth/token", credentials)
		assert.Equal(t, "2000-01-01T00:00:00Z", used(), "it is updated once a day")

		ownToken := bearer(own.text(t, "access_token"))
		assertStatus(t, 200, send(t, s, http.MethodGet, clients+"/"+client.ID, "", "", ownToken))
		assertStatus(t, 403, send(t, s, http.MethodGet, clients, "", "", ownToken))

		assertStatus(t, 200, s.patch(t, client.ID, `[{"op": "replace", "path": "/enabled", "value": false}]`))
		assertStatus(t, 401, sendForm(t, s, "/oauth/token", credentials))
		assertStatus(t, 200, s.patch(t, client.ID, `[{"op": "replace", "path": "/enabled", "value": true}]`))

		pass(24 * time.Hour)
		sendForm(t, s, "/oauth/token", credentials)
		s.token = sendForm(t, s, "/oauth/token", inBody("grant_type", "client_credentials")).text(t, "access_token")
		assert.Equal(t, "2000-01-02T00:01:00Z", used())

		own = sendForm(t, s, "/oauth/token", credentials)
		deleted := send(t, s, http.MethodDelete, clients+"/"+client.ID, "", "", bearer(s.token))
		assertStatus(t, 204, deleted)
		assert.Empty(t, deleted.body)
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			assertStatus(t, 404, send(t, s, method, clients+"/"+client.ID, "", "", bearer(s.token)))
		}
		assertStatus(t, 404, s.patch(t, client.ID, `[]`))
		assertStatus(t, 401, sendForm(t, s, "/oauth/token", credentials))
		assertStatus(t, 401, send(t, s, http.MethodGet, clients+"/"+client.ID, "", "", bearer(own.text(t, "access_token"))))
	})
}

func TestCreateKeepsWhatIsSet(t *testing.T) {
	s := newTenant(t, nil)
	const optional = `"homepageUrl": "https://example.com", "businessName": "Example", "description": "for a test", "type": "PUBLIC",
		"internal": true, "strongAuthSupported": true, "claimsSupported": true, "refreshTokenValiditySeconds": 0, "scope": ["a", "b"]`
	made := s.create(t, `{"name": "n", "accessTokenValiditySeconds": 1, "accessType": "ONLINE", "enabled": false,
		"grantTypes": ["CLIENT_CREDENTIALS"], `+optional+`}`)
	require.Equal(t, 200, made.status, made.body)
	for _, got := range []reply{made, s.get(t, clients+"/"+made.text(t, "id"))} {
		var want, members map[string]any
		require.NoError(t, json.Unmarshal([]byte("{"+optional+"}"), &want))
		require.NoError(t, json.Unmarshal([]byte(got.body), &members))
		assert.Subset(t, members, want)
		assert.Equal(t, false, members["enabled"])
	}
}

func TestCreateFillsInDefaults(t *testing.T) {
	s := newTenant(t, nil)
	made := s.create(t, `{"name": "n", "description": null, "accessTokenValiditySeconds": 1, "accessType": "ONLINE", "enabled": true,
		"grantTypes": ["CLIENT_CREDENTIALS"]}`)
	require.Equal(t, 200, made.status, made.body)
	var members map[string]any
	require.NoError(t, json.Unmarshal([]byte(made.body), &members))
	assert.Subset(t, members, map[string]any{"refreshTokenValiditySeconds": 86400.0, "redirectUris": []any{}, "description": "", "type": "CONFIDENTIAL",
		"scope": []any{"sp:scopes:all"}, "businessName": "", "homepageUrl": "", "internal": false, "strongAuthSupported": false, "claimsSupported": false})
}

// The sample client is that of the vendor's documentation.
func TestSampleClient(t *testing.T) {
	assert.JSONEq(t, `{"id": "ef38f94347e94562b5bb8424a56397d8", "name": "Demo API Client", "businessName": "Acme-Solar",
		"homepageUrl": "http://localhost:12345", "description": "A client for demonstrations.", "accessTokenValiditySeconds": 750,
		"refreshTokenValiditySeconds": 86400, "redirectUris": ["http://localhost:12345"],
		"grantTypes": ["AUTHORIZATION_CODE", "CLIENT_CREDENTIALS", "REFRESH_TOKEN"], "accessType": "OFFLINE", "type": "CONFIDENTIAL",
		"internal": false, "enabled": true, "strongAuthSupported": false, "claimsSupported": false,
		"created": "2017-07-11T18:45:37.098Z", "modified": "2017-07-11T18:45:37.098Z", "lastUsed": "2017-07-11T18:45:37.098Z",
		"scope": ["demo:api-client-scope:first", "demo:api-client-scope:second"]}`,
		newTenant(t, nil).get(t, clients+"/"+sandbox.SampleClientID).body)
}

func TestCreateRefusals(t *testing.T) {
	s := newTenant(t, nil)
	edited := func(name, value string) string {
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(sampleCreate), &members))
		members[name] = json.RawMessage(value)
		if value == "" {
			delete(members, name)
		}
		body, err := json.Marshal(members)
		require.NoError(t, err)
		return string(body)
	}
	for _, name := range []string{"name", "description", "accessTokenValiditySeconds", "grantTypes", "accessType", "enabled"} {
		got := s.create(t, edited(name, ""))
		assertStatus(t, 400, got)
		assert.Contains(t, got.body, name+" is required")
	}
	for _, tt := range []struct{ name, value string }{
		{"name", `null`}, {"name", `""`}, {"name", `1`}, {"description", `{}`}, {"description", `1e999`},
		{"accessTokenValiditySeconds", `0`}, {"accessTokenValiditySeconds", `1.5`}, {"accessTokenValiditySeconds", `2147483648`},
		{"accessTokenValiditySeconds", `"750"`}, {"refreshTokenValiditySeconds", `-1`}, {"refreshTokenValiditySeconds", `"1"`},
		{"grantTypes", `[]`}, {"grantTypes", `null`}, {"grantTypes", `["PASSWORD"]`}, {"grantTypes", `"CLIENT_CREDENTIALS"`},
		{"accessType", `"SOMETIMES"`}, {"enabled", `"true"`}, {"enabled", `null`}, {"type", `"OTHER"`},
		{"redirectUris", `null`}, {"redirectUris", `[null]`}, {"redirectUris", `"a"`}, {"scope", `["a", 1]`},
	} {
		got := s.create(t, edited(tt.name, tt.value))
		assert.Equal(t, 400, got.status, "%s %s: %s", tt.name, tt.value, got.body)
		assert.Contains(t, got.body, tt.name, "%s %s", tt.name, tt.value)
	}
	assert.Contains(t, s.create(t, edited("accessTokenValiditySeconds", `750.0`)).body, "a member has the wrong type")
	for _, body := range []string{``, `null`, `[]`, `{`, sampleCreate + `{}`} {
		got := s.create(t, body)
		assertStatus(t, 400, got)
		assert.Contains(t, got.body, "the body must be a JSON object")
	}
	assertStatus(t, 400, send(t, s, http.MethodPost, clients, "text/plain", sampleCreate, bearer(s.token)))
	assertStatus(t, 200, s.create(t, edited("grantTypes", `["CLIENT_CREDENTIALS"]`)))
	assertStatus(t, 200, s.create(t, edited("accessTokenValiditySeconds", `2147483647`)))
	assertStatus(t, 200, s.create(t, edited("scope", `[]`)))

	var list []sailpoint.OAuthClient
	require.NoError(t, json.Unmarshal([]byte(s.get(t, clients).body), &list))
	assert.Len(t, list, 4, "a refused client is not created")
}

func TestPatch(t *testing.T) {
	for _, tt := range []struct {
		name, patch string
		status      int
		field, want string // of the client after the patch
	}{
		{"text", `[{"op": "replace", "path": "/businessName", "value": "acme-solar"}]`, 200, "businessName", `"acme-solar"`},
		{"null", `[{"op": "replace", "path": "/homepageUrl", "value": null}]`, 200, "homepageUrl", `null`},
		{"remove", `[{"op": "remove", "path": "/description"}]`, 200, "description", `null`},
		{"list element", `[{"op": "add", "path": "/redirectUris/-", "value": "https://example.com"}]`, 200, "redirectUris", `["http://localhost:12345", "https://example.com"]`},
		{"list null", `[{"op": "add", "path": "/redirectUris", "value": null}]`, 200, "redirectUris", `null`},
		{"list empty", `[{"op": "replace", "path": "/redirectUris", "value": []}]`, 200, "redirectUris", `[]`},
		{"list removed", `[{"op": "remove", "path": "/redirectUris"}]`, 200, "redirectUris", `null`},
		{"grant types", `[{"op": "remove", "path": "/grantTypes/0"}]`, 200, "grantTypes", `["CLIENT_CREDENTIALS", "REFRESH_TOKEN"]`},
		{"number", `[{"op": "replace", "path": "/refreshTokenValiditySeconds", "value": 0}]`, 200, "refreshTokenValiditySeconds", `0`},
		{"test and copy", `[{"op": "test", "path": "/name", "value": "Demo API Client"}, {"op": "copy", "from": "/name", "path": "/businessName"}]`, 200, "businessName", `"Demo API Client"`},
		{"move", `[{"op": "move", "from": "/businessName", "path": "/description"}]`, 200, "businessName", `null`},
		{"tenant", `[{"op": "add", "path": "/tenant", "value": "example"}, {"op": "test", "path": "/tenant", "value": "example"}]`, 200, "tenant", ``},
		{"empty", `[]`, 200, "name", `"Demo API Client"`},

		{"failed test undoes", `[{"op": "replace", "path": "/name", "value": "x"}, {"op": "test", "path": "/enabled", "value": false}]`, 400, "name", `"Demo API Client"`},
		{"id", `[{"op": "replace", "path": "/id", "value": "x"}]`, 400, "id", `"` + sandbox.SampleClientID + `"`},
		{"secret", `[{"op": "add", "path": "/secret", "value": "x"}]`, 400, "secret", ``},
		{"type", `[{"op": "replace", "path": "/type", "value": "PUBLIC"}]`, 400, "type", `"CONFIDENTIAL"`},
		{"internal", `[{"op": "replace", "path": "/internal", "value": true}]`, 400, "internal", `false`},
		{"scope", `[{"op": "add", "path": "/scope/-", "value": "x"}]`, 400, "scope", `["demo:api-client-scope:first", "demo:api-client-scope:second"]`},
		{"lastUsed", `[{"op": "remove", "path": "/lastUsed"}]`, 400, "lastUsed", `"2017-07-11T18:45:37.098Z"`},
		{"from elsewhere", `[{"op": "copy", "from": "/id", "path": "/businessName"}]`, 400, "businessName", `"Acme-Solar"`},
		{"whole document", `[{"op": "replace", "path": "", "value": {}}]`, 400, "name", `"Demo API Client"`},
		{"name null", `[{"op": "replace", "path": "/name", "value": null}]`, 400, "name", `"Demo API Client"`},
		{"name removed", `[{"op": "remove", "path": "/name"}]`, 400, "name", `"Demo API Client"`},
		{"wrong type", `[{"op": "replace", "path": "/enabled", "value": "true"}]`, 400, "enabled", `true`},
		{"fraction", `[{"op": "replace", "path": "/accessTokenValiditySeconds", "value": 1.5}]`, 400, "accessTokenValiditySeconds", `750`},
		{"whole, but written as a fraction", `[{"op": "replace", "path": "/accessTokenValiditySeconds", "value": 60.0}]`, 400, "accessTokenValiditySeconds", `750`},
		{"zero life", `[{"op": "replace", "path": "/accessTokenValiditySeconds", "value": 0}]`, 400, "accessTokenValiditySeconds", `750`},
		{"unknown enum", `[{"op": "replace", "path": "/accessType", "value": "x"}]`, 400, "accessType", `"OFFLINE"`},
		{"tenant never set", `[{"op": "remove", "path": "/tenant"}]`, 400, "tenant", ``},
		{"tenant a number", `[{"op": "add", "path": "/tenant", "value": 1}]`, 400, "tenant", ``},
		{"missing value", `[{"op": "replace", "path": "/name"}]`, 400, "name", `"Demo API Client"`},
		{"unknown op", `[{"op": "set", "path": "/name", "value": "x"}]`, 400, "name", `"Demo API Client"`},
		{"not a patch", `{"name": "x"}`, 400, "name", `"Demo API Client"`},
		{"from the whole document", `[{"op": "copy", "from": "", "path": "/description"}]`, 400, "description", `"A client for demonstrations."`},
		{"null patch", `null`, 400, "name", `"Demo API Client"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTenant(t, nil)
			got := s.patch(t, sandbox.SampleClientID, tt.patch)
			require.Equal(t, tt.status, got.status, got.body)
			after := s.get(t, clients+"/"+sandbox.SampleClientID)
			if tt.status == 200 {
				assert.Equal(t, after.body, got.body)
				assert.NotContains(t, got.body, `"modified":"2017`)
			} else {
				assert.Contains(t, got.body, "400.1 Bad Request Content")
				assert.Contains(t, after.body, `"modified":"2017`)
			}
			var members map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(after.body), &members))
			if tt.want == "" {
				assert.NotContains(t, members, tt.field)
				return
			}
			assert.JSONEq(t, tt.want, string(members[tt.field]))
		})
	}
}

func TestPatchNamesTheOperationThatIsNotAllowed(t *testing.T) {
	s := newTenant(t, nil)
	for _, second := range []string{
		`{"op": "replace", "path": "/id", "value": "x"}`,
		`{"op": "copy", "from": "/id", "path": "/businessName"}`,
		`{"op": "test", "path": "/scope", "value": []}`,
	} {
		got := s.patch(t, sandbox.SampleClientID, `[{"op": "remove", "path": "/description"}, `+second+`]`)
		assertStatus(t, 400, got)
		assert.Contains(t, got.body, "operation 1: this path cannot be patched")
	}
}

func TestTenantIsKeptBetweenPatches(t *testing.T) {
	s := newTenant(t, nil)
	assertStatus(t, 200, s.patch(t, sandbox.SampleClientID, `[{"op": "add", "path": "/tenant", "value": "example"}]`))
	assertStatus(t, 200, s.patch(t, sandbox.SampleClientID, `[{"op": "test", "path": "/tenant", "value": "example"}]`))
	assertStatus(t, 200, s.patch(t, sandbox.SampleClientID, `[{"op": "remove", "path": "/tenant"}]`))
	assertStatus(t, 400, s.patch(t, sandbox.SampleClientID, `[{"op": "test", "path": "/tenant", "value": "example"}]`))
}

// Clients from the options can be patched like any other.
func TestSeededClientsCanBePatched(t *testing.T) {
	s := newTenant(t, &sandbox.SailPointOptions{Strict: true, OAuthClients: []sailpoint.OAuthClient{
		{ID: "bare"}, {ID: "named", Name: "Named"}, {ID: "odd", Type: "of the future"}}})
	for _, id := range []string{"bare", "named", "odd"} {
		got := s.patch(t, id, `[{"op": "replace", "path": "/enabled", "value": true}]`)
		assertStatus(t, 200, got)
		assert.Contains(t, got.body, `"grantTypes":["CLIENT_CREDENTIALS"]`)
		assert.Contains(t, got.body, `"accessTokenValiditySeconds":750`)
	}
}

func TestFilters(t *testing.T) {
	seed := func(id string, used time.Time) sailpoint.OAuthClient {
		return sailpoint.OAuthClient{ID: id, Name: id, LastUsed: new(wire.NewTime(used))}
	}
	s := newTenant(t, &sandbox.SailPointOptions{Strict: true, RateLimit: sandbox.Limit{Requests: -1}, OAuthClients: []sailpoint.OAuthClient{
		seed("old", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)),
		seed("new", time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)),
		{ID: "never", Name: "never"},
	}})
	list := func(filters string) (int, string) {
		got := send(t, s, http.MethodGet, clients, "", "", bearer(s.token), query("filters="+url.QueryEscape(filters)))
		if got.status != 200 {
			return got.status, ""
		}
		var found []sailpoint.OAuthClient
		require.NoError(t, json.Unmarshal([]byte(got.body), &found))
		var ids []string
		for _, c := range found {
			ids = append(ids, c.ID)
		}
		return got.status, strings.Join(ids, " ")
	}
	for filters, want := range map[string]string{
		"lastUsed le 2023-02-05T10:59:27.214Z":                                      "old",
		"lastUsed le 2025-01-01T01:00:00+01:00":                                     "old new",
		"lastUsed isnull":                                                           "never",
		"lastUsed isnull and lastUsed le 2023-02-05T10:59:27.214Z":                  "",
		"lastUsed le 2030-01-01T00:00:00Z and lastUsed le 2023-01-01T00:00:00Z":     "old",
		"lastUsed  isnull and lastUsed isnull and lastUsed isnull":                  "never",
		"lastUsed le 2023-01-01T00:00:00.000Z and lastUsed le 2030-01-01T00:00:00Z": "old",
	} {
		status, got := list(filters)
		assert.Equal(t, 200, status, filters)
		assert.Equal(t, want, got, filters)
	}
	for _, filters := range []string{
		"", " ", "lastUsed", "lastUsed ge 2023-02-05T10:59:27Z", "lastUsed le", "lastUsed le yesterday",
		`lastUsed le "2023-02-05T10:59:27Z"`, "lastUsed LE 2023-02-05T10:59:27Z", "name eq x", "created isnull", "created le 2023-02-05T10:59:27Z", "lastUsed pr", "pr lastUsed",
		"(lastUsed isnull)", "lastUsed isnull and", "not lastUsed isnull", "lastUsed isnull lastUsed isnull",
		"and lastUsed isnull", "lastUsed isnull or lastUsed isnull", "lastUsed isnull AND lastUsed isnull",
	} {
		status, _ := list(filters)
		assert.Equal(t, 400, status, filters)
	}
	for _, raw := range []string{"limit=10", "filters=lastUsed%20isnull&filters=lastUsed%20isnull", "filters=%zz"} {
		assertStatus(t, 400, send(t, s, http.MethodGet, clients, "", "", bearer(s.token), query(raw)))
	}
}

func TestPathsOfEachVersion(t *testing.T) {
	s := newTenant(t, nil)
	for _, prefix := range []string{"/beta/oauth-clients", "/v3/oauth-clients", "/v2024/oauth-clients", "/v2025/oauth-clients", "/v2026/oauth-clients", "/oauth-clients/v1"} {
		assertStatus(t, 200, s.get(t, prefix))
		assertStatus(t, 200, s.get(t, prefix+"/"+sandbox.SampleClientID))
	}
	for _, path := range []string{"/beta", "/oauth-clients", "/v1/oauth-clients", "/oauth-clients/v1x", "/oauth-clients/v1/", "/beta/oauth-clients/", "/beta/oauth-clients/a/b", "/beta//oauth-clients"} {
		got := s.get(t, path)
		assertStatus(t, 404, got)
		assert.Contains(t, got.body, "no such path", path)
	}
	assert.Contains(t, s.get(t, clients+"/a%2Fb").body, "no such client")
	wrong := send(t, s, http.MethodPut, clients, "", "", bearer(s.token))
	assertStatus(t, 405, wrong)
	assert.Equal(t, "GET, POST", wrong.header.Get("Allow"))
}

func TestAuthorization(t *testing.T) {
	type row struct {
		name           string
		client         sandbox.Client
		read, one, all int // the status of list, get and create
	}
	for _, tt := range []row{
		{"everything", sandbox.Client{User: "u"}, 200, 200, 400},
		{"read", sandbox.Client{User: "u", Scopes: []string{"sp:oauth-client:read"}}, 200, 200, 403},
		{"manage", sandbox.Client{User: "u", Scopes: []string{"sp:oauth-client:manage"}}, 200, 200, 400},
		{"other scope", sandbox.Client{User: "u", Scopes: []string{"sp:scopes:default"}}, 403, 403, 403},
		{"no user", sandbox.Client{}, 403, 200, 403},
	} {
		tt.client.ID, tt.client.Secret = sandbox.ClientID, sandbox.ClientSecret
		s := newTenant(t, &sandbox.SailPointOptions{Clients: []sandbox.Client{tt.client}})
		assert.Equal(t, tt.read, s.get(t, clients).status, tt.name)
		assert.Equal(t, tt.one, s.get(t, clients+"/"+sandbox.SampleClientID).status, tt.name)
		assert.Equal(t, tt.all, s.create(t, "{}").status, tt.name)
	}

	narrow := newTenant(t, nil, "scope", "sp:oauth-client:read")
	got := narrow.create(t, sampleCreate)
	assertStatus(t, 403, got)
	assert.Contains(t, got.body, `"detailCode":"403 Forbidden"`)

	s := newTenant(t, &sandbox.SailPointOptions{Strict: true})
	for _, edits := range [][]edit{
		{}, {basic(sandbox.ClientID, sandbox.ClientSecret)}, {bearer("unknown")}, {bearer(s.token), bearer(s.token)},
		{header("Authorization", s.token)}, {query("access_token=" + s.token)},
	} {
		assertStatus(t, 401, send(t, s, http.MethodGet, clients, "", "", edits...))
	}
	assertStatus(t, 200, send(t, s, http.MethodGet, clients, "", "", header("Authorization", "bearer "+s.token)))
	assertStatus(t, 400, send(t, s, http.MethodGet, clients, "", "x", bearer(s.token)))
	assertStatus(t, 400, send(t, s, http.MethodDelete, clients+"/"+sandbox.SampleClientID, "", "", bearer(s.token), query("force=true")))
}
