package tokens

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithResponse(t *testing.T) {
	tests := []struct {
		name  string
		steps []step
		want  int
		id    string
	}{
		{"success", []step{reply(200, jsonType, `{}`, "X-Id", "1")}, 200, "1"},
		{"failure", []step{reply(404, jsonType, `{}`, "X-Id", "1")}, 404, "1"},
		{"another media type", []step{reply(200, "text/html", `<p>`, "X-Id", "1")}, 200, "1"},
		{"the last of several", []step{reply(503, "", ``, "X-Id", "1"), reply(200, jsonType, `{}`, "X-Id", "2")}, 200, "2"},
		{"behind a redirect", []step{reply(302, "", ``, "Location", "/next"), reply(200, jsonType, `{}`, "X-Id", "2")}, 200, "2"},
		{"a redirect not followed", []step{reply(302, "", ``, "Location", "https://other.example.com", "X-Id", "1")}, 302, "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(tt.steps...)
				d, err := NewDoer(Static("at"), &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
				require.NoError(t, err)
				var got *http.Response
				resp, err := d.Do(newRequest(t, http.MethodGet, apiURL, "").WithContext(WithResponse(t.Context(), &got)))
				if err == nil {
					require.NoError(t, resp.Body.Close())
				}
				require.NotNil(t, got)
				assert.Equal(t, tt.want, got.StatusCode)
				assert.Equal(t, tt.id, got.Header.Get("X-Id"))
				data, err := io.ReadAll(got.Body)
				require.NoError(t, err)
				assert.Empty(t, data, "there is no body")
				assert.Zero(t, s.leaks())
			})
		})
	}

	t.Run("no response", func(t *testing.T) {
		before := &http.Response{StatusCode: 299}
		got := before
		_, err := doerOver(t, newScript(withoutResponse(io.EOF)), nil).
			Do(newRequest(t, http.MethodGet, apiURL, "").WithContext(WithResponse(t.Context(), &got)))
		require.Error(t, err)
		assert.Same(t, before, got)
	})
	t.Run("of an endpoint", func(t *testing.T) {
		var got *http.Response
		ctx := WithResponse(t.Context(), &got)
		e := moovOver(t, newScript(reply(200, jsonType, tokenReply, "X-Id", "1"), reply(204, "", "", "X-Id", "2"), reply(400, "", "", "X-Id", "3")))
		_, err := e.Exchange(ctx, vendorCases[1].grant)
		require.NoError(t, err)
		assert.Equal(t, "1", got.Header.Get("X-Id"))
		require.NoError(t, e.Revoke(ctx, "token", HintNone))
		assert.Equal(t, 204, got.StatusCode)
		require.Error(t, e.Revoke(ctx, "token", HintNone))
		assert.Equal(t, 400, got.StatusCode)
	})
}

func TestWithRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(reply(503, "", ""))
		d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client(), Retry: Retry{Attempts: 2}})
		require.NoError(t, err)
		sends := func(ctx context.Context) int {
			before := len(s.requests())
			_, err := d.Do(newRequest(t, http.MethodGet, apiURL, "").WithContext(ctx))
			require.ErrorIs(t, err, Status(503))
			return len(s.requests()) - before
		}
		once := WithRetry(t.Context(), Retry{Attempts: 1})
		assert.Equal(t, 2, sends(t.Context()), "the Doer's own Retry")
		assert.Equal(t, 1, sends(once))
		assert.Equal(t, 4, sends(WithRetry(once, Retry{Attempts: 4})), "the innermost Retry is used")
		assert.Equal(t, 1, sends(once), "the outer context is unchanged")
		assert.Equal(t, 3, sends(WithRetry(t.Context(), Retry{})), "the zero Retry is the default, not the Doer's own")

		var got *http.Response
		assert.Equal(t, 1, sends(WithResponse(once, &got)), "both settings apply")
		assert.NotNil(t, got)
		got = nil
		assert.Equal(t, 1, sends(WithRetry(WithResponse(t.Context(), &got), Retry{Attempts: 1})))
		assert.NotNil(t, got)

		e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: s.client()})
		require.NoError(t, err)
		before := len(s.requests())
		_, err = e.Exchange(once, vendorCases[1].grant)
		require.ErrorIs(t, err, Status(503))
		assert.Len(t, s.requests(), before+1, "the settings apply to an Endpoint too")
	})
}

// Per-call settings do not apply to the token fetch within the call, neither the Retry nor the response; and concurrent
// calls do not see each other's.
func TestSettingsStayWithTheirCall(t *testing.T) {
	var mu sync.Mutex
	fetches := 0
	fetching := newScript(func(req *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		if fetches++; fetches%2 == 1 {
			return reply(503, "", "", "Retry-After", "1")(req)
		}
		return reply(200, jsonType, tokenReply)(req)
	})
	api := newScript(func(req *http.Request) (*http.Response, error) {
		return reply(200, jsonType, "{}", "X-Path", req.URL.Path)(req)
	})
	synctest.Test(t, func(t *testing.T) {
		endpoint, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: fetching.client(), Retry: Retry{Attempts: 100}})
		require.NoError(t, err)
		src := sourceFunc(func(ctx context.Context) (*Token, error) {
			assert.Zero(t, settingsOf(ctx))
			return endpoint.Exchange(ctx, vendorCases[1].grant)
		})
		d, err := NewDoer(src, &DoerOptions{BaseURL: apiURL, HTTPClient: api.client()})
		require.NoError(t, err)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				path := "/" + strconv.Itoa(i)
				var got *http.Response
				ctx := WithResponse(WithRetry(t.Context(), Retry{Attempts: 1}), &got)
				resp, err := d.Do(newRequest(t, http.MethodGet, apiURL+path, "").WithContext(ctx))
				if !assert.NoError(t, err, "the fetch was not retried") {
					return
				}
				assert.NoError(t, resp.Body.Close())
				assert.Equal(t, path, got.Header.Get("X-Path"))
			})
		}
		wg.Wait()
		assert.Less(t, time.Since(start), time.Minute)
	})
	assert.Len(t, api.requests(), 50)
	assert.Len(t, fetching.requests(), 100)
	assert.Zero(t, api.leaks())
	assert.Zero(t, fetching.leaks())
}

// A call of another Doer by a Source is separate: it does not use up the attempts of the call that needs the token,
// does not end it, and does not set its response.
func TestCallWithinACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newDoer := func(src Source, s *script) Doer {
			d, err := NewDoer(src, &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
			require.NoError(t, err)
			return d
		}
		broker := newDoer(nil, newScript(reply(503, "", ""), reply(503, "", ""), reply(200, jsonType, `{"token":"s3cret"}`, "X-Of", "broker")))
		src := sourceFunc(func(ctx context.Context) (*Token, error) {
			resp, err := broker.Do(newRequest(t, http.MethodGet, apiURL, "").WithContext(ctx))
			if err != nil {
				return nil, err
			}
			var body struct{ Token string }
			err = DecodeResponse(resp, &body)
			return &Token{AccessToken: body.Token}, err
		})
		s := newScript(reply(503, "", "", "X-Of", "API"), reply(503, "", "", "X-Of", "API"), reply(200, jsonType, "{}", "X-Of", "API"))
		d := newDoer(src, s)
		var got *http.Response
		resp, err := d.Do(newRequest(t, http.MethodGet, apiURL, "").WithContext(WithResponse(t.Context(), &got)))
		require.NoError(t, err)
		require.NoError(t, resp.Request.Context().Err())
		require.NoError(t, resp.Body.Close())
		assert.Len(t, s.requests(), 3)
		assert.Equal(t, "API", got.Header.Get("X-Of"))
		assert.Equal(t, 200, got.StatusCode)
	})
}
