package tokens

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// A crowd is many callers of one Limiter, and their results.
type crowd struct {
	limiter *Limiter

	given, used, returned  atomic.Int64 // turns
	ended, refused, panics atomic.Int64 // ended contexts and MaxWaits, 429 responses, panics
	served                 atomic.Int64 // successes since the last refusal
	mu                     sync.Mutex
	waits                  []crowdWait // of calls that got a turn
}

// A crowdWait is a wait that ended with a turn.
type crowdWait struct {
	visit    *visit
	queuedAt time.Time // a time after it was queued
	givenAt  time.Time
}

// call makes one call: it waits for its turn, and again each time that it is refused.
func (c *crowd) call(ctx context.Context, v *visit) {
	for again := false; ; again = true {
		w, err := c.limiter.enter(ctx, v, again)
		if err != nil {
			c.ended.Add(1)
			return
		}
		queuedAt := time.Now()
		turn, err := c.await(ctx, w)
		select {
		case <-w.ready:
			if w.err == nil {
				c.given.Add(1)
			}
		default:
		}
		if err != nil {
			c.ended.Add(1)
			if w.turn.limiter != nil { // the turn was given at the instant at which the caller left
				c.returned.Add(1)
			}
			return
		}
		c.mu.Lock()
		c.waits = append(c.waits, crowdWait{v, queuedAt, w.turn.sent})
		c.mu.Unlock()
		if !c.send(turn) {
			return
		}
	}
}

// await waits for a turn. One in twenty callers leaves at the instant at which it gets its turn.
func (c *crowd) await(ctx context.Context, w *waiter) (turn, error) {
	if rand.IntN(20) > 0 {
		return c.limiter.await(ctx, w)
	}
	select {
	case <-w.ready:
	case <-ctx.Done():
	case <-time.After(time.Until(w.visit.giveUp)):
	}
	return turn{}, c.limiter.leave(w)
}

// send uses a turn, and reports whether the server refused the request.
func (c *crowd) send(t turn) (refused bool) {
	status := 200
	defer func() {
		if recover() != nil {
			c.panics.Add(1)
		}
	}()
	defer func() {
		switch status {
		case 0:
			t.done(nil)
		case 429:
			t.done(statusResponse(429, "Retry-After", fmt.Sprintf("0.%03d", 5+rand.IntN(20))))
		default:
			t.done(statusResponse(status))
		}
	}()
	c.used.Add(1)
	pass(rand.N(200 * time.Microsecond))
	switch n := rand.IntN(200); {
	case n == 0 && c.served.Load() > 100: // a refusal before any success would close the Limiter for seconds
		c.served.Store(0)
		c.refused.Add(1)
		status = 429
		return true
	case n < 10:
		status = 0
		panic("of a RoundTripper")
	case n < 20:
		status = 503
	default:
		c.served.Add(1)
	}
	return false
}

// Ten thousand callers come and leave at random while the Limiter closes and opens. Every turn is used or given back,
// and waiting callers are served in the order in which they came.
func TestLimiterUnderLoad(t *testing.T) {
	defer goleak.VerifyNone(t)
	l := &Limiter{MaxWait: 2 * time.Second}
	first, err := l.take(t.Context(), newVisit())
	require.NoError(t, err)
	first.done(statusResponse(429, "Retry-After", "0.1"))
	c := &crowd{limiter: l}
	var wg sync.WaitGroup
	for i := range 10_000 {
		wg.Go(func() {
			pass(rand.N(2 * time.Second))
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			switch rand.IntN(4) {
			case 0: // it leaves without returning the turn
				time.AfterFunc(rand.N(time.Second), cancel)
			case 1:
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, rand.N(time.Second))
				defer cancel()
			}
			v := &visit{lane: apiLane, arrival: time.Now()}
			if i%10 == 0 {
				v.lane = tokenLane
			}
			c.call(ctx, v)
		})
	}
	wg.Wait()

	t.Logf("%d turns given, %d used, %d returned; %d contexts and waits ended, %d refused, %d panicked; %d openings",
		c.given.Load(), c.used.Load(), c.returned.Load(), c.ended.Load(), c.refused.Load(), c.panics.Load(), l.generation)
	assert.Equal(t, c.given.Load(), c.used.Load()+c.returned.Load())
	for what, n := range map[string]*atomic.Int64{"used": &c.used, "ended": &c.ended, "refused": &c.refused, "panics": &c.panics} {
		assert.Positive(t, n.Load(), what)
	}
	assert.Positive(t, l.generation)
	stats := l.Stats()
	assert.Zero(t, stats.Waiting)
	assert.Zero(t, stats.InFlight)
	assert.Equal(t, c.refused.Load()+1, stats.Refused) // plus the one that closed it first
	assert.Equal(t, [lanes]int{}, l.inFlight, "nothing is in flight in any lane")
	assert.Zero(t, c.overtakings())
}

// overtakings returns the number of waits that ended after that of a later call, although both waited at the same time.
func (c *crowd) overtakings() (n int) {
	for _, a := range c.waits {
		for _, b := range c.waits {
			if a.visit.lane == b.visit.lane && a.visit.arrival.Before(b.visit.arrival) &&
				a.queuedAt.Before(b.givenAt) && b.givenAt.Before(a.givenAt) {
				n++
			}
		}
	}
	return n
}
