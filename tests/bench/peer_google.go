package main

import (
	"context"

	"cloud.google.com/go/auth"
)

// openGoogle is cloud.google.com/go/auth without its transport, which would add gRPC and OpenTelemetry to this module,
// and does not handle a 401.
func openGoogle(s setup) session {
	provider := auth.NewCachedTokenProvider(googleProvider(s), nil)
	return session{token: func(ctx context.Context) (string, error) {
		t, err := provider.Token(ctx)
		if err != nil {
			return "", err
		}
		return t.Value, nil
	}}
}

type googleProvider setup

func (p googleProvider) Token(ctx context.Context) (*auth.Token, error) {
	a, expiry, err := fetch(ctx, p.endpoint, p.baseURL)
	if err != nil {
		return nil, err
	}
	return &auth.Token{Value: a.AccessToken, Type: a.TokenType, Expiry: expiry}, nil
}
