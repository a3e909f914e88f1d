package tokens

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// After MaxWait is over, a call does not wait any more, but does not fail either if it can be sent at once.
func TestLimiterAfterMaxWaitWithoutAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(
			reply(429, "", "", "Retry-After", "1"),
			after(2*time.Minute, reply(503, "", "")), // MaxWait ends meanwhile
			reply(200, jsonType, "{}"))
		resp, err := limitedDoer(t, s, nil, DoerOptions{Timeout: time.Hour}).Do(newRequest(t, "GET", apiURL, ""))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Len(t, s.requests(), 3)
	})
	synctest.Test(t, func(t *testing.T) {
		l := &Limiter{MaxWait: time.Minute}
		p := enter(t, l, newVisit())
		p.done(t, 429, "Retry-After", "10")
		elapse(11 * time.Second)
		p = enter(t, l, p.visit)
		elapse(time.Minute)
		assert.True(t, enter(t, l, p.visit).sent(), "the limit is not reached")
		quick := &Limiter{MaxWait: 5 * time.Second}
		p = enter(t, quick, newVisit())
		p.done(t, 429, "Retry-After", "10")
		elapse(11 * time.Second)
		assert.True(t, enter(t, quick, p.visit).sent(), "it could have opened")
		closeFor(t, l, 10*time.Second)
		require.Len(t, enter(t, l, p.visit).err, 1)
	})
}

// A Limiter that nobody uses while it is closed opens at the same time as one with waiting calls.
func TestLimiterOpensWhileNobodyUsesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := closedLimiter(t)
		elapse(time.Hour)
		assert.Equal(t, 100, sentOf(enterAll(t, l, 100)))
		assert.Zero(t, l.Stats().Waiting)
	})
}

// A token request does not wait for API requests that have used up the window, because these may be waiting for the
// token.
func TestLimiterLeavesTokenRequestsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		enter(t, l, newVisit()).done(t, 200, "X-Organization-Rate-Limit-Remaining", "1", "X-Organization-Rate-Limit-Limit", "100",
			"X-Organization-Rate-Limit-Reset", strconv.FormatInt(time.Now().Add(50*time.Second).Unix(), 10))
		elapse(50 * time.Second / 2)
		assert.True(t, enter(t, l, newVisit()).sent())
		assert.True(t, enter(t, l, newTokenVisit()).sent())
		assert.False(t, enter(t, l, newTokenVisit()).sent(), "token requests count among themselves")
	})
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		enter(t, l, newVisit()).done(t, 200, "X-Organization-Rate-Limit-Remaining", "1", "X-Organization-Rate-Limit-Limit", "100",
			"X-Organization-Rate-Limit-Reset", strconv.FormatInt(time.Now().Add(50*time.Second).Unix(), 10))
		assert.True(t, enter(t, l, newTokenVisit()).sent())
		api := enter(t, l, newVisit())
		elapse(50*time.Second - 1)
		assert.False(t, api.sent(), "the token request in flight is the last one")
		elapse(1)
		assert.True(t, api.sent())
	})
}

// If a server does not name its limit, the largest number that remained in the window stands for it.
func TestLimiterWithoutALimitHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		reset := strconv.FormatInt(time.Now().Add(50*time.Second).Unix(), 10)
		for _, remaining := range []string{"100", "98"} {
			enter(t, l, newVisit()).done(t, 200, "X-Organization-Rate-Limit-Remaining", remaining, "X-Organization-Rate-Limit-Reset", reset)
		}
		free := enterAll(t, l, 10)
		assert.Equal(t, 10, sentOf(free), "much remains")
		free[0].done(t, 200, "X-Organization-Rate-Limit-Remaining", "20", "X-Organization-Rate-Limit-Reset", reset)
		enterAll(t, l, 1)
		assert.Zero(t, sentOf(enterAll(t, l, 5)), "the remaining requests are spread")
	})
}

// A server whose clock was ahead for a while, or whose reset is always now, does not affect later windows.
func TestLimiterWithOddResets(t *testing.T) {
	at := func(now time.Time, left int, until time.Duration) []string {
		return []string{"X-Organization-Rate-Limit-Limit", "100", "X-Organization-Rate-Limit-Remaining", strconv.Itoa(left),
			"X-Organization-Rate-Limit-Reset", strconv.FormatInt(now.Add(until).Unix(), 10), "Date", now.UTC().Format(http.TimeFormat)}
	}
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		enter(t, l, newVisit()).done(t, 200, at(time.Now().Add(24*time.Hour), 50, 10*time.Second)...)
		elapse(time.Minute)
		enter(t, l, newVisit()).done(t, 200, at(time.Now(), 10, 10*time.Second)...)
		enterAll(t, l, 1)
		assert.Zero(t, sentOf(enterAll(t, l, 20)), "the remaining requests are spread")
	})
	synctest.Test(t, func(t *testing.T) {
		l := new(Limiter)
		enter(t, l, newVisit()).done(t, 200, at(time.Now(), 10, 0)...)
		assert.Equal(t, 100, sentOf(enterAll(t, l, 100)), "the requests are not spread")
	})
}
