// Package grpccreds sends the tokens of a [tokens.Source] with gRPC calls.
//
//	creds, err := grpccreds.New(cache, "")
//	conn, err := grpc.NewClient("api.example.com:443",
//		grpc.WithTransportCredentials(credentials.NewTLS(nil)),
//		grpc.WithPerRPCCredentials(creds),
//		grpc.WithUnaryInterceptor(creds.UnaryInterceptor),
//		grpc.WithStreamInterceptor(creds.StreamInterceptor))
//
// A token is sent only over TLS, and only to the origin of the Source. A call to any other origin fails before anything
// is sent.
package grpccreds

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/grantwright/oauth-go/tokens"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// Credentials are [credentials.PerRPCCredentials] that send a Source's tokens. They are safe for concurrent use. The
// zero value fails each call without sending anything; make Credentials with [New].
type Credentials struct {
	src  tokens.Source
	host string // lower case, without the default port
}

// New returns Credentials for one origin: that of src, if src or a Source that it wraps (see [tokens.As]) has a
// BaseURL() string method, as a [tokens.Cache] does, or else that of baseURL. The URL must be https; only its scheme
// and host are used. New fails if there is no origin or if the two differ.
func New(src tokens.Source, baseURL string) (*Credentials, error) {
	if src == nil {
		return nil, errors.New("grpccreds: the Source is nil; pass a tokens.Cache")
	}
	own := ""
	if s, ok := tokens.As[interface{ BaseURL() string }](src); ok {
		own = s.BaseURL()
	}
	var host string
	for _, raw := range []string{own, baseURL} {
		if raw == "" {
			continue
		}
		h, err := hostOf(raw)
		switch {
		case err != nil:
			return nil, err
		case host != "" && host != h:
			return nil, fmt.Errorf("grpccreds: baseURL is of %s but the Source's tokens are for %s; leave baseURL empty", h, host)
		}
		host = h
	}
	if host == "" {
		return nil, errors.New("grpccreds: baseURL is empty and the Source has none; pass https://host")
	}
	return &Credentials{src, host}, nil
}

// hostOf returns the host of an https URL without the default port, as gRPC writes it in the URI of a call.
func hostOf(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", errors.New("grpccreds: the base URL is not https://host") // err would quote it
	}
	return strings.TrimSuffix(strings.ToLower(u.Host), ":443"), nil
}

// GetRequestMetadata returns the authorization metadata of a call (RFC 6750, section 2.1). It fails with a gRPC status
// if the call goes to another origin, if the connection is not private, or if the Source returns no token.
func (c *Credentials) GetRequestMetadata(ctx context.Context, uri ...string) (map[string]string, error) {
	if c == nil || c.src == nil {
		return nil, status.Error(codes.Internal, "grpccreds: the zero Credentials cannot be used; make them with New")
	}
	for _, u := range uri {
		if host, err := hostOf(u); err != nil || host != c.host {
			return nil, status.Errorf(codes.FailedPrecondition, "grpccreds: the call goes to %q, and the tokens are for %s", host, c.host)
		}
	}
	if info, ok := credentials.RequestInfoFromContext(ctx); ok {
		if err := credentials.CheckSecurityLevel(info.AuthInfo, credentials.PrivacyAndIntegrity); err != nil {
			return nil, status.Errorf(codes.FailedPrecondition, "grpccreds: a token is not sent in the clear: %v", err)
		}
	}
	t, err := c.src.Token(ctx)
	if err != nil {
		return nil, noToken(ctx, err)
	}
	if t == nil || t.AccessToken == "" {
		return nil, status.Error(codes.Unavailable, "grpccreds: the Source gave no access token")
	}
	if used, ok := ctx.Value(usedKey{}).(*atomic.Pointer[tokens.Token]); ok {
		used.Store(t)
	}
	return map[string]string{"authorization": "Bearer " + t.AccessToken}, nil
}

// noToken returns the gRPC status of a call that got no token: that of its context if that has ended, Unauthenticated
// if a person must log in, and Unavailable otherwise.
func noToken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case errors.Is(err, tokens.ErrLoginRequired):
		return status.Errorf(codes.Unauthenticated, "grpccreds: %v", err)
	}
	return status.Errorf(codes.Unavailable, "grpccreds: %v", err)
}

// RequireTransportSecurity returns true.
func (c *Credentials) RequireTransportSecurity() bool { return true }

// Format prints the host, but not the Source, which may have any type.
func (c *Credentials) Format(f fmt.State, _ rune) {
	if c == nil {
		fmt.Fprint(f, "grpccreds.Credentials(nil)")
		return
	}
	fmt.Fprintf(f, "grpccreds.Credentials(%s)", c.host)
}

// usedKey is the context key of a call's variable for the token that it sent.
type usedKey struct{}

// renewed invalidates a token that the server refused, and reports whether the Source then returns another one.
func (c *Credentials) renewed(ctx context.Context, used *tokens.Token) bool {
	invalidator, ok := tokens.As[tokens.Invalidator](c.src)
	if used == nil || !ok {
		return false
	}
	invalidator.Invalidate(used)
	next, err := c.src.Token(ctx)
	return err == nil && next != nil && next.AccessToken != used.AccessToken
}

// UnaryInterceptor retries a call once with a new token if the server refused its token (Unauthenticated), and the
// Source is a [tokens.Invalidator] that returns another one.
func (c *Credentials) UnaryInterceptor(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var used atomic.Pointer[tokens.Token]
	ctx = context.WithValue(ctx, usedKey{}, &used)
	err := invoker(ctx, method, req, reply, conn, opts...)
	if status.Code(err) != codes.Unauthenticated || !c.renewed(ctx, used.Load()) {
		return err
	}
	return invoker(ctx, method, req, reply, conn, opts...)
}

// StreamInterceptor invalidates the token of a stream that ends with Unauthenticated, so that the next call fetches
// another one. A stream is never restarted, because messages that were sent on it cannot be replayed.
func (c *Credentials) StreamInterceptor(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	used := new(atomic.Pointer[tokens.Token])
	stream, err := streamer(context.WithValue(ctx, usedKey{}, used), desc, conn, method, opts...)
	if err != nil {
		c.invalidate(err, used.Load())
		return nil, err
	}
	return &clientStream{stream, c, used}, nil
}

func (c *Credentials) invalidate(err error, used *tokens.Token) {
	if invalidator, ok := tokens.As[tokens.Invalidator](c.src); ok && used != nil && status.Code(err) == codes.Unauthenticated {
		invalidator.Invalidate(used)
	}
}

// clientStream is a stream that remembers the token that it began with.
type clientStream struct {
	grpc.ClientStream

	creds *Credentials
	used  *atomic.Pointer[tokens.Token]
}

// RecvMsg receives a message or the status of the stream.
func (s *clientStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err != nil {
		s.creds.invalidate(err, s.used.Load())
	}
	return err
}
