package oauthclients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/tokens"
)

var errNull = errors.New("the response has null in place of a client")

// readClient reads the response to Get or Patch and closes its body.
func readClient(resp *http.Response) (*sailpoint.OAuthClient, error) {
	client := new(sailpoint.OAuthClient)
	if err := tokens.DecodeResponse(resp, client); err != nil {
		return nil, err
	}
	return client, nil
}

// decodeElement decodes data, an element of the list in resp.
func decodeElement(resp *http.Response, data []byte) (sailpoint.OAuthClient, error) {
	var client sailpoint.OAuthClient
	if string(data) == "null" {
		return client, tokens.NewError(resp, data, errNull)
	}
	if json.Unmarshal(data, &client) != nil {
		element := *resp // so that the error has the element as its Body
		element.Body, element.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
		return sailpoint.OAuthClient{}, tokens.DecodeResponse(&element, &client)
	}
	return client, nil
}

// anyMediaType sets the Accept header that the Doer would set. If a request has an Accept header, the Doer does not
// check the media type of the response.
func anyMediaType(_ context.Context, req *http.Request) error {
	req.Header.Set("Accept", "application/json, application/problem+json")
	return nil
}

// mayBeDone reports whether the vendor may have acted although the call failed with err, because the response was lost
// or the server failed.
func mayBeDone(err error) bool {
	e, ok := errors.AsType[*tokens.Error](err)
	return ok && (e.MayHaveActed() || e.StatusCode >= http.StatusInternalServerError)
}
