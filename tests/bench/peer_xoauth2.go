package main

import (
	"context"
	"net/http"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/grantwright/oauth-go/sandbox"
)

// openXOAuth2 is golang.org/x/oauth2. Its sources have no context.
func openXOAuth2(s setup) session {
	source := xoauth2Config(s.baseURL).TokenSource(xoauth2Context(s.endpoint))
	return session{
		token: func(context.Context) (string, error) {
			t, err := source.Token()
			if err != nil {
				return "", err
			}
			return t.AccessToken, nil
		},
		send: (&oauth2.Transport{Source: source, Base: s.api}).RoundTrip,
	}
}

func xoauth2Config(baseURL string) *clientcredentials.Config {
	return &clientcredentials.Config{
		ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret,
		TokenURL: baseURL + tokenPath, AuthStyle: oauth2.AuthStyleInParams,
	}
}

func xoauth2Context(client *http.Client) context.Context {
	return context.WithValue(context.Background(), oauth2.HTTPClient, client)
}
