package tokens

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
)

// Grant says what to ask for. The zero value is client_credentials (RFC 6749, section 4.4) with the vendor's default
// scopes. It prints redacted.
type Grant struct {
	// Scopes are the scopes to ask for, none of them empty. Moov wants at least one with client_credentials.
	Scopes []string
	// RefreshToken, if set, makes this grant type refresh_token (RFC 6749, section 6). ThousandEyes has none.
	RefreshToken string
	// UserToken is the token of a user on whose behalf ThousandEyes shall issue one. It is sent as a form field.
	UserToken string
	// Params are further form fields, such as resource (RFC 8707). Empty values are not sent; a name that the SDK sets
	// itself is refused, and so is a name with more than one value, resource and audience aside.
	Params url.Values
}

// Format prints the grant without its tokens and the values of its Params, whatever the verb.
func (g Grant) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Scopes:%v RefreshToken:%s UserToken:%s Params:%v}",
		g.Scopes, redact(g.RefreshToken), redact(g.UserToken), slices.Sorted(maps.Keys(g.Params)))
}

// MarshalText gives what Format prints, for logs in JSON.
func (g Grant) MarshalText() ([]byte, error) { return fmt.Append(nil, g), nil }

// check finds what is wrong with the grant, at a vendor, before anything is sent.
func (g Grant) check(v vendor) error {
	switch {
	case g.RefreshToken != "" && !v.refreshes:
		return fmt.Errorf("no refresh_token grant: %w", errors.ErrUnsupported)
	case g.UserToken != "" && !v.onBehalf:
		return fmt.Errorf("Grant.UserToken: only ThousandEyes acts on behalf of a user: %w", errors.ErrUnsupported)
	case v.mustScope && g.RefreshToken == "" && len(g.Scopes) == 0:
		return errors.New("Grant.Scopes is empty; client_credentials needs at least one, such as /accounts.read")
	}
	for _, scope := range g.Scopes {
		if !isScope(scope) {
			return fmt.Errorf("Grant.Scopes: %q is not one scope (RFC 6749, section 3.3)", scope)
		}
	}
	for name, values := range g.Params {
		switch {
		case name == "":
			return errors.New("Grant.Params has a field without a name")
		case slices.Contains(reserved, name):
			return fmt.Errorf("Grant.Params: %s is set by the SDK; use the Grant's own members or the options", name)
		case len(values) > 1 && name != "resource" && name != "audience":
			return fmt.Errorf("Grant.Params: %s has %d values, and a field must not be repeated (RFC 6749, section 3.2)", name, len(values))
		}
	}
	return nil
}

// reserved are the form fields that the SDK sets itself.
var reserved = []string{
	"grant_type", "scope", "refresh_token", "client_id", "client_secret", "thousandeyes_bearer_token",
	"token", "token_type_hint",
}

// isScope tells whether s is a scope-token (RFC 6749, section 3.3).
func isScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}
