package tokens

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// redirecting responds to the first request with a redirect, and to all others with success.
func redirecting(status int, location string) *script {
	return newScript(reply(status, "", "", "Location", location), reply(200, jsonType, tokenReply))
}

var (
	redirectStatuses = []int{301, 302, 303, 307, 308}
	redirectTargets  = []struct {
		name, location string
		sameOrigin     bool
	}{
		{"same origin", "/next?page=2", true},
		{"same origin by its port", "https://api.example.com:443/next", true},
		{"another host", "https://other.example.com/next", false},
		{"another port", "https://api.example.com:8443/next", false},
		{"http", "http://api.example.com/next", false},
		{"http on the https port", "http://api.example.com:443/next", false},
	}
)

// A redirect is followed only for GET and HEAD within the origin. Any other redirect is returned as the response, and
// no other host gets a request.
func TestRedirectsOfAnAPICall(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		for _, status := range redirectStatuses {
			for _, target := range redirectTargets {
				t.Run(fmt.Sprint(method, status, " ", target.name), func(t *testing.T) {
					s := redirecting(status, target.location)
					body := ""
					if method == "POST" || method == "PUT" || method == "PATCH" {
						body = "the body"
					}
					resp, err := doerOver(t, s, Static("the-token")).Do(newRequest(t, method, apiURL+"/first", body))
					first := s.requests()[0]
					assert.Equal(t, "Bearer the-token", first.Header.Get("Authorization"))
					assert.Equal(t, body, first.Body)

					if !target.sameOrigin || (method != "GET" && method != "HEAD") {
						assert.Nil(t, resp)
						require.ErrorIs(t, err, Status(status))
						s.only(t)
						assert.Zero(t, s.leaks())
						return
					}
					require.NoError(t, err)
					require.NoError(t, resp.Body.Close())
					require.Len(t, s.requests(), 2)
					second := s.requests()[1]
					assert.Equal(t, method, second.Method)
					assert.Equal(t, "Bearer the-token", second.Header.Get("Authorization"))
					assert.Equal(t, accept, second.Header.Get("Accept"))
					assert.Zero(t, s.leaks())
				})
			}
		}
	}
}

// S-12: a redirect of a token or revocation request is an error, and no other host gets the credentials.
func TestRedirectsOfAnEndpoint(t *testing.T) {
	operations := map[string]func(*Endpoint) error{
		"exchange": func(e *Endpoint) error {
			_, err := e.Exchange(t.Context(), Grant{Scopes: []string{"a"}})
			return err
		},
		"revoke": func(e *Endpoint) error { return e.Revoke(t.Context(), "the-token", HintNone) },
	}
	for _, v := range vendorCases {
		for name, call := range operations {
			for _, style := range []AuthStyle{AuthStyleBasic, AuthStyleBody} {
				for _, status := range redirectStatuses {
					for _, target := range redirectTargets {
						if name == "revoke" && v.name != "Moov" {
							continue // no revocation
						}
						t.Run(v.name+"/"+name+strconv.Itoa(int(style))+"/"+strconv.Itoa(status)+target.name, func(t *testing.T) {
							s := redirecting(status, target.location)
							e, err := v.make(testCredentials, options{baseURL: apiURL, client: s.client(), style: style})
							require.NoError(t, err)
							require.ErrorIs(t, call(e), Status(status))
							s.only(t)
							assert.Zero(t, s.leaks())
						})
					}
				}
			}
		}
	}
}

// A credential set by the caller does not leave the origin either.
func TestRedirectKeepsTheCallersCredential(t *testing.T) {
	for _, target := range redirectTargets {
		s := redirecting(302, target.location)
		req := newRequest(t, http.MethodGet, apiURL+"/first", "")
		req.Header.Set("Authorization", "Basic abc")
		resp, err := doerOver(t, s, Static("the-token")).Do(req)
		if target.sameOrigin {
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		} else {
			require.ErrorIs(t, err, Status(302))
		}
		for _, sent := range s.requests() {
			assert.Equal(t, "Basic abc", sent.Header.Get("Authorization"))
			u, err := url.Parse(sent.URL)
			require.NoError(t, err)
			assert.Equal(t, origin{"https", "api.example.com"}, originOf(u))
		}
	}
}

func TestRedirectOddities(t *testing.T) {
	get := func(t *testing.T, s *script, client *http.Client) error {
		t.Helper()
		d, err := NewDoer(Static("the-token"), &DoerOptions{BaseURL: apiURL, HTTPClient: client})
		require.NoError(t, err)
		resp, err := d.Do(newRequest(t, http.MethodGet, apiURL+"/first", ""))
		if err == nil {
			require.NoError(t, resp.Body.Close())
		}
		assert.Zero(t, s.leaks())
		return err
	}
	t.Run("in circles", func(t *testing.T) {
		s := newScript(reply(302, "", "", "Location", "/first"))
		require.ErrorIs(t, get(t, s, s.client()), Status(302))
		assert.Len(t, s.requests(), 10)
	})
	t.Run("of a request without a method, which is a GET", func(t *testing.T) {
		s := redirecting(302, "/next")
		req := newRequest(t, http.MethodGet, apiURL+"/first", "")
		req.Method = ""
		resp, err := doerOver(t, s, Static("the-token")).Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Len(t, s.requests(), 2)
	})
	t.Run("away on the second hop", func(t *testing.T) {
		s := newScript(reply(302, "", "", "Location", "/second"), reply(302, "", "", "Location", "https://other.example.com/"))
		err := get(t, s, s.client())
		require.EqualError(t, err, "GET https://api.example.com/second: 302 Found: redirect to https://other.example.com")
		assert.Len(t, s.requests(), 2)
	})
	t.Run("to nowhere", func(t *testing.T) {
		s := newScript(reply(302, "", ""))
		require.ErrorIs(t, get(t, s, s.client()), Status(302))
	})
	t.Run("to what is no URL", func(t *testing.T) {
		s := newScript(reply(302, "", "", "Location", "https://a b/"))
		require.EqualError(t, get(t, s, s.client()), "GET https://api.example.com/first: 302 Found", "the status is not lost, and Location not quoted")
		s.only(t)
	})
	t.Run("not modified", func(t *testing.T) {
		s := newScript(reply(304, "", ""))
		require.ErrorIs(t, get(t, s, s.client()), Status(304))
	})

	t.Run("the caller's CheckRedirect allows", func(t *testing.T) {
		s := redirecting(302, "/next")
		asked := 0
		err := get(t, s, &http.Client{Transport: s, CheckRedirect: func(req *http.Request, via []*http.Request) error {
			asked++
			assert.Equal(t, "/next", req.URL.Path)
			assert.Len(t, via, 1)
			return nil
		}})
		require.NoError(t, err)
		assert.Equal(t, 1, asked)
	})
	t.Run("the caller's CheckRedirect stops", func(t *testing.T) {
		s := redirecting(302, "/next")
		err := get(t, s, &http.Client{Transport: s, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
		require.ErrorIs(t, err, Status(302))
		s.only(t)
	})
	t.Run("the caller's CheckRedirect fails", func(t *testing.T) {
		s := redirecting(302, "/next")
		failure := errors.New("no redirects here")
		err := get(t, s, &http.Client{Transport: s, CheckRedirect: func(*http.Request, []*http.Request) error { return failure }})
		require.ErrorIs(t, err, failure)
		s.only(t)
	})
	t.Run("the caller's CheckRedirect is not asked about ours", func(t *testing.T) {
		s := redirecting(302, "https://other.example.com/")
		err := get(t, s, &http.Client{Transport: s, CheckRedirect: func(*http.Request, []*http.Request) error {
			assert.Fail(t, "asked")
			return nil
		}})
		require.ErrorIs(t, err, Status(302))
		s.only(t)
	})
}
