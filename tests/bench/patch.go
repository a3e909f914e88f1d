package main

import (
	"encoding/json"
	"log"
	"strconv"
	"strings"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/oauthclients/patch"
)

// sample is an OAuth client as in SailPoint's documentation.
const sample = `{"id":"2c9180835d2e5168015d32f890ca1581","secret":null,"businessName":"Acme-Solar",` +
	`"homepageUrl":"http://localhost:12345","name":"Demo API Client",` +
	`"description":"An API client used for the authorization_code, refresh_token, and client_credentials flows",` +
	`"accessTokenValiditySeconds":750,"refreshTokenValiditySeconds":86400,` +
	`"redirectUris":["http://localhost:12345","http://localhost:67890"],` +
	`"grantTypes":["AUTHORIZATION_CODE","CLIENT_CREDENTIALS","REFRESH_TOKEN"],"accessType":"OFFLINE",` +
	`"type":"CONFIDENTIAL","internal":false,"enabled":true,"strongAuthSupported":false,"claimsSupported":false,` +
	`"created":"2017-07-11T18:45:37.098Z","modified":"2018-06-25T20:22:28.104Z","lastUsed":"2017-07-11T18:45:37.098Z",` +
	`"scope":["demo:api-client-scope:first","demo:api-client-scope:second"],"metadata":null}`

// changed is the sample after a change.
var changed = strings.NewReplacer(
	`"name":"Demo API Client"`, `"name":"Renamed Client"`,
	`"enabled":true`, `"enabled":false`,
	`"homepageUrl":"http://localhost:12345"`, `"homepageUrl":null`,
).Replace(sample)

// change is the difference between the two, and a homepage of null. Its values are variables, as in a real program.
type change struct {
	name    string
	enabled bool
}

var newValues = change{strings.Clone("Renamed Client"), false}

// patchJSON is the change as a JSON Patch.
const patchJSON = `[{"op":"replace","path":"/name","value":"Renamed Client"},` +
	`{"op":"replace","path":"/enabled","value":false},` +
	`{"op":"replace","path":"/homepageUrl","value":null}]`

// A patcher does what a JSON Patch library does. A nil function is not supported.
type patcher struct {
	name  string
	build func(change) ([]byte, error)                           // builds and marshals a patch of three operations
	typed func(before, after sailpoint.OAuthClient) (int, error) // returns the number of differences
	diff  func(before, after []byte) (int, error)
	apply func(patch []byte) (func(doc []byte) ([]byte, error), error)
}

var patchers = []patcher{oursPatcher, {name: byHand, build: buildByHand}, unionPatcher, jsondiffPatcher, evanphxPatcher, gomodulesPatcher}

var oursPatcher = patcher{
	name: ours,
	build: func(c change) ([]byte, error) {
		return jsonpatch.Patch{
			jsonpatch.Replace("/name", c.name),
			jsonpatch.Replace("/enabled", c.enabled),
			jsonpatch.Replace("/homepageUrl", nil),
		}.MarshalJSON()
	},
	typed: func(before, after sailpoint.OAuthClient) (int, error) {
		ops, err := patch.Diff(before, after, nil)
		return len(ops), err
	},
	diff: func(before, after []byte) (int, error) {
		p, err := jsonpatch.Diff(before, after)
		return len(p), err
	},
	apply: func(text []byte) (func([]byte) ([]byte, error), error) {
		var p jsonpatch.Patch
		err := json.Unmarshal(text, &p)
		return p.Apply, err
	},
}

// buildByHand is the minimum that builds such a patch.
func buildByHand(c change) ([]byte, error) {
	b := make([]byte, 0, 192)
	b = append(b, `[{"op":"replace","path":"/name","value":`...)
	b = strconv.AppendQuote(b, c.name)
	b = append(b, `},{"op":"replace","path":"/enabled","value":`...)
	b = strconv.AppendBool(b, c.enabled)
	return append(b, `},{"op":"replace","path":"/homepageUrl","value":null}]`...), nil
}

func measurePatch(e effort) []figure {
	var before, after sailpoint.OAuthClient
	for text, client := range map[string]*sailpoint.OAuthClient{sample: &before, changed: &after} {
		if err := json.Unmarshal([]byte(text), client); err != nil {
			log.Fatal(err)
		}
	}
	beforeDoc, afterDoc := []byte(sample), []byte(changed)

	var builds, types, diffs, applies []contender
	for _, p := range patchers {
		if p.build != nil {
			builds = append(builds, contender{p.name, func() error {
				_, err := p.build(newValues)
				return err
			}})
		}
		if p.typed != nil {
			types = append(types, contender{p.name, func() error {
				_, err := p.typed(before, after)
				return err
			}})
		}
		if p.diff != nil {
			diffs = append(diffs, contender{p.name, func() error {
				_, err := p.diff(beforeDoc, afterDoc)
				return err
			}})
		}
		if p.apply != nil {
			apply, err := p.apply([]byte(patchJSON))
			if err != nil {
				log.Fatalf("%s: %v", p.name, err)
			}
			applies = append(applies, contender{p.name, func() error {
				_, err := apply(beforeDoc)
				return err
			}})
		}
	}
	build, typed, diff, apply := compare(e, 1, builds...), compare(e, 1, types...), compare(e, 1, diffs...), compare(e, 1, applies...)
	return []figure{
		build.times("build and marshal three operations", unset),
		build.allocations(unset),
		typed.times("difference of two clients, typed", target{0.05, "jsondiff"}),
		typed.allocations(unset),
		diff.times("difference of two documents", target{0.5, "jsondiff"}),
		diff.allocations(unset),
		apply.times("apply three operations", target{0.4, "evanphx"}),
		apply.allocations(target{most: 70}),
	}
}
