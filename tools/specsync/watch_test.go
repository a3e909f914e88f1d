package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWordsAreWatched changes words of the vendor's after a -write: they are reported once, with each operation that has
// them, until the next -write.
func TestWordsAreWatched(t *testing.T) {
	t.Parallel()
	ours, _ := written(t, acme, acme)
	assert.Equal(t, 2, strings.Count(ours, "      x-upstream-seen: {prose: "))
	report := func(ours, theirs string) []change {
		s := acmeSession(t, ours, theirs)
		return s.reportOnly(t).Changes
	}
	for _, test := range []struct {
		old, new   string
		operations []string
	}{
		{"description: The things.\n", "description: All things.\n", []string{"GET /things"}},
		{"description: Refused.\n", "description: Not granted.\n", []string{"POST /oauth/token"}},
		{"    OAuthError:\n", "    OAuthError:\n      title: Why.\n", []string{"POST /oauth/token", "GET /things"}},
	} {
		theirs := edited(t, acme, test.old, test.new)
		assert.Equal(t, []change{{Class: prose, What: "words changed", Operations: test.operations}}, report(ours, theirs))
		assert.Empty(t, report(acme, theirs), "there was no -write before")
		next, _ := written(t, ours, theirs)
		assert.Equal(t, withoutHashes(ours), withoutHashes(next))
		assert.Empty(t, report(next, theirs))
		assert.NotEmpty(t, report(next, acme))
	}
	both := report(ours, edited(t, acme, "description: The things.\n", "description: All things.\n", "maxLength: 100", "maxLength: 200"))
	require.Len(t, both, 2, "beside another change")
	assert.Equal(t, change{Class: prose, What: "words changed", Operations: []string{"GET /things"}}, both[1])
	assert.Empty(t, report(ours, edited(t, acme, "description: The things.\n", "description: |\n            The   things.\n")), "spaces are no words")
}

// TestDeviationsAreWatched changes the vendor's values under deviations of ours, which are no differences.
func TestDeviationsAreWatched(t *testing.T) {
	t.Parallel()
	const count = "        count:\n          type: string\n"
	theirs := func(keywords string) string { return edited(t, acme, count, count+keywords) }
	first := theirs("          maxLength: 1\n          minLength: 1\n          pattern: a\n")
	ours, _ := written(t, theirs("          x-deviation: {maxLength: Too short., minLength: Too long., pattern: Not needed.}\n"), first)
	for keywords, want := range map[string][]string{
		"          maxLength: 1\n          minLength: 1\n          pattern: a\n": nil,
		"          maxLength: 2\n          minLength: 2\n          pattern: a\n": {"tolerated: changed under a deviation of ours (maxLength)", "tolerated: changed under a deviation of ours (minLength)"},
		"          maxLength: 2\n          pattern: a\n":                         {"tolerated: changed under a deviation of ours (maxLength)", "tolerated: gone under a deviation of ours (minLength)"},
		"          maxLength: 1\n":                                               {"tolerated: gone under a deviation of ours (minLength)", "tolerated: gone under a deviation of ours (pattern)"},
	} {
		s := acmeSession(t, ours, theirs(keywords))
		assert.Equal(t, want, described(s.reportOnly(t)))
		_, err := s.merge()
		require.NoError(t, err)
		s.ours = s.merged
		assert.Empty(t, described(s.reportOnly(t)), "after -write")
	}
}

// TestWhatIsWatchedNamesOurOperation changes what the structure does not show, in an operation that the vendor has under
// another path.
func TestWhatIsWatchedNamesOurOperation(t *testing.T) {
	t.Parallel()
	const token, expires = "      operationId: createAccessToken\n", "          x-deviation:\n            x-go-type: Servers also send strings.\n"
	ours, _ := written(t, edited(t, acme, token, token+"      x-listed: [a]\n", expires, expires+"            minimum: Not needed.\n            maximum: Nor this.\n"),
		edited(t, acme, token, token+"      description: \"* a\"\n", expires, "          minimum: 1\n          maximum: 9\n"))
	s := acmeSession(t, ours, edited(t, acme, "/oauth/token:", "/token/v2:", "Life in seconds.", "Unix timestamp of its end.",
		token, token+"      description: \"* b\"\n", expires, "          minimum: 2\n"))
	s.config.Vendors["acme"] = vendor{
		Paths: []rewrite{{compile("^/token/v2$"), "/oauth/token"}},
		Lists: []listRule{{Operation: "POST /oauth/token", Item: compile(`(?m)^\* (\w+)$`), Ours: "x-listed"}},
	}
	var notes []string
	for _, c := range s.reportOnly(t).Changes {
		notes = append(notes, strings.TrimSpace(c.What+" "+c.Note))
		assert.Equal(t, []string{"POST /oauth/token"}, c.Operations, c.What)
	}
	const prose = " list in the prose the structure does not show it; x-listed is kept by hand"
	assert.Equal(t, []string{
		"words changed", "changed under a deviation of ours minimum", "gone under a deviation of ours maximum",
		"meaning of expires_in changed the structure does not show it", "a removed from the" + prose, "b added to the" + prose,
	}, notes)
}

// TestHashesOfAnOperationThatIsGone tests that the hashes of an operation go when the vendor no longer describes it, and
// those of the others are written.
func TestHashesOfAnOperationThatIsGone(t *testing.T) {
	t.Parallel()
	ours, _ := written(t, acme, acme)
	got, _ := written(t, ours, edited(t, acme, "  /oauth/token:\n", "  /others:\n", "The things.", "All things."))
	assert.Equal(t, 1, strings.Count(got, "x-upstream-seen"))
	assert.NotContains(t, got, "operationId: createAccessToken\n      x-upstream-seen")
}
