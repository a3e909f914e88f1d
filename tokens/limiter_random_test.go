package tokens

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A whimsy is a server of tokens and of an API that refuses requests from time to time.
type whimsy struct {
	hostile bool // it also fails in every other way, and sends meaningless headers

	mu       sync.Mutex
	random   *rand.Rand
	refusals [][2]time.Time // start and end
	inFlight int
	refused  int64
}

func newWhimsy(random *rand.Rand, hostile bool) *whimsy {
	s := &whimsy{random: rand.New(rand.NewPCG(random.Uint64(), 4)), hostile: hostile}
	at := time.Now()
	for range random.IntN(4) {
		begin := at.Add(s.upTo(30 * time.Second))
		pause := begin.Add(s.upTo(10 * time.Second))
		resume := pause.Add(s.upTo(5 * time.Second))
		at = resume.Add(s.upTo(5 * time.Second))
		s.refusals = append(s.refusals, [2]time.Time{begin, pause}, [2]time.Time{resume, at})
		if !hostile {
			// A refused request is repeated within 20 s of these refusals, and a fetch, which lasts at most a minute, must
			// then succeed.
			at = at.Add(25 * time.Second)
		}
	}
	return s
}

func (s *whimsy) upTo(d time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(int64(d)) + 1)
}

func (s *whimsy) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.inFlight++
	latency, fate := s.upTo(200*time.Millisecond), 100
	if s.random.IntN(20) == 0 {
		latency = s.upTo(3 * time.Second)
	}
	if s.hostile {
		fate = s.random.IntN(40)
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inFlight--
	}()
	if err := sleep(req.Context(), latency); err != nil {
		return nil, err
	}
	switch fate {
	case 0:
		panic("of a RoundTripper")
	case 1:
		return nil, io.ErrUnexpectedEOF
	case 2:
		<-req.Context().Done()
		return nil, req.Context().Err()
	case 3:
		return nil, errors.New("odd")
	case 4:
		return reply(503, "", "", "Retry-After", "1")(req)
	case 5:
		return reply(302, "", "", "Location", "https://elsewhere.example.com/")(req)
	case 6:
		return reply(307, "", "", "Location", apiURL+"/moved")(req)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, refusal := range s.refusals {
		if now := time.Now(); !now.Before(refusal[0]) && now.Before(refusal[1]) {
			s.refused++
			return reply(429, "", "", s.hint(refusal[1].Sub(now))...)(req)
		}
	}
	if s.hostile && fate == 7 {
		s.refused++
		return reply(429, "", "", s.hint(time.Second)...)(req)
	}
	body := "{}"
	if strings.HasSuffix(req.URL.Path, "/token") {
		body = fmt.Sprintf(`{"access_token":"at-%d","token_type":"Bearer","expires_in":%d}`, s.random.Int(), 20+s.random.IntN(40))
	}
	return reply(200, jsonType, body, s.headers()...)(req)
}

// hint returns the headers of a 429 if the server accepts requests again after wait.
func (s *whimsy) hint(wait time.Duration) []string {
	seconds := int((wait + time.Second - 1) / time.Second)
	now := time.Now()
	hints := [][]string{
		nil,
		{"Retry-After", strconv.Itoa(seconds)},
		{"Retry-After", strconv.Itoa(seconds / 2)},
		{"Retry-After", "1"},
		{"Retry-After", "0"},
		{"Retry-After", "-7"},
		{"Retry-After", "soon"},
		{"Retry-After", now.Add(wait + time.Hour + time.Second).UTC().Format(http.TimeFormat), "Date", now.Add(time.Hour).UTC().Format(http.TimeFormat)},
		{"X-Organization-Rate-Limit-Reset", strconv.FormatInt(now.Add(wait+time.Second).Unix(), 10)},
		{"X-Organization-Rate-Limit-Reset", "10"},
		{"X-Organization-Rate-Limit-Remaining", "0"},
	}
	if s.hostile {
		hints = append(hints,
			[]string{"Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"},
			[]string{"Retry-After", "99999999999999999999"},
			[]string{"Retry-After", "300"},
			[]string{"X-Organization-Rate-Limit-Reset", "9223372036854775807"},
			s.headers(), s.headers())
	}
	return hints[s.random.IntN(len(hints))]
}

// headers returns the rate-limit headers of a response, which only a hostile server sends.
func (s *whimsy) headers() (headers []string) {
	if !s.hostile {
		return nil
	}
	const prefix = "X-Organization-Rate-Limit-"
	pick := func(name string, values ...string) {
		if value := values[s.random.IntN(len(values))]; value != "" {
			headers = append(headers, name, value)
		}
	}
	now := time.Now()
	unix := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	date := func(d time.Duration) string { return now.Add(d).UTC().Format(http.TimeFormat) }
	pick(prefix+"Remaining", "", "", "0", "1", "5", "99", "-1", "9223372036854775807", "many")
	pick(prefix+"Limit", "", "0", "1", "100", "-5", "9223372036854775807")
	pick(prefix+"Reset", "", "0", "-1", unix(0), unix(2*time.Second), unix(20*time.Second), unix(-time.Minute), unix(time.Hour),
		unix(1000*time.Hour), "9223372036854775807")
	pick("Date", "", date(0), date(0), date(time.Hour), date(-time.Hour), "yesterday")
	return headers
}

// A program makes random calls against a whimsy.
type program struct {
	t       *testing.T
	server  *whimsy
	limiter *Limiter
	cache   *Cache
	doer    Doer

	mu       sync.Mutex
	failures []error
	longest  time.Duration
}

func newProgram(t *testing.T, random *rand.Rand, hostile bool) *program {
	p := &program{t: t, server: newWhimsy(random, hostile), limiter: &Limiter{MaxWait: time.Hour}}
	if hostile {
		p.limiter.MaxWait = []time.Duration{0, 1, time.Second, 15 * time.Second, time.Hour}[random.IntN(5)]
	}
	client := &http.Client{Transport: p.server}
	e, err := NewEndpoint(apiURL+"/token", testCredentials, &EndpointOptions{BaseURL: apiURL, HTTPClient: client, Limiter: p.limiter})
	require.NoError(t, err)
	p.cache = newCache(t, e, nil)
	p.doer, err = NewDoer(p.cache, &DoerOptions{HTTPClient: client, Timeout: 2 * time.Minute}) // which runs while a token is fetched
	require.NoError(t, err)
	require.Same(t, p.limiter, p.doer.sender.limiter)
	return p
}

func (p *program) call(ctx context.Context, method string) {
	begin := time.Now()
	defer func() {
		_ = recover() // the RoundTripper may panic
		p.mu.Lock()
		defer p.mu.Unlock()
		p.longest = max(p.longest, time.Since(begin))
	}()
	resp, err := p.doer.Do(newRequest(p.t, method, apiURL+"/x", "").WithContext(ctx))
	if err == nil {
		err = resp.Body.Close()
	}
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.failures = append(p.failures, err)
	}
}

// run makes three calls each with 40 callers, and checks Stats all the time.
func (p *program) run(random *rand.Rand) {
	var wg sync.WaitGroup
	for range 40 {
		random := rand.New(rand.NewPCG(random.Uint64(), 3))
		wg.Go(func() {
			for range 3 {
				pass(time.Duration(random.Int64N(int64(20 * time.Second))))
				ctx, cancel := context.WithCancel(p.t.Context())
				if p.server.hostile {
					switch random.IntN(4) {
					case 0:
						time.AfterFunc(time.Duration(random.Int64N(int64(10*time.Second))), cancel)
					case 1:
						ctx, cancel = context.WithTimeout(ctx, time.Duration(random.Int64N(int64(10*time.Second))))
					}
				}
				p.call(ctx, []string{"GET", "POST", "DELETE"}[random.IntN(3)])
				cancel()
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		wg.Wait()
	}()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		case <-time.After(100 * time.Millisecond):
		}
		synctest.Wait()
		stats := p.limiter.Stats()
		if stats.Waiting < 0 || stats.InFlight < 0 || stats.Waiting+stats.InFlight > 42 { // 40 callers and the Cache; require is slow here
			p.t.Fatalf("%d wait, %d are in flight", stats.Waiting, stats.InFlight)
		}
	}
	pass(2 * time.Minute) // fetches that nobody waits for end
	synctest.Wait()
	stats := p.limiter.Stats()
	assert.Zero(p.t, stats.Waiting)
	assert.Zero(p.t, stats.InFlight)
	assert.Equal(p.t, p.server.refused, stats.Refused)
	assert.Zero(p.t, p.server.inFlight)
}

// If a server refuses requests for a while, no call fails that may wait, whatever the 429 says.
func TestLimiterRandomlyRefused(t *testing.T) {
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			p := newProgram(t, random, false)
			p.run(random)
			require.Empty(t, p.failures, "seed %d", seed)
		})
	}
}

// Whatever a server does, nobody waits for longer than allowed, and nothing is left running.
func TestLimiterRandomlyMistreated(t *testing.T) {
	t.Parallel()
	for seed := range 40 * *scenarioSeeds {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 2))
			p := newProgram(t, random, true)
			p.run(random)
			maxWait := p.limiter.MaxWait
			if maxWait == 0 {
				maxWait = defaultMaxWait
			}
			require.LessOrEqual(t, p.longest, maxWait+4*time.Minute, "seed %d", seed)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}
