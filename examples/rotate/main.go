// Rotate creates a successor of an OAuth client of a SailPoint tenant: a twin with the same settings and a new secret.
// The vendor shows the secret only once, so the program first makes sure that the secret can be stored, and then stores
// it before anything else: in a new file that only its owner can read, or with a command that reads it from standard
// input. If storing fails, the twin is deleted. The old client is deleted only with -delete-old, after a confirmation.
//
//	go run ./examples/rotate -id ef38f94347e94562b5bb8424a56397d8 -file secret.txt
//	go run ./examples/rotate -id ef38f94347e94562b5bb8424a56397d8 vault kv put secret/demo client_secret=-
//
// Without settings, it works on a sandbox. With SAILPOINT_BASE_URL (https://{tenant}.api.identitynow.com),
// SAILPOINT_CLIENT_ID and SAILPOINT_CLIENT_SECRET, it works on that tenant. The client must be a personal access token,
// because only those have a user.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/grantwright/oauth-go/examples/internal/cli"
	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "rotate:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("rotate", flag.ContinueOnError)
	flags.SetOutput(out)
	id := flags.String("id", sandbox.SampleClientID, "`id` of the client")
	file := flags.String("file", "", "write the secret to this `file`, which must not exist yet; or else to the standard input of the command after the flags")
	deleteOld := flags.Bool("delete-old", false, "delete the old client once the new secret is stored, after a question")
	allScopes := flags.Bool("all-scopes", false, "accept that the new client has every right of its owner, if the old one has no scopes")
	yes := flags.Bool("yes", false, "do not ask")
	if err := flags.Parse(args); err != nil {
		return err
	}
	store, err := newStore(*file, flags.Args(), out)
	if err != nil {
		return err
	}
	r := rotator{Console: cli.NewConsole(out), in: in, deleteOld: *deleteOld, allScopes: *allScopes, yes: *yes, store: store}
	target, err := cli.Open(getenv, nil, r)
	if err != nil {
		return err
	}
	defer target.Close()
	r.clients, r.target = target.Clients, target.String()
	return r.run(ctx, *id)
}

// A store stores a secret in two steps. The second step runs only if the first succeeded.
type store struct {
	prepare func() error
	keep    func(ctx context.Context, secret string) error
	discard func() // undoes prepare if there will be no secret
	name    string
}

func newStore(file string, command []string, out io.Writer) (*store, error) {
	switch {
	case file != "" && len(command) > 0:
		return nil, errors.New("there are both -file and a command; choose one")
	case file != "":
		return fileStore(file), nil
	case len(command) > 0:
		return commandStore(command, out)
	}
	return nil, errors.New("there is nowhere to put the secret; use -file, or a command after the flags")
}

// fileStore stores the secret in a new file that only its owner can read.
func fileStore(name string) *store {
	var file *os.File
	return &store{
		name: "file " + name,
		prepare: func() (err error) {
			file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			return err
		},
		keep: func(_ context.Context, secret string) error {
			_, err := file.WriteString(secret)
			return errors.Join(err, file.Sync(), file.Close())
		},
		discard: func() {
			_ = file.Close()
			_ = os.Remove(name)
		},
	}
}

// commandStore stores the secret with a command that reads it from standard input.
func commandStore(command []string, out io.Writer) (*store, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	return &store{
		name:    "command " + command[0],
		prepare: func() error { return nil },
		keep: func(ctx context.Context, secret string) error {
			cmd := exec.CommandContext(ctx, path, command[1:]...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(secret), out, out
			return cmd.Run()
		},
		discard: func() {},
	}, nil
}

type rotator struct {
	*cli.Console

	in                        io.Reader
	deleteOld, allScopes, yes bool
	store                     *store
	clients                   *oauthclients.SailPoint
	target                    string
}

func (r rotator) run(ctx context.Context, id string) error {
	r.Printf("Working on %s.", r.target)
	old, err := r.clients.Get(ctx, id)
	if err != nil {
		return err
	}
	r.Printf("old client  %s  %q", old.ID, old.Name)
	if len(old.Scope) == 0 && !r.allScopes {
		return fmt.Errorf("client %s has no scopes, so the vendor would give a new one sp:scopes:all; -all-scopes accepts that", old.ID)
	}
	if err := r.store.prepare(); err != nil {
		return fmt.Errorf("nothing was created: %w", err)
	}
	created, err := r.clients.Create(ctx, twin(*old))
	if created == nil || created.Secret.IsZero() {
		r.store.discard()
		if created != nil && created.ID != "" {
			return errors.Join(fmt.Errorf("client %s was created, but its secret was not in the response: %w", created.ID, err), r.undo(ctx, created.ID))
		}
		return err
	}
	// From here on, the secret must not be lost, neither by an error nor by an interrupt.
	ctx = context.WithoutCancel(ctx)
	if err := r.store.keep(ctx, created.Secret.Reveal()); err != nil {
		err = fmt.Errorf("the secret could not be stored by the %s: %w", r.store.name, err)
		if left := r.undo(ctx, created.ID); left != nil {
			return errors.Join(err, left)
		}
		r.store.discard()
		return err
	}
	r.Printf("new client  %s  %q, its secret is stored by the %s", created.ID, old.Name, r.store.name)
	if err != nil {
		return fmt.Errorf("the response to the creation could not be read whole: %w", err)
	}
	return r.retire(ctx, old)
}

// undo deletes a client whose secret nobody has.
func (r rotator) undo(ctx context.Context, id string) error {
	if err := r.clients.Delete(ctx, id, oauthclients.AllowMissing()); err != nil {
		return fmt.Errorf("client %s is of no use and could not be deleted: %w", id, err)
	}
	r.Printf("client %s was deleted again", id)
	return nil
}

// retire deletes the old client if the flags say so.
func (r rotator) retire(ctx context.Context, old *sailpoint.OAuthClient) error {
	switch {
	case !r.deleteOld:
		r.Printf("1 client was created, 0 were deleted. The old client works until it is deleted.")
		return nil
	case !r.yes && !r.Confirm(r.in, "Delete client %s %q of %s?", old.ID, old.Name, r.target):
		r.Printf("1 client was created, 0 were deleted.")
		return nil
	}
	if err := r.clients.Delete(ctx, old.ID, oauthclients.AllowMissing()); err != nil {
		return fmt.Errorf("the old client could not be deleted: %w", err)
	}
	r.Printf("1 client was created, 1 was deleted.")
	return nil
}

// twin returns a request for a client with the same settings.
func twin(c sailpoint.OAuthClient) sailpoint.CreateOAuthClientRequest {
	return sailpoint.CreateOAuthClientRequest{
		Name:                        &c.Name,
		Description:                 c.Description,
		BusinessName:                c.BusinessName,
		HomepageURL:                 c.HomepageURL,
		AccessTokenValiditySeconds:  c.AccessTokenValiditySeconds,
		RefreshTokenValiditySeconds: &c.RefreshTokenValiditySeconds,
		RedirectURIs:                c.RedirectURIs,
		GrantTypes:                  c.GrantTypes,
		AccessType:                  c.AccessType,
		Type:                        &c.Type,
		Internal:                    &c.Internal,
		Enabled:                     c.Enabled,
		StrongAuthSupported:         &c.StrongAuthSupported,
		ClaimsSupported:             &c.ClaimsSupported,
		Scope:                       c.Scope,
	}
}
