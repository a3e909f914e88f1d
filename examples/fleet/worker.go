package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/filestore"
	"github.com/grantwright/oauth-go/tokens/redisstore"
	"github.com/redis/go-redis/v9"
)

// work is a worker. To share a token, it only sets CacheOptions.Store.
func work(ctx context.Context, o options, out io.Writer) error {
	store, err := openStore(o)
	if err != nil {
		return err
	}
	endpoint, err := tokens.NewMoov(
		tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
		&tokens.MoovOptions{BaseURL: o.origin, Origin: "https://www.example.com"})
	if err != nil {
		return err
	}
	var fetched atomic.Int64
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{
		Grant: tokens.Grant{Scopes: []string{"/ping.read"}},
		Store: store,
		OnToken: func(context.Context, *tokens.Token) error { // called only in the process that fetched
			fetched.Add(1)
			return nil
		},
	})
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		token, err := cache.Token(ctx)
		if err != nil {
			fmt.Fprintln(out, "no token:", err)
		} else {
			fmt.Fprintf(out, "%s for %.0fs, fetched %d\n", fingerprint(token), time.Until(token.Expiry).Seconds(), fetched.Load())
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return cache.Close(context.WithoutCancel(ctx))
}

func openStore(o options) (tokens.Store, error) {
	if o.redis == "" {
		return filestore.New(o.folder)
	}
	return redisstore.New(redis.NewClient(&redis.Options{Addr: o.redis}), nil)
}

// fingerprint returns a short text that identifies a token without revealing it.
func fingerprint(t *tokens.Token) string {
	sum := sha256.Sum256([]byte(t.AccessToken))
	return hex.EncodeToString(sum[:2])
}
