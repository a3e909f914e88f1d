package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/moov"
	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/thousandeyes"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/sandbox"
)

// generatedOperations are the operations of the generated clients: each method that calls one, and each response that
// its vendor documents.
var generatedOperations = []struct {
	vendor, id string
	client     reflect.Type
	calls      map[string]func(ctx context.Context, url string) (any, error)
	responses  []documentedResponse
}{
	{
		"thousandeyes", "createAccessToken", reflect.TypeFor[*thousandeyes.ClientWithResponses](),
		map[string]func(context.Context, string) (any, error){
			"CreateAccessTokenWithBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return thousandEyesClient(url).CreateAccessTokenWithBodyWithResponse(ctx, nil, "text/plain", strings.NewReader("x"))
			},
			"CreateAccessTokenWithFormdataBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return thousandEyesClient(url).CreateAccessTokenWithFormdataBodyWithResponse(ctx,
					&thousandeyes.CreateAccessTokenParams{XTenantID: new("x")}, thousandeyes.AccessTokenRequest{})
			},
		},
		[]documentedResponse{
			{200, "application/json", `{"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "scope": "read"}`, "JSON200",
				&thousandeyes.AccessToken{AccessToken: new(wire.NewSecret("a")), TokenType: new("Bearer"), ExpiresIn: new(json.Number("3600")), Scope: new("read")}},
			{400, "application/problem+json", `{"title": "Bad", "errors": [{"code": "c", "field": 3, "message": "m"}]}`, "ApplicationProblemJSON400",
				&thousandeyes.ValidationError{Title: new("Bad"), Errors: []thousandeyes.ValidationErrorItem{
					{Code: new("c"), Field: new(any(3.0)), Message: new("m")}}}},
			{401, "application/json", `{"error": "invalid_client", "error_description": "d"}`, "JSON401",
				&thousandeyes.UnauthorizedError{Error: new("invalid_client"), ErrorDescription: new("d")}},
			{429, "application/problem+json", `{"type": "t", "title": "Too many", "status": 429, "detail": "d", "instance": "i"}`, "ApplicationProblemJSON429",
				&thousandeyes.Error{Type: new("t"), Title: new("Too many"), Status: new(429), Detail: new("d"), Instance: new("i")}},
		},
	},
	{
		"moov", "createAccessToken", reflect.TypeFor[*moov.ClientWithResponses](),
		map[string]func(context.Context, string) (any, error){
			"CreateAccessTokenWithBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return moovClient(url).CreateAccessTokenWithBodyWithResponse(ctx, nil, "text/plain", strings.NewReader("x"))
			},
			"CreateAccessTokenWithResponse": func(ctx context.Context, url string) (any, error) {
				return moovClient(url).CreateAccessTokenWithResponse(ctx, &moov.CreateAccessTokenParams{XMoovVersion: new("v2024.01.00")}, moov.AuthTokenRequest{})
			},
			"CreateAccessTokenWithFormdataBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return moovClient(url).CreateAccessTokenWithFormdataBodyWithResponse(ctx, nil, moov.AuthTokenRequest{})
			},
		},
		[]documentedResponse{
			{200, "application/json", `{"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expires_in": 1736964352, "scope": "s"}`, "JSON200",
				&moov.AuthToken{AccessToken: wire.NewSecret("a"), RefreshToken: wire.NewSecret("r"), TokenType: moov.TokenTypeBearer, ExpiresIn: "1736964352", Scope: "s"}},
			{400, "application/json", `{"error": "invalid_request"}`, "JSON400", &moov.GenericError{Error: "invalid_request"}},
			{422, "application/json", `{"scope": "s", "refresh_token": "r"}`, "JSON422", &moov.AuthTokenRequestError{Scope: new("s"), RefreshToken: new("r")}},
			bodyless(429), bodyless(500), bodyless(504),
		},
	},
	{
		"moov", "revokeAccessToken", reflect.TypeFor[*moov.ClientWithResponses](),
		map[string]func(context.Context, string) (any, error){
			"RevokeAccessTokenWithBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return moovClient(url).RevokeAccessTokenWithBodyWithResponse(ctx, nil, "text/plain", strings.NewReader("x"))
			},
			"RevokeAccessTokenWithResponse": func(ctx context.Context, url string) (any, error) {
				return moovClient(url).RevokeAccessTokenWithResponse(ctx, nil, moov.RevokeTokenRequest{})
			},
			"RevokeAccessTokenWithFormdataBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return moovClient(url).RevokeAccessTokenWithFormdataBodyWithResponse(ctx, nil, moov.RevokeTokenRequest{})
			},
		},
		[]documentedResponse{
			bodyless(204),
			{400, "application/json", `{"error": "invalid_request"}`, "JSON400", &moov.GenericError{Error: "invalid_request"}},
			{422, "application/json", `{"token": "t", "token_type_hint": "h"}`, "JSON422", &moov.RevokeTokenRequestError{Token: new("t"), TokenTypeHint: new("h")}},
			bodyless(429), bodyless(500), bodyless(504),
		},
	},
	{
		"sailpoint", "createAccessToken", reflect.TypeFor[*sailpoint.ClientWithResponses](),
		map[string]func(context.Context, string) (any, error){
			"CreateAccessTokenWithBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return sailPointClient(url).CreateAccessTokenWithBodyWithResponse(ctx, "text/plain", strings.NewReader("x"))
			},
			"CreateAccessTokenWithFormdataBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return sailPointClient(url).CreateAccessTokenWithFormdataBodyWithResponse(ctx, sailpoint.AccessTokenRequest{})
			},
		},
		[]documentedResponse{
			{200, "application/json", `{"access_token": "a", "token_type": "bearer", "expires_in": 749}`, "JSON200",
				&sailpoint.AccessToken{AccessToken: wire.NewSecret("a"), TokenType: "bearer", ExpiresIn: new(json.Number("749"))}},
			{400, "application/json", `{"error": "invalid_grant"}`, "JSON400", &sailpoint.OAuthError{Error: new("invalid_grant")}},
			{401, "application/json", `{"error": "invalid_client"}`, "JSON401", &sailpoint.OAuthError{Error: new("invalid_client")}},
			sailPointTooMany,
			sailPointFailed(500),
		},
	},
	{
		"sailpoint", "listOAuthClients", reflect.TypeFor[*sailpoint.ClientWithResponses](),
		map[string]func(context.Context, string) (any, error){
			"ListOAuthClientsWithResponse": func(ctx context.Context, url string) (any, error) {
				return sailPointClient(url+"/beta").ListOAuthClientsWithResponse(ctx, &sailpoint.ListOAuthClientsParams{Filters: new("lastUsed isnull")})
			},
		},
		[]documentedResponse{
			{200, "application/json", `[{"id": "i", "name": "n"}]`, "JSON200", &[]sailpoint.OAuthClient{{ID: "i", Name: "n"}}},
			sailPointFailed(400), sailPointUnauthorized, sailPointFailed(403), sailPointTooMany, sailPointFailed(500),
		},
	},
	{
		"sailpoint", "createOAuthClient", reflect.TypeFor[*sailpoint.ClientWithResponses](),
		map[string]func(context.Context, string) (any, error){
			"CreateOAuthClientWithBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return sailPointClient(url+"/beta").CreateOAuthClientWithBodyWithResponse(ctx, "application/json", strings.NewReader("{}"))
			},
			"CreateOAuthClientWithResponse": func(ctx context.Context, url string) (any, error) {
				return sailPointClient(url+"/beta").CreateOAuthClientWithResponse(ctx, sailpoint.CreateOAuthClientRequest{})
			},
		},
		[]documentedResponse{
			{200, "application/json", `{"id": "i", "secret": "s"}`, "JSON200", &sailpoint.CreateOAuthClientResponse{ID: "i", Secret: wire.NewSecret("s")}},
			sailPointFailed(400), sailPointUnauthorized, sailPointFailed(403), sailPointTooMany, sailPointFailed(500),
		},
	},
	{
		"sailpoint", "getOAuthClient", reflect.TypeFor[*sailpoint.ClientWithResponses](),
		map[string]func(context.Context, string) (any, error){
			"GetOAuthClientWithResponse": func(ctx context.Context, url string) (any, error) {
				return sailPointClient(url+"/beta").GetOAuthClientWithResponse(ctx, "i")
			},
		},
		[]documentedResponse{
			sailPointClientResponse,
			sailPointFailed(400), sailPointUnauthorized, sailPointFailed(403), sailPointFailed(404), sailPointTooMany, sailPointFailed(500),
		},
	},
	{
		"sailpoint", "patchOAuthClient", reflect.TypeFor[*sailpoint.ClientWithResponses](),
		map[string]func(context.Context, string) (any, error){
			"PatchOAuthClientWithBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return sailPointClient(url+"/beta").PatchOAuthClientWithBodyWithResponse(ctx, "i", "application/json-patch+json", strings.NewReader("[]"))
			},
			"PatchOAuthClientWithApplicationJSONPatchPlusJSONBodyWithResponse": func(ctx context.Context, url string) (any, error) {
				return sailPointClient(url+"/beta").PatchOAuthClientWithApplicationJSONPatchPlusJSONBodyWithResponse(ctx, "i", []sailpoint.JSONPatchOperation{})
			},
		},
		[]documentedResponse{
			sailPointClientResponse,
			sailPointFailed(400), sailPointUnauthorized, sailPointFailed(403), sailPointFailed(404), sailPointTooMany, sailPointFailed(500),
		},
	},
	{
		"sailpoint", "deleteOAuthClient", reflect.TypeFor[*sailpoint.ClientWithResponses](),
		map[string]func(context.Context, string) (any, error){
			"DeleteOAuthClientWithResponse": func(ctx context.Context, url string) (any, error) {
				return sailPointClient(url+"/beta").DeleteOAuthClientWithResponse(ctx, "i")
			},
		},
		[]documentedResponse{
			bodyless(204),
			sailPointFailed(400), sailPointUnauthorized, sailPointFailed(403), sailPointFailed(404), sailPointTooMany, sailPointFailed(500),
		},
	},
}

// documentedResponse is a response and the field of the generated result that it must fill; "" if it has no body.
type documentedResponse struct {
	status            int
	contentType, body string
	field             string
	want              any
}

func bodyless(status int) documentedResponse { return documentedResponse{status: status} }

var (
	sailPointUnauthorized = documentedResponse{401, "application/json", `{"error": "JWT validation failed: JWT is expired"}`, "JSON401",
		&sailpoint.UnauthorizedError{Error: "JWT validation failed: JWT is expired"}}
	sailPointTooMany = documentedResponse{429, "application/json", `{"message": " Rate Limit Exceeded "}`, "JSON429",
		&sailpoint.RateLimitError{Message: " Rate Limit Exceeded "}}
	sailPointClientResponse = documentedResponse{200, "application/json", `{"id": "i", "name": "n", "secret": null, "scope": ["s"]}`, "JSON200",
		&sailpoint.OAuthClient{ID: "i", Name: "n", Scope: []string{"s"}}}
)

func sailPointFailed(status int) documentedResponse {
	return documentedResponse{
		status, "application/json",
		`{"detailCode": "c", "trackingId": "i", "messages": [{"locale": "en-US", "localeOrigin": "DEFAULT", "text": "t"}], "causes": [{"text": "why"}]}`,
		"JSON" + strconv.Itoa(status),
		&sailpoint.ErrorResponseDto{
			DetailCode: new("c"), TrackingID: new("i"),
			Messages: []sailpoint.ErrorMessageDto{{Locale: new("en-US"), LocaleOrigin: new(sailpoint.LocaleOriginDefault), Text: new("t")}},
			Causes:   []sailpoint.ErrorMessageDto{{Text: new("why")}},
		},
	}
}

func TestGeneratedClientsFillTheFieldOfEachStatus(t *testing.T) {
	servers, urls := map[string]vendorServer{}, map[string]string{}
	for _, v := range vendors {
		servers[v.name] = v.sandbox(sandboxOptions{})
		listener, err := sandbox.Listen(servers[v.name])
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, listener.Close()) })
		urls[v.name] = listener.URL
	}

	for _, op := range generatedOperations {
		for _, response := range op.responses {
			for method, call := range op.calls {
				t.Run(op.vendor+"/"+method+"/"+strconv.Itoa(response.status), func(t *testing.T) {
					server := servers[op.vendor]
					before := server.Count(op.id)
					server.Fault(op.id, sandbox.Fault{Status: response.status, ContentType: response.contentType, Body: response.body})
					result, err := call(t.Context(), urls[op.vendor])
					require.NoError(t, err)
					assert.Equal(t, before+1, server.Count(op.id))
					assertFilled(t, response, reflect.ValueOf(result).Elem())
				})
			}
		}
	}
}

// assertFilled checks that the response fills its field and no other typed field, and that the raw response is there.
func assertFilled(t *testing.T, response documentedResponse, result reflect.Value) {
	t.Helper()
	found := response.field == ""
	for field, value := range result.Fields() {
		switch field.Name {
		case "Body":
			assert.Equal(t, response.body, string(value.Bytes()))
		case "HTTPResponse":
			assert.Equal(t, response.status, value.Interface().(*http.Response).StatusCode)
		case response.field:
			found = true
			assert.Equal(t, mustJSON(t, response.want), mustJSON(t, value.Interface()), field.Name)
			assert.IsType(t, response.want, value.Interface())
		default:
			assert.True(t, value.IsNil(), "%s must be nil", field.Name)
		}
	}
	assert.True(t, found, "the result has no field %s", response.field)
}

// mustJSON is for comparing models by content, because a wire.Time also remembers its spelling.
func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, text, "", "\t"))
	return b.String()
}

func TestEveryDocumentedStatusIsInTheTable(t *testing.T) {
	documented := map[string][]string{} // media types by vendor, operation and status
	for _, vendor := range vendorNames {
		for _, item := range loadSpec(t, vendor).Paths.Map() {
			for _, op := range item.Operations() {
				for status, response := range op.Responses.Map() {
					key := vendor + " " + op.OperationID + " " + status
					documented[key] = []string{}
					for mediaType := range response.Value.Content {
						documented[key] = append(documented[key], mediaType)
					}
				}
			}
		}
	}
	inTable := map[string][]string{}
	for _, op := range generatedOperations {
		for _, response := range op.responses {
			key := op.vendor + " " + op.id + " " + strconv.Itoa(response.status)
			assert.NotContains(t, inTable, key)
			inTable[key] = []string{}
			if response.contentType != "" {
				inTable[key] = []string{response.contentType}
			}
		}
	}
	assert.Equal(t, documented, inTable)
}

func TestEveryGeneratedMethodIsInTheTable(t *testing.T) {
	methods, inTable := map[string]bool{}, map[string]bool{}
	for _, op := range generatedOperations {
		for method := range op.client.Methods() {
			if strings.HasSuffix(method.Name, "WithResponse") {
				methods[op.vendor+" "+method.Name] = true
			}
		}
		for name := range op.calls {
			inTable[op.vendor+" "+name] = true
		}
	}
	assert.Equal(t, methods, inTable)
}

// The generated constructors fail only for a malformed URL.

func thousandEyesClient(url string) *thousandeyes.ClientWithResponses {
	c, err := thousandeyes.NewClientWithResponses(url)
	if err != nil {
		panic(err)
	}
	return c
}

func moovClient(url string) *moov.ClientWithResponses {
	c, err := moov.NewClientWithResponses(url)
	if err != nil {
		panic(err)
	}
	return c
}

func sailPointClient(url string) *sailpoint.ClientWithResponses {
	c, err := sailpoint.NewClientWithResponses(url)
	if err != nil {
		panic(err)
	}
	return c
}
