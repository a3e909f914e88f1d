package oauth2adapt_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/oauth2adapt"
	"golang.org/x/oauth2/clientcredentials"
)

// Pass the tokens of a Cache to a library that needs an oauth2.TokenSource.
func ExampleTokenSource() {
	vendor := &http.Client{Transport: sandbox.Transport(sandbox.NewThousandEyes(nil))}
	endpoint, err := tokens.NewThousandEyes(
		tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
		&tokens.ThousandEyesOptions{HTTPClient: vendor})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, nil)
	if err != nil {
		log.Fatal(err)
	}
	token, err := oauth2adapt.TokenSource(context.Background(), cache).Token()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Type(), token.Valid())
	// Output: Bearer true
}

// Use a configuration of x/oauth2 with a client of package tokens.
func ExampleSource() {
	server, err := sandbox.Listen(sandbox.NewMoov(nil))
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	config := clientcredentials.Config{
		ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret,
		TokenURL: server.URL + "/oauth2/token", Scopes: []string{"/ping.read"},
	}
	src := oauth2adapt.Source(config.TokenSource(context.Background()))
	transport, err := tokens.NewTransport(src, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: transport}
	resp, err := client.Get(server.URL + "/ping")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}
