package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Forever is the value of Times for a [Fault] that lasts until ClearFaults.
const Forever = -1

// Fault changes the response to a request of an operation. The zero Fault changes nothing; it stands for a good
// response in a list of faults.
//
// If Status or Drop is set, the operation does not run, unless After is set too. Otherwise it runs, and the other
// fields replace parts of its response.
type Fault struct {
	// Status is the status of the response. If zero, it is that of the operation.
	Status int

	// Header is set on the response after everything else. A name without values removes the header; this includes
	// Content-Type.
	Header http.Header

	// ContentType is the media type of Body. If empty, it is application/json, or that of the operation if Body is empty
	// too.
	ContentType string

	// Body is the body of the response. If empty, it is that of the operation if the operation runs.
	Body string

	// Delay is a pause before the operation or, with After, between the operation and its response. If the caller goes
	// away meanwhile, the delay ends and the operation does not run.
	Delay time.Duration

	// Drop breaks the connection instead of sending a response. Over a real connection that has been used before, net/http
	// itself retries a dropped GET; over [Transport] it does not.
	Drop bool

	// After, if true, runs the operation first, so that the state changes and only the response is replaced or lost.
	After bool

	// Cut, if positive, ends the body after so many bytes, although Content-Length says more, and breaks the connection.
	Cut int

	// Times is the number of requests that the fault applies to. If zero, it is one; [Forever] means all further requests.
	Times int
}

// faults are the queued faults of each operation.
type faults map[string][]Fault

// Fault queues faults for an operation; each is used up by Times requests. It panics if the vendor has no such
// operation.
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

// play applies the fault's delay, runs the operation and drops the connection as required. It returns the response,
// which edit then changes.
func (f Fault) play(ctx context.Context, run func() response) (resp response) {
	if f.After {
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
	if !f.After && f.Status == 0 {
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
