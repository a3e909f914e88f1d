package oauthclients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/tokens"
)

var errNull = errors.New("the response has null in place of a client")

// readClient reads the response to Get or Patch and closes it.
func readClient(resp *http.Response) (*sailpoint.OAuthClient, error) {
	var client *sailpoint.OAuthClient
	if err := tokens.DecodeResponse(resp, &client); err != nil {
		return nil, err
	}
	if client == nil {
		return nil, tokens.NewError(resp, []byte("null"), errNull)
	}
	return client, nil
}

// decodeElement decodes data, an element of the list in resp.
func decodeElement(resp *http.Response, data []byte) (sailpoint.OAuthClient, error) {
	var client *sailpoint.OAuthClient
	if err := json.Unmarshal(data, &client); err != nil {
		element := *resp // so that the error has the element as its Body
		element.Body, element.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
		return sailpoint.OAuthClient{}, tokens.DecodeResponse(&element, &client)
	}
	if client == nil {
		return sailpoint.OAuthClient{}, tokens.NewError(resp, data, errNull)
	}
	return *client, nil
}

// anyMediaType sets the Accept header that the Doer would set. A Doer does not refuse a success for its media type if the
// request has an Accept header.
func anyMediaType(_ context.Context, req *http.Request) error {
	req.Header.Set("Accept", "application/json, application/problem+json")
	return nil
}

// delivery observes whether the last attempt of a request can have reached the server.
type delivery struct{ unsent atomic.Bool }

// observe returns a context for the request.
func (d *delivery) observe(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { d.unsent.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { d.unsent.Store(false) },
	})
}

// unknown reports whether the server may have done what was asked although the call failed with err: the response was
// lost, or the server failed.
func (d *delivery) unknown(err error) bool {
	e, ok := errors.AsType[*tokens.Error](err)
	switch {
	case !ok || errors.Is(err, tokens.ErrNoToken):
		return false
	case e.StatusCode == 0:
		return !d.unsent.Load()
	}
	return e.StatusCode >= http.StatusInternalServerError
}
