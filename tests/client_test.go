package tests

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// A generated ClientWithResponses works over NewClient, where each documented status is a typed response; over a Doer,
// where statuses outside 2xx are errors; and over any http.Client with a request editor.
func TestClientWithResponses(t *testing.T) {
	r := newRig(vendorNamed(t, "sailpoint"), sandboxOptions{})
	src := r.cache(t)
	server := src.BaseURL() + "/beta"
	opts := &tokens.DoerOptions{HTTPClient: r.client, Retry: once}

	client, err := tokens.NewClient(src, opts)
	require.NoError(t, err)
	doer, err := tokens.NewDoer(src, opts)
	require.NoError(t, err)
	editor, err := tokens.NewRequestEditor(src, "")
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		opts   []sailpoint.ClientOption
		errors bool
	}{
		"NewClient":        {[]sailpoint.ClientOption{sailpoint.WithHTTPClient(client)}, false},
		"NewDoer":          {[]sailpoint.ClientOption{sailpoint.WithHTTPClient(doer)}, true},
		"NewRequestEditor": {[]sailpoint.ClientOption{sailpoint.WithHTTPClient(&http.Client{Transport: r.client.Transport}), sailpoint.WithRequestEditorFn(editor)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			api, err := sailpoint.NewClientWithResponses(server, tt.opts...)
			require.NoError(t, err)
			found, err := api.GetOAuthClientWithResponse(t.Context(), sandbox.SampleClientID)
			require.NoError(t, err)
			require.NotNil(t, found.JSON200)
			assert.Equal(t, sandbox.SampleClientID, found.JSON200.ID)

			missing, err := api.GetOAuthClientWithResponse(t.Context(), "missing")
			if tt.errors {
				require.ErrorIs(t, err, tokens.Status(404))
				return
			}
			require.NoError(t, err)
			require.NotNil(t, missing.JSON404)
			assert.Equal(t, 404, missing.StatusCode())
			assert.NotEmpty(t, missing.Body)
		})
	}
}

// vendorNamed returns a row of the vendor table.
func vendorNamed(t *testing.T, name string) vendor {
	t.Helper()
	for _, v := range vendors {
		if v.name == name {
			return v
		}
	}
	require.Fail(t, "no such vendor", name)
	return vendor{}
}
