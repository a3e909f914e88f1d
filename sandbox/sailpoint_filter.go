package sandbox

import (
	"errors"
	"strings"
	"time"
)

// A filter reports whether a client is part of a list.
type filter = func(*oauthClient) bool

// parseFilter parses a filter, which is one of these comparisons, or several joined by "and":
//
//	lastUsed le <timestamp>
//	lastUsed isnull
func parseFilter(s string) (filter, error) {
	words := strings.Fields(s)
	var all []filter
	for {
		one, rest, err := parseComparison(words)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
		if len(rest) == 0 {
			break
		}
		if rest[0] != "and" {
			return nil, errors.New("the filter can join comparisons by and, nothing else")
		}
		words = rest[1:]
	}
	return func(o *oauthClient) bool {
		for _, one := range all {
			if !one(o) {
				return false
			}
		}
		return true
	}, nil
}

// parseComparison parses the first comparison, and returns the remaining words.
func parseComparison(words []string) (filter, []string, error) {
	switch {
	case len(words) == 0 || words[0] != "lastUsed":
		return nil, nil, errors.New("the filter must name the field lastUsed")
	case len(words) >= 2 && words[1] == "isnull":
		return func(o *oauthClient) bool { return o.LastUsed.IsZero() }, words[2:], nil
	case len(words) < 3 || words[1] != "le":
		return nil, nil, errors.New("the filter can use le, with a timestamp, and isnull on lastUsed, nothing else")
	}
	limit, err := time.Parse(time.RFC3339Nano, words[2])
	if err != nil {
		return nil, nil, errors.New("the filter needs an ISO 8601 timestamp without quotes after le")
	}
	return func(o *oauthClient) bool { return !o.LastUsed.IsZero() && !o.LastUsed.Time().After(limit) }, words[3:], nil
}
