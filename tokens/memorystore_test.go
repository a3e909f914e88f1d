package tokens_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/storetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	store := tokens.NewMemoryStore()
	storetest.Run(t, func(*testing.T) tokens.Store { return store })
}

func TestMemoryStoreForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := tokens.NewMemoryStore()
		require.NoError(t, store.CompareAndSwap(t.Context(), "a", "", tokens.Record{Version: "1", Value: []byte("v")}, time.Minute))
		pass(time.Minute - 1)
		r, err := store.Load(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, "1", r.Version)
		pass(time.Nanosecond)
		r, err = store.Load(t.Context(), "a")
		require.NoError(t, err)
		assert.Zero(t, r)
	})
}

// A caller may change the values that it passed and got.
func TestMemoryStoreCopiesValues(t *testing.T) {
	store := tokens.NewMemoryStore()
	value := []byte("v")
	require.NoError(t, store.CompareAndSwap(t.Context(), "a", "", tokens.Record{Version: "1", Value: value}, 0))
	value[0] = 'x'
	for range 2 {
		r, err := store.Load(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, "v", string(r.Value))
		r.Value[0] = 'x'
	}
}

// A swap does not go through all records: that would take many seconds here.
func TestMemoryStoreWithManyRecords(t *testing.T) {
	store, begin := tokens.NewMemoryStore(), time.Now()
	for i := range 50_000 {
		require.NoError(t, store.CompareAndSwap(t.Context(), fmt.Sprintf("%x", i), "", tokens.Record{Version: "1"}, 0))
	}
	assert.Less(t, time.Since(begin), 5*time.Second)
}

// Records whose time is over do not fill the memory, though nobody asks for them again.
func TestMemoryStoreDeletesExpiredRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := tokens.NewMemoryStore()
		before := heap()
		const n, size = 4 << 10, 8 << 10
		for i := range n {
			record := tokens.Record{Version: "1", Value: make([]byte, size)}
			require.NoError(t, store.CompareAndSwap(t.Context(), fmt.Sprintf("%x", i), "", record, time.Second))
			if i%512 == 0 {
				pass(time.Second)
			}
		}
		after := heap()
		assert.Less(t, after-min(before, after), uint64(n*size/2))
		runtime.KeepAlive(store)
	})
}

func TestMemoryStoreDoesNothingForAnEndedContext(t *testing.T) {
	store := tokens.NewMemoryStore()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, store.CompareAndSwap(ctx, "a", "", tokens.Record{Version: "1"}, 0), context.Canceled)
	_, err := store.Load(ctx, "a")
	require.ErrorIs(t, err, context.Canceled)
	r, err := store.Load(t.Context(), "a")
	require.NoError(t, err)
	assert.Zero(t, r)
}

func TestMemoryStoreRefusesOddNames(t *testing.T) {
	store := tokens.NewMemoryStore()
	for _, name := range []string{"", "A", "g", "a b", fmt.Sprintf("%065d", 0)} {
		_, err := store.Load(t.Context(), name)
		require.ErrorContains(t, err, "key", name)
		require.ErrorContains(t, store.CompareAndSwap(t.Context(), name, "", tokens.Record{Version: "1"}, 0), "key", name)
		require.ErrorContains(t, store.CompareAndSwap(t.Context(), "a", "", tokens.Record{Version: name}, 0), "version", name)
	}
}
