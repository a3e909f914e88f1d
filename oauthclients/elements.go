package oauthclients

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/grantwright/oauth-go/tokens"
)

// elements splits the JSON array of an answer into its elements as they arrive. It finds where each ends; whether it is
// JSON is for the decoder to say.
type elements struct {
	resp *http.Response
	most int64 // bytes of an element; negative: no bound

	buf  []byte // what was read, used up to pos
	pos  int
	open bool // the array has begun
}

const firstBuffer = 32 << 10

func newElements(resp *http.Response, most int64) *elements {
	return &elements{resp: resp, most: most, buf: make([]byte, 0, firstBuffer)}
}

var (
	// errDone is the end of the array and of the answer. It is not io.EOF, which a broken connection may wrap: a list
	// that is cut must not pass for a whole one.
	errDone = errors.New("the array is read")
	// errEnd is the end of the answer, wherever it comes.
	errEnd = errors.New("the answer ends before the array does")
)

// next returns the next element, which is good until the following call, or errDone after the last. Any other error is
// a *tokens.Error.
func (e *elements) next() ([]byte, error) {
	data, err := e.element()
	if errors.Is(err, errEnd) {
		return nil, e.wrong(errEnd.Error())
	}
	return data, err
}

func (e *elements) element() ([]byte, error) {
	first := !e.open
	if first {
		if c, err := e.peek(); err != nil || c != '[' {
			return nil, cmp.Or(err, e.wrong("the answer is not an array"))
		}
		e.pos++
		e.open = true
	}
	c, err := e.peek()
	switch {
	case err != nil:
		return nil, err
	case c == ']':
		e.pos++
		return nil, e.end()
	case first:
		return e.value()
	case c != ',':
		return nil, e.wrong("the array lacks a comma")
	}
	e.pos++
	if c, err = e.peek(); err != nil || c == ']' {
		return nil, cmp.Or(err, e.wrong("the array has a comma too many"))
	}
	return e.value()
}

// value returns the JSON value that begins at pos.
func (e *elements) value() ([]byte, error) {
	depth, inString := 0, false
	for i := 0; ; {
		rest := e.buf[e.pos:]
		for i < len(rest) {
			c := rest[i]
			i++
			switch {
			case inString && c == '\\':
				i++ // whatever it is, it does not end the string
			case inString && c != '"':
				for i < len(rest) && rest[i] != '"' && rest[i] != '\\' {
					i++
				}
			case c == '"':
				inString = !inString
			case c == '{' || c == '[':
				depth++
			case depth == 0 && (c == ',' || c == ']' || c == '}' || isSpace(c)): // after a number or a word
				return e.take(i - 1)
			case c == '}' || c == ']':
				depth--
			default:
				continue
			}
			if depth == 0 && !inString {
				return e.take(i)
			}
		}
		if e.most >= 0 && int64(i) > e.most {
			return e.take(i)
		}
		if err := e.fill(); err != nil {
			return nil, err
		}
	}
}

// take returns the next n bytes.
func (e *elements) take(n int) ([]byte, error) {
	if e.most >= 0 && int64(n) > e.most {
		return nil, e.wrong(fmt.Sprintf("it is longer than %d bytes", e.most))
	}
	data := e.buf[e.pos : e.pos+n]
	e.pos += n
	return data, nil
}

// end reads what follows the array, so that the connection can be used again.
func (e *elements) end() error {
	_, err := e.peek()
	switch {
	case err == nil:
		return e.wrong("the answer goes on after the array")
	case errors.Is(err, errEnd):
		return errDone
	}
	return err
}

// peek returns the next byte that is not white space, and leaves it there.
func (e *elements) peek() (byte, error) {
	for {
		for ; e.pos < len(e.buf); e.pos++ {
			if c := e.buf[e.pos]; !isSpace(c) {
				return c, nil
			}
		}
		if err := e.fill(); err != nil {
			return 0, err
		}
	}
}

// fill reads more behind what is not used yet.
func (e *elements) fill() error {
	if e.pos > 0 {
		e.buf = e.buf[:copy(e.buf, e.buf[e.pos:])]
		e.pos = 0
	}
	e.buf = slices.Grow(e.buf, 1)
	n, err := e.resp.Body.Read(e.buf[len(e.buf):cap(e.buf)])
	e.buf = e.buf[:len(e.buf)+n]
	switch {
	case n > 0:
		return nil // an error comes again
	case err == io.EOF: // one that is wrapped is an error
		return errEnd
	}
	return err
}

func (e *elements) wrong(text string) error {
	return tokens.NewError(e.resp, e.buf[e.pos:], errors.New(text))
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
