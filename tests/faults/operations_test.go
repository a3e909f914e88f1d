package faults

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/patch"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every secret contains the word canary.
const (
	canarySecret   = "canary-secret+/%&="
	canaryAccess   = "canary-access-4f1e"
	canaryRefresh  = "canary-refresh-77aa"
	canaryCode     = "canary-code-1234"
	canaryVerifier = "canary-verifier-0123456789-0123456789-0123456789"
	canaryIssued   = "canary-issued-access-9c"  // sent in responses
	canaryRotated  = "canary-rotated-refresh-9" // sent in responses
	canaryCreated  = "canary-created-secret-31" // sent in responses
)

const clientID = "2c9180835d2e5168015d32f890ca1581"

// A class is a row of the retry table in the documentation of tokens.Retry.
type class int

const (
	safe     class = iota // GET, HEAD, DELETE, client_credentials, revocation
	rotating              // refresh_token, authorization_code
	creating              // create, PATCH
)

// A reader is what a call does with the body of a 2xx response.
const (
	readsToken  = "token"
	readsJSON   = "json"
	readsList   = "list"
	readsSecret = "secret" // returns the secret of a created client
	readsNone   = "none"
	readsRaw    = "raw" // returns the bytes
)

// An operation is an operation that users call.
type operation struct {
	name   string
	method string
	class  class
	reads  string
	good   string // the body of a good response
	do     func(ctx context.Context, c *caller) (any, error)
}

const (
	goodToken  = `{"access_token":"` + canaryIssued + `","token_type":"Bearer","expires_in":3600}`
	goodRotate = `{"access_token":"` + canaryIssued + `","refresh_token":"` + canaryRotated + `","token_type":"Bearer","expires_in":3600}`
	goodClient = `{"id":"` + clientID + `","name":"x","enabled":true}`
	goodCreate = `{"id":"` + clientID + `","secret":"` + canaryCreated + `","name":"x"}`
	goodList   = `[` + goodClient + `,` + goodClient + `]`
)

var operations = []operation{
	{"client_credentials", "POST", safe, readsToken, goodToken, func(ctx context.Context, c *caller) (any, error) {
		return c.endpoint.Exchange(ctx, tokens.Grant{})
	}},
	{"refresh_token", "POST", rotating, readsToken, goodRotate, func(ctx context.Context, c *caller) (any, error) {
		return c.endpoint.Exchange(ctx, tokens.Grant{RefreshToken: canaryRefresh})
	}},
	{"authorization_code", "POST", rotating, readsToken, goodRotate, func(ctx context.Context, c *caller) (any, error) {
		return c.endpoint.Exchange(ctx, tokens.Grant{Code: &tokens.AuthorizationCode{
			Code: canaryCode, CodeVerifier: canaryVerifier, RedirectURI: "https://app.example.com/callback",
		}})
	}},
	{"revoke", "POST", safe, readsNone, "{}", func(ctx context.Context, c *caller) (any, error) {
		return nil, c.endpoint.Revoke(ctx, canaryRefresh, tokens.HintRefreshToken)
	}},
	{"list", "GET", safe, readsList, goodList, func(ctx context.Context, c *caller) (any, error) { return c.clients.List(ctx) }},
	{"all", "GET", safe, readsList, goodList, func(ctx context.Context, c *caller) (any, error) {
		var all []sailpoint.OAuthClient
		for client, err := range c.clients.All(ctx) {
			if err != nil {
				return all, err
			}
			all = append(all, client)
		}
		return all, nil
	}},
	{"get", "GET", safe, readsJSON, goodClient, func(ctx context.Context, c *caller) (any, error) { return c.clients.Get(ctx, clientID) }},
	{"create", "POST", creating, readsSecret, goodCreate, func(ctx context.Context, c *caller) (any, error) {
		return c.clients.Create(ctx, sailpoint.CreateOAuthClientRequest{
			Name: new("x"), AccessTokenValiditySeconds: 750, AccessType: sailpoint.AccessTypeOffline,
			GrantTypes: []sailpoint.GrantType{sailpoint.GrantTypeClientCredentials},
		})
	}},
	{"patch", "PATCH", creating, readsJSON, goodClient, func(ctx context.Context, c *caller) (any, error) {
		return c.clients.Patch(ctx, clientID, patch.Enabled.Set(false))
	}},
	{"delete", "DELETE", safe, readsNone, "{}", func(ctx context.Context, c *caller) (any, error) {
		return nil, c.clients.Delete(ctx, clientID)
	}},
	{"client", "GET", safe, readsRaw, goodClient, func(ctx context.Context, c *caller) (any, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/things", nil)
		if err != nil {
			return nil, err
		}
		resp, err := c.client.Do(req)
		if err != nil {
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		return fmt.Sprint(resp.StatusCode, " ", string(body)), err
	}},
}

// requests returns how often a request of the class is sent if each of three attempts ends with the status or, if
// status is 0, with a broken connection after the request.
func (c class) requests(status int) int {
	switch {
	case c == safe && (status == 0 || status == 502 || status == 503 || status == 504), c == rotating && status == 503:
		return 3
	}
	return 1
}

// secretOf returns the secret in a good response to op that cannot be obtained again.
func secretOf(op operation) string {
	switch op.name {
	case "refresh_token", "authorization_code":
		return canaryRotated
	case "create":
		return canaryCreated
	}
	return ""
}

// kept returns the secret in a result that cannot be obtained again.
func kept(result any) string {
	switch r := result.(type) {
	case *tokens.Token:
		if r != nil {
			return r.RefreshToken
		}
	case *sailpoint.CreateOAuthClientResponse:
		if r != nil {
			return r.Secret.Reveal()
		}
	}
	return ""
}

// A caller is a program that uses the SDK.
type caller struct {
	base      string
	transport *http.Transport
	endpoint  *tokens.Endpoint
	clients   *oauthclients.SailPoint
	client    *http.Client
	log       log
}

const callerTimeout = time.Minute

// newCaller returns a caller of the server at base. Its calls end within timeout, and wait at most maxWait for a rate
// limit; zero means callerTimeout.
func newCaller(t *testing.T, base string, timeout, maxWait time.Duration) *caller {
	t.Helper()
	maxWait = cmp.Or(maxWait, callerTimeout)
	timeout = cmp.Or(timeout, callerTimeout)
	c := &caller{base: base, transport: &http.Transport{MaxResponseHeaderBytes: 1 << 20}}
	t.Cleanup(c.transport.CloseIdleConnections)
	httpClient := &http.Client{Transport: c.transport}
	retry := tokens.Retry{Initial: time.Millisecond}
	logger := slog.New(slog.NewTextHandler(&c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	c.endpoint, err = tokens.NewEndpoint(base+"/token", tokens.Credentials{ClientID: "app", ClientSecret: canarySecret}, &tokens.EndpointOptions{
		RevocationURL: base + "/revoke", HTTPClient: httpClient, Timeout: timeout, Retry: retry, Logger: logger,
		Limiter: &tokens.Limiter{MaxWait: maxWait},
	})
	require.NoError(t, err)
	c.clients, err = oauthclients.NewSailPoint(tokens.Static(canaryAccess), &oauthclients.SailPointOptions{
		BaseURL: base, HTTPClient: httpClient, Timeout: timeout, IdleTimeout: timeout, Retry: retry, MaxBody: maxBody, Logger: logger,
		Limiter: &tokens.Limiter{MaxWait: maxWait},
	})
	require.NoError(t, err)
	c.client, err = tokens.NewClient(tokens.Static(canaryAccess), &tokens.DoerOptions{
		BaseURL: base, HTTPClient: httpClient, Timeout: timeout, Retry: retry, MaxBody: maxBody, Logger: logger,
		Limiter: &tokens.Limiter{MaxWait: maxWait},
	})
	require.NoError(t, err)
	return c
}

const maxBody = 2 << 20

// log is the caller's log.
type log struct {
	onLine func(line string) // may be nil

	mu   sync.Mutex
	text strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	if l.onLine != nil {
		l.onLine(string(p))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// assertSilent checks for canaries in the log, and in everything that an error prints.
func (c *caller) assertSilent(t *testing.T, err error) {
	t.Helper()
	texts := append(chain(err), c.log.String())
	if err != nil {
		var b strings.Builder
		for _, handler := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
			slog.New(handler).Error("failed", "err", err)
		}
		texts = append(texts, b.String())
	}
	for _, text := range texts {
		if i := strings.Index(strings.ToLower(text), "canary"); i >= 0 {
			assert.Failf(t, "a secret shows", "...%s...", text[max(0, i-80):min(len(text), i+80)])
		}
	}
}

// chain returns the texts of an error and of all errors that it wraps.
func chain(err error) []string {
	if err == nil {
		return nil
	}
	texts := []string{fmt.Sprintf("%v %+v %#v %q %s", err, err, err, err, err)}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		texts = append(texts, chain(wrapper.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			texts = append(texts, chain(inner)...)
		}
	}
	return texts
}
