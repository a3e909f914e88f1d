package tokens

import "strings"

// bearerChallenge returns error and error_description of the first Bearer challenge (RFC 6750, section 3) in the values
// of a WWW-Authenticate header. Each value may hold several challenges (RFC 9110, section 11.6.1).
func bearerChallenge(values []string) (code, description string) {
	for _, rest := range values {
		scheme := ""
		for rest != "" {
			var word string
			word, rest = nextToken(rest)
			if word == "" {
				rest = rest[1:] // a separator, or a syntax error
				continue
			}
			after, ok := strings.CutPrefix(strings.TrimLeft(rest, " \t"), "=")
			if !ok {
				if code != "" {
					return code, description
				}
				scheme = word // a word without "=" begins a challenge
				continue
			}
			var value string
			value, rest = nextValue(strings.TrimLeft(after, " \t"))
			if strings.EqualFold(scheme, "Bearer") {
				switch strings.ToLower(word) {
				case "error":
					code = value
				case "error_description":
					description = value
				}
			}
		}
		if code != "" {
			break
		}
	}
	return code, description
}

// nextToken cuts a token (RFC 9110, section 5.6.2) from the front of s.
func nextToken(s string) (token, rest string) {
	i := 0
	for i < len(s) && s[i] > ' ' && s[i] < 0x7f && !strings.ContainsRune(`()<>@,;:\"/[]?={}`, rune(s[i])) {
		i++
	}
	return s[:i], s[i:]
}

// nextValue cuts a token or a quoted string (RFC 9110, section 5.6.4) from the front of s.
func nextValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		return nextToken(s)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}
