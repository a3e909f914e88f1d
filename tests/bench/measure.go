package main

import (
	"flag"
	"fmt"
	"log"
	"runtime"
	"testing"
)

// ours is the contender that the targets are for.
const ours = "ours"

// A contender performs the measured operation once per call.
type contender struct {
	name string
	do   func() error
}

// costs are the costs of an operation for each contender.
type costs struct{ time, allocs values }

// times returns the row of the duration of an operation.
func (c costs) times(name string, t target) figure {
	return figure{name, duration, c.time, t}
}

// allocations returns the row of its allocations.
func (c costs) allocations(t target) figure {
	return figure{"  allocations", count, c.allocs, t}
}

// compare benchmarks the contenders in turn, round after round. If cores is positive, that many goroutines run the
// operation at once, on as many cores; if it is 0, one goroutine does, and the other cores are left to the server.
func compare(e effort, cores int, contenders ...contender) costs {
	if err := flag.Set("test.benchtime", e.turn.String()); err != nil {
		log.Fatal(err)
	}
	if cores > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	}
	c := costs{time: values{}, allocs: values{}}
	for round := range e.rounds {
		for i := range contenders {
			// The order alternates, so that a contender does not always follow the same one.
			if round%2 == 1 {
				i = len(contenders) - 1 - i
			}
			who := contenders[i]
			result := benchmark(who, cores)
			c.time.add(who.name, float64(result.T.Nanoseconds())/float64(result.N))
			c.allocs.add(who.name, float64(result.AllocsPerOp()))
		}
	}
	return c
}

func benchmark(who contender, cores int) testing.BenchmarkResult {
	var failure error
	result := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		if cores > 1 {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := who.do(); err != nil {
						panic(fmt.Sprintf("%s: %v", who.name, err))
					}
				}
			})
			return
		}
		for b.Loop() {
			if failure = who.do(); failure != nil {
				b.FailNow()
			}
		}
	})
	if failure != nil {
		log.Fatalf("%s: %v", who.name, failure)
	}
	return result
}
