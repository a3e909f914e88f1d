package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// outcome is the result of calls.
type outcome struct {
	latencies []time.Duration
	failed    int
}

// timed makes a call.
func timed(call func(context.Context) error) (took time.Duration, err error) {
	start := time.Now()
	err = call(context.Background())
	return time.Since(start), err
}

// quantile returns a quantile of the callers' latencies, in nanoseconds.
func (o *outcome) quantile(q float64) float64 {
	slices.Sort(o.latencies)
	return float64(o.latencies[min(int(q*float64(len(o.latencies))), len(o.latencies)-1)])
}

// slow returns the number of callers that had to wait for the endpoint.
func (o *outcome) slow() float64 {
	n := 0
	for _, l := range o.latencies {
		if l >= waited {
			n++
		}
	}
	return float64(n)
}

// herd makes n callers call at once, and returns when all are served.
func herd(n int, call func(context.Context) error) *outcome {
	o := &outcome{latencies: make([]time.Duration, n)}
	errs := make([]error, n) // each caller has its own element, so they need no lock
	var ready, done sync.WaitGroup
	ready.Add(n)
	start := make(chan struct{})
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			o.latencies[i], errs[i] = timed(call)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	for _, err := range errs {
		if err != nil {
			o.failed++
		}
	}
	return o
}

// steady makes callers come at an even rate, whether earlier ones have been served or not, until stop is closed. The
// outcome is complete when wait returns.
func steady(perSecond int, stop <-chan struct{}, call func(context.Context) error) (o *outcome, wait func()) {
	o = new(outcome)
	var mu sync.Mutex
	var callers sync.WaitGroup
	caller := func() {
		took, err := timed(call)
		mu.Lock()
		defer mu.Unlock()
		o.latencies = append(o.latencies, took)
		if err != nil {
			o.failed++
		}
	}
	callers.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		start := time.Now()
		for sent := 0; ; {
			for due := int(time.Since(start).Seconds() * float64(perSecond)); sent < due; sent++ {
				callers.Go(caller)
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	return o, callers.Wait
}

// together runs f for every peer at the same time.
func together(peers []peer, f func(peer)) {
	var running sync.WaitGroup
	for _, p := range peers {
		running.Go(func() { f(p) })
	}
	running.Wait()
}
