package oauthclients_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/tokens"
)

// listOf returns a list of n clients, each named by its index.
func listOf(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(`{"id":"%d","name":"%d"}`, i, i)
	}
	return "[" + strings.Join(items, ",") + "]"
}

func TestFilters(t *testing.T) {
	at := time.Date(2023, 2, 5, 11, 59, 27, 214_999_999, time.FixedZone("", 3600))
	used, never := oauthclients.LastUsedBefore(at), oauthclients.NeverUsed()
	for _, tt := range []struct {
		filters []oauthclients.Filter
		want    string // the query as sent
	}{
		{nil, ""},
		{[]oauthclients.Filter{used}, "lastUsed%20le%202023-02-05T10%3A59%3A27.214Z"},
		{[]oauthclients.Filter{never}, "lastUsed%20isnull"},
		{[]oauthclients.Filter{used, never}, "lastUsed%20le%202023-02-05T10%3A59%3A27.214Z%20and%20lastUsed%20isnull"},
		{[]oauthclients.Filter{oauthclients.RawFilter("a eq 1 or b eq 2"), never}, "%28a%20eq%201%20or%20b%20eq%202%29%20and%20lastUsed%20isnull"},
		{[]oauthclients.Filter{oauthclients.RawFilter("a eq 1 or b eq 2")}, "a%20eq%201%20or%20b%20eq%202"},
		{[]oauthclients.Filter{oauthclients.RawFilter(`name eq "R&D + 100% #1 \"x\" ü"`)},
			"name%20eq%20%22R%26D%20%2B%20100%25%20%231%20%5C%22x%5C%22%20%C3%BC%22"},
	} {
		clients, v := newClients(t, nil, respond(http.StatusOK, "[]"))
		_, err := clients.List(t.Context(), tt.filters...)
		require.NoError(t, err)
		want := "/beta/oauth-clients"
		if tt.want != "" {
			want += "?filters=" + tt.want
		}
		assert.Equal(t, want, v.sent()[0].URI)
	}
	assert.Equal(t, "lastUsed isnull", never.String())
	assert.Equal(t, "lastUsed le 2023-02-05T10:59:27.214Z", used.String())
}

func TestBadFilters(t *testing.T) {
	clients, v := newClients(t, nil, respond(http.StatusOK, "[]"))
	for _, filter := range []oauthclients.Filter{
		{},
		oauthclients.RawFilter(""),
		oauthclients.RawFilter("  "),
		oauthclients.LastUsedBefore(time.Time{}),
	} {
		_, err := clients.List(t.Context(), filter)
		require.ErrorContains(t, err, "oauthclients: list: ")
		_, err = clients.List(t.Context(), oauthclients.NeverUsed(), filter)
		require.ErrorContains(t, err, "oauthclients: list: ")
	}
	assert.Empty(t, v.sent())
}

func TestList(t *testing.T) {
	for body, want := range map[string][]string{
		"[]":               {},
		" [ ] \n":          {},
		listOf(1):          {"0"},
		listOf(3):          {"0", "1", "2"},
		"[" + sample + "]": {"Demo API Client"},
		"\t[\n {\"name\":\"a \\\" ] } , \\\\\"} ,\r\n{\"name\":\"b\",\"x\":[[{}],\"]\"]}\n]\n": {`a " ] } , \`, "b"},
	} {
		clients, _ := newClients(t, nil, respond(http.StatusOK, body))
		list, err := clients.List(t.Context())
		require.NoError(t, err, body)
		assert.NotNil(t, list)
		assert.Equal(t, want, names(list), body)
	}
}

func names(clients []sailpoint.OAuthClient) []string {
	names := []string{}
	for _, c := range clients {
		names = append(names, c.Name)
	}
	return names
}

func TestListErrorsNameTheClient(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		good    []string
		want    string
	}{
		{"not an array", respond(http.StatusOK, `{"message":"hello"}`), []string{}, "client 0: GET https://tenant.api.identitynow.com/beta/oauth-clients: 200 OK: the response is not an array"},
		{"nothing", respond(http.StatusOK, ""), []string{}, "client 0: "},
		{"a wrong type", respond(http.StatusOK, `[{"name":"0"},{"name":1},{"name":"2"}]`), []string{"0"}, `client 1: GET https://tenant.api.identitynow.com/beta/oauth-clients: 200 OK: the response does not fit: member "name" is not a string`},
		{"not an object", respond(http.StatusOK, `[{"name":"0"},17,{"name":"2"}]`), []string{"0"}, "client 1: "},
		{"null", respond(http.StatusOK, `[{"name":"0"},null,{"name":"2"}]`), []string{"0"}, "client 1: GET https://tenant.api.identitynow.com/beta/oauth-clients: 200 OK: the response has null in place of a client"},
		{"only null", respond(http.StatusOK, `null`), []string{}, "client 0: "},
		{"not JSON", respond(http.StatusOK, `[{"name":"0"},{"name":oops}]`), []string{"0"}, "client 1: "},
		{"no comma", respond(http.StatusOK, `[{"name":"0"}{"name":"1"}]`), []string{"0"}, "client 1: GET https://tenant.api.identitynow.com/beta/oauth-clients: 200 OK: a comma is missing in the array"},
		{"a comma too many", respond(http.StatusOK, `[{"name":"0"},]`), []string{"0"}, "client 1: GET https://tenant.api.identitynow.com/beta/oauth-clients: 200 OK: the array has a comma too many"},
		{"a comma first", respond(http.StatusOK, `[,{"name":"0"}]`), []string{}, "client 0: "},
		{"more behind it", respond(http.StatusOK, listOf(2)+"]"), []string{"0", "1"}, "client 2: GET https://tenant.api.identitynow.com/beta/oauth-clients: 200 OK: the response goes on after the array"},
		{"mismatched brackets", respond(http.StatusOK, `[{"name":"0"],{"name":"1"}]`), []string{}, "client 0: "},
		{"no end", respond(http.StatusOK, `[{"name":"0"},{"name":"1"}`), []string{"0", "1"}, "client 2: "},
		{"an end within", respond(http.StatusOK, `[{"name":"0"},{"name":"1`), []string{"0"}, "client 1: "},
		{"a broken connection", cut(http.StatusOK, `[{"name":"0"},{"name":"1`), []string{"0"}, "client 1: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clients, _ := newClients(t, nil, tt.handler)
			got := []sailpoint.OAuthClient{}
			var last error
			for client, err := range clients.All(t.Context()) {
				require.NoError(t, last, "an error must be the last pair")
				if last = err; err == nil {
					got = append(got, client)
				} else {
					assert.Zero(t, client)
				}
			}
			require.ErrorContains(t, last, "oauthclients: list: "+tt.want)
			require.ErrorIs(t, last, tokens.Status(http.StatusOK))
			assert.Equal(t, tt.good, names(got))

			list, err := clients.List(t.Context())
			require.ErrorContains(t, err, tt.want)
			assert.Equal(t, tt.good, names(list))
		})
	}
}

// A broken connection may look like the end of the body.
func TestAnEndThatIsAnError(t *testing.T) {
	for _, body := range []string{"[", `[{"name":"0"}`, `[{"name":"0"},`, `[{"name":"0"}]`} {
		clients, err := oauthclients.NewSailPoint(tokens.Static("access-token"), &oauthclients.SailPointOptions{
			BaseURL: origin,
			HTTPClient: &http.Client{Transport: transport(func(req *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: req, ContentLength: -1,
					Body: io.NopCloser(io.MultiReader(strings.NewReader(body), iotest.ErrReader(fmt.Errorf("broken: %w", io.EOF)))),
				}, nil
			})},
		})
		require.NoError(t, err)
		_, err = clients.List(t.Context())
		require.ErrorContains(t, err, "broken: EOF", body)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestElementLimit(t *testing.T) {
	const most = 1000
	element := func(size int) string {
		const frame = `{"name":""}`
		return `{"name":"` + strings.Repeat("x", size-len(frame)) + `"}`
	}
	opts := &oauthclients.SailPointOptions{MaxElement: most, MaxBody: 64 << 10}
	fits := strings.TrimSuffix(strings.Repeat(element(most)+",", 100), ",")

	clients, _ := newClients(t, opts, respond(http.StatusOK, "["+fits+"]"))
	n := 0
	for _, err := range clients.All(t.Context()) {
		require.NoError(t, err, "All has no bound but that of each element")
		n++
	}
	assert.Equal(t, 100, n)
	_, err := clients.List(t.Context())
	require.ErrorContains(t, err, "longer than 65536 bytes", "List has a bound of its own")

	for _, long := range []string{element(most + 1), strings.Repeat("[", most+1), `"` + strings.Repeat("x", 1<<20)} {
		clients, _ = newClients(t, opts, respond(http.StatusOK, "["+element(most)+","+long))
		list, err := clients.List(t.Context())
		require.ErrorContains(t, err, "client 1: ")
		require.ErrorContains(t, err, "longer than 1000 bytes")
		assert.Len(t, list, 1)
	}
}

// White space between clients is limited like a client; otherwise All might read it for ever.
func TestWhiteSpaceLimit(t *testing.T) {
	const most = 1000
	spaces := strings.Repeat(" \n\t\r", most/4)
	opts := &oauthclients.SailPointOptions{MaxElement: most}
	client := "{}"
	clients, _ := newClients(t, opts, respond(http.StatusOK, strings.Join([]string{"", "[", client, ",", client, "]", ""}, spaces)))
	list, err := clients.List(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, 2)

	for _, list := range []string{"%[", "[%]", "[{}%,{}]", "[{},%{}]", "[{}%]", "[{}]%"} {
		clients, _ := newClients(t, opts, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			before, _, _ := strings.Cut(list, "%")
			_, _ = io.WriteString(w, before)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, spaces)
			}
		})
		var last error
		for _, err := range clients.All(t.Context()) {
			last = err
		}
		require.ErrorContains(t, last, "more than 1000 bytes of white space in a row", list)
	}
}

func TestAllIsANewRequestEachTime(t *testing.T) {
	clients, v := newClients(t, nil, respond(http.StatusOK, listOf(2)))
	all := clients.All(t.Context())
	assert.Empty(t, v.sent())
	for range 3 {
		n := 0
		for _, err := range all {
			require.NoError(t, err)
			n++
		}
		assert.Equal(t, 2, n)
	}
	assert.Len(t, v.sent(), 3)
}

// endless returns a handler that sends clients until the caller goes away.
func endless(left chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, err := io.WriteString(w, "[")
		for err == nil && r.Context().Err() == nil {
			_, err = io.WriteString(w, `{"name":"x"},`)
		}
		close(left)
	}
}

// A bubble ends only after all its goroutines, so this also tests that nothing is left running.
func TestLeavingTheLoopClosesTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := make(chan struct{})
		clients, _ := newClients(t, nil, endless(left))
		n := 0
		for _, err := range clients.All(t.Context()) {
			require.NoError(t, err)
			if n++; n == 1000 {
				break
			}
		}
		<-left
	})
}

func TestAllDecodesAsItArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		more := make(chan string)
		clients, _ := newClients(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for part := range more {
				_, _ = io.WriteString(w, part)
			}
		})
		go func() { more <- `[{"name":"0"}` }()
		n := 0
		for _, err := range clients.All(t.Context()) {
			require.NoError(t, err)
			n++
			go func() {
				if n == 3 {
					more <- "]"
					close(more)
					return
				}
				more <- fmt.Sprintf(`,{"name":"%d"}`, n)
			}()
		}
		assert.Equal(t, 3, n)
	})
}

func TestAllHasAnIdleLimitAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle = 20 * time.Second
		clients, _ := newClients(t, &oauthclients.SailPointOptions{IdleTimeout: idle, Timeout: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "[")
			for range 100 {
				select {
				case <-time.After(idle - time.Second):
					_, _ = io.WriteString(w, `{"name":"x"},`)
				case <-r.Context().Done():
					panic(http.ErrAbortHandler)
				}
			}
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		})
		start, n := time.Now(), 0
		var last error
		for _, err := range clients.All(t.Context()) {
			if last = err; err == nil {
				n++
				<-time.After(time.Hour) // the loop may take any time
			}
		}
		assert.Equal(t, 100, n)
		require.ErrorIs(t, last, context.DeadlineExceeded)
		require.ErrorContains(t, last, "client 100: ")
		assert.Greater(t, time.Since(start), 100*time.Hour)

		start = time.Now()
		_, err := clients.List(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start), "Timeout limits List as a whole")
	})
}

func TestAllLeavesWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		left := make(chan struct{})
		clients, _ := newClients(t, nil, endless(left))
		var last error
		for _, err := range clients.All(ctx) {
			cancel()
			last = err
		}
		require.ErrorIs(t, last, context.Canceled)
		<-left
	})
}

func TestExactly250IsLogged(t *testing.T) {
	for n, want := range map[int]int{249: 0, 250: 2, 251: 0} {
		var log bytes.Buffer
		clients, _ := newClients(t, &oauthclients.SailPointOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}, respond(http.StatusOK, listOf(n)))
		list, err := clients.List(t.Context())
		require.NoError(t, err)
		assert.Len(t, list, n)
		for _, err := range clients.All(t.Context()) {
			require.NoError(t, err)
		}
		assert.Equal(t, want, strings.Count(log.String(), "may be cut"), n)
	}
	clients, _ := newClients(t, nil, respond(http.StatusOK, listOf(250)))
	_, err := clients.List(t.Context())
	require.NoError(t, err, "without a Logger")
}

func TestFiltersAreNotInErrors(t *testing.T) {
	clients, _ := newClients(t, nil, respond(http.StatusOK, `[1]`))
	_, err := clients.List(t.Context(), oauthclients.RawFilter(`name eq "private"`))
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "private")
	assert.NotContains(t, err.Error(), url.QueryEscape("name eq"))
}
