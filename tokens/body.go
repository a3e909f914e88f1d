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

// DecodeResponse decodes the JSON response of a [Doer] into v and closes its body. A null is an error unless v points
// to a pointer, an interface or a json.Unmarshaler. The error is an [*Error] with the status and the start of the body;
// v may then be partly filled.
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

// unmarshal is like json.Unmarshal, but refuses a null for a struct, map or list.
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
	switch reflect.TypeOf(v).Elem().Kind() { // a pointer; otherwise json.Unmarshal would have failed
	case reflect.Pointer, reflect.Interface:
		return nil
	default:
		return errNull
	}
}

var errNull = errors.New("the response is null")

// readAll reads the body of a response. It allocates once if the length is known.
func readAll(resp *http.Response) ([]byte, error) {
	const maxTrusted = 1 << 20 // limits the allocation for a Content-Length that may be wrong
	var b bytes.Buffer
	b.Grow(int(max(0, min(resp.ContentLength, maxTrusted))) + bytes.MinRead)
	_, err := b.ReadFrom(resp.Body)
	return b.Bytes(), err
}

// notJSON describes a decoding error without quoting the response, as encoding/json may.
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

// errTimeout is the cancellation cause of a call that ran out of time.
var errTimeout = errors.New("timeout")

// responseBody limits the time and the size of a response body, and ends its call when it is closed.
type responseBody struct {
	io.ReadCloser

	resp *http.Response
	ctx  context.Context //nolint:containedctx // only for the reason why a read failed
	call *doerCall
	idle time.Duration // the time limit of each read; if zero, the deadline of the call applies
	max  int64         // if not positive, there is no limit
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

// isJSON reports whether a media type is application/json or ends in +json (RFC 6839, section 3.1).
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
