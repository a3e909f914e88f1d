package faults

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Discover meets every fault too. It uses two URLs, so it may send twice as many requests; if the server cannot be
// reached, it uses only one.
func TestDiscoverFaults(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s, c := f.start(t, func(x *exchange) string {
				return `{"name":"x","issuer":"` + x.server.url + `","token_endpoint":"` + x.server.url + `/token"}`
			})
			began := time.Now()
			e, err := tokens.Discover(t.Context(), s.url, tokens.Credentials{ClientID: "app", ClientSecret: canarySecret}, &tokens.EndpointOptions{
				HTTPClient: &http.Client{Transport: c.transport}, Timeout: cmp.Or(f.timeout, callerTimeout), Retry: tokens.Retry{Initial: time.Millisecond},
				Limiter: &tokens.Limiter{MaxWait: cmp.Or(f.maxWait, callerTimeout)},
			})
			assert.Less(t, time.Since(began), callerTimeout/2, "the call ends within the timeout")
			c.assertSilent(t, err)
			_, requests := s.counts()
			assert.LessOrEqual(t, requests, 40)
			if !has(f.fails, readsJSON) || f.name == "as HTML" {
				require.NoError(t, err)
				require.NotNil(t, e)
				return
			}
			require.Error(t, err)
			assert.Nil(t, e)
			assert.True(t, strings.HasPrefix(err.Error(), "tokens: Discover: "), "%v", err)
			failed, ok := errors.AsType[*tokens.Error](err)
			if ok && f.status != http.StatusOK {
				assert.Equal(t, f.status, failed.StatusCode, "%v", err)
			}
			if f.unsent {
				assert.Zero(t, requests)
			}
			if f.is != nil && f.status == 0 {
				assert.True(t, f.is(err), "%v", err)
			}
		})
	}
}
