//go:build unix

package pgstore_test

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/internal/servers"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/pgstore"
	"github.com/grantwright/oauth-go/tokens/storetest"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func record(version, value string) tokens.Record {
	return tokens.Record{Version: version, Value: []byte(value)}
}

func newPool(t *testing.T, server *servers.Server, settings string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), server.PostgresURL()+settings)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func newStore(t *testing.T, pool *pgxpool.Pool, table string) *pgstore.Store {
	t.Helper()
	s, err := pgstore.New(pool, &pgstore.Options{Table: table})
	require.NoError(t, err)
	require.NoError(t, s.CreateTable(t.Context()))
	require.NoError(t, s.CreateTable(t.Context()), "it exists")
	return s
}

func TestPostgres(t *testing.T) {
	server := servers.Postgres(t)

	t.Run("conformance", func(t *testing.T) {
		pool := newPool(t, server, "")
		storetest.Run(t, func(t *testing.T) tokens.Store { return newStore(t, pool, "") })
	})

	t.Run("a table with an odd name in a schema", func(t *testing.T) {
		s := newStore(t, newPool(t, server, ""), `public.Odd "name"; DROP`)
		require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "", record("1", "v"), 0))
		r, err := s.Load(t.Context(), "abc")
		require.NoError(t, err)
		assert.Equal(t, record("1", "v"), r)
		require.NoError(t, s.CompareAndSwap(t.Context(), "abc", "1", tokens.Record{Version: "2"}, 0), "without a value")
		r, err = s.Load(t.Context(), "abc")
		require.NoError(t, err)
		assert.Equal(t, record("2", ""), r)
	})

	t.Run("a table that many create at once", func(t *testing.T) {
		pool := newPool(t, server, "")
		for round := range 5 {
			s, err := pgstore.New(pool, &pgstore.Options{Table: "created_" + strconv.Itoa(round)})
			require.NoError(t, err)
			var creating sync.WaitGroup
			for range 4 {
				creating.Go(func() { assert.NoError(t, s.CreateTable(t.Context())) })
			}
			creating.Wait()
		}
	})

	// At every isolation level, one of many swaps of a version succeeds, and the others are conflicts.
	for _, isolation := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run(isolation, func(t *testing.T) {
			s := newStore(t, newPool(t, server, "&default_transaction_isolation="+url.PathEscape(isolation)), "")
			key := strconv.FormatInt(time.Now().UnixNano(), 16)
			old := ""
			for round := range 20 {
				var swapped, conflicts int
				var winner string
				var mu sync.Mutex
				var running sync.WaitGroup
				for n := range 8 {
					running.Go(func() {
						version := strconv.Itoa(round*8 + n)
						err := s.CompareAndSwap(t.Context(), key, old, record(version, "v"), 0)
						mu.Lock()
						defer mu.Unlock()
						switch {
						case err == nil:
							swapped++
							winner = version
						case errors.Is(err, tokens.ErrConflict):
							conflicts++
						default:
							t.Error(err)
						}
					})
				}
				running.Wait()
				require.Equal(t, 1, swapped)
				require.Equal(t, 7, conflicts)
				r, err := s.Load(t.Context(), key)
				require.NoError(t, err)
				require.Equal(t, winner, r.Version)
				old = winner
			}
		})
	}

	t.Run("a restart", func(t *testing.T) {
		s := newStore(t, newPool(t, server, ""), "")
		require.NoError(t, s.CompareAndSwap(t.Context(), "def", "", record("1", "v"), 0))
		server.Kill()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Load(ctx, "def")
		require.Error(t, err, "an unreachable server is not an absent record")
		err = s.CompareAndSwap(ctx, "def", "1", record("2", "v"), 0)
		require.Error(t, err)
		require.NotErrorIs(t, err, tokens.ErrConflict, "nobody knows")
		server.Start()
		r, err := s.Load(t.Context(), "def")
		require.NoError(t, err)
		assert.Equal(t, record("1", "v"), r)
	})
}

func TestBadInput(t *testing.T) {
	_, err := pgstore.New(nil, nil)
	require.EqualError(t, err, "pgstore: the pool is nil; make one with pgxpool.New")
	pool, err := pgxpool.New(t.Context(), "postgres://127.0.0.1:1/x")
	require.NoError(t, err)
	defer pool.Close()
	for _, table := range []string{".", "a.", "a.b.c", "a\x00b"} {
		_, err = pgstore.New(pool, &pgstore.Options{Table: table})
		require.ErrorContains(t, err, "is not a name or schema.name", table)
	}
	s, err := pgstore.New(pool, nil)
	require.NoError(t, err)
	_, err = s.Load(t.Context(), "ABC")
	require.ErrorContains(t, err, "the key must be")
	require.ErrorContains(t, s.CompareAndSwap(t.Context(), "ABC", "", record("1", ""), 0), "the key must be")
	require.ErrorContains(t, s.CreateTable(t.Context()), "pgstore: ", "nobody listens")
	require.ErrorContains(t, s.CompareAndSwap(t.Context(), "abc", "", record("x", ""), 0), "the version must be")
	for _, zero := range []*pgstore.Store{nil, {}} {
		require.ErrorContains(t, zero.CreateTable(t.Context()), "make one with New")
		_, err = zero.Load(t.Context(), "abc")
		require.ErrorContains(t, err, "make one with New")
		require.ErrorContains(t, zero.CompareAndSwap(t.Context(), "abc", "", record("1", ""), 0), "make one with New")
	}
}
