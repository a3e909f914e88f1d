package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Forever is the Times of a [Fault] that lasts until ClearFaults.
const Forever = -1

// Fault changes the response to one request of an operation. The zero Fault changes nothing, so it can stand for a good
// response among others.
//
// With Status or Drop, the operation does not run, unless After is set. Otherwise it runs, and the fields that are set
// replace those of its response.
type Fault struct {
	// Status is the status of the response. If zero, it is the vendor's.
	Status int

	// Header is set on the response, after everything else. A name without values removes the header, Content-Type
	// included.
	Header http.Header

	// ContentType is the media type of Body. If empty, it is application/json, or the vendor's if Body is empty too.
	ContentType string

	// Body is the body of the response. If empty, it is the vendor's if the operation runs.
	Body string

	// Delay passes before the operation runs or, with After, between the operation and its response. If the caller leaves
	// meanwhile, the delay ends and the operation does not run.
	Delay time.Duration

	// Drop breaks the connection in place of a response. Over real connections net/http itself repeats a GET that was
	// dropped on a connection which it had used before; over [Transport] it does not.
	Drop bool

	// After runs the operation first, so that the state changes and only the response is replaced or lost.
	After bool

	// Cut ends the body after so many bytes, although Content-Length promised more, and breaks the connection. If not
	// positive, nothing is cut.
	Cut int

	// Times is how many requests meet the fault. If zero, it is one; [Forever] is all that follow.
	Times int
}

// faults are the faults to come by operation, in order.
type faults map[string][]Fault

// Fault queues faults for an operation. It panics if the vendor has no such operation.
func (s *server) Fault(operationID string, f ...Fault) {
	if !s.known(operationID) {
		panic(fmt.Sprintf("sandbox: %s has no operation %q", s.vendor.name, operationID))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults == nil {
		s.faults = faults{}
	}
	s.faults[operationID] = append(s.faults[operationID], f...)
}

// ClearFaults removes all faults.
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

// play waits, runs the operation and drops the connection as the fault says. It returns the response, still to be edited.
func (f Fault) play(ctx context.Context, run func() response) (resp response) {
	runs := f.After || f.Status == 0 && !f.Drop
	if runs && f.After {
		resp = run()
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
	if runs && !f.After {
		resp = run()
	}
	return resp
}

// edit replaces the parts of the response that the fault has.
func (f Fault) edit(resp *response) {
	if f.Status != 0 {
		resp.status = f.Status
	}
	if f.Body != "" {
		resp.body = []byte(f.Body)
		resp.header.Set("Content-Type", "application/json")
	}
	if f.ContentType != "" {
		resp.header.Set("Content-Type", f.ContentType)
	}
	for name, values := range f.Header {
		resp.header[http.CanonicalHeaderKey(name)] = values
	}
}
