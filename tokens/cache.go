package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fetchTimeout    = time.Minute      // bounds a fetch whoever waits for it
	invalidateEvery = 30 * time.Second // an API that answers 401 to everything must not become a flood at the endpoint
	permanentHold   = 5 * time.Second  // how long a permanent failure is answered from memory
	firstHold       = 100 * time.Millisecond
	mostHold        = 30 * time.Second // bounds a back-off
	mostHint        = time.Hour        // bounds what a Retry-After may ask for
)

// A Cache keeps the token of an [Endpoint] and renews it: a [Source] and an [Invalidator]. Each Cache has its own token;
// share one per client and grant.
//
// However many callers there are, at most one fetch is under way, and each caller leaves by its own context: the
// cancellation or deadline of one reaches no other. A fetch that callers wait for sees the values of the first one's
// context, without its per-call settings and httptrace; one in the background sees none. Either ends within 60 s.
//
//   - Until 80 % of its life, or 5 minutes before its end if that is later, less up to a tenth of its life at random, a
//     token is returned without a lock or an allocation.
//   - From then until 5 % of its life, or 10 s if that is less, before its end, it is still returned at once, and renewed
//     in the background. If that fails it serves on; the next try waits for as long as the endpoint asks (Retry-After,
//     X-Organization-Rate-Limit-Reset; an hour at most), else for 0.1 s, doubling to 30 s.
//   - Without a token, callers wait for a fetch. If that fails they all get its error, and so do later callers until the
//     next try is due: as above, or 5 s after invalid_client, invalid_grant, invalid_scope and unauthorized_client.
//   - A token whose life is not known is kept until it is invalidated. One that arrives dead is given to those who
//     waited for it and to no one else.
//
// No goroutine runs while no fetch does.
type Cache struct {
	endpoint  *Endpoint
	onToken   func(context.Context, *Token) error
	hold      bool
	logger    *slog.Logger
	refreshes bool
	grant     Grant
	base      time.Time // instants below are durations since then, on the monotonic clock

	current atomic.Pointer[entry] // nil: none

	mu                sync.Mutex
	flight            *flight // the fetch under way, or nil
	generation        int     // counts Set and Revoke: what a fetch begun before either brings is not kept
	revokedGeneration int     // that of the last Revoke: what a fetch begun before it brings is revoked
	refresh           string  // the refresh token to present next
	lost              bool    // it was presented once, and the answer was lost
	unsaved           *Token  // what OnToken failed to take
	err               error   // why the last fetch failed, or nil
	final             bool    // err stays until Set
	failures          int     // in a row
	nextTry           time.Duration
	invalidated       time.Duration // when Invalidate last dropped a token
	unrevoked         []revocation  // what Revoke failed to revoke
	stats             Stats
	running           int           // goroutines
	quiet             chan struct{} // closed when running falls to 0
}

// CacheOptions are the settings of a [Cache].
type CacheOptions struct {
	// Grant is what to ask for. Without a RefreshToken every fetch is client_credentials, and a refresh token that comes
	// along is kept only to be revoked. With one the Cache follows its rotation (RFC 6749, section 6), and fails for good
	// after invalid_grant, until Set.
	Grant Grant
	// Initial is a stored token to begin with; its RefreshToken, if Grant has one, goes before the Grant's. Nil: none.
	Initial *Token
	// OnToken stores each new token before anyone receives it, one call at a time; it runs inside the fetch and its time
	// limit. If it fails the token is kept, and OnToken called again when the next try is due. Nil: none.
	OnToken func(context.Context, *Token) error
	// HoldUnsaved keeps a token from callers, who get OnToken's error, until OnToken took it. False: it is served.
	HoldUnsaved bool
	// Logger is told of background work, and of repeated requests. Its handler must not ask this Cache for a token.
	// Nil: silent.
	Logger *slog.Logger
}

// entry is a token and when to think about it.
type entry struct {
	token   *Token
	life    time.Duration // as it was when the token came
	checkAt time.Duration // until then it is returned without further thought
	renewAt time.Duration // from then on it is due
	deadAt  time.Duration // from then on it is not returned
}

const never = time.Duration(math.MaxInt64)

// NewCache returns a Cache of endpoint's tokens. It fetches nothing before it is asked. If opts is nil, the defaults are
// used. It fails if endpoint is nil.
func NewCache(endpoint *Endpoint, opts *CacheOptions) (*Cache, error) {
	if endpoint == nil {
		return nil, errors.New("tokens: the Endpoint is nil; make one with NewMoov, NewSailPoint or NewThousandEyes")
	}
	var o CacheOptions
	if opts != nil {
		o = *opts
	}
	c := &Cache{
		endpoint:    endpoint,
		onToken:     o.OnToken,
		hold:        o.HoldUnsaved,
		logger:      o.Logger,
		refreshes:   o.Grant.RefreshToken != "",
		grant:       o.Grant,
		base:        time.Now(),
		refresh:     o.Grant.RefreshToken,
		invalidated: -invalidateEvery,
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	if o.Initial != nil {
		initial := *o.Initial
		c.keep(&initial)
	}
	return c, nil
}

// BaseURL returns that of the Cache's Endpoint: the origin that its tokens are for.
func (c *Cache) BaseURL() string { return c.endpoint.BaseURL() }

// Format prints whose tokens these are, and nothing of them.
func (c *Cache) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "tokens.Cache(%s)", c.endpoint.vendor.name)
}

func (c *Cache) now() time.Duration { return time.Since(c.base) }

// Token returns the token to use now. It waits only where there is none. The error is that of the fetch, an [*Error] as
// a rule, or ctx's.
func (c *Cache) Token(ctx context.Context) (*Token, error) {
	if e := c.current.Load(); e != nil && c.now() < e.checkAt {
		return e.token, nil
	}
	return c.think(ctx, 0)
}

// TokenFor returns a token that lives for at least minLife from now, fetching one if need be. It fails if the vendor's
// tokens do not live as long.
func (c *Cache) TokenFor(ctx context.Context, minLife time.Duration) (*Token, error) {
	t, err := c.think(ctx, minLife)
	if err == nil && !t.Expiry.IsZero() && time.Until(t.Expiry) < minLife {
		return nil, fmt.Errorf("tokens: %s: a token lives less than the %v asked for", c.endpoint.vendor.name, minLife)
	}
	return t, err
}

// think decides what a caller gets who could not be served without thought.
func (c *Cache) think(ctx context.Context, minLife time.Duration) (*Token, error) {
	c.mu.Lock()
	now := c.now()
	if e := c.current.Load(); e != nil && now < e.deadAt && (minLife <= 0 || e.servesFor(minLife)) {
		if c.flight == nil && now >= e.checkAt && now >= c.nextTry && !c.final {
			c.start(context.Background(), false)
		}
		c.schedule(e)
		c.mu.Unlock()
		return e.token, nil
	}
	f := c.flight
	if f == nil {
		// What OnToken did not take, but is served, is no reason not to fetch.
		if served := c.unsaved != nil && !c.hold; c.err != nil && (c.final || now < c.nextTry) && !served {
			defer c.mu.Unlock()
			return nil, c.err
		}
		if err := ctx.Err(); err != nil {
			c.mu.Unlock()
			return nil, err
		}
		f = c.start(valuesOf{context.WithoutCancel(ctx)}, true)
	}
	c.stats.Waits++
	c.mu.Unlock()
	select {
	case <-f.done:
		if f.superseded {
			return c.think(ctx, minLife)
		}
		return f.token, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// servesFor tells whether fetching would not give a longer life than the entry still has.
func (e *entry) servesFor(minLife time.Duration) bool {
	return e.token.Expiry.IsZero() || e.life < minLife || time.Until(e.token.Expiry) >= minLife
}

// schedule publishes when e has to be thought about next: not before the fetch under way ends, or the next try is due.
func (c *Cache) schedule(e *entry) {
	next := *e
	switch {
	case c.flight != nil || c.final:
		next.checkAt = e.deadAt
	case c.unsaved != nil:
		next.checkAt = min(c.nextTry, e.deadAt)
	default:
		next.checkAt = min(max(e.renewAt, c.nextTry), e.deadAt)
	}
	if next != *e {
		c.current.Store(&next)
	}
}

// keep makes t the current token. It must not be modified thereafter. One that has only a refresh token, as a store may
// hold, makes the next caller fetch.
func (c *Cache) keep(t *Token) {
	if c.refreshes {
		c.refresh = firstOf(t.RefreshToken, c.refresh)
		t.RefreshToken = c.refresh
	}
	if t.AccessToken == "" {
		c.current.Store(nil)
		return
	}
	now := c.now()
	e := &entry{token: t, life: never, renewAt: never, deadAt: never}
	if !t.Expiry.IsZero() {
		e.life = max(0, time.Until(t.Expiry))
		e.deadAt = now + e.life - min(10*time.Second, e.life/20)
		e.renewAt = now + max(e.life/5*4, e.life-5*time.Minute) - rand.N(e.life/10+1)
	}
	e.checkAt = e.renewAt
	c.current.Store(e)
}

// Set makes t the current token, as after a new login, and forgets every failure. A fetch under way is not kept; those
// who wait for it get t. OnToken is not called. A nil t makes the next caller fetch.
func (c *Cache) Set(_ context.Context, t *Token) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.flight, c.unsaved = nil, nil
	c.succeeded()
	if t == nil {
		c.current.Store(nil)
		return nil
	}
	set := *t
	c.keep(&set)
	return nil
}

// succeeded forgets failures.
func (c *Cache) succeeded() {
	c.err, c.final, c.failures, c.nextTry, c.lost = nil, false, 0, 0, false
}

// Invalidate drops the current token if it is the rejected one, so that the next caller fetches. It does so at most once
// in 30 s: an API that refuses every token gets no flood of new ones.
func (c *Cache) Invalidate(rejected *Token) {
	if c.drop(rejected) {
		c.logger.Info("dropped a token that was rejected before its end")
	}
}

func (c *Cache) drop(rejected *Token) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, now := c.current.Load(), c.now()
	if e == nil || rejected == nil || e.token.AccessToken != rejected.AccessToken || now-c.invalidated < invalidateEvery {
		return false
	}
	c.invalidated = now
	c.stats.Invalidations++
	c.current.Store(nil)
	if c.nextTry == e.deadAt {
		c.nextTry = 0 // the wait was for the end of the access token, which this is
	}
	return true
}

type revocation struct {
	token string
	hint  Hint
}

// Revoke stops serving at once, and then revokes the refresh token and the access token (RFC 7009). What fails is kept
// for the next Revoke, and its error returned; errors.ErrUnsupported where the vendor has no revocation. What a fetch
// under way brings is revoked, not kept. Later callers, and those who wait for that fetch, get a new token or, if the
// Cache renews by refresh token, [ErrNoToken] until Set.
func (c *Cache) Revoke(ctx context.Context) error {
	c.mu.Lock()
	c.generation++
	c.revokedGeneration = c.generation
	c.flight = nil
	c.succeeded()
	pending := c.unrevoked
	for _, t := range []*Token{c.unsaved, c.currentToken()} {
		pending = withTokens(pending, t)
	}
	if c.refreshes {
		pending = withTokens(pending, &Token{RefreshToken: c.refresh})
		c.refresh, c.final, c.err = "", true, fmt.Errorf("tokens: %s: the refresh token was revoked: %w", c.endpoint.vendor.name, ErrNoToken)
	}
	c.unsaved, c.unrevoked = nil, nil
	c.current.Store(nil)
	c.mu.Unlock()
	return c.revoke(ctx, pending)
}

func (c *Cache) currentToken() *Token {
	if e := c.current.Load(); e != nil {
		return e.token
	}
	return nil
}

// withTokens adds what is to be revoked of t, the refresh token first: its end should be that of the access token.
func withTokens(pending []revocation, t *Token) []revocation {
	if t == nil {
		return pending
	}
	for _, r := range []revocation{{t.RefreshToken, HintRefreshToken}, {t.AccessToken, HintAccessToken}} {
		if r.token != "" && !slices.Contains(pending, r) {
			pending = append(pending, r)
		}
	}
	return pending
}

// revoke revokes what it can and keeps the rest.
func (c *Cache) revoke(ctx context.Context, pending []revocation) error {
	var errs []error
	for _, r := range pending {
		err := c.endpoint.Revoke(ctx, r.token, r.hint)
		if errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		if err != nil {
			errs = append(errs, err)
			c.mu.Lock()
			c.unrevoked = append(c.unrevoked, r)
			c.mu.Unlock()
		}
	}
	return errors.Join(errs...)
}

// Close returns when no fetch is under way, so that a process can end without losing a rotated refresh token, or with
// ctx's error.
func (c *Cache) Close(ctx context.Context) error {
	c.mu.Lock()
	running, quiet := c.running, c.quiet
	c.mu.Unlock()
	if running == 0 {
		return nil
	}
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stats counts what a Cache did. Hits are not counted: that would double what they cost.
type Stats struct {
	Fetches       int64 // fetches begun
	Failures      int64 // of these, those that brought no token
	Invalidations int64 // tokens dropped by Invalidate
	Waits         int64 // callers who had to wait for a fetch
}

// Stats returns the counts so far.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}
