package main

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traced returns the HTTPClient for an Endpoint and for users of its tokens. Each request, including each retry, is a
// span with its own status. A token request that callers wait for is part of the first caller's trace; a background
// renewal has its own trace.
//
// Spans have URLs with their queries, but no headers and no bodies. Package tokens sends secrets only in headers and
// bodies, so spans have no secrets.
func traced(provider trace.TracerProvider, base http.RoundTripper) *http.Client {
	return &http.Client{Transport: otelhttp.NewTransport(base,
		otelhttp.WithTracerProvider(provider),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
	)}
}
