package faults

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A server reads requests from raw connections, and responds according to a fault.
type server struct {
	url  string
	addr string
	done <-chan struct{} // closed at the end of the test

	mu       sync.Mutex
	accepted int
	requests []string // the bodies of complete requests
}

// An exchange is a complete request and its connection.
type exchange struct {
	net.Conn

	server  *server
	request *http.Request
	body    string
	number  int    // counts the requests, from 1
	good    string // the response of a good server
}

// serve serves connections with a function, each in its own goroutine, until the test ends. If config is not nil, the
// server uses TLS.
func serve(t *testing.T, config *tls.Config, connection func(*server, net.Conn)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	s := &server{addr: l.Addr().String(), url: "http://" + l.Addr().String(), done: done}
	if config != nil {
		s.url = "https://" + s.addr
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.accepted++
			s.mu.Unlock()
			mu.Lock()
			open[c] = true
			mu.Unlock()
			running.Go(func() {
				defer func() {
					_ = c.Close()
					mu.Lock()
					delete(open, c)
					mu.Unlock()
				}()
				if config != nil {
					connection(s, tls.Server(c, config))
					return
				}
				connection(s, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		close(done)
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return s
}

// requestsBy returns a connection handler that reads requests one after another until respond returns false.
func requestsBy(good string, respond func(*exchange) bool) func(*server, net.Conn) {
	return func(s *server, c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.requests = append(s.requests, string(body))
			n := len(s.requests)
			s.mu.Unlock()
			if !respond(&exchange{Conn: c, server: s, request: req, body: string(body), number: n, good: good}) {
				if t, ok := c.(*tls.Conn); ok {
					_ = t.CloseWrite()
				}
				return
			}
		}
	}
}

// counts returns the number of connections accepted and of complete requests.
func (s *server) counts() (connections, requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted, len(s.requests)
}

// send writes a text to the connection.
func (x *exchange) send(text string) { _, _ = io.WriteString(x, text) }

// reset closes a connection with a TCP reset.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// response returns a complete response in wire format. Each line of header ends in \r\n.
func response(status int, header, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\n%sConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), header, len(body), body)
}

// inJSON is the header of a JSON response.
const inJSON = "Content-Type: application/json\r\n"
