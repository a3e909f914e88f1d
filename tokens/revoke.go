package tokens

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// maxUnrevoked is the maximum number of tokens kept to be revoked later. The oldest is dropped first.
const maxUnrevoked = 64

type revocation struct {
	token string
	hint  Hint
}

// Revoke drops the current token at once. It then revokes the refresh token and the access token (RFC 7009); without a
// Session, it revokes the refresh tokens of earlier responses. Tokens that it fails to revoke are kept for the next
// call of Revoke, and the error is returned. It is errors.ErrUnsupported if the vendor has no revocation. If a fetch is
// in flight, its token is revoked and not used.
//
// With a Store, the logout holds for all processes. Only this Cache knows which tokens are left to revoke: after an
// error, call Revoke again in the same process. In another process, Revoke finds nothing to revoke and returns nil.
//
// After Revoke, callers get a new token or, with a Session, [ErrLoginRequired] until Set is called. This includes
// callers that waited for the fetch in flight.
func (c *Cache) Revoke(ctx context.Context) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	if c.replica != nil {
		return c.revokeInStore(ctx)
	}
	return c.revoke(ctx, c.forget())
}

// forget drops the current token and returns the tokens to revoke.
func (c *Cache) forget() []revocation {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.supersede()
	c.succeeded()
	c.revokedGeneration = c.generation
	pending := c.secrets.unrevoked
	c.secrets.unrevoked = nil
	for _, e := range []*entry{c.unsaved, c.entry} {
		if e != nil {
			pending = withTokens(pending, e.token)
		}
	}
	if c.session != "" {
		pending = withTokens(pending, &Token{RefreshToken: c.secrets.refreshToken})
		c.secrets.refreshToken, c.loginErr = "", fmt.Errorf("tokens: %s: the login was revoked", c.endpoint.vendor.name)
	}
	c.saved()
	c.setCurrent(nil, c.now())
	return pending
}

// withTokens appends the tokens of t to pending. The refresh token comes first, because revoking it should also end the
// access token.
func withTokens(pending []revocation, t *Token) []revocation {
	for _, r := range []revocation{{t.RefreshToken, HintRefreshToken}, {t.AccessToken, HintAccessToken}} {
		if r.token != "" && !slices.Contains(pending, r) {
			pending = append(pending, r)
		}
	}
	return pending
}

// revoke revokes the pending tokens. It keeps those that fail, except for kinds of token that the server says it never
// revokes.
func (c *Cache) revoke(ctx context.Context, pending []revocation) error {
	var errs []error
	for _, r := range pending {
		err := c.endpoint.Revoke(ctx, r.token, r.hint)
		switch {
		case err == nil:
			continue
		case errors.Is(err, errors.ErrUnsupported):
			return err
		case !errors.Is(err, UnsupportedTokenType):
			c.mu.Lock()
			c.keepToRevoke(r)
			c.mu.Unlock()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *Cache) keepToRevoke(r revocation) {
	if c.endpoint.revoke == nil || slices.Contains(c.secrets.unrevoked, r) {
		return
	}
	if len(c.secrets.unrevoked) == maxUnrevoked {
		c.secrets.unrevoked = slices.Delete(c.secrets.unrevoked, 0, 1)
	}
	c.secrets.unrevoked = append(c.secrets.unrevoked, r)
}
