package faults

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A stream is a complete request over HTTP/2.
type stream struct {
	*http2.Framer

	id     uint32
	number int // counts the requests, from 1
	good   string
	conn   net.Conn
}

// head sends the header of a 200 with a content length.
func (s *stream) head(length int) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range []hpack.HeaderField{
		{Name: ":status", Value: "200"}, {Name: "content-type", Value: "application/json"}, {Name: "content-length", Value: strconv.Itoa(length)},
	} {
		_ = encoder.WriteField(field)
	}
	_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: block.Bytes(), EndHeaders: true})
}

func (s *stream) respond() {
	s.head(len(s.good))
	_ = s.WriteData(s.id, true, []byte(s.good))
}

func (s *stream) reset(code http2.ErrCode) { _ = s.WriteRSTStream(s.id, code) }

// goAway ends the connection. last is the last stream that the server claims to have processed.
func (s *stream) goAway(last uint32, code http2.ErrCode) {
	_ = s.WriteGoAway(last, code, nil)
	_ = s.conn.Close()
}

// streamsBy returns a connection handler that reads HTTP/2 requests.
func streamsBy(good string, respond func(*stream)) func(*server, net.Conn) {
	return func(s *server, c net.Conn) {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(c, preface); err != nil {
			return
		}
		framer := http2.NewFramer(c, c)
		_ = framer.WriteSettings()
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			ended := false
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					_ = framer.WriteSettingsAck()
				}
			case *http2.HeadersFrame:
				ended = frame.StreamEnded()
			case *http2.DataFrame:
				ended = frame.StreamEnded()
			}
			if !ended {
				continue
			}
			s.mu.Lock()
			s.requests = append(s.requests, "")
			n := len(s.requests)
			s.mu.Unlock()
			respond(&stream{Framer: framer, id: frame.Header().StreamID, number: n, good: good, conn: c})
		}
	}
}

// Over HTTP/2, net/http resends requests by itself if it assumes that the server has not processed them.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	ifSafe := func(op operation) bool { return op.class == safe }
	never := func(operation) bool { return false }
	for _, tt := range []struct {
		name     string
		respond  func(*stream)
		fails    string // the readers for which the call fails, as in a fault
		status   int
		recovers func(operation) bool // reports exceptions from fails; may be nil
		requests func(operation) int
	}{
		{"good", (*stream).respond, "", 0, nil, func(operation) int { return 1 }},
		{"stream reset after the request", func(s *stream) { s.reset(http2.ErrCodeInternal) }, all, 0, never,
			func(op operation) int { return op.class.requests(0) }},
		{"connection closed after the request", func(s *stream) { _ = s.conn.Close() }, all, 0, never,
			func(op operation) int { return op.class.requests(0) }},
		{"connection ended after the request", func(s *stream) { s.goAway(s.id, http2.ErrCodeEnhanceYourCalm) }, all, 0, never,
			func(op operation) int { return op.class.requests(0) }},
		// A request whose stream is refused may have been processed; one that a GOAWAY excludes has not.
		{"stream refused once", func(s *stream) {
			if s.number == 1 {
				s.reset(http2.ErrCodeRefusedStream)
				return
			}
			s.respond()
		}, all, 0, ifSafe, func(op operation) int {
			if op.class == safe {
				return 2
			}
			return 1
		}},
		{"connection refused once", func(s *stream) {
			if s.number == 1 {
				s.goAway(0, http2.ErrCodeNo)
				return
			}
			s.respond()
		}, "", 0, nil, func(operation) int { return 2 }},
		{"stream reset after half the body", func(s *stream) {
			s.head(len(s.good))
			_ = s.WriteData(s.id, false, []byte(s.good[:len(s.good)/3]))
			s.reset(http2.ErrCodeInternal)
		}, whole, 200, never, func(operation) int { return 1 }},
		{"stream reset after the body", func(s *stream) {
			s.head(len(s.good) + 1)
			_ = s.WriteData(s.id, false, []byte(s.good))
			s.reset(http2.ErrCodeInternal)
		}, "json list secret raw", 200, never, func(operation) int { return 1 }},
		{"shorter than it says", func(s *stream) {
			s.head(len(s.good) + 1)
			_ = s.WriteData(s.id, true, []byte(s.good))
		}, "json list secret raw", 200, never, func(operation) int { return 1 }},
		{"headers without end", func(s *stream) {
			_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id})
			// Literal fields without indexing, each of one letter.
			block := bytes.Repeat([]byte{0x00, 0x01, 'x', 0x01, 'x'}, 3000)
			for s.WriteContinuation(s.id, false, block) == nil {
			}
		}, all, 0, never, nil},
	} {
		for _, op := range operations {
			t.Run(tt.name+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				config := goodTLS()
				config.NextProtos = []string{"h2"}
				s := serve(t, config, streamsBy(op.good, tt.respond))
				c := newCaller(t, s.url, 0, 0)
				c.transport.TLSClientConfig = &tls.Config{RootCAs: roots()}
				c.transport.ForceAttemptHTTP2 = true
				began := time.Now()
				result, err := op.do(t.Context(), c)
				assert.Less(t, time.Since(began), callerTimeout/2, "the call ends within the timeout")
				failed := has(tt.fails, op.reads) && (tt.recovers == nil || !tt.recovers(op))
				if failed {
					e, ok := errors.AsType[*tokens.Error](err)
					require.True(t, ok, "%T %v", err, err)
					assert.Equal(t, tt.status, e.StatusCode, "%v", err)
					assert.Equal(t, tt.status == 0 && op.method != http.MethodGet, e.MayHaveActed(), "%v", err)
				} else {
					require.NoError(t, err)
				}
				if want := secretOf(op); want != "" && (!failed || op.reads == readsSecret && tt.name != "stream reset after half the body" && tt.status == 200) {
					assert.Equal(t, want, kept(result))
				}
				c.assertSilent(t, err)
				if tt.requests != nil {
					_, requests := s.counts()
					assert.Equal(t, tt.requests(op), requests, "requests")
				}
			})
		}
	}
}
