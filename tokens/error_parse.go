package tokens

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxErrorBody is how much of an answer an Error keeps.
const maxErrorBody = 64 << 10

// failure makes the Error of a call that got no answer. What *url.Error adds is dropped: it prints queries.
func failure(req *http.Request, cause error) *Error {
	if u, ok := errors.AsType[*url.Error](cause); ok {
		cause = u.Err
	}
	e := &Error{Method: req.Method, URL: redactURL(req.URL), cause: cause}
	if op, ok := errors.AsType[*net.OpError](cause); ok && op.Op == "dial" {
		e.unsent = true
	}
	e.hide(secretsOf(req))
	return e
}

// readError makes the Error of an answer and closes it. Without a cause the answer says itself what is wrong.
func readError(resp *http.Response, cause error) *Error {
	// What was read counts even if the rest does not come: the status wins over the body.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	_ = resp.Body.Close()
	return NewError(resp, body, cause)
}

// NewError makes the [*Error] of an answer of a [Doer] whose body, or the start of it, has been read: the one way to say
// what is wrong with an answer that a caller reads by itself. The cause is wrapped; with a nil one the answer says itself
// what is wrong. body is copied as far as Body goes.
func NewError(resp *http.Response, body []byte, cause error) *Error {
	e := &Error{
		Method:     resp.Request.Method,
		URL:        redactURL(resp.Request.URL),
		StatusCode: resp.StatusCode,
		RequestID:  firstOf(resp.Header.Get("X-Request-ID"), resp.Header.Get("Slpt-Request-Id")),
		RetryAfter: retryAfter(resp, time.Now()),
		Body:       bytes.Clone(body[:min(len(body), maxErrorBody)]),
		cause:      cause,
	}
	if cause == nil {
		e.read(body, resp)
	}
	e.hide(secretsOf(resp.Request))
	return e
}

// read reads what an answer says of itself.
func (e *Error) read(body []byte, resp *http.Response) {
	if members := object(body); members != nil {
		e.readMembers(members, resp)
	} else {
		e.Message = firstOf(text(body), plainText(body, resp.Header.Get("Content-Type")))
	}
	if e.Code == "" {
		code, description := bearerChallenge(resp.Header.Values("WWW-Authenticate"))
		e.Code, e.Message = Code(code), firstOf(e.Message, description)
	}
}

// readMembers understands every JSON shape that the vendors use, by member and not by vendor: gateways in front of
// them answer in shapes of their own.
func (e *Error) readMembers(m map[string]json.RawMessage, resp *http.Response) {
	// RFC 6749, section 5.2; SailPoint's 401 has a sentence in the same place.
	if code := text(m["error"]); strings.Contains(code, " ") {
		e.Message = code
	} else {
		e.Code = Code(code)
	}
	e.Message = firstOf(text(m["error_description"]), e.Message, text(m["message"]))
	// Some servers nest the error.
	if inner := object(m["error"]); inner != nil {
		e.Code, e.Message = Code(text(inner["code"])), firstOf(e.Message, text(inner["message"]))
	}

	// RFC 9457.
	if t := text(m["type"]); isProblem(resp.Header.Get("Content-Type")) && t != "" && t != "about:blank" {
		if base, err := url.Parse(e.URL); err == nil {
			if ref, err := base.Parse(t); err == nil {
				e.Code = Code(ref.String())
			}
		}
	}
	e.Message = firstOf(e.Message, joined(": ", text(m["title"]), text(m["detail"])))

	// ThousandEyes.
	e.Code = firstOf(e.Code, Code(text(m["httpStatus"])))
	for _, raw := range array(m["errors"]) {
		item := object(raw)
		f := Field{firstOf(text(item["field"]), number(item["field"])), text(item["code"]), firstOf(text(item["message"]), text(raw))}
		if f != (Field{}) {
			e.Fields = append(e.Fields, f)
		}
	}

	// SailPoint.
	e.Code = firstOf(e.Code, Code(text(m["detailCode"])))
	e.RequestID = firstOf(e.RequestID, text(m["trackingId"]))
	for _, item := range array(m["messages"]) {
		e.Message = firstOf(e.Message, text(object(item)["text"]))
	}
	for _, item := range array(m["causes"]) {
		if s := text(object(item)["text"]); s != "" {
			e.Fields = append(e.Fields, Field{Message: s})
		}
	}

	// Moov's 422 has nothing but request fields, each with its complaint.
	if e.StatusCode == http.StatusUnprocessableEntity && e.Code == "" && e.Message == "" && e.Fields == nil {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if s := text(m[name]); s != "" && slices.Contains(moovFields, name) {
				e.Fields = append(e.Fields, Field{Name: name, Message: s})
			}
		}
	}
	if e.Message == "" {
		e.Message = summary(e.Fields)
	}
}

// moovFields are the request fields that Moov complains of by name.
var moovFields = []string{"grant_type", "scope", "refresh_token", "client_id", "client_secret", "token", "token_type_hint"}

// summary says the field complaints in one line.
func summary(fields []Field) string {
	var parts []string
	for _, f := range fields {
		parts = append(parts, joined(": ", f.Name, firstOf(f.Message, f.Code)))
	}
	return strings.Join(parts, "; ")
}

// plainText is what a body that is neither JSON nor markup says.
func plainText(body []byte, contentType string) string {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	s := strings.TrimSpace(string(body))
	if s == "" || strings.ContainsRune("<{[", rune(s[0])) || mediaType == "text/html" || isJSON(mediaType) {
		return ""
	}
	return s
}

// isProblem tells whether a media type is that of RFC 9457.
func isProblem(contentType string) bool {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	return mediaType == "application/problem+json"
}

func isEmpty(s string) bool { return s == "" }

// joined joins what is not empty.
func joined(separator string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, isEmpty), separator)
}

// firstOf returns the first of its arguments that is not empty.
func firstOf[S ~string](values ...S) S {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// text, number, object and array read a JSON value of that type; any other type reads as none (RFC 9457, section 3.1).
func text(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func number(raw json.RawMessage) string {
	var n json.Number
	if json.Unmarshal(raw, &n) != nil {
		return ""
	}
	return n.String()
}

func object(raw json.RawMessage) (m map[string]json.RawMessage) {
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

func array(raw json.RawMessage) (a []json.RawMessage) {
	if json.Unmarshal(raw, &a) != nil {
		return nil
	}
	return a
}
