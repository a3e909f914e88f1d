package tokens

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"
)

const (
	defaultTimeout = 30 * time.Second
	defaultMaxBody = 64 << 20
)

const accept = "application/json, application/problem+json"

// acceptJSON is the Accept header of all requests that want JSON. It must not be modified.
var acceptJSON = []string{accept}

// A Doer sends the requests of a generated client; pass it to the client's WithHTTPClient option. It sets Accept if the
// request has none, adds a token of its Source, retries what can be retried safely (see [Retry]), follows redirects
// only for GET and HEAD and only within the origin, limits time and size, and turns every response outside 2xx into an
// [*Error]. A Doer is safe for concurrent use.
//
// The zero Doer returns an error; make one with [NewDoer].
type Doer struct {
	sender *sender
}

// DoerOptions are the settings of [NewDoer] and [NewClient].
type DoerOptions struct {
	// BaseURL is the base URL of the API. It is required for a Source that has none. If both have one, they must have the
	// same origin.
	BaseURL string
	// HTTPClient sends the requests. It is copied. Its Transport is used beneath retries and tokens, its CheckRedirect is
	// called after the Doer's own, its Jar is used, and its Timeout is the default of Timeout. If nil,
	// http.DefaultTransport is used.
	//
	// Its Transport must send each request once, to the URL of the request. Responses of a transport that follows
	// redirects are refused. A transport that retries by itself would send refresh tokens twice.
	HTTPClient *http.Client
	// Header is added to each request, except for names that the request already has. A User-Agent replaces that of the
	// SDK.
	Header http.Header
	// Retry is the retry policy of calls whose context has none from [WithRetry].
	Retry Retry
	// Timeout limits a call, including its retries and reading its body. If zero, it is HTTPClient.Timeout or, if that is
	// zero too, 30 s.
	Timeout time.Duration
	// IdleTimeout, if not zero, is for responses that are read as a stream: after the headers of a 2xx response, it limits
	// each read of the body, in place of Timeout.
	IdleTimeout time.Duration
	// MaxBody is the maximum size of a response body in bytes. If zero, it is 64 MiB. If negative, there is no limit.
	MaxBody int64
	// Limiter delays requests while a rate limit is in force. If nil, it is that of the Source, if the Source has a
	// Limiter() *Limiter method, as a Cache does, and it does not return nil. Otherwise the Doer makes its own. A Cache's
	// Limiter is nil if the API and the token endpoint have different origins.
	Limiter *Limiter
	// Logger receives a line for each request that is repeated, and when the Limiter closes and opens. If nil, nothing is
	// logged.
	Logger *slog.Logger
}

// Format prints only the origin, because headers and the client may hold secrets.
func (o DoerOptions) Format(f fmt.State, _ rune) {
	base := ""
	if u, err := parseBaseURL(o.BaseURL); err == nil {
		base = originOf(u).String()
	}
	fmt.Fprintf(f, "tokens.DoerOptions(%s)", base)
}

// MarshalText returns what Format prints, for logs in JSON.
func (o DoerOptions) MarshalText() ([]byte, error) { return fmt.Append(nil, o), nil }

// timeout returns Timeout or, if that is zero, its default.
func (o *DoerOptions) timeout() time.Duration {
	switch {
	case o.Timeout != 0:
		return o.Timeout
	case o.HTTPClient != nil && o.HTTPClient.Timeout > 0:
		return o.HTTPClient.Timeout
	}
	return defaultTimeout
}

// NewDoer returns a Doer that sends src's tokens to one origin (scheme, host and port) and to no other. It is the
// origin of src, if src has a BaseURL() string method, as a Cache does, or else of opts.BaseURL. If src is nil, no
// token is sent. If opts is nil, the defaults are used. NewDoer fails if there is no base URL, if src and opts have
// different ones, or if it is neither https nor loopback.
//
// Of src, and of the Sources that it wraps (see [As]), NewDoer uses the methods of [Source] and [Invalidator],
// BaseURL() string and Limiter() *Limiter.
func NewDoer(src Source, opts *DoerOptions) (Doer, error) {
	s, err := newSender(src, opts)
	if err != nil {
		return Doer{}, fmt.Errorf("tokens: %w", err)
	}
	return Doer{s}, nil
}

// Format prints the origin, but neither headers nor the Source.
func (d Doer) Format(f fmt.State, _ rune) {
	if d.sender == nil {
		fmt.Fprint(f, "tokens.Doer(zero)")
		return
	}
	fmt.Fprintf(f, "tokens.Doer(%s)", d.sender.origin)
}

// MarshalText returns what Format prints, for logs in JSON.
func (d Doer) MarshalText() ([]byte, error) { return fmt.Append(nil, d), nil }

// Do sends req. It returns an [*Error] if there is no response, if the status is outside 2xx, or if the Doer set Accept
// and the media type of the response is not JSON; the response body is then closed. Otherwise the caller must close the
// body. Reading past MaxBody or the timeouts fails with an [*Error].
//
// After a 401, the Doer asks the Source for another token. If the Source has none, the error matches Status(401) and
// whatever the Source's error matches, such as [ErrLoginRequired], but not [ErrNoToken], because the request was sent.
//
// Do refuses a request to any other origin.
func (d Doer) Do(req *http.Request) (*http.Response, error) {
	if d.sender == nil {
		closeBody(req)
		return nil, errors.New("tokens: the zero Doer cannot send; make one with NewDoer")
	}
	wantsJSON := req.Header.Get("Accept") == ""
	resp, err := d.sender.send(req, wantsJSON)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		_ = resp.Body.Close() // it is the connection; reading it may block forever
		return nil, NewError(resp, nil, errors.New("a Doer cannot switch protocols; use NewClient"))
	}
	if resp.StatusCode/100 != 2 {
		return nil, readError(resp, nil)
	}
	contentType := resp.Header.Get("Content-Type")
	if wantsJSON && contentType != "" && resp.ContentLength != 0 && !isJSON(contentType) {
		return nil, readError(resp, fmt.Errorf("the response is %s where JSON was asked for", clean(contentType)))
	}
	return resp, nil
}

// A sender is the common part of Doers and the clients of NewClient.
type sender struct {
	client  http.Client
	caller  http.RoundTripper // beneath the other layers; if nil, http.DefaultTransport
	origin  origin
	header  *http.Header // added to requests, which share its values; a pointer for the same reason as cacheSecrets
	retry   Retry
	timeout time.Duration
	idle    time.Duration // if zero, timeout bounds the body too
	maxBody int64
	limiter *Limiter
	lane    lane // at the limiter
	logger  *slog.Logger

	ownsRequests bool // the sender may modify the headers of the requests
}

func newSender(src Source, opts *DoerOptions) (*sender, error) {
	var o DoerOptions
	if opts != nil {
		o = *opts
	}
	if src != nil && isNil(src) {
		return nil, fmt.Errorf("the Source is a nil %T", src)
	}
	base, err := baseOriginOf(src, o.BaseURL)
	if err != nil {
		return nil, err
	}
	if o.Timeout < 0 {
		return nil, errors.New("Timeout is negative")
	}
	if o.IdleTimeout < 0 {
		return nil, errors.New("IdleTimeout is negative")
	}
	if err := o.Retry.check(); err != nil {
		return nil, err
	}
	if err := checkHeader(o.Header); err != nil {
		return nil, err
	}
	if err := o.Limiter.check(); err != nil {
		return nil, err
	}
	header := http.Header{"User-Agent": {userAgent()}}
	for name, values := range o.Header {
		header[http.CanonicalHeaderKey(name)] = slices.Clip(slices.Clone(values))
	}
	s := &sender{
		origin: base, retry: o.Retry, timeout: o.timeout(), idle: o.IdleTimeout, maxBody: o.MaxBody, logger: ownerOf(src).logger(o.Logger),
		limiter: cmp.Or(o.Limiter, limiterOf(src), new(Limiter)), lane: apiLane,
		header: &header,
	}
	s.retry.Statuses = slices.Clone(o.Retry.Statuses)
	if o.HTTPClient != nil {
		s.client = *o.HTTPClient
	}
	if s.maxBody == 0 {
		s.maxBody = defaultMaxBody
	}
	s.client.Timeout = 0
	s.client.CheckRedirect = checkRedirect(s.client.CheckRedirect)
	s.caller = s.client.Transport
	s.client.Transport = layers(src, base, s.caller)
	return s, nil
}

// layers returns the transports beneath the http.Client. Innermost is the caller's transport, then come the check of
// each attempt, the token, and the retries. A request that is retried after a wait thus gets a token that is valid at
// that time.
func layers(src Source, base origin, caller http.RoundTripper) http.RoundTripper {
	if caller == nil {
		caller = http.DefaultTransport
	}
	var layer http.RoundTripper = &attemptTransport{caller, base}
	if src != nil {
		layer = &Transport{src: src, origin: base, base: layer}
	}
	return &retryTransport{layer}
}

// send sends a request with the headers of the sender and, if wantsJSON, with Accept. It returns responses of any
// status.
func (s *sender) send(req *http.Request, wantsJSON bool) (*http.Response, error) {
	if err := s.origin.check(req); err != nil {
		closeBody(req)
		e := failure(req, err)
		e.unsent = true
		return nil, e
	}
	ctx, c := s.startCall(req.Context())
	returned := false
	defer func() {
		if !returned {
			c.end()
		}
	}()

	req = s.withHeader(req.WithContext(ctx), wantsJSON)
	resp, err := s.client.Do(req)
	if err != nil {
		failed := c.failed(ctx, req, err)
		if resp != nil { // CheckRedirect refused a redirect; the body is closed
			return nil, NewError(resp, nil, failed.cause)
		}
		return nil, failed
	}
	if resp.StatusCode == http.StatusSwitchingProtocols && req.Header.Get("Upgrade") == "" {
		return nil, readError(resp, errors.New("the server switched protocols without an Upgrade request"))
	}
	returned = true
	if resp.StatusCode == http.StatusSwitchingProtocols {
		c.timer.Stop()
		return resp, nil // its body is a connection, which the context does not close
	}
	c.body = responseBody{ReadCloser: resp.Body, resp: resp, ctx: ctx, call: c, max: s.maxBody}
	if s.idle > 0 && resp.StatusCode/100 == 2 {
		c.timer.Stop()
		c.body.idle = s.idle
	}
	resp.Body = &c.body
	return resp, nil
}

// withHeader returns req with the headers of the sender that it does not have already and, if wantsJSON, with Accept.
// The sender may modify req, but not the map in req.Header, unless it owns the requests.
func (s *sender) withHeader(req *http.Request, wantsJSON bool) *http.Request {
	if !s.ownsRequests {
		req.Header = maps.Clone(req.Header)
	}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if wantsJSON {
		req.Header["Accept"] = acceptJSON
	}
	for name, values := range *s.header {
		if len(req.Header[name]) == 0 {
			req.Header[name] = values
		}
	}
	return req
}

// checkRedirect returns a function that follows a redirect of a GET or HEAD within its origin. Any other redirect is
// returned as the response: if a 302 turned a DELETE into a GET, a deletion would be reported that never happened, and
// a 307 could send credentials elsewhere.
func checkRedirect(next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	const maxHops = 10 // as in net/http
	return func(req *http.Request, via []*http.Request) error {
		first := via[0]
		if (first.Method != http.MethodGet && first.Method != http.MethodHead && first.Method != "") ||
			originOf(first.URL) != originOf(req.URL) || len(via) >= maxHops {
			return http.ErrUseLastResponse
		}
		if next != nil {
			return next(req, via)
		}
		return nil
	}
}
