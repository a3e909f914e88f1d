package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
)

// tokenResponse is a token response, declared by hand.
type tokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
}

// fetch gets a token with net/http and encoding/json, for peers without a client_credentials implementation.
func fetch(ctx context.Context, client *http.Client, baseURL string) (tokenResponse, time.Time, error) {
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {sandbox.ClientID},
		"client_secret": {sandbox.ClientSecret},
	}
	requested := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, baseURL+tokenPath, strings.NewReader(form.Encode()))
	if err != nil {
		return tokenResponse{}, time.Time{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return tokenResponse{}, time.Time{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return tokenResponse{}, time.Time{}, fmt.Errorf("the token endpoint responded %s", resp.Status)
	}
	var a tokenResponse
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return tokenResponse{}, time.Time{}, err
	}
	return a, requested.Add(seconds(a.ExpiresIn)), nil
}

// handCache is a typical hand-written cache: a mutex, a margin before the expiry, and a new token after a 401.
type handCache struct {
	setup

	mu     sync.Mutex
	token  string
	expiry time.Time
}

func openByHand(s setup) session {
	c := &handCache{setup: s}
	return session{token: c.get, send: c.send}
}

func (c *handCache) get(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != "" && time.Now().Before(c.expiry.Add(-10*time.Second)) {
		return c.token, nil
	}
	a, expiry, err := fetch(ctx, c.endpoint, c.baseURL)
	if err != nil {
		return "", err
	}
	c.token, c.expiry = a.AccessToken, expiry
	return c.token, nil
}

// send drops the token after a 401, even if it is not the rejected one, and tries once more.
func (c *handCache) send(req *http.Request) (*http.Response, error) {
	resp, err := c.sendOnce(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	_ = resp.Body.Close()
	c.mu.Lock()
	c.token = ""
	c.mu.Unlock()
	return c.sendOnce(req)
}

func (c *handCache) sendOnce(req *http.Request) (*http.Response, error) {
	token, err := c.get(req.Context())
	if err != nil {
		return nil, err
	}
	authorized := req.Clone(req.Context())
	authorized.Header.Set("Authorization", "Bearer "+token)
	return c.api.RoundTrip(authorized)
}
