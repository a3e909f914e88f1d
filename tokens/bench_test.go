package tokens

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func cached(tb testing.TB) *Cache {
	tb.Helper()
	return newCache(tb, stubEndpoint(tb, &tokenServer{}, Retry{}), &CacheOptions{Initial: &Token{AccessToken: "token", TokenType: "Bearer", Expiry: time.Now().Add(time.Hour)}})
}

// BenchmarkCacheToken is the hot path: 0 allocations.
func BenchmarkCacheToken(b *testing.B) {
	c := cached(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Token(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTransport is the cost of a token per request: 3 allocations, for a new request and header map.
func BenchmarkTransport(b *testing.B) {
	transport, req := overNothing(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := transport.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}

func overNothing(tb testing.TB) (*Transport, *http.Request) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "https://api.example.com/x", nil)
	require.NoError(tb, err)
	req.Header.Set("Accept", "application/json")
	resp := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}
	transport, err := NewTransport(cached(tb), "https://api.example.com", roundTrip(func(*http.Request) (*http.Response, error) { return resp, nil }))
	require.NoError(tb, err)
	return transport, req
}

// BenchmarkExchange is a token request over a transport that does nothing: 68 allocations, of which the generated
// client and http.Client make about 45, and reading the response 7.
func BenchmarkExchange(b *testing.B) {
	e := respondingEndpoint(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Exchange(b.Context(), Grant{}); err != nil {
			b.Fatal(err)
		}
	}
}

func respondingEndpoint(tb testing.TB) *Endpoint {
	tb.Helper()
	const token = `{"access_token":"token","token_type":"Bearer","expires_in":3600}`
	e, err := NewThousandEyes(Credentials{"id", "secret"}, &ThousandEyesOptions{HTTPClient: &http.Client{
		Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(token)), Request: req}, nil
		}),
	}})
	require.NoError(tb, err)
	return e
}

func TestHotPathsAllocateWhatTheyMust(t *testing.T) {
	c := cached(t)
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = c.Token(t.Context()) }))
	c.mu.Lock() // a caller of a valid token needs no lock
	_, err := c.Token(t.Context())
	c.mu.Unlock()
	require.NoError(t, err)
	transport, req := overNothing(t)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = transport.RoundTrip(req) }), 3.0)
	e := respondingEndpoint(t)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = e.Exchange(t.Context(), Grant{}) }), 73.0)
}
