package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/filestore"
)

const (
	processes   = 20      // Caches that share a Store, like as many processes
	manyLogins  = 100_000 // logins of a Sessions
	noStore     = "no Store"
	patientCall = 10 * time.Second
)

// A database is where the Stores of the processes are.
type database struct {
	name string
	// open returns a Store on it, as another process would. Cleanup is registered with tb.
	open func(tb testing.TB) func() (tokens.Store, error)
}

var databases = []database{
	{"in memory", func(tb testing.TB) func() (tokens.Store, error) {
		tb.Helper()
		store := tokens.NewMemoryStore()
		return func() (tokens.Store, error) { return store, nil }
	}},
	{"files", func(tb testing.TB) func() (tokens.Store, error) {
		tb.Helper()
		dir := tb.TempDir()
		return func() (tokens.Store, error) { return filestore.New(dir) }
	}},
}

// measureStores measures the cost of a Store, and how fast a fleet shares a token through it.
func measureStores(e effort) []figure {
	figures := measureWarm(e)
	for _, d := range databases {
		cold, last := values{}, values{}
		for range e.scenarios {
			withTB(func(tb testing.TB) {
				tb.Helper()
				open := d.open(tb)
				last.add(ours, float64(expiryToLast(open)))
				cold.add(ours, float64(coldStart(open)))
			})
		}
		if len(last) == 0 {
			continue // the database is not installed
		}
		figures = append(figures,
			figure{"expiry to the last of 20, " + d.name, duration, last, target{most: float64(slow + 300*time.Millisecond)}},
			figure{"  cold start by one look", duration, cold, unset})
	}
	left := values{}
	left.add(ours, sessionsLeft())
	return append(figures, figure{"heap after 100,000 logins were used once", size, left, target{most: 32e6}})
}

// measureWarm compares a cached token with and without a Store.
func measureWarm(e effort) []figure {
	ctx := context.Background()
	hit := func(name string, store tokens.Store) contender {
		cache := newStoreCache(newVendor(hour), store)
		if _, err := cache.Token(ctx); err != nil {
			log.Fatal(err)
		}
		return contender{name, func() error {
			_, err := cache.Token(ctx)
			return err
		}}
	}
	warm := compare(e, 1, hit(ours, tokens.NewMemoryStore()), hit(noStore, nil))
	return []figure{warm.times("cached token beside a Store", target{1.1, noStore}), warm.allocations(target{most: 0})}
}

func newStoreCache(v vendor, store tokens.Store) *tokens.Cache {
	cache, err := tokens.NewCache(newEndpoint(v.setup(nil, 0)), &tokens.CacheOptions{Store: store})
	if err != nil {
		log.Fatal(err)
	}
	return cache
}

// withTB runs f with a testing.TB for the databases. It returns after cleanup.
func withTB(f func(tb testing.TB)) {
	if err := flag.Set("test.benchtime", "1x"); err != nil {
		log.Fatal(err)
	}
	testing.Benchmark(func(b *testing.B) {
		b.Helper()
		f(b)
	})
}

// expiryToLast returns how long it takes from the expiry of a token until every process has the next one, if the
// endpoint takes 50 ms. Several callers of each process are waiting.
func expiryToLast(open func() (tokens.Store, error)) time.Duration {
	v := newVendor(hour)
	v.next("first", 2)
	var caches []*tokens.Cache
	for range processes {
		store, err := open()
		if err != nil {
			log.Fatal(err)
		}
		caches = append(caches, newStoreCache(v, store))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patientCall)
	defer cancel()
	var expiry time.Time
	for _, c := range caches {
		token, err := c.Token(ctx)
		if err != nil {
			log.Fatal(err) //nolint:gocritic // the program ends
		}
		expiry = token.Expiry
	}
	v.always(sandbox.Fault{Delay: slow})
	time.Sleep(time.Until(expiry)) // without calls there is no renewal
	before, begin := v.requests(), time.Now()
	var running sync.WaitGroup
	for _, c := range caches {
		for range 5 {
			running.Go(func() {
				if _, err := c.Token(ctx); err != nil {
					log.Fatal(err)
				}
			})
		}
	}
	running.Wait()
	took := time.Since(begin)
	if n := v.requests() - before; n != 1 {
		log.Fatalf("%d processes made %d requests for one token", processes, n)
	}
	return took
}

// coldStart returns how long a new process takes to get the token from its Store.
func coldStart(open func() (tokens.Store, error)) time.Duration {
	store, err := open()
	if err != nil {
		log.Fatal(err)
	}
	v := newVendor(hour)
	began := time.Now()
	if _, err := newStoreCache(v, store).Token(context.Background()); err != nil {
		log.Fatal(err)
	}
	took := time.Since(began)
	if n := v.requests(); n != 0 {
		log.Fatalf("a cold start made %d requests", n)
	}
	return took
}

// sessionsLeft returns the heap size after each of many logins was used once.
func sessionsLeft() float64 {
	store := tokens.NewMemoryStore()
	newSessions := func() *tokens.Sessions {
		endpoint, err := tokens.NewEndpoint("https://tokens.example.com/token", tokens.Credentials{ClientID: "id", ClientSecret: "secret"}, nil)
		if err != nil {
			log.Fatal(err)
		}
		sessions, err := tokens.NewSessions(endpoint, &tokens.CacheOptions{Store: store})
		if err != nil {
			log.Fatal(err)
		}
		return sessions
	}
	login := &tokens.Token{AccessToken: "access", RefreshToken: "refresh", Expiry: time.Now().Add(time.Hour)}
	sessions := newSessions()
	ctx := context.Background()
	for i := range manyLogins {
		if err := sessions.Session(strconv.Itoa(i)).Set(ctx, login); err != nil {
			log.Fatal(err)
		}
	}
	sessions = newSessions()
	before := settledHeap()
	for i := range manyLogins {
		if _, err := sessions.Session(strconv.Itoa(i)).Token(ctx); err != nil {
			log.Fatal(err)
		}
	}
	after := settledHeap()
	fmt.Fprintf(os.Stderr, "%v ", sessions)
	runtime.KeepAlive(store)
	return float64(max(after, before) - before)
}

// settledHeap returns the heap size after the cleanups of collected values have run.
func settledHeap() uint64 {
	for range 3 {
		runtime.GC()
		time.Sleep(20 * time.Millisecond)
	}
	return heapObjects()
}
