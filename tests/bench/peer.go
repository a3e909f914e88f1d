package main

import (
	"context"
	"net/http"
)

// A peer is a way to keep tokens and to send them, ours among them.
type peer struct {
	name string
	open func(setup) session
	// early is how many seconds before its end the peer renews a token, for a token of at most six minutes.
	early int
	// borrows says that cache and transport are another peer's.
	borrows bool
}

// setup is what a session works with.
type setup struct {
	endpoint *http.Client      // reaches the token endpoint
	baseURL  string            // of the token endpoint
	api      http.RoundTripper // reaches the API that tokens are for
	attempts int               // at most, for one fetch; 0: the peer's default
}

// tokenPath is where the token endpoint is, below the base URL.
const tokenPath = "/v7/oauth2/token"

// apiURL is where tokens are sent.
const apiURL = "https://api.example.com"

// session is one cache of tokens and what sends them.
type session struct {
	token func(context.Context) (string, error)                // nil: the cache is reached by sending only
	send  func(*http.Request) (resp *http.Response, err error) // to the API; nil: has none
}

// peers are all that fetch and keep tokens.
var peers = []peer{
	{name: ours, open: openOurs, early: 8},
	{name: byHand, open: openByHand, early: 10},
	{name: "x/oauth2", open: openXOAuth2, early: 10},
	{name: "google auth", open: openGoogle, early: 225},
	{name: "smithy-go", open: openSmithy, early: 300},
	{name: "azcore", open: openAzcore, early: 300},
	{name: "retryablehttp", open: openRetryable, early: 10, borrows: true},
}

// contenders are the columns of the tables, in their order.
var contenders = []string{
	ours, noStore, bare, byHand, generated, "x/oauth2", "google auth", "smithy-go", "azcore", "retryablehttp",
	union, "jsondiff", "evanphx", "gomodules",
}

// Contenders that are no library.
const (
	byHand    = "by hand"   // net/http, encoding/json and a mutex
	bare      = "bare"      // the least that could do it
	generated = "generated" // the generated client alone
)

// get has the session give or use a token once.
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

// responding is an API in memory that gives the same response to everything. It is shared by all requests, as only
// what stands before it is measured.
type responding struct{ resp *http.Response }

func newResponding(status int) responding {
	return responding{&http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: &http.Request{},
	}}
}

func (a responding) RoundTrip(*http.Request) (*http.Response, error) { return a.resp, nil }
