package jsonpatch

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Pointer returns the JSON Pointer (RFC 6901) that follows names from the root
// of a document: Pointer("a/b", "0") is "/a~1b/0", and Pointer() is "", the
// whole document.
func Pointer(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteByte('/')
		b.WriteString(escapeName(name))
	}
	return b.String()
}

// ParsePointer returns the names that pointer follows, unescaped; none for "".
// It is the inverse of [Pointer]. A string that is neither empty nor starts
// with "/", holds a "~" other than "~0" or "~1", or is not UTF-8, is an error
// that matches [ErrInvalidPointer].
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
	if !utf8.ValidString(pointer) {
		return fmt.Errorf("%w: %q is not UTF-8", ErrInvalidPointer, pointer)
	}
	return nil
}

// escapeName writes "~" before "/", as RFC 6901 section 3 asks, so that "~1"
// in a name becomes "~01".
func escapeName(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// unescapeName reads "~1" before "~0" (RFC 6901 section 4).
func unescapeName(token string) string {
	if strings.IndexByte(token, '~') < 0 {
		return token
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// arrayIndex reads token as an index into an array of length elements. Digits
// without a leading zero only (RFC 6901 section 4).
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
