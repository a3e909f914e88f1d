package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// basicVector is a client and its Authorization headers in the two Basic styles. Both headers are empty if the client
// must be refused, because its id or secret is empty.
type basicVector struct{ ID, Secret, Basic, Unencoded string }

func basicVectors(t *testing.T) []basicVector {
	t.Helper()
	data, err := os.ReadFile("testdata/basic_vectors.json")
	require.NoError(t, err)
	var vectors []basicVector
	require.NoError(t, json.Unmarshal(data, &vectors))
	require.NotEmpty(t, vectors)
	return vectors
}

// Each style uses only its own method, with each vector, at each endpoint (RFC 6749, section 2.3.1).
func TestAuthStyles(t *testing.T) {
	revoke := func(e *Endpoint) error { return e.Revoke(t.Context(), "the-token", HintNone) }
	exchange := func(g Grant) func(*Endpoint) error {
		return func(e *Endpoint) error {
			_, err := e.Exchange(t.Context(), g)
			return err
		}
	}
	thousandEyes, moov, sailPoint := vendorCases[0], vendorCases[1], vendorCases[2]
	operations := []struct {
		name   string
		vendor vendorCase
		call   func(*Endpoint) error
	}{
		{"ThousandEyes token", thousandEyes, exchange(thousandEyes.grant)},
		{"Moov token", moov, exchange(moov.grant)},
		{"Moov refresh", moov, exchange(Grant{RefreshToken: "rt"})},
		{"Moov revoke", moov, revoke},
		{"SailPoint token", sailPoint, exchange(sailPoint.grant)},
		{"SailPoint refresh", sailPoint, exchange(Grant{RefreshToken: "rt"})},
	}
	styles := map[AuthStyle]func(basicVector) string{
		AuthStyleBasic:          func(v basicVector) string { return v.Basic },
		AuthStyleBasicUnencoded: func(v basicVector) string { return v.Unencoded },
		AuthStyleBody:           nil,
	}
	for _, op := range operations {
		for style, header := range styles {
			for _, vector := range basicVectors(t) {
				name := op.name + "/" + strconv.Itoa(int(style)) + "/" + vector.ID + ":" + vector.Secret
				t.Run(name, func(t *testing.T) {
					s := newScript(reply(200, jsonType, tokenReply))
					creds := Credentials{ClientID: vector.ID, ClientSecret: vector.Secret}

					if vector.Basic == "" {
						_, err := op.vendor.make(creds, options{client: s.client(), style: style})
						require.ErrorContains(t, err, "is empty")
						e, err := op.vendor.make(CredentialsFunc(creds.Retrieve), options{client: s.client(), style: style})
						require.NoError(t, err)
						require.ErrorContains(t, op.call(e), "is empty")
						assert.Empty(t, s.requests())
						return
					}

					e, err := op.vendor.make(creds, options{client: s.client(), style: style})
					require.NoError(t, err)
					require.NoError(t, op.call(e))
					sent := s.only(t)
					form, err := url.ParseQuery(sent.Body)
					require.NoError(t, err)
					if header == nil {
						assert.NotContains(t, sent.Header, "Authorization")
						assert.Equal(t, []string{vector.ID}, form["client_id"])
						assert.Equal(t, []string{vector.Secret}, form["client_secret"])
					} else {
						assert.Equal(t, []string{header(vector)}, sent.Header["Authorization"])
						assert.NotContains(t, form, "client_id")
						assert.NotContains(t, form, "client_secret")
					}
					assert.NotContains(t, sent.URL, "?", "credentials are never part of the URL")
				})
			}
		}
	}
}

func TestAuthStyleDefaults(t *testing.T) {
	for _, v := range vendorCases {
		t.Run(v.name, func(t *testing.T) {
			s := newScript(reply(200, jsonType, tokenReply))
			_, err := v.endpoint(t, s).Exchange(t.Context(), v.grant)
			require.NoError(t, err)
			sent := s.only(t)
			assert.Equal(t, v.style == AuthStyleBody, sent.Header["Authorization"] == nil)
		})
	}
}

// No other style is tried: a refusal is final while the credentials stay the same.
func TestAuthStyleIsNeverProbed(t *testing.T) {
	for _, v := range vendorCases {
		t.Run(v.name, func(t *testing.T) {
			s := newScript(reply(401, jsonType, `{"error":"invalid_client"}`))
			e, err := v.make(testCredentials, options{client: s.client()})
			require.NoError(t, err)
			_, err = e.Exchange(t.Context(), v.grant)
			require.ErrorIs(t, err, InvalidClient)
			require.ErrorIs(t, err, Status(http.StatusUnauthorized))
			s.only(t)
		})
	}
}

// An assertion that fails is not retried, whatever its error looks like: nothing was sent.
func TestAssertionThatFailsLikeAConnection(t *testing.T) {
	asked := 0
	s := newScript(reply(200, jsonType, tokenReply))
	e, err := NewEndpoint(tokenURL, Credentials{ClientID: "client-id"}, &EndpointOptions{
		HTTPClient: s.client(), Retry: quick,
		Assertion: func(context.Context, string) (string, error) { asked++; return "", io.ErrUnexpectedEOF },
	})
	require.NoError(t, err)
	_, err = e.Exchange(t.Context(), Grant{})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, 1, asked)
	assert.Empty(t, s.requests())
}

func TestAssertionOverDefaultTransport(t *testing.T) {
	addr := listenHTTP(t, func(req *http.Request) string {
		assert.Equal(t, "the-assertion", req.PostFormValue("client_assertion"))
		return "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
	})
	e, err := NewEndpoint("http://"+addr.String(), Credentials{ClientID: "client-id"}, &EndpointOptions{
		Assertion: func(context.Context, string) (string, error) { return "the-assertion", nil },
	})
	require.NoError(t, err)
	_, err = e.Exchange(t.Context(), Grant{})
	require.ErrorIs(t, err, Status(400))
}

// Nothing is sent if the form of the request cannot be read, or if there is no assertion.
func TestAssertionThatCannotBeSent(t *testing.T) {
	s := newScript(reply(200, jsonType, tokenReply))
	transport := &assertionTransport{base: s, assert: func(context.Context, string) (string, error) { return "the-assertion", nil }}
	broken := errors.New("broken")
	body := &countedBody{Reader: io.NopCloser(brokenReader{broken})}
	req := newRequest(t, http.MethodPost, tokenURL, "")
	req.Body = body
	_, err := transport.RoundTrip(req)
	require.ErrorIs(t, err, broken)
	assert.Empty(t, s.requests())
	assert.Equal(t, 1, body.closed())

	body = &countedBody{Reader: strings.NewReader("grant_type=client_credentials")}
	req.Body = body
	transport.assert = func(context.Context, string) (string, error) { return "", broken }
	_, err = transport.RoundTrip(req)
	require.ErrorIs(t, err, broken)
	assert.Empty(t, s.requests())
	assert.Equal(t, 1, body.closed())
}

// A transport that returns neither a response nor an error causes no panic under an Assertion.
func TestAssertionOverAWrongTransport(t *testing.T) {
	e, err := NewEndpoint(tokenURL, Credentials{ClientID: "id"}, &EndpointOptions{
		Assertion:  func(context.Context, string) (string, error) { return "the-assertion", nil },
		HTTPClient: &http.Client{Transport: roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, nil })}, //nolint:nilnil // a broken transport
	})
	require.NoError(t, err)
	_, err = e.Exchange(t.Context(), Grant{})
	require.ErrorContains(t, err, "returned neither a response nor an error")
}

func TestAuthStyleUnknown(t *testing.T) {
	for _, v := range vendorCases {
		for _, style := range []AuthStyle{-1, authStyleAssertion, 99} {
			e, err := v.make(testCredentials, options{style: style})
			assert.Nil(t, e)
			assert.EqualError(t, err, "tokens: "+v.name+": AuthStyle "+strconv.Itoa(int(style))+
				" is unknown; use AuthStyleBasic, AuthStyleBasicUnencoded, AuthStyleBody or AuthStyleNone")
			assert.NotErrorIs(t, err, errors.ErrUnsupported)
		}
	}
}
