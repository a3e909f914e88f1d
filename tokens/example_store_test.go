package tokens_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/grantwright/oauth-go/tokens"
)

// A tokenTable is a Store on any database that database/sql reaches and that swaps a row atomically, such as PostgreSQL:
//
//	CREATE TABLE tokens (key text PRIMARY KEY, version text NOT NULL, value bytea NOT NULL)
//
// It forgets nothing, which a Store may. Check yours with package storetest.
type tokenTable struct{ db *sql.DB }

func (t tokenTable) Load(ctx context.Context, key string) (r tokens.Record, err error) {
	err = t.db.QueryRowContext(ctx, `SELECT version, value FROM tokens WHERE key = $1`, key).Scan(&r.Version, &r.Value)
	if errors.Is(err, sql.ErrNoRows) {
		return tokens.Record{}, nil
	}
	return r, err
}

func (t tokenTable) CompareAndSwap(ctx context.Context, key, old string, next tokens.Record, _ time.Duration) error {
	query, args := `UPDATE tokens SET version = $2, value = $3 WHERE key = $1 AND version = $4`, []any{key, next.Version, next.Value, old}
	if old == "" {
		query, args = `INSERT INTO tokens (key, version, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, args[:3]
	}
	result, err := t.db.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return tokens.ErrConflict
}

// A Store for a database of your own needs two methods, here 24 lines for PostgreSQL.
func ExampleStore() {
	var db *sql.DB // as the application has it
	endpoint, err := tokens.NewMoov(tokens.Credentials{ClientID: "id", ClientSecret: "secret"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{
		Grant: tokens.Grant{Scopes: []string{"/accounts.read"}},
		Store: tokenTable{db},
	})
	fmt.Println(cache, err)
	// Output: tokens.Cache(Moov) <nil>
}

// The logins of many users, each kept in the Store under its name.
func ExampleSessions() {
	endpoint, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.Credentials{ClientID: "id", ClientSecret: "secret"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	sessions, err := tokens.NewSessions(endpoint, &tokens.CacheOptions{Store: tokens.NewMemoryStore()})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	// After a login, such as by Endpoint.Exchange:
	err = sessions.Session("merchant-17").Set(ctx, &tokens.Token{
		AccessToken: "access", RefreshToken: "refresh", Expiry: time.Now().Add(time.Hour),
	})
	fmt.Println(err)
	// In any request, in any process on the same Store:
	token, err := sessions.Session("merchant-17").Token(ctx)
	fmt.Println(token.AccessToken, err)
	_, err = sessions.Session("merchant-18").Token(ctx)
	fmt.Println(errors.Is(err, tokens.ErrLoginRequired))
	fmt.Println(sessions.Close(ctx))
	// Output:
	// <nil>
	// access <nil>
	// true
	// <nil>
}
