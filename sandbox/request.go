package sandbox

import (
	"bytes"
	"net/http"
	"time"
)

// Request is a request as it was received. It includes any secrets in the header, query and body.
type Request struct {
	Operation string // operation id of the vendor's description; "" if none has this method and path
	Method    string
	Path      string // escaped
	RawQuery  string
	Header    http.Header
	Body      []byte // at most 1 MiB
	Time      time.Time
	Status    int // of the response; 0 before it is sent, and if the connection was broken instead
}

// record keeps the requests, or only their number by operation.
type record struct {
	off      bool
	requests []*Request
	counts   map[string]int
}

// add records a call. The caller sets the status in the returned Request later.
func (r *record) add(operationID string, c *call) *Request {
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	r.counts[operationID]++
	if r.off {
		return new(Request)
	}
	added := &Request{
		Operation: operationID,
		Method:    c.Method,
		Path:      c.URL.EscapedPath(),
		RawQuery:  c.URL.RawQuery,
		Header:    c.Header.Clone(),
		Body:      bytes.Clone(c.body),
		Time:      c.now,
	}
	r.requests = append(r.requests, added)
	return added
}

// Requests returns the requests so far, in order of arrival. It is empty if the options say that requests are not kept.
func (s *server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := make([]Request, len(s.record.requests))
	for i, r := range s.record.requests {
		requests[i] = *r
	}
	return requests
}

// Count returns the number of requests of an operation so far, including those that a fault applied to.
func (s *server) Count(operationID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record.counts[operationID]
}
