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

// An Endpoint asks one token endpoint, anew at each call, as one client. Make it with [NewThousandEyes], [NewMoov] or
// [NewSailPoint], or for any other server with [NewEndpoint] or [Discover]; keep what it returns in a [Cache].
type Endpoint struct {
	vendor   vendor
	baseURL  string // of the API that the tokens are for; may be empty
	tokenURL string
	tenant   string // what tells this endpoint's users from those of another, where the URL does not
	style    AuthStyle
	timeout  time.Duration // of an exchange
	secrets  *endpointSecrets

	exchange func(context.Context, tokenForm, requestEditor) (*http.Response, error)
	revoke   func(context.Context, revocationForm, requestEditor) (*http.Response, error) // if nil, there is no revocation

	authorizationURL *url.URL // if nil, there is no login
	issuer           string   // if empty, it is not known
	issuerRequired   bool     // every callback of a login names it

	holdOff holdOff // of all Caches of the Endpoint
	limiter *Limiter
	logger  *slog.Logger // if nil, nothing is logged
}

// endpointSecrets are the parts of an Endpoint that hold secrets, behind a pointer for the reason that cacheSecrets are.
type endpointSecrets struct {
	creds    CredentialsProvider
	header   http.Header
	clientID atomic.Pointer[string] // for logs; nil until it is known
}

// vendor is what makes one vendor's endpoint different from another's.
type vendor struct {
	name       string    // in error texts
	style      AuthStyle // by default
	refreshes  bool      // has the refresh_token grant
	logins     bool      // has the authorization_code grant
	extensions bool      // has extension grants
	onBehalf   bool      // takes a UserToken
	mustScope  bool      // needs a scope with client_credentials
}

// tokenForm and revocationForm are the fields of a request. Empty ones are not sent: RFC 6749 section 3.2 treats them as
// omitted.
type tokenForm struct {
	clientID, clientSecret          string // empty where the request authenticates otherwise
	grantType, scope                string
	refreshToken                    string
	code, redirectURI, codeVerifier string
	userToken                       string
}

type revocationForm struct{ clientID, clientSecret, token, hint string }

// optional returns the optional field of a generated request.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return new(s)
}

// requestEditor adds to a request what no field of the generated client holds.
type requestEditor = func(context.Context, *http.Request) error

// endpointConfig is what the options of all Endpoints have in common. The BaseURL is that of the API, and the Header that of
// the Endpoint.
type endpointConfig struct {
	DoerOptions

	style   AuthStyle
	asserts bool // by EndpointOptions.Assertion, in place of style
}

// newEndpoint returns an Endpoint that cannot send yet, after the checks that are the same for all.
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
	timeout := c.Timeout
	if timeout == 0 && c.HTTPClient != nil {
		timeout = c.HTTPClient.Timeout
	}
	e := &Endpoint{
		vendor: v, baseURL: c.BaseURL, tokenURL: tokenURL, style: style, timeout: cmp.Or(timeout, defaultTimeout),
		limiter: c.Limiter, secrets: &endpointSecrets{creds: creds, header: header},
	}
	e.logger = owner{endpoint: e}.logger(c.Logger)
	if fixed, ok := creds.(Credentials); ok {
		e.secrets.noteClient(fixed)
	}
	return e, nil
}

// newVendorEndpoint returns an Endpoint whose token endpoint is part of the API at c.BaseURL, and the Doer that its
// generated client needs.
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

// newTokenDoer returns the Doer for requests to the origin of baseURL.
func newTokenDoer(baseURL string, c endpointConfig) (Doer, error) {
	if _, err := parseBaseURL(baseURL); err != nil {
		return Doer{}, fmt.Errorf("BaseURL: %w", err)
	}
	o := c.DoerOptions
	o.BaseURL, o.Header, o.MaxBody = baseURL, nil, maxTokenResponse
	doer, err := NewDoer(nil, &o)
	if err != nil {
		return Doer{}, err
	}
	doer.sender.lane = tokenLane
	return doer, nil
}

// BaseURL returns the URL of the API that the tokens are for. An Endpoint of NewEndpoint has one only if its options do.
func (e *Endpoint) BaseURL() string {
	if e == nil {
		return ""
	}
	return e.baseURL
}

// Limiter returns the Limiter that requests to BaseURL share with those to the endpoint. It is nil if these are two origins, or
// if there is no BaseURL, even where the options have one: that is the token endpoint's alone, and [DoerOptions].Limiter
// sets the API's.
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

// Format prints whose endpoint this is, and nothing of its credentials and headers.
func (e *Endpoint) Format(f fmt.State, _ rune) {
	if e == nil {
		fmt.Fprint(f, "tokens.Endpoint(nil)")
		return
	}
	fmt.Fprintf(f, "tokens.Endpoint(%s)", e.vendor.name)
}

// ready returns an error for what would panic later.
func (e *Endpoint) ready(ctx context.Context) error {
	switch {
	case e == nil || e.exchange == nil:
		return errors.New("tokens: the Endpoint is nil or zero; make one with NewMoov, NewSailPoint, NewThousandEyes, NewEndpoint or Discover")
	case ctx == nil:
		return fmt.Errorf("tokens: %s: the context is nil", e.vendor.name)
	}
	return nil
}

// Exchange asks for a token (RFC 6749, sections 4.1.3, 4.4, 4.5 and 6), in at most Retry.Attempts requests. If g has a
// RefreshToken, the server may have replaced it when Exchange returns: keep the one of the Token, unless it is empty.
//
// A grant that the vendor does not have is an errors.ErrUnsupported, and other bad input an error that names the field;
// nothing is sent then. Any other error is an [*Error], or that of the CredentialsProvider.
func (e *Endpoint) Exchange(ctx context.Context, g Grant) (*Token, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	var requested time.Time
	return e.exchangeWith(ctx, g, settingsOf(ctx), &requested)
}

// exchangeWith is Exchange with the given settings. It sets requested to when the last request began, as soon as it
// begins: zero means that none did.
func (e *Endpoint) exchangeWith(ctx context.Context, g Grant, set settings, requested *time.Time) (*Token, error) {
	g = g.clone() // the caller may change its own while the credentials are read
	if err := g.check(e.vendor); err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", e.vendor.name, err)
	}
	f := tokenForm{grantType: g.grantType(), refreshToken: g.RefreshToken, userToken: g.UserToken}
	if g.Code != nil {
		f.code, f.redirectURI, f.codeVerifier = g.Code.Code, g.Code.RedirectURI, g.Code.CodeVerifier
	} else {
		f.scope = strings.Join(g.Scopes, " ")
	}
	set.idempotency, set.sent, set.logger = singleUse, requested, cmp.Or(set.logger, e.logger)
	if f.grantType == clientCredentials {
		set.idempotency = idempotent
	}
	ctx = set.in(ctx)
	resp, err := e.authenticated(ctx, func(creds Credentials) (*http.Response, error) { //nolint:bodyclose // readToken closes it
		if !e.style.isBasic() {
			f.clientID, f.clientSecret = creds.ClientID, creds.ClientSecret
		}
		return e.exchange(ctx, f, e.editor(creds, accept, g.Params))
	})
	if err != nil {
		return nil, err
	}
	return readToken(resp, *requested, g.Scopes)
}

// Hint tells the server what kind of token to look for first (RFC 7009, section 2.1).
type Hint string

// The hints of RFC 7009. The empty one is not sent.
const (
	HintNone         Hint = ""
	HintAccessToken  Hint = "access_token"
	HintRefreshToken Hint = "refresh_token"
)

// Revoke asks the server to end a token's life (RFC 7009). Revoking a refresh token should end that of its access tokens
// too. Success does not mean that the token was alive. Where there is no revocation (ThousandEyes, SailPoint) the error
// is errors.ErrUnsupported.
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
	ctx = set.in(ctx)
	f := revocationForm{token: token, hint: string(hint)}
	resp, err := e.authenticated(ctx, func(creds Credentials) (*http.Response, error) { //nolint:bodyclose // discard closes it
		if !e.style.isBasic() {
			f.clientID, f.clientSecret = creds.ClientID, creds.ClientSecret
		}
		return e.revoke(ctx, f, e.editor(creds, "*/*", nil)) // the response has no content that matters
	})
	if err != nil {
		return err
	}
	discard(resp, time.Second) // any 2xx is success, and its body says nothing (section 2.2)
	return nil
}

// authenticated sends a request as the client. After a 401 or invalid_client the credentials are read again, and the
// request is sent once more only if they changed: a secret that was rotated.
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

// noteClient keeps the client id for logs.
func (s *endpointSecrets) noteClient(creds Credentials) {
	if known := s.clientID.Load(); known == nil || *known != creds.ClientID {
		id := creds.ClientID
		s.clientID.Store(&id)
	}
}

// editor adds to a request the headers, and the params that no generated field holds.
func (e *Endpoint) editor(creds Credentials, accept string, params url.Values) requestEditor {
	return func(_ context.Context, req *http.Request) error {
		maps.Copy(req.Header, e.secrets.header)
		req.Header.Set("Accept", accept) // set here, the media type of the response is not looked at: none may cost a token
		if e.style.isBasic() {
			req.Header.Set("Authorization", e.style.basic(creds))
		}
		_, err := appendForm(req, params)
		return err
	}
}

// appendForm adds fields to a form request, and returns its whole form if there were any.
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

// checkHeader refuses headers that the SDK or net/http sets itself, and those that cannot be sent.
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

// formatOptions prints options without what may be secret in them.
func formatOptions(f fmt.State, name, baseURL string) {
	u, err := url.Parse(baseURL)
	if err != nil {
		u = &url.URL{}
	}
	fmt.Fprintf(f, "tokens.%s(%s)", name, redactURL(u))
}
