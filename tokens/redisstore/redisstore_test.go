//go:build unix

package redisstore_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/internal/servers"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/redisstore"
	"github.com/grantwright/oauth-go/tokens/storetest"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func record(version, value string) tokens.Record {
	return tokens.Record{Version: version, Value: []byte(value)}
}

func newStore(t *testing.T, server *servers.Server) *redisstore.Store {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	s, err := redisstore.New(client, nil)
	require.NoError(t, err)
	return s
}

func TestStore(t *testing.T) {
	server := servers.Redis(t)
	storetest.Run(t, func(t *testing.T) tokens.Store { return newStore(t, server) })
}

func TestStoreOnACluster(t *testing.T) {
	server := servers.RedisCluster(t)
	node := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { _ = node.Close() }()
	require.NoError(t, node.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	require.Eventually(t, func() bool {
		return strings.Contains(node.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	}, 10*time.Second, 20*time.Millisecond)
	storetest.Run(t, func(t *testing.T) tokens.Store {
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.Addr}})
		t.Cleanup(func() { _ = client.Close() })
		s, err := redisstore.New(client, nil)
		require.NoError(t, err)
		return s
	})
}

// go-redis sends a command again if the connection breaks.
func TestSwapThatIsSentTwice(t *testing.T) {
	s := newStore(t, servers.Redis(t))
	require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "", record("1", "one"), 0))
	require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "", record("1", "one"), 0), "it is in")
	require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "1", record("21", "two"), 0))
	require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "", record("1", "one"), 0), "it was in, and has been replaced")
	require.ErrorIs(t, s.CompareAndSwap(t.Context(), "abc", "", record("2", "never in"), 0), tokens.ErrConflict)
	require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "21", record("3", "three"), 0))
	require.ErrorIs(t, s.CompareAndSwap(t.Context(), "abc", "1", record("2", "never in"), 0), tokens.ErrConflict)
	r, err := s.Load(t.Context(), "abc")
	require.NoError(t, err)
	assert.Equal(t, record("3", "three"), r)
}

func TestKeysAndExpiry(t *testing.T) {
	server := servers.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { _ = client.Close() }()
	for prefix, key := range map[string]string{"": "oauth-go:abc", "other:": "other:abc"} {
		s, err := redisstore.New(client, &redisstore.Options{Prefix: prefix})
		require.NoError(t, err)
		none, err := s.Load(t.Context(), "abc")
		require.NoError(t, err)
		assert.Zero(t, none)
		require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "", record("1", "v"), time.Hour))
		life := client.PTTL(t.Context(), key).Val()
		assert.Greater(t, life, time.Hour-time.Minute, key)
		assert.LessOrEqual(t, life, time.Hour, key)
		require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "1", record("2", "v"), 0))
		assert.EqualValues(t, -1, client.PTTL(t.Context(), key).Val(), "it does not expire")
		require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "2", record("3", "v"), time.Nanosecond))
		require.Eventually(t, func() bool { return client.Exists(t.Context(), key).Val() == 0 }, 5*time.Second, time.Millisecond)
	}
}

func TestRecordSurvivesARestart(t *testing.T) {
	server := servers.Redis(t)
	s := newStore(t, server)
	require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "", record("1", "v"), 0))
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := s.Load(ctx, "abc")
	require.Error(t, err, "an unreachable server is not an absent record")
	err = s.CompareAndSwap(ctx, "abc", "1", record("2", "v"), 0)
	require.Error(t, err)
	require.NotErrorIs(t, err, tokens.ErrConflict, "nobody knows")

	server.Start()
	r, err := s.Load(t.Context(), "abc")
	require.NoError(t, err)
	assert.Equal(t, record("1", "v"), r)
}

func TestBadInput(t *testing.T) {
	for _, tt := range []struct {
		client redis.UniversalClient
		want   string
	}{
		{nil, "redisstore: the client is nil; make one with redis.NewClient"},
		{(*redis.Client)(nil), "redisstore: the client is nil; make one with redis.NewClient"},
		{(*redis.ClusterClient)(nil), "redisstore: the client is nil; make one with redis.NewClusterClient"},
		{redis.NewRing(&redis.RingOptions{}), "redisstore: a Ring moves keys when a server is down, so processes could disagree; use a Client or a ClusterClient"},
		{redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, RouteByLatency: true}), "redisstore: the cluster client reads from replicas; leave ReadOnly, RouteByLatency and RouteRandomly off"},
	} {
		_, err := redisstore.New(tt.client, nil)
		assert.EqualError(t, err, tt.want)
	}
	for _, zero := range []*redisstore.Store{nil, {}} {
		_, err := zero.Load(t.Context(), "abc")
		require.ErrorContains(t, err, "make one with New")
		require.ErrorContains(t, zero.CompareAndSwap(t.Context(), "abc", "", record("1", ""), 0), "make one with New")
	}

	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = client.Close() }()
	s, err := redisstore.New(client, &redisstore.Options{Prefix: "p:"})
	require.NoError(t, err)
	_, err = s.Load(t.Context(), "ABC")
	require.ErrorContains(t, err, "the key must be")
	require.ErrorContains(t, s.CompareAndSwap(t.Context(), "ABC", "", record("1", ""), 0), "the key must be")
	require.ErrorContains(t, s.CompareAndSwap(t.Context(), "abc", "", record("x", ""), 0), "the version must be")
}
