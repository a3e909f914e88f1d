package tokens

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// saveDue reports whether it is time to call OnToken again for a token that it failed to save.
func (c *Cache) saveDue(f *fetch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !f.concluded && !c.closed && c.unsaved != nil && c.now().mono >= c.nextSave
}

// save calls OnToken with the unsaved token and records its error. The caller must hold c.turn.
func (c *Cache) save(ctx context.Context) {
	c.mu.Lock()
	e := c.unsaved
	c.mu.Unlock()
	if e == nil {
		return
	}
	err := errExited
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %T", r) // its value may hold a secret
			c.logAbout(e.token, slog.LevelError, "panic in OnToken", next{what: "retry"},
				slog.String("type", fmt.Sprintf("%T", r)), slog.String("stack", string(debug.Stack())))
		}
		if wait, failed := c.saveEnded(e, err); failed {
			c.logAbout(e.token, slog.LevelWarn, "could not save a token, which is kept in memory", next{"retry", wait}, slog.Any("error", err))
		}
	}()
	err = c.onToken(ctx, e.token.clone())
}

// saveEnded records OnToken's error for e. It reports whether e is still unsaved, and how long to wait before the next
// attempt.
func (c *Cache) saveEnded(e *entry, err error) (wait time.Duration, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	switch {
	case c.unsaved != e: // Set or Revoke was called meanwhile
		return 0, false
	case err != nil:
		return c.saveFailed(err, now), true
	}
	held := c.held
	c.saved()
	if held {
		c.setCurrent(e, now)
	}
	return 0, false
}

// saved records that nothing is unsaved.
func (c *Cache) saved() {
	c.unsaved, c.held, c.saveErr, c.saveFailures, c.nextSave = nil, false, nil, 0, 0
}

// saveFailed records err and decides when OnToken is called again.
func (c *Cache) saveFailed(err error, now moment) (wait time.Duration) {
	c.saveErr = &hookError{c.endpoint.vendor.name, "OnToken", err}
	c.saveFailures++
	wait = backOff(c.saveFailures)
	c.nextSave = now.mono + wait
	c.publish(now)
	return wait
}
