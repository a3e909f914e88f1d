package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/grantwright/oauth-go/tokens"
)

// A record has the results of the calls.
type record struct {
	mu       sync.Mutex
	calls    map[string]*tally // by kind of call
	lines    []string
	mistakes []error
}

// A tally counts the calls of one kind.
type tally struct{ made, failed, ended int }

// end records the result of a call, and reports whether it succeeded.
func (r *record) end(what string, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.calls[what]
	if t == nil {
		t = &tally{}
		r.calls[what] = t
	}
	t.made++
	_, documented := errors.AsType[*tokens.Error](err)
	switch {
	case err == nil:
		return true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		t.ended++
	case documented, errors.Is(err, tokens.ErrNoToken), errors.Is(err, errors.ErrUnsupported):
		t.failed++
	default:
		t.failed++
		r.mistakef("%s: an error of no documented kind: %w", what, err)
	}
	return false
}

func (r *record) wrongf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mistakef(format, args...)
}

func (r *record) mistakef(format string, args ...any) {
	const enough = 20
	if len(r.mistakes) < enough {
		r.mistakes = append(r.mistakes, fmt.Errorf(format, args...))
	}
}

func (r *record) notef(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// total returns the number of calls.
func (r *record) total() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.calls {
		n += t.made
	}
	return n
}

func (r *record) print(out io.Writer) {
	for _, line := range r.lines {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintf(out, "%-26s %9s %9s %9s\n", "calls", "made", "failed", "left")
	for _, what := range slices.Sorted(maps.Keys(r.calls)) {
		t := r.calls[what]
		fmt.Fprintf(out, "%-26s %9d %9d %9d\n", what, t.made, t.failed, t.ended)
	}
	fmt.Fprintf(out, "%d mistakes\n", len(r.mistakes))
}
