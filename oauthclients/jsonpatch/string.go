package jsonpatch

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// isPlain reports whether s is printable ASCII without a character that means
// more than itself in a JSON string or in a pointer.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '}' || c == '"' || c == '\\' { // "~" is after "}"
			return false
		}
	}
	return true
}

// appendString appends s, which is UTF-8, as a JSON string, escaping only what
// RFC 8259 section 7 says must be. With plain, the caller knows that nothing is.
func appendString(b []byte, s string, plain bool) []byte {
	b = append(b, '"')
	if plain {
		return append(append(b, s...), '"')
	}
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		start = i + 1
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// unescape returns the code points of s, the checked content of a JSON string,
// as UTF-8. A surrogate without its other half, which is no character but may
// stand in JSON, becomes three bytes that no other content gives, so that
// different strings stay different.
func unescape(s string) string {
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for ; i >= 0; i = strings.IndexByte(s, '\\') {
		b = append(b, s[:i]...)
		c := s[i+1]
		s = s[i+2:]
		switch c {
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			r, _ := hex4(s)
			s = s[4:]
			if !utf16.IsSurrogate(r) {
				b = utf8.AppendRune(b, r)
				break
			}
			if strings.HasPrefix(s, `\u`) {
				low, _ := hex4(s[2:])
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					b = utf8.AppendRune(b, pair)
					s = s[6:]
					break
				}
			}
			b = append(b, byte(0xE0|r>>12), byte(0x80|r>>6&0x3F), byte(0x80|r&0x3F))
		default: // a quote, a slash or a backslash
			b = append(b, c)
		}
	}
	return string(append(b, s...))
}

// hex4 reads the four hexadecimal digits that s starts with.
func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for i := range 4 {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
