package tokens

import (
	"cmp"
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

// attemptTransport sends a request once with the caller's transport, finds out whether it was sent, and checks the
// response.
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
	c.requested = time.Now()
	a := &c.first
	if a.began {
		a = new(attempt) // net/http may still call the hooks of an earlier one
	}
	a.began, a.unsafe = true, !c.policy.mayResend(req.Method)
	sent := a.request(req)
	resp, err := checkedResponse(t.base, t.origin, req, sent)
	if resp != nil {
		c.settings.capture(resp)
		c.sent, c.outcome = true, Status(resp.StatusCode)
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

// errReplay is the error of an attempt that net/http was about to resend by itself.
var errReplay = errors.New("the HTTP/2 stream was reset after the request was sent")

// An attempt observes one request. net/http calls its hooks from other goroutines.
type attempt struct {
	began     bool
	trace     httptrace.ClientTrace
	unsafe    bool // the request must not reach the server twice
	cancel    context.CancelCauseFunc
	looked    atomic.Bool // net/http looked for a connection
	connected atomic.Bool
	wrote     atomic.Bool // part of the request was written; set only if unsafe
}

// request returns the request to send in place of req. net/http resends requests by itself: if the server closed the
// connection and the request has GetBody or an Idempotency-Key, and after some HTTP/2 errors. The returned request
// prevents that if it is unsafe.
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

// hideIdempotencyKey changes the case of the header names by which net/http recognizes a request that it may resend. To
// the server they are the same.
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

// notSent reports whether a request that failed with err cannot have had an effect: there was no connection for it,
// none of it was written, or the server said that it would not act on it.
func (a *attempt) notSent(base http.RoundTripper, ctx context.Context, err error) bool {
	if _, ok := errors.AsType[*credentialsError](err); ok {
		return true // the client could not authenticate
	}
	if isGoAway(err) {
		return true
	}
	if a.connected.Load() {
		// A canceled request may still be written.
		return a.unsafe && !a.wrote.Load() && ctx.Err() == nil
	}
	_, isNetHTTP := base.(*http.Transport)
	return a.looked.Load() || isNetHTTP || isDial(err) // other transports do not tell: it may have been sent
}

// isGoAway reports whether err says that an HTTP/2 server shut down and did not act on the request, because its stream
// is past the last one named by GOAWAY (RFC 9113, section 6.8). net/http says so only in the error text; it has other
// texts if the server may have acted.
func isGoAway(err error) bool {
	text := err.Error()
	return strings.Contains(text, "http2: Transport received Server's graceful shutdown GOAWAY") ||
		strings.Contains(text, "http2: Transport received GOAWAY from server")
}

// isDial reports whether err says that a connection could not be opened.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "dial" || op.Op == "proxyconnect")
}

// checkedResponse sends a request with a transport that may break the rules of a RoundTripper, and repairs or refuses
// the response. sent was made from req; req becomes the Request of the response.
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
		// Error looks there for secrets that it must not show.
		withBody := *got
		withBody.GetBody = req.GetBody
		resp.Request = &withBody
	}
	if location := resp.Header.Get("Location"); location != "" {
		if _, err := req.URL.Parse(location); err != nil {
			resp.Header.Del("Location") // http.Client would fail with an error that quotes it
		}
	}
	if resp.StatusCode == http.StatusSwitchingProtocols && req.Header.Get("Upgrade") == "" {
		_ = resp.Body.Close() // it is the connection; reading it may block forever
		resp.Body = http.NoBody
	}
	return resp, nil
}

// checkRequestOf refuses the response of a transport that followed a redirect: the request may have been sent elsewhere
// with its credentials, or with another method.
func checkRequestOf(resp *http.Response, to origin, sent *http.Request) error {
	got := resp.Request
	if !to.has(got.URL) {
		return fmt.Errorf("the transport of HTTPClient followed a redirect to %s by itself; use one that returns redirects", clean(originOf(got.URL).String()))
	}
	if was, is := cmp.Or(sent.Method, http.MethodGet), cmp.Or(got.Method, http.MethodGet); was != is {
		return fmt.Errorf("the transport of HTTPClient turned a %s into a %s; use one that returns redirects", was, clean(is))
	}
	return nil
}

// discard closes a response that nobody needs. It first reads what arrives of the body within 50 ms, and within wait,
// so that the connection can be reused.
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
		defer func() { _ = recover() }() // the body may be of any type, and nobody else can recover here
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	}()
	timer := time.NewTimer(min(wait, maxMoment))
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C: // closing the body ends the read
	}
}
