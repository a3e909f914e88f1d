package tokens

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clientOver makes a client over a script that sends each request once.
func clientOver(t *testing.T, s *script, src Source) *http.Client {
	t.Helper()
	client, err := NewClient(src, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Limiter: impatient(), Retry: Retry{Attempts: 1}})
	require.NoError(t, err)
	return client
}

// Like any http.Client, that of NewClient returns every status as a response, with its body.
func TestClientReturnsEveryStatus(t *testing.T) {
	for _, status := range []int{200, 204, 300, 302, 304, 400, 401, 403, 404, 429, 500, 503, 999} {
		s := newScript(reply(status, "text/html", "the body", "Location", "https://other.example.com/"))
		resp, err := clientOver(t, s, Static("the-token")).Do(newRequest(t, http.MethodPost, apiURL+"/x", "sent"))
		require.NoError(t, err)
		assert.Equal(t, status, resp.StatusCode)
		data, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, "the body", string(data))
		require.NoError(t, resp.Body.Close())
		sent := s.only(t)
		assert.Equal(t, "Bearer the-token", sent.Header.Get("Authorization"))
		assert.Equal(t, "sent", sent.Body)
		assert.NotContains(t, sent.Header, "Accept", "what to accept is the caller's to say")
		assert.Zero(t, s.leaks())
	}
}

func TestClientRepeatsAndRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(reply(503, "", "", "Retry-After", "2"), reply(401, "", ""), reply(200, "", "good"))
		client, err := NewClient(tokensNamed("one", "two"), &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
		require.NoError(t, err)
		var last *http.Response
		ctx := WithResponse(t.Context(), &last)
		resp, err := client.Do(newRequest(t, http.MethodGet, apiURL, "").WithContext(ctx))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, 200, resp.StatusCode)
		assert.Equal(t, 2*time.Second, time.Since(start))
		assert.Len(t, s.requests(), 3)
		assert.Equal(t, 200, last.StatusCode)
		assert.Zero(t, s.leaks())

		_, err = client.Do(newRequest(t, http.MethodGet, apiURL, "").WithContext(WithRetry(t.Context(), Retry{Attempts: 1})))
		require.NoError(t, err)
		assert.Len(t, s.requests(), 4)
	})
}

// One deadline and one number of attempts bound a call with its redirects, also under an http.Client.
func TestClientFollowsRedirectsWithinTheOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(
			after(10*time.Second, reply(302, "", "", "Location", "/second")),
			after(10*time.Second, reply(307, "", "", "Location", "https://API.example.com:443/third")),
			after(20*time.Second, reply(200, "", "")),
		)
		resp, err := clientOver(t, s, Static("the-token")).Get(apiURL + "/first?query")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Nil(t, resp)
		assert.Equal(t, 30*time.Second, time.Since(start))
		require.Len(t, s.requests(), 3)
		assert.Equal(t, "https://API.example.com:443/third", s.requests()[2].URL)

		s = newScript(reply(302, "", "", "Location", "/second"), reply(200, "", ""))
		resp, err = clientOver(t, s, nil).Get(apiURL + "/first")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, "/second", resp.Request.URL.Path)
		assert.Zero(t, s.leaks())
	})
}

// An error of the client is an *Error, in the *url.Error that http.Client makes.
func TestClientErrors(t *testing.T) {
	s := newScript(withoutResponse(errReset))
	_, err := clientOver(t, s, Static("the-token")).Do(newRequest(t, http.MethodPost, apiURL+"/x", "body"))
	require.ErrorIs(t, err, errConnReset)
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok)
	assert.Equal(t, "POST https://api.example.com/x: read tcp: connection reset by peer (the server may have acted on it)", e.Error())
	require.ErrorAs(t, err, new(*url.Error))

	_, err = clientOver(t, s, Static("")).Get(apiURL)
	require.ErrorIs(t, err, ErrNoToken)

	s = newScript(reply(200, "", strings.Repeat("x", 11)))
	client, err := NewClient(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), MaxBody: 10})
	require.NoError(t, err)
	resp, err := client.Get(apiURL)
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.EqualError(t, err, "GET https://api.example.com: 200 OK: the response is longer than 10 bytes")
	require.NoError(t, resp.Body.Close())
}

func TestNewClientRefuses(t *testing.T) {
	var nilCache *Cache
	tests := []struct {
		src  Source
		opts *DoerOptions
		want string
	}{
		{nil, nil, "tokens: BaseURL is empty and the Source has none; set BaseURL to the origin of the API"},
		{Static("at"), &DoerOptions{BaseURL: "http://api.example.com"}, "tokens: the base URL http://api.example.com is neither https nor loopback; a token would be sent in the clear"},
		{nilCache, &DoerOptions{BaseURL: apiURL}, "tokens: the Source is a nil *tokens.Cache"},
		{sourceFunc(nil), &DoerOptions{BaseURL: apiURL}, "tokens: the Source is a nil tokens.sourceFunc"},
		{sourceOf{"https://one.example.com"}, &DoerOptions{BaseURL: "https://two.example.com"}, "tokens: BaseURL is https://two.example.com but the Source's tokens are for https://one.example.com; leave BaseURL empty"},
		{sourceOf{"https://one.example.com"}, &DoerOptions{BaseURL: "http://two.example.com"}, "tokens: the base URL http://two.example.com is neither https nor loopback; a token would be sent in the clear"},
		{sourceOf{"http://one.example.com"}, &DoerOptions{BaseURL: apiURL}, "tokens: the base URL http://one.example.com is neither https nor loopback; a token would be sent in the clear"},
		{nil, &DoerOptions{BaseURL: apiURL, Header: http.Header{"Authorization": {"Bearer x"}}}, "tokens: Header: Authorization is set by the SDK"},
		{nil, &DoerOptions{BaseURL: apiURL, Header: http.Header{"X-Key": {"a\n"}}}, "tokens: Header: X-Key ends in a newline"},
		{nil, &DoerOptions{BaseURL: apiURL, Header: http.Header{"host": {"x"}}}, "tokens: Header: host is set by the SDK"},
		{nil, &DoerOptions{BaseURL: apiURL, Header: http.Header{"Transfer-Encoding": {"chunked"}}}, "tokens: Header: Transfer-Encoding is set by the SDK"},
		{nil, &DoerOptions{BaseURL: apiURL, Header: http.Header{"x-KEY": {"1"}, "x-key": {"2"}}}, "tokens: Header: x-KEY and x-key are the same header; write its values under one name"},
		{nil, &DoerOptions{BaseURL: apiURL, Header: http.Header{"X Key": {"1"}}}, `tokens: Header: "X Key" is not the name of a header`},
		{nil, &DoerOptions{BaseURL: apiURL, Header: http.Header{"": {"1"}}}, `tokens: Header: "" is not the name of a header`},
		{nil, &DoerOptions{BaseURL: apiURL, Retry: Retry{Attempts: -1}}, "tokens: a Retry has a negative member"},
		{nil, &DoerOptions{BaseURL: apiURL, Timeout: -1}, "tokens: Timeout is negative"},
	}
	for _, tt := range tests {
		client, err := NewClient(tt.src, tt.opts)
		assert.Nil(t, client)
		require.EqualError(t, err, tt.want)
		_, err = NewDoer(tt.src, tt.opts)
		require.EqualError(t, err, tt.want)
	}
}

// sourceOf is a Source with a BaseURL.
type sourceOf struct{ baseURL string }

func (s sourceOf) Token(context.Context) (*Token, error) {
	return &Token{AccessToken: "the-token"}, nil
}
func (s sourceOf) BaseURL() string { return s.baseURL }

// wrapping is a user's wrapper of a Source.
type wrapping struct{ Source }

func (w wrapping) Unwrap() Source { return w.Source }

// The origin is that of the Source, even if it is wrapped; the option is for a Source without one.
func TestOriginOfTheSource(t *testing.T) {
	tests := []struct {
		src     Source
		baseURL string
		want    string
	}{
		{sourceOf{"https://one.example.com/v7"}, "", "https://one.example.com"},
		{wrapping{wrapping{sourceOf{"https://one.example.com"}}}, "", "https://one.example.com"},
		{wrapping{sourceOf{"https://one.example.com"}}, "https://ONE.example.com:443/other", "https://one.example.com"},
		{sourceOf{""}, "https://two.example.com", "https://two.example.com"},
		{wrapping{Static("the-token")}, "https://two.example.com", "https://two.example.com"},
	}
	for _, tt := range tests {
		s := newScript(reply(200, jsonType, "{}"))
		opts := &DoerOptions{BaseURL: tt.baseURL, HTTPClient: s.client()}
		d, err := NewDoer(tt.src, opts)
		require.NoError(t, err)
		client, err := NewClient(tt.src, opts)
		require.NoError(t, err)
		transport, err := NewTransport(tt.src, tt.baseURL, s)
		require.NoError(t, err)
		for _, do := range []func(*http.Request) (*http.Response, error){d.Do, client.Do, transport.RoundTrip} {
			resp, err := do(newRequest(t, http.MethodGet, tt.want+"/x", ""))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		}
		for _, sent := range s.requests() {
			assert.Equal(t, "Bearer the-token", sent.Header.Get("Authorization"))
		}
		assert.Equal(t, "tokens.Transport("+tt.want+")", fmt.Sprint(transport))
	}
	assert.Equal(t, "tokens.Transport(nil)", fmt.Sprint((*Transport)(nil)))
	_, err := NewTransport(sourceOf{""}, "", nil)
	require.EqualError(t, err, "tokens: BaseURL is empty and the Source has none; set BaseURL to the origin of the API")
}

// A token is renewed after a 401 even if the Source is wrapped.
func TestTransportRenewsBehindAWrapper(t *testing.T) {
	s := newScript(reply(401, "", ""), reply(200, "", ""))
	resp, err := transportOver(t, s, wrapping{tokensNamed("one", "two")}).RoundTrip(newRequest(t, http.MethodGet, apiURL, ""))
	require.NoError(t, err)
	assert.Equal(t, 200, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
}

// A Doer refuses a request to another origin, without sending anything. A Transport passes it on without a token.
func TestOtherOriginsAreRefused(t *testing.T) {
	const only = ", but this client is for https://api.example.com alone"
	tests := []struct {
		name   string
		url    string
		change func(*http.Request)
		want   string
	}{
		{"another host", "https://other.example.com/x", nil, "the request goes to https://other.example.com" + only},
		{"another port", "https://api.example.com:8443/x", nil, "the request goes to https://api.example.com:8443" + only},
		{"another scheme", "http://api.example.com/x", nil, "the request goes to http://api.example.com" + only},
		{"a host that only begins so", "https://api.example.com.other.example/x", nil, "the request goes to https://api.example.com.other.example" + only},
		{"a user that looks like it", "https://api.example.com@other.example.com/x", nil, "the request goes to https://other.example.com"},
		{"another Host header", apiURL, func(r *http.Request) { r.Host = "other.example.com" }, "the request goes to https://api.example.com but names the host other.example.com"},
		{"an opaque URL", apiURL, func(r *http.Request) { r.URL.Opaque = "//other.example.com/x" }, "the request has a URL.Opaque that may name another host than https://api.example.com; use URL.Path and URL.RawPath"},
		{"an opaque URL elsewhere", "https://other.example.com/x", func(r *http.Request) { r.URL.Opaque = "//api.example.com/x" }, "the request goes to https://other.example.com" + only},
		{"an opaque absolute URL", apiURL, func(r *http.Request) { r.URL.Opaque = "http://other.example.com/x" }, "the request has a URL.Opaque that may name another host than https://api.example.com; use URL.Path and URL.RawPath"},
		{"the same, spelled otherwise", "https://API.example.com:443/x", nil, ""},
		{"the same, with an empty port", "https://api.example.com:/x", nil, ""},
		{"the same Host", apiURL, func(r *http.Request) { r.Host = "API.example.com:443" }, ""},
		{"no Host", apiURL, func(r *http.Request) { r.Host = "" }, ""},
		{"an opaque path", apiURL, func(r *http.Request) { r.URL.Opaque = "/a%2Fb" }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request := func() *http.Request {
				req := newRequest(t, http.MethodGet, tt.url, "")
				if tt.change != nil {
					tt.change(req)
				}
				return req
			}
			s := newScript(reply(200, jsonType, "{}"))
			edit, err := NewRequestEditor(Static("the-token"), apiURL)
			require.NoError(t, err)
			for name, do := range map[string]func(*http.Request) (*http.Response, error){
				"Doer": doerOver(t, s, Static("the-token")).Do, "client": clientOver(t, s, Static("the-token")).Do, "no Source": doerOver(t, s, nil).Do,
			} {
				body := &countedBody{Reader: strings.NewReader("")}
				req := request()
				req.Body = body
				resp, err := do(req)
				assert.Equal(t, 1, body.closed(), name)
				if tt.want == "" {
					require.NoError(t, err, name)
					require.NoError(t, resp.Body.Close())
					continue
				}
				require.ErrorContains(t, err, tt.want, name)
				e, ok := errors.AsType[*Error](err)
				require.True(t, ok)
				assert.True(t, e.unsent)
			}
			editErr := edit(t.Context(), request())
			if tt.want == "" {
				require.NoError(t, editErr)
				return
			}
			require.ErrorContains(t, editErr, "tokens: "+tt.want)
			assert.Empty(t, s.requests())

			resp, err := transportOver(t, s, Static("the-token")).RoundTrip(request())
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.NotContains(t, s.only(t).Header, "Authorization")
		})
	}
}

// The User-Agent has the version of this module, not that of the program.
func TestModuleVersion(t *testing.T) {
	program := debug.Module{Path: "example.com/program", Version: "v9.0.0"}
	other := &debug.Module{Path: "example.com/other", Version: "v8.0.0"}
	this := func(version string, replace *debug.Module) *debug.Module {
		return &debug.Module{Path: "github.com/grantwright/oauth-go", Version: version, Replace: replace}
	}
	for _, tt := range []struct {
		main debug.Module
		deps []*debug.Module
		want string
	}{
		{program, []*debug.Module{this("v1.2.3", nil), other}, "1.2.3"},
		{program, []*debug.Module{other, this("v1.2.3", &debug.Module{Path: "example.com/fork", Version: "v1.2.4-rc.1"})}, "1.2.4-rc.1"},
		{program, []*debug.Module{this("v1.2.3", &debug.Module{Path: "../fork"}), other}, "devel"},
		{*this("(devel)", nil), []*debug.Module{other}, "devel"},
		{*this("v1.2.3", nil), []*debug.Module{other}, "1.2.3"},
		{program, []*debug.Module{other}, "devel"},
	} {
		assert.Equal(t, tt.want, moduleVersion(&debug.BuildInfo{Main: tt.main, Deps: tt.deps}), "%v", tt)
	}
	assert.Equal(t, "devel", moduleVersion(nil), "a program without build information")
}

func TestHeaders(t *testing.T) {
	header := http.Header{"X-Gateway-Key": {"a", "b"}, "x-lower": {"c"}}
	s := newScript(reply(200, jsonType, "{}"))
	send := func(h http.Header, req http.Header) http.Header {
		d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Header: h})
		require.NoError(t, err)
		r := newRequest(t, http.MethodGet, apiURL, "")
		r.Header = req
		before := req.Clone()
		resp, err := d.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, before, r.Header, "the caller's request is as it was")
		return s.requests()[len(s.requests())-1].Header
	}
	assert.Equal(t, http.Header{
		"Accept": {accept}, "User-Agent": {"oauth-go/devel"}, "X-Gateway-Key": {"a", "b"}, "X-Lower": {"c"},
	}, send(header, nil))
	assert.Equal(t, http.Header{
		"Accept": {"text/csv"}, "User-Agent": {"mine"}, "X-Gateway-Key": {"own"}, "X-Lower": {"c"},
	}, send(header, http.Header{"X-Gateway-Key": {"own"}, "User-Agent": {"mine"}, "Accept": {"text/csv"}}))
	assert.Equal(t, []string{"agent/1"}, send(http.Header{"User-Agent": {"agent/1"}}, nil)["User-Agent"])

	shared := http.Header{"X-Key": {"before"}}
	d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Header: shared})
	require.NoError(t, err)
	shared["X-Key"][0] = "after"
	resp, err := d.Do(newRequest(t, http.MethodGet, apiURL, ""))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, "before", s.requests()[len(s.requests())-1].Header.Get("X-Key"))
}

// A request can be sent again, because the Doer does not add its Accept header to it.
func TestDoerLeavesTheRequestAlone(t *testing.T) {
	s := newScript(reply(200, "text/html", "<p>"))
	d := doerOver(t, s, Static("the-token"))
	req := newRequest(t, http.MethodGet, apiURL, "")
	for range 2 {
		_, err := d.Do(req)
		require.ErrorContains(t, err, "the response is text/html where JSON was asked for")
		assert.Empty(t, req.Header)
	}
}

func TestRequestEditor(t *testing.T) {
	edit, err := NewRequestEditor(tokensNamed("the-token"), apiURL)
	require.NoError(t, err)
	req := newRequest(t, http.MethodGet, apiURL+"/x", "")
	require.NoError(t, edit(t.Context(), req))
	assert.Equal(t, "Bearer the-token", req.Header.Get("Authorization"))

	req = newRequest(t, http.MethodGet, apiURL, "")
	req.Header["authorization"] = []string{"Basic abc"}
	require.NoError(t, edit(t.Context(), req))
	assert.Equal(t, http.Header{"authorization": {"Basic abc"}}, req.Header)

	for _, src := range []Source{Static(""), Static("a b"), tokensNamed()} {
		edit, err := NewRequestEditor(src, apiURL)
		require.NoError(t, err)
		req := newRequest(t, http.MethodGet, apiURL, "")
		require.ErrorIs(t, edit(t.Context(), req), ErrNoToken)
		assert.Empty(t, req.Header)
	}
}

func TestZeroTransport(t *testing.T) {
	for _, transport := range []*Transport{nil, {}} {
		body := &countedBody{Reader: strings.NewReader("x")}
		req := newRequest(t, http.MethodPost, apiURL, "")
		req.Body = body
		_, err := transport.RoundTrip(req)
		require.EqualError(t, err, "tokens: the zero Transport cannot send; make one with NewTransport")
		assert.Equal(t, 1, body.closed())
		assert.NotEmpty(t, fmt.Sprint(transport))
	}
}

// An idler is a transport that has idle connections.
type idler struct {
	*script

	closed int
}

func (i *idler) CloseIdleConnections() { i.closed++ }

func TestClientClosesIdleConnections(t *testing.T) {
	base := &idler{script: newScript(reply(200, "", ""))}
	client, err := NewClient(Static("at"), &DoerOptions{BaseURL: apiURL, HTTPClient: &http.Client{Transport: base}})
	require.NoError(t, err)
	assert.Equal(t, "tokens.NewClient("+apiURL+")", fmt.Sprint(client.Transport))
	client.CloseIdleConnections()
	assert.Equal(t, 1, base.closed)
}

// The headers in options may be secrets.
func TestDoerOptionsPrintNoHeader(t *testing.T) {
	opts := DoerOptions{BaseURL: apiURL + "/v1", Header: http.Header{"X-Gateway-Key": {"canary"}}}
	assertSilent(t, opts)
	assertSilent(t, &opts)
	assert.Equal(t, "tokens.DoerOptions(https://api.example.com)", fmt.Sprintf("%+v", opts))
	d, err := NewDoer(Static(canaryAccess), &opts)
	require.NoError(t, err)
	assertSilent(t, d)
	client, err := NewClient(Static(canaryAccess), &opts)
	require.NoError(t, err)
	assertNoCanary(t, fmt.Sprintf("%v %+v %#v %+v", client, client, client.Transport, *client))
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("", "doer", d, "client", client, "options", opts)
	assertNoCanary(t, b.String())
}
