package main

import (
	"context"
	"net/http"
)

// A peer is a library that keeps and sends tokens, including ours.
type peer struct {
	name string
	open func(setup) session
	// early is how many seconds before the expiry the peer renews a token that lives for at most six minutes.
	early int
	// borrows is true if cache and transport are those of another peer.
	borrows bool
}

// setup is what a session needs.
type setup struct {
	endpoint *http.Client      // sends requests to the token endpoint
	baseURL  string            // of the token endpoint
	api      http.RoundTripper // sends requests to the API that the tokens are for
	attempts int               // maximum per fetch; if zero, the peer's default
}

// tokenPath is the path of the token endpoint.
const tokenPath = "/v7/oauth2/token"

// apiURL is the API that tokens are sent to.
const apiURL = "https://api.example.com"

// session is a token cache and a client that sends its tokens.
type session struct {
	token func(context.Context) (string, error)                // nil if only send uses the cache
	send  func(*http.Request) (resp *http.Response, err error) // sends to the API; may be nil
}

// peers are all libraries that fetch and keep tokens.
var peers = []peer{
	{name: ours, open: openOurs, early: 8},
	{name: byHand, open: openByHand, early: 10},
	{name: "x/oauth2", open: openXOAuth2, early: 10},
	{name: "google auth", open: openGoogle, early: 225},
	{name: "smithy-go", open: openSmithy, early: 300},
	{name: "azcore", open: openAzcore, early: 300},
	{name: "retryablehttp", open: openRetryable, early: 10, borrows: true},
}

// contenders are the columns of the tables, in order.
var contenders = []string{
	ours, noStore, bare, byHand, generated, "x/oauth2", "google auth", "smithy-go", "azcore", "retryablehttp",
	union, "jsondiff", "evanphx", "gomodules",
}

// Contenders that are not a library.
const (
	byHand    = "by hand"   // net/http, encoding/json and a mutex
	bare      = "bare"      // the minimum that could do it
	generated = "generated" // only the generated client
)

// get makes the session return or use a token once.
func (s session) get(ctx context.Context) error {
	if s.token != nil {
		_, err := s.token(ctx)
		return err
	}
	return s.call(ctx)
}

// call sends a GET to the API.
func (s session) call(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, apiURL, nil)
	if err != nil {
		return err
	}
	resp, err := s.send(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// responding is an API in memory that returns the same response to every request. The response is shared, because only
// the layers above are measured.
type responding struct{ resp *http.Response }

func newResponding(status int) responding {
	return responding{&http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: &http.Request{},
	}}
}

func (a responding) RoundTrip(*http.Request) (*http.Response, error) { return a.resp, nil }
