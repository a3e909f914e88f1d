package oauthclients

import (
	"io"
	"net/http"
)

// readBody reads an answer to its end and closes it. The error is an *Error; what was read before it comes with it.
func readBody(resp *http.Response) ([]byte, error) {
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}
