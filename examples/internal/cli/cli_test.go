package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
)

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestOpen(t *testing.T) {
	target, err := Open(environment(nil), nil, t.Output())
	require.NoError(t, err)
	defer target.Close()
	assert.Equal(t, "a sandbox, because SAILPOINT_BASE_URL is not set", target.String())
	list, err := target.Clients.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, 1)

	server, err := sandbox.Listen(sandbox.NewSailPoint(nil))
	require.NoError(t, err)
	defer func() { _ = server.Close() }()
	target, err = Open(environment(map[string]string{BaseURL: server.URL, ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret}), nil, t.Output())
	require.NoError(t, err)
	defer target.Close()
	assert.Equal(t, "tenant "+server.URL, target.String())
	assert.Equal(t, sandbox.ClientID, target.ClientID)
	_, err = target.Clients.Get(t.Context(), sandbox.SampleClientID)
	require.NoError(t, err)
}

// Incomplete settings must not select a sandbox.
func TestOpenRefusesHalfASetting(t *testing.T) {
	for want, values := range map[string]map[string]string{
		"not set: SAILPOINT_CLIENT_ID, SAILPOINT_CLIENT_SECRET; set all of SAILPOINT_BASE_URL, SAILPOINT_CLIENT_ID, SAILPOINT_CLIENT_SECRET": {BaseURL: "https://acme.api.identitynow.com"},
		"not set: SAILPOINT_BASE_URL;":  {ClientID: "id", ClientSecret: "canary"},
		"not set: SAILPOINT_CLIENT_ID;": {BaseURL: "https://acme.api.identitynow.com", ClientSecret: "canary"},
		"API version":                   {BaseURL: "https://acme.api.identitynow.com/beta", ClientID: "id", ClientSecret: "canary"},
	} {
		_, err := Open(environment(values), nil, t.Output())
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "canary")
	}
}

func TestReadFile(t *testing.T) {
	read := func(name, content string) (string, error) {
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		data, err := ReadFile(file)
		return string(data), err
	}
	got, err := read("a.json", `{"a": 1.0}`)
	require.NoError(t, err)
	assert.Equal(t, `{"a": 1.0}`, got)
	for _, name := range []string{"a.yaml", "a.yml", "a"} {
		got, err = read(name, "name: Demo\nhomepageUrl: null\nenabled: true\nlife: 600\nuris:\n- https://example.com\n")
		require.NoError(t, err)
		assert.JSONEq(t, `{"name":"Demo","homepageUrl":null,"enabled":true,"life":600,"uris":["https://example.com"]}`, got)
	}
	got, err = read("a.yaml", "created: 2017-07-11T18:45:37.100Z\nday: [2020-01-02]\nagain: &t 2020-01-02\nand: *t\n")
	require.NoError(t, err)
	assert.JSONEq(t, `{"created":"2017-07-11T18:45:37.100Z","day":["2020-01-02"],"again":"2020-01-02","and":"2020-01-02"}`, got)
	for content, want := range map[string]string{"a: 1\na: 2\n": "already defined", "a: [\n": "a.yaml", "a: 1\n---\nb: 1\n": "one YAML document", "1: 2\n": "a.yaml"} {
		_, err = read("a.yaml", content)
		require.ErrorContains(t, err, want, content)
	}
	_, err = ReadFile(filepath.Join(t.TempDir(), "none.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestReport(t *testing.T) {
	for name, want := range map[string]string{
		"r.csv":  "id,name\n1,\"a, \"\"b\"\"\"\n2,c\n",
		"r.json": "[\n  {\n    \"id\": \"1\",\n    \"name\": \"a, \\\"b\\\"\"\n  },\n  {\n    \"id\": \"2\",\n    \"name\": \"c\"\n  }\n]\n",
	} {
		file := filepath.Join(t.TempDir(), name)
		r, err := NewReport(file, "id", "name")
		require.NoError(t, err)
		r.Add("1", `a, "b"`)
		r.Add("2", "c")
		require.NoError(t, r.Write())
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	_, err := NewReport("r.txt", "id")
	require.EqualError(t, err, `the name of the report must end in .csv or .json, not in ".txt"`)
	r, err := NewReport("", "id")
	require.NoError(t, err)
	require.NoError(t, r.Write())
}

func TestConsole(t *testing.T) {
	var out bytes.Buffer
	c := NewConsole(&out)
	for n := range 2000 {
		c.Progress(n+1, "%d clients were read")
	}
	c.Printf("done: %s", "all")
	assert.Equal(t, "1000 clients were read\n2000 clients were read\ndone: all\n", out.String())

	out.Reset()
	c.terminal = true
	c.Progress(1, "%d read")
	c.Progress(2, "%d read")
	_, _ = c.Write([]byte("log\n"))
	c.Progress(3, "%d read")
	c.Printf("done")
	assert.Equal(t, "1 read\r\x1b[K2 read\r\x1b[Klog\n3 read\r\x1b[Kdone\n", out.String())
}

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, " Yes \n": true, "y": true, "n\n": false, "\n": false, "": false, "yeah\n": false, "no\ny\n": false} {
		var out bytes.Buffer
		assert.Equal(t, want, NewConsole(&out).Confirm(strings.NewReader(answer), "Delete %d?", 3), answer)
		assert.Equal(t, "Delete 3? [y/N] ", out.String())
	}
}
