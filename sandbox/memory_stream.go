package sandbox

import (
	"io"
	"sync"
)

// maxUnread is how much of a body a handler can write before anyone reads it, like the buffers of a connection. A small
// response that its caller neither reads nor closes then leaves no goroutine behind.
const maxUnread = 64 << 10

// A memoryStream carries a body from the handler to the caller.
type memoryStream struct {
	mu     sync.Mutex
	change sync.Cond // signals changes of the fields below
	unread []byte
	err    error // what Read returns after all unread data; nil while more may be written
}

func newMemoryStream() *memoryStream {
	s := new(memoryStream)
	s.change.L = &s.mu
	return s
}

// write adds p to the body, and blocks while too much of it is unread.
func (s *memoryStream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n < len(p) {
		if s.err != nil {
			return n, io.ErrClosedPipe
		}
		part := min(len(p)-n, maxUnread-len(s.unread))
		if part == 0 {
			s.change.Wait()
			continue
		}
		s.unread = append(s.unread, p[n:n+part]...)
		n += part
		s.change.Broadcast()
	}
	return n, nil
}

// Read implements io.Reader.
func (s *memoryStream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.unread) == 0 && s.err == nil && len(p) > 0 {
		s.change.Wait()
	}
	if len(s.unread) == 0 {
		return 0, s.err
	}
	n := copy(p, s.unread)
	s.unread = s.unread[n:]
	s.change.Broadcast()
	return n, nil
}

// end ends the body: unread data can still be read, and then Read returns err.
func (s *memoryStream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		s.change.Broadcast()
	}
}

// abort ends the body at once, unless it has been read to its end.
func (s *memoryStream) abort(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil || len(s.unread) > 0 {
		s.err, s.unread = err, nil
		s.change.Broadcast()
	}
}
