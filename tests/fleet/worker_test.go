//go:build unix

package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
	"github.com/grantwright/oauth-go/tokens/filestore"
	"github.com/grantwright/oauth-go/tokens/pgstore"
	"github.com/grantwright/oauth-go/tokens/redisstore"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// settings are the settings of a worker process.
type settings struct {
	Store   string // redis://host:port, postgres://… or the path of a directory
	Origin  string // the origin of Moov's endpoint
	Session string // if empty, an app's token
	Initial *tokens.Token
}

const settingsVariable = "FLEET_WORKER"

func TestMain(m *testing.M) {
	if s := os.Getenv(settingsVariable); s != "" {
		work(s)
		return
	}
	// Most tests wait for something, so more of them can run at a time than there are processors. -parallel replaces this.
	_ = flag.Set("test.parallel", "12")
	os.Exit(m.Run())
}

// An outcome is a worker's result of a command.
type outcome struct {
	Tokens  []string // the distinct access tokens
	Slowest time.Duration
	Expiry  time.Time
	Errors  []string
	Login   bool // an error matched ErrLoginRequired
}

// work is a worker process: it reads commands from standard input, one per line, and prints an outcome for each.
func work(text string) {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		fail(err)
	}
	cache, err := s.cache()
	if err != nil {
		fail(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := out.Encode(obey(cache, lines.Text())); err != nil {
			fail(err)
		}
	}
}

func obey(cache *tokens.Cache, command string) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	name, rest, _ := strings.Cut(command, " ")
	var o outcome
	var err error
	switch name {
	case "ready": // the process has started
	case "token": // token N: N concurrent callers of Token
		var n int
		_, err = fmt.Sscan(rest, &n)
		o.ask(ctx, cache, n)
	case "set": // set REFRESHTOKEN
		err = cache.Set(ctx, &tokens.Token{RefreshToken: rest})
	case "invalidate": // invalidate ACCESSTOKEN
		cache.Invalidate(&tokens.Token{AccessToken: rest})
	case "revoke":
		err = cache.Revoke(ctx)
	case "close":
		err = cache.Close(ctx)
	default:
		err = fmt.Errorf("no such command: %s", name)
	}
	o.add(err)
	return o
}

func (o *outcome) add(err error) {
	if err != nil {
		o.Errors = append(o.Errors, err.Error())
		o.Login = o.Login || errors.Is(err, tokens.ErrLoginRequired)
	}
}

func (o *outcome) ask(ctx context.Context, cache *tokens.Cache, callers int) {
	var mu sync.Mutex
	var running sync.WaitGroup
	start := time.Now()
	for range callers {
		running.Go(func() {
			token, err := cache.Token(ctx)
			took := time.Since(start)
			mu.Lock()
			defer mu.Unlock()
			o.Slowest = max(o.Slowest, took)
			o.add(err)
			if err != nil {
				return
			}
			o.Expiry = token.Expiry
			if !slices.Contains(o.Tokens, token.AccessToken) {
				o.Tokens = append(o.Tokens, token.AccessToken)
			}
		})
	}
	running.Wait()
}

func (s settings) cache() (*tokens.Cache, error) {
	store, err := openStore(s.Store)
	if err != nil {
		return nil, err
	}
	endpoint, err := tokens.NewMoov(
		tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret},
		&tokens.MoovOptions{BaseURL: s.Origin, Origin: "https://www.example.com"})
	if err != nil {
		return nil, err
	}
	opts := &tokens.CacheOptions{Store: store, Session: s.Session, Initial: s.Initial}
	if s.Session == "" {
		opts.Grant = tokens.Grant{Scopes: []string{"/ping.read"}}
	}
	return tokens.NewCache(endpoint, opts)
}

func openStore(at string) (tokens.Store, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "redis":
		return redisstore.New(redis.NewClient(&redis.Options{Addr: u.Host, DialTimeout: time.Second, MaxRetries: 1}), nil)
	case "postgres":
		pool, err := pgxpool.New(context.Background(), at)
		if err != nil {
			return nil, err
		}
		return pgstore.New(pool, nil)
	}
	return filestore.New(at)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
