package sandbox_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
)

func TestRateLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &sandbox.Sandbox{
			ThousandEyes: sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{RateLimit: sandbox.Limit{Requests: 2}}),
			Moov:         sandbox.NewMoov(&sandbox.MoovOptions{RateLimit: sandbox.Limit{Requests: 2}}),
			SailPoint:    sandbox.NewSailPoint(&sandbox.SailPointOptions{RateLimit: sandbox.Limit{Requests: 2}}),
		}
		pass(time.Nanosecond) // makes a reset fall between two seconds
		te := func() reply { return sendForm(t, h, "/v7/oauth2/token", inBody("grant_type", "client_credentials")) }
		moov := func() reply { return sendForm(t, h, "/oauth2/revoke", inBody("token", "x")) }
		sp := func() reply { return sendForm(t, h, "/oauth/token", inBody("grant_type", "client_credentials")) }
		for range 2 {
			assertStatus(t, 200, te())
			assertStatus(t, 204, moov())
			assertStatus(t, 200, sp())
		}

		got := te()
		assertStatus(t, 429, got)
		assert.Equal(t, "application/problem+json", got.header.Get("Content-Type"))
		assert.Equal(t, "2", got.header.Get("X-Organization-Rate-Limit-Limit"))
		assert.Equal(t, "0", got.header.Get("X-Organization-Rate-Limit-Remaining"))
		reset, err := strconv.ParseInt(got.header.Get("X-Organization-Rate-Limit-Reset"), 10, 64)
		require.NoError(t, err)
		assert.Equal(t, time.Now().Add(time.Minute).Unix()+1, reset)

		got = moov()
		assertStatus(t, 429, got)
		assert.Equal(t, "1", got.header.Get("Retry-After"))
		assert.Empty(t, got.body)

		got = sp()
		assertStatus(t, 429, got)
		assert.Equal(t, "10", got.header.Get("Retry-After"))
		assert.JSONEq(t, `{"message": " Rate Limit Exceeded "}`, got.body)

		pass(time.Second - time.Nanosecond)
		assert.Equal(t, "10", sp().header.Get("Retry-After"), "9 s would be too early")
		pass(time.Nanosecond)
		assertStatus(t, 204, moov())
		assertStatus(t, 429, sp())
		pass(9 * time.Second)
		assertStatus(t, 200, sp())
		assertStatus(t, 429, te())
		pass(time.Until(time.Unix(reset, 0)))
		assertStatus(t, 200, te())
	})
}

func TestDocumentedRateLimits(t *testing.T) {
	limits := map[string]sandbox.Limit{
		"ThousandEyes": {Requests: 240, Per: time.Minute}, "Moov": {Requests: 40, Per: time.Second}, "SailPoint": {Requests: 100, Per: 10 * time.Second},
	}
	eachVendor(t, func(t *testing.T, name string, v handles, probe func(string) int) {
		token := v.Issue(sandbox.Token{}).AccessToken
		for range limits[name].Requests {
			require.Equal(t, 200, probe(token))
		}
		assert.Equal(t, 429, probe(token))
		pass(limits[name].Per - time.Nanosecond)
		assert.Equal(t, 429, probe(token))
		pass(time.Nanosecond)
		assert.Equal(t, 200, probe(token))
	})
}

func TestRateLimitIsPerClientAtSailPoint(t *testing.T) {
	h := sandbox.NewSailPoint(&sandbox.SailPointOptions{RateLimit: sandbox.Limit{Requests: 3}})
	token := sendForm(t, h, "/oauth/token", inBody("grant_type", "client_credentials")).text(t, "access_token")
	list := func(path string) int { return send(t, h, http.MethodGet, path, "", "", bearer(token)).status }
	assert.Equal(t, []int{200, 200, 429}, []int{list("/beta/oauth-clients"), list("/v3/oauth-clients"), list("/oauth-clients/v1")})
	assertStatus(t, 429, sendForm(t, h, "/oauth/token", inBody("grant_type", "client_credentials")))
	assertStatus(t, 200, sendForm(t, h, "/oauth/token", []string{"grant_type", "client_credentials"},
		basic(sandbox.SampleClientID, sandbox.ClientSecret)))
	assertStatus(t, 401, sendForm(t, h, "/oauth/token", []string{"grant_type", "client_credentials"}))
}

func TestRateLimitCountsAPIRequestsAtMoov(t *testing.T) {
	h := sandbox.NewMoov(&sandbox.MoovOptions{RateLimit: sandbox.Limit{Requests: 2, Per: time.Hour}})
	access, _ := moovPair(t, h, "grant_type", "client_credentials", "scope", "a")
	assert.Equal(t, []int{200, 429, 401}, []int{ping(t, h, access), ping(t, h, access), ping(t, h, "unknown")})
}

func TestRateLimitCanBeOff(t *testing.T) {
	off := sandbox.NewMoov(&sandbox.MoovOptions{RateLimit: sandbox.Limit{Requests: -1}})
	for range 1000 {
		require.Equal(t, 204, sendForm(t, off, "/oauth2/revoke", inBody("token", "x")).status)
	}
	te := sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{RateLimit: sandbox.Limit{Requests: -1}})
	got := sendForm(t, te, "/v7/oauth2/token", inBody("grant_type", "client_credentials"))
	assertStatus(t, 200, got)
	assert.NotContains(t, got.header, "X-Organization-Rate-Limit-Limit")
}

// A window accepts 4 requests in 10 s. Requests arrive at these times, from second 3 of a minute.
func TestRateLimitWindows(t *testing.T) {
	for _, tt := range []struct {
		name   string
		window sandbox.Window
		want   string // status of each request, with Retry-After for a 429
	}{
		{"from first", sandbox.WindowFromFirst, "0:204 1:204 2:204 6:204 6:429(4) 7:429(3) 9:429(1) 10:204 11:204 12:204 13:204 14:429(6)"},
		{"aligned", sandbox.WindowAligned, "0:204 1:204 2:204 6:204 6:429(1) 7:204 9:204 10:204 11:204 12:429(5) 13:429(4) 14:429(3)"},
		{"sliding", sandbox.WindowSliding, "0:204 1:204 2:204 6:204 6:429(4) 7:429(3) 9:429(1) 10:204 11:204 12:204 13:429(3) 14:429(2)"},
		{"bucket", sandbox.WindowBucket, "0:204 1:204 2:204 6:204 6:204 7:204 9:204 10:204 11:429(2) 12:429(1) 13:204 14:429(1)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := sandbox.NewMoov(&sandbox.MoovOptions{RateLimit: sandbox.Limit{Requests: 4, Per: 10 * time.Second, Window: tt.window}})
				pass(3 * time.Second)
				start := time.Now()
				var got string
				for _, at := range []int{0, 1, 2, 6, 6, 7, 9, 10, 11, 12, 13, 14} {
					pass(time.Until(start.Add(time.Duration(at) * time.Second)))
					r := sendForm(t, h, "/oauth2/revoke", inBody("token", "x"))
					got += fmt.Sprintf(" %d:%d", at, r.status)
					if r.status == 429 {
						got += "(" + r.header.Get("Retry-After") + ")"
					}
				}
				assert.Equal(t, tt.want, got[1:])
			})
		})
	}
}

func TestRateLimitHeadersCountDown(t *testing.T) {
	for window, want := range map[sandbox.Window][]string{
		sandbox.WindowFromFirst: {"2 4", "1 4", "0 4", "0 4"},
		sandbox.WindowAligned:   {"2 4", "1 4", "0 4", "0 4"},
		sandbox.WindowSliding:   {"2 4", "1 4", "0 4", "0 4"},
		sandbox.WindowBucket:    {"2 2", "1 3", "0 4", "0 2"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{
				RateLimit: sandbox.Limit{Requests: 3, Per: 4 * time.Second, Window: window}})
			for i, want := range want {
				got := sendForm(t, h, "/v7/oauth2/token", inBody("grant_type", "client_credentials")).header
				assert.Equal(t, "3", got.Get("X-Organization-Rate-Limit-Limit"))
				assert.Empty(t, got.Get("Retry-After"))
				reset, err := strconv.ParseInt(got.Get("X-Organization-Rate-Limit-Reset"), 10, 64)
				require.NoError(t, err)
				assert.Equal(t, want, fmt.Sprint(got.Get("X-Organization-Rate-Limit-Remaining"), " ", reset-time.Now().Unix()),
					"window %d, request %d", window, i)
			}
		})
	}
}

func TestSetLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sandbox.NewMoov(&sandbox.MoovOptions{RateLimit: sandbox.Limit{Requests: 4, Per: time.Minute}})
		statuses := func(n int) (got []int) {
			for range n {
				got = append(got, sendForm(t, h, "/oauth2/revoke", inBody("token", "x")).status)
			}
			return got
		}
		assert.Equal(t, []int{204, 204, 204}, statuses(3))
		h.SetLimit(sandbox.Limit{Requests: 2, Per: time.Minute})
		assert.Equal(t, []int{429}, statuses(1), "earlier requests count")
		h.SetLimit(sandbox.Limit{Requests: 5, Per: time.Minute})
		assert.Equal(t, []int{204, 204, 429}, statuses(3))
		h.SetLimit(sandbox.Limit{Requests: 2, Per: time.Minute, Window: sandbox.WindowSliding})
		assert.Equal(t, []int{204, 204, 429}, statuses(3), "another Window starts a new count")
		h.SetLimit(sandbox.Limit{Requests: 1, Per: time.Minute, Window: sandbox.WindowSliding})
		assert.Equal(t, []int{429}, statuses(1))
		pass(time.Minute)
		assert.Equal(t, []int{204, 429}, statuses(2))
		h.SetLimit(sandbox.Limit{Requests: 2, Per: time.Minute})
		assert.Equal(t, []int{204, 204, 429}, statuses(3), "so does the previous Window")
		h.SetLimit(sandbox.Limit{Requests: 2, Per: 2 * time.Minute})
		assert.Equal(t, []int{204, 204, 429}, statuses(3), "so does another Per")
		h.SetLimit(sandbox.Limit{})
		assert.NotContains(t, statuses(40), 429)
		assert.Equal(t, []int{429}, statuses(1), "the documented limit is back")
	})
	for _, window := range []sandbox.Window{-1, 4} {
		assert.PanicsWithValue(t, fmt.Sprintf("sandbox: unknown Window %d", window), func() { sandbox.NewMoov(nil).SetLimit(sandbox.Limit{Window: window}) })
	}
}

func TestRetryAfterAsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hint := ""
		limit := sandbox.Limit{Requests: 1, RetryAfter: func(wait time.Duration) string { return hint + wait.String() }}
		h := &sandbox.Sandbox{
			ThousandEyes: sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{RateLimit: limit}),
			Moov:         sandbox.NewMoov(&sandbox.MoovOptions{RateLimit: limit}),
			SailPoint:    sandbox.NewSailPoint(&sandbox.SailPointOptions{RateLimit: limit}),
		}
		hint = "about "
		for path, want := range map[string]string{"/v7/oauth2/token": "about 1m0s", "/oauth2/token": "about 1s", "/oauth/token": "about 10s"} {
			fields := inBody("grant_type", "client_credentials")
			if path == "/oauth2/token" {
				fields = append(fields, "scope", "a")
			}
			assertStatus(t, 200, sendForm(t, h, path, fields))
			got := sendForm(t, h, path, fields)
			assertStatus(t, 429, got)
			assert.Equal(t, want, got.header.Get("Retry-After"), path)
		}
		none := sandbox.Limit{Requests: 1, RetryAfter: func(time.Duration) string { return "" }}
		h.SailPoint.SetLimit(none)
		got := sendForm(t, h, "/oauth/token", inBody("grant_type", "client_credentials"))
		assertStatus(t, 429, got)
		assert.NotContains(t, got.header, "Retry-After")
	})
}

func TestEscalatingRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sandbox.NewSailPoint(&sandbox.SailPointOptions{RateLimit: sandbox.Limit{Requests: 1, Escalate: true}})
		ask := func() string {
			got := sendForm(t, h, "/oauth/token", inBody("grant_type", "client_credentials"))
			return fmt.Sprint(got.status, " ", got.header.Get("Retry-After"))
		}
		assert.Equal(t, "200 ", ask())
		assert.Equal(t, "429 10", ask())
		pass(2 * time.Second)
		assert.Equal(t, "429 8", ask(), "it may have been in flight")
		pass(time.Second)
		for i, want := range []int{60, 120, 240, 480, 960, 1200, 1200} {
			assert.Equal(t, fmt.Sprint("429 ", want), ask(), i)
			pass(time.Second)
			assert.Equal(t, fmt.Sprint("429 ", want-1), ask(), "it may have been in flight")
			pass(2 * time.Second)
		}
		pass(1200*time.Second - 3*time.Second - time.Nanosecond)
		assert.Equal(t, "429 1200", ask(), "a nanosecond too early")
		pass(1200 * time.Second)
		assert.Equal(t, "200 ", ask())
		assert.Equal(t, "429 10", ask())
		pass(3 * time.Second)
		assert.Equal(t, "429 60", ask(), "waiting long enough ends the escalation")
		pass(time.Minute)
		assert.Equal(t, "200 ", ask())
		assert.Equal(t, "429 10", ask())
		pass(10 * time.Second)
		assert.Equal(t, "200 ", ask(), "a caller that waits is not blocked")

		other := sendForm(t, h, "/oauth/token", []string{"grant_type", "client_credentials"}, basic(sandbox.SampleClientID, sandbox.ClientSecret))
		assertStatus(t, 200, other)

		te := sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{RateLimit: sandbox.Limit{Requests: 1, Escalate: true}})
		for _, status := range []int{200, 429, 429} {
			got := sendForm(t, te, "/v7/oauth2/token", inBody("grant_type", "client_credentials"))
			assertStatus(t, status, got)
			assert.Equal(t, "0", got.header.Get("X-Organization-Rate-Limit-Remaining"))
		}
	})
}
