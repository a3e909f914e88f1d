// Package pgstore implements a [tokens.Store] on PostgreSQL 9.5 or later, for processes on many machines.
//
//	store, err := pgstore.New(pool, nil)
//	err = store.CreateTable(ctx)
//	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Store: store})
//
// Each record is a row of one table. The pool must connect to the primary (target_session_attrs=read-write), because a
// standby may return old rows.
//
// After a successful swap, the record survives a crash and a restart, unless synchronous_commit is off. A failover to
// an asynchronous standby can lose the last commits. In that case a [tokens.Cache] writes the lost record back, as long
// as one process that knows it is alive. With a synchronous standby nothing is lost.
package pgstore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A Store keeps records in a table. It is safe for concurrent use. Every call of the zero Store fails; make a Store
// with [New].
type Store struct {
	pool  *pgxpool.Pool
	table string // quoted
}

// Options are the settings of a [Store].
type Options struct {
	// Table is the name of the table, optionally preceded by its schema and a dot. If empty, it is "oauth_tokens".
	Table string
}

const defaultTable = "oauth_tokens"

// New returns a Store that uses pool, which the caller closes. If opts is nil, the defaults are used. New does not
// connect.
func New(pool *pgxpool.Pool, opts *Options) (*Store, error) {
	if pool == nil {
		return nil, errors.New("pgstore: the pool is nil; make one with pgxpool.New")
	}
	table := defaultTable
	if opts != nil && opts.Table != "" {
		table = opts.Table
	}
	name := pgx.Identifier(strings.Split(table, "."))
	for _, part := range name {
		if part == "" || strings.ContainsRune(part, 0) || len(name) > 2 {
			return nil, fmt.Errorf("pgstore: Table %q is not a name or schema.name", table)
		}
	}
	return &Store{pool, name.Sanitize()}, nil
}

// CreateTable creates the table if it does not exist, which needs the privilege to do so. To create it in a migration
// instead, use this definition:
//
//	CREATE TABLE oauth_tokens (
//		key        text PRIMARY KEY,
//		version    text NOT NULL,
//		value      bytea NOT NULL,
//		expires_at timestamptz
//	)
func (s *Store) CreateTable(ctx context.Context) error {
	if s == nil || s.pool == nil {
		return errZero
	}
	_, err := s.pool.Exec(ctx, `CREATE TABLE IF NOT EXISTS `+s.table+
		` (key text PRIMARY KEY, version text NOT NULL, value bytea NOT NULL, expires_at timestamptz)`)
	// If two processes create the table at once, one may fail, but the table exists then.
	if err == nil || slices.Contains([]string{uniqueViolation, duplicateTable, duplicateObject}, sqlState(err)) {
		return nil
	}
	return fmt.Errorf("pgstore: %w", err)
}

// SQLSTATE codes, from appendix A of PostgreSQL's documentation.
const (
	uniqueViolation      = "23505"
	duplicateTable       = "42P07"
	duplicateObject      = "42710" // the type of the table's rows
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// Load returns the record of key, or a zero Record.
func (s *Store) Load(ctx context.Context, key string) (tokens.Record, error) {
	if err := s.check(key); err != nil {
		return tokens.Record{}, err
	}
	var r tokens.Record
	err := s.pool.QueryRow(ctx, `SELECT version, value FROM `+s.table+
		` WHERE key = $1 AND (expires_at IS NULL OR expires_at > clock_timestamp())`, key).Scan(&r.Version, &r.Value)
	if errors.Is(err, pgx.ErrNoRows) {
		return tokens.Record{}, nil
	}
	if err != nil {
		return tokens.Record{}, fmt.Errorf("pgstore: %w", err)
	}
	return r, nil
}

// CompareAndSwap implements [tokens.Store].
func (s *Store) CompareAndSwap(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
	if err := s.check(key); err != nil {
		return err
	}
	if !hexadecimal.MatchString(next.Version) {
		return errors.New("pgstore: the version must be 1 to 64 characters of 0-9 and a-f")
	}
	value := next.Value
	if value == nil {
		value = []byte{} // nil would be NULL
	}
	var life *time.Duration // by the server's clock; nil for ever
	if ttl > 0 {
		life = &ttl
	}
	statement, args := `UPDATE `+s.table+` SET version = $2, value = $3, expires_at = clock_timestamp() + $4::interval
		WHERE key = $1 AND version = $5 AND (expires_at IS NULL OR expires_at > clock_timestamp())`,
		[]any{key, next.Version, value, life, old}
	if old == "" {
		statement, args = `INSERT INTO `+s.table+` AS r (key, version, value, expires_at)
			VALUES ($1, $2, $3, clock_timestamp() + $4::interval)
			ON CONFLICT (key) DO UPDATE SET version = $2, value = $3, expires_at = clock_timestamp() + $4::interval
			WHERE r.expires_at <= clock_timestamp()`, args[:4]
	}
	tag, err := s.pool.Exec(ctx, statement, args...)
	switch code := sqlState(err); {
	case code == serializationFailure, code == deadlockDetected:
		return tokens.ErrConflict // the transaction was rolled back
	case err != nil:
		return fmt.Errorf("pgstore: %w", err)
	case tag.RowsAffected() == 0:
		return tokens.ErrConflict
	}
	return nil
}

var (
	errZero     = errors.New("pgstore: the zero Store cannot be used; make one with New")
	hexadecimal = regexp.MustCompile(`^[0-9a-f]{1,64}$`)
)

func (s *Store) check(key string) error {
	if s == nil || s.pool == nil {
		return errZero
	}
	if !hexadecimal.MatchString(key) {
		return errors.New("pgstore: the key must be 1 to 64 characters of 0-9 and a-f")
	}
	return nil
}
