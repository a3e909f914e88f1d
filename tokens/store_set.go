package tokens

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// setInStore is Set with a Store: t serves at once, and stands in the Store when it returns nil.
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
		if c.session != "" && t.RefreshToken == "" {
			if t.RefreshToken = s.newestRefreshToken(); !r.order.before(s.known.order) && r.refreshToken() != "" {
				t.RefreshToken = r.refreshToken()
			}
		}
		if t.AccessToken == "" && t.RefreshToken == "" {
			return c.recordOf(nil, order{}, now)
		}
		return c.recordOf(t, order{}, now)
	})
	if err != nil {
		return fmt.Errorf("tokens: %s: the token is not in the Store: %w", c.endpoint.vendor.name, err)
	}
	return nil
}

// newestRefreshToken returns that of the token not yet published, else of the newest record known. The lock is held.
func (s *replica) newestRefreshToken() string {
	if s.result != nil && s.result.kind == resultToken {
		return s.result.token.RefreshToken
	}
	return s.known.refreshToken()
}

// revokeInStore is Revoke with a Store: it serves nothing, puts a record without a token into the Store, so that others serve
// nothing either, and then revokes what stood there.
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
	toRevoke := slices.Clone(pending) // a Store that hangs may bring more
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

// supersedeLook makes the look under way forget what it has loaded, and those who wait for it look again. The lock is held.
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

// storeChange puts the record that makeRecord returns, with an order of its own, in place of whatever stands in the Store.
// Meanwhile nothing is taken over from the Store. It returns soon after ctx ends, whatever the Store does.
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
		return fmt.Errorf("%w: it did not return though its time was over: %w", ErrStore, ctx.Err())
	}
}

func (c *Cache) changeEnded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replica.changes--
	c.wakeLook()
	c.publish(c.now())
}

// tryChange carries storeChange out. It tries again after conflicts, and twice after failures.
func (c *Cache) tryChange(ctx context.Context, change int, makeRecord func(r *record, now moment) *record) error {
	s := c.replica
	if _, err := c.findKey(ctx); err != nil {
		return err
	}
	var last *record   // that was swapped in without success
	var inDoubt *order // of a swap with an unknown outcome
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

// maxConflicts is far more than even a hundred processes cause that log the same user in at once.
const maxConflicts = 100

// stored notes that a change was found in the Store though its swap seemed to have failed.
func (c *Cache) stored(r *record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.order.before(c.replica.known.order) {
		c.replica.known = r
	}
}
