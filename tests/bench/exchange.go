package main

import (
	"context"
	"io"
	"log"
	"net/http"

	"github.com/grantwright/oauth-go/gen/thousandeyes"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// measureExchange measures a token request over loopback, without a cache. It includes both sides of the connection.
func measureExchange(e effort) []figure {
	url, stop := serve(`{"token_type":"Bearer","expires_in":3600,"access_token":"` + jwt + `"}`)
	defer stop()
	e.rounds *= 3 // the scheduler affects two sides that take turns
	ctx := context.Background()
	client := &http.Client{Transport: new(http.Transport)}
	endpoint := newEndpoint(setup{endpoint: client, baseURL: url})
	c := compare(e, 0,
		contender{ours, func() error {
			_, err := endpoint.Exchange(ctx, tokens.Grant{})
			return err
		}},
		contender{byHand, func() error {
			_, _, err := fetch(ctx, client, url)
			return err
		}},
		contender{generated, exchangeGenerated(client, url)},
		contender{"x/oauth2", exchangeXOAuth2(client, url)},
		contender{"retryablehttp", exchangeXOAuth2(retryable(client, 0), url)},
	)
	return []figure{
		c.times("token request over loopback", target{1.05, byHand}),
		c.allocations(target{1.3, byHand}),
	}
}

func exchangeGenerated(client *http.Client, url string) func() error {
	api, err := thousandeyes.NewClientWithResponses(url, thousandeyes.WithHTTPClient(client))
	if err != nil {
		log.Fatal(err)
	}
	return func() error {
		result, err := api.CreateAccessTokenWithFormdataBodyWithResponse(context.Background(), nil, thousandeyes.AccessTokenRequest{
			GrantType: new("client_credentials"), ClientID: new(sandbox.ClientID), ClientSecret: new(sandbox.ClientSecret),
		})
		if err == nil && result.JSON200 == nil {
			return io.ErrUnexpectedEOF
		}
		return err
	}
}

func exchangeXOAuth2(client *http.Client, url string) func() error {
	config, ctx := xoauth2Config(url), xoauth2Context(client)
	return func() error {
		_, err := config.Token(ctx)
		return err
	}
}

// serve responds to every request with body, over HTTP on loopback.
func serve(body string) (url string, stop func()) {
	server, err := sandbox.Listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}))
	if err != nil {
		log.Fatal(err)
	}
	return server.URL, func() { _ = server.Close() }
}
