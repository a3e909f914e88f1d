package oauthclients_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/oauthclients/patch"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// In a program, leave out HTTPClient, which sends requests to a sandbox, and pass the tenant's name and credentials.
func ExampleNewSailPoint() {
	transport := &http.Client{Transport: sandbox.Transport(sandbox.NewSailPoint(nil))}
	endpoint, err := tokens.NewSailPoint("tenant", tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
		&tokens.SailPointOptions{HTTPClient: transport})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, nil)
	if err != nil {
		log.Fatal(err)
	}
	clients, err := oauthclients.NewSailPoint(cache, &oauthclients.SailPointOptions{HTTPClient: transport, Version: oauthclients.VersionPerService})
	if err != nil {
		log.Fatal(err)
	}
	list, err := clients.List(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(list), list[0].Name)
	// Output: 1 Demo API Client
}

// demo returns the OAuth clients of a sandbox.
func demo() (*oauthclients.SailPoint, *sandbox.SailPoint) {
	vendor := sandbox.NewSailPoint(nil)
	transport := &http.Client{Transport: sandbox.Transport(vendor)}
	endpoint, err := tokens.NewSailPoint("tenant", tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
		&tokens.SailPointOptions{HTTPClient: transport})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, nil)
	if err != nil {
		log.Fatal(err)
	}
	clients, err := oauthclients.NewSailPoint(cache, &oauthclients.SailPointOptions{HTTPClient: transport})
	if err != nil {
		log.Fatal(err)
	}
	return clients, vendor
}

// received prints the last request that the sandbox received.
func received(vendor *sandbox.SailPoint) {
	requests := vendor.Requests()
	r := requests[len(requests)-1]
	fmt.Println(strings.TrimSuffix(r.Method+" "+r.Path+"?"+r.RawQuery, "?"))
	fmt.Println("Accept:", r.Header.Get("Accept"))
	fmt.Println("Content-Type:", r.Header.Values("Content-Type"))
	fmt.Println(string(r.Body))
}

func ExampleSailPoint_Get() {
	clients, vendor := demo()
	client, err := clients.Get(context.Background(), "ef38f94347e94562b5bb8424a56397d8")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.Name, client.GrantTypes)
	received(vendor)
	// Output:
	// Demo API Client [AUTHORIZATION_CODE CLIENT_CREDENTIALS REFRESH_TOKEN]
	// GET /beta/oauth-clients/ef38f94347e94562b5bb8424a56397d8
	// Accept: application/json, application/problem+json
	// Content-Type: []
}

func ExampleSailPoint_List() {
	clients, vendor := demo()
	unused, err := clients.List(context.Background(), oauthclients.LastUsedBefore(time.Date(2023, 2, 5, 10, 59, 27, 214e6, time.UTC)))
	if err != nil {
		log.Fatal(err)
	}
	for _, client := range unused {
		fmt.Println(client.Name, client.LastUsed)
	}
	received(vendor)
	// Output:
	// Demo API Client 2017-07-11T18:45:37.098Z
	// GET /beta/oauth-clients?filters=lastUsed%20le%202023-02-05T10%3A59%3A27.214Z
	// Accept: application/json, application/problem+json
	// Content-Type: []
}

func ExampleSailPoint_All() {
	clients, _ := demo()
	for client, err := range clients.All(context.Background(), oauthclients.LastUsedBefore(time.Now())) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(client.ID, client.Name)
	}
	// Output: ef38f94347e94562b5bb8424a56397d8 Demo API Client
}

func ExampleSailPoint_Create() {
	clients, vendor := demo()
	created, err := clients.Create(context.Background(), sailpoint.CreateOAuthClientRequest{
		Name:                        new("Demo API Client"),
		Description:                 new("A client for demonstrations."),
		BusinessName:                new("Acme-Solar"),
		HomepageURL:                 new("http://localhost:12345"),
		AccessTokenValiditySeconds:  750,
		RefreshTokenValiditySeconds: new(int32(86400)),
		RedirectURIs:                []string{"http://localhost:12345", "http://localhost:67890"},
		GrantTypes: []sailpoint.GrantType{
			sailpoint.GrantTypeAuthorizationCode, sailpoint.GrantTypeClientCredentials, sailpoint.GrantTypeRefreshToken,
		},
		AccessType:          sailpoint.AccessTypeOffline,
		Type:                new(sailpoint.ClientTypeConfidential),
		Internal:            new(false),
		Enabled:             true,
		StrongAuthSupported: new(false),
		ClaimsSupported:     new(false),
		Scope:               []string{"demo:api-client-scope:first", "demo:api-client-scope:second"},
	})
	if created != nil && !created.Secret.IsZero() {
		// Store created.ID and created.Secret.Reveal() now, even if err is not nil: the secret is never shown again.
		fmt.Println("secret:", created.Secret)
	}
	if err != nil {
		log.Fatal(err)
	}
	received(vendor)
	// Output:
	// secret: [REDACTED]
	// POST /beta/oauth-clients
	// Accept: application/json, application/problem+json
	// Content-Type: [application/json]
	// {"accessTokenValiditySeconds":750,"accessType":"OFFLINE","businessName":"Acme-Solar","claimsSupported":false,"description":"A client for demonstrations.","enabled":true,"grantTypes":["AUTHORIZATION_CODE","CLIENT_CREDENTIALS","REFRESH_TOKEN"],"homepageUrl":"http://localhost:12345","internal":false,"name":"Demo API Client","redirectUris":["http://localhost:12345","http://localhost:67890"],"refreshTokenValiditySeconds":86400,"scope":["demo:api-client-scope:first","demo:api-client-scope:second"],"strongAuthSupported":false,"type":"CONFIDENTIAL"}
}

// Create a client so that its secret cannot be lost: first make sure that it can be stored, and then store it even if
// there is an error.
func ExampleSailPoint_Create_secret() {
	clients, _ := demo()
	file, err := os.CreateTemp("", "secret") // made with mode 0600
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	created, err := clients.Create(context.Background(), sailpoint.CreateOAuthClientRequest{
		Name:                       new("Nightly report"),
		AccessTokenValiditySeconds: 750,
		GrantTypes:                 []sailpoint.GrantType{"CLIENT_CREDENTIALS"},
		AccessType:                 "ONLINE",
		Enabled:                    true,
		Scope:                      []string{"sp:oauth-client:read"}, // without a scope, the client would get all scopes
	})
	if created != nil && !created.Secret.IsZero() {
		if _, err := file.WriteString(created.Secret.Reveal()); err != nil {
			log.Fatal(err)
		}
		if err := file.Close(); err != nil {
			log.Fatal(err)
		}
	}
	if err != nil { // the secret, if any, has been stored
		log.Fatal(err)
	}
	info, err := os.Stat(file.Name())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Size() > 0, created.Secret)
	// Output: true [REDACTED]
}

// Names need not be unique. To use a unique name, look for it first, but note that somebody else may create a client
// with the same name in the meantime.
func ExampleSailPoint_Create_uniqueName() {
	clients, _ := demo()
	const name = "Demo API Client"
	for client, err := range clients.All(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		if client.Name == name {
			fmt.Printf("%q is the name of client %s\n", name, client.ID)
			return
		}
	}
	fmt.Println("the name is free: create the client")
	// Output: "Demo API Client" is the name of client ef38f94347e94562b5bb8424a56397d8
}

// Change a client to a wanted state: overlay it, find the differences, and send them with a test of each value that
// they change.
func ExampleSailPoint_Patch_overlay() {
	clients, _ := demo()
	ctx := context.Background()
	before, err := clients.Get(ctx, "ef38f94347e94562b5bb8424a56397d8")
	if err != nil {
		log.Fatal(err)
	}
	wanted, err := patch.Overlay(*before, []byte(`{"description": null, "accessTokenValiditySeconds": 600}`))
	if err != nil {
		log.Fatal(err)
	}
	ops, err := patch.Diff(*before, wanted, &patch.DiffOptions{Guard: true})
	if err != nil {
		log.Fatal(err)
	}
	after, err := clients.Patch(ctx, before.ID, ops...)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ops)
	fmt.Println(after.Description == nil, after.AccessTokenValiditySeconds)
	// Output:
	// [test "/description" replace "/description" test "/accessTokenValiditySeconds" replace "/accessTokenValiditySeconds"]
	// true 600
}

// Find the clients that have not been used for a year, and delete them. Read the whole list first.
func ExampleSailPoint_Delete_unused() {
	clients, _ := demo()
	ctx := context.Background()
	unused, err := clients.List(ctx, oauthclients.LastUsedBefore(time.Now().AddDate(-1, 0, 0)))
	if err != nil {
		log.Fatal(err)
	}
	for _, client := range unused {
		if err := clients.Delete(ctx, client.ID, oauthclients.AllowMissing()); err != nil {
			log.Fatal(err)
		}
		fmt.Println("deleted", client.Name)
	}
	// Output: deleted Demo API Client
}

// Match an error by its status, and decode the vendor's model from its body.
func ExampleSailPoint_Get_error() {
	clients, _ := demo()
	_, err := clients.Get(context.Background(), "none")
	switch {
	case errors.Is(err, tokens.ErrNoToken):
		fmt.Println("nothing was sent, because there is no token")
	case errors.Is(err, tokens.Status(http.StatusNotFound)):
		var e *tokens.Error
		var model sailpoint.ErrorResponseDto
		if errors.As(err, &e) && e.Decode(&model) == nil {
			fmt.Println("no such client:", *model.DetailCode)
		}
	}
	// Output: no such client: 404 Not found
}

func ExampleSailPoint_Patch() {
	clients, vendor := demo()
	client, err := clients.Patch(context.Background(), "ef38f94347e94562b5bb8424a56397d8",
		patch.StrongAuthSupported.Set(true),
		patch.BusinessName.Set("acme-solar"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.StrongAuthSupported, *client.BusinessName)
	received(vendor)
	// Output:
	// true acme-solar
	// PATCH /beta/oauth-clients/ef38f94347e94562b5bb8424a56397d8
	// Accept: application/json, application/problem+json
	// Content-Type: [application/json-patch+json]
	// [{"op":"replace","path":"/strongAuthSupported","value":true},{"op":"replace","path":"/businessName","value":"acme-solar"}]
}

// Use jsonpatch for operations that patch does not have.
func ExampleSailPoint_Patch_plain() {
	clients, _ := demo()
	client, err := clients.Patch(context.Background(), "ef38f94347e94562b5bb8424a56397d8",
		jsonpatch.Test("/enabled", true),
		jsonpatch.Copy("/name", "/description"),
		jsonpatch.Replace("/homepageUrl", nil))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*client.Description, client.HomepageURL == nil)
	// Output: Demo API Client true
}

func ExampleSailPoint_Delete() {
	clients, vendor := demo()
	if err := clients.Delete(context.Background(), "ef38f94347e94562b5bb8424a56397d8"); err != nil {
		log.Fatal(err)
	}
	received(vendor)
	err := clients.Delete(context.Background(), "ef38f94347e94562b5bb8424a56397d8", oauthclients.AllowMissing())
	fmt.Println("again:", err)
	// Output:
	// DELETE /beta/oauth-clients/ef38f94347e94562b5bb8424a56397d8
	// Accept: application/json, application/problem+json
	// Content-Type: []
	//
	// again: <nil>
}
