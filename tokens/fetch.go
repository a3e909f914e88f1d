package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptrace"
	"runtime/debug"
	"time"
)

// fetchTimeout bounds a fetch, and how long callers wait for one whatever its hooks do.
const fetchTimeout = time.Minute

// A fetch is one attempt to get a token, to have OnToken store one, or both. It belongs to the lock of its Cache, but for
// token, err and fetched, which those who wait may read once done is closed. If it concludes with neither a token nor an
// error, they look again.
type fetch struct {
	done    chan struct{}
	token   *Token
	err     error
	fetched bool // a request was sent for it

	generation  int // of the Cache when the fetch began
	background  bool
	wanted      bool   // a token is wanted; else there is only one to store
	before      *entry // the current one when it began
	entry       *entry // what it brought
	presented   string // the refresh token that it asks with
	lostBefore  bool   // a response to that refresh token was lost before
	forRejected bool   // the API rejected the token before
	declined    bool   // there was nothing to ask with, or it is not the time to ask
	concluded   bool
	failed      bool       // its failure is counted
	pass        holdPass   // that of the Endpoint
	requested   *time.Time // when its last request began; of its goroutine alone
	toRevoke    *Token     // what it brought, to be revoked
}

// conclude releases those who wait. The lock is held.
func (f *fetch) conclude(token *Token, err error) {
	if f.concluded {
		return
	}
	f.concluded = true
	f.token, f.err = token, err
	close(f.done)
}

// startForCallers starts the fetch that callers without a token wait for, or returns why it does not. The lock is held.
func (c *Cache) startForCallers(ctx context.Context, ended error, minLife time.Duration, now moment) error {
	u := c.unsaved
	onlyStore := c.held && u.at(now) < u.replaceAt && u.lives(now, minLife)
	switch {
	case onlyStore && now.mono < c.nextSave:
		return c.saveErr
	case onlyStore && ended == nil:
		c.startFetch(callerValues{context.WithoutCancel(ctx)}, &fetch{})
		return nil
	case c.tokenLife > 0 && c.tokenLife < minLife && c.entry != nil && c.entry.lives(now, 0):
		return c.tooShort(minLife) // asking would not help
	}
	if err := c.mayFetch(now); err != nil {
		return err
	}
	if ended != nil {
		return ended
	}
	pass, err := c.endpoint.holdOff.begin(now.time, c)
	if err != nil {
		return err
	}
	c.startFetch(callerValues{context.WithoutCancel(ctx)}, &fetch{wanted: true, pass: pass})
	return nil
}

// startInBackground renews the current token, or has the unsaved one stored, if that is due. The lock is held.
func (c *Cache) startInBackground(now moment) {
	if c.fetch != nil {
		return
	}
	if e := c.newest(); e.at(now) >= e.renewAt && c.mayFetch(now) == nil {
		if pass, err := c.endpoint.holdOff.begin(now.time, c); err == nil {
			c.startFetch(context.Background(), &fetch{wanted: true, background: true, pass: pass})
			return
		}
	}
	if c.unsaved != nil && now.mono >= c.nextSave {
		c.startFetch(context.Background(), &fetch{background: true})
	}
}

// mayFetch returns why this Cache, its Endpoint aside, asks for no token now, or nil.
func (c *Cache) mayFetch(now moment) error {
	if err := c.loginRequired(); err != nil {
		return err
	}
	if now.mono < c.nextTry || c.awaitExpiry && c.entry != nil && c.entry.at(now) < c.entry.replaceAt {
		return c.err
	}
	return nil
}

// insideFetch is the key by which a hook that calls its own Cache is recognized.
type insideFetch struct{ c *Cache }

// startFetch begins a fetch under a context that no caller can end. The lock is held.
func (c *Cache) startFetch(ctx context.Context, f *fetch) {
	f.done, f.generation, f.before, f.requested = make(chan struct{}), c.generation, c.newest(), new(time.Time)
	c.fetch = f
	c.begin()
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, insideFetch{c}, true), fetchTimeout)
	stop := context.AfterFunc(ctx, func() { c.abandonFetch(f) })
	go func() {
		defer c.end()
		defer cancel()
		defer stop()
		c.runFetch(ctx, f)
	}()
}

// runFetch waits until no other fetch works, works, and concludes, whatever panics or exits on the way.
func (c *Cache) runFetch(ctx context.Context, f *fetch) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		c.abandonFetch(f)
		return
	}
	err := errExited
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("tokens: panic while fetching a token: %T", r) // its value may hold a secret
			c.log(slog.LevelError, "panic while fetching a token", next{what: "retry"},
				slog.String("type", fmt.Sprintf("%T", r)), slog.String("stack", string(debug.Stack())))
		}
		report := c.finishFetch(f, err, true)
		<-c.turn
		report()
		if f.toRevoke != nil {
			if err := c.revoke(ctx, withTokens(nil, f.toRevoke)); err != nil {
				c.log(slog.LevelWarn, "could not revoke what a fetch brought after Revoke", next{what: "Revoke"}, slog.Any("error", err))
			}
		}
	}()
	err = c.work(ctx, f)
}

// errExited is the error of a fetch whose hook called runtime.Goexit.
var errExited = errors.New("tokens: a hook ended its goroutine")

// work stores what is unsaved, and gets a token and stores it if one is wanted.
func (c *Cache) work(ctx context.Context, f *fetch) error {
	if c.saveDue(f) {
		part, cancel := ctx, context.CancelFunc(func() {})
		if f.wanted {
			part, cancel = context.WithTimeout(ctx, fetchTimeout/2)
		}
		c.save(part)
		cancel()
	}
	if err := c.prepare(f); err != nil || !f.fetched {
		return err
	}
	grant, err := c.grantToAsk(ctx, f)
	if err != nil {
		return err
	}
	set := settings{logger: c.logger}
	if deadline, ok := ctx.Deadline(); ok {
		set.latestTurn = deadline.Add(turnTimeout - fetchTimeout)
	}
	if f.background || f.lostBefore {
		set.retry = &Retry{Attempts: 1} // the next try has a back-off of its own
	}
	token, err := c.endpoint.exchangeWith(ctx, grant, set, f.requested)
	if err != nil {
		return err
	}
	if c.adopt(f, token) {
		c.save(ctx)
	}
	return nil
}

// prepare decides, now that no other fetch works, whether to ask for a token and with which refresh token.
func (c *Cache) prepare(f *fetch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.closed {
		f.declined = true
		return &noTokenError{kind: ErrClosed}
	}
	if f.generation != c.generation || f.concluded || !f.wanted {
		return nil
	}
	// A fetch that was left behind may have ended meanwhile.
	if e := c.newest(); e != nil && e != f.before && e.at(now) < e.renewAt {
		f.wanted = false
		return nil
	}
	if err := c.mayFetch(now); err != nil {
		f.declined = true
		return err
	}
	f.fetched, f.presented, f.lostBefore, f.forRejected = true, c.secrets.refreshToken, c.lost, c.rejected
	c.stats.Fetches++
	return nil
}

// grantToAsk returns what to ask with.
func (c *Cache) grantToAsk(ctx context.Context, f *fetch) (Grant, error) {
	switch {
	case c.session != "":
		if f.lostBefore {
			c.log(slog.LevelWarn, "presenting a refresh token again, the response to which was lost", next{what: "refresh"})
		}
		grant := c.secrets.grant
		grant.RefreshToken = f.presented
		return grant, nil
	case c.grantFunc == nil:
		return c.secrets.grant, nil
	}
	grant, err := c.grantFunc(ctx)
	if err == nil && (grant.RefreshToken != "" || grant.Code != nil) {
		err = errors.New("it returned a RefreshToken or a Code; set Session to keep a user's login")
	}
	if err != nil {
		return Grant{}, &hookError{c.endpoint.vendor.name, "GrantFunc", err}
	}
	return grant, nil
}

// hookError is the error of a hook. Its cause may be an *Error, but not of this endpoint.
type hookError struct {
	vendor, name string
	cause        error
}

func (e *hookError) Error() string {
	return "tokens: " + e.vendor + ": " + e.name + ": " + e.cause.Error()
}
func (e *hookError) Unwrap() error { return e.cause }

// adopt takes what an exchange brought, a rotated refresh token before anything else can fail. It reports whether there is
// something for OnToken.
func (c *Cache) adopt(f *fetch, token *Token) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if f.generation < c.revokedGeneration {
		f.toRevoke = token
		return false
	}
	superseded := f.generation != c.generation
	if c.session == "" {
		if token.RefreshToken != "" {
			c.keepToRevoke(revocation{token.RefreshToken, HintRefreshToken})
			token.RefreshToken = "" // shown to nobody
		}
		if superseded {
			return false
		}
	} else {
		if c.secrets.refreshToken != f.presented {
			return false // Set brought another login
		}
		rotated := token.RefreshToken != "" && token.RefreshToken != f.presented
		if rotated {
			c.secrets.refreshToken = token.RefreshToken
		}
		token.RefreshToken = c.secrets.refreshToken
		if superseded {
			return rotated && c.adoptRefreshToken(token, now)
		}
	}
	var life time.Duration
	if !token.Expiry.IsZero() {
		life = token.Expiry.Sub(*f.requested)
	}
	c.tokenLife = life
	f.entry = newEntry(token, life, now)
	f.entry.forRejected = f.forRejected
	if c.onToken == nil {
		return false
	}
	c.unsaved, c.held = f.entry, c.hold
	c.saveErr, c.saveFailures, c.nextSave = nil, 0, 0
	return true
}

// adoptRefreshToken takes the refresh token alone of a token that came after a Set without one: the token that was Set is
// served, and is to be stored with the refresh token.
func (c *Cache) adoptRefreshToken(token *Token, now moment) bool {
	toStore := newEntry(token, 0, now)
	if c.entry != nil {
		set := *c.entry
		set.token = set.token.clone()
		set.token.RefreshToken = token.RefreshToken
		c.entry = &set
		c.publish(now)
		toStore = &set
	}
	if c.onToken == nil {
		return false
	}
	c.unsaved, c.held = toStore, false
	c.saveErr, c.saveFailures, c.nextSave = nil, 0, 0
	return true
}

// abandonFetch concludes a fetch that outlasts its context. When it ends after all, what it brings still counts.
func (c *Cache) abandonFetch(f *fetch) {
	err := fmt.Errorf("tokens: %s: a fetch, or the hook of an earlier one, took longer than %v: %w",
		c.endpoint.vendor.name, fetchTimeout, context.DeadlineExceeded)
	c.finishFetch(f, err, false)()
}

// finishFetch concludes a fetch, in which err is why it brought no token. It returns what is to be done without a lock: a
// slow log handler must not hold up others.
func (c *Cache) finishFetch(f *fetch, err error, ended bool) (report func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	report = func() {}
	if f.concluded && !ended {
		return report
	}
	now := c.now()
	c.endpoint.holdOff.end(f.pass, now.time, c, err, f.fetched && ended)
	f.pass = holdPass{}
	if c.fetch == f {
		c.fetch = nil
	}
	switch {
	case f.entry != nil && f.generation == c.generation:
		c.fetchSucceeded(f, ended, now)
		report = func() { c.logToken(f.entry) }
	case f.declined:
		f.conclude(nil, noToken(err))
	case !f.wanted:
		if !ended && c.unsaved != nil {
			c.saveFailed(err, now)
		}
		if c.held && c.saveErr != nil {
			f.conclude(nil, noToken(c.saveErr))
		}
		f.conclude(nil, nil)
	case err == nil || f.entry != nil: // what it brought is not wanted any more
		f.conclude(nil, nil)
	default:
		c.fetchFailed(f, err, ended, now)
		f.conclude(nil, cmp.Or(c.loginRequired(), noToken(err)))
		then := afterFailure(c.loginRequired() != nil, c.nextTry-now.mono)
		report = func() { c.log(slog.LevelWarn, "could not get a token", then, slog.Any("error", err)) }
	}
	c.publish(now)
	return report
}

// arrived makes the token that a fetch brought the current one, unless it is held back.
func (c *Cache) fetchSucceeded(f *fetch, ended bool, now moment) {
	e := f.entry
	if e.at(now) < e.replaceAt {
		c.succeeded()
	} else if !f.failed { // it arrived dead
		f.failed = true
		c.failures++
		c.err = fmt.Errorf("tokens: %s: tokens end before they can be used; the last one ended at %s",
			c.endpoint.vendor.name, e.token.Expiry.Format(time.RFC3339))
		c.nextTry, c.awaitExpiry, c.lost = now.mono+backOff(c.failures), false, false
	}
	if !ended && c.unsaved == e {
		c.saveFailed(context.DeadlineExceeded, now)
	}
	if c.held && c.unsaved == e {
		f.conclude(nil, noToken(c.saveErr))
		return
	}
	if !e.served {
		c.setCurrent(e, now)
	}
	f.conclude(e.token, nil)
}

// fetchFailed decides when to try again. Of a fetch that was superseded only that counts which it learned of the refresh
// token, if that is still the one to present.
func (c *Cache) fetchFailed(f *fetch, err error, ended bool, now moment) {
	first := !f.failed
	f.failed = true
	if first && f.fetched {
		c.stats.Failures++
	}
	outcome := notPresented
	if ended {
		outcome = refreshOutcomeOf(err, f.requested)
	}
	if f.generation != c.generation && (c.session == "" || c.secrets.refreshToken != f.presented || outcome == notPresented || outcome == stillValid) {
		return
	}
	if first {
		c.failures++
	} else if outcome == notPresented {
		return // it was left behind, and there is no news
	}
	c.err = err
	wait := waitAfter(err, c.failures)
	switch {
	case c.session == "":
	case outcome == refreshRefused:
		c.secrets.refreshToken, c.loginErr = "", err
	case outcome == responseLost || c.lost && outcome != notPresented:
		c.awaitExpiry, c.lost = true, true
		wait = max(wait, lostWait)
	case outcome == maybeUsed:
		c.awaitExpiry = true
	}
	c.nextTry = max(c.nextTry, now.mono+wait)
}

// callerValues is a context with the values of a caller's, whatever its methods do, but for those that concern its call
// alone.
type callerValues struct{ context.Context } //nolint:containedctx // it is one

func (v callerValues) Value(key any) (value any) {
	defer func() {
		if recover() != nil {
			value = nil
		}
	}()
	switch value := v.Context.Value(key).(type) {
	case settings, *doerCall, *httptrace.ClientTrace:
		return nil
	default:
		return value
	}
}
