package tokens_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A logged is the log of a client over a fleetServer. All its secrets contain the word canary.
type logged struct {
	*fleetServer

	mu    sync.Mutex
	out   bytes.Buffer
	login bool // the Caches are users' logins
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

// cache returns a Cache that logs. Its Endpoint does not retry.
func (l *logged) cache(t *testing.T, opts tokens.CacheOptions) *tokens.Cache {
	t.Helper()
	return l.cacheOf(t, tokens.Retry{Attempts: 1}, opts)
}

func (l *logged) cacheOf(t *testing.T, retry tokens.Retry, opts tokens.CacheOptions) *tokens.Cache {
	t.Helper()
	e, err := tokens.NewEndpoint("https://auth.example.com/token", tokens.Credentials{ClientID: "canary-client", ClientSecret: "canary-secret"},
		&tokens.EndpointOptions{HTTPClient: &http.Client{Transport: l}, RevocationURL: "https://auth.example.com/revoke", Retry: retry})
	require.NoError(t, err)
	opts.Logger = slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c, err := tokens.NewCache(e, &opts)
	require.NoError(t, err)
	return c
}

// user returns the options of a login whose token has expired, so that its refresh token is presented at once.
func (l *logged) user() tokens.CacheOptions {
	l.login = true
	return tokens.CacheOptions{Session: "canary-user", Initial: &tokens.Token{RefreshToken: "canary-refresh"}}
}

func (l *logged) respondWith(status int, body string, header http.Header) {
	l.fleetServer.mu.Lock()
	defer l.fleetServer.mu.Unlock()
	l.respond = func(url.Values) (int, string, http.Header) { return status, body, header.Clone() }
}

const canaryToken = `{"access_token":"canary-access","refresh_token":"canary-next","token_type":"Bearer","expires_in":3600}`

// The log of a scenario has these messages among others.
var logScenarios = []struct {
	name     string
	messages []string
	run      func(*testing.T, *logged)
}{
	{"an app", []string{"got a token", "dropped a token that the API rejected"}, func(t *testing.T, l *logged) {
		c := l.cache(t, tokens.CacheOptions{})
		got, err := c.Token(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		c.Invalidate(&tokens.Token{AccessToken: "another"})
		assert.NotContains(t, l.out.String(), "dropped")
		c.Invalidate(got)
		got, err = c.Token(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		c.Invalidate(got) // too soon
		assert.Equal(t, 1, strings.Count(l.out.String(), "dropped"))
	}},
	{"a token of an hour", []string{"got a token", "could not get a token"}, func(t *testing.T, l *logged) {
		c := l.cache(t, tokens.CacheOptions{})
		l.respondWith(200, canaryToken, nil)
		mustToken(t, c)
		synctest.Wait()
		assert.Regexp(t, `"next":"renewal","next_in":(2[89]|3[0-5])[0-9]{11}\b`, l.out.String())
		l.respondWith(400, `{"error":"invalid_scope"}`, nil)
		pass(57 * time.Minute)
		mustToken(t, c)
		pass(time.Second) // the renewal has failed
		synctest.Wait()
		assert.Regexp(t, `"could not get a token".*"expiry":"`, l.out.String(), "the token that is still in use")
		l.fleetServer.mu.Lock()
		l.respond = nil
		l.fleetServer.mu.Unlock()
		pass(time.Minute)
		mustToken(t, c)
		pass(time.Second)
		synctest.Wait()
		assert.Equal(t, 2, strings.Count(l.out.String(), `"got a token"`))
		assert.NotRegexp(t, `"next_in":[0-9]{14}`, l.out.String(), "a token is renewed within the hour")
	}},
	{"an endpoint that fails", []string{"could not get a token"}, func(t *testing.T, l *logged) {
		l.respondWith(503, "", http.Header{"Retry-After": {"60"}})
		c := l.cache(t, tokens.CacheOptions{})
		pass(time.Hour)
		_, err := c.Token(t.Context())
		require.Error(t, err)
		synctest.Wait()
		assert.Contains(t, l.out.String(), `"next":"retry","next_in":60000000000`)
	}},
	{"a login that ended", []string{"could not get a token"}, func(t *testing.T, l *logged) {
		l.respondWith(400, `{"error":"invalid_grant","error_description":"canary-refresh of canary-client"}`, nil)
		_, err := l.cache(t, l.user()).Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
		synctest.Wait()
		assert.Contains(t, l.out.String(), `"next":"login"`)
	}},
	{"a lost response", []string{"presenting a refresh token again after a lost response"}, func(t *testing.T, l *logged) {
		c := l.cache(t, l.user())
		l.respondWith(200, `{"access_token":"canary`, nil)
		_, err := c.Token(t.Context())
		require.Error(t, err)
		pass(2 * time.Minute)
		_, err = c.Token(t.Context())
		require.Error(t, err)
	}},
	{"a GrantFunc that panics", []string{"panic while fetching a token"}, func(t *testing.T, l *logged) {
		c := l.cache(t, tokens.CacheOptions{GrantFunc: func(context.Context) (tokens.Grant, error) { panic("canary") }})
		_, err := c.Token(t.Context())
		require.ErrorContains(t, err, "tokens: panic while fetching a token: string")
	}},
	{"an OnToken that fails", []string{"could not save a token, which is kept in memory", "panic in OnToken"}, func(t *testing.T, l *logged) {
		calls := 0
		opts := l.user()
		opts.OnToken = func(context.Context, *tokens.Token) error {
			if calls++; calls == 1 {
				panic("canary")
			}
			return nil
		}
		mustToken(t, l.cache(t, opts))
	}},
	{"a Revoke during a fetch", []string{"could not revoke a token that arrived after Revoke"}, func(t *testing.T, l *logged) {
		c := l.cache(t, tokens.CacheOptions{})
		l.respondWith(200, canaryToken, nil)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.Token(t.Context()) })
		synctest.Wait()
		require.NoError(t, c.Revoke(t.Context()))
		pass(60 * time.Millisecond) // the token has arrived
		l.respondWith(503, "canary-access", nil)
		wg.Wait()
		pass(time.Second)
	}},
	{"a repeated request", []string{"retrying a request"}, func(t *testing.T, l *logged) {
		c := l.cacheOf(t, tokens.Retry{}, tokens.CacheOptions{})
		l.respondWith(503, "canary-access", nil)
		_, err := c.Token(t.Context())
		require.Error(t, err)
	}},
	{"a rate limit", []string{"rate limit reached, requests wait", "requests are sent again after a rate limit"}, func(t *testing.T, l *logged) {
		c := l.cacheOf(t, tokens.Retry{}, l.user())
		l.respondWith(429, "canary-access", http.Header{"Retry-After": {"10"}})
		var wg sync.WaitGroup
		wg.Go(func() { mustToken(t, c) })
		pass(5 * time.Second)
		l.respondWith(200, canaryToken, nil)
		wg.Wait()
	}},
	{"a Store that loses a record", []string{"the Store lost a record, which is written back"}, func(t *testing.T, l *logged) {
		opts := l.user()
		opts.Store = l
		c := l.cache(t, opts)
		mustToken(t, c)
		l.loseRecords()
		pass(2 * time.Minute)
		mustToken(t, c)
		pass(time.Second)
	}},
	{"a Store that panics", []string{"panic in the Store or in a hook", "fetching a token without the Store"}, func(t *testing.T, l *logged) {
		mustToken(t, l.cache(t, tokens.CacheOptions{Store: &oddStore{load: func(context.Context, string) (tokens.Record, error) { panic("canary") }}}))
		assert.Contains(t, l.out.String(), `"type":"string","stack":"goroutine `)
		assert.Contains(t, l.out.String(), "log_test.go", "the stack begins where the panic was")
	}},
	{"a Store that is down", []string{"fetching a token without the Store"}, func(t *testing.T, l *logged) {
		l.fail(errors.New("down"))
		mustToken(t, l.cache(t, tokens.CacheOptions{Store: l}))
	}},
	{
		"a Store that goes down during a fetch",
		[]string{"could not write a token to the Store, which is used meanwhile"},
		func(t *testing.T, l *logged) {
			opts := l.user()
			opts.Store = l
			c := l.cache(t, opts)
			var wg sync.WaitGroup
			wg.Go(func() { mustToken(t, c) })
			pass(20 * time.Millisecond)
			l.fail(errors.New("down"))
			wg.Wait()
			pass(time.Minute)
			l.fail(nil)
			require.NoError(t, c.Close(t.Context()))
		},
	},
	{"a login that ended, with a Store", []string{"the server refused the refresh token"}, func(t *testing.T, l *logged) {
		opts := l.user()
		opts.Store = l
		l.respondWith(400, `{"error":"invalid_grant","error_description":"canary-refresh"}`, nil)
		_, err := l.cache(t, opts).Token(t.Context())
		require.ErrorIs(t, err, tokens.ErrLoginRequired)
	}},
	{"an endpoint that fails, with a Store", []string{"could not get a token"}, func(t *testing.T, l *logged) {
		l.respondWith(503, "", nil)
		_, err := l.cache(t, tokens.CacheOptions{Store: l}).Token(t.Context())
		require.Error(t, err)
	}},
	{"a logout during a fetch, with a Store", []string{"could not revoke a token that arrived after a logout"}, func(t *testing.T, l *logged) {
		opts := l.user()
		opts.Store = l
		c, other := l.cache(t, opts), l.cache(t, opts)
		l.respondWith(200, canaryToken, nil)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.Token(t.Context()) })
		pass(20 * time.Millisecond)
		wg.Go(func() { _ = other.Revoke(t.Context()) }) // its own revocation fails too
		pass(40 * time.Millisecond)                     // the token has arrived
		l.respondWith(503, "canary-access", nil)
		wg.Wait()
		pass(time.Minute)
	}},
}

func TestLogOfATokenThatDoesNotExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &logged{fleetServer: newFleet()}
		l.respondWith(200, `{"access_token":"canary-access","token_type":"Bearer"}`, nil)
		mustToken(t, l.cache(t, tokens.CacheOptions{}))
		synctest.Wait()
		assert.Contains(t, l.out.String(), `"next":"none until it is rejected"`)
		assert.NotContains(t, l.out.String(), "expiry")
	})
}

// Each background log line says whose token it is and what happens next, and shows no secret, client id or Session.
// Together the scenarios produce every line that exists.
func TestLogLinesSayWhoseTokenAndWhatComesNext(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range logScenarios {
		t.Run(s.name, func(t *testing.T) {
			l := &logged{fleetServer: newFleet()}
			synctest.Test(t, func(t *testing.T) { s.run(t, l) })
			var messages []string
			for line := range strings.Lines(l.out.String()) {
				var attrs map[string]any
				require.NoError(t, json.Unmarshal([]byte(line), &attrs))
				message, _ := attrs["msg"].(string)
				messages = append(messages, message)
				seen[message] = true
				assert.NotContains(t, line, "canary")
				assert.Equal(t, "auth.example.com", attrs["vendor"], line)
				assert.Equal(t, "a83de5d6", attrs["client"], line)
				if l.login {
					assert.Equal(t, "df62bfee", attrs["session"], line)
				} else {
					assert.NotContains(t, attrs, "session", line)
				}
				assert.NotEmpty(t, attrs["next"], line)
				if next, ok := attrs["next_in"]; ok {
					assert.Positive(t, next, line)
				}
				if slices.Contains(endsKnown, message) {
					assert.NotEmpty(t, attrs["expiry"], line)
				}
			}
			assert.Subset(t, messages, s.messages, l.out.String())
		})
	}
	assert.ElementsMatch(t, logMessages(t), keys(seen), "a new log line needs a scenario")
}

// Log lines tell the tenants of one vendor apart, even if they have the same credentials.
func TestLogLinesTellTenantsApart(t *testing.T) {
	creds := tokens.Credentials{ClientID: "id", ClientSecret: "secret"}
	for vendor, endpoint := range map[string]func(string, *http.Client, *slog.Logger) (*tokens.Endpoint, error){
		"SailPoint": func(tenant string, client *http.Client, logger *slog.Logger) (*tokens.Endpoint, error) {
			return tokens.NewSailPoint(tenant, creds, &tokens.SailPointOptions{HTTPClient: client, Logger: logger})
		},
		"ThousandEyes": func(tenant string, client *http.Client, logger *slog.Logger) (*tokens.Endpoint, error) {
			return tokens.NewThousandEyes(creds, &tokens.ThousandEyesOptions{TenantID: tenant, HTTPClient: client, Logger: logger})
		},
	} {
		for _, tenant := range []string{"one", "two"} {
			t.Run(vendor+" "+tenant, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := &logged{fleetServer: newFleet()}
					logger := slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
					e, err := endpoint(tenant, &http.Client{Transport: l}, logger)
					require.NoError(t, err)
					c, err := tokens.NewCache(e, &tokens.CacheOptions{Logger: logger})
					require.NoError(t, err)
					l.respondWith(503, "", nil)
					_, err = c.Token(t.Context())
					require.Error(t, err)
					l.respondWith(200, canaryToken, nil)
					pass(time.Minute)
					mustToken(t, c)
					synctest.Wait()
					for _, message := range []string{"retrying a request", "could not get a token", "got a token"} {
						assert.Contains(t, l.out.String(), message)
					}
					for line := range strings.Lines(l.out.String()) {
						assert.Contains(t, line, `vendor="`+vendor+" "+tenant+`"`)
					}
				})
			})
		}
	}
}

// endsKnown are the lines about an existing token, which say when it expires.
var endsKnown = []string{
	"got a token", "dropped a token that the API rejected", "could not save a token, which is kept in memory", "panic in OnToken",
	"could not write a token to the Store, which is used meanwhile",
}

func keys(m map[string]bool) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	return all
}

// logMessages returns the messages of all log lines in the source.
func logMessages(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	found := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"log", "logAbout", "LogAttrs", "Log", "Debug", "Info", "Warn", "Error"}, method.Sel.Name) {
				return true
			}
			for _, arg := range call.Args {
				if literal, ok := arg.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					found[strings.Trim(literal.Value, `"`)] = true
					break
				}
			}
			return true
		})
	}
	return keys(found)
}
