package tokens

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// attemptTransport sends a request once by the caller's transport, finds out whether it was sent, and checks what came
// back.
type attemptTransport struct {
	base   http.RoundTripper
	origin origin
}

func (t *attemptTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	if one := c.settings.attempt; one != nil && one.beforeSend != nil {
		if err := one.beforeSend(); err != nil {
			closeBody(req)
			return nil, err
		}
	}
	if c.settings.sent != nil {
		*c.settings.sent = time.Now()
	}
	a := &attempt{unsafe: !c.policy.mayResend(req.Method)}
	sent := a.request(req)
	resp, err := checkedResponse(t.base, t.origin, req, sent)
	if resp != nil {
		c.settings.capture(resp)
		c.sent, c.notSent, c.outcome = true, false, Status(resp.StatusCode)
		return resp, nil
	}
	if context.Cause(sent.Context()) == errReplay { //nolint:errorlint // the very cause that the attempt sets
		err = errReplay
	}
	c.notSent = a.notSent(t.base, sent.Context(), err)
	c.noConnection = c.notSent && (a.looked.Load() || isDial(err))
	if !c.notSent {
		c.sent, c.lost, c.outcome = true, true, err
	}
	return nil, err
}

// errReplay is the error of an attempt that net/http was about to repeat by itself.
var errReplay = errors.New("the HTTP/2 stream was reset after the request was sent")

// An attempt watches one request on its way. net/http calls its hooks from goroutines of its own.
type attempt struct {
	trace     httptrace.ClientTrace
	unsafe    bool // the request must not reach the server twice
	cancel    context.CancelCauseFunc
	looked    atomic.Bool // for a connection
	connected atomic.Bool
	wrote     atomic.Bool // some of the request; known only of an unsafe one
}

// request returns what to send for req. net/http repeats requests by itself: on a connection that the server closed,
// where GetBody or an Idempotency-Key allows it, and over HTTP/2 after some resets. An unsafe request gives it no way to.
func (a *attempt) request(req *http.Request) *http.Request {
	ctx := req.Context()
	a.trace.GetConn = func(string) { a.looked.Store(true) }
	a.trace.GotConn = func(httptrace.GotConnInfo) { a.connected.Store(true) }
	if !a.unsafe {
		return req.WithContext(httptrace.WithClientTrace(ctx, &a.trace))
	}
	a.trace.WroteHeaderField = func(string, []string) { a.wrote.Store(true) }
	if hasBody(req) {
		sent := req.WithContext(httptrace.WithClientTrace(ctx, &a.trace))
		sent.GetBody = nil
		return sent
	}
	ctx, a.cancel = context.WithCancelCause(ctx)
	a.trace.GotConn = func(info httptrace.GotConnInfo) {
		if a.connected.Swap(true) && a.wrote.Load() && isHTTP2Conn(info.Conn) {
			a.cancel(errReplay)
		}
	}
	sent := req.WithContext(httptrace.WithClientTrace(ctx, &a.trace))
	sent.Header = hideIdempotencyKey(req.Header)
	return sent
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

func isHTTP2Conn(conn net.Conn) bool {
	c, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	return ok && c.ConnectionState().NegotiatedProtocol == "h2"
}

// hideIdempotencyKey spells the names by which net/http recognizes a request that it may repeat in a way that is the same
// to the server, but not to net/http.
func hideIdempotencyKey(h http.Header) http.Header {
	for name, hidden := range map[string]string{"Idempotency-Key": "idempotency-key", "X-Idempotency-Key": "x-idempotency-key"} {
		if values, ok := h[name]; ok {
			h = maps.Clone(h)
			delete(h, name)
			h[hidden] = values
		}
	}
	return h
}

// notSent reports whether a request that failed with err cannot have had its effect: no connection was had for it, none of it
// was written, or the server said that it would not act on it.
func (a *attempt) notSent(base http.RoundTripper, ctx context.Context, err error) bool {
	if _, ok := errors.AsType[*credentialsError](err); ok {
		return true // the client could not authenticate
	}
	if err != nil && isGoAway(err) {
		return true
	}
	if a.connected.Load() {
		// A request that is cancelled may yet be written.
		return a.unsafe && !a.wrote.Load() && ctx.Err() == nil
	}
	_, isNetHTTP := base.(*http.Transport)
	return a.looked.Load() || isNetHTTP || isDial(err) // else the base does not say: it may have been sent
}

// isGoAway reports whether err says that an HTTP/2 server went away and would not act on the request, whose stream lies past the
// last one that its GOAWAY names (RFC 9113, section 6.8). net/http says so in texts alone, and has others where the server may
// have acted.
func isGoAway(err error) bool {
	text := err.Error()
	return strings.Contains(text, "http2: Transport received Server's graceful shutdown GOAWAY") ||
		strings.Contains(text, "http2: Transport received GOAWAY from server")
}

// isDial reports whether err is that of a connection that could not be opened.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "dial" || op.Op == "proxyconnect")
}

// checkedResponse sends a request by a transport that is not ours and might not do what a RoundTripper should. req is the
// request that sent was made of, and becomes that of the response.
func checkedResponse(base http.RoundTripper, to origin, req, sent *http.Request) (*http.Response, error) {
	resp, err := base.RoundTrip(sent)
	if err != nil {
		if resp != nil && resp.Body != nil {
			_ = resp.Body.Close()
		}
		return nil, err
	}
	if resp == nil {
		return nil, fmt.Errorf("the transport %T returned neither a response nor an error", base)
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	if got := resp.Request; got == nil || got == sent || got.URL == nil {
		resp.Request = req
	} else if err := checkRequestOf(resp, to, sent); err != nil {
		_ = resp.Body.Close()
		return nil, err
	} else if got.GetBody == nil && req.GetBody != nil {
		// An Error looks there for the secrets that it must not show.
		withBody := *got
		withBody.GetBody = req.GetBody
		resp.Request = &withBody
	}
	if location := resp.Header.Get("Location"); location != "" {
		if _, err := req.URL.Parse(location); err != nil {
			resp.Header.Del("Location") // http.Client would fail, and quote it
		}
	}
	if resp.StatusCode == http.StatusSwitchingProtocols && req.Header.Get("Upgrade") == "" {
		_ = resp.Body.Close() // it is the connection, and reading it may never end
		resp.Body = http.NoBody
	}
	return resp, nil
}

// checkRequestOf refuses the response of a transport that followed a redirect by itself: the request may have gone
// elsewhere with its credentials, or be another one by now.
func checkRequestOf(resp *http.Response, to origin, sent *http.Request) error {
	got := resp.Request
	if !to.has(got.URL) {
		return fmt.Errorf("the transport of HTTPClient followed a redirect to %s by itself; use one that returns redirects", clean(originOf(got.URL).String()))
	}
	if got.Method != sent.Method && (got.Method != "" || sent.Method != http.MethodGet) && (sent.Method != "" || got.Method != http.MethodGet) {
		return fmt.Errorf("the transport of HTTPClient turned a %s into a %s; use one that returns redirects", sent.Method, clean(got.Method))
	}
	return nil
}

// discard closes a response that nobody needs, so that its connection can be used again if that costs nothing: only what
// comes of the body in a moment, and no later than within wait, is read.
func discard(resp *http.Response, wait time.Duration) {
	const (
		maxDrain  = 64 << 10
		maxMoment = 50 * time.Millisecond
	)
	defer func() { _ = resp.Body.Close() }()
	if resp.Body == http.NoBody || resp.ContentLength > maxDrain {
		return
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		defer func() { _ = recover() }() // of a body that is not net/http's; nobody could catch it here
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	}()
	timer := time.NewTimer(min(wait, maxMoment))
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C: // closing the body ends the read
	}
}
