package tokens

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestCredentialsAreRequired(t *testing.T) {
	tests := []struct {
		name  string
		creds CredentialsProvider
		want  string
	}{
		{"none", nil, "the credentials are nil; pass Credentials, a CredentialsFunc or a CredentialsFile"},
		{"a nil pointer", (*Credentials)(nil), "the credentials are nil; pass Credentials, a CredentialsFunc or a CredentialsFile"},
		{"a nil function", CredentialsFunc(nil), "the credentials are nil; pass Credentials, a CredentialsFunc or a CredentialsFile"},
		{"no id", Credentials{ClientSecret: "s"}, "ClientID is empty"},
		{"no secret", Credentials{ClientID: "i"}, "ClientSecret is empty"},
	}
	for _, tt := range tests {
		for _, v := range vendorCases {
			t.Run(v.name+"/"+tt.name, func(t *testing.T) {
				e, err := v.make(tt.creds, options{})
				assert.Nil(t, e)
				assert.EqualError(t, err, "tokens: "+v.name+": "+tt.want)
			})
		}
	}
}

// The provider is called before each request, with the caller's context but without per-call settings.
func TestCredentialsFunc(t *testing.T) {
	type key struct{}
	var seen []any
	var settings []settings
	failure := errors.New("vault sealed")
	creds := CredentialsFunc(func(ctx context.Context) (Credentials, error) {
		seen = append(seen, ctx.Value(key{}))
		settings = append(settings, settingsOf(ctx))
		switch len(seen) {
		case 1:
			return testCredentials, nil
		case 2:
			return Credentials{ClientID: "id"}, nil
		}
		return Credentials{}, failure
	})
	s := newScript(reply(200, jsonType, tokenReply))
	e, err := NewMoov(creds, &MoovOptions{HTTPClient: s.client()})
	require.NoError(t, err)
	assert.Empty(t, seen, "a constructor does not call the provider")

	var resp *http.Response
	ctx := WithResponse(WithRetry(context.WithValue(t.Context(), key{}, "mine"), Retry{Attempts: 1}), &resp)
	_, err = e.Exchange(ctx, vendorCases[1].grant)
	require.NoError(t, err)
	require.Len(t, s.requests(), 1)
	assert.Equal(t, 200, resp.StatusCode)

	_, err = e.Exchange(ctx, vendorCases[1].grant)
	require.EqualError(t, err, "tokens: Moov: credentials: ClientSecret is empty")
	err = e.Revoke(ctx, "token", HintNone)
	require.ErrorIs(t, err, failure)
	require.EqualError(t, err, "tokens: Moov: credentials: vault sealed")
	assert.Len(t, s.requests(), 1, "nothing is sent without credentials")
	assert.Equal(t, []any{"mine", "mine", "mine"}, seen)
	for _, got := range settings {
		assert.Zero(t, got, "a vault's client would apply them")
	}
}

// After a 401 or invalid_client the credentials are read again, and the request is sent again only if they have
// changed.
func TestCredentialsAreReadAgain(t *testing.T) {
	refused := reply(401, jsonType, `{"error":"invalid_client"}`)
	granted := reply(200, jsonType, tokenReply)
	rotated := Credentials{ClientID: "client-id", ClientSecret: "next-secret"}
	failure := errors.New("vault sealed")
	tests := []struct {
		name   string
		again  func() (Credentials, error)
		steps  []step
		sends  int
		reads  int
		wanted error
	}{
		{"changed", func() (Credentials, error) { return rotated, nil }, []step{refused, granted}, 2, 2, nil},
		{"changed, refused again", func() (Credentials, error) { return rotated, nil }, []step{refused}, 2, 2, InvalidClient},
		{"unchanged", func() (Credentials, error) { return testCredentials, nil }, []step{refused, granted}, 1, 2, InvalidClient},
		{"not to be had", func() (Credentials, error) { return Credentials{}, failure }, []step{refused, granted}, 1, 2, InvalidClient},
		{"empty", func() (Credentials, error) { return Credentials{}, nil }, []step{refused, granted}, 1, 2, InvalidClient},
		{
			"another error", func() (Credentials, error) { return rotated, nil },
			[]step{reply(400, jsonType, `{"error":"invalid_scope"}`), granted}, 1, 1, InvalidScope,
		},
		{
			"401 without a body", func() (Credentials, error) { return rotated, nil },
			[]step{reply(401, jsonType, ``), granted}, 2, 2, nil,
		},
		{
			"401 with another code", func() (Credentials, error) { return rotated, nil },
			[]step{reply(401, jsonType, `{"error":"unauthorized"}`), granted}, 2, 2, nil,
		},
		{
			"invalid_client with another status", func() (Credentials, error) { return rotated, nil },
			[]step{reply(400, jsonType, `{"error":"invalid_client"}`), granted}, 2, 2, nil,
		},
		{
			"401 without a body, unchanged", func() (Credentials, error) { return testCredentials, nil },
			[]step{reply(401, jsonType, ``), granted}, 1, 2, Status(401),
		},
	}
	for _, tt := range tests {
		for _, op := range []string{"exchange", "revoke"} {
			t.Run(tt.name+"/"+op, func(t *testing.T) {
				reads := 0
				creds := CredentialsFunc(func(context.Context) (Credentials, error) {
					if reads++; reads == 1 {
						return testCredentials, nil
					}
					return tt.again()
				})
				s := newScript(tt.steps...)
				e, err := NewMoov(creds, &MoovOptions{HTTPClient: s.client()})
				require.NoError(t, err)
				if op == "exchange" {
					_, err = e.Exchange(t.Context(), vendorCases[1].grant)
				} else {
					err = e.Revoke(t.Context(), "the-token", HintNone)
				}
				if tt.wanted == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, tt.wanted)
				}
				require.Len(t, s.requests(), tt.sends)
				assert.Equal(t, tt.reads, reads)
				assert.Zero(t, s.leaks())
				if tt.sends == 2 {
					first, second := s.requests()[0], s.requests()[1]
					assert.Equal(t, first.Body, second.Body)
					assert.Equal(t, AuthStyleBasic.basic(testCredentials), first.Header.Get("Authorization"))
					assert.Equal(t, AuthStyleBasic.basic(rotated), second.Header.Get("Authorization"))
				}
			})
		}
	}
}

// The first request may have reached the server, even if the one with the changed credentials is not sent.
func TestARequestCountsWhereTheNextIsNotSent(t *testing.T) {
	s := newScript(reply(401, jsonType, ""))
	reads, sends := 0, 0
	e, err := NewMoov(CredentialsFunc(func(context.Context) (Credentials, error) {
		reads++
		return Credentials{"client-id", fmt.Sprint("secret-", reads)}, nil
	}), &MoovOptions{HTTPClient: s.client()})
	require.NoError(t, err)
	prevented := errors.New("prevented")
	set := settings{attempt: &oneAttempt{beforeSend: func() error {
		if sends++; sends == 2 {
			return prevented
		}
		return nil
	}}}
	var requested time.Time
	_, err = e.exchangeWith(t.Context(), vendorCases[1].grant, set, &requested)
	require.ErrorIs(t, err, prevented)
	assert.Len(t, s.requests(), 1)
	assert.False(t, requested.IsZero())
}

func TestCredentialsInOtherEncodings(t *testing.T) {
	creds := Credentials{ClientID: "CANARY-id", ClientSecret: "CANARY-secret"}
	grant := Grant{RefreshToken: "CANARY", UserToken: "CANARY", Params: url.Values{"assertion": {"CANARY"}}}
	type config struct {
		Credentials Credentials
		Pointer     *Credentials
		Grant       Grant
		Moov        MoovOptions
	}
	v := config{creds, &creds, grant, MoovOptions{BaseURL: "https://api.moov.io", Header: http.Header{"X-Key": {"CANARY"}}}}
	for name, marshal := range map[string]func(any) ([]byte, error){"JSON": json.Marshal, "XML": xml.Marshal, "YAML": yaml.Marshal} {
		data, err := marshal(v)
		require.NoError(t, err, name)
		assert.NotContains(t, string(data), "CANARY", name)
		assert.Contains(t, string(data), "[REDACTED]", name)
		assert.Contains(t, string(data), "tokens.MoovOptions(https://api.moov.io)", name)
	}
	held := struct{ creds *Credentials }{&creds} // as documented
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		assert.NotContains(t, fmt.Sprintf(verb, held), "CANARY", verb)
	}
}

func TestCredentialsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	creds := CredentialsFile("client-id", path)
	s := newScript(reply(200, jsonType, tokenReply))
	e, err := NewSailPoint("acme", creds, &SailPointOptions{HTTPClient: s.client()})
	require.NoError(t, err, "the file is read when it is needed")
	for _, tt := range []struct{ content, want, err string }{
		{"first\n", "first", ""},
		{"\r\n second with spaces \r\n", "second with spaces", ""},
		{"", "", "the file " + path + " is empty"},
		{" \n", "", "the file " + path + " is empty"},
		{"a\nb", "", "ClientSecret has a control character"},
		{strings.Repeat("x", 64<<10), strings.Repeat("x", 64<<10), ""},
		{strings.Repeat("x", 64<<10+1), "", "the file " + path + " is longer than 65536 bytes"},
		{"third", "third", ""},
	} {
		require.NoError(t, os.WriteFile(path, []byte(tt.content), 0o600))
		before := len(s.requests())
		_, err := e.Exchange(t.Context(), Grant{})
		if tt.err != "" {
			require.EqualError(t, err, "tokens: SailPoint acme: credentials: "+tt.err)
			assert.Len(t, s.requests(), before)
			continue
		}
		require.NoError(t, err)
		form, err := url.ParseQuery(s.requests()[before].Body)
		require.NoError(t, err)
		assert.Equal(t, tt.want, form.Get("client_secret"))
		assert.Equal(t, "client-id", form.Get("client_id"))
	}
	require.NoError(t, os.Remove(path))
	_, err = e.Exchange(t.Context(), Grant{})
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, os.Mkdir(path, 0o700))
	_, err = e.Exchange(t.Context(), Grant{})
	var failed *os.PathError
	require.ErrorAs(t, err, &failed, "a directory cannot be read")
	assert.Equal(t, path, failed.Path)
}

// If the secret in the file changes, it is read after the old one was refused, and the request is sent again.
func TestCredentialsFileThatRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	s := newScript(func(req *http.Request) (*http.Response, error) {
		assert.NoError(t, os.WriteFile(path, []byte("new\n"), 0o600))
		return reply(401, "", "")(req)
	}, reply(200, jsonType, tokenReply))
	e, err := NewMoov(CredentialsFile("id", path), &MoovOptions{HTTPClient: s.client()})
	require.NoError(t, err)
	_, err = e.Exchange(t.Context(), vendorCases[1].grant)
	require.NoError(t, err)
	require.Len(t, s.requests(), 2)
	assert.Equal(t, AuthStyleBasic.basic(Credentials{"id", "new"}), s.requests()[1].Header.Get("Authorization"))
}

// Invalid credentials are refused with an error that names the field, in the constructor or when the provider returns
// them.
func TestCredentialsRefused(t *testing.T) {
	for _, tt := range []struct {
		creds Credentials
		want  string
	}{
		{Credentials{"id", "secret\n"}, "ClientSecret ends in a newline"},
		{Credentials{"id", "secret\r\n"}, "ClientSecret ends in a newline"},
		{Credentials{"id", "secret\r"}, "ClientSecret ends in a newline"},
		{Credentials{"id\n", "secret"}, "ClientID ends in a newline"},
		{Credentials{"id", "sec\nret"}, "ClientSecret has a control character"},
		{Credentials{"id", "sec\x00ret"}, "ClientSecret has a control character"},
		{Credentials{"id", "sec\u0085ret"}, "ClientSecret has a control character"},
		{Credentials{"id", "sec\xffret"}, "ClientSecret is not UTF-8"},
		{Credentials{"i\td", "secret"}, "ClientID has a control character"},
	} {
		for _, v := range vendorCases {
			_, err := v.make(tt.creds, options{})
			require.EqualError(t, err, "tokens: "+v.name+": "+tt.want)
			_, err = v.make(&tt.creds, options{})
			require.EqualError(t, err, "tokens: "+v.name+": "+tt.want)
			e, err := v.make(CredentialsFunc(tt.creds.Retrieve), options{})
			require.NoError(t, err)
			_, err = e.Exchange(t.Context(), v.grant)
			require.EqualError(t, err, "tokens: "+v.label+": credentials: "+tt.want)
		}
	}
}

// An error of the provider's OAuth server is not mistaken for one of the token endpoint.
func TestCredentialsErrorsAreTheirOwn(t *testing.T) {
	own := &vaultError{}
	for _, cause := range []error{
		&Error{StatusCode: 400, Code: InvalidGrant}, fmt.Errorf("vault: %w", &Error{StatusCode: 401, Code: InvalidClient}), errors.Join(own, InvalidGrant),
	} {
		creds := CredentialsFunc(func(context.Context) (Credentials, error) { return Credentials{}, cause })
		e, err := NewMoov(creds, &MoovOptions{HTTPClient: newScript().client()})
		require.NoError(t, err)
		_, err = e.Exchange(t.Context(), Grant{RefreshToken: "rt"})
		require.EqualError(t, err, "tokens: Moov: credentials: "+cause.Error())
		for _, code := range standardCodes {
			assert.NotErrorIs(t, err, code)
		}
		assert.NotErrorIs(t, err, Status(400))
		assert.NotErrorIs(t, err, Status(401))
		var e2 *Error
		assert.NotErrorAs(t, err, &e2)
		var vault *vaultError
		assert.Equal(t, errors.As(cause, &vault), errors.As(err, &vault), "other errors are still found")
		assert.Equal(t, errors.Is(cause, own), errors.Is(err, own))
	}
}

type vaultError struct{}

func (*vaultError) Error() string { return "sealed" }

func TestCredentialsAsJSON(t *testing.T) {
	data, err := json.Marshal(Credentials{ClientID: "id"})
	require.NoError(t, err)
	assert.JSONEq(t, `{"ClientID":"[REDACTED]","ClientSecret":""}`, string(data))

	var read Credentials
	require.NoError(t, json.Unmarshal([]byte(`{"ClientID":"id","ClientSecret":"secret"}`), &read), "a configuration file may hold them")
	assert.Equal(t, Credentials{ClientID: "id", ClientSecret: "secret"}, read)
}
