package interop

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clientKey is the key of clients that authenticate with assertions, and clientKeyID its id.
var clientKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

const clientKeyID = "key1"

// signs returns a function for EndpointOptions.Assertion that records the audience, and signs for it or, if other is
// not empty, for another one.
func signs(clientID, another string, audiences *[]string) func(context.Context, string) (string, error) {
	return func(_ context.Context, audience string) (string, error) {
		*audiences = append(*audiences, audience)
		if another != "" {
			audience = another
		}
		signer, err := jose.NewSigner(
			jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: clientKey(), KeyID: clientKeyID}},
			(&jose.SignerOptions{}).WithType("JWT"),
		)
		if err != nil {
			return "", err
		}
		now := time.Now()
		claims, err := json.Marshal(map[string]any{
			"iss": clientID, "sub": clientID, "aud": audience, "jti": random(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		})
		if err != nil {
			return "", err
		}
		signed, err := signer.Sign(claims)
		if err != nil {
			return "", err
		}
		return signed.CompactSerialize()
	}
}

// A client without a secret logs a user in, renews the login and ends it, each time with a new assertion. The audience
// is the issuer if it is known, and otherwise the token URL. No server accepts another audience.
func TestAssertion(t *testing.T) {
	eachWitness(t, func(t *testing.T, w *witness, _ []tokens.AuthStyle) {
		if w.asserting == "" {
			t.Skip("the server knows no assertions")
		}
		var audiences []string
		creds := tokens.Credentials{ClientID: w.asserting}
		endpoint := func(another string) *tokens.Endpoint {
			opts := &tokens.EndpointOptions{Assertion: signs(w.asserting, another, &audiences)}
			var e *tokens.Endpoint
			var err error
			if w.issuer != "" {
				e, err = tokens.Discover(t.Context(), w.issuer, creds, opts)
			} else {
				opts.RevocationURL, opts.AuthorizationURL = w.revocationURL, w.authorizationURL
				e, err = tokens.NewEndpoint(w.tokenURL, creds, opts)
			}
			require.NoError(t, err)
			return e
		}
		e := endpoint(w.audience)
		token := w.login(t, e)
		token, err := e.Exchange(t.Context(), tokens.Grant{RefreshToken: token.RefreshToken})
		require.NoError(t, err)
		require.NoError(t, e.Revoke(t.Context(), token.RefreshToken, tokens.HintRefreshToken))
		_, err = e.Exchange(t.Context(), tokens.Grant{RefreshToken: token.RefreshToken})
		require.ErrorIs(t, err, tokens.InvalidGrant)
		want := w.issuer
		if want == "" {
			want = w.tokenURL
		}
		assert.Equal(t, []string{want, want, want, want}, audiences)

		_, err = endpoint("https://other.example.com").Exchange(t.Context(), tokens.Grant{RefreshToken: "canary"})
		var refused *tokens.Error
		require.ErrorAs(t, err, &refused)
		// zitadel responds with invalid_grant.
		assert.Contains(t, []tokens.Code{tokens.InvalidClient, tokens.InvalidGrant}, refused.Code, "%v", err)
	})
}
