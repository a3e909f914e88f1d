package oauthclients

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
)

// full is a client of which nothing is empty.
func full() sailpoint.OAuthClient {
	at := func(year int) wire.Time { return wire.NewTime(time.Date(year, 7, 11, 18, 45, 37, 98e6, time.UTC)) }
	return sailpoint.OAuthClient{
		ID: "2c91", BusinessName: new("Acme-Solar"), HomepageURL: new("http://localhost:12345"), Name: "Demo API Client é",
		Description: new("A client for demonstrations."), AccessTokenValiditySeconds: 750, RefreshTokenValiditySeconds: 86400,
		RedirectURIs: []string{"http://localhost:12345", "http://localhost:67890"},
		GrantTypes:   []sailpoint.GrantType{sailpoint.GrantTypeAUTHORIZATIONCODE, sailpoint.GrantTypeREFRESHTOKEN},
		AccessType:   sailpoint.AccessTypeOFFLINE, Type: sailpoint.ClientTypeCONFIDENTIAL,
		Internal: true, Enabled: true, StrongAuthSupported: true, ClaimsSupported: true,
		Created: at(2017), Modified: at(2018), LastUsed: new(at(2019)),
		Secret: new(wire.Secret("s3cr3t")), Metadata: new("metadata"), Scope: []string{"a", "b"},
	}
}

// Every member of the model is known to the scanner, so that a new one cannot be forgotten: without it every list would
// be slow.
func TestScanKnowsEveryMember(t *testing.T) {
	for name, client := range map[string]sailpoint.OAuthClient{"full": full(), "empty": {}} {
		data, err := json.Marshal(client)
		require.NoError(t, err)
		var got sailpoint.OAuthClient
		require.True(t, scanClient(data, &got), "%s: a member of the model is not in scanClient", name)
		again, err := json.Marshal(got)
		require.NoError(t, err)
		assert.Equal(t, string(data), string(again))
	}
	// Null is what scanClient reads besides, in every member.
	var members map[string]any
	data, err := json.Marshal(full())
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &members))
	for member := range members {
		var got sailpoint.OAuthClient
		require.True(t, scanClient(fmt.Appendf(nil, `{%q:null}`, member), &got), member)
		assert.Zero(t, got)
	}
}

// scanSeeds are read by the scanner, or left to encoding/json, each for a reason of its own.
var scanSeeds = map[string]bool{
	`{}`:                              true,
	" {\n} \t":                        true,
	`{"id":"a"}`:                      true,
	`{"id" : "é"}`:                    true,
	`{"id":"a",}`:                     false,
	`{"id":"a"`:                       false,
	`{"id":"a"}}`:                     false,
	`{"id":"a"} x`:                    false,
	`{,"id":"a"}`:                     false,
	`{"id":"a""name"}`:                false,
	`{"id":"\u0061"}`:                 false,
	"{\"id\":\"\xff\"}":               false,
	"{\"id\":\"\n\"}":                 false,
	`{"id":"a`:                        false,
	`{"id":1}`:                        false,
	`{"ID":"a"}`:                      false,
	`{"tier":"a"}`:                    false,
	`{id:"a"}`:                        false,
	`{"enabled":true}`:                true,
	`{"enabled":truefalse}`:           false,
	`{"enabled":1}`:                   false,
	`{"enabled":nul}`:                 false,
	`{"enabled":true,"enabled":null}`: true,
	`{"accessTokenValiditySeconds": 2147483647 }`:           true,
	`{"accessTokenValiditySeconds":2147483648}`:             false,
	`{"accessTokenValiditySeconds":99999999999999999999}`:   false,
	`{"accessTokenValiditySeconds":-1}`:                     false,
	`{"accessTokenValiditySeconds":007}`:                    false,
	`{"accessTokenValiditySeconds":0}`:                      true,
	`{"accessTokenValiditySeconds":1.0}`:                    false,
	`{"accessTokenValiditySeconds":}`:                       false,
	`{"accessTokenValiditySeconds":`:                        false,
	`{"scope":[]}`:                                          true,
	`{"scope":[ "a" , "b" ]}`:                               true,
	`{"scope":["a",]}`:                                      false,
	`{"scope":["a"`:                                         false,
	`{"scope":[null]}`:                                      false,
	`{"scope":"a"}`:                                         false,
	`{"scope":["a"],"scope":null}`:                          true,
	`{"scope":null,"scope":[]}`:                             true,
	`{"created":"2017-07-11T18:45"}`:                        true,
	`{"created": "never"}`:                                  true,
	`{"created":17}`:                                        false,
	`{"created":"2017-07-11T18:45:37.098Z","created":null}`: true,
	`{"lastUsed":"2017-07-11T18:45:37.098+02:00"}`:          true,
	`{"lastUsed":"x","lastUsed":null}`:                      true,
	`{"name":"a","name":"b","name":null}`:                   true,
	`{"description":"a","description":"b"}`:                 true,
	`null`:                                                  false,
	`[]`:                                                    false,
	``:                                                      false,
	`"{"`:                                                   false,
}

func TestScan(t *testing.T) {
	for data, want := range scanSeeds {
		assert.Equal(t, want, scanClient([]byte(data), new(sailpoint.OAuthClient)), data)
	}
}

// What the scanner reads, encoding/json reads to the same client.
func FuzzScan(f *testing.F) {
	for data := range scanSeeds {
		f.Add([]byte(data))
	}
	data, err := json.Marshal(full())
	require.NoError(f, err)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want sailpoint.OAuthClient
		if scanClient(data, &got) {
			require.NoError(t, json.Unmarshal(data, &want))
			require.Equal(t, want, got)
		}
	})
}
