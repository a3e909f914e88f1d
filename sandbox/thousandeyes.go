package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/gen/thousandeyes"
	"github.com/grantwright/oauth-go/gen/wire"
)

// ThousandEyesOptions are the settings of [NewThousandEyes]. The zero value has the defaults.
type ThousandEyesOptions struct {
	Clients    []Client      // if nil, ClientID with ClientSecret, which may request any scope
	UserTokens []string      // tokens of users on whose behalf clients may act; if nil, UserToken
	TokenLife  time.Duration // if not positive, one hour
	RateLimit  Limit         // of the organization; the documented limit is 240 requests per minute
	RawBasic   bool          // HTTP Basic credentials are not form-decoded
	Strict     bool          // refuses what RFC 6749 tells servers to ignore
	NoRequests bool          // requests are counted but not kept, for benchmarks
}

// ThousandEyes serves ThousandEyes' token endpoint:
//
//	POST /v7/oauth2/token    createAccessToken
//
// There is also an example of an API that requires a token, which is not part of the SDK:
//
//	GET /v7/tests    listTests    200, or 401 without a live access token
type ThousandEyes struct {
	server
	clients    registered
	userTokens []string
	tokenLife  time.Duration
	rawBasic   bool
}

// NewThousandEyes returns a ThousandEyes that has issued no tokens. If opts is nil, the defaults are used.
func NewThousandEyes(opts *ThousandEyesOptions) *ThousandEyes {
	if opts == nil {
		opts = &ThousandEyesOptions{}
	}
	t := &ThousandEyes{
		clients:    newRegistered(opts.Clients, Client{ID: ClientID, Secret: ClientSecret}),
		userTokens: opts.UserTokens,
		tokenLife:  opts.TokenLife,
		rawBasic:   opts.RawBasic,
	}
	if t.userTokens == nil {
		t.userTokens = []string{UserToken}
	}
	if t.tokenLife <= 0 {
		t.tokenLife = time.Hour
	}
	t.strict, t.record.off = opts.Strict, opts.NoRequests
	t.init(vendorTraits{
		name:    "ThousandEyes",
		failure: thousandEyesProblem,
		unauthorized: func(_ *call, text string) response {
			return thousandEyesUnauthorized("invalid_token", "the access token is "+text)
		},
		tooManyRequests: func(c *call) response {
			return thousandEyesProblem(c, http.StatusTooManyRequests, "the organization's limit is reached")
		},
		limitKey: func(string) string { return "" }, // all clients belong to one organization
		limitHeaders: func(h http.Header, limit, left int, reset time.Time) {
			h.Set("X-Organization-Rate-Limit-Limit", strconv.Itoa(limit))
			h.Set("X-Organization-Rate-Limit-Remaining", strconv.Itoa(left))
			h.Set("X-Organization-Rate-Limit-Reset", strconv.FormatInt(reset.Add(time.Second-1).Unix(), 10))
		},
		terms: t.terms,
	}, opts.RateLimit, Limit{Requests: 240, Per: time.Minute})
	t.paths = map[string]map[string]operation{
		"/v7/oauth2/token": {http.MethodPost: {"createAccessToken", t.createAccessToken}},
		"/v7/tests":        {http.MethodGet: {"listTests", t.listTests}},
	}
	return t
}

func (t *ThousandEyes) terms(clientID string) (terms, bool) {
	client, ok := t.clients[clientID]
	scopes := client.Scopes
	if scopes == nil {
		scopes = []string{"read"}
	}
	return terms{client: client, scopes: scopes, life: t.tokenLife}, ok
}

var thousandEyesFields = []string{"client_id", "client_secret", "grant_type", "scope", "thousandeyes_bearer_token"}

func (t *ThousandEyes) createAccessToken(c *call) response {
	if limited := t.limited(c, ""); limited != nil {
		return *limited
	}
	f, bad := readForm(c, []string{mediaForm}, thousandEyesFields...)
	if bad != nil {
		if bad.media {
			return thousandEyesProblem(c, http.StatusUnsupportedMediaType, bad.text)
		}
		return thousandEyesInvalid(c, bad.field, bad.text)
	}
	client, refused := t.clients.authenticate(c, f, t.rawBasic)
	switch {
	case refused != nil && refused.code == invalidRequest:
		return thousandEyesInvalid(c, "client_id", refused.text)
	case refused != nil:
		return thousandEyesUnauthorized(refused.code, refused.text).with("WWW-Authenticate", basicChallenge)
	case f["grant_type"] != "client_credentials":
		return thousandEyesInvalid(c, "grant_type", "must be client_credentials")
	}

	terms, _ := t.terms(client.ID)
	scopes := terms.scopes
	if f["scope"] != "" {
		var ok bool
		if scopes, ok = scopeList(f["scope"]); !ok || !subset(scopes, client.Scopes) {
			return thousandEyesInvalid(c, "scope", "is malformed or has a scope that the client may not ask for")
		}
	}
	user := f["thousandeyes_bearer_token"]
	if user != "" && !slices.Contains(t.userTokens, user) {
		return thousandEyesInvalid(c, "thousandeyes_bearer_token", "is not the token of a user")
	}

	issued := t.issue(c.now, Token{ClientID: client.ID, User: user, Scopes: scopes, Expires: c.now.Add(t.tokenLife)},
		terms, scopes, &family{}, false)
	return tokenResponse(thousandeyes.AccessToken{
		TokenType:   new("Bearer"),
		ExpiresIn:   new(seconds(t.tokenLife)),
		AccessToken: new(wire.NewSecret(issued.AccessToken)),
		Scope:       new(strings.Join(scopes, " ")),
	})
}

func (t *ThousandEyes) listTests(c *call) response {
	if refused := t.authorize(c, nil); refused != nil {
		return *refused
	}
	return jsonResponse(http.StatusOK, map[string][]string{"tests": {}})
}

func thousandEyesUnauthorized(code, text string) response {
	return jsonResponse(http.StatusUnauthorized, thousandeyes.UnauthorizedError{Error: new(code), ErrorDescription: new(text)})
}

// thousandEyesInvalid returns a response with status 400. The vendor documents that the field at fault is a number, but
// not which; here it is the position of the field in the vendor's list, from 1.
func thousandEyesInvalid(c *call, field, text string) response {
	item := thousandeyes.ValidationErrorItem{Code: new("INVALID"), Message: new(text)}
	detail := text
	if i := slices.Index(thousandEyesFields, field); i >= 0 {
		var number any = i + 1
		item.Field = &number
		detail = field + " " + text
	}
	return encodedResponse(http.StatusBadRequest, "application/problem+json", thousandeyes.ValidationError{
		Type:     new("about:blank"),
		Title:    new(http.StatusText(http.StatusBadRequest)),
		Status:   new(http.StatusBadRequest),
		Detail:   new(detail),
		Instance: new(c.URL.EscapedPath()),
		Errors:   []thousandeyes.ValidationErrorItem{item},
	})
}

func thousandEyesProblem(c *call, status int, text string) response {
	return encodedResponse(status, "application/problem+json", thousandeyes.Error{
		Type:     new("about:blank"),
		Title:    new(http.StatusText(status)),
		Status:   new(status),
		Detail:   new(text),
		Instance: new(c.URL.EscapedPath()),
	})
}

// seconds returns a lifetime in the form of expires_in.
func seconds(life time.Duration) json.Number {
	return json.Number(strconv.FormatInt(int64(life/time.Second), 10))
}
