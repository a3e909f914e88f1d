package googleauth_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/googleauth"
)

func ExampleTokenProvider() {
	sb := sandbox.New()
	endpoint, err := tokens.NewMoov(tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
		&tokens.MoovOptions{BaseURL: sb.URL, HTTPClient: sb.HTTPClient()})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Grant: tokens.Grant{Scopes: []string{"/ping.read"}}})
	if err != nil {
		log.Fatal(err)
	}
	creds := auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: googleauth.TokenProvider(cache)})
	token, err := creds.Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Type, token.IsValid())
	// Output: Bearer true
}

type source struct {
	token *tokens.Token
	err   error
	ctx   context.Context // the context passed to Token
}

func (s *source) Token(ctx context.Context) (*tokens.Token, error) {
	s.ctx = ctx
	return s.token, s.err
}

func TestTokenProvider(t *testing.T) {
	expiry := time.Now().Add(time.Hour)
	src := &source{token: &tokens.Token{AccessToken: "canary", TokenType: "Bearer", Expiry: expiry}}
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "mine")
	p := googleauth.TokenProvider(src)
	got, err := p.Token(ctx)
	require.NoError(t, err)
	assert.Equal(t, &auth.Token{Value: "canary", Type: "Bearer", Expiry: expiry}, got)
	assert.Equal(t, "mine", src.ctx.Value(key{}), "Token gets the caller's context")
	assert.Equal(t, "googleauth.TokenProvider", fmt.Sprintf("%+v", p))
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", p, p, p), "canary")

	src.err = errors.New("down")
	_, err = p.Token(ctx)
	require.ErrorIs(t, err, src.err)
	for _, none := range []tokens.Source{nil, &source{}, &source{token: &tokens.Token{}}} {
		_, err = googleauth.TokenProvider(none).Token(ctx)
		require.ErrorIs(t, err, tokens.ErrNoToken)
	}
}
