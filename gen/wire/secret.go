package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
)

const redacted = "[REDACTED]"

// A Secret is a token or client secret in a vendor's response. [Secret.Reveal] returns it. The zero Secret is empty.
//
// A Secret prints redacted with fmt, slog, XML, YAML and all other encoders of text, even in an unexported field of a
// struct, where fmt calls no methods: the text is behind a pointer, which fmt does not follow there. As JSON it is the
// real text, so that a response can be stored. To log a response with slog's JSON handler, pass the whole model, which
// has a LogValue method.
//
// Compare two Secrets by what Reveal returns. A Secret must not be part of a form: the encoder would send the redacted
// text.
type Secret struct {
	_    [0]func() // not comparable, because == would compare pointers
	text *string
}

// NewSecret returns a Secret.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// String returns a fixed text in place of the secret.
func (Secret) String() string { return redacted }

// GoString returns a fixed text in place of the secret.
func (Secret) GoString() string { return redacted }

// Format writes a fixed text in place of the secret, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns a fixed text in place of the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a fixed text in place of the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalYAML returns a fixed text in place of the secret.
func (Secret) MarshalYAML() (any, error) { return redacted, nil }

// MarshalJSON returns the secret itself.
func (s Secret) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // an enclosing encoder escapes if it wants to
	err := encoder.Encode(s.Reveal())
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// UnmarshalJSON decodes a JSON string. A null changes nothing.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var text *string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	if text != nil {
		*s = NewSecret(*text)
	}
	return nil
}

// LogValue returns the members of a response model, by their JSON names, with every Secret redacted. Generated models
// call it in their LogValue methods.
func LogValue(model any) slog.Value {
	v := reflect.ValueOf(model)
	var attrs []slog.Attr
	for i := range v.NumField() {
		field := v.Field(i)
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if !v.Type().Field(i).IsExported() || name == "-" || field.IsZero() {
			continue
		}
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		attrs = append(attrs, slog.Any(name, field.Interface()))
	}
	return slog.GroupValue(attrs...)
}
