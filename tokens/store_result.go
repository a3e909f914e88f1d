package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

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
				if r.token == nil {
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
	if !e.served && !c.held && res.generation == c.generation {
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
