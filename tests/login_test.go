package tests

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

const redirectURI = "http://127.0.0.1:4711/callback"

// visit sends a user to an authorization page, and returns the callback to the client.
func visit(t *testing.T, sb *sandbox.Sandbox, page string) url.Values {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, nil)
	require.NoError(t, err)
	resp, err := sb.HTTPClient().Transport.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusFound, resp.StatusCode)
	to, err := resp.Location()
	require.NoError(t, err)
	return to.Query()
}

// loginEndpoints are ways to make an Endpoint that logs users in.
var loginEndpoints = map[string]func(*sandbox.Sandbox) (*tokens.Endpoint, error){
	"SailPoint, public": func(sb *sandbox.Sandbox) (*tokens.Endpoint, error) {
		return tokens.NewSailPoint("", tokens.Credentials{ClientID: sandbox.PublicClientID}, &tokens.SailPointOptions{
			BaseURL: sb.URL, AuthorizationURL: sb.URL + "/oauth/authorize", HTTPClient: sb.HTTPClient(), AuthStyle: tokens.AuthStyleNone})
	},
	"SailPoint, confidential": func(sb *sandbox.Sandbox) (*tokens.Endpoint, error) {
		return tokens.NewSailPoint("", sandboxCredentials, &tokens.SailPointOptions{
			BaseURL: sb.URL, AuthorizationURL: sb.URL + "/oauth/authorize", HTTPClient: sb.HTTPClient()})
	},
	"discovered, public": func(sb *sandbox.Sandbox) (*tokens.Endpoint, error) {
		return tokens.Discover(context.Background(), sb.URL, tokens.Credentials{ClientID: sandbox.PublicClientID},
			&tokens.EndpointOptions{HTTPClient: sb.HTTPClient(), AuthStyle: tokens.AuthStyleNone})
	},
	"discovered, confidential": func(sb *sandbox.Sandbox) (*tokens.Endpoint, error) {
		return tokens.Discover(context.Background(), sb.URL, sandboxCredentials, &tokens.EndpointOptions{HTTPClient: sb.HTTPClient()})
	},
}

// A user logs in, and stays logged in with refresh tokens that rotate.
func TestLogin(t *testing.T) {
	for name, connect := range loginEndpoints {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				sb := sandbox.NewStrict()
				endpoint, err := connect(sb)
				require.NoError(t, err)
				login := &tokens.Login{RedirectURI: redirectURI, Scopes: []string{"sp:oauth-client:read"}}
				page, err := endpoint.AuthorizationURL(t.Context(), login)
				require.NoError(t, err)
				grant, err := login.Grant(visit(t, sb, page))
				require.NoError(t, err)
				first, err := endpoint.Exchange(t.Context(), grant)
				require.NoError(t, err)
				require.NotEmpty(t, first.RefreshToken)

				cache := cacheOf(t, endpoint, &tokens.CacheOptions{Session: "user", Initial: first})
				seen := map[string]bool{}
				for range 10 {
					token, err := cache.Token(t.Context())
					require.NoError(t, err)
					issued, ok := sb.SailPoint.Lookup(token.AccessToken)
					require.True(t, ok)
					assert.Equal(t, "sandbox-user", issued.User)
					assert.Equal(t, []string{"sp:oauth-client:read"}, issued.Scopes)
					seen[token.AccessToken] = true
					pass(13 * time.Minute)
				}
				assert.Len(t, seen, 10)
				assert.Equal(t, 10, sb.SailPoint.Count(createAccessToken), "one exchange, and nine refreshes")

				_, err = endpoint.Exchange(t.Context(), grant)
				require.ErrorIs(t, err, tokens.InvalidGrant, "a code can be used only once")
				_, err = cache.Token(t.Context())
				require.ErrorIs(t, err, tokens.ErrLoginRequired, "the second use ends the login")
			})
		})
	}
}

func TestLoginThatIsRefused(t *testing.T) {
	for name, connect := range loginEndpoints {
		t.Run(name, func(t *testing.T) {
			sb := sandbox.NewStrict()
			endpoint, err := connect(sb)
			require.NoError(t, err)
			login := &tokens.Login{RedirectURI: redirectURI}
			page, err := endpoint.AuthorizationURL(t.Context(), login)
			require.NoError(t, err)
			sb.SailPoint.RefuseLogins("access_denied")
			_, err = login.Grant(visit(t, sb, page))
			require.ErrorIs(t, err, tokens.AccessDenied)
			sb.SailPoint.RefuseLogins("")

			// Each browser gets the callback of its own login.
			other := &tokens.Login{RedirectURI: redirectURI}
			otherPage, err := endpoint.AuthorizationURL(t.Context(), other)
			require.NoError(t, err)
			_, err = login.Grant(visit(t, sb, otherPage))
			require.Error(t, err)

			// A code can be exchanged only with the verifier of its own login.
			grant, err := login.Grant(visit(t, sb, page))
			require.NoError(t, err)
			grant.Code.CodeVerifier = other.CodeVerifier
			_, err = endpoint.Exchange(t.Context(), grant)
			require.ErrorIs(t, err, tokens.InvalidGrant)
		})
	}
}
