package main

import (
	"context"
	"net/http"

	"github.com/grantwright/oauth-go/tokens"
)

func moov(ctx context.Context, r *report, t target) error {
	endpoint, err := tokens.NewMoov(t.creds, &tokens.MoovOptions{BaseURL: t.baseURL, Origin: t.setting("ORIGIN")})
	if err != nil {
		return err
	}
	var token *tokens.Token
	if err := r.step(ctx, "token by client_credentials, with scope", func(ctx context.Context) (err error) {
		token, err = endpoint.Exchange(ctx, tokens.Grant{Scopes: []string{"/ping.read"}})
		return err
	}); err != nil {
		return err
	}
	if err := r.step(ctx, "GET /ping with the token", func(ctx context.Context) error {
		return pingMoov(ctx, t.baseURL, token)
	}); err != nil {
		return err
	}
	if err := r.step(ctx, "token by refresh_token", func(ctx context.Context) (err error) {
		token, err = endpoint.Exchange(ctx, tokens.Grant{RefreshToken: token.RefreshToken})
		return err
	}); err != nil {
		return err
	}
	if err := r.step(ctx, "revoke the access token", func(ctx context.Context) error {
		return endpoint.Revoke(ctx, token.AccessToken, tokens.HintAccessToken)
	}); err != nil {
		return err
	}
	if err := r.refused(ctx, "GET /ping with the revoked token is refused", http.StatusUnauthorized, func(ctx context.Context) error {
		return pingMoov(ctx, t.baseURL, token)
	}); err != nil {
		return err
	}
	return r.step(ctx, "revoke the refresh token", func(ctx context.Context) error {
		return endpoint.Revoke(ctx, token.RefreshToken, tokens.HintRefreshToken)
	})
}

// pingMoov calls an API of the vendor that is not part of the SDK, which also works with a Doer.
func pingMoov(ctx context.Context, baseURL string, token *tokens.Token) error {
	doer, err := tokens.NewDoer(tokens.Static(token.AccessToken), &tokens.DoerOptions{BaseURL: baseURL})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL+"/ping", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "*/*")
	resp, err := doer.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
