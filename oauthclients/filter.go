package oauthclients

import (
	"errors"
	"strings"
	"time"
)

// A Filter selects clients in [SailPoint.List] and [SailPoint.All], in the vendor's grammar for collections. The vendor
// documents two filters for OAuth clients, [LastUsedBefore] and [NeverUsed], and returns 400 for those that it does not
// support.
type Filter struct {
	text string
	raw  bool // may have operators that bind less than "and"
	err  error
}

// LastUsedBefore selects the clients to which a token was last issued at t or before. The vendor records that at most
// once a day, so a client may have been used up to a day later. Clients that were never used are not selected.
func LastUsedBefore(t time.Time) Filter {
	if t.IsZero() {
		return Filter{err: errors.New("LastUsedBefore: the time is zero")}
	}
	return Filter{text: "lastUsed le " + t.UTC().Format("2006-01-02T15:04:05.000Z")}
}

// NeverUsed selects the clients to which no token was ever issued. One that was made a minute ago is among them: whoever deletes
// what it selects compares Created too.
func NeverUsed() Filter { return Filter{text: "lastUsed isnull"} }

// RawFilter returns a filter as the vendor's documentation writes it, not escaped, such as
// lastUsed le 2023-02-05T10:59:27.214Z.
func RawFilter(text string) Filter {
	if strings.TrimSpace(text) == "" {
		return Filter{err: errors.New("RawFilter: the text is empty")}
	}
	return Filter{text: text, raw: true}
}

// String returns the filter in the vendor's grammar.
func (f Filter) String() string { return f.text }

// joinFilters returns the filter that selects what all filters select, or "" if there are none.
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
