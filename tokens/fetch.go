package tokens

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime/debug"
	"time"
)

// flight is one fetch, or one more try to store what a fetch brought. Its waiters read it once done is closed.
type flight struct {
	generation int
	done       chan struct{}
	token      *Token
	err        error
	superseded bool // by Set or Revoke: waiters ask anew
}

// start begins a flight under a context that no caller can end, for callers who wait or in the background. The lock is
// held.
func (c *Cache) start(ctx context.Context, waited bool) *flight {
	f := &flight{generation: c.generation, done: make(chan struct{})}
	c.flight = f
	if c.running == 0 {
		c.quiet = make(chan struct{})
	}
	c.running++

	grant := c.grant
	grant.RefreshToken = c.refresh
	stored := c.unsaved
	if stored != nil && !c.worthStoring(stored) {
		stored = nil
	}
	if stored == nil {
		c.stats.Fetches++
	}
	again := stored == nil && c.lost

	set := settings{logger: c.logger}
	if !waited {
		set.retry = &Retry{Attempts: 1} // the token serves on, and the next try has a back-off of its own
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	go func() {
		defer c.ended()
		defer cancel()
		if again {
			c.logger.Warn("presenting once more a refresh token whose answer was lost")
		}
		c.fly(ctx, set, f, grant, stored)
	}()
	return f
}

// worthStoring tells whether a token that OnToken did not take should be stored before a new one is fetched.
func (c *Cache) worthStoring(t *Token) bool {
	e := c.current.Load()
	if e != nil && e.token == t {
		return c.now() < e.renewAt
	}
	return t.Expiry.IsZero() || time.Until(t.Expiry) > 0
}

func (c *Cache) ended() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	if c.running == 0 {
		close(c.quiet)
	}
}

// fly fetches a token unless it has one to store, stores it, and lands, whatever panics or exits on the way.
func (c *Cache) fly(ctx context.Context, set settings, f *flight, grant Grant, token *Token) {
	err := errExited
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("tokens: panic while fetching a token: %T", r) // its value may hold a secret
			c.logger.Error("panic while fetching a token", "type", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
		}
		c.land(ctx, f, token, err)
	}()
	if token == nil {
		var fetched *Token
		if fetched, err = c.fetch(set.in(ctx), grant); err != nil {
			return
		}
		token = fetched
		if !c.arrive(f, token) {
			return
		}
	}
	if c.onToken != nil {
		err = errExited
		stored := *token
		err = c.onToken(ctx, &stored)
		return
	}
	err = nil
}

// errExited is the error of a fetch that called runtime.Goexit.
var errExited = errors.New("tokens: the fetch ended its goroutine")

func (c *Cache) fetch(ctx context.Context, grant Grant) (*Token, error) {
	if c.refreshes && grant.RefreshToken == "" {
		return nil, fmt.Errorf("tokens: %s: there is no refresh token; Set a token that has one: %w", c.endpoint.vendor.name, ErrNoToken)
	}
	return c.endpoint.Exchange(ctx, grant)
}

// arrive makes sure, before anything else can fail, that a rotated refresh token is not lost. It returns false if the
// token is not to be kept.
func (c *Cache) arrive(f *flight, token *Token) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.generation != c.generation {
		return false
	}
	if c.refreshes {
		c.refresh = firstOf(token.RefreshToken, c.refresh)
		token.RefreshToken = c.refresh
		c.lost = false
	}
	if c.onToken != nil {
		c.unsaved = token
	}
	return true
}

// land ends a flight. With a token, err is OnToken's; without one it is the fetch's.
func (c *Cache) land(ctx context.Context, f *flight, token *Token, err error) {
	c.mu.Lock()
	if f.generation != c.generation {
		f.superseded = true
		doomed := token != nil && f.generation < c.revokedGeneration
		c.mu.Unlock()
		close(f.done)
		if doomed {
			if err := c.revoke(ctx, withTokens(nil, token)); err != nil {
				c.logger.Warn("could not revoke what a fetch brought after Revoke", "error", err)
			}
		}
		return
	}
	c.flight = nil
	switch {
	case err == nil:
		c.unsaved = nil
		c.succeeded()
	case token == nil:
		c.stats.Failures++
		c.failed(err)
	default:
		c.failed(err)
	}
	f.token, f.err = token, c.err
	if token != nil && (err == nil || !c.hold) {
		f.err = nil
		c.serve(token)
	}
	if e := c.current.Load(); e != nil {
		c.schedule(e)
	}
	wait := c.nextTry - c.now()
	c.mu.Unlock()
	close(f.done)

	// Without the lock: a slow log handler must not hold up callers.
	switch {
	case err == nil:
		c.logger.Debug("got a token", "token", token)
	case token == nil:
		c.logger.Warn("could not get a token", "error", err, "next_try", wait)
	default:
		c.logger.Warn("could not store a token, which is kept", "error", err, "next_try", wait)
	}
}

// serve makes a token the current one, if it is not already.
func (c *Cache) serve(token *Token) {
	if e := c.current.Load(); e == nil || e.token != token {
		c.keep(token)
	}
}

// failed decides when to try again.
func (c *Cache) failed(err error) {
	c.failures++
	c.err = err
	var hint time.Duration
	if e, ok := errors.AsType[*Error](err); ok {
		hint = min(e.RetryAfter, mostHint)
	}
	wait := hint
	if wait == 0 {
		wait = backOff(c.failures)
	}
	if isPermanent(err) {
		wait = max(wait, permanentHold)
	}
	c.nextTry = c.now() + wait
	if c.refreshes && c.unsaved == nil {
		switch doubt := doubtOf(err); {
		case errors.Is(err, InvalidGrant):
			c.final = true
		case doubt == answerLost && c.lost:
			c.final = true
			c.err = fmt.Errorf("tokens: %s: the answers to two refreshes were lost, and the refresh token may be used up: %w", c.endpoint.vendor.name, err)
		case doubt != answered:
			// The access token serves to its end before the refresh token, which may be used up, is presented again:
			// servers answer its reuse by ending the whole family.
			c.lost = c.lost || doubt == answerLost
			if e := c.current.Load(); e != nil {
				c.nextTry = max(c.nextTry, e.deadAt)
			}
		}
	}
}

// backOff is the wait after the nth failure in a row, half of it at random so that replicas spread.
func backOff(n int) time.Duration {
	wait := mostHold
	if shift := n - 1; shift < 16 {
		wait = min(wait, firstHold<<shift)
	}
	return wait/2 + rand.N(wait/2+1)
}

// isPermanent tells whether asking again cannot help before somebody changes something.
func isPermanent(err error) bool {
	for _, code := range []Code{InvalidClient, InvalidGrant, InvalidScope, UnauthorizedClient} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// doubt is what is known of a refresh that failed.
type doubt int

const (
	answered   doubt = iota // refused, or never sent: the refresh token is as good as before
	maybeActed              // 500, 502, 504 and the like: it may be used up
	answerLost              // no answer, or none that can be read: it may be used up, and its successor lost
)

func doubtOf(err error) doubt {
	e, ok := errors.AsType[*Error](err)
	if _, unsent := errors.AsType[*credentialsError](err); !ok || unsent {
		return answered
	}
	switch {
	case e.StatusCode == 0:
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			return answered
		}
		return answerLost
	case e.StatusCode/100 == 2 && e.Code == "":
		return answerLost
	case e.StatusCode/100 == 5 && e.StatusCode != http.StatusServiceUnavailable:
		return maybeActed
	}
	return answered
}

// valuesOf is a context whose values do not include what concerns one call alone.
type valuesOf struct{ context.Context } //nolint:containedctx // it is one

func (v valuesOf) Value(key any) any {
	switch value := v.Context.Value(key).(type) {
	case *settings, *call, *httptrace.ClientTrace:
		return nil
	default:
		return value
	}
}
