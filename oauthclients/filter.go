package oauthclients

import (
	"errors"
	"strings"
	"time"
)

// A Filter chooses clients in [SailPoint.List] and [SailPoint.All], in the vendor's collection grammar. The vendor
// documents two for OAuth clients, [LastUsedBefore] and [NeverUsed], and answers 400 to those it does not support.
type Filter struct {
	text      string
	composite bool // may hold and, or, not
	err       error
}

// LastUsedBefore chooses the clients to which a token was last issued at t or before. The vendor notes that at most
// once a day, so a client may have been used up to a day later. Clients never used are not among them.
func LastUsedBefore(t time.Time) Filter {
	if t.IsZero() {
		return Filter{err: errors.New("LastUsedBefore: the time is zero")}
	}
	return Filter{text: "lastUsed le " + t.UTC().Format("2006-01-02T15:04:05.000Z")}
}

// NeverUsed chooses the clients to which no token was ever issued.
func NeverUsed() Filter { return Filter{text: "lastUsed isnull"} }

// RawFilter is a filter as the vendor's documentation writes it, unescaped: lastUsed le 2023-02-05T10:59:27.214Z.
func RawFilter(text string) Filter {
	if strings.TrimSpace(text) == "" {
		return Filter{err: errors.New("RawFilter: the text is empty")}
	}
	return Filter{text: text, composite: true}
}

// And chooses what all filters choose.
func And(filters ...Filter) Filter { return join(" and ", filters) }

// Or chooses what one of the filters chooses.
func Or(filters ...Filter) Filter { return join(" or ", filters) }

// Not chooses what the filter does not.
func Not(filter Filter) Filter {
	if err := filter.check(); err != nil {
		return Filter{err: err}
	}
	return Filter{text: "not " + filter.operand(), composite: true}
}

// String returns the filter in the vendor's grammar.
func (f Filter) String() string { return f.text }

func join(operator string, filters []Filter) Filter {
	if len(filters) == 1 {
		return filters[0]
	}
	operands := make([]string, len(filters))
	for i, f := range filters {
		if err := f.check(); err != nil {
			return Filter{err: err}
		}
		operands[i] = f.operand()
	}
	return Filter{text: strings.Join(operands, operator), composite: true}
}

// operand is the filter as a part of another. The vendor documents no precedence.
func (f Filter) operand() string {
	if f.composite {
		return "(" + f.text + ")"
	}
	return f.text
}

func (f Filter) check() error {
	if f.err == nil && f.text == "" {
		return errors.New("a filter is empty")
	}
	return f.err
}
