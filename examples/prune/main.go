// Prune deletes the OAuth clients of a SailPoint tenant that were not used for a number of days. One that was never used
// counts from its creation. Clients whose dates cannot be read, and the client that this program authenticates as, are
// named and left alone. Without -delete nothing is deleted.
//
//	go run ./examples/prune -days 90
//	go run ./examples/prune -days 90 -delete
//
// Without settings it works on a sandbox. With SAILPOINT_BASE_URL (https://{tenant}.api.identitynow.com),
// SAILPOINT_CLIENT_ID and SAILPOINT_CLIENT_SECRET it works on that tenant; the client must be a personal access token,
// because only those carry a user.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	flags := flag.NewFlagSet("prune", flag.ContinueOnError)
	days := flags.Int("days", 90, "how long a client must have been unused; the vendor notes a use at most once a `day`")
	del := flags.Bool("delete", false, "delete the clients, in place of naming them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *days < 1 || flags.NArg() > 0 {
		return errors.New("prune: -days must be at least 1, and there are no other arguments")
	}

	baseURL := getenv("SAILPOINT_BASE_URL")
	creds := tokens.Credentials{ClientID: getenv("SAILPOINT_CLIENT_ID"), ClientSecret: getenv("SAILPOINT_CLIENT_SECRET")}
	if baseURL == "" {
		server, err := sandbox.Listen(sandbox.NewSailPoint(&sandbox.SailPointOptions{OAuthClients: sampleClients(time.Now())}))
		if err != nil {
			return fmt.Errorf("starting the sandbox: %w", err)
		}
		defer func() { _ = server.Close() }()
		baseURL, creds = server.URL, tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret}
	}
	endpoint, err := tokens.NewSailPoint("", creds, &tokens.SailPointOptions{BaseURL: baseURL})
	if err != nil {
		return err
	}
	cache, err := tokens.NewCache(endpoint, nil)
	if err != nil {
		return err
	}
	clients, err := oauthclients.NewSailPoint(cache, &oauthclients.SailPointOptions{
		Logger: slog.New(slog.NewTextHandler(out, nil)), // says when the list may be cut
	})
	if err != nil {
		return err
	}
	return prune(ctx, clients, rule{before: time.Now().AddDate(0, 0, -*days), self: creds.ClientID}, *del, out)
}

func prune(ctx context.Context, clients *oauthclients.SailPoint, r rule, del bool, out io.Writer) error {
	// The whole list is read before the first is deleted: a list that breaks off deletes nothing. It is not filtered at
	// the vendor's, so that the clients with unreadable dates are seen too.
	var unused []sailpoint.OAuthClient
	total := 0
	for client, err := range clients.All(ctx) {
		if err != nil {
			return err
		}
		total++
		verdict, why := r.judge(client)
		fmt.Fprintf(out, "%-6s  %s  %q: %s\n", verdict, client.ID, client.Name, why)
		if verdict == remove {
			unused = append(unused, client)
		}
	}
	fmt.Fprintf(out, "%d of %d clients are unused since %s\n", len(unused), total, r.before.UTC().Format(time.RFC3339))
	if !del {
		fmt.Fprintln(out, "nothing was deleted; -delete does it")
		return nil
	}
	for i, client := range unused {
		if err := clients.Delete(ctx, client.ID, oauthclients.AllowMissing()); err != nil {
			return fmt.Errorf("prune: %d were deleted, then: %w", i, err)
		}
		fmt.Fprintf(out, "deleted %s  %q\n", client.ID, client.Name)
	}
	return nil
}

// rule says which clients go.
type rule struct {
	before time.Time // the last use of those that go
	self   string    // the client that must stay
}

type verdict string

const (
	keep   verdict = "keep"
	skip   verdict = "skip"
	remove verdict = "remove"
)

func (r rule) judge(client sailpoint.OAuthClient) (verdict, string) {
	if client.ID == r.self {
		return skip, "this program authenticates as it"
	}
	what, at := "last used", client.LastUsed
	if at == nil || at.Text() == "" {
		what, at = "never used, created", &client.Created
	}
	return r.byDate(what, *at)
}

func (r rule) byDate(what string, at wire.Time) (verdict, string) {
	switch {
	case at.IsZero():
		return skip, fmt.Sprintf("%s at %q, which is no time", what, at.Text())
	case at.Time().After(r.before):
		return keep, what + " at " + at.Text()
	}
	return remove, what + " at " + at.Text()
}

// sampleClients are what the sandbox has: one of each kind.
func sampleClients(now time.Time) []sailpoint.OAuthClient {
	day := func(ago int) wire.Time { return wire.NewTime(now.UTC().Truncate(time.Millisecond).AddDate(0, 0, -ago)) }
	var unreadable wire.Time
	_ = unreadable.UnmarshalJSON([]byte(`"last summer"`))
	return []sailpoint.OAuthClient{
		{ID: sandbox.ClientID, Name: "This program", Created: day(900), LastUsed: new(day(800))},
		{ID: "used-last-year", Name: "Used last year", Created: day(900), LastUsed: new(day(400))},
		{ID: "used-yesterday", Name: "Used yesterday", Created: day(900), LastUsed: new(day(1))},
		{ID: "never-used", Name: "Never used", Created: day(300)},
		{ID: "never-used-but-new", Name: "Never used, but new", Created: day(2)},
		{ID: "unreadable", Name: "Used at no time", Created: day(900), LastUsed: &unreadable},
	}
}
