package assertion_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/examples/assertion"
	"github.com/grantwright/oauth-go/tokens"
)

// server is a token endpoint that authenticates one client by its public key.
func server(t *testing.T, key *ecdsa.PublicKey, busy int) (issuer string) {
	t.Helper()
	seen := map[string]bool{}
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		assert.NoError(t, json.NewEncoder(w).Encode(map[string]any{
			"issuer": s.URL, "token_endpoint": s.URL + "/token", "token_endpoint_auth_methods_supported": []string{"private_key_jwt"},
		}))
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", r.PostFormValue("client_assertion_type"))
		assert.Empty(t, r.PostFormValue("client_secret"))
		claims := jwt.RegisteredClaims{}
		token, err := jwt.ParseWithClaims(r.PostFormValue("client_assertion"), &claims, func(*jwt.Token) (any, error) { return key, nil },
			jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(s.URL), jwt.WithIssuer("client"), jwt.WithSubject("client"),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt())
		if err != nil || seen[claims.ID] || token.Header["kid"] != "key-1" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
			return
		}
		seen[claims.ID] = true
		if len(seen) <= busy {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"at-` + strconv.Itoa(len(seen)) + `","token_type":"Bearer"}`))
	})
	return s.URL
}

func TestAssertion(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	endpoint, err := assertion.Endpoint(t.Context(), server(t, &key.PublicKey, 0), "client", "key-1", jwt.SigningMethodES256, key)
	require.NoError(t, err)
	for _, want := range []string{"at-1", "at-2"} { // each exchange has a new assertion
		token, err := endpoint.Exchange(t.Context(), tokens.Grant{})
		require.NoError(t, err)
		assert.Equal(t, want, token.AccessToken)
	}
}

// A retry has a new assertion too.
func TestAssertionOfARepeatedRequest(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	endpoint, err := assertion.Endpoint(t.Context(), server(t, &key.PublicKey, 2), "client", "key-1", jwt.SigningMethodES256, key)
	require.NoError(t, err)
	token, err := endpoint.Exchange(t.Context(), tokens.Grant{})
	require.NoError(t, err)
	assert.Equal(t, "at-3", token.AccessToken)
}

func TestAssertionByAnotherKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	endpoint, err := assertion.Endpoint(t.Context(), server(t, &key.PublicKey, 0), "client", "key-1", jwt.SigningMethodES256, other)
	require.NoError(t, err)
	_, err = endpoint.Exchange(t.Context(), tokens.Grant{})
	require.ErrorIs(t, err, tokens.InvalidClient)

	endpoint, err = assertion.Endpoint(t.Context(), server(t, &key.PublicKey, 0), "client", "key-1", jwt.SigningMethodRS256, other)
	require.NoError(t, err)
	_, err = endpoint.Exchange(t.Context(), tokens.Grant{})
	require.ErrorIs(t, err, jwt.ErrInvalidKeyType, "the function's own error")
}
