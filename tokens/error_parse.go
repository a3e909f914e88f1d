package tokens

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxErrorBody is the number of bytes of a response that an Error keeps.
const maxErrorBody = 64 << 10

// failure returns the Error of a call that got no response. It drops any *url.Error around cause, because that prints
// queries.
func failure(req *http.Request, cause error) *Error {
	for u, ok := errors.AsType[*url.Error](cause); ok; u, ok = cause.(*url.Error) { //nolint:errorlint // only the outermost errors
		cause = u.Err
	}
	e := &Error{Method: req.Method, URL: redactURL(req.URL), cause: cause, unsent: isDial(cause)}
	e.hide(secretsOf(req))
	return e
}

// readError returns the Error of a response, and closes its body. If cause is nil, the response itself is the error.
func readError(resp *http.Response, cause error) *Error {
	// An incomplete body does not matter: the status is more important.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	_ = resp.Body.Close()
	return NewError(resp, body, cause)
}

// NewError returns the [*Error] of a response, given its body or the start of it, which is copied to Body. The error
// wraps cause; if cause is nil, the response itself is the error. If the response is a 401 of [NewClient] for which the
// Source had no other token, the error also matches the Source's error, as with [Doer.Do].
func NewError(resp *http.Response, body []byte, cause error) *Error {
	e := &Error{
		StatusCode: resp.StatusCode,
		RequestID:  cmp.Or(resp.Header.Get("X-Request-ID"), resp.Header.Get("Slpt-Request-Id")),
		RetryAfter: retryAfter(resp, time.Now()),
		Body:       bytes.Clone(body[:min(len(body), maxErrorBody)]),
		cause:      cause,
	}
	var c *doerCall
	if req := resp.Request; req != nil {
		e.Method, e.URL, c = req.Method, redactURL(req.URL), callOf(req.Context())
	}
	if c != nil && c.limited != nil {
		e.RetryAfter = c.limited.retryAfter // the response may be old by now
	}
	if cause == nil {
		e.read(withoutBOM(body), resp)
		if c != nil && c.noRenewal != nil && resp.StatusCode == http.StatusUnauthorized {
			e.cause = &retryError{"renewal of the token", c.noRenewal}
		}
	}
	e.hide(secretsOf(resp.Request))
	return e
}

// withoutBOM returns data without a byte order mark, which some servers put before JSON.
func withoutBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) }

// read fills e from the body and headers of a response.
func (e *Error) read(body []byte, resp *http.Response) {
	if members := object(body); members != nil {
		e.readMembers(members, resp)
	} else {
		e.Message = cmp.Or(text(body), plainText(body, resp.Header.Get("Content-Type")))
	}
	if e.Code == "" {
		code, description := bearerChallenge(resp.Header.Values("WWW-Authenticate"))
		e.Code, e.Message = Code(code), cmp.Or(e.Message, description)
	}
	if location := resp.Header.Get("Location"); location != "" && resp.StatusCode/100 == 3 && e.Message == "" {
		if base, err := url.Parse(e.URL); err == nil {
			if to, err := base.Parse(location); err == nil && to.Host != "" {
				e.Message = "redirect to " + to.Scheme + "://" + to.Host
			}
		}
	}
}

// readMembers reads the error formats of all vendors. It looks at the members, not at the vendor, because gateways in
// front of a vendor have formats of their own.
func (e *Error) readMembers(m map[string]json.RawMessage, resp *http.Response) {
	// RFC 6749, section 5.2. SailPoint's 401 has a sentence there.
	if code := text(m["error"]); strings.Contains(code, " ") {
		e.Message = code
	} else {
		e.Code = Code(code)
	}
	e.Message = cmp.Or(text(m["error_description"]), e.Message, text(m["message"]), text(m["errorMessage"]))
	// Some servers nest the error.
	if inner := object(m["error"]); inner != nil {
		e.Code, e.Message = Code(text(inner["code"])), cmp.Or(e.Message, text(inner["message"]))
	}

	// RFC 9457.
	if t := text(m["type"]); isProblem(resp.Header.Get("Content-Type")) && t != "" && t != "about:blank" {
		if base, err := url.Parse(e.URL); err == nil {
			if ref, err := base.Parse(t); err == nil {
				e.Code = Code(ref.String())
			}
		}
	}
	e.Message = cmp.Or(e.Message, joined(": ", text(m["title"]), text(m["detail"])))

	// ThousandEyes.
	e.Code = cmp.Or(e.Code, Code(text(m["httpStatus"])))
	for _, raw := range array(m["errors"]) {
		item := object(raw)
		f := Field{cmp.Or(text(item["field"]), as[json.Number](item["field"]).String()), text(item["code"]), cmp.Or(text(item["message"]), text(raw))}
		if f != (Field{}) {
			e.Fields = append(e.Fields, f)
		}
	}

	// SailPoint.
	e.Code = cmp.Or(e.Code, Code(text(m["detailCode"])))
	e.RequestID = cmp.Or(e.RequestID, text(m["trackingId"]))
	for _, item := range array(m["messages"]) {
		e.Message = cmp.Or(e.Message, text(object(item)["text"]))
	}
	for _, item := range array(m["causes"]) {
		if s := text(object(item)["text"]); s != "" {
			e.Fields = append(e.Fields, Field{Message: s})
		}
	}

	// Moov's 422 has only the names of request fields, each with an error.
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

// moovFields are the names of the request fields in Moov's errors.
var moovFields = []string{"grant_type", "scope", "refresh_token", "client_id", "client_secret", "token", "token_type_hint"}

// summary returns the field errors on one line.
func summary(fields []Field) string {
	var parts []string
	for _, f := range fields {
		parts = append(parts, joined(": ", f.Name, cmp.Or(f.Message, f.Code)))
	}
	return strings.Join(parts, "; ")
}

// plainText returns the text of a body that is neither JSON nor markup.
func plainText(body []byte, contentType string) string {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	s := strings.TrimSpace(string(body))
	if s == "" || strings.ContainsRune("<{[", rune(s[0])) || mediaType == "text/html" || isJSON(mediaType) {
		return ""
	}
	return s
}

// isProblem reports whether the media type is application/problem+json (RFC 9457).
func isProblem(contentType string) bool {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	return mediaType == "application/problem+json"
}

// joined joins the parts that are not empty.
func joined(separator string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), separator)
}

// as returns a JSON value as a T, or the zero T if it has another type (RFC 9457, section 3.1).
func as[T any](raw json.RawMessage) T {
	var value, none T
	if json.Unmarshal(raw, &value) != nil {
		return none
	}
	return value
}

func text(raw json.RawMessage) string { return as[string](raw) }

func object(raw json.RawMessage) map[string]json.RawMessage {
	return as[map[string]json.RawMessage](raw)
}

func array(raw json.RawMessage) []json.RawMessage { return as[[]json.RawMessage](raw) }
