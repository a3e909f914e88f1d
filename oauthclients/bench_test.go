package oauthclients_test

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/tokens"
)

// Each benchmark has a counterpart written by hand with net/http, encoding/json and the generated model.

// serve serves a handler on loopback, and returns OAuth clients for it and a function that sends a request by hand.
func serve(b *testing.B, handler http.HandlerFunc) (*oauthclients.SailPoint, func(path string) io.ReadCloser) {
	b.Helper()
	server := httptest.NewServer(handler)
	b.Cleanup(server.Close)
	clients, err := oauthclients.NewSailPoint(tokens.Static("access-token"), &oauthclients.SailPointOptions{BaseURL: server.URL, HTTPClient: server.Client()})
	require.NoError(b, err)
	return clients, func(path string) io.ReadCloser {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, server.URL+path, nil)
		require.NoError(b, err)
		req.Header.Set("Accept", "application/json")
		req.Header.Set("Authorization", "Bearer access-token")
		resp, err := server.Client().Do(req)
		require.NoError(b, err)
		if resp.StatusCode != http.StatusOK {
			b.Fatal(resp.Status)
		}
		return resp.Body
	}
}

func BenchmarkGet(b *testing.B) {
	clients, byHand := serve(b, respond(http.StatusOK, sample))
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := clients.Get(b.Context(), clientID); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			body := byHand("/beta/oauth-clients/" + clientID)
			data, err := io.ReadAll(body)
			if err != nil {
				b.Fatal(err)
			}
			var client sailpoint.OAuthClient
			if err := json.Unmarshal(data, &client); err != nil {
				b.Fatal(err)
			}
			_ = body.Close()
		}
	})
}

const many = 10_000

func BenchmarkList(b *testing.B) {
	clients, byHand := serve(b, samples(many))
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if list, err := clients.List(b.Context()); err != nil || len(list) != many {
				b.Fatal(len(list), err)
			}
		}
	})
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			body := byHand("/beta/oauth-clients")
			data, err := io.ReadAll(body)
			if err != nil {
				b.Fatal(err)
			}
			var list []sailpoint.OAuthClient
			if err := json.Unmarshal(data, &list); err != nil || len(list) != many {
				b.Fatal(len(list), err)
			}
			_ = body.Close()
		}
	})
}

func BenchmarkAll(b *testing.B) {
	clients, byHand := serve(b, samples(many))
	elementwise := func(yield func(sailpoint.OAuthClient, error) bool) {
		body := byHand("/beta/oauth-clients")
		defer func() { _ = body.Close() }()
		dec := json.NewDecoder(body)
		if _, err := dec.Token(); err != nil {
			b.Fatal(err)
		}
		for dec.More() {
			var client sailpoint.OAuthClient
			if err := dec.Decode(&client); !yield(client, err) {
				return
			}
		}
	}
	for _, by := range []struct {
		name string
		all  iter.Seq2[sailpoint.OAuthClient, error]
	}{{"ours", clients.All(b.Context())}, {"by hand", elementwise}} {
		b.Run(by.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, err := range by.all {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if n != many {
					b.Fatal(n)
				}
			}
			b.StopTimer()
			b.ReportMetric(peakHeap(by.all)/1e6, "peak-MB")
		})
	}
}

// peakHeap returns the maximum growth of the heap, including garbage, while a list is read.
func peakHeap(all iter.Seq2[sailpoint.OAuthClient, error]) float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, peak, n := m.HeapAlloc, uint64(0), 0
	for range all {
		if n++; n%100 == 0 {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}
	return float64(peak - min(before, peak))
}

// variants are realistic clients: with escapes, non-ASCII letters, unknown members, and nulls.
var variants = []string{
	sample,
	strings.Replace(sample, `"Demo API Client"`, `"R\u0026D \"Acme\""`, 1),
	strings.Replace(sample, `"Acme-Solar"`, `null`, 1),
	strings.Replace(sample, `"Demo API Client"`, `"Zürich – Büro 3"`, 1),
	strings.Replace(sample, `"metadata":null`, `"tier":{"of":["a",{"b":1.5e3}],"note":"caf\u00e9"}`, 1),
}

// samples returns a handler that responds with a list of n clients, and holds only one in memory.
func samples(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "[")
		for i := range n {
			if i > 0 {
				_, _ = io.WriteString(w, ",")
			}
			_, _ = io.WriteString(w, variants[i%len(variants)])
		}
		_, _ = io.WriteString(w, "]")
	}
}

// The memory for a list is proportional to its length, whatever its content and Content-Length.
func TestListMemory(t *testing.T) {
	const long = 2000
	var list bytes.Buffer
	for i := range long {
		list.WriteString("," + variants[i%len(variants)])
	}
	body := "[" + list.String()[1:] + "]"
	clients, _ := newClients(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = io.WriteString(w, body)
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := clients.List(t.Context())
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	assert.Len(t, got, long)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(20*len(body)))
}

// All never holds more than one client, however long the list is.
func TestAllHoldsOneClient(t *testing.T) {
	const long = 20_000
	clients, _ := newClients(t, nil, samples(long))
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, peak, n := heap(), uint64(0), 0
	for _, err := range clients.All(t.Context()) {
		require.NoError(t, err)
		if n++; n%2000 == 0 {
			peak = max(peak, heap())
		}
	}
	assert.Equal(t, long, n)
	assert.Less(t, peak, before+1<<20)
}
