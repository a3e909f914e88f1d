package sandbox

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Server serves a handler over HTTP on the loopback interface.
type Server struct {
	URL string // base URL, without a trailing slash

	http *http.Server
	done chan struct{}
}

// Listen serves h on a free port of 127.0.0.1 until Close.
func Listen(h http.Handler) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL:  "http://" + l.Addr().String(),
		http: &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(l)
	}()
	return s, nil
}

// Close stops listening and closes all connections. It does nothing if the Server is nil or zero.
func (s *Server) Close() error {
	if s == nil || s.http == nil {
		return nil
	}
	err := s.http.Close()
	<-s.done
	return err
}
