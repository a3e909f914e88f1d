package tokens

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every secret in these tests contains the word canary, and characters that encodings change.
const (
	canaryID      = "canary-id+/ é&<x>"
	canarySecret  = "canary-secret %2B:\"q\" z"
	canaryAccess  = "canary-access.+/~=="
	canaryRefresh = "canary-refresh+/=&% r"
	canaryUser    = "canary-user+/=&% u"
)

var canaryCredentials = Credentials{ClientID: canaryID, ClientSecret: canarySecret}

// assertSilent prints v in every way that a program might, and checks for canaries.
func assertSilent(t *testing.T, v any) {
	t.Helper()
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%d", "%x", "%T"} {
		texts = append(texts, fmt.Sprintf(verb, v), fmt.Sprintf(verb, []any{v}), fmt.Sprintf(verb, struct{ V any }{v}))
	}
	var b strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		logger := slog.New(handler).With("with", v).WithGroup("group")
		logger.Info("message", "value", v, slog.Group("nested", "value", v))
		_, isToken := v.(*Token)
		_, isLogin := v.(*Login)
		if !isToken && !isLogin { // their JSON is for storage, as documented
			logger.Info("message", "values", []any{v}, "struct", struct{ V any }{v})
		}
	}
	texts = append(texts, b.String())
	func() {
		defer func() { texts = append(texts, fmt.Sprintf("panic: %v %+v", v, recover())) }()
		panic(v)
	}()
	if m, ok := v.(interface{ MarshalYAML() (any, error) }); ok {
		value, err := m.MarshalYAML()
		require.NoError(t, err)
		assert.NotEmpty(t, value)
		texts = append(texts, fmt.Sprint(value))
	}
	if err, ok := v.(error); ok {
		texts = append(texts, chain(err)...)
		texts = append(texts, fmt.Errorf("wrapped: %w", err).Error(), errors.Join(err, err).Error())
	}
	assertNoCanary(t, strings.Join(texts, "\n"))
}

// assertNoCanary checks for canaries in plain, hexadecimal, base64 and form encoding.
func assertNoCanary(t *testing.T, text string) {
	t.Helper()
	encodings := []string{
		"canary", fmt.Sprintf("%x", "canary"), fmt.Sprintf("%X", "canary"),
		AuthStyleBasic.basic(canaryCredentials)[6:], AuthStyleBasicUnencoded.basic(canaryCredentials)[6:],
		base64.StdEncoding.EncodeToString([]byte(canaryID))[:12], base64.StdEncoding.EncodeToString([]byte(canarySecret))[:12],
	}
	for _, encoding := range encodings {
		if i := strings.Index(text, encoding); i >= 0 {
			assert.Failf(t, "a secret is shown", "%q in ...%s...", encoding, text[max(0, i-60):min(len(text), i+100)])
		}
	}
}

// chain returns the texts of all errors that err wraps.
func chain(err error) (texts []string) {
	if err == nil {
		return nil
	}
	texts = append(texts, err.Error(), fmt.Sprintf("%v %+v %#v %q", err, err, err, err))
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		texts = append(texts, chain(u.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			texts = append(texts, chain(e)...)
		}
	}
	return texts
}

// Values that hold secrets do not print them.
func TestCanaryValues(t *testing.T) {
	token := Token{AccessToken: canaryAccess, TokenType: "Bearer", RefreshToken: canaryRefresh, Expiry: start}
	grant := Grant{RefreshToken: canaryRefresh, UserToken: canaryUser, Params: url.Values{"assertion": {"canary"}}}
	fromFunc, err := CredentialsFunc(func(context.Context) (Credentials, error) { return canaryCredentials, nil }).Retrieve(t.Context())
	require.NoError(t, err)
	values := map[string]any{
		"Credentials":       canaryCredentials,
		"*Credentials":      &canaryCredentials,
		"CredentialsFunc's": fromFunc,
		"CredentialsFunc":   CredentialsFunc(canaryCredentials.Retrieve),
		"Grant":             grant,
		"*Grant":            &grant,
		"*Token":            &token,
		"Static":            Static(canaryAccess),
		"*Error":            &Error{Method: "GET", URL: "https://x", Body: []byte("canary")},
		"Error":             Error{Method: "GET", URL: "https://x", Body: []byte("canary")},
	}
	header := http.Header{"X-Gateway-Key": {"canary"}, "Cookie": {"canary"}}
	maps.Copy(values, map[string]any{
		"MoovOptions": MoovOptions{Header: header}, "*MoovOptions": &MoovOptions{Header: header},
		"ThousandEyesOptions": ThousandEyesOptions{Header: header}, "SailPointOptions": SailPointOptions{Header: header},
		"EndpointOptions": EndpointOptions{Header: header, BaseURL: "https://u:canary@x?canary"}, "*EndpointOptions": &EndpointOptions{Header: header},
		"AuthorizationCode": AuthorizationCode{Code: "canary", CodeVerifier: "canary"}, "*AuthorizationCode": &AuthorizationCode{Code: "canary"},
		"Grant with a code": Grant{Code: &AuthorizationCode{Code: "canary"}}, "*Login": &Login{State: "canary", CodeVerifier: "canary"},
	})
	for _, v := range vendorCases {
		e, err := v.make(canaryCredentials, options{header: header})
		require.NoError(t, err)
		values["*Endpoint of "+v.name] = e
	}
	for name, src := range map[string]Source{"Static": Static(canaryAccess), "a struct": plainSource{canaryAccess}} {
		d, err := NewDoer(src, &DoerOptions{BaseURL: apiURL})
		require.NoError(t, err)
		transport, err := NewTransport(src, apiURL, nil)
		require.NoError(t, err)
		values["Doer over "+name], values["*Doer over "+name] = d, &d
		values["*Transport over "+name] = transport
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) { assertSilent(t, v) })
	}
	t.Run("a Token that shows only as JSON", func(t *testing.T) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s"} {
			assertNoCanary(t, fmt.Sprintf(verb, token))
			assertNoCanary(t, fmt.Sprintf(verb, struct{ Token Token }{token}))
		}
		var b strings.Builder
		slog.New(slog.NewJSONHandler(&b, nil)).Info("", "token", token, "pointer", &token)
		slog.New(slog.NewTextHandler(&b, nil)).Info("", "token", token, "pointer", &token, "nested", struct{ Token Token }{token})
		assertNoCanary(t, b.String())
	})
}

// The caller's Params and Header are in no error, whether the server or the transport echoes them.
func TestCanaryParamsAndHeaders(t *testing.T) {
	const canary = "canary+/ é&<x>"
	params := url.Values{"audience": {"aud-one", "aud-two"}, "requested_token_type": {"urn:type"}}
	for _, name := range []string{"subject_token", "actor_token", "assertion", "device_code", "api_key", "otherSecret"} {
		params.Set(name, canary+name)
	}
	header := http.Header{"X-Trace": {"trace-1"}}
	for _, name := range []string{"X-Api-Key", "ocp-apim-subscription-key", "X-Auth-Token"} {
		header[name] = []string{"canary." + name}
	}
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	jar.SetCookies(&url.URL{Scheme: "https", Host: "auth.example.com"}, []*http.Cookie{{Name: "session", Value: "canary.cookie"}})
	said := func(req *http.Request) string {
		var b strings.Builder
		for _, values := range params {
			fmt.Fprint(&b, " ", values[0], " ", url.QueryEscape(values[0]))
		}
		for name := range header {
			fmt.Fprint(&b, " ", req.Header.Get(name))
		}
		fmt.Fprint(&b, " ", req.Header.Get("Cookie"))
		return b.String()
	}
	for name, step := range map[string]step{
		"the server repeats it": func(req *http.Request) (*http.Response, error) {
			data, err := json.Marshal(map[string]string{"error": "invalid_request", "error_description": said(req)})
			require.NoError(t, err)
			return reply(400, jsonType, string(data), "X-Request-Id", said(req))(req)
		},
		"the transport repeats it": func(req *http.Request) (*http.Response, error) {
			return nil, errors.New("cannot send " + said(req))
		},
	} {
		client := newScript(step).client()
		client.Jar = jar
		e, err := NewEndpoint(tokenURL, canaryCredentials, &EndpointOptions{HTTPClient: client, Header: header, Retry: Retry{Attempts: 1}})
		require.NoError(t, err)
		_, exchangeErr := e.Exchange(t.Context(), Grant{Type: "urn:ietf:params:oauth:grant-type:token-exchange", Params: params})
		d, err := NewDoer(nil, &DoerOptions{BaseURL: "https://auth.example.com", HTTPClient: client, Header: header, Retry: Retry{Attempts: 1}})
		require.NoError(t, err)
		req := newRequest(t, http.MethodPost, tokenURL, params.Encode())
		_, doerErr := d.Do(req)
		for _, err := range []error{exchangeErr, doerErr} {
			require.Error(t, err, name)
			require.Contains(t, err.Error(), "[REDACTED]")
			assertSilent(t, err)
		}
	}
}

// plainSource is a simple Source of a user that does not redact anything.
type plainSource struct{ token string }

func (s plainSource) Token(context.Context) (*Token, error) { return &Token{AccessToken: s.token}, nil }

// echoes are responses of a server that echoes the request and adds secrets in unexpected places.
func echoes(status int) map[string]step {
	form := func(req *http.Request) string {
		body, _ := req.GetBody()
		data, _ := io.ReadAll(body)
		values, _ := url.ParseQuery(string(data))
		var b strings.Builder
		b.Write(data)
		for name, v := range values {
			fmt.Fprintf(&b, " %s=%s", name, v)
		}
		id, secret, _ := req.BasicAuth()
		plainID, _ := url.QueryUnescape(id)
		plainSecret, _ := url.QueryUnescape(secret)
		fmt.Fprintf(&b, " %s %s %s %s %s", req.Header.Get("Authorization"), id, secret, plainID, plainSecret)
		return b.String()
	}
	respond := func(mediaType, body string) step {
		return func(req *http.Request) (*http.Response, error) {
			said := form(req)
			quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(said)
			text := strings.NewReplacer("{quoted}", quoted, "{said}", said).Replace(body)
			return reply(status, mediaType, text, "X-Request-Id", "id "+said, "Set-Cookie", "canary", "X-Canary", "canary",
				"Www-Authenticate", `Bearer error="`+quoted+`", error_description="`+quoted+`"`)(req)
		}
	}
	return map[string]step{
		"RFC 6749":          respond(jsonType, `{"error":"{quoted}","error_description":"{quoted}","canary":"canary"}`),
		"one word":          respond(jsonType, `{"error":"invalid_request","error_description":"bad: {quoted}","access_token":"canary"}`),
		"RFC 9457":          respond("application/problem+json", `{"type":"https://x/`+url.PathEscape(canaryID)+`","title":"{quoted}","detail":"{quoted}","instance":"canary"}`),
		"ThousandEyes":      respond(jsonType, `{"errors":[{"field":"{quoted}","code":"{quoted}","message":"{quoted}","value":"canary"},"{quoted}"],"httpStatus":"{quoted}"}`),
		"Moov":              respond(jsonType, `{"refresh_token":"{quoted}","token":"{quoted} is bad","scope":"{quoted}","secret":"canary"}`),
		"SailPoint":         respond(jsonType, `{"detailCode":"{quoted}","trackingId":"{quoted}","messages":[{"text":"{quoted}"}],"causes":[{"text":"{quoted}"}]}`),
		"SailPoint 429":     respond(jsonType, `{"message":"{quoted}"}`),
		"plain text":        respond("text/plain", "{said}"),
		"plain text, long":  respond("text/plain", strings.Repeat("x", 150)+"{said}"),
		"text of no type":   respond("", "{said}"),
		"HTML":              respond("text/html", "<p>{said} canary</p>"),
		"JSON of no object": respond("", `["canary"]`),
		"cut JSON":          respond("", `{"canary":"canary`),
		"a JSON string":     respond(jsonType, `"{quoted}"`),
		"nothing":           respond("", ""),
	}
}

// No failed response shows secrets of the request, for every vendor, grant and style.
func TestCanaryResponses(t *testing.T) {
	t.Parallel()
	exchange := func(g Grant) func(context.Context, *Endpoint) error {
		return func(ctx context.Context, e *Endpoint) error {
			_, err := e.Exchange(ctx, g)
			return err
		}
	}
	anew, refresh := exchange(Grant{Scopes: []string{"a"}}), exchange(Grant{RefreshToken: canaryRefresh})
	operations := map[string]map[string]func(context.Context, *Endpoint) error{
		"ThousandEyes": {"client_credentials": anew, "on behalf": exchange(Grant{UserToken: canaryUser})},
		"SailPoint":    {"client_credentials": anew, "refresh": refresh},
		"Moov": {"client_credentials": anew, "refresh": refresh, "revoke": func(ctx context.Context, e *Endpoint) error {
			return e.Revoke(ctx, canaryAccess, HintAccessToken)
		}},
	}
	for _, v := range vendorCases {
		for op, call := range operations[v.name] {
			for _, style := range []AuthStyle{AuthStyleBasic, AuthStyleBasicUnencoded, AuthStyleBody} {
				for _, status := range []int{200, 400, 422, 503} {
					if op == "revoke" && status == 200 {
						continue // a success
					}
					for name, step := range echoes(status) {
						t.Run(fmt.Sprint(v.name, "/", op, style, "/", status, " ", name), func(t *testing.T) {
							var log strings.Builder
							s := newScript(step)
							e, err := v.make(canaryCredentials, options{client: s.client()})
							require.NoError(t, err)
							e.style = style
							ctx := settings{logger: slog.New(slog.NewJSONHandler(&log, nil))}.in(t.Context())
							synctest.Test(t, func(t *testing.T) { err = call(withBubble(ctx, t), e) })
							var failed *Error
							require.ErrorAs(t, err, &failed)
							assertSilent(t, err)
							assertNoCanary(t, fmt.Sprintf("%+v %+v", *failed, failed.Fields))
							assertNoCanary(t, log.String())
						})
					}
				}
			}
		}
	}
}

// withBubble returns the context of a bubble with the values of another context.
func withBubble(values context.Context, t *testing.T) context.Context {
	return context.WithValue(t.Context(), callKey{}, values.Value(callKey{}))
}

// A failure without a response shows no secrets either, and neither does an incomplete response.
func TestCanaryTransportFailures(t *testing.T) {
	steps := map[string]step{
		"refused": withoutResponse(errRefused),
		"a client beneath": func(req *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("gateway: %w", &url.Error{Op: "Post", URL: req.URL.String(), Err: io.EOF})
		},
		"quoting the body": func(req *http.Request) (*http.Response, error) {
			body, _ := req.GetBody()
			data, _ := io.ReadAll(body)
			return nil, fmt.Errorf("cannot send %s with %s", data, req.Header.Get("Authorization"))
		},
		"cut": streamed(jsonType, func(context.Context) io.Reader {
			return io.MultiReader(strings.NewReader(`{"access_token":"canary`), brokenReader{io.ErrUnexpectedEOF})
		}),
		"too long":      reply(200, jsonType, `{"access_token":"canary`+strings.Repeat("canary", 1<<18)+`"}`),
		"time is up":    after(time.Hour, reply(200, "", "")),
		"a bad address": reply(307, "", "", "Location", "https://a b/"),
	}
	for name, step := range steps {
		for _, style := range []AuthStyle{AuthStyleBasic, AuthStyleBody} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e, err := NewMoov(canaryCredentials, &MoovOptions{HTTPClient: newScript(step).client(), AuthStyle: style})
					require.NoError(t, err)
					_, err = e.Exchange(t.Context(), Grant{RefreshToken: canaryRefresh})
					require.Error(t, err)
					assertSilent(t, err)
				})
			})
		}
	}
}

// At an API, the secrets are the token, the URL's user and query, and the headers and bodies of request and response.
func TestCanaryAPICalls(t *testing.T) {
	echo := func(status int, mediaType string) step {
		return func(req *http.Request) (*http.Response, error) {
			said := req.Header.Get("Authorization") + " " + req.URL.RawQuery
			body := `{"error":"no","message":"` + said + `","secret":"canary"}`
			if mediaType != jsonType {
				body = said
			}
			return reply(status, mediaType, body, "X-Request-Id", said, "Retry-After", said)(req)
		}
	}
	token := strings.TrimRight(canaryAccess, "=")
	sources := map[string]Source{
		"Static":    Static(token),
		"renewable": tokensNamed(token, token+"2"),
		"unusable":  Static(token + "\n"),
		"of another type": sourceFunc(func(context.Context) (*Token, error) {
			return &Token{AccessToken: token, TokenType: "DPoP"}, nil
		}),
		"failing": sourceFunc(func(ctx context.Context) (*Token, error) {
			e, err := NewThousandEyes(canaryCredentials, &ThousandEyesOptions{HTTPClient: newScript(echoes(401)["RFC 6749"]).client()})
			if err != nil {
				return nil, err
			}
			return e.Exchange(ctx, Grant{UserToken: canaryUser})
		}),
	}
	for name, src := range sources {
		for _, status := range []int{200, 302, 401, 503} {
			for _, mediaType := range []string{jsonType, "text/plain", "text/html"} {
				t.Run(fmt.Sprint(name, status, mediaType), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						var log strings.Builder
						d, err := NewDoer(src, &DoerOptions{
							BaseURL:    apiURL,
							HTTPClient: newScript(echo(status, mediaType)).client(),
							Logger:     slog.New(slog.NewTextHandler(&log, nil)),
						})
						require.NoError(t, err)
						var got *http.Response
						req := newRequest(t, http.MethodGet, apiURL+"/x?filters=canary+query#canary", "")
						req.Header.Set("X-Canary", "canary")
						resp, err := d.Do(req.WithContext(WithResponse(t.Context(), &got)))
						if err == nil {
							err = DecodeResponse(resp, &struct {
								Message int `json:"message"`
							}{})
						}
						require.Error(t, err)
						assertSilent(t, err)
						assertNoCanary(t, log.String())
					})
				})
			}
		}
	}
}

// If a client's id or secret is an ordinary word, the vendor's codes stay readable.
func TestCanaryHidingKeepsCodes(t *testing.T) {
	for _, code := range standardCodes {
		s := newScript(reply(401, jsonType, `{"error":"`+string(code)+`","error_description":"client unknown"}`))
		e, err := NewMoov(Credentials{ClientID: "client", ClientSecret: "invalid"}, &MoovOptions{HTTPClient: s.client()})
		require.NoError(t, err)
		_, err = e.Exchange(t.Context(), vendorCases[1].grant)
		require.ErrorIs(t, err, code)
		assert.ErrorContains(t, err, "[REDACTED] unknown")
	}
}

// A secret in an Authorization header is found in its plain form. One that is sent as it is need not be a valid form.
func TestCanaryInBasic(t *testing.T) {
	for style, secret := range map[AuthStyle]string{AuthStyleBasic: "100% canary/+1", AuthStyleBasicUnencoded: "100%-canary-100%"} {
		creds := Credentials{ClientID: "client-id", ClientSecret: secret}
		s := newScript(reply(400, jsonType, `{"error":"invalid_client","error_description":"not `+secret+`"}`))
		e, err := NewEndpoint("https://auth.example.com/token", creds, &EndpointOptions{HTTPClient: s.client(), AuthStyle: style})
		require.NoError(t, err)
		_, err = e.Exchange(t.Context(), Grant{})
		require.ErrorContains(t, err, "not [REDACTED]")
		assert.NotContains(t, err.Error(), "canary")
	}
}

// A secret that begins with another secret is redacted as a whole.
func TestCanaryWithinCanary(t *testing.T) {
	for _, style := range []AuthStyle{AuthStyleBasic, AuthStyleBody} {
		s := newScript(reply(400, "text/plain", "bad pair: acme / acme-canary"))
		e, err := NewMoov(Credentials{ClientID: "acme", ClientSecret: "acme-canary"}, &MoovOptions{HTTPClient: s.client(), AuthStyle: style})
		require.NoError(t, err)
		_, err = e.Exchange(t.Context(), vendorCases[1].grant)
		require.ErrorContains(t, err, "bad pair: [REDACTED] / [REDACTED]")
		assertSilent(t, err)
	}
}

// JSON requests, which users send with the generated clients, are searched for secrets like forms.
func TestCanaryJSONRequest(t *testing.T) {
	req := newRequest(t, http.MethodPost, apiURL, "x")
	req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("the body is gone") }
	require.ErrorIs(t, NewError(&http.Response{StatusCode: http.StatusBadRequest, Request: req}, nil, nil), Status(400))

	s := newScript(reply(400, jsonType, `{"error":"invalid_request","error_description":"what is canary-secret?"}`))
	_, err := doerOver(t, s, nil).Do(newRequest(t, http.MethodPost, apiURL, `{"client_secret":"canary-secret","token":5}`))
	require.ErrorIs(t, err, InvalidRequest)
	assertSilent(t, err)
}

// Only whole values are redacted, not parts of words: a client called "server" can read server_error.
func TestHidingLeavesWordsAlone(t *testing.T) {
	for _, tt := range []struct{ secret, text, want string }{
		{"server", "server_error of the server, servers", "server_error of the [REDACTED], servers"},
		{"grant", "invalid_grant grants", "invalid_grant grants"},
		{"grant", "grant", "[REDACTED]"},
		{"grant", "grantgrant grant", "grantgrant [REDACTED]"},
		{"+ab+", "x+ab+y", "x[REDACTED]y"},
		{"s3cr3t-of-16-byte", "words3cr3t-of-16-byteword", "word[REDACTED]word"},
		{"é-é-", "é-é-é", "[REDACTED]é"},
		{"server", "Àserver", "Àserver"}, // À ends in 0x80
		{"server", "aserver zserver Aserver Zserver 0server 9server _server", "aserver zserver Aserver Zserver 0server 9server _server"},
		{"server", "`server {server @server [server /server :server", "`[REDACTED] {[REDACTED] @[REDACTED] [[REDACTED] /[REDACTED] :[REDACTED]"},
	} {
		assert.Equal(t, tt.want, withoutSecrets(tt.text, []string{tt.secret}), tt.text)
	}

	s := newScript(reply(400, jsonType, `{"error":"server_fault","error_description":"the server failed"}`))
	e, err := NewMoov(Credentials{ClientID: "server", ClientSecret: "fault"}, &MoovOptions{HTTPClient: s.client()})
	require.NoError(t, err)
	_, err = e.Exchange(t.Context(), vendorCases[1].grant)
	require.ErrorIs(t, err, Code("server_fault"))
	assert.ErrorContains(t, err, "server_fault: the [REDACTED] failed")
}

// A server may echo a secret in any encoding.
func TestHidingInEncodings(t *testing.T) {
	const secret = `canary+/é "<&`
	lower := strings.NewReplacer("%2B", "%2b", "%2F", "%2f", "%C3%A9", "%c3%a9", "%3C", "%3c").Replace(url.QueryEscape(secret))
	for _, echoed := range []string{
		secret, url.QueryEscape(secret), lower, url.PathEscape(secret), strings.ReplaceAll(url.QueryEscape(secret), "+", "%20"),
		`canary+/é \"<&`, `canary+/é \"\u003c\u0026`, `canary+/é &#34;&lt;&amp;`,
	} {
		s := newScript(reply(400, "text/plain", "what is "+echoed+"?"))
		e, err := NewMoov(Credentials{ClientID: "id", ClientSecret: secret}, &MoovOptions{HTTPClient: s.client(), AuthStyle: AuthStyleBody})
		require.NoError(t, err)
		_, err = e.Exchange(t.Context(), vendorCases[1].grant)
		require.EqualError(t, err, "POST https://api.moov.io/oauth2/token: 400 Bad Request: what is [REDACTED]?")
	}
}

// net/http quotes a proxy address that it cannot parse, including its password.
func TestHidingOfProxies(t *testing.T) {
	for _, cause := range []error{
		errors.New(`invalid proxy address "http://user:canary/x@proxy:3128": parse "http://user:canary/x@proxy:3128": invalid port ":canary" after host`),
		errors.New(`proxyconnect tcp: dial http://user:canary@proxy:3128: refused`),
		&url.Error{Op: "Post", URL: "https://x?canary", Err: &url.Error{Op: "parse", URL: "http://user:canary@a b", Err: io.EOF}},
	} {
		err := failure(newRequest(t, http.MethodPost, apiURL, ""), cause)
		assertSilent(t, err)
		if errors.Is(cause, io.EOF) {
			assert.ErrorIs(t, err, io.EOF)
		}
	}
}

// Codes are cleaned like all other texts of a server.
func TestCodesAreCleaned(t *testing.T) {
	e := failed(t, reply(400, jsonType, `{"error":"odd\u001b[31m_code\n"}`))
	assert.Equal(t, Code("odd [31m_code"), e.Code)
	e = failed(t, reply(400, jsonType, `{"error":"`+strings.Repeat("x", 5000)+`"}`))
	assert.Len(t, string(e.Code), maxText+len("..."))
}
