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

// A Cache keeps the token of an [Endpoint] and renews it: a [Source] and an [Invalidator]. Share one per client and grant,
// or per login. Make it with [NewCache]; all its methods may be called concurrently.
//
// There are two kinds, which are never confused. Without [CacheOptions].Session a Cache holds an app's own token: it asks
// for each anew with its Grant. With a Session it holds a user's login: it asks with the refresh token of that login and
// with nothing else, follows the rotation of the refresh token (RFC 6749, section 6), and fails with [ErrLoginRequired]
// once there is no refresh token or the server refuses it as invalid_grant, until [Cache.Set].
//
// However many callers there are, at most one fetch is under way, and each caller leaves by its own context: no
// cancellation, deadline or panic of one reaches another. A fetch that callers wait for sees the values of the first
// caller's context, without its per-call settings and httptrace; a fetch in the background sees none. Callers wait for a
// fetch for 60 s at most: a hook that outlasts its context is left behind, and the next fetch waits for it to return. A fetch
// waits for its turn at the [Limiter] for 55 s at most; where a rate limit lasts longer, it fails at once with an [*Error]
// of status 429 whose RetryAfter says how long.
//
//   - Until 80 % of its life, or 5 minutes before its end if that is later, less up to a tenth of its life at random, a
//     token is returned without a lock or an allocation.
//   - From then on it is still returned at once, and renewed in the background. If that fails it serves on; the next try
//     waits for as long as the response asks (Retry-After, X-Organization-Rate-Limit-Reset; an hour at most), else for
//     0.1 s, doubling to 30 s.
//   - Without a token, or in the last 5 % of its life or 10 s if that is less, callers wait for a fetch. Where none may
//     start yet, or it fails, a token that still lives serves to its end. Without one they all get the error, and so do
//     later callers until the next try: as above, or 5 s after invalid_client, invalid_grant, invalid_scope and
//     unauthorized_client.
//   - Failures that all Caches of an Endpoint share (invalid_client, unauthorized_client, 5xx, Retry-After, no connection)
//     hold off all of them, and one of them tries again.
//   - A token whose life is not known is kept until it is invalidated. One that arrives dead is given to those who waited
//     for it and to nobody else. A token is over when either clock of the machine says so, the monotonic or the wall clock.
//   - A refresh whose response was lost may have used up the refresh token. It is presented again once the access token
//     has ended, at least a minute later, and then a minute apart, until the server decides.
//
// A Cache takes about one kilobyte, and no goroutine while no fetch is under way. It may be dropped without Close when
// OnToken has stored all that it got, or there is no OnToken.
type Cache struct {
	endpoint  *Endpoint
	session   string
	secrets   *cacheSecrets
	grantFunc func(context.Context) (Grant, error)
	onToken   func(context.Context, *Token) error
	hold      bool
	logger    *slog.Logger                      // if nil, nothing is logged
	start     time.Time                         // moments are durations since then
	warp      func(time.Duration) time.Duration // what tests make of the monotonic clock; else nil
	turn      chan struct{}                     // holds an element while a fetch works, left behind or not
	replica   *replica                          // if nil, there is no Store
	unusable  error                             // if not nil, every call fails with it

	current atomic.Pointer[entry] // a copy of entry with its checkAt, or nil; nil too once the Cache is closed

	mu                sync.Mutex
	entry             *entry // the token that is served, or nil
	fetch             *fetch // the fetch that callers join, or nil
	closed            bool
	generation        int           // counts Set and Revoke: what a fetch begun before either brings is not served
	revokedGeneration int           // that of the last Revoke: what a fetch begun before it brings is revoked
	loginErr          error         // of a Session without refresh token: why it has none, or nil
	rejected          bool          // the last token was dropped by Invalidate, and none has come since
	tokenLife         time.Duration // the whole life of the last token fetched

	err         error         // why the last fetch failed, or nil
	failures    int           // of fetches, in a row
	nextTry     time.Duration // no fetch starts before
	awaitExpiry bool          // nor while the access token lives: the refresh token may be used up
	lost        bool          // a response to the refresh token was lost, and no other came since

	unsaved      *entry        // what OnToken has still to take, or nil
	held         bool          // unsaved is held back from callers until then
	saveErr      error         // why OnToken failed last, or nil
	saveFailures int           // in a row
	nextSave     time.Duration // OnToken is not called before

	stats   *Stats        // apart, for it can outlive the Cache
	running int           // goroutines
	quiet   chan struct{} // closed when running falls to 0
}

// cacheSecrets are the parts of a Cache that hold secrets. They are behind a pointer because fmt, which calls no methods of
// what is in an unexported field of a caller's struct, does not follow one there.
type cacheSecrets struct {
	grant        Grant
	refreshToken string       // of a Session: the one to present next; empty if there is none
	unrevoked    []revocation // what the next Revoke has to revoke beside the current token
}

// CacheOptions are the settings of a [Cache].
type CacheOptions struct {
	// Grant is what an app's Cache asks with. A RefreshToken or a Code has no place in it: they are for
	// [Endpoint.Exchange]. With a Session only its Scopes and Params count, which are sent along with the refresh token.
	Grant Grant
	// GrantFunc, if not nil, is asked for the grant before each fetch, in place of Grant: for a grant that changes, such
	// as one with an assertion.
	GrantFunc func(ctx context.Context) (Grant, error)
	// Session, if not empty, makes this a user's login, and names it.
	Session string
	// Initial is a stored token to begin with. Only with a Session it may have a refresh token. If nil, there is none.
	Initial *Token
	// OnToken stores each new token before anyone receives it. There is one call at a time over the whole life of the
	// Cache, within the fetch and its time limit. If it fails the token is kept, and OnToken called again after 0.1 s,
	// doubling to 30 s, and by Close. It must not ask the Cache for a token. If nil, nothing is stored.
	OnToken func(ctx context.Context, token *Token) error
	// HoldUnsaved holds a token back until OnToken took it; callers without another get OnToken's error. If false, it is
	// served meanwhile.
	HoldUnsaved bool
	// Store, if not nil, holds the token for all processes whose Caches have it: of any number of them one fetches, and the
	// others take over what it got. A login is found in it by Session; Initial is put into it only where it has no login,
	// or one that the server has refused for good. See the package comment for what is guaranteed.
	Store Store
	// SeedDelay is how long the refresh token of Initial waits to be presented after it was put into the Store. It is for
	// Stores that can lose data, where processes may live that know a newer one: 90 s is enough for them to put it back. If
	// zero, it does not wait.
	SeedDelay time.Duration
	// RefreshWithoutStore presents a refresh token, once the access token has ended, even while the Store cannot be reached. A
	// server that takes reuse for theft then ends the login if another process does the same. If false, Token fails with
	// [ErrStore] until the Store is back.
	RefreshWithoutStore bool
	// Logger is told of background work: that a token came, what failed, requests that are repeated, and each time whose token
	// it is, when it ends and what comes next (see the package comment). If nil, only the Endpoint's Logger is told of requests
	// that are repeated.
	Logger *slog.Logger
}

// NewCache returns a Cache of endpoint's tokens. It fetches nothing before it is asked. If opts is nil, the defaults are
// used. It fails if endpoint is nil, if there is a refresh token without a Session, and if options exclude each other.
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

// maxSession bounds the name of a login, in bytes.
const maxSession = 1024

// check finds what is wrong with the options.
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

// BaseURL returns that of the Cache's Endpoint: the origin that its tokens are for.
func (c *Cache) BaseURL() string {
	if c == nil || c.endpoint == nil {
		return ""
	}
	return c.endpoint.BaseURL()
}

// Limiter returns that of the Cache's Endpoint, which is nil where the API is not at the origin of the token endpoint.
func (c *Cache) Limiter() *Limiter {
	if c == nil || c.endpoint == nil {
		return nil
	}
	return c.endpoint.Limiter()
}

// Format prints whose tokens these are, and nothing of them.
func (c *Cache) Format(f fmt.State, _ rune) {
	if c == nil || c.endpoint == nil {
		_, _ = fmt.Fprint(f, "tokens.Cache(nil or zero)")
		return
	}
	fmt.Fprintf(f, "tokens.Cache(%s)", c.endpoint.vendor.name)
}

// Token returns the token to use now. It waits only where there is none. Every error matches [ErrNoToken], and is that of
// the fetch, an [*Error] as a rule, or of ctx.
func (c *Cache) Token(ctx context.Context) (*Token, error) {
	if c != nil {
		if e := c.current.Load(); e != nil && e.at(c.now()) < e.checkAt {
			return e.token, nil
		}
	}
	return c.tokenSlow(ctx, 0)
}

// TokenFor returns a token that lives for at least minLife from now, and fetches one if need be. It fails if the vendor's
// tokens do not live that long.
func (c *Cache) TokenFor(ctx context.Context, minLife time.Duration) (*Token, error) {
	return c.tokenSlow(ctx, minLife)
}

// tokenSlow serves a caller whom the current token could not serve without a lock.
func (c *Cache) tokenSlow(ctx context.Context, minLife time.Duration) (*Token, error) {
	if err := c.check(ctx); err != nil {
		return nil, noToken(err)
	}
	ended := ctx.Err() // asked without the lock, as a context may be of any type
	if c.replica != nil {
		return c.sharedToken(ctx, ended, minLife)
	}
	for waits := 0; ; waits++ {
		token, f, err := c.serveOrJoin(ctx, ended, minLife, waits == 0)
		if f == nil {
			return token, err
		}
		if ctx.Value(insideFetch{c}) != nil {
			return nil, noToken(fmt.Errorf("tokens: %s: a hook of this Cache asked it for the token that it is part of", c.endpoint.vendor.name))
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, noToken(c.endpoint.waitEnded(ctx))
		}
		switch {
		case f.err != nil:
			return c.serveToTheEnd(minLife, f.err)
		case f.token == nil: // superseded by Set or Revoke, or it had only to store a token
		case minLife <= 0 || f.token.ValidFor(minLife):
			return f.token, nil
		case f.fetched:
			return nil, c.tooShort(minLife)
		}
	}
}

// serveOrJoin returns the current token if it can serve, with a renewal behind it if one is due; else the fetch to wait
// for, which it starts if need be; else the error.
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

// serveToTheEnd returns the current token if it still lives though its renewal failed with err.
func (c *Cache) serveToTheEnd(minLife time.Duration, err error) (*Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entry; e != nil && !c.closed && e.lives(c.now(), minLife) {
		return e.token, nil
	}
	return nil, err
}

func (c *Cache) tooShort(minLife time.Duration) error {
	return noToken(fmt.Errorf("tokens: %s: a token lives less than the %v asked for", c.endpoint.vendor.name, minLife))
}

// Set makes t the current token, as after a new login, and forgets every failure. It serves at once, also those who wait
// for a fetch. OnToken is not called for t: the caller has it. A nil t makes the next caller fetch. Set sends no request: a
// login can begin with a t that has nothing but a RefreshToken, and the next caller presents that.
//
// What a fetch under way brings is not served, but the refresh token in it replaces the one that was presented for it, if
// t has none. Of a t without refresh token the Cache keeps the one that it has. Without a Session, a refresh token is an
// error.
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
	if t.RefreshToken != "" || !c.awaitExpiry { // else the one that the Cache has may be used up as before
		c.succeeded()
	}
	c.loginErr = nil
	c.replaceToken(t, c.now())
	return nil
}

// supersede releases those who wait for the fetch under way, whose result is no longer wanted.
func (c *Cache) supersede() {
	c.generation++
	if f := c.fetch; f != nil {
		c.fetch = nil
		f.conclude(nil, nil)
	}
}

// succeeded forgets failures of fetches.
func (c *Cache) succeeded() {
	c.err, c.failures, c.nextTry, c.awaitExpiry, c.lost = nil, 0, 0, false, false
}

// replaceToken makes a copy of t, which a caller has stored, the current token. One without access token makes the next
// caller fetch.
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
		c.unsaved = e // it has a refresh token that is not stored yet
	}
	c.setCurrent(e, now)
}

// setCurrent makes e, or no token if it is nil, the current one.
func (c *Cache) setCurrent(e *entry, now moment) {
	if e != nil {
		e.served = true
	}
	c.entry = e
	c.rejected = false
	c.publish(now)
}

// publish lets callers have the current token without the lock until something has to be decided.
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

// nextCheck returns when something has to be decided about the current token: not before the fetch under way ends, or
// another may start.
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

// newest returns the entry that decides whether a fetch is due: the one held back, else the current one, else nil.
func (c *Cache) newest() *entry {
	if c.held {
		return c.unsaved
	}
	return c.entry
}

// loginRequired returns why a Session cannot be renewed, or nil.
func (c *Cache) loginRequired() error {
	switch {
	case c.session == "" || c.secrets.refreshToken != "":
		return nil
	case c.loginErr != nil:
		return &noTokenError{kind: ErrLoginRequired, cause: c.loginErr}
	}
	return &noTokenError{kind: ErrLoginRequired, cause: fmt.Errorf("tokens: %s: there is no refresh token; Set a token that has one", c.endpoint.vendor.name)}
}

// rejectedAgainAfter is how long a token that was fetched because of a 401 is kept though the API rejects it too: one that
// rejects every token must not become a flood at the token endpoint.
const rejectedAgainAfter = 30 * time.Second

// Invalidate drops the current token if it is the rejected one, so that the next caller fetches. It keeps one that was
// itself fetched because another was rejected, less than 30 s ago: the API would reject the next one as well.
func (c *Cache) Invalidate(rejected *Token) {
	if c == nil || c.endpoint == nil || rejected == nil {
		return
	}
	if c.drop(rejected) {
		c.logAbout(rejected, slog.LevelInfo, "dropped a token that was rejected before its end", next{what: "fetch"})
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
		return false // where a fetch is under way, dropping it costs none
	}
	c.stats.Invalidations++
	c.setCurrent(nil, now)
	c.rejected = true
	if c.replica != nil {
		c.replica.rejected = rejected.AccessToken
	}
	return true
}

// Close stops serving, lets a fetch under way end, and has OnToken store what is unsaved, once more if it failed before.
// Its error is OnToken's or ctx's: a rotated refresh token that is not stored is not a clean shutdown, and Close may be
// called again. After Close, Token fails with [ErrClosed]; Close after Revoke is logout.
//
// A Cache of [Sessions] need not be closed. Once one is, Session returns a new one.
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
		return fmt.Errorf("tokens: %s: a hook of this Cache cannot Close it", c.endpoint.vendor.name)
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

// waitForQuiet returns when no goroutine of the Cache is left, or with the error of ctx.
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

// Stats counts what a Cache did. Hits are not counted: that would double what they cost.
type Stats struct {
	Fetches       int64     // fetches begun
	Failures      int64     // of these, those that brought no token
	Invalidations int64     // tokens dropped by Invalidate
	Waits         int64     // callers who had to wait for a fetch
	Expiry        time.Time // of the current token; zero if there is none, or its end is not known
	LastError     error     // of the last fetch or, if it succeeded, of OnToken; nil if neither failed
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
	s.LastError = c.err
	if s.LastError == nil && c.unsaved != nil {
		s.LastError = c.saveErr
	}
	return s
}
