package tests

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

const sailPointOrigin = "https://tenant.api.identitynow.com"

// oauthClientsOf returns the OAuth clients of a vendor in memory.
func oauthClientsOf(t *testing.T, vendor http.Handler, creds tokens.Credentials, opts oauthclients.SailPointOptions) *oauthclients.SailPoint {
	t.Helper()
	opts.BaseURL, opts.HTTPClient = sailPointOrigin, &http.Client{Transport: sandbox.Transport(vendor)}
	endpoint, err := tokens.NewSailPoint("tenant", creds, &tokens.SailPointOptions{HTTPClient: opts.HTTPClient})
	require.NoError(t, err)
	token, err := endpoint.Exchange(t.Context(), tokens.Grant{})
	require.NoError(t, err)
	clients, err := oauthclients.NewSailPoint(tokens.Static(token.AccessToken), &opts)
	require.NoError(t, err)
	return clients
}

var sandboxCredentials = tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret}

func TestOAuthClientsLifeInEveryVersion(t *testing.T) {
	for _, version := range []oauthclients.Version{
		"", oauthclients.VersionBeta, oauthclients.VersionV3, oauthclients.VersionV2024, oauthclients.VersionV2025,
		oauthclients.VersionV2026, oauthclients.VersionPerService,
	} {
		t.Run(string(version), func(t *testing.T) {
			clients := oauthClientsOf(t, validating(t, "sailpoint", sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true})), sandboxCredentials, oauthclients.SailPointOptions{Version: version})
			ctx := t.Context()

			var req sailpoint.CreateOAuthClientRequest
			require.NoError(t, json.Unmarshal([]byte(`{"name":"Demo API Client","description":null,"businessName":"Acme-Solar",
				"homepageUrl":"http://localhost:12345","accessTokenValiditySeconds":750,"refreshTokenValiditySeconds":86400,
				"redirectUris":["http://localhost:12345"],"grantTypes":["AUTHORIZATION_CODE","REFRESH_TOKEN"],
				"accessType":"OFFLINE","enabled":false}`), &req))
			created, err := clients.Create(ctx, req)
			require.NoError(t, err)
			assert.NotEmpty(t, created.ID)
			assert.NotEmpty(t, created.Secret.Reveal())

			client, err := clients.Get(ctx, created.ID)
			require.NoError(t, err)
			assert.Equal(t, "Demo API Client", client.Name)
			assert.False(t, client.Enabled)
			assert.Nil(t, client.Secret)

			patched, err := clients.Patch(ctx, created.ID,
				jsonpatch.Test("/name", "Demo API Client"),
				jsonpatch.Replace("/enabled", true),
				jsonpatch.Replace("/homepageUrl", nil),
				jsonpatch.Add("/redirectUris/-", "https://example.com/?a=<1>&b=2"),
			)
			require.NoError(t, err)
			assert.True(t, patched.Enabled)
			assert.Nil(t, patched.HomepageURL)
			assert.Equal(t, []string{"http://localhost:12345", "https://example.com/?a=<1>&b=2"}, patched.RedirectURIs)

			list, err := clients.List(ctx)
			require.NoError(t, err)
			assert.Equal(t, []string{sandbox.SampleClientID, created.ID}, oauthClientIDs(list))

			require.NoError(t, clients.Delete(ctx, created.ID))
			require.ErrorIs(t, clients.Delete(ctx, created.ID), tokens.Status(http.StatusNotFound))
		})
	}
}

func TestOAuthClientsByFilter(t *testing.T) {
	client := func(id string, lastUsed *wire.Time) sailpoint.OAuthClient {
		return sailpoint.OAuthClient{ID: id, Name: id, AccessType: sailpoint.AccessTypeOnline, Type: sailpoint.ClientTypeConfidential, LastUsed: lastUsed}
	}
	year := func(n int) *wire.Time { return new(wire.NewTime(time.Date(n, 1, 1, 0, 0, 0, 0, time.UTC))) }
	vendor := sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true, OAuthClients: []sailpoint.OAuthClient{
		client("old", year(2020)), client("new", year(2026)), client("never", nil),
	}})
	clients := oauthClientsOf(t, validating(t, "sailpoint", vendor), sandboxCredentials, oauthclients.SailPointOptions{})
	old := oauthclients.LastUsedBefore(time.Date(2023, 2, 5, 10, 59, 27, 214e6, time.UTC))
	never := oauthclients.NeverUsed()
	for _, tt := range []struct {
		filters []oauthclients.Filter
		want    []string
	}{
		{nil, []string{"old", "new", "never"}},
		{[]oauthclients.Filter{old}, []string{"old"}},
		{[]oauthclients.Filter{never}, []string{"never"}},
		{[]oauthclients.Filter{old, never}, []string{}},
	} {
		list, err := clients.List(t.Context(), tt.filters...)
		require.NoError(t, err, tt.filters)
		assert.Equal(t, tt.want, oauthClientIDs(list), tt.filters)
	}
	_, err := clients.List(t.Context(), oauthclients.RawFilter(`name eq "x"`))
	require.ErrorIs(t, err, tokens.Status(http.StatusBadRequest))
}

// A client without a user may only call Get.
func TestOAuthClientsWithoutAUser(t *testing.T) {
	userless := tokens.Credentials{ClientID: "userless", ClientSecret: "userless-secret"}
	vendor := sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true, Clients: []sandbox.Client{{ID: userless.ClientID, Secret: userless.ClientSecret}}})
	clients := oauthClientsOf(t, validating(t, "sailpoint", vendor), userless, oauthclients.SailPointOptions{})
	ctx := t.Context()

	_, err := clients.Get(ctx, sandbox.SampleClientID)
	require.NoError(t, err)
	_, err = clients.List(ctx)
	require.ErrorIs(t, err, tokens.Status(http.StatusForbidden))
	_, err = clients.Create(ctx, newClientRequest(sailpoint.GrantTypeClientCredentials))
	require.ErrorIs(t, err, tokens.Status(http.StatusForbidden))
	_, err = clients.Patch(ctx, sandbox.SampleClientID, jsonpatch.Replace("/enabled", false))
	require.ErrorIs(t, err, tokens.Status(http.StatusForbidden))
	require.ErrorIs(t, clients.Delete(ctx, sandbox.SampleClientID), tokens.Status(http.StatusForbidden))
}

func TestOAuthClientsCreatedOnce(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"503 after it":         {Status: http.StatusServiceUnavailable, After: true},
		"502 after it":         {Status: http.StatusBadGateway, After: true},
		"lost response":        {Drop: true, After: true},
		"cut body":             {Cut: 20},
		"response that is odd": {Status: http.StatusCreated, ContentType: "text/plain", After: true, Body: "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			vendor := sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: true})
			clients := oauthClientsOf(t, vendor, sandboxCredentials, oauthclients.SailPointOptions{})
			vendor.Fault("createOAuthClient", fault)
			_, err := clients.Create(t.Context(), newClientRequest(sailpoint.GrantTypeClientCredentials))
			require.Error(t, err)
			assert.Equal(t, 1, vendor.Count("createOAuthClient"))
			list, err := clients.List(t.Context())
			require.NoError(t, err)
			assert.Len(t, list, 2)
		})
	}
}

func oauthClientIDs(clients []sailpoint.OAuthClient) []string {
	ids := []string{}
	for _, c := range clients {
		ids = append(ids, c.ID)
	}
	return ids
}
