//go:build unix

package fleet

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/internal/servers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFleet runs several processes with each kind of store. Tests do not share records, because each has its own token
// endpoint, which is part of the key.
func TestFleet(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) string{
		"files":    func(t *testing.T) string { return t.TempDir() },
		"redis":    func(t *testing.T) string { return "redis://" + servers.Redis(t).Addr },
		"postgres": func(t *testing.T) string { return postgres(t, servers.Postgres(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			for name, test := range map[string]func(t *testing.T, store string){
				"HerdAtExpiry":                      herdAtExpiry,
				"RejectedTokenIsReplacedOnce":       rejectedTokenIsReplacedOnce,
				"Rotations":                         rotations,
				"HolderIsKilledBeforeTheServerActs": holderIsKilled((*server).holdBefore),
				"HolderIsKilledAfterTheServerActed": holderIsKilled((*server).holdAfter),
				"ShortCommandsOutliveADeadHolder":   shortCommandsOutliveADeadHolder,
				"HolderIsStopped":                   holderIsStopped,
				"HolderIsStoppedForAMinute":         holderIsStoppedForAMinute,
				"LogoutIsObeyed":                    logoutIsObeyed,
				"LoginOutlivesItsProcess":           loginOutlivesItsProcess,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, store)
				})
			}
		})
	}
}

// Twenty processes with fifty callers each request a token at the moment at which the old one has expired: one request
// is sent.
func herdAtExpiry(t *testing.T, store string) {
	t.Helper()
	s := serve(t, 12*time.Second)
	workers := startMany(t, 20, settings{Store: store, Origin: s.URL})
	first := distinct(t, all(workers, "token 50"))
	require.Len(t, first, 1)
	require.Equal(t, 1, s.count(), "a cold fleet")

	wait(12 * time.Second) // without calls there is no renewal
	outcomes := all(workers, "token 50")
	second := distinct(t, outcomes)
	require.Len(t, second, 1)
	assert.NotEqual(t, first, second)
	assert.Equal(t, 2, s.count())
	var slowest time.Duration
	for _, o := range outcomes {
		slowest = max(slowest, o.Slowest)
	}
	t.Logf("the last of 1,000 callers had the new token after %v", slowest)
}

// A token that the API rejected is replaced once for the whole fleet.
func rejectedTokenIsReplacedOnce(t *testing.T, store string) {
	t.Helper()
	s := serve(t, time.Hour)
	workers := startMany(t, 6, settings{Store: store, Origin: s.URL})
	rejected := distinct(t, all(workers, "token 1"))
	require.Len(t, rejected, 1)
	for _, o := range all(workers, "invalidate "+rejected[0]) {
		require.Empty(t, o.Errors)
	}
	renewed := distinct(t, all(workers, "token 5"))
	require.Len(t, renewed, 1)
	assert.NotEqual(t, rejected, renewed)
	assert.Equal(t, 2, s.count())
}

// Six processes renew one login again and again. The server ends it if a refresh token is presented twice.
func rotations(t *testing.T, store string) {
	t.Helper()
	rotations := 30
	if os.Getenv("FLEET_LONG") != "" {
		rotations = 200
	}
	s := serve(t, time.Second)
	workers := startMany(t, 6, settings{Store: store, Origin: s.URL, Session: "user", Initial: s.login()})
	for s.count() < rotations {
		for _, o := range all(workers, "token 10") {
			require.Empty(t, o.Errors)
		}
		wait(250 * time.Millisecond)
	}
	for _, o := range all(workers, "close") {
		require.Empty(t, o.Errors)
	}
	assert.Equal(t, 1, s.mostPresented())
	t.Logf("%d refresh tokens, each presented once", s.count())
}

// The process that fetches is killed, before or after the server acts on its request. It has not presented a refresh
// token, so another process continues after 10 s.
func holderIsKilled(hold func(*server)) func(*testing.T, string) {
	return func(t *testing.T, store string) {
		t.Helper()
		s := serve(t, time.Hour)
		hold(s)
		workers := startMany(t, 3, settings{Store: store, Origin: s.URL})
		workers[0].say("token 1")
		<-s.arrived
		workers[0].signal(syscall.SIGKILL)
		s.release()

		began := time.Now()
		survivors := workers[1:]
		require.Len(t, distinct(t, all(survivors, "token 10")), 1)
		took := time.Since(began)
		assert.Equal(t, 2, s.count(), "one by the killed process and one more")
		assert.Less(t, took, 15*time.Second)
		t.Logf("the others had a token after %v", took)
	}
}

// A command that runs for two seconds is started again and again after a holder was killed. It gets a token eventually.
func shortCommandsOutliveADeadHolder(t *testing.T, store string) {
	t.Helper()
	s := serve(t, time.Hour)
	s.holdBefore()
	holder := start(t, settings{Store: store, Origin: s.URL})
	holder.say("token 1")
	<-s.arrived
	holder.signal(syscall.SIGKILL)
	s.release()

	began := time.Now()
	for time.Since(began) < time.Minute {
		command := start(t, settings{Store: store, Origin: s.URL})
		command.say("token 1")
		heard := make(chan outcome, 1)
		go func() {
			var o outcome
			if command.out.Decode(&o) == nil {
				heard <- o
			}
		}()
		select {
		case o := <-heard:
			require.Empty(t, o.Errors)
			t.Logf("a command had a token after %v", time.Since(began))
			return
		case <-time.After(2 * time.Second):
			command.signal(syscall.SIGKILL)
		}
	}
	t.Fatal("no command got a token within a minute")
}

// The process that fetches is stopped for two seconds while its request is in flight, and then continues: no other
// process sends a request.
func holderIsStopped(t *testing.T, store string) {
	t.Helper()
	assert.Equal(t, 1, stopHolder(t, store, 2*time.Second).count())
}

// A holder that presented a refresh token is stopped for a minute. Presenting it again would end the session.
func holderIsStoppedForAMinute(t *testing.T, store string) {
	t.Helper()
	long(t)
	assert.Equal(t, 1, stopHolder(t, store, time.Minute).mostPresented())
}

// stopHolder stops the process that fetches for d after the server has acted on its request, and returns the server. All
// processes get one token.
func stopHolder(t *testing.T, store string, d time.Duration) *server {
	t.Helper()
	s := serve(t, time.Hour)
	s.holdAfter()
	workers := startMany(t, 3, settings{Store: store, Origin: s.URL, Session: "user", Initial: s.login()})
	workers[0].say("token 1")
	<-s.arrived
	workers[0].signal(syscall.SIGSTOP)
	s.release()
	for _, w := range workers[1:] {
		w.say("token 5")
	}
	wait(d)
	workers[0].signal(syscall.SIGCONT)
	outcomes := []outcome{workers[0].hear(), workers[1].hear(), workers[2].hear()}
	require.Len(t, distinct(t, outcomes), 1)
	return s
}

// After a logout in one process, the other ones, which were idle, notice with their second call.
func logoutIsObeyed(t *testing.T, store string) {
	t.Helper()
	s := serve(t, 50*time.Second) // a look is due after 5 s
	workers := startMany(t, 3, settings{Store: store, Origin: s.URL, Session: "user", Initial: s.login()})
	require.Len(t, distinct(t, all(workers, "token 1")), 1)
	require.Empty(t, workers[0].do("revoke").Errors)
	assert.True(t, workers[0].do("token 1").Login)

	wait(6 * time.Second)
	all(workers[1:], "token 1") // this starts a look in the background
	wait(time.Second)
	for _, o := range all(workers[1:], "token 1") {
		assert.True(t, o.Login, "%v", o.Errors)
	}
	started := start(t, settings{Store: store, Origin: s.URL, Session: "user"})
	assert.True(t, started.do("token 1").Login)

	// A new login in one process is a login in all of them.
	require.Empty(t, workers[1].do("set "+s.login().RefreshToken).Errors)
	wait(6 * time.Second)
	all(workers, "token 1")
	require.Len(t, distinct(t, all(workers, "token 1")), 1)
	assert.Equal(t, 1, s.mostPresented())
}

// A process that starts later finds the login in the store, without Initial.
func loginOutlivesItsProcess(t *testing.T, store string) {
	t.Helper()
	s := serve(t, time.Hour)
	first := start(t, settings{Store: store, Origin: s.URL, Session: "user", Initial: s.login()})
	token := first.token(1)
	first.signal(syscall.SIGKILL)
	second := start(t, settings{Store: store, Origin: s.URL, Session: "user"})
	assert.Equal(t, token, second.token(1))
	assert.Equal(t, 1, s.count())
}

// Redis hangs for 30 s and comes back empty. The processes that know the login write it back.
func TestRedisComesBackEmpty(t *testing.T) {
	long(t)
	t.Parallel()
	database := servers.Redis(t)
	s := serve(t, 40*time.Second)
	workers := startMany(t, 3, settings{Store: "redis://" + database.Addr, Origin: s.URL, Session: "user", Initial: s.login()})
	require.Len(t, distinct(t, all(workers, "token 1")), 1)
	wait(5 * time.Second)
	database.Kill()
	database.Clear()
	require.Len(t, distinct(t, all(workers, "token 1")), 1, "the access token stays in use")
	wait(15 * time.Second)
	require.Len(t, distinct(t, all(workers, "token 1")), 1)
	database.Start()
	// The next look writes the record back; its refresh token is then not presented for 90 s.
	deadline := time.Now().Add(3 * time.Minute)
	for {
		outcomes := all(workers, "token 1")
		if healthy(outcomes) && s.count() >= 2 {
			break
		}
		for _, o := range outcomes {
			require.False(t, o.Login, "%v", o.Errors)
		}
		require.True(t, time.Now().Before(deadline), "%+v", outcomes)
		wait(time.Second)
	}
	assert.Equal(t, 1, s.mostPresented())
}

// PostgreSQL is restarted while six processes renew a login.
func TestPostgresIsRestarted(t *testing.T) {
	t.Parallel()
	database := servers.Postgres(t)
	s := serve(t, 8*time.Second)
	workers := startMany(t, 6, settings{Store: postgres(t, database), Origin: s.URL, Session: "user", Initial: s.login()})
	require.Len(t, distinct(t, all(workers, "token 1")), 1)
	database.Kill()
	wait(3 * time.Second)
	database.Start()
	deadline := time.Now().Add(time.Minute)
	for s.count() < 4 {
		for _, o := range all(workers, "token 1") {
			require.False(t, o.Login, "%v", o.Errors)
		}
		require.True(t, time.Now().Before(deadline))
		wait(200 * time.Millisecond)
	}
	require.True(t, healthy(all(workers, "token 1")))
	assert.Equal(t, 1, s.mostPresented())
}

func healthy(outcomes []outcome) bool {
	for _, o := range outcomes {
		if len(o.Errors) > 0 {
			return false
		}
	}
	return true
}

// long skips a test that takes more than a minute, unless such tests were requested.
func long(t *testing.T) {
	t.Helper()
	if os.Getenv("FLEET_LONG") == "" {
		t.Skip("takes more than a minute: set FLEET_LONG=1")
	}
}
