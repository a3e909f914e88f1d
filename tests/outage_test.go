package tests

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// outages are the ways in which a token endpoint may be down.
var outages = []struct {
	name  string
	fault sandbox.Fault
	most  int // maximum number of requests in the first two seconds
}{
	{"503", sandbox.Fault{Status: 503}, 10},
	{"503 with Retry-After", sandbox.Fault{Status: 503, Header: http.Header{"Retry-After": {"1"}}}, 3},
	{"429 with Retry-After", sandbox.Fault{Status: 429, Header: http.Header{"Retry-After": {"1"}}}, 3},
	{"500", sandbox.Fault{Status: 500}, 10},
	{"a gateway's page", sandbox.Fault{Status: 502, ContentType: "text/html", Body: "<html>"}, 10},
	{"a page with 200", sandbox.Fault{Status: 200, ContentType: "text/html", Body: "<html>"}, 10},
	{"lost connections", sandbox.Fault{Drop: true}, 10},
	{"silence", sandbox.Fault{Status: 504, Delay: time.Hour}, 1},
	{"wrong credentials", sandbox.Fault{Status: 401, Body: `{"error":"invalid_client"}`}, 1},
}

func TestOutageWhileTheTokenIsValid(t *testing.T) {
	for _, v := range vendors {
		for _, outage := range outages {
			t.Run(v.name+"/"+outage.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					r := newRig(v, sandboxOptions{life: tokenLife})
					cache := r.cache(t)
					call := r.calls(t, cache)
					// calls makes calls at an interval; none may fail or wait.
					calls := func(every, d time.Duration) {
						for range d / every {
							start := time.Now()
							require.NoError(t, call(t.Context()))
							require.Zero(t, time.Since(start), "a caller waited")
							pass(every)
						}
					}
					start := time.Now()
					calls(time.Second, 2*time.Second)
					pass(tokenLife * 8 / 10) // the token is due from here on
					outage.fault.Times = sandbox.Forever
					r.responds(outage.fault)
					calls(50*time.Millisecond, 2*time.Second)
					tried := r.server.Count(createAccessToken) - 1
					assert.Positive(t, tried)
					assert.LessOrEqual(t, tried, outage.most)
					calls(time.Second, 30*time.Second)

					r.server.ClearFaults()
					before := r.server.Count(createAccessToken)
					old := last(r).Header.Get("Authorization")
					calls(time.Second, 40*time.Second) // an attempt is due within the longest backoff
					assert.Equal(t, 1, r.server.Count(createAccessToken)-before, "the first good response ends the outage")
					calls(time.Second, tokenLife-time.Since(start)) // until after the old token has expired
					assert.NotEqual(t, old, last(r).Header.Get("Authorization"))
					assert.Zero(t, cache.Stats().Invalidations)
				})
			})
		}
	}
}

func TestOutageFromTheStart(t *testing.T) {
	for _, v := range vendors {
		for _, outage := range outages {
			t.Run(v.name+"/"+outage.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					r := newRig(v, sandboxOptions{})
					call := r.calls(t, r.cache(t))
					outage.fault.Times = sandbox.Forever
					r.responds(outage.fault)
					start := time.Now()
					var wg sync.WaitGroup
					for range 100 {
						wg.Go(func() { assert.ErrorIs(t, call(t.Context()), tokens.ErrNoToken) })
					}
					wg.Wait()
					assert.Equal(t, 1, r.server.Count(createAccessToken), "all callers get the same failure")
					assert.LessOrEqual(t, time.Since(start), 30*time.Second)
					assert.Zero(t, r.server.Count(v.probe), "nothing is sent without a token")

					r.server.ClearFaults()
					recovered := false
					for range 40 {
						err := call(t.Context())
						require.False(t, recovered && err != nil, "an error after the first good response")
						recovered = err == nil
						pass(time.Second)
					}
					assert.True(t, recovered)
					assert.Equal(t, 2, r.server.Count(createAccessToken), "the first attempt that is due gets a token")
				})
			})
		}
	}
}

// A closed port is the only outage after which every request may be retried.
func TestOutageOfThePort(t *testing.T) {
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(v, sandboxOptions{life: tokenLife})
				vendorSide := r.client.Transport
				var down atomic.Bool
				var dials atomic.Int32
				r.client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
					if down.Load() && req.URL.Path == v.tokenPath {
						dials.Add(1)
						reply(req, 0, "")
						return nil, errRefused
					}
					return vendorSide.RoundTrip(req)
				})
				cache := cacheOf(t, r.asks(t, v.grantee(), v.style, tokens.Retry{}), &tokens.CacheOptions{Grant: v.grant})
				first, err := cache.Token(t.Context())
				require.NoError(t, err)
				pass(time.Until(first.Expiry) * 8 / 10)
				down.Store(true)
				for range 20 {
					token, err := cache.Token(t.Context())
					require.NoError(t, err)
					require.Same(t, first, token)
					pass(100 * time.Millisecond)
				}
				assert.Positive(t, dials.Load())
				assert.LessOrEqual(t, dials.Load(), int32(10))
				down.Store(false)
				pass(40 * time.Second)
				_, err = cache.Token(t.Context())
				require.NoError(t, err)
				synctest.Wait()
				second, err := cache.Token(t.Context())
				require.NoError(t, err)
				assert.NotEqual(t, first.AccessToken, second.AccessToken)
			})
		})
	}
}

// loopback serves a vendor over real HTTP, and fails the test if a goroutine outlives it.
func loopback(t *testing.T, v vendor, handler http.Handler) (*tokens.Cache, *http.Client, string) {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	server, err := sandbox.Listen(handler)
	require.NoError(t, err)
	transport := &http.Transport{MaxConnsPerHost: 16}
	client := &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		goleak.VerifyNone(t, leaks)
	})
	e, err := v.endpoint(sandboxCredentials, endpointOptions{baseURL: server.URL, client: client, retry: once})
	require.NoError(t, err)
	ended := &tokens.Token{AccessToken: "ended", Expiry: time.Now().Add(-time.Second)}
	return cacheOf(t, e, &tokens.CacheOptions{Grant: v.grant, Initial: ended}), client, server.URL
}

func TestOutageHerdAtExpiry(t *testing.T) {
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			server := v.sandbox(sandboxOptions{})
			server.Fault(createAccessToken, sandbox.Fault{Delay: 50 * time.Millisecond})
			cache, client, baseURL := loopback(t, v, server)
			transport, err := tokens.NewTransport(cache, baseURL, client.Transport)
			require.NoError(t, err)
			caller := &http.Client{Transport: transport}

			const callers, called = 10_000, 500 // called is how many of them call the API
			start := make(chan struct{})
			var got sync.Map
			var wg sync.WaitGroup
			for n := range callers {
				wg.Go(func() {
					<-start
					if n < called {
						resp, err := caller.Get(baseURL + v.probePath)
						if assert.NoError(t, err) {
							assert.Equal(t, http.StatusOK, resp.StatusCode)
							assert.NoError(t, resp.Body.Close())
						}
						return
					}
					token, err := cache.Token(context.Background())
					if assert.NoError(t, err) {
						got.Store(token.AccessToken, true)
					}
				})
			}
			close(start)
			wg.Wait()
			assert.Equal(t, 1, server.Count(createAccessToken))
			assert.Equal(t, called, server.Count(v.probe))
			distinct := 0
			got.Range(func(any, any) bool { distinct++; return true })
			assert.Equal(t, 1, distinct, "all get the same token")
			assert.EqualValues(t, 1, cache.Stats().Fetches)
		})
	}
}

// held makes token requests wait: it sends the context of each request, and responds when it is released.
func held(server http.Handler) (h http.Handler, arrived chan context.Context, release func()) {
	arrived, released := make(chan context.Context, 1), make(chan struct{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- r.Context()
		<-released
		server.ServeHTTP(w, r)
	}), arrived, sync.OnceFunc(func() { close(released) })
}

// If the caller that started a fetch leaves, others are not affected.
func TestOutageOfTheFirstCaller(t *testing.T) {
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			server := v.sandbox(sandboxOptions{})
			handler, arrived, release := held(server)
			defer release()
			cache, _, _ := loopback(t, v, handler)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var first, others sync.WaitGroup
			first.Go(func() {
				_, err := cache.Token(ctx)
				assert.ErrorIs(t, err, context.Canceled)
			})
			request := <-arrived
			for range 100 {
				others.Go(func() {
					token, err := cache.Token(t.Context())
					if assert.NoError(t, err) {
						assert.NotEqual(t, "ended", token.AccessToken)
					}
				})
			}
			require.Eventually(t, func() bool { return cache.Stats().Waits == 101 }, 10*time.Second, time.Millisecond)
			cancel()
			first.Wait()
			assert.NoError(t, request.Err(), "the request continues")
			release()
			others.Wait()
			assert.Equal(t, 1, server.Count(createAccessToken))
		})
	}
}

// If all callers leave, the fetch continues for the next one, and its goroutine ends with it.
func TestOutageOfEveryCaller(t *testing.T) {
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			server := v.sandbox(sandboxOptions{})
			handler, arrived, release := held(server)
			defer release()
			cache, _, _ := loopback(t, v, handler)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					_, err := cache.Token(ctx)
					assert.ErrorIs(t, err, context.Canceled)
				})
			}
			request := <-arrived
			cancel()
			wg.Wait()
			assert.NoError(t, request.Err(), "the request continues")
			release()
			token, err := cache.Token(t.Context())
			require.NoError(t, err)
			assert.NotEqual(t, "ended", token.AccessToken)
			assert.Equal(t, 1, server.Count(createAccessToken))
			require.NoError(t, cache.Close(t.Context()))
		})
	}
}

// A server that starts later is found, over real connections.
func TestOutageOfAServer(t *testing.T) {
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			leaks := goleak.IgnoreCurrent()
			sandboxed := v.sandbox(sandboxOptions{})
			gone, err := sandbox.Listen(sandboxed)
			require.NoError(t, err)
			require.NoError(t, gone.Close())
			var address atomic.Value
			address.Store(gone.URL[len("http://"):])
			transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address.Load().(string))
			}}
			e, err := v.endpoint(sandboxCredentials, endpointOptions{baseURL: "http://localhost", client: &http.Client{Transport: transport}, retry: once})
			require.NoError(t, err)
			cache := cacheOf(t, e, &tokens.CacheOptions{Grant: v.grant})

			_, err = cache.Token(t.Context())
			requireOpError(t, "dial", err)
			back, err := sandbox.Listen(sandboxed)
			require.NoError(t, err)
			address.Store(back.URL[len("http://"):])
			require.Eventually(t, func() bool {
				_, err := cache.Token(t.Context())
				return err == nil
			}, 10*time.Second, 10*time.Millisecond)
			assert.Equal(t, 1, sandboxed.Count(createAccessToken))
			transport.CloseIdleConnections()
			require.NoError(t, back.Close())
			goleak.VerifyNone(t, leaks)
		})
	}
}
