// Sandbox serves the three vendors on loopback until it is interrupted, and prints how to point a client at it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/grantwright/oauth-go/sandbox"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	server, err := sandbox.Listen(sandbox.New())
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	fmt.Printf(`All three vendors at   %[1]s
ClientID               %[2]s
ClientSecret           %[3]s
ThousandEyes UserToken %[4]s

tokens.NewThousandEyes(creds, &tokens.ThousandEyesOptions{BaseURL: %[1]q})
tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: %[1]q})
tokens.NewSailPoint("", creds, &tokens.SailPointOptions{BaseURL: %[1]q})

curl -d grant_type=client_credentials -d client_id=%[2]s -d client_secret=%[3]s %[1]s/oauth/token

Interrupt to end.
`, server.URL, sandbox.ClientID, sandbox.ClientSecret, sandbox.UserToken)
	<-ctx.Done()
	return nil
}
