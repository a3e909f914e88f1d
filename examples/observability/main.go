// Command observability shows how to observe tokens with OpenTelemetry traces and metrics, and with Prometheus metrics.
// It calls the sandbox three times: the second time after the token was revoked, the third time above a rate limit.
// Then it prints what exporters would have sent.
//
//	go run .
//
// The other files can be copied: trace.go adds otelhttp beneath tokens and retries, metrics.go exports Cache.Stats and
// Limiter.Stats to OpenTelemetry, and prometheus.go exports them to Prometheus.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "observability:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	vendor := sandbox.NewMoov(nil)
	server, err := sandbox.Listen(vendor)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()

	// Instead of exporters: a recorder of spans, and a reader of metrics.
	spans, reader := tracetest.NewSpanRecorder(), sdkmetric.NewManualReader()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	meters, registry := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), prometheus.NewRegistry()

	httpClient := traced(traces, http.DefaultTransport)
	endpoint, err := tokens.NewMoov(tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
		&tokens.MoovOptions{BaseURL: server.URL, HTTPClient: httpClient})
	if err != nil {
		return err
	}
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Grant: tokens.Grant{Scopes: []string{"/ping.read"}}})
	if err != nil {
		return err
	}
	client, err := tokens.NewClient(cache, &tokens.DoerOptions{HTTPClient: httpClient})
	if err != nil {
		return err
	}
	if _, err := observe(meters.Meter("example"), "moov", cache, cache.Limiter()); err != nil {
		return err
	}
	if err := registry.Register(newCollector("moov", cache, cache.Limiter())); err != nil {
		return err
	}

	tracer := traces.Tracer("example")
	if err := call(ctx, tracer, client, "first call", server.URL+"/ping"); err != nil {
		return err
	}
	vendor.RevokeAll()
	if err := call(ctx, tracer, client, "token revoked", server.URL+"/ping"); err != nil {
		return err
	}
	vendor.Fault("ping", sandbox.Fault{Status: http.StatusTooManyRequests})
	if err := call(ctx, tracer, client, "rate limit", server.URL+"/ping"); err != nil {
		return err
	}

	printSpans(out, spans.Ended())
	if err := printMetrics(ctx, out, reader); err != nil {
		return err
	}
	return printPrometheus(out, registry)
}

// call sends a request within a span of this program.
func call(ctx context.Context, tracer trace.Tracer, client *http.Client, name, url string) error {
	ctx, span := tracer.Start(ctx, name)
	defer span.End()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		span.RecordError(err) // errors of package tokens have no secrets
		return err
	}
	return resp.Body.Close()
}
