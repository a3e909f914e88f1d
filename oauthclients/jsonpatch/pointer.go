package jsonpatch

import (
	"fmt"
	"strings"
)

// Pointer returns the JSON Pointer (RFC 6901) with these names: Pointer("a/b", "0") is "/a~1b/0", and Pointer() is "",
// the whole document.
func Pointer(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteByte('/')
		b.WriteString(escapeName(name))
	}
	return b.String()
}

// ParsePointer returns the unescaped names of pointer; "" has none. It is the inverse of [Pointer]. The error matches
// [ErrInvalidPointer] if pointer is not empty and does not start with "/", if it has a "~" other than in "~0" and "~1",
// or if it is not UTF-8. The name "\ud800", half of a surrogate pair, is possible in JSON; in a pointer it is the three
// bytes that UTF-8 would use for it, "\xed\xa0\x80".
func ParsePointer(pointer string) ([]string, error) {
	if err := checkPointer(pointer); err != nil {
		return nil, fmt.Errorf("jsonpatch: %w", err)
	}
	if pointer == "" {
		return nil, nil
	}
	names := strings.Split(pointer[1:], "/")
	for i, name := range names {
		names[i] = unescapeName(name)
	}
	return names, nil
}

func checkPointer(pointer string) error {
	if pointer == "" {
		return nil
	}
	if pointer[0] != '/' {
		return fmt.Errorf(`%w: %q does not start with "/"`, ErrInvalidPointer, pointer)
	}
	for rest := pointer; ; {
		i := strings.IndexByte(rest, '~')
		if i < 0 {
			break
		}
		rest = rest[i+1:]
		if rest == "" || rest[0] != '0' && rest[0] != '1' {
			return fmt.Errorf(`%w: %q has a "~" that is neither "~0" nor "~1"`, ErrInvalidPointer, pointer)
		}
	}
	if !validName(pointer) {
		return fmt.Errorf("%w: %q is not UTF-8", ErrInvalidPointer, pointer)
	}
	return nil
}

// escapeName replaces "~" before "/", as RFC 6901 section 3 requires, so that "~1" in a name becomes "~01".
func escapeName(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// unescapeName replaces "~1" before "~0" (RFC 6901 section 4).
func unescapeName(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// arrayIndex parses token as an index into an array of the given length: digits without leading zeros (RFC 6901 section
// 4).
func arrayIndex(token string, length int) (int, bool) {
	if token == "" || token[0] == '0' && len(token) > 1 {
		return 0, false
	}
	index := 0
	for i := range len(token) {
		c := token[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if index = index*10 + int(c-'0'); index >= length {
			return 0, false
		}
	}
	return index, true
}
