package sandbox

import (
	"bytes"
	"net/http"
	"slices"
	"time"
)

// Request is a request as it was received. Its header, query and body hold the secrets that were sent.
type Request struct {
	Operation string // operation id of the vendor's description; "" where none has this method and path
	Method    string
	Path      string // escaped
	RawQuery  string
	Header    http.Header
	Body      []byte // at most 1 MiB
	Time      time.Time
}

// record is what was received: everything, or only how many of each operation.
type record struct {
	off      bool
	requests []Request
	counts   map[string]int
}

func (r *record) add(operationID string, c *call) {
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	r.counts[operationID]++
	if r.off {
		return
	}
	r.requests = append(r.requests, Request{
		Operation: operationID,
		Method:    c.Method,
		Path:      c.URL.EscapedPath(),
		RawQuery:  c.URL.RawQuery,
		Header:    c.Header.Clone(),
		Body:      bytes.Clone(c.body),
		Time:      c.now,
	})
}

// Requests returns every request so far, in order of arrival; none if the options say that none is kept.
func (s *server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.record.requests)
}

// Count returns how many requests of an operation have arrived, those that a fault answered included.
func (s *server) Count(operationID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record.counts[operationID]
}
