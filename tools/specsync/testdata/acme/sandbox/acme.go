package sandbox

import (
	"net/http"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/gen/acme"
)

// AcmeOptions are the settings of [NewAcme]. The zero value has the defaults.
type AcmeOptions struct {
	Clients   []Client      // if nil, ClientID with ClientSecret
	TokenLife time.Duration // if not positive, one hour
	RateLimit Limit         // of each client id; the documented limit is 100 requests per second
	Strict    bool          // refuses what RFC 6749 tells servers to ignore
}

// Acme serves Acme's token endpoint and its things.
type Acme struct {
	server
	clients   registered
	tokenLife time.Duration
}

// NewAcme returns an Acme that has issued no tokens. If opts is nil, the defaults are used.
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
	return terms{client: client, scopes: client.Scopes, life: a.tokenLife}, ok
}

func (a *Acme) createAccessToken(c *call) response {
	f, bad := readForm(c, []string{mediaForm}, "client_id", "client_secret", "grant_type", "scope")
	if bad != nil {
		return acmeFailure(c, http.StatusBadRequest, "invalid_request")
	}
	client, refused := a.clients.authenticate(c, f, false)
	if refused != nil {
		return acmeFailure(c, http.StatusBadRequest, refused.code)
	}
	terms, _ := a.terms(client.ID)
	scopes := terms.scopes
	if f["scope"] != "" {
		var ok bool
		if scopes, ok = scopeList(f["scope"]); !ok || !subset(scopes, client.Scopes) {
			return acmeFailure(c, http.StatusBadRequest, "invalid_scope")
		}
	}
	issued := a.issue(c.now, Token{ClientID: client.ID, Scopes: scopes, Expires: c.now.Add(a.tokenLife)}, terms, scopes, &family{}, false)
	return tokenResponse(acme.AccessToken{
		AccessToken: issued.AccessToken, TokenType: new(acme.TokenTypeBearer), ExpiresIn: new(seconds(a.tokenLife)),
		Scope: new(strings.Join(scopes, " ")),
	})
}

func (a *Acme) listThings(c *call) response {
	if refused := a.authorize(c, nil); refused != nil {
		return *refused
	}
	return jsonResponse(http.StatusOK, []acme.Thing{})
}

func acmeFailure(_ *call, status int, code string) response {
	return jsonResponse(status, acme.OAuthError{Error: new(code)})
}
