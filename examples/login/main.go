// Login logs a user in at any OAuth server that publishes its metadata, by authorization code with PKCE and a loopback
// redirect (RFC 8252). It prints the scopes and the expiry of the token, but never the token.
//
//	go run ./examples/login                                              # at a sandbox
//	go run ./examples/login -issuer https://auth.example.com -client-id my-app -scopes "openid offline_access"
//
// The client must be registered with the redirect URI http://127.0.0.1/callback; servers ignore the port. With
// -secret-file, it is a confidential client, otherwise a public one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
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
	flags := flag.NewFlagSet("login", flag.ContinueOnError)
	flags.SetOutput(out)
	issuer := flags.String("issuer", "", "`URL` of the server; a sandbox if empty")
	clientID := flags.String("client-id", "", "`id` of the client")
	secretFile := flags.String("secret-file", "", "`path` of the client's secret; a public client if empty")
	scopes := flags.String("scopes", "", "`scopes` to ask for, separated by spaces")
	listen := flags.String("listen", "127.0.0.1:0", "loopback `address` for the redirect; port 0 is any free one")
	timeout := flags.Duration("timeout", 5*time.Minute, "how long to wait for the user")
	if err := flags.Parse(args); err != nil {
		return err
	}
	visit := func(context.Context, string) error { return nil } // the user visits the page
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *issuer == "" && *clientID+*secretFile != "":
		return errors.New("-client-id and -secret-file need -issuer")
	case *issuer != "" && *clientID == "":
		return errors.New("-issuer needs -client-id")
	case *issuer == "":
		server, err := sandbox.Listen(sandbox.NewSailPoint(nil))
		if err != nil {
			return err
		}
		defer func() { _ = server.Close() }()
		fmt.Fprintln(out, "No -issuer is given, so this is a sandbox, which asks nobody for a password.")
		*issuer, *clientID, visit = server.URL, sandbox.PublicClientID, visitPage
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()

	var creds tokens.CredentialsProvider = tokens.Credentials{ClientID: *clientID}
	if *secretFile != "" {
		creds = tokens.CredentialsFile(*clientID, *secretFile)
	}
	endpoint, err := tokens.Discover(ctx, *issuer, creds, nil)
	if err != nil {
		return err
	}
	token, err := logIn(ctx, endpoint, *listen, strings.Fields(*scopes), visit, out)
	if err != nil {
		return err
	}

	// From here on, the Cache renews the login. A program that runs more than once should also set its Store.
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Session: "me", Initial: token})
	if err != nil {
		return err
	}
	token, err = cache.Token(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "Logged in. Scopes:", strings.Join(token.Scopes, " "))
	fmt.Fprintln(out, "The access token ends at", token.Expiry.Format(time.RFC3339))
	fmt.Fprintln(out, "It can be renewed:", token.RefreshToken != "")
	return cache.Close(ctx)
}

// logIn prints the page where the user logs in, and returns the token.
func logIn(
	ctx context.Context, endpoint *tokens.Endpoint, listen string, scopes []string, visit func(context.Context, string) error, out io.Writer,
) (*tokens.Token, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, err
	}
	login := &tokens.Login{RedirectURI: "http://" + listener.Addr().String() + "/callback", Scopes: scopes}
	results := make(chan result, 1)
	server := &http.Server{Handler: callback(login, results), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	defer func() { // after the last page has been sent
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	}()

	page, err := endpoint.AuthorizationURL(ctx, login)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(out, "Open this page to log in:", page)
	if err := visit(ctx, page); err != nil {
		return nil, err
	}
	select {
	case r := <-results:
		if r.err != nil {
			return nil, r.err
		}
		return endpoint.Exchange(ctx, r.grant)
	case <-ctx.Done():
		return nil, fmt.Errorf("nobody logged in: %w", ctx.Err())
	}
}

type result struct {
	grant tokens.Grant
	err   error
}

// callback serves the redirect URI. It sends one result, for the first request that belongs to this login. Other
// requests, which any program on this machine can send, are refused and change nothing.
func callback(login *tokens.Login, results chan<- result) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		query, err := url.ParseQuery(r.URL.RawQuery)
		var grant tokens.Grant
		if err == nil {
			grant, err = login.Grant(query)
		}
		if err != nil && (query.Get("state") != login.State || query.Get("error") == "") {
			http.Error(w, "This is not the login that was begun.", http.StatusBadRequest)
			return
		}
		select {
		case results <- result{grant, err}:
		default: // the second callback
		}
		fmt.Fprintln(w, "You can close this window.")
	})
	return mux
}

// visitPage does what the user's browser does if the page needs no input.
func visitPage(ctx context.Context, page string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("the page says: %s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	return nil
}
