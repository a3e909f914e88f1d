// Reconcile brings one OAuth client of a SailPoint tenant to the state in a JSON file. It shows the patch that does so,
// and with -apply sends it. Members that the file leaves out stay as they are; null is a value.
//
//	go run ./examples/reconcile
//	go run ./examples/reconcile -id ef38f94347e94562b5bb8424a56397d8 -file client.json -apply
//
// Without settings it works on a sandbox. With SAILPOINT_BASE_URL (https://{tenant}.api.identitynow.com),
// SAILPOINT_CLIENT_ID and SAILPOINT_CLIENT_SECRET it works on that tenant; the client must be a personal access token,
// because only those carry a user.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/patch"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

//go:embed client.json
var sample []byte

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
	flags := flag.NewFlagSet("reconcile", flag.ContinueOnError)
	id := flags.String("id", sandbox.SampleClientID, "`id` of the client")
	file := flags.String("file", "", "the wanted state (default the sample beside this program)")
	apply := flags.Bool("apply", false, "send the patch, in place of only showing it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted := sample
	if *file != "" {
		var err error
		if wanted, err = os.ReadFile(*file); err != nil {
			return fmt.Errorf("reconcile: %w", err)
		}
	}

	baseURL := getenv("SAILPOINT_BASE_URL")
	creds := tokens.Credentials{ClientID: getenv("SAILPOINT_CLIENT_ID"), ClientSecret: getenv("SAILPOINT_CLIENT_SECRET")}
	if baseURL == "" {
		server, err := sandbox.Listen(sandbox.NewSailPoint(nil))
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
	clients, err := oauthclients.NewSailPoint(cache, nil)
	if err != nil {
		return err
	}
	return reconcile(ctx, clients, *id, wanted, *apply, out)
}

func reconcile(ctx context.Context, clients *oauthclients.SailPoint, id string, wanted []byte, apply bool, out io.Writer) error {
	before, err := clients.Get(ctx, id)
	if err != nil {
		return err
	}
	after, err := patch.Overlay(*before, wanted)
	if err != nil {
		return err
	}
	// What was seen must still be there, or the patch would undo what somebody else has just done.
	ops, err := patch.Diff(*before, after, &patch.DiffOptions{Guard: true})
	if err != nil {
		return err
	}
	if len(ops) == 0 {
		fmt.Fprintf(out, "client %s is as the file says\n", id)
		return nil
	}
	fmt.Fprintf(out, "PATCH %s\n", id)
	for _, op := range ops {
		line, err := op.MarshalJSON()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  %s\n", line)
	}
	if !apply {
		fmt.Fprintln(out, "nothing was sent; -apply does it")
		return nil
	}

	patched, err := clients.Patch(ctx, id, ops...)
	if err != nil {
		return err
	}
	if left, _ := patch.Diff(*patched, after, nil); len(left) > 0 { // an error is about modified, which the vendor keeps
		return fmt.Errorf("reconcile: the vendor took the patch, but client %s is still %d operations away: %v", id, len(left), left)
	}
	fmt.Fprintf(out, "client %s is now as the file says\n", id)
	return nil
}
