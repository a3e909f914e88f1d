package tokens

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Errors that say why there is no token. When a [Cache] returns one of them, the error matches [ErrNoToken] too.
var (
	// ErrLoginRequired means that a person must log in: there is no login, it was revoked, or the server refused its
	// refresh token for good. A web application should respond with 401 and start a login; for any other error, with 503.
	ErrLoginRequired = errors.New("a login is required")
	// ErrStore means that the Store failed.
	ErrStore = errors.New("the token store failed")
	// ErrClosed means that the Cache was closed.
	ErrClosed = errors.New("closed")
	// ErrConflict is returned by a [Store]'s CompareAndSwap if the stored version is not the expected one. It means that
	// nothing was written.
	ErrConflict = errors.New("the stored version is not the one expected")
)

// Error is the error of a failed call: a response outside 2xx, a response that cannot be read, or no response at all
// (StatusCode 0). The cause is wrapped. The package comment says which member of a vendor's response becomes which
// field.
type Error struct {
	Method     string
	URL        string // without user, query and fragment
	StatusCode int
	Code       Code
	Message    string
	RequestID  string        // the id to quote to the vendor's support
	RetryAfter time.Duration // how long the vendor asks to wait after the response; 0 if it does not say
	Fields     []Field
	// Body is the start of the response, at most 64 KiB. It may hold secrets, so error texts do not include it; do not log
	// it without thought.
	Body []byte `json:"-"`

	cause  error
	unsent bool // without a response: no attempt can have reached the server unanswered
}

// Field is an error about one field of a request.
type Field struct {
	Name    string // "" if the vendor does not name the field
	Code    string
	Message string
}

// Code is a vendor's error code. It is an error so that it can be the target of errors.Is.
type Code string

// Error returns the code.
func (c Code) Error() string { return string(c) }

// Codes of RFC 6749, section 5.2; RFC 7009, section 2.2.1; RFC 6750, section 3.1; RFC 8628, section 3.5; RFC 8707,
// section 2; and, for logins, RFC 6749, section 4.1.2.1.
const (
	InvalidRequest       Code = "invalid_request"
	InvalidClient        Code = "invalid_client"
	InvalidGrant         Code = "invalid_grant"
	UnauthorizedClient   Code = "unauthorized_client"
	UnsupportedGrantType Code = "unsupported_grant_type"
	InvalidScope         Code = "invalid_scope"
	UnsupportedTokenType Code = "unsupported_token_type"
	InvalidToken         Code = "invalid_token"
	InsufficientScope    Code = "insufficient_scope"

	AuthorizationPending Code = "authorization_pending"
	SlowDown             Code = "slow_down"
	ExpiredToken         Code = "expired_token"
	InvalidTarget        Code = "invalid_target"

	AccessDenied            Code = "access_denied"
	UnsupportedResponseType Code = "unsupported_response_type"
	ServerError             Code = "server_error"
	TemporarilyUnavailable  Code = "temporarily_unavailable"
)

var standardCodes = []Code{
	InvalidRequest, InvalidClient, InvalidGrant, UnauthorizedClient, UnsupportedGrantType, InvalidScope,
	UnsupportedTokenType, InvalidToken, InsufficientScope, AuthorizationPending, SlowDown, ExpiredToken, InvalidTarget,
	AccessDenied, UnsupportedResponseType, ServerError, TemporarilyUnavailable,
}

// Status is an HTTP status code. It is an error so that it can be the target of errors.Is.
type Status int

// Error returns the code and its name.
func (s Status) Error() string {
	return strings.TrimSpace(strconv.Itoa(int(s)) + " " + http.StatusText(int(s)))
}

// Error returns the method, URL, status, code, message, fields, cause, request id and time to wait, and nothing else of
// the response.
func (e Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Method + " " + e.URL + ": ")
	var parts []string
	if e.StatusCode != 0 {
		parts = append(parts, Status(e.StatusCode).Error())
	}
	for _, part := range []string{e.codeText(), e.messageText(), e.causeText()} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	b.WriteString(strings.Join(parts, ": "))
	var notes []string
	if e.MayHaveActed() {
		notes = append(notes, "the server may have acted on it")
	}
	if id := clean(e.RequestID); id != "" {
		notes = append(notes, "request id "+id)
	}
	if e.RetryAfter > 0 {
		notes = append(notes, "retry after "+max(e.RetryAfter.Round(time.Second), time.Second).String())
	}
	if len(notes) > 0 {
		b.WriteString(" (" + strings.Join(notes, ", ") + ")")
	}
	return b.String()
}

// codeText returns the code, unless it only repeats the status.
func (e Error) codeText() string {
	code := clean(string(e.Code))
	if strings.EqualFold(code, Status(e.StatusCode).Error()) || strings.EqualFold(code, http.StatusText(e.StatusCode)) {
		return ""
	}
	return code
}

// messageText returns the message, without the name of the status, and the field errors that it does not contain.
func (e Error) messageText() string {
	message := clean(e.Message)
	if name := http.StatusText(e.StatusCode); len(message) >= len(name) && strings.EqualFold(message[:len(name)], name) {
		if rest := message[len(name):]; rest == "" || strings.HasPrefix(rest, ": ") {
			message = strings.TrimPrefix(rest, ": ")
		}
	}
	fields := clean(summary(e.Fields))
	switch {
	case fields == "" || fields == clean(e.Message):
		return message
	case message == "":
		return fields
	}
	return message + " [" + fields + "]"
}

func (e Error) causeText() string {
	if e.cause == nil {
		return ""
	}
	return shorten(e.cause.Error(), maxCause)
}

// MayHaveActed reports whether the request may have had an effect although no response says so: it was sent, and its
// method is POST, PUT, PATCH or DELETE.
func (e Error) MayHaveActed() bool {
	switch e.Method {
	case http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete:
		return e.StatusCode == 0 && !e.unsent && !errors.Is(e.cause, ErrNoToken)
	}
	return false
}

// Format prints the text of Error whatever the verb, so that %#v does not print Body.
func (e Error) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// LogValue returns the parts of Error's text as attributes.
func (e Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("method", e.Method), slog.String("url", e.URL)}
	if e.StatusCode != 0 {
		attrs = append(attrs, slog.Int("status", e.StatusCode))
	}
	for _, a := range []struct{ key, value string }{
		{"code", clean(string(e.Code))},
		{"message", clean(e.Message)},
		{"fields", clean(summary(e.Fields))},
		{"cause", e.causeText()},
		{"request_id", clean(e.RequestID)},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	if e.RetryAfter > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.RetryAfter))
	}
	return slog.GroupValue(attrs...)
}

// Is reports whether target is e's [Code] or [Status].
func (e Error) Is(target error) bool {
	switch t := target.(type) {
	case Code:
		return e.Code == t && t != ""
	case Status:
		return e.StatusCode == int(t) && t != 0
	}
	return false
}

// Unwrap returns the reason why there was no response or it could not be read, or why there was no new token after a
// 401. It may be nil.
func (e Error) Unwrap() error { return e.cause }

// Timeout reports whether the call ran out of time.
func (e Error) Timeout() bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](e.cause)
	return ok && t.Timeout()
}

// Decode decodes Body as JSON into v, such as a pointer to a generated error model.
func (e Error) Decode(v any) error {
	if err := unmarshal(e.Body, v); err != nil {
		return fmt.Errorf("tokens: the body of this error does not fit %T", v) // err would quote it
	}
	return nil
}

const (
	maxText  = 200 // characters of a server's text
	maxCause = 500 // characters of a cause
)

// clean makes a server's text fit for one line of a log: no control characters, which RFC 6749, section 5.2, forbids
// anyway, and not too long.
func clean(s string) string { return shorten(s, maxText) }

// shorten returns s on one line, without control characters, and with at most most characters.
func shorten(s string, most int) string {
	if cut := 8 * utf8.UTFMax * most; len(s) > cut {
		s = s[:cut] // avoids scanning megabytes for one line
	}
	words := strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) })
	s = strings.Join(words, " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "..."
	}
	return s
}
