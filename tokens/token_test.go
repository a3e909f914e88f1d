package tokens

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The JSON form of a token is that of golang.org/x/oauth2 plus scopes and extra members, and is lossless.
func TestTokenAsJSON(t *testing.T) {
	token := Token{
		AccessToken: "at", TokenType: "Bearer", RefreshToken: "rt", Scopes: []string{"a", "b"},
		Expiry: time.Date(2030, 1, 2, 3, 4, 5, 600, time.FixedZone("", 3600)),
		Extra:  map[string]json.RawMessage{"id_token": json.RawMessage(`"idt"`), "tenant_id": json.RawMessage(`7`)},
	}
	for _, v := range []any{token, &token} {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		assert.JSONEq(t, `{"access_token":"at","token_type":"Bearer","refresh_token":"rt","scopes":["a","b"],
			"expiry":"2030-01-02T03:04:05.0000006+01:00","extra":{"id_token":"idt","tenant_id":7}}`, string(data))

		var read Token
		require.NoError(t, json.Unmarshal(data, &read))
		assert.True(t, read.Expiry.Equal(token.Expiry))
		read.Expiry = token.Expiry
		assert.Equal(t, token, read)
	}

	data, err := json.Marshal(&Token{AccessToken: "at"})
	require.NoError(t, err)
	assert.JSONEq(t, `{"access_token":"at"}`, string(data))
	data, err = json.Marshal(map[string]Token{"nested": {AccessToken: "at"}})
	require.NoError(t, err)
	assert.JSONEq(t, `{"nested":{"access_token":"at"}}`, string(data))

	var stored Token
	require.NoError(t, json.Unmarshal([]byte(`{"access_token":"at","token_type":"bearer","expiry":"0001-01-01T00:00:00Z","expires_in":3600}`), &stored))
	assert.Equal(t, Token{AccessToken: "at", TokenType: "bearer"}, stored, "a token stored by x/oauth2")
}

// A token prints redacted in every form except JSON.
func TestTokenIsRedacted(t *testing.T) {
	token := Token{
		AccessToken: "CANARY-at", RefreshToken: "CANARY-rt", Extra: map[string]json.RawMessage{"id_token": json.RawMessage(`"CANARY-id"`)},
	}
	type holder struct {
		Token   Token
		Pointer *Token
		List    []Token
	}
	held := holder{token, &token, []Token{token}}
	var out bytes.Buffer
	for _, v := range []any{token, &token, held, &held, []Token{token}, map[string]*Token{"a": &token}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		data, err := yaml.Marshal(v)
		require.NoError(t, err)
		out.Write(data)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("shown", "token", token, "pointer", &token)
	}
	data, err := xml.Marshal(holder{Token: token, Pointer: &token, List: []Token{token}})
	require.NoError(t, err)
	out.Write(data)
	text, err := token.MarshalText()
	require.NoError(t, err)
	out.Write(text)
	require.NotContains(t, out.String(), "CANARY")
	require.NotContains(t, out.String(), hex.EncodeToString([]byte("CANARY")))
	require.Contains(t, out.String(), "id_token", "names are shown")

	out.Reset()
	fmt.Fprintf(&out, "%v %+v %#v", struct{ hidden *Token }{&token}, struct{ hidden *Token }{&token}, struct{ hidden *Token }{&token})
	require.NotContains(t, out.String(), "CANARY")
}

// Values that hold secrets do not show them in an unexported field of a caller's struct, where fmt calls no methods.
func TestUnexportedFieldsShowNoSecrets(t *testing.T) {
	creds := Credentials{ClientID: "CANARY-id", ClientSecret: "CANARY-secret"}
	e, err := NewMoov(creds, &MoovOptions{HTTPClient: &http.Client{Transport: &tokenServer{}}, Header: http.Header{"X-Key": {"CANARY"}}})
	require.NoError(t, err)
	c := newCache(t, e, &CacheOptions{
		Session: "a", Grant: Grant{Params: url.Values{"k": {"CANARY-param"}}},
		Initial: &Token{AccessToken: "CANARY-at", RefreshToken: "CANARY-rt", Expiry: time.Now().Add(time.Hour)},
	})
	app := newCache(t, e, &CacheOptions{Grant: Grant{Scopes: []string{"/a"}, Params: url.Values{"k": {"CANARY-param"}}}})
	access(t, app)
	require.NoError(t, app.waitForQuiet(t.Context()))
	app.Stats() // takes the lock after the last goroutine
	app.keepToRevoke(revocation{"CANARY-rt", HintRefreshToken})
	header := http.Header{"X-Key": {"CANARY"}}
	doer, err := NewDoer(c, &DoerOptions{Header: header})
	require.NoError(t, err)
	client, err := NewClient(c, &DoerOptions{Header: header})
	require.NoError(t, err)
	transport, err := NewTransport(Static("CANARY-at"), apiURL, nil)
	require.NoError(t, err)
	type anyOf struct{ hidden any }
	type sourceOf struct{ hidden Source }
	for name, v := range map[string]any{
		"Static": sourceOf{Static("CANARY-at")}, "Source": sourceOf{c}, "Cache": struct{ hidden *Cache }{c}, "an app's Cache": anyOf{app},
		"Endpoint": struct{ hidden *Endpoint }{e}, "Doer": struct{ hidden Doer }{doer}, "Client": struct{ hidden http.Client }{*client},
		"CredentialsFunc": struct{ hidden CredentialsFunc }{creds.Retrieve}, "Transport": struct{ hidden *Transport }{transport},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
			require.NotContains(t, fmt.Sprintf(verb, v), "CANARY", "%s under %s", name, verb)
			require.NotContains(t, fmt.Sprintf(verb, &v), "CANARY", "%s under %s", name, verb)
		}
	}
}

// Where types with secrets in exported fields print redacted and where they cannot, as the package comment says.
func TestWhatPrintsRedacted(t *testing.T) {
	header := http.Header{"X-Key": {"CANARY"}}
	storage := []string{"Token", "Login"} // whose JSON is for storage
	for name, v := range map[string]any{
		"Credentials": Credentials{"CANARY", "CANARY"}, "Token": Token{AccessToken: "CANARY", RefreshToken: "CANARY"},
		"Grant": Grant{RefreshToken: "CANARY"}, "AuthorizationCode": AuthorizationCode{Code: "CANARY"},
		"Login": Login{State: "CANARY", CodeVerifier: "CANARY"}, "DoerOptions": DoerOptions{Header: header},
		"MoovOptions": MoovOptions{Header: header}, "ThousandEyesOptions": ThousandEyesOptions{Header: header},
		"SailPointOptions": SailPointOptions{Header: header}, "EndpointOptions": EndpointOptions{Header: header},
	} {
		pointer := reflect.New(reflect.TypeOf(v))
		pointer.Elem().Set(reflect.ValueOf(v))
		p := pointer.Interface()
		type hidden struct{ v any }
		type shown struct{ V any }
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
			for _, silent := range []any{
				v, p, shown{v}, shown{p}, &shown{v}, []any{v, p}, map[string]any{"k": v}, hidden{&p}, hidden{[]any{&p}},
			} {
				require.NotContains(t, fmt.Sprintf(verb, silent), "CANARY", "%s as %T under %s", name, silent, verb)
			}
			for _, loud := range []any{hidden{v}, &hidden{v}, hidden{[]any{v}}, hidden{shown{v}}} {
				require.Contains(t, fmt.Sprintf(verb, loud), "CANARY", "%s as %T under %s is redacted; say so in the docs", name, loud, verb)
			}
		}
		for _, pointed := range []any{hidden{p}, &hidden{p}, hidden{[]any{p}}, hidden{map[string]any{"k": p}}, shown{hidden{p}}} {
			for verb, silent := range map[string]bool{"%v": true, "%+v": true, "%#v": true, "%s": false, "%q": false} {
				require.Equal(t, !silent, strings.Contains(fmt.Sprintf(verb, pointed), "CANARY"), "%s as %T under %s", name, pointed, verb)
			}
		}
		for _, value := range []any{v, p, shown{v}, shown{p}} {
			data, err := json.Marshal(value)
			require.NoError(t, err)
			require.Equal(t, slices.Contains(storage, name), strings.Contains(string(data), "CANARY"), "%s as %T in JSON", name, value)
		}
		for _, handler := range []func(io.Writer, *slog.HandlerOptions) slog.Handler{
			func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) },
			func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, o) },
		} {
			var out strings.Builder
			slog.New(handler(&out, nil)).Info("", "value", v, "pointer", p, "hidden", hidden{p})
			require.NotContains(t, out.String(), "CANARY", name)
		}
	}
}

// A lifetime is measured by the monotonic clock within the process, and by the wall clock once stored.
func TestTokenExpiryIsMonotonic(t *testing.T) {
	token, err := exchange(t, newScript(reply(200, jsonType, tokenReply)))
	require.NoError(t, err)
	assert.NotEqual(t, token.Expiry.Round(0), token.Expiry, "no monotonic reading")
	assert.InDelta(t, time.Hour.Seconds(), time.Until(token.Expiry).Seconds(), 60)
}

func TestStatic(t *testing.T) {
	src := Static("at")
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Token{AccessToken: "at", TokenType: "Bearer"}, *token)
	_, invalidates := src.(Invalidator)
	assert.False(t, invalidates, "it cannot be renewed")

	token, err = Static("").Token(t.Context())
	assert.Nil(t, token)
	require.ErrorIs(t, err, ErrNoToken)
	assert.EqualError(t, err, "no access token: tokens: the static access token is empty")
	assert.Equal(t, fmt.Sprint(&Token{AccessToken: "at", TokenType: "Bearer"}), fmt.Sprint(Static("at")))
}

// The status of a token endpoint's response does not apply to the request that needed the token.
func TestNoTokenMatchesACodeAndNoStatus(t *testing.T) {
	cause := &Error{Method: "POST", URL: "https://x/token", StatusCode: 404, Code: InvalidClient}
	for _, err := range []error{noToken(cause), noToken(fmt.Errorf("wrapped: %w", noToken(cause)))} {
		require.ErrorIs(t, err, ErrNoToken)
		require.ErrorIs(t, err, InvalidClient)
		require.NotErrorIs(t, err, Status(404))
		require.NotErrorIs(t, err, ErrLoginRequired)
		e, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		require.Same(t, cause, e)
	}
	err := &noTokenError{kind: ErrLoginRequired, cause: cause}
	require.ErrorIs(t, err, ErrLoginRequired)
	require.EqualError(t, &noTokenError{kind: ErrClosed}, "no access token: closed")
}
