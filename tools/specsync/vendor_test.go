package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// acme is a description of a vendor that only the tests have. Rows of tests change it by replacing one text.
const acme = `openapi: 3.0.1
info: {title: Acme, version: 2.1.0}
x-upstream: {source: https://example.com, commit: '1', path: openapi.yaml, date: 2026-01-01}
servers:
  - url: https://{tenant}.example.com
    variables:
      tenant: {default: acme}
security:
  - basic: []
paths:
  /oauth/token:
    post:
      operationId: createAccessToken
      parameters:
        - name: X-Version
          in: header
          schema: {type: string, default: v1}
      requestBody:
        required: true
        content:
          application/x-www-form-urlencoded:
            schema:
              $ref: '#/components/schemas/AccessTokenRequest'
      responses:
        '200':
          description: The token.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/AccessToken'
        '400':
          description: Refused.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/OAuthError'
        '500':
          description: The vendor failed.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/OAuthError'
  /things:
    get:
      operationId: listThings
      responses:
        '200':
          description: The things.
          content:
            application/json:
              schema:
                type: array
                items:
                  $ref: '#/components/schemas/Thing'
        '401':
          description: No token.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/OAuthError'
components:
  securitySchemes:
    basic: {type: http, scheme: basic}
  schemas:
    AccessTokenRequest:
      type: object
      required:
        - grant_type
      properties:
        grant_type:
          type: string
          enum:
            - client_credentials
            - refresh_token
        client_id:
          type: string
        client_secret:
          type: string
        scopes:
          type: string
          description: Ours.
    AccessToken:
      type: object
      required:
        - access_token
      properties:
        access_token:
          type: string
          maxLength: 100
        expires_in:
          type: integer
          description: Life in seconds.
          x-go-type: json.Number
          x-deviation:
            x-go-type: Servers also send strings.
        token_type:
          $ref: '#/components/schemas/TokenType'
    TokenType:
      type: string
      description: In lower case.
      enum:
        - bearer
        - mac
    Thing:
      type: object
      properties:
        id:
          type: string
        count:
          type: string
        value:
          anyOf:
            - type: string
            - type: integer
        self:
          $ref: '#/components/schemas/Thing'
    OAuthError:
      type: object
      properties:
        error:
          type: string
`

// acmeTokens is all that package tokens needs for the vendor.
const acmeTokens = `package tokens

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/grantwright/oauth-go/gen/acme"
)

// AcmeOptions are the settings of [NewAcme].
type AcmeOptions struct {
	// BaseURL is what /oauth/token is appended to. If empty, it is https://acme.example.com.
	BaseURL string
	// HTTPClient is used as in DoerOptions. If nil, it is one with http.DefaultTransport.
	HTTPClient *http.Client
	// AuthStyle is how the client authenticates. If zero, it is AuthStyleBody.
	AuthStyle AuthStyle
	// Header is added to each request.
	Header http.Header
	// Retry is used for calls whose context has none from WithRetry.
	Retry Retry
}

// NewAcme returns the [Endpoint] of Acme, POST /oauth/token. It has client_credentials only. If opts is nil, the defaults
// are used.
func NewAcme(creds CredentialsProvider, opts *AcmeOptions) (*Endpoint, error) {
	var o AcmeOptions
	if opts != nil {
		o = *opts
	}
	v := vendor{name: "Acme", style: AuthStyleBody}
	e, doer, err := newVendorEndpoint(v, "/oauth/token", creds, endpointConfig{
		baseURL: cmp.Or(o.BaseURL, "https://acme.example.com"), httpClient: o.HTTPClient, style: o.AuthStyle, header: o.Header, retry: o.Retry,
	})
	if err != nil {
		return nil, err
	}
	client, err := acme.NewClient(e.baseURL, acme.WithHTTPClient(doer))
	if err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", v.name, err)
	}
	e.exchange = func(ctx context.Context, f tokenForm, edit requestEditor) (*http.Response, error) {
		return client.CreateAccessTokenWithFormdataBody(ctx, nil, acme.AccessTokenRequest{
			GrantType:    acme.AccessTokenRequestGrantType(f.grantType),
			Scopes:       optional(f.scope),
			ClientID:     optional(f.clientID),
			ClientSecret: optional(f.clientSecret),
		}, edit)
	}
	return e, nil
}
`

// acmeSandbox is the vendor in tests.
const acmeSandbox = `package sandbox

import (
	"net/http"
	"time"

	"github.com/grantwright/oauth-go/gen/acme"
)

// AcmeOptions are the settings of [NewAcme]. The zero value has the defaults.
type AcmeOptions struct {
	Clients   []Client      // if nil, ClientID with ClientSecret
	TokenLife time.Duration // if not positive, one hour
	RateLimit Limit         // of one client id; documented are 100 requests a second
	Strict    bool          // what RFC 6749 would have ignored is refused
}

// Acme is Acme's token endpoint and its things.
type Acme struct {
	server
	clients   registered
	tokenLife time.Duration
}

// NewAcme returns a server without tokens. If opts is nil, it has the defaults.
func NewAcme(opts *AcmeOptions) *Acme {
	if opts == nil {
		opts = &AcmeOptions{}
	}
	a := &Acme{clients: newRegistered(opts.Clients, Client{ID: ClientID, Secret: ClientSecret}), tokenLife: opts.TokenLife}
	if a.tokenLife <= 0 {
		a.tokenLife = time.Hour
	}
	a.strict = opts.Strict
	a.init(vendorTraits{name: "Acme", failure: acmeFailure, terms: a.terms}, opts.RateLimit, Limit{Requests: 100, Per: time.Second})
	a.paths = map[string]map[string]operation{
		"/oauth/token": {http.MethodPost: {"createAccessToken", a.createAccessToken}},
		"/things":      {http.MethodGet: {"listThings", a.listThings}},
	}
	return a
}

func (a *Acme) terms(clientID string) (terms, bool) {
	client, ok := a.clients[clientID]
	return terms{client: client, life: a.tokenLife}, ok
}

func (a *Acme) createAccessToken(c *call) response {
	f, bad := readForm(c, []string{mediaForm}, "client_id", "client_secret", "grant_type", "scopes")
	if bad != nil {
		return acmeFailure(c, http.StatusBadRequest, bad.text)
	}
	client, refused := a.clients.authenticate(c, f, false)
	if refused != nil {
		return acmeFailure(c, http.StatusBadRequest, refused.code)
	}
	terms, _ := a.terms(client.ID)
	t := a.issue(c.now, Token{ClientID: client.ID, Expires: c.now.Add(a.tokenLife)}, terms, nil, &family{}, false)
	return tokenResponse(acme.AccessToken{AccessToken: t.AccessToken, TokenType: new(acme.TokenTypeBearer), ExpiresIn: new(seconds(a.tokenLife))})
}

func (a *Acme) listThings(c *call) response {
	if refused := a.authorize(c, nil); refused != nil {
		return *refused
	}
	return jsonResponse(http.StatusOK, []acme.Thing{})
}

func acmeFailure(_ *call, status int, text string) response {
	return jsonResponse(status, acme.OAuthError{Error: new(text)})
}
`

// acmeRow is the vendor in the table that the tests of all vendors go through.
const acmeRow = `	{
		name:      "acme",
		style:     tokens.AuthStyleBody,
		tokenPath: "/oauth/token",
		probe:     "listThings",
		probePath: "/things",
		endpoint: func(creds tokens.CredentialsProvider, o endpointOptions) (*tokens.Endpoint, error) {
			return tokens.NewAcme(creds, &tokens.AcmeOptions{BaseURL: o.baseURL, HTTPClient: o.client, AuthStyle: o.style, Retry: o.retry})
		},
		sandbox: func(o sandboxOptions) vendorServer {
			return sandbox.NewAcme(&sandbox.AcmeOptions{Strict: true, Clients: o.clients, TokenLife: o.life, RateLimit: sandbox.Limit{Requests: -1}})
		},
	},
`

const acmeConfig = `  acme:
    from: https://example.com/openapi.yaml
    paths:
      - match: ^(?:/token/v2|/beta/oauth/token)$
        as: /oauth/token
    servers:
      - match: ^(https://\{tenant\}\.example\.com)(?:/beta)?$
        as: $1
`

const acmeGenerate = "//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config ../oapi-codegen.yaml -package acme -o acme/acme.gen.go ../api/acme.yaml\n"

// withAcme adds the fourth vendor to a copy of the module, by the steps of api/README.md.
func withAcme(t *testing.T) (root string) {
	t.Helper()
	root = copyModule(t)
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	insert := func(name, behind, text string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		require.NoError(t, err)
		write(name, replaceOnce(t, string(data), behind, behind+text))
	}
	write("api/acme.yaml", acme)
	insert("gen/generate.go", "package gen\n", "\n"+acmeGenerate)
	write("gen/acme/acme.gen.go", "") // its folder is there before the generator runs
	write("tokens/acme.go", acmeTokens)
	write("sandbox/acme.go", acmeSandbox)
	insert("tests/vendors_test.go", "var vendors = []vendor{\n", acmeRow)
	insert("tests/openapi_test.go", "var vendorNames = []string{", `"acme", `)
	insert("tests/specs_test.go", "var specs = []struct{ file, slice string }{\n", "\t{\"../api/acme.yaml\", \"\"},\n")
	insert("tools/specsync/specsync.yaml", "vendors:\n", acmeConfig)
	message, err := run(t.Context(), root, "go", "generate", "./gen")
	require.NoError(t, err, message)
	return root
}

// replaceOnce replaces one text in another that has it.
func replaceOnce(t *testing.T, in, old, with string) string {
	t.Helper()
	require.Contains(t, in, old)
	return strings.Replace(in, old, with, 1)
}

// TestFourthVendor adds a vendor as api/README.md says, and counts what that takes.
func TestFourthVendor(t *testing.T) {
	root := withAcme(t)
	// Its security schemes do not say how the SDK authenticates.
	described := replaceOnce(t, acme, "  - basic: []\n", "  - basic: []\n  - {}\n")
	require.NoError(t, os.WriteFile(filepath.Join(root, "api", "acme.yaml"), []byte(described), 0o600))
	message, err := run(t.Context(), root, "go", "test", "-trimpath", "-v", "-run=TestVendors|TestSpecs|TestEverySpec", "./tests")
	require.NoError(t, err, message)
	assert.Contains(t, message, "--- PASS: TestVendorsAreAsTheTableSays/acme")
	assert.Contains(t, message, "--- PASS: TestSpecsAreValid/acme.yaml")

	s := open(t, root, "acme", filepath.Join(root, "api", "acme.yaml"))
	r, err := s.compare(t.Context(), "itself")
	require.NoError(t, err)
	assert.Empty(t, r.Changes)
	assert.Empty(t, r.Unused)

	inPackages := strings.Count(acmeTokens+acmeGenerate+acmeConfig, "\n")
	assert.LessOrEqual(t, inPackages, 65, "lines beside the description itself")
	assert.LessOrEqual(t, inPackages+strings.Count(acmeSandbox+acmeRow, "\n")+2, 150, "lines with the tests'")
}
