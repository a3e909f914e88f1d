package main

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/smithy-go/auth/bearer"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// openSmithy is the bearer token cache of github.com/aws/smithy-go. By default it does not renew early; here it uses
// the settings of its own tests.
func openSmithy(s setup) session {
	cache := bearer.NewTokenCache(smithyProvider(s), func(o *bearer.TokenCacheOptions) {
		o.RefreshBeforeExpires = 5 * time.Minute
	})
	auth := bearer.NewAuthenticationMiddleware(bearer.NewSignHTTPSMessage(), cache)
	api := middleware.FinalizeHandlerFunc(func(_ context.Context, in middleware.FinalizeInput) (out middleware.FinalizeOutput, _ middleware.Metadata, err error) {
		out.Result, err = s.api.RoundTrip(in.Request.(*smithyhttp.Request).Request) //nolint:bodyclose,forcetypeassert // the caller closes it; the request is the one given below
		return out, middleware.Metadata{}, err
	})
	return session{
		token: func(ctx context.Context) (string, error) {
			t, err := cache.RetrieveBearerToken(ctx)
			return t.Value, err
		},
		send: func(req *http.Request) (*http.Response, error) {
			out, _, err := auth.HandleFinalize(req.Context(), middleware.FinalizeInput{Request: &smithyhttp.Request{Request: req}}, api)
			if err != nil {
				return nil, err
			}
			return out.Result.(*http.Response), nil //nolint:forcetypeassert // as set above
		},
	}
}

type smithyProvider setup

func (p smithyProvider) RetrieveBearerToken(ctx context.Context) (bearer.Token, error) {
	a, expiry, err := fetch(ctx, p.endpoint, p.baseURL)
	if err != nil {
		return bearer.Token{}, err
	}
	return bearer.Token{Value: a.AccessToken, CanExpire: true, Expires: expiry}, nil
}
