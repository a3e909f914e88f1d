package tokens

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// start is the time at which a synctest bubble begins.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// No value of expires_in loses the token; a value that is not understood means that the expiry is not known.
func TestExpiry(t *testing.T) {
	unix := func(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	century := start.Add(100 * 365 * 24 * time.Hour)
	tests := []struct {
		name, expiresIn string
		date            string // of the response
		want            time.Time
	}{
		{"an integer", `3600`, "", start.Add(time.Hour)},
		{"a string", `"3600"`, "", start.Add(time.Hour)},
		{"a padded string", `" 3600 "`, "", start.Add(time.Hour)},
		{"a float", `1.5`, "", start.Add(1500 * time.Millisecond)},
		{"a float in a string", `"749.0"`, "", start.Add(749 * time.Second)},
		{"an exponent", `3.6e3`, "", start.Add(time.Hour)},
		{"zero", `0`, "", start},
		{"negative", `-1`, "", start.Add(-time.Second)},
		{"beyond int32", `2147483648`, "Sat, 01 Jan 2000 00:00:00 GMT", time.Unix(2147483648, 0)},
		{"the longest life", `1000000000`, "", start.Add(1e9 * time.Second)},
		{"a Unix time", unix(at), "", at},
		{"a Unix time in a string", `"` + unix(at) + `"`, "", at},
		{"a Unix time, by a clock an hour ahead", unix(at), "Sat, 01 Jan 2000 01:00:00 GMT", at.Add(-time.Hour)},
		{"a Unix time, by a clock an hour behind", unix(at), "Fri, 31 Dec 1999 23:00:00 GMT", at.Add(time.Hour)},
		{"a Unix time that has passed", `1000000001`, "Thu, 01 Jan 2026 00:00:00 GMT", start.Add(time.Unix(1000000001, 0).Sub(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))},
		{"a Unix time and a Date that is none", unix(at), "yesterday", at},
		{"beyond everything", `1` + strings.Repeat("0", 400), "", century},
		{"a Unix time in milliseconds", `1893456000000`, "", century},
		{"below everything", `-1e400`, "", start.Add(-100 * 365 * 24 * time.Hour)},
		{"missing", ``, "", time.Time{}},
		{"null", `null`, "", time.Time{}},
		{"false", `false`, "", time.Time{}},
		{"an object", `{}`, "", time.Time{}},
		{"an array", `[3600]`, "", time.Time{}},
		{"a word", `"zzz"`, "", time.Time{}},
		{"an empty string", `""`, "", time.Time{}},
		{"not a number", `"NaN"`, "", time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := `{"access_token":"at","token_type":"Bearer"}`
				if tt.expiresIn != "" {
					body = `{"access_token":"at","token_type":"Bearer","expires_in":` + tt.expiresIn + `}`
				}
				var headers []string
				if tt.date != "" {
					headers = []string{"Date", tt.date}
				}
				token, err := exchange(t, newScript(after(2*time.Second, reply(200, jsonType, body, headers...))))
				require.NoError(t, err)
				assert.Equal(t, "at", token.AccessToken)
				assert.WithinDuration(t, tt.want, token.Expiry, time.Microsecond)
			})
		})
	}
}

// A lifetime begins before the request for the token, not when its response arrives (RFC 6749, section 5.1).
func TestExpiryCountsFromTheLastRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(
			after(3*time.Second, reply(503, "", "", "Retry-After", "4")),
			after(5*time.Second, reply(200, jsonType, tokenReply)),
		)
		e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: s.client()})
		require.NoError(t, err)
		token, err := e.Exchange(t.Context(), vendorCases[1].grant)
		require.NoError(t, err)
		assert.Equal(t, start.Add(12*time.Second), time.Now().UTC())
		assert.Equal(t, start.Add(7*time.Second+time.Hour), token.Expiry.UTC())
	})
}

func TestTokenResponses(t *testing.T) {
	big := strings.Repeat("t", 64<<10)
	asked := []string{"/accounts.read"}
	tests := []struct {
		name, body string
		want       Token
	}{
		{"all members", `{"access_token":"at","token_type":"Bearer","refresh_token":"rt","scope":"a b"}`, Token{"at", "Bearer", "rt", []string{"a", "b"}, time.Time{}, nil}},
		{"token_type in lower case", `{"access_token":"at","token_type":"bearer"}`, Token{"at", "Bearer", "", asked, time.Time{}, nil}},
		{"token_type in odd case", `{"access_token":"at","token_type":"beAREr"}`, Token{"at", "Bearer", "", asked, time.Time{}, nil}},
		{"no token_type", `{"access_token":"at"}`, Token{"at", "Bearer", "", asked, time.Time{}, nil}},
		{"token_type null", `{"access_token":"at","token_type":null}`, Token{"at", "Bearer", "", asked, time.Time{}, nil}},
		{"another token_type", `{"access_token":"at","token_type":"DPoP"}`, Token{"at", "DPoP", "", asked, time.Time{}, nil}},
		{"an empty scope", `{"access_token":"at","scope":""}`, Token{"at", "Bearer", "", asked, time.Time{}, nil}},
		{"a padded scope", `{"access_token":"at","scope":"  b  a "}`, Token{"at", "Bearer", "", []string{"b", "a"}, time.Time{}, nil}},
		{"a scope of the wrong type", `{"access_token":"at","scope":["a"]}`, Token{"at", "Bearer", "", asked, time.Time{}, nil}},
		{"a refresh token of the wrong type", `{"access_token":"at","refresh_token":7}`, Token{"at", "Bearer", "", asked, time.Time{}, nil}},
		{"unknown members", `{"id_token":"x","access_token":"at","a":{"b":[1e999,{}]},"jti":null}`, Token{"at", "Bearer", "", asked, time.Time{}, map[string]json.RawMessage{
			"id_token": json.RawMessage(`"x"`), "a": json.RawMessage(`{"b":[1e999,{}]}`), "jti": json.RawMessage("null"),
		}}},
		{"an unknown member beside all others", `{"access_token":"at","token_type":"Bearer","refresh_token":"rt","scope":"a","jti":7}`, Token{
			"at", "Bearer", "rt", []string{"a"}, time.Time{}, map[string]json.RawMessage{"jti": json.RawMessage("7")},
		}},
		{"members in another case", `{"Access_Token":"at","REFRESH_TOKEN":"rt","Scope":"a"}`, Token{"at", "Bearer", "rt", []string{"a"}, time.Time{}, nil}},
		{"a byte order mark", "\xef\xbb\xbf" + `{"access_token":"at","refresh_token":"rt"}`, Token{"at", "Bearer", "rt", asked, time.Time{}, nil}},
		{"an empty error", `{"access_token":"at","error":""}`, Token{"at", "Bearer", "", asked, time.Time{}, nil}},
		{"an error that is none", `{"access_token":"at","error":null}`, Token{"at", "Bearer", "", asked, time.Time{}, nil}},
		{"the last of repeated members", `{"access_token":"old","access_token":"at"}`, Token{"at", "Bearer", "", asked, time.Time{}, nil}},
		{"64 KiB", `{"access_token":"` + big + `","refresh_token":"` + big + `"}`, Token{big, "Bearer", big, asked, time.Time{}, nil}},
		{"SailPoint's", `{"access_token":"at","token_type":"bearer","expires_in":null,"scope":"read write","tenant_id":"x","strong_auth":true,"internal":false}`, Token{"at", "Bearer", "", []string{"read", "write"}, time.Time{}, map[string]json.RawMessage{
			"tenant_id": json.RawMessage(`"x"`), "strong_auth": json.RawMessage("true"), "internal": json.RawMessage("false"),
		}}},
	}
	for _, tt := range tests {
		for _, mediaType := range []string{
			jsonType, "Application/JSON;charset=utf-8", "", "text/html", "text/plain;charset=UTF-8", "application/octet-stream", "not a type",
		} {
			t.Run(tt.name+"/"+mediaType, func(t *testing.T) {
				s := newScript(reply(200, mediaType, tt.body))
				token, err := exchange(t, s)
				require.NoError(t, err)
				assert.Equal(t, tt.want, *token)
				assert.Zero(t, s.leaks())
			})
		}
	}
}

func TestTokenResponsesRefused(t *testing.T) {
	const url = "POST https://api.moov.io/oauth2/token: "
	tests := []struct {
		name string
		step step
		want string
		is   error
	}{
		{"an error with 200", reply(200, jsonType, `{"error":"invalid_grant","error_description":"used up"}`), url + "200 OK: invalid_grant: used up", InvalidGrant},
		{"an error and a token", reply(200, jsonType, `{"access_token":"s3cret","error":"invalid_grant"}`), url + "200 OK: invalid_grant", InvalidGrant},
		{"no access_token", reply(200, jsonType, `{"refresh_token":"s3cret"}`), url + "200 OK: the response has no access_token", Status(200)},
		{"an empty access_token", reply(200, jsonType, `{"access_token":""}`), url + "200 OK: the response has no access_token", Status(200)},
		{"access_token of the wrong type", reply(200, jsonType, `{"access_token":{"s3cret":1}}`), url + "200 OK: the response has no access_token", Status(200)},
		{"null", reply(200, jsonType, `null`), url + "200 OK: the response has no access_token", Status(200)},
		{"an array", reply(200, jsonType, `["s3cret"]`), url + `200 OK: the response is not the JSON expected`, Status(200)},
		{"HTML", reply(200, "text/html", `<p>s3cret`), url + "200 OK: the response is text/html where JSON was asked for", Status(200)},
		{"a form", reply(200, "text/plain", `access_token=s3cret`), url + "200 OK: the response is text/plain where JSON was asked for", Status(200)},
		{"HTML as JSON", reply(200, jsonType, `<p>s3cret`), url + "200 OK: the response is not JSON at byte 1", Status(200)},
		{"more than one value", reply(200, jsonType, `{"access_token":"s3cret"}{}`), url + "200 OK: the response is not JSON at byte 26", Status(200)},
		{"nothing", reply(200, "", ""), url + "200 OK: the response is not JSON at byte 0", Status(200)},
		{"204", reply(204, "", ""), url + "204 No Content: the response is not JSON at byte 0", Status(204)},
		{"a cut value", reply(200, jsonType, `{"access_token":"s3cr`), url + "200 OK: the response is not JSON at byte 21", Status(200)},
		{"over 1 MiB", reply(200, jsonType, `{"access_token":"s3cret`+strings.Repeat("x", 1<<20)+`"}`), url + "200 OK: the response is longer than 1048576 bytes", Status(200)},
		{
			"a cut body",
			func(req *http.Request) (*http.Response, error) {
				resp, err := reply(200, jsonType, "")(req)
				resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"access_token":"s3cret`), brokenReader{io.ErrUnexpectedEOF}))
				resp.ContentLength = 100
				return resp, err
			},
			url + "200 OK: unexpected EOF", io.ErrUnexpectedEOF,
		},
		{"a redirect", reply(302, "", "", "Location", "https://api.moov.io/oauth2/elsewhere"), url + "302 Found: redirect to https://api.moov.io", Status(302)},
		{"401 with HTML", reply(401, "text/html", `<p>s3cret`), url + "401 Unauthorized", Status(401)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(tt.step)
			token, err := exchange(t, s)
			assert.Nil(t, token)
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.EqualError(t, err, tt.want)
			require.ErrorIs(t, err, tt.is)
			assert.Len(t, s.requests(), 1)
			assert.Zero(t, s.leaks())
		})
	}
}

// A complete refresh token in an incomplete response is not lost: the server may have consumed the old one.
func TestTokenResponsesThatAreCutOff(t *testing.T) {
	const whole = `{"access_token":"at","refresh_token":"rt"`
	tests := []struct {
		name, body string
		more       string // that goes on after the body
		want       *Token // nil for an error
	}{
		{"after a string", whole, " ", &Token{AccessToken: "at", RefreshToken: "rt"}},
		{"after a comma", whole + `,`, " ", &Token{AccessToken: "at", RefreshToken: "rt"}},
		{"in a name", whole + `,"scop`, " ", &Token{AccessToken: "at", RefreshToken: "rt"}},
		{"in a value", whole + `,"scope":"a b`, " ", &Token{AccessToken: "at", RefreshToken: "rt"}},
		{"in a number", whole + `,"expires_in":36`, "0", &Token{AccessToken: "at", RefreshToken: "rt"}},
		{"after a number", whole + `,"expires_in":3600,`, " ", &Token{AccessToken: "at", RefreshToken: "rt", Expiry: start.Add(time.Hour)}},
		{"after a scope", whole + `,"scope":"a","x":{"y":`, " ", &Token{AccessToken: "at", RefreshToken: "rt", Scopes: []string{"a"}}},
		{"after the end", whole + `}`, " ", &Token{AccessToken: "at", RefreshToken: "rt"}},
		{"after the end, in white space", `{"access_token":"at"}` + "\n ", " ", &Token{AccessToken: "at"}},
		{"after an error", whole + `,"error":"invalid_grant"`, " ", nil},
		{"in the refresh token", whole[:len(whole)-1], " ", nil},
		{"before the refresh token", `{"access_token":"at",`, " ", nil},
		{"in the access token", `{"refresh_token":"rt","access_token":"a`, " ", nil},
	}
	for _, tt := range tests {
		for name, step := range map[string]step{
			"by the connection": func(req *http.Request) (*http.Response, error) {
				resp, err := reply(200, jsonType, "")(req)
				resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(tt.body), brokenReader{io.ErrUnexpectedEOF}))
				resp.ContentLength = 1000
				return resp, err
			},
			"by the limit":  reply(200, jsonType, tt.body+strings.Repeat(tt.more, maxTokenResponse)),
			"by the server": reply(200, "text/html", tt.body),
		} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					token, err := exchange(t, newScript(step))
					if tt.want == nil {
						require.ErrorIs(t, err, Status(200))
						assert.Nil(t, token)
						return
					}
					require.NoError(t, err)
					assert.Equal(t, tt.want.AccessToken, token.AccessToken)
					assert.Equal(t, tt.want.RefreshToken, token.RefreshToken)
					assert.True(t, tt.want.Expiry.Equal(token.Expiry), token.Expiry)
					if tt.want.Scopes != nil {
						assert.Equal(t, tt.want.Scopes, token.Scopes)
					}
				})
			})
		}
	}
}

func TestTokenResponseOfExactlyOneMiB(t *testing.T) {
	body := `{"access_token":"` + strings.Repeat("x", maxTokenResponse-19) + `"}`
	require.Len(t, body, maxTokenResponse)
	token, err := exchange(t, newScript(reply(200, jsonType, body)))
	require.NoError(t, err)
	assert.Len(t, token.AccessToken, maxTokenResponse-19)
}

// A response results in a usable Token, or in an *Error that has the status and does not quote the body.
func FuzzTokenResponse(f *testing.F) {
	f.Add(tokenReply, "")
	f.Add(`{"access_token":"a","expires_in":"1e400","scope":" b"}`, "Sat, 01 Jan 2000 00:00:00 GMT")
	f.Add(`{"access_token":"a","expires_in":1893456000,"error":null}`, "x")
	f.Add(`{"error":"invalid_grant"}`, "")
	f.Fuzz(func(t *testing.T, body, date string) {
		requested := time.Now()
		resp, _ := reply(200, jsonType, body, "Date", date)(nil)
		resp.Request = newRequest(t, http.MethodPost, apiURL, "")
		token, err := readToken(resp, requested, nil)
		if err != nil {
			require.Nil(t, token)
			require.ErrorIs(t, err, Status(200))
			return
		}
		require.NotEmpty(t, token.AccessToken)
		require.NotEmpty(t, token.TokenType)
		if !token.Expiry.IsZero() {
			require.LessOrEqual(t, token.Expiry.Sub(requested).Abs(), 101*365*24*time.Hour)
		}
		stored, err := json.Marshal(token)
		require.NoError(t, err)
		require.True(t, json.Valid(stored))
	})
}
