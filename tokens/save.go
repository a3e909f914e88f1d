package tokens

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// saveDue reports whether there is something that OnToken failed to take, and that it is time to try again.
func (c *Cache) saveDue(f *fetch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.generation == c.generation && !f.concluded && !c.closed && c.unsaved != nil && c.now().mono >= c.nextSave
}

// save has OnToken store what is unsaved, and keeps its error. Whoever calls it has the turn.
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
			c.logAbout(e.token, slog.LevelWarn, "could not store a token, which is kept", next{"retry", wait}, slog.Any("error", err))
		}
	}()
	err = c.onToken(ctx, e.token.clone())
}

// saveEnded takes OnToken's error for e, and reports whether and for how long e stays unsaved.
func (c *Cache) saveEnded(e *entry, err error) (wait time.Duration, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	switch {
	case c.unsaved != e: // Set or Revoke came meanwhile
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

// saved forgets what was unsaved.
func (c *Cache) saved() {
	c.unsaved, c.held, c.saveErr, c.saveFailures, c.nextSave = nil, false, nil, 0, 0
}

// saveFailed decides when OnToken is called again.
func (c *Cache) saveFailed(err error, now moment) (wait time.Duration) {
	c.saveErr = &hookError{c.endpoint.vendor.name, "OnToken", err}
	c.saveFailures++
	wait = backOff(c.saveFailures)
	c.nextSave = now.mono + wait
	c.publish(now)
	return wait
}
