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

// fetchTimeout bounds a fetch. Callers wait no longer than this for one, even if a hook does not return.
const fetchTimeout = time.Minute

// A fetch is one attempt to get a token, to save one with OnToken, or both. The Cache's mutex guards its fields, but
// token, err and fetched may be read without it once done is closed. If token and err are both nil then, the callers
// that waited must look at the Cache again.
type fetch struct {
	done    chan struct{}
	token   *Token
	err     error
	fetched bool // it asked for a token

	generation  int // the Cache's generation when the fetch began
	background  bool
	wanted      bool   // a token is wanted; otherwise there is only one to save
	before      *entry // the Cache's newest entry when the fetch began
	entry       *entry // the token that it got
	presented   string // the refresh token that it sends
	lostBefore  bool   // the response to an earlier use of that refresh token was lost
	forRejected bool   // the API rejected the previous token
	declined    bool   // it sent nothing: the Cache is closed, needs a login, or must wait
	concluded   bool
	failed      bool       // its failure has been counted
	pass        holdPass   // from the Endpoint's holdOff
	requested   *time.Time // when its last request began; used only by its goroutine
	toRevoke    *Token     // a token that arrived after Revoke
}

// conclude sets the result and releases the callers that wait for it. The lock is held.
func (f *fetch) conclude(token *Token, err error) {
	if f.concluded {
		return
	}
	f.concluded = true
	f.token, f.err = token, err
	close(f.done)
}

// startForCallers starts the fetch that callers without a token wait for, or returns the reason why none can start. The
// lock is held.
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
		return c.tooShort(minLife) // a new token would be as short
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

// startInBackground starts a fetch that renews the current token or saves an unsaved one, if either is due. The lock is
// held.
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

// mayFetch returns the reason why this Cache must not ask for a token now, or nil. It does not consult the Endpoint's
// holdOff.
func (c *Cache) mayFetch(now moment) error {
	if err := c.loginRequired(); err != nil {
		return err
	}
	if now.mono < c.nextTry || c.awaitExpiry && c.entry != nil && c.entry.at(now) < c.entry.replaceAt {
		return c.err
	}
	return nil
}

// insideFetch is the context key that shows that a hook called its own Cache.
type insideFetch struct{ c *Cache }

// startFetch starts a fetch whose context no caller can cancel. The lock is held.
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

// runFetch waits for its turn, does the work, and concludes the fetch even if a hook panics or exits its goroutine.
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
				c.log(slog.LevelWarn, "could not revoke a token that arrived after Revoke", next{what: "Revoke"}, slog.Any("error", err))
			}
		}
	}()
	err = c.work(ctx, f)
}

// errExited is the error of a fetch whose hook called runtime.Goexit.
var errExited = errors.New("tokens: a hook called runtime.Goexit")

// work saves an unsaved token if that is due. If a token is wanted, it then fetches one and saves it.
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
		set.retry = &Retry{Attempts: 1} // the Cache does the backoff between attempts
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

// prepare decides whether to ask for a token, and with which refresh token. No other fetch is working when it is
// called.
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
	// An abandoned fetch may have got a token in the meantime.
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

// grantToAsk returns the grant to send.
func (c *Cache) grantToAsk(ctx context.Context, f *fetch) (Grant, error) {
	switch {
	case c.session != "":
		if f.lostBefore {
			c.log(slog.LevelWarn, "presenting a refresh token again after a lost response", next{what: "refresh"})
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

// hookError is the error of a hook. Its cause may be an *Error, which then did not come from this endpoint.
type hookError struct {
	vendor, name string
	cause        error
}

func (e *hookError) Error() string {
	return "tokens: " + e.vendor + ": " + e.name + ": " + e.cause.Error()
}
func (e *hookError) Unwrap() error { return e.cause }

// adopt stores the token of an exchange in the Cache. It stores a rotated refresh token first, before anything else can
// fail. It reports whether OnToken has something to save.
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
			token.RefreshToken = "" // callers never see it
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

// adoptRefreshToken keeps only the refresh token of a response that arrived after a Set without a refresh token. The
// token given to Set stays current, and is saved together with that refresh token.
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

// abandonFetch concludes a fetch that outlasts its context. If it finishes later, its result still counts.
func (c *Cache) abandonFetch(f *fetch) {
	err := fmt.Errorf("tokens: %s: a fetch, or the hook of an earlier one, took longer than %v: %w",
		c.endpoint.vendor.name, fetchTimeout, context.DeadlineExceeded)
	c.finishFetch(f, err, false)()
}

// finishFetch concludes a fetch; err is the reason why it got no token. The function that it returns writes log lines
// and must be called without the lock, because a slow log handler must not delay other callers.
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
	case err == nil || f.entry != nil: // superseded by Set or Revoke
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

// fetchSucceeded makes the fetched token the current one, unless it is held back until OnToken has saved it.
func (c *Cache) fetchSucceeded(f *fetch, ended bool, now moment) {
	e := f.entry
	if e.at(now) < e.replaceAt {
		c.succeeded()
	} else if !f.failed { // already expired
		f.failed = true
		c.failures++
		c.err = fmt.Errorf("tokens: %s: tokens have expired on arrival; the last one expired at %s",
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

// fetchFailed records a failure and decides when the next fetch may start. If Set or Revoke superseded the fetch, its
// failure counts only if it affects the refresh token that the Cache still holds.
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
		return // an abandoned fetch, whose failure has been counted
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

// callerValues is a context that carries a caller's values, except the settings, the call and the httptrace that belong
// to that one call. A Value method that panics yields nil.
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
