package jsonpatch

import (
	"strconv"
	"strings"
)

// equalNumbers reports whether two JSON numbers have exactly the same value, whatever their size. It takes time
// proportional to the length of their text, because it never expands an exponent.
func equalNumbers(a, b string) bool {
	x, y := newDecimal(a), newDecimal(b)
	if x.digits == "" && y.digits == "" {
		return true // 0, -0 and 0e9 are one number
	}
	return x.negative == y.negative && x.digits == y.digits && x.equalExponent(y)
}

// decimal is the number 0.digits × 10^(shift+exponent).
type decimal struct {
	negative bool
	digits   string // no zeros at either end; "" for zero
	shift    int64  // from the position of the decimal point
	exponent string // as written, without "+" and leading zeros
}

func newDecimal(text string) decimal {
	var d decimal
	text, d.negative = strings.CutPrefix(text, "-")
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		d.exponent = trimExponent(text[i+1:])
		text = text[:i]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	d.shift = int64(len(whole))
	d.digits = strings.TrimRight(whole+fraction, "0")
	significant := strings.TrimLeft(d.digits, "0")
	d.shift -= int64(len(d.digits) - len(significant))
	d.digits = significant
	return d
}

// trimExponent returns the canonical form of an exponent: without "+" and leading zeros, and "" for zero.
func trimExponent(text string) string {
	digits, negative := strings.CutPrefix(text, "-")
	digits = strings.TrimLeft(strings.TrimPrefix(digits, "+"), "0")
	if negative && digits != "" {
		return "-" + digits
	}
	return digits
}

func (d decimal) equalExponent(other decimal) bool {
	if d.exponent == other.exponent {
		return d.shift == other.shift
	}
	return d.scale() == other.scale()
}

// scale returns shift + exponent as a decimal number.
func (d decimal) scale() string {
	if len(d.exponent) <= 18 { // the sum with the shift fits in an int64
		exponent, _ := strconv.ParseInt(d.exponent, 10, 64) // 0 for ""
		return strconv.FormatInt(d.shift+exponent, 10)
	}
	// The exponent is larger than any shift, so the sum keeps its sign.
	digits, negative := strings.CutPrefix(d.exponent, "-")
	if negative {
		return "-" + addSmall(digits, -d.shift)
	}
	return addSmall(digits, d.shift)
}

// addSmall returns digits + n as a decimal number. The sum must be positive.
func addSmall(digits string, n int64) string {
	sum := []byte(digits)
	for i := len(sum) - 1; i >= 0 && n != 0; i-- {
		n += int64(sum[i] - '0')
		digit := n % 10
		if n /= 10; digit < 0 {
			digit += 10
			n--
		}
		sum[i] = byte('0' + digit)
	}
	if n > 0 {
		return strconv.FormatInt(n, 10) + string(sum)
	}
	return strings.TrimLeft(string(sum), "0")
}
