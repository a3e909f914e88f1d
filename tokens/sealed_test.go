package tokens_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/storetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sealKey(id string) tokens.SealKey {
	return tokens.SealKey{ID: id, Key: bytes.Repeat([]byte(id[:1]), 32)}
}

func mustSeal(t *testing.T, store tokens.Store, keys ...tokens.SealKey) tokens.Store {
	t.Helper()
	sealed, err := tokens.Sealed(store, keys...)
	require.NoError(t, err)
	return sealed
}

func TestSealedStore(t *testing.T) {
	t.Parallel()
	store := tokens.NewMemoryStore()
	storetest.Run(t, func(t *testing.T) tokens.Store { return mustSeal(t, store, sealKey("a")) })
}

func TestSealedHidesValues(t *testing.T) {
	store := tokens.NewMemoryStore()
	sealed := mustSeal(t, store, sealKey("a"))
	value := []byte("a value that nobody must read")
	require.NoError(t, sealed.CompareAndSwap(t.Context(), "1", "", tokens.Record{Version: "1", Value: value}, 0))
	require.NoError(t, sealed.CompareAndSwap(t.Context(), "2", "", tokens.Record{Version: "1", Value: value}, 0))
	one, err := store.Load(t.Context(), "1")
	require.NoError(t, err)
	two, err := store.Load(t.Context(), "2")
	require.NoError(t, err)
	assert.NotContains(t, string(one.Value), "nobody")
	assert.NotEqual(t, one.Value, two.Value)
}

func TestSealedPrintsItsKeyIDs(t *testing.T) {
	sealed := mustSeal(t, tokens.NewMemoryStore(), sealKey("new"), sealKey("old"))
	assert.Regexp(t, `^tokens\.Sealed\(.*, keys \["new" "old"\]\)$`, fmt.Sprint(sealed))
}

// What is not in the Store, and the Store's errors, come through unchanged.
func TestSealedHasNothingToOpen(t *testing.T) {
	r, err := mustSeal(t, tokens.NewMemoryStore(), sealKey("a")).Load(t.Context(), "1")
	require.NoError(t, err)
	assert.Zero(t, r)
	down := errors.New("down")
	failing := mustSeal(t, storeFunc(func(context.Context) error { return down }), sealKey("a"))
	_, err = failing.Load(t.Context(), "1")
	require.ErrorIs(t, err, down)
	require.ErrorIs(t, failing.CompareAndSwap(t.Context(), "1", "", tokens.Record{Version: "1"}, 0), down)
	odd := &oddStore{load: func(context.Context, string) (tokens.Record, error) {
		return tokens.Record{Version: "1", Value: []byte(`{"sealed":1,"key":"a"}`)}, down
	}}
	_, err = mustSeal(t, odd, sealKey("a")).Load(t.Context(), "1")
	require.ErrorIs(t, err, down, "whatever came with it")
}

func TestSealedChangesKeys(t *testing.T) {
	store := tokens.NewMemoryStore()
	before, after, alone := mustSeal(t, store, sealKey("old")), mustSeal(t, store, sealKey("new"), sealKey("old")), mustSeal(t, store, sealKey("new"))
	require.NoError(t, before.CompareAndSwap(t.Context(), "1", "", tokens.Record{Version: "1", Value: []byte("v")}, 0))
	r, err := after.Load(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, "v", string(r.Value))
	_, err = alone.Load(t.Context(), "1")
	require.ErrorContains(t, err, `"old"`)

	require.NoError(t, after.CompareAndSwap(t.Context(), "1", "1", tokens.Record{Version: "2", Value: []byte("w")}, 0))
	r, err = alone.Load(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, "w", string(r.Value))
	_, err = before.Load(t.Context(), "1")
	require.ErrorContains(t, err, `"new"`)
}

func TestSealedFindsTampering(t *testing.T) {
	store := tokens.NewMemoryStore()
	sealed := mustSeal(t, store, sealKey("a"), sealKey("b"))
	require.NoError(t, sealed.CompareAndSwap(t.Context(), "1", "", tokens.Record{Version: "11", Value: []byte("v")}, 0))
	good, err := store.Load(t.Context(), "1")
	require.NoError(t, err)

	flipped := func(i int) tokens.Record {
		var v map[string]any
		require.NoError(t, json.Unmarshal(good.Value, &v))
		data := []byte(v["data"].(string))
		data[i] = map[bool]byte{true: 'B', false: 'A'}[data[i] == 'A']
		v["data"] = string(data)
		value, err := json.Marshal(v)
		require.NoError(t, err)
		return tokens.Record{Version: good.Version, Value: value}
	}
	for name, c := range map[string]struct {
		key    string
		record tokens.Record
		want   string
	}{
		"under another key":        {"2", good, `"a"`},
		"under another version":    {"3", tokens.Record{Version: "1", Value: good.Value}, `"a"`},
		"with another key's id":    {"1", tokens.Record{Version: "11", Value: bytes.Replace(good.Value, []byte(`"a"`), []byte(`"b"`), 1)}, `"b"`},
		"with an unknown key's id": {"1", tokens.Record{Version: "11", Value: bytes.Replace(good.Value, []byte(`"a"`), []byte(`"c"`), 1)}, `"c"`},
		"first byte":               {"1", flipped(0), `"a"`},
		"a byte of the value":      {"1", flipped(17), `"a"`},
		"a byte of the tag":        {"1", flipped(30), `"a"`},
		"no data":                  {"1", tokens.Record{Version: "11", Value: []byte(`{"sealed":1,"key":"a"}`)}, `"a"`},
		"not sealed":               {"1", tokens.Record{Version: "11", Value: []byte(`{"format":1}`)}, "not sealed"},
		"not JSON":                 {"1", tokens.Record{Version: "11", Value: []byte(`x`)}, "not sealed"},
		"a damaged record":         {"1", tokens.Record{Version: "11", Value: []byte(`{"sealed":1,"key":5}`)}, "not sealed"},
		"a newer format":           {"1", tokens.Record{Version: "11", Value: []byte(`{"sealed":2,"key":"a"}`)}, "format 2"},
	} {
		t.Run(name, func(t *testing.T) {
			store := tokens.NewMemoryStore()
			require.NoError(t, store.CompareAndSwap(t.Context(), c.key, "", c.record, 0))
			_, err := mustSeal(t, store, sealKey("a"), sealKey("b")).Load(t.Context(), c.key)
			require.ErrorContains(t, err, c.want)
			assert.NotErrorIs(t, err, tokens.ErrConflict)
		})
	}
}

func TestSealedRefusesKeys(t *testing.T) {
	store := tokens.NewMemoryStore()
	for want, keys := range map[string][]tokens.SealKey{
		"no key":       nil,
		"ID":           {{Key: make([]byte, 32)}},
		"two keys":     {sealKey("a"), sealKey("a")},
		`"a" has 16`:   {{ID: "a", Key: make([]byte, 16)}},
		`"bb" has 0`:   {sealKey("a"), {ID: "bb"}},
		`"a" has 64`:   {{ID: "a", Key: bytes.Repeat([]byte("k"), 64)}},
		"printable":    {{ID: "a\nb", Key: make([]byte, 32)}},
		"1 to 64":      {{ID: string(bytes.Repeat([]byte("x"), 65)), Key: make([]byte, 32)}},
		`"b" has 31 b`: {{ID: "b", Key: make([]byte, 31)}},
	} {
		_, err := tokens.Sealed(store, keys...)
		require.ErrorContains(t, err, want)
	}
	_, err := tokens.Sealed(store, sealKey(strings.Repeat("x", 64)))
	require.NoError(t, err)
	_, err = tokens.Sealed(nil, sealKey("a"))
	require.ErrorContains(t, err, "Store is nil")
}

func TestSealKeyPrintsRedacted(t *testing.T) {
	key := tokens.SealKey{ID: "k1", Key: []byte("canary-canary-canary-canary-32!!")}
	sealed, err := tokens.Sealed(tokens.NewMemoryStore(), key)
	require.NoError(t, err)
	encoded, err := json.Marshal(map[string]any{"key": key, "keys": []tokens.SealKey{key}})
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key, "keys", []tokens.SealKey{key}, "store", sealed)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", key, "keys", []tokens.SealKey{key}, "store", sealed)
	text := fmt.Sprintf("%v %+v %#v %s %d %x %v %+v %#v", key, key, key, key, key, key, &key, struct{ K tokens.SealKey }{key}, sealed)
	for _, s := range []string{string(encoded), log.String(), text} {
		assert.NotContains(t, s, "canary")
		assert.NotContains(t, s, "99 97 110", "as numbers")
		assert.NotContains(t, s, "63616e617279", "as hexadecimal")
		assert.NotContains(t, s, "Y2FuYXJ5", "as base64")
	}
	assert.Contains(t, text, "k1")
	assert.Equal(t, "{ID:k1 Key:[REDACTED]}", fmt.Sprint(key))
}
