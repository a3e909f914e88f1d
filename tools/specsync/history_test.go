package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// histories are the dated descriptions of the vendors, oldest first, and the newest one.
var histories = []struct{ vendor, dir, newest string }{
	{"moov", "history/moov", "slices/moov-latest-oauth2.yaml"},
	{"sailpoint", "history/sailpoint-beta", "slices/sailpoint-beta-oauth-clients.yaml"},
}

// replays are what the step to each dated description is: changes by class, prose left out.
var replays = map[string][]string{
	"moov 2024-11-26": {"breaking: 409: type changed"},
	"moov 2024-11-27": {"breaking: 422: type added"},
	"moov 2024-12-09": {"breaking: 409: type changed"},
	"moov 2025-01-15": {
		"breaking: parameter x-moov-version added",
		"breaking: property scopes removed (renamed to scope?)",
		"breaking: status 401 removed", "breaking: status 403 removed", "breaking: status 404 removed", "breaking: status 409 removed",
		"breaking: status 500 removed", "breaking: status 504 removed", // ours has them at revoke, which this one is the first to have
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
		"tolerated: changed under a deviation of ours (headers)",
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
	"sailpoint 2023-10-05": {"tolerated: value: anyOf removed", "tolerated: changed under a deviation of ours (oneOf)"},
	"sailpoint 2024-02-20": {
		"tolerated: authorizationUrl changed", "tolerated: locale: nullable added", "tolerated: localeOrigin: nullable added",
		"tolerated: changed under a deviation of ours (enum)", "tolerated: changed under a deviation of ours (enum or oneOf)",
	},
	"sailpoint 2024-04-18": {"tolerated: changed under a deviation of ours (enum or oneOf)"}, // a branch in the middle
	"sailpoint newest": {
		"additive: scope sp:oauth-client:read added", "additive: 200: property secret added", "additive: 200: property metadata added",
		`additive: security alternative [{"scheme":"oauth2","scopes":["sp:oauth-client:manage","sp:oauth-client:read"]}] added`,
		"tolerated: tokenUrl changed", "tolerated: authorizationUrl changed", "tolerated: tokenUrl changed",
	},
}

var date = regexp.MustCompile(`\d{4}-\d\d-\d\d`)

// TestHistory replays how the vendors' descriptions changed. Each pair starts from today's description with the older
// structure merged in, and takes the newer one.
func TestHistory(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the module dozens of times")
	}
	for _, h := range histories {
		files, err := filepath.Glob(filepath.Join(vendorFile(t, h.dir), "*.yaml"))
		require.NoError(t, err)
		files = append(files, vendorFile(t, h.newest))
		for i, newer := range files[1:] {
			older := files[i]
			name := h.vendor + " newest"
			if d := date.FindString(filepath.Base(newer)); d != "" {
				name = h.vendor + " " + d
			}
			t.Run(name, func(t *testing.T) { replay(t, h.vendor, older, newer, replays[name]) })
		}
	}
}

func replay(t *testing.T, vendor, older, newer string, want []string) {
	root := copyModule(t)
	s := open(t, root, vendor, older)
	_, err := s.merge()
	require.NoError(t, err)
	save(t, s)
	before := compileErrorsIn(t, root)

	s = open(t, root, vendor, newer)
	r, err := s.compare(t.Context(), newer)
	require.NoError(t, err)
	assert.Equal(t, want, described(r))
	save(t, s)
	s = open(t, root, vendor, newer)
	_, err = s.merge()
	require.NoError(t, err)
	assert.Equal(t, s.ours, s.merged, "a second -write changes nothing")

	var never, byHand []string
	for _, line := range compileErrorsIn(t, root) {
		if slices.Contains(before, line) {
			never = append(never, line)
			continue
		}
		byHand = append(byHand, line)
		named := slices.ContainsFunc(r.Go, func(g goChange) bool { return strings.Contains(line, g.Name[strings.LastIndex(g.Name, ".")+1:]) })
		assert.True(t, named, "the report does not name what a person must touch: %s", line)
	}
	assert.Empty(t, byHand, "what a person must touch")
	if len(never) > 0 {
		t.Logf("not applicable, neither description has it:\n%s", strings.Join(never, "\n"))
	}
	carried, left := testsCarried(t, root)
	t.Logf("%d changes, %d by hand, %d not applicable; %d test files carried, %d not", len(want), len(byHand), len(never), carried, left)
}

// open starts the work on a vendor's description in a copy of the module.
func open(t *testing.T, root, vendor, from string) *session {
	t.Helper()
	c, err := readConfig(root)
	require.NoError(t, err)
	in, err := newReader(nil, nil)
	require.NoError(t, err)
	theirs, err := in.read(t.Context(), from)
	require.NoError(t, err)
	s := &session{root: root, name: vendor, config: c, theirs: theirs}
	_, err = s.read()
	require.NoError(t, err)
	return s
}

// save writes the merged description and the code that is generated from it, which builds.
func save(t *testing.T, s *session) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.spec(), []byte(s.merged), 0o644))
	source, err := generate(t.Context(), s.root, s.name, s.merged, t.TempDir())
	require.NoError(t, err)
	file, _, err := generated(s.root, s.name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, source, 0o644))
	message, err := run(t.Context(), s.root, "go", "build", "-trimpath", "./gen/...")
	require.NoError(t, err, message)
}

// described returns the changes of a report but for prose, in short.
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

var buildFailed = regexp.MustCompile(`(?m)^FAIL\s+github\.com/grantwright/oauth-go/(\S+) \[(?:build|setup) failed\]`)

var compileError = regexp.MustCompile(`(?m)^(?:vet: )?((?:tokens|oauthclients|tests)/\S+\.go):\d+:\d+: (.*)$`)

// compileErrorsIn returns the errors of the packages that users import.
func compileErrorsIn(t *testing.T, root string) []string {
	t.Helper()
	message, err := run(t.Context(), root, "go", "build", "-trimpath", "-gcflags=-e", "./tokens/...", "./oauthclients/...")
	if err == nil {
		return nil
	}
	lines := compileError.FindAllString(message, -1)
	require.NotEmpty(t, lines, message)
	return lines
}

// testsCarried runs those tests of tokens and oauthclients that compile, and returns how many of their files do and do
// not. A file that uses a package that does not compile, such as the sandbox, does not.
func testsCarried(t *testing.T, root string) (carried, left int) {
	t.Helper()
	packages := []string{"./tokens/...", "./oauthclients/..."}
	for range 20 {
		message, err := run(t.Context(), root, "go", "test", "-trimpath", "-run=^$", packages[0], packages[1])
		if err == nil {
			break
		}
		bad := map[string]bool{}
		for _, match := range compileError.FindAllStringSubmatch(message, -1) {
			if file := match[1]; strings.HasSuffix(file, "_test.go") {
				bad[file] = true
			} else {
				for _, file := range testFiles(t, root) {
					uses, err := os.ReadFile(filepath.Join(root, file))
					require.NoError(t, err)
					dir := filepath.ToSlash(filepath.Dir(match[1]))
					if strings.Contains(string(uses), "oauth-go/"+dir+`"`) || filepath.ToSlash(filepath.Dir(file)) == dir {
						bad[file] = true
					}
				}
			}
		}
		if len(bad) == 0 { // tests of a package that needs one that does not compile
			for _, match := range buildFailed.FindAllStringSubmatch(message, -1) {
				for _, file := range testFiles(t, root) {
					if filepath.ToSlash(filepath.Dir(file)) == match[1] {
						bad[file] = true
					}
				}
			}
		}
		if len(bad) == 0 { // what does not compile has no tests left
			break
		}
		for file := range bad {
			require.NoError(t, os.Remove(filepath.Join(root, file)))
			left++
		}
	}
	files := testFiles(t, root)
	var dirs []string
	for _, file := range files {
		if dir := "./" + filepath.ToSlash(filepath.Dir(file)); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) > 0 {
		message, err := run(t.Context(), root, append([]string{"go", "test", "-trimpath"}, dirs...)...)
		assert.NoError(t, err, failures(message))
	}
	return len(files), left
}

func testFiles(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	for _, dir := range []string{"tokens", "oauthclients", "oauthclients/*"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			name, err := filepath.Rel(root, file)
			require.NoError(t, err)
			all = append(all, filepath.ToSlash(name))
		}
	}
	return all
}
