package tokens

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// renewable is a Source that returns its tokens one after another, the next one after each Invalidate, and then err.
type renewable struct {
	mu       sync.Mutex
	tokens   []*Token
	err      error
	rejected []*Token
}

func tokensNamed(names ...string) *renewable {
	r := &renewable{err: errors.New("no more tokens")}
	for _, name := range names {
		r.tokens = append(r.tokens, &Token{AccessToken: name, TokenType: "Bearer"})
	}
	return r
}

func (r *renewable) Token(context.Context) (*Token, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.tokens) == 0 {
		return nil, r.err
	}
	return r.tokens[0], nil
}

func (r *renewable) Invalidate(rejected *Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rejected = append(r.rejected, rejected)
	if len(r.tokens) > 0 {
		r.tokens = r.tokens[1:]
	}
}

type sourceFunc func(context.Context) (*Token, error)

func (f sourceFunc) Token(ctx context.Context) (*Token, error) { return f(ctx) }

func transportOver(t *testing.T, s *script, src Source) *Transport {
	t.Helper()
	transport, err := NewTransport(src, apiURL+"/base/path", s)
	require.NoError(t, err)
	return transport
}

// checkedRoundTrip sends a request with a counted, replayable body, and checks the contract of http.RoundTripper: the
// request is unchanged, and each body is closed exactly once.
func checkedRoundTrip(t *testing.T, rt http.RoundTripper, req *http.Request, replayable bool) (*http.Response, error) {
	t.Helper()
	var bodies []*countedBody
	open := func() (io.ReadCloser, error) {
		b := &countedBody{Reader: strings.NewReader("the body")}
		bodies = append(bodies, b)
		return b, nil
	}
	req.Body, _ = open()
	req.GetBody = nil
	if replayable {
		req.GetBody = open
	}
	before := *req
	header := req.Header.Clone()

	resp, err := rt.RoundTrip(req)

	assert.Equal(t, header, req.Header, "the request was modified")
	assert.Equal(t, before.URL.String(), req.URL.String())
	assert.Same(t, before.Body, req.Body)
	for i, b := range bodies {
		assert.Equal(t, 1, b.closed(), "closes of body %d", i)
	}
	return resp, err
}

func TestNewTransportRefuses(t *testing.T) {
	var nilCache *Cache
	tests := []struct {
		src     Source
		baseURL string
		want    string
	}{
		{nil, apiURL, "tokens: the Source is nil; pass a Cache or Static"},
		{nilCache, apiURL, "tokens: the Source is a nil *tokens.Cache"},
		{sourceFunc(nil), apiURL, "tokens: the Source is a nil tokens.sourceFunc"},
		{Static("at"), "http://api.example.com", "tokens: the base URL http://api.example.com is neither https nor loopback; a token would be sent in the clear"},
		{Static("at"), "", "tokens: BaseURL is empty and the Source has none; set BaseURL to the origin of the API"},
	}
	for _, tt := range tests {
		transport, err := NewTransport(tt.src, tt.baseURL, nil)
		assert.Nil(t, transport)
		require.EqualError(t, err, tt.want)
		edit, err := NewRequestEditor(tt.src, tt.baseURL)
		assert.Nil(t, edit)
		require.EqualError(t, err, tt.want)
	}
}

// B-02, B-09: the token is sent only to the base URL's scheme, host and port.
func TestTransportOrigins(t *testing.T) {
	tests := []struct {
		baseURL, url string
		want         bool
	}{
		{apiURL, apiURL, true},
		{apiURL, apiURL + "/any/path?and=query", true},
		{apiURL + "/v7", apiURL + "/other", true},
		{apiURL, "https://API.Example.com:443/", true},
		{"https://API.example.com:443", apiURL, true},
		{"https://api.example.com:8443", "https://api.example.com:8443/x", true},
		{"http://localhost:8080", "http://localhost:8080/x", true},
		{"http://127.0.0.1", "http://127.0.0.1:80/", true},
		{apiURL, "http://api.example.com", false},
		{apiURL, "http://api.example.com:443", false},
		{apiURL, "https://api.example.com:8443", false},
		{apiURL, "https://example.com", false},
		{apiURL, "https://x.api.example.com", false},
		{apiURL, "https://api.example.com.evil.example", false},
		{apiURL, "https://api.example.com@evil.example", false},
		{"http://localhost:8080", "http://localhost:8081", false},
		{"http://localhost:8080", "https://localhost:8080", false},
	}
	for _, tt := range tests {
		t.Run(tt.baseURL+" "+tt.url, func(t *testing.T) {
			s := newScript(reply(200, "", ""))
			src := tokensNamed("the-token")
			transport, err := NewTransport(src, tt.baseURL, s)
			require.NoError(t, err)
			resp, err := checkedRoundTrip(t, transport, newRequest(t, http.MethodPost, tt.url, ""), true)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			if tt.want {
				assert.Equal(t, []string{"Bearer the-token"}, s.only(t).Header["Authorization"])
			} else {
				assert.NotContains(t, s.only(t).Header, "Authorization")
			}
		})
	}
}

// With an http.Client that follows redirects anywhere, the token is still sent only to its origin.
func TestTransportUnderAClientThatFollowsRedirects(t *testing.T) {
	for _, target := range redirectTargets {
		t.Run(target.name, func(t *testing.T) {
			s := redirecting(302, target.location)
			client := &http.Client{Transport: transportOver(t, s, Static("the-token"))}
			resp, err := client.Do(newRequest(t, http.MethodGet, apiURL+"/first", ""))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Len(t, s.requests(), 2)
			want := ""
			if target.sameOrigin {
				want = "Bearer the-token"
			}
			assert.Equal(t, want, s.requests()[1].Header.Get("Authorization"))
		})
	}
}

// B-01: there is never a second credential next to the caller's own.
func TestTransportRespectsAuthorization(t *testing.T) {
	src := tokensNamed("the-token", "next")
	s := newScript(reply(401, "", ""))
	req := newRequest(t, http.MethodPost, apiURL, "")
	req.Header.Set("Authorization", "Bearer the-callers")
	resp, err := checkedRoundTrip(t, transportOver(t, s, src), req, true)
	require.NoError(t, err)
	assert.Equal(t, 401, resp.StatusCode)
	assert.Equal(t, []string{"Bearer the-callers"}, s.only(t).Header["Authorization"])
	assert.Empty(t, src.rejected, "the refused credential was not a token of the Source")
}

func TestTransportRenewsAfter401(t *testing.T) {
	src := tokensNamed("old", "new")
	first := src.tokens[0]
	s := newScript(reply(401, "", "refused"), reply(200, "", "good"))
	resp, err := checkedRoundTrip(t, transportOver(t, s, src), newRequest(t, http.MethodPost, apiURL+"/x", ""), true)
	require.NoError(t, err)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, "good", string(data))
	require.Len(t, s.requests(), 2)
	for i, want := range []string{"Bearer old", "Bearer new"} {
		assert.Equal(t, []string{want}, s.requests()[i].Header["Authorization"])
		assert.Equal(t, "the body", s.requests()[i].Body)
	}
	require.Len(t, src.rejected, 1)
	assert.Same(t, first, src.rejected[0])
	assert.Zero(t, s.leaks())
}

// B-06, B-07: one renewal, only after 401, and only if another request can be sent.
func TestTransportLets401Stand(t *testing.T) {
	unauthorized := reply(401, jsonType, `{"error":"invalid_token"}`)
	tests := []struct {
		name       string
		src        Source
		step       step
		replayable bool
		status     int
		sends      int
		rejected   int
	}{
		{"refused again", tokensNamed("old", "new", "newer"), unauthorized, true, 401, 2, 1},
		{"a body that cannot be replayed", tokensNamed("old", "new"), unauthorized, false, 401, 1, 1},
		{"the same token again", tokensNamed("old", "old"), unauthorized, true, 401, 1, 1},
		{"no other token", tokensNamed("old"), unauthorized, true, 401, 1, 1},
		{"an unusable token", tokensNamed("old", "new\n"), unauthorized, true, 401, 1, 1},
		{"a Source that cannot renew", Static("old"), unauthorized, true, 401, 1, 0},
		{"403", tokensNamed("old", "new"), reply(403, "", "", "WWW-Authenticate", `Bearer error="insufficient_scope"`), true, 403, 1, 0},
		{"400", tokensNamed("old", "new"), reply(400, "", ""), true, 400, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(tt.step)
			resp, err := checkedRoundTrip(t, transportOver(t, s, tt.src), newRequest(t, http.MethodPost, apiURL, ""), tt.replayable)
			require.NoError(t, err)
			assert.Equal(t, tt.status, resp.StatusCode)
			if tt.status == 401 {
				data, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				assert.JSONEq(t, `{"error":"invalid_token"}`, string(data), "the body of the 401 can be read")
			}
			require.NoError(t, resp.Body.Close())
			assert.Len(t, s.requests(), tt.sends)
			if src, ok := tt.src.(*renewable); ok {
				assert.Len(t, src.rejected, tt.rejected)
			}
			assert.Zero(t, s.leaks())
		})
	}

	t.Run("a GetBody that fails", func(t *testing.T) {
		s := newScript(unauthorized)
		body := &countedBody{Reader: strings.NewReader("x")}
		req := newRequest(t, http.MethodPost, apiURL, "")
		req.Body, req.GetBody = body, func() (io.ReadCloser, error) { return nil, errors.New("gone") }
		resp, err := transportOver(t, s, tokensNamed("old", "new")).RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		s.only(t)
		assert.Equal(t, 1, body.closed())
	})
	t.Run("no body at all", func(t *testing.T) {
		for _, body := range []io.ReadCloser{nil, http.NoBody} {
			s := newScript(unauthorized, reply(200, "", ""))
			req := newRequest(t, http.MethodGet, apiURL, "")
			req.Body = body
			resp, err := transportOver(t, s, tokensNamed("old", "new")).RoundTrip(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, 200, resp.StatusCode)
		}
	})
}

// A request without a URL is left to the base, which refuses it.
func TestTransportWithoutAURL(t *testing.T) {
	transport, err := NewTransport(Static("the-token"), apiURL, nil)
	require.NoError(t, err)
	_, err = transport.RoundTrip((&http.Request{Method: http.MethodGet}).WithContext(t.Context()))
	require.ErrorContains(t, err, "nil Request.URL")
}

func TestTransportFails(t *testing.T) {
	broken := errors.New("connection reset")
	for _, steps := range [][]step{{withoutResponse(broken)}, {reply(401, "", ""), withoutResponse(broken)}} {
		s := newScript(steps...)
		resp, err := checkedRoundTrip(t, transportOver(t, s, tokensNamed("old", "new")), newRequest(t, http.MethodPost, apiURL, ""), true)
		assert.Nil(t, resp)
		require.ErrorIs(t, err, broken)
		assert.NotErrorIs(t, err, ErrNoToken)
		assert.Zero(t, s.leaks())
	}
}

// Nothing is sent without a valid token: O-12 (another type), B-04 (characters that are not allowed in a header).
func TestTransportWithoutAToken(t *testing.T) {
	sealed := errors.New("vault sealed")
	endpoint := &Error{Method: "POST", URL: "https://x", StatusCode: 401, Code: InvalidClient}
	tests := []struct {
		name string
		src  Source
		is   error
		want string
	}{
		{"the Source fails", sourceFunc(func(context.Context) (*Token, error) { return nil, sealed }), sealed, "no access token: vault sealed"},
		{"the endpoint refuses", sourceFunc(func(context.Context) (*Token, error) { return nil, endpoint }), InvalidClient, "no access token: POST https://x: 401 Unauthorized: invalid_client"},
		{"a nil Token", sourceFunc(func(context.Context) (*Token, error) { return nil, nil }), ErrNoToken, "no access token: tokens: the access token is empty"}, //nolint:nilnil // a broken Source
		{"an empty token", sourceFunc(func(context.Context) (*Token, error) { return &Token{}, nil }), ErrNoToken, "no access token: tokens: the access token is empty"},
		{"DPoP", sourceFunc(func(context.Context) (*Token, error) { return &Token{AccessToken: "s3cret", TokenType: "DPoP"}, nil }), ErrNoToken, `no access token: tokens: the token type "DPoP" is not Bearer`},
		{"mac", sourceFunc(func(context.Context) (*Token, error) { return &Token{AccessToken: "s3cret", TokenType: "m\nac"}, nil }), ErrNoToken, `no access token: tokens: the token type "m ac" is not Bearer`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(reply(200, "", ""))
			resp, err := checkedRoundTrip(t, transportOver(t, s, tt.src), newRequest(t, http.MethodPost, apiURL, ""), true)
			assert.Nil(t, resp)
			require.EqualError(t, err, tt.want)
			require.ErrorIs(t, err, ErrNoToken)
			require.ErrorIs(t, err, tt.is)
			assert.Empty(t, s.requests())

			// A Doer does not retry it, and its error matches too.
			d, err := NewDoer(tt.src, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
			require.NoError(t, err)
			_, err = d.Do(newRequest(t, http.MethodGet, apiURL+"/x", ""))
			require.EqualError(t, err, "GET "+apiURL+"/x: "+tt.want)
			require.ErrorIs(t, err, ErrNoToken)
			require.ErrorIs(t, err, tt.is)
			assert.Empty(t, s.requests())
		})
	}

	t.Run("a nil Token after another one", func(t *testing.T) {
		s := newScript(reply(200, "", ""))
		transport := transportOver(t, s, tokensThenNone(1, nil))
		resp, err := transport.RoundTrip(newRequest(t, http.MethodGet, apiURL, ""))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		_, err = transport.RoundTrip(newRequest(t, http.MethodGet, apiURL, ""))
		require.EqualError(t, err, "no access token: tokens: the access token is empty")
		s.only(t)
	})
	t.Run("characters", func(t *testing.T) {
		for c := range 256 {
			token := "a" + string([]byte{byte(c)}) + "b"
			allowed := c > ' ' && c < 0x7f && !strings.ContainsRune(`"\,;`, rune(c))
			s := newScript(reply(200, "", ""))
			resp, err := transportOver(t, s, Static(token)).RoundTrip(newRequest(t, http.MethodGet, apiURL, ""))
			if allowed {
				require.NoError(t, err, "%q", token)
				require.NoError(t, resp.Body.Close())
				assert.Equal(t, "Bearer "+token, s.only(t).Header.Get("Authorization"))
			} else {
				require.ErrorIs(t, err, ErrNoToken, "%q", token)
				assert.EqualError(t, err, "no access token: tokens: the access token has a character that no header may carry")
				assert.Empty(t, s.requests())
			}
		}
	})
	t.Run("token types that are Bearer", func(t *testing.T) {
		for _, tokenType := range []string{"", "Bearer", "bearer", "BEARER"} {
			s := newScript(reply(200, "", ""))
			src := sourceFunc(func(context.Context) (*Token, error) { return &Token{AccessToken: "at", TokenType: tokenType}, nil })
			resp, err := transportOver(t, s, src).RoundTrip(newRequest(t, http.MethodGet, apiURL, ""))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, "Bearer at", s.only(t).Header.Get("Authorization"))
		}
	})
}

// The Source gets the context of the request.
func TestTransportPassesTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newScript(reply(200, "", ""))
	src := sourceFunc(func(ctx context.Context) (*Token, error) { return nil, ctx.Err() })
	_, err := transportOver(t, s, src).RoundTrip(newRequest(t, http.MethodGet, apiURL, "").WithContext(ctx))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, ErrNoToken)
}

// The header is reused for the next request, but never for another token.
func TestTransportSendsTheTokenOfNow(t *testing.T) {
	s := newScript(reply(200, "", ""))
	src := tokensNamed("one", "two", "three")
	transport := transportOver(t, s, src)
	var want []string
	for _, name := range []string{"one", "two", "three"} {
		for range 2 {
			resp, err := transport.RoundTrip(newRequest(t, http.MethodGet, apiURL, ""))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			want = append(want, "Bearer "+name)
		}
		src.Invalidate(nil)
	}
	for i, sent := range s.requests() {
		assert.Equal(t, want[i], sent.Header.Get("Authorization"))
	}
}

func TestTransportByManyAtOnce(t *testing.T) {
	s := newScript(reply(200, "", ""))
	calls := 0
	var mu sync.Mutex
	src := sourceFunc(func(context.Context) (*Token, error) {
		mu.Lock()
		defer mu.Unlock()
		calls++
		return &Token{AccessToken: strings.Repeat("t", 1+calls%3)}, nil
	})
	transport := transportOver(t, s, src)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			resp, err := transport.RoundTrip(newRequest(t, http.MethodGet, apiURL, ""))
			if assert.NoError(t, err) {
				assert.NoError(t, resp.Body.Close())
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for _, sent := range s.requests() {
		seen[sent.Header.Get("Authorization")]++
	}
	assert.Equal(t, map[string]int{"Bearer t": 16, "Bearer tt": 17, "Bearer ttt": 17}, seen)
}

// If base is nil, http.DefaultTransport sends the token.
func TestTransportOverDefaultTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	}))
	defer server.Close()
	transport, err := NewTransport(Static("at"), server.URL, nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: transport}).Do(newRequest(t, http.MethodGet, server.URL, ""))
	require.NoError(t, err)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, "Bearer at", string(data))
}

// A Source may reuse one Token for all of its tokens.
func TestTransportOverASourceThatReusesItsToken(t *testing.T) {
	src := &reusing{}
	src.token.AccessToken = "one"
	s := newScript(reply(200, "", ""), reply(401, "", ""), reply(200, "", ""))
	transport := transportOver(t, s, src)
	for _, name := range []string{"one", "two"} {
		src.token.AccessToken = name
		resp, err := transport.RoundTrip(newRequest(t, http.MethodGet, apiURL, ""))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	var sent []string
	for _, r := range s.requests() {
		sent = append(sent, r.Header.Get("Authorization"))
	}
	assert.Equal(t, []string{"Bearer one", "Bearer two", "Bearer three"}, sent)
	assert.Equal(t, []string{"two"}, src.rejected)

	src.token.AccessToken, src.token.TokenType = "three", "DPoP"
	_, err := transport.RoundTrip(newRequest(t, http.MethodGet, apiURL, ""))
	require.ErrorIs(t, err, ErrNoToken)
}

// Invalidate gets the rejected token, even if the Source's only Token has changed since.
func TestTransportOverASourceThatRenewsMeanwhile(t *testing.T) {
	src := &reusing{token: Token{AccessToken: "one"}}
	s := newScript(func(req *http.Request) (*http.Response, error) {
		src.token.AccessToken = "two"
		return reply(401, "", "")(req)
	}, reply(200, "", ""))
	resp, err := transportOver(t, s, src).RoundTrip(newRequest(t, http.MethodGet, apiURL, ""))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, 200, resp.StatusCode)
	assert.Equal(t, []string{"one"}, src.rejected)
}

// reusing changes its token in place when Token is called after a rejection.
type reusing struct {
	token    Token
	rejected []string
}

func (r *reusing) Token(context.Context) (*Token, error) { return &r.token, nil }

func (r *reusing) Invalidate(rejected *Token) {
	r.rejected = append(r.rejected, rejected.AccessToken)
	r.token.AccessToken = "three"
}

// An Authorization header is recognized in any spelling.
func TestTransportRespectsAnySpelling(t *testing.T) {
	for _, name := range []string{"Authorization", "authorization", "AUTHORIZATION"} {
		s := newScript(reply(200, "", ""))
		req := newRequest(t, http.MethodGet, apiURL, "")
		req.Header[name] = []string{"Basic abc"}
		resp, err := transportOver(t, s, Static("the-token")).RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.Header{name: {"Basic abc"}}, s.only(t).Header)
	}
}

// A header is no credential because its name is as long, and a request may have no Header at all.
func TestTransportAddsAuthorizationToAnyHeader(t *testing.T) {
	for _, header := range []http.Header{nil, {"Cache-Control": {"no-store"}}} {
		s := newScript(reply(200, "", ""))
		req := newRequest(t, http.MethodGet, apiURL, "")
		req.Header = header
		resp, err := transportOver(t, s, Static("the-token")).RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, []string{"Bearer the-token"}, s.only(t).Header["Authorization"])
	}
}
