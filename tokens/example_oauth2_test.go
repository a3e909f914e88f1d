package tokens_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"time"

	"github.com/grantwright/oauth-go/tokens"
)

// Use any server whose token endpoint is known. For a server that publishes its metadata, use Discover.
func ExampleNewEndpoint() {
	endpoint, err := tokens.NewEndpoint("https://auth.example.com/token",
		tokens.CredentialsFile("client-id", "/run/secrets/client-secret"),
		&tokens.EndpointOptions{BaseURL: "https://api.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Grant: tokens.Grant{Scopes: []string{"orders:read"}}})
	if err != nil {
		log.Fatal(err)
	}
	client, err := tokens.NewClient(cache, nil) // an *http.Client that sends tokens only to that API
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client != nil, cache.BaseURL())
	// Output: true https://api.example.com
}

// A user logs in at the page, and the server sends the browser to the RedirectURI.
func ExampleLogin() {
	endpoint, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.Credentials{ClientID: "my-app"},
		&tokens.EndpointOptions{AuthorizationURL: "https://auth.example.com/authorize", AuthStyle: tokens.AuthStyleNone})
	if err != nil {
		log.Fatal(err)
	}
	login := &tokens.Login{RedirectURI: "https://app.example.com/callback", Scopes: []string{"orders:read"}}
	page, err := endpoint.AuthorizationURL(context.Background(), login)
	if err != nil {
		log.Fatal(err)
	}
	_ = page // redirect the browser to it, and keep the login in the user's session

	// The callback belongs to this user's login, or Grant returns an error.
	_, err = login.Grant(url.Values{"state": {login.State}, "error": {"access_denied"}})
	fmt.Println(errors.Is(err, tokens.AccessDenied), err)

	grant, err := login.Grant(url.Values{"state": {login.State}, "code": {"the code"}})
	fmt.Println(grant, err) // for endpoint.Exchange
	// Output:
	// true tokens: login: the server refused it: access_denied
	// {Scopes:[orders:read] RefreshToken: Code:[REDACTED] Type: UserToken: Params:[]} <nil>
}

// If the client's TLS certificate authenticates it (RFC 8705), the HTTPClient has the certificate, and requests have
// only the client id.
func ExampleNewEndpoint_mutualTLS() {
	server := newMutualTLSServer()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())

	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{
		MinVersion:   tls.VersionTLS12,
		RootCAs:      roots,                               // not needed for a server that the system trusts
		Certificates: []tls.Certificate{newCertificate()}, // tls.LoadX509KeyPair reads one from files
	}
	endpoint, err := tokens.NewEndpoint(server.URL+"/token", tokens.Credentials{ClientID: "client-id"}, &tokens.EndpointOptions{
		AuthStyle:  tokens.AuthStyleNone,
		HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		log.Fatal(err)
	}
	token, err := endpoint.Exchange(context.Background(), tokens.Grant{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.TokenType)
	// Output: Bearer
}

// newMutualTLSServer returns a token endpoint that requires a certificate for client-id.
func newMutualTLSServer() *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.PeerCertificates[0].Subject.CommonName != r.PostFormValue("client_id") || r.PostFormValue("client_secret") != "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"at-1","token_type":"Bearer","expires_in":3600}`)
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = log.New(os.Stderr, "", 0)
	server.StartTLS()
	return server
}

// newCertificate returns a self-signed certificate for client-id.
func newCertificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client-id"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
