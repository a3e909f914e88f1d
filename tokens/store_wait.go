package tokens

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// sharedToken is tokenSlow for a Cache with a Store.
func (c *Cache) sharedToken(ctx context.Context, ended error, minLife time.Duration) (*Token, error) {
	for first := true; ; first = false {
		token, room, err := c.serveOrWait(ctx, ended, minLife, first)
		if room == nil {
			return token, err
		}
		if err := c.waitIn(ctx, room); err != nil {
			return c.serveToTheEnd(minLife, noToken(err))
		}
		switch {
		case room.err != nil:
			return c.serveToTheEnd(minLife, room.err)
		case room.token == nil: // superseded by Set or Revoke
		case minLife <= 0 || room.token.ValidFor(minLife):
			return room.token, nil
		default:
			return nil, c.tooShort(minLife)
		}
	}
}

// serveOrWait returns the current token if it is usable, and starts a look in the background if that is due. Otherwise
// it returns the room in which to wait for a look, which it starts if necessary, or an error.
func (c *Cache) serveOrWait(ctx context.Context, ended error, minLife time.Duration, first bool) (*Token, *waitRoom, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, &noTokenError{kind: ErrClosed}
	}
	s, now := c.replica, c.now()
	if e := c.entry; e != nil && e.at(now) < e.replaceAt && e.lives(now, minLife) {
		if !s.looking && now.mono >= c.nextLook(e) {
			c.startLook(context.Background())
		}
		c.publish(now)
		return e.token, nil, nil
	}
	var err error
	switch {
	case s.looking:
	case c.held && now.mono < c.nextSave:
		err = c.saveErr
	case s.err != nil && now.mono < s.lookFrom:
		err = s.err
	default:
		err = ended
	}
	if c.tokenLife > 0 && c.tokenLife < minLife && c.entry != nil && c.entry.lives(now, 0) {
		err = c.tooShort(minLife) // a new token would be as short
	}
	if err != nil {
		if e := c.entry; e != nil && e.lives(now, minLife) {
			c.publish(now)
			return e.token, nil, nil
		}
		return nil, nil, noToken(err)
	}
	if first {
		c.stats.Waits++
	}
	s.room.waiting++
	s.minLife = max(s.minLife, minLife)
	if !s.looking {
		c.startLook(callerValues{context.WithoutCancel(ctx)})
	}
	return nil, s.room, nil
}

// waitIn waits for the result of the look. It returns early with the error of ctx, or if the look is stuck. After the
// process has been stopped for a while, the timer may fire together with the result, so the look then gets one more
// second.
func (c *Cache) waitIn(ctx context.Context, room *waitRoom) error {
	defer c.leave(room) // even if a method of ctx panics
	if ctx.Value(insideFetch{c}) != nil {
		return fmt.Errorf("tokens: %s: a hook must not ask its own Cache for a token", c.endpoint.vendor.name)
	}
	timer := time.NewTimer(c.patience())
	defer timer.Stop()
	for lastMoment := false; ; {
		select {
		case <-room.done:
			return nil
		case <-ctx.Done():
			return c.endpoint.waitEnded(ctx)
		case <-timer.C:
		}
		switch left := c.patience(); {
		case left > 0:
			lastMoment = false
			timer.Reset(left)
		case lastMoment:
			return c.stuck()
		default:
			lastMoment = true
			timer.Reset(responseGrace)
		}
	}
}

// patience returns how much longer the look may take before it counts as stuck.
func (c *Cache) patience() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(0, min(c.replica.stuckAt-c.now().mono, fetchTimeout)-responseGrace)
}

func (c *Cache) stuck() error {
	return fmt.Errorf("tokens: %s: a hook or the Store took longer than %v: %w", c.endpoint.vendor.name, fetchTimeout, context.DeadlineExceeded)
}

func (c *Cache) leave(room *waitRoom) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room.waiting--
}

// nextLook returns when the next background look may start. The lock is held.
func (c *Cache) nextLook(e *entry) time.Duration {
	s := c.replica
	every := lookEvery
	if e.endAt != never {
		every = min(every, max(e.endAt-e.since, 0)/10)
	}
	next := e.renewAt
	if s.lookedAt.mono != -never {
		next = min(next, s.lookedAt.mono+every)
	} else {
		next = 0
	}
	if c.unsaved != nil {
		next = min(next, c.nextSave)
	}
	return max(next, s.lookFrom)
}

// nextCheckShared is nextCheck for a Cache with a Store. The lock is held.
func (c *Cache) nextCheckShared(e *entry) time.Duration {
	if c.replica.looking {
		return e.replaceAt
	}
	next := e.replaceAt
	if c.replica.err != nil {
		next = e.endAt
	}
	return min(c.nextLook(e), next)
}

// startLook starts a look whose context no caller can cancel. The lock is held.
func (c *Cache) startLook(ctx context.Context) {
	c.replica.looking = true
	c.replica.stuckAt = c.now().mono + fetchTimeout
	c.begin()
	go func() {
		defer c.end()
		ended := false
		defer func() {
			if !ended {
				c.lookExited()
			}
		}()
		c.look(context.WithValue(ctx, insideFetch{c}, true))
		ended = true
	}()
}

// lookExited ends a look whose hook called runtime.Goexit.
func (c *Cache) lookExited() {
	c.mu.Lock()
	if own := c.replica.own; own != nil {
		c.endpoint.holdOff.end(own.pass, c.now().time, c, nil, false)
		own.pass = holdPass{}
		if own.sent {
			c.replica.own = nil
		}
	}
	c.mu.Unlock()
	c.finishLook(c.retryLater(noToken(errExited)))
}

// finishLook ends a look and gives its result to the callers that wait.
func (c *Cache) finishLook(d decision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := c.replica, c.now()
	if c.closed {
		d = decision{err: &noTokenError{kind: ErrClosed}}
	}
	if d.err != nil {
		d.err = noToken(d.err)
	}
	s.looking, s.stuckAt, s.minLife = false, never, 0
	s.err, s.lookFrom = d.err, now.mono+d.again
	c.err = d.err
	if d.token != nil {
		c.serveWaiters(d.token, nil)
	}
	if d.err == nil || c.held {
		c.release(now)
	}
	c.serveWaiters(nil, d.err)
	c.publish(now)
	c.pinIfUnsaved()
}

// pinIfUnsaved keeps a Cache of Sessions in memory while it has something to save. The lock is held.
func (c *Cache) pinIfUnsaved() {
	s := c.replica
	pinned := c.unsaved != nil || s.result != nil || len(c.secrets.unrevoked) > 0
	if s.pin != nil && pinned != s.isPinned {
		s.isPinned = pinned
		s.pin(c, pinned)
	}
}

// release gives the current token to the callers that wait or, if the token is held back, the reason for that. The lock
// is held.
func (c *Cache) release(now moment) {
	if c.held {
		c.serveWaiters(nil, noToken(c.saveErr))
		return
	}
	if e := c.entry; e != nil && e.lives(now, 0) && (e.at(now) < e.replaceAt || !c.replica.looking) {
		c.serveWaiters(e.token, nil)
	}
}

// serveWaiters gives a token or an error to the callers that wait. If both are nil, they look again. The lock is held.
func (c *Cache) serveWaiters(token *Token, err error) {
	s := c.replica
	if s.room.waiting == 0 {
		return
	}
	s.room.token, s.room.err = token, err
	close(s.room.done)
	s.room = &waitRoom{done: make(chan struct{})}
}

// notStuck restarts the time after which the look counts as stuck.
func (c *Cache) notStuck() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.replica.looking {
		c.replica.stuckAt = c.now().mono + fetchTimeout
	}
}

// pause waits for d, or until Set, Revoke or Close need the look.
func (c *Cache) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.replica.wake:
	}
}

// wakeLook ends the pause of the look. The lock is held.
func (c *Cache) wakeLook() {
	select {
	case c.replica.wake <- struct{}{}:
	default:
	}
}

// lookAfterPublishing starts a few looks in the next seconds. If the Store fails over and loses the new refresh token,
// this process is the only one that can restore it.
func (c *Cache) lookAfterPublishing() {
	if c.session == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookIn(2*time.Second, 4)
}

// lookIn starts a number of looks, the first after d and each later one after a longer wait. The lock is held.
func (c *Cache) lookIn(d time.Duration, looks int) {
	s := c.replica
	if s.timer != nil {
		s.timer.Stop()
	}
	if looks == 0 || c.closed {
		s.timer = nil
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if s.timer != timer || c.closed {
			return
		}
		if !s.looking {
			c.startLook(context.Background())
		}
		next := d
		if looks < 4 {
			next = 2 * d
		}
		c.lookIn(next, looks-1)
	})
	s.timer = timer
}

// closeReplica waits until the Store has any refresh token that only this process knows.
func (c *Cache) closeReplica(ctx context.Context) error {
	s := c.replica
	c.mu.Lock()
	s.closing++
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	unstored := func() bool { return c.session != "" && s.result != nil && s.result.kind == resultToken }
	if unstored() && !s.looking {
		c.startLook(callerValues{context.WithoutCancel(ctx)})
	}
	c.wakeLook()
	c.mu.Unlock()

	err := c.waitForQuiet(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	s.closing--
	c.wakeLook()
	c.pinIfUnsaved()
	if unstored() {
		return fmt.Errorf("tokens: %s: a token is not in the Store: %w: %w", c.endpoint.vendor.name, ErrStore, cmp.Or(s.storeErr, err))
	}
	return err
}
