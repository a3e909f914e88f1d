package tokens

import (
	"sync"
	"time"
	"weak"
)

// A holdOff keeps the Caches of one Endpoint from finding out, each for itself, what one of them has found out: that the
// client is refused, that the server is down or asks to wait, that it cannot be reached. After such a failure none of them
// asks until its wait is over; then one does, and the others have its error until it succeeds or is refused for a reason of
// its own. The one that failed last lets those go first that have been kept waiting: what fails may be its own request.
type holdOff struct {
	mu       sync.Mutex
	err      error // the last failure; nil if the Endpoint is well
	failures int   // in a row
	opens    time.Time
	probing  bool                // one asks
	round    int                 // counts changes of err
	last     weak.Pointer[Cache] // that failed last
	waiting  bool                // others have asked since
}

// yield is how much longer than the others the Cache waits that failed last.
const yield = 250 * time.Millisecond

// opensFor returns when c may ask, and notes that it would like to. The lock is held.
func (h *holdOff) opensFor(c *Cache) time.Time {
	if weak.Make(c) != h.last {
		h.waiting = true
		return h.opens
	}
	if h.waiting {
		return h.opens.Add(yield)
	}
	return h.opens
}

// A holdPass lets a Cache ask. The zero one is none.
type holdPass struct {
	ok    bool
	probe bool
	round int
}

// begin returns a pass, or why nobody may ask now.
func (h *holdOff) begin(now time.Time, c *Cache) (holdPass, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil && (h.probing || now.Before(h.opensFor(c))) {
		return holdPass{}, h.err
	}
	h.probing = h.err != nil
	return holdPass{ok: true, probe: h.probing, round: h.round}, nil
}

// until returns when begin may succeed; the zero time is now.
func (h *holdOff) until(now time.Time, c *Cache) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.err == nil:
		return time.Time{}
	case h.probing:
		return now.Add(firstBackOff) // to look again
	}
	return h.opensFor(c)
}

// end gives a pass back, with the error of the request that was sent with it, if one was.
func (h *holdOff) end(pass holdPass, now time.Time, c *Cache, err error, sent bool) {
	if !pass.ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	late := pass.round != h.round // others have failed or succeeded since
	failed, known := sharedFailure(err, sent)
	switch {
	case known && failed == nil:
		if h.err != nil {
			h.err, h.failures, h.probing = nil, 0, false
			h.round++
		}
	case known && late && h.err != nil:
		if hint := min(failed.RetryAfter, maxHint); now.Add(hint).After(h.opens) {
			h.opens = now.Add(hint)
		}
	case known:
		h.err, h.last, h.waiting = failed, weak.Make(c), false
		h.failures++
		h.opens, h.probing = now.Add(waitAfter(err, h.failures)), false
		h.round++
	case pass.probe && !late: // it brought no news
		h.opens, h.probing = now.Add(backOff(h.failures)), false
		h.round++
	}
}

// sharedFailure returns the failure that all Caches share, if it is known: nil if the server let this one pass.
func sharedFailure(err error, sent bool) (failure *Error, known bool) {
	if !sent {
		return nil, false
	}
	if err == nil {
		return nil, true
	}
	e, ok := endpointError(err)
	switch {
	case !ok:
		return nil, false
	case isShared(err):
		shared := *e
		shared.Body = nil // one login's response is not for the callers of another
		return &shared, true
	}
	return nil, e.StatusCode != 0
}
