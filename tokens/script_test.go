package tokens

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	jsonType   = "application/json"
	tokenReply = `{"access_token":"at-1","token_type":"Bearer","expires_in":3600}`
)

var testCredentials = Credentials{ClientID: "client-id", ClientSecret: "client-secret"}

// A script is an [http.RoundTripper] that responds with its steps in order, and repeats the last one. It records
// requests and which response bodies were closed.
type script struct {
	mu     sync.Mutex
	steps  []step
	sent   []sentRequest
	bodies []*countedBody
}

type step func(*http.Request) (*http.Response, error)

type sentRequest struct {
	Method string
	URL    string
	Header http.Header
	Body   string
	Wire   string // in the form of HTTP/1.1
	At     time.Time
}

func newScript(steps ...step) *script { return &script{steps: steps} }

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	next, body := s.record(req)
	seen := req.WithContext(req.Context())
	seen.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	resp, err := next(seen)
	if resp != nil {
		resp.Request = req
		body := &countedBody{Reader: resp.Body}
		resp.Body = body
		s.mu.Lock()
		s.bodies = append(s.bodies, body)
		s.mu.Unlock()
	}
	return resp, err
}

// record records req, closes its body as every RoundTripper must, and returns the next step and the body.
func (s *script) record(req *http.Request) (step, []byte) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		_ = req.Body.Close()
	}
	clone := req.Clone(context.Background())
	clone.Body = io.NopCloser(bytes.NewReader(body))
	var wire strings.Builder
	_ = clone.Write(&wire)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, sentRequest{
		Method: req.Method, URL: req.URL.String(), Header: req.Header.Clone(), Body: string(body),
		Wire: strings.ReplaceAll(wire.String(), "\r\n", "\n"), At: time.Now(),
	})
	return s.steps[min(len(s.sent), len(s.steps))-1], body
}

func (s *script) client() *http.Client { return &http.Client{Transport: s} }

func (s *script) requests() []sentRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// only returns the request if exactly one was sent.
func (s *script) only(t *testing.T) sentRequest {
	t.Helper()
	require.Len(t, s.requests(), 1)
	return s.requests()[0]
}

// leaks returns the number of responses whose body was not closed exactly once.
func (s *script) leaks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	leaks := 0
	for _, b := range s.bodies {
		if b.closed() != 1 {
			leaks++
		}
	}
	return leaks
}

// A countedBody counts how often it is closed.
type countedBody struct {
	io.Reader

	mu     sync.Mutex
	closes int
}

func (b *countedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closes++
	if c, ok := b.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (b *countedBody) closed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closes
}

// reply responds with a status, a body, and headers given as name, value, name, value.
func reply(status int, contentType, body string, headers ...string) step {
	return func(*http.Request) (*http.Response, error) {
		resp := &http.Response{
			StatusCode:    status,
			Proto:         "HTTP/1.1",
			ProtoMajor:    1,
			ProtoMinor:    1,
			Header:        http.Header{},
			Body:          io.NopCloser(strings.NewReader(body)),
			ContentLength: int64(len(body)),
		}
		if contentType != "" {
			resp.Header.Set("Content-Type", contentType)
		}
		for i := 0; i < len(headers); i += 2 {
			resp.Header.Add(headers[i], headers[i+1])
		}
		return resp, nil
	}
}

// withoutResponse fails like a RoundTripper that got no response.
func withoutResponse(err error) step {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// after waits for d, or until the request's context ends, and then does next.
func after(d time.Duration, next step) step {
	return func(req *http.Request) (*http.Response, error) {
		if err := sleep(req.Context(), d); err != nil {
			return nil, context.Cause(req.Context())
		}
		return next(req)
	}
}

// streamed responds with 200 and the body of a reader, which ends with the request's context, as in net/http.
func streamed(contentType string, body func(context.Context) io.Reader) step {
	return func(req *http.Request) (*http.Response, error) {
		resp, err := reply(http.StatusOK, contentType, "")(req)
		resp.Body = io.NopCloser(body(req.Context()))
		resp.ContentLength = -1
		return resp, err
	}
}

// dripping returns its parts one by one, each after a pause, until ctx ends.
type dripping struct {
	ctx   context.Context
	every time.Duration
	parts []string
}

func (d *dripping) Read(p []byte) (int, error) {
	if len(d.parts) == 0 {
		return 0, io.EOF
	}
	if err := sleep(d.ctx, d.every); err != nil {
		return 0, err
	}
	n := copy(p, d.parts[0])
	if d.parts[0] = d.parts[0][n:]; d.parts[0] == "" {
		d.parts = d.parts[1:]
	}
	return n, nil
}

// options are the options that all vendors have.
type options struct {
	baseURL string
	client  *http.Client
	style   AuthStyle
	header  http.Header
	retry   Retry
	timeout time.Duration
	limiter *Limiter
}

// vendorCase is a vendor in tests that run for every vendor.
type vendorCase struct {
	name    string
	label   string // in the errors of its endpoint
	url     string // of the token endpoint
	style   AuthStyle
	grant   Grant // the simplest grant that it accepts
	refresh bool
	make    func(CredentialsProvider, options) (*Endpoint, error)
}

var vendorCases = []vendorCase{
	{
		name: "ThousandEyes", label: "ThousandEyes", url: "https://api.thousandeyes.com/v7/oauth2/token", style: AuthStyleBody,
		make: func(c CredentialsProvider, o options) (*Endpoint, error) {
			return NewThousandEyes(c, &ThousandEyesOptions{
				BaseURL: o.baseURL, HTTPClient: o.client, AuthStyle: o.style, Header: o.header, Retry: o.retry, Timeout: o.timeout, Limiter: o.limiter,
			})
		},
	},
	{
		name: "Moov", label: "Moov", url: "https://api.moov.io/oauth2/token", style: AuthStyleBasic, refresh: true,
		grant: Grant{Scopes: []string{"/accounts.read"}},
		make: func(c CredentialsProvider, o options) (*Endpoint, error) {
			return NewMoov(c, &MoovOptions{
				BaseURL: o.baseURL, HTTPClient: o.client, AuthStyle: o.style, Header: o.header, Retry: o.retry, Timeout: o.timeout, Limiter: o.limiter,
			})
		},
	},
	{
		name: "SailPoint", label: "SailPoint acme", url: "https://acme.api.identitynow.com/oauth/token", style: AuthStyleBody, refresh: true,
		make: func(c CredentialsProvider, o options) (*Endpoint, error) {
			tenant := "acme"
			if o.baseURL != "" {
				tenant = ""
			}
			return NewSailPoint(tenant, c, &SailPointOptions{
				BaseURL: o.baseURL, HTTPClient: o.client, AuthStyle: o.style, Header: o.header, Retry: o.retry, Timeout: o.timeout, Limiter: o.limiter,
			})
		},
	},
}

// endpoint returns the vendor's endpoint over a script.
func (v vendorCase) endpoint(t *testing.T, s *script) *Endpoint {
	t.Helper()
	e, err := v.make(testCredentials, options{client: s.client(), retry: Retry{Attempts: 1}, limiter: impatient()})
	require.NoError(t, err)
	return e
}

func moovOver(t *testing.T, s *script) *Endpoint {
	t.Helper()
	return vendorCases[1].endpoint(t, s)
}

// exchange requests a token from Moov, whose responses are a script.
func exchange(t *testing.T, s *script) (*Token, error) {
	t.Helper()
	return moovOver(t, s).Exchange(t.Context(), vendorCases[1].grant)
}

// impatient returns a Limiter with which a 429 is an error at once.
func impatient() *Limiter { return &Limiter{MaxWait: 1} }

const apiURL = "https://api.example.com"

// doerOver returns a Doer over a script that sends each request once.
func doerOver(t *testing.T, s *script, src Source) Doer {
	t.Helper()
	d, err := NewDoer(src, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Retry: Retry{Attempts: 1}, Limiter: impatient()})
	require.NoError(t, err)
	return d
}

func newRequest(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, r)
	require.NoError(t, err)
	return req
}

// failed returns the *Error of a GET with this response.
func failed(t *testing.T, response step) *Error {
	t.Helper()
	s := newScript(response)
	resp, err := doerOver(t, s, nil).Do(newRequest(t, http.MethodGet, apiURL+"/things", ""))
	require.Nil(t, resp)
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Zero(t, s.leaks(), "the response was not closed")
	return e
}

// newCache is NewCache for tests in which it cannot fail.
func newCache(t testing.TB, e *Endpoint, opts *CacheOptions) *Cache {
	t.Helper()
	c, err := NewCache(e, opts)
	require.NoError(t, err)
	return c
}
