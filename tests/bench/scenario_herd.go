package main

import (
	"context"
	"log"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
)

const callersInHerd = 10_000

// measureHerd measures many callers that find the token expired.
func measureHerd(e effort) []figure {
	requests, p99 := values{}, values{}
	for range e.scenarios {
		var expired []waiting
		for _, p := range peers {
			expired = append(expired, openWaiting(p, 1))
		}
		time.Sleep(1100 * time.Millisecond)
		for _, w := range expired {
			o := w.herd(requests)
			p99.add(w.name, o.quantile(0.99))
		}
	}
	return []figure{
		{"10,000 callers at expiry: token requests", count, requests, target{most: 1}},
		{"  p99, where the endpoint takes 50 ms", duration, p99, target{most: float64(slow * 3 / 2)}},
	}
}

// waiting returns a session whose first token lives for a given time, and whose endpoint is slow after that.
type waiting struct {
	peer
	session
	vendor
}

func openWaiting(p peer, life int) waiting {
	v := newVendor(hour)
	v.next("first", life)
	s := v.open(p, 0)
	if err := s.get(context.Background()); err != nil {
		log.Fatalf("%s: %v", p.name, err)
	}
	v.always(sandbox.Fault{Delay: slow})
	return waiting{p, s, v}
}

// herd makes all callers come at once, and adds the number of token requests that they cause.
func (w waiting) herd(requests values) *outcome {
	before := w.requests()
	o := herd(callersInHerd, w.get)
	if o.failed > 0 {
		log.Fatalf("%s: %d of %d callers failed", w.name, o.failed, callersInHerd)
	}
	time.Sleep(2 * slow) // waits for background work
	requests.add(w.name, float64(w.requests()-before))
	return o
}
