package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// The sandbox stands in for the vendor in these examples. In a program, leave out BaseURL and HTTPClient.
var (
	vendors   = sandbox.New()
	toVendors = &tokens.MoovOptions{BaseURL: vendors.URL, HTTPClient: vendors.HTTPClient()}
)

// A script in ten lines: list the tests of a ThousandEyes organization.
func Example() {
	creds := tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret}
	endpoint, err := tokens.NewThousandEyes(creds, &tokens.ThousandEyesOptions{BaseURL: vendors.URL, HTTPClient: vendors.HTTPClient()})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, nil)
	if err != nil {
		log.Fatal(err)
	}
	client, err := tokens.NewClient(cache, &tokens.DoerOptions{HTTPClient: vendors.HTTPClient()})
	if err != nil {
		log.Fatal(err)
	}
	resp, err := client.Get(endpoint.BaseURL() + "/v7/tests")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

// Log a user in with a code: send the browser to the page, check the callback, exchange the code, and keep the login.
func ExampleEndpoint_AuthorizationURL() {
	ctx := context.Background()
	endpoint, err := tokens.NewSailPoint("", tokens.Credentials{ClientID: sandbox.PublicClientID}, &tokens.SailPointOptions{
		BaseURL: vendors.URL, AuthorizationURL: vendors.URL + "/oauth/authorize", HTTPClient: vendors.HTTPClient(),
		AuthStyle: tokens.AuthStyleNone, // a public client, which has no secret
	})
	if err != nil {
		log.Fatal(err)
	}
	login := &tokens.Login{RedirectURI: "http://127.0.0.1/callback"}
	page, err := endpoint.AuthorizationURL(ctx, login)
	if err != nil {
		log.Fatal(err)
	}
	callback := browse(page) // redirect the user's browser there, and keep the login in the user's session

	grant, err := login.Grant(callback)
	if err != nil {
		log.Fatal(err)
	}
	token, err := endpoint.Exchange(ctx, grant)
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Session: "user 7", Initial: token})
	if err != nil {
		log.Fatal(err)
	}
	token, err = cache.Token(ctx)
	fmt.Println(token.TokenType, token.RefreshToken != "", err)
	// Output: Bearer true <nil>
}

// browse does what a browser does with a login page that needs no input, and returns the query of the callback.
func browse(page string) url.Values {
	resp, err := vendors.HTTPClient().Transport.RoundTrip(must(http.NewRequest(http.MethodGet, page, http.NoBody)))
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	location, err := resp.Location()
	if err != nil {
		log.Fatal(err)
	}
	return location.Query()
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// Use any server that publishes its metadata, which has its endpoints and its methods of client authentication.
func ExampleDiscover() {
	ctx := context.Background()
	endpoint, err := tokens.Discover(ctx, vendors.URL, creds, &tokens.EndpointOptions{HTTPClient: vendors.HTTPClient()})
	if err != nil {
		log.Fatal(err)
	}
	token, err := endpoint.Exchange(ctx, tokens.Grant{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(endpoint, token.TokenType)
	// Output: tokens.Endpoint(sandbox.example.com) Bearer
}

// Revoke the tokens on shutdown.
func ExampleCache_Revoke() {
	ctx := context.Background() // the program's context, such as that of signal.NotifyContext
	endpoint, err := tokens.NewMoov(creds, toVendors)
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Grant: tokens.Grant{Scopes: []string{"/ping.read"}}})
	if err != nil {
		log.Fatal(err)
	}
	token, err := cache.Token(ctx)
	if err != nil {
		log.Fatal(err)
	}
	shutdown := func() error { // with a new context, because the program's has ended
		return errors.Join(cache.Revoke(ctx), cache.Close(ctx))
	}
	fmt.Println(shutdown())
	_, alive := vendors.Moov.Lookup(token.AccessToken)
	fmt.Println("alive:", alive)
	_, err = cache.Token(ctx)
	fmt.Println(errors.Is(err, tokens.ErrClosed))
	// Output:
	// <nil>
	// alive: false
	// true
}

// Rotate a secret without a restart: write the new one to the file, and the next token request uses it.
func ExampleCredentialsFile() {
	ctx := context.Background()
	dir := must(os.MkdirTemp("", "secrets"))
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "client-secret")
	if err := os.WriteFile(file, []byte("the secret of last year\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	endpoint, err := tokens.NewMoov(tokens.CredentialsFile(sandbox.ClientID, file), toVendors)
	if err != nil {
		log.Fatal(err)
	}
	grant := tokens.Grant{Scopes: []string{"/ping.read"}}
	_, err = endpoint.Exchange(ctx, grant)
	fmt.Println("refused:", errors.Is(err, tokens.InvalidClient) || errors.Is(err, tokens.Status(http.StatusUnauthorized)))

	if err := os.WriteFile(file, []byte(sandbox.ClientSecret+"\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	_, err = endpoint.Exchange(ctx, grant)
	fmt.Println(err)
	// Output:
	// refused: true
	// <nil>
}

// In a fleet, any number of processes with one Store share a token, which one of them fetches. Here the processes are
// goroutines and the Store is in memory; real ones use redisstore, pgstore or filestore.
func ExampleNewCache_fleet() {
	sb := sandbox.New()
	store := tokens.NewMemoryStore()
	var fleet sync.WaitGroup
	for range 8 {
		fleet.Go(func() {
			endpoint, err := tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: sb.URL, HTTPClient: sb.HTTPClient()})
			if err != nil {
				log.Fatal(err)
			}
			cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{
				Grant: tokens.Grant{Scopes: []string{"/ping.read"}},
				Store: store,
			})
			if err != nil {
				log.Fatal(err)
			}
			if _, err := cache.Token(context.Background()); err != nil {
				log.Fatal(err)
			}
		})
	}
	fleet.Wait()
	fmt.Println("token requests:", sb.Moov.Count("createAccessToken"))
	// Output: token requests: 1
}

// A client generated by another oapi-codegen configuration gets the token from a request editor.
func ExampleNewRequestEditor() {
	ctx := context.Background()
	endpoint, err := tokens.NewMoov(creds, toVendors)
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Grant: tokens.Grant{Scopes: []string{"/ping.read"}}})
	if err != nil {
		log.Fatal(err)
	}
	editor, err := tokens.NewRequestEditor(cache, "")
	if err != nil {
		log.Fatal(err)
	}
	// With a generated client: orders.NewClient(server, orders.WithRequestEditorFn(editor)). It calls the editor like
	// this:
	req := must(http.NewRequestWithContext(ctx, http.MethodGet, vendors.URL+"/ping", http.NoBody))
	if err := editor(ctx, req); err != nil {
		log.Fatal(err)
	}
	resp, err := vendors.HTTPClient().Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)

	elsewhere := must(http.NewRequestWithContext(ctx, http.MethodGet, "https://elsewhere.example.com/", http.NoBody))
	fmt.Println(editor(ctx, elsewhere) != nil, elsewhere.Header)
	// Output:
	// 200 OK
	// true map[]
}

// Read the statistics of a Cache and its Limiter. The program in examples/observability exports these to OpenTelemetry
// and to Prometheus, and traces each request.
func ExampleCache_Stats() {
	ctx := context.Background()
	endpoint, err := tokens.NewMoov(creds, toVendors)
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{
		Grant:  tokens.Grant{Scopes: []string{"/ping.read"}},
		Logger: slog.New(slog.DiscardHandler), // the program's logger
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := cache.Token(ctx)
	if err != nil {
		log.Fatal(err)
	}
	cache.Invalidate(token) // as a Transport does after a 401
	if _, err := cache.Token(ctx); err != nil {
		log.Fatal(err)
	}
	s := cache.Stats()
	fmt.Println(s.Fetches, "fetches,", s.Failures, "failures,", s.Invalidations, "invalidation")
	fmt.Println(cache.Limiter().Stats().Refused, "responses of status 429")
	// Output:
	// 2 fetches, 0 failures, 1 invalidation
	// 0 responses of status 429
}

// A single call may have its own Retry, and return the status and headers of its response.
func ExampleWithResponse() {
	endpoint, err := tokens.NewMoov(creds, toVendors)
	if err != nil {
		log.Fatal(err)
	}
	var resp *http.Response
	ctx := tokens.WithResponse(context.Background(), &resp)
	ctx = tokens.WithRetry(ctx, tokens.Retry{Attempts: 1})
	if _, err := endpoint.Exchange(ctx, tokens.Grant{Scopes: []string{"/ping.read"}}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Status, resp.Header.Get("Content-Type"))
	// Output: 200 OK application/json
}
