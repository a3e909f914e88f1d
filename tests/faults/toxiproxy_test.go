package faults

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A toxic is a network fault of Toxiproxy.
type toxic struct {
	name       string
	kind       string // the type in Toxiproxy; "" if the proxy is down
	stream     string // "upstream" for what the caller sends, or "downstream"
	attributes map[string]any
	timeout    time.Duration // of the call; if zero, some seconds

	fails    string // the readers for which the call fails
	status   int    // the status of the error
	slow     bool   // the error is a timeout
	unsent   bool
	is       func(error) bool
	requests func(operation) (least, most int) // the number of requests that the server reads; if nil, it follows from the status
}

// nothing is for faults with which no request is complete.
func nothing(operation) (least, most int) { return 0, 0 }

var toxics = []toxic{
	{name: "down", fails: all, unsent: true, is: as[*net.OpError], requests: nothing},
	{name: "none", kind: "noop", stream: "downstream"},
	{name: "latency", kind: "latency", stream: "downstream", attributes: map[string]any{"latency": 50, "jitter": 20}},
	{name: "latency of requests", kind: "latency", stream: "upstream", attributes: map[string]any{"latency": 50, "jitter": 20}},
	{name: "latency beyond the timeout", kind: "latency", stream: "downstream", attributes: map[string]any{"latency": 60_000}, timeout: hang,
		fails: all, slow: true, requests: once},
	{name: "little bandwidth", kind: "bandwidth", stream: "downstream", attributes: map[string]any{"rate": 2}},
	{name: "little bandwidth for requests", kind: "bandwidth", stream: "upstream", attributes: map[string]any{"rate": 2}},
	{name: "slices", kind: "slicer", stream: "downstream", attributes: map[string]any{"average_size": 4, "size_variation": 2, "delay": 100}},
	{name: "slices of requests", kind: "slicer", stream: "upstream", attributes: map[string]any{"average_size": 4, "size_variation": 2, "delay": 100}},
	{name: "slow to close", kind: "slow_close", stream: "downstream", attributes: map[string]any{"delay": 200}},
	{name: "silence", kind: "timeout", stream: "downstream", attributes: map[string]any{"timeout": 0}, timeout: hang, fails: all, slow: true, requests: once},
	{name: "lost requests", kind: "timeout", stream: "upstream", attributes: map[string]any{"timeout": 0}, timeout: hang,
		fails: all, slow: true, requests: nothing},
	{name: "closed instead of a response", kind: "timeout", stream: "downstream", attributes: map[string]any{"timeout": 3000}, fails: all},
	{name: "reset instead of a response", kind: "reset_peer", stream: "downstream", attributes: map[string]any{"timeout": 3000}, fails: all},
	{name: "reset instead of a request", kind: "reset_peer", stream: "upstream", attributes: map[string]any{"timeout": 50}, fails: all, requests: nothing},
	{name: "10 bytes of the response", kind: "limit_data", stream: "downstream", attributes: map[string]any{"bytes": 10}, fails: all},
	{name: "50 bytes of the response", kind: "limit_data", stream: "downstream", attributes: map[string]any{"bytes": 50}, fails: all},
	{name: "110 bytes of the response", kind: "limit_data", stream: "downstream", attributes: map[string]any{"bytes": 110}, fails: whole, status: 200},
	{name: "50 bytes of the request", kind: "limit_data", stream: "upstream", attributes: map[string]any{"bytes": 50}, fails: all, requests: nothing},
}

func TestToxiproxy(t *testing.T) {
	t.Parallel()
	control := newControl()
	for _, toxic := range toxics {
		for _, op := range operations {
			t.Run(toxic.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				toxic.run(t, control, op)
			})
		}
	}
}

func newControl() *toxiproxy.ApiServer {
	return toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
}

// proxy returns a proxy at host to a good server.
func proxy(t *testing.T, control *toxiproxy.ApiServer, op operation, host string) (*toxiproxy.Proxy, *server) {
	t.Helper()
	s := serve(t, nil, requestsBy(op.good, func(x *exchange) bool {
		x.send("HTTP/1.1 200 OK\r\n" + inJSON + "Content-Length: " + jsonOf(len(x.good)) + "\r\n\r\n" + x.good)
		return true
	}))
	p := toxiproxy.NewProxy(control, t.Name(), host+":0", s.addr)
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		p.Toxics.ResetToxics(context.Background())
		p.Stop()
	})
	return p, s
}

func jsonOf(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func (f toxic) run(t *testing.T, control *toxiproxy.ApiServer, op operation) {
	t.Helper()
	host := "127.0.0.1"
	if f.kind == "" {
		host = "127.0.0.2" // no server of another test can get the port that is given up
	}
	p, s := proxy(t, control, op, host)
	if f.kind == "" {
		p.Stop()
	} else {
		_, err := p.Toxics.AddToxicJson(strings.NewReader(jsonOf(map[string]any{
			"name": "toxic", "type": f.kind, "stream": f.stream, "attributes": f.attributes,
		})))
		require.NoError(t, err)
	}
	c := newCaller(t, "http://"+p.Listen, f.timeout, 0)
	began := time.Now()
	result, err := op.do(t.Context(), c)
	assert.Less(t, time.Since(began), callerTimeout/2, "the call ends within the timeout")
	c.transport.CloseIdleConnections()

	if has(f.fails, op.reads) {
		e, ok := errors.AsType[*tokens.Error](err)
		require.True(t, ok, "%T %v", err, err)
		assert.Equal(t, f.status, e.StatusCode, "%v", err)
		assert.Equal(t, f.slow, e.Timeout(), "%v", err)
		assert.Equal(t, !f.unsent && f.status == 0 && op.method != http.MethodGet, e.MayHaveActed(), "%v", err)
		if f.is != nil {
			assert.True(t, f.is(err), "%v", err)
		}
	} else {
		require.NoError(t, err)
		if want := secretOf(op); want != "" {
			assert.Equal(t, want, kept(result))
		}
	}
	c.assertSilent(t, err)

	least, most := op.class.requests(f.status), op.class.requests(f.status)
	switch {
	case f.requests != nil:
		least, most = f.requests(op)
	case f.fails == "":
		least, most = 1, 1
	}
	_, requests := s.counts()
	assert.GreaterOrEqual(t, requests, least, "requests")
	assert.LessOrEqual(t, requests, most, "requests")
}

// However often the network fails and recovers, the server receives no request twice that must be sent once, and calls
// work again.
func TestToxiproxyThatComesAndGoes(t *testing.T) {
	t.Parallel()
	control := newControl()
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			p, s := proxy(t, control, op, "127.0.0.1")
			c := newCaller(t, "http://"+p.Listen, 0, 0)
			stop := make(chan struct{})
			var switching sync.WaitGroup
			switching.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
					}
					_, _ = p.Toxics.AddToxicJson(strings.NewReader(jsonOf(map[string]any{
						"name": "cut", "type": "limit_data", "stream": []string{"upstream", "downstream"}[n%2], "attributes": map[string]any{"bytes": 37 * n % 400},
					})))
					time.AfterFunc(5*time.Millisecond, func() { _ = p.Toxics.RemoveToxic(context.Background(), "cut") })
				}
			})
			calls, good := 0, 0
			for began := time.Now(); calls < 300; calls++ {
				if took := time.Since(began); took > time.Second && good > 0 || took > callerTimeout/2 {
					break
				}
				_, err := op.do(t.Context(), c)
				if err == nil {
					good++
				}
				c.assertSilent(t, err)
			}
			close(stop)
			switching.Wait()
			_, requests := s.counts()
			if op.class != safe {
				assert.LessOrEqual(t, requests, calls, "no request is received twice")
			}
			assert.Positive(t, good)
			assert.GreaterOrEqual(t, requests, good)
		})
	}
}
