// Package assertion shows how a client authenticates with a private key instead of a secret (private_key_jwt, RFC
// 7523), using github.com/golang-jwt/jwt. It is a separate module, so that package tokens does not depend on a JWT
// library.
package assertion

import (
	"context"
	"crypto"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/grantwright/oauth-go/tokens"
)

// New returns a function for tokens.EndpointOptions.Assertion, given the client's id and its private key, which is
// registered with the server under keyID. The method must match the key: jwt.SigningMethodES256 for a P-256 key, and so
// on. If the method allows it, the key may be a crypto.Signer of a key management service.
func New(clientID, keyID string, method jwt.SigningMethod, key crypto.PrivateKey) func(context.Context, string) (string, error) {
	return func(_ context.Context, audience string) (string, error) {
		now := time.Now()
		token := jwt.NewWithClaims(method, jwt.RegisteredClaims{
			Issuer:    clientID,
			Subject:   clientID,
			Audience:  jwt.ClaimStrings{audience},
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute)), // it is used at once
			ID:        rand.Text(),                              // servers accept an assertion only once
		})
		token.Header["kid"] = keyID
		signed, err := token.SignedString(key)
		if err != nil {
			return "", fmt.Errorf("signing the assertion: %w", err)
		}
		return signed, nil
	}
}

// Endpoint returns an Endpoint for a client with a private key, at the server whose metadata issuer publishes.
func Endpoint(ctx context.Context, issuer, clientID, keyID string, method jwt.SigningMethod, key crypto.PrivateKey) (*tokens.Endpoint, error) {
	return tokens.Discover(ctx, issuer, tokens.Credentials{ClientID: clientID}, &tokens.EndpointOptions{
		Assertion: New(clientID, keyID, method, key),
	})
}
