package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewDoerRefuses(t *testing.T) {
	tests := []struct {
		opts *DoerOptions
		want string
	}{
		{nil, "tokens: BaseURL is empty and the Source has none; set BaseURL to the origin of the API"},
		{&DoerOptions{BaseURL: "/x"}, "tokens: the base URL has no host; write https://host"},
		{&DoerOptions{BaseURL: "http://api.example.com/x"}, "tokens: the base URL http://api.example.com/x is neither https nor loopback; a token would be sent in the clear"},
		{&DoerOptions{BaseURL: apiURL, Timeout: -1}, "tokens: Timeout is negative"},
		{&DoerOptions{BaseURL: apiURL, IdleTimeout: -1}, "tokens: IdleTimeout is negative"},
		{&DoerOptions{BaseURL: apiURL, Retry: Retry{MaxElapsed: -1}}, "tokens: a Retry has a negative member"},
		{&DoerOptions{BaseURL: apiURL, Retry: Retry{Initial: -1}}, "tokens: a Retry has a negative member"},
	}
	for _, tt := range tests {
		for _, src := range []Source{nil, Static("at")} {
			_, err := NewDoer(src, tt.opts)
			assert.EqualError(t, err, tt.want)
		}
	}
}

func TestZeroDoer(t *testing.T) {
	body := &countedBody{Reader: strings.NewReader("x")}
	req := newRequest(t, http.MethodPost, apiURL, "")
	req.Body = body
	resp, err := Doer{}.Do(req)
	assert.Nil(t, resp)
	require.EqualError(t, err, "tokens: the zero Doer cannot send; make one with NewDoer")
	assert.Equal(t, 1, body.closed())
	assert.Equal(t, "tokens.Doer(zero)", fmt.Sprint(Doer{}))
	assert.Equal(t, "tokens.Endpoint(nil)", fmt.Sprint((*Endpoint)(nil)))
	d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL})
	require.NoError(t, err)
	assert.Equal(t, "tokens.Doer("+apiURL+")", fmt.Sprint(d))
}

func TestDoerSetsAccept(t *testing.T) {
	s := newScript(reply(200, jsonType, `{}`))
	d := doerOver(t, s, nil)
	for _, header := range []http.Header{nil, {}, {"Accept": {"text/csv"}}} {
		req := newRequest(t, http.MethodGet, apiURL, "")
		req.Header = header
		resp, err := d.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	assert.Equal(t, "application/json, application/problem+json", s.requests()[0].Header.Get("Accept"))
	assert.Equal(t, "application/json, application/problem+json", s.requests()[1].Header.Get("Accept"))
	assert.Equal(t, []string{"text/csv"}, s.requests()[2].Header["Accept"])
	assert.Zero(t, s.leaks())
}

// Media types are compared as in RFC 9110, section 8.3.1, and only if the Doer has set Accept.
func TestDoerMediaTypes(t *testing.T) {
	tests := []struct {
		mediaType string
		status    int
		body      string
		accept    string
		want      string // the error, or ""
	}{
		{"application/json", 200, `{}`, "", ""},
		{"APPLICATION/JSON;Charset=utf-8", 201, `{}`, "", ""},
		{"application/problem+json", 200, `{}`, "", ""},
		{"application/vnd.example+JSON; v=1", 200, `{}`, "", ""},
		{"application/json;charset", 200, `{}`, "", ""},
		{" application/json ; a=b=c", 200, `{}`, "", ""},
		{"Application/JSON; charset=utf-8; charset=latin1", 200, `{}`, "", ""},
		{"", 200, `{}`, "", ""},
		{"text/html; charset=utf-8", 200, `<p>`, "", "the response is text/html; charset=utf-8 where JSON was asked for"},
		{"text/plain", 202, `{}`, "", "the response is text/plain where JSON was asked for"},
		{"application/jsonp", 200, `x()`, "", "the response is application/jsonp where JSON was asked for"},
		{"application/json-seq", 200, `x`, "", "the response is application/json-seq where JSON was asked for"},
		{"te\x1bxt", 200, `x`, "", "the response is te xt where JSON was asked for"},
		{"text/html", 204, ``, "", ""},
		{"text/html", 200, ``, "", ""},
		{"text/html", 200, `<p>`, "text/html", ""},
		{"text/html", 200, `<p>`, "*/*", ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.mediaType, tt.status, tt.accept), func(t *testing.T) {
			s := newScript(reply(tt.status, tt.mediaType, tt.body))
			req := newRequest(t, http.MethodGet, apiURL, "")
			if tt.accept != "" {
				req.Header.Set("Accept", tt.accept)
			}
			resp, err := doerOver(t, s, nil).Do(req)
			if tt.want == "" {
				require.NoError(t, err)
				data, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				assert.Equal(t, tt.body, string(data))
				require.NoError(t, resp.Body.Close())
			} else {
				assert.Nil(t, resp)
				var e *Error
				require.ErrorAs(t, err, &e)
				assert.ErrorContains(t, err, ": "+tt.want)
				assert.Equal(t, tt.body, string(e.Body), "the body is kept")
				assert.Equal(t, tt.status, e.StatusCode)
			}
			assert.Zero(t, s.leaks())
		})
	}
}

func TestDoerMakesErrorsOfAllButSuccess(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204, 206, 299, 300, 304, 400, 404, 500, 503, 999} {
		for _, mediaType := range []string{jsonType, ""} {
			s := newScript(reply(status, mediaType, ""))
			resp, err := doerOver(t, s, nil).Do(newRequest(t, http.MethodGet, apiURL+"/x?secret=1", ""))
			if status < 300 {
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
			} else {
				assert.Nil(t, resp)
				require.ErrorIs(t, err, Status(status))
				assert.Equal(t, "GET "+apiURL+"/x: "+Status(status).Error(), err.Error())
			}
			assert.Zero(t, s.leaks())
		}
	}
}

// A RoundTripper may leave Response.Request nil, as handlers in tests do.
func TestDoerOverAHandler(t *testing.T) {
	var token string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
		w.Header().Set("Content-Type", jsonType)
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"error":"access_denied","error_description":"%s may not"}`, token)
	})
	base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		return w.Result(), nil
	})
	for _, src := range []Source{nil, Static("the-token")} {
		d, err := NewDoer(src, &DoerOptions{BaseURL: apiURL, HTTPClient: &http.Client{Transport: base}})
		require.NoError(t, err)
		_, err = d.Do(newRequest(t, http.MethodGet, apiURL+"/things", ""))
		require.ErrorIs(t, err, Status(403))
		require.ErrorContains(t, err, "GET "+apiURL+"/things: 403 Forbidden: access_denied")
		assert.NotContains(t, err.Error(), "the-token")
	}
	assert.Equal(t, "Bearer the-token", token)
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// zeros is a body without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestDoerCapsTheBody(t *testing.T) {
	tests := []struct {
		name    string
		maxBody int64
		size    int64
		want    string
	}{
		{"below", 10, 9, ""},
		{"exactly", 10, 10, ""},
		{"above", 10, 11, "GET " + apiURL + ": 200 OK: the response is longer than 10 bytes"},
		{"above one byte", 1, 2, "GET " + apiURL + ": 200 OK: the response is longer than 1 bytes"},
		{"the default", 0, 64 << 20, ""},
		{"above the default", 0, 64<<20 + 1, "GET " + apiURL + ": 200 OK: the response is longer than 67108864 bytes"},
		{"no bound", -1, 65 << 20, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(streamed(jsonType, func(context.Context) io.Reader { return io.LimitReader(zeros{}, tt.size) }))
			d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), MaxBody: tt.maxBody})
			require.NoError(t, err)
			resp, err := d.Do(newRequest(t, http.MethodGet, apiURL, ""))
			require.NoError(t, err)
			n, err := io.Copy(io.Discard, resp.Body)
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, tt.size, n)
			} else {
				require.EqualError(t, err, tt.want)
				require.ErrorIs(t, err, Status(200))
				_, again := resp.Body.Read(make([]byte, 1))
				require.EqualError(t, again, tt.want, "the error is permanent")
			}
			require.NoError(t, resp.Body.Close())
			assert.Zero(t, s.leaks())
		})
	}
}

// The deadline covers headers, body and all retries; the caller's own deadline may come first.
func TestDoerTimeout(t *testing.T) {
	unavailable := after(9*time.Second, reply(503, "", "", "Retry-After", "9"))
	slowBody := streamed(jsonType, func(ctx context.Context) io.Reader {
		return &dripping{ctx, 9 * time.Second, []string{"{", " ", " ", " ", "}"}}
	})
	never := after(time.Hour, reply(200, jsonType, "{}"))
	tests := []struct {
		name    string
		step    step
		opts    DoerOptions
		client  time.Duration // http.Client.Timeout
		caller  time.Duration // the deadline of the caller's context
		want    time.Duration // when the call ends
		timeout bool
	}{
		{"headers, by default", never, DoerOptions{}, 0, 0, 30 * time.Second, true},
		{"headers", never, DoerOptions{Timeout: 5 * time.Second}, 0, 0, 5 * time.Second, true},
		{"headers, by the client's", never, DoerOptions{}, 7 * time.Second, 0, 7 * time.Second, true},
		{"headers, by our own before the client's", never, DoerOptions{Timeout: 50 * time.Second}, 7 * time.Second, 0, 50 * time.Second, true},
		{"headers, by the caller's", never, DoerOptions{}, 0, 4 * time.Second, 4 * time.Second, true},
		{"body", slowBody, DoerOptions{}, 0, 0, 30 * time.Second, true},
		{"body, by the client's", slowBody, DoerOptions{}, 20 * time.Second, 0, 20 * time.Second, true},
		{"body, by the caller's", slowBody, DoerOptions{}, 0, 10 * time.Second, 10 * time.Second, true},
		{"body in time", slowBody, DoerOptions{Timeout: 46 * time.Second}, 0, 0, 45 * time.Second, false},
		// 9 s, a wait of 9, 9 s, and no wait of 9 that would pass the deadline.
		{"retries", unavailable, DoerOptions{Retry: Retry{Attempts: 9}}, 0, 0, 27 * time.Second, false},
		{"in the middle of an attempt", unavailable, DoerOptions{Timeout: 20 * time.Second}, 0, 0, 20 * time.Second, true},
		{"headers with an idle limit", never, DoerOptions{IdleTimeout: time.Second}, 0, 0, 30 * time.Second, true},
		{"body within the idle limit", slowBody, DoerOptions{IdleTimeout: 10 * time.Second}, 0, 0, 45 * time.Second, false},
		{"body past the idle limit", slowBody, DoerOptions{IdleTimeout: 8 * time.Second}, 0, 0, 8 * time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(tt.step)
				tt.opts.BaseURL, tt.opts.HTTPClient = apiURL, s.client()
				tt.opts.HTTPClient.Timeout = tt.client
				d, err := NewDoer(nil, &tt.opts)
				require.NoError(t, err)
				req := newRequest(t, http.MethodGet, apiURL+"/x?secret=1", "")
				if tt.caller != 0 {
					ctx, cancel := context.WithTimeout(t.Context(), tt.caller)
					defer cancel()
					req = req.WithContext(ctx)
				}
				began := time.Now()
				resp, err := d.Do(req)
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					require.NoError(t, resp.Body.Close())
				}
				assert.Equal(t, tt.want, time.Since(began))
				if tt.timeout {
					var e *Error
					require.ErrorAs(t, err, &e)
					assert.True(t, e.Timeout())
					require.ErrorIs(t, err, context.DeadlineExceeded)
					assert.ErrorContains(t, err, "GET "+apiURL+"/x: ")
					assert.NotContains(t, err.Error(), "secret")
				} else if err != nil {
					require.ErrorIs(t, err, Status(503))
				}
				assert.Zero(t, s.leaks())
			})
		})
	}
}

// The time that a Source takes counts, whatever it says of a context that ended.
func TestDoerTimeoutOfASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := sourceFunc(func(ctx context.Context) (*Token, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		d, err := NewDoer(src, &DoerOptions{BaseURL: apiURL, Timeout: 5 * time.Second, HTTPClient: newScript().client()})
		require.NoError(t, err)
		began := time.Now()
		_, err = d.Do(newRequest(t, http.MethodGet, apiURL, ""))
		assert.Equal(t, 5*time.Second, time.Since(began))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, ErrNoToken)
		require.NotErrorIs(t, err, context.Canceled)
	})
}

// With IdleTimeout, the caller may take any time between reads, including before the first one.
func TestDoerIdleTimeoutIsTheServersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(streamed(jsonType, func(ctx context.Context) io.Reader {
			return &dripping{ctx, 4 * time.Second, []string{"[", "]"}}
		}))
		d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), IdleTimeout: 5 * time.Second})
		require.NoError(t, err)
		resp, err := d.Do(newRequest(t, http.MethodGet, apiURL, ""))
		require.NoError(t, err)
		for _, want := range []string{"[", "]"} {
			pass(time.Hour)
			part := make([]byte, 8)
			n, err := resp.Body.Read(part)
			require.NoError(t, err)
			assert.Equal(t, want, string(part[:n]))
		}
		require.NoError(t, resp.Body.Close())
	})
}

func TestDoerCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		s := newScript(after(time.Hour, reply(200, jsonType, "{}")))
		began := time.Now()
		_, err := doerOver(t, s, nil).Do(newRequest(t, http.MethodGet, apiURL, "").WithContext(ctx))
		assert.Equal(t, time.Second, time.Since(began))
		require.ErrorIs(t, err, context.Canceled)
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.False(t, e.Timeout())
		assert.Zero(t, e.StatusCode)
	})
}

// A body that cannot be closed says so, and the call ends all the same.
func TestDoerReturnsTheErrorOfClose(t *testing.T) {
	var ctx context.Context
	client := &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		ctx = req.Context()
		return &http.Response{StatusCode: http.StatusOK, Body: brokenClose{strings.NewReader("{}")}, Request: req}, nil
	})}
	d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: client})
	require.NoError(t, err)
	resp, err := d.Do(newRequest(t, http.MethodGet, apiURL, ""))
	require.NoError(t, err)
	require.ErrorIs(t, resp.Body.Close(), io.ErrClosedPipe)
	assert.Error(t, ctx.Err())
}

type brokenClose struct{ io.Reader }

func (brokenClose) Close() error { return io.ErrClosedPipe }

// The resources of a call are released when its response is closed, or with its error.
func TestDoerEndsTheRequestContext(t *testing.T) {
	for _, status := range []int{200, 404} {
		var ctx context.Context
		s := newScript(func(req *http.Request) (*http.Response, error) {
			ctx = req.Context()
			return reply(status, jsonType, "{}")(req)
		})
		resp, err := doerOver(t, s, nil).Do(newRequest(t, http.MethodGet, apiURL, ""))
		if status == 200 {
			require.NoError(t, err)
			require.NoError(t, ctx.Err(), "the body can still be read")
			require.NoError(t, resp.Body.Close())
		}
		assert.Error(t, ctx.Err())
	}
}

func TestDecodeResponse(t *testing.T) {
	type thing struct {
		Name string `json:"name"`
		Size int    `json:"size"`
	}
	tests := []struct {
		name string
		step step
		want string
	}{
		{"good", reply(200, jsonType, `{"name":"a","size":1,"more":[]}`), ""},
		{"a member that does not fit", reply(200, jsonType, `{"name":"a","size":"s3cret"}`), `: 200 OK: the response does not fit: member "size" is not a int`},
		{"not an object", reply(201, jsonType, `["s3cret"]`), ": 201 Created: the response is not the JSON expected"},
		{"not JSON", reply(200, jsonType, `s3cret`), ": 200 OK: the response is not JSON at byte 1"},
		{"null", reply(200, jsonType, " null\n"), ": 200 OK: the response is null"},
		{"nothing", reply(204, "", ``), ": 204 No Content: the response is not JSON at byte 0"},
		{"cut", streamed(jsonType, func(context.Context) io.Reader {
			return io.MultiReader(strings.NewReader(`{"name":"s3cret`), brokenReader{io.ErrUnexpectedEOF})
		}), ": 200 OK: unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(tt.step)
			resp, err := doerOver(t, s, nil).Do(newRequest(t, http.MethodGet, apiURL+"?q=s3cret", ""))
			require.NoError(t, err)
			var got thing
			err = DecodeResponse(resp, &got)
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, thing{"a", 1}, got)
			} else {
				require.EqualError(t, err, "GET "+apiURL+tt.want)
				var e *Error
				require.ErrorAs(t, err, &e)
				assert.NotZero(t, e.StatusCode)
			}
			assert.Zero(t, s.leaks())
		})
	}
}

// A value that can hold a null accepts it, and any other value is not silently left unchanged.
func TestDecodeResponseOfNull(t *testing.T) {
	for name, tt := range map[string]struct {
		into any
		ok   bool
	}{
		"an object": {&struct{}{}, false}, "members by name": {&map[string]string{}, false}, "a list": {&[]string{}, false},
		"a number": {new(int), false}, "a pointer": {new(*int), true}, "anything": {new(any), true}, "raw": {new(json.RawMessage), true},
	} {
		resp, err := doerOver(t, newScript(reply(200, jsonType, "null")), nil).Do(newRequest(t, http.MethodGet, apiURL, ""))
		require.NoError(t, err)
		err = DecodeResponse(resp, tt.into)
		decodeErr := NewError(resp, []byte("null"), nil).Decode(tt.into)
		if tt.ok {
			require.NoError(t, err, name)
			require.NoError(t, decodeErr, name)
			continue
		}
		require.EqualError(t, err, "GET "+apiURL+": 200 OK: the response is null", name)
		require.ErrorIs(t, err, Status(200), name)
		require.ErrorContains(t, decodeErr, "does not fit", name)
	}
}

// An error without a response names method, URL and cause; the error of net/http would include the query.
func TestDoerTransportFailures(t *testing.T) {
	refused := errors.New("connection refused")
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"plain", refused, "POST https://api.example.com/x: connection refused (the server may have acted on it)"},
		{
			"a client beneath the client",
			fmt.Errorf("gateway: %w", &url.Error{Op: "Post", URL: apiURL + "/x?filter=s3cret", Err: refused}),
			`POST https://api.example.com/x: gateway: Post "https://api.example.com/x?[REDACTED]": connection refused (the server may have acted on it)`,
		},
		{
			"a cause that quotes the password",
			fmt.Errorf("bad userinfo user:s3cret-password: %w", refused),
			"POST https://api.example.com/x: bad userinfo user:[REDACTED]: connection refused (the server may have acted on it)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(withoutResponse(tt.err))
			req := newRequest(t, http.MethodPost, "https://user:s3cret-password@api.example.com/x?filter=s3cret#f", "body")
			resp, err := doerOver(t, s, nil).Do(req)
			assert.Nil(t, resp)
			require.EqualError(t, err, tt.want)
			require.ErrorIs(t, err, refused)
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.Zero(t, e.StatusCode)
			assert.Equal(t, "https://api.example.com/x", e.URL)
		})
	}
}

// Redacting the text of a cause does not change what it matches.
func TestDoerTransportFailureIsMatched(t *testing.T) {
	cause := &net.OpError{Op: "read", Net: "tcp", Err: timeoutError{}}
	s := newScript(withoutResponse(fmt.Errorf("of s3cret-query: %w", cause)))
	_, err := doerOver(t, s, nil).Do(newRequest(t, http.MethodGet, apiURL+"?s3cret-query", ""))
	require.EqualError(t, err, "GET "+apiURL+": of [REDACTED]: read tcp: i/o timeout")
	require.ErrorIs(t, err, timeoutError{})
	var op *net.OpError
	require.ErrorAs(t, err, &op)
	assert.Same(t, cause, op)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.True(t, e.Timeout())
}

func TestDoerOddRequests(t *testing.T) {
	s := newScript(reply(400, jsonType, `{"error":"invalid_request"}`))
	d := doerOver(t, s, nil)

	_, err := d.Do((&http.Request{Method: http.MethodGet}).WithContext(t.Context()))
	require.EqualError(t, err, "GET : the request has no URL")

	for _, getBody := range []func() (io.ReadCloser, error){
		func() (io.ReadCloser, error) { return nil, io.ErrClosedPipe },
		func() (io.ReadCloser, error) { return io.NopCloser(brokenReader{io.ErrClosedPipe}), nil },
	} {
		req := newRequest(t, http.MethodPost, apiURL, "client_secret=x")
		req.GetBody = getBody
		_, err = d.Do(req)
		require.ErrorIs(t, err, InvalidRequest, "the response matters more than the failure to read the request")
	}
}

// O-03, B-08: nothing is sent to a server with an untrusted certificate.
func TestDoerChecksCertificates(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	d, err := NewDoer(Static("at"), &DoerOptions{BaseURL: server.URL, Retry: Retry{Initial: 1}})
	require.NoError(t, err)
	_, err = d.Do(newRequest(t, http.MethodGet, server.URL, ""))
	require.ErrorContains(t, err, "certificate")
	assert.Zero(t, requests.Load())

	d, err = NewDoer(Static("at"), &DoerOptions{BaseURL: server.URL, HTTPClient: server.Client()})
	require.NoError(t, err)
	resp, err := d.Do(newRequest(t, http.MethodGet, server.URL, ""))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.EqualValues(t, 1, requests.Load())
}

// Without an HTTPClient, over real loopback.
func TestDoerOverDefaultTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", jsonType)
		fmt.Fprintf(w, "%q", r.Header.Get("Authorization"))
	}))
	defer server.Close()
	d, err := NewDoer(Static("at"), &DoerOptions{BaseURL: server.URL})
	require.NoError(t, err)
	resp, err := d.Do(newRequest(t, http.MethodGet, server.URL, ""))
	require.NoError(t, err)
	var seen string
	require.NoError(t, DecodeResponse(resp, &seen))
	assert.Equal(t, "Bearer at", seen)
}
