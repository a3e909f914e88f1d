package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const maxBody = 1 << 20

// server is what the vendors share: it finds the operation, keeps the record, plays the faults, and holds one lock
// while an operation acts, so that each is atomic.
type server struct {
	vendor string
	paths  map[string]map[string]operation // by pattern, then method

	// match finds the pattern of a path and notes in the call what the path says.
	match func(c *call, path string) (pattern string)

	// refuse answers what no operation answers, in the vendor's error shape.
	refuse func(c *call, status int, text string) answer

	requestIDHeader string // on every answer, unless ""
	newRequestID    func() string

	mu     sync.Mutex
	record record
	faults faults
	limit  limiter
}

type operation struct {
	id  string
	act func(*call) answer
}

// call is one request, read to its end.
type call struct {
	*http.Request
	body      []byte
	now       time.Time
	requestID string

	clientID string // SailPoint: the {id} in the path
	token    *token // the token that authenticates it
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func jsonAnswer(status int, v any) answer { return bodyAnswer(status, "application/json", v) }

func bodyAnswer(status int, contentType string, v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		panic("sandbox: " + err.Error()) // our own models always marshal
	}
	return answer{status, http.Header{"Content-Type": {contentType}}, body}
}

func (a answer) with(name, value string) answer {
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(name, value)
	return a
}

// withRetryAfter sets Retry-After unless it is "".
func (a answer) withRetryAfter(value string) answer {
	if value == "" {
		return a
	}
	return a.with("Retry-After", value)
}

// ServeHTTP answers one request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	if err != nil && !tooLarge {
		panic(http.ErrAbortHandler) // the caller left in the middle of its request
	}

	c := &call{Request: r, body: body, now: time.Now()}
	if s.newRequestID != nil {
		c.requestID = s.newRequestID()
	}
	methods := s.paths[s.match(c, r.URL.EscapedPath())]
	op := methods[r.Method]

	s.mu.Lock()
	s.record.add(op.id, c)
	fault := s.faults.next(op.id)
	s.mu.Unlock()

	act := func() answer {
		switch {
		case methods == nil:
			return s.refuse(c, http.StatusNotFound, "no such path")
		case op.act == nil:
			allow := slices.Sorted(maps.Keys(methods))
			return s.refuse(c, http.StatusMethodNotAllowed, "no such method here").with("Allow", strings.Join(allow, ", "))
		case tooLarge:
			return s.refuse(c, http.StatusRequestEntityTooLarge, "the body is larger than 1 MiB")
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		c.now = time.Now() // a delay may have passed
		return op.act(c)
	}
	a := fault.play(r.Context(), act)
	if s.requestIDHeader != "" && a.header.Get(s.requestIDHeader) == "" {
		a = a.with(s.requestIDHeader, c.requestID)
	}
	fault.edit(&a)
	a.write(w, fault.Cut)
}

// write sends the answer; a positive cut ends the body after so many bytes and breaks the connection.
func (a answer) write(w http.ResponseWriter, cut int) {
	maps.Copy(w.Header(), a.header)
	switch {
	case cut > 0:
		w.Header().Set("Content-Length", strconv.Itoa(max(len(a.body), cut+1)))
	case len(a.body) > 0:
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if cut <= 0 {
		_, _ = w.Write(a.body)
		return
	}
	_, _ = w.Write(a.body[:min(cut, len(a.body))])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// known reports whether the vendor has the operation.
func (s *server) known(operationID string) bool {
	for _, methods := range s.paths {
		for _, op := range methods {
			if op.id == operationID {
				return true
			}
		}
	}
	return false
}
