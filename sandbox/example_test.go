package sandbox_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

var creds = tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret}

// apiClient is the code under test: an http.Client with Moov's tokens.
func apiClient(sb *sandbox.Sandbox) *http.Client {
	endpoint, err := tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: sb.URL, HTTPClient: sb.HTTPClient()})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Grant: tokens.Grant{Scopes: []string{"/ping.read"}}})
	if err != nil {
		log.Fatal(err)
	}
	client, err := tokens.NewClient(cache, &tokens.DoerOptions{HTTPClient: sb.HTTPClient()})
	if err != nil {
		log.Fatal(err)
	}
	return client
}

func get(client *http.Client, url string) {
	resp, err := client.Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(strings.TrimSpace(resp.Status + " " + string(body)))
}

func Example() {
	sb := sandbox.New() // to use loopback in a test: sandbox.Start(t)
	client := apiClient(sb)
	get(client, sb.URL+"/ping")
	sb.Moov.RevokeAll()
	get(client, sb.URL+"/ping") // refused, and sent again with a new token
	for _, r := range sb.Moov.Requests() {
		fmt.Println(r.Method, r.Path, r.Status)
	}
	// Output:
	// 200 OK
	// 200 OK
	// POST /oauth2/token 200
	// GET /ping 200
	// GET /ping 401
	// POST /oauth2/token 200
	// GET /ping 200
}

// Test your own code on loopback. In a synctest bubble, use New instead of Start; an hour then passes at once.
func ExampleStart() {
	testPing := func(t *testing.T) { // in a test file: func TestPing(t *testing.T)
		sb := sandbox.Start(t)
		client := apiClient(sb) // the code under test, which gets sb.URL and sb.HTTPClient()
		sb.Moov.Fault("createAccessToken", sandbox.Fault{Status: http.StatusServiceUnavailable})
		resp, err := client.Get(sb.URL + "/ping")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got := sb.Moov.Count("createAccessToken"); got != 2 {
			t.Errorf("%d token requests, want 2: one that failed and one more", got)
		}
	}
	inGoTest("TestPing", testPing)
	// Output: TestPing: ok
}

// inGoTest runs a test function as go test does without -v.
func inGoTest(name string, test func(*testing.T)) {
	verbose := flag.Lookup("test.v").Value
	before := verbose.String()
	_ = verbose.Set("false")
	defer func() { _ = verbose.Set(before) }()
	all := func(string, string) (bool, error) { return true, nil }
	if testing.RunTests(all, []testing.InternalTest{{Name: name, F: test}}) {
		fmt.Println(name+":", "ok")
	}
}

func ExampleNewMoov() {
	moov := sandbox.NewMoov(&sandbox.MoovOptions{
		TokenLife: time.Minute,
		RateLimit: sandbox.Limit{Requests: 10, Per: time.Minute, Window: sandbox.WindowSliding},
	})
	get(apiClient(sandbox.New(moov)), "https://sandbox.example.com/ping")
	// Output: 200 OK
}

// Put your own API behind the vendor's tokens.
func ExampleMoov_protect() {
	sb := sandbox.New()
	sb.Handle("GET /accounts/{id}", sb.Moov.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "account %s", r.PathValue("id"))
	}), "/accounts.read", "/ping.read"))

	get(apiClient(sb), sb.URL+"/accounts/7")
	get(sb.HTTPClient(), sb.URL+"/accounts/7")
	// Output:
	// 200 OK account 7
	// 401 Unauthorized {"error":"invalid_token"}
}

// Serve your own handlers too.
func ExampleThousandEyes_protect() {
	vendor := sandbox.NewThousandEyes(nil)
	server := httptest.NewServer(vendor.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
	})))
	defer server.Close()

	token := vendor.Issue(sandbox.Token{}).AccessToken
	client, err := tokens.NewClient(tokens.Static(token), &tokens.DoerOptions{BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	get(client, server.URL)
	// Output: 200 OK hello
}

func ExampleMoov_faults() {
	sb := sandbox.New()
	endpoint, err := tokens.NewMoov(creds, &tokens.MoovOptions{BaseURL: sb.URL, HTTPClient: sb.HTTPClient()})
	if err != nil {
		log.Fatal(err)
	}
	grant := tokens.Grant{Scopes: []string{"/ping.read"}}

	// The first response is an error, and the second is lost. The third is good.
	sb.Moov.Fault("createAccessToken", sandbox.Fault{Status: 503}, sandbox.Fault{Drop: true, After: true})
	_, err = endpoint.Exchange(context.Background(), grant)
	fmt.Println(err, sb.Moov.Count("createAccessToken"))

	sb.Moov.Fault("createAccessToken", sandbox.Fault{Status: 400, Body: `{"error":"invalid_scope"}`})
	_, err = endpoint.Exchange(context.Background(), grant)
	fmt.Println(errors.Is(err, tokens.InvalidScope))
	// Output:
	// <nil> 3
	// true
}
