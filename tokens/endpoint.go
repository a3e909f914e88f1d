package tokens

import (
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
	"time"
)

const (
	maxTokenAnswer = 1 << 20

	clientCredentials = "client_credentials"
	refreshToken      = "refresh_token"
)

// An Endpoint asks one vendor's token endpoint, anew at each call, as one client. Make it with [NewThousandEyes], [NewMoov] or
// [NewSailPoint]; keep what it gives in a [Cache].
type Endpoint struct {
	vendor   vendor
	baseURL  string
	creds    CredentialsProvider
	style    AuthStyle
	header   http.Header
	exchange send
	revoke   send // nil: the vendor has no revocation
}

// vendor is how one vendor differs from the others.
type vendor struct {
	name      string
	style     AuthStyle // by default
	refreshes bool      // has the refresh_token grant
	onBehalf  bool      // takes a UserToken
	mustScope bool      // wants a scope with client_credentials
}

// send sends a form by a typed generated method.
type send func(context.Context, *form) (*http.Response, error)

// form is a token or revocation request. Empty fields are not sent: RFC 6749 section 3.2 treats them as omitted.
type form struct {
	clientID, clientSecret         string // empty where Basic carries them
	grantType, scope, refreshToken string
	userToken                      string
	token, hint                    string
	edit                           func(context.Context, *http.Request) error // adds what no generated field holds
}

// field is an optional field of a generated request.
func field[S ~string](s *S) *S {
	if *s == "" {
		return nil
	}
	return s
}

// common are the settings that every vendor's options have.
type common struct {
	baseURL    string
	httpClient *http.Client
	style      AuthStyle
	header     http.Header
	retry      Retry
	timeout    time.Duration
	logger     *slog.Logger
}

// newEndpoint checks what every vendor's constructor must, and returns the Endpoint with the Doer that its generated
// client shall use.
func newEndpoint(v vendor, creds CredentialsProvider, c common) (*Endpoint, Doer, error) {
	fail := func(err error) (*Endpoint, Doer, error) {
		return nil, Doer{}, fmt.Errorf("tokens: %s: %w", v.name, err)
	}
	if f, ok := creds.(CredentialsFunc); creds == nil || ok && f == nil {
		return fail(errors.New("the credentials are nil; pass Credentials or a CredentialsFunc"))
	}
	if fixed, ok := creds.(Credentials); ok {
		if err := fixed.check(); err != nil {
			return fail(err)
		}
	}
	style := c.style
	if style == AuthStyleDefault {
		style = v.style
	}
	if !style.valid() {
		return fail(fmt.Errorf("AuthStyle %d is unknown; use AuthStyleBasic, AuthStyleBasicUnencoded or AuthStyleBody", int(style)))
	}
	if err := checkHeader(c.header); err != nil {
		return fail(err)
	}
	if _, err := parseBaseURL(c.baseURL); err != nil {
		return fail(fmt.Errorf("BaseURL: %w", err))
	}
	doer, err := NewDoer(nil, &DoerOptions{
		BaseURL: c.baseURL, HTTPClient: c.httpClient, Retry: c.retry, Timeout: c.timeout, Logger: c.logger, MaxBody: maxTokenAnswer,
	})
	if err != nil {
		return fail(err)
	}
	header := make(http.Header, len(c.header))
	for name, values := range c.header {
		header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	return &Endpoint{vendor: v, baseURL: strings.TrimRight(c.baseURL, "/"), creds: creds, style: style, header: header}, doer, nil
}

// BaseURL returns the URL that the endpoint's path is appended to; SailPoint's is the origin that oauthclients takes.
func (e *Endpoint) BaseURL() string { return e.baseURL }

// Format prints whose endpoint this is, and nothing of its credentials and headers.
func (e *Endpoint) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "tokens.Endpoint(%s)", e.vendor.name)
}

// Exchange asks for a token (RFC 6749, sections 4.4 and 6), in at most Retry.Attempts requests. With a RefreshToken the
// vendor may have rotated it once Exchange returns: keep the one in the Token, unless it is empty.
//
// A grant that the vendor does not have is errors.ErrUnsupported, other bad input an error that names the field; both
// come before anything is sent. All else is an [*Error], or the CredentialsProvider's.
func (e *Endpoint) Exchange(ctx context.Context, g Grant) (*Token, error) {
	var requested time.Time
	return e.exchangeWith(ctx, g, settingsOf(ctx), &requested)
}

// exchangeWith is Exchange with the given settings. It sets requested to when the last request began, as soon as it
// begins: zero means that none did.
func (e *Endpoint) exchangeWith(ctx context.Context, g Grant, set settings, requested *time.Time) (*Token, error) {
	if err := g.check(e.vendor); err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", e.vendor.name, err)
	}
	f := form{grantType: clientCredentials, scope: strings.Join(g.Scopes, " "), userToken: g.UserToken}
	effect := safe
	if g.RefreshToken != "" {
		f.grantType, f.refreshToken = refreshToken, g.RefreshToken
		effect = rotating
	}
	set.repeat, set.sent = effect, requested
	resp, err := e.send(set.in(ctx), e.exchange, f, g.Params) //nolint:bodyclose // readToken closes it
	if err != nil {
		return nil, err
	}
	return readToken(resp, *requested, g.Scopes)
}

// Hint tells the vendor what kind of token to look for first (RFC 7009, section 2.1).
type Hint string

// The hints of RFC 7009; the empty one is not sent.
const (
	HintNone         Hint = ""
	HintAccessToken  Hint = "access_token"
	HintRefreshToken Hint = "refresh_token"
)

// Revoke asks the vendor to end a token's life (RFC 7009); revoking a refresh token should end that of its access
// tokens too. Success does not tell that the token was alive. Where the vendor has no revocation (ThousandEyes,
// SailPoint) the error is errors.ErrUnsupported.
func (e *Endpoint) Revoke(ctx context.Context, token string, hint Hint) error {
	var err error
	switch {
	case e.revoke == nil:
		err = fmt.Errorf("no revocation: %w", errors.ErrUnsupported)
	case token == "":
		err = errors.New("the token to revoke is empty")
	case hint != HintNone && hint != HintAccessToken && hint != HintRefreshToken:
		err = fmt.Errorf("the hint %q is unknown; use HintAccessToken, HintRefreshToken or none", string(hint))
	}
	if err != nil {
		return fmt.Errorf("tokens: %s: %w", e.vendor.name, err)
	}
	call := settingsOf(ctx).in(ctx)
	call.settings.repeat = safe
	resp, err := e.send(call, e.revoke, form{token: token, hint: string(hint)}, nil)
	if err != nil {
		return err
	}
	discard(resp) // any 2xx is success, and its body says nothing (section 2.2)
	return nil
}

// send authenticates a form and sends it. After invalid_client the credentials are read again, and the form is sent
// once more only if they changed: a secret that was rotated.
func (e *Endpoint) send(ctx context.Context, do send, f form, params url.Values) (*http.Response, error) {
	creds, err := e.credentials(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := do(ctx, e.authenticate(f, creds, params))
	if !errors.Is(err, InvalidClient) {
		return resp, err
	}
	changed, credsErr := e.credentials(ctx)
	if credsErr != nil || changed == creds {
		return resp, err
	}
	return do(ctx, e.authenticate(f, changed, params))
}

func (e *Endpoint) credentials(ctx context.Context) (Credentials, error) {
	if fixed, ok := e.creds.(Credentials); ok {
		return fixed, nil
	}
	creds, err := e.creds.Retrieve(withoutSettings(ctx))
	if err == nil {
		err = creds.check()
	}
	if err != nil {
		return Credentials{}, &credentialsError{e.vendor.name, err}
	}
	return creds, nil
}

// credentialsError is that of a CredentialsProvider; its cause may be an *Error, but not of this endpoint.
type credentialsError struct {
	vendor string
	cause  error
}

func (e *credentialsError) Error() string {
	return "tokens: " + e.vendor + ": credentials: " + e.cause.Error()
}
func (e *credentialsError) Unwrap() error { return e.cause }

// authenticate adds the credentials by the one method that is set (RFC 6749, section 2.3), and what no generated field
// holds.
func (e *Endpoint) authenticate(f form, creds Credentials, params url.Values) *form {
	if e.style == AuthStyleBody {
		f.clientID, f.clientSecret = creds.ClientID, creds.ClientSecret
	}
	f.edit = func(_ context.Context, req *http.Request) error {
		maps.Copy(req.Header, e.header)
		if e.style != AuthStyleBody {
			req.Header.Set("Authorization", e.style.basic(creds))
		}
		if f.token != "" {
			req.Header.Set("Accept", "*/*") // the answer to a revocation has no content that matters
		}
		return appendForm(req, params)
	}
	return &f
}

// appendForm adds fields to a form request.
func appendForm(req *http.Request, params url.Values) error {
	params = maps.Clone(params)
	for name, values := range params {
		if params[name] = slices.DeleteFunc(slices.Clone(values), isEmpty); len(params[name]) == 0 {
			delete(params, name)
		}
	}
	if len(params) == 0 {
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return fmt.Errorf("tokens: reading the form: %w", err)
	}
	form := string(body) + "&" + params.Encode()
	req.ContentLength = int64(len(form))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(form)), nil }
	req.Body, err = req.GetBody()
	return err
}

// checkHeader refuses headers that the SDK sets itself or that cannot be sent.
func checkHeader(h http.Header) error {
	for name, values := range h {
		switch http.CanonicalHeaderKey(name) {
		case "Authorization", "Content-Type", "Content-Length", "Accept":
			return fmt.Errorf("Header: %s is set by the SDK", name)
		}
		for _, value := range values {
			if err := checkHeaderValue(value); err != nil {
				return fmt.Errorf("Header: %s %w", name, err)
			}
		}
	}
	return nil
}

func checkHeaderValue(value string) error {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return errors.New("has a control character")
	}
	return nil
}
