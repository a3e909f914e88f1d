package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/grantwright/oauth-go/gen/oauth2"
)

// Discover returns the [Endpoint] of a server that publishes its metadata by RFC 8414 or by OpenID Connect Discovery.
// It requests the metadata once, and fails unless it is the issuer's own. opts takes precedence over the metadata. If
// opts has neither an AuthStyle nor an Assertion, the style is one that the server supports: AuthStyleBasic,
// AuthStyleBody or AuthStyleNone. The endpoints may be on other hosts than the issuer, if they are https.
func Discover(ctx context.Context, issuer string, creds CredentialsProvider, opts *EndpointOptions) (*Endpoint, error) {
	var o EndpointOptions
	if opts != nil {
		o = *opts
	}
	e, err := o.discover(ctx, issuer, creds)
	if err != nil {
		return nil, fmt.Errorf("tokens: Discover: %w", err)
	}
	return e, nil
}

func (o EndpointOptions) discover(ctx context.Context, issuer string, creds CredentialsProvider) (*Endpoint, error) {
	at, err := parseEndpointURL("the issuer", issuer)
	switch {
	case err != nil:
		return nil, err
	case at.RawQuery != "" || at.ForceQuery:
		return nil, fmt.Errorf("the issuer %s has a query, which no issuer has (RFC 8414, section 2)", redactURL(at))
	case strings.Contains(at.Path, "/.well-known/"):
		return nil, fmt.Errorf("%s is where the metadata is; give the issuer, without /.well-known/ and what follows", redactURL(at))
	case o.Issuer != "" && o.Issuer != issuer:
		return nil, fmt.Errorf("Issuer is %q but the issuer to ask is %q; leave Issuer empty", o.Issuer, issuer)
	case isNil(creds):
		return nil, errors.New("the credentials are nil; pass Credentials, a CredentialsFunc or a CredentialsFile")
	case ctx == nil:
		return nil, errors.New("the context is nil")
	}
	if err := checkHeader(o.Header); err != nil {
		return nil, err
	}
	metadata, err := o.metadata(ctx, at, issuer)
	if err != nil {
		return nil, err
	}
	tokenURL, err := metadataURL("token_endpoint", metadata.TokenEndpoint, at)
	if err != nil {
		return nil, err
	}
	if tokenURL == "" {
		return nil, fmt.Errorf("the metadata of %s has no token_endpoint", issuer)
	}
	if o.RevocationURL == "" {
		if o.RevocationURL, err = metadataURL("revocation_endpoint", metadata.RevocationEndpoint, at); err != nil {
			return nil, err
		}
	}
	if o.AuthorizationURL == "" {
		if o.AuthorizationURL, err = metadataURL("authorization_endpoint", metadata.AuthorizationEndpoint, at); err != nil {
			return nil, err
		}
	}
	if o.AuthStyle == AuthStyleDefault && o.Assertion == nil {
		if o.AuthStyle, err = supportedStyle(metadata.TokenEndpointAuthMethodsSupported, creds); err != nil {
			return nil, err
		}
	}
	o.Issuer = issuer
	e, err := o.endpoint(tokenURL, creds)
	if err != nil {
		return nil, err
	}
	e.issuerRequired = metadata.AuthorizationResponseIssParameterSupported != nil && *metadata.AuthorizationResponseIssParameterSupported
	return e, nil
}

// metadata requests the server's metadata from the URL of RFC 8414, section 3.1, and then from that of OpenID Connect
// Discovery, section 4. It ignores metadata of another issuer.
func (o EndpointOptions) metadata(ctx context.Context, at *url.URL, issuer string) (*oauth2.ServerMetadata, error) {
	path := strings.TrimRight(at.EscapedPath(), "/")
	var failures []error
	for _, wellKnown := range []string{
		"/.well-known/oauth-authorization-server" + path,
		path + "/.well-known/openid-configuration",
	} {
		metadata, err := o.metadataAt(ctx, at, wellKnown)
		if err == nil && metadata.Issuer != issuer {
			err = fmt.Errorf("the metadata at %s is of the issuer %q and not of %q (RFC 8414, section 3.3)", wellKnown, clean(metadata.Issuer), issuer)
		}
		if err == nil {
			return metadata, nil
		}
		failures = append(failures, err)
		if e, ok := errors.AsType[*Error](err); ok && e.StatusCode == 0 {
			break // the server cannot be reached
		}
	}
	if len(failures) == 1 {
		return nil, failures[0]
	}
	return nil, fmt.Errorf("%w; %w", failures[0], failures[1])
}

func (o EndpointOptions) metadataAt(ctx context.Context, issuer *url.URL, path string) (*oauth2.ServerMetadata, error) {
	at, err := url.Parse(issuer.Scheme + "://" + issuer.Host + path)
	if err != nil {
		return nil, fmt.Errorf("the issuer %s has a host that cannot be asked", redactURL(issuer)) // an IPv6 zone
	}
	client, err := newOAuth2Client(at, endpointConfig{DoerOptions: DoerOptions{
		HTTPClient: o.HTTPClient, Retry: o.Retry, Timeout: o.Timeout, Limiter: o.Limiter, Logger: o.Logger,
	}})
	if err != nil {
		return nil, err
	}
	resp, err := client.GetServerMetadata(ctx, func(_ context.Context, req *http.Request) error { //nolint:bodyclose // DecodeResponse closes it
		for name, values := range o.Header {
			req.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
		req.Header.Set("Accept", accept) // with Accept set, the Doer does not check the media type: servers of files send any
		return nil
	})
	if err != nil {
		return nil, err
	}
	var metadata oauth2.ServerMetadata
	return &metadata, DecodeResponse(resp, &metadata)
}

// metadataURL returns the URL of an endpoint in the metadata, or "" if it has none. Endpoints must be https, unless the
// issuer is on loopback.
func metadataURL(name string, endpoint *string, issuer *url.URL) (string, error) {
	if endpoint == nil || *endpoint == "" {
		return "", nil
	}
	u, err := parseEndpointURL("the metadata's "+name, *endpoint)
	if err != nil {
		return "", err
	}
	if u.Scheme != "https" && !isLoopback(issuer.Hostname()) {
		return "", fmt.Errorf("the metadata's %s %s is not https", name, redactURL(u))
	}
	return *endpoint, nil
}

// supportedStyle returns the AuthStyle for the methods that the server's metadata lists (RFC 8414, section 2).
func supportedStyle(methods []string, creds CredentialsProvider) (AuthStyle, error) {
	supports := func(method string) bool { return slices.Contains(methods, method) }
	fixed, ok := creds.(Credentials)
	public := ok && fixed.ClientSecret == ""
	switch {
	case public && (len(methods) == 0 || supports("none") || supports("tls_client_auth") || supports("self_signed_tls_client_auth")):
		return AuthStyleNone, nil
	case len(methods) == 0, supports("client_secret_basic"):
		return AuthStyleBasic, nil
	case supports("client_secret_post"):
		return AuthStyleBody, nil
	case supports("none"), supports("tls_client_auth"), supports("self_signed_tls_client_auth"):
		return AuthStyleNone, nil
	case supports("private_key_jwt"), supports("client_secret_jwt"):
		return 0, errors.New("the server authenticates clients by assertions alone; set Assertion")
	}
	return 0, fmt.Errorf("the server authenticates clients by %s alone; set AuthStyle", clean(strings.Join(methods, ", ")))
}
