package main

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
)

// measureMinute measures slow scenarios: an API that refuses every token and, half a minute later, tokens that are in
// the renewal window of every peer. The load is light, so both fit into the same minute.
func measureMinute(e effort) []figure {
	var flood, renewal []figure
	var running sync.WaitGroup
	running.Go(func() { flood = measureFlood(e) })
	running.Go(func() { renewal = measureRenewal() })
	running.Wait()
	return append(renewal, flood...)
}

// untilDue is how long after the start the token of every peer is due, but still valid: see [peer.early].
const untilDue = 33 * time.Second

// due opens a session of every peer, with tokens that are due after untilDue.
func due() []waiting {
	var sessions []waiting
	for _, p := range peers {
		sessions = append(sessions, openWaiting(p, int(untilDue/time.Second)-1+p.early))
	}
	return sessions
}

// measureRenewal measures tokens that are due: with a herd, and with an endpoint that is down for a while.
func measureRenewal() []figure {
	herds, hinted, silent := due(), due(), due()
	time.Sleep(untilDue)

	requests, slowCalls := values{}, values{}
	for _, w := range herds {
		slowCalls.add(w.name, w.herd(requests).slow())
	}
	figures := []figure{
		{"10,000 callers at renewal: token requests", count, requests, target{most: 1}},
		{"  callers that waited", count, slowCalls, target{most: 0}},
	}

	withHint, withoutHint := newOutages(), newOutages()
	var running sync.WaitGroup
	for i := range peers {
		running.Go(func() { withHint.endure(hinted[i], http.Header{"Retry-After": {"1"}}) })
		running.Go(func() { withoutHint.endure(silent[i], nil) })
	}
	running.Wait()
	figures = append(figures, withHint.figures("endpoint down for 2 s, Retry-After: token requests", 3)...)
	return append(figures, withoutHint.figures("endpoint down for 2 s, no hint: token requests", 10)...)
}

// outages are the results of all peers in an outage.
type outages struct {
	mu                                              sync.Mutex
	requests, slow, failed, afterwards, recoveredIn values
}

func newOutages() *outages {
	return &outages{requests: values{}, slow: values{}, failed: values{}, afterwards: values{}, recoveredIn: values{}}
}

// endure makes callers come while the endpoint is down for 2 s, and for 4 s after that.
func (all *outages) endure(w waiting, header http.Header) {
	w.always(sandbox.Fault{Status: http.StatusServiceUnavailable, Header: header, Delay: slow})
	before := w.requests()
	stop := make(chan struct{})
	o, wait := steady(100, stop, w.get)
	time.Sleep(2 * time.Second)
	w.always(sandbox.Fault{Delay: slow})
	up, down := time.Now(), w.requests()
	recovered := time.Duration(0)
	for time.Since(up) < 4*time.Second {
		time.Sleep(5 * time.Millisecond)
		if recovered == 0 && w.requests() > down {
			recovered = time.Since(up)
		}
	}
	close(stop)
	wait()

	all.mu.Lock()
	defer all.mu.Unlock()
	all.requests.add(w.name, float64(down-before))
	all.afterwards.add(w.name, float64(w.requests()-down))
	all.slow.add(w.name, o.slow())
	all.failed.add(w.name, float64(o.failed))
	if recovered > 0 {
		all.recoveredIn.add(w.name, float64(recovered))
	}
}

func (all *outages) figures(name string, most float64) []figure {
	return []figure{
		{name, count, all.requests, target{most: most}},
		{"  calls that waited", count, all.slow, target{most: 0}},
		{"  calls that failed", count, all.failed, target{most: 0}},
		{"  token requests in the 4 s after it", count, all.afterwards, target{most: 1}},
		{"  asked again after", duration, all.recoveredIn, unset},
	}
}

// measureFlood measures an API that responds with 401 to every token.
func measureFlood(e effort) []figure {
	var mu sync.Mutex
	requests := values{}
	together(peers, func(p peer) {
		v := newVendor(hour)
		v.always(sandbox.Fault{Delay: slow})
		s := p.open(v.setup(newResponding(http.StatusUnauthorized), 0))
		if s.send == nil || p.borrows {
			return
		}
		stop := make(chan struct{})
		_, wait := steady(100, stop, s.call)
		time.Sleep(e.minute)
		made := v.requests()
		v.ClearFaults()
		close(stop)
		wait()
		mu.Lock()
		defer mu.Unlock()
		requests.add(p.name, float64(made))
	})
	name := fmt.Sprintf("401 to everything, 100 calls/s for %.0f s: token requests", e.minute.Seconds())
	return []figure{{name, count, requests, target{most: 3}}}
}
