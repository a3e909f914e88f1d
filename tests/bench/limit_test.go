package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/time/rate"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// The batch: calls that exceed SailPoint's documented limit twenty times.
const (
	batchCalls   = 2000
	batchWorkers = 50
	limitCalls   = 100
	limitPer     = 10 * time.Second
)

// A limited is a way to make calls to a server with a rate limit.
type limited struct {
	name string
	open func(t *testing.T, accessToken string, base http.RoundTripper) func(*http.Request) (*http.Response, error)
}

var everyLimited = []limited{
	{ours, func(t *testing.T, accessToken string, base http.RoundTripper) func(*http.Request) (*http.Response, error) {
		client, err := tokens.NewClient(tokens.Static(accessToken), &tokens.DoerOptions{
			BaseURL: apiURL, HTTPClient: &http.Client{Transport: base},
		})
		require.NoError(t, err)
		return client.Do
	}},
	{"x/oauth2, retryablehttp", func(_ *testing.T, accessToken string, base http.RoundTripper) func(*http.Request) (*http.Response, error) {
		return retryable(&http.Client{Transport: bearing(accessToken, base)}, 0).Do
	}},
	{"aws adaptive", func(_ *testing.T, accessToken string, base http.RoundTripper) func(*http.Request) (*http.Response, error) {
		return adaptive(bearing(accessToken, base))
	}},
	{"x/time/rate", func(_ *testing.T, accessToken string, base http.RoundTripper) func(*http.Request) (*http.Response, error) {
		limiter, transport := rate.NewLimiter(rate.Every(limitPer/limitCalls), 1), bearing(accessToken, base)
		return func(req *http.Request) (*http.Response, error) {
			if err := limiter.Wait(req.Context()); err != nil {
				return nil, err
			}
			return transport.RoundTrip(req)
		}
	}},
}

func bearing(accessToken string, base http.RoundTripper) http.RoundTripper {
	return &oauth2.Transport{Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: accessToken}), Base: base}
}

// adaptive retries requests like the clients of aws-sdk-go-v2 in adaptive mode, which treats this code as throttling.
func adaptive(base http.RoundTripper) func(*http.Request) (*http.Response, error) {
	mode := retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) { o.FailOnNoAttemptTokens = true })
	attempts := retry.NewAttemptMiddleware(waitingRetryer{mode}, func(req any) any { return req })
	return func(req *http.Request) (*http.Response, error) {
		out, _, err := attempts.HandleFinalize(req.Context(), middleware.FinalizeInput{Request: req}, middleware.FinalizeHandlerFunc(
			func(context.Context, middleware.FinalizeInput) (out middleware.FinalizeOutput, _ middleware.Metadata, _ error) {
				resp, err := base.RoundTrip(req)
				if err == nil && resp.StatusCode == http.StatusTooManyRequests {
					_ = resp.Body.Close()
					err = &smithy.GenericAPIError{Code: "TooManyRequestsException", Message: resp.Status}
				}
				out.Result = resp
				return out, middleware.Metadata{}, err
			}))
		if err != nil {
			return nil, err
		}
		return out.Result.(*http.Response), nil
	}
}

// A waitingRetryer waits for the tokens of the adaptive mode. The adaptive mode itself polls for the last nanosecond of
// a wait, which never ends in simulated time.
type waitingRetryer struct{ *retry.AdaptiveMode }

func (r waitingRetryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	for {
		release, err := r.AdaptiveMode.GetAttemptToken(ctx)
		if err == nil || ctx.Err() != nil {
			return release, err
		}
		after(5 * time.Millisecond)
	}
}

// A slowServer responds after 20 to 150 ms, and once in a hundred after up to 2 s.
type slowServer struct {
	base http.RoundTripper

	mu                sync.Mutex
	random            *rand.Rand
	requests, refused int
}

func (s *slowServer) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.requests++
	latency := 20*time.Millisecond + time.Duration(s.random.Int64N(int64(130*time.Millisecond)))
	if s.random.IntN(100) == 0 {
		latency = 20*time.Millisecond + time.Duration(s.random.Int64N(int64(1980*time.Millisecond)))
	}
	s.mu.Unlock()
	after(latency / 2)
	resp, err := s.base.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusTooManyRequests {
		s.mu.Lock()
		s.refused++
		s.mu.Unlock()
	}
	after(latency / 2)
	return resp, err
}

// after returns after d.
func after(d time.Duration) { <-time.After(d) }

// A batchResult is the result of a batch.
type batchResult struct {
	requests, refused, failed int
	took, ideal               time.Duration
}

// runBatch makes the calls with its workers, as fast as the server and l permit.
func runBatch(t *testing.T, l limited, window sandbox.Window) batchResult {
	vendor := sandbox.NewMoov(&sandbox.MoovOptions{NoRequests: true, TokenLife: 24 * time.Hour,
		RateLimit: sandbox.Limit{Requests: limitCalls, Per: limitPer, Window: window}})
	server := &slowServer{base: sandbox.Transport(vendor), random: rand.New(rand.NewPCG(1, 1))}
	do := l.open(t, vendor.Issue(sandbox.Token{}).AccessToken, server)
	after(3 * time.Second) // aligned windows do not begin with the first request
	begin := time.Now()
	var begun, failed atomic.Int64
	var wg sync.WaitGroup
	for range batchWorkers {
		wg.Go(func() {
			for begun.Add(1) <= batchCalls {
				req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, apiURL+"/ping", nil)
				if err != nil {
					panic(err)
				}
				resp, err := do(req)
				if err == nil {
					_ = resp.Body.Close()
				}
				if err != nil || resp.StatusCode != http.StatusOK {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	ideal := (batchCalls/limitCalls - 1) * limitPer
	switch window {
	case sandbox.WindowAligned:
		ideal = begin.Truncate(limitPer).Add(ideal).Sub(begin)
	case sandbox.WindowBucket:
		ideal = (batchCalls - limitCalls) * limitPer / limitCalls
	}
	return batchResult{server.requests, server.refused, int(failed.Load()), time.Since(begin), ideal}
}

// TestRateLimits compares batches of calls that exceed a rate limit, in simulated time, and prints a table with -v.
func TestRateLimits(t *testing.T) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "%d gets by %d workers, %d per %v\t\trequests\trefused\tfailed\t× ideal time\n", batchCalls, batchWorkers, limitCalls, limitPer)
	for _, kind := range []struct {
		name   string
		window sandbox.Window
		ideal  float64 // our maximum
	}{
		{"fixed windows", sandbox.WindowAligned, 1.1},
		{"windows from the first request", sandbox.WindowFromFirst, 1.2},
		{"a sliding window", sandbox.WindowSliding, 1.2},
		{"a bucket", sandbox.WindowBucket, 1.1},
	} {
		for _, l := range everyLimited {
			if l.name != ours && !testing.Verbose() {
				continue // the peers are only for the table
			}
			synctest.Test(t, func(t *testing.T) {
				r := runBatch(t, l, kind.window)
				times := r.took.Seconds() / r.ideal.Seconds()
				fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%.2f\n", kind.name, l.name, r.requests, r.refused, r.failed, times)
				if l.name == ours {
					assert.Zero(t, r.failed)
					assert.LessOrEqual(t, r.requests, 2120)
					assert.LessOrEqual(t, times, kind.ideal)
				}
			})
		}
	}
	_ = w.Flush()
	t.Log("\n" + table.String())
}
