package sandbox_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
)

// try posts to Moov's revoke endpoint with a transport.
func try(ctx context.Context, rt http.RoundTripper, url, token string) (*http.Response, []byte, error) {
	body := "client_id=" + sandbox.ClientID + "&client_secret=" + sandbox.ClientSecret + "&token=" + token
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/oauth2/revoke", strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", formType)
	response, err := rt.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return response, got, err
}

// overBoth runs a test in memory and over loopback.
func overBoth(t *testing.T, test func(t *testing.T, m *sandbox.Moov, rt http.RoundTripper, url string)) {
	t.Run("memory", func(t *testing.T) {
		m := sandbox.NewMoov(nil)
		test(t, m, sandbox.Transport(m), "https://api.example.com")
	})
	t.Run("loopback", func(t *testing.T) {
		m := sandbox.NewMoov(nil)
		server, err := sandbox.Listen(m)
		require.NoError(t, err)
		transport := &http.Transport{}
		test(t, m, transport, server.URL)
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		_, _, err = try(t.Context(), transport, server.URL, "x")
		requireOpError(t, "dial", err)
	})
}

// requireOpError requires an error of the network. Its errno differs between platforms.
func requireOpError(t *testing.T, op string, err error) {
	t.Helper()
	network, ok := errors.AsType[*net.OpError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, op, network.Op)
}

func TestFaults(t *testing.T) {
	overBoth(t, func(t *testing.T, m *sandbox.Moov, rt http.RoundTripper, url string) {
		send := func(token string) (*http.Response, string, error) {
			response, body, err := try(t.Context(), rt, url, token)
			return response, string(body), err
		}
		mustSend := func() (*http.Response, string) {
			response, body, err := send("x")
			require.NoError(t, err)
			return response, body
		}

		m.Fault("revokeAccessToken",
			sandbox.Fault{Status: 503, Header: http.Header{"Retry-After": {"7"}}, Times: 2},
			sandbox.Fault{Status: 200, Body: `{"odd": true}`},
			sandbox.Fault{Status: 500, Body: "<html>", ContentType: "text/html"},
			sandbox.Fault{Status: 200, Body: "plain", Header: http.Header{"content-type": nil, "x-request-id": {"not a uuid"}}},
			sandbox.Fault{},
		)
		for range 2 {
			response, body := mustSend()
			assert.Equal(t, 503, response.StatusCode)
			assert.Equal(t, "7", response.Header.Get("Retry-After"))
			assert.Empty(t, body)
		}
		response, body := mustSend()
		assert.Equal(t, 200, response.StatusCode)
		assert.Equal(t, "application/json", response.Header.Get("Content-Type"))
		assert.Equal(t, `{"odd": true}`, body)
		assert.EqualValues(t, len(body), response.ContentLength)
		assert.NotEmpty(t, response.Header.Get("x-request-id"))
		response, body = mustSend()
		assert.Equal(t, "text/html", response.Header.Get("Content-Type"))
		assert.Equal(t, "<html>", body)
		response, _ = mustSend()
		assert.NotContains(t, response.Header, "Content-Type")
		assert.Equal(t, "not a uuid", response.Header.Get("X-Request-Id"))
		for range 2 {
			response, _ = mustSend()
			assert.Equal(t, 204, response.StatusCode)
			assert.NotContains(t, response.Header, "Content-Length")
		}

		m.Fault("revokeAccessToken", sandbox.Fault{Drop: true})
		_, _, err := send("x")
		require.Error(t, err)
		for _, c := range []struct {
			cut        int
			body, want string
		}{{4, "0123456789", "0123"}, {4, "0123", "0123"}, {4, "01", "01"}, {1, "0", "0"}} {
			m.Fault("revokeAccessToken", sandbox.Fault{Status: 200, Body: c.body, Cut: c.cut})
			response, body, err = send("x")
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			assert.Equal(t, c.want, body)
			assert.EqualValues(t, max(len(c.body), c.cut+1), response.ContentLength, "more than arrives")
		}
		m.Fault("revokeAccessToken", sandbox.Fault{Status: 200, Body: "1"})
		response, body = mustSend()
		assert.Equal(t, "1", body)
		assert.EqualValues(t, 1, response.ContentLength)

		m.Fault("revokeAccessToken", sandbox.Fault{Status: 500, Times: sandbox.Forever})
		for range 5 {
			response, _ = mustSend()
			assert.Equal(t, 500, response.StatusCode)
		}
		m.ClearFaults()
		response, _ = mustSend()
		assert.Equal(t, 204, response.StatusCode)

		assert.Equal(t, 19, m.Count("revokeAccessToken"))
		assert.Panics(t, func() { m.Fault("revokeToken", sandbox.Fault{}) })
	})
}

func TestFaultsBeforeAndAfterTheChange(t *testing.T) {
	m := sandbox.NewMoov(nil)
	access, _ := moovPair(t, m, "grant_type", "client_credentials", "scope", "a")
	rt := sandbox.Transport(m)

	m.Fault("revokeAccessToken", sandbox.Fault{Drop: true}, sandbox.Fault{Status: 503})
	_, _, err := try(t.Context(), rt, "http://x", access)
	requireOpError(t, "read", err)
	require.ErrorContains(t, err, "read memory: ")
	_, _, err = try(t.Context(), rt, "http://x", access)
	require.NoError(t, err)
	assert.Equal(t, 200, ping(t, m, access), "the operation did not run")

	m.Fault("revokeAccessToken", sandbox.Fault{Drop: true, After: true})
	_, _, err = try(t.Context(), rt, "http://x", access)
	requireOpError(t, "read", err)
	assert.Equal(t, 401, ping(t, m, access), "the operation ran, but its response was lost")

	s := newTenant(t, nil)
	s.Fault("createOAuthClient", sandbox.Fault{Status: 201, After: true, ContentType: "text/plain"}, sandbox.Fault{Status: 502, After: true, Body: "{}"})
	made := s.create(t, sampleCreate)
	assertStatus(t, 201, made)
	assert.Equal(t, "text/plain", made.header.Get("Content-Type"))
	assert.NotEmpty(t, made.text(t, "secret"))
	lost := s.create(t, sampleCreate)
	assertStatus(t, 502, lost)
	assert.Equal(t, "{}", lost.body)
	assert.Equal(t, 3, strings.Count(s.get(t, clients).body, `"id"`))
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sandbox.NewMoov(nil)
		access, _ := moovPair(t, m, "grant_type", "client_credentials", "scope", "a")
		m.Fault("revokeAccessToken", sandbox.Fault{Delay: time.Minute, Times: 2})
		start := time.Now()

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, _, err := try(ctx, sandbox.Transport(m), "http://x", access)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 10*time.Second, time.Since(start))
		pass(2 * time.Minute)
		assert.Equal(t, 200, ping(t, m, access), "the operation did not run for a caller that left during the delay")

		start = time.Now()
		response, _, err := try(t.Context(), sandbox.Transport(m), "http://x", access)
		require.NoError(t, err)
		assert.Equal(t, 204, response.StatusCode)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

// Changes during a delay take effect before the operation runs.
func TestDelayPassesBeforeTheOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sandbox.NewMoov(nil)
		access, _ := moovPair(t, m, "grant_type", "client_credentials", "scope", "a")
		m.Fault("ping", sandbox.Fault{Delay: 15 * time.Minute})
		assert.Equal(t, 401, ping(t, m, access), "expired meanwhile")

		m.Fault("createAccessToken", sandbox.Fault{Delay: time.Hour})
		access, _ = moovPair(t, m, "grant_type", "client_credentials", "scope", "a")
		assert.Equal(t, 200, ping(t, m, access), "the token's life begins after the delay")
	})
}

func TestRequestsAreRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sandbox.New()
		sendForm(t, h, "/v7/oauth2/token", inBody("grant_type", "client_credentials"), header("x-tenant-id", "tenant-7"))
		send(t, h, http.MethodGet, "/v7/nothing", "", "", query("a=b"))
		got := h.ThousandEyes.Requests()
		require.Len(t, got, 2)
		assert.Equal(t, "createAccessToken", got[0].Operation)
		assert.Equal(t, http.MethodPost, got[0].Method)
		assert.Equal(t, "/v7/oauth2/token", got[0].Path)
		assert.Equal(t, "tenant-7", got[0].Header.Get("X-Tenant-Id"))
		assert.Equal(t, "client_id="+sandbox.ClientID+"&client_secret="+sandbox.ClientSecret+"&grant_type=client_credentials", string(got[0].Body))
		assert.Equal(t, time.Now(), got[0].Time)
		assert.Empty(t, got[1].Operation)
		assert.Equal(t, "a=b", got[1].RawQuery)
		assert.Equal(t, 1, h.ThousandEyes.Count("createAccessToken"))
		assert.Empty(t, h.Moov.Requests())

		quiet := sandbox.NewSailPoint(&sandbox.SailPointOptions{NoRequests: true})
		sendForm(t, quiet, "/oauth/token", inBody("grant_type", "client_credentials"))
		assert.Empty(t, quiet.Requests())
		assert.Equal(t, 1, quiet.Count("createAccessToken"))
	})
}

func TestConcurrentUse(t *testing.T) {
	h := sandbox.NewMoov(&sandbox.MoovOptions{RateLimit: sandbox.Limit{Requests: -1}})
	_, refresh := moovPair(t, h, "grant_type", "client_credentials", "scope", "a")
	var wg sync.WaitGroup
	statuses := make(chan int, 50)
	for range 50 {
		wg.Go(func() {
			statuses <- sendForm(t, h, "/oauth2/token", inBody("grant_type", "refresh_token", "refresh_token", refresh)).status
		})
	}
	wg.Wait()
	close(statuses)
	counts := map[int]int{}
	for status := range statuses {
		counts[status]++
	}
	assert.Equal(t, map[int]int{200: 1, 400: 49}, counts)
	assert.Equal(t, 51, h.Count("createAccessToken"))
	assert.Len(t, h.Requests(), 51)
}
