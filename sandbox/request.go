package sandbox

import (
	"bytes"
	"net/http"
	"time"
)

// Request is a request as it was received. Its header, query and body hold the secrets that were sent.
type Request struct {
	Operation string // operation id of the vendor's description; "" if none has this method and path
	Method    string
	Path      string // escaped
	RawQuery  string
	Header    http.Header
	Body      []byte // at most 1 MiB
	Time      time.Time
	Status    int // of the response; 0 while there is none, and if the connection was broken in its place
}

// record is what was received: every request, or only how many of each operation.
type record struct {
	off      bool
	requests []*Request
	counts   map[string]int
}

// add records a call. Its response is still to be noted in what add returns.
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

// Requests returns the requests so far, in order of arrival; none if the options say that they are not kept.
func (s *server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := make([]Request, len(s.record.requests))
	for i, r := range s.record.requests {
		requests[i] = *r
	}
	return requests
}

// Count returns how many requests of an operation have arrived, those that met a fault included.
func (s *server) Count(operationID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record.counts[operationID]
}
