package tokens

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pipeTo returns a dial function whose connections are served by serve.
func pipeTo(serve func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer func() { _ = server.Close() }()
			serve(server)
		}()
		return client, nil
	}
}

// A refresh that got no connection loses nothing, whatever the reason: it is an ordinary failure, and the refresh token
// is presented again after the backoff. A refresh that was sent counts as lost.
func TestCacheRefreshThatWasNotSent(t *testing.T) {
	for _, tt := range []struct {
		name      string
		transport *http.Transport
		lost      bool
	}{
		{"a refused connection", &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
		}}, false},
		{"a dialer's own error", &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no route")
		}}, false},
		{"a dial that hangs", &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}, false},
		{"a TLS handshake that hangs", &http.Transport{
			TLSHandshakeTimeout: 10 * time.Second,
			DialContext:         pipeTo(func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }),
		}, false},
		{"a TLS handshake that is cut", &http.Transport{DialContext: pipeTo(func(net.Conn) {})}, false},
		{"no TLS", &http.Transport{DialContext: pipeTo(func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n") })}, false},
		{"a proxy that refuses", &http.Transport{
			Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example.com"}),
			DialContext: pipeTo(func(conn net.Conn) {
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
			}),
		}, false},
		{"a connection that is cut after the request", &http.Transport{DialTLSContext: pipeTo(func(conn net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
		})}, true},
		{"a response that is cut", &http.Transport{DialTLSContext: pipeTo(func(conn net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
		})}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
				defer tt.transport.CloseIdleConnections()
				s := &tokenServer{}
				var base http.RoundTripper = tt.transport
				e, err := NewMoov(testCredentials, &MoovOptions{
					HTTPClient: &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) { return base.RoundTrip(req) })},
					Retry:      onlyOnce,
				})
				require.NoError(t, err)
				c := newCache(t, e, &CacheOptions{Session: "a", Initial: &Token{RefreshToken: "rt-0"}})
				for range 5 {
					_, err = c.Token(t.Context())
					require.ErrorIs(t, err, ErrNoToken)
					require.NotErrorIs(t, err, ErrLoginRequired)
					pass(2 * time.Minute)
				}
				require.EqualValues(t, 5, c.Stats().Failures)
				_, err = c.Token(t.Context())
				require.Error(t, err)
				base = s
				pass(maxBackOff)
				token, err := c.Token(t.Context())
				if tt.lost {
					require.Error(t, err)
					pass(lostWait - maxBackOff)
					token, err = c.Token(t.Context())
				}
				require.NoError(t, err)
				require.Equal(t, "at-1", token.AccessToken)
			})
		})
	}
}
