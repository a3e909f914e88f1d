package tokens

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// DecodeResponse reads the response of a [Doer] as JSON into v and closes it. A null is an error, unless v points to a pointer,
// an interface or a json.Unmarshaler. The error is an [*Error] that keeps the status and the start of the body; v may then be
// filled in part.
func DecodeResponse(resp *http.Response, v any) error {
	defer func() { _ = resp.Body.Close() }()
	data, err := readAll(resp)
	if err != nil {
		return err // an *Error already
	}
	if err := unmarshal(data, v); err != nil {
		return NewError(resp, data, notJSON(err))
	}
	return nil
}

// unmarshal is json.Unmarshal, but does not take a null for an object or a list without members.
func unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return err
	}
	if string(bytes.TrimSpace(data)) != "null" {
		return nil
	}
	if _, ok := v.(json.Unmarshaler); ok {
		return nil
	}
	switch reflect.TypeOf(v).Elem().Kind() { // a pointer, or json.Unmarshal would have failed
	case reflect.Pointer, reflect.Interface:
		return nil
	default:
		return errNull
	}
}

var errNull = errors.New("the response is null")

// readAll reads the body of a response, into one piece of memory where its length is known.
func readAll(resp *http.Response) ([]byte, error) {
	const maxTrusted = 1 << 20 // of what the response says of its length
	var b bytes.Buffer
	b.Grow(int(max(0, min(resp.ContentLength, maxTrusted))) + bytes.MinRead)
	_, err := b.ReadFrom(resp.Body)
	return b.Bytes(), err
}

// notJSON says what is wrong with a response without quoting it, as encoding/json may.
func notJSON(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		return fmt.Errorf("the response does not fit: member %q is not a %s", t.Field, t.Type)
	}
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("the response is not JSON at byte %d", s.Offset)
	}
	if errors.Is(err, errNull) {
		return err
	}
	return errors.New("the response is not the JSON expected")
}

// errTimeout is the cause of a context whose call ran out of time.
var errTimeout = errors.New("timeout")

// responseBody bounds the time and the size of a response, and ends its call when it is closed.
type responseBody struct {
	io.ReadCloser

	resp *http.Response
	ctx  context.Context //nolint:containedctx // asked only why a read failed
	call *doerCall
	idle time.Duration // how long each read may take; if zero, as long as the call has
	max  int64         // if not positive, there is no bound
	read int64
}

func (b *responseBody) Read(p []byte) (int, error) {
	if b.idle > 0 {
		b.call.timer.Reset(b.idle)
		defer b.call.timer.Stop()
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	switch {
	case b.max > 0 && b.read > b.max:
		n = max(0, n-int(b.read-b.max))
		return n, NewError(b.resp, nil, fmt.Errorf("the response is longer than %d bytes", b.max))
	case err == nil || err == io.EOF:
		return n, err
	case context.Cause(b.ctx) == errTimeout: //nolint:errorlint // the very cause that the deadline sets
		err = context.DeadlineExceeded
	}
	return n, NewError(b.resp, nil, err)
}

func (b *responseBody) Close() error {
	err := b.ReadCloser.Close()
	b.call.end()
	return err
}

// isJSON reports whether a media type is JSON's or built on it (RFC 6839, section 3.1).
func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		mediaType, _, _ = strings.Cut(strings.ToLower(contentType), ";")
		mediaType = strings.TrimSpace(mediaType)
	}
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}
