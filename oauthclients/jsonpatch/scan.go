package jsonpatch

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// scanner checks that a text is JSON as RFC 8259 defines it, that no object
// holds a name twice, and that it does not nest too deep. It stores nothing but
// the names of the objects it is in.
type scanner struct {
	text  string
	names []string
}

// extent describes a value in a text.
type extent struct {
	end    int // offset after its last byte
	height int // levels of objects and arrays: 0 for a scalar, 1 for {}
	count  int // its own members or elements
}

var (
	errSyntax    = errors.New("malformed JSON")
	errDuplicate = errors.New("an object has two members of one name")
	errDeep      = errors.New("too many levels of objects and arrays")
	errUTF8      = errors.New("not UTF-8")
)

// parse checks text, which may nest depth levels deep, and returns it as an
// unexpanded document.
func parse(text string, depth int) (document, error) {
	var buf [64]string
	s := scanner{text: text, names: buf[:0]}
	if !utf8.ValidString(text) {
		return document{}, errUTF8
	}
	start := skipSpace(text, 0)
	ext, err := s.value(start, depth)
	if err == nil {
		if end := skipSpace(text, ext.end); end != len(text) {
			ext.end, err = end, errSyntax
		}
	}
	if err != nil {
		return document{}, fmt.Errorf("%w at offset %d", err, ext.end)
	}
	return document{
		lead:  text[:start],
		root:  newNode(text[start:ext.end], ext),
		trail: text[ext.end:],
	}, nil
}

// value scans the value that starts at offset i and may nest depth levels deep.
// With an error, the extent's end is where it is.
func (s *scanner) value(i, depth int) (extent, error) {
	if i >= len(s.text) {
		return extent{end: i}, errSyntax
	}
	var end int
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
		return extent{end: end}, errSyntax
	}
	return extent{end: end}, nil
}

func (s *scanner) object(i, depth int) (extent, error) {
	if depth == 0 {
		return extent{end: i}, errDeep
	}
	ext := extent{height: 1}
	base := len(s.names)
	var seen map[string]bool // of names[base:], once they are many
	i = skipSpace(s.text, i+1)
	if i < len(s.text) && s.text[i] == '}' {
		ext.end = i + 1
		return ext, nil
	}
	for {
		if i >= len(s.text) || s.text[i] != '"' {
			return extent{end: i}, errSyntax
		}
		end, escaped, ok := s.string(i)
		if !ok {
			return extent{end: end}, errSyntax
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
		if seen != nil {
			if seen[name] {
				return extent{end: i}, errDuplicate
			}
			seen[name] = true
		} else {
			if slices.Contains(s.names[base:], name) {
				return extent{end: i}, errDuplicate
			}
			s.names = append(s.names, name)
		}
		i = skipSpace(s.text, end)
		if i >= len(s.text) || s.text[i] != ':' {
			return extent{end: i}, errSyntax
		}
		child, err := s.value(skipSpace(s.text, i+1), depth-1)
		if err != nil {
			return child, err
		}
		ext.count++
		ext.height = max(ext.height, child.height+1)
		i = skipSpace(s.text, child.end)
		if i >= len(s.text) {
			return extent{end: i}, errSyntax
		}
		switch s.text[i] {
		case ',':
			i = skipSpace(s.text, i+1)
		case '}':
			s.names = s.names[:base]
			ext.end = i + 1
			return ext, nil
		default:
			return extent{end: i}, errSyntax
		}
	}
}

func (s *scanner) array(i, depth int) (extent, error) {
	if depth == 0 {
		return extent{end: i}, errDeep
	}
	ext := extent{height: 1}
	i = skipSpace(s.text, i+1)
	if i < len(s.text) && s.text[i] == ']' {
		ext.end = i + 1
		return ext, nil
	}
	for {
		child, err := s.value(i, depth-1)
		if err != nil {
			return child, err
		}
		ext.count++
		ext.height = max(ext.height, child.height+1)
		i = skipSpace(s.text, child.end)
		if i >= len(s.text) {
			return extent{end: i}, errSyntax
		}
		switch s.text[i] {
		case ',':
			i = skipSpace(s.text, i+1)
		case ']':
			ext.end = i + 1
			return ext, nil
		default:
			return extent{end: i}, errSyntax
		}
	}
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
	text := s.text
	if text[i] == '-' {
		i++
	}
	if i < len(text) && text[i] == '0' {
		i++
	} else if i, ok = digits(text, i); !ok {
		return i, false
	}
	if i < len(text) && text[i] == '.' {
		if i, ok = digits(text, i+1); !ok {
			return i, false
		}
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		i++
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		if i, ok = digits(text, i); !ok {
			return i, false
		}
	}
	return i, true
}

// digits returns the offset after the digits at offset i, of which there must
// be one.
func digits(text string, i int) (end int, ok bool) {
	start := i
	for i < len(text) && '0' <= text[i] && text[i] <= '9' {
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
