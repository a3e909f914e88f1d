package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// form holds the nonempty fields of a token or revoke request.
type form map[string]string

// fieldError says what is wrong with a form. Its text does not quote the request, which may hold secrets.
type fieldError struct {
	field string // "" if no known field is at fault
	text  string
	media bool // the media type is at fault
}

// The media types of a form.
const (
	mediaForm = "application/x-www-form-urlencoded"
	mediaJSON = "application/json"
)

// readForm reads the body as a form or, if mediaTypes has it, as a JSON object of strings. A field that occurs twice is
// an error (RFC 6749, section 3.2). Unknown and empty fields, and fields in the URL, are ignored; if the vendor is
// strict, they are errors.
func readForm(c *call, mediaTypes []string, fields ...string) (form, *fieldError) {
	if c.strict && (c.URL.RawQuery != "" || c.URL.ForceQuery) {
		return nil, &fieldError{text: "parameters belong into the body, not into the URL"}
	}
	mediaType := mediaTypeOf(c.Header)
	if !slices.Contains(mediaTypes, mediaType) {
		return nil, &fieldError{text: "the content type must be " + strings.Join(mediaTypes, " or "), media: true}
	}
	r := formReader{fields: fields, strict: c.strict, form: form{}}
	if mediaType == mediaJSON {
		return r.form, r.readJSON(c.body)
	}
	return r.form, r.readPairs(string(c.body))
}

// mediaTypeOf returns the media type in lower case, or "" unless there is exactly one and its charset is UTF-8.
func mediaTypeOf(h http.Header) string {
	values := h.Values("Content-Type")
	if len(values) != 1 {
		return ""
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	if err != nil {
		return ""
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return ""
	}
	return mediaType
}

type formReader struct {
	fields []string // the known fields
	strict bool
	form   form
}

func (r *formReader) readPairs(pairs string) *fieldError {
	if pairs == "" {
		return nil
	}
	for pair := range strings.SplitSeq(pairs, "&") {
		rawName, rawValue, found := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(rawName)
		value, valueErr := url.QueryUnescape(rawValue)
		if r.strict && !found || nameErr != nil || valueErr != nil {
			return &fieldError{text: "the form is malformed"}
		}
		if bad := r.add(name, value); bad != nil {
			return bad
		}
	}
	return nil
}

func (r *formReader) readJSON(body []byte) *fieldError {
	malformed := &fieldError{text: "the body must be one JSON object"}
	d := json.NewDecoder(bytes.NewReader(body))
	if start, _ := d.Token(); start != json.Delim('{') {
		return malformed
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return malformed
		}
		name, _ := key.(string)
		var value any
		if d.Decode(&value) != nil {
			return malformed
		}
		text, ok := value.(string)
		if !ok && value != nil && slices.Contains(r.fields, name) {
			return &fieldError{field: name, text: "must be a string"}
		}
		if bad := r.add(name, text); bad != nil {
			return bad
		}
	}
	if _, err := d.Token(); err != nil {
		return malformed
	}
	if _, err := d.Token(); err != io.EOF {
		return malformed
	}
	return nil
}

func (r *formReader) add(name, value string) *fieldError {
	known, empty := slices.Contains(r.fields, name), value == ""
	if !r.strict && (!known || empty) {
		return nil
	}
	_, doubled := r.form[name]
	switch {
	case !known:
		return &fieldError{text: "a field is unknown; known are " + strings.Join(r.fields, ", ")}
	case doubled:
		return &fieldError{field: name, text: "must not be sent twice"}
	case empty:
		return &fieldError{field: name, text: "must not be empty; leave it out"}
	case !utf8.ValidString(value):
		return &fieldError{field: name, text: "must be UTF-8"}
	}
	r.form[name] = value
	return nil
}
