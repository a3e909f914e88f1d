package oauthclients

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/tokens"
)

// decodeClient reads data, which is an answer or a part of it, into the zero client.
//
// A client as the vendor documents it is read here, several times as fast as by encoding/json. Whatever is not quite so
// (another member, another type, an escape in a string) is left to encoding/json, which has the last word on all that
// is odd.
func decodeClient(resp *http.Response, data []byte, client *sailpoint.OAuthClient) error {
	if scanClient(data, client) {
		return nil
	}
	*client = sailpoint.OAuthClient{}
	part := *resp
	part.Body = io.NopCloser(bytes.NewReader(data))
	return tokens.DecodeResponse(&part, client)
}

// scanClient reads a documented client as json.Unmarshal would. If it returns false, c is undefined.
func scanClient(data []byte, c *sailpoint.OAuthClient) bool {
	s := &scanner{rest: data}
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return s.end()
	}
	for {
		name := s.text()
		if !s.take(':') {
			return false
		}
		switch string(name) {
		case "id":
			scanString(s, &c.ID)
		case "businessName":
			scanPointer(s, &c.BusinessName)
		case "homepageUrl":
			scanPointer(s, &c.HomepageURL)
		case "name":
			scanString(s, &c.Name)
		case "description":
			scanPointer(s, &c.Description)
		case "accessTokenValiditySeconds":
			s.int32(&c.AccessTokenValiditySeconds)
		case "refreshTokenValiditySeconds":
			s.int32(&c.RefreshTokenValiditySeconds)
		case "redirectUris":
			scanList(s, &c.RedirectURIs)
		case "grantTypes":
			scanList(s, &c.GrantTypes)
		case "accessType":
			scanString(s, &c.AccessType)
		case "type":
			scanString(s, &c.Type)
		case "internal":
			s.bool(&c.Internal)
		case "enabled":
			s.bool(&c.Enabled)
		case "strongAuthSupported":
			s.bool(&c.StrongAuthSupported)
		case "claimsSupported":
			s.bool(&c.ClaimsSupported)
		case "created":
			s.time(&c.Created)
		case "modified":
			s.time(&c.Modified)
		case "secret":
			scanPointer(s, &c.Secret)
		case "metadata":
			scanPointer(s, &c.Metadata)
		case "lastUsed":
			if c.LastUsed = nil; !s.null() {
				c.LastUsed = new(wire.Time)
				s.time(c.LastUsed)
			}
		case "scope":
			scanList(s, &c.Scope)
		default:
			return false
		}
		if !s.take(',') {
			return s.take('}') && s.end()
		}
	}
}

// scanner reads JSON from the start of what is left. What it does not expect it does not take, so that the next thing
// expected is not there either, up to the end.
type scanner struct {
	rest   []byte
	failed bool
}

// skipSpace returns whether anything is left behind white space.
func (s *scanner) skipSpace() bool {
	for i, c := range s.rest {
		if !isSpace(c) {
			s.rest = s.rest[i:]
			return true
		}
	}
	s.rest = nil
	return false
}

// take takes c, if it is next.
func (s *scanner) take(c byte) bool {
	if s.failed || !s.skipSpace() || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// word takes a word, if it is next. What follows it is not looked at: none of what may follow is part of a word.
func (s *scanner) word(w string) bool {
	if s.failed || !s.skipSpace() || !bytes.HasPrefix(s.rest, []byte(w)) {
		return false
	}
	s.rest = s.rest[len(w):]
	return true
}

func (s *scanner) null() bool { return s.word("null") }

// end tells whether all was read.
func (s *scanner) end() bool { return !s.failed && !s.skipSpace() }

// text takes a string without escapes, and returns what is between its quotes.
func (s *scanner) text() []byte {
	if !s.take('"') {
		s.failed = true
		return nil
	}
	ascii := true
	for i, c := range s.rest {
		switch {
		case c == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			s.failed = !ascii && !utf8.Valid(text)
			return text
		case c == '\\' || c < ' ':
			s.failed = true
			return nil
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	s.failed = true
	return nil
}

func (s *scanner) bool(v *bool) {
	switch {
	case s.word("true"):
		*v = true
	case s.word("false"):
		*v = false
	default:
		s.failed = !s.null()
	}
}

func (s *scanner) int32(v *int32) {
	if s.null() {
		return
	}
	n := 0
	for n < len(s.rest) && s.rest[n]-'0' <= 9 {
		n++
	}
	i, err := strconv.ParseInt(string(s.rest[:n]), 10, 32)
	if err != nil || s.rest[0] == '0' && n > 1 {
		s.failed = true
		return
	}
	*v, s.rest = int32(i), s.rest[n:]
}

// time takes a timestamp, which encoding/json would give to UnmarshalJSON as it stands.
func (s *scanner) time(v *wire.Time) {
	if s.null() {
		*v = wire.Time{}
		return
	}
	start := s.rest
	text := s.text()
	s.failed = s.failed || v.UnmarshalJSON(start[:len(text)+len(`""`)]) != nil
}

func scanString[T ~string](s *scanner, v *T) {
	if !s.null() {
		*v = T(s.text())
	}
}

func scanPointer[T ~string](s *scanner, v **T) {
	if *v = nil; !s.null() {
		*v = new(T(s.text()))
	}
}

func scanList[T ~string](s *scanner, v *[]T) {
	if *v = nil; s.null() {
		return
	}
	if !s.take('[') {
		s.failed = true
		return
	}
	if s.take(']') {
		*v = []T{}
		return
	}
	list := make([]T, 0, 4) // few have more
	for !s.failed {
		list = append(list, T(s.text()))
		if !s.take(',') {
			s.failed = !s.take(']')
			*v = list
			return
		}
	}
}
