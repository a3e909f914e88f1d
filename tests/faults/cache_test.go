package faults

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A Cache that renews a login meets every fault too. If the response to a refresh is lost, the refresh token is not
// presented again at once, however often Token is called. If a new refresh token arrives, it is saved.
func TestCacheFaults(t *testing.T) {
	t.Parallel()
	op := operations[1]
	require.Equal(t, "refresh_token", op.name)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s, c := f.start(t, func(*exchange) string { return op.good })
			var stored []string
			cache, err := tokens.NewCache(c.endpoint, &tokens.CacheOptions{
				Session: "user", Initial: &tokens.Token{RefreshToken: canaryRefresh},
				OnToken: func(_ context.Context, token *tokens.Token) error {
					stored = append(stored, token.RefreshToken)
					return nil
				},
			})
			require.NoError(t, err)
			began := time.Now()
			var callers sync.WaitGroup
			failed := has(f.fails, op.reads) || has(f.fails, op.name)
			const rounds = 3
			for range rounds {
				for range 5 {
					callers.Go(func() {
						token, err := cache.Token(t.Context())
						c.assertSilent(t, err)
						if !failed {
							if assert.NoError(t, err) {
								assert.Equal(t, canaryIssued, token.AccessToken)
							}
							return
						}
						assert.ErrorIs(t, err, tokens.ErrNoToken)
						assert.NotErrorIs(t, err, tokens.Status(f.status), "it is the status of the token endpoint")
						assert.NotErrorIs(t, err, tokens.ErrLoginRequired, "only invalid_grant ends a login")
						e, ok := errors.AsType[*tokens.Error](err)
						if assert.True(t, ok, "%v", err) {
							assert.Equal(t, f.status, e.StatusCode)
						}
					})
				}
				callers.Wait()
			}
			require.NoError(t, cache.Close(t.Context()))
			assert.Less(t, time.Since(began), callerTimeout/2, "the calls end within the timeout")
			if failed {
				assert.Empty(t, stored)
			} else {
				assert.Equal(t, []string{canaryRotated}, stored)
			}

			_, most := f.counts(op)
			if f.status/100 != 0 && f.status/100 != 2 {
				most *= rounds // a refused request may be retried soon
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			assert.LessOrEqual(t, len(s.requests), most, "requests")
			for _, request := range s.requests {
				assert.Contains(t, request, "grant_type=refresh_token", "only the refresh token is used")
			}
		})
	}
}
