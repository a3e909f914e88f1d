package tokens_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
)

// This file simulates several processes, each with its own Cache, one Store and one token endpoint, in virtual time. A
// process takes a step before and after each call of the Store, and before, during and after each request. A fault may
// happen at any step. The code under test is not simulated.

// A world is one run of the simulation.
type world struct {
	seed    uint64
	random  *rand.Rand
	setup   setup
	begin   time.Time
	mu      sync.Mutex
	step    int
	faults  map[int]fault
	ended   chan struct{}
	over    bool
	procs   []*proc
	all     []*proc
	store   *simStore
	server  *simServer
	last    time.Time // when the last fault ended
	lossy   bool      // the Store lost data
	lostAt  time.Time // when
	paused  bool      // a process was suspended, or a request was late
	excused bool      // a process with a new refresh token crashed or was cut off
	outage  time.Time
	blocked []span
	trace   []string
	tracing bool
	found   map[string]int
	// recovered is when each process, or its predecessor, first got a token after the last fault.
	recovered map[int]time.Time
	homeless  bool // a login is not in the Store
	wg        sync.WaitGroup
}

type setup struct {
	name    string
	rotates bool
	warm    bool
	life    time.Duration
	grace   time.Duration // how long a used refresh token still works
	kills   bool          // reuse of a refresh token ends the session
	endsOld bool          // a new access token invalidates the old ones
	procs   int
	length  time.Duration
	clocks  bool // wall clocks differ
	drift   bool // monotonic clocks run 1 % fast or slow
	brief   bool // processes live for 1.5 s each
}

type fault struct {
	kind string
	d    time.Duration
}

func (w *world) notef(format string, args ...any) {
	if w.tracing {
		w.trace = append(w.trace, fmt.Sprintf("%9.3f ", time.Since(w.begin).Seconds())+fmt.Sprintf(format, args...))
	}
}

func (w *world) violationf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	name, _, _ := strings.Cut(text, ":")
	w.found[name]++
	w.notef("!!! %s", text)
}

// A proc is one process.
type proc struct {
	w      *world
	n      int
	cache  *tokens.Cache
	offset time.Duration // offset of its wall clock
	rate   float64       // rate of its monotonic clock
	clock  sync.Mutex    // guards asleep
	asleep []span        // when its monotonic clock was stopped

	dead        bool
	blocked     []span
	pausedUntil time.Time
	cutUntil    time.Time // cut off from the Store until then
	seen        int64     // the epoch of the newest login or logout that it has loaded
	seenAt      time.Time
	served      time.Time // when it last got a token
	slowest     time.Duration
	loads       int
	swaps       int
}

var errGone = errors.New("the process is gone")

// at is a step: a fault may happen here, and a suspended process blocks here.
func (p *proc) at(where string) (fault, error) {
	w := p.w
	w.mu.Lock()
	w.step++
	f := w.faults[w.step]
	if f.kind != "" {
		w.notef("--- step %d: %s %v at %s of process %d", w.step, f.kind, f.d, where, p.n)
		w.apply(p, f)
	}
	w.mu.Unlock()
	return f, p.hold()
}

// hold blocks a process while it is suspended, and for ever if it crashed.
func (p *proc) hold() error {
	for {
		p.w.mu.Lock()
		wait, dead := time.Until(p.pausedUntil), p.dead
		p.w.mu.Unlock()
		switch {
		case dead:
			<-p.w.ended
			return errGone
		case wait <= 0:
			return nil
		}
		pass(wait)
	}
}

// apply applies a fault that does not depend on the step. The lock is held.
func (w *world) apply(p *proc, f fault) {
	until := time.Now().Add(f.d)
	w.last = latest(w.last, until)
	switch f.kind {
	case "pause":
		p.pausedUntil = until
		w.paused = true
		p.blocked = append(p.blocked, span{time.Now(), until})
	case "sleep":
		p.pausedUntil = until
		w.paused = true
		p.blocked = append(p.blocked, span{time.Now(), until})
		p.clock.Lock()
		p.asleep = append(p.asleep, span{time.Now(), until})
		p.clock.Unlock()
	case "crash":
		p.dead = true
		w.wg.Go(func() { w.restart(p.n) })
	case "outage":
		w.outage = latest(w.outage, until)
		w.blocked = append(w.blocked, span{time.Now(), until})
	case "cut":
		p.cutUntil = latest(p.cutUntil, until)
		p.blocked = append(p.blocked, span{time.Now(), until})
	case "empty":
		w.lossy, w.lostAt = true, time.Now()
		w.store.records = map[string]tokens.Record{}
	case "rollback", "failover":
		w.lossy, w.lostAt = true, time.Now()
		w.store.rollback(time.Now().Add(-f.d))
		if f.kind == "failover" {
			w.outage = latest(w.outage, time.Now().Add(2*time.Second))
		}
	case "login":
		q := w.procs[(p.n+1)%len(w.procs)]
		w.wg.Go(func() { q.login() })
	case "logout":
		q := w.procs[(p.n+1)%len(w.procs)]
		w.wg.Go(func() {
			q.logout()
			pass(30 * time.Second)
			q.login()
		})
		w.last = latest(w.last, time.Now().Add(30*time.Second))
	case "reject":
		w.server.apiRejects = time.Now().Add(100 * time.Millisecond)
	case "slow":
		w.server.slowUntil = until.Add(time.Minute)
		w.server.slow = f.d
	}
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// restart starts a new process to replace one that crashed.
func (w *world) restart(n int) {
	select {
	case <-time.After(5 * time.Second):
	case <-w.ended:
		return
	}
	w.start(n)
}

func (w *world) start(n int) *proc {
	p := &proc{w: w, n: n, rate: 1}
	opts := &tokens.CacheOptions{Store: &procStore{p}}
	w.mu.Lock()
	if w.setup.clocks && n > 0 {
		p.offset = []time.Duration{-24 * time.Hour, 3 * time.Hour, 24 * time.Hour, -20 * time.Second, 7 * time.Hour}[w.random.IntN(5)]
	}
	if w.setup.drift {
		p.rate = []float64{0.99, 1.01, 1}[(n+int(w.seed%3))%3]
	}
	if w.setup.rotates {
		opts.Session = "user"
		opts.Initial = w.server.initial
		if w.lossy || w.setup.clocks && w.setup.warm {
			opts.SeedDelay = 90 * time.Second
		}
	}
	w.mu.Unlock()
	endpoint, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.Credentials{ClientID: "id", ClientSecret: "secret"},
		&tokens.EndpointOptions{HTTPClient: &http.Client{Transport: &simTransport{p}}, RevocationURL: "https://auth.example.com/revoke"})
	if err != nil {
		panic(err)
	}
	if p.cache, err = tokens.NewCache(endpoint, opts); err != nil {
		panic(err)
	}
	born := time.Now()
	tokens.WarpClock(p.cache, func(d time.Duration) time.Duration { return p.monotonic(born, d) })
	w.mu.Lock()
	for len(w.procs) <= n {
		w.procs = append(w.procs, nil)
	}
	w.procs[n] = p
	w.all = append(w.all, p)
	interval := 300*time.Millisecond + time.Duration(w.random.Int64N(int64(2*time.Second)))
	w.mu.Unlock()
	w.wg.Go(func() { p.run(interval) })
	return p
}

// monotonic returns the reading of p's monotonic clock after d.
func (p *proc) monotonic(born time.Time, d time.Duration) time.Duration {
	now := born.Add(d)
	p.clock.Lock()
	defer p.clock.Unlock()
	for _, s := range p.asleep {
		if end := earliest(s.to, now); end.After(s.from) {
			d -= end.Sub(latest(s.from, born))
		}
	}
	return time.Duration(float64(d) * p.rate)
}

// run is a caller that gets and uses a token at an interval.
func (p *proc) run(interval time.Duration) {
	for born := time.Now(); ; {
		if p.hold() != nil {
			return
		}
		if p.w.setup.brief && time.Since(born) > 1500*time.Millisecond {
			p.w.mu.Lock()
			over := p.w.over
			p.dead = true
			p.w.mu.Unlock()
			if !over {
				p.w.start(p.n)
			}
			return
		}
		if !p.use(30 * time.Second) {
			return
		}
		select {
		case <-time.After(interval):
		case <-p.w.ended:
			return
		}
	}
}

// use gets a token and uses it at the API.
func (p *proc) use(patience time.Duration) bool {
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		begin := time.Now()
		token, err := p.cache.Token(ctx)
		cancel()
		p.w.mu.Lock()
		select {
		case <-p.w.ended:
			p.w.mu.Unlock()
			return false
		default:
		}
		if p.dead {
			p.w.mu.Unlock()
			return false
		}
		if err != nil {
			p.w.notef("process %d: %v", p.n, err)
			p.w.mu.Unlock()
			return true
		}
		p.slowest = max(p.slowest, time.Since(begin))
		epoch, stored := p.w.server.epochs[p.w.server.loginOf(token.AccessToken)]
		if p.w.setup.rotates && stored && epoch < p.seen && time.Now().After(p.seenAt.Add(time.Millisecond)) && !time.Now().Before(p.pausedUntil) {
			p.w.violationf("I5 stale: process %d serves %s of epoch %d after it saw %d", p.n, token.AccessToken, epoch, p.seen)
		}
		ok := p.w.server.accepts(token.AccessToken)
		if ok {
			p.served = time.Now()
			if p.w.recovered[p.n].Before(p.w.last) {
				p.w.recovered[p.n] = p.served
			}
		}
		p.w.mu.Unlock()
		if ok {
			return true
		}
		p.cache.Invalidate(token)
	}
	return true
}

func (p *proc) login() {
	p.w.mu.Lock()
	t := p.w.server.newLogin()
	p.w.homeless = true
	p.w.notef("process %d logs in: %d", p.n, p.w.server.logins)
	p.w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := p.cache.Set(ctx, t)
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.w.notef("process %d logged in: %v", p.n, err)
	if err != nil || p.dead {
		p.w.excused = true // no other process has it
	} else {
		p.w.homeless = false
	}
}

func (p *proc) logout() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	p.w.mu.Lock()
	p.w.server.loggedOut = true
	p.w.mu.Unlock()
	err := p.cache.Revoke(ctx)
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.w.notef("process %d logged out: %v", p.n, err)
}

// A simStore is the database.
type simStore struct {
	w       *world
	records map[string]tokens.Record
	history []change
}

type change struct {
	at       time.Time
	key      string
	previous tokens.Record
}

func (s *simStore) rollback(to time.Time) {
	for len(s.history) > 0 {
		last := s.history[len(s.history)-1]
		if !last.at.After(to) {
			return
		}
		s.records[last.key] = last.previous
		s.history = s.history[:len(s.history)-1]
	}
}

// swap is the linearization point of the Store. The lock is held.
func (s *simStore) swap(p *proc, key, old string, next tokens.Record) error {
	current := s.records[key]
	if current.Version != old {
		return tokens.ErrConflict
	}
	before, after := header(current), header(next)
	if before.Epoch > after.Epoch || before.Epoch == after.Epoch && before.Gen > after.Gen {
		s.w.violationf("I5 older: process %d puts %+v over %+v", p.n, after, before)
	}
	if after.Token != nil {
		login := s.w.server.loginOf(after.Token.Access)
		s.w.server.epochs[login] = max(s.w.server.epochs[login], after.Epoch)
	}
	s.history = append(s.history, change{time.Now(), key, current})
	s.records[key] = next
	s.w.notef("process %d stores %s", p.n, traced(next))
	return nil
}

type recordHeader struct {
	Epoch, Gen int64
	Token      *struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	Attempt *struct {
		ID, State string
		Hold      float64
	}
	Final bool
}

func header(r tokens.Record) recordHeader {
	var h recordHeader
	if len(r.Value) > 0 {
		if err := json.Unmarshal(r.Value, &h); err != nil {
			panic(err)
		}
	}
	return h
}

// A traced is a record that is put into words only where a trace is kept.
type traced tokens.Record

func (r traced) String() string {
	h := header(tokens.Record(r))
	s := fmt.Sprintf("(%d, %d)", h.Epoch, h.Gen)
	if h.Token != nil {
		s += " " + h.Token.Access + "/" + h.Token.Refresh
	}
	if h.Attempt != nil {
		s += fmt.Sprintf(" %s %s %.3fs", h.Attempt.State, h.Attempt.ID[:min(4, len(h.Attempt.ID))], h.Attempt.Hold)
	}
	if h.Final {
		s += " final"
	}
	return s
}

// A procStore is the Store as one process sees it: over a network, and with its own wall clock.
type procStore struct{ p *proc }

func (s *procStore) Load(ctx context.Context, key string) (tokens.Record, error) {
	p, w := s.p, s.p.w
	f, err := p.at("load")
	if err != nil {
		return tokens.Record{}, err
	}
	if err := s.network(ctx, f); err != nil {
		return tokens.Record{}, err
	}
	w.mu.Lock()
	r := w.store.records[key]
	p.loads++
	w.notef("process %d loads %s", p.n, traced(r))
	w.mu.Unlock()
	f, err = p.at("loaded")
	if err != nil {
		return tokens.Record{}, err
	}
	if err := s.network(ctx, f); err != nil {
		return tokens.Record{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := header(r); h.Epoch > p.seen {
		p.seen, p.seenAt = h.Epoch, time.Now()
	}
	return tokens.Record{Version: r.Version, Value: shift(r.Value, p.offset)}, nil
}

func (s *procStore) CompareAndSwap(ctx context.Context, key, old string, next tokens.Record, _ time.Duration) error {
	p, w := s.p, s.p.w
	next.Value = shift(bytes.Clone(next.Value), -p.offset)
	f, err := p.at("swap")
	if err != nil {
		return err
	}
	if err := s.network(ctx, f); err != nil {
		return err
	}
	switch f.kind {
	case "no effect":
		return errors.New("ambiguous, and not done")
	case "late effect":
		w.wg.Go(func() {
			pass(4 * time.Second)
			w.mu.Lock()
			defer w.mu.Unlock()
			_ = w.store.swap(p, key, old, next)
		})
		return errors.New("ambiguous, and done later")
	}
	w.mu.Lock()
	p.swaps++
	err = w.store.swap(p, key, old, next)
	w.mu.Unlock()
	if f.kind == "effect" {
		return errors.New("ambiguous, and done")
	}
	f, gone := p.at("swapped")
	if gone != nil {
		return gone
	}
	if err := s.network(ctx, f); err != nil {
		return err
	}
	if f.kind == "effect" || f.kind == "no effect" || f.kind == "late effect" {
		return errors.New("ambiguous, and done")
	}
	return err
}

// network takes a few milliseconds. It fails while the process, or every process, is cut off from the Store.
func (s *procStore) network(ctx context.Context, _ fault) error {
	p, w := s.p, s.p.w
	w.mu.Lock()
	d := time.Millisecond + time.Duration(w.random.Int64N(int64(3*time.Millisecond)))
	down := time.Now().Before(w.outage) || time.Now().Before(p.cutUntil)
	hangs := w.random.IntN(2) == 0
	w.mu.Unlock()
	if down && hangs {
		select {
		case <-ctx.Done():
			if err := p.hold(); err != nil {
				return err
			}
			return ctx.Err()
		case <-w.ended:
			return errGone
		}
	}
	pass(d)
	if err := p.hold(); err != nil {
		return err
	}
	if down {
		return errors.New("connection refused")
	}
	return nil
}

// shift moves all wall-clock times in a record, to show it as a process with another clock sees it.
func shift(value []byte, by time.Duration) []byte {
	if by == 0 || len(value) == 0 {
		return value
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(value, &members); err != nil {
		panic(err)
	}
	var epoch int64
	if json.Unmarshal(members["epoch"], &epoch) == nil && epoch != 0 {
		members["epoch"] = json.RawMessage(strconv.FormatInt(epoch+by.Milliseconds(), 10))
	}
	for member, field := range map[string]string{"token": "expiry", "attempt": "at"} {
		var inner map[string]json.RawMessage
		if json.Unmarshal(members[member], &inner) != nil || inner[field] == nil {
			continue
		}
		var t time.Time
		if err := json.Unmarshal(inner[field], &t); err != nil {
			panic(err)
		}
		inner[field], _ = json.Marshal(t.Add(by))
		members[member], _ = json.Marshal(inner)
	}
	value, _ = json.Marshal(members)
	return value
}

// A simServer is the token endpoint and the API.
type simServer struct {
	w          *world
	initial    *tokens.Token
	logins     int
	n          int
	refresh    map[string]*refreshToken
	access     map[string]accessToken
	epochs     map[int]int64  // the epochs of records that had a login
	dead       map[int]string // logins that ended, with the reason
	requests   int
	loggedOut  bool
	apiRejects time.Time
	slow       time.Duration
	slowUntil  time.Time
}

type refreshToken struct {
	login     int
	usedAt    time.Time
	used      bool
	successor string
	presented int
	holder    *proc     // the process that has presented it
	delivered time.Time // when the new refresh token reached the holder; zero if it did not
	inFlight  map[*proc]int
}

type accessToken struct {
	login int
	ends  time.Time
	ended bool
}

func newSimServer(w *world) *simServer {
	s := &simServer{w: w, refresh: map[string]*refreshToken{}, access: map[string]accessToken{}, dead: map[int]string{}, epochs: map[int]int64{}}
	return s
}

func (s *simServer) newLogin() *tokens.Token {
	s.logins++
	s.loggedOut = false
	at, rt := s.issue(s.logins, nil)
	return &tokens.Token{AccessToken: at, RefreshToken: rt, TokenType: "Bearer", Expiry: time.Now().Add(s.w.setup.life)}
}

func (s *simServer) issue(login int, after *refreshToken) (at, rt string) {
	s.n++
	at = fmt.Sprintf("a%d-%d", login, s.n)
	if s.w.setup.endsOld {
		for name, a := range s.access {
			if a.login == login {
				a.ended = true
				s.access[name] = a
			}
		}
	}
	s.access[at] = accessToken{login: login, ends: time.Now().Add(s.w.setup.life)}
	if !s.w.setup.rotates {
		return at, ""
	}
	rt = fmt.Sprintf("r%d-%d", login, s.n)
	s.refresh[rt] = &refreshToken{login: login, inFlight: map[*proc]int{}}
	if after != nil {
		after.successor = rt
	}
	return at, rt
}

func (s *simServer) loginOf(at string) int {
	return s.access[at].login
}

func (s *simServer) accepts(at string) bool {
	a, ok := s.access[at]
	return ok && !a.ended && time.Now().Before(a.ends) && s.dead[a.login] == "" && !time.Now().Before(s.apiRejects)
}

type span struct{ from, to time.Time }

// blockedSince returns how long p has been unable to reach the Store since from.
func (p *proc) blockedSince(from time.Time) (d time.Duration) {
	for _, b := range append(p.blocked, p.w.blocked...) {
		begin, end := latest(b.from, from), b.to
		if now := time.Now(); now.Before(end) {
			end = now
		}
		d += max(0, end.Sub(begin))
	}
	return d
}

// lost reports whether no process can have known the successor of rt in time.
func (s *simServer) lost(rt *refreshToken) bool {
	p := rt.holder
	return rt.delivered.IsZero() || p.dead || p.blockedSince(rt.delivered) > 80*time.Second
}

func (s *simServer) respond(p *proc, form url.Values, begun time.Time) (int, string) {
	s.requests++
	if form.Get("token") != "" {
		if rt := s.refresh[form.Get("token")]; rt != nil && s.dead[rt.login] == "" {
			s.dead[rt.login] = "revoked"
		}
		return 200, ""
	}
	if form.Get("grant_type") == "client_credentials" {
		at, _ := s.issue(0, nil)
		return 200, fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, at, int(s.w.setup.life.Seconds()))
	}
	name := form.Get("refresh_token")
	rt := s.refresh[name]
	if rt == nil {
		return 400, `{"error":"invalid_grant"}`
	}
	rt.presented++
	if s.dead[rt.login] != "" {
		return 400, `{"error":"invalid_grant"}`
	}
	if rt.used && time.Since(rt.usedAt) > s.w.setup.grace {
		if s.w.setup.kills {
			s.dead[rt.login] = fmt.Sprintf("reuse of %s by process %d", name, p.n)
		}
		{
			// No client can save these: the new refresh token was lost, a process loaded a record before the Store had the
			// newest one back, or the request took too long.
			if s.lost(rt) || s.w.lossy && time.Since(s.w.lostAt) < time.Minute || time.Since(begun) > 80*time.Second {
				s.w.excused = true
			}
			s.w.notef("*** reuse of %s by process %d: %s", name, p.n, s.dead[rt.login])
		}
		return 400, `{"error":"invalid_grant"}`
	}
	if !rt.used {
		rt.used, rt.usedAt = true, time.Now()
	}
	rt.holder, rt.delivered = p, time.Time{}
	at, next := s.issue(rt.login, rt)
	s.w.notef("server: %s by process %d gives %s/%s", name, p.n, at, next)
	return 200, fmt.Sprintf(`{"access_token":%q,"refresh_token":%q,"token_type":"Bearer","expires_in":%d}`, at, next, int(s.w.setup.life.Seconds()))
}

// A simTransport is the network between a process and the token endpoint.
type simTransport struct{ p *proc }

func (t *simTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	p, w := t.p, t.p.w
	body, _ := io.ReadAll(req.Body)
	_ = req.Body.Close()
	form, _ := url.ParseQuery(string(body))
	begun := time.Now()
	f, err := p.at("request")
	if err != nil {
		return nil, err
	}
	rt := form.Get("refresh_token")
	switch f.kind {
	case "refused":
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	case "request lost":
		w.mu.Lock()
		w.notef("request of process %d lost", p.n)
		w.mu.Unlock()
		return t.timeout(req)
	case "500":
		return t.response(req, 500, `{"error":"server_error"}`), nil
	case "503":
		r := t.response(req, 503, ``)
		r.Header.Set("Retry-After", "7")
		return r, nil
	case "429":
		r := t.response(req, 429, `{}`)
		r.Header.Set("Retry-After", "7")
		return r, nil
	case "request late":
		w.mu.Lock()
		w.paused = true
		w.mu.Unlock()
	}
	arrived := make(chan *http.Response, 1)
	w.inFlight(p, rt, +1)
	w.wg.Go(func() {
		pass(5 * time.Millisecond)
		if f.kind == "request late" {
			pass(f.d)
		}
		w.mu.Lock()
		status, text := w.server.respond(p, form, begun)
		slow := 50 * time.Millisecond
		if time.Now().Before(w.server.slowUntil) {
			slow = w.server.slow
		}
		w.mu.Unlock()
		pass(slow + 5*time.Millisecond)
		w.inFlight(p, rt, -1)
		w.mu.Lock()
		w.step++
		g := w.faults[w.step]
		if g.kind != "" {
			w.notef("--- step %d: %s %v at the response to process %d", w.step, g.kind, g.d, p.n)
			w.apply(p, g)
		}
		w.mu.Unlock()
		switch g.kind {
		case "response late", "request late":
			pass(g.d)
		case "response lost", "request lost":
			w.lose(rt)
			return
		}
		if p.hold() != nil {
			return
		}
		arrived <- t.response(req, status, text)
	})
	select {
	case r := <-arrived:
		w.deliver(p, rt)
		if _, err := p.at("response"); err != nil {
			return nil, err
		}
		return r, nil
	case <-req.Context().Done():
	case <-w.ended:
		return nil, errGone
	}
	if err := p.hold(); err != nil {
		return nil, err
	}
	pass(time.Nanosecond) // responses of this instant come first; not synctest.Wait, because several goroutines may wait here
	select {
	case r := <-arrived: // after a pause both have arrived
		w.deliver(p, rt)
		return r, nil
	default:
	}
	w.lose(rt)
	return nil, req.Context().Err()
}

func (w *world) deliver(p *proc, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if rt := w.server.refresh[name]; rt != nil && rt.holder == p && !p.dead {
		rt.delivered = time.Now()
	}
}

// lose records that the successor will never reach the process.
func (w *world) lose(rt string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.server.refresh[rt]; r != nil {
		w.notef("the response to %s is lost", rt)
	}
}

func (t *simTransport) timeout(req *http.Request) (*http.Response, error) {
	select {
	case <-req.Context().Done():
	case <-t.p.w.ended:
		return nil, errGone
	}
	if err := t.p.hold(); err != nil {
		return nil, err
	}
	return nil, req.Context().Err()
}

func (t *simTransport) response(req *http.Request, status int, text string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: req,
		Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)),
	}
}

// inFlight counts the processes that present a refresh token at the same time.
func (w *world) inFlight(p *proc, name string, by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rt := w.server.refresh[name]
	if rt == nil {
		return
	}
	rt.inFlight[p] += by
	if rt.inFlight[p] == 0 {
		delete(rt.inFlight, p)
	}
	live := 0
	for q := range rt.inFlight {
		if !q.dead {
			live++
		}
	}
	if by > 0 && live > 1 && !w.paused && !w.lossy {
		w.violationf("I4: %s is presented by %d processes at once", name, live)
	}
}

// An outcome is the result of a run.
type outcome struct {
	steps    int
	died     bool
	savable  bool
	why      string
	found    map[string]int
	trace    []string
	recovery time.Duration
	requests int
	slowest  time.Duration
	loads    int
	swaps    int
	twice    int // refresh tokens presented more than once
}

// simulate runs a world.
func simulate(t *testing.T, seed uint64, s setup, faults map[int]fault, tracing bool) (out outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			seed: seed, random: rand.New(rand.NewPCG(seed, 1)), setup: s, begin: time.Now(), faults: faults,
			ended: make(chan struct{}), tracing: tracing, found: map[string]int{}, recovered: map[int]time.Time{},
		}
		w.store = &simStore{w: w, records: map[string]tokens.Record{}}
		w.server = newSimServer(w)
		if s.rotates {
			w.server.initial = w.server.newLogin()
			if s.warm {
				w.server.initial.Expiry = time.Now().Add(s.life)
			} else {
				w.server.initial.AccessToken = ""
				w.server.initial.Expiry = time.Time{}
			}
		}
		w.last = time.Now()
		for n := range s.procs {
			w.start(n)
		}
		pass(s.length)
		w.mu.Lock()
		w.faults = nil
		rest := time.Until(w.last)
		last := w.last
		w.mu.Unlock()
		// Every process must get a token again, at the latest after two holds.
		const most = 200 * time.Second
		pass(max(rest, 0))
		healthy := func() (all bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, p := range w.procs {
				if w.recovered[p.n].Before(last) {
					return false
				}
			}
			return true
		}
		for time.Since(last) < most && !healthy() {
			pass(time.Second)
		}
		w.mu.Lock()
		w.over = true
		for _, p := range w.procs {
			if at := w.recovered[p.n]; !at.Before(last) {
				out.recovery = max(out.recovery, at.Sub(last))
			} else if !w.homeless && !w.server.loggedOut {
				out.recovery = most
			}
		}
		why := w.server.dead[w.server.logins]
		if s.rotates {
			for _, r := range w.store.records {
				if h := header(r); h.Final && h.Token != nil && why == "" {
					if why = "final though the server would go on"; w.server.refresh[h.Token.Refresh].login < w.server.logins {
						w.excused = w.excused || w.lossy // no process is left that knows the newest login
					}
				}
			}
		}
		if why == "revoked" && w.server.loggedOut {
			why = ""
		}
		out.died, out.why, out.savable = why != "", why, !w.excused
		if !out.died && !w.server.loggedOut && !w.homeless {
			for _, p := range w.procs {
				if w.recovered[p.n].Before(last) {
					w.violationf("I6: process %d has had no token for %v", p.n, time.Since(w.recovered[p.n]))
				}
			}
		}
		if !out.died {
			out.savable = false
		}
		out.requests, out.steps, out.found = w.server.requests, w.step, w.found
		for _, rt := range w.server.refresh {
			if rt.presented > 1 {
				out.twice++
			}
		}
		for _, p := range w.procs {
			out.slowest = max(out.slowest, p.slowest)
			out.loads += p.loads
			out.swaps += p.swaps
		}
		procs := w.all
		w.faults = nil
		w.mu.Unlock()
		close(w.ended)
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		for _, p := range procs {
			_ = p.cache.Close(gone)
		}
		w.wg.Wait()
		pass(time.Minute) // lets looks end
		out.trace = w.trace
	})
	return out
}

func simSetups() []setup {
	return []setup{
		{name: "warm", rotates: true, warm: true, life: 60 * time.Second, kills: true, procs: 3, length: 150 * time.Second},
		{name: "cold", rotates: true, life: 60 * time.Second, kills: true, procs: 3, length: 70 * time.Second},
		{name: "ends old", rotates: true, warm: true, life: 60 * time.Second, kills: true, endsOld: true, procs: 3, length: 150 * time.Second},
		{name: "app", life: 60 * time.Second, procs: 3, length: 150 * time.Second},
	}
}

var simulationTime = flag.Duration("simulation", 0, "how long the simulation of processes that share a Store runs; if 0, for 10 s")

// simFaults returns the kinds of faults that can happen at a step.
func simFaults() []fault {
	const s = time.Second
	return []fault{
		{"pause", 2 * s}, {"pause", 20 * s}, {"pause", 60 * s}, {"pause", 120 * s}, {"crash", 0},
		{"sleep", 20 * s}, {"sleep", 120 * s}, {"sleep", 1000 * s},
		{"request lost", 0}, {"request late", 20 * s}, {"request late", 60 * s}, {"response lost", 0}, {"response late", 20 * s},
		{"response late", 28 * s}, {"refused", 0}, {"500", 0}, {"503", 0}, {"429", 0}, {"outage", 10 * s}, {"outage", 60 * s},
		{"outage", 300 * s}, {"cut", 10 * s}, {"cut", 60 * s}, {"cut", 300 * s}, {"effect", 0}, {"no effect", 0},
		{"late effect", 4 * s}, {"empty", 0}, {"rollback", s}, {"rollback", 5 * s}, {"rollback", 20 * s}, {"failover", s},
		{"login", 0}, {"logout", 0}, {"reject", 0}, {"slow", 25 * s},
	}
}

// A tally is the sum of outcomes.
type tally struct {
	runs, died, savable, slow int
	found                     map[string]int
	examples                  map[string]string
}

func (a *tally) add(out outcome, what string) {
	a.runs++
	if out.died {
		a.died++
	}
	if out.savable {
		a.savable++
		a.examples["savable "+what] = out.why + "\n" + strings.Join(out.trace, "\n")
	}
	if !out.died && out.recovery > 100*time.Second {
		a.slow++
		a.examples["slow "+what] = strings.Join(out.trace, "\n")
	}
	for name, n := range out.found {
		a.found[name] += n
		a.examples[name+" "+what] = strings.Join(out.trace, "\n")
	}
}

// report prints the counts, and fails if a client could have done better. savable is the share of sessions that a model
// of the protocol lost although a client could have saved them.
func (a *tally) report(t *testing.T, what string, savable float64) {
	t.Helper()
	t.Logf("%d runs, %s: I4 %d, I5 %d stale and %d older, I6 %d (%d recovered after 100 s); I3 %d sessions died, %d of which could have been saved",
		a.runs, what, a.found["I4"], a.found["I5 stale"], a.found["I5 older"], a.found["I6"], a.slow, a.died, a.savable)
	n := 0
	for what, why := range a.examples {
		if n++; n <= 20 {
			t.Log(what, why)
		}
	}
	assert.Zero(t, a.found["I4"], "two processes present a refresh token at once")
	assert.Zero(t, a.found["I5 stale"], "a process uses a token from before a login that it has seen")
	assert.Zero(t, a.found["I5 older"], "an older record replaces a newer one")
	assert.Zero(t, a.found["I6"], "a process gets no token after the last fault")
	assert.LessOrEqual(t, float64(a.savable), max(1, savable*float64(a.runs)))
}

func TestSimulationOfSingleFaults(t *testing.T) {
	t.Parallel()
	all := tally{found: map[string]int{}, examples: map[string]string{}}
	deadline := time.Now().Add(max(*simulationTime, 10*time.Second) / 2)
	type run struct {
		seed  uint64
		setup setup
		step  int
		fault fault
	}
	var runs []run
	for _, s := range simSetups() {
		for seed := range uint64(4) {
			s.clocks, s.drift = seed == 3, seed >= 2
			for step := range simulate(t, seed, s, nil, false).steps {
				for _, f := range simFaults() {
					runs = append(runs, run{seed, s, step + 1, f})
				}
			}
		}
	}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) // different runs each time
	random.Shuffle(len(runs), func(i, j int) { runs[i], runs[j] = runs[j], runs[i] })
	for _, r := range runs {
		if time.Now().After(deadline) {
			break
		}
		out := simulate(t, r.seed, r.setup, map[int]fault{r.step: r.fault}, os.Getenv("SIM_TRACE") != "")
		all.add(out, fmt.Sprintf("%s,%d,%d,%s,%v", r.setup.name, r.seed, r.step, r.fault.kind, r.fault.d))
	}
	all.report(t, fmt.Sprintf("one fault each, of %d", len(runs)), 306.0/61600)
}

func TestSimulationOfManyFaults(t *testing.T) {
	t.Parallel()
	all := tally{found: map[string]int{}, examples: map[string]string{}}
	deadline := time.Now().Add(max(*simulationTime, 10*time.Second) / 2)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	kinds := simFaults()
	for time.Now().Before(deadline) {
		s := setup{
			name: "random", rotates: random.IntN(4) > 0, warm: random.IntN(2) == 0, kills: random.IntN(4) > 0, endsOld: random.IntN(4) == 0,
			clocks: random.IntN(4) == 0, drift: random.IntN(2) == 0, brief: random.IntN(8) == 0, procs: 2 + random.IntN(7),
			life:  []time.Duration{time.Minute, 90 * time.Second, 200 * time.Second, 10 * time.Minute}[random.IntN(4)],
			grace: []time.Duration{0, 0, 0, 30 * time.Second}[random.IntN(4)],
		}
		s.length = min(s.life*5/2, 600*time.Second)
		faults := map[int]fault{}
		var said []string
		for range random.IntN(7) {
			step, f := 1+random.IntN(60*s.procs), kinds[random.IntN(len(kinds))]
			faults[step] = f
			said = append(said, fmt.Sprintf("%d %s %v", step, f.kind, f.d))
		}
		out := simulate(t, random.Uint64(), s, faults, os.Getenv("SIM_TRACE") != "")
		all.add(out, fmt.Sprintf("%+v %v", s, said))
	}
	all.report(t, "up to six faults each", 90.0/14000)
}

func TestSimulationOne(t *testing.T) {
	what := os.Getenv("SIM_ONE") // setup,seed,step,kind,duration
	if what == "" {
		t.Skip("no run is asked for")
	}
	parts := strings.Split(what, ",")
	for _, s := range simSetups() {
		if s.name != parts[0] {
			continue
		}
		seed, _ := strconv.ParseUint(parts[1], 10, 64)
		s.clocks, s.drift = seed == 3, seed >= 2
		step, _ := strconv.Atoi(parts[2])
		d, _ := time.ParseDuration(parts[4])
		out := simulate(t, seed, s, map[int]fault{step: {parts[3], d}}, true)
		for _, line := range out.trace {
			t.Log(line)
		}
		t.Logf("%+v", out.found)
		t.Log(out.died, out.why, out.savable, out.recovery)
	}
}

// Without faults there is one request per renewal, no refresh token is presented twice, nobody waits longer than for a
// request, a poll and two swaps, and there are few calls of the Store: I1, I2 and I7.
func TestSimulationQuiet(t *testing.T) {
	for _, s := range simSetups() {
		for _, s.drift = range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, drift %t", s.name, s.drift), func(t *testing.T) {
				s.procs = 8
				s.length = 10 * s.life
				out := simulate(t, 1, s, nil, true)
				renewals := int(s.length/(s.life*7/10)) + 1
				t.Logf("%d processes, %v: I1 %d requests for at most %d renewals; I2 %d presented twice, the longest wait was %v; I7 %d loads and %d swaps",
					s.procs, s.length, out.requests, renewals, out.twice, out.slowest, out.loads, out.swaps)
				assert.LessOrEqual(t, out.requests, renewals)
				assert.GreaterOrEqual(t, out.requests, int(s.length/s.life)-1)
				assert.Zero(t, out.twice)
				assert.LessOrEqual(t, out.slowest, 60*time.Millisecond+250*time.Millisecond+4*2*4*time.Millisecond)
				// Ten looks per life and, at a renewal, one look and one more per second for processes that see another's attempt.
				assert.LessOrEqual(t, out.loads, s.procs*int(s.length/s.life)*(10+2+2*4))
				assert.LessOrEqual(t, out.swaps, 2*out.requests+2*s.procs) // at the start each process may try to begin
				assert.Empty(t, out.found)
				assert.False(t, out.died)
				if t.Failed() {
					t.Log(strings.Join(out.trace, "\n"))
				}
			})
		}
	}
}
