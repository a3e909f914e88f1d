package tokens

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// A Store keeps the records through which processes share their tokens. It can be written over any database that has a
// compare-and-swap operation and is linearizable for a single key. A Store must be safe for concurrent use.
//
// Keys and versions are 1 to 64 characters of 0-9 and a-f.
type Store interface {
	// Load returns the record under key. A zero Record means that there is none or that it has expired.
	Load(ctx context.Context, key string) (Record, error)
	// CompareAndSwap writes next under key if the version there is old; "" means that there is no record. Otherwise it
	// returns [ErrConflict], which guarantees that nothing was written. After any other error the outcome is unknown.
	// CompareAndSwap must not retry by itself, nor retain key or value. It may delete the record after ttl; if ttl is 0,
	// never.
	CompareAndSwap(ctx context.Context, key, old string, next Record, ttl time.Duration) error
}

// A Record is what a [Store] keeps under a key. fmt, slog and YAML show the Version alone; encoding/json writes both
// fields.
type Record struct {
	// Version identifies this content of the record. The writer chooses it at random and uses it once.
	Version string
	// Value holds the token, in the clear unless the Store is wrapped by [Sealed].
	Value []byte
}

// Format prints the Version, but not the Value.
func (r Record) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "tokens.Record(%s)", r.Version) }

// LogValue returns what Format prints.
func (r Record) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// MarshalYAML returns what Format prints.
func (r Record) MarshalYAML() (any, error) { return fmt.Sprint(r), nil }
