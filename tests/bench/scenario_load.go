package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
)

// measureLoad measures callers that come all the time while tokens live for only one second. The result of the bare
// cache, which never fetches, is the noise of the machine.
func measureLoad(e effort) []figure {
	p999, slowCalls, failed, requests := values{}, values{}, values{}, values{}
	note := func(name string, o *outcome) {
		p999.add(name, o.quantile(0.999))
		slowCalls.add(name, o.slow())
		failed.add(name, float64(o.failed))
	}
	least := newBareCache()
	note(bare, load(e, func(context.Context) error { return least.do() }, func() {}))
	for _, p := range peers {
		v := newVendor(1)
		s := v.open(p, 0)
		if err := s.get(context.Background()); err != nil {
			log.Fatalf("%s: %v", p.name, err)
		}
		v.always(sandbox.Fault{Delay: slow})
		note(p.name, load(e, s.get, func() {
			requests.add(p.name, float64(v.requests()))
			v.ClearFaults() // waiting callers get a response soon
		}))
	}
	return []figure{
		{fmt.Sprintf("2,000 calls/s for %.0f s, tokens of 1 s: p99.9", e.load.Seconds()), duration, p999, target{most: float64(time.Millisecond)}},
		{"  calls that waited", count, slowCalls, target{most: 0}},
		{"  calls that failed", count, failed, target{most: 0}},
		{"  token requests", count, requests, unset},
	}
}

// load makes callers come for a while, and then waits for those that have not been served.
func load(e effort, call func(context.Context) error, end func()) *outcome {
	stop := make(chan struct{})
	o, wait := steady(2000, stop, call)
	time.Sleep(e.load)
	end()
	close(stop)
	wait()
	return o
}
