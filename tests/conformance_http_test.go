package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// lost are the ways in which a request may have had an effect without a response that says so.
var lost = map[string]sandbox.Fault{
	"500":            {Status: 500},
	"502":            {Status: 502},
	"504":            {Status: 504},
	"lost":           {Drop: true},
	"acted and lost": {Drop: true, After: true},
}

// RFC 9110 and net/http.
var httpRules = []rule{
	{id: "H-01", says: "what is not idempotent is not repeated once it may have been acted on", on: withClients, test: func(t *testing.T, v vendor) {
		calls := map[string]func(context.Context, *oauthclients.SailPoint) error{
			"createOAuthClient": func(ctx context.Context, c *oauthclients.SailPoint) error {
				_, err := c.Create(ctx, newClientRequest(sailpoint.GrantTypeClientCredentials))
				return err
			},
			"patchOAuthClient": func(ctx context.Context, c *oauthclients.SailPoint) error {
				_, err := c.Patch(ctx, sandbox.SampleClientID, jsonpatch.Replace("/enabled", false))
				return err
			},
		}
		for operation, call := range calls {
			bubble(t, func(t *testing.T) {
				r := newRig(v, sandboxOptions{})
				for name, f := range lost {
					before := r.server.Count(operation)
					r.server.Fault(operation, f)
					assert.Error(t, call(t.Context(), r.oauthClients(t)), name)
					assert.Equal(t, 1, r.server.Count(operation)-before, "%s after %s", operation, name)
				}
				before := r.server.Count(operation)
				r.server.Fault(operation, sandbox.Fault{Status: 503})
				assert.ErrorIs(t, call(t.Context(), r.oauthClients(t)), tokens.Status(503))
				assert.Equal(t, 1, r.server.Count(operation)-before)
				r.server.Fault(operation, sandbox.Fault{Status: 429})
				assert.NoError(t, call(t.Context(), r.oauthClients(t)), "after a 429 the request had no effect")
				assert.Equal(t, 3, r.server.Count(operation)-before)
			})
		}
	}},

	{id: "H-02", says: "client_credentials and revocations are repeated, a refresh only where it was not acted on", test: func(t *testing.T, v vendor) {
		again := map[string]sandbox.Fault{"429": {Status: 429}, "503": {Status: 503}}
		safeOnly := []string{"502", "504", "lost", "acted and lost"}
		bubble(t, func(t *testing.T) {
			requests := func(operation string, grant tokens.Grant, f sandbox.Fault) int {
				r := newRig(v, sandboxOptions{})
				endpoint := r.asks(t, v.grantee(), v.style, tokens.Retry{})
				if grant.RefreshToken != "" {
					grant.RefreshToken = r.offlineToken(t).RefreshToken
				}
				before := r.server.Count(operation)
				r.server.Fault(operation, f)
				if operation == createAccessToken {
					_, _ = endpoint.Exchange(t.Context(), grant)
				} else {
					_ = endpoint.Revoke(t.Context(), "at", tokens.HintNone)
				}
				return r.server.Count(operation) - before
			}
			for name, f := range again {
				assert.Equal(t, 2, requests(createAccessToken, v.grant, f), name)
				if v.refreshes {
					assert.Equal(t, 2, requests(createAccessToken, tokens.Grant{RefreshToken: "x"}, f), name)
				}
				if v.revokePath != "" {
					assert.Equal(t, 2, requests(revokeAccessToken, v.grant, f), name)
				}
			}
			for _, name := range safeOnly {
				assert.Equal(t, 2, requests(createAccessToken, v.grant, lost[name]), name)
				if v.refreshes {
					assert.Equal(t, 1, requests(createAccessToken, tokens.Grant{RefreshToken: "x"}, lost[name]), name)
				}
				if v.revokePath != "" {
					assert.Equal(t, 2, requests(revokeAccessToken, v.grant, lost[name]), name)
				}
			}

			// A request that was never sent is retried, whatever it is.
			dials := 0
			e, err := v.endpoint(v.grantee(), endpointOptions{client: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				dials++
				reply(r, 200, "")
				return nil, errRefused
			})}})
			require.NoError(t, err)
			grant := v.grant
			if v.refreshes {
				grant.RefreshToken = "rt"
			}
			_, err = e.Exchange(t.Context(), grant)
			require.ErrorIs(t, err, errRefused)
			assert.Equal(t, 3, dials)
		})
	}},

	{id: "H-03", says: "Retry-After is seconds or a date", test: func(t *testing.T, v vendor) {
		bubble(t, func(t *testing.T) {
			date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
			seconds := func(d time.Duration) string { return fmt.Sprint(d.Seconds()) }
			for _, status := range []int{429, 503} {
				for value, want := range map[string]time.Duration{
					"7": 7 * time.Second, "0": 0, "3600": time.Hour,
					date(30 * time.Second): 30 * time.Second, date(-time.Hour): 0, date(-20 * 365 * 24 * time.Hour): 0,
					"-1": 0, "1.5": 1500 * time.Millisecond, "soon": 0, "": 0,
				} {
					assert.Equal(t, want, refused(t, v, respond(status, "", "Retry-After", value)).RetryAfter, value)
				}
				assert.Greater(t, refused(t, v, respond(status, "", "Retry-After", "99999999999999999999")).RetryAfter, 100*365*24*time.Hour)

				// A wait that is too long is left to the caller, who gets the error at once.
				for longest, retry := range map[time.Duration]tokens.Retry{30 * time.Second: {}, 10 * time.Second: {Max: 10 * time.Second}} {
					for _, wait := range []time.Duration{7 * time.Second, 20 * time.Second, 31 * time.Second, time.Hour} {
						for _, write := range []func(time.Duration) string{seconds, date} {
							value := write(wait)
							r := newRig(v, sandboxOptions{})
							r.responds(respond(status, "", "Retry-After", value), grants(1))
							start, want := time.Now(), wait
							if status == 429 {
								longest = 2 * time.Minute // the Limiter's MaxWait
							}
							if wait > longest {
								want = 0
							}
							_, err := r.asks(t, sandboxCredentials, v.style, retry).Exchange(t.Context(), v.grant)
							assert.Equal(t, want == 0, err != nil, value)
							assert.Equal(t, want, time.Since(start), value)
						}
					}
				}
			}
		})
	}},

	{id: "H-04", says: "media types are compared without case and parameters", test: func(t *testing.T, v vendor) {
		const body = `{"access_token":"at-1","token_type":"Bearer"}`
		for contentType, ok := range map[string]bool{
			"application/json": true, "Application/JSON": true, "application/json;charset=UTF-8": true, "application/json ; x=y": true,
			"application/vnd.example+json": true, "text/html": false, "application/jsonx": false, "text/plain; x=application/json": false,
		} {
			r := newRig(v, sandboxOptions{})
			r.server.Fault(v.probe, sandbox.Fault{Status: 200, ContentType: contentType, Body: body})
			assert.Equal(t, ok, r.calls(t, tokens.Static("at"))(t.Context()) == nil, contentType)
			token, err := exchange(t, v, sandbox.Fault{Status: 200, ContentType: contentType, Body: body})
			require.NoError(t, err, "a token is not lost for its media type: %s", contentType)
			assert.Equal(t, "at-1", token.AccessToken)
		}
		r := newRig(v, sandboxOptions{})
		r.server.Fault(v.probe, sandbox.Fault{Status: 200, Body: body, Header: http.Header{"Content-Type": nil}})
		assert.NoError(t, r.calls(t, tokens.Static("at"))(t.Context()), "a response without a media type is read")
	}},

	{id: "H-05", says: "204 has no body, whatever its header says", test: func(t *testing.T, v vendor) {
		empty := sandbox.Fault{Status: 204, Header: http.Header{"Content-Type": {"application/json"}}}
		e := refused(t, v, empty)
		assert.Equal(t, 204, e.StatusCode, "it has no token")
		if v.revokePath != "" {
			r := newRig(v, sandboxOptions{})
			r.revocationResponses(empty)
			require.NoError(t, r.plain(t).Revoke(t.Context(), "at", tokens.HintNone))
		}
		if withClients(v) {
			r := newRig(v, sandboxOptions{})
			r.server.Fault("deleteOAuthClient", empty)
			require.NoError(t, r.oauthClients(t).Delete(t.Context(), sandbox.SampleClientID))
		}
	}},

	{id: "H-06", says: "a RoundTripper leaves the request alone, and closes its body once", test: func(t *testing.T, v vendor) {
		for _, tt := range []struct {
			name  string
			src   tokens.Source
			url   string
			reply int  // status; 0 for no response
			get   bool // the body can be replayed
			sent  int
		}{
			{"success", newRig(v, sandboxOptions{}).cache(t), apiURL, 200, true, 1},
			{"no response", newRig(v, sandboxOptions{}).cache(t), apiURL, 0, true, 1},
			{"401, repeated", newRig(v, sandboxOptions{}).cache(t), apiURL, 401, true, 2},
			{"401, not to be repeated", newRig(v, sandboxOptions{}).cache(t), apiURL, 401, false, 1},
			{"401 to a token that stays", tokens.Static("x"), apiURL, 401, true, 1},
			{"401, and no other token", failing(t, v, grants(1)), apiURL, 401, true, 1},
			{"403", newRig(v, sandboxOptions{}).cache(t), apiURL, 403, true, 1},
			{"no token", failing(t, v), apiURL, 200, true, 0},
			{"another origin", newRig(v, sandboxOptions{}).cache(t), "https://other.example.com", 200, true, 1},
		} {
			t.Run(tt.name, func(t *testing.T) {
				sent := 0
				transport, err := tokens.NewTransport(tt.src, apiURL, roundTripper(func(r *http.Request) (*http.Response, error) {
					sent++
					resp := reply(r, tt.reply, "{}")
					if tt.reply == 0 {
						return nil, errors.New("no response")
					}
					return resp, nil
				}))
				require.NoError(t, err)
				var bodies []*countedCloser
				body := func() (io.ReadCloser, error) {
					bodies = append(bodies, &countedCloser{Reader: strings.NewReader("body")})
					return bodies[len(bodies)-1], nil
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tt.url, nil)
				require.NoError(t, err)
				req.Header["X-Test"] = []string{"a", "b"}
				req.Body, _ = body()
				if tt.get {
					req.GetBody = body
				}
				before, header := *req, req.Header.Clone()

				resp, err := transport.RoundTrip(req)
				assert.Equal(t, tt.reply == 0 || tt.sent == 0, err != nil)
				if resp != nil {
					require.NoError(t, resp.Body.Close())
				}
				assert.Equal(t, tt.sent, sent)
				assert.Equal(t, header, req.Header)
				assert.Same(t, before.URL, req.URL)
				assert.Same(t, before.Body, req.Body)
				for _, b := range bodies {
					assert.EqualValues(t, 1, b.closed.Load(), "the number of times that a body was closed")
				}
			})
		}
	}},
}

// countedCloser counts how often a body is closed.
type countedCloser struct {
	io.Reader
	closed atomic.Int32
}

// Close implements io.Closer.
func (c *countedCloser) Close() error {
	c.closed.Add(1)
	return nil
}

// failing is a Source that returns these tokens and then an error.
func failing(t *testing.T, v vendor, first ...sandbox.Fault) tokens.Source {
	t.Helper()
	r := newRig(v, sandboxOptions{})
	r.responds(first...)
	r.responds(sandbox.Fault{Status: 400, Times: sandbox.Forever})
	return r.cache(t)
}

// oauthClients manages the OAuth clients of a rig that has some.
func (r *rig) oauthClients(t *testing.T) *oauthclients.SailPoint {
	t.Helper()
	clients, err := oauthclients.NewSailPoint(r.cache(t), &oauthclients.SailPointOptions{HTTPClient: r.client, Limiter: new(tokens.Limiter)})
	require.NoError(t, err)
	return clients
}
