package tokens

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// remains is what a response says about the rate limit.
type remains struct {
	known  bool
	left   int           // requests
	limit  int           // requests per window; 0 if not known
	reset  int64         // when the next window begins, in Unix seconds of the server's clock
	within time.Duration // the time until then
}

// remainsOf reads ThousandEyes' headers. It computes the time until the reset from the server's own Date, because the
// local clock may differ.
func remainsOf(resp *http.Response) remains {
	const prefix = "X-Organization-Rate-Limit-"
	if resp.Header[prefix+"Remaining"] == nil { // the fast path: most responses do not have it
		return remains{}
	}
	left, ok := headerCount(resp, prefix+"Remaining")
	reset, resetOK := headerCount(resp, prefix+"Reset")
	limit, _ := headerCount(resp, prefix+"Limit")
	if !ok || !resetOK {
		return remains{}
	}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		date = time.Now()
	}
	within := time.Unix(reset, 0).Sub(date)
	if within <= 0 || within > maxHint {
		return remains{}
	}
	return remains{known: true, left: int(left), limit: int(limit), reset: reset, within: within}
}

// headerCount returns a header that is a non-negative number.
func headerCount(resp *http.Response, name string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(resp.Header.Get(name)), 10, 64)
	return n, err == nil && n >= 0
}

// scarce reports whether so few requests remain that they should be spread over the window.
func (r remains) scarce() bool { return r.known && isScarce(r.left, r.limit) }

// isScarce reports whether less than 80 % of the limit remains. If the limit is not known, any number is scarce.
func isScarce(left, limit int) bool { return left < limit-limit/5 || limit == 0 }

// A window is the time until the next reset, as far as responses have told. The zero window is unknown.
type window struct {
	remains

	end      time.Time // by the local clock
	lastSent time.Time // when the last request was sent, in this or an earlier window
}

// update applies what a response says. Responses can overtake each other, so the smallest number for a window is the
// newest, and responses of earlier windows are ignored.
func (w *window) update(r remains, now time.Time) {
	end := now.Add(r.within)
	switch {
	case w.known && r.reset < w.reset && now.Before(w.end): // an earlier window; otherwise the server's clock was ahead
		return
	case r.reset == w.reset:
		r.left = min(r.left, w.left)
		if w.end.Before(end) {
			end = w.end // Date has whole seconds, and the response needed time to arrive
		}
	}
	r.limit = max(r.limit, r.left+1) // one more was left before this request
	if r.reset == w.reset {
		r.limit = max(r.limit, w.limit)
	}
	w.remains, w.end = r, end
}

// leftAfter returns how many more requests of a lane may be sent in the window, not counting those in flight, which no
// response has included yet. For the token lane, API requests do not count, because they may not have been sent but be
// waiting for the token.
func (w *window) leftAfter(inFlight [lanes]int, lane lane) int {
	if lane == tokenLane {
		return w.left - inFlight[tokenLane]
	}
	return w.left - inFlight[tokenLane] - inFlight[apiLane]
}

// paces reports whether the window may delay the next request of a lane.
func (w *window) paces(inFlight [lanes]int, lane lane, now time.Time) bool {
	if !w.known || !now.Before(w.end) && grown(1, now.Sub(w.end)) >= dissolveAt {
		return false
	}
	return !now.Before(w.end) || isScarce(w.leftAfter(inFlight, lane), w.limit)
}

// nextTurn returns the earliest time at which the next request may be sent. After the end of the window, one request is
// sent at a time, until a response describes the new window or some time has passed.
func (w *window) nextTurn(inFlight [lanes]int, lane lane, now time.Time) time.Time {
	left := w.leftAfter(inFlight, lane)
	switch {
	case !w.paces(inFlight, lane, now):
		return time.Time{}
	case !now.Before(w.end):
		most := grown(1, now.Sub(w.end))
		if inFlight[lane] < most {
			return time.Time{}
		}
		return w.end.Add(growing(1, most+1))
	case left <= 0:
		return w.end
	case lane == tokenLane:
		return time.Time{} // API requests that have their turns may be waiting for the token
	}
	return w.lastSent.Add(w.end.Sub(now) / time.Duration(left))
}

// opening returns a time before which no request can be sent: the end of a window in which no request is left.
func (w *window) opening(now time.Time) time.Time {
	if now.Before(w.end) && w.left <= 0 {
		return w.end
	}
	return time.Time{}
}
