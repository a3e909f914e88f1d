package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// swap replaces the record over with next. After success next is the known record.
func (c *Cache) swap(ctx context.Context, over, next *record) error {
	s := c.replica
	c.notStuck()
	next.version = randomID()
	sent := c.now()
	c.mu.Lock()
	key := s.key
	if s.own != nil {
		s.own.swaps[next.version] = sent
	}
	c.mu.Unlock()
	value, err := next.encode(sent)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err = c.guard("the Store", func() error {
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

// mark writes the rest of the hold of another process's attempt to r, for processes that start later. This process does
// not need it, so it does not matter whether the Store takes it.
func (c *Cache) mark(ctx context.Context, r *record) {
	a := *r.attempt
	a.hold = a.left(c.watchedFor(), c.now())
	_ = c.swap(ctx, r, r.with(&a))
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
	if s.own == nil {
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
var errTooOld = errors.New("not sent: the attempt could not be confirmed in the Store soon enough")

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
	res.err = c.guard("a hook", func() (err error) {
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

// withoutStore ends a look because the Store failed with err. If the token has expired, it fetches one without the
// Store, in the given turn at the Limiter or, if that is nil, in one of its own. For a login it does so only with
// RefreshWithoutStore.
func (c *Cache) withoutStore(ctx context.Context, err error, turn *heldTurn) decision {
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
	res := c.request(ctx, refreshToken, nil, turn)
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
