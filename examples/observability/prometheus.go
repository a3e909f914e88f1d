package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/grantwright/oauth-go/tokens"
)

// A collector reads the statistics of a Cache and a Limiter on each scrape by Prometheus. Register one per Cache, with
// different names; pass a Limiter that several Caches share to only one of them.
type collector struct {
	cache   *tokens.Cache
	limiter *tokens.Limiter // may be nil

	fetches, failures, invalidations, waits, expiry *prometheus.Desc
	waiting, active, refused, closedUntil           *prometheus.Desc
}

// newCollector returns a collector for a Cache and, if it is not nil, a Limiter. name is the value of the label
// "cache".
func newCollector(name string, cache *tokens.Cache, limiter *tokens.Limiter) *collector {
	desc := func(metric, help string) *prometheus.Desc {
		return prometheus.NewDesc(metric, help, nil, prometheus.Labels{"cache": name})
	}
	return &collector{
		cache: cache, limiter: limiter,
		fetches:       desc("oauth_token_fetches_total", "Fetches of a token that were begun."),
		failures:      desc("oauth_token_failures_total", "Fetches that brought no token."),
		invalidations: desc("oauth_token_invalidations_total", "Tokens that were dropped because an API rejected them."),
		waits:         desc("oauth_token_waits_total", "Calls that had to wait for a fetch."),
		expiry:        desc("oauth_token_expiry_timestamp_seconds", "When the current token ends."),
		waiting:       desc("oauth_limiter_waiting_requests", "Requests that wait for their turn."),
		active:        desc("oauth_limiter_active_requests", "Requests in flight while a rate limit is known."),
		refused:       desc("oauth_limiter_refusals_total", "Responses of status 429."),
		closedUntil:   desc("oauth_limiter_closed_until_timestamp_seconds", "When requests are sent again; zero if they may be sent now."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.fetches, c.failures, c.invalidations, c.waits, c.expiry, c.waiting, c.active, c.refused, c.closedUntil,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n))
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }

	s := c.cache.Stats()
	counter(c.fetches, s.Fetches)
	counter(c.failures, s.Failures)
	counter(c.invalidations, s.Invalidations)
	counter(c.waits, s.Waits)
	if !s.Expiry.IsZero() {
		gauge(c.expiry, unix(s.Expiry))
	}
	if c.limiter == nil {
		return
	}
	l := c.limiter.Stats()
	gauge(c.waiting, float64(l.Waiting))
	gauge(c.active, float64(l.InFlight))
	counter(c.refused, l.Refused)
	closedUntil := 0.0
	if !l.ClosedUntil.IsZero() {
		closedUntil = unix(l.ClosedUntil)
	}
	gauge(c.closedUntil, closedUntil)
}

// unix returns a time in Unix seconds, the unit of Prometheus.
func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
