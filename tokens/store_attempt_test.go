package tokens

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A record that is put back keeps an attempt that may still present the refresh token. Otherwise a refresh token that
// can be presented is held, for processes that know a newer one, and nothing else is.
func TestRecordsThatArePutBack(t *testing.T) {
	user := &Token{AccessToken: "a", RefreshToken: "r"}
	attempt := func(state attemptState, presents bool) *storedAttempt {
		return &storedAttempt{id: "x", state: state, presents: presents, hold: time.Second}
	}
	for name, tt := range map[string]struct {
		session string
		known   record
		want    attemptState
		kept    bool
	}{
		"a login":                        {"s", record{token: user}, attemptHeld, false},
		"an attempt that presents":       {"s", record{token: user, attempt: attempt(attemptWorking, true)}, attemptWorking, true},
		"a lost response":                {"s", record{token: user, attempt: attempt(attemptLost, true)}, attemptLost, true},
		"a failure that presented":       {"s", record{token: user, attempt: attempt(attemptFailed, true)}, attemptHeld, false},
		"a failure":                      {"s", record{token: user, attempt: attempt(attemptFailed, false)}, attemptHeld, false},
		"a login that ended":             {"s", record{token: user, final: true}, "", false},
		"a logout":                       {"s", record{}, "", false},
		"a token without refresh token":  {"s", record{token: &Token{AccessToken: "a"}}, "", false},
		"an app":                         {"", record{token: &Token{AccessToken: "a"}}, "", false},
		"an app whose fetch is underway": {"", record{token: &Token{AccessToken: "a"}, attempt: attempt(attemptWorking, false)}, "", false},
	} {
		c := &Cache{session: tt.session, replica: newReplica(&CacheOptions{})}
		c.replica.known = &tt.known
		next := c.recordToPutBack()
		assert.Equal(t, tt.known.token, next.token, name)
		if tt.want == "" {
			assert.Nil(t, next.attempt, name)
			continue
		}
		require.NotNil(t, next.attempt, name)
		assert.Equal(t, tt.want, next.attempt.state, name)
		assert.Equal(t, tt.kept, next.attempt.id == "x", name)
		if !tt.kept {
			assert.Equal(t, 90*time.Second, next.attempt.hold, name)
		}
	}
}
