// Package redisstore implements a [tokens.Store] on Redis 4 or later, or on Valkey, for processes on many machines.
//
//	store, err := redisstore.New(redis.NewClient(&redis.Options{Addr: "localhost:6379"}), nil)
//	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Store: store})
//
// Each record is a hash under a single key, so Redis Cluster works too. Records are read and written on the primary.
//
// Redis acknowledges a write before its replicas have it, so a failover can lose the last second of swaps. A restart
// can lose what was not yet in the append-only file: nothing with appendfsync always, one second with everysec, and
// everything without persistence. A [tokens.Cache] writes a lost record back, as long as one process that knows it is
// alive. For refresh tokens that rotate, use appendonly yes and a maxmemory-policy that evicts no keys without a TTL
// (noeviction or volatile-*).
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/redis/go-redis/v9"
)

// A Store keeps records in Redis. It is safe for concurrent use. Every call of the zero Store fails; make a Store with
// [New].
type Store struct {
	client redis.UniversalClient
	prefix string
}

// Options are the settings of a [Store].
type Options struct {
	// Prefix is the prefix of all keys in Redis. If empty, it is "oauth-go:".
	Prefix string
}

const defaultPrefix = "oauth-go:"

// New returns a Store that uses client, which the caller closes. If opts is nil, the defaults are used. New fails for
// clients that read from replicas, which may be stale, and for a [redis.Ring], which moves keys to another server when
// one is down.
func New(client redis.UniversalClient, opts *Options) (*Store, error) {
	switch c := client.(type) {
	case nil:
		return nil, errors.New("redisstore: the client is nil; make one with redis.NewClient")
	case *redis.ClusterClient:
		if c == nil {
			return nil, errors.New("redisstore: the client is nil; make one with redis.NewClusterClient")
		}
		if c.Options().ReadOnly {
			return nil, errors.New("redisstore: the cluster client reads from replicas; leave ReadOnly, RouteByLatency and RouteRandomly off")
		}
	case *redis.Client:
		if c == nil {
			return nil, errors.New("redisstore: the client is nil; make one with redis.NewClient")
		}
	case *redis.Ring:
		return nil, errors.New("redisstore: a Ring moves keys when a server is down, so processes could disagree; use a Client or a ClusterClient")
	}
	s := &Store{client: client, prefix: defaultPrefix}
	if opts != nil && opts.Prefix != "" {
		s.prefix = opts.Prefix
	}
	return s, nil
}

// The fields of a record's hash: its version, its value, and its previous versions, newest first, each followed by a
// space.
const (
	fieldVersion = "version"
	fieldValue   = "value"
)

// swap replaces the record if its version is ARGV[1] ("" if there must be none). It returns 1 if it succeeded and 0
// otherwise. If the connection breaks, go-redis sends a command again although the first one may have been executed.
// The new version is then already that of the record, or one of its previous versions, and the swap counts as
// successful.
var swap = redis.NewScript(`
local current = redis.call('HGET', KEYS[1], 'version') or ''
if current == ARGV[2] then return 1 end
local past = redis.call('HGET', KEYS[1], 'past') or ''
if current ~= ARGV[1] then
	if string.find(' ' .. past, ' ' .. ARGV[2] .. ' ', 1, true) then return 1 end
	return 0
end
if current ~= '' then past = string.sub(current .. ' ' .. past, 1, 1040) end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'value', ARGV[3], 'past', past)
if ARGV[4] == '0' then
	redis.call('PERSIST', KEYS[1])
else
	redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1`)

// Load returns the record of key, or a zero Record.
func (s *Store) Load(ctx context.Context, key string) (tokens.Record, error) {
	name, err := s.name(key)
	if err != nil {
		return tokens.Record{}, err
	}
	values, err := s.client.HMGet(ctx, name, fieldVersion, fieldValue).Result()
	if err != nil {
		return tokens.Record{}, fmt.Errorf("redisstore: %w", err)
	}
	version, ok := values[0].(string)
	if !ok {
		return tokens.Record{}, nil
	}
	value, _ := values[1].(string)
	return tokens.Record{Version: version, Value: []byte(value)}, nil
}

// CompareAndSwap implements [tokens.Store].
func (s *Store) CompareAndSwap(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
	name, err := s.name(key)
	if err != nil {
		return err
	}
	if !hexadecimal.MatchString(next.Version) {
		return errors.New("redisstore: the version must be 1 to 64 characters of 0-9 and a-f")
	}
	milliseconds := int64(0)
	if ttl > 0 {
		milliseconds = max(1, ttl.Milliseconds())
	}
	swapped, err := swap.Run(ctx, s.client, []string{name}, old, next.Version, next.Value, milliseconds).Bool()
	switch {
	case err != nil:
		return fmt.Errorf("redisstore: %w", err)
	case !swapped:
		return tokens.ErrConflict
	}
	return nil
}

var hexadecimal = regexp.MustCompile(`^[0-9a-f]{1,64}$`)

func (s *Store) name(key string) (string, error) {
	if s == nil || s.client == nil {
		return "", errors.New("redisstore: the zero Store cannot be used; make one with New")
	}
	if !hexadecimal.MatchString(key) {
		return "", errors.New("redisstore: the key must be 1 to 64 characters of 0-9 and a-f")
	}
	return s.prefix + key, nil
}
