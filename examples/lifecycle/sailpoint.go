package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/tokens"
)

func sailPoint(ctx context.Context, r *report, t target) error {
	endpoint, err := tokens.NewSailPoint("", t.creds, &tokens.SailPointOptions{BaseURL: t.baseURL})
	if err != nil {
		return err
	}
	cache, err := tokens.NewCache(endpoint, nil)
	if err != nil {
		return err
	}
	clients, err := oauthclients.NewSailPoint(cache, nil)
	if err != nil {
		return err
	}

	if err := r.step(ctx, "token by client_credentials", func(ctx context.Context) error {
		_, err := endpoint.Exchange(ctx, tokens.Grant{})
		return err
	}); err != nil {
		return err
	}
	var created *sailpoint.CreateOAuthClientResponse
	deleted := false
	defer func() {
		if created != nil && created.ID != "" && !deleted { // a step failed, or the response to create could not be read
			_ = clients.Delete(context.WithoutCancel(ctx), created.ID)
		}
	}()
	if err := r.step(ctx, "create a client", func(ctx context.Context) (err error) {
		created, err = clients.Create(ctx, sailpoint.CreateOAuthClientRequest{
			Name:                       new("Lifecycle example"),
			Description:                new("Created and deleted by an example program."),
			AccessTokenValiditySeconds: 750,
			GrantTypes:                 []sailpoint.GrantType{sailpoint.GrantTypeClientCredentials},
			AccessType:                 sailpoint.AccessTypeOffline,
			BusinessName:               new("Acme-Solar"),
			Enabled:                    true,
		})
		if err == nil && created.Secret.IsZero() {
			return fmt.Errorf("client %s came without its secret", created.ID)
		}
		return err
	}); err != nil {
		return err
	}
	if err := r.step(ctx, "get the client", func(ctx context.Context) error {
		_, err := clients.Get(ctx, created.ID)
		return err
	}); err != nil {
		return err
	}
	if err := r.step(ctx, "list with a filter (lastUsed isnull)", func(ctx context.Context) error {
		list, err := clients.List(ctx, oauthclients.NeverUsed())
		if err == nil && !slices.ContainsFunc(list, func(c sailpoint.OAuthClient) bool { return c.ID == created.ID }) {
			return fmt.Errorf("client %s is not in the list", created.ID)
		}
		return err
	}); err != nil {
		return err
	}
	if err := r.step(ctx, "list with a filter (lastUsed le a year ago)", func(ctx context.Context) error {
		_, err := clients.List(ctx, oauthclients.LastUsedBefore(time.Now().AddDate(-1, 0, 0)))
		return err
	}); err != nil {
		return err
	}
	if err := r.step(ctx, "patch the client (test, replace, null)", func(ctx context.Context) error {
		patched, err := clients.Patch(ctx, created.ID,
			jsonpatch.Test("/enabled", true),
			jsonpatch.Replace("/enabled", false),
			jsonpatch.Replace("/businessName", nil),
		)
		if err == nil && (patched.Enabled || patched.BusinessName != nil) {
			return fmt.Errorf("client %s is not as it was patched", created.ID)
		}
		return err
	}); err != nil {
		return err
	}
	if err := r.step(ctx, "delete the client", func(ctx context.Context) error {
		return clients.Delete(ctx, created.ID)
	}); err != nil {
		return err
	}
	deleted = true
	return r.refused(ctx, "get the deleted client is refused", 404, func(ctx context.Context) error {
		_, err := clients.Get(ctx, created.ID)
		return err
	})
}
