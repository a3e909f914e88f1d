package tokens

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"weak"
)

// recentSessions is the minimum number of unused logins that stay in memory; the maximum is twice that.
const recentSessions = 4096

// Sessions are the logins of many users on one [Endpoint], such as one per customer of a platform. They are kept in a
// [Store], which any number of processes may share. Make them with [NewSessions]. Sessions are safe for concurrent use.
type Sessions struct {
	endpoint *Endpoint
	opts     CacheOptions

	mu        sync.Mutex
	caches    map[string]session
	pinned    map[*Cache]struct{} // Caches that have something to save
	young     map[*Cache]struct{} // Caches that were used recently
	old       map[*Cache]struct{} // Caches that were used before those in young
	collected Stats               // counts of Caches that are gone
	closed    bool
}

// A session is a Cache that may have been collected, with its counts.
type session struct {
	cache weak.Pointer[Cache]
	stats *Stats
}

// NewSessions returns the logins in opts.Store. opts are the options of each login's Cache. Session and Initial must be
// empty; a new login begins with [Cache.Set].
func NewSessions(endpoint *Endpoint, opts *CacheOptions) (*Sessions, error) {
	s := &Sessions{
		endpoint: endpoint,
		caches:   make(map[string]session),
		pinned:   make(map[*Cache]struct{}),
		young:    make(map[*Cache]struct{}),
	}
	if opts != nil {
		s.opts = *opts
		s.opts.Grant = opts.Grant.clone()
	}
	var err error
	switch {
	case s.opts.Store == nil:
		err = errors.New("Sessions need a Store; set Store, to NewMemoryStore() if they need not outlive the process")
	case s.opts.Session != "":
		err = errors.New("Session must be empty; the name of a login is the argument of Sessions.Session")
	case s.opts.Initial != nil:
		err = errors.New("Initial must be nil; pass the token of a new login to Set of its Session")
	}
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	if _, err := s.newCache("check"); err != nil {
		return nil, err
	}
	return s, nil
}

// Session returns the Cache of the login with this name. It need not be closed. Calls return the same Cache as long as
// the program can reach it, or it has something to save. After the Cache is closed, the next call returns a new one,
// and the closed one fails with [ErrClosed]. If the name is empty or longer than 1 KB, every call of the Cache fails.
func (s *Sessions) Session(id string) *Cache {
	if s == nil || s.endpoint == nil {
		return &Cache{unusable: errors.New("tokens: the Sessions are nil or zero; make them with NewSessions")}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.caches[id].cache.Value(); c != nil {
		s.used(c)
		return c
	}
	c, err := s.newCache(id)
	if err != nil {
		return &Cache{unusable: err}
	}
	if c.closed = s.closed; c.closed {
		return c
	}
	c.replica.pin, c.replica.retire = s.pin, s.retire
	if gone, ok := s.caches[id]; ok {
		s.collected.add(*gone.stats)
	}
	s.caches[id] = session{weak.Make(c), c.stats}
	runtime.AddCleanup(c, forget, forgotten{weak.Make(s), id, c.stats})
	s.used(c)
	return c
}

func (s *Sessions) newCache(id string) (*Cache, error) {
	if id == "" {
		return nil, errors.New("tokens: the name of the Session is empty")
	}
	opts := s.opts
	opts.Session = id
	return NewCache(s.endpoint, &opts)
}

// used keeps c in memory for a while, so that a login in steady use is not loaded again after each garbage collection.
// The lock is held.
func (s *Sessions) used(c *Cache) {
	if _, ok := s.young[c]; ok || s.closed {
		return
	}
	if len(s.young) >= recentSessions {
		s.young, s.old = make(map[*Cache]struct{}), s.young
	}
	s.young[c] = struct{}{}
}

// pin keeps c in memory while it has something to save.
func (s *Sessions) pin(c *Cache, pinned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pinned {
		s.pinned[c] = struct{}{}
	} else {
		delete(s.pinned, c)
	}
}

// retire removes c, which was closed, so that the next call of Session returns a new Cache.
func (s *Sessions) retire(c *Cache) {
	stats := c.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.caches[c.session].stats != c.stats {
		return
	}
	delete(s.caches, c.session)
	delete(s.young, c)
	delete(s.old, c)
	s.collected.add(stats)
}

// forgotten identifies a Cache that was collected. It must not keep the Sessions in memory, because they keep Caches
// that were used recently.
type forgotten struct {
	from  weak.Pointer[Sessions]
	id    string
	stats *Stats
}

func forget(f forgotten) {
	s := f.from.Value()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.caches[f.id].stats == f.stats { // otherwise there is a new Cache, and the old one has been counted
		delete(s.caches, f.id)
		s.collected.add(*f.stats)
	}
}

// live returns the Caches that are in memory.
func (s *Sessions) live() []*Cache {
	live := make([]*Cache, 0, len(s.caches))
	for _, session := range s.caches {
		if c := session.cache.Value(); c != nil {
			live = append(live, c)
		}
	}
	return live
}

// Close closes the Caches of all logins concurrently: each waits for a fetch in flight and saves what is unsaved.
// Afterwards every Token fails with [ErrClosed]. Close returns the errors of Caches that could not save a token; it may
// be called again.
func (s *Sessions) Close(ctx context.Context) error {
	if s == nil || s.endpoint == nil {
		return errors.New("tokens: the Sessions are nil or zero; make them with NewSessions")
	}
	s.mu.Lock()
	s.closed = true
	live := s.live()
	s.young, s.old = nil, nil // no Cache is used again
	s.mu.Unlock()

	const most = 64 // at a time
	turn := make(chan struct{}, most)
	errs := make([]error, len(live))
	var wg sync.WaitGroup
	for i, c := range live {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			errs[i] = c.Close(ctx)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Stats returns the sum of the counts of all logins, and the last error of one of them. Expiry is zero.
func (s *Sessions) Stats() Stats {
	if s == nil || s.endpoint == nil {
		return Stats{}
	}
	s.mu.Lock()
	live, sum := s.live(), s.collected
	for _, session := range s.caches {
		if session.cache.Value() == nil { // live keeps the others in memory
			sum.add(*session.stats)
		}
	}
	s.mu.Unlock()
	for _, c := range live {
		sum.add(c.Stats())
	}
	return sum
}

// Format prints the number of logins in memory, and nothing about them.
func (s *Sessions) Format(f fmt.State, _ rune) {
	if s == nil || s.endpoint == nil {
		fmt.Fprint(f, "tokens.Sessions(nil or zero)")
		return
	}
	s.mu.Lock()
	n := len(s.caches)
	s.mu.Unlock()
	fmt.Fprintf(f, "tokens.Sessions(%s, %d)", s.endpoint.vendor.name, n)
}

// add adds the counts of t, and takes its error if there is one.
func (s *Stats) add(t Stats) {
	s.Fetches += t.Fetches
	s.Failures += t.Failures
	s.Invalidations += t.Invalidations
	s.Waits += t.Waits
	if t.LastError != nil {
		s.LastError = t.LastError
	}
}
