package tokens

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// remains is what a response says of the rate limit.
type remains struct {
	known  bool
	left   int           // requests
	limit  int           // requests per window; 0 if it does not say
	reset  int64         // when the next window begins, in Unix seconds of the server's clock
	within time.Duration // until then
}

// remainsOf reads ThousandEyes' headers. The time until the reset is taken by the server's own clock, which may differ from
// ours.
func remainsOf(resp *http.Response) remains {
	const prefix = "X-Organization-Rate-Limit-"
	if resp.Header[prefix+"Remaining"] == nil { // for speed: most responses say nothing
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

// headerCount reads a header that is a number from 0 up.
func headerCount(resp *http.Response, name string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(resp.Header.Get(name)), 10, 64)
	return n, err == nil && n >= 0
}

// scarce reports whether so few requests are left that they should be spread over the window.
func (r remains) scarce() bool { return r.known && isScarce(r.left, r.limit) }

// isScarce reports whether less than 80 % of the limit is left. If the limit is not known, any number is scarce.
func isScarce(left, limit int) bool { return left < limit-limit/5 || limit == 0 }

// A window is what responses said of the time until the next reset. The zero window is one of which nothing is known.
type window struct {
	remains

	end      time.Time // of the window, by our own clock
	lastSent time.Time // when the last request was sent, in this window or before it
}

// update takes in what a response says. Responses can overtake each other: of one window the smallest number left is the
// newest, and a window before the current one is over.
func (w *window) update(r remains, now time.Time) {
	end := now.Add(r.within)
	switch {
	case w.known && r.reset < w.reset && now.Before(w.end): // or the server's clock was ahead
		return
	case w.known && r.reset == w.reset:
		r.left = min(r.left, w.left)
		if w.end.Before(end) {
			end = w.end // the server's Date has whole seconds, and the response took its time
		}
	}
	r.limit = max(r.limit, r.left+1) // what is left was one more before this request
	if r.reset == w.reset {
		r.limit = max(r.limit, w.limit)
	}
	w.remains, w.end = r, end
}

// leftAfter is how many more requests of a lane may be sent in the window: those in flight are not yet in what the responses
// said. For tokens, API requests do not count, because they may be waiting for the token and not have been sent.
func (w *window) leftAfter(inFlight [lanes]int, lane lane) int {
	if lane == tokenLane {
		return w.left - inFlight[tokenLane]
	}
	return w.left - inFlight[tokenLane] - inFlight[apiLane]
}

// paces reports whether the window may hold back the next request of a lane.
func (w *window) paces(inFlight [lanes]int, lane lane, now time.Time) bool {
	if !w.known || !now.Before(w.end) && grown(1, now.Sub(w.end)) >= dissolveAt {
		return false
	}
	return !now.Before(w.end) || isScarce(w.leftAfter(inFlight, lane), w.limit)
}

// nextTurn is the earliest time at which the next request may be sent. After the end of the window, that is one at a time
// until a response says what the new window is like, or a while has passed.
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
		return time.Time{} // API requests that have had their turns may be waiting for it
	}
	return w.lastSent.Add(w.end.Sub(now) / time.Duration(left))
}

// opening is the time before which certainly no request is sent: the end of a window of which nothing is left.
func (w *window) opening(now time.Time) time.Time {
	if w.known && now.Before(w.end) && w.left <= 0 {
		return w.end
	}
	return time.Time{}
}
