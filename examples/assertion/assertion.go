// Package assertion shows how a client authenticates by a key in place of a secret (private_key_jwt, RFC 7523), with
// github.com/golang-jwt/jwt. It is a module of its own, so that nobody who imports package tokens gets a JWT library.
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

// New returns a function for tokens.EndpointOptions.Assertion, given the client's id and its private key, which is registered
// at the server under keyID. The method must suit the key: jwt.SigningMethodES256 for a P-256 key, and so on. The key can be
// a crypto.Signer of a key management service where the method takes one.
func New(clientID, keyID string, method jwt.SigningMethod, key crypto.PrivateKey) func(context.Context, string) (string, error) {
	return func(_ context.Context, audience string) (string, error) {
		now := time.Now()
		token := jwt.NewWithClaims(method, jwt.RegisteredClaims{
			Issuer:    clientID,
			Subject:   clientID,
			Audience:  jwt.ClaimStrings{audience},
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute)), // it is used at once
			ID:        rand.Text(),                              // servers take each assertion once
		})
		token.Header["kid"] = keyID
		signed, err := token.SignedString(key)
		if err != nil {
			return "", fmt.Errorf("signing the assertion: %w", err)
		}
		return signed, nil
	}
}

// Endpoint returns an Endpoint of the server that issuer describes, for a client with a key.
func Endpoint(ctx context.Context, issuer, clientID, keyID string, method jwt.SigningMethod, key crypto.PrivateKey) (*tokens.Endpoint, error) {
	return tokens.Discover(ctx, issuer, tokens.Credentials{ClientID: clientID}, &tokens.EndpointOptions{
		Assertion: New(clientID, keyID, method, key),
	})
}
