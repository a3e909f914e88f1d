package tokens

import (
	"context"
	"time"
)

// A Store keeps the records through which processes agree on their tokens. Anyone can write one over a database that can
// compare and swap: it must be linearizable for one key, and nothing else. A Store is safe for concurrent use.
//
// Keys and versions are 1 to 64 characters of 0-9 and a-f.
type Store interface {
	// Load returns the record under key. A zero Record means that there is none, or that its time is over.
	Load(ctx context.Context, key string) (Record, error)
	// CompareAndSwap puts next under key if the version there is still old, where "" means that there is no record. Otherwise it
	// returns [ErrConflict], which alone means that nothing was written; after any other error the outcome is unknown. It
	// does not try again by itself, and keeps neither key nor value. It may forget the record after ttl; if ttl is 0, never.
	CompareAndSwap(ctx context.Context, key, old string, next Record, ttl time.Duration) error
}

// A Record is what a [Store] keeps under a key.
type Record struct {
	// Version names this content of the record. Whoever writes it chooses it, at random, and uses it once.
	Version string
	Value   []byte
}
