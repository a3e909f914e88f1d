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

// server is the common part of the vendors. It finds the operation of a request, records the request, applies faults,
// and holds a lock while an operation runs, so that each operation is atomic.
type server struct {
	vendor vendorTraits
	strict bool
	paths  map[string]map[string]operation // by pattern, then method

	mu     sync.Mutex
	record record
	faults faults
	limit  limiter
	tokens ledger
}

// vendorTraits are the differences between vendors. All fields except name, failure and terms may be zero.
type vendorTraits struct {
	name string

	// failure returns an error response.
	failure func(c *call, status int, text string) response

	// terms returns the properties of a client's tokens. It returns false if there is no such client.
	terms func(clientID string) (terms, bool)

	// match finds the pattern of a path, and sets in the call what the path contains. If nil, the pattern is the path.
	match func(c *call, path string) (pattern string)

	// unauthorized is the response to a request without a live token, where text says what the token is; tooManyRequests
	// is the response above the limit. If nil, they are failures.
	unauthorized    func(c *call, text string) response
	tooManyRequests func(c *call) response

	// limitKey returns the key under which the requests of a client are counted. If nil, each client is counted alone.
	limitKey func(clientID string) string

	// limitHeaders sets headers that say what remains of a limit. If nil, there are none.
	limitHeaders func(h http.Header, limit, left int, reset time.Time)

	// requestIDHeader is the name of a header with a new id in each response. If newRequestID is nil, there is none.
	requestIDHeader string
	newRequestID    func() string
}

// init initializes s as the server of a vendor.
func (s *server) init(v vendorTraits, limit, documented Limit) {
	if v.match == nil {
		v.match = func(_ *call, path string) string { return path }
	}
	if v.unauthorized == nil {
		v.unauthorized = func(c *call, text string) response {
			return v.failure(c, http.StatusUnauthorized, "the access token is "+text)
		}
	}
	if v.tooManyRequests == nil {
		v.tooManyRequests = func(c *call) response { return v.failure(c, http.StatusTooManyRequests, "too many requests") }
	}
	if v.limitKey == nil {
		v.limitKey = func(clientID string) string { return clientID }
	}
	s.vendor, s.limit = v, newLimiter(limit, documented)
}

type operation struct {
	id  string
	run func(*call) response
}

// call is one request, with its body read.
type call struct {
	*http.Request
	body      []byte
	now       time.Time
	strict    bool
	requestID string
	header    http.Header // of every response that does not set its own

	clientID string // the {id} in the path, at SailPoint
	token    *token // the token that authenticates it
}

type response struct {
	status int
	header http.Header
	body   []byte
}

func jsonResponse(status int, v any) response { return encodedResponse(status, "application/json", v) }

func encodedResponse(status int, contentType string, v any) response {
	return response{status, http.Header{"Content-Type": {contentType}}, marshal(v)}
}

// marshal returns v as JSON. The generated models always marshal.
func marshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("sandbox: " + err.Error())
	}
	return text
}

// tokenResponse is a response that holds tokens (RFC 6749, section 5.1).
func tokenResponse(v any) response {
	return jsonResponse(http.StatusOK, v).with("Cache-Control", "no-store").with("Pragma", "no-cache")
}

func (r response) with(name, value string) response {
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set(name, value)
	return r
}

// ServeHTTP serves one request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	if err != nil && !tooLarge {
		panic(http.ErrAbortHandler) // the caller went away before its request was complete
	}

	c := s.newCall(r)
	c.body = body
	methods := s.paths[s.vendor.match(c, r.URL.EscapedPath())]
	op := methods[r.Method]
	s.respond(w, c, op.id, func() response {
		switch {
		case methods == nil:
			return s.vendor.failure(c, http.StatusNotFound, "no such path")
		case op.run == nil:
			allow := slices.Sorted(maps.Keys(methods))
			return s.vendor.failure(c, http.StatusMethodNotAllowed, "no such method here").with("Allow", strings.Join(allow, ", "))
		case tooLarge:
			return s.vendor.failure(c, http.StatusRequestEntityTooLarge, "the body is larger than 1 MiB")
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		c.now = time.Now() // there may have been a delay
		return op.run(c)
	})
}

func (s *server) newCall(r *http.Request) *call {
	c := &call{Request: r, now: time.Now(), strict: s.strict, header: http.Header{}}
	if s.vendor.newRequestID != nil {
		c.requestID = s.vendor.newRequestID()
		c.header.Set(s.vendor.requestIDHeader, c.requestID)
	}
	return c
}

// respond records a call, runs its operation with the next fault, and writes the response.
func (s *server) respond(w http.ResponseWriter, c *call, operationID string, run func() response) {
	s.mu.Lock()
	recorded := s.record.add(operationID, c)
	fault := s.faults.next(operationID)
	s.mu.Unlock()

	resp := fault.play(c.Context(), run)
	if resp.header == nil {
		resp.header = http.Header{}
	}
	for name, values := range c.header {
		if _, ok := resp.header[name]; !ok { // a protected handler may have set its own
			resp.header[name] = values
		}
	}
	fault.edit(&resp)
	s.mu.Lock()
	recorded.Status = resp.status
	s.mu.Unlock()
	resp.write(w, fault.Cut)
}

// write sends the response. If cut is positive, it ends the body after so many bytes and breaks the connection.
func (r response) write(w http.ResponseWriter, cut int) {
	maps.Copy(w.Header(), r.header)
	switch {
	case cut > 0:
		w.Header().Set("Content-Length", strconv.Itoa(max(len(r.body), cut+1)))
	case len(r.body) > 0:
		w.Header().Set("Content-Length", strconv.Itoa(len(r.body)))
	}
	w.WriteHeader(r.status)
	if cut <= 0 {
		_, _ = w.Write(r.body)
		return
	}
	_, _ = w.Write(r.body[:min(cut, len(r.body))])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// limited counts a request of a client, and returns the vendor's 429 if that exceeds the limit.
func (s *server) limited(c *call, clientID string) *response {
	ok, left, reset := s.limit.take(s.vendor.limitKey(clientID), c.now)
	if s.vendor.limitHeaders != nil && s.limit.Requests >= 0 {
		s.vendor.limitHeaders(c.header, s.limit.Requests, left, reset)
	}
	if ok {
		return nil
	}
	resp := s.vendor.tooManyRequests(c)
	switch {
	case s.limit.RetryAfter != nil:
		if value := s.limit.RetryAfter(reset.Sub(c.now)); value != "" {
			resp = resp.with("Retry-After", value)
		}
	case s.vendor.limitHeaders == nil:
		resp = resp.with("Retry-After", strconv.FormatInt(secondsUntil(reset, c.now), 10))
	}
	return &resp
}

// known reports whether the vendor has the operation.
func (s *server) known(operationID string) bool {
	if operationID == Protected {
		return true
	}
	for _, methods := range s.paths {
		for _, op := range methods {
			if op.id == operationID {
				return true
			}
		}
	}
	return false
}
