package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"strings"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

var creds = tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret}

// serve starts the sandbox on loopback.
func serve() (vendors *sandbox.Sandbox, baseURL string, stop func()) {
	vendors = sandbox.NewStrict()
	server, err := sandbox.Listen(vendors)
	if err != nil {
		log.Fatal(err)
	}
	return vendors, server.URL, func() { _ = server.Close() }
}

// show prints a request as the sandbox received it, with names in place of some values.
func show(r sandbox.Request, headers []string, names map[string]string) {
	fmt.Println(r.Method, r.Path)
	for _, name := range headers {
		fmt.Printf("%s: %q\n", name, r.Header.Get(name))
	}
	body := string(r.Body)
	for value, name := range names {
		body = strings.ReplaceAll(body, url.QueryEscape(value), name)
	}
	fmt.Println(body)
}

func last(requests []sandbox.Request) sandbox.Request { return requests[len(requests)-1] }

// Get a token of ThousandEyes on behalf of a user. The output is the request that the vendor receives.
func ExampleNewThousandEyes() {
	vendors, baseURL, stop := serve()
	defer stop()

	endpoint, err := tokens.NewThousandEyes(creds, &tokens.ThousandEyesOptions{BaseURL: baseURL, TenantID: "my-tenant"})
	if err != nil {
		log.Fatal(err)
	}
	token, err := endpoint.Exchange(context.Background(), tokens.Grant{
		Scopes:    []string{"read"},
		UserToken: sandbox.UserToken, // on behalf of this user
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.TokenType, token.Scopes, token.RefreshToken == "")
	show(last(vendors.ThousandEyes.Requests()), []string{"Accept", "Authorization", "Content-Type", "X-Tenant-Id"}, nil)
	// Output:
	// Bearer [read] true
	// POST /v7/oauth2/token
	// Accept: "application/json, application/problem+json"
	// Authorization: ""
	// Content-Type: "application/x-www-form-urlencoded"
	// X-Tenant-Id: "my-tenant"
	// client_id=sandbox-client&client_secret=sandbox-secret-6f1c90b2&grant_type=client_credentials&scope=read&thousandeyes_bearer_token=sandbox-user-token-83d4a7e5
}

// Get a token for an API key of Moov, with the scopes that the program needs.
func ExampleNewMoov() {
	vendors, baseURL, stop := serve()
	defer stop()

	endpoint, err := tokens.NewMoov(creds, &tokens.MoovOptions{
		BaseURL:    baseURL,
		Origin:     "https://www.example.com", // registered with the API key
		APIVersion: "v2026.07.00",
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := endpoint.Exchange(context.Background(), tokens.Grant{Scopes: []string{"/accounts.read", "/accounts.write"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.TokenType, token.Scopes)
	r := last(vendors.Moov.Requests())
	show(r, []string{"Content-Type", "Origin", "X-Moov-Version"}, nil)
	id, _, _ := (&http.Request{Header: r.Header}).BasicAuth()
	fmt.Println("Basic", id)
	// Output:
	// Bearer [/accounts.read /accounts.write]
	// POST /oauth2/token
	// Content-Type: "application/x-www-form-urlencoded"
	// Origin: "https://www.example.com"
	// X-Moov-Version: "v2026.07.00"
	// grant_type=client_credentials&scope=%2Faccounts.read+%2Faccounts.write
	// Basic sandbox-client
}

// A refresh may rotate the refresh token: keep the new one. A Cache with a Session does so by itself.
func ExampleEndpoint_Exchange_refresh() {
	vendors, baseURL, stop := serve()
	defer stop()
	ctx := context.Background()

	endpoint, err := tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: baseURL})
	if err != nil {
		log.Fatal(err)
	}
	token, err := endpoint.Exchange(ctx, tokens.Grant{Scopes: []string{"/accounts.read"}})
	if err != nil {
		log.Fatal(err)
	}
	refreshed, err := endpoint.Exchange(ctx, tokens.Grant{RefreshToken: token.RefreshToken})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("rotated:", refreshed.RefreshToken != token.RefreshToken)
	show(last(vendors.Moov.Requests()), []string{"Content-Type"}, map[string]string{token.RefreshToken: "REFRESH"})
	// Output:
	// rotated: true
	// POST /oauth2/token
	// Content-Type: "application/x-www-form-urlencoded"
	// grant_type=refresh_token&refresh_token=REFRESH
}

// Revoking a refresh token ends that login.
func ExampleEndpoint_Revoke() {
	vendors, baseURL, stop := serve()
	defer stop()
	ctx := context.Background()

	endpoint, err := tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: baseURL})
	if err != nil {
		log.Fatal(err)
	}
	token, err := endpoint.Exchange(ctx, tokens.Grant{Scopes: []string{"/accounts.read"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := endpoint.Revoke(ctx, token.RefreshToken, tokens.HintRefreshToken); err != nil {
		log.Fatal(err)
	}
	show(last(vendors.Moov.Requests()), []string{"Content-Type"}, map[string]string{token.RefreshToken: "REFRESH"})

	_, err = endpoint.Exchange(ctx, tokens.Grant{RefreshToken: token.RefreshToken})
	fmt.Println("refused:", errors.Is(err, tokens.InvalidGrant))
	// Output:
	// POST /oauth2/revoke
	// Content-Type: "application/x-www-form-urlencoded"
	// token=REFRESH&token_type_hint=refresh_token
	// refused: true
}

// Get a token of a tenant of SailPoint Identity Security Cloud.
func ExampleNewSailPoint() {
	vendors, baseURL, stop := serve()
	defer stop()

	// With a tenant's name instead of BaseURL, the endpoint is https://{tenant}.api.identitynow.com/oauth/token.
	endpoint, err := tokens.NewSailPoint("", creds, &tokens.SailPointOptions{BaseURL: baseURL})
	if err != nil {
		log.Fatal(err)
	}
	token, err := endpoint.Exchange(context.Background(), tokens.Grant{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.TokenType)
	show(last(vendors.SailPoint.Requests()), []string{"Authorization", "Content-Type"}, nil)
	// Output:
	// Bearer
	// POST /oauth/token
	// Authorization: ""
	// Content-Type: "application/x-www-form-urlencoded"
	// client_id=sandbox-client&client_secret=sandbox-secret-6f1c90b2&grant_type=client_credentials
}

// An http.Client with authentication fetches one token for all its requests, and renews it in time.
func ExampleNewClient() {
	vendors, baseURL, stop := serve()
	defer stop()

	endpoint, err := tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: baseURL})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Grant: tokens.Grant{Scopes: []string{"/ping.read"}}})
	if err != nil {
		log.Fatal(err)
	}
	client, err := tokens.NewClient(cache, nil)
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		resp, err := client.Get(baseURL + "/ping")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(resp.Status)
		_ = resp.Body.Close()
	}
	fmt.Println("token requests:", vendors.Moov.Count("createAccessToken"))
	// Output:
	// 200 OK
	// 200 OK
	// 200 OK
	// token requests: 1
}

// A user's login is renewed with its refresh token only. OnToken saves each new token before anyone gets it.
func ExampleNewCache_login() {
	_, baseURL, stop := serve()
	defer stop()

	ctx := context.Background()
	endpoint, err := tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: baseURL})
	if err != nil {
		log.Fatal(err)
	}
	stored, err := endpoint.Exchange(ctx, tokens.Grant{Scopes: []string{"/ping.read"}}) // stands for a login page
	if err != nil {
		log.Fatal(err)
	}
	login, err := tokens.NewCache(endpoint, &tokens.CacheOptions{
		Session: "user 7",
		Initial: stored,
		OnToken: func(_ context.Context, token *tokens.Token) error {
			stored = token
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	old := stored.RefreshToken
	login.Invalidate(stored) // as a Transport does after a 401
	token, err := login.Token(ctx)
	fmt.Println(err, token.RefreshToken == stored.RefreshToken, stored.RefreshToken == old)

	// To log out, call Revoke and Close. After that, a person must log in.
	fmt.Println(login.Revoke(ctx))
	_, err = login.Token(ctx)
	fmt.Println(errors.Is(err, tokens.ErrLoginRequired))
	fmt.Println(login.Close(ctx))
	// Output:
	// <nil> true false
	// <nil>
	// true
	// <nil>
}

// Match an error by the server's code or by the status, and read the server's errors about fields.
func ExampleError() {
	vendors, baseURL, stop := serve()
	defer stop()
	vendors.ThousandEyes.Fault("createAccessToken", sandbox.Fault{
		Status:      http.StatusBadRequest,
		ContentType: "application/problem+json",
		Body:        `{"type":"about:blank","title":"Bad request","errors":[{"code":"required","field":1,"message":"scope is missing"}]}`,
	})

	endpoint, err := tokens.NewThousandEyes(creds, &tokens.ThousandEyesOptions{BaseURL: baseURL})
	if err != nil {
		log.Fatal(err)
	}
	_, err = endpoint.Exchange(context.Background(), tokens.Grant{})
	fmt.Println(errors.Is(err, tokens.Status(http.StatusBadRequest)))
	if e, ok := errors.AsType[*tokens.Error](err); ok {
		fmt.Println(e.Message)
		fmt.Println(e.Fields[0].Name, e.Fields[0].Code, e.Fields[0].Message)
	}
	// Output:
	// true
	// Bad request
	// 1 required scope is missing
}
