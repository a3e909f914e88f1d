// Package wire has the two types that generated models use and that are written by hand.
package wire

import (
	"encoding/json"
	"time"
)

// Time is a timestamp in a vendor's response. Decoding never fails, because an odd timestamp must not cost the rest of
// the response: a value that is not understood keeps its JSON form and is the zero time.
//
// The zero Time means that there is no timestamp; it marshals to null. Compare Times by [Time.Time], not with ==, and
// check IsZero first, because the zero time is before all others.
type Time struct {
	t    time.Time
	text string // JSON form as received; empty for a Time made by NewTime
}

// NewTime returns t as a Time that marshals in RFC 3339 form.
func NewTime(t time.Time) Time { return Time{t: t} }

// layouts are the formats that the vendors use, RFC 3339 first. Without a zone, a time is in UTC.
var layouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04Z0700",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04",
	time.DateTime,
	time.DateOnly,
}

// Time returns the time, or the zero time if there is none or it was not understood. Text distinguishes these two
// cases.
func (t Time) Time() time.Time { return t.t }

// IsZero reports whether Time returns the zero time.
func (t Time) IsZero() bool { return t.t.IsZero() }

// Text returns what the vendor sent: the content of a JSON string, any other value as JSON, or "" if it was null or
// absent.
func (t Time) Text() string {
	switch {
	case t.text == "" && t.t.IsZero():
		return ""
	case t.text == "":
		return t.t.Format(time.RFC3339Nano)
	}
	var s string
	if json.Unmarshal([]byte(t.text), &s) == nil {
		return s
	}
	return t.text
}

// String returns Text.
func (t Time) String() string { return t.Text() }

// MarshalJSON returns the value as it was received, the RFC 3339 form of a Time made by NewTime, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	switch {
	case t.text != "":
		return []byte(t.text), nil
	case t.t.IsZero():
		return []byte("null"), nil
	}
	return t.t.MarshalJSON()
}

// UnmarshalJSON accepts every JSON value.
func (t *Time) UnmarshalJSON(data []byte) error {
	*t = Time{}
	if string(data) == "null" {
		return nil
	}
	t.text = string(data)
	if len(data) < 2 || data[0] != '"' {
		return nil
	}
	s := t.text[1 : len(t.text)-1]
	for _, layout := range layouts {
		if at, err := time.Parse(layout, s); err == nil {
			t.t = at
			return nil
		}
	}
	return nil
}
