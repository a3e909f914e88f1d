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

// How processes agree through a Store on which of them fetches the next token. A process that wants to fetch swaps an attempt
// into the record, sends one request, and then swaps the token in and the attempt out. A process that finds another's attempt
// polls. If nobody changes the record for as long as the attempt's hold lasts, the process that made the attempt is dead, and
// another takes its place.
//
// A look is one goroutine of a Cache that loads the record, takes over what it finds there (observe), decides what comes
// next (decide), and does it (look), until there is nothing left to do.

const (
	storeTimeout  = 3 * time.Second // bounds each call of the Store
	loadAgain     = 50 * time.Millisecond
	firstPoll     = 20 * time.Millisecond
	maxPoll       = 250 * time.Millisecond
	lookEvery     = time.Minute      // how old what a busy process knows may be
	lookSoon      = 5 * time.Second  // after a failure: another process may have mended it
	loginSoon     = maxPoll          // without a login: a person may have logged in by way of another process
	markAfter     = time.Second      // an attempt is watched for this long before what is left of its hold is written down
	fetchHold     = 10 * time.Second // of an attempt that presents no refresh token
	minTimeout    = 10 * time.Second // of an exchange, as far as the hold goes: swaps and pauses before and after it take time too
	lossHold      = 90 * time.Second // of a record that was put back: for those who may know a newer one
	steadyAfter   = 5 * time.Second  // how long a Store must be well before a refresh token is presented
	freshFor      = 5 * time.Second  // how long after its swap an attempt may present a refresh token
	turnTimeout   = 55 * time.Second // how long a fetch waits for its turn at the Limiter: the request needs time too
	lateTurn      = time.Second      // a turn that took longer is late: what was decided before may have changed
	maxSteps      = 10               // how often in a row a look changes the record without an end in sight
	maxPuts       = 3                // how often a result is published before callers get it all the same
	maxConfirms   = 3                // how often an attempt that grew old is swapped in again
	responseGrace = time.Second      // after a pause the response and the end of the timeout are there at once
	appRecordTTL  = 24 * time.Hour   // how long the record of an app outlives its token
)

// A replica is the part of a Cache that has a Store: what this process knows of the record that it shares with others. It
// belongs to the lock of its Cache, but for store, initial, seedDelay and refreshWithoutStore, which do not change.
type replica struct {
	store               Store
	initial             *Token
	seedDelay           time.Duration
	initialSeen         bool // Initial has stood in the Store
	refreshWithoutStore bool

	key      string        // of the record; empty until the client id is known
	known    *record       // the newest record that was seen in the Store, or swapped in without an error; never nil
	lookedAt moment        // when the last Load or swap that succeeded was sent; its mono is -never if there was none
	watched  string        // the version that the last Load or swap showed
	since    time.Duration // when it was seen first
	own      *ownAttempt   // the attempt whose request was not sent yet, or nil
	result   *result       // what the last attempt brought, until it is in the Store; or nil
	upset    bool          // the Store has failed, and has not been well for steadyAfter since
	wellFrom time.Duration // when the first Load was sent that succeeded after that; never if there was none
	hadToken bool          // this process has had a token
	rejected string        // the access token that Invalidate dropped; empty once another came
	minLife  time.Duration // the longest life that a waiting caller asks for

	// A request without the Store that fails is not repeated before pausedTo. pausedErr is its error.
	pausedTo  time.Duration
	pausedErr error

	changes  int           // calls of Set and Revoke that are storing their record
	change   int           // how many calls of Set and Revoke there were
	looking  bool          // a look is under way
	stuckAt  time.Duration // when the look will have been in a hook or in the Store for too long
	lookFrom time.Duration // no look starts before
	failures int           // looks in a row that failed
	err      error         // of the last look, or nil
	room     *waitRoom     // of the callers who wait for the look; never nil
	wake     chan struct{} // ends a pause of the look
	closing  int           // calls of Close that wait
	timer    *time.Timer   // of the looks after a token was published, or nil
	storeErr error         // the last error of the Store

	// pin keeps the Cache in memory while it has something to store. It is nil if the Cache is not one of Sessions.
	pin      func(c *Cache, pinned bool)
	isPinned bool
	retire   func(c *Cache) // lets go of the Cache, which is closed; if nil, that is its user's affair
}

// An ownAttempt is an attempt of this process. It keeps its id until its request is sent, however often it is swapped in, so
// that a swap that takes effect late is recognized.
type ownAttempt struct {
	id       string
	sent     bool
	into     *record           // the record that it was put into
	swaps    map[string]moment // before each of its swaps, by version
	confirms int
	pass     holdPass // that of the Endpoint
}

// A waitRoom is where callers without a token wait for the look. Its token and err may be read once done is closed.
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

// An action is what comes next in a look.
type action int

const (
	doNothing action = iota // nothing: there is a token, or it is not the time for one
	doPoll                  // look again in a moment, as long as somebody waits
	doMark                  // write down what is left of the attempt's hold
	doPutBack               // put the record back that the Store lost
	doSeed                  // put Initial into the record
	doStart                 // put an attempt into the record
	doPresent               // send the request of the own attempt
)

// A decision is an action with its details.
type decision struct {
	action action
	token  *Token        // doNothing: for those who wait, if it is not the current one
	err    error         // doNothing: why there is no token
	again  time.Duration // doNothing: when to look again at the latest; if zero, as for a living token
	keep   bool          // doNothing: the rejected token stays
}

// A memory is what decide needs to know apart from the record.
type memory struct {
	rotates    bool          // it is a login, renewed by its refresh token
	known      order         // of the newest record known
	living     bool          // there is a token that was not rejected and does not end soon
	due        bool          // it is to be renewed
	hadToken   bool          // this process has had one
	rejected   string        // the access token that was rejected
	own        string        // the id of the own attempt that was not sent yet
	watchedFor time.Duration // how long this version has been seen unchanged
	upset      bool          // the Store failed, and has not been well for long
	initial    *Token
	waiting    bool // somebody waits
}

// decide returns what comes next, as the record stands. It changes nothing.
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
			return decision{action: doNothing, again: lookSoon} // the refresh token may be used up: the access token serves to its end
		}
	}
	if m.rejected != "" && r.accessToken() == m.rejected && r.after401 && now.mono-r.bornAt < rejectedAgainAfter {
		return decision{action: doNothing, keep: true} // the API would reject the next one as well
	}
	if m.rotates && m.upset {
		return m.pollOr(decision{action: doPoll}) // somebody may be about to store what a refresh brought
	}
	return decision{action: doStart}
}

// await decides while the hold of another's attempt lasts.
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

// pollOr returns d if there is no token to serve, and otherwise looks again in a second.
func (m memory) pollOr(d decision) decision {
	if m.living {
		return decision{action: doNothing, again: time.Second}
	}
	return d
}

// serveOr lets a living token serve, or fails with err, and looks again after a while.
func (m memory) serveOr(err error, again time.Duration) decision {
	if m.living {
		err = nil
	}
	return decision{action: doNothing, err: err, again: again}
}

// left returns how long an attempt's hold still lasts for an observer who has seen it unchanged for watchedFor. The wall
// clock counts only where a wrong one costs no more than an early request.
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

// An attemptError says what another process, or this one earlier, found out.
type attemptError struct {
	attempt *storedAttempt
	left    time.Duration
}

func (e *attemptError) Error() string {
	text := "the last request for a token failed"
	switch e.attempt.state {
	case attemptLost:
		text = "there was no response to the last refresh, and the refresh token may be used up"
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

// As lets the response be found as an *Error.
func (e *attemptError) As(target any) bool {
	t, ok := target.(**Error)
	if ok {
		*t = &Error{Method: "POST", StatusCode: e.attempt.status, Code: e.attempt.code, RetryAfter: e.left, Message: "told by the Store"}
	}
	return ok
}

// Is reports whether target is the Code of the response.
func (e *attemptError) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code != "" && code == e.attempt.code
}

// look looks until there is nothing left to do.
func (c *Cache) look(ctx context.Context) {
	var turn *heldTurn // of the request to come
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
				continue // what was decided may have changed
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
			c.log(slog.LevelWarn, "the Store lost a record, which is put back", next{what: "swap"})
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

var errForgetful = errors.New("the Store does not show what is swapped into it; package storetest may tell why")

// takeTurn takes the turn of a request at the Limiter, before an attempt begins whose hold would run meanwhile. It reports
// whether that took so long that what was decided may have changed. If there is no turn to be had, the look ends, or
// the own attempt that stands in r fails.
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

// loadAndDecide loads the record, takes over what stands there, and returns what comes next.
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

// remember returns what decide needs to know. The lock is held.
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
		m.initial = nil // of an app it would bring nothing; and one that stood in the Store is older than what came after it
	}
	return m
}

// load loads the record, tries once more if that fails, and takes over what stands there, unless Set or Revoke has been
// called since generation.
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

// storeFailed notes that a look failed, or that the outcome of a swap is unknown.
func (s *replica) storeFailed(err error) { s.upset, s.wellFrom, s.storeErr = true, never, err }

// observe takes over what a Load that was sent at sent showed. The lock is held.
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
		return // what is served is newer, and about to be put into the Store
	}
	c.takeOver(r, now)
}

// takeOver serves the token of a record from now on. The lock is held.
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

// swap puts next in place of over. Without an error this process knows next.
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
	case err == nil: // a Set or Revoke has been faster
	case !errors.Is(err, ErrConflict):
		s.storeFailed(err)
	}
	return err
}

// ttl returns how long the Store must keep a record. Logins are never forgotten, and neither is a logout: without its record an
// older login could come back.
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

// recordToPutBack returns the newest record that is known, to be put in place of an older one. Whoever knows a newer one gets time to
// put that back before the refresh token is presented.
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

// initialRecord returns Initial as a record: the oldest that there can be or, in place of a login that ended, a new one.
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

// recordOf returns a record of a token that the caller of Set or NewCache had. The lock is held.
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

// nextEpoch returns the order of a login or logout that is newer than all that is known. The lock is held.
func (c *Cache) nextEpoch(r *record) order {
	return order{max(max(c.replica.known.order.epoch, r.order.epoch)+1, time.Now().UnixMilli()), 0}
}

// startAttempt puts an attempt into r, and sends its request if that succeeds. It returns how the look ends if this is
// not the time to ask the Endpoint.
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
	return nil, nil //nolint:nilnil // no decision: the look goes on
}

// newAttempt returns an attempt of this process to be put into r. The lock is held.
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

// presentAttempt uses a turn to send the request of the own attempt, which stands in r, and keeps the result to be
// published.
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
		return // the attempt is another's now, or nobody knows
	}
	s.own = nil
	res.attempt, res.base, res.over, res.generation = own.id, own.into, confirmed, generation
	res.after401 = r.attempt.after401
	res.tries = r.attempt.tries
	c.accept(res)
}

var errLookAgain = errors.New("the record has to be looked at again")
var errTooOld = errors.New("not sent: the process was held up each time before the refresh token was presented")

// confirm makes sure, right before a refresh token is presented, that the attempt in r is fresh: a process that slept must not
// present it, as others may have waited the hold out or written down that it has become less.
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

// request sends one request, after beforeSend allows it, and returns what came of it.
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

// guard calls f, which is not ours, and makes an error of a panic.
func guard(what string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{what, fmt.Sprintf("%T", r), string(debug.Stack())} // its value may hold a secret
		}
	}()
	return f()
}

// A panicError is a panic of code that is not ours.
type panicError struct{ what, value, stack string }

func (e *panicError) Error() string { return "tokens: panic in " + e.what + ": " + e.value }

// withoutStore ends a look while the Store fails with err. A token is fetched without the Store once the old one has ended,
// but only with RefreshWithoutStore if that takes a refresh token.
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
		s.result = earlier // what it found out does not concern others
	}
	c.mu.Unlock()
	if res.kind == resultToken {
		c.serveResult(ctx, res)
	}
	d := c.ended(res)
	d.again = max(d.again, time.Second)
	return d
}

// retryLater fails those who wait, if there is no token that lives, and looks again after a back-off.
func (c *Cache) retryLater(err error) decision {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replica.failures++
	return c.orServe(err, min(backOff(c.replica.failures+3), lookSoon))
}

// orServe is serveOr with the token of now. The lock is held.
func (c *Cache) orServe(err error, again time.Duration) decision {
	return c.remember(c.now()).serveOr(err, again)
}

// A resultKind is what became of an attempt.
type resultKind int

const (
	resultToken  resultKind = iota // there is a token
	resultFailed                   // it failed, or was not sent
	resultLost                     // the refresh token was presented, and nobody knows what became of it
	resultFinal                    // the refresh token was refused for good
)

// A result is what an attempt brought, until it is in the Store. It belongs to the look.
type result struct {
	kind       resultKind
	attempt    string   // its id; empty if it was made without the Store
	base       *record  // the record that the attempt was put into
	over       *record  // the record to swap it over; if nil, that is to be looked up
	presented  []string // refresh tokens, the last one for this
	token      *Token
	placedAt   moment // as those of a record
	bornAt     time.Duration
	endAt      time.Duration
	after401   bool
	err        error
	outcome    refreshOutcome // of the refresh token
	sent       bool
	tries      int // attempts that failed in a row, without this one
	wait       time.Duration
	generation int
	puts       int // how often it was tried to publish it
	served     bool
}

// failedResult returns the result of an attempt in r that was not sent. The lock is held.
func (c *Cache) failedResult(own *ownAttempt, r *record, err error) *result {
	res := &result{
		kind: resultFailed, attempt: own.id, base: own.into, over: r, err: err, after401: r.attempt.after401,
		tries: r.attempt.tries, generation: c.generation,
	}
	res.wait = res.hold()
	return res
}

// hold returns how long nobody else begins after the result.
func (res *result) hold() time.Duration {
	if res.kind == resultLost {
		return lostWait
	}
	return waitAfter(res.err, res.tries+1)
}

// accept keeps a result, to be published. The lock is held.
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
			res.token.RefreshToken = "" // shown to nobody
		}
	} else if res.token.RefreshToken == "" {
		res.token.RefreshToken = res.presented[len(res.presented)-1]
	}
	if life := res.endAt - res.bornAt; res.endAt != never {
		c.tokenLife = life
		if res.endAt-min(10*time.Second, life/20) <= now.mono { // it arrived dead
			res.err = fmt.Errorf("tokens: %s: tokens end before they can be used", c.endpoint.vendor.name)
			res.wait = res.hold()
			s.pausedTo, s.pausedErr = now.mono+res.wait, res.err
		}
	} else {
		c.tokenLife = 0
	}
}

// record returns the record in which the result is published in place of r.
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

// A verdict says what to do with a result that finds another record than the one its attempt was put into.
type verdict int

const (
	superseded verdict = iota // somebody else's record counts
	putIn                     // swap it in
	alreadyIn                 // it is there
)

// judge decides what to do with a result where r stands in the Store.
func (res *result) judge(r *record, rotates bool) verdict {
	own := res.attempt != "" && r.attempt != nil && r.attempt.id == res.attempt && r.attempt.state == attemptWorking &&
		r.order.epoch == res.base.order.epoch
	sameRefreshToken := rotates && r.refreshToken() != "" && slices.Contains(res.presented, r.refreshToken())
	switch {
	case res.kind == resultToken && r.accessToken() == res.token.AccessToken:
		return alreadyIn
	case own:
		return putIn
	case res.kind == resultToken && sameRefreshToken: // the attempt was taken over, but its successor must not be lost
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

// publishResult puts the result of this process' last attempt into the Store, if it is not there yet. It returns how the look
// ends, or nil if it goes on.
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

// putResult tries once to publish a result. It reports whether it is in the Store; without an error and not in, it was
// dropped.
func (c *Cache) putResult(ctx context.Context, res *result) (in bool, err error) {
	for range maxSteps { // conflicts
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

// revokeResult revokes what came after a logout.
func (c *Cache) revokeResult(ctx context.Context, res *result) {
	if res.kind != resultToken || c.endpoint.revoke == nil {
		return
	}
	c.notStuck()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout/2)
	defer cancel()
	if err := c.revoke(ctx, withTokens(nil, res.token)); err != nil {
		c.log(slog.LevelWarn, "could not revoke a token that came after a logout", next{what: "Revoke"}, slog.Any("error", err))
	}
}

// notPublished decides whether to go on trying: a token that has a refresh token must not be lost.
func (c *Cache) notPublished(ctx context.Context, res *result, err error) (ended *decision, goesOn bool) {
	failure := &noTokenError{kind: ErrStore, cause: err}
	if res.kind != resultToken {
		if res.puts < maxPuts {
			return nil, true
		}
		if res.puts > maxPuts {
			return nil, false // it is tried once before each look
		}
		d := c.ended(res)
		return &d, false
	}
	if res.puts < maxPuts {
		return nil, true
	}
	if !res.served {
		c.logAbout(res.token, slog.LevelWarn, "could not put a token into the Store, which is served meanwhile", next{"retry", lookSoon}, slog.Any("error", err))
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
		return &decision{again: lookSoon}, false // nothing is decided before it is in the Store
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

// published serves a result that is in the Store, and returns how the look ends.
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

// ended returns how a look ends that brought a result.
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

// serveResult gives a token to OnToken and then to callers.
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

// saveUnsaved has OnToken store what it has not taken yet, if it is time.
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

// watchedFor returns how long the version that is there has been seen unchanged: from the arrival of the first Load that
// showed it to the sending of the last one.
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

// findKey returns the key of the record. It asks for the client id until it is known.
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
