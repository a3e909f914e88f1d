package jsonpatch

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// appendString appends s, which must be a valid name, as a JSON string. It escapes only what RFC 8259, section 7,
// requires, and halves of surrogate pairs.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		half, _ := decodeHalf(s[i:])
		if c >= ' ' && c != '"' && c != '\\' && half == 0 {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		case firstOfHalf:
			b = fmt.Appendf(b, `\u%04x`, half)
			start = i + 3
		default:
			b = fmt.Appendf(b, `\u%04x`, c)
		}
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// validName reports whether s may be the name of a member: it is UTF-8, or has halves of surrogate pairs in the form
// that unescape returns. Two adjacent halves that make a pair are not valid, because a pair is spelled differently.
func validName(s string) bool {
	if utf8.ValidString(s) {
		return true
	}
	var before rune
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			r, size = decodeHalf(s[i:])
		}
		if size == 0 || utf16.DecodeRune(before, r) != utf8.RuneError {
			return false
		}
		before = r
		i += size
	}
	return true
}

// firstOfHalf is the first of the three bytes that UTF-8 would use for half of a surrogate pair.
const firstOfHalf = 0xED

// decodeHalf returns the half of a surrogate pair at the start of s, and its size. The size is 0 if there is none.
func decodeHalf(s string) (r rune, size int) {
	if len(s) < 3 || s[0] != firstOfHalf || s[1] < 0xA0 || s[1] > 0xBF || s[2] < 0x80 || s[2] > 0xBF {
		return 0, 0
	}
	return 0xD000 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F), 3
}

// unescape returns the checked content of a JSON string as UTF-8. Half of a surrogate pair is not a character, but is
// possible in JSON; it becomes the three bytes that UTF-8 would use for it, so that different strings stay different.
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

// hex4 parses the first four bytes of s as a hexadecimal number.
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
