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

// tokenBody is the body of a token response.
type tokenBody struct {
	AccessToken  string   `json:"access_token"`
	TokenType    string   `json:"token_type"`
	RefreshToken string   `json:"refresh_token"`
	ExpiresIn    lifetime `json:"expires_in"`
	Scope        string   `json:"scope"`
	Error        string   `json:"error"`
}

// count returns how many members are set.
func (b tokenBody) count() int {
	n := 0
	for _, text := range []string{b.AccessToken, b.TokenType, b.RefreshToken, b.Scope, b.Error} {
		if text != "" {
			n++
		}
	}
	if b.ExpiresIn.known {
		n++
	}
	return n
}

// parseTokenBody parses the body of a token response. A member of the wrong type counts as missing.
func parseTokenBody(data []byte) (tokenBody, error) {
	var body tokenBody
	err := json.Unmarshal(data, &body)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		err = nil
	}
	return body, err
}

// readToken reads a token response (RFC 6749, section 5.1) and closes its body. Only a missing access token is an
// error. Anything else that is odd is tolerated, so that the token, and above all a rotated refresh token, is not lost.
// If a member occurs twice, the last one counts. The token keeps scopes, if the response has none.
func readToken(resp *http.Response, requested time.Time, scopes []string) (*Token, error) {
	defer func() { _ = resp.Body.Close() }()
	data, readErr := readAll(resp)
	data = withoutBOM(data)
	body, err := parseTokenBody(data)
	if err != nil {
		// The request may have consumed the refresh token, so the new one must not be lost even if the response is
		// incomplete.
		start := wholeMembers(data)
		if saved, startErr := parseTokenBody(start); startErr == nil && saved.AccessToken != "" && saved.RefreshToken != "" {
			data, body, err = start, saved, nil
		}
	}
	if readErr != nil && body.AccessToken == "" {
		return nil, readErr // an *Error already
	}
	if err != nil {
		cause := notJSON(err)
		if contentType := resp.Header.Get("Content-Type"); contentType != "" && !isJSON(contentType) {
			cause = fmt.Errorf("the response is %s where JSON was asked for", clean(contentType))
		}
		return nil, NewError(resp, data, cause)
	}
	if body.Error != "" { // some servers send errors with status 200
		return nil, NewError(resp, data, nil)
	}
	t := &Token{
		AccessToken:  body.AccessToken,
		TokenType:    body.TokenType,
		RefreshToken: body.RefreshToken,
		Scopes:       strings.Fields(body.Scope),
		Expiry:       body.ExpiresIn.end(requested, resp.Header),
	}
	if bytes.Count(data, []byte(":")) > body.count() { // each member has a colon, so that it may have others
		t.Extra = extraMembers(data)
	}
	if t.AccessToken == "" {
		return nil, NewError(resp, data, errors.New("the response has no access_token"))
	}
	if t.TokenType == "" || isBearer(t.TokenType) {
		t.TokenType = "Bearer"
	}
	if len(t.Scopes) == 0 {
		t.Scopes = scopes
	}
	return t, nil
}

// wholeMembers returns an object of the complete members at the start of data, or nil if data is not an object.
func wholeMembers(data []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	end := dec.InputOffset()
	for dec.More() {
		var value json.RawMessage
		if _, err := dec.Token(); err != nil || dec.Decode(&value) != nil {
			break
		}
		if int(dec.InputOffset()) == len(data) && value[len(value)-1] != '"' {
			break // the number may be cut off
		}
		end = dec.InputOffset()
	}
	return append(slices.Clip(data[:end]), '}')
}

// extraMembers returns the members of a token response that no field of Token holds, or nil if there are none.
func extraMembers(data []byte) map[string]json.RawMessage {
	extra := object(data)
	for name := range extra {
		switch strings.ToLower(name) { // encoding/json ignores case too
		case "access_token", "token_type", "refresh_token", "expires_in", "scope", "error":
			delete(extra, name)
		}
	}
	if len(extra) == 0 {
		return nil
	}
	return extra
}

func isBearer(tokenType string) bool { return strings.EqualFold(tokenType, "Bearer") }

// lifetime is the value of expires_in: seconds as a number or a string. Values above 10^9 are a Unix time, as Moov
// documents it. The lifetime is unknown if expires_in is missing, null or not understood.
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

// end returns the expiry of a token whose life is counted from before the request.
func (l lifetime) end(requested time.Time, header http.Header) time.Time {
	if !l.known {
		return time.Time{}
	}
	seconds := l.seconds
	if seconds > 1e9 {
		// By the server's own Date, if there is one, because the local clock may be wrong.
		now := requested
		if date, err := http.ParseTime(header.Get("Date")); err == nil {
			now = date
		}
		seconds -= float64(now.UnixNano()) / 1e9
	}
	const century = 100 * 365 * 24 * 3600
	seconds = max(-century, min(seconds, century)) // keeps the Duration from overflowing
	return requested.Add(time.Duration(seconds * float64(time.Second)))
}
