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
	"strings"
	"time"
)

// DecodeResponse reads the answer of a [Doer] as JSON into v and closes it. The error is an [*Error] that keeps the
// status and the start of the body; v may then be filled in part.
func DecodeResponse(resp *http.Response, v any) error {
	defer func() { _ = resp.Body.Close() }()
	data, err := readAll(resp)
	if err != nil {
		return err // an *Error already
	}
	if err := json.Unmarshal(data, v); err != nil {
		return NewError(resp, data, notJSON(err))
	}
	return nil
}

// readAll reads an answer into one piece of memory where its length is known.
func readAll(resp *http.Response) ([]byte, error) {
	const most = 1 << 20 // to take on trust
	var b bytes.Buffer
	b.Grow(int(max(0, min(resp.ContentLength, most))) + bytes.MinRead)
	_, err := b.ReadFrom(resp.Body)
	return b.Bytes(), err
}

// notJSON says what is wrong with an answer without quoting it, as encoding/json may.
func notJSON(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		return fmt.Errorf("the answer does not fit: member %q is not a %s", t.Field, t.Type)
	}
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("the answer is not JSON at byte %d", s.Offset)
	}
	return errors.New("the answer is not the JSON expected")
}

// errTimeout is the cause of a context that a Doer ended.
var errTimeout = errors.New("timeout")

// timeoutOr returns the error to show for err: context.DeadlineExceeded if the Doer ended ctx.
func timeoutOr(ctx context.Context, err error) error {
	if context.Cause(ctx) != errTimeout { //nolint:errorlint // the very cause set by the Doer
		return err
	}
	if errors.Is(err, ErrNoToken) {
		return noToken(context.DeadlineExceeded)
	}
	return context.DeadlineExceeded
}

// answerBody bounds the time and the size of an answer, and frees what its call holds when it is closed.
type answerBody struct {
	io.ReadCloser

	resp   *http.Response
	ctx    context.Context //nolint:containedctx // asked only why a read failed
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
	most   int64
	read   int64
}

func (b *answerBody) Read(p []byte) (int, error) {
	if b.idle > 0 {
		b.timer.Reset(b.idle)
		defer b.timer.Stop()
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	switch {
	case b.most > 0 && b.read > b.most:
		return 0, NewError(b.resp, nil, fmt.Errorf("the answer is longer than %d bytes", b.most))
	case err == nil || err == io.EOF:
		return n, err
	}
	return n, NewError(b.resp, nil, timeoutOr(b.ctx, err))
}

func (b *answerBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// isJSON tells whether a media type is JSON's or built on it (RFC 6839, section 3.1).
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
