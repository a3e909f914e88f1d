package tokens

import (
	"sync"
	"time"
	"weak"
)

// A holdOff shares failures among the Caches of one Endpoint: that the client is refused, that the server is down or
// asks to wait, or that it cannot be reached. After such a failure no Cache sends a request until the wait is over.
// Then one of them probes; the others get its error until it succeeds, or fails for a reason that is its own. The Cache
// that failed last lets waiting Caches probe first, because its own request may be the cause.
type holdOff struct {
	mu       sync.Mutex
	err      error // the last shared failure; nil after a success
	failures int   // consecutive
	opens    time.Time
	probing  bool                // a probe is in flight
	round    int                 // counts changes of err
	last     weak.Pointer[Cache] // the Cache that failed last
	waiting  bool                // another Cache has wanted to send since
}

// yield is how much longer than the others the Cache that failed last waits.
const yield = 250 * time.Millisecond

// opensFor returns when c may send a request, and records that it wants to. The lock is held.
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

// A holdPass permits a Cache to send a request. The zero value permits nothing.
type holdPass struct {
	ok    bool
	probe bool
	round int
}

// begin returns a pass, or the reason why c must not send a request now.
func (h *holdOff) begin(now time.Time, c *Cache) (holdPass, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil && (h.probing || now.Before(h.opensFor(c))) {
		return holdPass{}, h.err
	}
	h.probing = h.err != nil
	return holdPass{ok: true, probe: h.probing, round: h.round}, nil
}

// until returns when begin may succeed. The zero time means now.
func (h *holdOff) until(now time.Time, c *Cache) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.err == nil:
		return time.Time{}
	case h.probing:
		return now.Add(firstBackOff) // look again
	}
	return h.opensFor(c)
}

// end returns a pass. If sent is true, a request was sent with it and err is its error.
func (h *holdOff) end(pass holdPass, now time.Time, c *Cache, err error, sent bool) {
	if !pass.ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	late := pass.round != h.round // another request has failed or succeeded since
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
	case pass.probe && !late: // the probe learned nothing
		h.opens, h.probing = now.Add(backOff(h.failures)), false
	}
}

// sharedFailure returns the failure that concerns all Caches, or nil if the server can be used. known is false if the
// request showed neither.
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
		shared.Body = nil // one login's response must not reach the callers of another
		return &shared, true
	}
	return nil, e.StatusCode != 0
}
