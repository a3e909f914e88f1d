package tokens

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// The grant types of RFC 6749. Other grant types are identified by a URI (Grant.Type).
const (
	clientCredentials = "client_credentials"
	refreshToken      = "refresh_token"
	authorizationCode = "authorization_code"
)

// Grant describes a token request. The zero value is client_credentials (RFC 6749, section 4.4) with the server's
// default scopes. At most one of RefreshToken, Code and Type may be set. A Grant prints redacted.
type Grant struct {
	// Scopes are the requested scopes; none may be empty. Moov requires at least one with client_credentials. With a Code
	// they are not sent, but are the Token's Scopes if the response has none.
	Scopes []string
	// RefreshToken, if not empty, makes this a refresh_token grant (RFC 6749, section 6). ThousandEyes does not support
	// it.
	RefreshToken string
	// Code, if not nil, makes this an authorization_code grant (RFC 6749, section 4.1.3). Moov and ThousandEyes do not
	// support it.
	Code *AuthorizationCode
	// Type, if not empty, is the URI of an extension grant (RFC 6749, section 4.5), such as
	// urn:ietf:params:oauth:grant-type:token-exchange (RFC 8693). Params has its fields. The three vendors do not support
	// any.
	Type string
	// UserToken is the token of the user on whose behalf ThousandEyes issues a token. It is sent as a form field.
	UserToken string
	// Params are additional form fields, such as resource (RFC 8707). Empty values are not sent. Fields that the SDK sets
	// itself are refused. Only resource and audience may have several values.
	Params url.Values
}

// AuthorizationCode is the result of a login (RFC 6749, section 4.1.3). [Login.Grant] returns it. It prints redacted.
type AuthorizationCode struct {
	Code         string
	RedirectURI  string // as in the authorization request; "" if it had none
	CodeVerifier string // the verifier of the code challenge (RFC 7636)
}

// Format prints the code redacted, whatever the verb.
func (c AuthorizationCode) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Code:%s RedirectURI:%s CodeVerifier:%s}", redact(c.Code), c.RedirectURI, redact(c.CodeVerifier))
}

// MarshalText returns what Format prints.
func (c AuthorizationCode) MarshalText() ([]byte, error) { return fmt.Append(nil, c), nil }

// MarshalYAML returns what Format prints.
func (c AuthorizationCode) MarshalYAML() (any, error) { return fmt.Sprint(c), nil }

// Format prints the grant without its tokens, its code and the values of its Params, whatever the verb.
func (g Grant) Format(f fmt.State, _ rune) {
	code := AuthorizationCode{}
	if g.Code != nil {
		code = *g.Code
	}
	fmt.Fprintf(f, "{Scopes:%v RefreshToken:%s Code:%s Type:%s UserToken:%s Params:%v}",
		g.Scopes, redact(g.RefreshToken), redact(code.Code), g.Type, redact(g.UserToken), slices.Sorted(maps.Keys(g.Params)))
}

// MarshalText returns what Format prints.
func (g Grant) MarshalText() ([]byte, error) { return fmt.Append(nil, g), nil }

// MarshalYAML returns what Format prints.
func (g Grant) MarshalYAML() (any, error) { return fmt.Sprint(g), nil }

// clone returns a copy that shares nothing with g.
func (g Grant) clone() Grant {
	g.Scopes = slices.Clone(g.Scopes)
	if g.Code != nil {
		code := *g.Code
		g.Code = &code
	}
	if g.Params != nil {
		params := make(url.Values, len(g.Params))
		for name, values := range g.Params {
			params[name] = slices.Clone(values)
		}
		g.Params = params
	}
	return g
}

// isZero reports whether g is the zero Grant.
func (g Grant) isZero() bool { return reflect.ValueOf(g).IsZero() }

// grantType returns the grant_type of g.
func (g Grant) grantType() string {
	switch {
	case g.RefreshToken != "":
		return refreshToken
	case g.Code != nil:
		return authorizationCode
	case g.Type != "":
		return g.Type
	}
	return clientCredentials
}

// check returns an error if the vendor cannot accept the grant.
func (g Grant) check(v vendor) error {
	var set []string
	for _, member := range []struct {
		name string
		set  bool
	}{{"RefreshToken", g.RefreshToken != ""}, {"Code", g.Code != nil}, {"Type", g.Type != ""}} {
		if member.set {
			set = append(set, member.name)
		}
	}
	switch {
	case len(set) > 1:
		return fmt.Errorf("Grant.%s are both set; a Grant is of one type", strings.Join(set[:2], " and Grant."))
	case g.RefreshToken != "" && !v.refreshes, g.Code != nil && !v.logins, g.Type != "" && !v.extensions:
		return fmt.Errorf("no %s grant: %w", g.grantType(), errors.ErrUnsupported)
	case g.UserToken != "" && !v.onBehalf:
		return fmt.Errorf("Grant.UserToken: only ThousandEyes acts on behalf of a user: %w", errors.ErrUnsupported)
	case v.mustScope && len(set) == 0 && len(g.Scopes) == 0:
		return errors.New("Grant.Scopes is empty; client_credentials needs at least one, such as /accounts.read")
	}
	if err := cmp.Or(
		checkText("Grant.RefreshToken", g.RefreshToken), checkText("Grant.UserToken", g.UserToken), checkGrantType(g.Type), g.Code.check(),
	); err != nil {
		return err
	}
	for _, scope := range g.Scopes {
		if !isScope(scope) {
			return fmt.Errorf("Grant.Scopes: %q is not a valid scope (RFC 6749, section 3.3)", scope)
		}
	}
	return checkParams("Grant.Params", g.Params, sentFields)
}

// checkGrantType returns an error if grantType is not the URI of an extension grant.
func checkGrantType(grantType string) error {
	switch grantType {
	case "":
		return nil
	case clientCredentials:
		return errors.New("Grant.Type is for extension grants; leave it empty for client_credentials")
	case refreshToken:
		return errors.New("Grant.Type is for extension grants; set Grant.RefreshToken for refresh_token")
	case authorizationCode:
		return errors.New("Grant.Type is for extension grants; set Grant.Code for authorization_code")
	}
	if u, err := url.Parse(grantType); err != nil || u.Scheme == "" || checkText("", grantType) != nil {
		return fmt.Errorf("Grant.Type %q is not a URI, which names an extension grant (RFC 6749, section 4.5)", grantType)
	}
	return nil
}

func (c *AuthorizationCode) check() error {
	switch {
	case c == nil:
		return nil
	case c.Code == "":
		return errors.New("Grant.Code.Code is empty")
	case c.CodeVerifier != "" && !isVerifier(c.CodeVerifier):
		return errors.New("Grant.Code.CodeVerifier is not a valid code verifier; use GenerateVerifier (RFC 7636, section 4.1)")
	}
	return cmp.Or(checkText("Grant.Code.Code", c.Code), checkText("Grant.Code.RedirectURI", c.RedirectURI))
}

// checkParams returns an error if params has fields that the SDK sets itself, or repeats a field.
func checkParams(name string, params url.Values, set []string) error {
	if len(params) == 0 {
		return nil
	}
	for _, field := range slices.Sorted(maps.Keys(params)) {
		values := params[field]
		switch {
		case field == "":
			return fmt.Errorf("%s has a field without a name", name)
		case slices.Contains(set, field):
			return fmt.Errorf("%s: %s is set by the SDK; use the other members or the options", name, field)
		case len(values) > 1 && field != "resource" && field != "audience":
			return fmt.Errorf("%s: %s has %d values, and a field must not be repeated (RFC 6749, section 3.2)", name, field, len(values))
		}
	}
	return nil
}

// sentFields are the form fields that an Endpoint sets itself.
var sentFields = []string{
	"grant_type", "scope", "refresh_token", "code", "redirect_uri", "code_verifier",
	"client_id", "client_secret", "client_assertion", "client_assertion_type",
	"thousandeyes_bearer_token", "token", "token_type_hint",
}

// isScope reports whether s is a scope-token (RFC 6749, section 3.3).
func isScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}
