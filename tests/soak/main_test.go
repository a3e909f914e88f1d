package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
)

func TestSoak(t *testing.T) {
	var out strings.Builder
	err := soak(&out, 2*time.Second, 200)
	t.Log(out.String())
	require.NoError(t, err)
	assert.Contains(t, out.String(), "\n0 mistakes\n")
}

// Mistakes are noticed.
func TestMistakes(t *testing.T) {
	r := &record{calls: map[string]*tally{}}
	w, err := newWorld(r)
	require.NoError(t, err)
	defer w.close(time.Second)
	c := &caller{world: w, rand: rand.New(rand.NewPCG(1, 1))}
	mine, other := w.apps[0], w.apps[perApp]
	noticed := func(want string) {
		t.Helper()
		require.Len(t, r.mistakes, 1)
		require.ErrorContains(t, r.mistakes[0], want)
		r.mistakes = nil
	}

	token, err := other.cache.Token(t.Context())
	require.NoError(t, err)
	c.check("Token", mine, token.AccessToken)
	noticed("app-0 with scope-0 got a token of app-1 with [scope-0]")

	respond := func(body string) *http.Response {
		return &http.Response{Body: io.NopCloser(strings.NewReader(body))}
	}
	require.NoError(t, c.checkEcho("NewDoer", mine, respond(`{"ClientID":"app-0","Scope":"scope-0","Text":"1"}`), "1"))
	require.Empty(t, r.mistakes)
	require.NoError(t, c.checkEcho("NewDoer", mine, respond(`{"ClientID":"app-0","Scope":"scope-0","Text":"1"}`), "2"))
	noticed("the response to another request")
	require.NoError(t, c.checkEcho("NewDoer", mine, respond(`{"ClientID":"app-1","Scope":"scope-0","Text":"1"}`), "1"))
	noticed("app-0 with scope-0 was taken for {ClientID:app-1")
	require.NoError(t, c.checkEcho("NewDoer", mine, respond(`{"Clie`), "1"))
	noticed("read")

	r.end("Token", errors.New("odd"))
	noticed("no documented kind")

	w.created[sandbox.SampleClientID] = "another secret"
	w.checkSecrets(t.Context())
	noticed("is not good")
	w.created = map[string]string{"none": "secret"}
	w.checkSecrets(t.Context())
	noticed("client none is gone")
	w.created = nil
	list, err := w.clients.List(t.Context())
	require.NoError(t, err)
	w.lost[list[0].Name] = errors.New("not sent")
	w.checkSecrets(t.Context())
	noticed("the caller was told: not sent")
	w.lost = nil
}
