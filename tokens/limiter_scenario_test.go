package tokens

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/grantwright/oauth-go/sandbox"
)

// A network passes requests to a handler in memory, each after 20 to 150 ms, and one in a hundred after up to 2 s.
type network struct {
	handler http.RoundTripper
	headers bool // if false, rate-limit headers are removed
	skew    time.Duration
	refuse  atomic.Pointer[func() string] // if not nil, every request is refused, and the result is its Retry-After

	mu       sync.Mutex
	random   *rand.Rand
	requests int
	refused  int
}

func (n *network) latency() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests++
	if n.random.IntN(100) == 0 {
		return 20*time.Millisecond + time.Duration(n.random.Int64N(int64(1980*time.Millisecond)))
	}
	return 20*time.Millisecond + time.Duration(n.random.Int64N(int64(130*time.Millisecond)))
}

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	if p, ok := req.Context().Value(progressKey{}).(*progress); ok {
		p.sent = time.Now()
	}
	latency := n.latency()
	if err := sleep(req.Context(), latency/2); err != nil {
		return nil, err
	}
	var resp *http.Response
	var err error
	if hint := n.refuse.Load(); hint != nil {
		resp, err = reply(http.StatusTooManyRequests, "", "", "Retry-After", (*hint)())(req)
	} else {
		resp, err = n.handler.RoundTrip(req)
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		n.mu.Lock()
		n.refused++
		n.mu.Unlock()
	}
	const prefix = "X-Organization-Rate-Limit-"
	resp.Header.Set("Date", time.Now().Add(n.skew).UTC().Format(http.TimeFormat))
	if reset, err := strconv.ParseInt(resp.Header.Get(prefix+"Reset"), 10, 64); err == nil {
		resp.Header.Set(prefix+"Reset", strconv.FormatInt(reset+int64(n.skew/time.Second), 10))
	}
	if !n.headers {
		for _, name := range []string{"Limit", "Remaining", "Reset"} {
			resp.Header.Del(prefix + name)
		}
	}
	if err := sleep(req.Context(), latency/2); err != nil {
		return nil, err
	}
	return resp, nil
}

const accessToken = "access-token-of-the-scenarios"

// A progress is the state of one call.
type progress struct {
	began, sent, ended time.Time // sent is when it was last sent
	err                error
}

type progressKey struct{}

// A scenario is a series of calls against a server with a rate limit.
type scenario struct {
	net     *network
	server  *sandbox.ThousandEyes
	limit   sandbox.Limit
	started time.Time

	mu    sync.Mutex
	calls []*progress
}

func newScenario(seed uint64, limit sandbox.Limit) *scenario {
	if limit.RetryAfter == nil {
		limit.RetryAfter = func(wait time.Duration) string { return strconv.Itoa(int((wait + time.Second - 1) / time.Second)) }
	}
	server := sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{RateLimit: limit, NoRequests: true})
	server.Issue(sandbox.Token{AccessToken: accessToken, Expires: time.Now().Add(24 * time.Hour)})
	net := &network{handler: sandbox.Transport(server), random: rand.New(rand.NewPCG(seed, 1))}
	pass(time.Duration(net.random.Int64N(int64(limit.Per / 2)))) // aligned windows do not begin with the first request
	return &scenario{net: net, server: server, limit: limit, started: time.Now()}
}

// A caller makes one call.
type caller func(context.Context) error

// process returns a caller with its own Doer and Limiter, like another process.
func (s *scenario) process(l *Limiter) caller {
	d, err := NewDoer(Static(accessToken), &DoerOptions{BaseURL: apiURL, HTTPClient: &http.Client{Transport: s.net}, Limiter: l})
	if err != nil {
		panic(err)
	}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, apiURL+"/v7/tests", nil)
		if err != nil {
			return err
		}
		resp, err := d.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
}

func (s *scenario) call(ctx context.Context, call caller) *progress {
	p := &progress{began: time.Now()}
	p.err = call(context.WithValue(ctx, progressKey{}, p))
	p.ended = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, p)
	return p
}

// batch makes n calls with the given number of workers.
func (s *scenario) batch(n, workers int, call caller) {
	var begun atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for begun.Add(1) <= int64(n) {
				s.call(context.Background(), call)
			}
		})
	}
	wg.Wait()
}

// ideal returns the minimum time in which the server accepts n requests.
func (s *scenario) ideal(n int) time.Duration {
	l := s.limit
	whole := l.Per * time.Duration((n-1)/l.Requests)
	switch l.Window {
	case sandbox.WindowBucket:
		return time.Duration(n-l.Requests) * l.Per / time.Duration(l.Requests)
	case sandbox.WindowAligned:
		return s.started.Truncate(l.Per).Add(whole).Sub(s.started)
	default:
		return whole
	}
}

// figures are the results of one run of a scenario.
type figures struct {
	requests  float64
	refused   float64 // in per cent
	ideal     float64 // the duration, as a multiple of the ideal one; 0 if there is none
	worst     float64 // the longest call, in seconds
	share     float64 // of the second process, in per cent
	recovery  float64 // the time from a disturbance to the end of the last slow call, in seconds
	failed    int
	overtaken float64 // the largest difference in arrival between a caller and a later one served before it, in seconds
	err       error   // the error of a failed call
}

// figures returns the results of the calls so far. n is the number of accepted requests for the ideal time; 0 if there
// is none.
func (s *scenario) figures(n int) figures {
	f := figures{requests: float64(s.net.requests), refused: 100 * float64(s.net.refused) / float64(s.net.requests)}
	if n > 0 {
		f.ideal = time.Since(s.started).Seconds() / s.ideal(n).Seconds()
	}
	for _, p := range s.calls {
		f.worst = max(f.worst, p.ended.Sub(p.began).Seconds())
		if p.err != nil {
			f.failed++
			f.err = p.err
		}
	}
	return f
}

var scenarioSeeds = flag.Uint64("seeds", 1, "how many times each scenario of the Limiter runs, with as many random programs each time")

// seeds runs a scenario several times, prints a table row with the median and the worst results, and returns the worst.
func seeds(t *testing.T, name string, run func(t *testing.T, seed uint64) figures) figures {
	t.Helper()
	var all []figures
	for seed := range *scenarioSeeds {
		synctest.Test(t, func(t *testing.T) { all = append(all, run(t, seed)) })
	}
	var worst figures
	for _, f := range all {
		worst.failed += f.failed
		if f.err != nil {
			worst.err = f.err
		}
	}
	row := fmt.Sprintf("%-48s failed %d", name, worst.failed)
	column := func(format string, of func(*figures) *float64) {
		slices.SortFunc(all, func(a, b figures) int { return cmp.Compare(*of(&a), *of(&b)) })
		median, most := *of(&all[len(all)/2]), *of(&all[len(all)-1])
		*of(&worst) = most
		row += fmt.Sprintf(" | "+format, median, most)
	}
	column("requests %5.0f / %5.0f", func(f *figures) *float64 { return &f.requests })
	column("refused %5.1f / %5.1f %%", func(f *figures) *float64 { return &f.refused })
	column("worst wait %4.1f / %4.1f s", func(f *figures) *float64 { return &f.worst })
	if all[0].ideal > 0 {
		column("time %.2f / %.2f × ideal", func(f *figures) *float64 { return &f.ideal })
	}
	if all[0].share > 0 {
		column("share %2.0f / %2.0f %%", func(f *figures) *float64 { return &f.share })
	}
	if all[0].recovery > 0 {
		column("recovery %4.1f / %4.1f s", func(f *figures) *float64 { return &f.recovery })
	}
	if all[0].overtaken > 0 {
		column("overtaken %.2f / %.2f s", func(f *figures) *float64 { return &f.overtaken })
	}
	t.Log(row)
	return worst
}

// kinds are the ways in which servers count requests, with the permitted time over the ideal for each.
var kinds = []struct {
	name    string
	window  sandbox.Window
	ideal   float64
	refused float64 // in per cent, with two processes
}{
	{"fixed windows", sandbox.WindowAligned, 1.1, 6},
	{"windows from the first request", sandbox.WindowFromFirst, 1.2, 11},
	{"a sliding window", sandbox.WindowSliding, 1.2, 11},
	{"a bucket", sandbox.WindowBucket, 1.1, 11},
}

func hundredPer10s(w sandbox.Window) sandbox.Limit {
	return sandbox.Limit{Requests: 100, Per: 10 * time.Second, Window: w}
}

func TestLimiterBatch(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		worst := seeds(t, kind.name, func(t *testing.T, seed uint64) figures {
			s := newScenario(seed, hundredPer10s(kind.window))
			s.batch(2000, 50, s.process(new(Limiter)))
			return s.figures(2000)
		})
		assert.Zero(t, worst.failed, worst.err)
		assert.LessOrEqual(t, worst.requests, 2120.0)
		assert.LessOrEqual(t, worst.ideal, kind.ideal)
	}
}

func TestLimiterWithHeaders(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{0, 30 * time.Second, -30 * time.Second} {
		worst := seeds(t, fmt.Sprintf("headers, clock %v ahead", skew), func(t *testing.T, seed uint64) figures {
			s := newScenario(seed, sandbox.Limit{
				Requests: 240, Per: time.Minute, Window: sandbox.WindowAligned, RetryAfter: func(time.Duration) string { return "" },
			})
			s.net.headers, s.net.skew = true, skew
			s.batch(1000, 50, s.process(new(Limiter)))
			return s.figures(1000)
		})
		assert.Zero(t, worst.failed, worst.err)
		assert.LessOrEqual(t, worst.refused, 0.5)
		assert.LessOrEqual(t, worst.ideal, 1.05)
	}
}

func TestLimiterTwoProcesses(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		for _, later := range []time.Duration{0, time.Minute} {
			least := 100.0
			worst := seeds(t, fmt.Sprintf("%s, second %v later", kind.name, later), func(t *testing.T, seed uint64) figures {
				s := newScenario(seed, hundredPer10s(kind.window))
				begin, end := s.started.Add(later), s.started.Add(4*time.Minute)
				var counts [2]atomic.Int64
				var wg sync.WaitGroup
				for p := range counts {
					call := s.process(new(Limiter))
					for range 25 {
						wg.Go(func() {
							if p == 1 {
								pass(later)
							}
							for time.Now().Before(end) {
								if s.call(context.Background(), call); time.Now().After(begin) {
									counts[p].Add(1)
								}
							}
						})
					}
				}
				wg.Wait()
				f := s.figures(0)
				f.share = 100 * float64(counts[1].Load()) / float64(counts[0].Load()+counts[1].Load())
				least = min(least, f.share)
				return f
			})
			assert.Zero(t, worst.failed, worst.err)
			assert.LessOrEqual(t, worst.refused, kind.refused)
			assert.LessOrEqual(t, worst.share, 60.0)
			assert.GreaterOrEqual(t, least, 40.0)
		}
	}
}

func TestLimiterWhenTheLimitDrops(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		worst := seeds(t, kind.name, func(t *testing.T, seed uint64) figures {
			s := newScenario(seed, hundredPer10s(kind.window))
			time.AfterFunc(60*time.Second, func() {
				tenth := s.limit
				tenth.Requests /= 10
				s.server.SetLimit(tenth)
			})
			time.AfterFunc(120*time.Second, func() { s.server.SetLimit(s.limit) })
			s.batch(2000, 50, s.process(new(Limiter)))
			return s.figures(2000 + 6*90)
		})
		assert.Zero(t, worst.failed, worst.err)
		assert.LessOrEqual(t, worst.requests, 2200.0)
		assert.LessOrEqual(t, worst.ideal, 1.15)
	}
}

func TestLimiterWithWrongHints(t *testing.T) {
	t.Parallel()
	for _, hint := range []struct {
		name string
		of   func(wait time.Duration) string
	}{
		{"none", func(time.Duration) string { return "" }},
		{"always 1", func(time.Duration) string { return "1" }},
		{"half", func(wait time.Duration) string { return strconv.Itoa(int(wait / 2 / time.Second)) }},
	} {
		for _, kind := range kinds {
			worst := seeds(t, kind.name+", hint "+hint.name, func(t *testing.T, seed uint64) figures {
				limit := hundredPer10s(kind.window)
				limit.RetryAfter = hint.of
				s := newScenario(seed, limit)
				s.batch(2000, 50, s.process(new(Limiter)))
				return s.figures(2000)
			})
			assert.Zero(t, worst.failed, worst.err)
			assert.LessOrEqual(t, worst.requests, 2130.0)
			assert.LessOrEqual(t, worst.ideal, 1.4)
		}
	}
}

func TestLimiterWithEscalatingHints(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		worst := seeds(t, kind.name, func(t *testing.T, seed uint64) figures {
			limit := hundredPer10s(kind.window)
			limit.Escalate = true
			s := newScenario(seed, limit)
			s.batch(2000, 50, s.process(new(Limiter)))
			return s.figures(2000)
		})
		assert.Zero(t, worst.failed, worst.err)
		assert.LessOrEqual(t, worst.ideal, 1.35)
	}
}

func TestLimiterWhenAllIsRefused(t *testing.T) {
	t.Parallel()
	worst := seeds(t, "all is refused", func(t *testing.T, seed uint64) figures {
		s := newScenario(seed, hundredPer10s(sandbox.WindowAligned))
		s.net.refuse.Store(new(func() string { return "1" }))
		s.batch(50, 50, s.process(new(Limiter)))
		f := s.figures(0)
		assert.Equal(t, 50, f.failed)
		return f
	})
	assert.LessOrEqual(t, worst.requests, 50.0+15)
	assert.LessOrEqual(t, worst.worst, 121.0)
}

// For 5 s somebody else uses the whole limit of a service with a steady rate of calls.
func TestLimiterAfterADisturbance(t *testing.T) {
	t.Parallel()
	for _, hint := range []struct {
		name string
		of   func(wait time.Duration) string
	}{
		{"the rest", func(wait time.Duration) string { return strconv.Itoa(int((wait + time.Second - 1) / time.Second)) }},
		{"none", func(time.Duration) string { return "" }},
	} {
		for _, service := range []struct {
			perSecond int
			recovery  float64 // in seconds
		}{{5, 10}, {50, 20}, {200, 35}} {
			name := fmt.Sprintf("%d calls a second, hint %s", service.perSecond, hint.name)
			worst := seeds(t, name, func(t *testing.T, seed uint64) figures {
				s := newScenario(seed, sandbox.Limit{Requests: -1, Per: time.Minute})
				call := s.process(new(Limiter))
				over := s.started.Add(15 * time.Second)
				time.AfterFunc(10*time.Second, func() { s.net.refuse.Store(new(func() string { return hint.of(time.Until(over)) })) })
				time.AfterFunc(15*time.Second, func() { s.net.refuse.Store(nil) })
				var wg sync.WaitGroup
				for range 60 * service.perSecond {
					wg.Go(func() { s.call(context.Background(), call) })
					pass(time.Second / time.Duration(service.perSecond))
				}
				wg.Wait()
				f := s.figures(0)
				for _, p := range s.calls {
					if p.ended.Sub(p.began) > 2*time.Second {
						f.recovery = max(f.recovery, p.ended.Sub(over).Seconds())
					}
				}
				return f
			})
			assert.Zero(t, worst.failed, worst.err)
			assert.LessOrEqual(t, worst.recovery, service.recovery)
		}
	}
}

// In a service that stays below its limit, nobody waits.
func TestLimiterOfAQuietService(t *testing.T) {
	t.Parallel()
	worst := seeds(t, "5 calls a second", func(t *testing.T, seed uint64) figures {
		s := newScenario(seed, hundredPer10s(sandbox.WindowAligned))
		l := new(Limiter)
		call := s.process(l)
		var wg sync.WaitGroup
		for range 300 {
			wg.Go(func() { s.call(context.Background(), call) })
			pass(200 * time.Millisecond)
			assert.Equal(t, LimiterStats{}, l.Stats(), "nobody waits or is counted")
		}
		wg.Wait()
		return s.figures(0)
	})
	assert.Zero(t, worst.failed, worst.err)
	assert.InDelta(t, 300, worst.requests, 0)
	assert.Less(t, worst.worst, 2.0, "no longer than the slowest response")
}

// Ten thousand callers come within 5 s, and half of them leave before their turn.
func TestLimiterWithManyWaiters(t *testing.T) {
	t.Parallel()
	worst := seeds(t, "10,000 callers, half leave", func(t *testing.T, seed uint64) figures {
		s := newScenario(seed, sandbox.Limit{Requests: 1000, Per: 10 * time.Second, Window: sandbox.WindowAligned})
		l := new(Limiter)
		call := s.process(l)
		s.batch(1000, 100, call)
		accepted := s.net.requests - s.net.refused
		s.calls, s.started = nil, time.Now()
		random := rand.New(rand.NewPCG(seed, 2))
		var stay []*progress
		var wg sync.WaitGroup
		for i := range 10_000 {
			leaves := time.Duration(random.Int64N(int64(10 * time.Second)))
			wg.Go(func() {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if i%2 == 0 {
					time.AfterFunc(leaves, cancel)
				}
				if p := s.call(ctx, call); i%2 != 0 {
					s.mu.Lock()
					stay = append(stay, p)
					s.mu.Unlock()
				}
			})
			pass(500 * time.Microsecond)
		}
		wg.Wait()
		assert.Equal(t, LimiterStats{Refused: l.Stats().Refused}, l.Stats())
		s.calls = stay
		f := s.figures(1000 + s.net.requests - s.net.refused - accepted) // the first window has been used up
		slices.SortFunc(stay, func(a, b *progress) int { return a.sent.Compare(b.sent) })
		var last time.Time // when the latest call so far began
		for _, p := range stay {
			last = laterOf(last, p.began)
			f.overtaken = max(f.overtaken, last.Sub(p.began).Seconds())
		}
		return f
	})
	assert.Zero(t, worst.failed, worst.err)
	assert.LessOrEqual(t, worst.ideal, 1.1)
	assert.LessOrEqual(t, worst.overtaken, 0.5)
}
