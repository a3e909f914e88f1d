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

// TestMeaningNamesOurOperation changes a meaning in an operation that the vendor has under another path.
func TestMeaningNamesOurOperation(t *testing.T) {
	t.Parallel()
	s := acmeSession(t, acme, edited(t, acme, "/oauth/token:", "/token/v2:", "Life in seconds.", "Unix timestamp of its end."))
	s.config.Vendors["acme"] = vendor{Paths: []rewrite{{compile("^/token/v2$"), "/oauth/token"}}}
	changes := s.reportOnly(t).Changes
	require.Len(t, changes, 1)
	assert.Equal(t, "meaning of expires_in changed", changes[0].What)
	assert.Equal(t, []string{"POST /oauth/token"}, changes[0].Operations)
}
