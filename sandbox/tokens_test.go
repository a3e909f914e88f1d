package sandbox_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
)

// moovPair returns an access and a refresh token.
func moovPair(t *testing.T, h http.Handler, fields ...string) (access, refresh string) {
	t.Helper()
	got := sendForm(t, h, "/oauth2/token", inBody(fields...))
	require.Equal(t, 200, got.status, got.body)
	return got.text(t, "access_token"), got.text(t, "refresh_token")
}

func ping(t *testing.T, h http.Handler, token string) int {
	t.Helper()
	return send(t, h, http.MethodGet, "/ping", "", "", bearer(token)).status
}

func TestTokensExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sandbox.New()
		te := sendForm(t, h, "/v7/oauth2/token", inBody("grant_type", "client_credentials"))
		moov, refresh := moovPair(t, h, "grant_type", "client_credentials", "scope", "/ping.read")
		sp := sendForm(t, h, "/oauth/token", inBody("grant_type", "client_credentials"))
		statuses := func() []int {
			return []int{
				ping(t, h, moov),
				send(t, h, http.MethodGet, "/beta/oauth-clients", "", "", bearer(sp.text(t, "access_token"))).status,
				send(t, h, http.MethodGet, "/v7/tests", "", "", bearer(te.text(t, "access_token"))).status,
			}
		}

		assert.Equal(t, []int{200, 200, 200}, statuses())
		pass(750*time.Second - time.Nanosecond)
		assert.Equal(t, []int{200, 200, 200}, statuses())
		pass(time.Nanosecond)
		assert.Equal(t, []int{200, 401, 200}, statuses())
		pass(150 * time.Second)
		assert.Equal(t, []int{401, 401, 200}, statuses())
		pass(time.Hour)
		assert.Equal(t, []int{401, 401, 401}, statuses())

		expired := send(t, h, http.MethodGet, "/beta/oauth-clients", "", "", bearer(sp.text(t, "access_token")))
		assert.JSONEq(t, `{"error": "JWT validation failed: JWT is expired"}`, expired.body)
		moov, _ = moovPair(t, h, "grant_type", "refresh_token", "refresh_token", refresh)
		assert.Equal(t, 200, ping(t, h, moov), "the refresh token is valid longer than its access token")
	})
}

func TestTokenResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expiresIn := func(r reply) json.Number {
			var a struct {
				ExpiresIn json.Number `json:"expires_in"`
			}
			require.NoError(t, json.Unmarshal([]byte(r.body), &a), r.body)
			return a.ExpiresIn
		}
		h := sandbox.New()
		moovFields := inBody("grant_type", "client_credentials", "scope", "/accounts.read /accounts.write")

		te := sendForm(t, h, "/v7/oauth2/token", inBody("grant_type", "client_credentials"))
		assert.Equal(t, json.Number("3600"), expiresIn(te))
		assert.Equal(t, "read", te.text(t, "scope"))
		assert.NotContains(t, te.body, "refresh_token")

		moov := sendForm(t, h, "/oauth2/token", moovFields)
		assert.Equal(t, json.Number("900"), expiresIn(moov), "too early to be a Unix time")
		assert.Equal(t, "Bearer", moov.text(t, "token_type"))
		assert.Equal(t, "/accounts.read /accounts.write", moov.text(t, "scope"))
		inSeconds := sandbox.NewMoov(&sandbox.MoovOptions{ExpiresInSeconds: true, TokenLife: time.Minute})
		assert.Equal(t, json.Number("60"), expiresIn(sendForm(t, inSeconds, "/oauth2/token", moovFields)))

		sp := sendForm(t, h, "/oauth/token", inBody("grant_type", "client_credentials"))
		assert.NotEmpty(t, sp.text(t, "access_token"))
		assert.Regexp(t, `^[0-9a-f]{32}$`, sp.text(t, "jti"))
		var members map[string]any
		require.NoError(t, json.Unmarshal([]byte(sp.body), &members))
		delete(members, "access_token")
		delete(members, "jti")
		assert.Equal(t, map[string]any{
			"token_type": "bearer", "expires_in": 749.0, "scope": "sp:scopes:all", "accessType": "OFFLINE",
			"tenant_id": "sandbox-tenant", "org": "sandbox", "pod": "sandbox", "user_id": "sandbox-user", "identity_id": "sandbox-user",
			"user_name": "sandbox-user", "internal": false, "enabled": true, "strong_auth": false, "strong_auth_supported": false,
		}, members)
	})
}

// In our time, Moov's expires_in is a Unix time unless the options say otherwise.
func TestMoovExpiresIn(t *testing.T) {
	for _, inSeconds := range []bool{false, true} {
		h := sandbox.NewMoov(&sandbox.MoovOptions{ExpiresInSeconds: inSeconds, TokenLife: time.Hour})
		got := sendForm(t, h, "/oauth2/token", inBody("grant_type", "client_credentials", "scope", "a"))
		var token struct {
			ExpiresIn int64 `json:"expires_in"`
		}
		require.NoError(t, json.Unmarshal([]byte(got.body), &token), got.body)
		if inSeconds {
			assert.EqualValues(t, 3600, token.ExpiresIn)
		} else {
			assert.WithinDuration(t, time.Now().Add(time.Hour), time.Unix(token.ExpiresIn, 0), time.Minute)
		}
	}
}

func TestMoovRefreshTokensRotate(t *testing.T) {
	h := sandbox.NewMoov(nil)
	access1, refresh1 := moovPair(t, h, "grant_type", "client_credentials", "scope", "a b")
	access2, refresh2 := moovPair(t, h, "grant_type", "refresh_token", "refresh_token", refresh1, "scope", "a")
	assert.NotEqual(t, refresh1, refresh2)
	assert.Equal(t, []int{200, 200}, []int{ping(t, h, access1), ping(t, h, access2)})
	assert.Equal(t, 401, ping(t, h, refresh2), "a refresh token is not an access token")

	wider := sendForm(t, h, "/oauth2/token", inBody("grant_type", "refresh_token", "refresh_token", refresh2, "scope", "a c"))
	assert.JSONEq(t, `{"error": "invalid_scope"}`, wider.body)
	malformed := sendForm(t, h, "/oauth2/token", inBody("grant_type", "refresh_token", "refresh_token", refresh2, "scope", "a  b"))
	assert.JSONEq(t, `{"error": "invalid_scope"}`, malformed.body)
	access3, refresh3 := moovPair(t, h, "grant_type", "refresh_token", "refresh_token", refresh2, "scope", "a b")

	reuse := sendForm(t, h, "/oauth2/token", inBody("grant_type", "refresh_token", "refresh_token", refresh1))
	assertStatus(t, 400, reuse)
	assert.JSONEq(t, `{"error": "invalid_grant"}`, reuse.body)
	assert.Equal(t, []int{401, 401, 401}, []int{ping(t, h, access1), ping(t, h, access2), ping(t, h, access3)})
	assertStatus(t, 400, sendForm(t, h, "/oauth2/token", inBody("grant_type", "refresh_token", "refresh_token", refresh3)))
}

func TestMoovRevocation(t *testing.T) {
	other := sandbox.Client{ID: "other", Secret: "other-secret"}
	h := sandbox.NewMoov(&sandbox.MoovOptions{Clients: []sandbox.Client{{ID: sandbox.ClientID, Secret: sandbox.ClientSecret}, other}})
	revoke := func(fields ...string) reply { return sendForm(t, h, "/oauth2/revoke", inBody(fields...)) }

	access, refresh := moovPair(t, h, "grant_type", "client_credentials", "scope", "a")
	foreign := sendForm(t, h, "/oauth2/revoke", []string{"token", access}, basic(other.ID, other.Secret))
	assert.JSONEq(t, `{"error": "unauthorized_client"}`, foreign.body)
	stolen := sendForm(t, h, "/oauth2/token", []string{"grant_type", "refresh_token", "refresh_token", refresh}, basic(other.ID, other.Secret))
	assert.JSONEq(t, `{"error": "invalid_grant"}`, stolen.body)
	assert.Equal(t, 200, ping(t, h, access))

	got := revoke("token", access, "token_type_hint", "refresh_token") // a wrong hint
	assertStatus(t, 204, got)
	assert.Empty(t, got.body)
	assert.Equal(t, 401, ping(t, h, access))
	assertStatus(t, 204, revoke("token", access))
	assertStatus(t, 204, revoke("token", "never-issued"))

	access, refresh = moovPair(t, h, "grant_type", "refresh_token", "refresh_token", refresh)
	assert.Equal(t, 200, ping(t, h, access), "revoking an access token affects only that token")
	assertStatus(t, 204, revoke("token", refresh))
	assert.Equal(t, 401, ping(t, h, access), "revoking a refresh token revokes its access tokens")
	assertStatus(t, 400, sendForm(t, h, "/oauth2/token", inBody("grant_type", "refresh_token", "refresh_token", refresh)))
}
