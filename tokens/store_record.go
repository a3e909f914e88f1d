package tokens

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// recordFormat is the record format that this package writes, and the newest one that it reads. It is increased only if
// an older release would misread a record. Members may be added at any time; releases that do not know them preserve
// them.
const recordFormat = 1

// A record is what a Store keeps for a Cache: the token, and the attempt to fetch the next one. A record is immutable.
type record struct {
	version  string // "" if there is no record
	order    order
	token    *Token                     // nil if there is none; Expiry is by the clock of the process that fetched it
	placedAt moment                     // when bornAt and endAt were computed
	bornAt   time.Duration              // the start of the token's life, by the monotonic clock of this process
	endAt    time.Duration              // its end, unless the machine has slept since placedAt; see remains
	after401 bool                       // it was fetched because the API rejected the previous token
	final    bool                       // the server refused its refresh token with invalid_grant
	attempt  *storedAttempt             // nil if no process is about to fetch
	rest     map[string]json.RawMessage // members that this release does not know
}

// An order says which of two records is older. A login or logout increases the epoch, a new token the generation.
type order struct{ epoch, gen int64 }

func (o order) compare(p order) int {
	return cmp.Or(cmp.Compare(o.epoch, p.epoch), cmp.Compare(o.gen, p.gen))
}

func (o order) before(p order) bool { return o.compare(p) < 0 }

// A storedAttempt says that a process is about to fetch a token, or failed to.
type storedAttempt struct {
	id       string
	state    attemptState
	presents bool          // it presents a refresh token, which the server may then have consumed
	hold     time.Duration // how long no other process may start an attempt
	tries    int           // consecutive failed attempts
	after401 bool          // it is to replace a token that the API rejected
	at       time.Time     // when it was written, by the wall clock of its writer
	status   int           // of the response, if it failed
	code     Code
	rest     map[string]json.RawMessage
}

type attemptState string

const (
	attemptWorking attemptState = "working" // a request is about to be sent, or is in flight
	attemptFailed  attemptState = "failed"  // the server refused it, or it was not sent
	attemptLost    attemptState = "lost"    // it was sent, and the outcome is unknown
	attemptHeld    attemptState = "held"    // there is no request; processes that know a newer record have time to write it
)

// refreshToken returns the refresh token of the record, or "".
func (r *record) refreshToken() string {
	if r.token == nil {
		return ""
	}
	return r.token.RefreshToken
}

func (r *record) accessToken() string {
	if r.token == nil {
		return ""
	}
	return r.token.AccessToken
}

// none reports whether there is no record.
func (r *record) none() bool { return r.version == "" }

// with returns a copy of r with the attempt a, which may be nil.
func (r *record) with(a *storedAttempt) *record {
	next := *r
	next.attempt = a
	return &next
}

// recordJSON is the JSON form of a record.
type recordJSON struct {
	Format   int             `json:"format"`
	Epoch    int64           `json:"epoch"`
	Gen      int64           `json:"gen"`
	Token    json.RawMessage `json:"token,omitempty"`
	Age      float64         `json:"age,omitempty"`  // seconds since the token was requested
	Left     *float64        `json:"left,omitempty"` // seconds until it expires; absent if not known
	After401 bool            `json:"after_401,omitempty"`
	Final    bool            `json:"final,omitempty"`
	Attempt  json.RawMessage `json:"attempt,omitempty"`

	// If left is absent, Requested is when the token was requested, by the wall clock of the writer.
	Requested time.Time `json:"requested,omitzero"`
}

// attemptJSON is the JSON form of an attempt.
type attemptJSON struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Presents bool      `json:"presents,omitempty"`
	Hold     float64   `json:"hold"` // seconds
	Tries    int       `json:"tries,omitempty"`
	After401 bool      `json:"after_401,omitempty"`
	At       time.Time `json:"at"`
	Status   int       `json:"status,omitempty"`
	Code     Code      `json:"code,omitempty"`
}

// encode returns the JSON form of r as of now.
func (r *record) encode(now moment) ([]byte, error) {
	j := recordJSON{
		Format: recordFormat, Epoch: r.order.epoch, Gen: r.order.gen, After401: r.after401, Final: r.final,
	}
	var err error
	if r.token != nil {
		if j.Token, err = json.Marshal(r.token); err != nil {
			return nil, err
		}
		age := max(0, r.age(now))
		j.Age = age.Seconds()
		if r.endAt != never {
			left := r.remains(now).Seconds()
			j.Left = &left
		} else {
			j.Requested = now.time.Add(-age).Round(0)
		}
	}
	if a := r.attempt; a != nil {
		if j.Attempt, err = marshalWith(attemptJSON{
			ID: a.id, State: string(a.state), Presents: a.presents, Hold: a.hold.Seconds(), Tries: a.tries,
			After401: a.after401, At: a.at.Round(0), Status: a.status, Code: a.code,
		}, a.rest); err != nil {
			return nil, err
		}
	}
	return marshalWith(j, r.rest)
}

// place computes when the token in r expires on the clocks of this process, because its Expiry is by the clock of
// another. left is an upper bound, written by that process.
func (r *record) place(age, left time.Duration, known *record, now moment) {
	r.placedAt, r.bornAt, r.endAt = now, now.mono-age, never
	known = known.withToken(r.accessToken())
	if r.token == nil || r.token.Expiry.IsZero() && left == never {
		if known != nil {
			r.bornAt = min(r.bornAt, now.mono-known.age(now))
		}
		return
	}
	remains := left
	if !r.token.Expiry.IsZero() {
		remains = max(-maxLife, min(r.token.Expiry.Round(0).Sub(now.time.Round(0)), maxLife))
	}
	if known != nil && known.endAt != never {
		remains = known.remains(now)
	}
	if left != never {
		remains = min(left, remains)
		r.bornAt = now.mono + remains - left - age
	}
	r.endAt = now.mono + remains
}

// withToken returns r if it has the given access token, and nil otherwise.
func (r *record) withToken(accessToken string) *record {
	if r.token == nil || r.accessToken() != accessToken {
		return nil
	}
	return r
}

// liveAtLeast extends the life of a token that was just placed: its writer computed left after this process last
// looked, so no more than the time since then can have passed.
func (r *record) liveAtLeast(atLeast, left, age time.Duration, now moment) {
	if r.endAt == never || left == never || r.endAt >= now.mono+atLeast {
		return
	}
	r.endAt = now.mono + atLeast
	r.bornAt = r.endAt - left - age
}

// remains returns how long the token in r is still valid, by the clock that shows less: the monotonic clock may stop
// while the machine sleeps.
func (r *record) remains(now moment) time.Duration {
	if r.endAt == never {
		return never
	}
	return r.endAt - r.placedAt.mono - now.since(r.placedAt)
}

// age returns how long ago the token in r was requested.
func (r *record) age(now moment) time.Duration {
	return now.since(r.placedAt) + r.placedAt.mono - r.bornAt
}

// entry returns an entry for the token in r, with an Expiry by the clock of this process.
func (r *record) entry(now moment) *entry {
	t := r.token.clone()
	t.Expiry = time.Time{}
	life := time.Duration(0)
	if r.endAt != never {
		t.Expiry = now.time.Add(r.remains(now))
		life = r.endAt - r.bornAt
	}
	e := newEntry(t, life, now)
	e.since, e.forRejected = now.mono-r.age(now), r.after401
	return e
}

// marshalWith marshals the struct v together with the members of rest.
func marshalWith(v any, rest map[string]json.RawMessage) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil || len(rest) == 0 {
		return data, err
	}
	members := maps.Clone(rest)
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, err
	}
	return json.Marshal(members)
}

// unknownMembers returns the members of data that are not in known.
func unknownMembers(data []byte, known ...string) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return nil
	}
	for _, name := range known {
		delete(members, name)
	}
	if len(members) == 0 {
		return nil
	}
	return members
}

const maxOrder = 1 << 53 // the largest integer that every JSON parser reads exactly; in milliseconds, 285,000 years

var errNotOurs = errors.New("the record is not one of this package; is the database used by something else?")

// decodeRecord decodes a record from a Store. left is as written, and so is age unless the expiry of the token is not
// known; the caller must place the record.
func decodeRecord(stored Record) (r *record, age, left time.Duration, err error) {
	if stored.Version == "" {
		return &record{endAt: never}, 0, never, nil
	}
	var j recordJSON
	if err := json.Unmarshal(stored.Value, &j); err != nil || j.Format < 1 {
		return nil, 0, 0, errNotOurs
	}
	if j.Format > recordFormat {
		return nil, 0, 0, fmt.Errorf("the record has format %d, and this release reads up to %d; it is left alone", j.Format, recordFormat)
	}
	if j.Epoch < 0 || j.Epoch > maxOrder || j.Gen < 0 || j.Gen > maxOrder {
		return nil, 0, 0, errNotOurs // the next value might overflow
	}
	r = &record{
		version: stored.Version, order: order{j.Epoch, j.Gen}, endAt: never, after401: j.After401, final: j.Final,
		rest: unknownMembers(stored.Value, "format", "epoch", "gen", "token", "age", "left", "after_401", "final", "attempt", "requested"),
	}
	if isPresent(j.Token) {
		r.token = new(Token)
		if err := json.Unmarshal(j.Token, r.token); err != nil {
			return nil, 0, 0, errNotOurs
		}
	}
	if isPresent(j.Attempt) {
		var a attemptJSON
		if err := json.Unmarshal(j.Attempt, &a); err != nil {
			return nil, 0, 0, errNotOurs
		}
		r.attempt = &storedAttempt{
			id: a.ID, state: attemptState(a.State), presents: a.Presents, hold: seconds(a.Hold), tries: a.Tries,
			after401: a.After401, at: a.At, status: a.Status, code: a.Code,
			rest: unknownMembers(j.Attempt, "id", "state", "presents", "hold", "tries", "after_401", "at", "status", "code"),
		}
	}
	left = never
	if j.Left != nil {
		left = seconds(*j.Left)
	}
	age = max(0, seconds(j.Age))
	if !j.Requested.IsZero() {
		age = max(age, min(time.Since(j.Requested), maxLife))
	}
	return r, age, left, nil
}

func isPresent(data json.RawMessage) bool { return len(data) > 0 && string(data) != "null" }

// seconds converts s to a Duration, limited so that sums do not overflow.
func seconds(s float64) time.Duration {
	return time.Duration(max(-maxLife.Seconds(), min(s, maxLife.Seconds())) * float64(time.Second))
}

// randomID returns 128 random bits, for a version or the id of an attempt.
func randomID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// storeKey returns the key of the Cache's record. The key of a login does not depend on anything that a new release of
// the program may change, such as scopes. The key of an app's token depends on everything that affects its request.
func (c *Cache) storeKey(ctx context.Context) (string, error) {
	creds, err := c.endpoint.credentials(ctx)
	if err != nil {
		return "", err
	}
	e := c.endpoint
	if c.session != "" {
		return hashOf("login", e.tokenURL, e.tenant, creds.ClientID, c.session), nil
	}
	parts := []string{"app", e.tokenURL, e.tenant, creds.ClientID, c.secrets.grant.Type, c.secrets.grant.UserToken}
	parts = append(parts, hashOf(slices.Sorted(slices.Values(c.secrets.grant.Scopes))...))
	parts = append(parts, hashOf(sortedValues(e.secrets.header)...), hashOf(sortedValues(c.secrets.grant.Params)...))
	return hashOf(parts...), nil
}

// sortedValues returns the names and values of a header or a form in a fixed order.
func sortedValues[M http.Header | url.Values](m M) []string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, hashOf(append([]string{name}, m[name]...)...))
	}
	return parts
}

// hashOf returns a hash of parts. Lengths separate the parts.
func hashOf(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		fmt.Fprintf(&b, "%d:%s", len(part), part)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}
