package oauthclients

import (
	"errors"
	"strings"
	"time"
)

// A Filter selects clients in [SailPoint.List] and [SailPoint.All], in the vendor's filter syntax. The vendor documents
// two filters for OAuth clients, [LastUsedBefore] and [NeverUsed], and returns 400 for unsupported ones.
type Filter struct {
	text string
	raw  bool // may have operators with a lower precedence than "and"
	err  error
}

// LastUsedBefore selects clients that last got a token at or before t. The vendor records that at most once a day, so a
// client may have been used up to a day later. Clients that were never used are not selected.
func LastUsedBefore(t time.Time) Filter {
	if t.IsZero() {
		return Filter{err: errors.New("LastUsedBefore: the time is zero")}
	}
	return Filter{text: "lastUsed le " + t.UTC().Format("2006-01-02T15:04:05.000Z")}
}

// NeverUsed selects clients that never got a token. These include clients that were created a minute ago: compare
// Created too before you delete any.
func NeverUsed() Filter { return Filter{text: "lastUsed isnull"} }

// RawFilter returns a filter in the syntax of the vendor's documentation, not URL-escaped, such as lastUsed le
// 2023-02-05T10:59:27.214Z.
func RawFilter(text string) Filter {
	if strings.TrimSpace(text) == "" {
		return Filter{err: errors.New("RawFilter: the text is empty")}
	}
	return Filter{text: text, raw: true}
}

// String returns the filter in the vendor's syntax.
func (f Filter) String() string { return f.text }

// joinFilters joins filters with "and". It returns "" if there are none.
func joinFilters(filters []Filter) (string, error) {
	texts := make([]string, len(filters))
	for i, f := range filters {
		switch {
		case f.err != nil:
			return "", f.err
		case f.text == "":
			return "", errors.New("a filter is empty; use LastUsedBefore, NeverUsed or RawFilter")
		}
		texts[i] = f.text
		if f.raw && len(filters) > 1 {
			texts[i] = "(" + f.text + ")"
		}
	}
	return strings.Join(texts, " and "), nil
}
