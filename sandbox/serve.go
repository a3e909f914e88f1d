package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Server serves a handler over HTTP on the loopback interface.
type Server struct {
	URL string // base URL, without a slash at the end

	http *http.Server
	done chan struct{}
}

// Listen serves h on a free port of 127.0.0.1 until Close.
func Listen(h http.Handler) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL:  "http://" + l.Addr().String(),
		http: &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(l)
	}()
	return s, nil
}

// Close breaks every connection and stops listening.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return err
}

// Transport lets h answer requests in memory, for any scheme and host, without sockets and so also inside a
// testing/synctest bubble. Bodies stream. A handler that panics with [http.ErrAbortHandler] breaks the connection: the
// round trip, or the reading of the body, fails as it does over TCP.
func Transport(h http.Handler) http.RoundTripper { return memory{h} }

type memory struct{ handler http.Handler }

// errReset is what a caller sees of a connection that broke before it had an answer.
var errReset = &net.OpError{Op: "read", Net: "memory", Err: syscall.ECONNRESET}

// RoundTrip implements http.RoundTripper.
func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		if closeErr := r.Body.Close(); err != nil || closeErr != nil {
			return nil, errors.Join(err, closeErr)
		}
	}
	if r.Context().Err() != nil {
		return nil, context.Cause(r.Context())
	}

	// The handler's context ends with the caller's, but has none of its values, as over a network.
	ctx, cancel := context.WithCancel(context.Background())
	in := r.Clone(ctx)
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	in.RequestURI, in.RemoteAddr, in.GetBody = r.URL.RequestURI(), "memory", nil
	if in.Header == nil {
		in.Header = http.Header{}
	}
	if in.Host == "" {
		in.Host = r.URL.Host
	}

	read, write := io.Pipe()
	w := &memoryWriter{request: r, header: http.Header{}, body: write, started: make(chan *http.Response, 1)}
	w.reader = &memoryBody{PipeReader: read, cancel: cancel, leave: context.AfterFunc(r.Context(), func() {
		_ = write.CloseWithError(context.Cause(r.Context())) // first: the handler's end would look like the answer's
		cancel()
	})}
	go w.serve(m.handler, in)

	select {
	case response := <-w.started:
		if response == nil {
			_ = w.reader.Close()
			return nil, errReset
		}
		return response, nil
	case <-r.Context().Done():
		_ = w.reader.Close()
		return nil, context.Cause(r.Context())
	}
}

// memoryBody is an answer's body. To close it tells the handler that the caller left.
type memoryBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	leave  func() bool
}

func (b *memoryBody) Close() error {
	b.leave()
	b.cancel()
	return b.PipeReader.Close()
}

// memoryWriter hands the answer to the caller when its body begins or it ends, and the body as it is read.
type memoryWriter struct {
	request *http.Request
	header  http.Header
	status  int         // 0: not written yet
	sent    http.Header // as it was when the status was written
	body    *io.PipeWriter
	reader  *memoryBody
	started chan *http.Response // nil: the connection broke
	once    sync.Once
}

func (w *memoryWriter) serve(h http.Handler, r *http.Request) {
	finished := false
	defer func() {
		if p := recover(); p != nil && p != any(http.ErrAbortHandler) {
			panic(p)
		}
		if finished {
			w.start(nil)
			_ = w.body.Close()
			return
		}
		w.once.Do(func() { w.started <- nil })
		_ = w.body.CloseWithError(io.ErrUnexpectedEOF)
	}()
	h.ServeHTTP(w, r)
	finished = true
}

// Header implements http.ResponseWriter.
func (w *memoryWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *memoryWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

// Write implements http.ResponseWriter.
func (w *memoryWriter) Write(p []byte) (int, error) {
	w.start(p)
	if len(p) == 0 {
		return 0, nil // a pipe would wait for a reader
	}
	return w.body.Write(p)
}

// Flush implements http.Flusher; no part of a body is held back, but its header until one is written.
func (w *memoryWriter) Flush() { w.start(nil) }

// start hands over the answer, if it was not yet, of which p is the first of the body.
func (w *memoryWriter) start(p []byte) {
	w.WriteHeader(http.StatusOK)
	w.once.Do(func() {
		if _, ok := w.sent["Content-Type"]; !ok && len(p) > 0 {
			w.sent.Set("Content-Type", http.DetectContentType(p)) // as net/http does
		}
		maps.DeleteFunc(w.sent, func(_ string, values []string) bool { return len(values) == 0 })
		length := int64(-1)
		if n, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64); err == nil {
			length = n
		}
		w.started <- &http.Response{
			Status:        strconv.Itoa(w.status) + " " + http.StatusText(w.status),
			StatusCode:    w.status,
			Proto:         "HTTP/1.1",
			ProtoMajor:    1,
			ProtoMinor:    1,
			Header:        w.sent,
			Body:          w.reader,
			ContentLength: length,
			Request:       w.request,
		}
	})
}
