package oauthclients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
	"github.com/grantwright/oauth-go/tokens"
)

// SailPoint manages the OAuth clients of one tenant. Make it with [NewSailPoint]; it is safe for concurrent use.
type SailPoint struct {
	api        *sailpoint.Client
	stream     *sailpoint.Client // of All: without a bound of time or size
	maxElement int64
	logger     *slog.Logger
}

// SailPointOptions are the settings of [SailPoint].
type SailPointOptions struct {
	// BaseURL is the origin of the tenant's API, for a Source that has none. If both have one, they must be of the same
	// origin.
	BaseURL string
	// Version is the API version. Empty: VersionBeta.
	Version Version
	// HTTPClient is used as in tokens.DoerOptions. Nil: one with http.DefaultTransport.
	HTTPClient *http.Client
	// Retry holds for calls that have none of their own from tokens.WithRetry.
	Retry tokens.Retry
	// Timeout bounds a call with its retries and its body; All, until the list begins. 0: 30 s.
	Timeout time.Duration
	// IdleTimeout bounds the wait of All for each further part of the list. 0: 30 s.
	IdleTimeout time.Duration
	// MaxBody bounds an answer in bytes, that to List included; All has no such bound. 0: 64 MiB. Negative: no bound.
	MaxBody int64
	// MaxElement bounds each client of a list in bytes. 0: 1 MiB. Negative: no bound.
	MaxElement int64
	// Logger is told of each repetition, and of lists that may be cut. Nil: silent.
	Logger *slog.Logger
}

// originOf returns the origin of the API: that of src, found behind Unwrap methods, or the one that the caller gave.
func originOf(src tokens.Source, given string) (string, error) {
	if s, ok := tokens.As[interface{ BaseURL() string }](src); ok && s.BaseURL() != "" {
		return s.BaseURL(), nil
	}
	if given == "" {
		return "", errors.New("BaseURL is empty and the Source has none; set BaseURL to the origin of the tenant's API")
	}
	return given, nil
}

const (
	defaultIdleTimeout = 30 * time.Second
	defaultMaxElement  = 1 << 20
)

// NewSailPoint returns the OAuth clients of the tenant that src's tokens are for: the origin of its API, such as
// https://{tenant}.api.identitynow.com, is that of src, if src has a BaseURL() string method, as a tokens.Cache has, else
// opts.BaseURL. The tokens go there and nowhere else. If opts is nil, the defaults are used.
//
// It fails if there is no origin, if src's and opts.BaseURL differ, if the origin is neither https nor loopback or has an
// API version in it, if src is nil, and if the version is unknown.
func NewSailPoint(src tokens.Source, opts *SailPointOptions) (*SailPoint, error) {
	var o SailPointOptions
	if opts != nil {
		o = *opts
	}
	if src == nil {
		return nil, errors.New("oauthclients: the token source is nil; pass a tokens.Cache or tokens.Static")
	}
	origin, err := originOf(src, o.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("oauthclients: %w", err)
	}
	server, editors, err := o.Version.server(origin)
	if err != nil {
		return nil, fmt.Errorf("oauthclients: %w", err)
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = defaultIdleTimeout
	}
	if o.MaxElement == 0 {
		o.MaxElement = defaultMaxElement
	}
	doerOpts := tokens.DoerOptions{
		BaseURL: origin, HTTPClient: o.HTTPClient, Retry: o.Retry, Timeout: o.Timeout, MaxBody: o.MaxBody, Logger: o.Logger,
	}
	streamOpts := doerOpts
	streamOpts.IdleTimeout, streamOpts.MaxBody = o.IdleTimeout, -1

	s := &SailPoint{maxElement: o.MaxElement, logger: o.Logger}
	for _, c := range []struct {
		client **sailpoint.Client
		opts   tokens.DoerOptions
	}{{&s.api, doerOpts}, {&s.stream, streamOpts}} {
		doer, err := tokens.NewDoer(src, &c.opts)
		if err != nil {
			return nil, fmt.Errorf("oauthclients: %w", err)
		}
		if *c.client, err = sailpoint.NewClient(server, append(editors, sailpoint.WithHTTPClient(doer))...); err != nil {
			return nil, fmt.Errorf("oauthclients: %w", err)
		}
	}
	return s, nil
}

// Get returns a client by its id: GET /oauth-clients/{id}. Its Secret is nil.
//
// Needs sp:oauth-client:read or sp:oauth-client:manage; the only one of these calls that a client without a user may
// make. Errors: 400, 401, 403, 404, 429, 500.
func (s *SailPoint) Get(ctx context.Context, id string) (*sailpoint.OAuthClient, error) {
	if err := checkID(id); err != nil {
		return nil, fmt.Errorf("oauthclients: get: %w", err)
	}
	resp, err := s.api.GetOAuthClient(ctx, id) //nolint:bodyclose // readClient closes it
	if err != nil {
		return nil, err
	}
	return readClient(resp)
}

// Patch changes a client by JSON Patch (RFC 6902), all operations or none, and returns it as it is then:
// PATCH /oauth-clients/{id}. The operations are sent as they are, null kept.
//
// Needs sp:oauth-client:manage and a user. Errors: 400 (also for a field that cannot be patched), 401, 403, 404, 429,
// 500. A patch is repeated only where the vendor cannot have acted on it.
func (s *SailPoint) Patch(ctx context.Context, id string, ops ...jsonpatch.Operation) (*sailpoint.OAuthClient, error) {
	if err := checkID(id); err != nil {
		return nil, fmt.Errorf("oauthclients: patch: %w", err)
	}
	if len(ops) == 0 {
		return nil, errors.New("oauthclients: patch: there are no operations; pass at least one")
	}
	// The generated method for typed operations would escape <, > and & in their values.
	body, err := jsonpatch.Patch(ops).MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("oauthclients: patch: %w", err)
	}
	resp, err := s.api.PatchOAuthClientWithBody(ctx, id, "application/json-patch+json", bytes.NewReader(body)) //nolint:bodyclose // readClient closes it
	if err != nil {
		return nil, err
	}
	return readClient(resp)
}

// A DeleteOption changes one [SailPoint.Delete].
type DeleteOption int

// AllowMissing makes it a success that no client has the id: it is gone already. The 404 of a token endpoint is an
// error all the same.
const AllowMissing DeleteOption = 1

// Delete deletes a client: DELETE /oauth-clients/{id}.
//
// Needs sp:oauth-client:manage and a user. Errors: 400, 401, 403, 404 (but see [AllowMissing]), 429, 500. After a broken
// connection the request is repeated, and 404 may then mean that the first one did it.
func (s *SailPoint) Delete(ctx context.Context, id string, opts ...DeleteOption) error {
	if err := checkID(id); err != nil {
		return fmt.Errorf("oauthclients: delete: %w", err)
	}
	resp, err := s.api.DeleteOAuthClient(ctx, id, anyMediaType)
	if slices.Contains(opts, AllowMissing) && !errors.Is(err, tokens.ErrNoToken) && errors.Is(err, tokens.Status(http.StatusNotFound)) {
		return nil
	}
	if err != nil {
		return err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // keeps the connection in use; the body itself says nothing
	_ = resp.Body.Close()
	return nil
}

// readClient reads the answer to Get or Patch.
func readClient(resp *http.Response) (*sailpoint.OAuthClient, error) {
	data, err := readBody(resp)
	if err != nil {
		return nil, err
	}
	client := new(sailpoint.OAuthClient)
	if err := decodeClient(resp, data, client); err != nil {
		return nil, err
	}
	return client, nil
}

// anyMediaType asks for what the Doer would ask for, and by that keeps it from refusing a success that is labelled as
// something else.
func anyMediaType(_ context.Context, req *http.Request) error {
	req.Header.Set("Accept", "application/json, application/problem+json")
	return nil
}

// checkID refuses an id that would make another path, here or at a server that unescapes before it looks.
func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("the id is empty")
	case id == ".", id == "..", strings.ContainsAny(id, `/\`), strings.ContainsFunc(id, unicode.IsControl):
		return fmt.Errorf("the id %q would change the path; pass the id of a client as the vendor gave it", id)
	}
	return nil
}
