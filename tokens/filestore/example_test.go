package filestore_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/filestore"
)

// A command-line program keeps a user's login between runs: the first run saves it, and later runs find it. A run that
// renews the login saves the new refresh token before it uses the access token.
func ExampleNew() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tokens") // in a program: below os.UserConfigDir
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	sb := sandbox.New()
	run := func(initial *tokens.Token) *tokens.Token {
		endpoint, err := tokens.NewMoov(tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
			&tokens.MoovOptions{BaseURL: sb.URL, HTTPClient: sb.HTTPClient()})
		if err != nil {
			log.Fatal(err)
		}
		store, err := filestore.New(dir)
		if err != nil {
			log.Fatal(err)
		}
		cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Session: "default", Initial: initial, Store: store})
		if err != nil {
			log.Fatal(err)
		}
		token, err := cache.Token(ctx)
		if err != nil {
			log.Fatal(err)
		}
		if err := cache.Close(ctx); err != nil {
			log.Fatal(err)
		}
		return token
	}

	login := sb.Moov.Issue(sandbox.Token{Scopes: []string{"/ping.read"}}) // the result of a login
	first := run(&tokens.Token{RefreshToken: login.RefreshToken})
	second := run(nil)
	fmt.Println("one token:", first.AccessToken == second.AccessToken)
	fmt.Println("refreshes:", sb.Moov.Count("createAccessToken"))
	// Output:
	// one token: true
	// refreshes: 1
}
