package oauthclients

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/tokens"
)

// A SailPoint manages the OAuth clients of one tenant. Make it with [NewSailPoint]; it is safe for concurrent use. The
// methods of the zero SailPoint return errors.
type SailPoint struct {
	api        *sailpoint.Client
	stream     *sailpoint.Client // for All: without a limit on time and size
	maxElement int64
	logger     *slog.Logger
}

// SailPointOptions are the options of [NewSailPoint].
type SailPointOptions struct {
	// BaseURL is the origin of the tenant's API, such as https://{tenant}.api.identitynow.com. It is required for a Source
	// that has none. If both have one, they must have the same origin.
	BaseURL string
	// Version is the API version. If empty, it is VersionBeta.
	Version Version
	// HTTPClient sends the requests, as in tokens.DoerOptions. If nil, http.DefaultTransport is used.
	HTTPClient *http.Client
	// Header is added to each request, except for names that the request already has.
	Header http.Header
	// Retry is the retry policy of calls whose context has none from tokens.WithRetry.
	Retry tokens.Retry
	// Timeout limits a call, including its retries and reading its body; for All, it limits the time until the list
	// begins. If zero, it is 30 s.
	Timeout time.Duration
	// IdleTimeout limits how long All waits for each further part of the list. If zero, it is 30 s.
	IdleTimeout time.Duration
	// MaxBody is the maximum size of a response in bytes, including that to List, but not to All. If zero, it is 64 MiB.
	// If negative, there is no limit.
	MaxBody int64
	// MaxElement is the maximum size of each client of a list in bytes. If zero, it is 1 MiB. If negative, there is no
	// limit.
	MaxElement int64
	// Limiter delays requests while a rate limit is in force, as in tokens.DoerOptions. If nil, it is that of the Source,
	// or else a new one.
	Limiter *tokens.Limiter
	// Logger receives a line for each request that is repeated, for lists that may be incomplete, and when the Limiter
	// closes and opens. If nil, nothing is logged.
	Logger *slog.Logger
}

// Format prints only the version, because headers and the client may hold secrets.
func (o SailPointOptions) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "oauthclients.SailPointOptions(%s)", cmp.Or(o.Version, VersionBeta))
}

// MarshalText returns what Format prints, for logs in JSON.
func (o SailPointOptions) MarshalText() ([]byte, error) { return fmt.Append(nil, o), nil }

const (
	defaultIdleTimeout = 30 * time.Second
	defaultMaxElement  = 1 << 20
)

// NewSailPoint returns a SailPoint for the tenant that src's tokens are for. It sends the tokens to one origin and to
// no other: that of src, if src or a Source that it wraps (see [tokens.As]) has a BaseURL() string method, as a
// tokens.Cache does, or else opts.BaseURL. If opts is nil, the defaults are used.
//
// NewSailPoint fails if src is nil, if there is no origin, if src and opts.BaseURL have different ones, if the origin
// is neither https nor loopback or has an API version in its path, or if the version is unknown.
func NewSailPoint(src tokens.Source, opts *SailPointOptions) (*SailPoint, error) {
	s, err := newSailPoint(src, opts)
	if err != nil {
		return nil, fmt.Errorf("oauthclients: %w", err)
	}
	return s, nil
}

func newSailPoint(src tokens.Source, opts *SailPointOptions) (*SailPoint, error) {
	if src == nil {
		return nil, errors.New("the token source is nil; pass a tokens.Cache or tokens.Static")
	}
	var o SailPointOptions
	if opts != nil {
		o = *opts
	}
	origin, limiter := o.BaseURL, o.Limiter
	if source, ok := tokens.As[interface{ BaseURL() string }](src); ok && source.BaseURL() != "" {
		origin = cmp.Or(origin, source.BaseURL())
		if l, ok := tokens.As[interface{ Limiter() *tokens.Limiter }](src); ok {
			limiter = cmp.Or(limiter, l.Limiter())
		}
	}
	server, editors, err := o.Version.server(origin)
	if err != nil {
		return nil, err
	}
	newClient := func(o tokens.DoerOptions) (*sailpoint.Client, error) {
		doer, err := tokens.NewDoer(src, &o)
		if err != nil {
			return nil, err
		}
		return sailpoint.NewClient(server, append(editors, sailpoint.WithHTTPClient(doer))...)
	}
	s := &SailPoint{maxElement: cmp.Or(o.MaxElement, defaultMaxElement), logger: o.Logger}
	do := tokens.DoerOptions{
		BaseURL: o.BaseURL, HTTPClient: o.HTTPClient, Header: o.Header, Retry: o.Retry, Timeout: o.Timeout, MaxBody: o.MaxBody, Logger: o.Logger,
		Limiter: cmp.Or(limiter, new(tokens.Limiter)), // shared by both clients
	}
	if s.api, err = newClient(do); err != nil {
		return nil, err
	}
	do.IdleTimeout, do.MaxBody = cmp.Or(o.IdleTimeout, defaultIdleTimeout), -1
	if s.stream, err = newClient(do); err != nil {
		return nil, err
	}
	return s, nil
}

// Get returns the client with this id: GET /oauth-clients/{id}. Its Secret is nil.
//
// Get needs the scope sp:oauth-client:read or sp:oauth-client:manage. It is the only one of these calls that does not
// need a user. The vendor documents errors 400, 401, 403, 404, 429 and 500.
func (s *SailPoint) Get(ctx context.Context, id string) (*sailpoint.OAuthClient, error) {
	if err := cmp.Or(s.check(ctx), checkID(id)); err != nil {
		return nil, fmt.Errorf("oauthclients: get: %w", err)
	}
	resp, err := s.api.GetOAuthClient(ctx, id) //nolint:bodyclose // readClient closes it
	if err != nil {
		return nil, err
	}
	return readClient(resp)
}

// Patch applies a JSON Patch (RFC 6902) to a client, all operations or none, and returns the changed client: PATCH
// /oauth-clients/{id}. The operations are sent as they are, including nulls.
//
// Patch needs the scope sp:oauth-client:manage and a user. The vendor documents errors 400, 401, 403, 404, 429 and 500.
// A failed test is a 400, and so is an invalid patch, such as one of a field that cannot be patched; call Get to tell
// them apart. A patch is retried only if the vendor cannot have acted on it. If the response is lost or the server
// fails, the error says that the patch may have been applied.
func (s *SailPoint) Patch(ctx context.Context, id string, ops ...jsonpatch.Operation) (*sailpoint.OAuthClient, error) {
	if err := cmp.Or(s.check(ctx), checkID(id)); err != nil {
		return nil, fmt.Errorf("oauthclients: patch: %w", err)
	}
	if len(ops) == 0 {
		return nil, errors.New("oauthclients: patch: there are no operations; pass at least one")
	}
	// The generated method for typed operations would escape <, > and & in values.
	body, err := jsonpatch.Patch(ops).MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("oauthclients: patch: %w", err)
	}
	resp, err := s.api.PatchOAuthClientWithBody(ctx, id, "application/json-patch+json", bytes.NewReader(body)) //nolint:bodyclose // readClient closes it
	switch {
	case mayBeDone(err):
		return nil, fmt.Errorf("oauthclients: patch: the patch may have been applied: %w", err)
	case err != nil:
		return nil, err
	}
	return readClient(resp)
}

// A DeleteOption is an option of [SailPoint.Delete].
type DeleteOption func(*deleteOptions)

type deleteOptions struct{ allowMissing bool }

// AllowMissing makes Delete succeed if no client has the id, because it was deleted before. A 404 of the token endpoint
// is still an error.
func AllowMissing() DeleteOption { return func(o *deleteOptions) { o.allowMissing = true } }

// Delete deletes a client: DELETE /oauth-clients/{id}.
//
// Delete needs the scope sp:oauth-client:manage and a user. The vendor documents errors 400, 401, 403, 404 (but see
// [AllowMissing]), 429 and 500. After a broken connection the request is retried; a 404 may then mean that the first
// request deleted the client.
func (s *SailPoint) Delete(ctx context.Context, id string, opts ...DeleteOption) error {
	var o deleteOptions
	for _, opt := range opts {
		if opt == nil {
			return errors.New("oauthclients: delete: an option is nil")
		}
		opt(&o)
	}
	if err := cmp.Or(s.check(ctx), checkID(id)); err != nil {
		return fmt.Errorf("oauthclients: delete: %w", err)
	}
	resp, err := s.api.DeleteOAuthClient(ctx, id, anyMediaType)
	if o.allowMissing && errors.Is(err, tokens.Status(http.StatusNotFound)) {
		return nil
	}
	if err != nil {
		return err
	}
	_ = resp.Body.Close() // the body is of no use, and reading it could take until Timeout
	return nil
}

// check returns an error if s or ctx is nil or zero, where use would panic.
func (s *SailPoint) check(ctx context.Context) error {
	switch {
	case s == nil || s.api == nil:
		return errors.New("the SailPoint is zero; make it with NewSailPoint")
	case ctx == nil:
		return errors.New("the context is nil; pass context.Background() if there is no other")
	}
	return nil
}

// checkID returns an error for an id that would change the path, here or on a server that unescapes it first, and for
// one with invisible characters: with AllowMissing, Delete would report success although the client still exists.
func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("the id is empty")
	case id == ".", id == "..", strings.ContainsAny(id, `/\`):
		return fmt.Errorf("the id %q would change the path; pass the id of a client as the vendor returned it", id)
	case !utf8.ValidString(id), strings.ContainsFunc(id, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return fmt.Errorf("the id %q has a space or a character that cannot be printed; pass the id of a client as the vendor returned it", id)
	}
	return nil
}
