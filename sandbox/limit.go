package sandbox

import "time"

// limiter counts requests per key in windows of fixed length that begin with their first request.
type limiter struct {
	limit   int // not positive: none
	per     time.Duration
	windows map[string]*window
}

type window struct {
	ends time.Time
	left int
}

// newLimiter applies an option: 0 is the vendor's documented limit, a negative one is none.
func newLimiter(option, documented int, per time.Duration) limiter {
	if option == 0 {
		option = documented
	}
	return limiter{limit: option, per: per, windows: map[string]*window{}}
}

// take counts a request and reports whether it is within the limit, how many more are, and when that starts anew.
func (l *limiter) take(key string, now time.Time) (ok bool, left int, ends time.Time) {
	if l.limit <= 0 {
		return true, 0, time.Time{}
	}
	w := l.windows[key]
	if w == nil || !now.Before(w.ends) {
		w = &window{ends: now.Add(l.per), left: l.limit}
		l.windows[key] = w
	}
	if w.left == 0 {
		return false, 0, w.ends
	}
	w.left--
	return true, w.left, w.ends
}

// secondsUntil rounds up, so that who waits so long does not come too early.
func secondsUntil(t, now time.Time) int64 {
	return int64((t.Sub(now) + time.Second - 1) / time.Second)
}
