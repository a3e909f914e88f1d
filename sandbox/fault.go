package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Forever lets a [Fault] answer every request until [Moov.ClearFaults] and its like.
const Forever = -1

// Fault scripts the answer to one request of an operation. The zero Fault changes nothing, so that it can stand for a
// good answer in a row of them.
//
// With a Status, and with Drop, the request is recorded but not acted on, unless After is set. Without either it is
// acted on, and what is set here replaces that part of the answer.
type Fault struct {
	// Status is the status of the answer; 0 is that of the vendor.
	Status int

	// Header is set on the answer, last of all. A name without values takes the header away; for Content-Type that
	// means an answer without one.
	Header http.Header

	// ContentType is the media type of Body. "" is application/json, or the vendor's own where Body is "" too.
	ContentType string

	// Body is the body of the answer; "" keeps the vendor's where the request was acted on.
	Body string

	// Delay passes before the request is acted on or, with After, before it is answered. It ends early, and the
	// connection is broken, when the caller leaves.
	Delay time.Duration

	// Drop breaks the connection in place of an answer. Over real connections net/http itself repeats a GET that was
	// dropped on a connection it had used before; [Transport] does not.
	Drop bool

	// After lets the request be acted on first: the state changes, and its answer is replaced or lost.
	After bool

	// Cut ends the body after so many bytes, with a Content-Length that promised more, and breaks the connection.
	// Not positive cuts nothing.
	Cut int

	// Times is how many requests the fault answers; 0 is one, and [Forever] all that follow.
	Times int
}

// faults are the scripted answers by operation, in order.
type faults map[string][]Fault

// Fault queues scripted answers for an operation, each for one request unless it says otherwise. It panics if the
// vendor has no such operation.
func (s *server) Fault(operationID string, f ...Fault) {
	if !s.known(operationID) {
		panic(fmt.Sprintf("sandbox: %s has no operation %q", s.vendor, operationID))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults == nil {
		s.faults = faults{}
	}
	s.faults[operationID] = append(s.faults[operationID], f...)
}

// ClearFaults forgets every scripted answer that was not given yet.
func (s *server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

func (q faults) next(operationID string) Fault {
	queue := q[operationID]
	if len(queue) == 0 {
		return Fault{}
	}
	f := queue[0]
	switch {
	case f.Times < 0:
	case f.Times > 1:
		queue[0].Times--
	default:
		q[operationID] = queue[1:]
	}
	return f
}

// play waits, acts and drops as the fault says, and returns the answer that is left to be edited.
func (f Fault) play(ctx context.Context, act func() answer) (a answer) {
	acts := f.After || f.Status == 0 && !f.Drop
	if acts && f.After {
		a = act()
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		}
	}
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	if acts && !f.After {
		a = act()
	}
	return a
}

func (f Fault) edit(a *answer) {
	if f.Status != 0 {
		a.status = f.Status
	}
	if f.Body != "" {
		a.body = []byte(f.Body)
		*a = a.with("Content-Type", "application/json")
	}
	if f.ContentType != "" {
		*a = a.with("Content-Type", f.ContentType)
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	for name, values := range f.Header {
		a.header[http.CanonicalHeaderKey(name)] = values
	}
}
