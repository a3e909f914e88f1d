package jsonpatch

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// scanner checks that a text is valid JSON (RFC 8259), that no object has two members of the same name, and that it is
// not nested too deeply. It stores nothing except the names of the objects around the current offset.
type scanner struct {
	text  string
	names []string
}

var (
	errSyntax    = errors.New("malformed JSON")
	errDuplicate = errors.New("an object has two members of one name")
	errDeep      = errors.New("too many levels of objects and arrays")
	errUTF8      = errors.New("not UTF-8")
	errLong      = errors.New("longer than 2 GiB")
)

// smallObject is the number of members up to which names are compared one by one.
const smallObject = 32

// parse checks text, which may be nested depth levels deep, and returns it as a document.
func parse(text string, depth int) (document, error) {
	if err := checkText(text); err != nil {
		return document{}, err
	}
	s := scanner{text: text}
	start := skipSpace(text, 0)
	end, err := s.value(start, depth)
	if err != nil {
		return document{}, fmt.Errorf("%w at offset %d", err, end)
	}
	if rest := skipSpace(text, end); rest != len(text) {
		return document{}, fmt.Errorf("%w at offset %d", errSyntax, rest)
	}
	return document{lead: text[:start], root: node{text: text[start:end]}, trail: text[end:]}, nil
}

func checkText(text string) error {
	switch {
	case len(text) > math.MaxInt32: // see extent
		return errLong
	case !utf8.ValidString(text):
		return errUTF8
	}
	return nil
}

// value scans the value at offset i, which may be nested depth levels deep. It returns the offset after the value, or
// the offset of the error.
func (s *scanner) value(i, depth int) (end int, err error) {
	if i >= len(s.text) {
		return i, errSyntax
	}
	var ok bool
	switch s.text[i] {
	case '{':
		return s.object(i, depth)
	case '[':
		return s.array(i, depth)
	case '"':
		end, _, ok = s.string(i)
	case 't':
		end, ok = s.literal(i, "true")
	case 'f':
		end, ok = s.literal(i, "false")
	case 'n':
		end, ok = s.literal(i, "null")
	default:
		end, ok = s.number(i)
	}
	if !ok {
		return end, errSyntax
	}
	return end, nil
}

func (s *scanner) object(i, depth int) (end int, err error) {
	if depth == 0 {
		return i, errDeep
	}
	base := len(s.names)
	var seen map[string]bool // the names so far, if there are many
	if i = skipSpace(s.text, i+1); s.at(i) == '}' {
		return i + 1, nil
	}
	for {
		if s.at(i) != '"' {
			return i, errSyntax
		}
		end, escaped, ok := s.string(i)
		if !ok {
			return end, errSyntax
		}
		name := s.text[i+1 : end-1]
		if escaped {
			name = unescape(name)
		}
		if seen == nil && len(s.names)-base == smallObject {
			seen = make(map[string]bool, 4*smallObject)
			for _, name := range s.names[base:] {
				seen[name] = true
			}
			s.names = s.names[:base]
		}
		if seen[name] || slices.Contains(s.names[base:], name) {
			return i, errDuplicate
		}
		if seen != nil {
			seen[name] = true
		} else {
			s.names = append(s.names, name)
		}
		if i = skipSpace(s.text, end); s.at(i) != ':' {
			return i, errSyntax
		}
		if i, err = s.value(skipSpace(s.text, i+1), depth-1); err != nil {
			return i, err
		}
		switch i = skipSpace(s.text, i); s.at(i) {
		case ',':
			i = skipSpace(s.text, i+1)
		case '}':
			s.names = s.names[:base]
			return i + 1, nil
		default:
			return i, errSyntax
		}
	}
}

func (s *scanner) array(i, depth int) (end int, err error) {
	if depth == 0 {
		return i, errDeep
	}
	if i = skipSpace(s.text, i+1); s.at(i) == ']' {
		return i + 1, nil
	}
	for {
		if i, err = s.value(i, depth-1); err != nil {
			return i, err
		}
		switch i = skipSpace(s.text, i); s.at(i) {
		case ',':
			i = skipSpace(s.text, i+1)
		case ']':
			return i + 1, nil
		default:
			return i, errSyntax
		}
	}
}

// at returns the byte at offset i, or 0 at the end of the text. No valid JSON has a 0 byte.
func (s *scanner) at(i int) byte {
	if i >= len(s.text) {
		return 0
	}
	return s.text[i]
}

// string scans the string that starts at offset i.
func (s *scanner) string(i int) (end int, escaped, ok bool) {
	text := s.text
	for i++; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return i + 1, escaped, true
		case c < ' ':
			return i, escaped, false
		case c == '\\':
			escaped = true
			if i++; i >= len(text) {
				return i, escaped, false
			}
			switch text[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if _, ok := hex4(text[i+1:]); !ok {
					return i, escaped, false
				}
				i += 4
			default:
				return i, escaped, false
			}
		}
	}
	return i, escaped, false
}

func (s *scanner) literal(i int, want string) (end int, ok bool) {
	if len(s.text)-i < len(want) || s.text[i:i+len(want)] != want {
		return i, false
	}
	return i + len(want), true
}

func (s *scanner) number(i int) (end int, ok bool) {
	if s.text[i] == '-' {
		i++
	}
	if s.at(i) == '0' {
		i++
	} else if i, ok = s.digits(i); !ok {
		return i, false
	}
	if s.at(i) == '.' {
		if i, ok = s.digits(i + 1); !ok {
			return i, false
		}
	}
	if c := s.at(i); c == 'e' || c == 'E' {
		i++
		if c := s.at(i); c == '+' || c == '-' {
			i++
		}
		if i, ok = s.digits(i); !ok {
			return i, false
		}
	}
	return i, true
}

// digits returns the offset after the digits at offset i. It reports whether there is at least one.
func (s *scanner) digits(i int) (end int, ok bool) {
	start := i
	for '0' <= s.at(i) && s.at(i) <= '9' {
		i++
	}
	return i, i > start
}

func skipSpace(text string, i int) int {
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	return i
}

const spaces = " \n\r\t"

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
