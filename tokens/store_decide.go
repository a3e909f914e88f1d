package tokens

import (
	"errors"
	"fmt"
	"time"
)

// An action is the next step of a look.
type action int

const (
	doNothing action = iota // end the look: there is a token, or no fetch may start yet
	doPoll                  // load again soon, as long as a caller waits
	doMark                  // write the rest of the attempt's hold to the record
	doPutBack               // write a record that the Store lost
	doSeed                  // write Initial
	doStart                 // add an attempt to the record
	doPresent               // send the request of the process's own attempt
)

// acts reports whether a is to bring the process closer to a token, rather than to wait or to end the look.
func (a action) acts() bool { return a != doNothing && a != doPoll && a != doMark }

// A decision is an action with its details. The other fields are for doNothing.
type decision struct {
	action action
	token  *Token        // for the callers that wait, if it is not the current token
	err    error         // why there is no token
	again  time.Duration // when to look again at the latest; if zero, at the usual time
	keep   bool          // the rejected token stays
}

// A memory is what decide needs to know besides the record.
type memory struct {
	rotates    bool          // the Cache holds a login, which its refresh token renews
	known      order         // the order of the newest record known
	living     bool          // there is a token that was not rejected and does not expire soon
	due        bool          // that token is due for renewal
	hadToken   bool          // this process has had a token
	rejected   string        // the access token that was rejected
	own        string        // the id of the process's own attempt, if its request has not been sent
	watchedFor time.Duration // how long the record's version has been unchanged
	upset      bool          // the Store failed recently
	initial    *Token
}

// decide returns the next action for the record r. It has no side effects.
func (m memory) decide(r *record, now moment) decision {
	if r.order.before(m.known) {
		return decision{action: doPutBack}
	}
	if m.living && !m.due {
		return decision{action: doNothing}
	}
	if m.initial != nil && (r.none() || r.final && r.refreshToken() != m.initial.RefreshToken) {
		return decision{action: doSeed}
	}
	if m.rotates && (r.final || r.refreshToken() == "") {
		again := loginSoon
		if m.living {
			again = lookSoon
		}
		return m.serveOr(&noTokenError{kind: ErrLoginRequired, cause: whyNoLogin(r)}, again)
	}
	if a := r.attempt; a != nil {
		if m.own != "" && a.id == m.own {
			return decision{action: doPresent}
		}
		if left := a.left(m.watchedFor, now); left > 0 {
			return m.await(a, left)
		}
		if a.presents && m.living {
			return decision{action: doNothing, again: lookSoon} // the refresh token may have been consumed: use the access token until it expires
		}
	}
	if m.rejected != "" && r.accessToken() == m.rejected && r.after401 && now.mono-r.bornAt < rejectedAgainAfter {
		return decision{action: doNothing, keep: true} // the API would reject the next token as well
	}
	if m.rotates && m.upset {
		return m.pollOr(decision{action: doPoll}) // another process may be about to write the result of a refresh
	}
	return decision{action: doStart}
}

// await decides while the hold of another process's attempt lasts.
func (m memory) await(a *storedAttempt, left time.Duration) decision {
	if a.state == attemptFailed {
		return m.serveOr(&attemptError{a, left}, min(left, lookSoon))
	}
	if !m.living && m.watchedFor >= markAfter {
		return decision{action: doMark}
	}
	if a.state == attemptWorking || !m.hadToken {
		return m.pollOr(decision{action: doPoll})
	}
	return m.serveOr(&attemptError{a, left}, min(left, lookSoon))
}

// pollOr returns d if there is no usable token. Otherwise it ends the look and looks again in one second.
func (m memory) pollOr(d decision) decision {
	if m.living {
		return decision{action: doNothing, again: time.Second}
	}
	return d
}

// serveOr ends the look, with err unless there is a usable token, and looks again after the given time.
func (m memory) serveOr(err error, again time.Duration) decision {
	if m.living {
		err = nil
	}
	return decision{action: doNothing, err: err, again: again}
}

// left returns how long the attempt's hold still lasts, given that the record has been unchanged for watchedFor. The
// wall clock is used only for a failed attempt, where a wrong clock at worst causes an early request.
func (a *storedAttempt) left(watchedFor time.Duration, now moment) time.Duration {
	left := a.hold - watchedFor
	if a.state == attemptFailed {
		left = min(left, a.at.Add(a.hold).Sub(now.time))
	}
	return max(left, 0)
}

func whyNoLogin(r *record) error {
	switch {
	case r.final:
		return InvalidGrant
	case r.none():
		return errors.New("the Store has no login; Set one")
	case r.token == nil:
		return errors.New("the login was revoked")
	}
	return errors.New("the token in the Store has no refresh token; Set one that has")
}

// An attemptError is a failure that this process learned from an attempt in the record.
type attemptError struct {
	attempt *storedAttempt
	left    time.Duration
}

func (e *attemptError) Error() string {
	text := "the last request for a token failed"
	switch e.attempt.state {
	case attemptLost:
		text = "there was no response to the last refresh, and the refresh token may have been consumed"
	case attemptHeld:
		text = "the Store lost data, and another process may know a newer refresh token"
	case attemptFailed, attemptWorking:
		if e.attempt.status != 0 {
			text += ": " + Status(e.attempt.status).Error()
		}
		if e.attempt.code != "" {
			text += ": " + clean(string(e.attempt.code))
		}
	}
	return fmt.Sprintf("%s; the next one is due in %v", text, e.left.Round(time.Millisecond))
}

// As sets an **Error to the response that the attempt recorded.
func (e *attemptError) As(target any) bool {
	t, ok := target.(**Error)
	if ok {
		*t = &Error{Method: "POST", StatusCode: e.attempt.status, Code: e.attempt.code, RetryAfter: e.left, Message: "recorded in the Store"}
	}
	return ok
}

// Is reports whether target is the Code of that response.
func (e *attemptError) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code != "" && code == e.attempt.code
}

// retryLater ends a look with err, unless there is a usable token, and looks again after a backoff.
func (c *Cache) retryLater(err error) decision {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replica.failures++
	return c.orServe(err, min(backOff(c.replica.failures+3), lookSoon))
}

// orServe is serveOr for the current state. The lock is held.
func (c *Cache) orServe(err error, again time.Duration) decision {
	return c.remember(c.now()).serveOr(err, again)
}
