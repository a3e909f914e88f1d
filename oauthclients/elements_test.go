package oauthclients

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// split returns the elements of a list that arrives in parts of at most size bytes.
func split(list string, size int) ([]string, error) {
	return splitBody(&parts{strings.NewReader(list), max(1, size)})
}

func splitBody(body io.Reader) ([]string, error) {
	e := newElements(&http.Response{Request: &http.Request{URL: &url.URL{}}, Body: io.NopCloser(body)}, -1)
	var elements []string
	for {
		element, err := e.next()
		if errors.Is(err, errDone) {
			return elements, nil
		}
		if err != nil {
			return elements, err
		}
		elements = append(elements, string(element))
	}
}

type parts struct {
	io.Reader

	size int
}

func (p *parts) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }

// A list is split as by encoding/json, however it arrives.
func FuzzElements(f *testing.F) {
	for _, list := range []string{"[]", `[1,"a",{},[[]],null]`, ` [ {"a":"]\\\"}"} , 2 ] `, `["\\\\"]`, `[{]`, `[1,]`, `[`, ``, `[]]`, `{"a":1}`} {
		f.Add(list, 1)
	}
	f.Fuzz(func(t *testing.T, list string, size int) {
		var want []json.RawMessage
		valid := json.Unmarshal([]byte(list), &want) == nil && want != nil
		got, err := split(list, size)
		if !valid {
			// Elements need not be JSON.
			for _, element := range got {
				if !json.Valid([]byte(element)) {
					return
				}
			}
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, string(want[i]), got[i])
		}
	})
}

func TestElementsHoweverTheyArrive(t *testing.T) {
	const list = " [ {\"a\":\"]\\\\\\\"}\"} ,\n-1.5e3, \"x\\\\\" ,[[],{}],true\t] "
	for size := range len(list) {
		body := &parts{strings.NewReader(list), size + 1}
		for _, r := range []io.Reader{body, iotest.DataErrReader(&parts{strings.NewReader(strings.TrimSpace(list)), size + 1})} {
			got, err := splitBody(r)
			require.NoError(t, err)
			assert.Equal(t, []string{`{"a":"]\\\"}"}`, "-1.5e3", `"x\\"`, "[[],{}]", "true"}, got)
		}
	}
}

func TestALongElementInSmallParts(t *testing.T) {
	long := `["` + strings.Repeat(`\"`, 1<<17) + `"]`
	got, err := split(long, 16)
	require.NoError(t, err)
	assert.Equal(t, []string{long[1 : len(long)-1]}, got)
}
