package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	defaultTimeout = 30 * time.Second
	defaultMaxBody = 64 << 20
	accept         = "application/json, application/problem+json"
)

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

// NewDoer returns a Doer that sends src's tokens to the origin (scheme, host and port) of baseURL and to no other. With
// a nil src it sends none. Nil opts are the defaults. It fails if baseURL is not https, loopback aside.
func NewDoer(src Source, baseURL string, opts *DoerOptions) (Doer, error) {
	var o DoerOptions
	if opts != nil {
		o = *opts
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
		req.Header.Set("Accept", accept)
	}
	set := settingsOf(req.Context())
	ctx, cancel := context.WithCancelCause(req.Context())
	c := &call{
		policy:   set.policy(d.retry),
		logger:   set.loggerOr(d.logger),
		deadline: time.Now().Add(d.timeout),
		sent:     set.sent,
	}
	timer := time.AfterFunc(d.timeout, func() { cancel(errTimeout) })

	resp, err := d.client.Do(req.WithContext(context.WithValue(ctx, settingsKey{}, c)))
	if err != nil {
		timer.Stop()
		err = failure(req, timeoutOr(ctx, err))
		cancel(nil)
		return nil, err
	}
	set.capture(resp)
	resp.Body = &answerBody{ReadCloser: resp.Body, resp: resp, ctx: ctx, cancel: cancel, timer: timer, idle: d.idle, most: d.maxBody}
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

// DecodeResponse reads the answer of a [Doer] as JSON into v and closes it. The error is an [*Error] that keeps the
// status and the start of the body; v may then be filled in part.
func DecodeResponse(resp *http.Response, v any) error {
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err // an *Error already
	}
	if err := json.Unmarshal(data, v); err != nil {
		return newError(resp, data, notJSON(err))
	}
	return nil
}

// notJSON says what is wrong with an answer without quoting it, as encoding/json may.
func notJSON(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		return fmt.Errorf("the answer does not fit: member %q is not a %s", t.Field, t.Type)
	}
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("the answer is not JSON at byte %d", s.Offset)
	}
	return errors.New("the answer is not the JSON expected")
}

// errTimeout is the cause of a context that a Doer ended.
var errTimeout = errors.New("timeout")

// timeoutOr returns the error to show for err: context.DeadlineExceeded if the Doer ended ctx.
func timeoutOr(ctx context.Context, err error) error {
	if context.Cause(ctx) == errTimeout { //nolint:errorlint // the very cause set by the Doer
		return context.DeadlineExceeded
	}
	return err
}

// answerBody bounds the time and the size of an answer, and frees what its call holds when it is closed.
type answerBody struct {
	io.ReadCloser

	resp   *http.Response
	ctx    context.Context //nolint:containedctx // asked only why a read failed
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
	most   int64
	read   int64
}

func (b *answerBody) Read(p []byte) (int, error) {
	if b.idle > 0 {
		b.timer.Reset(b.idle)
		defer b.timer.Stop()
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	switch {
	case b.most > 0 && b.read > b.most:
		return 0, newError(b.resp, nil, fmt.Errorf("the answer is longer than %d bytes", b.most))
	case err == nil || err == io.EOF:
		return n, err
	}
	return n, newError(b.resp, nil, timeoutOr(b.ctx, err))
}

func (b *answerBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
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

// isJSON tells whether a media type is JSON's or built on it (RFC 6839, section 3.1).
func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		mediaType, _, _ = strings.Cut(strings.ToLower(contentType), ";")
		mediaType = strings.TrimSpace(mediaType)
	}
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// parseBaseURL reads the URL of an API, which must be https or loopback.
func parseBaseURL(baseURL string) (*url.URL, error) {
	u, err := url.Parse(baseURL)
	switch {
	case err != nil:
		return nil, errors.New("the base URL is not a URL") // err would quote it
	case u.Hostname() == "":
		return nil, errors.New("the base URL has no host; write https://host")
	case u.User != nil || strings.ContainsAny(baseURL, "?#"):
		return nil, fmt.Errorf("the base URL %s has a user, a query or a fragment; leave it off", redactURL(u))
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("the base URL %s is neither https nor loopback; a token would be sent in the clear", redactURL(u))
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// origin is what a token is bound to (RFC 6454, section 4).
type origin struct{ scheme, host string }

func originOf(u *url.URL) origin {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return origin{u.Scheme, host}
}
