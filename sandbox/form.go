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

// form holds the fields of a token or revoke request, each with a value.
type form map[string]string

// fieldError says what is wrong with a request's form. Its text never holds what was sent, which may be a secret.
type fieldError struct {
	field string // "" where no known field is at fault
	text  string
	media bool // the media type is at fault
}

// Media types in which a form may arrive.
const (
	mediaForm = "application/x-www-form-urlencoded"
	mediaJSON = "application/json"
)

// readForm reads the body as a form or, where mediaTypes has it, as a JSON object of strings. It refuses what RFC 6749
// forbids (sections 2.3.1, 3.1 and 3.2) and what is not among the fields.
func readForm(c *call, mediaTypes []string, fields ...string) (form, *fieldError) {
	if c.URL.RawQuery != "" || c.URL.ForceQuery {
		return nil, &fieldError{text: "parameters belong into the body, not into the URL"}
	}
	mediaType := mediaTypeOf(c.Header)
	if !slices.Contains(mediaTypes, mediaType) {
		return nil, &fieldError{text: "the content type must be " + strings.Join(mediaTypes, " or "), media: true}
	}
	f := form{}
	if mediaType == mediaJSON {
		return f, f.readJSON(c.body, fields)
	}
	return f, f.readPairs(string(c.body), fields)
}

// mediaTypeOf returns the media type in lower case, or "" unless there is exactly one, in UTF-8.
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

func (f form) readPairs(body string, fields []string) *fieldError {
	if body == "" {
		return nil
	}
	for pair := range strings.SplitSeq(body, "&") {
		rawName, rawValue, found := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(rawName)
		value, valueErr := url.QueryUnescape(rawValue)
		if !found || nameErr != nil || valueErr != nil {
			return &fieldError{text: "the form is malformed"}
		}
		if bad := f.add(name, value, fields); bad != nil {
			return bad
		}
	}
	return nil
}

func (f form) readJSON(body []byte, fields []string) *fieldError {
	malformed := &fieldError{text: "the body must be one JSON object"}
	d := json.NewDecoder(bytes.NewReader(body))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
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
		if !ok {
			return &fieldError{field: knownField(name, fields), text: "must be a string"}
		}
		if bad := f.add(name, text, fields); bad != nil {
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

func (f form) add(name, value string, fields []string) *fieldError {
	_, doubled := f[name]
	switch {
	case !slices.Contains(fields, name):
		return &fieldError{text: "a field is unknown; known are " + strings.Join(fields, ", ")}
	case doubled:
		return &fieldError{field: name, text: "must not be sent twice"}
	case value == "":
		return &fieldError{field: name, text: "must not be empty; leave it out"}
	case !utf8.ValidString(value):
		return &fieldError{field: name, text: "must be UTF-8"}
	}
	f[name] = value
	return nil
}

func knownField(name string, fields []string) string {
	if slices.Contains(fields, name) {
		return name
	}
	return ""
}
