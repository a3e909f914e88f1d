package main

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// collected is a metric with its attributes and its aggregation.
type collected struct {
	value      float64
	kind, unit string
	attributes string
}

// collect returns the metrics of a reader by name.
func collect(t *testing.T, reader sdkmetric.Reader) map[string]collected {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	got := map[string]collected{}
	encoder := attribute.DefaultEncoder()
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				require.Len(t, data.DataPoints, 1)
				kind := "up-down counter"
				if data.IsMonotonic {
					kind = "counter"
				}
				p := data.DataPoints[0]
				got[m.Name] = collected{float64(p.Value), kind, m.Unit, p.Attributes.Encoded(encoder)}
			case metricdata.Gauge[float64]:
				require.Len(t, data.DataPoints, 1)
				p := data.DataPoints[0]
				got[m.Name] = collected{p.Value, "gauge", m.Unit, p.Attributes.Encoded(encoder)}
			default:
				t.Fatalf("%s is a %T", m.Name, data)
			}
		}
	}
	return got
}

// Metrics follow the Cache and the Limiter at each collection: without a token, with a token, and while a rate limit
// delays requests.
func TestMetricsFollowCacheAndLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := sandbox.New(sandbox.NewMoov(&sandbox.MoovOptions{TokenLife: time.Hour}))
		endpoint, err := tokens.NewMoov(tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
			&tokens.MoovOptions{BaseURL: sb.URL, HTTPClient: sb.HTTPClient()})
		require.NoError(t, err)
		cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Grant: tokens.Grant{Scopes: []string{"/ping.read"}}})
		require.NoError(t, err)
		client, err := tokens.NewClient(cache, &tokens.DoerOptions{HTTPClient: sb.HTTPClient()})
		require.NoError(t, err)

		reader := sdkmetric.NewManualReader()
		registration, err := observe(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test"), "moov", cache, cache.Limiter())
		require.NoError(t, err)
		collector := newCollector("moov", cache, cache.Limiter())
		prom := func(name string) float64 { return gathered(t, collector, name) }

		const attributes = "oauth.cache.name=moov,server.address=sandbox.example.com"
		got := collect(t, reader)
		assert.Equal(t, collected{0, "counter", "{fetch}", attributes}, got["oauth.token.fetches"])
		assert.NotContains(t, got, "oauth.token.expires_in", "there is no token")
		assert.Zero(t, prom("oauth_token_fetches_total"))
		assert.InDelta(t, -1.0, prom("oauth_token_expiry_timestamp_seconds"), 0)

		sb.Moov.Fault("createAccessToken", sandbox.Fault{Status: http.StatusUnauthorized})
		_, err = cache.Token(t.Context())
		require.Error(t, err)
		pass(time.Minute)
		token, err := cache.Token(t.Context())
		require.NoError(t, err)
		got = collect(t, reader)
		assert.Equal(t, collected{2, "counter", "{fetch}", attributes}, got["oauth.token.fetches"])
		assert.Equal(t, collected{1, "counter", "{fetch}", attributes}, got["oauth.token.failures"])
		assert.Equal(t, collected{2, "counter", "{call}", attributes}, got["oauth.token.waits"])
		assert.Equal(t, collected{3600, "gauge", "s", attributes}, got["oauth.token.expires_in"])
		assert.InDelta(t, 2.0, prom("oauth_token_fetches_total"), 0)
		assert.InDelta(t, 1.0, prom("oauth_token_failures_total"), 0)
		assert.InDelta(t, unix(token.Expiry), prom("oauth_token_expiry_timestamp_seconds"), 0)
		cache.Invalidate(token)
		assert.Equal(t, collected{1, "counter", "{token}", attributes}, collect(t, reader)["oauth.token.invalidations"])
		assert.InDelta(t, 1.0, prom("oauth_token_invalidations_total"), 0)

		// A 429 closes the Limiter for a minute, and the request waits.
		sb.Moov.Fault("ping", sandbox.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"60"}}})
		done := make(chan int)
		go func() {
			resp, err := client.Get(sb.URL + "/ping")
			if !assert.NoError(t, err) {
				done <- 0
				return
			}
			_ = resp.Body.Close()
			done <- resp.StatusCode
		}()
		pass(30 * time.Second)
		got = collect(t, reader)
		assert.Equal(t, collected{1, "up-down counter", "{request}", attributes}, got["oauth.limiter.waiting_requests"])
		assert.Equal(t, collected{0, "up-down counter", "{request}", attributes}, got["oauth.limiter.active_requests"])
		assert.Equal(t, collected{1, "counter", "{response}", attributes}, got["oauth.limiter.refusals"])
		assert.Equal(t, collected{30, "gauge", "s", attributes}, got["oauth.limiter.closed_for"])
		assert.InDelta(t, 1.0, prom("oauth_limiter_waiting_requests"), 0)
		assert.InDelta(t, 1.0, prom("oauth_limiter_refusals_total"), 0)
		assert.InDelta(t, unix(time.Now().Add(30*time.Second)), prom("oauth_limiter_closed_until_timestamp_seconds"), 0)
		assert.Equal(t, http.StatusOK, <-done)
		assert.Zero(t, collect(t, reader)["oauth.limiter.closed_for"].value)
		assert.Zero(t, prom("oauth_limiter_closed_until_timestamp_seconds"))

		require.NoError(t, registration.Unregister())
		assert.Empty(t, collect(t, reader))
	})
}

// pass waits for d, in the fake time of a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

// gathered returns the value of a collector's metric, or -1 if it has none.
func gathered(t *testing.T, c prometheus.Collector, name string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			require.Len(t, f.GetMetric(), 1)
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

// Prometheus's own linter accepts names, types and help.
func TestPrometheusNames(t *testing.T) {
	endpoint, err := tokens.NewMoov(tokens.Credentials{ClientID: "id", ClientSecret: "secret"}, nil)
	require.NoError(t, err)
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Initial: &tokens.Token{AccessToken: "t", Expiry: time.Now().Add(time.Hour)}})
	require.NoError(t, err)
	problems, err := testutil.CollectAndLint(newCollector("moov", cache, cache.Limiter()))
	require.NoError(t, err)
	assert.Empty(t, problems)
	assert.Equal(t, 9, testutil.CollectAndCount(newCollector("moov", cache, cache.Limiter())))
	assert.Equal(t, 5, testutil.CollectAndCount(newCollector("other", cache, nil)))
}
