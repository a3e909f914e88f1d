package tokens

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// A Login is one user's login by an authorization code (RFC 6749, section 4.1, with RFC 7636). It begins with
// [Endpoint.AuthorizationURL], which returns where to send the user, and ends with Login.Grant, which reads the
// callback to RedirectURI. In between, a web application stores the Login as JSON, where only that user's browser can
// reach it, such as in its session. A Login prints redacted under fmt, slog and YAML.
type Login struct {
	// RedirectURI is where the server sends the user back to, exactly as registered. It must be https, loopback, or a
	// private-use scheme of the application (RFC 8252).
	RedirectURI string `json:"redirect_uri"`
	// Scopes are the requested scopes.
	Scopes []string `json:"scopes,omitempty"`
	// Params are additional parameters of the authorization request, such as prompt.
	Params url.Values `json:"params,omitempty"`
	// State binds the callback to this login, and CodeVerifier the exchange. If empty, AuthorizationURL sets them to
	// random values.
	State        string `json:"state"`
	CodeVerifier string `json:"code_verifier"`
	// Issuer is the server's issuer, if the Endpoint knows it. IssuerRequired means that each callback must name it (RFC
	// 9207). AuthorizationURL sets both.
	Issuer         string `json:"issuer,omitempty"`
	IssuerRequired bool   `json:"issuer_required,omitempty"`
}

// Format prints the login without its secrets, whatever the verb.
func (l Login) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{RedirectURI:%s Scopes:%v Params:%v State:%s CodeVerifier:%s Issuer:%s IssuerRequired:%t}", l.RedirectURI,
		l.Scopes, slices.Sorted(maps.Keys(l.Params)), redact(l.State), redact(l.CodeVerifier), l.Issuer, l.IssuerRequired)
}

// LogValue returns the login without its secrets.
func (l Login) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("redirect_uri", l.RedirectURI), slog.Any("scopes", l.Scopes),
		slog.String("state", redact(l.State)), slog.String("code_verifier", redact(l.CodeVerifier)), slog.String("issuer", l.Issuer),
	)
}

// MarshalYAML returns what Format prints.
func (l Login) MarshalYAML() (any, error) { return fmt.Sprint(l), nil }

// GenerateVerifier returns a random code verifier (RFC 7636, section 4.1). [Endpoint.AuthorizationURL] calls it for a
// Login that has none.
func GenerateVerifier() string {
	data := make([]byte, 32)
	_, _ = rand.Read(data) // never fails
	return base64.RawURLEncoding.EncodeToString(data)
}

// isVerifier reports whether s is a code verifier (RFC 7636, section 4.1).
func isVerifier(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	return len(s) >= 43 && len(s) <= 128 && strings.Trim(s, letters) == ""
}

// authorizationFields are the parameters of an authorization request that AuthorizationURL sets itself.
var authorizationFields = []string{
	"response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method", "client_secret",
}

// AuthorizationURL returns the URL to send a user to for a login, with an S256 code challenge (RFC 7636). It sets l's
// State and CodeVerifier if they are empty, and its Issuer. If the vendor has no login by authorization code (Moov,
// ThousandEyes), the error is errors.ErrUnsupported.
func (e *Endpoint) AuthorizationURL(ctx context.Context, l *Login) (string, error) {
	if err := e.ready(ctx); err != nil {
		return "", err
	}
	if err := e.checkLogin(l); err != nil {
		return "", fmt.Errorf("tokens: %s: %w", e.vendor.name, err)
	}
	creds, err := e.credentials(ctx)
	if err != nil {
		return "", err
	}
	if l.State == "" {
		l.State = rand.Text()
	}
	if l.CodeVerifier == "" {
		l.CodeVerifier = GenerateVerifier()
	}
	l.Issuer, l.IssuerRequired = e.issuer, e.issuerRequired

	challenge := sha256.Sum256([]byte(l.CodeVerifier))
	query := url.Values{
		"response_type":         {"code"},
		"client_id":             {creds.ClientID},
		"redirect_uri":          {l.RedirectURI},
		"state":                 {l.State},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
	}
	if len(l.Scopes) > 0 {
		query.Set("scope", strings.Join(l.Scopes, " "))
	}
	for name, values := range l.Params {
		if values = slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" }); len(values) > 0 {
			query[name] = values
		}
	}
	u := *e.authorizationURL
	if u.RawQuery != "" {
		u.RawQuery += "&" // an existing query must be kept (RFC 6749, section 3.1)
	}
	u.RawQuery += query.Encode()
	return u.String(), nil
}

// checkLogin returns an error if l cannot be used for a login.
func (e *Endpoint) checkLogin(l *Login) error {
	switch {
	case !e.vendor.logins:
		return fmt.Errorf("no login by authorization code: %w", errors.ErrUnsupported)
	case e.authorizationURL == nil:
		return fmt.Errorf("AuthorizationURL is not set in the options: %w", errors.ErrUnsupported)
	case l == nil:
		return errors.New("the Login is nil; pass one with a RedirectURI")
	case l.CodeVerifier != "" && !isVerifier(l.CodeVerifier):
		return errors.New("Login.CodeVerifier is not a valid code verifier; leave it empty, or use GenerateVerifier (RFC 7636, section 4.1)")
	}
	if err := checkRedirectURI(l.RedirectURI); err != nil {
		return err
	}
	for _, scope := range l.Scopes {
		if !isScope(scope) {
			return fmt.Errorf("Login.Scopes: %q is not a valid scope (RFC 6749, section 3.3)", scope)
		}
	}
	return cmp.Or(checkText("Login.State", l.State), checkParams("Login.Params", l.Params, authorizationFields))
}

func checkRedirectURI(redirectURI string) error {
	u, err := url.Parse(redirectURI)
	switch {
	case redirectURI == "":
		return errors.New("Login.RedirectURI is empty; set the one that is registered with the client")
	case err != nil || u.Scheme == "" || checkText("", redirectURI) != nil:
		return errors.New("Login.RedirectURI is not an absolute URI")
	case strings.Contains(redirectURI, "#"):
		return errors.New("Login.RedirectURI has a fragment, which it must not have (RFC 6749, section 3.1.2)")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("Login.RedirectURI is neither https nor loopback; the code would be sent in the clear")
	}
	return nil
}

// Grant returns the grant for [Endpoint.Exchange], given the query parameters of the callback to RedirectURI. It fails
// if the callback belongs to another login or another server. It also fails if the server refused the login; the error
// then matches the server's [Code], such as [AccessDenied].
func (l *Login) Grant(callback url.Values) (Grant, error) {
	grant, err := l.grant(callback)
	if err != nil {
		return Grant{}, fmt.Errorf("tokens: login: %w", err)
	}
	return grant, nil
}

func (l *Login) grant(callback url.Values) (Grant, error) {
	switch {
	case l == nil || l.State == "":
		return Grant{}, errors.New("Login.State is empty; pass the Login that AuthorizationURL was called with")
	case !isVerifier(l.CodeVerifier):
		return Grant{}, errors.New("Login.CodeVerifier is missing, but the authorization request had a code challenge; " +
			"pass the Login that AuthorizationURL was called with")
	}
	for _, name := range []string{"state", "iss", "error", "code"} {
		if len(callback[name]) > 1 {
			return Grant{}, fmt.Errorf("the callback has %s twice", name)
		}
	}
	if subtle.ConstantTimeCompare([]byte(callback.Get("state")), []byte(l.State)) == 0 {
		return Grant{}, errors.New("the callback is of another login: its state differs")
	}
	switch issuer := callback.Get("iss"); {
	case issuer == "" && l.IssuerRequired:
		return Grant{}, fmt.Errorf("the callback does not name its issuer, which %s always does (RFC 9207)", l.Issuer)
	case issuer != "" && l.Issuer != "" && issuer != l.Issuer:
		return Grant{}, fmt.Errorf("the callback is of the issuer %q and not of %q (RFC 9207)", clean(issuer), l.Issuer)
	}
	if code := clean(callback.Get("error")); code != "" {
		err := fmt.Errorf("the server refused it: %w", Code(code))
		if description := clean(callback.Get("error_description")); description != "" {
			err = fmt.Errorf("%w: %s", err, description)
		}
		return Grant{}, err
	}
	code := &AuthorizationCode{Code: callback.Get("code"), RedirectURI: l.RedirectURI, CodeVerifier: l.CodeVerifier}
	if code.Code == "" {
		return Grant{}, errors.New("the callback has neither a code nor an error")
	}
	return Grant{Code: code, Scopes: slices.Clone(l.Scopes)}, nil
}
