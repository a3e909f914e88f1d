package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"
)

// This file implements how processes agree through a Store on which of them fetches the next token. A process that
// wants to fetch writes an attempt into the record by compare-and-swap, sends one request, and then swaps in the token
// and removes the attempt. A process that finds another's attempt polls. If the record does not change for the hold of
// the attempt, the process that wrote it is assumed dead, and another takes over.
//
// A look is a goroutine of a Cache that loads the record, applies what it finds (observe), decides on the next action
// (decide), and carries it out (look), until nothing is left to do.

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
	pass     holdPass // from the Endpoint's holdOff
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

// An action is the next step of a look.
type action int

const (
	doNothing action = iota // end the look: there is a token, or no fetch may start yet
	doPoll                  // load again soon, as long as a caller waits
	doMark                  // write the rest of the attempt's hold to the record
	doPutBack               // write a record that the Store lost
	doSeed                  // write Initial
	doStart                 // add an attempt to the record
	doPresent               // send the request of the process's own attempt
)

// A decision is an action with its details. The other fields are for doNothing.
type decision struct {
	action action
	token  *Token        // for the callers that wait, if it is not the current token
	err    error         // why there is no token
	again  time.Duration // when to look again at the latest; if zero, at the usual time
	keep   bool          // the rejected token stays
}

// A memory is what decide needs to know besides the record.
type memory struct {
	rotates    bool          // the Cache holds a login, which its refresh token renews
	known      order         // the order of the newest record known
	living     bool          // there is a token that was not rejected and does not expire soon
	due        bool          // that token is due for renewal
	hadToken   bool          // this process has had a token
	rejected   string        // the access token that was rejected
	own        string        // the id of the process's own attempt, if its request has not been sent
	watchedFor time.Duration // how long the record's version has been unchanged
	upset      bool          // the Store failed recently
	initial    *Token
	waiting    bool // a caller waits
}

// decide returns the next action for the record r. It has no side effects.
func (m memory) decide(r *record, now moment) decision {
	if r.order.before(m.known) {
		return decision{action: doPutBack}
	}
	if m.living && !m.due {
		return decision{action: doNothing}
	}
	if m.initial != nil && (r.none() || r.final && r.refreshToken() != m.initial.RefreshToken) {
		return decision{action: doSeed}
	}
	if m.rotates && (r.final || r.refreshToken() == "") {
		again := loginSoon
		if m.living {
			again = lookSoon
		}
		return m.serveOr(&noTokenError{kind: ErrLoginRequired, cause: whyNoLogin(r)}, again)
	}
	if a := r.attempt; a != nil {
		if m.own != "" && a.id == m.own && a.state == attemptWorking {
			return decision{action: doPresent}
		}
		if left := a.left(m.watchedFor, now); left > 0 {
			return m.await(a, left)
		}
		if a.presents && m.living {
			return decision{action: doNothing, again: lookSoon} // the refresh token may have been consumed: use the access token until it expires
		}
	}
	if m.rejected != "" && r.accessToken() == m.rejected && r.after401 && now.mono-r.bornAt < rejectedAgainAfter {
		return decision{action: doNothing, keep: true} // the API would reject the next token as well
	}
	if m.rotates && m.upset {
		return m.pollOr(decision{action: doPoll}) // another process may be about to write the result of a refresh
	}
	return decision{action: doStart}
}

// await decides while the hold of another process's attempt lasts.
func (m memory) await(a *storedAttempt, left time.Duration) decision {
	if a.state == attemptFailed {
		return m.serveOr(&attemptError{a, left}, min(left, lookSoon))
	}
	if !m.living && m.watchedFor >= markAfter {
		return decision{action: doMark}
	}
	if a.state == attemptWorking || !m.hadToken {
		return m.pollOr(decision{action: doPoll})
	}
	return m.serveOr(&attemptError{a, left}, min(left, lookSoon))
}

// pollOr returns d if there is no usable token. Otherwise it ends the look and looks again in one second.
func (m memory) pollOr(d decision) decision {
	if m.living {
		return decision{action: doNothing, again: time.Second}
	}
	return d
}

// serveOr ends the look, with err unless there is a usable token, and looks again after the given time.
func (m memory) serveOr(err error, again time.Duration) decision {
	if m.living {
		err = nil
	}
	return decision{action: doNothing, err: err, again: again}
}

// left returns how long the attempt's hold still lasts, given that the record has been unchanged for watchedFor. The
// wall clock is used only for a failed attempt, where a wrong clock at worst causes an early request.
func (a *storedAttempt) left(watchedFor time.Duration, now moment) time.Duration {
	left := a.hold - watchedFor
	if a.state == attemptFailed {
		left = min(left, a.at.Add(a.hold).Sub(now.time))
	}
	return max(left, 0)
}

func whyNoLogin(r *record) error {
	switch {
	case r.final:
		return InvalidGrant
	case r.none():
		return errors.New("the Store has no login; Set one")
	case r.token == nil:
		return errors.New("the login was revoked")
	}
	return errors.New("the token in the Store has no refresh token; Set one that has")
}

// An attemptError is a failure that this process learned from an attempt in the record.
type attemptError struct {
	attempt *storedAttempt
	left    time.Duration
}

func (e *attemptError) Error() string {
	text := "the last request for a token failed"
	switch e.attempt.state {
	case attemptLost:
		text = "there was no response to the last refresh, and the refresh token may have been consumed"
	case attemptHeld:
		text = "the Store lost data, and another process may know a newer refresh token"
	case attemptFailed, attemptWorking:
		if e.attempt.status != 0 {
			text += ": " + Status(e.attempt.status).Error()
		}
		if e.attempt.code != "" {
			text += ": " + clean(string(e.attempt.code))
		}
	}
	return fmt.Sprintf("%s; the next one is due in %v", text, e.left.Round(time.Millisecond))
}

// As sets an **Error to the response that the attempt recorded.
func (e *attemptError) As(target any) bool {
	t, ok := target.(**Error)
	if ok {
		*t = &Error{Method: "POST", StatusCode: e.attempt.status, Code: e.attempt.code, RetryAfter: e.left, Message: "recorded in the Store"}
	}
	return ok
}

// Is reports whether target is the Code of that response.
func (e *attemptError) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code != "" && code == e.attempt.code
}

// look loads the record and acts on it until nothing is left to do.
func (c *Cache) look(ctx context.Context) {
	var turn *heldTurn // for the next request
	defer func() { turn.release() }()
	pause, steps := firstPoll, 0
	for {
		c.saveUnsaved(ctx)
		if ended := c.publishResult(ctx); ended != nil {
			c.finishLook(*ended)
			return
		}
		r, d := c.loadAndDecide(ctx)
		if d.action != doNothing && d.action != doPoll {
			if steps++; steps > maxSteps {
				d = c.withoutStore(ctx, errForgetful)
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
		case doPoll:
			if !c.somebodyWaits() {
				c.finishLook(decision{})
				return
			}
			c.pause(pause/2 + rand.N(pause))
			pause, steps = min(2*pause, maxPoll), 0
		case doMark:
			a := *r.attempt
			a.hold = a.left(c.watchedFor(), c.now())
			err = c.swap(ctx, r, r.with(&a))
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
		c.endpoint.holdOff.end(own.pass, c.now().time, c, nil, false)
		c.accept(c.failedResult(own, r, err))
		return nil, false, nil
	}
	d := c.orServe(noToken(err), lookSoon)
	return nil, false, &d
}

// loadAndDecide loads the record, applies it, and returns the next action.
func (c *Cache) loadAndDecide(ctx context.Context) (*record, decision) {
	generation := c.currentGeneration()
	if _, err := c.findKey(ctx); err != nil {
		return nil, c.retryLater(noToken(err))
	}
	r, err := c.load(ctx, generation)
	if err != nil {
		return nil, c.withoutStore(ctx, err)
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
		watchedFor: s.watchedFor(), upset: s.upset, initial: s.initial, waiting: s.room.waiting > 0,
	}
	if s.own != nil && !s.own.sent {
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
	key, err := c.findKey(ctx)
	if err != nil {
		return nil, err
	}
	sent := c.now()
	var stored Record
	err = guard("the Store", func() (err error) {
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
		c.held = false
		if c.entry != nil {
			c.setCurrent(nil, now)
		}
	case current != nil && current.token.AccessToken == r.accessToken() && current.token.RefreshToken == r.refreshToken():
		s.hadToken = s.hadToken || current.lives(now, 0)
	case r.accessToken() == s.rejected:
		if c.entry != nil {
			c.setCurrent(nil, now)
			c.rejected = true
		}
	default:
		c.saved()
		e := r.entry(now)
		s.hadToken, s.rejected = s.hadToken || e.lives(now, 0), ""
		c.setCurrent(e, now)
	}
}

// swap replaces the record over with next. After success next is the known record.
func (c *Cache) swap(ctx context.Context, over, next *record) error {
	s := c.replica
	c.notStuck()
	next.version = randomID()
	sent := c.now()
	c.mu.Lock()
	key := s.key
	if s.own != nil && next.attempt != nil && next.attempt.id == s.own.id {
		s.own.swaps[next.version] = sent
	}
	c.mu.Unlock()
	value, err := next.encode(sent)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err = guard("the Store", func() error {
		return s.store.CompareAndSwap(ctx, key, over.version, Record{Version: next.version, Value: value}, c.ttl(next, sent))
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil && !next.order.before(s.known.order):
		s.known, s.watched, s.since, s.lookedAt = next, next.version, c.now().mono, sent
	case err == nil: // superseded by Set or Revoke
	case !errors.Is(err, ErrConflict):
		s.storeFailed(err)
	}
	return err
}

// ttl returns how long the Store must keep a record. Logins are kept for ever, and so are logouts: without a logout's
// record, an older login could come back.
func (c *Cache) ttl(r *record, now moment) time.Duration {
	switch {
	case c.session != "" || r.token == nil && r.order.epoch > 0:
		return 0
	case r.token != nil && r.endAt == never:
		return 0
	case r.token == nil:
		return appRecordTTL
	}
	return max(0, r.remains(now)) + appRecordTTL
}

// recordToPutBack returns the newest known record, to replace an older one. Its hold gives processes that know a newer
// one time to write that before the refresh token is presented.
func (c *Cache) recordToPutBack() *record {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := *c.replica.known
	switch a := next.attempt; {
	case a != nil && a.presents && a.state != attemptFailed:
	case c.session != "" && !next.final && next.refreshToken() != "":
		next.attempt = &storedAttempt{id: randomID(), state: attemptHeld, hold: lossHold, at: time.Now()}
	default:
		next.attempt = nil
	}
	return &next
}

// initialRecord returns a record of Initial. It has the lowest order or, if it replaces a login that ended, the next
// one.
func (c *Cache) initialRecord(r *record) *record {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := c.replica, c.now()
	next := c.recordOf(s.initial, order{0, 1}, now)
	if !r.none() {
		next.order = c.nextEpoch(r)
	}
	next.rest = r.rest
	if s.seedDelay > 0 {
		next.attempt = &storedAttempt{id: randomID(), state: attemptHeld, hold: s.seedDelay, at: now.time}
	}
	return next
}

// recordOf returns a record of a token that was passed to Set or NewCache. The lock is held.
func (c *Cache) recordOf(t *Token, o order, now moment) *record {
	r := &record{order: o, placedAt: now, bornAt: now.mono, endAt: never}
	if t == nil {
		return r
	}
	r.token = t.clone()
	if !t.Expiry.IsZero() {
		r.endAt = now.mono + t.left(now.time)
	}
	return r
}

// nextEpoch returns the order of a login or logout that is newer than every known record. The lock is held.
func (c *Cache) nextEpoch(r *record) order {
	return order{max(max(c.replica.known.order.epoch, r.order.epoch)+1, time.Now().UnixMilli()), 0}
}

// startAttempt adds an attempt to r and, if that succeeds, sends its request. If the Endpoint must not be asked now, it
// returns how the look ends.
func (c *Cache) startAttempt(ctx context.Context, r *record, turn *heldTurn) (*decision, error) {
	c.mu.Lock()
	s, now := c.replica, c.now()
	pass, err := c.endpoint.holdOff.begin(now.time, c)
	if err != nil {
		defer c.mu.Unlock()
		wait := max(firstBackOff, c.endpoint.holdOff.until(now.time, c).Sub(now.time))
		d := c.orServe(noToken(err), min(wait, lookSoon))
		return &d, nil
	}
	if s.own != nil {
		c.endpoint.holdOff.end(s.own.pass, now.time, c, nil, false)
	} else {
		s.own = &ownAttempt{id: randomID(), swaps: make(map[string]moment)}
	}
	own := s.own
	own.into, own.pass = r, pass
	next := r.with(c.newAttempt(own.id, r, now))
	c.mu.Unlock()
	if err := c.swap(ctx, r, next); err != nil {
		c.mu.Lock()
		c.endpoint.holdOff.end(own.pass, c.now().time, c, nil, false)
		own.pass = holdPass{}
		c.mu.Unlock()
		return nil, err
	}
	c.presentAttempt(ctx, next, turn)
	return nil, nil //nolint:nilnil // no decision: the look continues
}

// newAttempt returns an attempt of this process to be added to r. The lock is held.
func (c *Cache) newAttempt(id string, r *record, now moment) *storedAttempt {
	a := &storedAttempt{id: id, state: attemptWorking, hold: fetchHold, at: now.time, presents: c.session != ""}
	if a.presents {
		a.hold = 3 * max(c.endpoint.timeout, minTimeout)
	}
	a.after401 = c.replica.rejected != "" && c.replica.rejected == r.accessToken()
	if r.attempt != nil {
		a.tries = r.attempt.tries
	}
	return a
}

// presentAttempt sends the request of the process's own attempt in r, and keeps the result to be published.
func (c *Cache) presentAttempt(ctx context.Context, r *record, turn *heldTurn) {
	c.mu.Lock()
	s := c.replica
	own, now := s.own, c.now()
	if !own.pass.ok {
		pass, err := c.endpoint.holdOff.begin(now.time, c)
		if err != nil {
			s.own = nil
			s.result = c.failedResult(own, r, err)
			c.mu.Unlock()
			return
		}
		own.pass = pass
	}
	c.stats.Fetches++
	generation := c.generation
	c.mu.Unlock()

	confirmed := r
	beforeSend := func() (err error) {
		if c.session != "" {
			if confirmed, err = c.confirm(ctx, own, confirmed); err != nil {
				return err
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		own.sent = true
		return nil
	}
	res := c.request(ctx, r.refreshToken(), beforeSend, turn)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endpoint.holdOff.end(own.pass, c.now().time, c, res.err, res.sent)
	own.pass = holdPass{}
	if errors.Is(res.err, errLookAgain) && !res.sent {
		c.stats.Fetches--
		return // another process has the attempt now, or that is not known
	}
	s.own = nil
	res.attempt, res.base, res.over, res.generation = own.id, own.into, confirmed, generation
	res.after401 = r.attempt.after401
	res.tries = r.attempt.tries
	c.accept(res)
}

var errLookAgain = errors.New("the record has to be looked at again")
var errTooOld = errors.New("not sent: the process was held up each time before the refresh token was presented")

// confirm makes sure that the attempt in r is recent, right before its refresh token is presented. After a pause of the
// process, others may have waited for the whole hold or shortened it.
func (c *Cache) confirm(ctx context.Context, own *ownAttempt, r *record) (*record, error) {
	for {
		c.mu.Lock()
		swapped, ok := own.swaps[r.version]
		now := c.now()
		if ok && now.since(swapped) <= freshFor {
			c.mu.Unlock()
			return r, nil
		}
		own.confirms++
		confirms := own.confirms
		a := c.newAttempt(own.id, r, now)
		a.after401, a.tries = r.attempt.after401, r.attempt.tries
		c.mu.Unlock()
		if confirms > maxConfirms {
			return r, errTooOld
		}
		next := r.with(a)
		if err := c.swap(ctx, r, next); err != nil {
			return r, fmt.Errorf("%w: %w", errLookAgain, err)
		}
		r = next
	}
}

// request sends one request, if beforeSend succeeds, and returns the result.
func (c *Cache) request(ctx context.Context, refreshToken string, beforeSend func() error, turn *heldTurn) *result {
	grant := c.secrets.grant
	grant.RefreshToken = refreshToken
	var requested time.Time
	set := settings{logger: c.logger, retry: &Retry{Attempts: 1}, attempt: &oneAttempt{beforeSend: beforeSend, grace: responseGrace, turn: turn}}
	res := &result{presented: []string{refreshToken}}
	c.notStuck()
	res.err = guard("a hook", func() (err error) {
		res.token, err = c.endpoint.exchangeWith(ctx, grant, set, &requested)
		return err
	})
	now := c.now()
	res.sent = !requested.IsZero()
	if res.err == nil {
		res.kind = resultToken
		res.placedAt, res.bornAt, res.endAt = now, now.mono-now.time.Sub(requested), never
		if !res.token.Expiry.IsZero() {
			res.endAt = now.mono + res.token.left(now.time)
		}
		return res
	}
	if c.session != "" {
		res.outcome = refreshOutcomeOf(res.err, &requested)
	}
	switch res.outcome {
	case refreshRefused:
		res.kind = resultFinal
	case responseLost:
		res.kind = resultLost
	default:
		res.kind = resultFailed
	}
	return res
}

// guard calls f, which is not code of this package, and turns a panic into an error.
func guard(what string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{what, fmt.Sprintf("%T", r), string(debug.Stack())} // its value may hold a secret
		}
	}()
	return f()
}

// A panicError is a panic of code outside this package.
type panicError struct{ what, value, stack string }

func (e *panicError) Error() string { return "tokens: panic in " + e.what + ": " + e.value }

// withoutStore ends a look because the Store failed with err. If the token has expired, it fetches one without the
// Store. For a login it does so only with RefreshWithoutStore.
func (c *Cache) withoutStore(ctx context.Context, err error) decision {
	c.mu.Lock()
	s, now := c.replica, c.now()
	m := c.remember(now)
	earlier, refreshToken := s.result, s.known.refreshToken()
	if earlier != nil && earlier.kind == resultToken {
		refreshToken = earlier.token.RefreshToken
	}
	allowed := !m.rotates || s.refreshWithoutStore && refreshToken != "" && !s.known.final
	if m.living || !allowed || c.closed {
		c.mu.Unlock()
		return c.retryLater(&noTokenError{kind: ErrStore, cause: err})
	}
	if now.mono < s.pausedTo {
		defer c.mu.Unlock()
		return decision{err: noToken(s.pausedErr), again: min(s.pausedTo-now.mono, lookSoon)}
	}
	pass, held := c.endpoint.holdOff.begin(now.time, c)
	if held != nil {
		c.mu.Unlock()
		return c.retryLater(noToken(held))
	}
	c.stats.Fetches++
	base, after401, generation := s.known, s.rejected != "" && s.rejected == s.known.accessToken(), c.generation
	c.mu.Unlock()

	c.log(slog.LevelWarn, "fetching a token without the Store", next{what: "fetch"}, slog.Any("error", err))
	res := c.request(ctx, refreshToken, nil, nil)
	c.mu.Lock()
	c.endpoint.holdOff.end(pass, c.now().time, c, res.err, res.sent)
	res.base, res.after401, res.generation, res.puts = base, after401, generation, maxPuts
	if earlier != nil && earlier.kind == resultToken && m.rotates {
		res.presented = append(slices.Clone(earlier.presented), res.presented...)
		res.attempt, res.base = earlier.attempt, earlier.base
	}
	c.accept(res)
	if res.kind != resultToken && (earlier != nil || res.kind == resultFailed) {
		s.result = earlier // the failure does not concern other processes
	}
	c.mu.Unlock()
	if res.kind == resultToken {
		c.serveResult(ctx, res)
	}
	d := c.ended(res)
	d.again = max(d.again, time.Second)
	return d
}

// retryLater ends a look with err, unless there is a usable token, and looks again after a backoff.
func (c *Cache) retryLater(err error) decision {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replica.failures++
	return c.orServe(err, min(backOff(c.replica.failures+3), lookSoon))
}

// orServe is serveOr for the current state. The lock is held.
func (c *Cache) orServe(err error, again time.Duration) decision {
	return c.remember(c.now()).serveOr(err, again)
}

// A resultKind is the kind of outcome of an attempt.
type resultKind int

const (
	resultToken  resultKind = iota // it got a token
	resultFailed                   // it failed, or was not sent
	resultLost                     // the refresh token was presented, and the outcome is unknown
	resultFinal                    // the server refused the refresh token for good
)

// A result is the outcome of an attempt until it is in the Store. Only the look uses it.
type result struct {
	kind       resultKind
	attempt    string   // id of the attempt; "" if it was made without the Store
	base       *record  // the record that the attempt was added to
	over       *record  // the record to replace; if nil, it must be loaded
	presented  []string // refresh tokens; the last one got this result
	token      *Token
	placedAt   moment // placedAt, bornAt and endAt are as in a record
	bornAt     time.Duration
	endAt      time.Duration
	after401   bool
	err        error
	outcome    refreshOutcome // for the refresh token
	sent       bool
	tries      int // consecutive failed attempts before this one
	wait       time.Duration
	generation int
	puts       int // failed attempts to publish it
	served     bool
}

// failedResult returns the result of an attempt in r whose request was not sent. The lock is held.
func (c *Cache) failedResult(own *ownAttempt, r *record, err error) *result {
	res := &result{
		kind: resultFailed, attempt: own.id, base: own.into, over: r, err: err, after401: r.attempt.after401,
		tries: r.attempt.tries, generation: c.generation,
	}
	res.wait = res.hold()
	return res
}

// hold returns how long no other process may start an attempt after this result.
func (res *result) hold() time.Duration {
	if res.kind == resultLost {
		return lostWait
	}
	return waitAfter(res.err, res.tries+1)
}

// accept keeps a result to be published. The lock is held.
func (c *Cache) accept(res *result) {
	s, now := c.replica, c.now()
	s.result = res
	if res.kind != resultToken {
		c.stats.Failures++
		res.wait = res.hold()
		s.pausedTo, s.pausedErr = now.mono+res.wait, res.err
		return
	}
	if c.session == "" {
		if res.token.RefreshToken != "" {
			c.keepToRevoke(revocation{res.token.RefreshToken, HintRefreshToken})
			res.token.RefreshToken = "" // callers never see it
		}
	} else if res.token.RefreshToken == "" {
		res.token.RefreshToken = res.presented[len(res.presented)-1]
	}
	if life := res.endAt - res.bornAt; res.endAt != never {
		c.tokenLife = life
		if res.endAt-min(10*time.Second, life/20) <= now.mono { // already expired
			res.err = fmt.Errorf("tokens: %s: tokens have expired on arrival", c.endpoint.vendor.name)
			res.wait = res.hold()
			s.pausedTo, s.pausedErr = now.mono+res.wait, res.err
		}
	} else {
		c.tokenLife = 0
	}
}

// record returns the record that replaces r and contains the result.
func (res *result) record(r *record) *record {
	next := *r
	if res.kind == resultFinal {
		next.attempt, next.final = nil, true
		return &next
	}
	a := &storedAttempt{
		id: res.attempt, state: attemptFailed, hold: res.wait, tries: res.tries + 1, after401: res.after401, at: time.Now(),
		presents: res.outcome == maybeUsed,
	}
	if e, ok := endpointError(res.err); ok {
		a.status, a.code = e.StatusCode, e.Code
	}
	switch res.kind {
	case resultLost:
		a.state, a.presents = attemptLost, true
		if a.id == "" {
			a.id = randomID()
		}
	case resultToken:
		next.order = r.order
		if r.order.before(res.base.order) {
			next.order = res.base.order
		}
		next.order.gen++
		next.token, next.after401, next.final = res.token, res.after401, false
		next.placedAt, next.bornAt, next.endAt = res.placedAt, res.bornAt, res.endAt
		if res.err == nil {
			next.attempt = nil
			return &next
		}
	case resultFailed, resultFinal:
	}
	next.attempt = a
	return &next
}

// A verdict says what to do with a result if the record is not the one that its attempt was added to.
type verdict int

const (
	superseded verdict = iota // another record takes precedence
	putIn                     // write the result
	alreadyIn                 // the record contains it already
)

// judge decides what to do with a result when the Store contains r.
func (res *result) judge(r *record, rotates bool) verdict {
	own := res.attempt != "" && r.attempt != nil && r.attempt.id == res.attempt && r.attempt.state == attemptWorking &&
		r.order.epoch == res.base.order.epoch
	sameRefreshToken := rotates && r.refreshToken() != "" && slices.Contains(res.presented, r.refreshToken())
	switch {
	case res.kind == resultToken && r.accessToken() == res.token.AccessToken:
		return alreadyIn
	case own:
		return putIn
	case res.kind == resultToken && sameRefreshToken: // another process took over, but the new refresh token must not be lost
		return putIn
	case res.kind == resultToken && r.order.before(res.base.order): // the Store lost data
		return putIn
	case res.kind == resultToken && !rotates && r.order == res.base.order:
		return putIn
	case res.kind == resultLost && sameRefreshToken && r.attempt == nil:
		return putIn
	case res.kind == resultFinal && sameRefreshToken:
		return putIn
	}
	return superseded
}

// publishResult writes the result of the last attempt to the Store, if it is not there yet. It returns how the look
// ends, or nil if it continues.
func (c *Cache) publishResult(ctx context.Context) *decision {
	s := c.replica
	c.mu.Lock()
	res := s.result
	c.mu.Unlock()
	if res == nil {
		return nil
	}
	for pause := loadAgain; ; pause = min(2*pause, time.Second) {
		in, err := c.putResult(ctx, res)
		if err == nil {
			c.mu.Lock()
			s.result = nil
			c.mu.Unlock()
			if !in {
				return nil
			}
			return c.published(ctx, res)
		}
		res.puts++
		if ended, goesOn := c.notPublished(ctx, res, err); !goesOn {
			return ended
		}
		c.pause(pause)
	}
}

// putResult tries once to publish a result. It reports whether the result is in the Store. If it is not, and err is
// nil, the result was dropped.
func (c *Cache) putResult(ctx context.Context, res *result) (in bool, err error) {
	for range maxSteps { // each is a conflict
		c.mu.Lock()
		generation, loggedOut := c.generation, res.generation < c.revokedGeneration
		c.mu.Unlock()
		if loggedOut {
			c.revokeResult(ctx, res)
			return false, nil
		}
		r := res.over
		res.over = nil
		if r == nil {
			if r, err = c.load(ctx, generation); err != nil {
				return false, err
			}
			switch res.judge(r, c.session != "") {
			case alreadyIn:
				return true, nil
			case superseded:
				if r.token == nil && r.order.epoch > res.base.order.epoch {
					c.revokeResult(ctx, res) // a logout
				}
				return false, nil
			case putIn:
			}
		}
		if err = c.swap(ctx, r, res.record(r)); err == nil || !errors.Is(err, ErrConflict) {
			return err == nil, err
		}
	}
	return false, err
}

// revokeResult revokes a token that arrived after a logout.
func (c *Cache) revokeResult(ctx context.Context, res *result) {
	if res.kind != resultToken || c.endpoint.revoke == nil {
		return
	}
	c.notStuck()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout/2)
	defer cancel()
	if err := c.revoke(ctx, withTokens(nil, res.token)); err != nil {
		c.log(slog.LevelWarn, "could not revoke a token that arrived after a logout", next{what: "Revoke"}, slog.Any("error", err))
	}
}

// notPublished decides whether to try again. A new refresh token must not be lost.
func (c *Cache) notPublished(ctx context.Context, res *result, err error) (ended *decision, goesOn bool) {
	failure := &noTokenError{kind: ErrStore, cause: err}
	if res.kind != resultToken {
		if res.puts < maxPuts {
			return nil, true
		}
		if res.puts > maxPuts {
			return nil, false // each look tries once more
		}
		d := c.ended(res)
		return &d, false
	}
	if res.puts < maxPuts {
		return nil, true
	}
	if !res.served {
		c.logAbout(res.token, slog.LevelWarn, "could not write a token to the Store, which is used meanwhile", next{"retry", lookSoon}, slog.Any("error", err))
		c.serveResult(ctx, res)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := c.replica, c.now()
	c.release(now)
	living := c.remember(now).living
	switch {
	case c.closed && (c.session == "" || s.closing == 0):
		return &decision{err: failure}, false
	case c.session == "" && living:
		return &decision{again: lookSoon}, false // end the look; the next one tries again
	case c.session == "":
		return nil, false
	}
	if !living && s.room.waiting > 0 {
		if s.refreshWithoutStore {
			return nil, false
		}
		c.serveWaiters(nil, failure)
	}
	return nil, true
}

// published makes the token of a published result the current one, and returns how the look ends.
func (c *Cache) published(ctx context.Context, res *result) *decision {
	if res.kind == resultToken {
		if !res.served {
			c.serveResult(ctx, res)
		}
		c.lookAfterPublishing()
	}
	d := c.ended(res)
	return &d
}

// ended returns how a look with a result ends.
func (c *Cache) ended(res *result) decision {
	switch res.kind {
	case resultToken:
		if res.err != nil {
			return decision{token: res.token, again: min(res.wait, lookSoon)}
		}
		return decision{}
	case resultFinal:
		c.log(slog.LevelWarn, "the server refused the refresh token", next{what: "login"}, slog.Any("error", res.err))
		res.err = &noTokenError{kind: ErrLoginRequired, cause: res.err}
		res.wait = loginSoon
	case resultFailed, resultLost:
		c.log(slog.LevelWarn, "could not get a token", next{"retry", res.wait}, slog.Any("error", res.err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.orServe(noToken(res.err), min(res.wait, lookSoon))
}

// serveResult passes a token to OnToken and then to callers.
func (c *Cache) serveResult(ctx context.Context, res *result) {
	c.mu.Lock()
	s, now := c.replica, c.now()
	r := record{token: res.token, placedAt: res.placedAt, bornAt: res.bornAt, endAt: res.endAt, after401: res.after401}
	e := r.entry(now)
	res.served = true
	s.hadToken, s.rejected, s.err = true, "", nil
	if c.onToken != nil {
		c.saved()
		c.unsaved, c.held = e, c.hold
		c.mu.Unlock()
		c.saveNow(ctx)
		c.mu.Lock()
	}
	if !e.served && (!c.held || c.unsaved != e) && res.generation == c.generation {
		c.setCurrent(e, c.now())
	}
	c.mu.Unlock()
	c.logToken(e)
}

// saveUnsaved calls OnToken for an unsaved token, if that is due.
func (c *Cache) saveUnsaved(ctx context.Context) {
	c.mu.Lock()
	due := c.unsaved != nil && c.now().mono >= c.nextSave
	c.mu.Unlock()
	if due {
		c.saveNow(ctx)
	}
}

func (c *Cache) saveNow(ctx context.Context) {
	c.notStuck()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout/2)
	defer cancel()
	c.save(ctx)
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
	return c.replica.room.waiting > 0 && !c.closed
}

// findKey returns the key of the record. It retrieves the credentials until the client id is known.
func (c *Cache) findKey(ctx context.Context) (key string, err error) {
	c.mu.Lock()
	key = c.replica.key
	c.mu.Unlock()
	if key != "" {
		return key, nil
	}
	err = guard("the CredentialsProvider", func() (err error) {
		key, err = c.storeKey(ctx)
		return err
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.replica.key = cmp.Or(c.replica.key, key)
	}
	return c.replica.key, err
}
