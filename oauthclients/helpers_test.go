package oauthclients_test

import (
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

const (
	origin   = "https://tenant.api.identitynow.com"
	clientID = "ef38f94347e94562b5bb8424a56397d8"
)

// sent is a request as received by the vendor.
type sent struct {
	Method, URI, ContentType, Accept, Authorization, Body string
}

// vendor responds to requests in memory and records them.
type vendor struct {
	handler http.HandlerFunc

	mu       sync.Mutex
	requests []sent
}

func (v *vendor) RoundTrip(req *http.Request) (*http.Response, error) {
	return sandbox.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		v.requests = append(v.requests, sent{
			r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), r.Header.Get("Accept"), r.Header.Get("Authorization"), string(body),
		})
		v.mu.Unlock()
		v.handler(w, r)
	})).RoundTrip(req)
}

func (v *vendor) sent() []sent {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.requests
}

// newClients returns clients of a vendor that responds with handler.
func newClients(t testing.TB, opts *oauthclients.SailPointOptions, handler http.HandlerFunc) (*oauthclients.SailPoint, *vendor) {
	t.Helper()
	v := &vendor{handler: handler}
	var o oauthclients.SailPointOptions
	if opts != nil {
		o = *opts
	}
	o.BaseURL, o.HTTPClient = origin, &http.Client{Transport: v}
	clients, err := oauthclients.NewSailPoint(tokens.Static("access-token"), &o)
	require.NoError(t, err)
	return clients, v
}

// respond returns a handler that responds with a JSON body.
func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// sample is the client in the vendor's documentation.
const sample = `{"id":"2c9180835d2e5168015d32f890ca1581","businessName":"Acme-Solar","homepageUrl":"http://localhost:12345",` +
	`"name":"Demo API Client","description":"An API client","accessTokenValiditySeconds":750,"refreshTokenValiditySeconds":86400,` +
	`"redirectUris":["http://localhost:12345"],"grantTypes":["AUTHORIZATION_CODE","CLIENT_CREDENTIALS","REFRESH_TOKEN"],` +
	`"accessType":"OFFLINE","type":"CONFIDENTIAL","internal":false,"enabled":true,"strongAuthSupported":false,` +
	`"claimsSupported":false,"created":"2017-07-11T18:45:37.098Z","modified":"2018-06-25T20:22:28.104Z","secret":null,` +
	`"metadata":null,"lastUsed":"2017-07-11T18:45:37.098Z","scope":["demo:api-client-scope:first","demo:api-client-scope:second"]}`
