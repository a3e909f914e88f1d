package interop

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// target is a token endpoint for odd requests.
type target struct {
	url    string
	creds  tokens.Credentials
	basic  bool   // uses Basic instead of form fields
	scope  string // a scope that it grants
	fields string // the fields of a good request, besides credentials
}

// oddRequest is a request that a server may or may not refuse. A zero field is that of a good request.
type oddRequest struct {
	method string
	path   string // appended to the path of the endpoint
	query  func(target) string
	media  string                // "-" for none
	fields string                // instead of the good ones
	more   string                // appended to the fields
	form   func(target) string   // the whole form
	auth   func(target) []string // Authorization headers, and no credentials in the form
	both   bool                  // credentials in the form in addition to auth
}

func basicHeader(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(user)+":"+url.QueryEscape(password)))
}

func own(t target) []string { return []string{basicHeader(t.creds.ClientID, t.creds.ClientSecret)} }

func inForm(t target) string {
	return url.Values{"client_id": {t.creds.ClientID}, "client_secret": {t.creds.ClientSecret}}.Encode()
}

var oddRequests = []struct {
	name string
	oddRequest
}{
	{"good", oddRequest{}},
	{"grant_type twice", oddRequest{more: "&grant_type=client_credentials"}},
	{"grant_type twice, differing", oddRequest{more: "&grant_type=password"}},
	{"scope twice", oddRequest{more: "&scope={scope}&scope={scope}"}},
	{"unknown field", oddRequest{more: "&foo=bar"}},
	{"unknown field twice", oddRequest{more: "&foo=bar&foo=baz"}},
	{"unknown field, empty", oddRequest{more: "&foo="}},
	{"empty scope", oddRequest{more: "&scope="}},
	{"empty refresh_token", oddRequest{more: "&refresh_token="}},
	{"refresh_token of another grant", oddRequest{more: "&refresh_token=x"}},
	{"no grant_type", oddRequest{fields: "foo=bar"}},
	{"empty grant_type", oddRequest{fields: "grant_type="}},
	{"unknown grant_type", oddRequest{fields: "grant_type=foo"}},
	{"grant_type in capitals", oddRequest{fields: "grant_type=CLIENT_CREDENTIALS"}},
	{"grant_type with a space", oddRequest{fields: "grant_type=client_credentials+"}},
	{"grant_type in the query", oddRequest{fields: "foo=bar", query: func(t target) string { return t.fields }}},
	{"unknown field in the query", oddRequest{query: func(target) string { return "foo=bar" }}},
	{"credentials in the query", oddRequest{auth: func(target) []string { return nil }, query: inForm}},
	{"no credentials", oddRequest{auth: func(target) []string { return nil }}},
	{"wrong secret", oddRequest{auth: func(t target) []string { return []string{basicHeader(t.creds.ClientID, "wrong")} }}},
	{"unknown client", oddRequest{auth: func(t target) []string { return []string{basicHeader("nobody", t.creds.ClientSecret)} }}},
	{"empty secret", oddRequest{auth: func(t target) []string { return []string{basicHeader(t.creds.ClientID, "")} }}},
	{"Basic and form", oddRequest{auth: own, both: true}},
	{"Basic and its client_id", oddRequest{auth: own, more: "&client_id={id}"}},
	{"Basic and another client_id", oddRequest{auth: own, more: "&client_id=nobody"}},
	{"two Authorization headers", oddRequest{auth: func(t target) []string { return append(own(t), basicHeader("nobody", "x")) }}},
	{"Bearer", oddRequest{auth: func(target) []string { return []string{"Bearer x"} }}},
	{"Basic without colon", oddRequest{auth: func(target) []string { return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("x"))} }}},
	{"no media type", oddRequest{media: "-"}},
	{"text/plain", oddRequest{media: "text/plain"}},
	{"JSON", oddRequest{media: "application/json", form: func(t target) string {
		values, _ := url.ParseQuery(t.fields + "&" + inForm(t))
		object := map[string]string{}
		for name := range values {
			object[name] = values.Get(name)
		}
		body, _ := json.Marshal(object)
		return string(body)
	}}},
	{"media type with a charset", oddRequest{media: "application/x-www-form-urlencoded; charset=UTF-8"}},
	{"pair without equals sign", oddRequest{more: "&foo"}},
	{"stray ampersand", oddRequest{more: "&"}},
	{"bad escape", oddRequest{more: "&foo=%zz"}},
	{"not UTF-8", oddRequest{more: "&foo=%ff"}},
	{"GET", oddRequest{method: http.MethodGet, query: func(t target) string { return t.fields + "&" + inForm(t) }}},
	{"slash at the end", oddRequest{path: "/"}},
}

// send sends the request, and returns the status and error code of the response.
func (o oddRequest) send(t *testing.T, at target) (status int, code string) {
	t.Helper()
	auth, form := o.auth, at.fields
	if auth == nil && at.basic && o.form == nil {
		auth = own
	}
	if o.fields != "" {
		form = o.fields
	}
	if auth == nil || o.both {
		form += "&" + inForm(at)
	}
	form += strings.NewReplacer("{id}", url.QueryEscape(at.creds.ClientID), "{scope}", url.QueryEscape(at.scope)).Replace(o.more)
	if o.form != nil {
		form = o.form(at)
	}
	method := http.MethodPost
	if o.method != "" {
		method, form = o.method, ""
	}
	req, err := http.NewRequestWithContext(t.Context(), method, at.url+o.path, strings.NewReader(form))
	require.NoError(t, err)
	if o.query != nil {
		req.URL.RawQuery = o.query(at)
	}
	if auth != nil {
		req.Header["Authorization"] = auth(at)
	}
	if media := o.media; media != "-" {
		if media == "" {
			media = "application/x-www-form-urlencoded"
		}
		req.Header.Set("Content-Type", media)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var oauthError struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &oauthError) != nil || strings.Contains(oauthError.Error, " ") {
		return resp.StatusCode, "" // not an OAuth error
	}
	return resp.StatusCode, oauthError.Error
}

// oddTargets are the servers that check requests; oauth2-mock-server grants everything.
func oddTargets(t *testing.T) (others, ours map[string]target) {
	t.Helper()
	others = map[string]target{}
	for name, w := range witnesses {
		if name == "oauth2-mock-server" || name == "oidc-provider" && modules == "" || name == "hydra" && os.Getenv("HYDRA") == "" {
			continue
		}
		witness := w.start(t)
		scope := map[string]string{"fosite": "read", "go-oauth2": "read", "go-oauth2 form": "read", "zitadel": "openid", "oidc-provider": "openid", "hydra": "openid"}[name]
		others[name] = target{witness.tokenURL, witness.app, w.styles[0] != tokens.AuthStyleBody, scope, "grant_type=client_credentials"}
	}
	sb := sandbox.Start(t)
	creds := tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret}
	return others, map[string]target{
		"ThousandEyes": {sb.URL + "/v7/oauth2/token", creds, false, "read", "grant_type=client_credentials"},
		"Moov":         {sb.URL + "/oauth2/token", creds, true, "/ping.read", "grant_type=client_credentials&scope=/ping.read"},
		"SailPoint":    {sb.URL + "/oauth/token", creds, false, "sp:scopes:all", "grant_type=client_credentials"},
	}
}

// oddDepartures are the cases in which the sandbox differs from all other servers, with the reason.
var oddDepartures = map[string]string{
	"JSON, Moov": "the vendor documents bodies in JSON",
}

// Servers differ in what they accept. If they all agree, the sandbox agrees too.
func TestOddRequests(t *testing.T) {
	others, ours := oddTargets(t)
	names := append(slices.Sorted(maps.Keys(others)), slices.Sorted(maps.Keys(ours))...)
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-32s", "")
	for _, name := range names {
		fmt.Fprintf(&table, "%-24s", name)
	}
	for _, odd := range oddRequests {
		got := map[string]int{}
		fmt.Fprintf(&table, "\n%-32s", odd.name)
		for _, name := range names {
			at, ok := others[name]
			if !ok {
				at = ours[name]
			}
			status, code := odd.send(t, at)
			got[name] = status
			fmt.Fprintf(&table, "%-24s", fmt.Sprint(status, " ", code))
		}
		granted := func(name string) bool { return got[name] < 300 }
		var agreed []bool
		for name := range others {
			agreed = append(agreed, granted(name))
		}
		if len(slices.Compact(agreed)) > 1 {
			continue
		}
		for name := range ours {
			if reason := oddDepartures[odd.name+", "+name]; reason != "" {
				assert.NotEqual(t, agreed[0], granted(name), "%s, %s: no departure", odd.name, name)
				continue
			}
			assert.Equal(t, agreed[0], granted(name), "%s: all others agree, and %s differs", odd.name, name)
		}
	}
	t.Log(table.String())
}
