package sandbox

import (
	"errors"
	"strings"
	"time"
)

// filter decides whether a client is in a list.
type filter = func(*oauthClient) bool

// parseFilter reads a filter of the vendor's collection grammar, with the operators that this collection has:
//
//	or    = and { "or" and }
//	and   = not { "and" not }
//	not   = "not" not | "(" or ")" | "lastUsed" "le" timestamp | "lastUsed" "isnull"
func parseFilter(s string) (filter, error) {
	p := &filterParser{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s))}
	f, err := p.or()
	if err != nil {
		return nil, err
	}
	if word := p.next(); word != "" {
		return nil, errors.New("the filter goes on after its end")
	}
	return f, nil
}

type filterParser struct{ words []string }

// next takes the next word, "" at the end.
func (p *filterParser) next() string {
	if len(p.words) == 0 {
		return ""
	}
	word := p.words[0]
	p.words = p.words[1:]
	return word
}

// take takes the next word if it is this one.
func (p *filterParser) take(word string) bool {
	if len(p.words) == 0 || p.words[0] != word {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *filterParser) or() (filter, error) {
	left, err := p.and()
	for err == nil && p.take("or") {
		var right filter
		a := left
		right, err = p.and()
		left = func(o *oauthClient) bool { return a(o) || right(o) }
	}
	return left, err
}

func (p *filterParser) and() (filter, error) {
	left, err := p.not()
	for err == nil && p.take("and") {
		var right filter
		a := left
		right, err = p.not()
		left = func(o *oauthClient) bool { return a(o) && right(o) }
	}
	return left, err
}

func (p *filterParser) not() (filter, error) {
	switch {
	case p.take("not"):
		f, err := p.not()
		return func(o *oauthClient) bool { return !f(o) }, err
	case p.take("("):
		f, err := p.or()
		if err == nil && !p.take(")") {
			err = errors.New("the filter lacks a closing parenthesis")
		}
		return f, err
	case p.take("lastUsed"):
		return p.lastUsed()
	}
	return nil, errors.New("the filter must name the field lastUsed")
}

func (p *filterParser) lastUsed() (filter, error) {
	switch p.next() {
	case "isnull":
		return func(o *oauthClient) bool { return o.LastUsed.IsZero() }, nil
	case "le":
		limit, err := time.Parse(time.RFC3339Nano, p.next())
		if err != nil {
			return nil, errors.New("the filter needs an ISO 8601 timestamp without quotes after le")
		}
		return func(o *oauthClient) bool { return !o.LastUsed.IsZero() && !o.LastUsed.Time().After(limit) }, nil
	}
	return nil, errors.New("the filter can use le and isnull on lastUsed, nothing else")
}
