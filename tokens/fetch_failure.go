package tokens

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

const (
	permanentWait = 5 * time.Second // after a failure that trying again does not mend
	lostWait      = time.Minute     // after a refresh whose response was lost
	maxHint       = time.Hour       // what a Retry-After may ask for
	firstBackOff  = 100 * time.Millisecond
	maxBackOff    = 30 * time.Second
)

// waitAfter is how long no fetch starts after the nth failure in a row: what the response asks for, else a back-off.
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

// backOff is the wait after the nth failure in a row, half of it at random so that replicas spread.
func backOff(n int) time.Duration {
	wait := maxBackOff
	if shift := n - 1; shift < 16 {
		wait = min(wait, firstBackOff<<shift)
	}
	return wait/2 + rand.N(wait/2+1)
}

// endpointError returns the *Error of the Endpoint's own request in err. That of a hook, such as a CredentialsProvider that
// asks another server, is none.
func endpointError(err error) (*Error, bool) {
	if _, ok := errors.AsType[*credentialsError](err); ok {
		return nil, false
	}
	if _, ok := errors.AsType[*hookError](err); ok {
		return nil, false
	}
	return errors.AsType[*Error](err)
}

// isPermanent reports whether asking again cannot help before somebody changes something.
func isPermanent(err error) bool {
	e, ok := endpointError(err)
	return ok && (isClientRefused(e) || slices.Contains([]Code{InvalidGrant, InvalidScope}, e.Code))
}

// isClientRefused reports whether the server refused the client, whatever it asks for. Some servers say with 401 that only the
// grant is wrong.
func isClientRefused(e *Error) bool {
	return e.Code == InvalidClient || e.Code == UnauthorizedClient ||
		e.StatusCode == http.StatusUnauthorized && e.Code != InvalidGrant && e.Code != InvalidScope
}

// isShared reports whether a failed request would have failed for every Cache of its Endpoint.
func isShared(err error) bool {
	e, ok := endpointError(err)
	return ok && (isClientRefused(e) || e.StatusCode >= 500 || e.RetryAfter > 0 || e.StatusCode == 0 && e.unsent)
}

// A fate is what is known of a refresh token after a refresh that failed.
type refreshOutcome int

const (
	notPresented   refreshOutcome = iota // it was not sent
	stillValid                           // the server responded, and it is as good as before
	maybeUsed                            // 500, 502, 504 and the like: the server may have acted
	responseLost                         // there was no response, or none that can be read: it may be used up, and its successor lost
	refreshRefused                       // invalid_grant
)

// refreshOutcomeOf reads err. The last request of the exchange began at requested, or none did.
func refreshOutcomeOf(err error, requested *time.Time) refreshOutcome {
	_, isHook := errors.AsType[*hookError](err)
	_, isCredentials := errors.AsType[*credentialsError](err)
	if isHook || isCredentials || requested.IsZero() {
		return notPresented
	}
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok: // a panic on the way
		return responseLost
	case e.StatusCode == 0 && e.unsent:
		return notPresented
	case e.StatusCode == 0 && e.Code == "", e.StatusCode/100 == 2 && e.Code == "":
		return responseLost
	case e.Code == InvalidGrant && e.StatusCode < 500 && e.StatusCode != http.StatusTooManyRequests:
		return refreshRefused
	case e.StatusCode/100 == 5 && e.StatusCode != http.StatusServiceUnavailable:
		return maybeUsed
	}
	return stillValid
}
