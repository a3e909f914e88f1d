package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	text := regexp.MustCompile(`(expires_in|timestamp_seconds\{cache="moov"}) [1-9]\d*`).ReplaceAllString(out.String(), "$1 N")
	assert.Equal(t, `trace "first call"
  POST /oauth2/token 200
  GET /ping 200
trace "token revoked"
  GET /ping 401
  POST /oauth2/token 200
  GET /ping 200
trace "rate limit"
  GET /ping 429
  GET /ping 200
OpenTelemetry metrics
  oauth.token.fetches 2 {fetch}
  oauth.token.failures 0 {fetch}
  oauth.token.invalidations 1 {token}
  oauth.token.waits 2 {call}
  oauth.token.expires_in N s
  oauth.limiter.waiting_requests 0 {request}
  oauth.limiter.active_requests 0 {request}
  oauth.limiter.refusals 1 {response}
  oauth.limiter.closed_for 0 s
Prometheus metrics
  oauth_limiter_active_requests{cache="moov"} 0
  oauth_limiter_closed_until_timestamp_seconds{cache="moov"} 0
  oauth_limiter_refusals_total{cache="moov"} 1
  oauth_limiter_waiting_requests{cache="moov"} 0
  oauth_token_expiry_timestamp_seconds{cache="moov"} N
  oauth_token_failures_total{cache="moov"} 0
  oauth_token_fetches_total{cache="moov"} 2
  oauth_token_invalidations_total{cache="moov"} 1
  oauth_token_waits_total{cache="moov"} 2
`, text)
}
