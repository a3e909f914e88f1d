//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Server is a database that a test can stop, kill and restart on the same port.
type Server struct {
	// Addr is host:port.
	Addr string

	tb      testing.TB
	command func() *exec.Cmd
	clear   func()
	ready   func() error
	running *exec.Cmd
	alive   *os.File // at its end when all processes of the server have exited, which inherit its writing end
	log     string
}

// Stop shuts the server down in an orderly way and waits until it has exited.
func (s *Server) Stop() { s.signal(syscall.SIGINT) }

// Kill kills the server, as in a crash, and waits until all of its processes have exited.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

func (s *Server) signal(sig syscall.Signal) {
	s.tb.Helper()
	if s.running == nil {
		return
	}
	if err := s.running.Process.Signal(sig); err != nil {
		s.tb.Logf("%s: %v", s.Addr, err)
	}
	_ = s.running.Wait() // the exit status does not matter
	// PostgreSQL's processes for connections notice a moment later, and still answer until then.
	_, _ = io.Copy(io.Discard, s.alive)
	_ = s.alive.Close()
	s.running = nil
}

// Clear deletes the data of a stopped server.
func (s *Server) Clear() { s.clear() }

// Start starts the server and waits until it accepts requests.
func (s *Server) Start() {
	s.tb.Helper()
	cmd := s.command()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	alive, inherited, err := os.Pipe()
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = inherited.Close() }()
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{inherited}
	if err := cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	s.running, s.alive = cmd, alive
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(20 * time.Millisecond) {
		err := s.ready()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(s.log)
			s.tb.Fatalf("%s does not serve: %v\n%s", cmd.Path, err, text)
		}
	}
}

// Redis starts redis-server or valkey-server with an append-only file and appendfsync always.
func Redis(tb testing.TB) *Server {
	tb.Helper()
	return startRedis(tb)
}

// RedisCluster starts redis-server or valkey-server as the only node of a cluster without slots.
func RedisCluster(tb testing.TB) *Server {
	tb.Helper()
	return startRedis(tb, "--cluster-enabled", "yes", "--cluster-port", freePort(tb))
}

func startRedis(tb testing.TB, args ...string) *Server {
	tb.Helper()
	path := find(tb, "redis-server", "valkey-server")
	dir, port := tb.TempDir(), freePort(tb)
	s := &Server{Addr: "127.0.0.1:" + port, tb: tb, log: filepath.Join(dir, "log")}
	data := filepath.Join(dir, "data")
	s.ready = func() error {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", s.Addr)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	s.command = func() *exec.Cmd {
		return exec.CommandContext(context.Background(), path, append([]string{
			"--bind", "127.0.0.1", "--port", port, "--dir", data, "--save", "",
			"--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no",
		}, args...)...)
	}
	s.clear = func() {
		if err := os.RemoveAll(data); err != nil {
			tb.Fatal(err)
		}
		if err := os.Mkdir(data, 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	s.clear()
	s.Start()
	tb.Cleanup(s.Kill)
	return s
}

// Postgres starts postgres. Its user, password and database are "postgres".
func Postgres(tb testing.TB) *Server {
	tb.Helper()
	path := find(tb, "postgres")
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	initdb := filepath.Join(filepath.Dir(path), "initdb")
	if _, err := os.Stat(initdb); err != nil {
		tb.Skipf("initdb is not beside %s", path)
	}
	// PostgreSQL refuses to run as root.
	attr := unprivileged(tb)
	dir, err := os.MkdirTemp("", "postgres") //nolint:usetesting // only root may enter the parent of tb.TempDir
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	if attr.Credential != nil {
		if err := os.Chown(dir, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			tb.Fatal(err)
		}
	}
	port, data := freePort(tb), filepath.Join(dir, "data")
	s := &Server{Addr: "127.0.0.1:" + port, tb: tb, log: filepath.Join(dir, "log")}
	s.command = func() *exec.Cmd {
		cmd := exec.CommandContext(context.Background(), path, "-D", data, "-h", "127.0.0.1", "-p", port, "-k", "")
		cmd.SysProcAttr, cmd.Dir = attr, dir
		return cmd
	}
	s.clear = func() {
		if err := os.RemoveAll(data); err != nil {
			tb.Fatal(err)
		}
		cmd := exec.CommandContext(context.Background(), initdb, "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
		cmd.SysProcAttr, cmd.Dir = attr, dir
		if out, err := cmd.CombinedOutput(); err != nil {
			tb.Fatalf("initdb: %v\n%s", err, out)
		}
	}
	s.ready = func() error { // a recovering server accepts connections before it accepts queries
		return exec.CommandContext(context.Background(), filepath.Join(filepath.Dir(path), "pg_isready"), "-h", "127.0.0.1", "-p", port).Run()
	}
	s.clear()
	s.Start()
	tb.Cleanup(s.Stop)
	return s
}

// PostgresURL returns the connection string of a server that Postgres started.
func (s *Server) PostgresURL() string {
	return "postgres://postgres@" + s.Addr + "/postgres?sslmode=disable"
}

// find returns the path of the first program that is installed.
func find(tb testing.TB, names ...string) string {
	tb.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + names[0]); len(installed) > 0 {
		return installed[len(installed)-1]
	}
	tb.Skipf("%s is not installed", strings.Join(names, " or "))
	return ""
}

// freePort returns a free port below the ephemeral ports, so that it is still free when the server is restarted.
func freePort(tb testing.TB) string {
	tb.Helper()
	for {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:"+port)
		switch {
		case err == nil:
			_ = l.Close()
			return port
		case !errors.Is(err, syscall.EADDRINUSE):
			tb.Fatal(err)
		}
	}
}

// unprivileged returns attributes that start a process as a user other than root.
func unprivileged(tb testing.TB) *syscall.SysProcAttr {
	tb.Helper()
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{}
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			var uid, gid uint32
			if _, err := fmt.Sscan(u.Uid+" "+u.Gid, &uid, &gid); err == nil {
				return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
			}
		}
	}
	tb.Skip("postgres does not run as root, and there is no user postgres or nobody")
	return nil
}
