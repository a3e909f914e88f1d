package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

func TestLoginAtASandbox(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"-scopes", "sp:scopes:all"}, &out))
	text := regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:]+(Z|[+-][\d:]+)`).ReplaceAllString(out.String(), "TIME")
	text = regexp.MustCompile(`http://\S+`).ReplaceAllString(text, "URL")
	assert.Equal(t, "No -issuer is given, so this is a sandbox, which asks nobody for a password.\n"+
		"Open this page to log in: URL\nLogged in. Scopes: sp:scopes:all\nThe access token ends at TIME\nIt can be renewed: true\n", text)
}

// With -issuer, the user logs in with their own browser.
func TestLoginAtAnIssuer(t *testing.T) {
	vendor := sandbox.NewSailPoint(nil)
	server, err := sandbox.Listen(vendor)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	secret := filepath.Join(t.TempDir(), "secret")
	for name, tt := range map[string]struct {
		refuse string
		args   []string
		want   string
	}{
		"a public client":     {args: []string{"-client-id", sandbox.PublicClientID}},
		"a user who declines": {refuse: "access_denied", args: []string{"-client-id", sandbox.PublicClientID}, want: "tokens: login: the server refused it: access_denied"},
		"no secret":           {args: []string{"-client-id", sandbox.ClientID, "-secret-file", secret}, want: "no such file"},
		"nobody comes":        {args: []string{"-client-id", sandbox.PublicClientID, "-timeout", "50ms"}, want: "nobody logged in: context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			vendor.RefuseLogins(tt.refuse)
			out := &pageWriter{pages: make(chan string, 1)}
			done := make(chan error, 1)
			go func() { done <- run(t.Context(), append([]string{"-issuer", server.URL}, tt.args...), out) }()
			if tt.want != "nobody logged in: context deadline exceeded" && name != "no secret" {
				page := <-out.pages
				assert.NoError(t, visitPage(t.Context(), page))
			}
			err := <-done
			if tt.want == "" {
				require.NoError(t, err)
				assert.Contains(t, out.text.String(), "It can be renewed: true")
				for _, request := range vendor.Requests() {
					form, err := url.ParseQuery(string(request.Body))
					require.NoError(t, err)
					if code := form.Get("code"); code != "" {
						assert.NotContains(t, out.text.String(), code)
					}
				}
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// pageWriter sends the page that the program prints to a channel.
type pageWriter struct {
	text  strings.Builder
	pages chan string
}

func (w *pageWriter) Write(p []byte) (int, error) {
	if page, ok := strings.CutPrefix(string(p), "Open this page to log in: "); ok {
		w.pages <- strings.TrimSpace(page)
	}
	return w.text.Write(p)
}

// Another program that finds the port can neither end the login nor take it over.
func TestCallbackOfStrangers(t *testing.T) {
	login := &tokens.Login{RedirectURI: "http://127.0.0.1/callback", State: "st", CodeVerifier: tokens.GenerateVerifier()}
	results := make(chan result, 1)
	handler := callback(login, results)
	get := func(target string) int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
		return w.Code
	}
	for _, target := range []string{
		"/callback", "/callback?code=c", "/callback?code=c&state=other", "/callback?error=access_denied&state=other", "/callback?state=st", "/callback?state=st&%zz",
	} {
		assert.Equal(t, http.StatusBadRequest, get(target), target)
		assert.Empty(t, results, target)
	}
	assert.Equal(t, http.StatusNotFound, get("/"))
	assert.Equal(t, http.StatusOK, get("/callback?code=c&state=st"))
	assert.Equal(t, http.StatusOK, get("/callback?code=d&state=st"))
	r := <-results
	require.NoError(t, r.err)
	assert.Equal(t, "c", r.grant.Code.Code, "the first callback counts")
}

func TestArguments(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for want, args := range map[string][]string{
		`unexpected argument "x"`:                       {"x"},
		"-issuer needs -client-id":                      {"-issuer", "https://auth.example.com"},
		"-client-id and -secret-file need -issuer":      {"-client-id", "x"},
		"the issuer http://auth.example.com is neither": {"-issuer", "http://auth.example.com", "-client-id", "x"},
	} {
		var out strings.Builder
		assert.ErrorContains(t, run(ctx, args, &out), want)
	}
}
