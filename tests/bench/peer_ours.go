package main

import (
	"context"
	"log"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

func openOurs(s setup) session {
	endpoint := newEndpoint(s)
	cache, err := tokens.NewCache(endpoint, nil)
	if err != nil {
		log.Fatal(err)
	}
	transport, err := tokens.NewTransport(cache, apiURL, s.api)
	if err != nil {
		log.Fatal(err)
	}
	return session{
		token: func(ctx context.Context) (string, error) {
			t, err := cache.Token(ctx)
			if err != nil {
				return "", err
			}
			return t.AccessToken, nil
		},
		send: transport.RoundTrip,
	}
}

func newEndpoint(s setup) *tokens.Endpoint {
	endpoint, err := tokens.NewThousandEyes(
		tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
		&tokens.ThousandEyesOptions{BaseURL: s.baseURL, HTTPClient: s.endpoint, Retry: tokens.Retry{Attempts: s.attempts}},
	)
	if err != nil {
		log.Fatal(err)
	}
	return endpoint
}
