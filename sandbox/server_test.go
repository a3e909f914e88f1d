package sandbox

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
)

// A vendor that says nothing else about them responds to errors with its failures.
func TestTraitsByDefault(t *testing.T) {
	var s server
	s.init(vendorTraits{
		failure: func(_ *call, status int, text string) response { return response{status: status, body: []byte(text)} },
		terms:   func(id string) (terms, bool) { return terms{life: time.Hour}, id == ClientID },
	}, Limit{Requests: 1}, Limit{Per: time.Minute})
	h := s.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	get := func(token string) (int, string) {
		r, w := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), httptest.NewRecorder()
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	issued := s.Issue(Token{}).AccessToken
	for _, tt := range []struct {
		token  string
		status int
		body   string
	}{
		{"", http.StatusUnauthorized, "the access token is missing"},
		{"x", http.StatusUnauthorized, "the access token is unknown"},
		{issued, http.StatusOK, "ok"},
		{issued, http.StatusTooManyRequests, "too many requests"},
	} {
		status, body := get(tt.token)
		assert.Equal(t, tt.status, status, tt.body)
		assert.Equal(t, tt.body, body)
	}
}

// A panic of a handler is not hidden, and what is no response does not look like one.
func TestPanicsPass(t *testing.T) {
	w := &memoryWriter{header: http.Header{}, body: newMemoryStream(), started: make(chan *http.Response, 1)}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	assert.PanicsWithValue(t, "oops", func() { w.serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oops") }), r) })
	assert.Panics(t, func() { jsonResponse(http.StatusOK, math.Inf(1)) })
}

// A request that broke off must change nothing, although what arrived may look complete.
func TestRequestsThatBreakOffAreNotServed(t *testing.T) {
	m := NewMoov(nil)
	token := m.Issue(Token{}).AccessToken
	form := "client_id=" + ClientID + "&client_secret=" + ClientSecret + "&token=" + token
	body := io.MultiReader(strings.NewReader(form), iotest.ErrReader(io.ErrUnexpectedEOF))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/oauth2/revoke", body)
	r.Header.Set("Content-Type", mediaForm)
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { m.ServeHTTP(httptest.NewRecorder(), r) })
	_, ok := m.Lookup(token)
	assert.True(t, ok)
	assert.Empty(t, m.Requests())
}
