package tests

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/thousandeyes"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// RFC 9457. Gateways in front of any vendor may send such errors.
var problemRules = []rule{
	{id: "P-01", says: "a problem is told by its media type, in any case and with parameters", test: func(t *testing.T, v vendor) {
		for _, contentType := range []string{"application/problem+json", "Application/Problem+JSON; charset=utf-8", `application/problem+json;profile="x;y"`} {
			e := problemAs(t, v, 422, contentType, `{"type":"https://example.com/problems/a","title":"A","detail":"of B"}`)
			assert.ErrorIs(t, e, tokens.Code("https://example.com/problems/a"), contentType)
			assert.Equal(t, "A: of B", e.Message)
		}
		e := problemAs(t, v, 422, "application/json", `{"type":"https://example.com/problems/a","error":"invalid_scope"}`)
		assert.Equal(t, tokens.InvalidScope, e.Code, "in plain JSON, type may mean anything")
	}},

	{id: "P-02", says: "a member of the wrong type is ignored, and the others are read", test: func(t *testing.T, v vendor) {
		e := problem(t, v, 400, `{"type":{"a":1},"title":"Bad","status":"500","detail":7,"instance":[],"errors":"x"}`)
		assert.Equal(t, "Bad", e.Message)
		assert.Equal(t, 400, e.StatusCode)
		assert.Empty(t, e.Code)
		e = problem(t, v, 400, `{"type":"https://example.com/p","title":null,"status":{},"detail":"why","errors":[7,null,{"field":[],"message":"m"}]}`)
		assert.Equal(t, tokens.Code("https://example.com/p"), e.Code)
		assert.Equal(t, "why", e.Message)
	}},

	{id: "P-03", says: "type is what identifies a problem, resolved; without one it is about:blank", test: func(t *testing.T, v vendor) {
		base := newRig(v, sandboxOptions{}).plain(t).BaseURL()
		directory := base + v.tokenPath[:strings.LastIndex(v.tokenPath, "/")+1]
		for member, want := range map[string]string{
			`"type":"https://example.com/p#q"`: "https://example.com/p#q",
			`"type":"/problems/a"`:             base + "/problems/a",
			`"type":"problems/a"`:              directory + "problems/a",
			`"type":"tag:example.com,2026:a"`:  "tag:example.com,2026:a",
			`"type":"about:blank"`:             "",
			`"type":""`:                        "",
			`"x":1`:                            "",
		} {
			assert.Equal(t, tokens.Code(want), problem(t, v, 403, "{"+member+`,"title":"T"}`).Code, member)
		}
	}},

	{id: "P-04", says: "nobody looks up a type", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		r.responds(sandbox.Fault{Status: 403, ContentType: "application/problem+json", Body: `{"type":"` + r.plain(t).BaseURL() + `/problems/a","instance":"/problems/1"}`})
		_, err := r.plain(t).Exchange(t.Context(), v.grant)
		require.Error(t, err)
		assert.Contains(t, err.Error(), "/problems/a")
		assert.Len(t, r.server.Requests(), 1, "any other request of the client would arrive here")
	}},

	{id: "P-05", says: "the HTTP status wins over the member", test: func(t *testing.T, v vendor) {
		e := problem(t, v, 403, `{"title":"T","status":200}`)
		assert.ErrorIs(t, e, tokens.Status(403))
		assert.NotErrorIs(t, e, tokens.Status(200))
	}},

	{id: "P-06", says: "detail is for people, and decides nothing", test: func(t *testing.T, v vendor) {
		for _, detail := range []string{"invalid_grant", "429 Too Many Requests", "Retry-After: 5", "https://example.com/problems/a"} {
			r := newRig(v, sandboxOptions{})
			r.responds(sandbox.Fault{Status: 400, ContentType: "application/problem+json", Body: `{"title":"T","detail":"` + detail + `"}`})
			_, err := r.asks(t, sandboxCredentials, v.style, tokens.Retry{}).Exchange(t.Context(), v.grant)
			var e *tokens.Error
			require.ErrorAs(t, err, &e)
			assert.Empty(t, e.Code)
			assert.Zero(t, e.RetryAfter)
			assert.Len(t, r.server.Requests(), 1)
		}
	}},

	{id: "P-07", says: "unknown members are ignored, and there for who knows them", test: func(t *testing.T, v vendor) {
		body := `{"title":"T","balance":30,"accounts":["a"],"nested":{"error":"invalid_grant","deep":[[[]]]}}`
		e := problem(t, v, 403, body)
		assert.Equal(t, "T", e.Message)
		assert.Empty(t, e.Code)
		var known struct{ Balance int }
		require.NoError(t, e.Decode(&known))
		assert.Equal(t, 30, known.Balance)
		var model thousandeyes.Error
		require.NoError(t, e.Decode(&model))
		assert.Equal(t, "T", *model.Title)
	}},

	{id: "P-08", says: "a problem is read where none was asked for", test: func(t *testing.T, v vendor) {
		r := newRig(v, sandboxOptions{})
		base := r.plain(t).BaseURL()
		r.server.Fault(v.probe, sandbox.Fault{Status: 404, ContentType: "application/problem+json", Body: `{"type":"https://example.com/p","title":"T"}`})
		doer, err := tokens.NewDoer(tokens.Static("x"), &tokens.DoerOptions{BaseURL: base, HTTPClient: r.client})
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+v.probePath, nil)
		require.NoError(t, err)
		req.Header.Set("Accept", "text/csv")
		_, err = doer.Do(req)
		assert.Equal(t, "text/csv", last(r).Header.Get("Accept"))
		require.ErrorIs(t, err, tokens.Code("https://example.com/p"))
	}},

	{id: "P-09", says: "a problem is text of a stranger", test: func(t *testing.T, v vendor) {
		text := problem(t, v, 500, `{"type":"x\u001b]0;title\u0007","title":"line\r\nlevel=ERROR msg=forged","detail":"\u202eoverridden\u0000 `+strings.Repeat("long ", 1000)+`"}`).Error()
		assert.Less(t, len(text), 700)
		for _, r := range text {
			assert.True(t, r >= ' ' && r < 0x7f, "%q in %q", r, text)
		}
	}},
}

func problem(t *testing.T, v vendor, status int, body string) *tokens.Error {
	t.Helper()
	return problemAs(t, v, status, "application/problem+json", body)
}

func problemAs(t *testing.T, v vendor, status int, contentType, body string) *tokens.Error {
	t.Helper()
	return refused(t, v, sandbox.Fault{Status: status, ContentType: contentType, Body: body})
}
