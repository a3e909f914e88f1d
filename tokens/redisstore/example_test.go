package redisstore_test

import (
	"context"
	"fmt"
	"log"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/redisstore"
	"github.com/redis/go-redis/v9"
)

// Each replica of a service does this. One of them fetches the token, and the others use it.
func ExampleNew() { //nolint:testableexamples // needs a server
	client := redis.NewClient(&redis.Options{Addr: "redis.example.com:6379"})
	store, err := redisstore.New(client, nil)
	if err != nil {
		log.Fatal(err)
	}
	endpoint, err := tokens.NewMoov(tokens.CredentialsFile("client-id", "/run/secrets/moov"), nil)
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{
		Grant: tokens.Grant{Scopes: []string{"/accounts.read"}},
		Store: store,
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := cache.Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Expiry)
}
