package main

import (
	"log"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// peakHeaps measures how much the heap grows with each contender.
func peakHeaps(e effort, contenders []contender) values {
	peaks := values{}
	for range e.scenarios {
		for _, c := range contenders {
			peak, err := peakHeap(c.do)
			if err != nil {
				log.Fatalf("%s: %v", c.name, err)
			}
			peaks.add(c.name, peak)
		}
	}
	return peaks
}

// peakHeap samples the heap while do runs. The collector runs often meanwhile, so that the result is memory in use, and
// not garbage that depends on other contenders.
func peakHeap(do func() error) (float64, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	runtime.GC()
	before := heapObjects()
	peak := before
	stop := make(chan struct{})
	var sampler sync.WaitGroup
	sampler.Go(func() {
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for {
			peak = max(peak, heapObjects())
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	err := do()
	close(stop)
	sampler.Wait()
	return float64(peak - before), err
}

// heapObjects returns the size of all objects on the heap, including garbage that has not been swept.
func heapObjects() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
