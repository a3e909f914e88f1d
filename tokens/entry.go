package tokens

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	never   = time.Duration(math.MaxInt64)
	maxLife = 100 * 365 * 24 * time.Hour // so that no sum of durations overflows
)

// An entry is a token and the moments at which something happens to it, as durations since the Cache was made.
type entry struct {
	token       *Token        // shared with callers, so never modified
	since       time.Duration // when it came
	renewAt     time.Duration // from then on it is renewed behind the callers
	replaceAt   time.Duration // from then on callers wait for another, if one can be had
	endAt       time.Duration // from then on it is not served
	checkAt     time.Duration // until then it is served without the lock
	wallStart   int64         // the wall clock's reading when the Cache was made, had it run evenly until the token came
	served      bool          // it was made the current one
	forRejected bool          // it was fetched because the one before it was rejected
}

// A moment is now, on both clocks of the machine. The monotonic clock may stand still while the machine sleeps, and the
// wall clock may be set: a token is over when either says so.
type moment struct {
	time time.Time
	mono time.Duration // since the Cache was made
}

// since returns how much time has passed since then, by whichever clock says more.
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

// newEntry makes an entry of a token that came now and whose whole life, if it is known, was life.
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

// at returns the moment on whichever clock is later.
func (e *entry) at(now moment) time.Duration {
	return max(now.mono, time.Duration(now.time.UnixNano()-e.wallStart))
}

// lives reports whether the token has not ended and will not within minLife.
func (e *entry) lives(now moment, minLife time.Duration) bool {
	return e.endAt-e.at(now) >= max(minLife, 1)
}
