//go:build unix

package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/internal/servers"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/pgstore"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// A worker is a process with a Cache.
type worker struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

func start(t *testing.T, s settings) *worker {
	t.Helper()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), settingsVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &worker{t, cmd, in, json.NewDecoder(bufio.NewReader(out))}
}

func startMany(t *testing.T, n int, s settings) []*worker {
	t.Helper()
	workers := make([]*worker, n)
	for i := range workers {
		workers[i] = start(t, s)
	}
	for _, o := range all(workers, "ready") {
		require.Empty(t, o.Errors)
	}
	return workers
}

// say sends a command, and hear waits for its outcome.
func (w *worker) say(command string) {
	w.t.Helper()
	_, err := io.WriteString(w.in, command+"\n")
	require.NoError(w.t, err)
}

func (w *worker) hear() outcome {
	w.t.Helper()
	var o outcome
	require.NoError(w.t, w.out.Decode(&o))
	return o
}

func (w *worker) do(command string) outcome {
	w.t.Helper()
	w.say(command)
	return w.hear()
}

// token returns the token that all callers got.
func (w *worker) token(callers int) string {
	w.t.Helper()
	o := w.do("token " + strconv.Itoa(callers))
	require.Empty(w.t, o.Errors)
	require.Len(w.t, o.Tokens, 1)
	return o.Tokens[0]
}

// all runs a command in all workers at once.
func all(workers []*worker, command string) []outcome {
	for _, w := range workers {
		w.say(command)
	}
	outcomes := make([]outcome, len(workers))
	for i, w := range workers {
		outcomes[i] = w.hear()
	}
	return outcomes
}

func (w *worker) signal(s syscall.Signal) {
	w.t.Helper()
	require.NoError(w.t, w.cmd.Process.Signal(s))
}

// A server is the sandbox's Moov, which ends a session if a refresh token is presented twice. It counts requests, and
// can hold them.
type server struct {
	*sandbox.Moov

	URL string

	mu        sync.Mutex
	requests  int            // number of requests to the token endpoint
	presented map[string]int // how often each refresh token was presented
	before    chan struct{}  // if not nil, requests wait for it before the server acts
	after     chan struct{}  // if not nil, responses wait for it after the server acted
	arrived   chan struct{}  // receives an element for each request that waits
}

func serve(t *testing.T, life time.Duration) *server {
	t.Helper()
	s := &server{
		Moov:      sandbox.NewMoov(&sandbox.MoovOptions{TokenLife: life, ExpiresInSeconds: true, RateLimit: sandbox.Limit{Requests: -1}}),
		presented: make(map[string]int), arrived: make(chan struct{}, 100),
	}
	listening := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.release()
		listening.Close()
	})
	s.URL = listening.URL
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/oauth2/token" {
		s.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	s.mu.Lock()
	s.requests++
	if form, err := url.ParseQuery(string(body)); err == nil && form.Get("refresh_token") != "" {
		s.presented[form.Get("refresh_token")]++
	}
	before, after := s.before, s.after
	s.mu.Unlock()
	if before != nil {
		s.arrived <- struct{}{}
		<-before
	}
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, r)
	if after != nil {
		s.arrived <- struct{}{}
		<-after
	}
	maps.Copy(w.Header(), recorder.Header())
	w.WriteHeader(recorder.Code)
	_, _ = w.Write(recorder.Body.Bytes())
}

func (s *server) holdBefore() { s.mu.Lock(); defer s.mu.Unlock(); s.before = make(chan struct{}) }
func (s *server) holdAfter()  { s.mu.Lock(); defer s.mu.Unlock(); s.after = make(chan struct{}) }

// release releases everything that waits, and turns holding off.
func (s *server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range []chan struct{}{s.before, s.after} {
		if c != nil {
			close(c)
		}
	}
	s.before, s.after = nil, nil
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// login returns the refresh token with which a user's login begins.
func (s *server) login() *tokens.Token {
	return &tokens.Token{RefreshToken: s.Issue(sandbox.Token{}).RefreshToken}
}

// mostPresented returns the highest number of times that any refresh token was presented.
func (s *server) mostPresented() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := 0
	for _, n := range s.presented {
		most = max(most, n)
	}
	return most
}

// postgres creates the table in a database, and returns its connection string.
func postgres(t *testing.T, s *servers.Server) string {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), s.PostgresURL())
	require.NoError(t, err)
	defer pool.Close()
	store, err := pgstore.New(pool, nil)
	require.NoError(t, err)
	require.NoError(t, store.CreateTable(t.Context()))
	return s.PostgresURL()
}

// distinct returns the different tokens of outcomes without an error.
func distinct(t *testing.T, outcomes []outcome) []string {
	t.Helper()
	var seen []string
	for _, o := range outcomes {
		require.Empty(t, o.Errors)
		for _, token := range o.Tokens {
			if !slices.Contains(seen, token) {
				seen = append(seen, token)
			}
		}
	}
	return seen
}

// wait sleeps in real time, because processes do not share a synctest bubble.
func wait(d time.Duration) { <-time.After(d) }
