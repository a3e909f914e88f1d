// Package storetest tests whether an implementation of [tokens.Store] does what a [tokens.Cache] relies on.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) tokens.Store { return newMyStore(t, database) })
//	}
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Run runs the suite. Each call of open must return a Store on the same database, as another process would; for a Store
// in memory, it must return the same Store. The suite uses random keys, so the database need not be empty. It takes a
// few seconds, because it waits for a record to expire.
//
// The suite cannot test whether a write survives a crash or a failover of the database; document that of your Store.
func Run(t *testing.T, open func(t *testing.T) tokens.Store) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(s suite, t *testing.T)
	}{
		{"LoadOfNothing", suite.loadOfNothing},
		{"SwapAndLoad", suite.swapAndLoad},
		{"ConflictChangesNothing", suite.conflictChangesNothing},
		{"AnyValue", suite.anyValue},
		{"AnyKeyAndVersion", suite.anyKeyAndVersion},
		{"KeysAreSeparate", suite.keysAreSeparate},
		{"ValuesAreCopied", suite.valuesAreCopied},
		{"Interleavings", suite.interleavings},
		{"FirstSwapRace", suite.firstSwapRace},
		{"Race", suite.race},
		{"ReadersSeeNoOlderRecord", suite.readersSeeNoOlderRecord},
		{"EndedContext", suite.endedContext},
		{"ContextsThatEndMeanwhile", suite.contextsThatEndMeanwhile},
		{"Expiry", suite.expiry},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(suite{a: open(t), b: open(t)}, t)
		})
	}
}

// A suite holds the Stores of two processes.
type suite struct{ a, b tokens.Store }

// hexID returns a unique key or version.
func hexID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

func newRecord(value string) tokens.Record {
	return tokens.Record{Version: hexID(), Value: []byte(value)}
}

func (s suite) loadOfNothing(t *testing.T) {
	t.Helper()
	for _, store := range []tokens.Store{s.a, s.b} {
		r, err := store.Load(t.Context(), hexID())
		require.NoError(t, err, "a key without a record is no error")
		require.Empty(t, r.Version)
		require.Empty(t, r.Value)
	}
}

func (s suite) swapAndLoad(t *testing.T) {
	t.Helper()
	key, first, second := hexID(), newRecord("first"), newRecord("second")
	require.NoError(t, s.a.CompareAndSwap(t.Context(), key, "", first, 0))
	s.requireRecord(t, key, first)
	require.NoError(t, s.b.CompareAndSwap(t.Context(), key, first.Version, second, time.Hour))
	s.requireRecord(t, key, second)
	// The same value with another version is another record.
	third := newRecord("second")
	require.NoError(t, s.a.CompareAndSwap(t.Context(), key, second.Version, third, 0))
	s.requireRecord(t, key, third)
}

func (s suite) requireRecord(t *testing.T, key string, want tokens.Record) {
	t.Helper()
	for name, store := range map[string]tokens.Store{"first": s.a, "second": s.b} {
		r, err := store.Load(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, want.Version, r.Version, "as the %s process sees it", name)
		require.True(t, bytes.Equal(want.Value, r.Value), "as the %s process sees it: the value is %d bytes, not the %d written", name, len(r.Value), len(want.Value))
	}
}

func (s suite) conflictChangesNothing(t *testing.T) {
	t.Helper()
	key, first, second := hexID(), newRecord("first"), newRecord("second")
	require.ErrorIs(t, s.a.CompareAndSwap(t.Context(), key, first.Version, second, 0), tokens.ErrConflict, "there is no record")
	r, err := s.b.Load(t.Context(), key)
	require.NoError(t, err)
	require.Empty(t, r.Version)

	require.NoError(t, s.a.CompareAndSwap(t.Context(), key, "", first, 0))
	require.NoError(t, s.a.CompareAndSwap(t.Context(), key, first.Version, second, 0))
	for what, old := range map[string]string{
		"none": "", "an older one": first.Version, "one that never was": hexID(),
		"a part of it": second.Version[:8], "more than it": second.Version + "0",
	} {
		require.ErrorIs(t, s.b.CompareAndSwap(t.Context(), key, old, newRecord("third"), 0), tokens.ErrConflict, "the expected version is %s", what)
		s.requireRecord(t, key, second)
	}
}

func (s suite) anyValue(t *testing.T) {
	t.Helper()
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	long := make([]byte, 256<<10)
	_, _ = rand.Read(long)
	for name, value := range map[string][]byte{
		"empty": {}, "every byte": all[:], "text": []byte("{\"a\":\"\u00e9\u2028 %s 'quoted' \\\"}"), "zeros": make([]byte, 9), "256 KiB": long,
	} {
		t.Run(name, func(t *testing.T) {
			key, r := hexID(), tokens.Record{Version: hexID(), Value: value}
			require.NoError(t, s.a.CompareAndSwap(t.Context(), key, "", r, 0))
			s.requireRecord(t, key, r)
		})
	}
}

func (s suite) anyKeyAndVersion(t *testing.T) {
	t.Helper()
	long := hexID() + hexID()
	for _, key := range []string{long, hexID()[:15]} {
		version := ""
		for _, next := range []string{long, "0", "00", "1e5", "1e05", "f", "0f", strings.Repeat("0", 64)} {
			r := tokens.Record{Version: next, Value: []byte(next)}
			require.NoError(t, s.a.CompareAndSwap(t.Context(), key, version, r, 0), "key %q, from version %q to %q", key, version, next)
			s.requireRecord(t, key, r)
			version = next
		}
	}
}

func (s suite) keysAreSeparate(t *testing.T) {
	t.Helper()
	base := hexID()
	keys := []string{base, base + "0", base + "00", base[:30], "0" + base, hexID()}
	records := make(map[string]tokens.Record)
	for _, key := range keys {
		records[key] = newRecord(key)
		require.NoError(t, s.a.CompareAndSwap(t.Context(), key, "", records[key], 0))
	}
	records[base] = newRecord("changed")
	r, err := s.b.Load(t.Context(), base)
	require.NoError(t, err)
	require.NoError(t, s.b.CompareAndSwap(t.Context(), base, r.Version, records[base], 0))
	for _, key := range keys {
		s.requireRecord(t, key, records[key])
	}
}

func (s suite) valuesAreCopied(t *testing.T) {
	t.Helper()
	key, r := hexID(), newRecord("as written")
	require.NoError(t, s.a.CompareAndSwap(t.Context(), key, "", r, 0))
	copy(r.Value, "overwrites")
	s.requireRecord(t, key, tokens.Record{Version: r.Version, Value: []byte("as written")})
	loaded, err := s.a.Load(t.Context(), key)
	require.NoError(t, err)
	copy(loaded.Value, "overwrites")
	s.requireRecord(t, key, tokens.Record{Version: r.Version, Value: []byte("as written")})
}

// interleavings runs loads and swaps of two processes in every order of four steps, each swap with the version that its
// process last loaded, and compares the outcome with the expected one.
func (s suite) interleavings(t *testing.T) {
	t.Helper()
	const steps, kinds = 4, 4
	for n := range kinds * kinds * kinds * kinds {
		key := hexID()
		var stored tokens.Record
		var seen [2]string
		var done []string
		for step := range steps {
			kind := n >> (2 * step) % kinds
			process := kind / 2
			store := []tokens.Store{s.a, s.b}[process]
			if kind%2 == 0 {
				done = append(done, fmt.Sprintf("%d loads", process))
				r, err := store.Load(t.Context(), key)
				require.NoError(t, err)
				require.Equal(t, stored.Version, r.Version, "%s", done)
				require.Equal(t, string(stored.Value), string(r.Value), "%s", done)
				seen[process] = r.Version
				continue
			}
			done = append(done, fmt.Sprintf("%d swaps", process))
			next := newRecord(strings.Join(done, ", "))
			err := store.CompareAndSwap(t.Context(), key, seen[process], next, 0)
			if seen[process] == stored.Version {
				require.NoError(t, err, "%s", done)
				stored, seen[process] = next, next.Version
			} else {
				require.ErrorIs(t, err, tokens.ErrConflict, "%s", done)
			}
		}
	}
}

// firstSwapRace has several workers of two processes write the first record of a key: exactly one must succeed.
func (s suite) firstSwapRace(t *testing.T) {
	t.Helper()
	for range 10 {
		s.requireOneWinner(t, hexID(), "")
	}
}

// requireOneWinner swaps many records for the same version at once, of which exactly one must succeed. It returns the
// version of that one.
func (s suite) requireOneWinner(t *testing.T, key, old string) string {
	t.Helper()
	const workers = 8
	var errs [workers]error
	records := make([]tokens.Record, workers)
	var wg sync.WaitGroup
	for worker := range workers {
		store := []tokens.Store{s.a, s.b}[worker%2]
		records[worker] = newRecord(strconv.Itoa(worker))
		wg.Go(func() { errs[worker] = store.CompareAndSwap(t.Context(), key, old, records[worker], 0) })
	}
	wg.Wait()
	winner := -1
	for worker, err := range errs {
		if err == nil {
			require.Equal(t, -1, winner, "two swaps of the same version succeeded")
			winner = worker
			continue
		}
		require.ErrorIs(t, err, tokens.ErrConflict)
	}
	require.NotEqual(t, -1, winner, "of many swaps none succeeded")
	s.requireRecord(t, key, records[winner])
	return records[winner].Version
}

// race has many workers of two processes swap a record at once, and then increment a counter in one. If a swap of an old
// version succeeded, or two swaps of the same version, an increment would be lost.
func (s suite) race(t *testing.T) {
	t.Helper()
	version, key := "", hexID()
	for range 10 {
		version = s.requireOneWinner(t, key, version)
	}

	const workers, each = 8, 10
	key = hexID()
	var wg sync.WaitGroup
	for worker := range workers {
		store := []tokens.Store{s.a, s.b}[worker%2]
		wg.Go(func() {
			for range each {
				if !increment(t, store, key) {
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	r, err := s.a.Load(t.Context(), key)
	require.NoError(t, err)
	assert.Equal(t, strconv.Itoa(workers*each), string(r.Value))
}

func increment(t *testing.T, store tokens.Store, key string) bool {
	t.Helper()
	for {
		r, err := store.Load(t.Context(), key)
		if !assert.NoError(t, err) {
			return false
		}
		count := 0
		if r.Version != "" {
			if count, err = strconv.Atoi(string(r.Value)); !assert.NoError(t, err) {
				return false
			}
		}
		runtime.Gosched() // so that others swap meanwhile even if the Store is fast
		err = store.CompareAndSwap(t.Context(), key, r.Version, newRecord(strconv.Itoa(count+1)), 0)
		if err == nil {
			return true
		}
		if !assert.ErrorIs(t, err, tokens.ErrConflict) {
			return false
		}
	}
}

// readersSeeNoOlderRecord checks that a Load never returns an older record than the one that another process had
// written when the Load began.
func (s suite) readersSeeNoOlderRecord(t *testing.T) {
	t.Helper()
	key, done := hexID(), make(chan struct{})
	var mu sync.Mutex
	written := 0
	var wg sync.WaitGroup
	defer wg.Wait() // also if a Load fails
	wg.Go(func() {
		defer close(done)
		version := ""
		for i := 1; i <= 50; i++ {
			next := newRecord(strconv.Itoa(i))
			if !assert.NoError(t, s.a.CompareAndSwap(t.Context(), key, version, next, 0)) {
				return
			}
			version = next.Version
			mu.Lock()
			written = i
			mu.Unlock()
			runtime.Gosched()
		}
	})
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		mu.Lock()
		atLeast := written
		mu.Unlock()
		r, err := s.b.Load(t.Context(), key)
		require.NoError(t, err)
		if r.Version != "" {
			value, err := strconv.Atoi(string(r.Value))
			require.NoError(t, err)
			require.GreaterOrEqual(t, value, atLeast, "a swap that had succeeded was not seen: are loads served by a replica?")
		} else {
			require.Zero(t, atLeast, "a swap that had succeeded was not seen: are loads served by a replica?")
		}
	}
}

func (s suite) endedContext(t *testing.T) {
	t.Helper()
	key, first, second := hexID(), newRecord("first"), newRecord("second")
	require.NoError(t, s.a.CompareAndSwap(t.Context(), key, "", first, 0))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.a.Load(ended, key); err != nil {
		require.NotErrorIs(t, err, tokens.ErrConflict)
	}
	err := s.a.CompareAndSwap(ended, key, first.Version, second, 0)
	require.NotErrorIs(t, err, tokens.ErrConflict, "the version was the expected one")
	r, loadErr := s.b.Load(t.Context(), key)
	require.NoError(t, loadErr)
	if err == nil {
		require.Equal(t, second.Version, r.Version)
	} else {
		require.Contains(t, []string{first.Version, second.Version}, r.Version)
	}
}

// contextsThatEndMeanwhile cancels swaps at random times. Their errors must agree with the record afterwards, and the
// Store must keep working.
func (s suite) contextsThatEndMeanwhile(t *testing.T) {
	t.Helper()
	key, version := hexID(), ""
	var pending []string // versions of swaps with an unknown outcome since the last record that was loaded
	for i := range 40 {
		next := newRecord(strconv.Itoa(i))
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*50*time.Microsecond)
		err := s.a.CompareAndSwap(ctx, key, version, next, 0)
		cancel()
		switch {
		case err == nil:
			version, pending = next.Version, nil
		case errors.Is(err, tokens.ErrConflict):
			require.NotEmpty(t, pending, "ErrConflict though the version was the expected one")
		default:
			pending = append(pending, next.Version)
		}
		r, err := s.b.Load(t.Context(), key)
		require.NoError(t, err)
		if r.Version != version {
			require.Contains(t, pending, r.Version, "a version that nobody can have written")
			version, pending = r.Version, nil
		}
	}
	// A swap may take effect after it returned an error, but not much later.
	require.Eventually(t, func() bool {
		r, err := s.b.Load(t.Context(), key)
		return err == nil && s.b.CompareAndSwap(t.Context(), key, r.Version, newRecord("last"), 0) == nil
	}, 10*time.Second, 100*time.Millisecond)
}

// expiry checks that a record stays for its ttl and, without one, for ever. A Store need not delete anything. Of
// several records with the same ttl, the one written last shows when all of them have expired by the Store's own clock.
func (s suite) expiry(t *testing.T) {
	t.Helper()
	const ttl, tolerance = 1200 * time.Millisecond, 20 * time.Millisecond
	kept, extended, long, short, brief := hexID(), hexID(), hexID(), hexID(), hexID()
	records := make(map[string]tokens.Record)
	put := func(key string, ttl time.Duration) {
		t.Helper()
		r := newRecord(ttl.String())
		require.NoError(t, s.a.CompareAndSwap(t.Context(), key, records[key].Version, r, ttl))
		records[key] = r
	}
	put(kept, ttl)
	put(kept, 0) // this ends the ttl of the previous record
	put(extended, ttl)
	put(extended, time.Hour)
	put(long, 100*365*24*time.Hour)
	put(short, time.Nanosecond)
	begin := time.Now()
	put(brief, ttl)

	// brief exists as a whole or not at all.
	var left tokens.Record
	for {
		r, err := s.b.Load(t.Context(), brief)
		require.NoError(t, err)
		if left = r; r.Version == "" {
			require.Empty(t, r.Value)
			require.GreaterOrEqual(t, time.Since(begin), ttl-tolerance, "forgotten too early")
			break
		}
		require.Equal(t, records[brief], r)
		if time.Since(begin) > 2*ttl {
			break // this Store does not delete expired records
		}
		<-time.After(10 * time.Millisecond)
	}
	for _, key := range []string{kept, extended, long} {
		s.requireRecord(t, key, records[key])
	}
	if left.Version == "" {
		// A swap must not find the record either, and exactly one of many first swaps must succeed.
		require.ErrorIs(t, s.a.CompareAndSwap(t.Context(), brief, records[brief].Version, newRecord("next"), 0), tokens.ErrConflict)
		s.requireOneWinner(t, brief, "")
		return
	}
	next := newRecord("next")
	require.NoError(t, s.a.CompareAndSwap(t.Context(), brief, left.Version, next, 0))
	s.requireRecord(t, brief, next)
}
