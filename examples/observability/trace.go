package main

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traced returns the client to set as HTTPClient of an Endpoint and of what uses its tokens. Each request, of those that are
// repeated too, is a span with its own status. The request for a token that callers wait for is in the trace of the first of
// them; a renewal in the background has a trace of its own.
//
// Spans hold URLs, with their queries, and no headers and no bodies, so no secrets: those of package tokens are in headers
// and bodies alone.
func traced(provider trace.TracerProvider, base http.RoundTripper) *http.Client {
	return &http.Client{Transport: otelhttp.NewTransport(base,
		otelhttp.WithTracerProvider(provider),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
	)}
}
