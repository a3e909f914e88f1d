package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/storetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// brokenStores are Stores with one fault each, by the check that finds it.
var brokenStores = map[string][]broken{
	"LoadOfNothing": {
		{"an absent record is an error", func(s *brokenStore) {
			s.load = func(ctx context.Context, key string) (tokens.Record, error) {
				r, err := s.Store.Load(ctx, key)
				if err == nil && r.Version == "" {
					err = errors.New("no rows")
				}
				return r, err
			}
		}},
	},
	"SwapAndLoad": {
		{"the version is its own", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				next.Version = "1" + next.Version[1:]
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
		{"a swap that changes no value is none", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if r, err := s.Store.Load(ctx, key); err == nil && r.Version == old && old != "" && bytes.Equal(r.Value, next.Value) {
					return nil
				}
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
		{"each process has its own records", func(s *brokenStore) { s.Store = tokens.NewMemoryStore() }},
		{"a process remembers what it loaded", func(s *brokenStore) {
			remembered := make(map[string]tokens.Record)
			s.load = func(ctx context.Context, key string) (tokens.Record, error) {
				if r, ok := remembered[key]; ok {
					return r, nil
				}
				r, err := s.Store.Load(ctx, key)
				remembered[key] = r
				return r, err
			}
		}},
	},
	"ConflictChangesNothing": {
		{"the first swap takes any version", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if old == "" {
					r, err := s.Store.Load(ctx, key)
					if err != nil {
						return err
					}
					old = r.Version
				}
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
		{"a swap of an absent record makes it", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if r, err := s.Store.Load(ctx, key); err == nil && r.Version == "" {
					old = ""
				}
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
		{"a conflict writes all the same", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				err := s.Store.CompareAndSwap(ctx, key, old, next, ttl)
				if errors.Is(err, tokens.ErrConflict) {
					r, _ := s.Store.Load(ctx, key)
					_ = s.Store.CompareAndSwap(ctx, key, r.Version, next, ttl)
				}
				return err
			}
		}},
		{"a conflict is no error", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				err := s.Store.CompareAndSwap(ctx, key, old, next, ttl)
				if errors.Is(err, tokens.ErrConflict) {
					return nil
				}
				return err
			}
		}},
		{"a conflict is any error", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				err := s.Store.CompareAndSwap(ctx, key, old, next, ttl)
				if errors.Is(err, tokens.ErrConflict) {
					return errors.New("duplicate key")
				}
				return err
			}
		}},
		{"versions are compared by their beginning", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if r, err := s.Store.Load(ctx, key); err == nil && old != "" && strings.HasPrefix(r.Version, old) {
					old = r.Version
				}
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
	},
	"AnyValue": {
		{"values are cut", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				next.Value = next.Value[:min(len(next.Value), 1<<16-1)]
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
		{"values are text", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				next.Value = bytes.ToValidUTF8(next.Value, []byte("?"))
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
		{"values are strings of C", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				next.Value, _, _ = bytes.Cut(next.Value, []byte{0})
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
	},
	"AnyKeyAndVersion": {
		{"versions are cut", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				next.Version = next.Version[:min(len(next.Version), 36)]
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
		{"versions are numbers", func(s *brokenStore) {
			number := func(version string) string {
				if len(version) > 1 {
					version = strings.TrimLeft(version, "0") + "0"
				}
				return version
			}
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				next.Version = number(next.Version)
				return s.Store.CompareAndSwap(ctx, key, number(old), next, ttl)
			}
		}},
	},
	"KeysAreSeparate": {
		{"keys are cut", func(s *brokenStore) {
			cut := func(key string) string { return key[:min(len(key), 32)] }
			s.load = func(ctx context.Context, key string) (tokens.Record, error) { return s.Store.Load(ctx, cut(key)) }
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				return s.Store.CompareAndSwap(ctx, cut(key), old, next, ttl)
			}
		}},
	},
	"ValuesAreCopied": {
		{"values are those of the caller of CompareAndSwap", func(s *brokenStore) { s.keepValues(slices.Clone[[]byte], nil) }},
		{"values are those of the caller of Load", func(s *brokenStore) { s.keepValues(nil, slices.Clone[[]byte]) }},
	},
	"Interleavings": {
		{"a swap goes by the version that its process loaded", func(s *brokenStore) {
			var loaded string
			s.load = func(ctx context.Context, key string) (tokens.Record, error) {
				r, err := s.Store.Load(ctx, key)
				loaded = r.Version
				return r, err
			}
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if loaded != old {
					return tokens.ErrConflict
				}
				r, _ := s.Store.Load(ctx, key)
				return s.Store.CompareAndSwap(ctx, key, r.Version, next, ttl)
			}
		}},
	},
	"FirstSwapRace": {
		{"a first swap is not atomic", (*brokenStore).swapInTwoSteps},
		{"a first swap that loses is another error", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				r, _ := s.Store.Load(ctx, key)
				runtime.Gosched()
				err := s.Store.CompareAndSwap(ctx, key, old, next, ttl)
				if errors.Is(err, tokens.ErrConflict) && r.Version == old {
					return errors.New("duplicate key")
				}
				return err
			}
		}},
	},
	"Race": {
		{"a swap is not atomic", (*brokenStore).swapInTwoSteps},
		{"a conflict is tried again", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				err := s.Store.CompareAndSwap(ctx, key, old, next, ttl)
				if errors.Is(err, tokens.ErrConflict) {
					r, _ := s.Store.Load(ctx, key)
					err = s.Store.CompareAndSwap(ctx, key, r.Version, next, ttl)
				}
				return err
			}
		}},
	},
	"ReadersSeeNoOlderRecord": {
		{"loads are served by a replica that is behind", func(s *brokenStore) {
			var replica [3]tokens.Record // the last records loaded
			s.load = func(ctx context.Context, key string) (tokens.Record, error) {
				r, err := s.Store.Load(ctx, key)
				replica = [3]tokens.Record{replica[1], replica[2], r}
				return replica[0], err
			}
		}},
	},
	"EndedContext": {
		{"an ended context is a conflict", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if ctx.Err() != nil {
					return tokens.ErrConflict
				}
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
		{"an ended context is success", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if ctx.Err() != nil {
					return nil
				}
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
	},
	"ContextsThatEndMeanwhile": {
		{"a swap that was cut off is a conflict", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if err := s.Store.CompareAndSwap(context.WithoutCancel(ctx), key, old, next, ttl); err != nil {
					return err
				}
				<-ctx.Done() // or until the end of the test
				return tokens.ErrConflict
			}
		}},
	},
	"Expiry": {
		{"the time of the record before counts on", func(s *brokenStore) {
			ttls := make(map[string]time.Duration)
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if _, ok := ttls[key]; !ok || old == "" {
					ttls[key] = ttl
				}
				return s.Store.CompareAndSwap(ctx, key, old, next, ttls[key])
			}
		}},
		{"a longer ttl does not count", func(s *brokenStore) {
			ttls := make(map[string]time.Duration)
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if last := ttls[key]; old != "" && last > 0 && ttl > last {
					ttl = last
				}
				ttls[key] = ttl
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
		{"no ttl is a short one", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if ttl == 0 {
					ttl = time.Second
				}
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
		{"the ttl is cut to seconds", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				return s.Store.CompareAndSwap(ctx, key, old, next, max(ttl.Truncate(time.Second), min(ttl, 1)))
			}
		}},
		{"a long ttl overflows", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if ttl > 50*365*24*time.Hour {
					ttl = 1
				}
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
		{"a record whose time is over still conflicts", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
				if last, ok := s.shared.Load(key); ok && last != old {
					return tokens.ErrConflict
				}
				s.shared.Store(key, next.Version)
				return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
			}
		}},
		{"nothing is deleted, but it looks full", func(s *brokenStore) {
			begin := time.Now()
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, _ time.Duration) error {
				if time.Since(begin) > time.Second {
					return nil
				}
				return s.Store.CompareAndSwap(ctx, key, old, next, 0)
			}
		}},
	},
}

// correctStores are unusual Stores that pass the check.
var correctStores = map[string][]broken{
	"Expiry": {
		{"nothing is ever deleted", func(s *brokenStore) {
			s.swap = func(ctx context.Context, key, old string, next tokens.Record, _ time.Duration) error {
				return s.Store.CompareAndSwap(ctx, key, old, next, 0)
			}
		}},
	},
}

type broken struct {
	what     string
	sabotage func(*brokenStore)
}

// A brokenStore is one process's Store on a database in memory.
type brokenStore struct {
	tokens.Store

	shared *sync.Map // shared by both processes
	mu     sync.Mutex
	load   func(ctx context.Context, key string) (tokens.Record, error)
	swap   func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error
}

func (s *brokenStore) Load(ctx context.Context, key string) (tokens.Record, error) {
	if s.load == nil {
		return s.Store.Load(ctx, key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load(ctx, key)
}

func (s *brokenStore) CompareAndSwap(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
	if s.swap == nil {
		return s.Store.CompareAndSwap(ctx, key, old, next, ttl)
	}
	return s.swap(ctx, key, old, next, ttl)
}

// keepValues keeps values in memory. If loaded or swapped is not nil, it copies the values that Load returns or that
// CompareAndSwap is given.
func (s *brokenStore) keepValues(loaded, swapped func([]byte) []byte) {
	s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
		err := s.Store.CompareAndSwap(ctx, key, old, next, ttl)
		if err == nil {
			if swapped != nil {
				next.Value = swapped(next.Value)
			}
			s.shared.Store(key, next.Value)
		}
		return err
	}
	s.load = func(ctx context.Context, key string) (tokens.Record, error) {
		r, err := s.Store.Load(ctx, key)
		if value, ok := s.shared.Load(key); ok {
			r.Value = value.([]byte)
			if loaded != nil {
				r.Value = loaded(r.Value)
			}
		}
		return r, err
	}
}

// swapInTwoSteps compares and swaps, with a pause in between.
func (s *brokenStore) swapInTwoSteps() {
	s.swap = func(ctx context.Context, key, old string, next tokens.Record, ttl time.Duration) error {
		r, err := s.Store.Load(ctx, key)
		if err != nil {
			return err
		}
		if r.Version != old {
			return tokens.ErrConflict
		}
		for {
			runtime.Gosched()
			if err = s.Store.CompareAndSwap(ctx, key, r.Version, next, ttl); !errors.Is(err, tokens.ErrConflict) {
				return err
			}
			if r, err = s.Store.Load(ctx, key); err != nil {
				return err
			}
		}
	}
}

const brokenVariable = "STORETEST_BROKEN"

// TestBrokenStore is run by the processes of TestSuiteFindsBrokenStores.
func TestBrokenStore(t *testing.T) {
	what, ok := os.LookupEnv(brokenVariable)
	if !ok {
		t.Skip("runs in the processes that TestSuiteFindsBrokenStores starts")
	}
	database, shared := tokens.NewMemoryStore(), new(sync.Map)
	storetest.Run(t, func(*testing.T) tokens.Store {
		s := &brokenStore{Store: database, shared: shared}
		for _, stores := range []map[string][]broken{brokenStores, correctStores} {
			for _, all := range stores {
				for _, b := range all {
					if b.what == what {
						b.sabotage(s)
					}
				}
			}
		}
		return s
	})
}

// Each broken Store fails its check, and correct ones pass all checks.
func TestSuiteFindsBrokenStores(t *testing.T) {
	run := func(t *testing.T, check, what string) (output string, err error) {
		t.Helper()
		cmd := exec.Command(os.Args[0], "-test.v", "-test.timeout=60s", "-test.run=^TestBrokenStore$/^"+check+"$")
		cmd.Env = append(os.Environ(), brokenVariable+"="+what)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for check, all := range brokenStores {
		for _, b := range all {
			t.Run(fmt.Sprintf("%s/%s", check, b.what), func(t *testing.T) {
				t.Parallel()
				out, err := run(t, check, b.what)
				require.Error(t, err, out)
				assert.Contains(t, out, "--- FAIL: TestBrokenStore/"+check, out)
				assert.NotContains(t, out, "panic:", out)
			})
		}
		for _, b := range append(correctStores[check], broken{"nothing is wrong", nil}) {
			t.Run(check+"/"+b.what, func(t *testing.T) {
				t.Parallel()
				out, err := run(t, check, b.what)
				require.NoError(t, err, out)
				assert.Contains(t, out, "--- PASS: TestBrokenStore/"+check, out)
			})
		}
	}
}
