package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/moov"
	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/thousandeyes"
)

func TestErrorIs(t *testing.T) {
	err := fmt.Errorf("renewing: %w", &Error{StatusCode: 400, Code: InvalidGrant, cause: io.EOF})
	assert.ErrorIs(t, err, InvalidGrant)
	assert.ErrorIs(t, err, Status(http.StatusBadRequest))
	assert.ErrorIs(t, err, io.EOF)
	assert.NotErrorIs(t, err, InvalidClient)
	assert.NotErrorIs(t, err, Status(401))

	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, InvalidGrant, e.Code)

	bare := &Error{}
	assert.NotErrorIs(t, bare, Status(0), "Status(0) matches nothing")
	assert.NotErrorIs(t, bare, Code(""), `Code("") matches nothing`)
	assert.NoError(t, bare.Unwrap())
}

func TestCodeAndStatusTexts(t *testing.T) {
	assert.Equal(t, "invalid_grant", InvalidGrant.Error())
	assert.Equal(t, "429 Too Many Requests", Status(429).Error())
	assert.Equal(t, "599", Status(599).Error())
}

// The text is the same however it is printed, and never includes Body.
func TestErrorText(t *testing.T) {
	tests := []struct {
		name string
		err  Error
		want string
	}{
		{
			"all there is",
			Error{
				Method: "POST", URL: "https://api.moov.io/oauth2/token", StatusCode: 400, Code: InvalidGrant, Message: "used",
				RequestID: "r-1", Fields: []Field{{Name: "f"}}, RetryAfter: time.Second, Body: []byte("the body"),
			},
			"POST https://api.moov.io/oauth2/token: 400 Bad Request: invalid_grant: used [f] (request id r-1, retry after 1s)",
		},
		{"a status alone", Error{Method: "GET", URL: "https://x", StatusCode: 599}, "GET https://x: 599"},
		{"a cause alone", Error{Method: "GET", URL: "https://x", cause: io.EOF}, "GET https://x: EOF"},
		{"a cause beside a status", Error{Method: "GET", URL: "https://x", StatusCode: 200, cause: io.EOF}, "GET https://x: 200 OK: EOF"},
		{
			"control characters",
			Error{Method: "GET", URL: "https://x", StatusCode: 400, Code: "a\nb", Message: "c\x1b[2Jd\u202e", RequestID: "e\r\nf"},
			"GET https://x: 400 Bad Request: a b: c [2Jd (request id e f)",
		},
		{
			"long texts",
			Error{Method: "GET", URL: "https://x", StatusCode: 400, Message: strings.Repeat("m", 201)},
			"GET https://x: 400 Bad Request: " + strings.Repeat("m", 200) + "...",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, tt.err.Error())
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
				assert.Equal(t, tt.want, fmt.Sprintf(verb, tt.err), verb)
				assert.Equal(t, tt.want, fmt.Sprintf(verb, &tt.err), verb)
			}
		})
	}
}

func TestErrorLogged(t *testing.T) {
	err := &Error{
		Method: "GET", URL: "https://x", StatusCode: 400, Code: InvalidGrant, Message: "a\nb", RequestID: "r", Body: []byte("body"), cause: io.EOF, RetryAfter: time.Minute,
	}
	want := `{"method":"GET","url":"https://x","status":400,"code":"invalid_grant","message":"a b","cause":"EOF","request_id":"r","retry_after":60000000000}`
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("", "err", err)
	var line struct{ Err json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(b.String()), &line))
	assert.JSONEq(t, want, string(line.Err))

	b.Reset()
	slog.New(slog.NewTextHandler(&b, nil)).Info("", "err", &Error{Method: "GET", URL: "https://x", cause: io.EOF})
	assert.Contains(t, b.String(), `err.method=GET err.url=https://x err.cause=EOF`)
	assert.NotContains(t, b.String(), "status", "there was no response")
	assert.NotContains(t, b.String(), "retry_after")
}

func TestErrorTimeout(t *testing.T) {
	tests := []struct {
		name  string
		cause error
		want  bool
	}{
		{"none", nil, false},
		{"broken", io.EOF, false},
		{"deadline", context.DeadlineExceeded, true},
		{"cancelled", context.Canceled, false},
		{"network", &net.OpError{Op: "read", Err: timeoutError{}}, true},
		{"network, broken", &net.OpError{Op: "read", Err: errors.New("reset")}, false},
		{"the token's", noToken(&Error{cause: context.DeadlineExceeded}), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, (&Error{cause: tt.cause}).Timeout())
		})
	}
}

// timeoutError is like the error of package net after a timeout of a dialer or connection.
type timeoutError struct{}

func (timeoutError) Error() string        { return "i/o timeout" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// Every error model of the generated packages can be decoded from Body without loss.
func TestErrorDecode(t *testing.T) {
	sailPoint := `{"detailCode":"400.1 Bad Request Content","trackingId":"e7eab609",` +
		`"messages":[{"locale":"en-US","localeOrigin":"DEFAULT","text":"malformed"}],` +
		`"causes":[{"locale":"en-US","localeOrigin":"REQUEST","text":"no name"}]}`
	tests := []struct {
		name   string
		status int
		body   string
		model  any
	}{
		{
			"thousandeyes.ValidationError", 400,
			`{"type":"about:blank","title":"Bad Request","status":400,"detail":"d","instance":"/i","errors":[{"code":"c","field":3,"message":"m"},{"field":"scope"}]}`,
			&thousandeyes.ValidationError{},
		},
		{"thousandeyes.UnauthorizedError", 401, `{"error":"invalid_client","error_description":"d"}`, &thousandeyes.UnauthorizedError{}},
		{"thousandeyes.Error", 429, `{"type":"about:blank","title":"t","status":429,"detail":"d","instance":"/i"}`, &thousandeyes.Error{}},
		{"moov.GenericError", 400, `{"error":"invalid_request"}`, &moov.GenericError{}},
		{"moov.AuthTokenRequestError", 422, `{"scope":"s","refresh_token":"r"}`, &moov.AuthTokenRequestError{}},
		{"moov.RevokeTokenRequestError", 422, `{"token":"t","token_type_hint":"h"}`, &moov.RevokeTokenRequestError{}},
		{"sailpoint.ErrorResponseDto", 400, sailPoint, &sailpoint.ErrorResponseDto{}},
		{"sailpoint.BadRequest", 400, sailPoint, &sailpoint.BadRequest{}},
		{"sailpoint.Forbidden", 403, sailPoint, &sailpoint.Forbidden{}},
		{"sailpoint.NotFound", 404, sailPoint, &sailpoint.NotFound{}},
		{"sailpoint.InternalServerError", 500, sailPoint, &sailpoint.InternalServerError{}},
		{"sailpoint.UnauthorizedError", 401, `{"error":"JWT validation failed: JWT is expired"}`, &sailpoint.UnauthorizedError{}},
		{"sailpoint.RateLimitError", 429, `{"message":" Rate Limit Exceeded "}`, &sailpoint.RateLimitError{}},
		{"sailpoint.OAuthError", 400, `{"error":"invalid_grant","error_description":"d"}`, &sailpoint.OAuthError{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := failed(t, reply(tt.status, jsonType, tt.body))
			require.NoError(t, e.Decode(tt.model))
			again, err := json.Marshal(tt.model)
			require.NoError(t, err)
			assert.JSONEq(t, tt.body, string(again))
		})
	}

	t.Run("a body that does not fit", func(t *testing.T) {
		for _, body := range []string{`{"error":{"s3cret":1}}`, `<s3cret>`, ``} {
			err := failed(t, reply(400, jsonType, body)).Decode(&moov.GenericError{})
			assert.EqualError(t, err, "tokens: the body of this error does not fit *moov.GenericError")
		}
	})
	t.Run("no response", func(t *testing.T) {
		err := failed(t, withoutResponse(errors.New("no route"))).Decode(&moov.GenericError{})
		assert.EqualError(t, err, "tokens: the body of this error does not fit *moov.GenericError")
	})
}

// The text of an Error whose parts repeat each other, or are too long.
func TestErrorTextOfParts(t *testing.T) {
	tests := []struct {
		name string
		err  Error
		want string
	}{
		{"a code that is the status", Error{StatusCode: 404, Code: "404 Not found", Message: "no such client"}, "404 Not Found: no such client"},
		{"a code that is the status's text", Error{StatusCode: 404, Code: "not found", Message: "no such client"}, "404 Not Found: no such client"},
		{"a message that is the status", Error{StatusCode: 404, Message: "Not found"}, "404 Not Found"},
		{"a message that begins with the status", Error{StatusCode: 429, Message: "Too Many Requests: 240 a minute"}, "429 Too Many Requests: 240 a minute"},
		{"a message that only seems to", Error{StatusCode: 404, Message: "Not foundation"}, "404 Not Found: Not foundation"},
		{
			"fields beside a message", Error{StatusCode: 400, Message: "2 errors", Fields: []Field{{Name: "a", Message: "no"}, {Message: "odd", Code: "c"}}},
			"400 Bad Request: 2 errors [a: no; odd]",
		},
		{"fields that are the message", Error{StatusCode: 400, Message: "a: no", Fields: []Field{{Name: "a", Message: "no"}}}, "400 Bad Request: a: no"},
		{"fields alone", Error{StatusCode: 400, Fields: []Field{{Name: "a", Code: "required"}}}, "400 Bad Request: a: required"},
		{"a wait", Error{StatusCode: 429, RetryAfter: 90 * time.Second}, "429 Too Many Requests (retry after 1m30s)"},
		{"a short wait", Error{StatusCode: 429, RetryAfter: time.Millisecond}, "429 Too Many Requests (retry after 1s)"},
		{"a long cause", Error{cause: errors.New(strings.Repeat("c", 3<<20))}, strings.Repeat("c", 500) + "..."},
		{"a cause with control characters", Error{cause: errors.New("a\x1b[31m\nb")}, "a [31m b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.err.Method, tt.err.URL = "GET", "https://x"
			assert.Equal(t, "GET https://x: "+tt.want, tt.err.Error())
		})
	}
}

// If a response was lost, the error must say that the request may have had an effect.
func TestErrorOfALostResponse(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, tt := range []struct {
		method string
		cause  error
		want   bool
	}{
		{"POST", io.EOF, true},
		{"PATCH", io.ErrUnexpectedEOF, true},
		{"DELETE", io.EOF, true},
		{"GET", io.EOF, false},
		{"POST", dial, false},
		{"POST", noToken(io.EOF), false},
	} {
		err := failure(newRequest(t, tt.method, apiURL, ""), tt.cause)
		assert.Equal(t, tt.want, strings.HasSuffix(err.Error(), " (the server may have acted on it)"), "%s: %v", tt.method, err)
	}
	got := failed(t, reply(500, "", ""))
	assert.NotContains(t, got.Error(), "may have acted")
}

func TestNewError(t *testing.T) {
	body := []byte(`{"error":"invalid_grant"}`)
	resp, err := reply(400, jsonType, "")(nil)
	require.NoError(t, err)
	e := NewError(resp, body, nil) // a Response made by hand has no Request
	assert.Equal(t, InvalidGrant, e.Code)
	assert.Equal(t, " : 400 Bad Request: invalid_grant", e.Error())
	body[2] = 'X'
	assert.Equal(t, `{"error":"invalid_grant"}`, string(e.Body), "the body is a copy")

	e = NewError(&http.Response{StatusCode: http.StatusOK}, nil, io.EOF)
	assert.ErrorIs(t, e, io.EOF)
}

// Each standard code is matched by its own constant only, and is in the text of the error even if the client's id is
// the same word.
func TestStandardCodes(t *testing.T) {
	all := []Code{
		InvalidRequest, InvalidClient, InvalidGrant, UnauthorizedClient, UnsupportedGrantType, InvalidScope, UnsupportedTokenType,
		InvalidToken, InsufficientScope, AuthorizationPending, SlowDown, ExpiredToken, InvalidTarget, AccessDenied,
		UnsupportedResponseType, ServerError, TemporarilyUnavailable,
	}
	assert.ElementsMatch(t, all, standardCodes)
	for _, code := range all {
		e, err := NewEndpoint(tokenURL, Credentials{ClientID: string(code), ClientSecret: "secret"}, &EndpointOptions{
			HTTPClient: newScript(reply(400, jsonType, `{"error":"`+string(code)+`"}`)).client(), Retry: Retry{Attempts: 1},
			AuthStyle: AuthStyleBody,
		})
		require.NoError(t, err)
		_, err = e.Exchange(t.Context(), Grant{Type: "urn:ietf:params:oauth:grant-type:device_code", Params: url.Values{"device_code": {"d"}}})
		for _, other := range all {
			assert.Equal(t, other == code, errors.Is(err, other), "%s against %s", code, other)
		}
		assert.ErrorContains(t, err, string(code))
	}
}
