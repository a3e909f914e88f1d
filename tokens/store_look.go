package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// This file implements how processes agree through a Store on which of them fetches the next token. A process that
// wants to fetch writes an attempt into the record by compare-and-swap, sends one request, and then swaps in the token
// and removes the attempt. A process that finds another's attempt polls. If the record does not change for the hold of
// the attempt, the process that wrote it is assumed dead, and another takes over.
//
// A look is a goroutine of a Cache that loads the record, applies what it finds (observe), decides on the next action
// (store_decide.go), and carries it out (store_attempt.go and store_result.go), until nothing is left to do.

const (
	storeTimeout  = 3 * time.Second // limits each call of the Store
	loadAgain     = 50 * time.Millisecond
	firstPoll     = 20 * time.Millisecond
	maxPoll       = 250 * time.Millisecond
	lookEvery     = time.Minute      // how often a process in use reloads the record
	lookSoon      = 5 * time.Second  // after a failure, because another process may have succeeded meanwhile
	loginSoon     = maxPoll          // without a login, because a person may log in through another process
	markAfter     = time.Second      // how long an attempt is watched before the rest of its hold is written to the record
	fetchHold     = 10 * time.Second // the hold of an attempt without a refresh token
	minTimeout    = 10 * time.Second // the minimum timeout of an exchange in the computation of the hold, which includes swaps and pauses
	lossHold      = 90 * time.Second // the hold of a record that was put back, for processes that may know a newer one
	steadyAfter   = 5 * time.Second  // how long a Store must work before a refresh token is presented
	freshFor      = 5 * time.Second  // how long after its swap an attempt may present a refresh token
	turnTimeout   = 55 * time.Second // how long a fetch waits for its turn at the Limiter, which leaves time for the request
	lateTurn      = time.Second      // after a longer wait for a turn, the decision is made again
	maxSteps      = 10               // consecutive actions of a look before it gives up on the Store
	maxSwaps      = 3                // failed swaps of a look before it gives up on the Store
	maxPuts       = 3                // attempts to publish a result before callers get it anyway
	maxConfirms   = 3                // how often an attempt that became too old is swapped in again
	responseGrace = time.Second      // after a pause of the process, a response may arrive together with its timeout
	appRecordTTL  = 24 * time.Hour   // how long an app's record is kept after its token has expired
)

// A replica is the state of a Cache with a Store: what this process knows of the shared record. The Cache's mutex
// guards it, except store, initial, seedDelay and refreshWithoutStore, which do not change.
type replica struct {
	store               Store
	initial             *Token
	seedDelay           time.Duration
	initialSeen         bool // Initial has been in the Store
	refreshWithoutStore bool

	key      string        // of the record; "" until the client id is known
	known    *record       // the newest record that was loaded, or swapped in without an error; never nil
	lookedAt moment        // when the last successful Load or swap was sent; mono is -never if there was none
	watched  string        // the version of the last Load or swap
	since    time.Duration // when that version was first seen
	own      *ownAttempt   // an attempt of this process whose request has not been sent, or nil
	result   *result       // the result of the last attempt until it is in the Store, or nil
	upset    bool          // the Store failed, and has not worked for steadyAfter since
	wellFrom time.Duration // when the first successful Load after the failure was sent; never if there was none
	hadToken bool          // this process has had a token
	rejected string        // the access token that Invalidate dropped; "" after a new one arrived
	minLife  time.Duration // the largest minLife of the waiting callers

	// After a failed request without the Store, none is sent before pausedTo. pausedErr is its error.
	pausedTo  time.Duration
	pausedErr error

	changes  int           // calls of Set and Revoke that are writing their record
	change   int           // counts calls of Set and Revoke
	looking  bool          // a look is running
	stuckAt  time.Duration // when the current call of a hook or of the Store will have taken too long
	lookFrom time.Duration // no look starts before this
	failures int           // consecutive failed looks
	err      error         // of the last look, or nil
	room     *waitRoom     // where callers wait for the look; never nil
	wake     chan struct{} // ends a pause of the look
	closing  int           // calls of Close that wait
	timer    *time.Timer   // starts the looks after a token was published; or nil
	storeErr error         // the last error of the Store

	// pin keeps the Cache in memory while it has something to save. It is nil unless the Cache belongs to Sessions.
	pin      func(c *Cache, pinned bool)
	isPinned bool
	retire   func(c *Cache) // removes the closed Cache from its Sessions; nil if there are none
}

// An ownAttempt is an attempt of this process. It keeps its id until its request is sent, even if it is swapped in
// several times, so that a swap that takes effect late is recognized.
type ownAttempt struct {
	id       string
	sent     bool
	into     *record           // the record that it was added to
	swaps    map[string]moment // the time before each of its swaps, by version
	confirms int
	pass     holdPass // from the Endpoint's holdOff, while a look sends its swap and its request
}

// A waitRoom is where callers without a token wait for a look. token and err may be read once done is closed.
type waitRoom struct {
	done    chan struct{}
	token   *Token
	err     error
	waiting int
}

func newReplica(o *CacheOptions) *replica {
	r := &replica{
		store: o.Store, seedDelay: o.SeedDelay, refreshWithoutStore: o.RefreshWithoutStore,
		known: &record{endAt: never}, lookedAt: moment{mono: -never}, wellFrom: never, stuckAt: never,
		room: &waitRoom{done: make(chan struct{})}, wake: make(chan struct{}, 1),
	}
	if o.Initial != nil {
		r.initial = o.Initial.clone()
	}
	return r
}

// look loads the record and acts on it until nothing is left to do.
func (c *Cache) look(ctx context.Context) {
	var turn *heldTurn // for the next request
	defer func() { turn.release() }()
	pause, steps, failed := firstPoll, 0, 0
	for {
		c.saveUnsaved(ctx)
		if ended := c.publishResult(ctx); ended != nil {
			c.finishLook(*ended)
			return
		}
		r, d := c.loadAndDecide(ctx, turn)
		if d.action.acts() {
			if steps++; steps > maxSteps {
				d = c.withoutStore(ctx, errForgetful, turn)
				d.again = lookSoon
			}
		}
		switch d.action {
		case doStart, doPresent:
			if turn != nil {
				break
			}
			held, late, ended := c.takeTurn(ctx, r, d.action)
			if ended != nil {
				c.finishLook(*ended)
				return
			}
			if turn = held; turn == nil || late {
				continue // decide again: the record may have changed
			}
		default:
			turn.release()
			turn = nil
		}
		var err error
		switch d.action {
		case doNothing:
			c.finishLook(d)
			return
		case doPoll, doMark:
			if !c.somebodyWaits() {
				c.finishLook(decision{})
				return
			}
			if d.action == doMark {
				c.mark(ctx, r)
			}
			c.pause(pause/2 + rand.N(pause))
			pause, steps, failed = min(2*pause, maxPoll), 0, 0
		case doPutBack:
			c.log(slog.LevelWarn, "the Store lost a record, which is written back", next{what: "swap"})
			err = c.swap(ctx, r, c.recordToPutBack())
		case doSeed:
			err = c.swap(ctx, r, c.initialRecord(r))
		case doStart:
			var ended *decision
			if ended, err = c.startAttempt(ctx, r, turn); ended != nil {
				c.finishLook(*ended)
				return
			}
		case doPresent:
			c.presentAttempt(ctx, r, turn)
		}
		if turn != nil && turn.used {
			turn = nil
		}
		if err != nil && !errors.Is(err, ErrConflict) {
			if failed++; failed == maxSwaps {
				c.finishLook(c.withoutStore(ctx, err, turn))
				return
			}
			c.pause(loadAgain)
		}
	}
}

var errForgetful = errors.New("the Store does not return what was swapped into it; test it with package storetest")

// takeTurn takes a turn at the Limiter for the next request. It does so before an attempt begins, so that the wait does
// not use up the attempt's hold. late reports whether the wait was so long that the decision must be made again. If
// there is no turn, it ends the look, or fails the process's own attempt in r.
func (c *Cache) takeTurn(ctx context.Context, r *record, next action) (turn *heldTurn, late bool, ended *decision) {
	c.notStuck()
	asked := c.now()
	turn, err := c.endpoint.takeTurn(ctx, time.Now().Add(turnTimeout), c.logger)
	if err == nil {
		return turn, c.now().since(asked) > lateTurn, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if own := c.replica.own; next == doPresent && own != nil {
		c.replica.own = nil
		c.replica.result = c.failedResult(own, r, err)
		return nil, false, nil
	}
	d := c.orServe(noToken(err), lookSoon)
	return nil, false, &d
}

// loadAndDecide loads the record, applies it, and returns the next action. If the Store fails, it may use the turn, if
// that is not nil, for a request without the Store.
func (c *Cache) loadAndDecide(ctx context.Context, turn *heldTurn) (*record, decision) {
	generation := c.currentGeneration()
	if err := c.findKey(ctx); err != nil {
		return nil, c.retryLater(noToken(err))
	}
	r, err := c.load(ctx, generation)
	if err != nil {
		return nil, c.withoutStore(ctx, err, turn)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := c.replica, c.now()
	switch {
	case c.closed:
		return nil, decision{err: &noTokenError{kind: ErrClosed}}
	case generation != c.generation || s.changes > 0:
		return nil, decision{action: doPoll}
	}
	m := c.remember(now)
	d := m.decide(r, now)
	if d.keep {
		s.rejected = ""
		c.takeOver(r, now)
	}
	return r, d
}

// remember returns the memory for decide. The lock is held.
func (c *Cache) remember(now moment) memory {
	s := c.replica
	m := memory{
		rotates: c.session != "", known: s.known.order, hadToken: s.hadToken, rejected: s.rejected,
		watchedFor: s.watchedFor(), upset: s.upset, initial: s.initial,
	}
	if s.own != nil {
		m.own = s.own.id
	}
	if e := c.newest(); e != nil {
		m.living = e.at(now) < e.replaceAt && e.lives(now, s.minLife)
		m.due = e.at(now) >= e.renewAt
	}
	if s.initial != nil && (c.session == "" && !s.initial.ValidFor(1) || s.initialSeen) {
		m.initial = nil // an app's expired token is useless, and the Store already has something newer than an Initial that was in it
	}
	return m
}

// load loads the record, with one retry, and applies it unless Set or Revoke has been called since generation.
func (c *Cache) load(ctx context.Context, generation int) (*record, error) {
	r, err := c.loadOnce(ctx, generation)
	if err != nil {
		c.pause(loadAgain)
		r, err = c.loadOnce(ctx, generation)
	}
	if err != nil {
		c.mu.Lock()
		c.replica.storeFailed(err)
		c.mu.Unlock()
	}
	return r, err
}

func (c *Cache) loadOnce(ctx context.Context, generation int) (*record, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	c.notStuck()
	c.mu.Lock()
	key := c.replica.key
	c.mu.Unlock()
	sent := c.now()
	var stored Record
	err := c.guard("the Store", func() (err error) {
		stored, err = c.replica.store.Load(ctx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	r, age, left, err := decodeRecord(stored)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.observe(r, age, left, sent, c.now(), generation)
	return r, nil
}

// storeFailed records that a load failed, or that the outcome of a swap is unknown.
func (s *replica) storeFailed(err error) { s.upset, s.wellFrom, s.storeErr = true, never, err }

// observe applies the result of a Load that was sent at the given time. The lock is held.
func (c *Cache) observe(r *record, age, left time.Duration, sent, now moment, generation int) {
	s := c.replica
	isNew := r.version != s.watched
	r.place(age, left, s.known, now)
	if isNew && s.lookedAt.mono != -never {
		r.liveAtLeast(left-now.since(s.lookedAt), left, age, now)
	}
	if isNew {
		s.watched, s.since = r.version, now.mono
	}
	s.lookedAt, s.failures = sent, 0
	if s.upset {
		s.wellFrom = min(s.wellFrom, sent.mono)
		s.upset = sent.mono-s.wellFrom < steadyAfter
	}
	if generation != c.generation || s.changes > 0 || r.order.before(s.known.order) {
		return
	}
	s.known = r
	if s.initial != nil && s.initial.RefreshToken != "" && r.refreshToken() == s.initial.RefreshToken {
		s.initialSeen = true
	}
	if res := s.result; res != nil && res.served && res.judge(r, c.session != "") == putIn {
		return // the current token is newer and about to be written to the Store
	}
	c.takeOver(r, now)
}

// takeOver makes the token of a record the current one. The lock is held.
func (c *Cache) takeOver(r *record, now moment) {
	s := c.replica
	current := c.newest()
	switch {
	case r.accessToken() == "":
		c.saved()
		c.setCurrent(nil, now)
	case current != nil && current.token.AccessToken == r.accessToken() && current.token.RefreshToken == r.refreshToken():
		// it stays, with its deadlines
	case r.accessToken() == s.rejected:
		// it stays dropped
	default:
		c.saved()
		e := r.entry(now)
		s.hadToken, s.rejected = s.hadToken || e.lives(now, 0), ""
		c.setCurrent(e, now)
	}
}

// guard calls f, which is not code of this package, and turns a panic into an error. It logs the stack.
func (c *Cache) guard(what string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			kind := fmt.Sprintf("%T", r) // its value may hold a secret
			err = fmt.Errorf("tokens: panic in %s: %s", what, kind)
			c.log(slog.LevelError, "panic in the Store or in a hook", next{what: "retry"},
				slog.String("type", kind), slog.String("stack", string(debug.Stack())))
		}
	}()
	return f()
}

func (c *Cache) currentGeneration() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.generation
}

// watchedFor returns how long the record's version has been unchanged: from the arrival of the first Load that returned
// it to the start of the last one.
func (s *replica) watchedFor() time.Duration { return max(0, s.lookedAt.mono-s.since) }

func (c *Cache) watchedFor() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replica.watchedFor()
}

func (c *Cache) somebodyWaits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replica.room.waiting > 0
}

// findKey makes sure that the key of the record is known. It retrieves the credentials until the client id is known.
func (c *Cache) findKey(ctx context.Context) error {
	c.mu.Lock()
	known := c.replica.key != ""
	c.mu.Unlock()
	if known {
		return nil
	}
	var key string
	err := c.guard("the CredentialsProvider", func() (err error) {
		key, err = c.storeKey(ctx)
		return err
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replica.key = cmp.Or(c.replica.key, key)
	return nil
}
