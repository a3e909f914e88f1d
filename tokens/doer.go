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

// A Doer sends the requests of a generated client: it is what their WithHTTPClient option takes. It sets Accept where
// the request has none, adds a token of its Source, repeats what is safe to repeat (see [Retry]), follows redirects of
// GET and HEAD within the origin only, bounds time and size, and turns every response outside 2xx into an [*Error].
//
// The zero Doer returns an error; make one with [NewDoer].
type Doer struct {
	sender *sender
}

// DoerOptions are the settings of [NewDoer] and [NewClient].
type DoerOptions struct {
	// BaseURL is the base URL of the API, for a Source that has none. If both have one, they must be of the same origin.
	BaseURL string
	// HTTPClient sends the requests. It is copied: its Transport is used beneath retries and tokens, its CheckRedirect is
	// called after ours, its Jar is used, and its Timeout is the default of Timeout. If nil, it is one with
	// http.DefaultTransport.
	//
	// Its Transport must send each request once, to the URL that the request has: one that follows redirects by itself is
	// refused, and one that repeats requests by itself presents refresh tokens twice.
	HTTPClient *http.Client
	// Header is added to each request, except for names that the request has itself. A User-Agent replaces that of the SDK.
	Header http.Header
	// Retry is used for calls whose context has none from WithRetry.
	Retry Retry
	// Timeout bounds a call with its retries and its body. If zero, it is that of HTTPClient, else 30 s.
	Timeout time.Duration
	// IdleTimeout, if not zero, bounds each read of the body of a 2xx response in place of Timeout, which then ends with the
	// headers. It is for responses that are read as a stream.
	IdleTimeout time.Duration
	// MaxBody bounds the body of a response in bytes. If zero, it is 64 MiB. If negative, there is no bound.
	MaxBody int64
	// Limiter holds back requests while a rate limit is known. If nil, it is that of the Source, if it has one (by a
	// Limiter() *Limiter method, as a Cache has, which returns nil where the API is not at the origin of the token endpoint),
	// else one of its own.
	Limiter *Limiter
	// Logger is told of each repeated request, and of when the Limiter closes and opens. If nil, nothing is logged.
	Logger *slog.Logger
}

// Format prints the origin alone, because headers and the client may hold secrets.
func (o DoerOptions) Format(f fmt.State, _ rune) {
	base := ""
	if u, err := parseBaseURL(o.BaseURL); err == nil {
		base = originOf(u).String()
	}
	fmt.Fprintf(f, "tokens.DoerOptions(%s)", base)
}

// MarshalText returns what Format prints, for logs in JSON.
func (o DoerOptions) MarshalText() ([]byte, error) { return fmt.Append(nil, o), nil }

// NewDoer returns a Doer that sends src's tokens to one origin (scheme, host and port) and to no other: that of src, if
// it has a BaseURL() string method, as a Cache has, else that of opts.BaseURL. If src is nil, no token is sent. If opts is
// nil, the defaults are used. NewDoer fails if there is no base URL, if the two differ, or if it is neither https nor
// loopback.
//
// Of src, and of what is behind its Unwrap() Source methods, the methods of [Source] and [Invalidator], BaseURL() string and
// Limiter() *Limiter are used.
func NewDoer(src Source, opts *DoerOptions) (Doer, error) {
	s, err := newSender(src, opts)
	if err != nil {
		return Doer{}, fmt.Errorf("tokens: %w", err)
	}
	return Doer{s}, nil
}

// Format prints which origin the Doer is for, and nothing of its headers and its Source.
func (d Doer) Format(f fmt.State, _ rune) {
	if d.sender == nil {
		fmt.Fprint(f, "tokens.Doer(zero)")
		return
	}
	fmt.Fprintf(f, "tokens.Doer(%s)", d.sender.origin)
}

// MarshalText returns what Format prints, for logs in JSON.
func (d Doer) MarshalText() ([]byte, error) { return fmt.Append(nil, d), nil }

// Do sends req. The error is an [*Error] if there is no response, if the response is outside 2xx, and if its media type is
// not JSON although the request left Accept to the Doer; the response is then closed. Otherwise its body must be closed.
// Reading past the limits of the Doer fails with an [*Error].
//
// After a 401 the Source is asked for another token. If it has none, the error matches Status(401), and also what the
// Source's error matches, such as [ErrLoginRequired], but not [ErrNoToken]: the request was sent.
//
// A request to another origin than that of the Doer is refused.
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
		_ = resp.Body.Close() // it is the connection, and reading it may never end
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

// A sender does what Doers and the clients of NewClient have in common.
type sender struct {
	client  http.Client
	origin  origin
	header  *http.Header // added to requests; a pointer, for the reason that cacheSecrets is one
	retry   Retry
	timeout time.Duration
	idle    time.Duration // if zero, timeout bounds the body too
	maxBody int64
	limiter *Limiter
	lane    lane // at the limiter
	logger  *slog.Logger
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
	if o.Timeout < 0 || o.IdleTimeout < 0 {
		return nil, errors.New("Timeout and IdleTimeout must not be negative")
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
		header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	s := &sender{
		origin: base, retry: o.Retry, timeout: o.Timeout, idle: o.IdleTimeout, maxBody: o.MaxBody, logger: ownerOf(src).logger(o.Logger),
		limiter: cmp.Or(o.Limiter, limiterOf(src), new(Limiter)), lane: apiLane,
		header: &header,
	}
	s.retry.Statuses = slices.Clone(o.Retry.Statuses)
	if o.HTTPClient != nil {
		s.client = *o.HTTPClient
	}
	if s.timeout == 0 {
		s.timeout = defaultTimeout
		if s.client.Timeout > 0 {
			s.timeout = s.client.Timeout
		}
	}
	if s.maxBody == 0 {
		s.maxBody = defaultMaxBody
	}
	s.client.Timeout = 0
	s.client.CheckRedirect = checkRedirect(s.client.CheckRedirect)
	s.client.Transport = layers(src, base, s.client.Transport)
	return s, nil
}

// layers returns what is beneath the http.Client, innermost first: the caller's transport, the check of each single
// attempt, the token, and the retries, so that a request that is repeated after a wait has a token that is valid then.
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

// send sends a request with the headers of the sender and, if it wants JSON, with Accept. Any status is a response.
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
		if resp != nil { // of a redirect that CheckRedirect refused; its body is closed
			return nil, NewError(resp, nil, failed.cause)
		}
		return nil, failed
	}
	if resp.StatusCode == http.StatusSwitchingProtocols && req.Header.Get("Upgrade") == "" {
		return nil, readError(resp, errors.New("the server switched protocols, which nobody asked for"))
	}
	returned = true
	if resp.StatusCode == http.StatusSwitchingProtocols {
		c.timer.Stop()
		return resp, nil // its body is a connection, which the request's context does not end
	}
	body := &responseBody{ReadCloser: resp.Body, resp: resp, ctx: ctx, call: c, max: s.maxBody}
	if s.idle > 0 && resp.StatusCode/100 == 2 {
		c.timer.Stop()
		body.idle = s.idle
	}
	resp.Body = body
	return resp, nil
}

// withHeader returns req, which is its own to change, with the headers of the sender where it has none of that name, and
// with Accept if it wants JSON.
func (s *sender) withHeader(req *http.Request, wantsJSON bool) *http.Request {
	req.Header = maps.Clone(req.Header)
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if wantsJSON {
		req.Header.Set("Accept", accept)
	}
	for name, values := range *s.header {
		if len(req.Header[name]) == 0 {
			req.Header[name] = slices.Clone(values)
		}
	}
	return req
}

// checkRedirect returns a function that follows a redirect only where nothing is lost or leaked: a GET or HEAD within its
// origin. Any other redirect is the response: a DELETE that a 302 turned into a GET would report a deletion that never
// was, and a 307 would repeat credentials elsewhere.
func checkRedirect(next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	const maxHops = 10 // as net/http
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
