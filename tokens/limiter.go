package tokens

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultMaxWait = 2 * time.Minute
	growEvery      = 5 * time.Second // the number of requests in flight doubles in this time
	fewAtFirst     = 4               // requests in flight after the first 429
	dissolveAt     = 64              // requests in flight at which a Limiter no longer limits anything
	firstClosing   = time.Second     // how long a 429 without a hint closes a Limiter
	maxClosing     = 30 * time.Second
)

// A Limiter lets callers share what one of them learns of a server's rate limit, so that a 429 holds back all of them, and
// none fails because of it. The zero value is ready to use. A Limiter must not be copied after first use.
//
// Until the first 429 it does nothing, and costs one atomic load per request. A 429 closes it for all until the time that
// Retry-After or the vendor's reset header says, or else for a second, and for twice as long each time that nothing but 429
// came since, up to 30 s. Then few requests are in flight at a time: four after the first 429, and after each later one half
// as many as there were, but at least one. Where nothing but 429 came since the last opening, one request goes ahead of the
// others. Their number doubles every 5 s without a 429. At 64 the Limiter does nothing again.
//
// If responses say how many requests remain (X-Organization-Rate-Limit-Remaining and -Reset, as at ThousandEyes), then
// these are spread evenly over the rest of the window as soon as less than 80 % of the limit remains, before any 429.
//
// Requests go in the order in which their calls came; one that was refused keeps its place. Requests for tokens are counted
// apart and go first, because the others may wait for the token.
//
// A [Doer] waits at the Limiter of its options or of its [Source]. What the rate limit costs a call is bounded by its
// context and by MaxWait, and not by the Doer's Timeout; but while the call waits for a token its Timeout runs, whatever
// holds up the token, and a [Cache] waits with its own request for less than a minute.
type Limiter struct {
	// MaxWait is how long the rate limit may hold up a call, counted from when the call first had to wait or was refused. A
	// call that would have to wait longer fails at once. If zero, it is 2 minutes. It must not be negative, and must not be
	// changed after first use.
	MaxWait time.Duration

	// state is twice the generation, plus one if requests queue.
	state atomic.Uint64

	mu         sync.Mutex
	limited    bool      // a 429 came, and the number in flight has not grown to dissolveAt since
	closed     bool      // a 429 of this generation came
	until      time.Time // when a closed Limiter opens
	hold       time.Time // until when late 429s of older generations keep everyone waiting
	generation uint64    // counts the openings
	opened     time.Time // when the number in flight began to grow
	few        float64   // requests in flight at the opening
	inFlight   [lanes]int
	peak       int  // the most in flight in one lane since the opening
	successes  int  // since the opening
	fruitless  int  // rounds in a row without a success; a round is what lies between an opening and the next closing
	served     bool // a round since limited was set had a success
	window     window
	queues     [lanes]queue
	arrivals   uint64
	timer      *time.Timer
	refused    int64
	logger     *slog.Logger // that of the call that closed the Limiter
	lines      []func()     // log lines to be written once mu is free
}

// A lane is a kind of request that is counted apart from others. An API request in flight may be waiting for a token: if the
// request for the token then had to wait until the API request is done, neither would ever be sent.
type lane int

const (
	tokenLane lane = iota
	apiLane
	lanes
)

// A visit is one call at a Limiter. Its requests, the first and those that repeat it, have the same place in the queue.
type visit struct {
	lane    lane
	arrival time.Time // when the call began
	latest  time.Time // when it is too late for a turn, whatever MaxWait is; if zero, it never is
	logger  *slog.Logger

	number uint64    // orders the calls that arrived at the same instant; 0 until it is given
	giveUp time.Time // when MaxWait is over, or latest; zero until the call has to wait or is refused
}

// A turn is the right to send one request. Its done method must be called once.
type turn struct {
	limiter    *Limiter
	visit      *visit
	generation uint64
	counted    bool      // in inFlight
	sent       time.Time // not after the request was sent
}

// A limitError is the error of a request that would have to wait longer than MaxWait or its context allows.
type limitError struct{ retryAfter time.Duration }

func (*limitError) Error() string {
	return "waiting for the rate limit would take longer than the Limiter's MaxWait or the context allows"
}

func (l *Limiter) check() error {
	if l != nil && l.MaxWait < 0 {
		return errors.New("Limiter.MaxWait is negative; leave it zero for 2 minutes")
	}
	return nil
}

// take waits for the turn to send a request. The error is a *limitError, or that of ctx.
func (l *Limiter) take(ctx context.Context, v *visit) (turn, error) {
	if turn, ok := l.takeNow(v); ok {
		return turn, nil
	}
	w, err := l.enter(ctx, v, false)
	if err != nil {
		return turn{}, err
	}
	return l.await(ctx, w)
}

// takeNow takes the turn to send a request if the Limiter does nothing.
func (l *Limiter) takeNow(v *visit) (turn, bool) {
	state := l.state.Load()
	if state&1 != 0 {
		return turn{}, false
	}
	return turn{limiter: l, visit: v, generation: state >> 1, sent: v.arrival}, true
}

// enter begins to wait for a turn, unless the wait would be too long. A request that was refused gets none once MaxWait is
// over; any other still gets one that it need not wait for.
func (l *Limiter) enter(ctx context.Context, v *visit, refused bool) (*waiter, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	l.mu.Lock()
	now := time.Now()
	l.startMaxWait(v, now)
	w := newWaiter(ctx, v)
	opening := l.opening(now)
	if refused && !now.Before(w.deadline) || opening.After(now) && opening.After(w.deadline) {
		err := l.tooLong(now)
		l.settle(now)
		return nil, err
	}
	l.enqueue(w)
	l.settle(now)
	return w, nil
}

// startMaxWait notes from when on MaxWait counts for a call.
func (l *Limiter) startMaxWait(v *visit, now time.Time) {
	if !v.giveUp.IsZero() {
		return
	}
	maxWait := l.MaxWait
	if maxWait == 0 {
		maxWait = defaultMaxWait
	}
	v.giveUp = now.Add(maxWait)
	if !v.latest.IsZero() && v.latest.Before(v.giveUp) {
		v.giveUp = v.latest
	}
}

// await waits until w has its turn, or its wait is over without one.
func (l *Limiter) await(ctx context.Context, w *waiter) (turn, error) {
	select {
	case <-w.ready: // before anything else: most turns are given at once
		return w.turn, w.err
	default:
	}
	timer := time.NewTimer(time.Until(w.visit.giveUp))
	defer timer.Stop()
	select {
	case <-w.ready:
		return w.turn, w.err
	case <-ctx.Done():
		_ = l.leave(w)
		return turn{}, ctx.Err()
	case <-timer.C:
		select {
		case <-w.ready: // in the same instant
			return w.turn, w.err
		default:
			return turn{}, l.leave(w)
		}
	}
}

// leave takes w out of the queue. If it was given its turn in this very instant, the turn goes to the next.
func (l *Limiter) leave(w *waiter) error {
	l.mu.Lock()
	now := time.Now()
	if w.queued() {
		l.queues[w.visit.lane].remove(w)
	} else if w.err == nil {
		l.inFlight[w.visit.lane]--
	}
	err := l.tooLong(now)
	l.settle(now)
	return err
}

// done ends a turn: with the response or, if there is none, with nil.
func (t turn) done(resp *http.Response) {
	l := t.limiter
	refused := resp != nil && resp.StatusCode == http.StatusTooManyRequests
	var remains remains
	if resp != nil {
		remains = remainsOf(resp)
	}
	if !t.counted && !refused && !remains.scarce() {
		return
	}
	l.mu.Lock()
	now := time.Now()
	if t.counted {
		l.inFlight[t.visit.lane]--
	}
	opening := l.opening(now)
	if remains.known {
		l.window.update(remains, now)
	}
	switch {
	case refused:
		l.refused++
		l.startMaxWait(t.visit, now)
		l.refuse(t, retryAfter(resp, now), now)
	case resp != nil && resp.StatusCode < 500 && t.generation == l.generation && !l.closed:
		l.successes++
	}
	if l.opening(now).After(opening) {
		l.failLate(now)
	}
	l.settle(now)
}

// refuse closes the Limiter after a 429. It does so once per generation: of ten requests in flight that are all refused the
// first one says all there is to say.
func (l *Limiter) refuse(t turn, hint time.Duration, now time.Time) {
	hint = min(max(hint, 0), maxHint)
	switch {
	case t.generation != l.generation:
		// Sent before the last opening. It was refused at its sending or later, so its wait does not end before this:
		if hold := t.sent.Add(hint); l.limited && hold.After(l.hold) {
			l.hold = hold
			l.opened = laterOf(l.opened, hold) // nothing grows while nothing is sent
		}
		return
	case l.closed:
		l.until = laterOf(l.until, now.Add(hint))
		return
	case !l.limited:
		l.few, l.fruitless, l.served = fewAtFirst, 0, false
	case l.successes > 0:
		l.few, l.fruitless, l.served = max(1, float64(l.peak)/2), 0, true
	default:
		l.fruitless++
		if l.served { // else nothing is known yet of how many the server takes
			l.few = max(1, l.few/2)
		}
	}
	wait := hint
	if hint == 0 || l.fruitless > 0 {
		wait = max(wait, closing(l.fruitless))
	}
	l.limited, l.closed, l.until, l.logger = true, true, now.Add(wait), t.visit.logger
	l.log("rate limit reached, requests wait", next{"opening", wait.Round(time.Millisecond)}, slog.Int("waiting", l.waiting()))
}

// closing is how long a Limiter stays closed if the server does not say, after so many rounds without a success. Part of it is
// random, so that processes that share a limit do not come back together.
func closing(fruitless int) time.Duration {
	wait := maxClosing
	if fruitless < 5 {
		wait = firstClosing << fruitless
	}
	return wait + rand.N(wait/4+1)
}

// settle opens the Limiter if it is time, hands out the turns that are due, and unlocks mu.
func (l *Limiter) settle(now time.Time) {
	if l.closed && !now.Before(l.until) {
		l.open()
	}
	var next time.Time // when to look again
	for lane := range lanes {
		for queue := &l.queues[lane]; queue.Len() > 0; {
			if at := l.nextTurn(lane, now); at.After(now) {
				if next.IsZero() || at.Before(next) {
					next = at
				}
				break
			}
			l.give(queue.pop(), now)
		}
	}
	l.setTimer(next, now)
	if l.limited && !l.closed && l.most(now) >= dissolveAt && l.waiting() == 0 && !now.Before(l.hold) {
		l.limited = false
	}
	state := l.generation << 1
	if l.limited || l.waiting() > 0 || l.window.paces(l.inFlight, apiLane, now) {
		state++
	}
	l.state.Store(state)
	lines := l.lines
	l.lines = nil
	l.mu.Unlock()
	for _, line := range lines {
		line() // a log handler may take its time, or use this Limiter
	}
}

// open opens the Limiter as of the time when that was due: while nobody waits, nobody opens it.
func (l *Limiter) open() {
	l.closed = false
	l.generation++
	l.opened = laterOf(l.until, l.hold)
	l.successes = 0
	l.peak = max(l.inFlight[tokenLane], l.inFlight[apiLane])
	l.log("requests are sent again after a rate limit", next{"more in flight", growEvery},
		slog.Int("in_flight", int(l.atOpening())), slog.Int("waiting", l.waiting()))
}

// most is how many requests may be in flight in one lane.
func (l *Limiter) most(now time.Time) int { return grown(l.atOpening(), now.Sub(l.opened)) }

// atOpening is how many requests may be in flight at the opening. After a round without a success one request goes ahead, and
// others follow when it succeeds, or as time passes.
func (l *Limiter) atOpening() float64 {
	if l.fruitless > 0 && l.successes == 0 {
		return 1
	}
	return l.few
}

// nextTurn is the earliest time at which the next request may be sent, as far as is known.
func (l *Limiter) nextTurn(lane lane, now time.Time) time.Time {
	if l.closed {
		return l.until
	}
	at := l.window.nextTurn(l.inFlight, lane, now)
	if l.limited {
		at = laterOf(at, l.hold)
		if most := l.most(now); l.inFlight[lane] >= most {
			at = laterOf(at, l.opened.Add(growing(l.atOpening(), most+1)))
		}
	}
	return at
}

// opening is the time before which certainly no request is sent.
func (l *Limiter) opening(now time.Time) time.Time {
	at := l.window.opening(now)
	if l.limited {
		at = laterOf(at, l.hold)
	}
	if l.closed {
		at = laterOf(at, l.until)
	}
	return at
}

func (l *Limiter) give(w *waiter, now time.Time) {
	lane := w.visit.lane
	l.inFlight[lane]++
	l.peak = max(l.peak, l.inFlight[lane])
	l.window.lastSent = now
	w.turn = turn{limiter: l, visit: w.visit, generation: l.generation, counted: true, sent: now}
	close(w.ready)
}

// failLate ends the wait of all whose time is over before the Limiter opens.
func (l *Limiter) failLate(now time.Time) {
	err := l.tooLong(now)
	for lane := range l.queues {
		for _, w := range l.queues[lane].before(l.opening(now)) {
			l.queues[lane].remove(w)
			w.err = err
			close(w.ready)
		}
	}
}

func (l *Limiter) tooLong(now time.Time) *limitError {
	return &limitError{max(l.opening(now).Sub(now), time.Second)}
}

// holdsUp returns why requests of a lane wait, or nil if none does.
func (l *Limiter) holdsUp(lane lane) *limitError {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queues[lane].Len() == 0 {
		return nil
	}
	return l.tooLong(time.Now())
}

func (l *Limiter) setTimer(at, now time.Time) {
	switch {
	case at.IsZero():
		if l.timer != nil {
			l.timer.Stop()
		}
	case l.timer == nil:
		l.timer = time.AfterFunc(at.Sub(now), func() {
			l.mu.Lock()
			l.settle(time.Now())
		})
	default:
		l.timer.Reset(at.Sub(now))
	}
}

func (l *Limiter) waiting() int { return l.queues[tokenLane].Len() + l.queues[apiLane].Len() }

func (l *Limiter) log(message string, n next, attrs ...slog.Attr) {
	if logger := l.logger; logger != nil {
		l.lines = append(l.lines, func() {
			logger.LogAttrs(context.Background(), slog.LevelInfo, message, append(attrs, n.attrs()...)...)
		})
	}
}

// LimiterStats says what a [Limiter] does.
type LimiterStats struct {
	Waiting     int       // requests that wait for their turn now
	InFlight    int       // requests in flight now; those sent while the Limiter did nothing are not counted
	ClosedUntil time.Time // before this time nothing is sent; zero if requests may be sent now
	Refused     int64     // responses of status 429 so far
}

// Stats returns what the Limiter does now. That of a nil Limiter, as [Cache.Limiter] may return, is zero.
func (l *Limiter) Stats() LimiterStats {
	if l == nil {
		return LimiterStats{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LimiterStats{Waiting: l.waiting(), InFlight: l.inFlight[tokenLane] + l.inFlight[apiLane], Refused: l.refused}
	if now := time.Now(); l.opening(now).After(now) {
		s.ClosedUntil = l.opening(now)
	}
	return s
}

// grown is what few has grown to after a while, rounded down.
func grown(few float64, after time.Duration) int {
	const largest = 1 << 30 // so that it can be an int
	return int(min(largest, few*math.Exp2(max(0, after.Seconds())/growEvery.Seconds())))
}

// growing is how long few takes to grow to n.
func growing(few float64, n int) time.Duration {
	return time.Duration(math.Ceil(math.Log2(float64(n)/few) * float64(growEvery)))
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
