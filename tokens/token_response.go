package tokens

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// readToken reads a token answer (RFC 6749, section 5.1) and closes it. Only a missing access token is an error: what
// else is odd must not cost a token, least of all a rotated refresh token. Unknown members are ignored; of a repeated
// member the last counts.
func readToken(resp *http.Response, requested time.Time, scopes []string) (*Token, error) {
	defer func() { _ = resp.Body.Close() }()
	data, err := readAll(resp)
	if err != nil {
		return nil, err // an *Error already
	}
	var answer struct {
		AccessToken  string   `json:"access_token"`
		TokenType    string   `json:"token_type"`
		RefreshToken string   `json:"refresh_token"`
		ExpiresIn    lifetime `json:"expires_in"`
		Scope        string   `json:"scope"`
		Error        string   `json:"error"`
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // a byte order mark
	err = json.Unmarshal(data, &answer)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); err != nil && (!ok || wrong.Field == "") {
		cause := notJSON(err)
		if contentType := resp.Header.Get("Content-Type"); contentType != "" && !isJSON(contentType) {
			cause = fmt.Errorf("the response is %s where JSON was asked for", clean(contentType))
		}
		return nil, NewError(resp, data, cause)
	}
	if answer.Error != "" { // some servers answer errors with 200
		return nil, NewError(resp, data, nil)
	}
	t := &Token{
		AccessToken:  answer.AccessToken,
		TokenType:    answer.TokenType,
		RefreshToken: answer.RefreshToken,
		Scopes:       strings.Fields(answer.Scope),
		Expiry:       answer.ExpiresIn.end(requested, resp.Header),
	}
	if t.AccessToken == "" {
		return nil, NewError(resp, data, errors.New("the answer has no access_token"))
	}
	if t.TokenType == "" || isBearer(t.TokenType) {
		t.TokenType = "Bearer"
	}
	if len(t.Scopes) == 0 {
		t.Scopes = slices.Clone(scopes)
	}
	return t, nil
}

func isBearer(tokenType string) bool { return strings.EqualFold(tokenType, "Bearer") }

// lifetime is what expires_in says: a number or a string of seconds that, above 10^9, are a Unix time, as Moov documents
// it. Missing, null or not understood: not known.
type lifetime struct {
	seconds float64
	known   bool
}

func (l *lifetime) UnmarshalJSON(data []byte) error {
	seconds, err := strconv.ParseFloat(strings.TrimSpace(strings.Trim(string(data), `"`)), 64)
	if (err == nil || errors.Is(err, strconv.ErrRange)) && !math.IsNaN(seconds) {
		*l = lifetime{seconds, true}
	}
	return nil
}

// end is the end of a life that is counted from before the request.
func (l lifetime) end(requested time.Time, header http.Header) time.Time {
	if !l.known {
		return time.Time{}
	}
	seconds := l.seconds
	if seconds > 1e9 {
		// Against the server's own clock where it tells it: ours may be wrong.
		now := requested
		if date, err := http.ParseTime(header.Get("Date")); err == nil {
			now = date
		}
		seconds -= float64(now.UnixNano()) / 1e9
	}
	const century = 100 * 365 * 24 * 3600
	seconds = max(-century, min(seconds, century)) // a Duration holds three times that
	return requested.Add(time.Duration(seconds * float64(time.Second)))
}
