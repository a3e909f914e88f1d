package tokens

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

const (
	permanentWait = 5 * time.Second // after a failure that a retry does not fix
	lostWait      = time.Minute     // after a refresh whose response was lost
	maxHint       = time.Hour       // the longest Retry-After that is respected
	firstBackOff  = 100 * time.Millisecond
	maxBackOff    = 30 * time.Second
)

// waitAfter returns how long to wait after the nth consecutive failure: as long as the response asks, or else a
// backoff.
func waitAfter(err error, n int) time.Duration {
	var wait time.Duration
	if e, ok := errors.AsType[*Error](err); ok {
		wait = min(e.RetryAfter, maxHint)
	}
	if wait <= 0 {
		wait = backOff(n)
	}
	if isPermanent(err) {
		wait = max(wait, permanentWait)
	}
	return wait
}

// backOff returns the wait after the nth consecutive failure. Half of it is random, so that replicas do not retry at
// the same time.
func backOff(n int) time.Duration {
	wait := maxBackOff
	if shift := n - 1; shift < 16 {
		wait = min(wait, firstBackOff<<shift)
	}
	return wait/2 + rand.N(wait/2+1)
}

// endpointError returns the *Error of the Endpoint's own request in err. The *Error of a hook, such as a
// CredentialsProvider that calls another server, does not count.
func endpointError(err error) (*Error, bool) {
	if _, ok := errors.AsType[*credentialsError](err); ok {
		return nil, false
	}
	if _, ok := errors.AsType[*hookError](err); ok {
		return nil, false
	}
	return errors.AsType[*Error](err)
}

// isPermanent reports whether a retry cannot succeed until somebody changes something.
func isPermanent(err error) bool {
	e, ok := endpointError(err)
	return ok && (isClientRefused(e) || slices.Contains([]Code{InvalidGrant, InvalidScope}, e.Code))
}

// isClientRefused reports whether the server refused the client itself, whatever it asked for. Some servers use 401
// even if only the grant is wrong.
func isClientRefused(e *Error) bool {
	return e.Code == InvalidClient || e.Code == UnauthorizedClient ||
		e.StatusCode == http.StatusUnauthorized && e.Code != InvalidGrant && e.Code != InvalidScope
}

// isShared reports whether the request would have failed for every Cache of its Endpoint.
func isShared(err error) bool {
	e, ok := endpointError(err)
	return ok && (isClientRefused(e) || e.StatusCode >= 500 || e.RetryAfter > 0 || e.StatusCode == 0 && e.unsent)
}

// A refreshOutcome says what is known of a refresh token after a failed refresh.
type refreshOutcome int

const (
	notPresented   refreshOutcome = iota // the refresh token was not sent
	stillValid                           // the server responded, and the refresh token is still usable
	maybeUsed                            // 500, 502, 504 and the like: the server may have consumed it
	responseLost                         // no readable response: it may have been consumed, and the new one lost
	refreshRefused                       // invalid_grant
)

// refreshOutcomeOf returns what err says about the refresh token. requested is when the last request of the exchange
// began, or zero if there was none.
func refreshOutcomeOf(err error, requested *time.Time) refreshOutcome {
	_, isHook := errors.AsType[*hookError](err)
	_, isCredentials := errors.AsType[*credentialsError](err)
	if isHook || isCredentials || requested.IsZero() {
		return notPresented
	}
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok: // a panic
		return responseLost
	case e.StatusCode == 0 && e.unsent:
		return notPresented
	case e.StatusCode == 0, e.StatusCode/100 == 2 && e.Code == "":
		return responseLost
	case e.Code == InvalidGrant && e.StatusCode < 500 && e.StatusCode != http.StatusTooManyRequests:
		return refreshRefused
	case e.StatusCode/100 == 5 && e.StatusCode != http.StatusServiceUnavailable:
		return maybeUsed
	}
	return stillValid
}
