package tokens

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// maxUnrevoked bounds what is kept to be revoked; the oldest goes first.
const maxUnrevoked = 64

type revocation struct {
	token string
	hint  Hint
}

// Revoke stops serving at once, and then revokes the refresh token and the access token (RFC 7009), and without a Session
// the refresh tokens that came along earlier. What fails is kept for the next Revoke, and its error returned;
// errors.ErrUnsupported where the vendor has no revocation. What a fetch under way brings is revoked, not served. With a Store
// the logout holds for all processes, but only this Cache knows what is left to be revoked: where there is an error, call
// Revoke again in the same process, as another finds nothing to revoke and returns nil.
//
// Later callers, and those who wait for that fetch, get a new token or, with a Session, [ErrLoginRequired] until Set.
func (c *Cache) Revoke(ctx context.Context) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	if c.replica != nil {
		return c.revokeInStore(ctx)
	}
	return c.revoke(ctx, c.forget())
}

// forget stops serving, and returns what is to be revoked.
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

// withTokens adds the tokens in t to those to revoke, the refresh token first: its end should be that of the access token.
func withTokens(pending []revocation, t *Token) []revocation {
	for _, r := range []revocation{{t.RefreshToken, HintRefreshToken}, {t.AccessToken, HintAccessToken}} {
		if r.token != "" && !slices.Contains(pending, r) {
			pending = append(pending, r)
		}
	}
	return pending
}

// revoke revokes what it can, and keeps the rest but for what the server says that it never revokes.
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
