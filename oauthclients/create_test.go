package oauthclients_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/tokens"
)

// createRequest returns the smallest valid request.
func createRequest() sailpoint.CreateOAuthClientRequest {
	return sailpoint.CreateOAuthClientRequest{
		Name:                       new("Demo API Client"),
		AccessTokenValiditySeconds: 750,
		GrantTypes:                 []sailpoint.GrantType{sailpoint.GrantTypeClientCredentials},
		AccessType:                 sailpoint.AccessTypeOnline,
	}
}

func TestCreateBadInput(t *testing.T) {
	clients, v := newClients(t, nil, respond(http.StatusOK, sample))
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
			r.GrantTypes = []sailpoint.GrantType{sailpoint.GrantTypeRefreshToken, sailpoint.GrantTypeAuthorizationCode}
		}},
	} {
		req := createRequest()
		tt.change(&req)
		_, err := clients.Create(t.Context(), req)
		require.ErrorContains(t, err, "oauthclients: create: "+tt.want)
	}
	assert.Empty(t, v.sent())
	shortest := createRequest()
	shortest.AccessTokenValiditySeconds = 1
	_, _ = clients.Create(t.Context(), shortest)
	assert.Len(t, v.sent(), 1)
}

func TestCreateSendsWhatIsSet(t *testing.T) {
	clients, v := newClients(t, nil, respond(http.StatusOK, `{"id":"1","secret":"s3cr3t"}`))
	_, err := clients.Create(t.Context(), createRequest())
	require.NoError(t, err)
	got := v.sent()[0]
	assert.Equal(t, "POST /beta/oauth-clients application/json", got.Method+" "+got.URI+" "+got.ContentType)
	assert.JSONEq(t, `{"name":"Demo API Client","description":null,"accessTokenValiditySeconds":750,
		"grantTypes":["CLIENT_CREDENTIALS"],"accessType":"ONLINE","enabled":false}`, got.Body)
}

// The vendor shows a secret only once. It must not be lost, whatever is wrong with the response.
func TestCreateKeepsTheSecret(t *testing.T) {
	const start = `{"id":"2c91","secret":"s3cr3t"`
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		wantErr string // "" for none
	}{
		{"201", respond(http.StatusCreated, start+"}"), ""},
		{"202 as text", plain(http.StatusAccepted, "text/plain;charset=utf-8", start+"}"), ""},
		{"as HTML", plain(http.StatusOK, "text/html", start+"}"), ""},
		{"no content type", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = w.Write([]byte(start + "}"))
		}, ""},
		{"secret last", respond(http.StatusOK, `{"name":"x","scope":["a"],"deep":{"id":"no","secret":"no"},"id":"2c91","secret":"s3cr3t"}`), ""},
		{"unknown members and values", respond(http.StatusOK, start+`,"tier":[{}],"accessType":"SOMETIMES","grantTypes":["X"]}`), ""},
		{"nulls", respond(http.StatusOK, start+`,"businessName":null,"enabled":null,"created":null,"scope":null}`), ""},
		{"short timestamps", respond(http.StatusOK, start+`,"created":"2017-07-11T18:45","modified":"2017-07-11T18:45:37"}`), ""},
		{"no timestamps", respond(http.StatusOK, start+`,"created":"yesterday","modified":12}`), ""},
		{"another request id", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Slpt-Request-Id", "not a uuid")
			respond(http.StatusOK, start+"}")(w, r)
		}, ""},
		{"a member of the wrong type", respond(http.StatusOK, start+`,"accessTokenValiditySeconds":"750","name":"x"}`), "accessTokenValiditySeconds"},
		{"a number as text", respond(http.StatusOK, start+`,"refreshTokenValiditySeconds":"86400"}`), "refreshTokenValiditySeconds"},
		{"a number with a fraction", respond(http.StatusOK, start+`,"accessTokenValiditySeconds":750.0}`), "accessTokenValiditySeconds"},
		{"null after it", respond(http.StatusOK, start+`,"secret":null,"id":null}`), ""},
		{"null before it", respond(http.StatusOK, start[:len(start)-17]+`"secret":null,"secret":"s3cr3t"}`), ""},
		{"an empty string after it", respond(http.StatusOK, start+`,"secret":""}`), ""},
		{"other members after it", respond(http.StatusOK, start+`,"ID":"other","Secret":"other"}`), ""},
		{"escaped", respond(http.StatusOK, start[:len(start)-8]+`"\u00733cr3t"}`), ""},
		{"a byte order mark", respond(http.StatusOK, "\ufeff"+start+"}"), ""},
		{"no JSON later", respond(http.StatusOK, start+`,"name":oops}`), "not JSON"},
		{"rubbish after it", respond(http.StatusOK, start+"}<!-- proxy -->"), "not JSON"},
		{"an end too early", respond(http.StatusOK, start+`,"name":"Dem`), "not JSON"},
		{"a broken connection", cut(http.StatusOK, start+`,"name":"Dem`), "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clients, v := newClients(t, nil, tt.handler)
			created, err := clients.Create(t.Context(), createRequest())
			require.NotNil(t, created)
			assert.Equal(t, "2c91", created.ID)
			assert.Equal(t, "s3cr3t", created.Secret.Reveal())
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
	clients, _ := newClients(t, nil, respond(http.StatusOK, `{"name":"x","accessTokenValiditySeconds":"750","created":"2017-07-11T18:45:37.098Z","id":"1","secret":"s","enabled":true}`))
	created, err := clients.Create(t.Context(), createRequest())
	require.Error(t, err)
	assert.Equal(t, "x", created.Name)
	assert.True(t, created.Enabled)
	assert.Equal(t, 2017, created.Created.Time().Year())
}

func TestCreateWithoutASecret(t *testing.T) {
	for _, body := range []string{`{"id":"1"}`, `{"secret":"s"}`, `{"id":"1","secret":null}`, `{"id":"1","secret":""}`, `{}`, `[]`, `[1,2]`, ``} {
		clients, _ := newClients(t, nil, respond(http.StatusOK, body))
		_, err := clients.Create(t.Context(), createRequest())
		require.ErrorIs(t, err, tokens.Status(http.StatusOK), body)
		require.ErrorContains(t, err, `the client was created, but the response does not have its id and its secret; look for the name "Demo API Client"`, body)
	}
	clients, _ := newClients(t, nil, cut(http.StatusOK, `{"id":"1","sec`))
	_, err := clients.Create(t.Context(), createRequest())
	require.ErrorContains(t, err, `the client was created`)
	require.ErrorContains(t, err, `look for the name "Demo API Client"`)
	require.ErrorContains(t, err, "EOF")
	clients, _ = newClients(t, nil, respond(http.StatusOK, `{"id":"1","secret":"s","enabled":"x"}`))
	_, err = clients.Create(t.Context(), createRequest())
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "look for the name", "nothing is lost")
}

func TestCreatePrintsRedacted(t *testing.T) {
	clients, _ := newClients(t, nil, respond(http.StatusOK, `{"id":"1","secret":"s3cr3t"}`))
	created, err := clients.Create(t.Context(), createRequest())
	require.NoError(t, err)
	stored, err := json.Marshal(created)
	require.NoError(t, err)
	assert.Contains(t, string(stored), `"secret":"s3cr3t"`)
}

func TestCreateFindsTheSecret(t *testing.T) {
	for name, body := range map[string]string{
		"names in capitals":             `{"ID":"2c91","SECRET":"s3cr3t"}`,
		"names with capitals":           `{"Id":"2c91","Secret":"s3cr3t","clientSecret":"no"}`,
		"numbers":                       `{"id":2.5,"secret":17}`,
		"in no JSON":                    `{"owner":{"id":"no"},"name":NaN,"id":"2c91","secret":"s3cr3t"}`,
		"in two objects":                `{"id":"2c91"}{"id":"no","secret":"s3cr3t"}`,
		"in an array":                   `[{"id":"2c91","secret":"s3cr3t"}]`,
		"before bytes that are no text": "{\"id\":\"2c91\",\"secret\":\"s3cr3t\",\"name\":\"\xff\"}",
	} {
		t.Run(name, func(t *testing.T) {
			clients, _ := newClients(t, nil, respond(http.StatusOK, body))
			created, err := clients.Create(t.Context(), createRequest())
			require.NotNil(t, created)
			if name == "numbers" {
				assert.Equal(t, "2.5 17", created.ID+" "+created.Secret.Reveal())
				return
			}
			assert.Equal(t, "2c91 s3cr3t", created.ID+" "+created.Secret.Reveal())
			if err != nil {
				assert.NotContains(t, err.Error(), "s3cr3t")
			}
		})
	}
}

func TestCreateSaysThatTheSecretMayBeAnother(t *testing.T) {
	clients, _ := newClients(t, nil, respond(http.StatusOK, "{\"id\":\"1\",\"secret\":\"s\xff\"}"))
	_, err := clients.Create(t.Context(), createRequest())
	require.ErrorContains(t, err, "the response is not UTF-8")
	var e *tokens.Error
	require.ErrorAs(t, err, &e)
	assert.Contains(t, string(e.Body), "s\xff")
}

// The error says whether it is unknown if the vendor acted.
func TestLostRequests(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		lost    bool
	}{
		"a broken connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"500":                 {respond(http.StatusInternalServerError, "{}"), true},
		"502":                 {respond(http.StatusBadGateway, "{}"), true},
		"504":                 {respond(http.StatusGatewayTimeout, "{}"), true},
		"400":                 {respond(http.StatusBadRequest, "{}"), false},
		"429":                 {respond(http.StatusTooManyRequests, "{}"), false},
	} {
		t.Run(name, func(t *testing.T) {
			clients, _ := newClients(t, &oauthclients.SailPointOptions{
				Retry: tokens.Retry{Attempts: 1}, Limiter: &tokens.Limiter{MaxWait: 1},
			}, c.handler)
			_, createErr := clients.Create(t.Context(), createRequest())
			_, patchErr := clients.Patch(t.Context(), clientID, jsonpatch.Replace("/enabled", true))
			var e *tokens.Error
			require.ErrorAs(t, createErr, &e)
			require.ErrorAs(t, patchErr, &e)
			assert.Equal(t, c.lost, strings.Contains(createErr.Error(), `the client may exist; look for the name "Demo API Client"`), createErr)
			assert.Equal(t, c.lost, strings.Contains(patchErr.Error(), "the patch may have been applied"), patchErr)
		})
	}
	t.Run("no connection", func(t *testing.T) {
		for _, dial := range []func(context.Context, string, string) (net.Conn, error){
			func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
			},
			func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, errors.New("the proxy says no") },
		} {
			clients, err := oauthclients.NewSailPoint(tokens.Static("access-token"), &oauthclients.SailPointOptions{
				BaseURL: origin, Retry: tokens.Retry{Attempts: 1}, HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dial}},
			})
			require.NoError(t, err)
			_, err = clients.Create(t.Context(), createRequest())
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "may exist")
		}
	})
	t.Run("a context that has ended", func(t *testing.T) {
		clients, err := oauthclients.NewSailPoint(tokens.Static("access-token"), &oauthclients.SailPointOptions{BaseURL: origin})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = clients.Create(ctx, createRequest())
		require.ErrorIs(t, err, context.Canceled)
		assert.NotContains(t, err.Error(), "may exist")
		_, err = clients.Patch(ctx, clientID, jsonpatch.Replace("/enabled", true))
		require.ErrorIs(t, err, context.Canceled)
		assert.NotContains(t, err.Error(), "may have been applied")
	})
	t.Run("no token", func(t *testing.T) {
		down := &tokens.Error{Method: http.MethodPost, URL: origin + "/oauth/token", StatusCode: http.StatusInternalServerError}
		for _, cause := range []error{errors.New("no"), down} {
			clients, err := oauthclients.NewSailPoint(failing{cause}, &oauthclients.SailPointOptions{BaseURL: origin})
			require.NoError(t, err)
			_, err = clients.Create(t.Context(), createRequest())
			require.ErrorIs(t, err, tokens.ErrNoToken)
			assert.NotContains(t, err.Error(), "may exist")
		}
	})
}
