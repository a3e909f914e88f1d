package tokens

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	never   = time.Duration(math.MaxInt64)
	maxLife = 100 * 365 * 24 * time.Hour // keeps sums of durations from overflowing
)

// An entry is a token with its deadlines, as durations since the Cache was made.
type entry struct {
	token       *Token        // shared with callers; never modified
	since       time.Duration // when it arrived
	renewAt     time.Duration // after this it is renewed in the background
	replaceAt   time.Duration // after this callers wait for a new token, if a fetch may start
	endAt       time.Duration // its expiry
	checkAt     time.Duration // until this it is returned without the lock
	wallStart   int64         // the wall clock's time at the start of the Cache, computed back from when the token arrived
	served      bool          // it has been the current token
	forRejected bool          // it was fetched because the API rejected the previous one
}

// A moment is a time on both clocks of the machine. The monotonic clock may stop while the machine sleeps, and the wall
// clock may be changed; a token counts as expired if either clock says so.
type moment struct {
	time time.Time
	mono time.Duration // since the Cache was made
}

// since returns the time that has passed since then, by the clock that shows more.
func (m moment) since(then moment) time.Duration {
	return max(m.mono-then.mono, m.time.Round(0).Sub(then.time.Round(0)))
}

func (c *Cache) now() moment {
	now := time.Now()
	if c.warp != nil {
		return moment{now.Round(0), c.warp(now.Sub(c.start))}
	}
	return moment{now, now.Sub(c.start)}
}

// newEntry returns an entry for a token that arrived now. life is the token's whole lifetime, or 0 if it is not known.
func newEntry(t *Token, life time.Duration, now moment) *entry {
	e := &entry{
		token: t, since: now.mono, wallStart: now.time.UnixNano() - int64(now.mono),
		renewAt: never, replaceAt: never, endAt: never,
	}
	if t.Expiry.IsZero() {
		return e
	}
	left := t.left(now.time)
	life = max(life, left, 0)
	e.endAt = now.mono + left
	e.replaceAt = e.endAt - min(10*time.Second, life/20)
	e.renewAt = e.endAt - min(life/5, 5*time.Minute) - rand.N(life/10+1)
	return e
}

// at returns now as a duration since the Cache was made, by the clock that shows more.
func (e *entry) at(now moment) time.Duration {
	return max(now.mono, time.Duration(now.time.UnixNano()-e.wallStart))
}

// lives reports whether the token will not have expired after minLife.
func (e *entry) lives(now moment, minLife time.Duration) bool {
	return e.endAt-e.at(now) >= max(minLife, 1)
}
