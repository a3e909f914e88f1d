package tokens

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// quick is a Retry with almost no waits.
var quick = Retry{Initial: 1}

// tlsServer serves over TLS on loopback, and does not log failed handshakes.
func tlsServer(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// listen accepts connections on loopback and passes each to serve.
func listen(t *testing.T, serve func(net.Conn)) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		_ = l.Close()
		cancel()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = conn.Close() }()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				serve(conn)
			})
		}
	})
	return l.Addr()
}

// listenHTTP is listen for a server that writes what respond returns, or closes the connection if that is empty.
func listenHTTP(t *testing.T, respond func(*http.Request) string) net.Addr {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		r := bufio.NewReader(conn)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			response := respond(req)
			_, _ = io.Copy(io.Discard, req.Body)
			if response == "" {
				return
			}
			_, _ = io.WriteString(conn, response)
		}
	})
}

// refreshAt exchanges a refresh token over real connections.
func refreshAt(t *testing.T, baseURL string, transport http.RoundTripper, timeout time.Duration) error {
	t.Helper()
	e, err := NewMoov(testCredentials, &MoovOptions{
		BaseURL: baseURL, HTTPClient: &http.Client{Transport: transport}, Retry: quick, Timeout: timeout,
	})
	require.NoError(t, err)
	_, err = e.Exchange(t.Context(), Grant{RefreshToken: "the-refresh-token"})
	return err
}

// Without a connection nothing was sent, whatever the failure: a refresh may be retried, and its token is still valid.
func TestAttemptNotSent(t *testing.T) {
	var served atomic.Int32
	server := tlsServer(t, func(http.ResponseWriter, *http.Request) { served.Add(1) })
	trusting := func() *http.Transport { return server.Client().Transport.(*http.Transport).Clone() }
	proxiedBy := func(addr string) *http.Transport {
		transport := trusting()
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: addr})
		return transport
	}
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = l.Close() }()
		return l.Addr().String()
	}
	tests := []struct {
		name     string
		baseURL  string
		base     func() http.RoundTripper
		timeout  time.Duration
		attempts int32
		want     string
	}{
		{"refused", "https://" + free(), func() http.RoundTripper { return trusting() }, 0, 3, "dial tcp"},
		{"an untrusted certificate", server.URL, func() http.RoundTripper { return &http.Transport{} }, 0, 3, "certificate"},
		{"a proxy that refuses", server.URL, func() http.RoundTripper {
			return proxiedBy(listen(t, func(conn net.Conn) {
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\n\r\n")
			}).String())
		}, 0, 3, "Forbidden"},
		{"a proxy that is away", server.URL, func() http.RoundTripper { return proxiedBy(free()) }, 0, 3, "proxyconnect"},
		{"a proxy that has no address", server.URL, func() http.RoundTripper {
			transport := trusting()
			transport.Proxy = func(*http.Request) (*url.URL, error) { return nil, errors.New("no proxy is set") }
			return transport
		}, 0, 0, "no proxy is set"},
		{"a handshake that takes too long", "https://" + listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }).String(), func() http.RoundTripper {
			transport := trusting()
			transport.TLSHandshakeTimeout = 20 * time.Millisecond
			return transport
		}, 0, 3, "TLS handshake timeout"},
		{"a handshake that is cut", "https://" + listen(t, func(net.Conn) {}).String(), func() http.RoundTripper { return trusting() }, 0, 3, ""},
		{"a dial that hangs", server.URL, func() http.RoundTripper {
			transport := trusting()
			end := t.Context().Done() // in net/http a dial may outlast its request
			transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
				<-end
				return nil, context.Canceled
			}
			return transport
		}, 50 * time.Millisecond, 1, "deadline exceeded"},
		{"a name that is unknown", "https://unknown.example.com", func() http.RoundTripper {
			transport := trusting()
			transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.DNSError{Err: "no such host", Name: "unknown.example.com", IsNotFound: true}
			}
			return transport
		}, 0, 3, "no such host"},
		{"a base around net/http's", server.URL, func() http.RoundTripper {
			transport := &http.Transport{}
			return roundTripFunc(func(req *http.Request) (*http.Response, error) { return transport.RoundTrip(req) })
		}, 0, 3, "certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var dials atomic.Int32
			base := tt.base()
			if transport, ok := base.(*http.Transport); ok {
				dial := transport.DialContext
				if dial == nil {
					dial = (&net.Dialer{}).DialContext
				}
				transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
					dials.Add(1)
					return dial(ctx, network, addr)
				}
			}
			err := refreshAt(t, tt.baseURL, base, tt.timeout)
			require.ErrorContains(t, err, tt.want)
			assert.NotContains(t, err.Error(), "may have acted")
			e, ok := errors.AsType[*Error](err)
			require.True(t, ok)
			assert.True(t, e.unsent)
			assert.Zero(t, e.StatusCode)
			if _, ok := base.(*http.Transport); ok {
				assert.Equal(t, tt.attempts, dials.Load(), "dials")
			}
			assert.Zero(t, served.Load())
		})
	}
}

// A refresh token that was sent without a response is presented only once.
func TestAttemptSent(t *testing.T) {
	for name, then := range map[string]func(net.Conn){
		"closed": func(net.Conn) {},
		"reset":  func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) },
		"hung":   func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) },
		"no HTTP": func(conn net.Conn) {
			_, _ = io.WriteString(conn, "SSH-2.0-server\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			addr := listen(t, func(conn net.Conn) {
				if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.Copy(io.Discard, req.Body)
					requests.Add(1)
					then(conn)
				}
			})
			err := refreshAt(t, "http://"+addr.String(), &http.Transport{}, 200*time.Millisecond)
			require.ErrorContains(t, err, "(the server may have acted on it)")
			e, ok := errors.AsType[*Error](err)
			require.True(t, ok)
			assert.False(t, e.unsent)
			assert.EqualValues(t, 1, requests.Load())
		})
	}
}

// A refresh that was refused, and whose retry got no connection, is not lost: the server did not act.
func TestAttemptNotSentAfterARefusal(t *testing.T) {
	for _, connects := range []bool{false, true} { // the first request reports its connection, as net/http does
		s := newScript(reply(503, "", ""), withoutResponse(errRefused))
		base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
			if connects && len(s.requests()) == 0 {
				trace := httptrace.ContextClientTrace(req.Context())
				trace.GotConn(httptrace.GotConnInfo{})
				trace.WroteHeaderField("", nil)
			}
			return s.client().Transport.RoundTrip(req)
		})
		e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: &http.Client{Transport: base}, Retry: quick})
		require.NoError(t, err)
		_, err = e.Exchange(t.Context(), Grant{RefreshToken: "rt"})
		failed, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		assert.True(t, failed.unsent)
		assert.Len(t, s.requests(), 3)
	}
}

// If a connection ends before anything is written, nothing was sent either. net/http makes the same distinction, but
// retries only requests with GetBody.
func TestAttemptOnAConnectionThatEndsBeforeTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		var servers []net.Conn
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			servers = append(servers, server)
			go func() {
				defer func() { _ = server.Close() }()
				req, err := http.ReadRequest(bufio.NewReader(server))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, req.Body)
				requests++
				_, _ = io.WriteString(server, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			}()
			return client, nil
		}}
		defer transport.CloseIdleConnections()
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
			if len(servers) == 1 {
				_ = servers[0].Close()
				synctest.Wait()
			}
		}})
		d, err := NewDoer(nil, &DoerOptions{BaseURL: "http://localhost", HTTPClient: &http.Client{Transport: transport}})
		require.NoError(t, err)
		resp, err := d.Do(newRequest(t, http.MethodPost, "http://localhost", "body").WithContext(ctx))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, 1, requests)
		assert.Len(t, servers, 2)
	})
}

// A tlsConn is a connection after its TLS handshake.
type tlsConn struct {
	net.Conn

	protocol string
}

func (c tlsConn) ConnectionState() tls.ConnectionState {
	return tls.ConnectionState{NegotiatedProtocol: c.protocol}
}

// Before net/http resends a request by itself, it gets another connection. An unsafe request is stopped then, but only
// if it was written over HTTP/2: over HTTP/1, net/http resends what it buffered but never sent.
func TestAttemptThatGetsAnotherConnection(t *testing.T) {
	for name, tt := range map[string]struct {
		conn  net.Conn
		wrote bool
		ends  bool
	}{
		"HTTP/2, written":          {tlsConn{protocol: "h2"}, true, true},
		"HTTP/2, not written":      {tlsConn{protocol: "h2"}, false, false},
		"HTTP/1 over TLS, written": {tlsConn{protocol: "http/1.1"}, true, false},
		"HTTP/1, written":          {&net.TCPConn{}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
				trace := httptrace.ContextClientTrace(req.Context())
				trace.GotConn(httptrace.GotConnInfo{Conn: tt.conn})
				if tt.wrote {
					trace.WroteHeaderField("", nil)
				}
				trace.GotConn(httptrace.GotConnInfo{Conn: tt.conn})
				if err := req.Context().Err(); err != nil {
					return nil, err
				}
				return reply(http.StatusNoContent, "", "")(req)
			})
			d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: &http.Client{Transport: base}, Retry: quick})
			require.NoError(t, err)
			resp, err := d.Do(newRequest(t, http.MethodPost, apiURL, ""))
			if tt.ends {
				require.ErrorContains(t, err, "the server may have acted on it")
				return
			}
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		})
	}
}

// A canceled request that had a connection may still be written.
func TestAttemptThatIsCanceledOnAConnection(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		httptrace.ContextClientTrace(req.Context()).GotConn(httptrace.GotConnInfo{})
		cancel()
		return nil, req.Context().Err()
	})
	d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: &http.Client{Transport: base}})
	require.NoError(t, err)
	_, err = d.Do(newRequest(t, http.MethodPost, apiURL, "body").WithContext(ctx))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "the server may have acted on it")
}

// A frame of HTTP/2 (RFC 9113, section 6).
type frame struct {
	kind    byte
	stream  uint32
	payload []byte
}

// resets returns a frame that resets the stream of a request. goesAway returns one with the last stream on which the
// server may act.
func resets(code uint32) func(stream uint32) frame {
	return func(stream uint32) frame { return frame{3, stream, binary.BigEndian.AppendUint32(nil, code)} }
}

func goesAway(last, code uint32) func(stream uint32) frame {
	return func(uint32) frame {
		return frame{7, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code)}
	}
}

// frames is an HTTP/2 server that counts requests, and sends a frame after each complete request. After a GOAWAY it
// closes the connection.
func frames(t *testing.T, requests *atomic.Int32, response func(stream uint32) frame) (*httptest.Server, string) {
	t.Helper()
	certificates := tlsServer(t, nil)
	addr := listen(t, func(raw net.Conn) {
		conn := tls.Server(raw, &tls.Config{Certificates: certificates.TLS.Certificates, NextProtos: []string{"h2"}})
		const (
			headers, data, settings, ping, goAway = 1, 0, 4, 6, 7
			endStream, ack                        = 1, 1
		)
		write := func(kind, flags byte, stream uint32, payload []byte) {
			frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
			frame = append(frame, flags)
			frame = binary.BigEndian.AppendUint32(frame, stream)
			_, _ = conn.Write(append(frame, payload...))
		}
		if _, err := io.ReadFull(conn, make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
			return
		}
		write(settings, 0, 0, nil)
		for {
			var head [9]byte
			if _, err := io.ReadFull(conn, head[:]); err != nil {
				return
			}
			payload := make([]byte, binary.BigEndian.Uint32(head[:4])>>8)
			if _, err := io.ReadFull(conn, payload); err != nil {
				return
			}
			kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
			switch {
			case kind == settings && flags&ack == 0:
				write(settings, ack, 0, nil)
			case kind == ping && flags&ack == 0:
				write(ping, ack, 0, payload)
			case (kind == headers || kind == data) && flags&endStream != 0:
				requests.Add(1)
				last := response(stream)
				write(last.kind, 0, last.stream, last.payload)
				if last.kind == goAway {
					return
				}
			}
		}
	})
	return certificates, "https://" + addr.String()
}

// net/http resends a request by itself if its HTTP/2 stream was refused, or reset with a protocol error, although the
// server may have acted. It must not resend an unsafe request.
func TestAttemptOverHTTP2IsNotRepeated(t *testing.T) {
	for name, code := range map[string]uint32{"PROTOCOL_ERROR": 1, "REFUSED_STREAM": 7, "INTERNAL_ERROR": 2} {
		var requests atomic.Int32
		certificates, address := frames(t, &requests, resets(code))
		client := certificates.Client()
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
		defer client.CloseIdleConnections()
		d, err := NewDoer(Static("the-token"), &DoerOptions{BaseURL: address, HTTPClient: client, Retry: quick, Timeout: 2 * time.Second, Header: http.Header{"Idempotency-Key": {"1"}}})
		require.NoError(t, err)
		for _, method := range []string{"POST", "PATCH", "PUT"} {
			for _, body := range []string{"", "body"} {
				t.Run(name+"/"+method+" "+body, func(t *testing.T) {
					before := requests.Load()
					_, err := d.Do(newRequest(t, method, address, body))
					require.ErrorContains(t, err, "(the server may have acted on it)")
					require.NotErrorIs(t, err, context.Canceled, "the caller has not canceled")
					assert.EqualValues(t, 1, requests.Load()-before)
				})
			}
		}
		t.Run(name+"/refresh_token", func(t *testing.T) {
			before := requests.Load()
			err := refreshAt(t, address, client.Transport, 2*time.Second)
			e, ok := errors.AsType[*Error](err)
			require.True(t, ok, err)
			assert.False(t, e.unsent)
			assert.EqualValues(t, 1, requests.Load()-before)
		})
		t.Run(name+"/client_credentials", func(t *testing.T) {
			before := requests.Load()
			e, err := NewMoov(testCredentials, &MoovOptions{BaseURL: address, HTTPClient: client, Retry: quick, Timeout: time.Second})
			require.NoError(t, err)
			_, err = e.Exchange(t.Context(), Grant{Scopes: []string{"a"}})
			require.Error(t, err)
			assert.Greater(t, requests.Load()-before, int32(1), "an idempotent request is retried")
		})
	}
}

// A server that goes away says up to which stream it may have acted: later requests were not sent.
func TestAttemptOverHTTP2ThatGoesAway(t *testing.T) {
	for name, tt := range map[string]struct {
		last, code uint32
		sent       bool
	}{
		"before it": {0, 0, false}, "before it, for an error": {0, 2, false}, "after it": {1, 0, true}, "after it, for an error": {1, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			certificates, address := frames(t, &requests, goesAway(tt.last, tt.code))
			client := certificates.Client()
			client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
			defer client.CloseIdleConnections()
			d, err := NewDoer(nil, &DoerOptions{BaseURL: address, HTTPClient: client, Retry: quick, Timeout: 2 * time.Second})
			require.NoError(t, err)
			_, err = d.Do(newRequest(t, http.MethodPost, address, "body"))
			require.Error(t, err)
			attempts := int32(3)
			if tt.sent {
				attempts = 1
			}
			assert.Equal(t, attempts, requests.Load())
			assert.Equal(t, tt.sent, strings.Contains(err.Error(), "the server may have acted on it"), "%v", err)

			requests.Store(0)
			e, ok := errors.AsType[*Error](refreshAt(t, address, client.Transport, 2*time.Second))
			require.True(t, ok)
			assert.Equal(t, !tt.sent, e.unsent)
			requested := time.Now()
			assert.Equal(t, map[bool]refreshOutcome{true: responseLost, false: notPresented}[tt.sent], refreshOutcomeOf(e, &requested))
		})
	}
}

// If the server closes the connection, net/http resends requests with an Idempotency-Key by itself.
func TestAttemptWithIdempotencyKeyIsNotRepeated(t *testing.T) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		for _, body := range []string{"", "body"} {
			var requests atomic.Int32
			var seen []string
			addr := listenHTTP(t, func(req *http.Request) string {
				if req.Method == http.MethodPost {
					seen = append(seen, req.Header.Get(name))
					requests.Add(1)
					return ""
				}
				return "HTTP/1.1 204 No Content\r\n\r\n"
			})
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			d, err := NewDoer(nil, &DoerOptions{BaseURL: "http://" + addr.String(), HTTPClient: &http.Client{Transport: transport}, Retry: quick})
			require.NoError(t, err)
			resp, err := d.Do(newRequest(t, http.MethodGet, "http://"+addr.String(), ""))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())

			req := newRequest(t, http.MethodPost, "http://"+addr.String(), body)
			req.Header.Set(name, "the-key")
			_, err = d.Do(req)
			require.ErrorContains(t, err, "(the server may have acted on it)")
			assert.EqualValues(t, 1, requests.Load())
			assert.Equal(t, []string{"the-key"}, seen)
			assert.Equal(t, "the-key", req.Header.Get(name), "the caller's request is unchanged")
		}
	}
}

func TestAttemptWithIdempotencyKeyKeepsItInTheRequest(t *testing.T) {
	req := newRequest(t, http.MethodPost, apiURL, "")
	req.Header.Set("Idempotency-Key", "the-key")
	resp, err := doerOver(t, newScript(reply(204, "", "")), nil).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, "the-key", resp.Request.Header.Get("Idempotency-Key"))
}

// That holds for a refresh too if the key is in the Header of the Endpoint.
func TestAttemptOfARefreshWithIdempotencyKeyIsNotRepeated(t *testing.T) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		var requests, refreshes atomic.Int32
		addr := listenHTTP(t, func(req *http.Request) string {
			requests.Add(1)
			assert.Equal(t, "the-key", req.Header.Get(name))
			if req.PostFormValue("grant_type") == "refresh_token" {
				refreshes.Add(1)
				return ""
			}
			return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
				strconv.Itoa(len(tokenReply)) + "\r\n\r\n" + tokenReply
		})
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		e, err := NewMoov(testCredentials, &MoovOptions{
			BaseURL: "http://" + addr.String(), HTTPClient: &http.Client{Transport: transport}, Retry: quick, Header: http.Header{name: {"the-key"}},
		})
		require.NoError(t, err)
		_, err = e.Exchange(t.Context(), Grant{Scopes: []string{"a"}})
		require.NoError(t, err)
		_, err = e.Exchange(t.Context(), Grant{RefreshToken: "rt"})
		require.ErrorContains(t, err, "(the server may have acted on it)")
		assert.EqualValues(t, 1, refreshes.Load())
		assert.EqualValues(t, 2, requests.Load())
	}
}

// Servers often close an idle connection while a token request is on its way.
func TestAttemptOnAConnectionThatTheServerCloses(t *testing.T) {
	var requests atomic.Int32
	addr := listenHTTP(t, func(*http.Request) string {
		if requests.Add(1) == 2 {
			return ""
		}
		return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(tokenReply)) + "\r\n\r\n" + tokenReply
	})
	e, err := NewMoov(testCredentials, &MoovOptions{BaseURL: "http://" + addr.String(), HTTPClient: &http.Client{Transport: &http.Transport{}}, Retry: quick})
	require.NoError(t, err)
	for range 2 {
		_, err = e.Exchange(t.Context(), Grant{Scopes: []string{"a"}})
		require.NoError(t, err)
	}
	assert.EqualValues(t, 3, requests.Load())
}

// After a 101, reading the body may block for ever.
func TestAttemptThatSwitchesProtocols(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, conn)
	}))
	defer server.Close()
	opts := &DoerOptions{BaseURL: server.URL}
	d, err := NewDoer(nil, opts)
	require.NoError(t, err)
	client, err := NewClient(nil, opts)
	require.NoError(t, err)
	get := func(upgrade bool) *http.Request {
		req := newRequest(t, http.MethodGet, server.URL, "")
		if upgrade {
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", "echo")
		}
		return req
	}
	for _, upgrade := range []bool{false, true} {
		_, err = d.Do(get(upgrade))
		require.ErrorIs(t, err, Status(101))
	}
	_, err = client.Do(get(false))
	require.ErrorIs(t, err, Status(101))
	require.ErrorContains(t, err, "the server switched protocols without an Upgrade request")
	require.ErrorIs(t, refreshAt(t, server.URL, http.DefaultTransport, 0), Status(101))

	resp, err := client.Do(get(true))
	require.NoError(t, err)
	assert.Equal(t, 101, resp.StatusCode)
	conn, ok := resp.Body.(io.ReadWriteCloser)
	require.True(t, ok)
	_, err = io.WriteString(conn, "hello")
	require.NoError(t, err)
	echo := make([]byte, 5)
	_, err = io.ReadFull(conn, echo)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(echo))
	require.NoError(t, conn.Close())
}

// A caller's transport that follows redirects sends credentials anywhere.
func TestAttemptByATransportThatFollowsRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", jsonType)
		_, _ = io.WriteString(w, tokenReply)
	}))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/there":
			w.Header().Set("Content-Type", jsonType)
			_, _ = io.WriteString(w, tokenReply)
		case "/stay":
			http.Redirect(w, r, "/there", http.StatusFound)
		default:
			http.Redirect(w, r, other.URL, http.StatusFound)
		}
	}))
	defer server.Close()
	following := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		return http.DefaultClient.Do(req.Clone(req.Context()))
	})
	left := "the transport of HTTPClient followed a redirect to " + other.URL + " by itself; use one that returns redirects"

	require.ErrorContains(t, refreshAt(t, server.URL, following, 0), left)
	d, err := NewDoer(Static("the-token"), &DoerOptions{BaseURL: server.URL, HTTPClient: &http.Client{Transport: following}})
	require.NoError(t, err)
	_, err = d.Do(newRequest(t, http.MethodGet, server.URL+"/leave", ""))
	require.ErrorContains(t, err, left)
	_, err = d.Do(newRequest(t, http.MethodDelete, server.URL+"/stay", ""))
	require.ErrorContains(t, err, "the transport of HTTPClient turned a DELETE into a GET; use one that returns redirects")
	resp, err := d.Do(newRequest(t, http.MethodGet, server.URL+"/stay", ""))
	require.NoError(t, err, "the Doer would follow a GET on the same origin too")
	require.NoError(t, resp.Body.Close())

	transport, err := NewTransport(Static("the-token"), server.URL, following)
	require.NoError(t, err)
	_, err = transport.RoundTrip(newRequest(t, http.MethodGet, server.URL+"/leave", ""))
	require.ErrorContains(t, err, left)
}

// An idempotent request counts as sent as soon as there was a connection; its failure then counts as a broken
// connection.
func TestAttemptOfAnIdempotentRequestThatBroke(t *testing.T) {
	for _, tt := range []struct {
		statuses []int
		want     int
	}{{nil, 3}, {[]int{}, 1}, {[]int{503}, 1}, {[]int{0}, 3}} {
		requests := 0
		base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
			requests++
			trace := httptrace.ContextClientTrace(req.Context())
			trace.GetConn("")
			trace.GotConn(httptrace.GotConnInfo{})
			return nil, io.EOF
		})
		retry := quick
		retry.Statuses = tt.statuses
		d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: &http.Client{Transport: base}, Retry: retry})
		require.NoError(t, err)
		_, err = d.Do(newRequest(t, http.MethodGet, apiURL, ""))
		require.Error(t, err)
		assert.Equal(t, tt.want, requests, "%v", tt.statuses)
	}
}

// The body of a refused response is closed; that of a 101 is the connection.
func TestAttemptClosesWhatItRefuses(t *testing.T) {
	elsewhere, err := http.NewRequest(http.MethodGet, "https://elsewhere.example.com", http.NoBody)
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		response http.Response
		method   string
		upgrade  string
		want     string
	}{
		"a 101":                {http.Response{StatusCode: http.StatusSwitchingProtocols}, "GET", "", "the server switched protocols without an Upgrade request"},
		"a 101 for a Doer":     {http.Response{StatusCode: http.StatusSwitchingProtocols}, "GET", "echo", "a Doer cannot switch protocols; use NewClient"},
		"from another origin":  {http.Response{StatusCode: http.StatusOK, Request: elsewhere}, "GET", "", "followed a redirect to https://elsewhere.example.com"},
		"to another request":   {http.Response{StatusCode: http.StatusOK, Request: newRequest(t, "GET", apiURL, "")}, "DELETE", "", "turned a DELETE into a GET"},
		"without a method":     {http.Response{StatusCode: http.StatusOK, Request: &http.Request{URL: newRequest(t, "GET", apiURL, "").URL}}, "DELETE", "", "turned a DELETE into a GET;"},
		"of a wrong type":      {http.Response{StatusCode: http.StatusOK, ContentLength: -1, Header: http.Header{"Content-Type": {"text/html"}}}, "GET", "", "text/html"},
		"with an error status": {http.Response{StatusCode: http.StatusNotFound}, "GET", "", "404"},
	} {
		t.Run(name, func(t *testing.T) {
			body := &countedBody{Reader: strings.NewReader("x")}
			resp := tt.response
			resp.Body = body
			base := roundTripFunc(func(*http.Request) (*http.Response, error) { return &resp, nil })
			d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, HTTPClient: &http.Client{Transport: base}, Retry: onlyOnce})
			require.NoError(t, err)
			req := newRequest(t, tt.method, apiURL, "")
			if tt.upgrade != "" {
				req.Header.Set("Upgrade", tt.upgrade)
			}
			_, err = d.Do(req)
			require.ErrorContains(t, err, tt.want)
			assert.Equal(t, 1, body.closed())
		})
	}
}

// A transport may send a copy of the request, as tracing ones do, and return the copy in the response. The secrets of
// the request are still not in any error.
func TestAttemptByATransportThatCopiesRequests(t *testing.T) {
	copying := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		said, err := io.ReadAll(req.Body)
		require.NoError(t, err)
		sent := req.Clone(req.Context())
		resp, err := reply(400, jsonType, `{"error":"invalid_request","error_description":"`+string(said)+`"}`)(sent)
		resp.Request = sent
		return resp, err
	})
	err := refreshAt(t, apiURL, copying, 0)
	require.ErrorIs(t, err, InvalidRequest)
	require.ErrorContains(t, err, "refresh_token=[REDACTED]")
	assert.NotContains(t, err.Error(), "the-refresh-token")

	for from, to := range map[string]string{"": http.MethodGet, http.MethodGet: ""} { // they are the same
		d, err := NewDoer(nil, &DoerOptions{BaseURL: apiURL, Retry: onlyOnce, HTTPClient: &http.Client{
			Transport: roundTripFunc(func(req *http.Request) (*http.Response, error) {
				sent := req.Clone(req.Context())
				sent.Method = to
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: sent}, nil
			}),
		}})
		require.NoError(t, err)
		req := newRequest(t, http.MethodGet, apiURL, "")
		req.Method = from
		resp, err := d.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
}

// A transport that breaks the rules of a RoundTripper causes no panic.
func TestAttemptByAWrongTransport(t *testing.T) {
	nothing := roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, nil }) //nolint:nilnil // a broken transport
	noBody := func(status int) http.RoundTripper {
		return roundTripFunc(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: status}, nil })
	}
	closed := &countedBody{Reader: strings.NewReader("")}
	both := roundTripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: closed}, errors.New("both")
	})
	get := func(base http.RoundTripper) (*http.Response, error) {
		d, err := NewDoer(tokensNamed("one", "two"), &DoerOptions{BaseURL: apiURL, HTTPClient: &http.Client{Transport: base}, Retry: quick})
		require.NoError(t, err)
		return d.Do(newRequest(t, http.MethodGet, apiURL, ""))
	}
	_, err := get(nothing)
	require.ErrorContains(t, err, "the transport tokens.roundTripFunc returned neither a response nor an error")
	_, err = get(both)
	require.ErrorContains(t, err, "both")
	assert.Equal(t, 1, closed.closed())
	_, err = get(roundTripFunc(func(*http.Request) (*http.Response, error) { return &http.Response{}, errors.New("both, no body") }))
	require.ErrorContains(t, err, "both, no body")
	noURL := roundTripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusNoContent, Request: new(http.Request)}, nil
	})
	resp, err := get(noURL)
	require.NoError(t, err)
	assert.Equal(t, apiURL, resp.Request.URL.String())
	assert.NotNil(t, resp.Header)
	require.NoError(t, resp.Body.Close())
	for _, status := range []int{200, 401, 404, 503} {
		resp, err := get(noBody(status))
		if status != 200 {
			require.ErrorIs(t, err, Status(status))
			continue
		}
		require.NoError(t, err)
		data, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Empty(t, data)
		require.NoError(t, resp.Body.Close())
	}

	for _, base := range []http.RoundTripper{nothing, noBody(401), both} {
		transport, err := NewTransport(tokensNamed("one", "two"), apiURL, base)
		require.NoError(t, err)
		resp, err := transport.RoundTrip(newRequest(t, http.MethodGet, apiURL, ""))
		if err == nil {
			assert.NotNil(t, resp.Body)
		}
	}
}

// A response whose body never arrives does not delay the retry.
func TestAttemptWithAStalledBody(t *testing.T) {
	for _, status := range []int{401, 503} {
		var requests atomic.Int32
		gone := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if requests.Add(1) > 1 {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(status)
			_ = http.NewResponseController(w).Flush()
			<-gone
		}))
		defer server.Close()
		defer close(gone)

		began := time.Now()
		d, err := NewDoer(tokensNamed("one", "two"), &DoerOptions{BaseURL: server.URL, Retry: quick})
		require.NoError(t, err)
		resp, err := d.Do(newRequest(t, http.MethodGet, server.URL, ""))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())

		if status == 401 {
			requests.Store(0)
			transport, err := NewTransport(tokensNamed("one", "two"), server.URL, nil)
			require.NoError(t, err)
			resp, err := (&http.Client{Transport: transport}).Do(newRequest(t, http.MethodGet, server.URL, ""))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, 204, resp.StatusCode)
		}
		assert.Less(t, time.Since(began), 10*time.Second)
	}
}

// Of a body too long to be worth its connection, nothing is read.
func TestAttemptLeavesALongBody(t *testing.T) {
	for length, want := range map[int64]string{64 << 10: "", 64<<10 + 1: "unread"} {
		body := strings.NewReader("unread")
		e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: &http.Client{
			Transport: roundTripFunc(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body), ContentLength: length}, nil
			}),
		}})
		require.NoError(t, err)
		require.NoError(t, e.Revoke(t.Context(), "the-token", HintNone))
		left, err := io.ReadAll(body)
		require.NoError(t, err)
		assert.Equal(t, want, string(left))
	}
}

// A single attempt is canceled when its timeout and the time for a late response are over.
func TestAttemptThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(after(time.Hour, reply(200, jsonType, tokenReply)))
		e, err := NewMoov(testCredentials, &MoovOptions{HTTPClient: s.client(), Timeout: 5 * time.Second})
		require.NoError(t, err)
		began := time.Now()
		set := settings{attempt: &oneAttempt{grace: 2 * time.Second}}
		_, err = e.exchangeWith(t.Context(), Grant{RefreshToken: "rt"}, set, new(time.Time))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 7*time.Second, time.Since(began))
	})
}

// A retry uses the connection of the response before.
func TestAttemptsShareAConnection(t *testing.T) {
	for _, status := range []int{401, 503} {
		var requests, conns atomic.Int32
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if requests.Add(1) == 1 {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, strings.Repeat("x", 10<<10))
			}
		}))
		server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				conns.Add(1)
			}
		}
		server.Start()
		defer server.Close()
		d, err := NewDoer(tokensNamed("one", "two"), &DoerOptions{BaseURL: server.URL, HTTPClient: &http.Client{Transport: &http.Transport{}}, Retry: Retry{Initial: 100 * time.Millisecond}})
		require.NoError(t, err)
		resp, err := d.Do(newRequest(t, http.MethodGet, server.URL, ""))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.EqualValues(t, 2, requests.Load())
		assert.EqualValues(t, 1, conns.Load())
	}
}

// panickingBody is the body of a response from a transport with a fault of its own.
type panickingBody struct{}

func (panickingBody) Read([]byte) (int, error) { panic("oops") }

// A body that is read in the background to be thrown away may panic without ending the process.
func TestAttemptWithABodyThatPanics(t *testing.T) {
	for _, status := range []int{401, 429, 503} {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(func(req *http.Request) (*http.Response, error) {
				resp, err := reply(status, "", "", "Retry-After", "1")(req)
				resp.Body, resp.ContentLength = io.NopCloser(panickingBody{}), 10
				return resp, err
			}, reply(204, "", ""))
			d, err := NewDoer(tokensNamed("one", "two"), &DoerOptions{BaseURL: apiURL, HTTPClient: s.client()})
			require.NoError(t, err)
			resp, err := d.Do(newRequest(t, http.MethodGet, apiURL, ""))
			require.NoError(t, err, status)
			require.NoError(t, resp.Body.Close())
		})
	}
}
