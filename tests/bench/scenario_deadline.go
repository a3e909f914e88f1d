package main

import (
	"context"
	"sync"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
)

// measureDeadline measures a caller with a short deadline that comes while another's fetch is slow.
func measureDeadline(e effort) []figure {
	const patience = 10 * time.Millisecond
	late := values{}
	for range 5 * e.scenarios {
		for _, p := range peers {
			v := newVendor(hour)
			v.always(sandbox.Fault{Delay: 60 * time.Millisecond})
			s := v.open(p, 0)
			var other sync.WaitGroup
			other.Go(func() { _ = s.get(context.Background()) })
			for v.requests() == 0 {
				time.Sleep(100 * time.Microsecond)
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			start := time.Now()
			_ = s.get(ctx) // on a very slow machine it gets a token
			late.add(p.name, float64(max(0, time.Since(start)-patience)))
			cancel()
			other.Wait()
		}
	}
	return []figure{{"deadline of 10 ms, fetch of 60 ms: back how late", duration, late, target{most: float64(2 * time.Millisecond)}}}
}
