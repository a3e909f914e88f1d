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
	growEvery      = 5 * time.Second // the limit on requests in flight doubles in this time
	fewAtFirst     = 4               // limit on requests in flight after the first 429
	dissolveAt     = 64              // limit on requests in flight at which the Limiter becomes idle again
	firstClosing   = time.Second     // how long a 429 without a hint closes a Limiter
	maxClosing     = 30 * time.Second
)

// A Limiter lets callers share what one of them learns about a server's rate limit, so that a 429 delays all of them
// and none fails because of it. The zero value is ready to use. A Limiter is safe for concurrent use, and must not be
// copied after first use.
//
// Until the first 429, a Limiter does nothing and costs one atomic load per request. A 429 closes it for all callers
// until the time that Retry-After or the vendor's reset header says. Without such a header it closes for one second,
// and for twice as long each time that it received nothing but 429 since it last opened, up to 30 s. After that it
// limits the requests in flight: to four after the first 429, and after each later one to half as many as before, but
// at least one. If it received nothing but 429 since it last opened, it first sends a single request. The limit doubles
// every 5 s without a 429. At 64 the Limiter does nothing again.
//
// If responses say how many requests remain (X-Organization-Rate-Limit-Remaining and -Reset, as at ThousandEyes), the
// Limiter spreads these evenly over the rest of the window, as soon as less than 80 % of the limit remains. It does so
// even before the first 429.
//
// Requests are sent in the order in which their calls began; a request that was refused keeps its place. Token requests
// are counted separately and go first, because other requests may be waiting for the token.
//
// A [Doer] waits at the Limiter of its options or of its [Source]. MaxWait and the call's context limit that wait; the
// Doer's Timeout does not. The Timeout does include the time that the call waits for a token, whatever delays the
// token, and a [Cache] delays its own request for less than a minute.
type Limiter struct {
	// MaxWait is how long a rate limit may delay a call, counted from when the call first had to wait or was refused. A
	// call that would have to wait longer fails at once. If zero, it is 2 minutes. It must not be negative, and must not
	// be changed after first use.
	MaxWait time.Duration

	// state is twice the generation, plus one if requests must queue.
	state atomic.Uint64

	mu         sync.Mutex
	limited    bool      // there was a 429, and the limit has not grown to dissolveAt since
	closed     bool      // there was a 429 in this generation
	until      time.Time // when a closed Limiter opens
	hold       time.Time // all wait until then, because of a late 429 from an older generation
	generation uint64    // how often the Limiter has opened
	opened     time.Time // when the limit began to grow
	few        float64   // the limit on requests in flight when the Limiter opened
	inFlight   [lanes]int
	peak       int  // the most requests in flight in one lane since it opened
	successes  int  // since it opened
	fruitless  int  // consecutive rounds without a success; a round lasts from opening to closing
	served     bool // a round had a success since limited was set
	window     window
	queues     [lanes]queue
	arrivals   uint64
	timer      *time.Timer
	refused    int64
	logger     *slog.Logger // the logger of the call that closed the Limiter
	lines      []func()     // log lines to write after mu is unlocked
}

// A lane is a kind of request that is counted separately. An API request in flight may be waiting for a token. If the
// request for that token had to wait until the API request is done, neither would ever be sent.
type lane int

const (
	tokenLane lane = iota
	apiLane
	lanes
)

// A visit is one call at a Limiter. The first request of the call and its retries have the same place in the queue.
type visit struct {
	lane    lane
	arrival time.Time // when the call began
	latest  time.Time // the latest time for a turn, whatever MaxWait is; if zero, there is none
	logger  *slog.Logger

	number uint64    // orders calls that arrived at the same instant; 0 until assigned
	giveUp time.Time // the end of MaxWait or latest; zero until the call must wait or is refused
}

// A turn is the right to send one request. Its done method must be called exactly once.
type turn struct {
	limiter    *Limiter
	visit      *visit
	generation uint64
	counted    bool      // it is part of inFlight
	sent       time.Time // a time before the request was sent
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

// take waits for a turn. The error is a *limitError or that of ctx.
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

// takeNow returns a turn if the Limiter does nothing at the moment.
func (l *Limiter) takeNow(v *visit) (turn, bool) {
	state := l.state.Load()
	if state&1 != 0 {
		return turn{}, false
	}
	return turn{limiter: l, visit: v, generation: state >> 1, sent: v.arrival}, true
}

// enter begins to wait for a turn, unless the wait would be too long. Once MaxWait is over, a request that was refused
// gets no turn; any other request still gets one that is available at once.
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

// startMaxWait starts MaxWait for a call, unless it has started.
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

// await waits until w gets its turn, or its time is over.
func (l *Limiter) await(ctx context.Context, w *waiter) (turn, error) {
	select {
	case <-w.ready: // checked first, because most turns are given at once
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
		case <-w.ready: // at the same instant
			return w.turn, w.err
		default:
			return turn{}, l.leave(w)
		}
	}
}

// leave removes w from the queue. If w was given its turn at this very instant, the turn goes to the next waiter.
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

// done ends a turn. resp is nil if there was no response.
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

// refuse closes the Limiter after a 429. It does so once per generation: if ten requests in flight are all refused, the
// first one says it all.
func (l *Limiter) refuse(t turn, hint time.Duration, now time.Time) {
	hint = min(max(hint, 0), maxHint)
	switch {
	case t.generation != l.generation:
		// The request was sent before the Limiter last opened, and refused after that. So its wait lasts at least until:
		if hold := t.sent.Add(hint); l.limited && hold.After(l.hold) {
			l.hold = hold
			l.opened = laterOf(l.opened, hold) // the limit does not grow while nothing is sent
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
		if l.served { // otherwise it is not known yet how many requests the server accepts
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

// closing returns how long a Limiter stays closed if the server does not say, given the number of rounds without a
// success. Part of it is random, so that processes that share a limit do not resume at the same time.
func closing(fruitless int) time.Duration {
	wait := maxClosing
	if fruitless < 5 {
		wait = firstClosing << fruitless
	}
	return wait + rand.N(wait/4+1)
}

// settle opens the Limiter if it is time, gives the turns that are due, and unlocks mu.
func (l *Limiter) settle(now time.Time) {
	if l.closed && !now.Before(l.until) {
		l.open()
	}
	var next time.Time // when to call settle again
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
		line() // without the lock: a log handler may be slow, or use this Limiter
	}
}

// open opens the Limiter as of the time when that was due. Without waiting requests, that may be long ago.
func (l *Limiter) open() {
	l.closed = false
	l.generation++
	l.opened = laterOf(l.until, l.hold)
	l.successes = 0
	l.peak = max(l.inFlight[tokenLane], l.inFlight[apiLane])
	l.log("requests are sent again after a rate limit", next{"more in flight", growEvery},
		slog.Int("in_flight", int(l.atOpening())), slog.Int("waiting", l.waiting()))
}

// most returns the limit on requests in flight in one lane.
func (l *Limiter) most(now time.Time) int { return grown(l.atOpening(), now.Sub(l.opened)) }

// atOpening returns the limit on requests in flight when the Limiter opened. After a round without a success it is one;
// others follow when that request succeeds, or as time passes.
func (l *Limiter) atOpening() float64 {
	if l.fruitless > 0 && l.successes == 0 {
		return 1
	}
	return l.few
}

// nextTurn returns the earliest time at which the next request may be sent, as far as is known.
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

// opening returns a time before which no request can be sent.
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

// failLate fails all waiters whose time will be over before the Limiter opens.
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

// holdsUp returns the reason why requests of a lane are waiting, or nil if none is.
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

// LimiterStats is a snapshot of a [Limiter].
type LimiterStats struct {
	Waiting     int       // requests that wait for their turn
	InFlight    int       // requests in flight, except those sent while the Limiter did nothing
	ClosedUntil time.Time // nothing is sent before this; zero if requests may be sent now
	Refused     int64     // responses with status 429 so far
}

// Stats returns a snapshot of the Limiter. It is zero for a nil Limiter, as [Cache.Limiter] may return.
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

// grown returns the limit few after it has grown for a while, rounded down.
func grown(few float64, after time.Duration) int {
	const largest = 1 << 30 // fits an int on all platforms
	return int(min(largest, few*math.Exp2(max(0, after.Seconds())/growEvery.Seconds())))
}

// growing returns how long the limit few takes to grow to n.
func growing(few float64, n int) time.Duration {
	return time.Duration(math.Ceil(math.Log2(float64(n)/few) * float64(growEvery)))
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
