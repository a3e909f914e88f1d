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

// ThousandEyesOptions are the settings of [NewThousandEyes]. The zero value is its default.
type ThousandEyesOptions struct {
	Clients    []Client      // nil: [ClientID] with [ClientSecret], which may ask for any scope
	UserTokens []string      // tokens of users that clients may act on behalf of; nil: [UserToken]
	TokenLife  time.Duration // not positive: one hour
	RateLimit  Limit         // of the organization; documented are 240 requests a minute
	RawBasic   bool          // read HTTP Basic as it is, without form-decoding both parts
	NoRequests bool          // only count requests, for benchmarks
}

// ThousandEyes is ThousandEyes' token endpoint:
//
//	POST /v7/oauth2/token    createAccessToken
//
// Outside the SDK's operations, and only to show whether a token is accepted, it also serves
//
//	GET /v7/account-groups    getAccountGroups    200, or 401 without a live access token
type ThousandEyes struct {
	server
	clients    registered
	userTokens []string
	tokenLife  time.Duration
	rawBasic   bool
	tokens     ledger
}

// NewThousandEyes returns a server without tokens. Nil options are the default ones.
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
	t.vendor = "ThousandEyes"
	t.limit = newLimiter(opts.RateLimit, Limit{Requests: 240, Per: time.Minute})
	t.record.off = opts.NoRequests
	t.match = func(_ *call, path string) string { return path }
	t.refuse = thousandEyesProblem
	t.paths = map[string]map[string]operation{
		"/v7/oauth2/token":   {http.MethodPost: {"createAccessToken", t.limited(t.createAccessToken)}},
		"/v7/account-groups": {http.MethodGet: {"getAccountGroups", t.limited(t.getAccountGroups)}},
	}
	return t
}

// limited counts every request against the one organization of the sandbox.
func (t *ThousandEyes) limited(act func(*call) answer) func(*call) answer {
	return func(c *call) answer {
		ok, left, reset := t.limit.take("", c.now)
		var a answer
		if ok {
			a = act(c)
		} else {
			a = thousandEyesProblem(c, http.StatusTooManyRequests, "the organization's limit is reached")
			if t.limit.RetryAfter != nil {
				a = a.withRetryAfter(t.limit.retryAfter(reset, c.now))
			}
		}
		if t.limit.Requests < 0 {
			return a
		}
		return a.with("X-Organization-Rate-Limit-Limit", strconv.Itoa(t.limit.Requests)).
			with("X-Organization-Rate-Limit-Remaining", strconv.Itoa(left)).
			with("X-Organization-Rate-Limit-Reset", strconv.FormatInt(reset.Add(time.Second-1).Unix(), 10))
	}
}

var thousandEyesFields = []string{"client_id", "client_secret", "grant_type", "scope", "thousandeyes_bearer_token"}

func (t *ThousandEyes) createAccessToken(c *call) answer {
	f, bad := readForm(c, []string{mediaForm}, thousandEyesFields...)
	if bad != nil {
		if bad.media {
			return thousandEyesProblem(c, http.StatusUnsupportedMediaType, bad.text)
		}
		return thousandEyesInvalid(c, bad.field, bad.text)
	}
	client, refused := t.clients.authenticate(c.Request, f, t.rawBasic)
	switch {
	case refused != nil && refused.code == invalidRequest:
		return thousandEyesInvalid(c, "client_id", refused.text)
	case refused != nil:
		return thousandEyesUnauthorized(refused.code, refused.text)
	case f["grant_type"] != "client_credentials":
		return thousandEyesInvalid(c, "grant_type", "must be client_credentials")
	}

	scopes := client.Scopes
	if scopes == nil {
		scopes = []string{"read"}
	}
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

	value := t.tokens.issue(token{
		client:  client.ID,
		user:    user,
		scopes:  scopes,
		expires: c.now.Add(t.tokenLife),
		family:  &family{},
	})
	return jsonAnswer(http.StatusOK, thousandeyes.AccessToken{
		TokenType:   new("Bearer"),
		ExpiresIn:   new(seconds(t.tokenLife)),
		AccessToken: new(wire.Secret(value)),
		Scope:       new(strings.Join(scopes, " ")),
	})
}

func (t *ThousandEyes) getAccountGroups(c *call) answer {
	if t.tokens.access(bearer(c.Request), c.now) == nil {
		return thousandEyesUnauthorized("invalid_token", "the access token is missing, expired or unknown")
	}
	return jsonAnswer(http.StatusOK, map[string][]string{"accountGroups": {}})
}

func thousandEyesUnauthorized(code, text string) answer {
	return jsonAnswer(http.StatusUnauthorized, thousandeyes.UnauthorizedError{Error: new(code), ErrorDescription: new(text)})
}

// thousandEyesInvalid answers 400. The vendor documents a number as the field at fault, without saying which; here it is
// the field's place in the vendor's list of them, from 1.
func thousandEyesInvalid(c *call, field, text string) answer {
	item := thousandeyes.ValidationErrorItem{Code: new("INVALID"), Message: new(text)}
	detail := text
	if i := slices.Index(thousandEyesFields, field); i >= 0 {
		var number any = i + 1
		item.Field = &number
		detail = field + " " + text
	}
	return bodyAnswer(http.StatusBadRequest, "application/problem+json", thousandeyes.ValidationError{
		Type:     new("about:blank"),
		Title:    new(http.StatusText(http.StatusBadRequest)),
		Status:   new(http.StatusBadRequest),
		Detail:   new(detail),
		Instance: new(c.URL.EscapedPath()),
		Errors:   []thousandeyes.ValidationErrorItem{item},
	})
}

func thousandEyesProblem(c *call, status int, text string) answer {
	return bodyAnswer(status, "application/problem+json", thousandeyes.Error{
		Type:     new("about:blank"),
		Title:    new(http.StatusText(status)),
		Status:   new(status),
		Detail:   new(text),
		Instance: new(c.URL.EscapedPath()),
	})
}

// seconds is a life as expires_in says it.
func seconds(life time.Duration) json.Number {
	return json.Number(strconv.FormatInt(int64(life/time.Second), 10))
}
