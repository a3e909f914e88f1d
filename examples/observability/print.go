package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// printSpans prints each trace: the span of this program, and the requests below it.
func printSpans(out io.Writer, spans []sdktrace.ReadOnlySpan) {
	slices.SortFunc(spans, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	requests := map[trace.TraceID][]sdktrace.ReadOnlySpan{}
	for _, s := range spans {
		if s.SpanKind() == trace.SpanKindClient {
			requests[s.SpanContext().TraceID()] = append(requests[s.SpanContext().TraceID()], s)
		}
	}
	for _, s := range spans {
		if s.SpanKind() == trace.SpanKindClient {
			continue
		}
		fmt.Fprintf(out, "trace %q\n", s.Name())
		for _, r := range requests[s.SpanContext().TraceID()] {
			path := ""
			if u, err := url.Parse(attributeOf(r, "url.full")); err == nil {
				path = u.Path
			}
			fmt.Fprintf(out, "  %s %s %s\n", attributeOf(r, "http.request.method"), path, attributeOf(r, "http.response.status_code"))
		}
	}
}

func attributeOf(s sdktrace.ReadOnlySpan, key string) string {
	for _, a := range s.Attributes() {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

func printMetrics(ctx context.Context, out io.Writer, reader sdkmetric.Reader) error {
	var all metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &all); err != nil {
		return err
	}
	fmt.Fprintln(out, "OpenTelemetry metrics")
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					fmt.Fprintf(out, "  %s %d %s\n", m.Name, p.Value, m.Unit)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					fmt.Fprintf(out, "  %s %.0f %s\n", m.Name, p.Value, m.Unit)
				}
			}
		}
	}
	return nil
}

func printPrometheus(out io.Writer, registry *prometheus.Registry) error {
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "Prometheus metrics")
	for _, f := range families {
		for _, m := range f.GetMetric() {
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() // a metric has only one of the two
			fmt.Fprintf(out, "  %s{%s=%q} %.0f\n", f.GetName(), m.GetLabel()[0].GetName(), m.GetLabel()[0].GetValue(), value)
		}
	}
	return nil
}
