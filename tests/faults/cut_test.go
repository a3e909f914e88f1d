package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A framing is a way to mark the end of a response's body.
type framing struct {
	name  string
	frame func(body string) (head, tail string) // the bytes before and after the body
}

var framings = []framing{
	{"length", func(body string) (string, string) {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n", inJSON, len(body)), ""
	}},
	{"chunk", func(body string) (string, string) {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n%x\r\n", inJSON, len(body)), "\r\n0\r\n\r\n"
	}},
	{"close", func(string) (string, string) { return "HTTP/1.0 200 OK\r\n" + inJSON + "\r\n", "" }},
}

// An incomplete response counts as lost if its header is incomplete; otherwise the error has its status. A value that
// is complete and cannot be obtained again must not be lost: a new refresh token, or the secret of a created client.
func TestCutAtEveryByte(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		bodies := map[string]string{"": op.good}
		switch op.reads {
		case readsToken:
			bodies["refresh token first"] = `{"refresh_token":"` + canaryRotated + `","expires_in":3600, "access_token" : "` + canaryIssued + `" }`
		case readsSecret:
			bodies["secret first"] = `{"secret":"` + canaryCreated + `","name":"x","id":"` + clientID + `"}`
		}
		for name, body := range bodies {
			for _, framing := range framings {
				t.Run(op.name+"/"+framing.name+"/"+name, func(t *testing.T) {
					t.Parallel()
					head, tail := framing.frame(body)
					cutAtEveryByte(t, op, head, body, tail)
				})
			}
		}
	}
}

func cutAtEveryByte(t *testing.T, op operation, head, body, tail string) {
	t.Helper()
	text := head + body + tail
	beforeBody := strings.Index(text, "\r\n\r\n") + len("\r\n\r\n")
	untilClose := strings.HasPrefix(head, "HTTP/1.0")
	end := 0
	s := &server{done: t.Context().Done()}
	c := newCaller(t, "http://127.0.0.1", 0, 0)
	c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer func() { _ = far.Close() }()
			requestsBy("", func(x *exchange) bool {
				x.send(text[:end])
				return false
			})(s, far)
		}()
		return near, nil
	}
	for end = range len(text) + 1 {
		s.requests = nil
		result, err := op.do(t.Context(), c)
		came := text[min(end, len(head)):min(end, len(head)+len(body))]
		hasWhole := func(value string) bool { return strings.Contains(came, `"`+value+`"`) }
		_, requests := s.counts()
		e, isError := errors.AsType[*tokens.Error](err)
		context := fmt.Sprintf("cut at byte %d: %v", end, err)
		switch {
		case end < beforeBody:
			require.True(t, isError, context)
			require.Zero(t, e.StatusCode, context)
			require.Equal(t, op.class.requests(0), requests, context)
			require.Equal(t, op.method != http.MethodGet, strings.Contains(err.Error(), "the server may have acted on it"), context)
		case end == len(text), op.reads == readsNone, op.reads == readsRaw && untilClose, op.reads == readsToken && came == body,
			untilClose && came == body:
			require.NoError(t, err, context)
			require.Equal(t, 1, requests, context)
		case op.reads == readsToken && hasWhole(canaryRotated) && hasWhole(canaryIssued):
			require.NoError(t, err, context)
		default:
			require.True(t, isError, context)
			require.Equal(t, http.StatusOK, e.StatusCode, context)
			require.Equal(t, 1, requests, context)
			if !untilClose {
				require.ErrorContains(t, err, io.ErrUnexpectedEOF.Error(), context)
			}
		}
		switch op.reads {
		case readsToken:
			if hasWhole(canaryRotated) && hasWhole(canaryIssued) {
				require.Equal(t, canaryRotated, kept(result), context)
			}
		case readsSecret:
			if hasWhole(canaryCreated) {
				require.Equal(t, canaryCreated, kept(result), context)
			}
		}
		c.assertSilent(t, err)
	}
	assert.Equal(t, len(text), end)
}
