package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const maxTokenResponse = 1 << 20

// An Endpoint is a token endpoint and a client of it. Each call of Exchange requests a new token; use a [Cache] to keep
// one. Make an Endpoint with [NewThousandEyes], [NewMoov] or [NewSailPoint], or for any other server with [NewEndpoint]
// or [Discover]. It is safe for concurrent use.
type Endpoint struct {
	vendor   vendor
	baseURL  string // of the API that the tokens are for; may be empty
	tokenURL string
	tenant   string // distinguishes tenants that have the same URL
	style    AuthStyle
	timeout  time.Duration // of an exchange
	secrets  *endpointSecrets

	exchange func(context.Context, tokenForm, requestEditor) (*http.Response, error)
	revoke   func(context.Context, revocationForm, requestEditor) (*http.Response, error) // nil without revocation

	authorizationURL *url.URL // nil without logins
	issuer           string   // empty if not known
	issuerRequired   bool     // every callback of a login must name the issuer

	holdOff holdOff // shared by all Caches of the Endpoint
	limiter *Limiter
	logger  *slog.Logger // if nil, nothing is logged
}

// endpointSecrets are the parts of an Endpoint that hold secrets. They are behind a pointer for the same reason as
// cacheSecrets.
type endpointSecrets struct {
	creds    CredentialsProvider
	header   http.Header
	clientID atomic.Pointer[string] // for logs; nil until it is known
}

// vendor describes how one vendor's endpoint differs from others.
type vendor struct {
	name       string    // for error texts
	style      AuthStyle // the default
	refreshes  bool      // has the refresh_token grant
	logins     bool      // has the authorization_code grant
	extensions bool      // has extension grants
	onBehalf   bool      // accepts a UserToken
	mustScope  bool      // requires a scope with client_credentials
}

// tokenForm and revocationForm are the fields of a request. Empty fields are not sent; RFC 6749, section 3.2, treats
// them as omitted.
type tokenForm struct {
	clientID, clientSecret          string // empty unless they are sent as form fields
	grantType, scope                string
	refreshToken                    string
	code, redirectURI, codeVerifier string
	userToken                       string
}

type revocationForm struct{ clientID, clientSecret, token, hint string }

// optional returns s for an optional field of a generated request, or nil if *s is empty.
func optional(s *string) *string {
	if *s == "" {
		return nil
	}
	return s
}

// requestEditor adds to a request what the generated client has no field for.
type requestEditor = func(context.Context, *http.Request) error

// endpointConfig is the common part of the options of all Endpoints. BaseURL is that of the API, and Header that of the
// Endpoint.
type endpointConfig struct {
	DoerOptions

	style   AuthStyle
	asserts bool // EndpointOptions.Assertion is used instead of style
}

// newEndpoint returns an Endpoint that cannot send yet, after the checks that all Endpoints share.
func newEndpoint(v vendor, tokenURL string, creds CredentialsProvider, c endpointConfig) (*Endpoint, error) {
	style := cmp.Or(c.style, v.style)
	if isNil(creds) {
		return nil, errors.New("the credentials are nil; pass Credentials, a CredentialsFunc or a CredentialsFile")
	}
	if !style.valid() {
		return nil, fmt.Errorf("AuthStyle %d is unknown; use AuthStyleBasic, AuthStyleBasicUnencoded, AuthStyleBody or AuthStyleNone", int(style))
	}
	if c.asserts {
		style = authStyleAssertion
	}
	switch fixed := creds.(type) {
	case Credentials:
		if err := fixed.check(style); err != nil {
			return nil, err
		}
	case *Credentials:
		if err := fixed.check(style); err != nil {
			return nil, err
		}
		creds = *fixed
	}
	if err := checkHeader(c.Header); err != nil {
		return nil, err
	}
	header := make(http.Header, len(c.Header))
	for name, values := range c.Header {
		header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	e := &Endpoint{
		vendor: v, baseURL: c.BaseURL, tokenURL: tokenURL, style: style, timeout: c.timeout(),
		limiter: c.Limiter, secrets: &endpointSecrets{creds: creds, header: header},
	}
	e.logger = owner{endpoint: e}.logger(c.Logger)
	if fixed, ok := creds.(Credentials); ok {
		e.secrets.noteClient(fixed)
	}
	return e, nil
}

// newVendorEndpoint returns an Endpoint whose token endpoint is part of the API at c.BaseURL, and the Doer for its
// generated client.
func newVendorEndpoint(v vendor, path string, creds CredentialsProvider, c endpointConfig) (*Endpoint, Doer, error) {
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	c.Limiter = cmp.Or(c.Limiter, new(Limiter))
	doer, err := newTokenDoer(c.BaseURL, c)
	if err == nil {
		var e *Endpoint
		if e, err = newEndpoint(v, c.BaseURL+path, creds, c); err == nil {
			return e, doer, nil
		}
	}
	return nil, Doer{}, fmt.Errorf("tokens: %s: %w", v.name, err)
}

// newTokenDoer returns a Doer for token requests to the origin of baseURL.
func newTokenDoer(baseURL string, c endpointConfig) (Doer, error) {
	if _, err := parseBaseURL(baseURL); err != nil {
		return Doer{}, fmt.Errorf("BaseURL: %w", err)
	}
	o := c.DoerOptions
	o.BaseURL, o.Header, o.MaxBody = baseURL, nil, maxTokenResponse
	s, err := newSender(nil, &o)
	if err != nil {
		return Doer{}, err
	}
	s.lane, s.ownsRequests = tokenLane, true
	return Doer{s}, nil
}

// BaseURL returns the URL of the API that the tokens are for. With NewEndpoint and Discover, it is "" unless the
// options set it.
func (e *Endpoint) BaseURL() string {
	if e == nil {
		return ""
	}
	return e.baseURL
}

// Limiter returns the Limiter that the token endpoint and the API share. It is nil if they have different origins, or
// if there is no BaseURL, even if the options have a Limiter: that one is then used only for the token endpoint, and
// [DoerOptions].Limiter sets the API's.
func (e *Endpoint) Limiter() *Limiter {
	if e == nil {
		return nil
	}
	api, err := url.Parse(e.baseURL)
	if err != nil {
		return nil
	}
	if at, err := url.Parse(e.tokenURL); err != nil || originOf(api) != originOf(at) {
		return nil
	}
	return e.limiter
}

// Format prints the vendor's name, but neither credentials nor headers.
func (e *Endpoint) Format(f fmt.State, _ rune) {
	if e == nil {
		fmt.Fprint(f, "tokens.Endpoint(nil)")
		return
	}
	fmt.Fprintf(f, "tokens.Endpoint(%s)", e.vendor.name)
}

// ready returns an error if e or ctx is nil or zero, where use would panic.
func (e *Endpoint) ready(ctx context.Context) error {
	switch {
	case e == nil || e.exchange == nil:
		return errors.New("tokens: the Endpoint is nil or zero; make one with NewMoov, NewSailPoint, NewThousandEyes, NewEndpoint or Discover")
	case ctx == nil:
		return fmt.Errorf("tokens: %s: the context is nil", e.vendor.name)
	}
	return nil
}

// Exchange requests a token (RFC 6749, sections 4.1.3, 4.4, 4.5 and 6). It sends at most Retry.Attempts requests. If g
// has a RefreshToken, the server may have replaced that: from now on use the RefreshToken of the returned Token, unless
// it is empty.
//
// If the vendor does not have the grant, the error is errors.ErrUnsupported. Errors in g name the field. In both cases
// nothing is sent. Any other error is an [*Error], or that of the CredentialsProvider.
func (e *Endpoint) Exchange(ctx context.Context, g Grant) (*Token, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	var requested time.Time
	return e.exchangeWith(ctx, g, settingsOf(ctx), &requested)
}

// exchangeWith is Exchange with the given settings. It sets requested to the time when the last request began, before
// it is sent. requested stays zero if there is none.
func (e *Endpoint) exchangeWith(ctx context.Context, g Grant, set settings, requested *time.Time) (*Token, error) {
	g = g.clone() // the caller may change g while Retrieve runs
	if err := g.check(e.vendor); err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", e.vendor.name, err)
	}
	f := tokenForm{grantType: g.grantType(), refreshToken: g.RefreshToken, userToken: g.UserToken}
	if g.Code != nil {
		f.code, f.redirectURI, f.codeVerifier = g.Code.Code, g.Code.RedirectURI, g.Code.CodeVerifier
	} else {
		f.scope = strings.Join(g.Scopes, " ")
	}
	set.idempotency, set.logger = singleUse, cmp.Or(set.logger, e.logger)
	if f.grantType == clientCredentials {
		set.idempotency = idempotent
	}
	resp, err := e.authenticated(ctx, func(creds Credentials) (*http.Response, error) { //nolint:bodyclose // readToken closes it
		if !e.style.isBasic() {
			f.clientID, f.clientSecret = creds.ClientID, creds.ClientSecret
		}
		call := &doerCall{settings: set, requested: *requested}
		defer func() { *requested = call.requested }() // even if a hook panics
		return e.exchange(call.in(ctx), f, e.editor(creds, acceptJSON, g.Params))
	})
	if err != nil {
		return nil, err
	}
	return readToken(resp, *requested, g.Scopes)
}

// Hint tells the server which kind of token to look for first (RFC 7009, section 2.1).
type Hint string

// The hints of RFC 7009. HintNone is not sent.
const (
	HintNone         Hint = ""
	HintAccessToken  Hint = "access_token"
	HintRefreshToken Hint = "refresh_token"
)

// Revoke asks the server to revoke a token (RFC 7009). Revoking a refresh token should also revoke its access tokens.
// It succeeds even if the token was not valid. If the vendor has no revocation (ThousandEyes, SailPoint), the error is
// errors.ErrUnsupported.
func (e *Endpoint) Revoke(ctx context.Context, token string, hint Hint) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	var err error
	switch {
	case e.revoke == nil:
		err = fmt.Errorf("no revocation: %w", errors.ErrUnsupported)
	case token == "":
		err = errors.New("the token to revoke is empty")
	case hint != HintNone && hint != HintAccessToken && hint != HintRefreshToken:
		err = fmt.Errorf("the hint %q is unknown; use HintAccessToken, HintRefreshToken or none", string(hint))
	default:
		err = checkText("the token to revoke", token)
	}
	if err != nil {
		return fmt.Errorf("tokens: %s: %w", e.vendor.name, err)
	}
	set := settingsOf(ctx)
	set.idempotency, set.logger = idempotent, cmp.Or(set.logger, e.logger)
	f := revocationForm{token: token, hint: string(hint)}
	resp, err := e.authenticated(ctx, func(creds Credentials) (*http.Response, error) { //nolint:bodyclose // discard closes it
		if !e.style.isBasic() {
			f.clientID, f.clientSecret = creds.ClientID, creds.ClientSecret
		}
		call := &doerCall{settings: set}
		return e.revoke(call.in(ctx), f, e.editor(creds, []string{"*/*"}, nil)) // the content of the response does not matter
	})
	if err != nil {
		return err
	}
	discard(resp, time.Second) // any 2xx is success; the body is ignored (RFC 7009, section 2.2)
	return nil
}

// authenticated calls send with the client's credentials. After a 401 or invalid_client it retrieves the credentials
// again, and sends the request once more if they have changed, as after a rotation.
func (e *Endpoint) authenticated(ctx context.Context, send func(Credentials) (*http.Response, error)) (*http.Response, error) {
	creds, err := e.credentials(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := send(creds)
	if failed, ok := errors.AsType[*credentialsError](err); ok {
		return nil, failed // nothing was sent
	}
	if !errors.Is(err, InvalidClient) && !errors.Is(err, Status(http.StatusUnauthorized)) {
		return resp, err
	}
	changed, credsErr := e.credentials(ctx)
	if credsErr != nil || changed == creds {
		return resp, err
	}
	return send(changed)
}

func (e *Endpoint) credentials(ctx context.Context) (Credentials, error) {
	if fixed, ok := e.secrets.creds.(Credentials); ok {
		return fixed, nil
	}
	creds, err := e.secrets.creds.Retrieve(withoutSettings(ctx))
	if err == nil {
		err = creds.check(e.style)
	}
	if err != nil {
		return Credentials{}, &credentialsError{e.vendor.name, fmt.Errorf("credentials: %w", err)}
	}
	e.secrets.noteClient(creds)
	return creds, nil
}

// noteClient records the client id for logs.
func (s *endpointSecrets) noteClient(creds Credentials) {
	if known := s.clientID.Load(); known == nil || *known != creds.ClientID {
		id := creds.ClientID
		s.clientID.Store(&id)
	}
}

// editor returns a requestEditor that adds the Endpoint's headers and params.
func (e *Endpoint) editor(creds Credentials, accept []string, params url.Values) requestEditor {
	return func(_ context.Context, req *http.Request) error {
		maps.Copy(req.Header, e.secrets.header)
		req.Header["Accept"] = accept // with Accept set, the Doer does not check the media type: a wrong one must not lose a token
		if e.style.isBasic() {
			req.Header.Set("Authorization", e.style.basic(creds))
		}
		_, err := appendForm(req, params)
		return err
	}
}

// appendForm adds fields to the form of a request. It returns the whole form, or "" if there is nothing to add.
func appendForm(req *http.Request, params url.Values) (string, error) {
	added := url.Values{}
	for name, values := range params {
		for _, value := range values {
			if value != "" {
				added.Add(name, value)
			}
		}
	}
	if len(added) == 0 {
		return "", nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return "", fmt.Errorf("tokens: reading the form: %w", err)
	}
	form := string(body) + "&" + added.Encode()
	req.ContentLength = int64(len(form))
	req.Body = io.NopCloser(strings.NewReader(form))
	if req.GetBody != nil {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(form)), nil }
	}
	return form, nil
}

// checkHeader returns an error if h has headers that the SDK or net/http sets itself, or that cannot be sent.
func checkHeader(h http.Header) error {
	seen := make(map[string]string, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		canonical := http.CanonicalHeaderKey(name)
		switch canonical {
		case "Authorization", "Content-Type", "Content-Length", "Content-Encoding", "Accept", "Accept-Encoding", "Host",
			"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
			return fmt.Errorf("Header: %s is set by the SDK", name)
		}
		if token, rest := nextToken(name); token == "" || rest != "" {
			return fmt.Errorf("Header: %q is not the name of a header", name)
		}
		if other, ok := seen[canonical]; ok {
			return fmt.Errorf("Header: %s and %s are the same header; write its values under one name", other, name)
		}
		seen[canonical] = name
		for _, value := range h[name] {
			if err := checkText("Header: "+name, strings.ReplaceAll(value, "\t", " ")); err != nil {
				return err
			}
		}
	}
	return nil
}

// formatOptions prints the name and base URL of options, but nothing that may be secret.
func formatOptions(f fmt.State, name, baseURL string) {
	u, _ := url.Parse(baseURL) // nil, of which nothing is printed, if it cannot be parsed
	fmt.Fprintf(f, "tokens.%s(%s)", name, redactURL(u))
}
