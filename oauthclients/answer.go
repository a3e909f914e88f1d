package oauthclients

import (
	"bytes"
	"io"
	"net/http"
	"net/url"

	"github.com/grantwright/oauth-go/tokens"
)

// readBody reads an answer to its end and closes it. The error is an *Error; what was read before it comes with it.
func readBody(resp *http.Response) ([]byte, error) {
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

// maxErrorBody is how much of an answer a tokens.Error keeps.
const maxErrorBody = 64 << 10

// answerError says what is wrong with an answer of which data was read.
func answerError(resp *http.Response, data []byte, text string) error {
	u := resp.Request.URL
	return &tokens.Error{
		Method:     resp.Request.Method,
		URL:        (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String(),
		StatusCode: resp.StatusCode,
		Message:    text,
		RequestID:  resp.Header.Get("Slpt-Request-Id"),
		Body:       bytes.Clone(data[:min(len(data), maxErrorBody)]),
	}
}
