package main

import (
	"net/http"

	"github.com/hashicorp/go-retryablehttp"
)

// openRetryable is golang.org/x/oauth2 over github.com/hashicorp/go-retryablehttp, a common combination.
func openRetryable(s setup) session {
	s.endpoint = retryable(s.endpoint, s.attempts)
	return openXOAuth2(s)
}

func retryable(client *http.Client, attempts int) *http.Client {
	c := retryablehttp.NewClient()
	c.HTTPClient, c.Logger = client, nil
	if attempts > 0 {
		c.RetryMax = attempts - 1
	}
	return c.StandardClient()
}
