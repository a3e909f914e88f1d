package faults

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A stage is how far a call has got when its context ends.
type stage struct {
	name string
	// reach makes the call stop at the stage, and then calls reached.
	reach  func(c *caller, reached func()) (respond func(x *exchange))
	unsent bool // the server receives nothing
	status int  // of the partly received response
}

// A blocking connection blocks writes until it is closed.
type blocking struct {
	net.Conn

	reached func()
	closed  chan struct{}
	once    sync.Once
}

func (b *blocking) Write([]byte) (int, error) {
	b.reached()
	<-b.closed
	return 0, net.ErrClosed
}

func (b *blocking) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Conn.Close()
}

// A watched connection calls reached when more is read after the header of a response.
type watched struct {
	net.Conn

	reached func()
	read    []byte
}

func (w *watched) Read(p []byte) (int, error) {
	if bytes.Contains(w.read, []byte("\r\n\r\n")) {
		w.reached()
	}
	n, err := w.Conn.Read(p)
	w.read = append(w.read, p[:n]...)
	return n, err
}

var stages = []stage{
	{name: "before", unsent: true, reach: func(_ *caller, reached func()) func(*exchange) {
		reached()
		return nil
	}},
	{name: "while it dials", unsent: true, reach: func(c *caller, reached func()) func(*exchange) {
		c.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			reached()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil
	}},
	{name: "while it dials, with a dialer that ignores the context", unsent: true, reach: func(c *caller, reached func()) func(*exchange) {
		c.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			reached()
			<-ctx.Done()
			return new(net.Dialer).DialContext(context.WithoutCancel(ctx), network, address)
		}
		return nil
	}},
	{name: "while it sends", reach: func(c *caller, reached func()) func(*exchange) {
		c.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return &blocking{Conn: conn, reached: reached, closed: make(chan struct{})}, err
		}
		return nil
	}},
	{name: "while it waits", reach: func(_ *caller, reached func()) func(*exchange) {
		return func(x *exchange) {
			reached()
			_, _ = io.Copy(io.Discard, x)
		}
	}},
	{name: "while it receives the header", reach: func(_ *caller, reached func()) func(*exchange) {
		return func(x *exchange) {
			x.send("HTTP/1.1 200 OK\r\nContent-Len")
			reached()
			_, _ = io.Copy(io.Discard, x)
		}
	}},
	{name: "while it reads the body", status: http.StatusOK, reach: func(c *caller, reached func()) func(*exchange) {
		c.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return &watched{Conn: conn, reached: reached}, err
		}
		return func(x *exchange) {
			x.send(inHead("Content-Length: 1000\r\n") + x.good[:len(x.good)/3])
			_, _ = io.Copy(io.Discard, x)
		}
	}},
	{name: "while it waits before a retry", status: http.StatusServiceUnavailable, reach: func(c *caller, reached func()) func(*exchange) {
		c.log.onLine = func(line string) {
			if strings.Contains(line, "retrying a request") {
				reached()
			}
		}
		return status(http.StatusServiceUnavailable, "Retry-After: 20\r\n", "")
	}},
}

// A call ends with its context at every stage, and returns the context's error.
func TestContexts(t *testing.T) {
	t.Parallel()
	for _, stage := range stages {
		for _, op := range operations {
			for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
				t.Run(stage.name+"/"+op.name+"/"+end.Error(), func(t *testing.T) {
					t.Parallel()
					stage.run(t, op, end)
				})
			}
		}
	}
}

// An ended context is a context that the test ends.
type ending struct {
	context.Context

	done chan struct{}
	mu   sync.Mutex
	err  error
}

func (e *ending) Done() <-chan struct{} { return e.done }

func (e *ending) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (e *ending) end(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
		close(e.done)
	}
}

func (f stage) run(t *testing.T, op operation, end error) {
	t.Helper()
	ctx := &ending{Context: t.Context(), done: make(chan struct{})}
	var respond func(*exchange)
	s := serve(t, nil, requestsBy(op.good, func(x *exchange) bool {
		respond(x)
		return false
	}))
	c := newCaller(t, s.url, 0, 0)
	var ended time.Time
	respond = f.reach(c, func() {
		if ctx.Err() == nil {
			ended = time.Now()
			ctx.end(end)
		}
	})
	_, err := op.do(ctx, c)
	_, requests := s.counts()

	if f.status == http.StatusOK && op.reads == readsNone {
		require.NoError(t, err, "the response has arrived")
		return
	}
	if f.status == http.StatusServiceUnavailable && (op.class == creating || op.reads == readsRaw && err == nil) {
		return // it is not retried
	}
	require.ErrorIs(t, err, end)
	assert.Less(t, time.Since(ended), 2*time.Second, "the call ends at once")
	other := map[error]error{context.Canceled: context.DeadlineExceeded, context.DeadlineExceeded: context.Canceled}[end]
	require.NotErrorIs(t, err, other)
	e, ok := errors.AsType[*tokens.Error](err)
	require.True(t, ok, "%T %v", err, err)
	assert.Equal(t, end == context.DeadlineExceeded, e.Timeout())
	if f.status == http.StatusOK {
		assert.Equal(t, f.status, e.StatusCode)
	} else {
		assert.Zero(t, e.StatusCode)
	}
	assert.NotErrorIs(t, err, tokens.ErrNoToken)
	if f.unsent {
		assert.Zero(t, requests)
		assert.NotContains(t, err.Error(), "may have acted")
		assert.NotContains(t, err.Error(), "may exist")
		assert.NotContains(t, err.Error(), "may have been applied")
	} else {
		assert.LessOrEqual(t, requests, 1)
		if op.method != http.MethodGet && f.status == 0 {
			assert.Contains(t, err.Error(), "may have acted")
		}
	}
	c.assertSilent(t, err)
	assert.NotContains(t, err.Error(), "\n")
}
