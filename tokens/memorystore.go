package tokens

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"sync"
	"time"
)

// NewMemoryStore returns a [Store] in memory, for tests and for several Caches of one process. It deletes records that
// have expired.
func NewMemoryStore() Store {
	return &memoryStore{records: make(map[string]memoryRecord)}
}

type memoryStore struct {
	mu      sync.Mutex
	records map[string]memoryRecord
	sweepAt int // the number of records at which expired ones are deleted
}

type memoryRecord struct {
	Record

	expires time.Time // zero: never
}

var hexadecimal = regexp.MustCompile(`^[0-9a-f]{1,64}$`)

// Load implements [Store].
func (s *memoryStore) Load(ctx context.Context, key string) (Record, error) {
	if err := checkStoreCall(ctx, key); err != nil {
		return Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.load(key, time.Now())
	r.Value = bytes.Clone(r.Value)
	return r, nil
}

// CompareAndSwap implements [Store].
func (s *memoryStore) CompareAndSwap(ctx context.Context, key, old string, next Record, ttl time.Duration) error {
	if err := checkStoreCall(ctx, key); err != nil {
		return err
	}
	if !hexadecimal.MatchString(next.Version) {
		return errors.New("tokens: memory store: the version must be 1 to 64 characters of 0-9 and a-f")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.load(key, now).Version != old {
		return ErrConflict
	}
	r := memoryRecord{Record: Record{Version: next.Version, Value: bytes.Clone(next.Value)}}
	if ttl > 0 {
		r.expires = now.Add(ttl)
	}
	s.records[key] = r
	s.sweep(now)
	return nil
}

func checkStoreCall(ctx context.Context, key string) error {
	if !hexadecimal.MatchString(key) {
		return errors.New("tokens: memory store: the key must be 1 to 64 characters of 0-9 and a-f")
	}
	return ctx.Err()
}

func (s *memoryStore) load(key string, now time.Time) Record {
	r := s.records[key]
	if r.over(now) {
		return Record{}
	}
	return r.Record
}

func (r memoryRecord) over(now time.Time) bool { return !r.expires.IsZero() && !now.Before(r.expires) }

// sweep deletes expired records each time that the number of records has doubled.
func (s *memoryStore) sweep(now time.Time) {
	if len(s.records) < max(s.sweepAt, 1024) {
		return
	}
	for key, r := range s.records {
		if r.over(now) {
			delete(s.records, key)
		}
	}
	s.sweepAt = 2 * len(s.records)
}
