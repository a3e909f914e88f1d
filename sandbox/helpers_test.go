package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
)

// reply is a response whose body has been read.
type reply struct {
	status int
	header http.Header
	body   string
}

// text returns a member of the body, or "".
func (r reply) text(t *testing.T, member string) string {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.body), &object), "body %q", r.body)
	s, _ := object[member].(string)
	return s
}

type edit func(*http.Request)

func header(name, value string) edit { return func(r *http.Request) { r.Header.Add(name, value) } }
func basic(id, secret string) edit   { return func(r *http.Request) { r.SetBasicAuth(id, secret) } }
func bearer(token string) edit       { return header("Authorization", "Bearer "+token) }
func query(raw string) edit          { return func(r *http.Request) { r.URL.RawQuery = raw } }

// send sends a request in memory and reads the response.
func send(t *testing.T, h http.Handler, method, path, contentType, body string, edits ...edit) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://vendor.example"+path, strings.NewReader(body))
	require.NoError(t, err)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for _, edit := range edits {
		edit(r)
	}
	response, err := sandbox.Transport(h).RoundTrip(r)
	require.NoError(t, err)
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return reply{response.StatusCode, response.Header, string(got)}
}

const formType = "application/x-www-form-urlencoded"

// sendForm posts fields, given as name, value, name, value.
func sendForm(t *testing.T, h http.Handler, path string, fields []string, edits ...edit) reply {
	t.Helper()
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Add(fields[i], fields[i+1])
	}
	return send(t, h, http.MethodPost, path, formType, values.Encode(), edits...)
}

// inBody returns the default credentials as form fields, with additional fields.
func inBody(fields ...string) []string {
	return append([]string{"client_id", sandbox.ClientID, "client_secret", sandbox.ClientSecret}, fields...)
}

func assertStatus(t *testing.T, want int, got reply) {
	t.Helper()
	assert.Equal(t, want, got.status, "body %s", got.body)
}

// pass waits for d, in the fake time of a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }
