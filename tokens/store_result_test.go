package tokens

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// judge: what to do with a result if the record is not the one that its attempt was added to.
func TestJudge(t *testing.T) {
	old := &record{version: "1", order: order{5, 2}, token: &Token{AccessToken: "a", RefreshToken: "r"}, endAt: never}
	successor := &result{kind: resultToken, attempt: "x", base: old, presented: []string{"r"}, token: &Token{AccessToken: "b", RefreshToken: "s"}}
	app := &result{kind: resultToken, attempt: "x", base: old, presented: []string{""}, token: &Token{AccessToken: "b"}}
	of := func(kind resultKind) *result {
		return &result{kind: kind, attempt: "x", base: old, presented: []string{"r"}}
	}
	at := func(o order, access, refresh, attempt string) *record {
		r := &record{version: "2", order: o, token: &Token{AccessToken: access, RefreshToken: refresh}, endAt: never}
		if attempt != "" {
			r.attempt = &storedAttempt{id: attempt, state: attemptWorking}
		}
		return r
	}
	same, later, newLogin := order{5, 2}, order{5, 3}, order{6, 0}
	failedIn := at(same, "a", "r", "x")
	failedIn.attempt.state = attemptFailed
	for name, c := range map[string]struct {
		result *result
		record *record
		app    bool
		want   verdict
	}{
		"it went in":                          {successor, at(later, "b", "s", ""), false, alreadyIn},
		"own attempt, marked down":            {successor, at(same, "a", "r", "x"), false, putIn},
		"taken over":                          {successor, at(same, "a", "r", "y"), false, putIn},
		"taken over, under a new epoch":       {successor, at(newLogin, "c", "r", ""), false, putIn},
		"the Store lost data":                 {successor, at(order{5, 1}, "z", "q", ""), false, putIn},
		"another successor":                   {successor, at(later, "c", "t", ""), false, superseded},
		"a refresh token of nowhere":          {successor, at(same, "z", "q", ""), false, superseded},
		"another login":                       {successor, at(newLogin, "c", "t", ""), false, superseded},
		"a logout":                            {successor, &record{version: "2", order: newLogin, endAt: never}, false, superseded},
		"an app's token":                      {app, at(same, "a", "", "y"), true, putIn},
		"an app's token, but another came":    {app, at(later, "c", "", ""), true, superseded},
		"failed, own attempt":                 {of(resultFailed), at(same, "a", "r", "x"), false, putIn},
		"failed, and it went in":              {of(resultFailed), failedIn, false, superseded},
		"failed, taken over":                  {of(resultFailed), at(same, "a", "r", "y"), false, superseded},
		"failed, own attempt in another life": {of(resultFailed), at(newLogin, "a", "r", "x"), false, superseded},
		"failed, and the attempt is gone":     {of(resultFailed), at(same, "a", "r", ""), false, superseded},
		"failed, and the Store lost data":     {of(resultFailed), at(order{5, 1}, "z", "q", ""), false, superseded},
		"an app's failure, and it is gone":    {of(resultFailed), at(same, "a", "", "y"), true, superseded},
		"lost, no attempt":                    {of(resultLost), at(same, "a", "r", ""), false, putIn},
		"lost, taken over":                    {of(resultLost), at(same, "a", "r", "y"), false, superseded},
		"lost, another login":                 {of(resultLost), at(newLogin, "c", "t", ""), false, superseded},
		"final, taken over":                   {of(resultFinal), at(same, "a", "r", "y"), false, putIn},
		"final, another login":                {of(resultFinal), at(newLogin, "a", "t", ""), false, superseded},
	} {
		assert.Equal(t, c.want, c.result.judge(c.record, !c.app), name)
	}
	next := successor.record(at(order{5, 1}, "z", "q", ""))
	assert.Equal(t, order{5, 3}, next.order, "newer than both")
	assert.Nil(t, next.attempt, "so that the next failure is the first one again")
	assert.Equal(t, order{6, 1}, successor.record(at(newLogin, "c", "r", "")).order)
	failed := of(resultFailed)
	failed.tries = 4
	assert.Equal(t, 5, failed.record(old).attempt.tries)
}
