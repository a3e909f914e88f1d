package tokens

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// AuthStyle is how the client authenticates at the token endpoint (RFC 6749, section 2.3.1). Each request uses exactly
// one style; the SDK does not try others.
type AuthStyle int

// The styles. The default is AuthStyleBody for ThousandEyes and SailPoint, and AuthStyleBasic otherwise.
const (
	AuthStyleDefault        AuthStyle = iota
	AuthStyleBasic                    // HTTP Basic with id and secret form-encoded, as RFC 6749 requires
	AuthStyleBasicUnencoded           // HTTP Basic with id and secret as they are, for servers that do not decode them
	AuthStyleBody                     // client_id and client_secret as form fields
	AuthStyleNone                     // only client_id: a public client, or one authenticated by its TLS certificate

	authStyleAssertion // client_id and the client_assertion of EndpointOptions.Assertion
)

func (s AuthStyle) valid() bool { return s >= AuthStyleBasic && s <= AuthStyleNone }

func (s AuthStyle) isBasic() bool { return s == AuthStyleBasic || s == AuthStyleBasicUnencoded }

func (s AuthStyle) sendsSecret() bool { return s.isBasic() || s == AuthStyleBody }

// basic returns the Authorization header for one of the Basic styles.
func (s AuthStyle) basic(c Credentials) string {
	id, secret := c.ClientID, c.ClientSecret
	if s == AuthStyleBasic {
		id, secret = formEncode(id), formEncode(secret)
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// formEncode encodes s as application/x-www-form-urlencoded, but leaves "*" and "~" unescaped: all servers accept them
// so, and some do not decode them.
func formEncode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2A", "*") }

// assertionTransport adds an assertion to each request (RFC 7523, section 2.2). It is beneath the retries, because
// servers accept an assertion only once.
type assertionTransport struct {
	base     http.RoundTripper
	assert   func(ctx context.Context, audience string) (string, error)
	audience string
	endpoint string
}

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" //nolint:gosec // a name, no credential

func (t *assertionTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	assertion, err := t.assert(withoutSettings(req.Context()), t.audience)
	if err == nil && assertion == "" {
		err = errors.New("the assertion is empty")
	}
	if err != nil {
		closeBody(req)
		return nil, &credentialsError{t.endpoint, fmt.Errorf("Assertion: %w", err)}
	}
	signed := new(http.Request)
	*signed = *req
	form, err := appendForm(signed, url.Values{"client_assertion": {assertion}, "client_assertion_type": {jwtBearer}})
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.base.RoundTrip(signed)
	if err != nil {
		if safe := withoutSecrets(err.Error(), encodings(assertion)); safe != err.Error() {
			err = &quietError{safe, err}
		}
		return resp, err
	}
	if resp != nil {
		// Error looks in the request of the response for secrets that it must not show.
		withForm := *cmp.Or(resp.Request, signed)
		withForm.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(form)), nil }
		resp.Request = &withForm
	}
	return resp, nil
}
