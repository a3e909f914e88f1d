package tokens

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// B-05 of RFC 6750 section 3, in the grammar of RFC 9110 section 11.6.1.
func TestBearerChallenge(t *testing.T) {
	tests := []struct {
		name              string
		values            []string
		code, description string
	}{
		{"none", nil, "", ""},
		{"no parameters", []string{"Bearer"}, "", ""},
		{"a realm alone", []string{`Bearer realm="example"`}, "", ""},
		{
			"the RFC's own",
			[]string{`Bearer realm="example", error="invalid_token", error_description="The access token expired"`},
			"invalid_token", "The access token expired",
		},
		{"tokens for quoted strings", []string{`Bearer error=invalid_token`}, "invalid_token", ""},
		{"another case", []string{`bEARER Error="x", ERROR_DESCRIPTION="y"`}, "x", "y"},
		{"white space around the sign", []string{"Bearer\terror = \"x\" ,\terror_description\t=\ty"}, "x", "y"},
		{"escapes and commas in quotes", []string{`Bearer error="x", error_description="say \"hi\", \\ then Basic error=\"z\""`}, "x", `say "hi", \ then Basic error="z"`},
		{"after Basic", []string{`Basic realm="a", Bearer error="x"`}, "x", ""},
		{"before Basic", []string{`Bearer error="x", Basic realm="a", error="y"`}, "x", ""},
		{"with a description before Basic", []string{`Bearer error="x", error_description="y", Basic realm="a", error_description="z"`}, "x", "y"},
		{"after a token68", []string{`Negotiate YWJj==, Bearer error="x"`}, "x", ""},
		{"another scheme's error", []string{`DPoP error="x", error_description="y"`}, "", ""},
		{"a scheme that begins alike", []string{`BearerX error="x"`}, "", ""},
		{"the first of two", []string{`Bearer error="x", Bearer error="y", error_description="z"`}, "x", ""},
		{"the first of two headers", []string{`Bearer error="x"`, `Bearer error="y", error_description="z"`}, "x", ""},
		{"in the second header", []string{`Basic realm="a"`, `Bearer error="y", error_description="z"`}, "y", "z"},
		{"a second Bearer says more", []string{`Bearer realm="a", Bearer error="x"`}, "x", ""},
		{"empty elements", []string{`,, Bearer error="x",,`}, "x", ""},
		{"an open quote", []string{`Bearer error="x`}, "x", ""},
		{"an open escape", []string{`Bearer error="x\`}, "x\\", ""},
		{"an open quote after an escape", []string{`Bearer error="x\y`}, "xy", ""},
		{"an open quote that ends in an escaped one", []string{`Bearer error="x\"`}, `x"`, ""},
		{"no value", []string{`Bearer error=`}, "", ""},
		{"garbage", []string{"\x00=\xff;;= Bearer \x7f error=x"}, "x", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{"Www-Authenticate": tt.values}
			code, description := bearerChallenge(header.Values("WWW-Authenticate"))
			assert.Equal(t, tt.code, code)
			assert.Equal(t, tt.description, description)
		})
	}
}

// The reader ends, and gives nothing that the header does not hold.
func FuzzBearerChallenge(f *testing.F) {
	f.Add(`Bearer realm="example", error="invalid_token", error_description="expired"`)
	f.Add(`Negotiate YWJj==, bearer error=x`)
	f.Add(`Bearer error="\`)
	f.Fuzz(func(t *testing.T, value string) {
		code, description := bearerChallenge([]string{value})
		require.LessOrEqual(t, len(code)+len(description), len(value))
	})
}
