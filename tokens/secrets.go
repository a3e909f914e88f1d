package tokens

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// hide removes secrets, which servers like to echo, from all that an error prints, and makes its texts fit for a log.
func (e *Error) hide(secrets []string) {
	hide := func(s string) string {
		for _, secret := range secrets {
			s = strings.ReplaceAll(s, secret, redacted)
		}
		return s
	}
	tidy := func(s string) string { return clean(hide(s)) } // in this order: a secret cut short would not be found

	if !slices.Contains(standardCodes, e.Code) { // else a client called "client" would never see invalid_client
		e.Code = Code(hide(string(e.Code)))
	}
	e.Message, e.RequestID = tidy(e.Message), tidy(e.RequestID)
	for i, f := range e.Fields {
		e.Fields[i] = Field{tidy(f.Name), tidy(f.Code), tidy(f.Message)}
	}
	if e.cause != nil {
		if text := e.cause.Error(); hide(text) != text {
			e.cause = &quietError{hide(text), e.cause}
		}
	}
}

// quietError is an error with a text that is safe to print. It has no Unwrap, which would lead to the other text.
type quietError struct {
	text  string
	cause error
}

func (e *quietError) Error() string        { return e.text }
func (e *quietError) Is(target error) bool { return errors.Is(e.cause, target) }
func (e *quietError) As(target any) bool   { return errors.As(e.cause, target) }

// secretFields are the form fields that hold secrets. The client id is no secret, but nobody needs to see it either.
var secretFields = []string{
	"client_id", "client_secret", "client_assertion", "refresh_token", "code", "code_verifier", "token", "thousandeyes_bearer_token",
	"assertion", "subject_token", "actor_token", "device_code",
}

// secretsOf returns the secrets that a request carried, plain and encoded, longest first so that none is left in part.
func secretsOf(req *http.Request) []string {
	var secrets []string
	add := func(s string) {
		// Shorter ones would blank out parts of ordinary words.
		if len(s) >= 4 {
			secrets = append(secrets, s, url.QueryEscape(s), url.PathEscape(s))
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
	fields := fieldsOf(req)
	for _, name := range secretFields {
		add(fields.Get(name))
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(secrets)
}

// fieldsOf returns the members of the form or JSON object that a request sent.
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

// redactURL drops what a URL may hide: the user, the query and the fragment.
func redactURL(u *url.URL) string {
	if u == nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Opaque: u.Opaque, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}
