// Package googleauth lets code that was written for cloud.google.com/go/auth use the tokens of package tokens.
//
//	creds := auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: googleauth.TokenProvider(cache)})
package googleauth

import (
	"context"
	"fmt"

	"cloud.google.com/go/auth"

	"github.com/grantwright/oauth-go/tokens"
)

// TokenProvider returns an [auth.TokenProvider] that gives src's tokens, each call under its own context. A Cache keeps and
// renews them: do not wrap it in [auth.NewCachedTokenProvider], which would keep a token that src has dropped. Errors match
// [tokens.ErrNoToken].
//
// What sends the token decides where it goes: the http.Client of package httptransport sends it wherever a request or a
// redirect leads. [tokens.NewClient] sends it to one origin.
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

// Format prints the type alone: the Source may be any type.
func (p provider) Format(f fmt.State, _ rune) { fmt.Fprint(f, "googleauth.TokenProvider") }
