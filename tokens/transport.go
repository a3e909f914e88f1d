package tokens

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync/atomic"
)

// A Transport is an [http.RoundTripper] that sends tokens of a [Source] to one origin (RFC 6750, section 2.1). Requests
// to any other origin, redirected ones among them, and requests that have an Authorization header already pass
// unchanged.
//
// After a 401 it tells a Source that is an [Invalidator], and repeats the request once if the Source then gives another
// token and the body can be had again (GetBody). After a 403 a new token would not help (RFC 6750, section 3.1).
type Transport struct {
	src    Source
	origin origin
	base   http.RoundTripper
	header atomic.Pointer[header]
}

// header is the Authorization header of the token last sent, kept because making it costs two allocations.
type header struct {
	token  *Token
	values []string
}

// NewTransport returns a Transport for the scheme, host and port of baseURL, which must be https or loopback, over base;
// a nil base is http.DefaultTransport.
func NewTransport(src Source, baseURL string, base http.RoundTripper) (*Transport, error) {
	if src == nil {
		return nil, errors.New("tokens: the Source is nil; pass a Cache or Static")
	}
	u, err := parseBaseURL(baseURL)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	if base == nil {
		base = http.DefaultTransport
	}
	return &Transport{src: src, origin: originOf(u), base: base}, nil
}

// Format prints which origin the Transport is for, and nothing of its Source, which may be any type.
func (t *Transport) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "tokens.Transport(%s://%s)", t.origin.scheme, t.origin.host)
}

// RoundTrip sends req with a token. If the Source gives none, nothing is sent and the error matches [ErrNoToken].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.origin.has(req.URL) || req.Header["Authorization"] != nil {
		return t.base.RoundTrip(req)
	}
	token, err := t.src.Token(req.Context())
	var header []string
	if err == nil {
		header, err = t.headerOf(token)
	}
	if err != nil {
		closeBody(req)
		return nil, noToken(err)
	}
	resp, err := t.send(req, header)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	return t.renew(req, token, resp)
}

// renew repeats a request that was answered 401, once. Where it cannot, that answer stands.
func (t *Transport) renew(req *http.Request, rejected *Token, resp *http.Response) (*http.Response, error) {
	invalidator, ok := t.src.(Invalidator)
	if !ok {
		return resp, nil
	}
	invalidator.Invalidate(rejected)
	again, ok := rewind(req)
	if !ok {
		return resp, nil
	}
	token, err := t.src.Token(req.Context())
	if err != nil || usable(token) != nil || token.AccessToken == rejected.AccessToken {
		closeBody(again)
		return resp, nil //nolint:nilerr // the 401 is the better news
	}
	header, _ := t.headerOf(token)
	discard(resp)
	return t.send(again, header)
}

func (t *Transport) send(req *http.Request, header []string) (*http.Response, error) {
	authorized := authorize(req, header)
	resp, err := t.base.RoundTrip(authorized)
	if err == nil && resp.Request == nil {
		resp.Request = authorized // as net/http does it: an Error is made of it
	}
	return resp, err
}

// headerOf returns the Authorization header of a token, after a look at whether it may be one.
func (t *Transport) headerOf(token *Token) ([]string, error) {
	if h := t.header.Load(); h != nil && h.token == token {
		return h.values, nil
	}
	if err := usable(token); err != nil {
		return nil, err
	}
	h := &header{token, []string{"Bearer " + token.AccessToken}}
	t.header.Store(h)
	return h.values, nil
}

// authorize returns a copy of req with an Authorization header.
func authorize(req *http.Request, header []string) *http.Request {
	authorized := new(http.Request)
	*authorized = *req
	authorized.Header = maps.Clone(req.Header)
	if authorized.Header == nil {
		authorized.Header = http.Header{}
	}
	authorized.Header["Authorization"] = header
	return authorized
}

// usable refuses what must not be sent as a Bearer token: one of another type (RFC 6749, section 7.1), and one with a
// character that ends or breaks the header. RFC 6750 section 2.1 allows fewer still, but what a vendor issues it takes.
func usable(token *Token) error {
	switch {
	case token == nil || token.AccessToken == "":
		return errors.New("tokens: the access token is empty")
	case token.TokenType != "" && !isBearer(token.TokenType):
		return fmt.Errorf("tokens: the token type %q is not Bearer", clean(token.TokenType))
	}
	for i := range len(token.AccessToken) {
		if c := token.AccessToken[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == ',' || c == ';' {
			return errors.New("tokens: the access token has a character that no header may carry")
		}
	}
	return nil
}

// rewind returns a copy of req with its body from the start again, or false if there is no way to have it.
func rewind(req *http.Request) (*http.Request, bool) {
	again := new(http.Request)
	*again = *req
	if req.Body == nil || req.Body == http.NoBody {
		return again, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	again.Body = body
	return again, true
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// discard closes an answer that nobody will read, after reading what little keeps its connection in use.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}
