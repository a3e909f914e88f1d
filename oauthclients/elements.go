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

// elements splits the JSON array in the body of a response into its elements as they arrive. It finds the end of each
// element, but does not check that the element is valid JSON; its decoder does.
type elements struct {
	resp *http.Response
	most int64 // the maximum size of an element in bytes; if negative, there is no limit

	buf  []byte // the bytes that were read; buf[:pos] have been used
	pos  int
	open bool // the opening bracket has been used
}

const firstBuffer = 32 << 10

func newElements(resp *http.Response, most int64) *elements {
	return &elements{resp: resp, most: most, buf: make([]byte, 0, firstBuffer)}
}

var (
	// errDone is the end of the array and of the body. It is not io.EOF, because the error of a broken connection may wrap
	// that, and an incomplete list must not look complete.
	errDone = errors.New("the array has been read")
	// errEnd is the end of the body.
	errEnd = errors.New("the response ends before the array does")
)

// next returns the next element, which is valid until the next call, or errDone after the last one. Any other error is
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
			return nil, cmp.Or(err, e.wrong("the response is not an array"))
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
		return nil, e.wrong("a comma is missing in the array")
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
				i++ // the escaped character does not end the string
			case inString && c != '"':
				for i < len(rest) && rest[i] != '"' && rest[i] != '\\' {
					i++
				}
			case c == '"':
				inString = !inString
			case c == '{' || c == '[':
				depth++
			case depth == 0 && (c == ',' || c == ']' || c == '}' || isSpace(c)): // the end of a number or of a word
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

// take returns the next n bytes and uses them.
func (e *elements) take(n int) ([]byte, error) {
	if e.most >= 0 && int64(n) > e.most {
		return nil, e.wrong(fmt.Sprintf("the client is longer than %d bytes", e.most))
	}
	data := e.buf[e.pos : e.pos+n]
	e.pos += n
	return data, nil
}

// end reads the rest of the body, so that the connection can be reused. Only white space may be left.
func (e *elements) end() error {
	_, err := e.peek()
	switch {
	case err == nil:
		return e.wrong("the response goes on after the array")
	case errors.Is(err, errEnd):
		return errDone
	}
	return err
}

// peek returns the next byte that is not white space, without using it. The amount of white space is limited like the
// size of an element.
func (e *elements) peek() (byte, error) {
	for spaces := int64(0); ; {
		before := e.pos
		for ; e.pos < len(e.buf); e.pos++ {
			if c := e.buf[e.pos]; !isSpace(c) {
				return c, nil
			}
		}
		if spaces += int64(e.pos - before); e.most >= 0 && spaces > e.most {
			return 0, e.wrong(fmt.Sprintf("there are more than %d bytes of white space in a row", e.most))
		}
		if err := e.fill(); err != nil {
			return 0, err
		}
	}
}

// fill reads more of the body. It returns errEnd at its end.
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
		return nil // the next Read returns the error again
	case err == io.EOF: // a wrapped EOF is an error
		return errEnd
	}
	return err
}

// wrong returns the error of a body that is not a valid array.
func (e *elements) wrong(text string) error {
	return tokens.NewError(e.resp, e.buf[e.pos:], errors.New(text))
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
