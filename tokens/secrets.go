package tokens

import (
	"cmp"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hide removes secrets, which servers tend to echo, from everything that an error prints, and makes the texts fit for
// one line of a log.
func (e *Error) hide(secrets []string) {
	tidy := func(s string) string { return clean(withoutSecrets(s, secrets)) } // first the secrets: a shortened one would not be found

	if !slices.Contains(standardCodes, e.Code) { // otherwise a client named "client" would never see invalid_client
		e.Code = Code(tidy(string(e.Code)))
	}
	e.Message, e.RequestID = tidy(e.Message), tidy(e.RequestID)
	for i, f := range e.Fields {
		e.Fields[i] = Field{tidy(f.Name), tidy(f.Code), tidy(f.Message)}
	}
	if e.cause != nil {
		text := e.cause.Error()
		if safe := shorten(withoutSecrets(withoutUsers(text), secrets), maxCause); safe != text {
			e.cause = &quietError{safe, e.cause}
		}
	}
}

// withoutSecrets replaces the secrets in s. A short secret inside a longer word is left alone, because it is probably
// part of that word.
func withoutSecrets(s string, secrets []string) string {
	const long = 16
	for _, secret := range secrets {
		var b strings.Builder
		done := 0
		for done < len(s) {
			i := strings.Index(s[done:], secret)
			if i < 0 {
				break
			}
			i += done
			end := i + len(secret)
			if len(secret) < long && (inWord(s, i) || inWord(s, end)) {
				b.WriteString(s[done : i+1])
				done = i + 1
				continue
			}
			b.WriteString(s[done:i] + redacted)
			done = end
		}
		if done > 0 {
			s = b.String() + s[done:]
		}
	}
	return s
}

// inWord reports whether the bytes before and after i belong to one word.
func inWord(s string, i int) bool {
	isLetter := func(c byte) bool {
		return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= 0x80
	}
	return i > 0 && i < len(s) && isLetter(s[i-1]) && isLetter(s[i])
}

// userOfURL matches the user and password of a URL, even if the URL cannot be parsed.
var userOfURL = regexp.MustCompile(`://[^\s"'/?#]*@`)

// withoutUsers removes users and passwords from the URLs in s. If net/http reports an invalid proxy address, everything
// after that message is removed.
func withoutUsers(s string) string {
	const proxy = "invalid proxy address"
	if i := strings.Index(s, proxy); i >= 0 {
		s = s[:i+len(proxy)]
	}
	return userOfURL.ReplaceAllLiteralString(s, "://"+redacted+"@")
}

// quietError is an error whose text is safe to print. It has no Unwrap method, because the cause's text is not.
type quietError struct {
	text  string
	cause error
}

func (e *quietError) Error() string        { return e.text }
func (e *quietError) Is(target error) bool { return errors.Is(e.cause, target) }
func (e *quietError) As(target any) bool   { return errors.As(e.cause, target) }

// isSecret reports whether a form field, JSON member or header with this name is secret. The client id is not, but
// nobody needs to see it either.
func isSecret(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "client_id", "code", "device_code", "user_code", "code_verifier":
		return true
	}
	return slices.ContainsFunc([]string{"token", "secret", "assertion", "key"}, func(end string) bool {
		return strings.HasSuffix(name, end)
	})
}

// secretsOf returns the secrets that a request carried, plain and encoded. The longest come first, so that a secret
// that contains another is replaced as a whole.
func secretsOf(req *http.Request) []string {
	if req == nil {
		return nil
	}
	var secrets []string
	add := func(s string) {
		if len(s) >= 4 { // shorter ones occur by chance
			secrets = append(secrets, encodings(s)...)
		}
	}
	if _, credentials, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
		add(credentials)
	}
	if id, secret, ok := req.BasicAuth(); ok {
		for _, s := range []string{id, secret} {
			add(s)
			if plain, err := url.QueryUnescape(s); err == nil {
				add(plain)
			}
		}
	}
	if req.URL != nil {
		add(req.URL.RawQuery)
		password, _ := req.URL.User.Password()
		add(password)
	}
	for _, cookie := range req.Cookies() {
		add(cookie.Value)
	}
	for _, named := range []map[string][]string{req.Header, fieldsOf(req)} {
		for name, values := range named {
			if isSecret(name) {
				for _, value := range values {
					add(value)
				}
			}
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(secrets)
}

// encodings returns the forms in which s may appear in a text.
func encodings(s string) []string {
	forms := []string{s, strings.Trim(strconv.Quote(s), `"`), html.EscapeString(s)}
	if data, err := json.Marshal(s); err == nil {
		forms = append(forms, strings.Trim(string(data), `"`))
	}
	for _, escaped := range []string{url.QueryEscape(s), url.PathEscape(s), formEncode(s), strings.ReplaceAll(url.QueryEscape(s), "+", "%20")} {
		forms = append(forms, escaped, percentTriplet.ReplaceAllStringFunc(escaped, strings.ToLower))
	}
	return slices.DeleteFunc(forms, func(form string) bool { return len(form) < 4 })
}

var percentTriplet = regexp.MustCompile(`%[0-9A-F]{2}`)

// fieldsOf returns the fields of a request's form or JSON body.
func fieldsOf(req *http.Request) url.Values {
	if req.GetBody == nil {
		return nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil
	}
	defer func() { _ = body.Close() }()
	data, err := io.ReadAll(io.LimitReader(body, maxErrorBody))
	if err != nil {
		return nil
	}
	if members := object(data); members != nil {
		fields := url.Values{}
		for name, value := range members {
			fields.Set(name, text(value))
		}
		return fields
	}
	fields, _ := url.ParseQuery(string(data))
	return fields
}

// redactURL returns u without its user, query and fragment, which may hold secrets.
func redactURL(u *url.URL) string {
	if u == nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Opaque: u.Opaque, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}
