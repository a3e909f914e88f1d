package tokens

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// slept returns m on a machine that slept for d: its monotonic clock did not advance.
func (m moment) slept(d time.Duration) moment { return moment{m.time.Add(d), m.mono} }

// after returns m after d, in which both clocks advanced.
func (m moment) after(d time.Duration) moment { return moment{m.time.Add(d), m.mono + d} }

// The life of a token in a record continues while the machine sleeps, although the monotonic clock does not.
func TestRecordsAgeWhileTheMachineSleeps(t *testing.T) {
	begin := moment{time.Now().Round(0), time.Hour}
	written := &record{
		version: "1", order: order{5, 2}, placedAt: begin, bornAt: begin.mono - time.Minute, endAt: begin.mono + time.Hour,
		token: &Token{AccessToken: "a", RefreshToken: "r", Expiry: begin.time.Add(time.Hour)},
	}
	read := func(r *record, now moment) (age, left float64) {
		t.Helper()
		value, err := r.encode(now)
		require.NoError(t, err)
		var j recordJSON
		require.NoError(t, json.Unmarshal(value, &j))
		return j.Age, *j.Left
	}
	for what, now := range map[string]moment{"awake": begin.after(10 * time.Minute), "asleep": begin.slept(10 * time.Minute)} {
		assert.Equal(t, 50*time.Minute, written.remains(now), what)
		age, left := read(written, now)
		assert.InDelta(t, 50*60, left, 0.001, what)
		assert.InDelta(t, 11*60, age, 0.001, what)
		e := written.entry(now)
		assert.Equal(t, begin.time.Add(time.Hour), e.token.Expiry.Round(0), what)
		assert.True(t, e.lives(now, 50*time.Minute), what)
		assert.False(t, e.lives(now, 50*time.Minute+time.Second), what)

		// The same token in another version, as when another process has added an attempt.
		again := &record{version: "2", order: order{5, 2}, token: written.token}
		again.place(11*time.Minute, 55*time.Minute, written, now)
		assert.Equal(t, 50*time.Minute, again.remains(now), what)

		// A token without an expiry, whose writer's clock is ahead.
		forever := &record{version: "1", token: &Token{AccessToken: "a"}, placedAt: begin, bornAt: begin.mono, endAt: never}
		again = &record{version: "2", token: forever.token}
		again.place(0, never, forever, now)
		assert.Equal(t, 10*time.Minute, again.age(now), what)
	}
}

// A record of another process is placed by the local clock; the written remaining life limits the result in both
// directions.
func TestRecordsArePlaced(t *testing.T) {
	begin := moment{time.Now().Round(0), time.Hour}
	for name, tt := range map[string]struct {
		ahead  time.Duration // how far the writer's wall clock is ahead
		looked time.Duration // how long ago this process last looked; if zero, never
		asleep bool          // the machine has slept since then
		known  bool          // the version was the same then
		want   time.Duration
	}{
		"clocks agree":                       {0, 20 * time.Minute, false, false, 50 * time.Minute},
		"the writer is ahead":                {24 * time.Hour, time.Minute, false, false, time.Hour},
		"the writer is behind":               {-24 * time.Hour, time.Minute, false, false, 59 * time.Minute},
		"behind, after a sleep":              {-24 * time.Hour, 30 * time.Minute, true, false, 30 * time.Minute},
		"behind, and never looked":           {-time.Hour, 0, false, false, -10 * time.Minute},
		"behind, and it was there":           {-time.Hour, time.Minute, false, true, -10 * time.Minute},
		"clocks agree, looked long ago":      {0, 40 * time.Minute, false, false, 50 * time.Minute},
		"the writer is ahead, looked never":  {time.Hour, 0, false, false, time.Hour},
		"a sleep as long as the life itself": {-24 * time.Hour, 2 * time.Hour, true, false, -time.Hour},
	} {
		// The token was written ten minutes ago by the true time, with an hour to live.
		r := &record{
			version: "2", order: order{5, 2},
			token: &Token{AccessToken: "a", RefreshToken: "r", Expiry: begin.time.Add(50*time.Minute + tt.ahead)},
		}
		c := &Cache{session: "s", secrets: &cacheSecrets{}, endpoint: &Endpoint{}}
		c.replica = newReplica(&CacheOptions{})
		if tt.looked > 0 {
			c.replica.lookedAt = moment{begin.time.Add(-tt.looked), begin.mono - tt.looked}
			if tt.asleep {
				c.replica.lookedAt.mono = begin.mono
			}
			if c.replica.watched = "1"; tt.known {
				c.replica.watched = "2"
			}
		}
		c.observe(r, time.Minute, time.Hour, begin, begin, c.generation)
		assert.Equal(t, tt.want, r.remains(begin), name)
		assert.Equal(t, time.Hour-tt.want, r.age(begin)-time.Minute, name)
		assert.Equal(t, tt.want, r.entry(begin).endAt-begin.mono, name)
	}
}

// A record is written as it was read, with what this release does not know of.
func TestRecordsSurviveARoundTrip(t *testing.T) {
	for _, value := range []string{
		`{"format":1,"epoch":5,"gen":2,"age":60,"left":3540,"after_401":true,"final":true,"later":{"a":[1,2.50]},
		"token":{"access_token":"a","token_type":"Bearer","refresh_token":"r","scopes":["s"],"expiry":"2000-01-01T00:59:00Z","extra":{"x":1}},
		"attempt":{"id":"i","state":"failed","presents":true,"hold":60,"tries":3,"after_401":true,"at":"1999-12-31T23:59:00Z",
			"status":400,"code":"invalid_scope","later":"b"}}`,
		`{"format":1,"epoch":5,"gen":0,"token":{"access_token":"a"},"age":60,"requested":"1999-12-31T23:59:00Z"}`,
		`{"format":1,"epoch":5,"gen":0}`,
	} {
		synctest.Test(t, func(t *testing.T) { // it is 2000-01-01
			now := moment{time.Now().UTC(), time.Hour}
			r, age, left, err := decodeRecord(Record{Version: "1", Value: []byte(value)})
			require.NoError(t, err)
			r.place(age, left, &record{endAt: never}, now)
			again, err := r.encode(now)
			require.NoError(t, err)
			assert.JSONEq(t, value, string(again))
		})
	}
}

// A member that is null is the same as none.
func TestNullMembersOfRecords(t *testing.T) {
	want, _, _, err := decodeRecord(Record{Version: "1", Value: []byte(`{"format":1,"epoch":5,"gen":2}`)})
	require.NoError(t, err)
	r, _, _, err := decodeRecord(Record{Version: "1", Value: []byte(`{"format":1,"epoch":5,"gen":2,"token":null,"attempt":null}`)})
	require.NoError(t, err)
	assert.Equal(t, want, r)
}

// The Expiry of a token and what the record says is left of it limit its life, each on its own if the other is missing.
func TestRecordsWithHalfOfTheLife(t *testing.T) {
	now := moment{time.Now().Round(0), time.Hour}
	expiry := now.time.Add(50 * time.Minute)
	for name, tt := range map[string]struct {
		expiry time.Time
		left   time.Duration
		known  bool // with the same access token, and no expiry
		want   time.Duration
	}{
		"no left":        {expiry, never, false, 50 * time.Minute},
		"no expiry":      {time.Time{}, time.Hour, false, time.Hour},
		"newly with one": {expiry, time.Hour, true, 50 * time.Minute},
	} {
		c := &Cache{session: "s", secrets: &cacheSecrets{}, endpoint: &Endpoint{}, replica: newReplica(&CacheOptions{})}
		c.replica.lookedAt = moment{now.time.Add(-2 * time.Hour), now.mono - time.Minute} // the machine has slept since
		if tt.known {
			c.replica.known = &record{version: "1", order: order{5, 2}, token: &Token{AccessToken: "a"}, placedAt: now, endAt: never}
		}
		r := &record{version: "2", order: order{5, 3}, token: &Token{AccessToken: "a", RefreshToken: "r", Expiry: tt.expiry}}
		c.observe(r, 0, tt.left, now, now, c.generation)
		assert.Equal(t, tt.want, r.remains(now), name)
	}
}

// After a failure, a Store has to work for five seconds.
func TestWhenAStoreIsWellAgain(t *testing.T) {
	now := moment{time.Now(), time.Hour}
	c := &Cache{session: "s", secrets: &cacheSecrets{}, endpoint: &Endpoint{}, replica: newReplica(&CacheOptions{})}
	look := func(after time.Duration) bool {
		c.observe(&record{endAt: never}, 0, never, now.after(after), now.after(after), c.generation)
		return !c.replica.upset
	}
	assert.True(t, look(0))
	c.replica.storeFailed(errors.New("down"))
	assert.False(t, look(time.Minute))
	assert.False(t, look(time.Minute+5*time.Second-1))
	assert.True(t, look(time.Minute+5*time.Second))
}

// Nothing prints the value of a Record, which holds the token. As JSON it is complete, for Stores that keep it so.
func TestRecordPrintsNoValue(t *testing.T) {
	r := Record{Version: "abc", Value: []byte("canary")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, printed := range []any{r, &r, []Record{r}, struct{ R Record }{r}} {
			text := fmt.Sprintf(verb, printed)
			assert.Contains(t, text, "tokens.Record(abc)", verb)
			assert.NotContains(t, text, "canary", verb)
		}
	}
	var out strings.Builder
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("", "record", r, "pointer", &r)
	}
	assert.Equal(t, 4, strings.Count(out.String(), "tokens.Record(abc)"))
	assert.NotContains(t, out.String(), base64.StdEncoding.EncodeToString(r.Value))

	data, err := yaml.Marshal([]any{r, &r})
	require.NoError(t, err)
	assert.Equal(t, "- tokens.Record(abc)\n- tokens.Record(abc)\n", string(data))

	data, err = json.Marshal(r)
	require.NoError(t, err)
	var again Record
	require.NoError(t, json.Unmarshal(data, &again))
	assert.Equal(t, r.Value, again.Value)
}
