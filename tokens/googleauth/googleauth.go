// Package googleauth makes the tokens of package tokens available to code that uses cloud.google.com/go/auth.
//
//	creds := auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: googleauth.TokenProvider(cache)})
package googleauth

import (
	"context"
	"fmt"

	"cloud.google.com/go/auth"

	"github.com/grantwright/oauth-go/tokens"
)

// TokenProvider returns an [auth.TokenProvider] of src's tokens. Each call uses its own context. If src is a Cache, do
// not wrap the result in [auth.NewCachedTokenProvider], which would keep a token that the Cache has dropped. Errors
// match [tokens.ErrNoToken].
//
// TokenProvider does not restrict where a token is sent. The http.Client of package httptransport sends it to every
// host of a request or redirect. [tokens.NewClient] sends it to one origin only.
func TokenProvider(src tokens.Source) auth.TokenProvider { return provider{src} }

type provider struct{ src tokens.Source }

func (p provider) Token(ctx context.Context) (*auth.Token, error) {
	if p.src == nil {
		return nil, fmt.Errorf("googleauth: the Source is nil: %w", tokens.ErrNoToken)
	}
	t, err := p.src.Token(ctx)
	if err != nil {
		return nil, err
	}
	if t == nil || t.AccessToken == "" {
		return nil, fmt.Errorf("googleauth: the Source gave no access token: %w", tokens.ErrNoToken)
	}
	return &auth.Token{Value: t.AccessToken, Type: t.TokenType, Expiry: t.Expiry}, nil
}

// Format prints only the type, because the Source may have any type.
func (p provider) Format(f fmt.State, _ rune) { fmt.Fprint(f, "googleauth.TokenProvider") }
