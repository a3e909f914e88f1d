package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

func TestSecretPrintsRedactedAndMarshalsReal(t *testing.T) {
	const canary = "CANARY"
	type answer struct {
		Secret wire.Secret  `json:"secret"`
		Maybe  *wire.Secret `json:"maybe"`
	}
	a := answer{canary, new(wire.Secret(canary))}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{a, &a, a.Secret, a.Maybe} {
			assert.NotContains(t, fmt.Sprintf(verb, v), canary, verb)
			assert.NotContains(t, fmt.Sprintf(verb, v), "43414e415259", verb)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", a.Secret, "answer", a)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", a.Secret)
	assert.NotContains(t, log.String(), canary)

	out, err := json.Marshal(a)
	require.NoError(t, err)
	assert.Equal(t, `{"secret":"CANARY","maybe":"CANARY"}`, string(out))
	var back answer
	require.NoError(t, json.Unmarshal(out, &back))
	assert.Equal(t, canary, string(back.Secret))
	require.NoError(t, json.Unmarshal([]byte(`{"secret":null}`), &back), "a null costs nothing")
}
