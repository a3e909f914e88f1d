//go:build unix

package main

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/grantwright/oauth-go/internal/servers"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/redisstore"
)

func init() { //nolint:gochecknoinits // Redis is started only on Unix
	databases = append(databases, database{"Redis", func(tb testing.TB) func() (tokens.Store, error) {
		tb.Helper()
		server := servers.Redis(tb)
		return func() (tokens.Store, error) {
			client := redis.NewClient(&redis.Options{Addr: server.Addr})
			tb.Cleanup(func() { _ = client.Close() })
			return redisstore.New(client, nil)
		}
	}})
}
