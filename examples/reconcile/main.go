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
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
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
	after, err := overlaid(*before, wanted)
	if err != nil {
		return err
	}
	ops, err := patch.Diff(*before, after)
	if err != nil {
		return err
	}
	if len(ops) == 0 {
		fmt.Fprintf(out, "client %s is as the file says\n", id)
		return nil
	}
	// What was seen must still be there, or the patch would undo what another just did.
	ops = append(guards(*before, after), ops...)
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
	if left, _ := patch.Diff(*patched, after); len(left) > 0 { // an error is about modified, which the vendor keeps
		return fmt.Errorf("reconcile: the vendor took the patch, but client %s is still %d operations away: %v", id, len(left), left)
	}
	fmt.Fprintf(out, "client %s is now as the file says\n", id)
	return nil
}

// overlaid returns the client with the members of a JSON object in place of its own.
func overlaid(client sailpoint.OAuthClient, object []byte) (sailpoint.OAuthClient, error) {
	// By way of JSON, so that the two share no array.
	data, err := json.Marshal(client)
	if err != nil {
		return client, fmt.Errorf("reconcile: %w", err)
	}
	var after sailpoint.OAuthClient
	if err := json.Unmarshal(data, &after); err != nil {
		return client, fmt.Errorf("reconcile: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(object))
	dec.DisallowUnknownFields() // a misspelt member must not pass for one that is left out
	if err := dec.Decode(&after); err != nil {
		return client, fmt.Errorf("reconcile: the wanted state: %w", err)
	}
	return after, nil
}

// guards test that the fields to change are as they were. They are those of the patch that leads back.
func guards(before, after sailpoint.OAuthClient) []jsonpatch.Operation {
	back, _ := patch.Diff(after, before)
	tests := make([]jsonpatch.Operation, len(back))
	for i, op := range back {
		tests[i] = jsonpatch.Test(op.Path(), op.Value())
	}
	return tests
}
