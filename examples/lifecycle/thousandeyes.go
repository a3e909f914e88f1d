package main

import (
	"context"

	"github.com/grantwright/oauth-go/tokens"
)

func thousandEyes(ctx context.Context, r *report, t target) error {
	endpoint, err := tokens.NewThousandEyes(t.creds, &tokens.ThousandEyesOptions{BaseURL: t.baseURL})
	if err != nil {
		return err
	}
	if err := r.step(ctx, "token by client_credentials", func(ctx context.Context) error {
		_, err := endpoint.Exchange(ctx, tokens.Grant{})
		return err
	}); err != nil {
		return err
	}
	if tenant := t.setting("TENANT_ID"); tenant != "" {
		endpoint, err = tokens.NewThousandEyes(t.creds, &tokens.ThousandEyesOptions{BaseURL: t.baseURL, TenantID: tenant})
		if err != nil {
			return err
		}
		if err := r.step(ctx, "token for a tenant (X-Tenant-Id)", func(ctx context.Context) error {
			_, err := endpoint.Exchange(ctx, tokens.Grant{})
			return err
		}); err != nil {
			return err
		}
	}
	if user := t.setting("USER_TOKEN"); user != "" {
		return r.step(ctx, "token on behalf of a user", func(ctx context.Context) error {
			_, err := endpoint.Exchange(ctx, tokens.Grant{UserToken: user})
			return err
		})
	}
	return nil
}
