// Sandbox serves the three vendors on loopback until it is interrupted, and prints settings for clients in Go and other
// languages.
//
//	go run ./examples/sandbox -addr 127.0.0.1:8085
//
// It does not keep requests, so it can run for a long time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(out)
	addr := flags.String("addr", "127.0.0.1:0", "`address` to serve on; port 0 is any free one")
	strict := flags.Bool("strict", false, "refuse what RFC 6749 lets a server ignore: unknown and empty fields")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	vendors := sandbox.New(
		sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{Strict: *strict, NoRequests: true}),
		sandbox.NewMoov(&sandbox.MoovOptions{Strict: *strict, NoRequests: true}),
		sandbox.NewSailPoint(&sandbox.SailPointOptions{Strict: *strict, NoRequests: true}),
	)
	server := &http.Server{Handler: vendors, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	printSettings(out, baseURL(listener.Addr()))
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// baseURL returns the URL of an address for clients on this machine.
func baseURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "http://" + addr.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func printSettings(out io.Writer, url string) {
	fmt.Fprintf(out, `ThousandEyes, Moov and SailPoint at %[1]s, until interrupted.

curl:

  # ThousandEyes: a token, and a request with it
  TOKEN=$(curl -s %[1]s/v7/oauth2/token -d grant_type=client_credentials \
    -d client_id=%[2]s -d client_secret=%[3]s | sed 's/.*"access_token":"\([^"]*\).*/\1/')
  curl -i %[1]s/v7/tests -H "Authorization: Bearer $TOKEN"

  # Moov: a token with a scope, and its revocation
  TOKEN=$(curl -s %[1]s/oauth2/token -u %[2]s:%[3]s -d grant_type=client_credentials \
    -d scope=/ping.read | sed 's/.*"access_token":"\([^"]*\).*/\1/')
  curl -i %[1]s/ping -H "Authorization: Bearer $TOKEN"
  curl -i %[1]s/oauth2/revoke -u %[2]s:%[3]s -d token="$TOKEN"

  # SailPoint: a token, and the OAuth clients
  TOKEN=$(curl -s %[1]s/oauth/token -d grant_type=client_credentials \
    -d client_id=%[2]s -d client_secret=%[3]s | sed 's/.*"access_token":"\([^"]*\).*/\1/')
  curl -i %[1]s/beta/oauth-clients -H "Authorization: Bearer $TOKEN"

Go:

  creds := tokens.Credentials{ClientID: %[2]q, ClientSecret: %[3]q}
  tokens.NewThousandEyes(creds, &tokens.ThousandEyesOptions{BaseURL: %[1]q}) // Grant{UserToken: %[4]q}
  tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: %[1]q})
  tokens.NewSailPoint("", creds, &tokens.SailPointOptions{BaseURL: %[1]q})

Logins by authorization code, as SailPoint has them:

  server (RFC 8414)  %[1]s
  client id          %[5]s, without a secret
  redirect URI       http://127.0.0.1:<any port>/callback
`, url, sandbox.ClientID, sandbox.ClientSecret, sandbox.UserToken, sandbox.PublicClientID)
}
