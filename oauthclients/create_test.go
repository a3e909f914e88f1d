package oauthclients_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/tokens"
)

// createRequest is the smallest that the vendor takes.
func createRequest() sailpoint.CreateOAuthClientRequest {
	return sailpoint.CreateOAuthClientRequest{
		Name:                       new("Demo API Client"),
		AccessTokenValiditySeconds: 750,
		GrantTypes:                 []sailpoint.GrantType{sailpoint.GrantTypeCLIENTCREDENTIALS},
		AccessType:                 sailpoint.AccessTypeONLINE,
	}
}

func TestCreateBadInput(t *testing.T) {
	clients, v := newClients(t, nil, answer(http.StatusOK, sample))
	for _, tt := range []struct {
		want   string
		change func(*sailpoint.CreateOAuthClientRequest)
	}{
		{"Name is empty", func(r *sailpoint.CreateOAuthClientRequest) { r.Name = nil }},
		{"Name is empty", func(r *sailpoint.CreateOAuthClientRequest) { r.Name = new("") }},
		{"GrantTypes is empty", func(r *sailpoint.CreateOAuthClientRequest) { r.GrantTypes = nil }},
		{"AccessType is empty", func(r *sailpoint.CreateOAuthClientRequest) { r.AccessType = "" }},
		{"AccessTokenValiditySeconds is 0", func(r *sailpoint.CreateOAuthClientRequest) { r.AccessTokenValiditySeconds = 0 }},
		{"AccessTokenValiditySeconds is -1", func(r *sailpoint.CreateOAuthClientRequest) { r.AccessTokenValiditySeconds = -1 }},
		{"RedirectURIs is empty", func(r *sailpoint.CreateOAuthClientRequest) {
			r.GrantTypes = []sailpoint.GrantType{sailpoint.GrantTypeREFRESHTOKEN, sailpoint.GrantTypeAUTHORIZATIONCODE}
		}},
	} {
		req := createRequest()
		tt.change(&req)
		_, err := clients.Create(t.Context(), req)
		require.ErrorContains(t, err, "oauthclients: create: "+tt.want)
	}
	assert.Empty(t, v.sent())
}

func TestCreateSendsWhatIsSet(t *testing.T) {
	clients, v := newClients(t, nil, answer(http.StatusOK, `{"id":"1","secret":"s3cr3t"}`))
	_, err := clients.Create(t.Context(), createRequest())
	require.NoError(t, err)
	got := v.sent()[0]
	assert.Equal(t, "POST /beta/oauth-clients application/json", got.Method+" "+got.URI+" "+got.ContentType)
	assert.JSONEq(t, `{"name":"Demo API Client","description":null,"accessTokenValiditySeconds":750,
		"grantTypes":["CLIENT_CREDENTIALS"],"accessType":"ONLINE","enabled":false}`, got.Body)
}

// The vendor shows a secret once; whatever else is wrong with the answer, it must not be lost.
func TestCreateKeepsTheSecret(t *testing.T) {
	const start = `{"id":"2c91","secret":"s3cr3t"`
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		wantErr string // "" for none
	}{
		{"201", answer(http.StatusCreated, start+"}"), ""},
		{"202 as text", plain(http.StatusAccepted, "text/plain;charset=utf-8", start+"}"), ""},
		{"as HTML", plain(http.StatusOK, "text/html", start+"}"), ""},
		{"no content type", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = w.Write([]byte(start + "}"))
		}, ""},
		{"secret last", answer(http.StatusOK, `{"name":"x","scope":["a"],"deep":{"id":"no","secret":"no"},"id":"2c91","secret":"s3cr3t"}`), ""},
		{"unknown members and values", answer(http.StatusOK, start+`,"tier":[{}],"accessType":"SOMETIMES","grantTypes":["X"]}`), ""},
		{"nulls", answer(http.StatusOK, start+`,"businessName":null,"enabled":null,"created":null,"scope":null}`), ""},
		{"short timestamps", answer(http.StatusOK, start+`,"created":"2017-07-11T18:45","modified":"2017-07-11T18:45:37"}`), ""},
		{"no timestamps", answer(http.StatusOK, start+`,"created":"yesterday","modified":12}`), ""},
		{"another request id", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Slpt-Request-Id", "not a uuid")
			answer(http.StatusOK, start+"}")(w, r)
		}, ""},
		{"a member of the wrong type", answer(http.StatusOK, start+`,"accessTokenValiditySeconds":"750","name":"x"}`), "accessTokenValiditySeconds"},
		{"no JSON later", answer(http.StatusOK, start+`,"name":oops}`), "not JSON"},
		{"rubbish after it", answer(http.StatusOK, start+"}<!-- proxy -->"), "not JSON"},
		{"an end too early", answer(http.StatusOK, start+`,"name":"Dem`), "not JSON"},
		{"a broken connection", cut(http.StatusOK, start+`,"name":"Dem`), "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clients, v := newClients(t, nil, tt.handler)
			created, err := clients.Create(t.Context(), createRequest())
			require.NotNil(t, created)
			assert.Equal(t, "2c91", created.ID)
			assert.Equal(t, "s3cr3t", string(created.Secret))
			assert.Len(t, v.sent(), 1)
			if tt.wantErr == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.wantErr)
			assert.NotContains(t, err.Error(), "s3cr3t")
			var e *tokens.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, http.StatusOK, e.StatusCode)
			assert.True(t, strings.HasPrefix(string(e.Body), start))
		})
	}
}

func TestCreateReadsTheRest(t *testing.T) {
	clients, _ := newClients(t, nil, answer(http.StatusOK, `{"name":"x","accessTokenValiditySeconds":"750","created":"2017-07-11T18:45:37.098Z","id":"1","secret":"s","enabled":true}`))
	created, err := clients.Create(t.Context(), createRequest())
	require.Error(t, err)
	assert.Equal(t, "x", created.Name)
	assert.True(t, created.Enabled)
	assert.Equal(t, 2017, created.Created.Time().Year())
}

func TestCreateWithoutASecret(t *testing.T) {
	for _, body := range []string{`{"id":"1"}`, `{"secret":"s"}`, `{"id":"1","secret":null}`, `{"id":"1","secret":""}`, `{}`, `[]`, ``} {
		clients, _ := newClients(t, nil, answer(http.StatusOK, body))
		_, err := clients.Create(t.Context(), createRequest())
		require.ErrorIs(t, err, tokens.Status(http.StatusOK), body)
	}
}

func TestCreatePrintsRedacted(t *testing.T) {
	clients, _ := newClients(t, nil, answer(http.StatusOK, `{"id":"1","secret":"s3cr3t"}`))
	created, err := clients.Create(t.Context(), createRequest())
	require.NoError(t, err)
	stored, err := json.Marshal(created)
	require.NoError(t, err)
	assert.Contains(t, string(stored), `"secret":"s3cr3t"`)
}

func TestCreateUniqueName(t *testing.T) {
	list := answer(http.StatusOK, listOf(3)) // named 0, 1 and 2
	clients, v := newClients(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			list(w, r)
			return
		}
		answer(http.StatusOK, `{"id":"1","secret":"s3cr3t"}`)(w, r)
	})
	methods := func() (methods []string) {
		for _, r := range v.sent() {
			methods = append(methods, r.Method)
		}
		return methods
	}
	req := createRequest()

	req.Name = new("2")
	_, err := clients.Create(t.Context(), req, oauthclients.UniqueName)
	require.ErrorIs(t, err, oauthclients.ErrNameTaken)
	require.EqualError(t, err, `oauthclients: create: name "2": a client of this name exists, with id "2"`)
	assert.Equal(t, []string{"GET"}, methods())

	req.Name = new("3")
	_, err = clients.Create(t.Context(), req, oauthclients.UniqueName)
	require.NoError(t, err)
	assert.Equal(t, []string{"GET", "GET", "POST"}, methods())

	list = answer(http.StatusForbidden, "{}")
	_, err = clients.Create(t.Context(), req, oauthclients.UniqueName)
	require.ErrorIs(t, err, tokens.Status(http.StatusForbidden))
	assert.Equal(t, []string{"GET", "GET", "POST", "GET"}, methods())
}
