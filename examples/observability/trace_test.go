package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// The canaries. The check finds each in plain form, escaped as in a URL or a form, and as Basic credentials.
const (
	clientSecret = "canary secret/1"
	accessToken  = "canary-access-2"
	refreshToken = "canary-refresh-3"
	assertion    = "canary.assertion.4"
	code         = "canary-code-5"
)

func canaries() []string {
	var all []string
	for _, c := range []string{clientSecret, accessToken, refreshToken, assertion, code} {
		all = append(all, c, url.QueryEscape(c), url.PathEscape(c))
	}
	basic := base64.StdEncoding.EncodeToString([]byte("client:" + url.QueryEscape(clientSecret)))
	return append(all, basic)
}

// text returns everything in a span.
func text(s sdktrace.ReadOnlySpan) string {
	var b strings.Builder
	attributes := func(list []attribute.KeyValue) {
		for _, a := range list {
			fmt.Fprintln(&b, a.Key, a.Value.String())
		}
	}
	fmt.Fprintln(&b, s.Name(), s.Status().Description, s.SpanContext().TraceState())
	attributes(s.Attributes())
	attributes(s.Resource().Attributes())
	for _, e := range s.Events() {
		fmt.Fprintln(&b, e.Name)
		attributes(e.Attributes)
	}
	for _, l := range s.Links() {
		attributes(l.Attributes)
	}
	return b.String()
}

// vendor is a server that receives every secret, and echoes them in its errors. It records the headers of trace
// propagation.
type vendor struct {
	*httptest.Server

	mu         sync.Mutex
	propagated []string
	served     map[string]int
}

func newVendor(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{served: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", v.token)
	mux.HandleFunc("POST /revoke", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /api", func(w http.ResponseWriter, r *http.Request) {
		if v.count("api") == 2 { // the second call is refused at first
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		assert.Equal(t, "Bearer "+accessToken, r.Header.Get("Authorization"))
	})
	mux.HandleFunc("GET /moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/api", http.StatusFound) })
	mux.HandleFunc("GET /away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.example.com/"+accessToken, http.StatusFound)
	})
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		v.propagated = append(v.propagated, fmt.Sprint(r.Header["Traceparent"], r.Header["Tracestate"], r.Header["Baggage"]))
		v.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *vendor) count(what string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.served[what]++
	return v.served[what]
}

// token refuses a code, and issues a token for everything else. A refusal echoes the whole request.
func (v *vendor) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = r.ParseForm()
	if r.PostForm.Has("code") {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":%q}`, r.PostForm.Encode()+" "+r.Header.Get("Authorization"))
		return
	}
	fmt.Fprintf(w, `{"access_token":%q,"refresh_token":%q,"token_type":"Bearer","expires_in":3600}`, accessToken, refreshToken)
}

// No span, event or baggage has a secret: not of token requests with each method of client authentication, of API calls
// with a renewal after a 401, of redirects, of a failed login at a server that echoes the request, of a revocation, or
// of a request to an unreachable server. Errors are recorded as in real programs.
func TestSpansHoldNoSecrets(t *testing.T) {
	v := newVendor(t)
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	httpClient := traced(provider, v.Client().Transport)

	member, err := baggage.NewMember("tenant", "blue")
	require.NoError(t, err)
	bag, err := baggage.New(member)
	require.NoError(t, err)
	within := func(name string, fails bool, do func(context.Context) error) {
		ctx, span := provider.Tracer("test").Start(baggage.ContextWithBaggage(t.Context(), bag), name)
		defer span.End()
		err := do(ctx)
		assert.Equal(t, fails, err != nil, "%s: %v", name, err)
		if err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
			span.SetAttributes(attribute.String("error.value", fmt.Sprintf("%+v", err)))
		}
	}
	endpoint := func(base string, opts tokens.EndpointOptions) *tokens.Endpoint {
		opts.BaseURL, opts.RevocationURL, opts.HTTPClient = base, base+"/revoke", httpClient
		creds := tokens.Credentials{ClientID: "client", ClientSecret: clientSecret}
		if opts.Assertion != nil {
			creds.ClientSecret = ""
		}
		e, err := tokens.NewEndpoint(base+"/token", creds, &opts)
		require.NoError(t, err)
		return e
	}
	asserting := tokens.EndpointOptions{Assertion: func(context.Context, string) (string, error) { return assertion, nil }}
	for name, opts := range map[string]tokens.EndpointOptions{
		"basic": {}, "body": {AuthStyle: tokens.AuthStyleBody}, "assertion": asserting,
	} {
		e := endpoint(v.URL, opts)
		within("token request "+name, false, func(ctx context.Context) error {
			_, err := e.Exchange(ctx, tokens.Grant{})
			return err
		})
		within("refresh "+name, false, func(ctx context.Context) error {
			_, err := e.Exchange(ctx, tokens.Grant{RefreshToken: refreshToken})
			return err
		})
		within("failing login "+name, true, func(ctx context.Context) error {
			_, err := e.Exchange(ctx, tokens.Grant{Code: &tokens.AuthorizationCode{Code: code, RedirectURI: "http://127.0.0.1/callback"}})
			return err
		})
		within("revocation "+name, false, func(ctx context.Context) error { return e.Revoke(ctx, refreshToken, tokens.HintRefreshToken) })
	}

	cache, err := tokens.NewCache(endpoint(v.URL, tokens.EndpointOptions{}), nil)
	require.NoError(t, err)
	client, err := tokens.NewClient(cache, &tokens.DoerOptions{HTTPClient: httpClient})
	require.NoError(t, err)
	doer, err := tokens.NewDoer(cache, &tokens.DoerOptions{HTTPClient: httpClient})
	require.NoError(t, err)
	get := func(do func(*http.Request) (*http.Response, error), path string) func(context.Context) error {
		return func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.URL+path, http.NoBody)
			require.NoError(t, err)
			resp, err := do(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		}
	}
	within("call", false, get(client.Do, "/api"))
	within("call with a renewal", false, get(client.Do, "/api"))
	within("redirect", false, get(client.Do, "/moved"))
	within("redirect to elsewhere", false, get(client.Do, "/away"))
	within("refused redirect", true, get(doer.Do, "/away"))

	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	lost := endpoint(nobody.URL, tokens.EndpointOptions{Retry: tokens.Retry{Attempts: 1}})
	within("no server", true, func(ctx context.Context) error {
		_, err := lost.Exchange(ctx, tokens.Grant{RefreshToken: refreshToken})
		return err
	})

	spans := recorder.Ended()
	require.Greater(t, len(spans), 2*17, "the spans of the program and of its requests")
	for _, s := range spans {
		for _, c := range canaries() {
			assert.NotContains(t, text(s), c, s.Name())
		}
	}
	require.NotEmpty(t, v.propagated)
	for _, p := range v.propagated {
		assert.Contains(t, p, "tenant=blue", "only the program's own baggage is sent")
		for _, c := range canaries() {
			assert.NotContains(t, p, c)
		}
	}
}

// The check above finds what a span of a careless transport would have.
func TestTheCheckFindsSecrets(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	_, span := provider.Tracer("test").Start(t.Context(), "careless")
	span.SetAttributes(attribute.StringSlice("http.request.header.authorization", []string{"Bearer " + accessToken}))
	span.AddEvent("sent", trace.WithAttributes(attribute.String("body", "client_secret="+url.QueryEscape(clientSecret))))
	span.End()
	got := text(recorder.Ended()[0])
	assert.Contains(t, got, accessToken)
	assert.Contains(t, got, url.QueryEscape(clientSecret))
}

// A token request that a call waits for is part of the call's trace; a background renewal has its own trace.
func TestTracesOfTokenRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := sandbox.New(sandbox.NewMoov(&sandbox.MoovOptions{TokenLife: time.Hour}))
		recorder := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
		endpoint, err := tokens.NewMoov(tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
			&tokens.MoovOptions{BaseURL: sb.URL, HTTPClient: traced(provider, sb.HTTPClient().Transport)})
		require.NoError(t, err)
		cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Grant: tokens.Grant{Scopes: []string{"/ping.read"}}})
		require.NoError(t, err)
		within := func() trace.SpanContext {
			ctx, span := provider.Tracer("test").Start(t.Context(), "call")
			defer span.End()
			_, err := cache.Token(ctx)
			require.NoError(t, err)
			synctest.Wait()
			return span.SpanContext()
		}
		first := within()
		pass(57 * time.Minute) // the token is due
		second := within()
		require.NoError(t, cache.Close(t.Context()))

		var requests []sdktrace.ReadOnlySpan
		for _, s := range recorder.Ended() {
			if s.SpanKind() == trace.SpanKindClient {
				requests = append(requests, s)
			}
		}
		require.Len(t, requests, 2)
		assert.Equal(t, first.SpanID(), requests[0].Parent().SpanID())
		assert.False(t, requests[1].Parent().IsValid())
		assert.NotEqual(t, second.TraceID(), requests[1].SpanContext().TraceID())
	})
}
