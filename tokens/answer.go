package tokens

import (
	"encoding/json"
	"errors"
	"io"
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
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err // an *Error already
	}
	var answer struct {
		AccessToken  json.RawMessage `json:"access_token"`
		TokenType    json.RawMessage `json:"token_type"`
		RefreshToken json.RawMessage `json:"refresh_token"`
		ExpiresIn    json.RawMessage `json:"expires_in"`
		Scope        json.RawMessage `json:"scope"`
		Error        json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, newError(resp, data, notJSON(err))
	}
	if text(answer.Error) != "" { // some servers answer errors with 200
		return nil, newError(resp, data, nil)
	}
	t := &Token{
		AccessToken:  text(answer.AccessToken),
		TokenType:    text(answer.TokenType),
		RefreshToken: text(answer.RefreshToken),
		Scopes:       strings.Fields(text(answer.Scope)),
		Expiry:       expiry(answer.ExpiresIn, requested, resp.Header),
	}
	if t.AccessToken == "" {
		return nil, newError(resp, data, errors.New("the answer has no access_token"))
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

// expiry is the end of a life that is counted from before the request. expires_in is a number or a string of seconds;
// above 10^9 it is a Unix time, as Moov documents it. Missing, null or not understood: not known.
func expiry(expiresIn json.RawMessage, requested time.Time, header http.Header) time.Time {
	seconds, err := strconv.ParseFloat(firstOf(strings.TrimSpace(text(expiresIn)), number(expiresIn)), 64)
	if (err != nil && !errors.Is(err, strconv.ErrRange)) || math.IsNaN(seconds) {
		return time.Time{}
	}
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
