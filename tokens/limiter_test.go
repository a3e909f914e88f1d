package tokens

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os/exec"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An entrant is a request at a Limiter that waits for its turn in its own goroutine.
type entrant struct {
	visit  *visit
	cancel context.CancelFunc
	turn   chan turn  // receives the turn
	err    chan error // receives the error if there is no turn
}

func newVisit() *visit      { return &visit{lane: apiLane, arrival: time.Now()} }
func newTokenVisit() *visit { return &visit{lane: tokenLane, arrival: time.Now()} }

// enter makes v wait for a turn, and returns when it has one or all goroutines wait.
func enter(t *testing.T, l *Limiter, v *visit) entrant {
	return enterUntil(t, l, v, time.Time{})
}

func enterUntil(t *testing.T, l *Limiter, v *visit, deadline time.Time) entrant {
	ctx, cancel := context.WithCancel(t.Context())
	if !deadline.IsZero() {
		ctx, cancel = context.WithDeadline(t.Context(), deadline)
	}
	p := entrant{visit: v, cancel: cancel, turn: make(chan turn, 1), err: make(chan error, 1)}
	go func() {
		defer cancel()
		if turn, err := l.take(ctx, v); err != nil {
			p.err <- err
		} else {
			p.turn <- turn
		}
	}()
	synctest.Wait()
	return p
}

func (p entrant) sent() bool { return len(p.turn) > 0 }

// done ends the request with a status, and returns when all goroutines wait.
func (p entrant) done(t *testing.T, status int, headers ...string) {
	t.Helper()
	require.True(t, p.sent(), "the request was not sent")
	(<-p.turn).done(statusResponse(status, headers...))
	synctest.Wait()
}

func statusResponse(status int, headers ...string) *http.Response {
	resp, _ := reply(status, "", "", headers...)(nil)
	return resp
}

// closedLimiter returns a Limiter that one of two requests has just closed for 10 s; the other is still in flight.
func closedLimiter(t *testing.T) (l *Limiter, other entrant) {
	t.Helper()
	l = new(Limiter)
	first, other := enter(t, l, newVisit()), enter(t, l, newVisit())
	first.done(t, 429, "Retry-After", "10")
	return l, other
}

func elapse(d time.Duration) {
	pass(d)
	synctest.Wait()
}

func sentOf(passes []entrant) (n int) {
	for _, p := range passes {
		if p.sent() {
			n++
		}
	}
	return n
}

func enterAll(t *testing.T, l *Limiter, n int) (passes []entrant) {
	for range n {
		passes = append(passes, enter(t, l, newVisit()))
	}
	return passes
}

func TestLimiterDoesNothingBeforeTheFirst429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		passes := enterAll(t, l, 1000)
		assert.Equal(t, 1000, sentOf(passes))
		for _, status := range []int{200, 404, 500, 503} {
			passes[0].done(t, status)
			passes = passes[1:]
		}
		assert.Equal(t, LimiterStats{}, l.Stats())
		assert.Equal(t, 1, sentOf(enterAll(t, l, 1)))
	})
	v := newVisit()
	l := new(Limiter)
	ok := statusResponse(200)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		turn, _ := l.take(context.Background(), v)
		turn.done(ok)
	}))
}

func TestLimiterClosesFor(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // the start of a bubble
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	unix := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	const reset = "X-Organization-Rate-Limit-Reset"
	for _, tt := range []struct {
		name     string
		headers  []string
		from, to time.Duration
	}{
		{"seconds", []string{"Retry-After", "7"}, 7 * time.Second, 7 * time.Second},
		{"a date by the server's clock", []string{"Retry-After", date(20 * time.Second), "Date", date(0)}, 20 * time.Second, 20 * time.Second},
		{"a reset by the server's clock", []string{reset, unix(20 * time.Second), "Date", date(0)}, 20 * time.Second, 20 * time.Second},
		{"Retry-After before a reset", []string{"Retry-After", "3", reset, unix(20 * time.Second), "Date", date(0)}, 3 * time.Second, 3 * time.Second},
		{"an hour at most", []string{"Retry-After", "86400000000000000"}, time.Hour, time.Hour},
		{"nothing", nil, time.Second, 1250 * time.Millisecond},
		{"zero", []string{"Retry-After", "0"}, time.Second, 1250 * time.Millisecond},
		{"a negative number", []string{"Retry-After", "-7"}, time.Second, 1250 * time.Millisecond},
		{"no number", []string{"Retry-After", "soon"}, time.Second, 1250 * time.Millisecond},
		{"a date that is over", []string{"Retry-After", date(-time.Minute), "Date", date(0)}, time.Second, 1250 * time.Millisecond},
		{"a reset that is over", []string{reset, unix(-time.Minute), "Date", date(0)}, time.Second, 1250 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := new(Limiter)
				enter(t, l, newVisit()).done(t, 429, tt.headers...)
				closed := time.Until(l.Stats().ClosedUntil)
				assert.GreaterOrEqual(t, closed, tt.from)
				assert.LessOrEqual(t, closed, tt.to)
			})
		})
	}
}

func TestLimiterWithoutSuccessClosesForLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Limiter{MaxWait: time.Hour}
		for _, seconds := range []int{1, 2, 4, 8, 16, 30, 30} {
			enter(t, l, newVisit()).done(t, 429, "Retry-After", "1")
			closed := time.Until(l.Stats().ClosedUntil)
			assert.GreaterOrEqual(t, closed, time.Duration(seconds)*time.Second)
			assert.LessOrEqual(t, closed, time.Duration(seconds)*time.Second*5/4)
			elapse(closed)
		}
		enter(t, l, newVisit()).done(t, 200)
		enter(t, l, newVisit()).done(t, 429, "Retry-After", "1")
		assert.Equal(t, time.Second, time.Until(l.Stats().ClosedUntil), "one of them succeeded")
		elapse(time.Second)
		enter(t, l, newVisit()).done(t, 429, "Retry-After", "1")
		assert.GreaterOrEqual(t, time.Until(l.Stats().ClosedUntil), 2*time.Second, "none of this round did")
	})
}

func TestLimiterSendsFewAfterA429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := closedLimiter(t)
		passes := enterAll(t, l, 200)
		elapse(10*time.Second - 1)
		assert.Zero(t, sentOf(passes))
		assert.Equal(t, 200, l.Stats().Waiting)
		for _, want := range []int{4, 8, 16, 32, 64, 128, 200} { // none has ended
			elapse(1 + time.Millisecond)
			assert.Equal(t, want, sentOf(passes))
			assert.Equal(t, want, l.Stats().InFlight)
			elapse(5*time.Second - 1 - time.Millisecond)
		}
		assert.Equal(t, 100, sentOf(enterAll(t, l, 100)), "it does nothing")
		assert.Equal(t, 200, l.Stats().InFlight, "it does not count requests")
		passes[0].done(t, 429)
		assert.Equal(t, 4, int(l.few), "the next 429 counts as the first")
	})
}

func TestLimiterHalvesWhatWasInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := closedLimiter(t)
		elapse(22 * time.Second)
		for _, want := range []int{4, 2, 1, 1} { // not half of the limit that time has allowed since
			passes := enterAll(t, l, want)
			assert.Equal(t, want, sentOf(passes))
			for _, p := range passes[1:] {
				p.done(t, 200)
			}
			passes[0].done(t, 429, "Retry-After", "10")
			elapse(11 * time.Second)
		}
	})
}

func TestLimiterClosesOncePerRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := closedLimiter(t)
		passes := enterAll(t, l, 5)
		elapse(10 * time.Second)
		passes[0].done(t, 200)
		for i, p := range passes[1:] {
			p.done(t, 429, "Retry-After", strconv.Itoa([]int{10, 13, 12, 11}[i]))
		}
		assert.Equal(t, 13*time.Second, time.Until(l.Stats().ClosedUntil), "the latest one counts")
		assert.Equal(t, 2, int(l.few), "only the first one halves the limit")
		assert.EqualValues(t, 5, l.Stats().Refused)
	})
}

// If a server refuses everything, one request is sent at a time. After one is accepted, the others follow.
func TestLimiterSendsOneAfterARoundWithoutSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := closedLimiter(t)
		refuseAll := func(passes []entrant) {
			for _, p := range passes {
				if p.sent() {
					p.done(t, 429, "Retry-After", "10")
				}
			}
			elapse(time.Until(l.Stats().ClosedUntil))
		}
		passes := enterAll(t, l, 20)
		elapse(10 * time.Second)
		for _, want := range []int{4, 1, 1} {
			assert.Equal(t, want, sentOf(passes))
			refuseAll(passes)
		}
		for i := range passes {
			if passes[i].sent() {
				passes[i].done(t, 200)
				break
			}
		}
		assert.Equal(t, 4, sentOf(passes), "as many as after the first 429, because the server's limit is not known")
		refuseAll(passes)
		assert.Equal(t, 2, sentOf(passes), "there was a success before")
		refuseAll(passes)
		assert.Equal(t, 1, sentOf(passes))
		elapse(5*time.Second + time.Millisecond)
		assert.Equal(t, 2, sentOf(passes), "a hanging request does not delay the others for ever")
	})
}

func TestLimiterAndALate429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, old := closedLimiter(t)
		elapse(10 * time.Second)
		sent := enter(t, l, newVisit())
		old.done(t, 429, "Retry-After", "15") // it may have been refused when it was sent, 10 s ago
		assert.Equal(t, 5*time.Second, time.Until(l.Stats().ClosedUntil))
		assert.Equal(t, 4, int(l.few))
		sent.done(t, 200)
		waiting := enter(t, l, newVisit())
		elapse(5*time.Second - 1)
		assert.False(t, waiting.sent())
		elapse(1)
		assert.True(t, waiting.sent())
		assert.Equal(t, 3, sentOf(enterAll(t, l, 10)), "the limit does not grow while nothing is sent")
	})
}

// Of several late 429s the one that asks for the longest wait counts, and only while the Limiter limits anything.
func TestLimiterAndSeveralLate429s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		passes := enterAll(t, l, 4)
		passes[0].done(t, 429, "Retry-After", "10")
		elapse(10 * time.Second)
		enter(t, l, newVisit()).done(t, 200) // opens it
		passes[1].done(t, 429, "Retry-After", "15")
		passes[2].done(t, 429, "Retry-After", "12")
		assert.Equal(t, 5*time.Second, time.Until(l.Stats().ClosedUntil))

		elapse(time.Minute)
		enter(t, l, newVisit()).done(t, 200)
		passes[3].done(t, 429, "Retry-After", "3600")
		assert.Zero(t, l.Stats().ClosedUntil)
		enter(t, l, newVisit()).done(t, 429, "Retry-After", "10")
		assert.Equal(t, 10*time.Second, time.Until(l.Stats().ClosedUntil), "it limits nothing any more")
	})
}

// If many requests may be sent at once, the Limiter still does not become idle while a late 429 asks to wait.
func TestLimiterWithMuchInFlightAndALate429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, old := closedLimiter(t)
		l.few = 2 * dissolveAt
		passes := enterAll(t, l, 2*dissolveAt+1)
		elapse(10 * time.Second)
		old.done(t, 429, "Retry-After", "15")
		passes[2*dissolveAt].cancel() // nobody waits
		passes[0].done(t, 200)
		waiting := enter(t, l, newVisit())
		elapse(5*time.Second - 1)
		assert.False(t, waiting.sent())
		elapse(1)
		assert.True(t, waiting.sent())
	})
}

// API requests that wait because few remain are sent in time, even if token requests have to wait for longer.
func TestLimiterSendsWhicheverIsDueFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := closedLimiter(t)
		l.few = 1
		elapse(10 * time.Second)
		enter(t, l, newVisit()).done(t, 200, "X-Organization-Rate-Limit-Remaining", "50", "X-Organization-Rate-Limit-Limit", "100",
			"X-Organization-Rate-Limit-Reset", strconv.FormatInt(time.Now().Add(49*time.Second).Unix(), 10))
		hangs, waits := enter(t, l, newTokenVisit()), enter(t, l, newTokenVisit())
		require.True(t, hangs.sent())
		require.False(t, waits.sent())
		api := enter(t, l, newVisit())
		assert.False(t, api.sent(), "the remaining requests are spread")
		elapse(time.Second)
		assert.True(t, api.sent())
		assert.False(t, waits.sent())
	})
}

func TestLimiterIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		early := newVisit()
		pass(time.Second)
		enter(t, l, newVisit()).done(t, 429, "Retry-After", "10")
		l.few = 1
		b, a := enter(t, l, newVisit()), enter(t, l, early) // a refused call that came earlier
		elapse(10 * time.Second)
		assert.True(t, a.sent())
		assert.False(t, b.sent())
		a.done(t, 429, "Retry-After", "10")
		a = enter(t, l, early)
		elapse(10 * time.Second)
		assert.True(t, a.sent())
		assert.False(t, b.sent())
		a.done(t, 200)
		assert.True(t, b.sent())
	})
}

func TestLimiterTurnGoesToTheNext(t *testing.T) {
	t.Run("if a request fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, _ := closedLimiter(t)
			passes := enterAll(t, l, 5)
			elapse(10 * time.Second)
			(<-passes[0].turn).done(nil)
			synctest.Wait()
			assert.True(t, passes[4].sent())
		})
	})
	t.Run("if its owner leaves at that very instant", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := new(Limiter)
			enter(t, l, newVisit()).done(t, 429, "Retry-After", "10")
			l.few = 1
			ctx, cancel := context.WithCancel(t.Context())
			leaves := newWaiter(ctx, newVisit())
			leaves.deadline = time.Now().Add(time.Minute)
			l.mu.Lock()
			l.enqueue(leaves)
			l.mu.Unlock()
			next := enter(t, l, newVisit())
			elapse(10 * time.Second)
			<-leaves.ready
			assert.False(t, next.sent())
			cancel()
			_ = l.leave(leaves)
			synctest.Wait()
			assert.True(t, next.sent())
		})
	})
	t.Run("if the only one in flight hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, _ := closedLimiter(t)
			l.few = 1
			passes := enterAll(t, l, 2)
			elapse(15*time.Second - time.Millisecond)
			assert.Equal(t, 1, sentOf(passes))
			elapse(2 * time.Millisecond)
			assert.Equal(t, 2, sentOf(passes))
		})
	})
}

func TestLimiterMaxWait(t *testing.T) {
	limitErr := func(t *testing.T, p entrant, retryAfter time.Duration) {
		t.Helper()
		synctest.Wait()
		require.Len(t, p.err, 1)
		var e *limitError
		require.ErrorAs(t, <-p.err, &e)
		assert.Equal(t, retryAfter, e.retryAfter)
	}
	t.Run("fails at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &Limiter{MaxWait: 9 * time.Second}
			enter(t, l, newVisit()).done(t, 429, "Retry-After", "10")
			limitErr(t, enter(t, l, newVisit()), 10*time.Second)
		})
	})
	t.Run("fails while it waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &Limiter{MaxWait: 20 * time.Second}
			first, second := enter(t, l, newVisit()), enter(t, l, newVisit())
			first.done(t, 429, "Retry-After", "10")
			early := enter(t, l, newVisit())
			pass(5 * time.Second)
			late := enter(t, l, newVisit())
			second.done(t, 429, "Retry-After", "18") // 23 s after the first
			limitErr(t, early, 18*time.Second)
			elapse(18 * time.Second)
			assert.True(t, late.sent())
		})
	})
	t.Run("ends in the queue", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &Limiter{MaxWait: 20 * time.Second}
			enter(t, l, newVisit()).done(t, 429, "Retry-After", "19")
			passes := enterAll(t, l, 5)
			elapse(19 * time.Second)
			assert.Equal(t, 4, sentOf(passes))
			elapse(time.Second)
			limitErr(t, passes[4], time.Second)
			assert.Zero(t, l.Stats().Waiting)
		})
	})
	t.Run("ends at the instant at which it would be too long", func(t *testing.T) {
		for range 100 { // which is first is random
			synctest.Test(t, func(t *testing.T) {
				l := &Limiter{MaxWait: 20 * time.Second}
				first, second := enter(t, l, newVisit()), enter(t, l, newVisit())
				first.done(t, 429, "Retry-After", "10")
				l.few = 1e-9 // the limit does not grow in time
				waits := enter(t, l, newVisit())
				time.AfterFunc(20*time.Second, func() { (<-second.turn).done(statusResponse(429, "Retry-After", "40")) })
				elapse(20 * time.Second)
				require.Len(t, waits.err, 1)
				require.ErrorAs(t, <-waits.err, new(*limitError))
			})
		}
	})
	t.Run("ends in flight", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &Limiter{MaxWait: 20 * time.Second}
			p := enter(t, l, newVisit())
			p.done(t, 429, "Retry-After", "10")
			p = enter(t, l, p.visit)
			pass(21 * time.Second)
			p.done(t, 429)
			elapse(2 * time.Second)
			_, err := l.enter(t.Context(), p.visit, true)
			require.Error(t, err)
		})
	})
	t.Run("does not count what the call did before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &Limiter{MaxWait: 11 * time.Second}
			v := newVisit()
			pass(time.Hour)
			enter(t, l, newVisit()).done(t, 429, "Retry-After", "10")
			p := enter(t, l, v)
			elapse(10 * time.Second)
			assert.True(t, p.sent())
		})
	})
}

func TestLimiterContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := closedLimiter(t)
		short := enterUntil(t, l, newVisit(), time.Now().Add(9*time.Second))
		require.Len(t, short.err, 1, "the Limiter opens after the deadline")
		var e *limitError
		require.ErrorAs(t, <-short.err, &e)
		long := enterUntil(t, l, newVisit(), time.Now().Add(11*time.Second))
		canceled := enter(t, l, newVisit())
		canceled.cancel()
		synctest.Wait()
		require.Len(t, canceled.err, 1)
		require.ErrorIs(t, <-canceled.err, context.Canceled)
		assert.Equal(t, 1, l.Stats().Waiting)
		assert.Equal(t, 10*time.Second, time.Until(l.Stats().ClosedUntil), "no caller's context changes it")
		elapse(10 * time.Second)
		assert.True(t, long.sent())

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := l.take(ended, newVisit())
		require.ErrorIs(t, err, context.Canceled)
		assert.Zero(t, l.Stats().Waiting)
	})
}

func TestLimiterTokenRequestsDoNotWaitForAPIRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := closedLimiter(t)
		l.few = 1
		api := enterAll(t, l, 2)
		elapse(10 * time.Second)
		assert.Equal(t, 1, sentOf(api)) // it waits for a token
		token := enter(t, l, newTokenVisit())
		assert.True(t, token.sent())
		assert.False(t, enter(t, l, newTokenVisit()).sent(), "token requests are counted too")
	})
}

// Processes that share a limit must not resume together, nor wait much longer than necessary.
func TestLimiterClosesForARandomTime(t *testing.T) {
	for fruitless, wait := range map[int]time.Duration{0: firstClosing, 2: 4 * firstClosing, 4: 16 * firstClosing, 5: maxClosing, 100: maxClosing} {
		shortest, longest := time.Hour, time.Duration(0)
		for range 500 {
			d := closing(fruitless)
			shortest, longest = min(shortest, d), max(longest, d)
		}
		assert.InDelta(t, 1, shortest.Seconds()/wait.Seconds(), 0.025)
		assert.InDelta(t, 1.25, longest.Seconds()/wait.Seconds(), 0.025)
	}
}

// A round in which the server fails, and then refuses, is no success: the next one is awaited for longer.
func TestLimiterDoesNotCountAServerErrorAsSuccess(t *testing.T) {
	for status, longer := range map[int]bool{200: false, 404: false, 500: true, 503: true} {
		synctest.Test(t, func(t *testing.T) {
			l := new(Limiter)
			enter(t, l, newVisit()).done(t, 429)
			elapse(time.Until(l.Stats().ClosedUntil))
			enter(t, l, newVisit()).done(t, status)
			enter(t, l, newVisit()).done(t, 429)
			assert.Equal(t, longer, time.Until(l.Stats().ClosedUntil) >= 2*firstClosing, status)
		})
	}
}

// A request that was sent before the Limiter closed says nothing about the time after it opened.
func TestLimiterDoesNotCountALateSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := closedLimiter(t)
		elapse(10 * time.Second)
		first, late := enter(t, l, newVisit()), enter(t, l, newVisit())
		first.done(t, 429, "Retry-After", "10")
		elapse(10 * time.Second)
		p := enter(t, l, newTokenVisit())
		late.done(t, 200)
		p.done(t, 429, "Retry-After", "1")
		assert.GreaterOrEqual(t, time.Until(l.Stats().ClosedUntil), 4*time.Second, "twice the server accepted nothing")
	})
}

func TestLimiterSpreadsWhatRemains(t *testing.T) {
	const reset, remaining, limit = "X-Organization-Rate-Limit-Reset", "X-Organization-Rate-Limit-Remaining", "X-Organization-Rate-Limit-Limit"
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) // by the server's clock
	headers := func(left string, until time.Duration) []string {
		return []string{limit, "100", remaining, left, reset, strconv.FormatInt(now.Add(until).Unix(), 10), "Date", now.Format(http.TimeFormat)}
	}
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		enter(t, l, newVisit()).done(t, 200, headers("80", 50*time.Second)...)
		assert.Equal(t, 100, sentOf(enterAll(t, l, 100)), "many requests remain")

		l = new(Limiter)
		first, second := enter(t, l, newVisit()), enter(t, l, newVisit())
		first.done(t, 200, headers("50", 50*time.Second)...)
		second.done(t, 200, headers("51", 50*time.Second)...) // its response was overtaken
		passes := enterAll(t, l, 60)
		assert.Equal(t, 1, sentOf(passes), "the first at once, because nothing was sent for a while")
		for i := range 49 {
			passes[i].done(t, 200, headers(strconv.Itoa(49-i), 50*time.Second)...)
			const even = 50 * time.Second / 49
			elapse(even - time.Millisecond)
			require.Equal(t, 0, sentOf(passes))
			elapse(time.Millisecond + time.Microsecond)
			require.Equal(t, 1, sentOf(passes))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		first, second := enter(t, l, newVisit()), enter(t, l, newVisit())
		first.done(t, 200, headers("26", 50*time.Second)...)
		second.done(t, 200, headers("60", 50*time.Second)...) // its response was overtaken
		passes := enterAll(t, l, 3)
		elapse(2*time.Second - time.Millisecond)
		assert.Equal(t, 1, sentOf(passes))
		elapse(2 * time.Millisecond)
		assert.Equal(t, 2, sentOf(passes), "26 remain, of which one is in flight")
	})
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		first, second := enter(t, l, newVisit()), enter(t, l, newVisit())
		first.done(t, 200, headers("79", 110*time.Second)...)
		second.done(t, 200, headers("0", 50*time.Second)...)
		assert.Equal(t, 1, sentOf(enterAll(t, l, 100)), "what was left in the window before does not count")
	})
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		enter(t, l, newVisit()).done(t, 200, headers("1", 50*time.Second)...)
		assert.Zero(t, l.Stats().ClosedUntil, "one may be sent")
		enter(t, l, newVisit()).done(t, 200, headers("0", 50*time.Second)...)
		assert.Equal(t, 50*time.Second, time.Until(l.Stats().ClosedUntil))
		passes := enterAll(t, l, 200)
		elapse(50*time.Second - 1)
		assert.Equal(t, 0, sentOf(passes))
		elapse(1)
		assert.Equal(t, 1, sentOf(passes), "one at a time, because the new window is not known")
		passes[0].done(t, 200, headers("99", 110*time.Second)...)
		assert.Equal(t, 20, sentOf(passes), "until less than 80 remain besides those in flight")
	})
	for name, tt := range map[string][]string{
		"no reset":           {limit, "100", remaining, "1"},
		"no number":          {limit, "100", remaining, "few", reset, "1772366450"},
		"negative":           {limit, "100", remaining, "-1", reset, "1772366450", "Date", now.Format(http.TimeFormat)},
		"a reset long over":  {limit, "100", remaining, "1", reset, "10", "Date", now.Format(http.TimeFormat)},
		"a reset far ahead":  {limit, "100", remaining, "1", reset, "99999999999", "Date", now.Format(http.TimeFormat)},
		"an absurd reset":    {limit, "100", remaining, "1", reset, "9223372036854775807", "Date", now.Format(http.TimeFormat)},
		"nothing at all":     {remaining, ""},
		"too large a number": {limit, "100", remaining, "99999999999999999999999", reset, "1772366450"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := new(Limiter)
				enter(t, l, newVisit()).done(t, 200, tt...)
				assert.Equal(t, 100, sentOf(enterAll(t, l, 100)), "the headers are ignored")
			})
		})
	}
}

func TestLimiterWithoutFurtherHeadersGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		enter(t, l, newVisit()).done(t, 200, "X-Organization-Rate-Limit-Remaining", "0", "X-Organization-Rate-Limit-Reset",
			strconv.FormatInt(time.Now().Add(10*time.Second).Unix(), 10))
		passes := enterAll(t, l, 200)
		elapse(10 * time.Second)
		for _, want := range []int{1, 2, 4, 8, 16, 32, 200} {
			elapse(time.Millisecond)
			assert.Equal(t, want, sentOf(passes))
			elapse(5*time.Second - time.Millisecond)
		}
	})
}

func TestLimiterLogsClosingAndOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := new(Limiter)
		handler := slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			_ = l.Stats() // a handler may use the Limiter
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		v := newVisit()
		v.logger = slog.New(handler)
		enter(t, l, v).done(t, 429, "Retry-After", "10")
		enterAll(t, l, 5)
		elapse(10 * time.Second)
		assert.Equal(t, `level=INFO msg="rate limit reached, requests wait" waiting=0 next=opening next_in=10s
level=INFO msg="requests are sent again after a rate limit" in_flight=4 waiting=5 next="more in flight" next_in=5s
`, log.String())
	})
}

func TestLimiterCheck(t *testing.T) {
	assert.NoError(t, (*Limiter)(nil).check())
	assert.NoError(t, new(Limiter).check())
	assert.ErrorContains(t, (&Limiter{MaxWait: -1}).check(), "MaxWait")
}

func TestVetFindsACopiedLimiter(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "vet", "./testdata/copiedlimiter").CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "copies lock value")
}

func BenchmarkLimiter(b *testing.B) {
	l := new(Limiter)
	ok := statusResponse(200)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		v := newVisit()
		for pb.Next() {
			turn, _ := l.take(context.Background(), v)
			turn.done(ok)
		}
	})
}
