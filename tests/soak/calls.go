package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/patch"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// A caller makes calls one after another.
type caller struct {
	*world

	rand     *rand.Rand
	own      *sailpoint.CreateOAuthClientResponse // the client that it has created, if any
	deleting bool                                 // own
}

// call makes a random call. One in ten callers leaves before the call has ended.
func (c *caller) call(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if c.rand.IntN(10) == 0 {
		timer := time.AfterFunc(time.Duration(c.rand.Int64N(int64(200*time.Millisecond))), cancel)
		defer timer.Stop()
	}
	switch n := c.rand.IntN(1000); {
	case n < 250:
		c.token(ctx)
	case n < 400:
		c.useClient(ctx)
	case n < 550:
		c.useDoer(ctx)
	case n < 560:
		c.setToken(ctx)
	case n < 570:
		c.revoke(ctx)
	case n < 800:
		c.session(ctx)
	case n < 999:
		c.manage(ctx)
	default:
		c.list(ctx)
	}
}

func (c *caller) app() *app { return c.apps[c.rand.IntN(len(c.apps))] }

// check checks that a valid token belongs to an app.
func (c *caller) check(what string, a *app, accessToken string) {
	if at, ok := c.moov.Lookup(accessToken); ok && (at.ClientID != a.id || !slices.Equal(at.Scopes, []string{a.scope})) {
		c.record.wrongf("%s: %s with %s got a token of %s with %s", what, a.id, a.scope, at.ClientID, at.Scopes)
	}
}

func (c *caller) token(ctx context.Context) {
	a := c.app()
	token, err := a.cache.Token(ctx)
	if !c.record.end("Token", err) {
		return
	}
	c.check("Token", a, token.AccessToken)
	if c.rand.IntN(50) == 0 {
		a.cache.Invalidate(token)
	}
}

func (c *caller) setToken(ctx context.Context) {
	a := c.app()
	issued := c.moov.Issue(sandbox.Token{ClientID: a.id, Scopes: []string{a.scope}})
	err := a.cache.Set(ctx, &tokens.Token{AccessToken: issued.AccessToken, Expiry: issued.Expires})
	c.record.end("Set", err)
}

func (c *caller) revoke(ctx context.Context) { c.record.end("Revoke", c.app().cache.Revoke(ctx)) }

// echoRequest returns a request whose response must contain text.
func (c *caller) echoRequest(ctx context.Context) (req *http.Request, text string) {
	text = strconv.FormatUint(c.rand.Uint64(), 10)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.sandbox.URL+"/echo?text="+text, nil)
	if err != nil {
		panic(err)
	}
	return req, text
}

// checkEcho reads a response and returns any error.
func (c *caller) checkEcho(what string, a *app, resp *http.Response, text string) error {
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var got echoed
	switch err := json.Unmarshal(body, &got); {
	case err != nil:
		c.record.wrongf("%s: read %q: %w", what, body, err)
	case got.Text != text:
		c.record.wrongf("%s: the response to another request", what)
	case got != (echoed{a.id, a.scope, text}) && got != (echoed{Text: text}): // the second form means that the token has just expired
		c.record.wrongf("%s: %s with %s was taken for %+v", what, a.id, a.scope, got)
	}
	return nil
}

func (c *caller) useClient(ctx context.Context) {
	a := c.app()
	req, text := c.echoRequest(ctx)
	resp, err := a.client.Do(req)
	if err == nil && resp.StatusCode == http.StatusOK {
		err = c.checkEcho("NewClient", a, resp, text)
	} else if err == nil {
		_ = resp.Body.Close()
	}
	c.record.end("NewClient", err)
}

func (c *caller) useDoer(ctx context.Context) {
	a := c.app()
	req, text := c.echoRequest(ctx)
	resp, err := a.doer.Do(req) //nolint:bodyclose // checkEcho does
	if err == nil {
		err = c.checkEcho("NewDoer", a, resp, text)
	}
	c.record.end("NewDoer", err)
}

// session uses a user's login, and logs the user in if there is none.
func (c *caller) session(ctx context.Context) {
	user := fmt.Sprint("user-", c.rand.IntN(users))
	session := c.sessions.Session(user)
	token, err := session.Token(ctx)
	if errors.Is(err, tokens.ErrLoginRequired) {
		c.record.end("session: login required", nil)
		issued := c.sailpoint.Issue(sandbox.Token{ClientID: sandbox.ClientID, User: user})
		err := session.Set(ctx, &tokens.Token{
			AccessToken: issued.AccessToken, RefreshToken: issued.RefreshToken, Expiry: issued.Expires,
		})
		if err != nil && strings.Contains(err.Error(), "a later Set or Revoke took its place") {
			err = nil // another caller logged the user in at the same time
		}
		c.record.end("session: Set", err)
		return
	}
	if !c.record.end("session: Token", err) {
		return
	}
	if at, ok := c.sailpoint.Lookup(token.AccessToken); ok && at.User != user {
		c.record.wrongf("%s got a token of %q", user, at.User)
	}
	switch c.rand.IntN(200) {
	case 0:
		session.Invalidate(token)
	case 1:
		c.record.end("session: Revoke", session.Revoke(ctx))
	}
}

// manage creates an OAuth client, or uses the one that it has created.
func (c *caller) manage(ctx context.Context) {
	if c.own == nil {
		c.create(ctx)
		return
	}
	if c.deleting {
		c.delete(ctx)
		return
	}
	switch c.rand.IntN(4) {
	case 0:
		got, err := c.clients.Get(ctx, c.own.ID)
		if c.record.end("clients: Get", err) && (got.ID != c.own.ID || got.Name != c.own.Name) {
			c.record.wrongf("Get of %s returned %s %q", c.own.ID, got.ID, got.Name)
		}
	case 1:
		text := strconv.FormatUint(c.rand.Uint64(), 10)
		got, err := c.clients.Patch(ctx, c.own.ID, patch.Description.Set(text))
		if c.record.end("clients: Patch", err) && (got.ID != c.own.ID || got.Description == nil || *got.Description != text) {
			c.record.wrongf("Patch of %s returned %s", c.own.ID, got.ID)
		}
	default:
		c.delete(ctx)
	}
}

func (c *caller) create(ctx context.Context) {
	name := fmt.Sprintf("client-%x-%x", c.rand.Uint64(), c.rand.Uint64())
	created, err := c.clients.Create(ctx, sailpoint.CreateOAuthClientRequest{
		Name: &name, Description: new("soak"), Enabled: true, AccessType: sailpoint.AccessTypeOnline,
		AccessTokenValiditySeconds: 750, GrantTypes: []sailpoint.GrantType{sailpoint.GrantTypeClientCredentials},
	})
	if c.record.end("clients: Create", err) && (created == nil || created.ID == "" || created.Secret.IsZero() || created.Name != name) {
		c.record.wrongf("Create succeeded without an id, a secret or its name")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if created == nil || created.ID == "" || created.Secret.IsZero() {
		c.lost[name] = err
		return
	}
	c.own = created
	c.created[created.ID] = created.Secret.Reveal()
}

// delete deletes the caller's client. Until that succeeds, it is not known whether the client exists, so the caller
// does nothing else with it.
func (c *caller) delete(ctx context.Context) {
	c.deleting = true
	c.mu.Lock()
	delete(c.created, c.own.ID)
	c.mu.Unlock()
	if c.record.end("clients: Delete", c.clients.Delete(ctx, c.own.ID, oauthclients.AllowMissing())) {
		c.own, c.deleting = nil, false
	}
}

func (c *caller) list(ctx context.Context) {
	n := 0
	for client, err := range c.clients.All(ctx) {
		if err != nil {
			c.record.end("clients: All", err)
			return
		}
		if client.ID == "" {
			c.record.wrongf("All gave a client without an id")
		}
		n++
	}
	c.record.end("clients: All", nil)
}
