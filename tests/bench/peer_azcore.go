package main

import (
	"context"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// openAzcore is azcore's bearer policy in a pipeline without retries. Its cache cannot be used in another way.
func openAzcore(s setup) session {
	bearer := runtime.NewBearerTokenPolicy(azcoreCredential(s), []string{"scope"}, nil)
	pipeline := runtime.NewPipeline("bench", "v1.0.0",
		runtime.PipelineOptions{PerRetry: []policy.Policy{bearer}},
		&policy.ClientOptions{Transport: azcoreTransport{s.api}, Retry: policy.RetryOptions{MaxRetries: -1}})
	return session{send: func(req *http.Request) (*http.Response, error) {
		r, err := runtime.NewRequestFromRequest(req.Clone(req.Context())) // the pipeline modifies it
		if err != nil {
			return nil, err
		}
		return pipeline.Do(r)
	}}
}

type azcoreCredential setup

func (c azcoreCredential) GetToken(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	a, expiry, err := fetch(ctx, c.endpoint, c.baseURL)
	return azcore.AccessToken{Token: a.AccessToken, ExpiresOn: expiry}, err
}

type azcoreTransport struct{ http.RoundTripper }

// Do copies the response, which the pipeline modifies.
func (t azcoreTransport) Do(req *http.Request) (*http.Response, error) {
	shared, err := t.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp := *shared
	return &resp, nil
}
