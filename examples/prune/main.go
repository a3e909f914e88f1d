// Prune deletes the OAuth clients of a SailPoint tenant that have not been used for a number of days. For a client that
// was never used, the days count from its creation. Clients whose dates cannot be read, clients named by -keep, and the
// client of this program itself are listed but not deleted. Nothing is deleted without -delete and a confirmation.
//
//	go run ./examples/prune -days 90
//	go run ./examples/prune -days 90 -keep keep.yaml -report plan.csv
//	go run ./examples/prune -days 90 -delete
//
// Without settings, it works on a sandbox. With SAILPOINT_BASE_URL (https://{tenant}.api.identitynow.com),
// SAILPOINT_CLIENT_ID and SAILPOINT_CLIENT_SECRET, it works on that tenant. The client must be a personal access token,
// because only those have a user.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/grantwright/oauth-go/examples/internal/cli"
	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "prune:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("prune", flag.ContinueOnError)
	flags.SetOutput(out)
	days := flags.Int("days", 90, "how long a client must have been unused, in `days`; the vendor records a use at most once a day")
	keepFile := flags.String("keep", "", "JSON or YAML `file` with a list of the ids and names of clients that stay")
	reportFile := flags.String("report", "", "write the plan to this `file` too, as CSV or JSON by its name")
	del := flags.Bool("delete", false, "delete the clients, after a question")
	yes := flags.Bool("yes", false, "do not ask")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *days < 1 || flags.NArg() > 0 {
		return errors.New("-days must be at least 1, and there are no other arguments")
	}
	p := pruner{Console: cli.NewConsole(out), in: in, del: *del, yes: *yes, rule: rule{before: time.Now().AddDate(0, 0, -*days)}}
	var err error
	if *keepFile != "" {
		if p.rule.keep, err = readNames(*keepFile); err != nil {
			return err
		}
	}
	if p.report, err = cli.NewReport(*reportFile, "verdict", "id", "name", "why"); err != nil {
		return err
	}
	target, err := cli.Open(getenv, &sandbox.SailPointOptions{OAuthClients: sampleClients(time.Now())}, p)
	if err != nil {
		return err
	}
	defer target.Close()
	p.rule.self, p.clients, p.target = target.ClientID, target.Clients, target.String()
	return p.run(ctx)
}

// readNames reads the list of clients to keep.
func readNames(file string) ([]string, error) {
	data, err := cli.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return nil, fmt.Errorf("%s: there must be a list of ids and names: %w", file, err)
	}
	return names, nil
}

type pruner struct {
	*cli.Console

	in       io.Reader
	del, yes bool
	rule     rule
	report   *cli.Report
	clients  *oauthclients.SailPoint
	target   string
}

func (p pruner) run(ctx context.Context) error {
	p.Printf("Working on %s.", p.target)
	unused, err := p.plan(ctx)
	if err != nil {
		return err
	}
	if err := p.report.Write(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	switch {
	case len(unused) == 0:
		return nil
	case !p.del:
		p.Printf("Nothing was deleted; -delete does that.")
		return nil
	case !p.yes && !p.Confirm(p.in, "Delete these %d clients of %s?", len(unused), p.target):
		p.Printf("Nothing was deleted.")
		return nil
	}
	for i, client := range unused {
		if err := p.clients.Delete(ctx, client.ID, oauthclients.AllowMissing()); err != nil {
			return fmt.Errorf("%d of %d clients were deleted, then: %w", i, len(unused), err)
		}
		p.Printf("deleted %s  %q", client.ID, client.Name)
	}
	p.Printf("%d clients were deleted.", len(unused))
	return nil
}

// plan lists the clients with what will happen to them, and returns those to delete. It reads the whole list before
// anything is deleted, so that an incomplete list deletes nothing. It does not use the vendor's filters, so that
// clients whose dates cannot be read are listed too.
func (p pruner) plan(ctx context.Context) ([]sailpoint.OAuthClient, error) {
	var all, unused []sailpoint.OAuthClient
	for client, err := range p.clients.All(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, client)
		p.Progress(len(all), "%d clients were read")
	}
	for _, client := range all {
		verdict, why := p.rule.judge(client)
		p.Printf("%-6s  %s  %q: %s", verdict, client.ID, client.Name, why)
		p.report.Add(string(verdict), client.ID, client.Name, why)
		if verdict == remove {
			unused = append(unused, client)
		}
	}
	p.Printf("%d of %d clients are unused since %s.", len(unused), len(all), p.rule.before.UTC().Format(time.RFC3339))
	return unused, nil
}

// A rule says which clients to delete.
type rule struct {
	before time.Time // delete clients last used before this
	self   string    // the id of this program's own client, to keep
	keep   []string  // ids and names of other clients to keep
}

type verdict string

const (
	keep   verdict = "keep"
	skip   verdict = "skip"
	remove verdict = "remove"
)

func (r rule) judge(client sailpoint.OAuthClient) (verdict, string) {
	switch {
	case client.ID == r.self:
		return skip, "this program authenticates as it"
	case slices.Contains(r.keep, client.ID), slices.Contains(r.keep, client.Name):
		return skip, "-keep names it"
	case client.LastUsed == nil || client.LastUsed.Text() == "":
		return r.byDate("never used, created", client.Created)
	}
	return r.byDate("last used", *client.LastUsed)
}

func (r rule) byDate(what string, at wire.Time) (verdict, string) {
	switch {
	case at.IsZero():
		return skip, fmt.Sprintf("%s at %q, which is not a time", what, at.Text())
	case at.Time().After(r.before):
		return keep, what + " at " + at.Text()
	}
	return remove, what + " at " + at.Text()
}

// sampleClients returns the clients of the sandbox: one of each kind.
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
