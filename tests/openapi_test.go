package tests

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/moov"
	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/thousandeyes"
	"github.com/grantwright/oauth-go/sandbox"
)

// vendorNames are the descriptions in api/ and the packages in gen/, except oauth2, which is not a vendor.
var vendorNames = func() (names []string) {
	for _, v := range vendors {
		if v.name != "oauth2" {
			names = append(names, v.name)
		}
	}
	return names
}()

func loadSpec(t testing.TB, vendor string) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../api/" + vendor + ".yaml")
	require.NoError(t, err)
	return doc
}

// validating returns a handler that passes requests to h, and fails the test for each request and response that the
// vendor's description does not cover. If vendor is "", h serves all vendors.
//
// Incomplete responses are not checked, nor are endpoints of the sandbox that are not operations of the SDK. The
// response of a fault is checked like any other.
func validating(t testing.TB, vendor string, h http.Handler) http.Handler {
	t.Helper()
	v := &validator{t: t, handler: h}
	for _, name := range append([]string{"oauth2"}, vendorNames...) {
		if vendor != name && (vendor != "" || name == "oauth2") {
			continue
		}
		doc := loadSpec(t, name)
		doc.Servers = nil // the test server has another host
		for _, item := range doc.Paths.Map() {
			item.Servers = nil
		}
		router, err := legacy.NewRouter(doc)
		require.NoError(t, err)
		v.routers = append(v.routers, router)
	}
	require.NotEmpty(t, v.routers, "no vendor %q", vendor)
	return v
}

type validator struct {
	t       testing.TB
	handler http.Handler
	routers []routers.Router

	mu   sync.Mutex
	seen map[string]bool // operation and status, such as "getOAuthClient 404"
}

var (
	outsideSpecs = []string{"/ping", "/v7/tests", "/oauth/authorize", "/oauth/info", "/.well-known/oauth-authorization-server"}
	// The description has the paths of one version; the other versions, and the service's own v1, have the same
	// operations.
	versionedPath = regexp.MustCompile(`^(?:/(?:beta|v3|v202[4-6])/oauth-clients|/oauth-clients/v1)(/[^/]+)?$`)
)

// ServeHTTP implements http.Handler.
func (v *validator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if slices.Contains(outsideSpecs, r.URL.Path) {
		v.handler.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	input := v.validateRequest(r, body)

	r.Body = io.NopCloser(bytes.NewReader(body))
	recorded := httptest.NewRecorder()
	broken := v.serve(recorded, r)
	if !broken && input != nil {
		v.validateResponse(input, recorded)
	}

	maps.Copy(w.Header(), recorded.Header())
	if broken && !recorded.Flushed {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(recorded.Code)
	_, _ = w.Write(recorded.Body.Bytes())
	if broken {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// serve reports whether the handler broke the connection.
func (v *validator) serve(w http.ResponseWriter, r *http.Request) (broken bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			broken = true
		}
	}()
	v.handler.ServeHTTP(w, r)
	return false
}

func (v *validator) validateRequest(r *http.Request, body []byte) *openapi3filter.RequestValidationInput {
	request := r.Clone(r.Context())
	request.URL.Path, request.URL.RawPath = r.URL.EscapedPath(), ""
	if match := versionedPath.FindStringSubmatch(request.URL.Path); match != nil {
		request.URL.Path = "/oauth-clients" + match[1]
	} else if strings.HasPrefix(request.URL.Path, "/oauth-clients") {
		request.URL.Path = "/unversioned" + request.URL.Path
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	for _, router := range v.routers {
		route, params, err := router.FindRoute(request)
		if err != nil {
			continue
		}
		input := &openapi3filter.RequestValidationInput{
			Request:    request,
			PathParams: params,
			Route:      route,
			Options: &openapi3filter.Options{
				AuthenticationFunc:                authenticated,
				IncludeResponseStatus:             true,
				MultiError:                        true,
				RejectWhenRequestBodyNotSpecified: true,
				SkipSettingDefaults:               true,
			},
		}
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			v.t.Errorf("%s %s is not as described: %v", r.Method, r.URL.Path, err)
		}
		return input
	}
	v.t.Errorf("%s %s is not described", r.Method, r.URL.Path)
	return nil
}

// authenticated returns an error unless the request satisfies the security scheme.
func authenticated(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	want := "Bearer "
	if scheme := input.SecurityScheme; scheme.Type == "http" && scheme.Scheme == "basic" {
		want = "Basic "
	}
	header := input.RequestValidationInput.Request.Header.Get("Authorization")
	if len(header) < len(want) || !strings.EqualFold(header[:len(want)], want) {
		return input.NewError(fmt.Errorf("it lacks an Authorization header of the scheme %s", strings.TrimSpace(want)))
	}
	return nil
}

func (v *validator) validateResponse(input *openapi3filter.RequestValidationInput, recorded *httptest.ResponseRecorder) {
	operation := input.Route.Operation
	v.mu.Lock()
	if v.seen == nil {
		v.seen = map[string]bool{}
	}
	v.seen[fmt.Sprintf("%s %d", operation.OperationID, recorded.Code)] = true
	v.mu.Unlock()

	err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input,
		Status:                 recorded.Code,
		Header:                 recorded.Header(),
		Body:                   io.NopCloser(bytes.NewReader(recorded.Body.Bytes())),
		Options:                input.Options,
	})
	if err != nil {
		v.t.Errorf("the %d of %s is not as described: %v", recorded.Code, operation.OperationID, err)
	}
	if response := operation.Responses.Status(recorded.Code); response != nil && len(response.Value.Content) == 0 && recorded.Body.Len() > 0 {
		v.t.Errorf("the %d of %s has a body", recorded.Code, operation.OperationID)
	}
}

// spy records the failures that a test would have had.
type spy struct {
	testing.TB
	failures []string
}

func (s *spy) Errorf(format string, args ...any) {
	s.failures = append(s.failures, fmt.Sprintf(format, args...))
}

func TestValidatingCatchesWhatIsNotDescribed(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	const good = "client_id=" + sandbox.ClientID + "&client_secret=" + sandbox.ClientSecret + "&token=x"
	for _, tt := range []struct {
		name, path, contentType, body string
		fault                         sandbox.Fault
		want                          string
	}{
		{"nothing", "/oauth2/revoke", form, good, sandbox.Fault{}, ""},
		{"broken connection", "/oauth2/revoke", form, good, sandbox.Fault{Drop: true}, ""},
		{"cut body", "/oauth2/revoke", form, good, sandbox.Fault{Status: 418, Body: "teapot", Cut: 3}, ""},
		{"outside", "/ping", "", "", sandbox.Fault{}, ""},
		{"path", "/oauth2/introspect", form, good, sandbox.Fault{}, "POST /oauth2/introspect is not described"},
		{"missing field", "/oauth2/revoke", "application/json", `{}`, sandbox.Fault{Status: 204}, `property "token" is missing`},
		{"enum", "/oauth2/revoke", form, good + "&token_type_hint=id_token", sandbox.Fault{Status: 204}, "token_type_hint"},
		{"content type", "/oauth2/revoke", "text/plain", good, sandbox.Fault{Status: 204}, "Content-Type"},
		{"status", "/oauth2/revoke", form, good, sandbox.Fault{Status: 418}, "status is not supported"},
		{"response's type", "/oauth2/revoke", form, good, sandbox.Fault{Status: 400, Body: `{"error": 1}`}, "the 400 of revokeAccessToken"},
		{"response's content type", "/oauth2/revoke", form, good, sandbox.Fault{Status: 400, Body: "<html>", ContentType: "text/html"}, "Content-Type"},
		{"body", "/oauth2/revoke", form, good, sandbox.Fault{Status: 429, Body: "{}"}, "has a body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := sandbox.NewMoov(&sandbox.MoovOptions{Strict: true})
			m.Fault("revokeAccessToken", tt.fault)
			s := &spy{TB: t}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x"+tt.path, strings.NewReader(tt.body))
			require.NoError(t, err)
			if tt.contentType != "" {
				r.Header.Set("Content-Type", tt.contentType)
			}
			response, err := sandbox.Transport(validating(s, "moov", m)).RoundTrip(r)
			if err == nil {
				_, err = io.ReadAll(response.Body)
				require.NoError(t, response.Body.Close())
			}
			assert.Equal(t, tt.fault.Drop || tt.fault.Cut > 0, err != nil)
			if tt.want == "" {
				assert.Empty(t, s.failures)
				return
			}
			assert.Contains(t, strings.Join(s.failures, "\n"), tt.want)
		})
	}
}

func TestValidatingKnowsEveryPath(t *testing.T) {
	s := &spy{TB: t}
	h := validating(s, "", sandbox.NewStrict())
	for path, status := range map[string]int{
		"/beta/oauth-clients":        401,
		"/v3/oauth-clients/x":        401,
		"/v2024/oauth-clients":       401,
		"/v2025/oauth-clients/x":     401,
		"/v2026/oauth-clients":       401,
		"/oauth-clients/v1":          401,
		"/oauth-clients/v1/a%2Fb":    401,
		"/v7/tests":                  401,
		"/v2027/oauth-clients":       404,
		"/oauth-clients/v1x":         404,
		"/beta/oauth-clients/x/more": 404,
	} {
		s.failures = nil
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x"+path, nil)
		require.NoError(t, err)
		response, err := sandbox.Transport(h).RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, status, response.StatusCode, path)
		undescribed := strings.Contains(strings.Join(s.failures, "\n"), "is not described")
		assert.Equal(t, status == 404, undescribed, "%s: %s", path, s.failures)
	}
}

// Statuses of server errors, which the sandbox sends only because of faults.
var onlyByFault = []string{"500", "504"}

// driven serves a vendor to its generated client, and fails the test unless every documented status occurs.
func driven(t *testing.T, vendor string, handlers ...http.Handler) (clients []*http.Client) {
	t.Helper()
	var validators []*validator
	for _, h := range handlers {
		v := validating(t, vendor, h).(*validator)
		validators = append(validators, v)
		clients = append(clients, &http.Client{Transport: sandbox.Transport(v)})
	}
	t.Cleanup(func() {
		seen, documented := map[string]bool{}, map[string]bool{}
		for _, v := range validators {
			maps.Copy(seen, v.seen)
		}
		for _, item := range loadSpec(t, vendor).Paths.Map() {
			for _, op := range item.Operations() {
				for status := range op.Responses.Map() {
					if !slices.Contains(onlyByFault, status) {
						documented[op.OperationID+" "+status] = true
					}
				}
			}
		}
		assert.Equal(t, documented, seen)
	})
	return clients
}

// want returns a function that checks the status of one call, given the results of the call.
func want[R interface{ StatusCode() int }](t *testing.T, status int) func(R, error) R {
	return func(result R, err error) R {
		t.Helper()
		require.NoError(t, err)
		require.Equal(t, status, result.StatusCode())
		return result
	}
}

func TestThousandEyesAsDescribed(t *testing.T) {
	clients := driven(t, "thousandeyes", sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{Strict: true, RateLimit: sandbox.Limit{Requests: 5}}))
	c, err := thousandeyes.NewClientWithResponses("https://api.thousandeyes.com", thousandeyes.WithHTTPClient(clients[0]))
	require.NoError(t, err)
	get := func(status int, r thousandeyes.AccessTokenRequest, edits ...thousandeyes.RequestEditorFn) *thousandeyes.CreateAccessTokenResult {
		t.Helper()
		params := &thousandeyes.CreateAccessTokenParams{XTenantID: new("tenant")}
		return want[*thousandeyes.CreateAccessTokenResult](t, status)(c.CreateAccessTokenWithFormdataBodyWithResponse(t.Context(), params, r, edits...))
	}
	full := thousandeyes.AccessTokenRequest{
		ClientID:                new(sandbox.ClientID),
		ClientSecret:            new(sandbox.ClientSecret),
		GrantType:               new("client_credentials"),
		Scope:                   new("read"),
		ThousandeyesBearerToken: new(sandbox.UserToken),
	}

	assert.NotEmpty(t, *get(200, full).JSON200.AccessToken)
	assert.NotNil(t, get(200, thousandeyes.AccessTokenRequest{GrantType: new("client_credentials")}, basicAuth(sandbox.ClientSecret)).JSON200)
	wrong := full
	wrong.GrantType = new("refresh_token")
	assert.NotNil(t, get(400, wrong).ApplicationProblemJSON400)
	assert.NotNil(t, get(401, thousandeyes.AccessTokenRequest{GrantType: new("client_credentials")}, basicAuth("wrong")).JSON401)
	get(200, full)
	assert.NotNil(t, get(429, full).ApplicationProblemJSON429)
}

func basicAuth(secret string) func(context.Context, *http.Request) error {
	return func(_ context.Context, r *http.Request) error {
		r.SetBasicAuth(sandbox.ClientID, secret)
		return nil
	}
}

func TestMoovAsDescribed(t *testing.T) {
	clients := driven(t, "moov", sandbox.NewMoov(&sandbox.MoovOptions{Strict: true}), sandbox.NewMoov(&sandbox.MoovOptions{Strict: true, RateLimit: sandbox.Limit{Requests: 1}}))
	connect := func(client *http.Client) *moov.ClientWithResponses {
		c, err := moov.NewClientWithResponses("https://api.moov.io", moov.WithHTTPClient(client))
		require.NoError(t, err)
		return c
	}
	c := connect(clients[0])
	auth := basicAuth(sandbox.ClientSecret)
	token := func(status int) func(*moov.CreateAccessTokenResult, error) *moov.CreateAccessTokenResult {
		return want[*moov.CreateAccessTokenResult](t, status)
	}
	revoke := func(status int) func(*moov.RevokeAccessTokenResult, error) *moov.RevokeAccessTokenResult {
		return want[*moov.RevokeAccessTokenResult](t, status)
	}
	params := &moov.CreateAccessTokenParams{XMoovVersion: new("v2024.01.00")}
	grant := moov.AuthTokenRequest{GrantType: moov.GrantTypeClientCredentials, Scope: new("/accounts.read /accounts.write")}

	pair := token(200)(c.CreateAccessTokenWithResponse(t.Context(), params, grant, auth)).JSON200
	refresh := moov.AuthTokenRequest{GrantType: moov.GrantTypeRefreshToken, RefreshToken: new(pair.RefreshToken.Reveal())}
	refresh.ClientID, refresh.ClientSecret = new(sandbox.ClientID), new(sandbox.ClientSecret)
	pair = token(200)(c.CreateAccessTokenWithFormdataBodyWithResponse(t.Context(), params, refresh)).JSON200
	assert.NotNil(t, token(400)(c.CreateAccessTokenWithFormdataBodyWithResponse(t.Context(), params, refresh)).JSON400)
	assert.NotNil(t, token(422)(c.CreateAccessTokenWithResponse(t.Context(), nil,
		moov.AuthTokenRequest{GrantType: moov.GrantTypeClientCredentials}, auth)).JSON422)

	request := moov.RevokeTokenRequest{Token: pair.RefreshToken.Reveal(), TokenTypeHint: new(moov.TokenTypeHintRefreshToken)}
	version := &moov.RevokeAccessTokenParams{XMoovVersion: new("v2024.01.00")}
	revoke(204)(c.RevokeAccessTokenWithResponse(t.Context(), version, request, auth))
	revoke(204)(c.RevokeAccessTokenWithFormdataBodyWithResponse(t.Context(), version, request, auth))
	assert.NotNil(t, revoke(400)(c.RevokeAccessTokenWithResponse(t.Context(), nil, request, basicAuth("wrong"))).JSON400)
	assert.NotNil(t, revoke(422)(c.RevokeAccessTokenWithResponse(t.Context(), nil, moov.RevokeTokenRequest{}, auth)).JSON422)

	busy := connect(clients[1])
	token(200)(busy.CreateAccessTokenWithResponse(t.Context(), nil, grant, auth))
	token(429)(busy.CreateAccessTokenWithResponse(t.Context(), nil, grant, auth))
	revoke(429)(busy.RevokeAccessTokenWithResponse(t.Context(), nil, request, auth))
}

func TestSailPointAsDescribed(t *testing.T) {
	server := sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true})
	clients := driven(t, "sailpoint", server, sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true, RateLimit: sandbox.Limit{Requests: 1}}))
	const origin = "https://sailpoint.api.identitynow.com"
	connect := func(client *http.Client, path string) *sailpoint.ClientWithResponses {
		c, err := sailpoint.NewClientWithResponses(origin+path, sailpoint.WithHTTPClient(client))
		require.NoError(t, err)
		return c
	}
	credentials := sailpoint.AccessTokenRequest{
		GrantType: "client_credentials", ClientID: new(sandbox.ClientID), ClientSecret: new(sandbox.ClientSecret)}
	login := func(c *sailpoint.ClientWithResponses, status int, r sailpoint.AccessTokenRequest) *sailpoint.CreateAccessTokenResult {
		t.Helper()
		return want[*sailpoint.CreateAccessTokenResult](t, status)(c.CreateAccessTokenWithFormdataBodyWithResponse(t.Context(), r))
	}
	operations := func(c *sailpoint.ClientWithResponses, token string) sailPointCalls {
		return sailPointCalls{t, c, func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		}}
	}

	// Tokens.
	tokens := connect(clients[0], "")
	manager := login(tokens, 200, credentials).JSON200.AccessToken.Reveal()
	narrow := credentials
	narrow.Scope = new("sp:scopes:default")
	visitor := login(tokens, 200, narrow).JSON200.AccessToken.Reveal()
	sample := sailpoint.AccessTokenRequest{
		GrantType: "client_credentials", ClientID: new(sandbox.SampleClientID), ClientSecret: new(sandbox.ClientSecret)}
	login(tokens, 200, sample)
	sample.RefreshToken = new(server.Issue(sandbox.Token{ClientID: sandbox.SampleClientID}).RefreshToken)
	sample.GrantType = "refresh_token"
	login(tokens, 200, sample)
	unknown := credentials
	unknown.GrantType = "password"
	assert.NotNil(t, login(tokens, 400, unknown).JSON400)
	unknown.ClientSecret = new("wrong")
	assert.NotNil(t, login(tokens, 401, unknown).JSON401)

	// Clients, in every version.
	for _, path := range []string{"/beta", "/v3", "/v2024", "/v2025", "/v2026"} {
		operations(connect(clients[0], path), manager).succeed()
	}
	ok := operations(connect(clients[0], "/beta"), manager)
	ok.badRequests()
	ok.all(404, "unknown", "getOAuthClient", "patchOAuthClient", "deleteOAuthClient")
	operations(connect(clients[0], "/beta"), "unknown").all(401, sandbox.SampleClientID)
	operations(connect(clients[0], "/beta"), visitor).all(403, sandbox.SampleClientID)

	// The limit applies to the client, for token requests and all others.
	busy := connect(clients[1], "")
	manager = login(busy, 200, credentials).JSON200.AccessToken.Reveal()
	assert.NotNil(t, login(busy, 429, credentials).JSON429)
	operations(connect(clients[1], "/beta"), manager).all(429, sandbox.SampleClientID)
}

// sailPointCalls calls the operations on OAuth clients with one token.
type sailPointCalls struct {
	t      *testing.T
	client *sailpoint.ClientWithResponses
	auth   sailpoint.RequestEditorFn
}

func newClientRequest(grants ...sailpoint.GrantType) sailpoint.CreateOAuthClientRequest {
	return sailpoint.CreateOAuthClientRequest{
		Name:                       new("Demo API Client"),
		Description:                nil,
		AccessTokenValiditySeconds: 750,
		GrantTypes:                 grants,
		AccessType:                 sailpoint.AccessTypeOffline,
		Enabled:                    true,
	}
}

func replace(path, value string) []sailpoint.JSONPatchOperation {
	return []sailpoint.JSONPatchOperation{{Op: sailpoint.JSONPatchOperationOpReplace, Path: path, Value: []byte(value)}}
}

// succeed runs all operations on a client.
func (s sailPointCalls) succeed() {
	s.t.Helper()
	ctx := s.t.Context()
	made := want[*sailpoint.CreateOAuthClientResult](s.t, 200)(
		s.client.CreateOAuthClientWithResponse(ctx, newClientRequest(sailpoint.GrantTypeClientCredentials), s.auth)).JSON200
	want[*sailpoint.GetOAuthClientResult](s.t, 200)(s.client.GetOAuthClientWithResponse(ctx, made.ID, s.auth))
	for _, operations := range [][]sailpoint.JSONPatchOperation{
		replace("/strongAuthSupported", "true"),
		replace("/businessName", "null"),
		replace("/redirectUris", `["https://example.com"]`),
		{{Op: sailpoint.JSONPatchOperationOpMove, From: new("/redirectUris/0"), Path: "/redirectUris/-"}},
		{{Op: sailpoint.JSONPatchOperationOpRemove, Path: "/redirectUris"}},
	} {
		want[*sailpoint.PatchOAuthClientResult](s.t, 200)(
			s.client.PatchOAuthClientWithApplicationJSONPatchPlusJSONBodyWithResponse(ctx, made.ID, operations, s.auth))
	}
	want[*sailpoint.ListOAuthClientsResult](s.t, 200)(s.client.ListOAuthClientsWithResponse(ctx, nil, s.auth))
	found := want[*sailpoint.ListOAuthClientsResult](s.t, 200)(
		s.client.ListOAuthClientsWithResponse(ctx, &sailpoint.ListOAuthClientsParams{Filters: new("lastUsed isnull")}, s.auth))
	assert.Len(s.t, *found.JSON200, 1)
	want[*sailpoint.DeleteOAuthClientResult](s.t, 204)(s.client.DeleteOAuthClientWithResponse(ctx, made.ID, s.auth))
}

// badRequests match the description but are refused.
func (s sailPointCalls) badRequests() {
	s.t.Helper()
	ctx := s.t.Context()
	unknownParameter := func(_ context.Context, r *http.Request) error { r.URL.RawQuery = "force=true"; return nil }
	id := sandbox.SampleClientID
	want[*sailpoint.ListOAuthClientsResult](s.t, 400)(
		s.client.ListOAuthClientsWithResponse(ctx, &sailpoint.ListOAuthClientsParams{Filters: new("name eq x")}, s.auth))
	want[*sailpoint.CreateOAuthClientResult](s.t, 400)(
		s.client.CreateOAuthClientWithResponse(ctx, newClientRequest(sailpoint.GrantTypeAuthorizationCode), s.auth))
	want[*sailpoint.GetOAuthClientResult](s.t, 400)(s.client.GetOAuthClientWithResponse(ctx, id, s.auth, unknownParameter))
	want[*sailpoint.PatchOAuthClientResult](s.t, 400)(
		s.client.PatchOAuthClientWithApplicationJSONPatchPlusJSONBodyWithResponse(ctx, id, replace("/internal", "true"), s.auth))
	want[*sailpoint.DeleteOAuthClientResult](s.t, 400)(s.client.DeleteOAuthClientWithResponse(ctx, id, s.auth, unknownParameter))
}

// all checks that these operations, or every one, respond with one status.
func (s sailPointCalls) all(status int, id string, operations ...string) {
	s.t.Helper()
	ctx := s.t.Context()
	calls := map[string]func() (interface{ StatusCode() int }, error){
		"listOAuthClients": func() (interface{ StatusCode() int }, error) {
			return s.client.ListOAuthClientsWithResponse(ctx, nil, s.auth)
		},
		"createOAuthClient": func() (interface{ StatusCode() int }, error) {
			return s.client.CreateOAuthClientWithResponse(ctx, newClientRequest(sailpoint.GrantTypeClientCredentials), s.auth)
		},
		"getOAuthClient": func() (interface{ StatusCode() int }, error) {
			return s.client.GetOAuthClientWithResponse(ctx, id, s.auth)
		},
		"patchOAuthClient": func() (interface{ StatusCode() int }, error) {
			return s.client.PatchOAuthClientWithApplicationJSONPatchPlusJSONBodyWithResponse(ctx, id, replace("/enabled", "true"), s.auth)
		},
		"deleteOAuthClient": func() (interface{ StatusCode() int }, error) {
			return s.client.DeleteOAuthClientWithResponse(ctx, id, s.auth)
		},
	}
	if len(operations) == 0 {
		operations = slices.Collect(maps.Keys(calls))
	}
	for _, operation := range operations {
		result, err := calls[operation]()
		require.NoError(s.t, err, operation)
		require.Equal(s.t, strconv.Itoa(status), strconv.Itoa(result.StatusCode()), operation)
	}
}
