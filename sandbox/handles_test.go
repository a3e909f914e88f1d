package sandbox_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
)

// probes are requests that require a live access token.
var probes = map[string]string{"ThousandEyes": "/v7/tests", "Moov": "/ping", "SailPoint": "/beta/oauth-clients"}

type handles interface {
	Issue(t sandbox.Token) sandbox.Token
	Lookup(token string) (sandbox.Token, bool)
	Rotate(refreshToken string) sandbox.Token
	Expire(token string)
	ExpireAll()
	Revoke(token string)
	RevokeAll()
	Protect(h http.Handler, scopes ...string) http.Handler
	Requests() []sandbox.Request
	Count(operationID string) int
	Fault(operationID string, f ...sandbox.Fault)
	SetLimit(l sandbox.Limit)
}

// eachVendor runs a test in a bubble, with a function that returns the status of a request with a token.
func eachVendor(t *testing.T, test func(t *testing.T, name string, v handles, probe func(token string) int)) {
	for name, path := range probes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sb := sandbox.New()
				v := map[string]handles{"ThousandEyes": sb.ThousandEyes, "Moov": sb.Moov, "SailPoint": sb.SailPoint}[name]
				test(t, name, v, func(token string) int { return send(t, sb, http.MethodGet, path, "", "", bearer(token)).status })
			})
		})
	}
}

func TestIssueExpireRevoke(t *testing.T) {
	lives := map[string]time.Duration{"ThousandEyes": time.Hour, "Moov": 15 * time.Minute, "SailPoint": 750 * time.Second}
	scopes := map[string]string{"ThousandEyes": "read", "Moov": "/ping.read", "SailPoint": "sp:scopes:all"}
	eachVendor(t, func(t *testing.T, name string, v handles, probe func(string) int) {
		issued := v.Issue(sandbox.Token{})
		assert.Equal(t, sandbox.ClientID, issued.ClientID)
		assert.Equal(t, time.Now().Add(lives[name]), issued.Expires)
		assert.Equal(t, []string{scopes[name]}, issued.Scopes)
		assert.Equal(t, name != "ThousandEyes", issued.RefreshToken != "")
		assert.Regexp(t, "^access-", issued.AccessToken, "a token says what it is")
		assert.Regexp(t, "^(refresh-.*)?$", issued.RefreshToken)
		assert.Equal(t, 200, probe(issued.AccessToken))
		assert.Zero(t, v.Count("createAccessToken"), "there was no request")

		found, ok := v.Lookup(issued.AccessToken)
		want := issued
		want.RefreshToken = ""
		assert.True(t, ok)
		assert.Equal(t, want, found)

		other := v.Issue(sandbox.Token{AccessToken: "my-token", Scopes: []string{"a"}, Expires: time.Now().Add(time.Minute)})
		assert.Equal(t, "my-token", other.AccessToken)
		found, _ = v.Lookup("my-token")
		assert.Equal(t, []string{"a"}, found.Scopes)
		pass(time.Minute)
		assert.Equal(t, 401, probe("my-token"))
		_, ok = v.Lookup("my-token")
		assert.False(t, ok)

		v.Expire(issued.AccessToken)
		assert.Equal(t, 401, probe(issued.AccessToken))

		wanted := v.Issue(sandbox.Token{RefreshToken: "my-refresh-token"})
		_, ok = v.Lookup("my-refresh-token")
		assert.Equal(t, name != "ThousandEyes", ok)
		assert.Equal(t, ok, wanted.RefreshToken == "my-refresh-token")
		assert.Equal(t, !ok, wanted.RefreshToken == "")

		issued, other = v.Issue(sandbox.Token{}), v.Issue(sandbox.Token{})
		v.Revoke(issued.AccessToken)
		assert.Equal(t, []int{401, 200}, []int{probe(issued.AccessToken), probe(other.AccessToken)})
		v.ExpireAll()
		assert.Equal(t, 401, probe(other.AccessToken))
		if other.RefreshToken != "" {
			rotated := v.Rotate(other.RefreshToken)
			assert.Equal(t, 200, probe(rotated.AccessToken), "refresh tokens do not expire with the access tokens")
			assert.Equal(t, time.Now().Add(lives[name]), rotated.Expires)
			_, ok = v.Lookup(other.RefreshToken)
			assert.False(t, ok, "used")
			found, ok = v.Lookup(rotated.RefreshToken)
			assert.True(t, ok)
			assert.Equal(t, rotated.RefreshToken, found.RefreshToken)
			assert.Empty(t, found.AccessToken)
			v.Revoke(rotated.RefreshToken)
			assert.Equal(t, 401, probe(rotated.AccessToken), "revoking a refresh token revokes its access tokens")
		}
		last := v.Issue(sandbox.Token{})
		v.RevokeAll()
		assert.Equal(t, 401, probe(last.AccessToken))
		if last.RefreshToken != "" {
			_, ok = v.Lookup(last.RefreshToken)
			assert.False(t, ok)
		}
	})
}

func TestHandlesPanicAtWhatDoesNotExist(t *testing.T) {
	eachVendor(t, func(t *testing.T, name string, v handles, _ func(string) int) {
		unknown := "sandbox: " + name + " has no such token; it was never issued, or is revoked"
		issued := v.Issue(sandbox.Token{})
		assert.PanicsWithValue(t, unknown, func() { v.Expire("s3cret") })
		assert.PanicsWithValue(t, unknown, func() { v.Revoke("s3cret") })
		assert.PanicsWithValue(t, unknown, func() { v.Rotate("s3cret") })
		assert.PanicsWithValue(t, "sandbox: "+name+" does not take this token as a refresh token", func() { v.Rotate(issued.AccessToken) })
		assert.PanicsWithValue(t, "sandbox: "+name+` has no client "nobody"; name another in Token.ClientID`,
			func() { v.Issue(sandbox.Token{ClientID: "nobody"}) })
		_, ok := v.Lookup("s3cret")
		assert.False(t, ok)
		v.Issue(sandbox.Token{}) // no lock is held
	})
}

// Rotate has the effect of a refresh by another process.
func TestRotateIsARefresh(t *testing.T) {
	sb := sandbox.New()
	issued := sb.Moov.Issue(sandbox.Token{Scopes: []string{"/ping.read"}})
	rotated := sb.Moov.Rotate(issued.RefreshToken)
	assert.Equal(t, []string{"/ping.read"}, rotated.Scopes)
	late := sendForm(t, sb, "/oauth2/token", inBody("grant_type", "refresh_token", "refresh_token", issued.RefreshToken))
	assert.Equal(t, "invalid_grant", late.text(t, "error"))
	assert.Equal(t, 401, ping(t, sb, rotated.AccessToken), "the second use revokes the whole family")
	assert.Panics(t, func() { sb.Moov.Rotate(rotated.RefreshToken) })
}

func TestIssueForAUser(t *testing.T) {
	sb := sandbox.New()
	got := sb.SailPoint.Issue(sandbox.Token{ClientID: sandbox.PublicClientID, User: "user-7"})
	assert.Equal(t, "user-7", got.User)
	assert.Equal(t, "user-7", sb.SailPoint.Rotate(got.RefreshToken).User)
	assert.Equal(t, "sandbox-user", sb.SailPoint.Issue(sandbox.Token{ClientID: sandbox.PublicClientID}).User)
}

func TestProtect(t *testing.T) {
	eachVendor(t, func(t *testing.T, name string, v handles, _ func(string) int) {
		sb := sandbox.New()
		var seen []string
		own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			seen = append(seen, r.PathValue("id")+" "+string(body))
			w.Header().Set("X-Own", "yes")
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "short and stout")
		})
		sb.Handle("POST /oauth2/teapots/{id}", v.Protect(own))
		sb.Handle("/v7/scoped", v.Protect(own, "tea.read", "tea.write"))
		post := func(edits ...edit) reply {
			return send(t, sb, http.MethodPost, "/oauth2/teapots/7", "text/plain", "hello", edits...)
		}

		got := post()
		assertStatus(t, 401, got)
		requestID := map[string]string{"Moov": "x-request-id", "SailPoint": "SLPT-Request-ID", "ThousandEyes": "none"}[name]
		assert.Equal(t, name == "ThousandEyes", got.header.Get(requestID) == "")
		assert.Equal(t, `Bearer realm="sandbox"`, got.header.Get("WWW-Authenticate"))
		got = post(bearer("unknown"))
		assertStatus(t, 401, got)
		assert.Equal(t, `Bearer realm="sandbox", error="invalid_token"`, got.header.Get("WWW-Authenticate"))
		assert.Empty(t, seen)

		live := v.Issue(sandbox.Token{Scopes: []string{"tea.read"}})
		got = post(bearer(live.AccessToken))
		assertStatus(t, 418, got)
		assert.Equal(t, "short and stout", got.body)
		assert.Equal(t, "yes", got.header.Get("X-Own"))
		assert.Equal(t, name == "ThousandEyes", got.header.Get(requestID) == "")
		assert.Equal(t, []string{"7 hello"}, seen)
		assert.Equal(t, name == "ThousandEyes", got.header.Get("X-Organization-Rate-Limit-Remaining") != "")
		if live.RefreshToken != "" {
			assertStatus(t, 401, post(bearer(live.RefreshToken)))
		}

		scoped := func(token string) reply { return send(t, sb, http.MethodGet, "/v7/scoped", "", "", bearer(token)) }
		assertStatus(t, 418, scoped(live.AccessToken))
		got = scoped(v.Issue(sandbox.Token{Scopes: []string{"tea.brew"}}).AccessToken)
		assertStatus(t, 403, got)
		assert.Equal(t, `Bearer error="insufficient_scope"`, got.header.Get("WWW-Authenticate"))

		v.Fault(sandbox.Protected, sandbox.Fault{Status: 503}, sandbox.Fault{Drop: true, After: true}, sandbox.Fault{Body: "{}"}, sandbox.Fault{Delay: 2 * time.Hour})
		assertStatus(t, 503, post(bearer(live.AccessToken)))
		before := len(seen)
		_, err := sandbox.Transport(sb).RoundTrip(request(t, http.MethodPost, "/oauth2/teapots/8", bearer(live.AccessToken)))
		require.Error(t, err)
		assert.Len(t, seen, before+1, "the handler ran, but the response was lost")
		got = post(bearer(live.AccessToken))
		assertStatus(t, 418, got)
		assert.Equal(t, "{}", got.body)
		assertStatus(t, 401, post(bearer(live.AccessToken)))

		live = v.Issue(sandbox.Token{})
		v.SetLimit(sandbox.Limit{Requests: 1, Per: time.Hour, Window: sandbox.WindowAligned})
		assertStatus(t, 418, post(bearer(live.AccessToken)))
		assertStatus(t, 429, post(bearer(live.AccessToken)))
		requests := v.Requests()
		last := requests[len(requests)-1]
		assert.Equal(t, sandbox.Protected, last.Operation)
		assert.Equal(t, "/oauth2/teapots/7", last.Path)
		assert.Equal(t, 429, last.Status)
	})
}

// A handler behind Protect may set the headers that the vendor would set, also if a fault applies to its response.
func TestProtectedHandlersSetTheirOwnHeaders(t *testing.T) {
	v := sandbox.NewMoov(nil)
	token := bearer(v.Issue(sandbox.Token{}).AccessToken)
	h := v.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Request-Id", "own") }))
	for _, fault := range [][]sandbox.Fault{nil, {{}}} {
		v.Fault(sandbox.Protected, fault...)
		assert.Equal(t, []string{"own"}, send(t, h, http.MethodGet, "/", "", "", token).header.Values("X-Request-Id"))
	}
}

// The first status that a handler writes counts, also if a fault applies to its response.
func TestProtectedHandlersHaveOneStatus(t *testing.T) {
	v := sandbox.NewThousandEyes(nil)
	token := bearer(v.Issue(sandbox.Token{}).AccessToken)
	for want, handler := range map[int]http.HandlerFunc{
		200: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "ok")
			w.WriteHeader(http.StatusInternalServerError)
		},
		404: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			w.WriteHeader(http.StatusInternalServerError)
		},
	} {
		for _, fault := range [][]sandbox.Fault{nil, {{}}} {
			v.Fault(sandbox.Protected, fault...)
			assertStatus(t, want, send(t, v.Protect(handler), http.MethodGet, "/", "", "", token))
		}
	}
}

// A handler behind Protect can stream.
func TestProtectStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := sandbox.New()
		sb.Handle("/v7/stream", sb.ThousandEyes.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "first")
			<-r.Context().Done()
		})))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := request(t, http.MethodGet, "/v7/stream", bearer(sb.ThousandEyes.Issue(sandbox.Token{}).AccessToken)).WithContext(ctx)
		resp, err := sb.HTTPClient().Transport.RoundTrip(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		got := make([]byte, 5)
		_, err = io.ReadFull(resp.Body, got)
		require.NoError(t, err)
		assert.Equal(t, "first", string(got))
	})
}

// Tests may call these methods while requests are in flight.
func TestHandlesBesideRequests(t *testing.T) {
	sb := sandbox.New(sandbox.NewMoov(&sandbox.MoovOptions{RateLimit: sandbox.Limit{Requests: -1}}))
	sb.Handle("/protected", sb.Moov.Protect(http.NotFoundHandler()))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for range 20 {
				issued := sb.Moov.Issue(sandbox.Token{})
				for _, path := range []string{"/ping", "/protected"} {
					resp, err := sb.HTTPClient().Transport.RoundTrip(request(t, http.MethodGet, path, bearer(issued.AccessToken)))
					if assert.NoError(t, err) {
						assert.NoError(t, resp.Body.Close())
					}
				}
				switch i % 5 {
				case 0:
					sb.Moov.ExpireAll()
				case 1:
					sb.Moov.RevokeAll()
				case 2:
					sb.Moov.SetLimit(sandbox.Limit{Requests: -1, Window: sandbox.WindowSliding})
				case 3:
					sb.Moov.Fault("ping", sandbox.Fault{Delay: time.Microsecond})
				default:
					sb.Moov.Requests()
					sb.Moov.Lookup(issued.AccessToken)
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 400, sb.Moov.Count("ping"))
	assert.Equal(t, 400, sb.Moov.Count(sandbox.Protected))
}

func request(t *testing.T, method, path string, edits ...edit) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://vendor.example"+path, strings.NewReader(""))
	for _, edit := range edits {
		edit(r)
	}
	return r
}

func TestStart(t *testing.T) {
	var url string
	t.Run("a test", func(t *testing.T) {
		sb := sandbox.Start(t, sandbox.NewMoov(&sandbox.MoovOptions{TokenLife: time.Hour}))
		url = sb.URL
		assert.Regexp(t, `^http://127\.0\.0\.1:[0-9]+$`, url)
		get := func(path, token string) int {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, sb.URL+path, nil)
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+token)
			resp, err := sb.HTTPClient().Do(r)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			return resp.StatusCode
		}
		live := sb.Moov.Issue(sandbox.Token{})
		assert.Greater(t, time.Until(live.Expires), 50*time.Minute, "the given vendor is used")
		assert.Equal(t, 200, get("/ping", live.AccessToken))
		assert.Equal(t, 401, get("/v7/tests", live.AccessToken))
		assert.Equal(t, 401, get("/beta/oauth-clients", live.AccessToken))
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/ping", nil)
	require.NoError(t, err)
	resp, err := (&http.Transport{}).RoundTrip(r)
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Error(t, err, "the server ends with the test")
}

func TestHandleStandsBeforeTheVendors(t *testing.T) {
	sb := sandbox.New()
	own := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "own") }
	sb.Handle("GET /ping", http.HandlerFunc(own))
	assert.Equal(t, "own", send(t, sb, http.MethodGet, "/ping", "", "").body)
	assertStatus(t, 405, send(t, sb, http.MethodPost, "/ping", "", ""))
	assertStatus(t, 404, send(t, sb, http.MethodGet, "/beta//oauth-clients", "", ""))
	assert.Panics(t, func() { sb.Handle("GET /ping", http.HandlerFunc(own)) })
}

func TestRequestsTellTheStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := sandbox.NewMoov(nil)
		m.Fault("ping", sandbox.Fault{}, sandbox.Fault{Status: 503}, sandbox.Fault{Drop: true}, sandbox.Fault{Delay: time.Minute})
		ping(t, m, "x")
		ping(t, m, "x")
		_, err := sandbox.Transport(m).RoundTrip(request(t, http.MethodGet, "/ping"))
		require.Error(t, err)
		delayed, done := request(t, http.MethodGet, "/ping"), make(chan error)
		go func() {
			resp, err := sandbox.Transport(m).RoundTrip(delayed)
			if err == nil {
				_ = resp.Body.Close()
			}
			done <- err
		}()
		synctest.Wait()
		var statuses []int
		for _, r := range m.Requests() {
			statuses = append(statuses, r.Status)
		}
		assert.Equal(t, []int{401, 503, 0, 0}, statuses)
		require.NoError(t, <-done)
		assert.Equal(t, 401, m.Requests()[3].Status)
	})
}
