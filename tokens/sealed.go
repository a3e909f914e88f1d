package tokens

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

// A SealKey is an encryption key for [Sealed]. It prints redacted with fmt, slog and JSON.
type SealKey struct {
	ID  string // identifies the key in the records; not secret
	Key []byte // 32 random bytes
}

// Format prints the key redacted, whatever the verb.
func (k SealKey) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{ID:%s Key:%s}", k.ID, redact(string(k.Key)))
}

// LogValue returns the key redacted.
func (k SealKey) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", k.ID), slog.String("key", redact(string(k.Key))))
}

// MarshalJSON returns the key redacted.
func (k SealKey) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"ID": k.ID, "Key": redact(string(k.Key))})
}

// Sealed returns a Store that keeps its values in store, encrypted with AES-256-GCM. The first key encrypts; all keys
// decrypt. To change the key, first add the new key after the old one in all processes, then put it first. The record
// holds the ID of its key. The key and version of the record are authenticated together with its value, so that a
// record that was copied to another key, or has an older value, is refused. Sealed cannot detect that a whole record,
// version and value, was set back to an earlier one.
//
// Sealed fails if there is no key, if a key is not 32 bytes long, or if an ID is empty, longer than 64 bytes, or used
// twice.
func Sealed(store Store, keys ...SealKey) (Store, error) {
	switch {
	case store == nil:
		return nil, errors.New("tokens: Sealed: the Store is nil")
	case len(keys) == 0:
		return nil, errors.New("tokens: Sealed: there is no key; pass at least one SealKey")
	}
	s := &sealedStore{store: store, current: keys[0].ID, keys: make(map[string]cipher.AEAD)}
	for _, k := range keys {
		switch {
		case k.ID == "" || len(k.ID) > 64 || clean(k.ID) != k.ID:
			return nil, fmt.Errorf("tokens: Sealed: SealKey.ID %q is not 1 to 64 printable bytes", clean(k.ID))
		case s.keys[k.ID] != nil:
			return nil, fmt.Errorf("tokens: Sealed: there are two keys with the ID %q", k.ID)
		case len(k.Key) != 32:
			return nil, fmt.Errorf("tokens: Sealed: the Key with the ID %q has %d bytes; AES-256 needs 32", k.ID, len(k.Key))
		}
		block, err := aes.NewCipher(k.Key)
		if err != nil {
			return nil, fmt.Errorf("tokens: Sealed: the key %q: %w", k.ID, err)
		}
		if s.keys[k.ID], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, fmt.Errorf("tokens: Sealed: the key %q: %w", k.ID, err)
		}
		s.ids = append(s.ids, k.ID)
	}
	return s, nil
}

type sealedStore struct {
	store   Store
	current string // ID of the key that encrypts
	keys    map[string]cipher.AEAD
	ids     []string
}

// sealedValue is the JSON form of a value in the store.
type sealedValue struct {
	Format int    `json:"sealed"`
	KeyID  string `json:"key"`
	Data   []byte `json:"data"`
}

const sealedFormat = 1

// Format prints the IDs of the keys.
func (s *sealedStore) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "tokens.Sealed(%T, keys %q)", s.store, s.ids)
}

// Load implements [Store].
func (s *sealedStore) Load(ctx context.Context, key string) (Record, error) {
	r, err := s.store.Load(ctx, key)
	if err != nil || r.Version == "" {
		return Record{}, err
	}
	r.Value, err = s.open(key, r)
	if err != nil {
		return Record{}, fmt.Errorf("tokens: sealed store: %w", err)
	}
	return r, nil
}

// CompareAndSwap implements [Store].
func (s *sealedStore) CompareAndSwap(ctx context.Context, key, old string, next Record, ttl time.Duration) error {
	data := s.keys[s.current].Seal(nil, nil, next.Value, sealedContext(s.current, key, next.Version)) //nolint:gosec // this AEAD makes its own nonce
	value, err := json.Marshal(sealedValue{sealedFormat, s.current, data})
	if err != nil {
		return fmt.Errorf("tokens: sealed store: %w", err)
	}
	return s.store.CompareAndSwap(ctx, key, old, Record{Version: next.Version, Value: value}, ttl)
}

func (s *sealedStore) open(key string, r Record) ([]byte, error) {
	var v sealedValue
	if err := json.Unmarshal(r.Value, &v); err != nil || v.Format < 1 {
		return nil, errors.New("the record is not sealed; was it written without Sealed?")
	}
	if v.Format > sealedFormat {
		return nil, fmt.Errorf("the record is sealed in format %d; this release reads up to %d", v.Format, sealedFormat)
	}
	aead := s.keys[v.KeyID]
	if aead == nil {
		return nil, fmt.Errorf("the record was sealed with the key %q, which is not one of %q; pass that SealKey too", clean(v.KeyID), s.ids)
	}
	value, err := aead.Open(nil, nil, v.Data, sealedContext(v.KeyID, key, r.Version))
	if err != nil {
		return nil, fmt.Errorf("the record does not fit the key %q: another key has this ID, or the record was tampered with", v.KeyID)
	}
	return value, nil
}

// sealedContext returns the additional data that is authenticated with a value. Lengths separate the parts.
func sealedContext(parts ...string) []byte {
	var b []byte
	for _, part := range parts {
		b = strconv.AppendInt(b, int64(len(part)), 10)
		b = append(b, ':')
		b = append(b, part...)
	}
	return b
}
