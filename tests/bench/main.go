// Command bench measures the hot paths of this module and of its peers, all in one run, and compares each figure with
// its target.
//
//	go run . [-short] [group ...]
//
// The groups are cache, transport, exchange, herd, refusal, deadline, load, minute, stores, patch and clients; without
// arguments, all run, which takes about four minutes. Absolute times depend on the machine and its load. Ratios are
// computed within rounds in which every contender had a turn, so that drift cancels out.
//
// Calls at a rate limit take minutes, so that benchmark is a test, which has simulated time:
//
//	go test -run TestRateLimits -v .
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// A group measures figures in a common setting.
type group struct {
	name    string
	measure func(effort) []figure
}

var groups = []group{
	{"cache", measureCache},
	{"transport", measureTransport},
	{"exchange", measureExchange},
	{"herd", measureHerd},
	{"refusal", measureRefusal},
	{"deadline", measureDeadline},
	{"load", measureLoad},
	{"minute", measureMinute},
	{"stores", measureStores},
	{"patch", measurePatch},
	{"clients", measureClients},
}

// effort says how thoroughly to measure.
type effort struct {
	rounds    int           // number of turns of each contender in a benchmark
	turn      time.Duration // approximate duration of each
	scenarios int           // repetitions of a scenario
	load      time.Duration
	minute    time.Duration
}

var (
	thorough = effort{rounds: 15, turn: 40 * time.Millisecond, scenarios: 3, load: 5 * time.Second, minute: time.Minute}
	quick    = effort{rounds: 3, turn: 10 * time.Millisecond, scenarios: 1, load: 2 * time.Second, minute: 40 * time.Second}
)

func main() {
	log.SetFlags(0)
	short := flag.Bool("short", false, "measure less: the figures are rough")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: go run . [-short] [group ...]\ngroups: %s\n", strings.Join(groupNames(), " "))
		flag.PrintDefaults()
	}
	flag.Parse()
	for _, name := range flag.Args() {
		if !slices.Contains(groupNames(), name) {
			log.Fatalf("there is no group %q; the groups are %s", name, strings.Join(groupNames(), " "))
		}
	}
	testing.Init() // after Parse, so that the flags of package testing are not available
	e := thorough
	if *short {
		e = quick
	}

	var measured []measurement
	for _, g := range groups {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), g.name) {
			continue
		}
		start := time.Now()
		fmt.Fprintf(os.Stderr, "%-10s", g.name)
		measured = append(measured, measurement{g.name, g.measure(e)})
		fmt.Fprintf(os.Stderr, "%5.0f s\n", time.Since(start).Seconds())
	}
	report(os.Stdout, measured)
}

func groupNames() []string {
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	return names
}
