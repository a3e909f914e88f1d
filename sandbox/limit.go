package sandbox

import (
	"fmt"
	"time"
)

// Limit is the rate limit of a vendor. SailPoint and Moov count the requests of each client id; ThousandEyes counts
// those of all clients together, because they belong to one organization. The zero Limit is the documented one.
type Limit struct {
	// Requests is the number of requests accepted within Per. If zero, it is the documented number. If negative, there is
	// no limit.
	Requests int

	// Per is the length of the window in which requests are counted. If not positive, it is the documented length.
	Per time.Duration

	// Window is how requests are counted. If zero, it is WindowFromFirst.
	Window Window

	// RetryAfter returns the Retry-After header of a 429, given how long the caller must wait. If it returns "", the
	// header is omitted. If nil, the header is the wait in whole seconds, rounded up; ThousandEyes instead sends
	// X-Organization-Rate-Limit-Reset, the end of the wait in Unix seconds.
	RetryAfter func(wait time.Duration) string

	// Escalate, if true, blocks a caller that sends another request before its wait is over: for one minute the first
	// time, then for twice as long as the last time, up to 20 minutes, until it waits as long as it was told to. A request
	// within 2 s of the 429 is only refused, because it may have been in flight.
	Escalate bool
}

// Window is a way to count requests.
type Window int

const (
	WindowFromFirst Window = iota // fixed windows; each begins with its first request
	WindowAligned                 // fixed windows that begin at multiples of their length since midnight UTC
	WindowSliding                 // a sliding window: the requests within the last Per
	WindowBucket                  // a bucket of Requests tokens, refilled evenly at Requests in each Per
)

const (
	escalateFrom  = time.Minute
	escalateTo    = 20 * time.Minute
	escalateGrace = 2 * time.Second
)

// SetLimit changes the limit. Requests that were accepted before still count, unless Window or Per changes. It panics
// if the Window is unknown.
//
// A client that respects the remaining number of requests in responses, as package tokens does at ThousandEyes, never
// exceeds the limit, and so never gets a 429. To force one, use a [Fault] with Status 429.
func (s *server) SetLimit(l Limit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit.set(l)
}

// limiter counts requests by key.
type limiter struct {
	documented Limit
	Limit
	callers map[string]*caller
}

// caller is the state of a limiter for one key.
type caller struct {
	used     int         // requests accepted in the fixed window
	ends     time.Time   // when the fixed window ends
	accepted []time.Time // times of the requests within the last Per, for a sliding window
	full     time.Time   // when the bucket will be full

	refused time.Time     // when the caller was last told to wait
	until   time.Time     // how long it was told to wait
	shutOut time.Duration // how long its last escalated wait was; 0 before the first
}

func newLimiter(limit, documented Limit) limiter {
	l := limiter{documented: documented}
	l.set(limit)
	return l
}

func (l *limiter) set(limit Limit) {
	if limit.Window < WindowFromFirst || limit.Window > WindowBucket {
		panic(fmt.Sprintf("sandbox: unknown Window %d", limit.Window))
	}
	if limit.Requests == 0 {
		limit.Requests = l.documented.Requests
	}
	if limit.Per <= 0 {
		limit.Per = l.documented.Per
	}
	if limit.Window != l.Window || limit.Per != l.Per {
		l.callers = map[string]*caller{}
	}
	l.Limit = limit
}

// take counts a request. It reports whether the request is accepted, how many more would be, and when the count is
// reset or, after a refusal, when the caller may send another request.
func (l *limiter) take(key string, now time.Time) (ok bool, left int, reset time.Time) {
	if l.Requests < 0 {
		return true, 0, time.Time{}
	}
	c := l.callers[key]
	if c == nil {
		c = &caller{}
		l.callers[key] = c
	}
	if l.Escalate && now.Before(c.until) {
		if now.Sub(c.refused) > escalateGrace {
			c.shutOut = min(max(escalateFrom, 2*c.shutOut), escalateTo)
			c.refused, c.until = now, now.Add(c.shutOut)
		}
		return false, 0, c.until
	}
	switch l.Window {
	case WindowSliding:
		ok, left, reset = l.takeSliding(c, now)
	case WindowBucket:
		ok, left, reset = l.takeBucket(c, now)
	default:
		ok, left, reset = l.takeFixed(c, now)
	}
	if ok {
		c.until, c.shutOut = time.Time{}, 0
	} else {
		c.refused, c.until = now, reset
	}
	return ok, left, reset
}

func (l *limiter) takeFixed(c *caller, now time.Time) (ok bool, left int, reset time.Time) {
	if !now.Before(c.ends) {
		start := now
		if l.Window == WindowAligned {
			start = now.Truncate(l.Per)
		}
		c.used, c.ends = 0, start.Add(l.Per)
	}
	if c.used >= l.Requests {
		return false, 0, c.ends
	}
	c.used++
	return true, l.Requests - c.used, c.ends
}

func (l *limiter) takeSliding(c *caller, now time.Time) (ok bool, left int, reset time.Time) {
	for len(c.accepted) > 0 && !now.Before(c.accepted[0].Add(l.Per)) {
		c.accepted = c.accepted[1:]
	}
	if n := len(c.accepted); n >= l.Requests {
		return false, 0, c.accepted[n-l.Requests].Add(l.Per)
	}
	c.accepted = append(c.accepted, now)
	return true, l.Requests - len(c.accepted), c.accepted[0].Add(l.Per)
}

func (l *limiter) takeBucket(c *caller, now time.Time) (ok bool, left int, reset time.Time) {
	refill := l.Per / time.Duration(l.Requests) // the time for one token
	if c.full.Before(now) {
		c.full = now
	}
	if missing := c.full.Add(refill).Sub(now); missing > l.Per {
		return false, 0, now.Add(missing - l.Per)
	}
	c.full = c.full.Add(refill)
	return true, int((l.Per - c.full.Sub(now)) / refill), c.full
}

// secondsUntil rounds up, so that a caller that waits so long is not too early.
func secondsUntil(t, now time.Time) int64 {
	return int64((t.Sub(now) + time.Second - 1) / time.Second)
}
