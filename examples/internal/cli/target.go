// Package cli is the common part of the example programs for a SailPoint tenant: the tenant, the files that they read
// and write, and their output.
package cli

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// The environment variables that select a tenant.
const (
	BaseURL      = "SAILPOINT_BASE_URL" // https://{tenant}.api.identitynow.com
	ClientID     = "SAILPOINT_CLIENT_ID"
	ClientSecret = "SAILPOINT_CLIENT_SECRET"
)

// A Target is the tenant or sandbox that a program works on.
type Target struct {
	Clients  *oauthclients.SailPoint
	ClientID string // the client that the program authenticates as

	name  string
	close func() error
}

// Open returns the tenant that the environment variables select, or a sandbox with the given options if none is set. It
// fails if only some are set, because the user then expects a tenant and not a sandbox.
func Open(getenv func(string) string, sandboxOptions *sandbox.SailPointOptions, log io.Writer) (*Target, error) {
	settings := []string{BaseURL, ClientID, ClientSecret}
	missing := slices.DeleteFunc(slices.Clone(settings), func(name string) bool { return getenv(name) != "" })
	baseURL, creds := getenv(BaseURL), tokens.Credentials{ClientID: getenv(ClientID), ClientSecret: getenv(ClientSecret)}
	t := &Target{name: "tenant " + baseURL, close: func() error { return nil }}
	switch {
	case len(missing) == len(settings):
		server, err := sandbox.Listen(sandbox.NewSailPoint(sandboxOptions))
		if err != nil {
			return nil, fmt.Errorf("starting the sandbox: %w", err)
		}
		baseURL, creds = server.URL, tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret}
		t.name, t.close = fmt.Sprintf("a sandbox, because %s is not set", BaseURL), server.Close
	case len(missing) > 0:
		return nil, fmt.Errorf("not set: %s; set all of %s to work on a tenant, or none to work on a sandbox",
			strings.Join(missing, ", "), strings.Join(settings, ", "))
	}
	t.ClientID = creds.ClientID
	if err := t.open(baseURL, creds, log); err != nil {
		_ = t.close()
		return nil, err
	}
	return t, nil
}

func (t *Target) open(baseURL string, creds tokens.Credentials, log io.Writer) error {
	endpoint, err := tokens.NewSailPoint("", creds, &tokens.SailPointOptions{
		BaseURL: baseURL,
		Limiter: &tokens.Limiter{MaxWait: time.Hour}, // in a batch, success matters more than the wait for a single call
	})
	if err != nil {
		return err
	}
	cache, err := tokens.NewCache(endpoint, nil)
	if err != nil {
		return err
	}
	t.Clients, err = oauthclients.NewSailPoint(cache, &oauthclients.SailPointOptions{
		Logger: slog.New(slog.NewTextHandler(log, nil)), // logs retries, and lists that may be incomplete
	})
	return err
}

// String returns the name of the tenant, or of the sandbox.
func (t *Target) String() string { return t.name }

// Close stops the sandbox if the Target is one.
func (t *Target) Close() { _ = t.close() }
