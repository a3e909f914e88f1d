package oauthclients_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/tokens"
)

func TestNewSailPointBadInput(t *testing.T) {
	src := tokens.Static("access-token")
	for _, tt := range []struct {
		name, origin string
		src          tokens.Source
		opts         *oauthclients.SailPointOptions
		want         string
	}{
		{"no source", origin, nil, nil, "the token source is nil"},
		{"no origin", "", src, nil, "BaseURL is empty"},
		{"no scheme", "tenant.api.identitynow.com", src, nil, "the base URL"},
		{"not a URL", "https://[::1", src, nil, "the base URL"},
		{"http", "http://tenant.api.identitynow.com", src, nil, "the base URL"},
		{"beta in the origin", origin + "/beta", src, nil, "the origin has the path /beta"},
		{"v3 in the origin", origin + "/v3/", src, nil, "the origin has the path /v3/"},
		{"v2026 in the origin", origin + "/v2026", src, nil, "the origin has the path /v2026"},
		{"the collection in the origin", origin + "/oauth-clients/v1", src, nil, "the origin has the path /oauth-clients/v1"},
		{"unknown version", origin, src, &oauthclients.SailPointOptions{Version: "v4"}, `Version "v4" is unknown`},
		{"a version with a slash", origin, src, &oauthclients.SailPointOptions{Version: "v3/"}, `Version "v3/" is unknown`},
		{"negative timeout", origin, src, &oauthclients.SailPointOptions{Timeout: -1}, "Timeout"},
		{"negative retry", origin, src, &oauthclients.SailPointOptions{Retry: tokens.Retry{Attempts: -1}}, "Retry"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := &oauthclients.SailPointOptions{}
			if tt.opts != nil {
				opts = tt.opts
			}
			opts.BaseURL = tt.origin
			_, err := oauthclients.NewSailPoint(tt.src, opts)
			require.ErrorContains(t, err, tt.want)
			assert.True(t, strings.HasPrefix(err.Error(), "oauthclients: "), err)
		})
	}
	for _, origin := range []string{"https://tenant.api.identitynow.com/", "http://127.0.0.1:8080", "https://gateway.example.com/sailpoint"} {
		_, err := oauthclients.NewSailPoint(src, &oauthclients.SailPointOptions{BaseURL: origin})
		assert.NoError(t, err, origin)
	}
}

func TestVersions(t *testing.T) {
	for version, collection := range map[oauthclients.Version]string{
		"":                             "/beta/oauth-clients",
		oauthclients.VersionBeta:       "/beta/oauth-clients",
		oauthclients.VersionV3:         "/v3/oauth-clients",
		oauthclients.VersionV2024:      "/v2024/oauth-clients",
		oauthclients.VersionV2025:      "/v2025/oauth-clients",
		oauthclients.VersionV2026:      "/v2026/oauth-clients",
		oauthclients.VersionPerService: "/oauth-clients/v1",
	} {
		t.Run(collection, func(t *testing.T) {
			list := false
			clients, v := newClients(t, &oauthclients.SailPointOptions{Version: version}, func(w http.ResponseWriter, r *http.Request) {
				if list = r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, collection); list {
					respond(http.StatusOK, "["+sample+"]")(w, r)
					return
				}
				respond(http.StatusOK, sample)(w, r)
			})
			ctx := t.Context()
			_, err := clients.List(ctx)
			require.NoError(t, err)
			for _, err := range clients.All(ctx) {
				require.NoError(t, err)
			}
			// An id that looks like the collection must not be mistaken for it, and an escaped id must not be unescaped.
			for _, id := range []string{clientID, "oauth-clients", "oauth-clients;", "a?c", "a;b"} {
				_, err := clients.Get(ctx, id)
				require.NoError(t, err)
			}
			_, err = clients.Patch(ctx, clientID, jsonpatch.Replace("/enabled", true))
			require.NoError(t, err)
			require.NoError(t, clients.Delete(ctx, clientID))
			_, _ = clients.Create(ctx, createRequest())

			var got []string
			for _, r := range v.sent() {
				got = append(got, r.Method+" "+r.URI)
			}
			assert.Equal(t, []string{
				"GET " + collection,
				"GET " + collection,
				"GET " + collection + "/" + clientID,
				"GET " + collection + "/oauth-clients",
				"GET " + collection + "/oauth-clients%3B",
				"GET " + collection + "/a%3Fc",
				"GET " + collection + "/a%3Bb",
				"PATCH " + collection + "/" + clientID,
				"DELETE " + collection + "/" + clientID,
				"POST " + collection,
			}, got)
		})
	}
}

func TestOriginWithAPath(t *testing.T) {
	for version, want := range map[oauthclients.Version]string{
		oauthclients.VersionBeta:       "/sailpoint/beta/oauth-clients/",
		oauthclients.VersionPerService: "/sailpoint/oauth-clients/v1/",
	} {
		v := &vendor{handler: respond(http.StatusOK, sample)}
		clients, err := oauthclients.NewSailPoint(tokens.Static("access-token"),
			&oauthclients.SailPointOptions{BaseURL: "https://gateway.example.com/sailpoint/", HTTPClient: &http.Client{Transport: v}, Version: version})
		require.NoError(t, err)
		_, err = clients.Get(t.Context(), clientID)
		require.NoError(t, err)
		assert.Equal(t, want+clientID, v.sent()[0].URI)
	}
}

func TestBadIDs(t *testing.T) {
	clients, v := newClients(t, nil, respond(http.StatusOK, sample))
	ctx := t.Context()
	for _, id := range []string{"", ".", "..", "a/b", "../beta", `a\b`, "a\x00", "a\r\nb", clientID + " ", " " + clientID, "a b", clientID + "\n", clientID + "\u00a0", clientID + "\u200b", "\ufeff" + clientID, "a\xff"} {
		_, err := clients.Get(ctx, id)
		require.ErrorContains(t, err, "oauthclients: get: the id")
		_, err = clients.Patch(ctx, id, jsonpatch.Replace("/enabled", true))
		require.ErrorContains(t, err, "oauthclients: patch: the id")
		require.ErrorContains(t, clients.Delete(ctx, id), "oauthclients: delete: the id")
		require.ErrorContains(t, clients.Delete(ctx, id, oauthclients.AllowMissing()), "oauthclients: delete: the id")
	}
	assert.Empty(t, v.sent())
}

func TestGet(t *testing.T) {
	clients, v := newClients(t, nil, respond(http.StatusOK, sample))
	client, err := clients.Get(t.Context(), clientID)
	require.NoError(t, err)
	assert.Equal(t, []sent{{
		Method: http.MethodGet, URI: "/beta/oauth-clients/" + clientID,
		Accept: "application/json, application/problem+json", Authorization: "Bearer access-token",
	}}, v.sent())

	printed, err := json.Marshal(client)
	require.NoError(t, err)
	var got, want map[string]any
	require.NoError(t, json.Unmarshal(printed, &got))
	require.NoError(t, json.Unmarshal([]byte(sample), &want))
	delete(want, "metadata") // null and absent are the same for these two
	delete(want, "secret")
	assert.Equal(t, want, got)
}

func TestOddResponsesAreRead(t *testing.T) {
	clients, _ := newClients(t, nil, respond(http.StatusOK, `{"id":"G6xLlBBOKIcOAQuK","name":"odd","accessType":"SOMETIMES",`+
		`"grantTypes":["CLIENT_CREDENTIALS","TOKEN_EXCHANGE"],"redirectUris":null,"enabled":null,"scope":null,`+
		`"created":"2017-07-11T18:45","modified":"last week","lastUsed":1499798737,"tier":{"of":[1e400]}}`))
	client, err := clients.Get(t.Context(), "G6xLlBBOKIcOAQuK")
	require.NoError(t, err)
	assert.Equal(t, "odd", client.Name)
	assert.Equal(t, sailpoint.AccessType("SOMETIMES"), client.AccessType)
	assert.Equal(t, []sailpoint.GrantType{sailpoint.GrantTypeClientCredentials, "TOKEN_EXCHANGE"}, client.GrantTypes)
	assert.Equal(t, 2017, client.Created.Time().Year())
	assert.True(t, client.Modified.IsZero())
	assert.Equal(t, "last week", client.Modified.Text())
	assert.Equal(t, "1499798737", client.LastUsed.Text())
}

func TestErrorsAreTheVendors(t *testing.T) {
	const body = `{"detailCode":"404 Not found","trackingId":"b21b1f7ce4da4d639f2c62a57171b427","messages":[{"locale":"en-US","text":"There is no such client."}]}`
	clients, _ := newClients(t, nil, respond(http.StatusNotFound, body))
	ctx := t.Context()
	_, getErr := clients.Get(ctx, clientID)
	_, patchErr := clients.Patch(ctx, clientID, jsonpatch.Replace("/enabled", true))
	_, listErr := clients.List(ctx)
	_, createErr := clients.Create(ctx, createRequest())
	for _, err := range []error{getErr, patchErr, listErr, createErr, clients.Delete(ctx, clientID)} {
		require.ErrorIs(t, err, tokens.Status(http.StatusNotFound))
		var e *tokens.Error
		require.ErrorAs(t, err, &e)
		var model sailpoint.ErrorResponseDto
		require.NoError(t, e.Decode(&model))
		assert.Equal(t, "There is no such client.", *model.Messages[0].Text)
	}
}

// A response that cannot be read is an error, never a zero client.
func TestUnreadableResponsesToGetAndPatch(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"null":           respond(http.StatusOK, " null "),
		"nothing":        respond(http.StatusOK, ""),
		"not JSON":       respond(http.StatusOK, sample[:100]),
		"an array":       respond(http.StatusOK, "["+sample+"]"),
		"text":           plain(http.StatusOK, "text/html", sample),
		"a wrong type":   respond(http.StatusOK, `{"id":1}`),
		"cut off":        cut(http.StatusOK, sample[:100]),
		"no content":     respond(http.StatusNoContent, ""),
		"more behind it": respond(http.StatusOK, sample+"x"),
	} {
		t.Run(name, func(t *testing.T) {
			clients, _ := newClients(t, nil, handler)
			got, getErr := clients.Get(t.Context(), clientID)
			assert.Nil(t, got)
			got, patchErr := clients.Patch(t.Context(), clientID, jsonpatch.Replace("/enabled", true))
			assert.Nil(t, got)
			for _, err := range []error{getErr, patchErr} {
				var e *tokens.Error
				require.ErrorAs(t, err, &e)
				assert.Equal(t, http.StatusOK, e.StatusCode/100*100)
			}
		})
	}
}

// Every method closes the body of the response.
func TestBodiesAreClosed(t *testing.T) {
	for name, call := range map[string]func(*oauthclients.SailPoint) error{
		"get":    func(c *oauthclients.SailPoint) error { _, err := c.Get(t.Context(), clientID); return err },
		"create": func(c *oauthclients.SailPoint) error { _, err := c.Create(t.Context(), createRequest()); return err },
		"delete": func(c *oauthclients.SailPoint) error { return c.Delete(t.Context(), clientID) },
		"list":   func(c *oauthclients.SailPoint) error { _, err := c.List(t.Context()); return err },
		"patch": func(c *oauthclients.SailPoint) error {
			_, err := c.Patch(t.Context(), clientID, jsonpatch.Replace("/enabled", true))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := &closing{Reader: strings.NewReader(`{"id":"1","secret":"s3cr3t"}`)}
			clients, err := oauthclients.NewSailPoint(tokens.Static("access-token"), &oauthclients.SailPointOptions{
				BaseURL: origin,
				HTTPClient: &http.Client{Transport: transport(func(req *http.Request) (*http.Response, error) {
					return &http.Response{
						StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: req, ContentLength: -1, Body: body,
					}, nil
				})},
			})
			require.NoError(t, err)
			if err := call(clients); name == "list" {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
			}
			assert.True(t, body.closed)
		})
	}
}

type closing struct {
	io.Reader

	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestTheOriginIsTheSources(t *testing.T) {
	v := &vendor{handler: respond(http.StatusOK, sample)}
	get := func(src tokens.Source, baseURL string) error {
		clients, err := oauthclients.NewSailPoint(src, &oauthclients.SailPointOptions{BaseURL: baseURL, HTTPClient: &http.Client{Transport: v}})
		if err == nil {
			_, err = clients.Get(t.Context(), clientID)
		}
		return err
	}
	src := located{tokens.Static("access-token"), origin}
	require.NoError(t, get(src, ""))
	require.NoError(t, get(wrapped{src}, ""))
	require.NoError(t, get(src, "https://TENANT.api.identitynow.com:443/"))
	require.EqualError(t, get(wrapped{src}, "https://other.api.identitynow.com"), "oauthclients: tokens: BaseURL is https://other.api.identitynow.com "+
		"but the Source's tokens are for https://tenant.api.identitynow.com; leave BaseURL empty")
	require.ErrorContains(t, get(located{tokens.Static("access-token"), ""}, ""), "BaseURL is empty")
	require.NoError(t, get(src, origin+"/gateway"))
	require.Len(t, v.sent(), 4)
	assert.Equal(t, "/gateway/beta/oauth-clients/"+clientID, v.sent()[3].URI)
}

func TestHeader(t *testing.T) {
	v := &vendor{handler: respond(http.StatusOK, sample)}
	opts := oauthclients.SailPointOptions{
		BaseURL: origin, Header: http.Header{"X-Api-Key": {"canary"}},
		HTTPClient: &http.Client{Transport: transport(func(req *http.Request) (*http.Response, error) {
			assert.Equal(t, "canary", req.Header.Get("X-Api-Key"))
			return v.RoundTrip(req)
		})},
	}
	clients, err := oauthclients.NewSailPoint(tokens.Static("access-token"), &opts)
	require.NoError(t, err)
	_, err = clients.Get(t.Context(), clientID)
	require.NoError(t, err)
	for _, err := range clients.All(t.Context()) {
		require.Error(t, err)
	}
	assert.Len(t, v.sent(), 2)

	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("options", "o", opts, "p", &opts)
	for _, text := range []string{fmt.Sprintf("%+v %#v", opts, &opts), log.String()} {
		assert.NotContains(t, text, "canary")
		assert.Contains(t, text, "oauthclients.SailPointOptions(beta)")
	}
}

// Zero values and a nil context cause errors, not panics.
func TestZeroValues(t *testing.T) {
	good, v := newClients(t, nil, respond(http.StatusOK, sample))
	var none *oauthclients.SailPoint
	for _, c := range []struct {
		clients *oauthclients.SailPoint
		ctx     context.Context
		want    string
	}{
		{none, t.Context(), "the SailPoint is zero; make it with NewSailPoint"},
		{new(oauthclients.SailPoint), t.Context(), "the SailPoint is zero; make it with NewSailPoint"},
		{good, nil, "the context is nil; pass context.Background() if there is no other"},
	} {
		_, getErr := c.clients.Get(c.ctx, clientID)
		_, createErr := c.clients.Create(c.ctx, createRequest())
		_, patchErr := c.clients.Patch(c.ctx, clientID, jsonpatch.Replace("/enabled", true))
		_, listErr := c.clients.List(c.ctx)
		errs := []error{getErr, createErr, patchErr, listErr, c.clients.Delete(c.ctx, clientID)}
		for _, err := range c.clients.All(c.ctx) {
			errs = append(errs, err)
		}
		assert.Len(t, errs, 6)
		for _, err := range errs {
			require.ErrorContains(t, err, c.want)
		}
	}
	assert.Empty(t, v.sent())
	require.ErrorContains(t, good.Delete(t.Context(), clientID, nil), "an option is nil")
	for _, src := range []tokens.Source{(*tokens.Cache)(nil), new(tokens.Cache)} {
		_, err := oauthclients.NewSailPoint(src, nil)
		require.Error(t, err)
	}
	for want, opts := range map[string]oauthclients.SailPointOptions{"Timeout is negative": {Timeout: -1}, "IdleTimeout is negative": {IdleTimeout: -1}} {
		opts.BaseURL = origin
		_, err := oauthclients.NewSailPoint(tokens.Static("access-token"), &opts)
		require.EqualError(t, err, "oauthclients: tokens: "+want)
	}
}

// located is a Source with a BaseURL.
type located struct {
	tokens.Source

	baseURL string
}

func (l located) BaseURL() string { return l.baseURL }

// wrapped is a wrapper of a Source.
type wrapped struct{ src located }

func (w wrapped) Token(ctx context.Context) (*tokens.Token, error) { return w.src.Token(ctx) }
func (w wrapped) Unwrap() tokens.Source                            { return w.src }

func TestNothingIsSentWithoutAToken(t *testing.T) {
	v := &vendor{handler: respond(http.StatusOK, sample)}
	unknown := &tokens.Error{Method: http.MethodPost, URL: origin + "/oauth/token", StatusCode: http.StatusNotFound}
	clients, err := oauthclients.NewSailPoint(failing{unknown}, &oauthclients.SailPointOptions{BaseURL: origin, HTTPClient: &http.Client{Transport: v}})
	require.NoError(t, err)
	_, err = clients.Get(t.Context(), clientID)
	require.ErrorIs(t, err, tokens.ErrNoToken)
	require.ErrorIs(t, clients.Delete(t.Context(), clientID), tokens.ErrNoToken)
	require.ErrorIs(t, clients.Delete(t.Context(), clientID, oauthclients.AllowMissing()), tokens.ErrNoToken)
	assert.Empty(t, v.sent())
}

// failing is a Source without a token.
type failing struct{ err error }

func (f failing) Token(context.Context) (*tokens.Token, error) { return nil, f.err }

func TestPatchSendsExactBytes(t *testing.T) {
	clients, v := newClients(t, nil, respond(http.StatusOK, sample))
	_, err := clients.Patch(t.Context(), clientID,
		jsonpatch.Test("/name", "R&D <demo>"),
		jsonpatch.Replace("/homepageUrl", nil),
		jsonpatch.Add("/redirectUris/-", "https://example.com/?a=1&b=2"),
		jsonpatch.Replace("/accessTokenValiditySeconds", json.RawMessage("750.0")),
		jsonpatch.Move("/description", "/businessName"),
		jsonpatch.Remove("/claimsSupported"),
	)
	require.NoError(t, err)
	assert.Equal(t, sent{
		Method: http.MethodPatch, URI: "/beta/oauth-clients/" + clientID, ContentType: "application/json-patch+json",
		Accept: "application/json, application/problem+json", Authorization: "Bearer access-token",
		Body: `[{"op":"test","path":"/name","value":"R&D <demo>"},` +
			`{"op":"replace","path":"/homepageUrl","value":null},` +
			`{"op":"add","path":"/redirectUris/-","value":"https://example.com/?a=1&b=2"},` +
			`{"op":"replace","path":"/accessTokenValiditySeconds","value":750.0},` +
			`{"op":"move","from":"/description","path":"/businessName"},` +
			`{"op":"remove","path":"/claimsSupported"}]`,
	}, v.sent()[0])
}

func TestPatchBadInput(t *testing.T) {
	clients, v := newClients(t, nil, respond(http.StatusOK, sample))
	_, err := clients.Patch(t.Context(), clientID)
	require.EqualError(t, err, "oauthclients: patch: there are no operations; pass at least one")
	_, err = clients.Patch(t.Context(), clientID, jsonpatch.Replace("name", "x"))
	require.ErrorIs(t, err, jsonpatch.ErrInvalidPointer)
	_, err = clients.Patch(t.Context(), clientID, jsonpatch.Operation{})
	require.ErrorIs(t, err, jsonpatch.ErrInvalidPatch)
	assert.Empty(t, v.sent())
}

func TestDeleteTakesAnySuccess(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"204":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"200 as JSON":  respond(http.StatusOK, "null"),
		"202 as HTML":  plain(http.StatusAccepted, "text/html", "<p>gone</p>"),
		"200, cut off": cut(http.StatusOK, "gone"),
	} {
		t.Run(name, func(t *testing.T) {
			clients, v := newClients(t, nil, handler)
			require.NoError(t, clients.Delete(t.Context(), clientID))
			assert.Len(t, v.sent(), 1)
			assert.Empty(t, v.sent()[0].ContentType)
		})
	}
}

// Delete does not wait for the body of the response.
func TestDeleteWaitsForNoBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients, _ := newClients(t, nil, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "{")
			<-r.Context().Done()
		})
		start := time.Now()
		require.NoError(t, clients.Delete(t.Context(), clientID))
		assert.Zero(t, time.Since(start))
	})
}

func TestDeleteAllowMissing(t *testing.T) {
	for status, missing := range map[int]bool{http.StatusNotFound: true, http.StatusForbidden: false, http.StatusInternalServerError: false} {
		clients, _ := newClients(t, nil, respond(status, "{}"))
		require.ErrorIs(t, clients.Delete(t.Context(), clientID), tokens.Status(status))
		err := clients.Delete(t.Context(), clientID, oauthclients.AllowMissing())
		if missing {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, tokens.Status(status))
		}
	}
}

// A request that the vendor may have acted on is sent only once.
func TestRepetition(t *testing.T) {
	calls := map[string]func(context.Context, *oauthclients.SailPoint) error{
		"create": func(ctx context.Context, c *oauthclients.SailPoint) error {
			_, err := c.Create(ctx, createRequest())
			return err
		},
		"patch": func(ctx context.Context, c *oauthclients.SailPoint) error {
			_, err := c.Patch(ctx, clientID, jsonpatch.Replace("/enabled", true))
			return err
		},
		"delete": func(ctx context.Context, c *oauthclients.SailPoint) error { return c.Delete(ctx, clientID) },
		"get": func(ctx context.Context, c *oauthclients.SailPoint) error {
			_, err := c.Get(ctx, clientID)
			return err
		},
	}
	broken := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		unsafe  int // number of requests of create and patch
		safe    int // number of requests of get and delete
	}{
		{"429", respond(http.StatusTooManyRequests, "{}"), 1, 1}, // would have to wait longer than MaxWait
		{"500", respond(http.StatusInternalServerError, "{}"), 1, 1},
		{"502", respond(http.StatusBadGateway, "{}"), 1, 3},
		{"503", respond(http.StatusServiceUnavailable, "{}"), 1, 3},
		{"504", respond(http.StatusGatewayTimeout, "{}"), 1, 3},
		{"broken connection", broken, 1, 3},
	} {
		for call, do := range calls {
			t.Run(tt.name+" "+call, func(t *testing.T) {
				clients, v := newClients(t, &oauthclients.SailPointOptions{
					Retry: tokens.Retry{Initial: 1}, Limiter: &tokens.Limiter{MaxWait: 1},
				}, tt.handler)
				require.Error(t, do(t.Context(), clients))
				want := tt.safe
				if call == "create" || call == "patch" {
					want = tt.unsafe
				}
				assert.Len(t, v.sent(), want)
			})
		}
	}
}

// limited adds a Limiter to a Source.
type limited struct {
	tokens.Source
	limiter *tokens.Limiter
}

func (l limited) Limiter() *tokens.Limiter { return l.limiter }
func (l limited) Unwrap() tokens.Source    { return l.Source }

// All calls wait for one rate limit: at the Limiter of the options, at that of the source, or at one of their own.
func TestOneLimiterForAllCalls(t *testing.T) {
	impatient := func() *tokens.Limiter { return &tokens.Limiter{MaxWait: time.Second} }
	static := tokens.Static("access-token")
	for _, tt := range []struct {
		name string
		src  tokens.Source
		opts *tokens.Limiter
		wait time.Duration // how long a call waits after the 429; 0 if it fails at once
	}{
		{"of the options", static, impatient(), 0},
		{"of the source", limited{located{static, origin}, impatient()}, nil, 0},
		{"of the options before that of the source", limited{located{static, origin}, new(tokens.Limiter)}, impatient(), 0},
		{"their own", static, nil, time.Minute},
		{"their own if the source has none", limited{located{static, origin}, nil}, nil, time.Minute},
		{"their own if that of the source may be for another origin", limited{static, impatient()}, nil, time.Minute},
		{"their own if the source does not say its origin", limited{located{static, ""}, impatient()}, nil, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &vendor{}
				v.handler = func(w http.ResponseWriter, r *http.Request) {
					if len(v.sent()) > 1 {
						respond(http.StatusOK, "[]")(w, r)
						return
					}
					w.Header().Set("Retry-After", "60")
					respond(http.StatusTooManyRequests, "{}")(w, r)
				}
				clients, err := oauthclients.NewSailPoint(tt.src, &oauthclients.SailPointOptions{
					BaseURL: origin, HTTPClient: &http.Client{Transport: v}, Limiter: tt.opts})
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err = clients.Get(ctx, clientID)
				require.ErrorIs(t, err, tokens.Status(http.StatusTooManyRequests))
				start, err := time.Now(), error(nil)
				for _, e := range clients.All(t.Context()) {
					err = e
				}
				if tt.wait == 0 {
					require.ErrorContains(t, err, "waiting for the rate limit")
					assert.Len(t, v.sent(), 1)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, tt.wait, time.Since(start))
			})
		})
	}
}

func TestPerCallSettings(t *testing.T) {
	clients, v := newClients(t, nil, respond(http.StatusServiceUnavailable, "{}"))
	var last *http.Response
	ctx := tokens.WithResponse(tokens.WithRetry(t.Context(), tokens.Retry{Attempts: 1}), &last)
	_, err := clients.Get(ctx, clientID)
	require.ErrorIs(t, err, tokens.Status(http.StatusServiceUnavailable))
	assert.Len(t, v.sent(), 1)
	assert.Equal(t, http.StatusServiceUnavailable, last.StatusCode)
}

func plain(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{contentType}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// cut returns a handler that responds with the start of a body and breaks the connection.
func cut(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		respond(status, body)(w, r)
		panic(http.ErrAbortHandler)
	}
}

// Whatever is wrong with a response, the error does not show an echoed token, and has the request id and the time to
// wait.
func TestErrorsOfUnreadableResponses(t *testing.T) {
	for name, call := range map[string]func(*oauthclients.SailPoint) error{
		"list": func(c *oauthclients.SailPoint) error { _, err := c.List(t.Context()); return err },
		"all": func(c *oauthclients.SailPoint) error {
			for _, err := range c.All(t.Context()) {
				return err
			}
			return nil
		},
		"create": func(c *oauthclients.SailPoint) error { _, err := c.Create(t.Context(), createRequest()); return err },
	} {
		t.Run(name, func(t *testing.T) {
			clients, _ := newClients(t, nil, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Request-Id", "7 access-token")
				w.Header().Set("Retry-After", "3")
				respond(http.StatusOK, `{"no":"client"}`)(w, nil)
			})
			err := call(clients)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "access-token")
			var e *tokens.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, "7 [REDACTED]", e.RequestID)
			assert.Equal(t, 3*time.Second, e.RetryAfter)
			assert.Equal(t, http.StatusOK, e.StatusCode)
			assert.JSONEq(t, `{"no":"client"}`, string(e.Body))
		})
	}
}
