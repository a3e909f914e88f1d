package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/sandbox"
)

// bearers responds with 204 to requests with a Bearer token.
var bearers = sandbox.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.WriteHeader(http.StatusUnauthorized)
}))

func TestEveryPeerKeepsItsTokenAndSendsIt(t *testing.T) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			v := newVendor(hour)
			s := p.open(v.setup(bearers, 0))
			for range 3 {
				require.NoError(t, s.get(t.Context()))
			}
			assert.Equal(t, 1, v.requests())
			if s.send == nil {
				return
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiURL, nil)
			require.NoError(t, err)
			resp, err := s.send(req)
			require.NoError(t, err)
			defer func() { _ = resp.Body.Close() }()
			assert.Equal(t, http.StatusNoContent, resp.StatusCode)
			assert.Empty(t, req.Header, "the caller's request was modified")
			assert.Equal(t, 1, v.requests())
		})
	}
}

func TestEveryPatcherDoesTheSame(t *testing.T) {
	var before, after sailpoint.OAuthClient
	require.NoError(t, json.Unmarshal([]byte(sample), &before))
	require.NoError(t, json.Unmarshal([]byte(changed), &after))
	for _, p := range patchers {
		t.Run(p.name, func(t *testing.T) {
			built, err := p.build(newValues)
			require.NoError(t, err)
			assert.JSONEq(t, patchJSON, string(built))
			if p.typed != nil {
				n, err := p.typed(before, after)
				require.NoError(t, err)
				assert.Equal(t, 3, n)
			}
			if p.diff != nil {
				n, err := p.diff([]byte(sample), []byte(changed))
				require.NoError(t, err)
				assert.Equal(t, 3, n)
			}
			if p.apply != nil {
				apply, err := p.apply([]byte(patchJSON))
				require.NoError(t, err)
				applied, err := apply([]byte(sample))
				require.NoError(t, err)
				assert.JSONEq(t, changed, string(applied))
			}
		})
	}
}

func TestEveryReaderReadsTheWholeList(t *testing.T) {
	url, stop := serve("[" + sample + "," + sample + "]")
	defer stop()
	for _, r := range readers(url) {
		n, err := r.list()
		require.NoError(t, err, r.name)
		assert.Equal(t, 2, n, r.name)
		if r.all != nil {
			n, err = r.all()
			require.NoError(t, err, r.name)
			assert.Equal(t, 2, n, r.name)
		}
	}
}

func TestEveryContenderHasAColumn(t *testing.T) {
	for _, p := range peers {
		assert.Contains(t, contenders, p.name)
	}
	for _, p := range patchers {
		assert.Contains(t, contenders, p.name)
	}
	for _, r := range readers("http://127.0.0.1") {
		assert.Contains(t, contenders, r.name)
	}
}

func TestTheTableSaysWhatIsMet(t *testing.T) {
	var out strings.Builder
	report(&out, []measurement{{"group", []figure{
		// The ratio of the medians is 0.5; the median of the ratios, which is used, is 0.75.
		{"relative", duration, values{ours: {30, 30, 60}, byHand: {60, 40, 80}}, target{0.6, byHand}},
		{"absolute", count, values{ours: {3}}, target{most: 3}},
		{"compared", size, values{ours: {2.5e6}, byHand: {1e6}}, unset},
	}}})
	assert.Equal(t, `
group      ours     by hand   ratio            target     met
relative   30 ns    60 ns     0.75 × by hand   ≤ 0.60 ×   NO
absolute   3        -                          ≤ 3        yes
compared   2.5 MB   1.0 MB

1 of 2 targets met
not met: group: relative
`, out.String())
}
