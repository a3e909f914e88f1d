// Command soak makes thousands of concurrent mixed calls against a sandbox in memory whose faults change every second,
// and checks the results: no caller gets the token of another login or a wrong body, no secret of a created client is
// lost, the token endpoints receive no more requests than guaranteed, and nothing is left running.
//
//	go run ./tests/soak [-for 60s] [-callers 10000]
//
// It prints statistics and errors. If there are errors, it exits with status 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"time"
)

func main() {
	length := flag.Duration("for", time.Minute, "how long to run")
	callers := flag.Int("callers", 10_000, "how many callers there are")
	flag.Parse()
	if err := soak(os.Stdout, *length, *callers); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// soak runs the callers for a time, and prints statistics. It returns what was wrong.
func soak(out io.Writer, length time.Duration, callers int) error {
	before := measure()
	r := &record{calls: map[string]*tally{}}
	peak, err := runCallers(r, length, callers)
	if err != nil {
		return err
	}
	after := measure()
	for range 50 { // pending work may need a moment to end
		if after.goroutines <= before.goroutines {
			break
		}
		sleep(context.Background(), 100*time.Millisecond)
		after = measure()
	}
	fmt.Fprintf(out, "goroutines: %d at first, %d at most, %d in the end\n", before.goroutines, peak.goroutines, after.goroutines)
	fmt.Fprintf(out, "heap: %.1f MB at first, %.1f MB at most, %.1f MB in the end\n", before.heap, peak.heap, after.heap)
	if after.goroutines > before.goroutines {
		r.wrongf("%d goroutines are left", after.goroutines-before.goroutines)
	}
	if most := peakGoroutines(callers); peak.goroutines > most {
		r.wrongf("%d goroutines at a time, at most %d were expected", peak.goroutines, most)
	}
	if after.heap > before.heap+40 {
		r.wrongf("%.1f MB of the heap are left", after.heap-before.heap)
	}
	r.print(out)
	return errors.Join(r.mistakes...)
}

// thinking is the maximum pause of a caller between calls.
const thinking = 10 * time.Second

// peakGoroutines is the maximum number per caller: its own, that of its request, and that of the response's body.
func peakGoroutines(callers int) int { return 4*callers + 1000 }

// A load is the use of the machine.
type load struct {
	goroutines int
	heap       float64 // in MB
}

func measure() load {
	runtime.GC()
	runtime.GC() // the second one frees objects with cleanups
	return measureNow()
}

func measureNow() load {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return load{runtime.NumGoroutine(), float64(m.HeapAlloc) / 1e6}
}

// runCallers runs the callers in their own world while its faults change, and returns the maximum load.
func runCallers(r *record, length time.Duration, callers int) (peak load, err error) {
	w, err := newWorld(r)
	if err != nil {
		return peak, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			c := caller{world: w, rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
			for sleep(ctx, time.Duration(c.rand.Int64N(int64(thinking)))) {
				c.call(ctx)
			}
		})
	}
	wg.Go(func() {
		for sleep(ctx, time.Second) {
			w.changeFaults()
			now := measureNow()
			peak = load{max(peak.goroutines, now.goroutines), max(peak.heap, now.heap)}
		}
		w.clearFaults()
	})
	wg.Wait()
	w.close(length)
	return peak, nil
}

// sleep waits for d, and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
