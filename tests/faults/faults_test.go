package faults

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A fault is something that goes wrong, with the behavior that package tokens guarantees.
type fault struct {
	name string

	// What goes wrong. At most one of these is set, except client and tls.
	accept  func(s *server, c net.Conn) // is called with a connection, before anything is read
	respond func(x *exchange)           // is called with a request; then the connection is closed
	client  func(c *caller, s *server)  // changes the caller
	tls     func() *tls.Config          // returns the server's configuration
	timeout time.Duration               // the call's timeout, if the fault lasts longer
	maxWait time.Duration               // the Limiter's, if the rate limit lasts longer

	// What the call returns.
	fails  string                                      // the readers for which the call fails
	status int                                         // the status of the error; 0 if there was no response
	unsent bool                                        // no request was sent
	slow   bool                                        // the error is a timeout
	is     func(err error) bool                        // another check of the error; may be nil
	check  func(t *testing.T, op operation, err error) // a further check of the error; may be nil
	keeps  string                                      // the readers that return the secret of the response, even if they fail

	// The number of requests that the server receives. If nil, it follows from the status; see class.requests.
	requests func(op operation) (least, most int)
}

// Groups of readers, for the fields fails and keeps of a fault.
const (
	all     = "token json list secret none raw"
	checks  = "token json list secret none" // readers that check the status
	parsers = "token json list secret"      // readers that parse the body
	whole   = "token json list secret raw"  // readers that need the whole body
	// mangled are the readers that fail if the body is not JSON but has its secrets. A refresh token is not lost in that
	// case.
	mangled = "client_credentials json list secret"
)

// hang is the timeout of a call to a server that does not respond. It must be long enough for a busy machine to get
// that far.
const hang = 10 * time.Second

func has(readers, reader string) bool { return strings.Contains(" "+readers+" ", " "+reader+" ") }

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func says(text string) func(error) bool {
	return func(err error) bool { return strings.Contains(err.Error(), text) }
}

func once(operation) (least, most int) { return 1, 1 }

func bySafety(ifSafe, otherwise int) func(operation) (least, most int) {
	return func(op operation) (int, int) {
		if op.class == safe {
			return ifSafe, ifSafe
		}
		return otherwise, otherwise
	}
}

// raw returns a fault that responds with a text and closes the connection.
func raw(text string) func(*exchange) { return func(x *exchange) { x.send(text) } }

// status returns a fault that responds with a status, headers and a body.
func status(code int, header, body string) func(*exchange) { return raw(response(code, header, body)) }

// first returns a fault that affects only the first request.
func first(respond func(*exchange)) func(*exchange) {
	return func(x *exchange) {
		if x.number == 1 {
			respond(x)
			return
		}
		x.send(response(http.StatusOK, inJSON, x.good))
	}
}

// forever sends a beginning, and then a text again and again until the caller stops reading.
func forever(beginning, text string) func(*exchange) {
	return func(x *exchange) {
		x.send(beginning)
		chunk := []byte(strings.Repeat(text, 1+(64<<10)/len(text)))
		for {
			if _, err := x.Write(chunk); err != nil {
				return
			}
		}
	}
}

// silent sends the beginning of a response, and then nothing until the caller closes the connection.
func silent(beginning func(good string) string) func(*exchange) {
	return func(x *exchange) {
		x.send(beginning(x.good))
		_, _ = io.Copy(io.Discard, x)
	}
}

// inHead returns the header of a 200 without a length, with additional lines.
func inHead(header string) string { return "HTTP/1.1 200 OK\r\n" + inJSON + header + "\r\n" }

// bomb is 100 MB of spaces, compressed: a hundred gzip members of 1 MB.
var bomb = sync.OnceValue(func() string {
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	_, _ = w.Write(bytes.Repeat([]byte{' '}, 1<<20))
	_ = w.Close()
	return strings.Repeat(member.String(), 100)
})

// body returns a fault that responds with 200 and a body.
func body(text string) func(*exchange) { return status(http.StatusOK, inJSON, text) }

// edited returns a fault that responds with a modified good body.
func edited(edit func(good string) string) func(*exchange) {
	return func(x *exchange) { x.send(response(http.StatusOK, inJSON, edit(x.good))) }
}

// echo echoes the request in all the places from which error messages are taken.
func echo(x *exchange) {
	said, _ := url.QueryUnescape(x.body)
	message, _ := json.Marshal(fmt.Sprint(x.body, " ", said, " ", x.request.Header))
	x.send(response(http.StatusBadRequest, inJSON, fmt.Sprintf(`{"error":%[1]s,"error_description":%[1]s,"messages":[{"text":%[1]s}]}`, message)))
}

var faults = []fault{
	// Nothing is sent, so every request may be retried.
	{name: "refused", client: func(c *caller, _ *server) {
		c.transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:1")
		}
	}, fails: all, unsent: true, is: as[*net.OpError]},
	{name: "no such host", client: func(c *caller, _ *server) {
		c.transport.DialContext = (&net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no resolver")
		}}}).DialContext
		c.transport.Proxy = func(req *http.Request) (*url.URL, error) { return url.Parse("http://nowhere.example.com") }
	}, fails: all, unsent: true, is: as[*net.DNSError]},
	{name: "certificate for another name", tls: func() *tls.Config { return trusted().server("127.0.0.2", time.Now().Add(time.Hour)) },
		fails: all, unsent: true, is: as[x509.HostnameError]},
	{name: "certificate expired", tls: func() *tls.Config { return trusted().server("127.0.0.1", time.Now().Add(-time.Hour)) },
		fails: all, unsent: true, is: as[x509.CertificateInvalidError]},
	{name: "certificate of an unknown authority", tls: func() *tls.Config { return unknown().server("127.0.0.1", time.Now().Add(time.Hour)) },
		fails: all, unsent: true, is: as[x509.UnknownAuthorityError]},
	{name: "TLS 1.1", tls: func() *tls.Config {
		config := goodTLS()
		config.MinVersion, config.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
		return config
	}, fails: all, unsent: true, is: says("protocol version")},
	{name: "a proxy that refuses", tls: goodTLS, client: func(c *caller, s *server) {
		c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer func() { _ = far.Close() }()
				_, _ = far.Read(make([]byte, 4<<10))
				_, _ = io.WriteString(far, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
			}()
			return near, nil
		}
		c.transport.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse("http://proxy.example.com") }
	}, fails: all, unsent: true},
	{name: "dialing for ever", timeout: hang, client: func(c *caller, _ *server) {
		c.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}, fails: all, unsent: true, slow: true},
	{name: "TLS handshake that never begins", timeout: hang, tls: goodTLS, accept: func(s *server, _ net.Conn) { <-s.done }, fails: all, unsent: true, slow: true},

	// The request may have been read, so only idempotent ones are retried.
	{name: "reset at once", accept: func(_ *server, c net.Conn) { reset(c) }, fails: all, requests: func(operation) (int, int) { return 0, 0 }},
	{name: "closed at once", accept: func(*server, net.Conn) {}, fails: all, requests: func(operation) (int, int) { return 0, 0 }},
	{name: "reset in the request", accept: func(_ *server, c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 10))
		reset(c)
	}, fails: all, requests: func(operation) (int, int) { return 0, 0 }},
	{name: "reset after the request", respond: func(x *exchange) { reset(x.Conn) }, fails: all},
	{name: "closed after the request", respond: func(*exchange) {}, fails: all, is: is(io.EOF)},
	{name: "reset in the header", respond: func(x *exchange) { x.send("HTTP/1.1 200 OK\r\nContent-"); reset(x.Conn) }, fails: all},
	{name: "closed in the header", respond: raw("HTTP/1.1 200 OK\r\nContent-"), fails: all},
	{name: "silence", timeout: hang, respond: silent(func(string) string { return "" }), fails: all, slow: true, requests: once},
	{name: "silence in the header", timeout: hang, respond: silent(func(string) string { return "HTTP/1.1 200 OK\r\nContent-" }), fails: all, slow: true, requests: once},
	{name: "not HTTP", respond: raw("SSH-2.0-OpenSSH_9.2p1\r\n"), fails: all},
	{name: "endless headers", respond: forever("HTTP/1.1 200 OK\r\n", "X-More: "+strings.Repeat("x", 1<<10)+"\r\n"), fails: all},
	{name: "endless 103 responses", respond: forever("", "HTTP/1.1 103 Early Hints\r\nLink: </"+strings.Repeat("x", 4<<10)+">\r\n\r\n"), fails: all},
	{name: "a few 103 responses", respond: func(x *exchange) {
		x.send(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 3) + response(200, inJSON, x.good))
	}, keeps: all},
	{name: "a few 100 responses", respond: func(x *exchange) {
		x.send(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 3) + response(200, inJSON, x.good))
	}, keeps: all},
	{name: "invalid Content-Length", respond: raw("HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n{}"), fails: all},
	{name: "two Content-Lengths", respond: raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), fails: all},
	{name: "switched protocols", respond: raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nabc"), fails: all, status: 101},

	// Good responses in an unusual form.
	{name: "slowly", respond: func(x *exchange) {
		for text := response(200, inJSON, x.good); text != ""; {
			n := min(8, len(text))
			x.send(text[:n])
			text = text[n:]
			select {
			case <-time.After(time.Millisecond):
			case <-x.server.done:
			}
		}
	}, keeps: all},
	{name: "with a byte order mark", respond: edited(func(good string) string { return "\ufeff" + good }), fails: "json list", status: 200, keeps: all},
	{name: "as HTML", respond: func(x *exchange) { x.send(response(200, "Content-Type: text/html\r\n", x.good)) }, fails: "json list", status: 200, keeps: all},
	{name: "without Content-Type", respond: func(x *exchange) { x.send(response(200, "", x.good)) }, keeps: all},
	{name: "with an invalid Content-Type", respond: func(x *exchange) { x.send(response(200, "Content-Type: Application/JSON;;=\r\n", x.good)) }, keeps: all},
	{name: "with unknown members", respond: edited(func(good string) string { return strings.ReplaceAll(good, "{", `{"x":{"y":[1,null]},`) }), keeps: all},
	{name: "with duplicate members", respond: edited(func(good string) string {
		return strings.ReplaceAll(good, "{", `{"access_token":"old","refresh_token":"old","secret":"old","id":"old",`)
	}), keeps: all},
	{name: "with status 201", respond: func(x *exchange) { x.send(response(201, inJSON, x.good)) }, keeps: all},

	// A 2xx response that cannot be read.
	{name: "shorter than Content-Length", respond: func(x *exchange) {
		x.send(strings.Replace(response(200, inJSON, x.good), "Content-Length: ", "Content-Length: 9", 1))
	}, fails: "json list secret raw", status: 200, is: is(io.ErrUnexpectedEOF), keeps: all},
	{name: "longer than Content-Length", respond: func(x *exchange) {
		n := len(x.good) - 2
		x.send(fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", inJSON, n, x.good))
	}, fails: mangled, status: 200, keeps: all},
	{name: "silence after half the body", timeout: hang, respond: silent(func(good string) string {
		return inHead(fmt.Sprintf("Content-Length: %d\r\n", len(good))) + good[:len(good)/2]
	}), fails: whole, status: 200, slow: true},
	{name: "silence after the body", timeout: hang, respond: silent(func(good string) string { return inHead("") + good }),
		fails: "json list secret raw", status: 200, slow: true, keeps: all},
	{name: "incomplete chunks", respond: func(x *exchange) {
		x.send(inHead("Transfer-Encoding: chunked\r\n") + fmt.Sprintf("%x\r\n%s\r\n", len(x.good), x.good))
	}, fails: "json list secret raw", status: 200, is: is(io.ErrUnexpectedEOF), keeps: all},
	{name: "a chunk with an invalid length", respond: func(x *exchange) {
		x.send(inHead("Transfer-Encoding: chunked\r\n") + fmt.Sprintf("%x\r\n%s\r\nzz\r\n", len(x.good), x.good))
	}, fails: "json list secret raw", status: 200, keeps: all},
	{name: "endless text", respond: forever(inHead("")+`[{"access_token":"`, "x"), fails: whole, status: 200},
	{name: "endless white space", respond: forever(inHead(""), " "), fails: whole, status: 200},
	{name: "endless white space after the body", respond: func(x *exchange) { forever(inHead("")+x.good, " ")(x) },
		fails: "json list secret raw", status: 200, keeps: all},
	{name: "endless brackets", respond: forever(inHead(""), "["), fails: whole, status: 200},
	{name: "100 MB", respond: forever(inHead("Content-Length: 104857600\r\n")+`[{"access_token":"`, "x"), fails: whole, status: 200},
	{name: "a gzip bomb", respond: func(x *exchange) { x.send(response(200, inJSON+"Content-Encoding: gzip\r\n", bomb())) }, fails: whole, status: 200},
	{name: "invalid gzip", respond: func(x *exchange) { x.send(response(200, inJSON+"Content-Encoding: gzip\r\n", x.good)) }, fails: whole, status: 200},
	{name: "an encoding that was not requested", respond: status(200, inJSON+"Content-Encoding: br\r\n", "\x0b\x02\x80"), fails: parsers, status: 200},
	{name: "empty", respond: body(""), fails: parsers, status: 200},
	{name: "204", respond: raw("HTTP/1.1 204 No Content\r\n\r\n"), fails: parsers, status: 204},
	{name: "not JSON", respond: body("<html>hello</html>"), fails: parsers, status: 200},
	{name: "incomplete JSON", respond: edited(func(good string) string { return good[:len(good)-2] }), fails: mangled, status: 200, keeps: all},
	{name: "null", respond: body("null"), fails: parsers, status: 200},
	{name: "a string", respond: body(`"x"`), fails: parsers, status: 200},
	{name: "a number", respond: body(`1e999`), fails: parsers, status: 200},
	{name: "an array of numbers", respond: body(`[1]`), fails: parsers, status: 200},
	{name: "members of the wrong type", respond: body(`{"access_token":["x"],"id":{"x":1},"secret":true,"enabled":"maybe","name":1}`), fails: parsers, status: 200},
	{name: "deep nesting", respond: body(`{"access_token":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}"), fails: parsers, status: 200},
	{name: "deep nesting in an unknown member", respond: edited(func(good string) string {
		return strings.TrimSuffix(good, "}") + `,"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}"
	}), fails: mangled, status: 200, keeps: all},
	{name: "control characters", respond: edited(func(good string) string {
		return strings.ReplaceAll(good, `"name":"x"`, "\"name\":\"\x00\x1b[31m\"") + "\x00"
	}),
		fails: mangled, status: 200, keeps: all},
	{name: "not UTF-8", respond: edited(func(good string) string { return strings.ReplaceAll(good, `"name":"x"`, "\"name\":\"\xff\xfe\"") }),
		fails: "secret", status: 200, keeps: all},
	{name: "a NUL byte instead of a body", respond: body("\x00"), fails: parsers, status: 200},

	// Redirects.
	{name: "redirect to another host", respond: status(302, "Location: https://other.example.com/?canary\r\n", ""), fails: checks, status: 302},
	{name: "redirect to another host that keeps the method", respond: status(307, "Location: https://other.example.com/\r\n", ""), fails: checks, status: 307},
	{name: "redirect to another port", respond: status(308, "Location: http://127.0.0.1:1/\r\n", ""), fails: checks, status: 308},
	{name: "redirect to http", tls: goodTLS, respond: func(x *exchange) {
		x.send(response(307, "Location: http://"+x.server.addr+"/\r\n", ""))
	}, fails: checks, status: 307},
	{name: "redirect without Location", respond: status(302, "", ""), fails: checks, status: 302},
	{name: "redirect to an invalid URL", respond: status(302, "Location: http://[::1\r\n", ""), fails: checks, status: 302},
	{name: "endless redirects", respond: status(302, "Location: /again\r\n", ""), fails: checks, status: 302, requests: func(op operation) (int, int) {
		if op.method == http.MethodGet {
			return 10, 10
		}
		return 1, 1
	}},
	{name: "not modified", respond: raw("HTTP/1.1 304 Not Modified\r\n\r\n"), fails: checks, status: 304},

	// Statuses.
	{name: "400", respond: status(400, inJSON, `{"error":"invalid_request"}`), fails: checks, status: 400, is: is(tokens.InvalidRequest)},
	{name: "401", respond: status(401, inJSON+"WWW-Authenticate: Bearer error=\"invalid_token\"\r\n", `{}`), fails: checks, status: 401, is: is(tokens.InvalidToken)},
	{name: "403", respond: status(403, inJSON, `{"error":"insufficient_scope"}`), fails: checks, status: 403, is: is(tokens.InsufficientScope)},
	{name: "404", respond: status(404, inJSON, `{}`), fails: checks, status: 404},
	{name: "407", respond: status(407, "", ""), fails: checks, status: 407},
	{name: "408", respond: status(408, "", ""), fails: checks, status: 408},
	{name: "421", respond: status(421, "", ""), fails: checks, status: 421},
	{name: "425", respond: status(425, "", ""), fails: checks, status: 425},
	{name: "500", respond: status(500, inJSON, `{"detailCode":"500.0"}`), fails: checks, status: 500},
	{name: "502", respond: status(502, "Content-Type: text/html\r\n", "<html>"), fails: checks, status: 502},
	{name: "503", respond: status(503, "", ""), fails: checks, status: 503},
	{name: "504", respond: status(504, "", ""), fails: checks, status: 504},
	{name: "599", respond: status(599, "", ""), fails: checks, status: 599},
	{name: "999", respond: status(999, "", ""), fails: checks, status: 999},
	{name: "503 with a short hint", respond: status(503, "Retry-After: 0.01\r\n", ""), fails: checks, status: 503},
	{name: "503 with a long hint", respond: status(503, "Retry-After: 3600\r\n", ""), fails: checks, status: 503, requests: once, check: retriesAfter(time.Hour)},
	{name: "503 with an invalid hint", respond: status(503, "Retry-After: soon\r\n", ""), fails: checks, status: 503},
	{name: "503 with a huge hint", respond: status(503, "Retry-After: 99999999999999999999\r\n", ""), fails: checks, status: 503, requests: once},
	{name: "503 once", respond: first(status(503, "Retry-After: 0.01\r\n", "")), keeps: "token", fails: "create patch", status: 503,
		requests: func(op operation) (int, int) {
			if op.class == creating {
				return 1, 1
			}
			return 2, 2
		}},
	{name: "503 with a reset hint of another vendor", respond: status(503, "X-Organization-Rate-Limit-Reset: 99999999999\r\n", ""), fails: checks, status: 503},
	{name: "429", maxWait: 500 * time.Millisecond, respond: status(429, "", ""), fails: checks, status: 429, requests: once},
	{name: "429 with a long hint", maxWait: 500 * time.Millisecond, respond: status(429, "Retry-After: 3600\r\n", ""), fails: checks, status: 429, requests: once, check: retriesAfter(time.Hour)},
	{name: "429 with short hints", maxWait: 5 * time.Second, respond: status(429, "Retry-After: 0.01\r\n", ""), fails: checks, status: 429,
		requests: func(operation) (int, int) { return 2, 20 }},
	{name: "429 once", respond: first(status(429, "Retry-After: 0.01\r\n", "")), keeps: all, requests: func(operation) (int, int) { return 2, 2 }},
	{name: "429 with a reset in the far future", maxWait: 500 * time.Millisecond, respond: status(429, "X-Organization-Rate-Limit-Reset: 99999999999\r\n", ""), fails: checks, status: 429, requests: once},

	// The status is more important than the body.
	{name: "incomplete 400", respond: raw("HTTP/1.1 400 Bad Request\r\nContent-Length: 500\r\n\r\n{\"error\":"), fails: checks + " raw", status: 400},
	{name: "endless 400", respond: forever("HTTP/1.1 400 Bad Request\r\n\r\n", "x"), fails: checks + " raw", status: 400},
	{name: "500 of 100 MB", respond: forever("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 104857600\r\n\r\n", "x"), fails: checks + " raw", status: 500},
	{name: "400 with silence instead of a body", timeout: hang, respond: silent(func(string) string { return "HTTP/1.1 400 Bad Request\r\nContent-Length: 500\r\n\r\n{" }),
		fails: checks + " raw", status: 400, slow: true},
	{name: "400 with a gzip bomb", respond: func(x *exchange) { x.send(response(400, "Content-Encoding: gzip\r\n", bomb())) }, fails: checks + " raw", status: 400},
	{name: "400 that is not JSON", respond: status(400, inJSON, "<html>"), fails: checks, status: 400},
	{name: "400 with members of the wrong type", respond: status(400, inJSON, `{"error":["x"],"message":{},"errors":{},"messages":"x","causes":1,"detailCode":[],"trackingId":{}}`), fails: checks, status: 400},
	{name: "400 with deep nesting", respond: status(400, inJSON, strings.Repeat(`{"error":`, 10_000)), fails: checks, status: 400},
	{name: "400 with control characters", respond: status(400, inJSON, `{"error":"a\u0000b","error_description":"\u001b[31m\r\nred\u202e\ud800"}`), fails: checks, status: 400, check: isOneLine},
	{name: "400 that is not UTF-8", respond: status(400, inJSON, "{\"error\":\"\xff\",\"error_description\":\"\xff\xfe\"}"), fails: checks, status: 400, check: isOneLine},
	{name: "400 with control characters in its headers", respond: status(400, "X-Request-ID: a\x1b[31mb\r\n", ""), fails: all, check: isOneLine},
	{name: "400 that echoes the request", respond: echo, fails: checks, status: 400, check: isOneLine},
	{name: "a bad request", respond: raw("HTTP/1.1 400\r\nContent-Length: 0\r\n\r\n"), fails: checks, status: 400},
}

func retriesAfter(want time.Duration) func(*testing.T, operation, error) {
	return func(t *testing.T, _ operation, err error) {
		t.Helper()
		if e, ok := errors.AsType[*tokens.Error](err); ok {
			assert.Equal(t, want, e.RetryAfter)
		}
	}
}

func isOneLine(t *testing.T, _ operation, err error) {
	t.Helper()
	assert.NotRegexp(t, `[\x00-\x1f\x7f\x80-\x9f]|\x{202e}`, err.Error())
	assert.Less(t, len(err.Error()), 2000)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		for _, op := range operations {
			t.Run(f.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				f.run(t, op)
			})
		}
	}
}

// start starts a server with the fault, and a caller. Good responses have the body that good returns.
func (f fault) start(t *testing.T, good func(*exchange) string) (*server, *caller) {
	t.Helper()
	connection := f.accept
	if connection == nil {
		connection = requestsBy("", func(x *exchange) bool {
			x.good = good(x)
			if f.respond == nil {
				x.send(response(http.StatusOK, inJSON, x.good))
			} else {
				f.respond(x)
			}
			return false
		})
	}
	var config *tls.Config
	if f.tls != nil {
		config = f.tls()
	}
	s := serve(t, config, connection)
	c := newCaller(t, s.url, f.timeout, f.maxWait)
	if config != nil {
		c.transport.TLSClientConfig = &tls.Config{RootCAs: roots()}
	}
	if f.client != nil {
		f.client(c, s)
	}
	return s, c
}

func (f fault) run(t *testing.T, op operation) {
	t.Helper()
	s, c := f.start(t, func(*exchange) string { return op.good })
	began := time.Now()
	result, err := op.do(t.Context(), c)
	elapsed := time.Since(began)
	assert.Less(t, elapsed, callerTimeout/2, "the call ends within the timeout")
	if f.timeout > 0 && f.status == http.StatusOK && op.reads == readsNone {
		assert.Less(t, elapsed, f.timeout, "the call does not wait for a body that it does not need")
	}

	failed := has(f.fails, op.reads) || has(f.fails, op.name)
	if failed {
		f.checkError(t, op, err)
	} else {
		assert.NoError(t, err)
	}
	c.assertSilent(t, err)
	if want := secretOf(op); want != "" &&
		(!failed || has(f.keeps, op.reads)) {
		assert.Equal(t, want, kept(result), "the secret that came is not lost: %v", err)
	}

	least, most := f.counts(op)
	_, requests := s.counts()
	assert.GreaterOrEqual(t, requests, least, "requests")
	assert.LessOrEqual(t, requests, most, "requests")
}

// counts returns the minimum and maximum number of requests that the server receives.
func (f fault) counts(op operation) (least, most int) {
	switch {
	case f.requests != nil:
		return f.requests(op)
	case f.unsent:
		return 0, 0
	case f.fails == "":
		return 1, 1
	}
	n := op.class.requests(f.status)
	return n, n
}

func (f fault) checkError(t *testing.T, op operation, err error) {
	t.Helper()
	require.Error(t, err)
	e, ok := errors.AsType[*tokens.Error](err)
	require.True(t, ok, "%T %v", err, err)
	assert.Equal(t, f.status, e.StatusCode, "%v", err)
	assert.Equal(t, op.method, e.Method)
	assert.NotErrorIs(t, err, tokens.ErrNoToken)
	if f.status != 0 {
		assert.ErrorIs(t, err, tokens.Status(f.status))
	}
	slow := f.slow && (f.status/100 <= 2 || op.reads == readsRaw) // part of an error's body is enough
	assert.Equal(t, slow, e.Timeout(), "Timeout: %v", err)
	assert.Equal(t, slow, errors.Is(err, context.DeadlineExceeded), "%v", err)
	if f.is != nil {
		assert.True(t, f.is(err), "%T %v", err, err)
	}
	if f.check != nil {
		f.check(t, op, err)
	}
	assert.LessOrEqual(t, len(e.Body), 64<<10)
	const acted = "the server may have acted on it"
	if f.accept != nil && !f.unsent {
		return // that depends on timing
	}
	if op.method != http.MethodGet && f.status == 0 {
		assert.Equal(t, !f.unsent, strings.Contains(err.Error(), acted), "%v", err)
	} else {
		assert.NotContains(t, err.Error(), acted)
	}
}
