package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// The rules for an OAuth client. Each is a subtest named by its id, which runs for every vendor that the rule applies
// to:
//
//	O-01 to O-25    RFC 6749, the framework
//	B-01 to B-11    RFC 6750, use of bearer tokens
//	RFC 7009, revocation
//	S-01 to S-14    RFC 9700, best current practice
//	P-01 to P-09    RFC 9457, problem details
//	H-01 to H-06    RFC 9110 and net/http, where the above rest on them
//	case 1 to 43    what was seen of real servers
var ruleIDs = slices.Concat(
	numbered("O-%02d", 25), numbered("B-%02d", 11), numbered("R-%02d", 13), numbered("S-%02d", 14),
	numbered("P-%02d", 9), numbered("H-%02d", 6), numbered("case %d", 43),
)

func numbered(format string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf(format, i+1)
	}
	return ids
}

// rule is a rule and its test, which runs for each vendor that the rule applies to, or once if the vendor makes no
// difference.
type rule struct {
	id   string
	says string
	on   func(vendor) bool // nil for every vendor
	test func(*testing.T, vendor)
	once func(*testing.T)
}

// applies returns the vendors for which the rule is tested.
func (r rule) applies() []string {
	var names []string
	if r.once != nil {
		names = append(names, "once")
	}
	for _, v := range vendors {
		if r.test != nil && (r.on == nil || r.on(v)) {
			names = append(names, v.name)
		}
	}
	return names
}

func refreshing(v vendor) bool { return v.refreshes }
func revoking(v vendor) bool   { return v.revokePath != "" }

// withClients reports whether the vendor has OAuth clients to manage.
func withClients(v vendor) bool { return v.name == "sailpoint" }

// notTested are the rules without a test, with the reason.
var notTested = map[string]string{
	"O-19": "what was granted to a refresh token that came from elsewhere is not known here; the scopes asked for are the caller's, and none are asked for if there are none",
	"B-10": "nothing here sets or keeps a cookie",
	"R-11": "departed from: Moov documents 204, and any other 2xx is success too, since there is nothing else that a client could do about it",
	"S-07": "no vendor has mTLS or private_key_jwt",
	"S-08": "no vendor publishes authorization server metadata for these endpoints; their paths are in api/",
	"S-13": "there is no redirect endpoint",
	"S-14": "binds resource servers; what a client must do about it is O-22 and O-24",

	"case 19": "no test compares a life with the number it was made of",
	"case 27": "binds a store that several processes share; there is none yet",
	"case 34": "the server's affair; Endpoint.Revoke says that success proves nothing",
	"case 39": "no vendor has PUT",
	"case 42": "no vendor pages its list by Link or token",
	"case 43": "runs beside the code, in oauthclients/jsonpatch",
}

// testedAs are the cases that a rule covers too.
var testedAs = map[string]string{
	"case 1": "O-04", "case 2": "O-04", "case 3": "O-08", "case 4": "O-05", "case 5": "O-07", "case 7": "O-07",
	"case 9": "O-08", "case 11": "O-12", "case 18": "O-14", "case 20": "O-10", "case 21": "O-16", "case 24": "O-18",
	"case 31": "H-06", "case 32": "R-05", "case 35": "R-06", "case 36": "R-12", "case 37": "R-10",
}

func TestConformance(t *testing.T) {
	rules := slices.Concat(oauthRules, bearerRules, revocationRules, securityRules, problemRules, httpRules, serverCases)
	ran := map[string][]string{} // vendors by id
	for _, r := range rules {
		t.Run(r.id, func(t *testing.T) {
			assert.NotEmpty(t, r.says)
			if r.once != nil {
				r.once(t)
				ran[r.id] = append(ran[r.id], "once")
			}
			for _, v := range vendors {
				if slices.Contains(r.applies(), v.name) {
					t.Run(v.name, func(t *testing.T) {
						r.test(t, v)
						ran[r.id] = append(ran[r.id], v.name)
					})
				}
			}
		})
	}
	t.Run("every rule", func(t *testing.T) {
		for _, r := range rules {
			assert.Equal(t, r.applies(), ran[r.id], "%s was not tested to its end", r.id)
		}
		for _, id := range ruleIDs {
			ways := 0
			row := ""
			if where := ran[id]; where != nil {
				ways++
				row = strings.Join(where, ", ")
			}
			if reason := notTested[id]; reason != "" {
				ways++
				row = "not tested: " + reason
			}
			if other := testedAs[id]; other != "" {
				ways++
				row = "as " + other
				assert.NotEmpty(t, ran[other], "%s, which is tested as %s", id, other)
			}
			assert.Equal(t, 1, ways, "%s must be tested, or be in notTested, or in testedAs", id)
			t.Logf("%-7s %s", id, row)
		}
		known := map[string]bool{}
		for _, id := range ruleIDs {
			known[id] = true
		}
		for _, ids := range [][]string{idsOf(rules), slices.Collect(maps.Keys(notTested)), slices.Collect(maps.Keys(testedAs))} {
			for _, id := range ids {
				assert.True(t, known[id], "%s is no rule", id)
			}
		}
		ids := idsOf(rules)
		slices.Sort(ids)
		assert.Equal(t, slices.Compact(slices.Clone(ids)), ids, "a rule is listed twice")
	})
}

func idsOf(rules []rule) []string {
	var ids []string
	for _, r := range rules {
		ids = append(ids, r.id)
	}
	return ids
}

// grants returns a token response with the usual members and the extra ones.
func grants(n int, extra ...string) sandbox.Fault {
	members := append([]string{fmt.Sprintf(`"access_token":"at-%d","token_type":"Bearer"`, n)}, extra...)
	return respond(http.StatusOK, "{"+strings.Join(members, ",")+"}")
}

// respond returns a response with a JSON body, and headers as name, value, name, value.
func respond(status int, body string, headers ...string) sandbox.Fault {
	f := sandbox.Fault{Status: status, Body: body, Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		f.Header.Add(headers[i], headers[i+1])
	}
	return f
}

// refusal returns an error response as in RFC 6749, section 5.2.
func refusal(status int, code string, headers ...string) sandbox.Fault {
	return respond(status, `{"error":"`+code+`"}`, headers...)
}

// exchange requests a token from the vendor once, with scripted responses.
func exchange(t *testing.T, v vendor, responses ...sandbox.Fault) (*tokens.Token, error) {
	t.Helper()
	r := newRig(v, sandboxOptions{})
	r.responds(responses...)
	return r.plain(t).Exchange(t.Context(), r.grant)
}

// exchanged is exchange for a success.
func exchanged(t *testing.T, v vendor, responses ...sandbox.Fault) *tokens.Token {
	t.Helper()
	got, err := exchange(t, v, responses...)
	require.NoError(t, err)
	return got
}

// refused is exchange for an Error.
func refused(t *testing.T, v vendor, responses ...sandbox.Fault) *tokens.Error {
	t.Helper()
	got, err := exchange(t, v, responses...)
	require.Nil(t, got)
	var e *tokens.Error
	require.ErrorAs(t, err, &e)
	return e
}

// formOf returns a request's form, in which each field must be present once and not be empty.
func formOf(t *testing.T, r sandbox.Request) url.Values {
	t.Helper()
	form, err := url.ParseQuery(string(r.Body))
	require.NoError(t, err)
	for name, values := range form {
		assert.Len(t, values, 1, name)
		assert.NotEmpty(t, values[0], name)
	}
	return form
}

// roundTripper lets a function respond to requests.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// errRefused is the error of a dial to a closed port.
var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}

// requireOpError requires an error of the network. Its errno differs between platforms.
func requireOpError(t *testing.T, op string, err error) {
	t.Helper()
	network, ok := errors.AsType[*net.OpError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, op, network.Op)
}

// reply returns a response to a request, after it has read and closed the request's body as a RoundTripper must.
func reply(r *http.Request, status int, body string, headers ...string) *http.Response {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	resp := &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
	if json.Valid([]byte(body)) {
		resp.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		resp.Header.Set(headers[i], headers[i+1])
	}
	return resp
}
