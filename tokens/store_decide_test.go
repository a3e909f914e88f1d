package tokens

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// decide: the next action, given the record, what the process knows, and the clocks.
func TestDecide(t *testing.T) {
	now := moment{time.Now(), time.Hour}
	token := &Token{AccessToken: "a", RefreshToken: "r"}
	rec := func(change func(*record)) *record {
		r := &record{version: "1", order: order{5, 2}, token: token, endAt: never}
		if change != nil {
			change(r)
		}
		return r
	}
	with := func(a storedAttempt) *record {
		a.at = now.time
		return rec(func(r *record) { r.attempt = &a })
	}
	none := &record{endAt: never}
	base := memory{rotates: true, known: order{5, 2}}
	mem := func(change func(*memory)) memory {
		m := base
		if change != nil {
			change(&m)
		}
		return m
	}
	living := func(m *memory) { m.living, m.due, m.hadToken = true, true, true }
	working := storedAttempt{id: "x", state: attemptWorking, presents: true, hold: 90 * time.Second}
	watched := func(d time.Duration) func(*memory) { return func(m *memory) { m.watchedFor = d } }

	for name, c := range map[string]struct {
		memory memory
		record *record
		want   action
		failed bool
	}{
		"the Store lost the generation":     {mem(nil), rec(func(r *record) { r.order.gen = 1 }), doPutBack, false},
		"the Store lost the epoch":          {mem(nil), rec(func(r *record) { r.order = order{4, 9} }), doPutBack, false},
		"the Store lost the record":         {mem(living), none, doPutBack, false},
		"living":                            {mem(func(m *memory) { m.living = true }), rec(nil), doNothing, false},
		"due":                               {mem(living), rec(nil), doStart, false},
		"ended":                             {mem(nil), rec(nil), doStart, false},
		"nothing anywhere":                  {memory{rotates: true}, none, doNothing, true},
		"Initial into nothing":              {memory{rotates: true, initial: token}, none, doSeed, false},
		"Initial in place of a final one":   {mem(func(m *memory) { m.initial = &Token{RefreshToken: "new"} }), rec(func(r *record) { r.final = true }), doSeed, false},
		"Initial that is the final one":     {mem(func(m *memory) { m.initial = token }), rec(func(r *record) { r.final = true }), doNothing, true},
		"Initial does not undo a logout":    {mem(func(m *memory) { m.initial = token }), rec(func(r *record) { r.token = nil }), doNothing, true},
		"Initial is ignored":                {mem(func(m *memory) { m.initial = &Token{RefreshToken: "new"} }), rec(nil), doStart, false},
		"final, and the access token lives": {mem(living), rec(func(r *record) { r.final = true }), doNothing, false},
		"an app after a logout":             {memory{known: order{5, 2}}, rec(func(r *record) { r.token = nil }), doStart, false},
		"own attempt":                       {mem(func(m *memory) { m.own = "x" }), with(working), doPresent, false},
		"another's attempt":                 {mem(nil), with(working), doPoll, false},
		"another's, and the token lives":    {mem(living), with(working), doNothing, false},
		"another's, watched for a second":   {mem(watched(time.Second)), with(working), doMark, false},
		"another's, the hold almost over":   {mem(watched(90*time.Second - 1)), with(working), doMark, false},
		"another's, the hold over":          {mem(watched(90 * time.Second)), with(working), doStart, false},
		"hold over, but the token lives":    {mem(func(m *memory) { living(m); m.watchedFor = 90 * time.Second }), with(working), doNothing, false},
		"hold over, nothing was presented":  {mem(func(m *memory) { living(m); m.watchedFor = 10 * time.Second }), with(storedAttempt{state: attemptWorking, hold: 10 * time.Second}), doStart, false},
		"lost":                              {mem(func(m *memory) { m.hadToken = true }), with(storedAttempt{state: attemptLost, presents: true, hold: time.Minute}), doNothing, true},
		"lost, and no token so far":         {mem(nil), with(storedAttempt{state: attemptLost, presents: true, hold: time.Minute}), doPoll, false},
		"lost, over":                        {mem(watched(time.Minute)), with(storedAttempt{state: attemptLost, presents: true, hold: time.Minute}), doStart, false},
		"held, and the token lives":         {mem(living), with(storedAttempt{state: attemptHeld, hold: time.Minute}), doNothing, false},
		"held, over, and the token lives":   {mem(func(m *memory) { living(m); m.watchedFor = time.Minute }), with(storedAttempt{state: attemptHeld, hold: time.Minute}), doStart, false},
		"failed":                            {mem(watched(time.Second)), with(storedAttempt{state: attemptFailed, hold: time.Minute}), doNothing, true},
		"failed, over":                      {mem(watched(time.Minute)), with(storedAttempt{state: attemptFailed, hold: time.Minute}), doStart, false},
		"failed, over by the wall clock": {mem(nil), rec(func(r *record) {
			r.attempt = &storedAttempt{state: attemptFailed, hold: time.Minute, at: now.time.Add(-time.Minute)}
		}), doStart, false},
		"lost, over by the wall clock alone": {mem(nil), rec(func(r *record) {
			r.attempt = &storedAttempt{state: attemptLost, hold: time.Minute, at: now.time.Add(-time.Hour)}
		}), doPoll, false},
		"the Store has just failed":          {mem(func(m *memory) { m.upset = true }), rec(nil), doPoll, false},
		"an app does not mind":               {memory{known: order{5, 2}, upset: true}, rec(nil), doStart, false},
		"rejected":                           {mem(func(m *memory) { m.rejected = "a" }), rec(nil), doStart, false},
		"rejected, but fetched for a 401":    {mem(func(m *memory) { m.rejected = "a" }), rec(func(r *record) { r.after401, r.bornAt = true, now.mono-29*time.Second }), doNothing, false},
		"due, and fetched for a 401 before":  {mem(living), rec(func(r *record) { r.after401, r.bornAt = true, now.mono-29*time.Second }), doStart, false},
		"rejected, but there is another":     {mem(func(m *memory) { m.rejected = "b" }), rec(func(r *record) { r.after401, r.bornAt = true, now.mono-29*time.Second }), doStart, false},
		"rejected, fetched for a 401 before": {mem(func(m *memory) { m.rejected = "a" }), rec(func(r *record) { r.after401, r.bornAt = true, now.mono-30*time.Second }), doStart, false},
	} {
		d := c.memory.decide(c.record, now)
		assert.Equal(t, c.want, d.action, name)
		assert.Equal(t, c.failed, d.err != nil, name)
		assert.Equal(t, name == "rejected, but fetched for a 401", d.keep, name)
		if d.action == doNothing && !d.keep && (c.memory.due || !c.memory.living) {
			assert.Positive(t, d.again, "%s: without a pause, each caller would start a look", name)
		}
	}
}

// What a process says of the attempt of another one.
func TestErrorOfAnAttempt(t *testing.T) {
	for want, a := range map[string]storedAttempt{
		"the last request for a token failed":                                                     {state: attemptFailed},
		"the last request for a token failed: 503 Service Unavailable":                            {state: attemptFailed, status: 503},
		"the last request for a token failed: 400 Bad Request: invalid_scope":                     {state: attemptFailed, status: 400, code: InvalidScope},
		"there was no response to the last refresh, and the refresh token may have been consumed": {state: attemptLost},
		"the Store lost data, and another process may know a newer refresh token":                 {state: attemptHeld},
	} {
		err := &attemptError{&a, 1500 * time.Millisecond}
		require.EqualError(t, err, want+"; the next one is due in 1.5s")
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, &Error{
			Method: http.MethodPost, StatusCode: a.status, Code: a.code, RetryAfter: 1500 * time.Millisecond, Message: "recorded in the Store",
		}, e)
		assert.Equal(t, a.code != "", errors.Is(err, a.code))
		assert.NotErrorIs(t, err, InvalidGrant)
	}
}
