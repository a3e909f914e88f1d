package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// printed is a report that has something in each part.
var printed = report{
	Vendor: "acme", From: "openapi.yaml",
	Changes: []change{
		{Class: breaking, What: "count: type changed", Operations: []string{"GET /things", "GET /others"}, Place: "/responses", Pointer: "/components/a|b",
			Upstream: "/components/c", Was: `"` + strings.Repeat("x", 160), Is: `"<a|b>"`, Go: []string{"acme.Thing.Count", "acme.Thing"}, Note: "required"},
		{Class: prose, What: "words changed", Operations: []string{"GET /things"}},
	},
	Deviations: []deviation{{"enum", "Ours.", []string{"/a", "/b", "/c"}, ""}},
	Unused:     []deviation{{"type", "Gone.", []string{"/d"}, ""}, {"format", "Gone too.", []string{"/e"}, ""}},
	Notes:      []string{"GET /things is read from GET /v2/things"},
	Wrappers:   []string{"tokens/acme.go:1:1: wrong"},
	Decide:     []string{"a name"},
	Refused:    "it does not compile:\nline 1",
}

func TestPrintText(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, printText(&b, &printed))
	assert.Equal(t, `acme: 1 breaking, 1 prose, 2 deviations that nothing needs any more
  from openapi.yaml

breaking: count: type changed (required)
  GET /things, GET /others
  at /responses
  ours /components/a|b
  upstream /components/c
  was "`+strings.Repeat("x", 159)+`..., is "<a|b>"
  Go acme.Thing.Count, acme.Thing

prose: words changed
  GET /things

Cannot be written:
  it does not compile:
    line 1

How it was read:
  GET /things is read from GET /v2/things

Packages that no longer compile:
  tokens/acme.go:1:1: wrong

Left to a person:
  a name

Our deviations:
  enum at /a and 2 more: Ours.

Deviations that nothing needs any more:
  type at /d: Gone.
  format at /e: Gone too.

`, b.String())
}

func TestPrintMarkdown(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, printMarkdown(&b, &printed))
	const code = "`"
	assert.Equal(t, `## acme: 1 breaking, 1 prose, 2 deviations that nothing needs any more

From openapi.yaml

### Breaking

| what | where | was | is | Go |
|---|---|---|---|---|
| count: type changed (required) | GET /things<br>GET /others<br>`+code+`/components/a\|b`+code+` | `+
		code+`"`+strings.Repeat("x", 159)+`...`+code+` | `+code+`"<a\|b>"`+code+` | acme.Thing.Count, acme.Thing |

### Prose

| what | where | was | is | Go |
|---|---|---|---|---|
| words changed | GET /things |  |  |  |

### Cannot be written

- it does not compile:
  line 1

### How it was read

- GET /things is read from GET /v2/things

### Packages that no longer compile

- tokens/acme.go:1:1: wrong

### Left to a person

- a name

### Deviations that nothing needs any more

- type at /d: Gone.
- format at /e: Gone too.

<details><summary>Our deviations</summary>

- enum at /a and 2 more: Ours.

</details>

`, b.String())
}

// A deviation that nothing needs any more is something to do, although the vendor changed nothing.
func TestReportOfAnUnusedDeviation(t *testing.T) {
	r := report{Unused: []deviation{{"type", "Gone.", []string{"/d"}, ""}}}
	assert.Equal(t, "1 deviation that nothing needs any more", r.summary())
	assert.Equal(t, exitChanged, r.exit())
	r.Unused = nil
	assert.Equal(t, "nothing changed", r.summary())
	assert.Equal(t, exitNone, r.exit())
}

func TestPrintJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, printJSON(&b, &printed))
	assert.Contains(t, b.String(), `"is": "\"<a|b>\""`, "people read it too")
	var again report
	require.NoError(t, json.Unmarshal(b.Bytes(), &again))
	assert.Equal(t, printed, again)
}

// TestLongValues tests that a value is only cut off if it is too long, and never inside a character.
func TestLongValues(t *testing.T) {
	t.Parallel()
	fits := strings.Repeat("x", 160)
	assert.Equal(t, fits, value(fits))
	assert.Equal(t, fits+"...", value(fits+"y"))
	assert.Equal(t, fits[1:]+"...", value(fits[1:]+"\u00e9"))
}

// TestMarkdownOfNothing tests that a report has no headings without something below them.
func TestMarkdownOfNothing(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, printMarkdown(&b, &report{Vendor: "acme", From: "openapi.yaml"}))
	assert.Equal(t, "## acme: nothing changed\n\nFrom openapi.yaml\n\n", b.String())
}
