// Reconcile changes OAuth clients of a SailPoint tenant to the state in a JSON or YAML file. It prints a patch for each
// client; with -apply and a confirmation, it sends the patches. Members that the file does not have keep their values;
// null is a value.
//
//	go run ./examples/reconcile
//	go run ./examples/reconcile -id ef38f94347e94562b5bb8424a56397d8 -file client.json
//	go run ./examples/reconcile -file clients.yaml -apply
//
// The file has one client, or a list of clients that each have an id.
//
// Without settings, it works on a sandbox. With SAILPOINT_BASE_URL (https://{tenant}.api.identitynow.com),
// SAILPOINT_CLIENT_ID and SAILPOINT_CLIENT_SECRET, it works on that tenant. The client must be a personal access token,
// because only those have a user.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/grantwright/oauth-go/examples/internal/cli"
	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/oauthclients/patch"
	"github.com/grantwright/oauth-go/sandbox"
)

//go:embed client.json
var sample []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "reconcile:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("reconcile", flag.ContinueOnError)
	flags.SetOutput(out)
	id := flags.String("id", "", "`id` of the client, if the file has one without an id (default that of the sandbox's client, with its file)")
	file := flags.String("file", "", "JSON or YAML `file` with the wanted state (default the sample beside this program)")
	reportFile := flags.String("report", "", "write the operations to this `file` too, as CSV or JSON by its name")
	apply := flags.Bool("apply", false, "send the patches, after a question")
	yes := flags.Bool("yes", false, "do not ask")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	doc := sample
	if *file == "" && *id == "" {
		*id = sandbox.SampleClientID
	}
	var err error
	if *file != "" {
		if doc, err = cli.ReadFile(*file); err != nil {
			return err
		}
	}
	wanted, err := wantedClients(doc, *id)
	if err != nil {
		return err
	}
	r := reconciler{Console: cli.NewConsole(out), in: in, apply: *apply, yes: *yes}
	if r.report, err = cli.NewReport(*reportFile, "id", "op", "path", "value"); err != nil {
		return err
	}
	target, err := cli.Open(getenv, nil, r)
	if err != nil {
		return err
	}
	defer target.Close()
	r.clients, r.target = target.Clients, target.String()
	return r.run(ctx, wanted)
}

// A wantedClient is the wanted state of a client.
type wantedClient struct {
	id    string
	state json.RawMessage
}

// wantedClients parses one client, whose id may be given separately, or a list of clients.
func wantedClients(doc []byte, id string) ([]wantedClient, error) {
	var states []json.RawMessage
	if json.Unmarshal(doc, &states) != nil {
		states = []json.RawMessage{doc}
	} else if id != "" {
		return nil, errors.New("the file has a list of clients; leave -id off")
	}
	wanted := make([]wantedClient, len(states))
	for i, state := range states {
		var own struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(state, &own); err != nil {
			return nil, fmt.Errorf("client %d of the file: %w", i, err)
		}
		switch {
		case own.ID == "" && id == "":
			return nil, fmt.Errorf("client %d of the file has no id; add it, or name it with -id", i)
		case own.ID == "":
			own.ID = id
		case id != "" && id != own.ID:
			return nil, fmt.Errorf("the file is about client %s, and not %s; leave -id off", own.ID, id)
		}
		wanted[i] = wantedClient{own.ID, state}
	}
	return wanted, nil
}

type reconciler struct {
	*cli.Console

	in         io.Reader
	apply, yes bool
	report     *cli.Report
	clients    *oauthclients.SailPoint
	target     string
}

// A change is the patch that brings a client to its wanted state.
type change struct {
	id    string
	after sailpoint.OAuthClient
	patch jsonpatch.Patch
}

func (r reconciler) run(ctx context.Context, wanted []wantedClient) error {
	r.Printf("Working on %s.", r.target)
	changes, err := r.plan(ctx, wanted)
	if err != nil {
		return err
	}
	if err := r.report.Write(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	r.Printf("%d of %d clients differ from the file.", len(changes), len(wanted))
	switch {
	case len(changes) == 0:
		return nil
	case !r.apply:
		r.Printf("Nothing was sent; -apply does that.")
		return nil
	case !r.yes && !r.Confirm(r.in, "Send these patches to %s?", r.target):
		r.Printf("Nothing was sent.")
		return nil
	}
	for i, c := range changes {
		if err := r.send(ctx, c); err != nil {
			return fmt.Errorf("%d of %d clients were changed, then: %w", i, len(changes), err)
		}
		r.Printf("changed %s", c.id)
	}
	r.Printf("%d clients were changed.", len(changes))
	return nil
}

// plan prints and returns the changes. It reads all clients before any is changed.
func (r reconciler) plan(ctx context.Context, wanted []wantedClient) ([]change, error) {
	var changes []change
	for i, w := range wanted {
		before, err := r.clients.Get(ctx, w.id)
		if err != nil {
			return nil, fmt.Errorf("client %s: %w", w.id, err)
		}
		after, err := patch.Overlay(*before, w.state)
		if err != nil {
			return nil, fmt.Errorf("client %s: %w", w.id, err)
		}
		// The guard makes sure that the patch does not undo a change by somebody else in the meantime.
		ops, err := patch.Diff(*before, after, &patch.DiffOptions{Guard: true, ListsAsSets: true})
		if err != nil {
			return nil, fmt.Errorf("client %s: %w", w.id, err)
		}
		if len(ops) > 0 {
			changes = append(changes, change{w.id, after, ops})
		}
		r.Progress(i+1, "%d clients were read")
	}
	for _, c := range changes {
		r.Printf("PATCH %s", c.id)
		for _, op := range c.patch {
			line, err := op.MarshalJSON()
			if err != nil {
				return nil, fmt.Errorf("client %s: %w", c.id, err)
			}
			r.Printf("  %s", line)
			r.report.Add(c.id, op.Op(), op.Path(), string(op.Value()))
		}
	}
	return changes, nil
}

// send sends a patch, and checks the result.
func (r reconciler) send(ctx context.Context, c change) error {
	patched, err := r.clients.Patch(ctx, c.id, c.patch...)
	if err != nil {
		return fmt.Errorf("client %s: %w", c.id, err)
	}
	// The error would list the fields that the vendor sets itself, such as modified.
	left, _ := patch.Diff(*patched, c.after, &patch.DiffOptions{ListsAsSets: true})
	if len(left) > 0 {
		return fmt.Errorf("client %s: the vendor accepted the patch, but these differences are left: %v", c.id, left)
	}
	return nil
}
