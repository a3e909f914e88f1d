package grpccreds_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/grpccreds"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// renewing is a Source whose token changes with each Invalidate.
type renewing struct {
	baseURL string
	fixed   bool // Invalidate does nothing

	mu          sync.Mutex
	generation  int
	invalidated []string
}

func (r *renewing) BaseURL() string { return r.baseURL }

func (r *renewing) Token(context.Context) (*tokens.Token, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &tokens.Token{AccessToken: "canary-" + strconv.Itoa(r.generation), TokenType: "Bearer"}, nil
}

func (r *renewing) Invalidate(rejected *tokens.Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.invalidated = append(r.invalidated, rejected.AccessToken)
	if !r.fixed {
		r.generation++
	}
}

// wrapped is a Source that has only Token and Unwrap.
type wrapped struct{ src tokens.Source }

func (w wrapped) Token(ctx context.Context) (*tokens.Token, error) { return w.src.Token(ctx) }
func (w wrapped) Unwrap() tokens.Source                            { return w.src }

type sourceFunc func() (*tokens.Token, error)

func (f sourceFunc) Token(context.Context) (*tokens.Token, error) { return f() }

// server is a gRPC server over TLS that accepts one token.
type server struct {
	addr   string
	pool   *x509.CertPool
	accept string

	mu   sync.Mutex
	seen []string
}

func (s *server) check(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	got := fmt.Sprint(md.Get("authorization"))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, got)
	if got != "[Bearer "+s.accept+"]" {
		return status.Error(codes.Unauthenticated, "bad token")
	}
	return nil
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func serve(t *testing.T, accept string) *server {
	t.Helper()
	borrowed := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	cert := borrowed.TLS.Certificates[0]
	pool := x509.NewCertPool()
	pool.AddCert(borrowed.Certificate())
	borrowed.Close()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{addr: listener.Addr().String(), pool: pool, accept: accept}
	g := grpc.NewServer(
		grpc.Creds(credentials.NewServerTLSFromCert(&cert)),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := s.check(ctx); err != nil {
				return nil, err
			}
			return handler(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if err := s.check(stream.Context()); err != nil {
				return err
			}
			return handler(srv, stream)
		}))
	healthpb.RegisterHealthServer(g, health.NewServer())
	go func() { _ = g.Serve(listener) }()
	t.Cleanup(g.Stop)
	return s
}

func (s *server) dial(t *testing.T, creds *grpccreds.Credentials) healthpb.HealthClient {
	t.Helper()
	conn, err := grpc.NewClient(s.addr,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: s.pool, MinVersion: tls.VersionTLS12})),
		grpc.WithPerRPCCredentials(creds),
		grpc.WithUnaryInterceptor(creds.UnaryInterceptor),
		grpc.WithStreamInterceptor(creds.StreamInterceptor))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return healthpb.NewHealthClient(conn)
}

func TestUnaryCallIsRepeatedOnceWithAnotherToken(t *testing.T) {
	for _, tt := range []struct {
		name   string
		accept string
		fixed  bool
		want   codes.Code
		seen   []string
	}{
		{"accepted", "canary-0", false, codes.OK, []string{"[Bearer canary-0]"}},
		{"renewed", "canary-1", false, codes.OK, []string{"[Bearer canary-0]", "[Bearer canary-1]"}},
		{"refused again", "other", false, codes.Unauthenticated, []string{"[Bearer canary-0]", "[Bearer canary-1]"}},
		{"no other token", "other", true, codes.Unauthenticated, []string{"[Bearer canary-0]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, tt.accept)
			src := &renewing{baseURL: "https://" + s.addr + "/v1", fixed: tt.fixed}
			creds, err := grpccreds.New(wrapped{src}, "")
			require.NoError(t, err)
			_, err = s.dial(t, creds).Check(t.Context(), &healthpb.HealthCheckRequest{})
			assert.Equal(t, tt.want, status.Code(err), err)
			assert.Equal(t, tt.seen, s.requests())
		})
	}
}

func TestStreamInvalidatesTheTokenItWasBegunWith(t *testing.T) {
	s := serve(t, "canary-1")
	src := &renewing{baseURL: "https://" + s.addr}
	creds, err := grpccreds.New(src, "")
	require.NoError(t, err)
	client := s.dial(t, creds)

	stream, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	assert.Equal(t, codes.Unauthenticated, status.Code(err))
	assert.Equal(t, []string{"canary-0"}, src.invalidated)

	stream, err = client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	assert.NoError(t, err)
}

// A refused call is retried only if it sent a token, and there is another one.
func TestRefusedCallIsRetriedOnlyWithAnotherToken(t *testing.T) {
	refused := status.Error(codes.Unauthenticated, "bad token")
	for _, tt := range []struct {
		name     string
		src      tokens.Source
		noToken  bool // the call sends no token
		attempts int
	}{
		{"another token", &renewing{}, false, 2},
		{"a Source that cannot renew", tokens.Static("canary"), false, 1},
		{"no token was sent", &renewing{}, true, 1},
		{"a renewal that fails", &failing{renewing: &renewing{}}, false, 1},
		{"a renewal without a token", &emptied{renewing: &renewing{}}, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			creds, err := grpccreds.New(tt.src, "https://api.example.com")
			require.NoError(t, err)
			attempts := 0
			err = creds.UnaryInterceptor(t.Context(), "/x", nil, nil, nil, func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
				attempts++
				if !tt.noToken {
					_, err := creds.GetRequestMetadata(ctx, "https://api.example.com/x")
					require.NoError(t, err)
				}
				return refused
			})
			require.ErrorIs(t, err, refused)
			assert.Equal(t, tt.attempts, attempts)
		})
	}
}

// failing returns its token together with an error after it was invalidated.
type failing struct {
	*renewing
}

func (f *failing) Token(ctx context.Context) (*tokens.Token, error) {
	token, err := f.renewing.Token(ctx)
	if len(f.invalidated) > 0 {
		err = tokens.ErrNoToken
	}
	return token, err
}

// emptied returns nothing after its token was invalidated.
type emptied struct {
	*renewing
}

func (e *emptied) Token(ctx context.Context) (*tokens.Token, error) {
	if len(e.invalidated) > 0 {
		return nil, nil //nolint:nilnil // what some Sources do
	}
	return e.renewing.Token(ctx)
}

// If a stream cannot be started, its error is returned, and its token is dropped only if the server refused it.
func TestStreamThatCannotStart(t *testing.T) {
	for code, dropped := range map[codes.Code][]string{codes.Unauthenticated: {"canary-0"}, codes.PermissionDenied: nil} {
		src := &renewing{}
		creds, err := grpccreds.New(src, "https://api.example.com")
		require.NoError(t, err)
		stream, err := creds.StreamInterceptor(t.Context(), nil, nil, "/x", func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
			_, err := creds.GetRequestMetadata(ctx, "https://api.example.com/x")
			require.NoError(t, err)
			return nil, status.Error(code, "refused")
		})
		assert.Nil(t, stream)
		assert.Equal(t, code, status.Code(err))
		assert.Equal(t, dropped, src.invalidated, code)
	}

	src := &renewing{}
	creds, err := grpccreds.New(src, "https://api.example.com")
	require.NoError(t, err)
	_, err = creds.StreamInterceptor(t.Context(), nil, nil, "/x", func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
		return nil, status.Error(codes.Unauthenticated, "refused before it asked for a token")
	})
	assert.Equal(t, codes.Unauthenticated, status.Code(err))
	assert.Empty(t, src.invalidated)

	creds, err = grpccreds.New(tokens.Static("canary"), "https://api.example.com") // it cannot drop a token
	require.NoError(t, err)
	_, err = creds.StreamInterceptor(t.Context(), nil, nil, "/x", func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
		_, err := creds.GetRequestMetadata(ctx, "https://api.example.com/x")
		require.NoError(t, err)
		return nil, status.Error(codes.Unauthenticated, "refused")
	})
	assert.Equal(t, codes.Unauthenticated, status.Code(err))
}

func TestTokenGoesToOneOriginOnly(t *testing.T) {
	s := serve(t, "canary-0")
	creds, err := grpccreds.New(&renewing{baseURL: "https://api.example.com"}, "")
	require.NoError(t, err)
	_, err = s.dial(t, creds).Check(t.Context(), &healthpb.HealthCheckRequest{})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "canary")
	assert.Empty(t, s.requests(), "nothing is sent")
}

func TestTokenIsNotSentInTheClear(t *testing.T) {
	creds, err := grpccreds.New(&renewing{baseURL: "https://api.example.com"}, "")
	require.NoError(t, err)
	_, err = grpc.NewClient("127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(creds))
	assert.Error(t, err, "gRPC refuses credentials that need a private connection")

	ctx := credentials.NewContextWithRequestInfo(t.Context(), credentials.RequestInfo{AuthInfo: insecureInfo{}})
	md, err := creds.GetRequestMetadata(ctx, "https://api.example.com/x")
	assert.Equal(t, codes.FailedPrecondition, status.Code(err))
	assert.Empty(t, md)
}

type insecureInfo struct{ credentials.CommonAuthInfo }

func (insecureInfo) AuthType() string { return "none" }

func (i insecureInfo) GetCommonAuthInfo() credentials.CommonAuthInfo {
	return credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}
}

func TestStatusOfACallWithoutAToken(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name  string
		ctx   context.Context
		token *tokens.Token
		err   error
		want  codes.Code
	}{
		{"endpoint down", t.Context(), nil, tokens.ErrNoToken, codes.Unavailable},
		{"login required", t.Context(), nil, fmt.Errorf("no login: %w", tokens.ErrLoginRequired), codes.Unauthenticated},
		{"canceled", ended, nil, context.Canceled, codes.Canceled},
		{"no token and no error", t.Context(), nil, nil, codes.Unavailable},
		{"an empty token", t.Context(), &tokens.Token{RefreshToken: "canary"}, nil, codes.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			creds, err := grpccreds.New(sourceFunc(func() (*tokens.Token, error) { return tt.token, tt.err }), "https://api.example.com")
			require.NoError(t, err)
			_, err = creds.GetRequestMetadata(tt.ctx, "https://api.example.com/x")
			assert.Equal(t, tt.want, status.Code(err), err)
		})
	}
}

func TestNewBadInput(t *testing.T) {
	for _, tt := range []struct {
		src     tokens.Source
		baseURL string
		want    string
	}{
		{nil, "https://api.example.com", "grpccreds: the Source is nil; pass a tokens.Cache"},
		{tokens.Static("canary"), "", "grpccreds: baseURL is empty and the Source has none; pass https://host"},
		{tokens.Static("canary"), "http://api.example.com", "grpccreds: the base URL is not https://host"},
		{tokens.Static("canary"), "https:///canary", "grpccreds: the base URL is not https://host"},
		{tokens.Static("canary"), "https://api.example.com:canary", "grpccreds: the base URL is not https://host"},
		{tokens.Static("canary"), "https://user:canary@api.example.com", "grpccreds: the base URL is not https://host"},
		{&renewing{baseURL: "https://a.example.com"}, "https://b.example.com", "grpccreds: baseURL is of b.example.com but the Source's tokens are for a.example.com; leave baseURL empty"},
	} {
		_, err := grpccreds.New(tt.src, tt.baseURL)
		assert.EqualError(t, err, tt.want)
	}
	creds, err := grpccreds.New(&renewing{baseURL: "https://API.example.com:443/v7"}, "https://api.example.com")
	require.NoError(t, err)
	assert.Equal(t, "grpccreds.Credentials(api.example.com)", fmt.Sprintf("%+v", creds))
	assert.Equal(t, "grpccreds.Credentials(nil)", fmt.Sprint((*grpccreds.Credentials)(nil)))

	var zero grpccreds.Credentials
	_, err = zero.GetRequestMetadata(t.Context())
	assert.ErrorContains(t, err, "make them with New")
	_, err = (*grpccreds.Credentials)(nil).GetRequestMetadata(t.Context())
	assert.ErrorContains(t, err, "make them with New")
}
