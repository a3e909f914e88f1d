package tokens

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// jsonTypes are media types under which servers send JSON, in spellings that are equal by RFC 9110, section 8.3.1, and
// some that are simply wrong.
var jsonTypes = []string{
	"application/json",
	"Application/JSON; Charset=UTF-8",
	"application/problem+json",
	"APPLICATION/Problem+JSON;charset=utf-8",
	"application/vnd.example.v2+json",
	"application/json;",
	"application/json; charset",
	"text/plain; charset=utf-8",
	"text/html",
	"*/*",
	"",
}

func TestErrorShapes(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   Error
	}{
		{
			"RFC 6749", 400,
			`{"error":"invalid_scope","error_description":"no such scope","error_uri":"https://example.com/e"}`,
			Error{Code: InvalidScope, Message: "no such scope"},
		},
		{
			"RFC 6749 with members of the wrong type", 400,
			`{"error":["invalid_scope"],"error_description":7,"extra":{"a":[1,{}]}}`,
			Error{},
		},
		{
			"a nested error", 401,
			`{"error":{"code":"UNAUTHENTICATED","message":"no key"}}`,
			Error{Code: "UNAUTHENTICATED", Message: "no key"},
		},
		{
			"RFC 9457 without a type", 429,
			`{"title":"Too Many Requests","status":429,"detail":"240 a minute","instance":"/v7/oauth2/token"}`,
			Error{Message: "Too Many Requests: 240 a minute"},
		},
		{
			"RFC 9457 about:blank", 403,
			`{"type":"about:blank","title":"Forbidden"}`,
			Error{Message: "Forbidden"},
		},
		{
			"RFC 9457 with members of the wrong type", 403,
			`{"type":4,"title":{"en":"x"},"status":"200","detail":"what can be read","instance":[]}`,
			Error{Message: "what can be read"},
		},
		{
			"RFC 9457 says 200", 403,
			`{"status":200,"title":"OK"}`,
			Error{Message: "OK"},
		},
		{
			"ThousandEyes validation, field a number", 400,
			`{"title":"Bad Request","detail":"2 errors","errors":[` +
				`{"code":"required","field":3,"message":"must not be empty"},{"message":"too long","field":"scope"}]}`,
			Error{Message: "Bad Request: 2 errors", Fields: []Field{
				{Name: "3", Code: "required", Message: "must not be empty"}, {Name: "scope", Message: "too long"},
			}},
		},
		{
			"ThousandEyes validation alone", 400,
			`{"errors":[{"field":"grant_type","code":"required"},{"message":"be kind"},{"field":null,"code":null},5,null,"last"]}`,
			Error{Message: "grant_type: required; be kind; last", Fields: []Field{
				{Name: "grant_type", Code: "required"}, {Message: "be kind"}, {Message: "last"},
			}},
		},
		{
			"ThousandEyes errors as strings", 412,
			`{"timestamp":1714000000000,"httpStatus":"PRECONDITION_FAILED","errors":["no account group","no agent"],"path":"https://x"}`,
			Error{Code: "PRECONDITION_FAILED", Message: "no account group; no agent", Fields: []Field{
				{Message: "no account group"}, {Message: "no agent"},
			}},
		},
		{
			"ThousandEyes 401", 401,
			`{"error":"invalid_client","error_description":"Bad client credentials"}`,
			Error{Code: InvalidClient, Message: "Bad client credentials"},
		},
		{"Moov 400", 400, `{"error":"invalid_request"}`, Error{Code: InvalidRequest}},
		{"Moov 400 in words", 400, `{"error":"the grant type is odd"}`, Error{Message: "the grant type is odd"}},
		{
			"Moov 422", 422,
			`{"scope":"cannot be blank","refresh_token":"is expired","token":{},"session":"unknown, so left alone"}`,
			Error{Message: "refresh_token: is expired; scope: cannot be blank", Fields: []Field{
				{Name: "refresh_token", Message: "is expired"}, {Name: "scope", Message: "cannot be blank"},
			}},
		},
		{
			"422 of another shape", 422,
			`{"errors":[{"field":"token","code":"required"}],"scope":"a b"}`,
			Error{Message: "token: required", Fields: []Field{{Name: "token", Code: "required"}}},
		},
		{"Moov 422 with an error", 422, `{"error":"invalid_token","token":"x"}`, Error{Code: InvalidToken}},
		{"Moov 422 with a message", 422, `{"message":"not revoked","token":"x"}`, Error{Message: "not revoked"}},
		{"members that are no complaints", 400, `{"scope":"a b","state":"c"}`, Error{}},
		{
			"SailPoint ErrorResponseDto", 400,
			`{"detailCode":"400.1 Bad Request Content","trackingId":"e7eab60924f64aa284175b9fa3309599","messages":[` +
				`{"locale":"en-US","localeOrigin":"DEFAULT","text":"The request was malformed."},` +
				`{"locale":"de","localeOrigin":null,"text":"Die Anfrage war fehlerhaft."}],` +
				`"causes":[{"locale":null,"localeOrigin":"NEW","text":"The name is missing."},{"text":4},"odd"]}`,
			Error{
				Code: "400.1 Bad Request Content", Message: "The request was malformed.",
				RequestID: "e7eab60924f64aa284175b9fa3309599", Fields: []Field{{Message: "The name is missing."}},
			},
		},
		{
			"SailPoint ErrorResponseDto with nulls", 403,
			`{"detailCode":"403 Forbidden","trackingId":null,"messages":null,"causes":[null]}`,
			Error{Code: "403 Forbidden"},
		},
		{
			"SailPoint 401", 401, `{"error":"JWT validation failed: JWT is expired"}`,
			Error{Message: "JWT validation failed: JWT is expired"},
		},
		{"SailPoint 429", 429, `{"message":" Rate Limit Exceeded "}`, Error{Message: "Rate Limit Exceeded"}},
		{"SailPoint 429 with an object", 429, `{"message":{"a":1}}`, Error{}},
		{"a JSON string", 500, `"out of order"`, Error{Message: "out of order"}},
		{"a JSON array", 500, `[{"error":"invalid_grant"}]`, Error{}},
		{"no members", 500, `{}`, Error{}},
		{"cut in the middle", 500, `{"error":"invalid_grant","error_descr`, Error{}},
		{"nested too deep", 500, strings.Repeat(`{"error":`, 20000) + `1` + strings.Repeat(`}`, 20000), Error{}},
		{"a repeated member", 400, `{"error":"invalid_grant","error":"invalid_scope"}`, Error{Code: InvalidScope}},
		{"a member in another case", 400, `{"Error":"invalid_grant"}`, Error{}},
	}
	for _, tt := range tests {
		for _, mediaType := range jsonTypes {
			t.Run(tt.name+"/"+mediaType, func(t *testing.T) {
				e := failed(t, reply(tt.status, mediaType, tt.body))
				assert.Equal(t, tt.status, e.StatusCode)
				assert.Equal(t, tt.want.Code, e.Code)
				assert.Equal(t, tt.want.Message, e.Message)
				assert.Equal(t, tt.want.RequestID, e.RequestID)
				assert.Equal(t, tt.want.Fields, e.Fields)
				assert.Equal(t, tt.body[:min(len(tt.body), maxErrorBody)], string(e.Body))
				assert.NoError(t, errors.Unwrap(e))
			})
		}
	}
}

func TestErrorProblemType(t *testing.T) {
	tests := []struct{ mediaType, problemType, want string }{
		{"application/problem+json", "https://example.com/probs/out-of-credit", "https://example.com/probs/out-of-credit"},
		{"Application/Problem+JSON; charset=utf-8", "/probs/credit", apiURL + "/probs/credit"},
		{"application/problem+json", "credit", apiURL + "/credit"},
		{"application/problem+json", "https://example.com/probs#credit", "https://example.com/probs#credit"},
		{"application/problem+json", "#credit", apiURL + "/things#credit"},
		{"application/problem+json", "urn:example:credit", "urn:example:credit"},
		{"application/problem+json", "about:blank", ""},
		{"application/problem+json", "", ""},
		{"application/problem+json", "http://[::1", ""}, // not a URI
		{"application/json", "https://example.com/probs/out-of-credit", ""},
	}
	for _, tt := range tests {
		t.Run(tt.mediaType+" "+tt.problemType, func(t *testing.T) {
			s := newScript(reply(403, tt.mediaType, `{"type":"`+tt.problemType+`","title":"No"}`))
			_, err := doerOver(t, s, nil).Do(newRequest(t, http.MethodGet, apiURL+"/things?q=hidden", ""))
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, Code(tt.want), e.Code)
			assert.Equal(t, "No", e.Message)
			assert.Len(t, s.requests(), 1, "a type is never fetched (RFC 9457, section 3.1.1)")
		})
	}
}

func TestErrorOfTextAndMarkup(t *testing.T) {
	page := "<!DOCTYPE html>\n<html><body>nginx</body></html>"
	tests := []struct{ name, mediaType, body, want string }{
		{"plain text", "text/plain; charset=utf-8", "Method Not Allowed\n", "Method Not Allowed"},
		{"text of no type", "", "upstream connect error", "upstream connect error"},
		{"text of several lines", "text/plain", "one\r\n\ttwo\x00three", "one two three"},
		{"text in ANSI colours", "text/plain", "\x1b[31mred\x1b[0m \x9b2J", "[31mred [0m \uFFFD2J"},
		{"text that hides its direction", "text/plain", "a\u202egnp.exe\u200b\u2028b", "a gnp.exe b"},
		{"not UTF-8", "text/plain", "caf\xe9", "caf\uFFFD"},
		{"long text", "text/plain", strings.Repeat("é", 300), strings.Repeat("é", 200) + "..."},
		{"text of the greatest length", "text/plain", strings.Repeat("é", 200), strings.Repeat("é", 200)},
		{"HTML", "text/html; charset=utf-8", page, ""},
		{"HTML of no type", "", page, ""},
		{"HTML as text", "text/plain", "  \n" + page, ""},
		{"HTML as JSON", "application/json", page, ""},
		{"HTML that begins with text", "Text/HTML", "Sorry <b>no</b>", ""},
		{"XML", "application/xml", "<error/>", ""},
		{"text as JSON", "application/json", "upstream connect error", ""},
		{"nothing", "", "", ""},
		{"nothing, as JSON", "application/json", "", ""},
		{"white space", "text/plain", " \n ", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := failed(t, reply(502, tt.mediaType, tt.body))
			assert.Equal(t, tt.want, e.Message)
			assert.Empty(t, e.Code)
			assert.Equal(t, tt.body, string(e.Body))
			want := "GET " + apiURL + "/things: 502 Bad Gateway"
			if tt.want != "" {
				want += ": " + tt.want
			}
			assert.Equal(t, want, e.Error())
		})
	}
}

func TestErrorBodyIsBounded(t *testing.T) {
	t.Run("text", func(t *testing.T) {
		e := failed(t, reply(500, "text/plain", strings.Repeat("x", 1<<20)))
		assert.Len(t, e.Body, maxErrorBody)
		assert.Less(t, len(e.Error()), 400)
	})
	t.Run("JSON", func(t *testing.T) {
		e := failed(t, reply(500, jsonType, `{"error":"invalid_grant","padding":"`+strings.Repeat("x", 1<<20)+`"}`))
		assert.Len(t, e.Body, maxErrorBody)
		assert.Equal(t, 500, e.StatusCode)
	})
	t.Run("without end", func(t *testing.T) {
		read := &countingReader{}
		e := failed(t, func(req *http.Request) (*http.Response, error) {
			resp, err := reply(500, "text/plain", "")(req)
			resp.Body = io.NopCloser(read)
			return resp, err
		})
		assert.Len(t, e.Body, maxErrorBody)
		assert.Equal(t, maxErrorBody, read.n, "no more than the kept part is read")
	})
	t.Run("exactly the bound", func(t *testing.T) {
		body := `{"error":"invalid_grant","padding":"` + strings.Repeat("x", maxErrorBody-38) + `"}`
		require.Len(t, body, maxErrorBody)
		assert.Equal(t, InvalidGrant, failed(t, reply(500, jsonType, body)).Code)
	})
}

// countingReader returns an endless stream of x, and counts the bytes read.
type countingReader struct{ n int }

func (r *countingReader) Read(p []byte) (int, error) {
	r.n += copy(p, strings.Repeat("x", len(p)))
	return len(p), nil
}

func TestErrorStatusWinsOverABodyThatBreaksOff(t *testing.T) {
	e := failed(t, func(req *http.Request) (*http.Response, error) {
		resp, err := reply(404, jsonType, "")(req)
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"error":`), brokenReader{io.ErrUnexpectedEOF}))
		return resp, err
	})
	require.ErrorIs(t, e, Status(404))
	assert.Equal(t, `{"error":`, string(e.Body))
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

func TestErrorHeaders(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		body    string
		headers []string
		want    Error
	}{
		{"X-Request-Id", 500, "", []string{"X-Request-Id", "r-1"}, Error{RequestID: "r-1"}},
		{"x-request-id that is no UUID beside the body's", 400, `{"trackingId":"body"}`, []string{"x-request-id", "not a uuid"}, Error{RequestID: "not a uuid"}},
		{"SLPT-Request-ID", 500, "", []string{"SLPT-Request-ID", "slpt"}, Error{RequestID: "slpt"}},
		{"Retry-After", 503, "", []string{"Retry-After", "120"}, Error{RetryAfter: 2 * time.Minute}},
		{"Retry-After after any status", 403, "", []string{"Retry-After", "1"}, Error{RetryAfter: time.Second}},
		{
			"a challenge and no body", 401, "",
			[]string{"WWW-Authenticate", `Basic realm="x"`, "WWW-Authenticate", `Bearer error="invalid_token", error_description="expired"`},
			Error{Code: InvalidToken, Message: "expired"},
		},
		{
			"a challenge beside a sentence", 401, `{"error":"JWT is expired"}`,
			[]string{"WWW-Authenticate", `Bearer error="invalid_token", error_description="expired"`},
			Error{Code: InvalidToken, Message: "JWT is expired"},
		},
		{
			"a challenge beside a code", 401, `{"error":"invalid_client"}`,
			[]string{"WWW-Authenticate", `Bearer error="invalid_token", error_description="expired"`},
			Error{Code: InvalidClient},
		},
		{"a challenge of another scheme", 401, "", []string{"WWW-Authenticate", `DPoP error="use_dpop_nonce", Basic realm="x"`}, Error{}},
		{"a challenge without an error", 401, "", []string{"WWW-Authenticate", `Bearer realm="api"`}, Error{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := failed(t, reply(tt.status, jsonType, tt.body, tt.headers...))
			assert.Equal(t, tt.want.Code, e.Code)
			assert.Equal(t, tt.want.Message, e.Message)
			assert.Equal(t, tt.want.RequestID, e.RequestID)
			assert.Equal(t, tt.want.RetryAfter, e.RetryAfter)
		})
	}
}

// Whatever a server sends, the error is one printable line without the secrets of the request.
func FuzzErrorReader(f *testing.F) {
	f.Add(400, jsonType, `{"error":"invalid_scope","error_description":"no"}`, "Bearer error=x", "5")
	f.Add(422, "application/problem+json", `{"type":"../x?a#b","title":"t","errors":["a",{"field":1}]}`, `Bearer error="`, "x")
	f.Add(401, "", "\x1b[31m s3cr3t-canary", "", "-1")
	f.Add(500, "text/plain", `[1,"s3cr3t-canary`, "Basic a=b, Bearer error=s3cr3t-canary", "")
	f.Fuzz(func(t *testing.T, status int, mediaType, body, challenge, retryAfter string) {
		req := newRequest(t, http.MethodGet, apiURL+"/things", "")
		req.Header.Set("Authorization", "Bearer s3cr3t-canary")
		resp, _ := reply(status, mediaType, body, "Www-Authenticate", challenge, "Retry-After", retryAfter, "X-Request-Id", body)(req)
		resp.Request = req
		e := readError(resp, nil)
		require.Equal(t, status, e.StatusCode)
		require.GreaterOrEqual(t, e.RetryAfter, time.Duration(0))
		text := e.Error()
		require.NotContains(t, text, "s3cr3t-canary")
		for _, r := range text {
			require.False(t, r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0, "control character %U in %q", r, text)
		}
	})
}

func TestErrorShapesOfGateways(t *testing.T) {
	e := failed(t, reply(400, jsonType, `{"errorMessage":"no such group"}`))
	assert.Equal(t, "GET "+apiURL+"/things: 400 Bad Request: no such group", e.Error())
	e = failed(t, reply(400, jsonType, "\xef\xbb\xbf"+`{"error":"invalid_request"}`))
	assert.Equal(t, InvalidRequest, e.Code)
	e = failed(t, reply(400, jsonType, `{"error":"the scope is odd","error_description":"which one?"}`))
	assert.Equal(t, "which one?", e.Message, "error_description takes precedence over a sentence in error")

	for location, want := range map[string]string{
		"https://user:s3cret@login.example.com/sso?ticket=s3cret": "redirect to https://login.example.com",
		"/elsewhere":     "redirect to " + apiURL,
		"https://a b/%":  "",
		"mailto:a@b.com": "",
		"":               "",
	} {
		resp, err := reply(302, "text/html", "", "Location", location)(nil)
		require.NoError(t, err)
		resp.Request = newRequest(t, http.MethodPost, apiURL+"/things", "")
		assert.Equal(t, want, readError(resp, nil).Message, location)
	}
	e = failed(t, reply(302, jsonType, `{"message":"moved for good"}`, "Location", "https://login.example.com"))
	assert.Equal(t, "moved for good", e.Message, "a message takes precedence over a Location")
	e = failed(t, reply(404, "", "", "Location", "https://login.example.com"))
	assert.Empty(t, e.Message, "only a 3xx redirects")
}
