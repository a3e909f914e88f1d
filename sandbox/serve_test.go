package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grantwright/oauth-go/sandbox"
)

type key struct{}

// countedBody counts how often it is closed.
type countedBody struct {
	io.Reader
	closed *int
}

func (b countedBody) Close() error { *b.closed++; return nil }

func TestTransportHandsOverTheRequest(t *testing.T) {
	closed := 0
	ctx := context.WithValue(t.Context(), key{}, "the caller's own")
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "https://api.example.com/a%2Fb?q=1", countedBody{strings.NewReader("body"), &closed})
	require.NoError(t, err)
	response, err := sandbox.Transport(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		body, _ := io.ReadAll(in.Body)
		assert.Equal(t, "body", string(body))
		assert.EqualValues(t, 4, in.ContentLength)
		assert.Equal(t, "memory", in.RemoteAddr)
		assert.Equal(t, "api.example.com", in.Host)
		assert.Equal(t, "/a%2Fb?q=1", in.RequestURI)
		assert.Nil(t, in.Context().Value(key{}))
		w.Header().Set("X", "y")
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("Z", "too late")
		_, _ = io.WriteString(w, "tea")
	})).RoundTrip(r)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, "tea", string(body))
	assert.Equal(t, "418 I'm a teapot", response.Status)
	assert.Equal(t, "HTTP/1.1", response.Proto)
	assert.Equal(t, []int{1, 1}, []int{response.ProtoMajor, response.ProtoMinor})
	assert.Equal(t, http.Header{"X": {"y"}, "Content-Type": {"text/plain; charset=utf-8"}}, response.Header)
	assert.Same(t, r, response.Request)
	assert.Equal(t, 1, closed)
}

func TestTransportSendsNothingAfterTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := 0
		ctx, cancel := context.WithCancelCause(t.Context())
		left := errors.New("left")
		cancel(left)
		r, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://x", countedBody{strings.NewReader(""), &closed})
		require.NoError(t, err)
		_, err = sandbox.Transport(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { assert.Fail(t, "it was sent") })).RoundTrip(r)
		require.ErrorIs(t, err, left)
		assert.Equal(t, 1, closed)
		synctest.Wait()
	})
}

// A request made by hand may lack fields that http.NewRequest sets.
func TestTransportTakesABareRequest(t *testing.T) {
	target, err := url.Parse("https://API.example.com/a")
	require.NoError(t, err)
	r := &http.Request{Method: http.MethodGet, URL: target}
	response, err := sandbox.Transport(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		in.Header.Set("X", "y")
		assert.Equal(t, "API.example.com", in.Host)
		body, err := io.ReadAll(in.Body)
		assert.NoError(t, err)
		assert.Empty(t, body)
	})).RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.Nil(t, r.Header)
}

func TestTransportSendsNothingOfABodyThatFails(t *testing.T) {
	closed := 0
	failed := errors.New("failed")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://x", countedBody{iotest.ErrReader(failed), &closed})
	require.NoError(t, err)
	_, err = sandbox.Transport(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { assert.Fail(t, "it was sent") })).RoundTrip(r)
	require.ErrorIs(t, err, failed)
	assert.Equal(t, 1, closed)
	r.Body = failingClose{strings.NewReader(""), failed}
	_, err = sandbox.Transport(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { assert.Fail(t, "it was sent") })).RoundTrip(r)
	require.ErrorIs(t, err, failed)
}

// failingClose is a body that cannot be closed.
type failingClose struct {
	io.Reader
	err error
}

func (b failingClose) Close() error { return b.err }

func TestTransportStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		rt := sandbox.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			for {
				if _, err := io.WriteString(w, "."); err != nil {
					ended <- r.Context().Err()
					return
				}
				pass(time.Second)
			}
		}))
		get := func(ctx context.Context) io.ReadCloser {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://x", nil)
			require.NoError(t, err)
			response, err := rt.RoundTrip(r)
			require.NoError(t, err)
			assert.Equal(t, "text/plain; charset=utf-8", response.Header.Get("Content-Type"), "one byte tells")
			return response.Body
		}

		body := get(t.Context())
		got := make([]byte, 3)
		_, err := io.ReadFull(body, got)
		require.NoError(t, err)
		assert.Equal(t, "...", string(got))
		require.NoError(t, body.Close())
		require.ErrorIs(t, <-ended, context.Canceled, "closing the body ends the handler's context")

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second+1)
		defer cancel()
		all, err := io.ReadAll(get(ctx))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, "......", string(all))
		<-ended
	})
}

// A handler can send the header before it has anything for the body.
func TestTransportFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := sandbox.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			assert.NoError(t, http.NewResponseController(w).Flush())
			<-r.Context().Done()
		}))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x", nil)
		require.NoError(t, err)
		response, err := rt.RoundTrip(r)
		require.NoError(t, err)
		assert.Equal(t, http.StatusAccepted, response.StatusCode)
		assert.Empty(t, response.Header, "there is nothing to detect a type from")
		n, err := response.Body.Read(nil)
		require.NoError(t, err, "nothing needs no waiting")
		assert.Zero(t, n)
		require.NoError(t, response.Body.Close())
	})
}

// Programs that do not close bodies, as in many examples, can be tested in a bubble, which fails if a goroutine is
// left.
func TestTransportLeavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := sandbox.New()
		response, err := sb.HTTPClient().Get(sb.URL + "/v7/tests")
		require.NoError(t, err)
		assert.Equal(t, http.StatusUnauthorized, response.StatusCode)
	})
}

// A large body waits for its reader, and arrives complete.
func TestTransportHoldsBackALargeBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1 << 20
		want, written := bytes.Repeat([]byte("0123456789abcdef"), size/16), false
		rt := sandbox.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n, err := w.Write(want)
			assert.NoError(t, err)
			assert.Equal(t, size, n)
			written = true
		}))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x", nil)
		require.NoError(t, err)
		response, err := rt.RoundTrip(r)
		require.NoError(t, err)
		synctest.Wait()
		assert.False(t, written)
		got, err := io.ReadAll(iotest.OneByteReader(response.Body))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, got))
		assert.True(t, written)
		require.NoError(t, response.Body.Close())
		n, err := response.Body.Read(make([]byte, 1))
		assert.Zero(t, n)
		require.Error(t, err)
	})
}

// Data that has not been read when the caller's context ends is lost, as over a network.
func TestTransportEndsWithTheContext(t *testing.T) {
	for _, stays := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var ended atomic.Bool
			rt := sandbox.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "x")
				if stays {
					<-r.Context().Done()
				}
				ended.Store(true)
			}))
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://x", nil)
			require.NoError(t, err)
			response, err := rt.RoundTrip(r)
			require.NoError(t, err)
			synctest.Wait()
			assert.Equal(t, !stays, ended.Load())
			cancel()
			synctest.Wait()
			assert.True(t, ended.Load(), "the handler's context ends too")
			_, err = io.ReadAll(response.Body)
			require.ErrorIs(t, err, context.Canceled)
			require.NoError(t, response.Body.Close())
		})
	}
}

func TestTransportEndsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		rt := sandbox.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "x")
			pass(time.Second)
		}))
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://x", nil)
		require.NoError(t, err)
		response, err := rt.RoundTrip(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		assert.Equal(t, "x", string(body))
		cancel()
		synctest.Wait()
		_, err = response.Body.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "the body was read to its end before the context ended")
		require.NoError(t, response.Body.Close())
	})
}

func TestTransportBreaksWhatAHandlerAborts(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x", nil)
	require.NoError(t, err)
	response, err := sandbox.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	})).RoundTrip(r)
	require.NoError(t, err)
	assert.EqualValues(t, 10, response.ContentLength)
	body, err := io.ReadAll(response.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, "half", string(body))
	require.NoError(t, response.Body.Close())
}

// A deferred Close may precede the check of Listen's error.
func TestServerThatDoesNotServe(t *testing.T) {
	t.Parallel()
	require.NoError(t, new(sandbox.Server).Close())
	require.NoError(t, (*sandbox.Server)(nil).Close())
}
