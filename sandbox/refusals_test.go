package sandbox_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
)

// endpoints accept credentials in a form; with fields, a request is valid.
var endpoints = []struct {
	name, path string
	fields     []string
	unsigned   int // the status without valid credentials
}{
	{"ThousandEyes token", "/v7/oauth2/token", []string{"grant_type", "client_credentials"}, 401},
	{"Moov token", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", "/ping.read"}, 400},
	{"Moov revoke", "/oauth2/revoke", []string{"token", "some-token"}, 400},
	{"SailPoint token", "/oauth/token", []string{"grant_type", "client_credentials"}, 401},
}

func TestCredentialEndpointsAcceptAndRefuse(t *testing.T) {
	for _, endpoint := range endpoints {
		t.Run(endpoint.name, func(t *testing.T) {
			h := sandbox.NewStrict()
			good := inBody(endpoint.fields...)
			encoded := "client_id=" + sandbox.ClientID + "&client_secret=" + sandbox.ClientSecret
			for i := 0; i < len(endpoint.fields); i += 2 {
				encoded += "&" + endpoint.fields[i] + "=" + strings.ReplaceAll(endpoint.fields[i+1], "/", "%2F")
			}
			post := func(contentType, body string, edits ...edit) reply {
				return send(t, h, http.MethodPost, endpoint.path, contentType, body, edits...)
			}

			assert.Less(t, sendForm(t, h, endpoint.path, good).status, 300, "body")
			assert.Less(t, sendForm(t, h, endpoint.path, endpoint.fields, basic(sandbox.ClientID, sandbox.ClientSecret)).status, 300, "Basic")
			assert.Less(t, post(formType+"; charset=utf-8", encoded).status, 300, "charset")

			for _, refused := range []struct {
				name   string
				status int
				got    reply
			}{
				{"no credentials", endpoint.unsigned, sendForm(t, h, endpoint.path, endpoint.fields)},
				{"wrong secret", endpoint.unsigned, sendForm(t, h, endpoint.path, endpoint.fields, basic(sandbox.ClientID, "wrong"))},
				{"unknown client", endpoint.unsigned, sendForm(t, h, endpoint.path, endpoint.fields, basic("nobody", sandbox.ClientSecret))},
				{"Bearer", endpoint.unsigned, sendForm(t, h, endpoint.path, endpoint.fields, bearer("some-token"))},
				{"broken encoding in Basic", endpoint.unsigned, sendForm(t, h, endpoint.path, endpoint.fields, basic("%zz", "x"))},
				{"Basic and body", 400, sendForm(t, h, endpoint.path, good, basic(sandbox.ClientID, sandbox.ClientSecret))},
				{"Basic and client_id", 400, sendForm(t, h, endpoint.path,
					append([]string{"client_id", sandbox.ClientID}, endpoint.fields...), basic(sandbox.ClientID, sandbox.ClientSecret))},
				{"two Authorization headers", 400, sendForm(t, h, endpoint.path, endpoint.fields,
					basic(sandbox.ClientID, sandbox.ClientSecret), header("Authorization", "Basic eDp5"))},
				{"credentials in the query", 400, post(formType, encoded, query("client_secret="+sandbox.ClientSecret))},
				{"field in the query", 400, post(formType, encoded, query("scope=x"))},
				{"empty query", 400, post(formType, encoded, func(r *http.Request) { r.URL.ForceQuery = true })},
				{"doubled field", 400, post(formType, encoded+"&client_id="+sandbox.ClientID)},
				{"empty field", 400, post(formType, encoded+"&client_id=")},
				{"unknown field", 400, post(formType, encoded+"&audience=x")},
				{"no equals sign", 400, post(formType, encoded+"&x")},
				{"stray ampersand", 400, post(formType, encoded+"&")},
				{"bad escape", 400, post(formType, encoded+"&x=%zz")},
				{"not UTF-8", 400, post(formType, strings.Replace(encoded, sandbox.ClientID, "%ff", 1))},
				{"GET", 405, send(t, h, http.MethodGet, endpoint.path, "", "")},
				{"slash at the end", 404, post(formType, encoded)},
				{"too large", 413, post(formType, encoded+"&x="+strings.Repeat("x", 1<<20))},
			} {
				if refused.name == "slash at the end" {
					refused.got = send(t, h, http.MethodPost, endpoint.path+"/", formType, encoded)
				}
				assert.Equal(t, refused.status, refused.got.status, "%s: %s", refused.name, refused.got.body)
				assert.NotContains(t, refused.got.body, sandbox.ClientSecret, refused.name)
			}
			assert.Equal(t, "POST", send(t, h, http.MethodDelete, endpoint.path, "", "").header.Get("Allow"))

			media := 400
			if endpoint.path == "/v7/oauth2/token" {
				media = 415
			}
			for _, contentType := range []string{"", "text/plain", "multipart/form-data; boundary=x", formType + "; charset=latin1", formType + "; charset"} {
				assert.Equal(t, media, post(contentType, encoded).status, "content type %q", contentType)
			}
			assert.Equal(t, media, post(formType, encoded, header("Content-Type", formType)).status, "two content types")
		})
	}
}

func TestMoovJSONBodies(t *testing.T) {
	h := sandbox.NewStrict()
	credentials := `"client_id": "` + sandbox.ClientID + `", "client_secret": "` + sandbox.ClientSecret + `"`
	for _, tt := range []struct {
		name, body string
		status     int
	}{
		{"good", `{` + credentials + `, "grant_type": "client_credentials", "scope": "/ping.read"}`, 200},
		{"empty", ``, 400},
		{"not an object", `[]`, 400},
		{"cut", `{` + credentials, 400},
		{"cut before its end", `{` + credentials + `, "grant_type": "client_credentials", "scope": "/ping.read"`, 400},
		{"cut in a name", `{` + credentials + `, "gr`, 400},
		{"cut before a value", `{` + credentials + `, "grant_type":`, 400},
		{"no value", `{` + credentials + `, "grant_type": client}`, 400},
		{"another bracket", `{` + credentials + `, "grant_type": "client_credentials", "scope": "/ping.read"]`, 400},
		{"refresh token of the wrong type", `{` + credentials + `, "grant_type": "refresh_token", "refresh_token": 1}`, 422},
		{"two values", `{` + credentials + `, "grant_type": "client_credentials", "scope": "/ping.read"} {}`, 400},
		{"doubled member", `{` + credentials + `, "grant_type": "client_credentials", "grant_type": "client_credentials", "scope": "a"}`, 400},
		{"unknown member", `{` + credentials + `, "grant_type": "client_credentials", "scope": "a", "audience": "a"}`, 400},
		{"unknown member of another type", `{` + credentials + `, "grant_type": "client_credentials", "scope": "a", "audience": ["a"]}`, 400},
		{"null", `{` + credentials + `, "grant_type": null, "scope": "a"}`, 400},
		{"empty member", `{` + credentials + `, "grant_type": "", "scope": "a"}`, 400},
		{"scope of the wrong type", `{` + credentials + `, "grant_type": "client_credentials", "scope": ["a"]}`, 422},
	} {
		got := send(t, h, http.MethodPost, "/oauth2/token", "application/json", tt.body)
		assert.Equal(t, tt.status, got.status, "%s: %s", tt.name, got.body)
		if tt.status == 400 {
			assert.Equal(t, "invalid_request", got.text(t, "error"), tt.name)
		}
	}
}

func TestBasicIsFormDecodedUnlessRaw(t *testing.T) {
	odd := sandbox.Client{ID: "id:with/odd+chars", Secret: "p%25+w d:&=/~"}
	const encodedID, encodedSecret = "id%3Awith%2Fodd%2Bchars", "p%2525%2Bw+d%3A%26%3D%2F~"
	token := inBody("grant_type", "client_credentials", "scope", "/ping.read")[4:]

	encoded := sandbox.NewMoov(&sandbox.MoovOptions{Clients: []sandbox.Client{odd}})
	assertStatus(t, 200, sendForm(t, encoded, "/oauth2/token", token, basic(encodedID, encodedSecret)))
	assertStatus(t, 400, sendForm(t, encoded, "/oauth2/token", token, basic(odd.ID, odd.Secret)))
	sp := sandbox.NewSailPoint(&sandbox.SailPointOptions{Clients: []sandbox.Client{odd}})
	assertStatus(t, 200, sendForm(t, sp, "/oauth/token", token[:2], basic(encodedID, encodedSecret)))
	assertStatus(t, 401, sendForm(t, sp, "/oauth/token", token[:2], basic(odd.ID, odd.Secret)))

	// If Basic is not decoded, a colon ends the id.
	odd.ID = "id/with/odd+chars"
	raw := sandbox.NewMoov(&sandbox.MoovOptions{Clients: []sandbox.Client{odd}, RawBasic: true})
	assertStatus(t, 200, sendForm(t, raw, "/oauth2/token", token, basic(odd.ID, odd.Secret)))
	assertStatus(t, 400, sendForm(t, raw, "/oauth2/token", token, basic("id%2Fwith%2Fodd%2Bchars", encodedSecret)))

	te := sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{Clients: []sandbox.Client{odd}, RawBasic: true})
	assertStatus(t, 200, sendForm(t, te, "/v7/oauth2/token", token[:2], basic(odd.ID, odd.Secret)))
}

func TestClientWithoutASecretIsNobody(t *testing.T) {
	clients := []sandbox.Client{{ID: sandbox.ClientID}}
	h := sandbox.New(
		sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{Clients: clients}),
		sandbox.NewMoov(&sandbox.MoovOptions{Clients: clients}),
		sandbox.NewSailPoint(&sandbox.SailPointOptions{Clients: clients}),
	)
	for _, endpoint := range endpoints {
		inForm := append([]string{"client_id", sandbox.ClientID}, endpoint.fields...)
		assert.Equal(t, endpoint.unsigned, sendForm(t, h, endpoint.path, inForm).status, endpoint.name)
		assert.Equal(t, endpoint.unsigned, sendForm(t, h, endpoint.path, endpoint.fields, basic(sandbox.ClientID, "")).status, endpoint.name)
	}
}

func TestGrantRefusals(t *testing.T) {
	h := &sandbox.Sandbox{
		ThousandEyes: sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{Strict: true, Clients: []sandbox.Client{
			{ID: sandbox.ClientID, Secret: sandbox.ClientSecret, Scopes: []string{"read"}}}}),
		Moov: sandbox.NewMoov(&sandbox.MoovOptions{Strict: true, Clients: []sandbox.Client{
			{ID: sandbox.ClientID, Secret: sandbox.ClientSecret, Scopes: []string{"/ping.read"}, Origins: []string{"https://example.com"}}}}),
		SailPoint: sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true, Clients: []sandbox.Client{
			{ID: sandbox.ClientID, Secret: sandbox.ClientSecret, Scopes: []string{"sp:oauth-client:read"}}}}),
	}
	origin := header("Origin", "https://example.com")
	users := sandbox.New(sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{UserTokens: []string{"one", "two"}}))
	for user, status := range map[string]int{"one": 200, "two": 200, "three": 400, sandbox.UserToken: 400} {
		form := inBody("grant_type", "client_credentials", "thousandeyes_bearer_token", user)
		assertStatus(t, status, sendForm(t, users, "/v7/oauth2/token", form))
	}
	for _, tt := range []struct {
		name, path string
		fields     []string
		edit       edit
		status     int
		body       string
	}{
		{"TE no grant", "/v7/oauth2/token", nil, origin, 400, "grant_type must be client_credentials"},
		{"TE other grant", "/v7/oauth2/token", []string{"grant_type", "refresh_token"}, origin, 400, "grant_type"},
		{"TE two clients", "/v7/oauth2/token", []string{"grant_type", "client_credentials", "client_id", "a", "client_id", "b"}, origin, 400, `"field":1`},
		{"TE scope", "/v7/oauth2/token", []string{"grant_type", "client_credentials", "scope", "write"}, origin, 400, `"field":4`},
		{"TE two spaces", "/v7/oauth2/token", []string{"grant_type", "client_credentials", "scope", "a  b"}, origin, 400, `"field":4`},
		{"TE user", "/v7/oauth2/token", []string{"grant_type", "client_credentials", "thousandeyes_bearer_token", "x"}, origin, 400, `"field":5`},
		{"TE user known", "/v7/oauth2/token", []string{"grant_type", "client_credentials", "thousandeyes_bearer_token", sandbox.UserToken}, origin, 200, ""},
		{"Moov no grant", "/oauth2/token", []string{"scope", "/ping.read"}, origin, 400, `{"error":"invalid_request"}`},
		{"Moov other grant", "/oauth2/token", []string{"grant_type", "password"}, origin, 400, `{"error":"unsupported_grant_type"}`},
		{"Moov no scope", "/oauth2/token", []string{"grant_type", "client_credentials"}, origin, 422, `{"scope":"is required"}`},
		{"Moov empty scope", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", ""}, origin, 422, `{"scope":"must not be empty; leave it out"}`},
		{"Moov two spaces", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", "a  b"}, origin, 422, `{"scope":"is malformed"}`},
		{"Moov quoted scope", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", `"a"`}, origin, 422, `{"scope":"is malformed"}`},
		{"Moov scope with a backslash", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", `a\b`}, origin, 422, `{"scope":"is malformed"}`},
		{"Moov scope with a tab", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", "a\tb"}, origin, 422, `{"scope":"is malformed"}`},
		{"Moov scope with a control character", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", "a\x7f"}, origin, 422, `{"scope":"is malformed"}`},
		{"Moov scope of punctuation", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", "!#[]~"}, origin, 400, `{"error":"invalid_scope"}`},
		{"Moov scope beyond ASCII", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", "é"}, origin, 422, `{"scope":"is malformed"}`},
		{"Moov other scope", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", "/accounts.read"}, origin, 400, `{"error":"invalid_scope"}`},
		{"Moov grant mixed", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", "/ping.read", "refresh_token", "x"}, origin, 400, `{"error":"invalid_request"}`},
		{"Moov no refresh token", "/oauth2/token", []string{"grant_type", "refresh_token"}, origin, 422, `{"refresh_token":"is required"}`},
		{"Moov unknown refresh token", "/oauth2/token", []string{"grant_type", "refresh_token", "refresh_token", "x"}, origin, 400, `{"error":"invalid_grant"}`},
		{"Moov other origin", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", "/ping.read"}, header("Origin", "https://example.org"), 400, `{"error":"unauthorized_client"}`},
		{"Moov no origin", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", "/ping.read"}, header("X", "x"), 400, `{"error":"unauthorized_client"}`},
		{"Moov referer", "/oauth2/token", []string{"grant_type", "client_credentials", "scope", "/ping.read"}, header("Referer", "https://example.com"), 200, ""},
		{"Moov no token", "/oauth2/revoke", nil, origin, 422, `{"token":"is required"}`},
		{"Moov hint", "/oauth2/revoke", []string{"token", "x", "token_type_hint", "id_token"}, origin, 422, `{"token_type_hint":"is unknown"}`},
		{"Moov token doubled", "/oauth2/revoke", []string{"token", "x", "token", "y"}, origin, 422, `{"token":"must not be sent twice"}`},
		{"Moov hint empty", "/oauth2/revoke", []string{"token", "x", "token_type_hint", ""}, origin, 422, `{"token_type_hint":"must not be empty; leave it out"}`},
		{"Moov refresh token doubled", "/oauth2/token", []string{"refresh_token", "x", "refresh_token", "y"}, origin, 422, `{"refresh_token":"must not be sent twice"}`},
		{"SailPoint no grant", "/oauth/token", nil, origin, 400, "grant_type is required"},
		{"SailPoint other grant", "/oauth/token", []string{"grant_type", "password"}, origin, 400, "unsupported_grant_type"},
		{"SailPoint grant not had", "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", "x"}, origin, 400, "unauthorized_client"},
		{"SailPoint grants mixed", "/oauth/token", []string{"grant_type", "client_credentials", "refresh_token", "x"}, origin, 400, "invalid_request"},
		{"SailPoint two spaces", "/oauth/token", []string{"grant_type", "client_credentials", "scope", "sp:scopes:default  x"}, origin, 400, "invalid_scope"},
		{"SailPoint scope had", "/oauth/token", []string{"grant_type", "client_credentials", "scope", "sp:oauth-client:read"}, origin, 200, ""},
		{"SailPoint scope", "/oauth/token", []string{"grant_type", "client_credentials", "scope", "sp:scopes:all"}, origin, 400, "invalid_scope"},
	} {
		got := sendForm(t, h, tt.path, inBody(tt.fields...), tt.edit)
		assert.Equal(t, tt.status, got.status, "%s: %s", tt.name, got.body)
		assert.Contains(t, got.body, tt.body, tt.name)
	}
}

func TestErrorShapes(t *testing.T) {
	h := sandbox.New()

	te := sendForm(t, h, "/v7/oauth2/token", inBody())
	assert.Equal(t, "application/problem+json", te.header.Get("Content-Type"))
	assert.JSONEq(t, `{"type": "about:blank", "title": "Bad Request", "status": 400, "instance": "/v7/oauth2/token",
		"detail": "grant_type must be client_credentials",
		"errors": [{"code": "INVALID", "field": 3, "message": "must be client_credentials"}]}`, te.body)
	te = sendForm(t, h, "/v7/oauth2/token", nil)
	assert.JSONEq(t, `{"error": "invalid_client", "error_description": "client_id and client_secret are needed"}`, te.body)

	te = sendForm(t, h, "/v7/oauth2/token", inBody("grant_type", "client_credentials")[:2], bearer("x"))
	assert.JSONEq(t, `{"error": "invalid_client", "error_description": "the Authorization header must be of the Basic scheme"}`, te.body)
	for _, user := range [][2]string{{"%zz", "x"}, {sandbox.ClientID, "%zz"}} {
		te = sendForm(t, h, "/v7/oauth2/token", []string{"grant_type", "client_credentials"}, basic(user[0], user[1]))
		assert.JSONEq(t, `{"error": "invalid_client", "error_description": "user and password of the Authorization header must be form-encoded"}`, te.body)
	}
	te = send(t, sandbox.NewStrict(), http.MethodPost, "/v7/oauth2/token", formType, "scope")
	assert.Contains(t, te.body, `"detail":"the form is malformed"`)

	te = send(t, sandbox.NewThousandEyes(nil), http.MethodGet, "/v7/nothing", "", "")
	assertStatus(t, 404, te)
	assert.JSONEq(t, `{"type": "about:blank", "title": "Not Found", "status": 404, "detail": "no such path", "instance": "/v7/nothing"}`, te.body)

	moov := sendForm(t, h, "/oauth2/token", nil)
	assert.JSONEq(t, `{"error": "invalid_client"}`, moov.body)
	for _, got := range []reply{moov, sendForm(t, h, "/oauth2/nothing", nil), sendForm(t, h, "/oauth2/revoke", inBody("token", "x"))} {
		assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, got.header.Get("x-request-id"))
	}

	sp := send(t, h, http.MethodGet, "/beta/oauth-clients", "", "")
	assertStatus(t, 401, sp)
	assert.JSONEq(t, `{"error": "JWT validation failed: JWT is missing"}`, sp.body)
	sp = send(t, h, http.MethodGet, "/v1/oauth-clients", "", "")
	assertStatus(t, 404, sp)
	require.NotEmpty(t, sp.header.Get("SLPT-Request-ID"))
	assert.JSONEq(t, `{"detailCode": "404 Not found", "trackingId": "`+sp.header.Get("SLPT-Request-ID")+`",
		"messages": [{"locale": "en-US", "localeOrigin": "DEFAULT", "text": "no such path"}]}`, sp.body)
}

// What RFC 6749 tells servers to ignore is ignored unless the vendor is strict.
func TestLenient(t *testing.T) {
	for _, endpoint := range endpoints {
		t.Run(endpoint.name, func(t *testing.T) {
			h := sandbox.New()
			encoded := "client_id=" + sandbox.ClientID + "&client_secret=" + sandbox.ClientSecret
			for i := 0; i < len(endpoint.fields); i += 2 {
				encoded += "&" + endpoint.fields[i] + "=" + strings.ReplaceAll(endpoint.fields[i+1], "/", "%2F")
			}
			post := func(body string, edits ...edit) reply {
				return send(t, h, http.MethodPost, endpoint.path, formType, body, edits...)
			}
			for name, got := range map[string]reply{
				"unknown field":           post(encoded + "&audience=x"),
				"unknown field doubled":   post(encoded + "&audience=x&audience=y"),
				"empty field":             post(encoded + "&client_id="),
				"empty refresh token":     post(encoded + "&refresh_token="),
				"another grant's field":   post(encoded + "&refresh_token=x"),
				"no equals sign":          post(encoded + "&x"),
				"stray ampersand":         post(encoded + "&"),
				"field in the query":      post(encoded, query("scope=x")),
				"Basic and its client_id": sendForm(t, h, endpoint.path, append([]string{"client_id", sandbox.ClientID}, endpoint.fields...), basic(sandbox.ClientID, sandbox.ClientSecret)),
			} {
				assert.Less(t, got.status, 300, "%s: %s", name, got.body)
			}
			for name, got := range map[string]reply{
				"doubled field":            post(encoded + "&client_id=" + sandbox.ClientID),
				"bad escape":               post(encoded + "&x=%zz"),
				"bad escape in a name":     post(encoded + "&%zz=x"),
				"Basic and another client": sendForm(t, h, endpoint.path, append([]string{"client_id", "other"}, endpoint.fields...), basic(sandbox.ClientID, sandbox.ClientSecret)),
				"Basic and body":           sendForm(t, h, endpoint.path, inBody(endpoint.fields...), basic(sandbox.ClientID, sandbox.ClientSecret)),
				"credentials in the query": post(strings.Join(endpoint.fields, "="), query("client_id="+sandbox.ClientID+"&client_secret="+sandbox.ClientSecret)),
				"two Authorizations":       sendForm(t, h, endpoint.path, endpoint.fields, basic(sandbox.ClientID, sandbox.ClientSecret), header("Authorization", "Basic eDp5")),
			} {
				assert.GreaterOrEqual(t, got.status, 400, name)
			}
		})
	}

	h := sandbox.New()
	for name, body := range map[string]string{
		"unknown member": `"audience": ["a"]`, "null": `"refresh_token": null`, "empty": `"refresh_token": ""`,
	} {
		got := send(t, h, http.MethodPost, "/oauth2/token", "application/json", `{"client_id": "`+sandbox.ClientID+
			`", "client_secret": "`+sandbox.ClientSecret+`", "grant_type": "client_credentials", "scope": "/ping.read", `+body+`}`)
		assert.Equal(t, 200, got.status, "%s: %s", name, got.body)
	}
	s := newTenant(t, nil)
	assertStatus(t, 200, send(t, s, http.MethodGet, clients, "application/json", "{}", bearer(s.token), query("limit=10&filters=")))
	doubled := send(t, s, http.MethodGet, clients, "", "", bearer(s.token), query("filters=a&filters=b"))
	assertStatus(t, 400, doubled)
	assert.Contains(t, doubled.body, "filters must be sent once, with a value")
}

// RFC 6749, sections 5.1 and 5.2, and RFC 6750, section 3.
func TestHeadersOfTokenResponses(t *testing.T) {
	h := sandbox.New()
	for _, endpoint := range endpoints {
		got := sendForm(t, h, endpoint.path, inBody(endpoint.fields...))
		assert.Equal(t, got.status == 200, got.header.Get("Cache-Control") == "no-store", endpoint.name)
		assert.Equal(t, got.status == 200, got.header.Get("Pragma") == "no-cache", endpoint.name)
		refused := sendForm(t, h, endpoint.path, endpoint.fields, basic(sandbox.ClientID, "wrong"))
		assert.Equal(t, refused.status == 401, strings.HasPrefix(refused.header.Get("WWW-Authenticate"), "Basic realm="), endpoint.name)
	}
	for _, path := range probes {
		none, wrong := send(t, h, http.MethodGet, path, "", ""), send(t, h, http.MethodGet, path, "", "", bearer("x"))
		assert.Equal(t, `Bearer realm="sandbox"`, none.header.Get("WWW-Authenticate"))
		assert.Equal(t, `Bearer realm="sandbox", error="invalid_token"`, wrong.header.Get("WWW-Authenticate"))
	}
}
