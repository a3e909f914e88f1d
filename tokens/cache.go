package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// A Cache keeps the token of an [Endpoint] and renews it. It is a [Source] and an [Invalidator]. Share one Cache per
// client and grant, or per login. Make it with [NewCache]; all its methods are safe for concurrent use.
//
// There are two kinds of Cache. Without [CacheOptions].Session, a Cache holds an application's own token and requests
// each new one with its Grant. With a Session, it holds a user's login: it sends only the refresh token of that login,
// and follows its rotation (RFC 6749, section 6). Once it has no refresh token, or the server refuses the refresh token
// with invalid_grant, Token fails with [ErrLoginRequired] until [Cache.Set] is called.
//
// At most one fetch is in flight, however many callers there are. Each caller can stop waiting by its own context; its
// cancellation, deadline or panic does not affect the others. A fetch that callers wait for sees the context values of
// the first caller, except its per-call settings and httptrace; a background fetch sees none. Callers wait at most 60 s
// for a fetch. If a hook outlasts its context, the fetch is abandoned, and the next fetch waits for the hook to return.
// A fetch waits at most 55 s for its turn at the [Limiter]; if a rate limit lasts longer, the fetch fails at once with
// an [*Error] of status 429, and RetryAfter says how long to wait.
//
//   - A token is returned without a lock or an allocation until its renewal time. That is 80 % of its life, or 5
//     minutes before its expiry if that is later, minus a random part of up to 10 % of its life.
//   - After the renewal time, the token is still returned at once, and renewed in the background. If the renewal fails,
//     the old token stays in use. The next attempt waits as long as the response asks (Retry-After,
//     X-Organization-Rate-Limit-Reset; at most one hour), or else for 0.1 s, doubling up to 30 s.
//   - If there is no token, or it is in the last 5 % of its life (at most 10 s), callers wait for a fetch. If no fetch
//     may start yet, or it fails, a token that has not expired is returned. Without one, all waiting callers get the
//     error, and so do later callers until the next attempt. The wait until then is as above, but at least 5 s after
//     invalid_client, invalid_grant, invalid_scope or unauthorized_client.
//   - Failures that concern all Caches of an Endpoint (invalid_client, unauthorized_client, 5xx, Retry-After, no
//     connection) delay all of them. When the delay is over, one of them tries again.
//   - A token without a known expiry is kept until it is invalidated. A token that has expired on arrival is returned
//     to the callers that waited for it and to nobody else. A token counts as expired as soon as the monotonic clock or
//     the wall clock says so.
//   - If the response to a refresh is lost, the server may have consumed the refresh token. The Cache sends it again
//     once the access token has expired, after one minute at the earliest, and then every minute until the server
//     accepts or refuses it.
//
// A Cache uses about one kilobyte of memory, and no goroutine unless a fetch is in flight. A Cache may be dropped
// without Close if OnToken is nil or has saved every token.
type Cache struct {
	endpoint  *Endpoint
	session   string
	secrets   *cacheSecrets
	grantFunc func(context.Context) (Grant, error)
	onToken   func(context.Context, *Token) error
	hold      bool
	logger    *slog.Logger                      // if nil, nothing is logged
	start     time.Time                         // the origin of all monotonic times below
	warp      func(time.Duration) time.Duration // lets tests change the monotonic clock; otherwise nil
	turn      chan struct{}                     // a semaphore of one: held by the fetch that works, even if it is abandoned
	replica   *replica                          // nil without a Store
	unusable  error                             // if not nil, every call fails with it

	current atomic.Pointer[entry] // a copy of entry with checkAt set; nil without a token and after Close

	mu                sync.Mutex
	entry             *entry // the current token, or nil
	fetch             *fetch // the fetch that callers join, or nil
	closed            bool
	generation        int           // counts calls of Set and Revoke; the result of an older fetch is not used
	revokedGeneration int           // the generation of the last Revoke; the token of an older fetch is revoked
	loginErr          error         // why a Session has no refresh token, or nil
	rejected          bool          // Invalidate dropped the last token, and no new one has arrived
	tokenLife         time.Duration // the lifetime of the last fetched token; 0 if not known

	err         error         // why the last fetch failed, or nil
	failures    int           // consecutive failed fetches
	nextTry     time.Duration // no fetch starts before this
	awaitExpiry bool          // no fetch starts before the access token expires: the refresh token may have been consumed
	lost        bool          // the last response to the refresh token was lost

	unsaved      *entry        // the token that OnToken has yet to save, or nil
	held         bool          // callers do not get unsaved until it is saved
	saveErr      error         // the last error of OnToken, or nil
	saveFailures int           // consecutive
	nextSave     time.Duration // OnToken is not called before this

	stats   *Stats        // a pointer, because Sessions reads it after the Cache is gone
	running int           // number of goroutines
	quiet   chan struct{} // closed when running falls to 0
}

// cacheSecrets are the parts of a Cache that hold secrets. They are behind a pointer because fmt prints unexported
// fields of a caller's struct without calling their Format methods, but does not follow pointers there.
type cacheSecrets struct {
	grant        Grant
	refreshToken string       // the next one that a Session sends; "" if it has none
	unrevoked    []revocation // what the next Revoke revokes in addition to the current token
}

// CacheOptions are the settings of a [Cache].
type CacheOptions struct {
	// Grant is what an application's Cache requests tokens with. It must not have a RefreshToken or a Code; those are for
	// [Endpoint.Exchange]. With a Session, only its Scopes and Params are used, and are sent with the refresh token.
	Grant Grant
	// GrantFunc, if not nil, is called before each fetch and replaces Grant. Use it for a grant that changes, such as one
	// with an assertion.
	GrantFunc func(ctx context.Context) (Grant, error)
	// Session, if not empty, makes this the Cache of a user's login and names that login.
	Session string
	// Initial is a saved token to begin with. It may have a refresh token only if Session is set. If nil, the Cache begins
	// without a token.
	Initial *Token
	// OnToken saves each new token before anyone receives it. Calls never overlap, and each runs within the fetch and its
	// time limit. If OnToken fails, the Cache keeps the token and calls OnToken again after 0.1 s, doubling up to 30 s,
	// and on Close. OnToken must not call Token of the same Cache. If nil, nothing is saved.
	OnToken func(ctx context.Context, token *Token) error
	// HoldUnsaved holds a new token back until OnToken has saved it; meanwhile callers without another token get OnToken's
	// error. If false, callers get the token at once.
	HoldUnsaved bool
	// Store, if not nil, shares the token among all processes whose Caches use the same Store: one process fetches it, and
	// the others read it from the Store. A login is found there by its Session. Initial is written to the Store only if
	// the Store has no login, or has one that the server refused for good. The package comment says what is guaranteed.
	Store Store
	// SeedDelay is how long after Initial was written to the Store its refresh token may first be sent. It is for Stores
	// that can lose data: other processes may know a newer refresh token, and 90 s is enough for them to write it back. If
	// zero, there is no delay.
	SeedDelay time.Duration
	// RefreshWithoutStore allows a refresh while the Store is unreachable, once the access token has expired. If another
	// process refreshes at the same time, a server that treats reuse of a refresh token as theft ends the login. If false,
	// Token fails with [ErrStore] until the Store can be reached again.
	RefreshWithoutStore bool
	// Logger receives a line for each background event: a new token, a failure, a request that is repeated. Each line says
	// whose token it is about, when the token expires, and what happens next (see the package comment). If nil, the only
	// lines are those of the Endpoint's Logger about repeated requests.
	Logger *slog.Logger
}

// NewCache returns a Cache for endpoint. It sends nothing before the first call of Token. If opts is nil, the defaults
// are used. NewCache fails if endpoint is nil, if there is a refresh token but no Session, or if options exclude each
// other.
func NewCache(endpoint *Endpoint, opts *CacheOptions) (*Cache, error) {
	if endpoint == nil || endpoint.exchange == nil {
		return nil, errors.New("tokens: the Endpoint is nil or zero; make one with NewMoov, NewSailPoint, NewThousandEyes, NewEndpoint or Discover")
	}
	var o CacheOptions
	if opts != nil {
		o = *opts
	}
	if err := o.check(endpoint.vendor); err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", endpoint.vendor.name, err)
	}
	c := &Cache{
		endpoint:  endpoint,
		session:   o.Session,
		secrets:   &cacheSecrets{grant: o.Grant.clone()},
		grantFunc: o.GrantFunc,
		onToken:   o.OnToken,
		hold:      o.HoldUnsaved,
		logger:    owner{endpoint, o.Session}.logger(o.Logger),
		start:     time.Now(),
		turn:      make(chan struct{}, 1),
		stats:     new(Stats),
	}
	switch {
	case o.Store != nil:
		c.replica = newReplica(&o)
	case o.Initial != nil:
		c.replaceToken(o.Initial, c.now())
	}
	return c, nil
}

// maxSession is the maximum length of a Session name in bytes.
const maxSession = 1024

// check returns the first error in the options.
func (o *CacheOptions) check(v vendor) error {
	switch {
	case o.Grant.RefreshToken != "":
		return errors.New("Grant has a RefreshToken; set Session, and pass the refresh token in Initial")
	case o.Grant.Code != nil:
		return errors.New("Grant has a Code, which can be used once; set Session, and pass what Exchange returns for it to Set")
	case o.GrantFunc != nil && o.Session != "":
		return errors.New("GrantFunc and Session exclude each other; a login is renewed by its refresh token alone")
	case o.GrantFunc != nil && o.Store != nil:
		return errors.New("GrantFunc and Store exclude each other; processes share a token by what their Grant says")
	case len(o.Session) > maxSession:
		return fmt.Errorf("Session has %d bytes; %d are the most", len(o.Session), maxSession)
	case o.SeedDelay < 0:
		return errors.New("SeedDelay is negative; leave it zero to present the refresh token of Initial when it is needed")
	case o.Store == nil && (o.SeedDelay > 0 || o.RefreshWithoutStore):
		return errors.New("SeedDelay and RefreshWithoutStore need a Store")
	case o.GrantFunc != nil && !o.Grant.isZero():
		return errors.New("Grant and GrantFunc exclude each other")
	case o.Session != "" && !v.refreshes:
		return fmt.Errorf("Session: no refresh_token grant: %w", errors.ErrUnsupported)
	case o.Session == "" && o.Initial != nil && o.Initial.RefreshToken != "":
		return errors.New("Initial has a refresh token and Session is empty; set Session to keep a user's login, or clear the refresh token")
	}
	return nil
}

// check returns why the Cache cannot be used with ctx, or nil.
func (c *Cache) check(ctx context.Context) error {
	if c != nil && c.unusable != nil {
		return c.unusable
	}
	if c == nil || c.endpoint == nil {
		return errors.New("tokens: the Cache is nil or zero; make one with NewCache")
	}
	if ctx == nil {
		return fmt.Errorf("tokens: %s: the context is nil", c.endpoint.vendor.name)
	}
	return nil
}

// BaseURL returns the BaseURL of the Cache's Endpoint: the origin that its tokens are for. It is "" for a nil Cache.
func (c *Cache) BaseURL() string {
	if c == nil {
		return ""
	}
	return c.endpoint.BaseURL()
}

// Limiter returns the Limiter of the Cache's Endpoint. It is nil if the API and the token endpoint have different
// origins.
func (c *Cache) Limiter() *Limiter {
	if c == nil {
		return nil
	}
	return c.endpoint.Limiter()
}

// Format prints the vendor's name and no secret.
func (c *Cache) Format(f fmt.State, _ rune) {
	if c == nil || c.endpoint == nil {
		_, _ = fmt.Fprint(f, "tokens.Cache(nil or zero)")
		return
	}
	fmt.Fprintf(f, "tokens.Cache(%s)", c.endpoint.vendor.name)
}

// Token returns a token that is valid now. It blocks only if there is none. Every error matches [ErrNoToken], and wraps
// the error of the fetch, usually an [*Error], or that of ctx.
func (c *Cache) Token(ctx context.Context) (*Token, error) {
	if c != nil {
		if e := c.current.Load(); e != nil && e.at(c.now()) < e.checkAt {
			return e.token, nil
		}
	}
	return c.tokenSlow(ctx, 0)
}

// TokenFor returns a token that is valid for at least minLife from now, and fetches one if necessary. It fails if the
// vendor's tokens have a shorter lifetime.
func (c *Cache) TokenFor(ctx context.Context, minLife time.Duration) (*Token, error) {
	return c.tokenSlow(ctx, minLife)
}

// tokenSlow is the path of Token that needs the lock.
func (c *Cache) tokenSlow(ctx context.Context, minLife time.Duration) (*Token, error) {
	if err := c.check(ctx); err != nil {
		return nil, noToken(err)
	}
	ended := ctx.Err() // not under the lock: a caller's context may have any type
	if c.replica != nil {
		return c.sharedToken(ctx, ended, minLife)
	}
	for waits := 0; ; waits++ {
		token, f, err := c.serveOrJoin(ctx, ended, minLife, waits == 0)
		if f == nil {
			return token, err
		}
		if ctx.Value(insideFetch{c}) != nil {
			return nil, noToken(fmt.Errorf("tokens: %s: a hook must not ask its own Cache for a token", c.endpoint.vendor.name))
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, noToken(c.endpoint.waitEnded(ctx))
		}
		switch {
		case f.err != nil:
			return c.serveToTheEnd(minLife, f.err)
		case f.token == nil: // superseded by Set or Revoke, or the fetch only saved a token; look again
		case minLife <= 0 || f.token.ValidFor(minLife):
			return f.token, nil
		case f.fetched:
			return nil, c.tooShort(minLife)
		}
	}
}

// serveOrJoin returns the current token if it is usable, and starts its renewal in the background if that is due.
// Otherwise it returns the fetch to wait for, which it starts if necessary, or an error.
func (c *Cache) serveOrJoin(ctx context.Context, ended error, minLife time.Duration, first bool) (*Token, *fetch, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, &noTokenError{kind: ErrClosed}
	}
	now := c.now()
	if e := c.entry; e != nil && e.at(now) < e.replaceAt && e.lives(now, minLife) {
		c.startInBackground(now)
		c.publish(now)
		return e.token, nil, nil
	}
	if c.fetch == nil {
		if err := c.startForCallers(ctx, ended, minLife, now); err != nil {
			if e := c.entry; e != nil && e.lives(now, minLife) {
				c.publish(now)
				return e.token, nil, nil
			}
			return nil, nil, noToken(err)
		}
	}
	if first {
		c.stats.Waits++
	}
	return nil, c.fetch, nil
}

// serveToTheEnd returns the current token if it has not expired, or else err, the error of its renewal.
func (c *Cache) serveToTheEnd(minLife time.Duration, err error) (*Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entry; e != nil && !c.closed && e.lives(c.now(), minLife) {
		return e.token, nil
	}
	return nil, err
}

func (c *Cache) tooShort(minLife time.Duration) error {
	return noToken(fmt.Errorf("tokens: %s: tokens live for less than the requested %v", c.endpoint.vendor.name, minLife))
}

// Set makes t the current token, as after a new login, and forgets all earlier failures. Callers that wait for a fetch
// get t at once. OnToken is not called, because the caller already has t. If t is nil, the next caller starts a fetch.
// Set sends no request. A login may begin with a t that has only a RefreshToken; the next caller then sends that.
//
// If a fetch is in flight, its access token is not used. Its refresh token replaces the one that the fetch sent, unless
// t has a refresh token. If t has none, the Cache keeps its own. Without a Session, a refresh token in t is an error.
func (c *Cache) Set(ctx context.Context, t *Token) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	if t != nil && t.RefreshToken != "" && c.session == "" {
		return fmt.Errorf("tokens: %s: Set: the token has a refresh token and CacheOptions.Session is empty; "+
			"set Session to keep a user's login, or clear the refresh token", c.endpoint.vendor.name)
	}
	if c.replica != nil {
		return c.setInStore(ctx, t)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("tokens: %s: %w", c.endpoint.vendor.name, ErrClosed)
	}
	if t == nil {
		t = &Token{}
	}
	c.supersede()
	if t.RefreshToken != "" || !c.awaitExpiry { // otherwise the refresh token may still have been consumed
		c.succeeded()
	}
	c.loginErr = nil
	c.replaceToken(t, c.now())
	return nil
}

// supersede discards the fetch in flight and releases the callers that wait for it.
func (c *Cache) supersede() {
	c.generation++
	if f := c.fetch; f != nil {
		c.fetch = nil
		f.conclude(nil, nil)
	}
}

// succeeded forgets earlier failed fetches.
func (c *Cache) succeeded() {
	c.err, c.failures, c.nextTry, c.awaitExpiry, c.lost = nil, 0, 0, false, false
}

// replaceToken makes a copy of t the current token. Its caller has saved t. If t has no access token, the next caller
// of Token starts a fetch.
func (c *Cache) replaceToken(t *Token, now moment) {
	t = t.clone()
	if t.RefreshToken == "" {
		t.RefreshToken = c.secrets.refreshToken
	} else {
		c.secrets.refreshToken = t.RefreshToken
		c.saved()
	}
	if c.session == "" {
		c.saved()
	}
	c.held = false
	if t.AccessToken == "" {
		c.setCurrent(nil, now)
		return
	}
	e := newEntry(t, 0, now)
	if c.unsaved != nil {
		c.unsaved = e // its refresh token has not been saved yet
	}
	c.setCurrent(e, now)
}

// setCurrent makes e the current token. If e is nil, there is none.
func (c *Cache) setCurrent(e *entry, now moment) {
	if e != nil {
		e.served = true
	}
	c.entry = e
	c.rejected = false
	c.publish(now)
}

// publish lets callers get the current token without the lock until nextCheck.
func (c *Cache) publish(now moment) {
	if c.entry == nil || c.closed {
		c.current.Store(nil)
		return
	}
	next := *c.entry
	next.checkAt = c.nextCheck(now)
	if e := c.current.Load(); e == nil || *e != next {
		c.current.Store(&next)
	}
}

// nextCheck returns when a caller must next take the lock: when the fetch in flight could have ended, or when another
// may start.
func (c *Cache) nextCheck(now moment) time.Duration {
	e := c.entry
	if c.fetch != nil {
		return e.replaceAt
	}
	if c.replica != nil {
		return c.nextCheckShared(e)
	}
	next := max(c.newest().renewAt, c.nextTry)
	switch {
	case c.loginRequired() != nil:
		next = never
	case c.awaitExpiry:
		next = max(next, e.replaceAt)
	}
	if until := c.endpoint.holdOff.until(now.time, c); !until.IsZero() {
		next = max(next, now.mono+until.Sub(now.time))
	}
	if c.unsaved != nil {
		next = min(next, c.nextSave)
	}
	return min(next, e.endAt)
}

// newest returns the entry that decides whether a fetch is due: the one that is held back or, if there is none, the
// current one. It may be nil.
func (c *Cache) newest() *entry {
	if c.held {
		return c.unsaved
	}
	return c.entry
}

// loginRequired returns the reason why a Session cannot be renewed, or nil.
func (c *Cache) loginRequired() error {
	switch {
	case c.session == "" || c.secrets.refreshToken != "":
		return nil
	case c.loginErr != nil:
		return &noTokenError{kind: ErrLoginRequired, cause: c.loginErr}
	}
	return &noTokenError{kind: ErrLoginRequired, cause: fmt.Errorf("tokens: %s: there is no refresh token; Set a token that has one", c.endpoint.vendor.name)}
}

// rejectedAgainAfter is how long Invalidate ignores a token that was itself fetched after a 401. Without it, an API
// that rejects every token would cause a flood of token requests.
const rejectedAgainAfter = 30 * time.Second

// Invalidate drops the current token if it is the rejected one, so that the next caller fetches a new one. It ignores a
// token that was fetched less than 30 s ago because the API rejected the one before: the API would probably reject the
// next one too.
func (c *Cache) Invalidate(rejected *Token) {
	if c == nil || c.endpoint == nil || rejected == nil {
		return
	}
	if c.drop(rejected) {
		c.logAbout(rejected, slog.LevelInfo, "dropped a token that the API rejected", next{what: "fetch"})
	}
}

func (c *Cache) drop(rejected *Token) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, e := c.now(), c.entry
	switch {
	case e == nil || e.token.AccessToken != rejected.AccessToken:
		return false
	case e.forRejected && c.fetch == nil && e.at(now)-e.since < rejectedAgainAfter:
		return false // with a fetch in flight, dropping the token causes no extra request
	}
	c.stats.Invalidations++
	c.setCurrent(nil, now)
	c.rejected = true
	if c.replica != nil {
		c.replica.rejected = rejected.AccessToken
	}
	return true
}

// Close closes the Cache. It waits for a fetch in flight and lets OnToken save an unsaved token, with one more attempt
// if it failed before. It returns the error of OnToken or of ctx; Close may then be called again. After Close, Token
// fails with [ErrClosed]. To log out, call Revoke and then Close. A hook must not close its own Cache: with the hook's
// context that is an error, with any other one Close waits for the hook.
//
// A Cache from [Sessions] need not be closed. If it is, Session returns a new Cache afterwards.
func (c *Cache) Close(ctx context.Context) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	err := c.close(ctx)
	if err == nil && c.replica != nil && c.replica.retire != nil {
		c.replica.retire(c)
	}
	return err
}

func (c *Cache) close(ctx context.Context) error {
	if ctx.Value(insideFetch{c}) != nil {
		return fmt.Errorf("tokens: %s: a hook must not close its own Cache", c.endpoint.vendor.name)
	}
	c.mu.Lock()
	c.closed = true
	c.current.Store(nil)
	c.mu.Unlock()

	quiet := c.waitForQuiet
	if c.replica != nil {
		quiet = c.closeReplica
	}
	if err := quiet(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	if c.unsaved == nil {
		c.mu.Unlock()
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, insideFetch{c}, true), fetchTimeout)
	defer cancel()
	c.begin()
	c.mu.Unlock()
	go func() {
		defer c.end()
		select {
		case c.turn <- struct{}{}:
			defer func() { <-c.turn }()
			c.save(ctx)
		case <-ctx.Done():
		}
	}()
	if err := c.waitForQuiet(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unsaved == nil {
		return nil
	}
	return fmt.Errorf("tokens: %s: a token is not stored: %w", c.endpoint.vendor.name, cmp.Or(c.saveErr, ctx.Err()))
}

// waitForQuiet waits until the Cache runs no goroutine, or returns the error of ctx.
func (c *Cache) waitForQuiet(ctx context.Context) error {
	c.mu.Lock()
	running, quiet, unsaved := c.running, c.quiet, c.unsaved != nil
	c.mu.Unlock()
	if running == 0 {
		return nil
	}
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
	}
	if unsaved {
		return fmt.Errorf("tokens: %s: a token is not stored: %w", c.endpoint.vendor.name, ctx.Err())
	}
	return ctx.Err()
}

// begin and end count the goroutines of the Cache.
func (c *Cache) begin() {
	if c.running == 0 {
		c.quiet = make(chan struct{})
	}
	c.running++
}

func (c *Cache) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	if c.running == 0 {
		close(c.quiet)
	}
}

// Stats counts what a Cache did. Hits are not counted, because counting would double their cost.
type Stats struct {
	Fetches       int64     // fetches started
	Failures      int64     // fetches that got no token
	Invalidations int64     // tokens dropped by Invalidate
	Waits         int64     // callers that waited for a fetch
	Expiry        time.Time // of the current token; zero if there is none, or its expiry is not known
	LastError     error     // of the last fetch or, if it succeeded, of OnToken; otherwise nil
}

// Stats returns the counts so far.
func (c *Cache) Stats() Stats {
	if c == nil {
		return Stats{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stats == nil {
		return Stats{}
	}
	s := *c.stats
	if c.entry != nil {
		s.Expiry = c.entry.token.Expiry
	}
	s.LastError = cmp.Or(c.err, c.saveErr)
	return s
}
