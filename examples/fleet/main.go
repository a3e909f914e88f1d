// Command fleet shows several processes that share one token. It starts the sandbox and some workers, and prints a line
// per second: which worker fetched, how many token requests there were, and which token each worker has. It also kills
// a worker, and the others continue.
//
//	go run . -workers 4 -for 20s
//	go run . -redis localhost:6379
//
// Without -redis, the workers share files in a temporary directory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	var o options
	flags.StringVar(&o.redis, "redis", "", "host:port of a Redis that the workers share; if empty, they share files")
	flags.IntVar(&o.workers, "workers", 4, "how many processes")
	flags.DurationVar(&o.duration, "for", 20*time.Second, "how long to run")
	flags.DurationVar(&o.life, "life", 5*time.Second, "how long a token lives")
	worker := flags.String("worker", "", "the name of a worker; for the processes that fleet starts itself")
	flags.StringVar(&o.origin, "origin", "", "where the sandbox is; for the processes that fleet starts itself")
	flags.StringVar(&o.folder, "folder", "", "where the files are; for the processes that fleet starts itself")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *worker != "" {
		return work(ctx, o, out)
	}
	if o.workers < 2 {
		return errors.New("-workers must be at least 2: one of them is killed")
	}
	return lead(ctx, o, out)
}

type options struct {
	redis, origin, folder string
	workers               int
	duration, life        time.Duration
}

// A fleet is the leader's view of its workers.
type fleet struct {
	mu       sync.Mutex
	requests int
	lines    map[string]string // the last line of each worker
	alive    map[string]bool
}

func lead(ctx context.Context, o options, out io.Writer) error {
	folder, err := os.MkdirTemp("", "fleet")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	o.folder = folder

	f := &fleet{lines: make(map[string]string), alive: make(map[string]bool)}
	vendor := sandbox.NewMoov(&sandbox.MoovOptions{TokenLife: o.life, ExpiresInSeconds: true})
	server, err := sandbox.Listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth2/token" {
			f.mu.Lock()
			f.requests++
			f.mu.Unlock()
		}
		vendor.ServeHTTP(w, r)
	}))
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	o.origin = server.URL

	ctx, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	program, err := os.Executable()
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	processes := make([]*exec.Cmd, o.workers)
	for i := range processes {
		name := fmt.Sprintf("worker-%d", i+1)
		cmd := exec.CommandContext(ctx, program, "-worker", name, "-origin", o.origin, "-folder", o.folder, "-redis", o.redis)
		cmd.Stdout, cmd.Stderr = &lineWriter{f: f, worker: name}, os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		processes[i], f.alive[name] = cmd, true
		running.Go(func() {
			_ = cmd.Wait() // the worker is killed
			f.mu.Lock()
			defer f.mu.Unlock()
			f.alive[name] = false
		})
	}
	where := "files"
	if o.redis != "" {
		where = "Redis at " + o.redis
	}
	fmt.Fprintf(out, "%d workers share a token of %v through %s\n", o.workers, o.life, where)

	second := time.NewTicker(time.Second)
	defer second.Stop()
	kill := time.After(o.duration / 2)
	for {
		select {
		case <-second.C:
			fmt.Fprintln(out, f.status(o.workers))
		case <-kill:
			_ = processes[0].Process.Kill()
			fmt.Fprintln(out, "worker-1 is killed")
		case <-ctx.Done():
			running.Wait()
			fmt.Fprintf(out, "%d token requests in %v by %d workers\n", f.count(), o.duration, o.workers)
			return nil
		}
	}
}

func (f *fleet) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

func (f *fleet) status(workers int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%2d token requests", f.requests)
	for i := range workers {
		name := fmt.Sprintf("worker-%d", i+1)
		line := f.lines[name]
		if !f.alive[name] {
			line = "dead"
		}
		fmt.Fprintf(&b, " | %d: %s", i+1, line)
	}
	return b.String()
}

// A lineWriter keeps the last line that a worker printed.
type lineWriter struct {
	f      *fleet
	worker string
	rest   string
}

func (w *lineWriter) Write(p []byte) (int, error) {
	text := w.rest + string(p)
	for {
		line, rest, found := strings.Cut(text, "\n")
		if !found {
			w.rest = text
			return len(p), nil
		}
		w.f.mu.Lock()
		w.f.lines[w.worker] = line
		w.f.mu.Unlock()
		text = rest
	}
}
