package main

import (
	"context"
	"errors"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/grantwright/oauth-go/tokens"
)

// observe makes the meter read the statistics of cache and limiter on each export. name distinguishes Caches: it is the
// value of the attribute oauth.cache.name. A nil limiter is skipped; pass a limiter that several Caches share to only
// one call. To drop the Cache, Unregister the result.
func observe(meter metric.Meter, name string, cache *tokens.Cache, limiter *tokens.Limiter) (metric.Registration, error) {
	var i instruments
	if err := i.make(meter); err != nil {
		return nil, err
	}
	origin, _ := url.Parse(cache.BaseURL())
	with := metric.WithAttributes(attribute.String("oauth.cache.name", name), semconv.ServerAddress(origin.Hostname()))
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := cache.Stats()
		o.ObserveInt64(i.fetches, s.Fetches, with)
		o.ObserveInt64(i.failures, s.Failures, with)
		o.ObserveInt64(i.invalidations, s.Invalidations, with)
		o.ObserveInt64(i.waits, s.Waits, with)
		if !s.Expiry.IsZero() {
			o.ObserveFloat64(i.expiresIn, time.Until(s.Expiry).Seconds(), with)
		}
		if limiter != nil {
			l := limiter.Stats()
			o.ObserveInt64(i.waiting, int64(l.Waiting), with)
			o.ObserveInt64(i.active, int64(l.InFlight), with)
			o.ObserveInt64(i.refused, l.Refused, with)
			o.ObserveFloat64(i.closedFor, max(0, time.Until(l.ClosedUntil).Seconds()), with)
		}
		return nil
	}, i.all()...)
}

// instruments are named by OpenTelemetry's rules: a namespace, no unit in the name, and plurals for counters.
type instruments struct {
	fetches, failures, invalidations, waits, refused metric.Int64ObservableCounter
	waiting, active                                  metric.Int64ObservableUpDownCounter
	expiresIn, closedFor                             metric.Float64ObservableGauge
}

func (i *instruments) make(meter metric.Meter) error {
	var failed []error
	counter := func(name, unit, description string) metric.Int64ObservableCounter {
		c, err := meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		failed = append(failed, err)
		return c
	}
	upDown := func(name, unit, description string) metric.Int64ObservableUpDownCounter {
		c, err := meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		failed = append(failed, err)
		return c
	}
	gauge := func(name, unit, description string) metric.Float64ObservableGauge {
		g, err := meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
		failed = append(failed, err)
		return g
	}
	i.fetches = counter("oauth.token.fetches", "{fetch}", "Fetches of a token that were begun.")
	i.failures = counter("oauth.token.failures", "{fetch}", "Fetches that brought no token.")
	i.invalidations = counter("oauth.token.invalidations", "{token}", "Tokens that were dropped because an API rejected them.")
	i.waits = counter("oauth.token.waits", "{call}", "Calls that had to wait for a fetch.")
	i.expiresIn = gauge("oauth.token.expires_in", "s", "Time until the current token ends; negative once it has.")
	i.waiting = upDown("oauth.limiter.waiting_requests", "{request}", "Requests that wait for their turn.")
	i.active = upDown("oauth.limiter.active_requests", "{request}", "Requests in flight while a rate limit is known.")
	i.refused = counter("oauth.limiter.refusals", "{response}", "Responses of status 429.")
	i.closedFor = gauge("oauth.limiter.closed_for", "s", "Time until requests are sent again; zero if they may be sent now.")
	return errors.Join(failed...)
}

func (i *instruments) all() []metric.Observable {
	return []metric.Observable{
		i.fetches, i.failures, i.invalidations, i.waits, i.expiresIn, i.waiting, i.active, i.refused, i.closedFor,
	}
}
