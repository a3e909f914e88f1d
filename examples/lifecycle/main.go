// Lifecycle runs every operation of the three vendors and prints a line for each: it gets, refreshes, uses and revokes
// tokens, and creates, lists, gets, patches and deletes an OAuth client. It exits with 1 if a step fails.
//
// Without settings, it starts the sandbox on loopback. If the three variables of a vendor are set, it calls the real
// vendor:
//
//	THOUSANDEYES_BASE_URL  THOUSANDEYES_CLIENT_ID  THOUSANDEYES_CLIENT_SECRET  (THOUSANDEYES_TENANT_ID THOUSANDEYES_USER_TOKEN)
//	MOOV_BASE_URL          MOOV_CLIENT_ID          MOOV_CLIENT_SECRET          (MOOV_ORIGIN)
//	SAILPOINT_BASE_URL     SAILPOINT_CLIENT_ID     SAILPOINT_CLIENT_SECRET
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, getenv func(string) string, out io.Writer) error {
	server, err := sandbox.Listen(sandbox.NewStrict())
	if err != nil {
		return fmt.Errorf("starting the sandbox: %w", err)
	}
	defer func() { _ = server.Close() }()

	r := &report{out: out}
	for _, vendor := range []struct {
		name, prefix string
		run          func(context.Context, *report, target) error
	}{
		{"ThousandEyes", "THOUSANDEYES", thousandEyes},
		{"Moov", "MOOV", moov},
		{"SailPoint", "SAILPOINT", sailPoint},
	} {
		t, err := targetOf(vendor.prefix, getenv, server.URL)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s at %s\n", vendor.name, t.where)
		if err := vendor.run(ctx, r, t); err != nil {
			return fmt.Errorf("%s: %w", vendor.name, err)
		}
	}
	fmt.Fprintf(out, "%d steps, all as expected\n", r.steps)
	return nil
}

// target is the address and the credentials for a vendor.
type target struct {
	where   string
	baseURL string
	creds   tokens.Credentials
	setting func(name string) string // returns a variable of this vendor, or ""
}

func targetOf(prefix string, getenv func(string) string, sandboxURL string) (target, error) {
	setting := func(name string) string { return getenv(prefix + "_" + name) }
	t := target{
		baseURL: setting("BASE_URL"),
		creds:   tokens.Credentials{ClientID: setting("CLIENT_ID"), ClientSecret: setting("CLIENT_SECRET")},
		setting: setting,
	}
	t.where = t.baseURL
	switch given := t.baseURL != ""; {
	case given && (t.creds.ClientID == "" || t.creds.ClientSecret == ""), !given && t.creds != tokens.Credentials{}:
		return target{}, fmt.Errorf("set all of %[1]s_BASE_URL, %[1]s_CLIENT_ID and %[1]s_CLIENT_SECRET, or none", prefix)
	case given:
		return t, nil
	}
	return target{
		where:   "the sandbox, " + sandboxURL,
		baseURL: sandboxURL,
		creds:   tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
		setting: func(name string) string {
			return map[string]string{"USER_TOKEN": sandbox.UserToken, "TENANT_ID": "demo-tenant"}[name]
		},
	}, nil
}
