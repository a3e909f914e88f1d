package tokens

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// retryAfter returns how long a response that arrived at now asks to wait: by Retry-After in seconds or as a date, by
// Moov's older X-Retry-In, or, after a 429, by ThousandEyes' reset header, a Unix time. Times are compared with the
// response's own Date, because clocks of two machines differ. It returns 0 if the response does not say, or the time
// has passed.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		now = date
	}
	if value := strings.TrimSpace(resp.Header.Get("Retry-After")); value != "" {
		if wait, ok := parseDuration(value, time.Second); ok {
			return wait
		}
		if at, err := http.ParseTime(value); err == nil {
			return max(0, at.Sub(now))
		}
	}
	if value := strings.TrimSpace(resp.Header.Get("X-Retry-In")); value != "" {
		if wait, ok := parseDuration(value, time.Millisecond); ok {
			return wait
		}
		if wait, err := time.ParseDuration(value); err == nil {
			return max(0, wait)
		}
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		reset, err := strconv.ParseInt(strings.TrimSpace(resp.Header.Get("X-Organization-Rate-Limit-Reset")), 10, 64)
		if err == nil && reset < maxUnix {
			return max(0, time.Unix(reset, 0).Sub(now))
		}
	}
	return 0
}

const maxUnix = 1 << 50 // a larger value overflows a time.Time

// parseDuration parses a decimal number of units. Values too large for a Duration become the largest Duration.
func parseDuration(s string, unit time.Duration) (time.Duration, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if whole == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n >= int64(math.MaxInt64/unit) {
		return math.MaxInt64, true
	}
	part, _ := strconv.ParseFloat("0."+fraction+"0", 64) // digits alone, so it cannot fail
	return time.Duration(n)*unit + time.Duration(part*float64(unit)), true
}
