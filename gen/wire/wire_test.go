package wire_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/grantwright/oauth-go/gen/wire"
)

func TestTimeReadsWhatVendorsSend(t *testing.T) {
	second := time.Date(2018, 6, 25, 20, 22, 28, 0, time.UTC)
	minute := second.Truncate(time.Minute)
	for _, tt := range []struct {
		text string
		want time.Time
	}{
		{"2018-06-25T20:22:28.104Z", second.Add(104 * time.Millisecond)},
		{"2018-06-25T20:22:28Z", second},
		{"2018-06-25T22:22:28+02:00", second},
		{"2018-06-25T20:22:28+0000", second},
		{"2018-06-25T20:22:28.104+0000", second.Add(104 * time.Millisecond)},
		{"2018-06-25T20:22Z", minute},
		{"2018-06-25T22:22+02:00", minute},
		{"2018-06-25T20:22+0000", minute},
		{"2018-06-25T20:22:28", second},
		{"2018-06-25T20:22:28.5", second.Add(500 * time.Millisecond)},
		{"2018-06-25T20:22", minute},
		{"2018-06-25 20:22:28", second},
		{"2018-06-25", time.Date(2018, 6, 25, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(tt.text, func(t *testing.T) {
			in := `"` + tt.text + `"`
			var got wire.Time
			require.NoError(t, json.Unmarshal([]byte(in), &got))
			assert.True(t, tt.want.Equal(got.Time()), "%v", got.Time())
			assert.False(t, got.IsZero())
			assert.Equal(t, tt.text, got.Text())
			out, err := json.Marshal(got)
			require.NoError(t, err)
			assert.Equal(t, in, string(out))
		})
	}
}

func TestTimeKeepsWhatItDoesNotUnderstand(t *testing.T) {
	for in, text := range map[string]string{
		`"soon"`:       "soon",
		`""`:           "",
		`1530000000`:   "1530000000",
		`{"epoch":15}`: `{"epoch":15}`,
		`[1]`:          "[1]",
		`true`:         "true",
		`"a\u0026b"`:   "a&b",
	} {
		var v struct{ At wire.Time }
		require.NoError(t, json.Unmarshal([]byte(`{"At":`+in+`}`), &v), in)
		assert.True(t, v.At.IsZero(), in)
		assert.Equal(t, text, v.At.Text(), in)
		out, err := json.Marshal(v)
		require.NoError(t, err)
		assert.Equal(t, `{"At":`+in+`}`, string(out))
	}
	for _, in := range []string{"", `"`} {
		at := wire.NewTime(time.Now())
		require.NoError(t, at.UnmarshalJSON([]byte(in)))
		assert.True(t, at.IsZero())
	}
}

func TestTimeNullAndMade(t *testing.T) {
	var null wire.Time
	require.NoError(t, json.Unmarshal([]byte(`null`), &null))
	assert.Equal(t, wire.Time{}, null)
	assert.Empty(t, null.Text())
	out, err := json.Marshal(null)
	require.NoError(t, err)
	assert.Equal(t, "null", string(out))

	at := time.Date(2024, 2, 3, 4, 5, 6, 7_000_000, time.UTC)
	made := wire.NewTime(at)
	assert.Equal(t, "2024-02-03T04:05:06.007Z", made.Text())
	assert.Equal(t, made.Text(), made.String())
	out, err = json.Marshal(made)
	require.NoError(t, err)
	assert.Equal(t, `"2024-02-03T04:05:06.007Z"`, string(out))
}

// No printer shows a Secret, wherever it is; as JSON it is the real text.
func TestSecretPrintsRedacted(t *testing.T) {
	const canary = "CANARY"
	type response struct {
		Secret wire.Secret  `json:"secret" xml:"secret"`
		Maybe  *wire.Secret `json:"maybe"  xml:"maybe"`
	}
	type hidden struct {
		secret wire.Secret
		maybe  *wire.Secret
		all    []wire.Secret
		any    any
	}
	secret := wire.NewSecret(canary)
	r := response{secret, &secret}
	h := hidden{secret, &secret, []wire.Secret{secret}, r}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{r, &r, r.Secret, r.Maybe, h, &h, []hidden{h}, map[string]hidden{"h": h}} {
			text := fmt.Sprintf(verb, v)
			assert.NotContains(t, text, canary, verb)
			assert.NotContains(t, strings.ToUpper(text), "43414E415259", verb)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", r.Secret, "response", r, "hidden", h)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", r.Secret, "pointer", r.Maybe, "hidden", h)
	assert.NotContains(t, log.String(), canary)

	asXML, err := xml.Marshal(r)
	require.NoError(t, err)
	assert.Equal(t, "<response><secret>[REDACTED]</secret><maybe>[REDACTED]</maybe></response>", string(asXML))
	asYAML, err := yaml.Marshal(r)
	require.NoError(t, err)
	assert.Equal(t, "secret: '[REDACTED]'\nmaybe: '[REDACTED]'\n", string(asYAML))
}

func TestSecretAsJSON(t *testing.T) {
	type response struct {
		Secret wire.Secret  `json:"secret"`
		Maybe  *wire.Secret `json:"maybe,omitempty"`
	}
	for _, text := range []string{"CANARY", "", "a\"b\\<&>é\u2028"} {
		r := response{Secret: wire.NewSecret(text), Maybe: new(wire.NewSecret(text))}
		out, err := json.Marshal(r)
		require.NoError(t, err)
		plain, err := json.Marshal(map[string]string{"secret": text, "maybe": text})
		require.NoError(t, err)
		assert.JSONEq(t, string(plain), string(out))
		var back response
		require.NoError(t, json.Unmarshal(out, &back))
		assert.Equal(t, text, back.Secret.Reveal())
		assert.Equal(t, text, back.Maybe.Reveal())
		assert.Equal(t, text == "", back.Secret.IsZero())
	}
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	require.NoError(t, encoder.Encode(response{Secret: wire.NewSecret("<&>")}))
	assert.Equal(t, `{"secret":"<&>"}`+"\n", plain.String(), "the encoder decides what is escaped")
	back := response{Secret: wire.NewSecret("kept")}
	require.NoError(t, json.Unmarshal([]byte(`{"secret":null,"maybe":null}`), &back), "a null costs nothing")
	assert.Equal(t, "kept", back.Secret.Reveal())
	assert.Nil(t, back.Maybe)
	var wrong *json.UnmarshalTypeError
	require.ErrorAs(t, json.Unmarshal([]byte(`{"secret":7}`), &back), &wrong)
	assert.Equal(t, "secret", wrong.Field)
	assert.Empty(t, wire.Secret{}.Reveal())
}

func TestLogValueOfAModel(t *testing.T) {
	type model struct {
		ID      string       `json:"id"`
		Secret  wire.Secret  `json:"secret"`
		Maybe   *wire.Secret `json:"maybe,omitempty"`
		Count   *int         `json:"count,omitempty"`
		Missing *string      `json:"missing,omitempty"`
		Scopes  []string     `json:"scopes"`
		Local   string       `json:"-"`
		private string
	}
	var asJSON, asText bytes.Buffer
	opts := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key != "model" {
			return slog.Attr{}
		}
		return a
	}}
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&asJSON, opts), slog.NewTextHandler(&asText, opts)} {
		slog.New(handler).Info("", "model", wire.LogValue(model{
			"1", wire.NewSecret("CANARY"), new(wire.NewSecret("CANARY")), new(7), nil, []string{"a"}, "local", "private"}))
	}
	assert.JSONEq(t, `{"model":{"id":"1","secret":"[REDACTED]","maybe":"[REDACTED]","count":7,"scopes":["a"]}}`, asJSON.String())
	assert.Equal(t, "model.id=1 model.secret=[REDACTED] model.maybe=[REDACTED] model.count=7 model.scopes=[a]\n", asText.String())
}
