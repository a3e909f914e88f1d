package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/tools/specsync/internal/openapi"
)

// TestExtensionsBesideAnEnum tests extensions of an enum that are not a list with an entry for each value.
func TestExtensionsBesideAnEnum(t *testing.T) {
	t.Parallel()
	const (
		enum  = "      enum:\n        - bearer\n        - mac\n"
		count = "        count:\n          type: string\n"
	)
	for name, test := range map[string]struct {
		old, ours, theirs string // a text of Acme's description, and its replacements
		pointer           string // of our schema
		values, beside    string
		decision          string
	}{
		"a text, which is left": {
			count, count + "          x-enum-note: Ours.\n", count + "          enum: [one]\n",
			"/components/schemas/Thing/properties/count", `["one"]`, `"Ours."`, "x-enum-note has no entry for each value of the enum",
		},
		"names under another name": {
			enum, enum + "      x-enumNames: [Bearer, MAC]\n", "      enum: [bearer, mac, PLAIN_TEXT]\n",
			"/components/schemas/TokenType", `["bearer","mac","PLAIN_TEXT"]`, `["Bearer","MAC","PlainText"]`, `x-enumNames: PLAIN_TEXT is new, look at its entry "PlainText"`,
		},
		"a value without letters": {
			enum, enum + "      x-enum-varnames: [Bearer, MAC]\n", "      enum: [bearer, mac, '*']\n",
			"/components/schemas/TokenType", `["bearer","mac","*"]`, `["Bearer","MAC","Value"]`, `look at its entry "Value"`,
		},
		"a map without the value that goes": {
			enum, enum + "      x-enum-descriptions: {bearer: Whoever holds it.}\n", "      enum: [bearer]\n",
			"/components/schemas/TokenType", `["bearer"]`, `{"bearer":"Whoever holds it."}`, "",
		},
		"a map without the value that comes": {
			enum, "      enum: ['', bearer]\n      x-enum-descriptions: {'': None., bearer: Whoever holds it.}\n", "      enum: ['', bearer, mac]\n",
			"/components/schemas/TokenType", `["","bearer","mac"]`, `{"":"None.","bearer":"Whoever holds it."}`, "/x-enum-descriptions: mac is new and has no entry",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, decide := written(t, edited(t, acme, test.old, test.ours), edited(t, acme, test.old, test.theirs))
			doc, err := openapi.Parse([]byte(got))
			require.NoError(t, err)
			schema := doc.At(test.pointer)
			assert.Equal(t, test.values, schema.Child("enum").JSON(""))
			for keyword, beside := range schema.Members() {
				if strings.HasPrefix(keyword, "x-enum") {
					assert.Equal(t, test.beside, beside.JSON(""))
				}
			}
			assert.Contains(t, strings.Join(decide, "\n"), test.decision)
		})
	}
}

// TestEnumStaysIfItsNamesCannotFollow tests that an enum does not change without the list next to it.
func TestEnumStaysIfItsNamesCannotFollow(t *testing.T) {
	t.Parallel()
	const enum = "      enum:\n        - bearer\n        - mac\n"
	for _, names := range []string{"[Bearer, MAC]", "{bearer: Bearer, mac: MAC}"} {
		for _, values := range []string{"[bearer, mac, DPoP]", "[bearer]"} {
			if names[0] == '{' && values != "[bearer]" {
				continue // there is nothing to edit
			}
			ours := edited(t, acme, enum, enum+"      x-enum-varnames: *names\n", "openapi: 3.0.1\n", "openapi: 3.0.1\nx-names: &names "+names+"\n")
			s := acmeSession(t, ours, edited(t, acme, enum, "      enum: "+values+"\n"))
			decide, err := s.merge()
			require.NoError(t, err)
			assert.Contains(t, s.merged, enum)
			assert.Contains(t, strings.Join(decide, "\n"), "/components/schemas/TokenType/x-enum-varnames is an alias")
		}
	}
}
