package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

const (
	defaultTimeout = 30 * time.Second
	defaultMaxBody = 64 << 20
)

const accept = "application/json, application/problem+json"

// acceptHeader is shared by all requests, as no layer may change the values of a header.
var acceptHeader = []string{accept}

// A Doer sends the requests of a generated client: it is what their WithHTTPClient option takes. It sets Accept where
// the request has none, adds a token of its Source, repeats what is safe to repeat (see [Retry]), follows redirects of
// GET and HEAD within the origin only, bounds time and size, and turns every answer but a 2xx into an [*Error].
type Doer struct {
	client  *http.Client
	retry   Retry
	timeout time.Duration
	idle    time.Duration
	maxBody int64
	logger  *slog.Logger
}

// DoerOptions are the settings of a [Doer].
type DoerOptions struct {
	// BaseURL is the base URL of the API, for a Source that has none. If both have one, they must be of the same origin.
	BaseURL string
	// HTTPClient sends the requests. It is copied: its Transport lies beneath retries and tokens, its CheckRedirect is
	// asked after ours, its Timeout is used where Timeout is 0. Nil: one with http.DefaultTransport.
	HTTPClient *http.Client
	// Retry holds for calls that have none of their own from WithRetry.
	Retry Retry
	// Timeout bounds a call with its retries and its body. 0: 30 s.
	Timeout time.Duration
	// IdleTimeout, if not 0, lets the body of an answer take as long as it likes, but each further part of it no longer
	// than this; Timeout then ends with the headers. It is for answers that are read as a stream.
	IdleTimeout time.Duration
	// MaxBody bounds the body of an answer in bytes. 0: 64 MiB. Negative: no bound.
	MaxBody int64
	// Logger is told of each repetition. Nil: silent.
	Logger *slog.Logger
}

// NewDoer returns a Doer that sends src's tokens to one origin (scheme, host and port) and to no other: that of src, if
// it has a BaseURL() string method, as a Cache has, else that of opts.BaseURL. If src is nil, no token is sent. If opts is
// nil, the defaults are used. NewDoer fails if there is no base URL, if the two differ, or if it is neither https nor
// loopback.
func NewDoer(src Source, opts *DoerOptions) (Doer, error) {
	var o DoerOptions
	if opts != nil {
		o = *opts
	}
	baseURL, err := baseURLOf(src, o.BaseURL)
	if err != nil {
		return Doer{}, fmt.Errorf("tokens: %w", err)
	}
	if _, err := parseBaseURL(baseURL); err != nil {
		return Doer{}, fmt.Errorf("tokens: %w", err)
	}
	if o.Timeout < 0 || o.IdleTimeout < 0 {
		return Doer{}, errors.New("tokens: Timeout and IdleTimeout must not be negative")
	}
	if err := o.Retry.check(); err != nil {
		return Doer{}, fmt.Errorf("tokens: %w", err)
	}
	var client http.Client
	if o.HTTPClient != nil {
		client = *o.HTTPClient
	}
	d := Doer{client: &client, retry: o.Retry, timeout: o.Timeout, idle: o.IdleTimeout, maxBody: o.MaxBody, logger: o.Logger}
	if d.timeout == 0 {
		d.timeout = defaultTimeout
		if client.Timeout > 0 {
			d.timeout = client.Timeout
		}
	}
	if d.maxBody == 0 {
		d.maxBody = defaultMaxBody
	}

	// The layers beneath the http.Client, innermost first.
	layer := client.Transport
	if layer == nil {
		layer = http.DefaultTransport
	}
	if src != nil {
		transport, err := NewTransport(src, baseURL, layer)
		if err != nil {
			return Doer{}, err
		}
		layer = transport
	}
	client.Transport = &retryTransport{base: layer}
	client.CheckRedirect = checkRedirect(client.CheckRedirect)
	client.Timeout = 0
	return d, nil
}

// Do sends req, setting its Accept header if it has none. The error of any answer but a 2xx, of a 2xx whose media type
// is not JSON although the request left Accept to the Doer, and of no answer at all is an [*Error]; the answer is then
// closed. Otherwise the body must be closed; reading past the Doer's limits fails with an [*Error].
func (d Doer) Do(req *http.Request) (*http.Response, error) {
	if d.client == nil {
		closeBody(req)
		return nil, errors.New("tokens: the zero Doer cannot send; make one with NewDoer")
	}
	wantJSON := req.Header.Get("Accept") == ""
	if wantJSON {
		if req.Header == nil {
			req.Header = http.Header{}
		}
		req.Header["Accept"] = acceptHeader
	}
	set := settingsOf(req.Context())
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(d.timeout, func() { cancel(errTimeout) })

	c := &callContext{Context: ctx, call: call{
		policy:   set.policy(d.retry),
		logger:   set.loggerOr(d.logger),
		deadline: time.Now().Add(d.timeout),
		sent:     set.sent,
	}}

	resp, err := d.client.Do(req.WithContext(c))
	if err != nil {
		timer.Stop()
		err = failure(req, timeoutOr(ctx, err))
		cancel(nil)
		return nil, err
	}
	set.capture(resp)
	c.answer = answerBody{ReadCloser: resp.Body, resp: resp, ctx: ctx, cancel: cancel, timer: timer, idle: d.idle, most: d.maxBody}
	resp.Body = &c.answer
	if d.idle > 0 {
		timer.Stop()
	}
	if resp.StatusCode/100 != 2 {
		return nil, readError(resp, nil)
	}
	contentType := resp.Header.Get("Content-Type")
	if wantJSON && contentType != "" && resp.ContentLength != 0 && !isJSON(contentType) {
		return nil, readError(resp, fmt.Errorf("the answer is %s where JSON was asked for", clean(contentType)))
	}
	return resp, nil
}

// checkRedirect follows a redirect only where nothing is lost or leaked: a GET or HEAD within its origin. Any other
// becomes the answer, and with that an *Error: a DELETE that a 302 turned into a GET would report a deletion that never
// was, and a 307 would repeat credentials elsewhere.
func checkRedirect(next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	const most = 10 // as net/http
	return func(req *http.Request, via []*http.Request) error {
		first := via[0]
		if (first.Method != http.MethodGet && first.Method != http.MethodHead) || originOf(first.URL) != originOf(req.URL) {
			return http.ErrUseLastResponse
		}
		if len(via) >= most {
			return http.ErrUseLastResponse
		}
		if next != nil {
			return next(req, via)
		}
		return nil
	}
}
