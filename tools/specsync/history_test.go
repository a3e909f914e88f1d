package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// histories are the dated descriptions of the vendors, oldest first, followed by the current one.
var histories = []struct{ vendor, dir, newest string }{
	{"moov", "history/moov", "slices/moov-latest-oauth2.yaml"},
	{"sailpoint", "history/sailpoint-beta", "slices/sailpoint-beta-oauth-clients.yaml"},
}

// replays are the changes at each dated description by class, without prose.
var replays = map[string][]string{
	"moov 2024-11-26": {"breaking: 409: type changed"},
	"moov 2024-11-27": {"breaking: 422: type added"},
	"moov 2024-12-09": {"breaking: 409: type changed"},
	"moov 2025-01-15": {
		"breaking: parameter x-moov-version added",
		"breaking: property scopes removed (renamed to scope?)",
		"breaking: status 401 removed", "breaking: status 403 removed", "breaking: status 404 removed", "breaking: status 409 removed",
		"breaking: status 500 removed", "breaking: status 504 removed", // ours has them at revoke, which this description has for the first time
		"breaking: meaning of expires_in changed (the structure does not show it)",
		"additive: property client_id added", "additive: property client_secret added",
		"additive: property scope added (renamed from scopes?)", "additive: property refresh_token added",
		"additive: media type application/x-www-form-urlencoded added",
		"additive: 422: property scope added", "additive: 422: property refresh_token added",
		"tolerated: access_token: maxLength added", "tolerated: refresh_token: maxLength added",
		"tolerated: x-moov-version: default removed", "tolerated: x-moov-version: enum added (left as it is)",
	},
	"moov 2025-01-18": {"additive: status 500 added", "additive: status 504 added", "additive: status 500 added", "additive: status 504 added"},
	"moov 2025-01-23": {"tolerated: changed under a deviation of ours (enum)"}, // the versions: replaced
	"moov newest": {
		"breaking: token_type: enum value opaque removed", "breaking: token_type: enum value jwt removed",
		"tolerated: x-moov-version: default added", "tolerated: token_type: enum value Bearer added",
		"tolerated: 500: response header x-request-id added (left as it is)", "tolerated: 504: response header x-request-id added (left as it is)",
		"tolerated: 500: response header x-request-id added (left as it is)", "tolerated: 504: response header x-request-id added (left as it is)",
		"tolerated: changed under a deviation of ours (headers)", "tolerated: gone under a deviation of ours (enum)", // the versions: any
	},
	"sailpoint 2022-11-08": {
		"breaking: businessName: nullable added", "breaking: homepageUrl: nullable added", "breaking: description: nullable added",
		"breaking: accessTokenValiditySeconds: type changed", "breaking: refreshTokenValiditySeconds: type changed",
		"breaking: name: nullable added", "breaking: description: nullable added",
		"breaking: accessTokenValiditySeconds: type changed", "breaking: refreshTokenValiditySeconds: type changed",
		"breaking: accessTokenValiditySeconds: type changed", "breaking: refreshTokenValiditySeconds: type changed",
		"additive: 200: property scope added (required)", "additive: businessName: nullable added", "additive: homepageUrl: nullable added",
		"additive: redirectUris: nullable added", "additive: grantTypes: nullable added", "additive: property scope added",
		"additive: 200: property scope added (required)", "tolerated: redirectUris: nullable added",
	},
	"sailpoint 2023-01-12": {"additive: scope sp:oauth-client:manage added", "additive: scope sp:oauth-client:read added"},
	"sailpoint 2023-02-02": {"additive: 200: property lastUsed added"},
	"sailpoint 2023-02-15": {"breaking: parameter filters added"}, // the method gains an argument
	"sailpoint 2023-08-24": {"additive: server https://{apiUrl}/beta added"},
	"sailpoint 2023-10-05": {"tolerated: changed under a deviation of ours (oneOf)", "tolerated: gone under a deviation of ours (anyOf)"},
	"sailpoint 2024-02-20": {
		"tolerated: authorizationUrl changed", "tolerated: locale: nullable added", "tolerated: localeOrigin: nullable added",
		"tolerated: changed under a deviation of ours (enum)",
	},
	"sailpoint 2024-04-18": {"tolerated: changed under a deviation of ours (oneOf)"}, // a branch in the middle
	"sailpoint newest": {
		"additive: scope sp:oauth-client:read added", "additive: 200: property secret added", "additive: 200: property metadata added",
		`additive: security alternative [{"scheme":"oauth2","scopes":["sp:oauth-client:manage","sp:oauth-client:read"]}] added`,
		"tolerated: tokenUrl changed", "tolerated: authorizationUrl changed", "tolerated: tokenUrl changed",
	},
}

var date = regexp.MustCompile(`\d{4}-\d\d-\d\d`)

// TestHistory replays the changes of the vendors' descriptions: it merges the oldest structure into today's
// description, and then each newer one into the result.
func TestHistory(t *testing.T) {
	t.Parallel()
	check := moduleChecker(t)
	for _, h := range histories {
		t.Run(h.vendor, func(t *testing.T) {
			t.Parallel()
			files, err := filepath.Glob(filepath.Join(testdata, h.dir, "*.yaml"))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			files = append(files, filepath.Join(testdata, h.newest))
			s := open(t, "../..", h.vendor, files[0])
			_, err = s.merge()
			require.NoError(t, err)
			ours := s.merged
			code, err := generate(t.Context(), s.root, s.name, ours)
			require.NoError(t, err)
			for _, newer := range files[1:] {
				name := h.vendor + " newest"
				if d := date.FindString(filepath.Base(newer)); d != "" {
					name = h.vendor + " " + d
				}
				s = open(t, "../..", h.vendor, newer)
				s.ours, s.before, s.check = ours, code, check
				replay(t, name, s)
				if t.Failed() {
					return
				}
				ours = s.merged
				if s.after != nil {
					code = s.after
				}
			}
		})
	}
}

// replay merges one description of a history.
func replay(t *testing.T, name string, s *session) {
	t.Helper()
	want, ok := replays[name]
	require.True(t, ok, "%s has no row", name)
	r, err := s.compare(t.Context(), name)
	require.NoError(t, err, name)
	assert.Equal(t, want, described(r), name)
	assert.Empty(t, r.Refused, name)
	byHand := slices.DeleteFunc(r.Wrappers, func(line string) bool {
		return !strings.HasPrefix(line, "tokens/") && !strings.HasPrefix(line, "oauthclients/")
	})
	assert.Empty(t, byHand, "%s: what a person must touch", name)

	again := *s
	again.ours = s.merged
	_, err = again.merge()
	require.NoError(t, err, name)
	assert.Equal(t, again.ours, again.merged, "%s: a second -write changes nothing", name)
}

// moduleChecker returns the checker that all tests share, because nothing writes to the module.
func moduleChecker(t *testing.T) *checker {
	t.Helper()
	c, err := oneChecker()
	require.NoError(t, err)
	return c
}

var oneChecker = sync.OnceValues(func() (*checker, error) { return newChecker(context.Background(), "../..") })

// open starts the work on a vendor's description.
func open(t *testing.T, root, vendor, from string) *session {
	t.Helper()
	c, err := readConfig(root)
	require.NoError(t, err)
	in, err := newReader(nil, nil)
	require.NoError(t, err)
	theirs, err := in.read(t.Context(), from)
	require.NoError(t, err)
	s := &session{root: root, name: vendor, config: c, theirs: theirs}
	require.NoError(t, s.read())
	return s
}

// described returns short texts of the changes in a report, without prose.
func described(r *report) []string {
	var all []string
	for _, class := range classes {
		for _, c := range r.of(class) {
			line := fmt.Sprintf("%s: %s", class, c.What)
			if c.Note != "" {
				line += " (" + c.Note + ")"
			}
			if class != prose {
				all = append(all, line)
			}
		}
	}
	return all
}
