package tokens

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// setInStore is Set for a Cache with a Store. t is current at once; when setInStore returns nil, it is in the Store.
func (c *Cache) setInStore(ctx context.Context, t *Token) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return fmt.Errorf("tokens: %s: %w", c.endpoint.vendor.name, ErrClosed)
	}
	if t == nil {
		t = &Token{}
	}
	t = t.clone()
	s := c.replica
	c.supersedeLook()
	served := *t
	if c.session != "" && served.RefreshToken == "" {
		served.RefreshToken = s.newestRefreshToken()
	}
	c.replaceToken(&served, c.now())
	s.hadToken = s.hadToken || t.AccessToken != ""
	change := s.change
	c.mu.Unlock()

	err := c.storeChange(ctx, change, func(r *record, now moment) *record {
		next := *t // r is another record after a conflict
		if c.session != "" && t.RefreshToken == "" {
			next.RefreshToken = s.newestRefreshToken()
			unpublished := s.result != nil && s.result.kind == resultToken && s.result.judge(r, true) == putIn
			if !unpublished && !r.order.before(s.known.order) && r.refreshToken() != "" {
				next.RefreshToken = r.refreshToken()
			}
		}
		return c.recordOf(&next, order{}, now)
	})
	if err != nil {
		return fmt.Errorf("tokens: %s: the token is not in the Store: %w", c.endpoint.vendor.name, err)
	}
	return nil
}

// newestRefreshToken returns the refresh token of a result that is not published yet, or else of the newest known
// record. The lock is held.
func (s *replica) newestRefreshToken() string {
	if s.result != nil && s.result.kind == resultToken {
		return s.result.token.RefreshToken
	}
	return s.known.refreshToken()
}

// revokeInStore is Revoke for a Cache with a Store. It drops the current token, writes a record without a token, so
// that other processes drop theirs, and then revokes the tokens.
func (c *Cache) revokeInStore(ctx context.Context) error {
	c.mu.Lock()
	s := c.replica
	c.supersedeLook()
	change := s.change
	c.mu.Unlock()
	pending := c.forget()
	c.mu.Lock()
	c.secrets.refreshToken = ""
	if s.known.token != nil {
		pending = withTokens(pending, s.known.token)
	}
	if s.result != nil && s.result.kind == resultToken {
		pending = withTokens(pending, s.result.token)
		s.result = nil
	}
	c.mu.Unlock()

	err := c.storeChange(ctx, change, func(r *record, now moment) *record {
		if r.token != nil {
			pending = withTokens(pending, r.token)
		}
		return c.recordOf(nil, order{}, now)
	})
	if err != nil {
		err = fmt.Errorf("tokens: %s: the logout is not in the Store: %w", c.endpoint.vendor.name, err)
	}
	c.mu.Lock()
	toRevoke := slices.Clone(pending) // if the Store hangs, storeChange may still append to pending
	c.mu.Unlock()
	revokeErr := c.revoke(ctx, toRevoke)
	c.mu.Lock()
	defer c.mu.Unlock()
	if revokeErr != nil && len(c.secrets.unrevoked) > 0 {
		revokeErr = fmt.Errorf("tokens: %s: not all was revoked at the server; only this process can call Revoke again for it: %w", c.endpoint.vendor.name, revokeErr)
	}
	c.pinIfUnsaved()
	return errors.Join(err, revokeErr)
}

// supersedeLook makes the running look discard what it has loaded, and makes waiting callers look again. The lock is
// held.
func (c *Cache) supersedeLook() {
	s := c.replica
	c.generation++
	s.change++
	s.changes++
	s.err, s.lookFrom, s.rejected, s.pausedTo = nil, 0, "", 0
	c.err = nil
	c.serveWaiters(nil, nil)
	c.wakeLook()
}

var errSuperseded = errors.New("a later Set or Revoke took its place")

// storeChange replaces the record in the Store with the one that makeRecord returns, whatever is there. Meanwhile
// loaded records are not applied. It returns soon after ctx ends, even if the Store hangs.
func (c *Cache) storeChange(ctx context.Context, change int, makeRecord func(r *record, now moment) *record) error {
	done := make(chan error, 1)
	c.mu.Lock()
	c.begin()
	c.mu.Unlock()
	go func() {
		defer c.end()
		err := errExited
		defer func() { done <- err }()
		defer c.changeEnded()
		err = c.tryChange(ctx, change, makeRecord)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("%w: it did not return after its context ended: %w", ErrStore, ctx.Err())
	}
}

// changeEnded ends storeChange. After a logout, callers need not wait for the look, whose request may be in flight.
func (c *Cache) changeEnded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.replica
	s.changes--
	if c.session != "" && c.entry == nil && s.changes == 0 && s.known.order.epoch > 0 && s.known.refreshToken() == "" {
		c.serveWaiters(nil, &noTokenError{kind: ErrLoginRequired, cause: whyNoLogin(s.known)})
	}
	c.wakeLook()
	c.publish(c.now())
}

// tryChange carries out storeChange. It retries after conflicts, and twice after failures.
func (c *Cache) tryChange(ctx context.Context, change int, makeRecord func(r *record, now moment) *record) error {
	s := c.replica
	if err := c.findKey(ctx); err != nil {
		return err
	}
	var last *record   // the record of the last failed swap
	var inDoubt *order // the order of a swap with an unknown outcome
	for failures, conflicts := 0, 0; ; {
		r, err := c.loadOnce(ctx, c.currentGeneration())
		if err == nil {
			if inDoubt != nil && r.order.epoch >= inDoubt.epoch || last != nil && r.version == last.version {
				c.stored(r)
				return nil
			}
			c.mu.Lock()
			if s.change != change {
				c.mu.Unlock()
				return errSuperseded
			}
			last = makeRecord(r, c.now())
			last.order, last.rest = c.nextEpoch(r), r.rest
			c.mu.Unlock()
			if err = c.swap(ctx, r, last); err == nil {
				return nil
			}
			if !errors.Is(err, ErrConflict) {
				inDoubt = &last.order
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrStore, ctx.Err())
		}
		if errors.Is(err, ErrConflict) {
			conflicts++
		} else {
			failures++
		}
		if failures == maxPuts || conflicts == maxConflicts {
			return fmt.Errorf("%w: %w", ErrStore, err)
		}
		pause := loadAgain << min(failures+conflicts/4, 4)
		if err := sleep(ctx, pause/4+rand.N(pause/2)); err != nil {
			return fmt.Errorf("%w: %w", ErrStore, err)
		}
	}
}

// maxConflicts is far more than a hundred processes cause that write the same login at once.
const maxConflicts = 100

// stored records that a change is in the Store although its swap seemed to fail.
func (c *Cache) stored(r *record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.order.before(c.replica.known.order) {
		c.replica.known = r
	}
}
