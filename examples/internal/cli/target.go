// Package cli is what the example programs that work on a SailPoint tenant have in common: the tenant they work on, files
// they read and write, and how they talk to whoever runs them.
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

// The environment variables that lead to a tenant.
const (
	BaseURL      = "SAILPOINT_BASE_URL" // https://{tenant}.api.identitynow.com
	ClientID     = "SAILPOINT_CLIENT_ID"
	ClientSecret = "SAILPOINT_CLIENT_SECRET"
)

// A Target is the tenant, or the sandbox, that a program works on.
type Target struct {
	Clients  *oauthclients.SailPoint
	ClientID string // that the program authenticates as

	name  string
	close func() error
}

// Open returns the tenant that the environment leads to, or a sandbox with these options if none of the variables is set.
// Some of them without the others are an error: it would be a sandbox for somebody who meant a tenant.
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
		Limiter: &tokens.Limiter{MaxWait: time.Hour}, // nobody waits for a single call, and all of them are to succeed
	})
	if err != nil {
		return err
	}
	cache, err := tokens.NewCache(endpoint, nil)
	if err != nil {
		return err
	}
	t.Clients, err = oauthclients.NewSailPoint(cache, &oauthclients.SailPointOptions{
		Logger: slog.New(slog.NewTextHandler(log, nil)), // logs repetitions, and lists that may have been cut
	})
	return err
}

// String returns where the program works.
func (t *Target) String() string { return t.name }

// Close stops the sandbox, if the Target is one.
func (t *Target) Close() { _ = t.close() }
