package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

// The provider is asked before each request, with the caller's context but not with what the caller says of its call.
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
	assert.Empty(t, seen, "a constructor asks for no credentials")

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
		assert.Zero(t, got, "a vault's client would obey them")
	}
}

// After a 401 or invalid_client the credentials are read once more; the request is repeated only if they changed.
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

func TestCredentialsAsJSON(t *testing.T) {
	data, err := json.Marshal(Credentials{ClientID: "id"})
	require.NoError(t, err)
	assert.JSONEq(t, `{"ClientID":"[REDACTED]","ClientSecret":""}`, string(data))

	var read Credentials
	require.NoError(t, json.Unmarshal([]byte(`{"ClientID":"id","ClientSecret":"secret"}`), &read), "a configuration can hold them")
	assert.Equal(t, Credentials{ClientID: "id", ClientSecret: "secret"}, read)
}
