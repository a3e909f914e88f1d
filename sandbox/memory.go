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
)

// Transport returns a RoundTripper that passes requests to any scheme and host to h, in memory. It uses no sockets, so
// it works in a testing/synctest bubble. Bodies are streamed. If h panics with [http.ErrAbortHandler], the connection
// breaks: RoundTrip or reading the body fails, as over TCP.
func Transport(h http.Handler) http.RoundTripper { return memory{h} }

type memory struct{ handler http.Handler }

// errReset is the error of a connection that broke before there was a response.
var errReset = &net.OpError{Op: "read", Net: "memory", Err: connectionReset}

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

	// As over a network, the handler's context ends with the caller's, but does not have its values.
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

	stream := newMemoryStream()
	w := &memoryWriter{request: r, header: http.Header{}, body: stream, started: make(chan *http.Response, 1)}
	w.reader = &memoryBody{memoryStream: stream, cancel: cancel, leave: context.AfterFunc(r.Context(), func() {
		stream.abort(context.Cause(r.Context())) // must come first; otherwise the end of h would look like the end of the body
		cancel()
	})}
	go w.serve(m.handler, in)

	select {
	case resp := <-w.started:
		if resp == nil {
			_ = w.reader.Close()
			return nil, errReset
		}
		return resp, nil
	case <-r.Context().Done():
		_ = w.reader.Close()
		return nil, context.Cause(r.Context())
	}
}

// memoryBody is the body of a response. Closing it cancels the handler's context.
type memoryBody struct {
	*memoryStream
	cancel context.CancelFunc
	leave  func() bool
}

// Close implements io.Closer.
func (b *memoryBody) Close() error {
	b.leave()
	b.cancel()
	b.abort(io.ErrClosedPipe)
	return nil
}

// memoryWriter returns the response to the caller once its body begins or the handler returns, and then streams the body.
type memoryWriter struct {
	request *http.Request
	header  http.Header
	status  int         // 0 if not written yet
	sent    http.Header // a copy from when the status was written
	body    *memoryStream
	reader  *memoryBody
	started chan *http.Response // nil if the connection is broken
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
			w.body.end(io.EOF)
			return
		}
		w.once.Do(func() { w.started <- nil })
		w.body.end(io.ErrUnexpectedEOF)
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
	return w.body.write(p)
}

// Flush implements http.Flusher. It sends the header, which is otherwise delayed until the body begins.
func (w *memoryWriter) Flush() { w.start(nil) }

// start returns the response to the caller, unless that has been done. Its body begins with p.
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
