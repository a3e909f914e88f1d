package grpccreds_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/grpccreds"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A gRPC service accepts the vendor's tokens. The second call has a revoked token; it is retried with a new one.
func ExampleNew() {
	vendors := sandbox.New() // in a program, leave out HTTPClient, which sends requests there
	addr, roots, stop := serveTokensOf(vendors.Moov)
	defer stop()

	endpoint, err := tokens.NewEndpoint(vendors.URL+"/oauth2/token",
		tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
		&tokens.EndpointOptions{BaseURL: "https://" + addr, HTTPClient: vendors.HTTPClient()}) // the tokens are only for that service
	if err != nil {
		log.Fatal(err)
	}
	cache, err := tokens.NewCache(endpoint, &tokens.CacheOptions{Grant: tokens.Grant{Scopes: []string{"/ping.read"}}})
	if err != nil {
		log.Fatal(err)
	}
	creds, err := grpccreds.New(cache, "")
	if err != nil {
		log.Fatal(err)
	}
	conn, err := grpc.NewClient(addr,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})),
		grpc.WithPerRPCCredentials(creds),
		grpc.WithUnaryInterceptor(creds.UnaryInterceptor),
		grpc.WithStreamInterceptor(creds.StreamInterceptor))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close() }()

	client := healthpb.NewHealthClient(conn)
	for range 2 {
		resp, err := client.Check(context.Background(), &healthpb.HealthCheckRequest{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(resp.GetStatus())
		vendors.Moov.RevokeAll()
	}
	fmt.Println("token requests:", vendors.Moov.Count("createAccessToken"))
	// Output:
	// SERVING
	// SERVING
	// token requests: 2
}

// serveTokensOf serves gRPC over TLS to callers with a live token of the vendor.
func serveTokensOf(vendor *sandbox.Moov) (addr string, roots *x509.CertPool, stop func()) {
	borrowed := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	defer borrowed.Close()
	roots = x509.NewCertPool()
	roots.AddCert(borrowed.Certificate())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&borrowed.TLS.Certificates[0])), grpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			token := strings.TrimPrefix(strings.Join(md.Get("authorization"), ""), "Bearer ")
			if _, live := vendor.Lookup(token); !live {
				return nil, status.Error(codes.Unauthenticated, "no live token")
			}
			return handler(ctx, req)
		}))
	healthpb.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), roots, server.Stop
}
