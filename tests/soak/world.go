package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

const (
	apps      = 20 // clients of Moov
	perApp    = 5  // Caches of each app, with different scopes
	users     = 2000
	tokenLife = 10 * time.Second
)

// A world is a sandbox with everything that its callers share.
type world struct {
	record     *record
	sandbox    *sandbox.Sandbox
	moov       *sandbox.Moov
	sailpoint  *sandbox.SailPoint
	operations map[vendor][]string
	faults     map[string]int // number of faults by kind

	apps     []*app
	sessions *tokens.Sessions
	cache    *tokens.Cache // for managing OAuth clients
	clients  *oauthclients.SailPoint

	mu      sync.Mutex
	created map[string]string // secrets of existing clients, by id
	lost    map[string]error  // errors of failed creations, by name
}

// An app is a Cache of a client and its users.
type app struct {
	id, scope string
	cache     *tokens.Cache
	client    *http.Client
	doer      tokens.Doer
}

func newWorld(r *record) (*world, error) {
	var clients []sandbox.Client
	for i := range apps {
		clients = append(clients, sandbox.Client{ID: fmt.Sprint("app-", i), Secret: fmt.Sprint("secret-of-app-", i)})
	}
	w := &world{
		record:    r,
		moov:      sandbox.NewMoov(&sandbox.MoovOptions{Clients: clients, TokenLife: tokenLife, RateLimit: unlimited, NoRequests: true}),
		sailpoint: sandbox.NewSailPoint(&sandbox.SailPointOptions{TokenLife: tokenLife, RateLimit: unlimited, NoRequests: true}),
		faults:    map[string]int{},
		created:   map[string]string{},
		lost:      map[string]error{},
	}
	w.operations = map[vendor][]string{
		w.moov: {"createAccessToken", "revokeAccessToken", sandbox.Protected},
		w.sailpoint: {
			"createAccessToken", "listOAuthClients", "createOAuthClient", "getOAuthClient", "patchOAuthClient", "deleteOAuthClient",
		},
	}
	w.sandbox = sandbox.New(w.moov, w.sailpoint)
	w.sandbox.Handle("/echo", w.moov.Protect(http.HandlerFunc(w.echo)))
	for i := range clients {
		if err := w.addApp(clients[i]); err != nil {
			return nil, err
		}
	}
	return w, w.addSailPoint()
}

// An echoed is the API's description of a request.
type echoed struct {
	ClientID string `json:"ClientID"`
	Scope    string `json:"Scope"`
	Text     string `json:"Text"`
}

func (w *world) echo(rw http.ResponseWriter, req *http.Request) {
	token, _ := w.moov.Lookup(strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "))
	rw.Header().Set("Content-Type", "application/json")
	text, err := json.Marshal(echoed{token.ClientID, strings.Join(token.Scopes, " "), req.URL.Query().Get("text")})
	if err != nil {
		panic(err)
	}
	_, _ = rw.Write(text)
}

func (w *world) addApp(client sandbox.Client) error {
	endpoint, err := tokens.NewMoov(tokens.Credentials{ClientID: client.ID, ClientSecret: client.Secret}, &tokens.MoovOptions{
		BaseURL: w.sandbox.URL, HTTPClient: w.sandbox.HTTPClient(), Limiter: &tokens.Limiter{MaxWait: 3 * time.Second},
	})
	if err != nil {
		return err
	}
	for i := range perApp {
		a := &app{id: client.ID, scope: fmt.Sprint("scope-", i)}
		if a.cache, err = tokens.NewCache(endpoint, &tokens.CacheOptions{Grant: tokens.Grant{Scopes: []string{a.scope}}}); err != nil {
			return err
		}
		opts := &tokens.DoerOptions{HTTPClient: w.sandbox.HTTPClient()}
		if a.client, err = tokens.NewClient(a.cache, opts); err != nil {
			return err
		}
		if a.doer, err = tokens.NewDoer(a.cache, opts); err != nil {
			return err
		}
		w.apps = append(w.apps, a)
	}
	return nil
}

func (w *world) addSailPoint() error {
	endpoint := func(creds tokens.Credentials) (*tokens.Endpoint, error) {
		return tokens.NewSailPoint("", creds, &tokens.SailPointOptions{
			BaseURL: w.sandbox.URL, HTTPClient: w.sandbox.HTTPClient(), Limiter: &tokens.Limiter{MaxWait: 3 * time.Second},
		})
	}
	creds := tokens.Credentials{ClientID: sandbox.ClientID, ClientSecret: sandbox.ClientSecret}
	forUsers, err := endpoint(creds)
	if err != nil {
		return err
	}
	w.sessions, err = tokens.NewSessions(forUsers, &tokens.CacheOptions{Store: tokens.NewMemoryStore()})
	if err != nil {
		return err
	}
	forClients, err := endpoint(creds)
	if err != nil {
		return err
	}
	if w.cache, err = tokens.NewCache(forClients, nil); err != nil {
		return err
	}
	w.clients, err = oauthclients.NewSailPoint(w.cache, &oauthclients.SailPointOptions{HTTPClient: w.sandbox.HTTPClient()})
	return err
}

// close ends everything, and runs the checks that need that.
func (w *world) close(length time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	w.checkSecrets(ctx)
	w.checkTokenRequests(length)
	for _, a := range w.apps {
		if err := a.cache.Close(ctx); err != nil {
			w.record.wrongf("closing a Cache: %w", err)
		}
	}
	if err := w.cache.Close(ctx); err != nil {
		w.record.wrongf("closing a Cache: %w", err)
	}
	if err := w.sessions.Close(ctx); err != nil {
		w.record.wrongf("closing Sessions: %w", err)
	}
}

// checkSecrets checks that each created client is known, or was reported as possibly created, that none was created
// twice, and that the secrets are valid.
func (w *world) checkSecrets(ctx context.Context) {
	list, err := w.clients.List(ctx)
	for err != nil && sleep(ctx, time.Second) { // the effect of the last fault may last for a while
		list, err = w.clients.List(ctx)
	}
	if err != nil {
		w.record.wrongf("listing the clients in the end: %w", err)
		return
	}
	names, there, lost := map[string]bool{}, map[string]bool{}, 0
	for _, client := range list {
		if names[client.Name] {
			w.record.wrongf("client %s was created twice", client.Name)
		}
		names[client.Name], there[client.ID] = true, true
		if err, ok := w.lost[client.Name]; ok {
			lost++
			// Any 2xx means that the client was created; the error then has the body.
			if e, ok := errors.AsType[*tokens.Error](err); !strings.Contains(err.Error(), "may exist") && (!ok || e.StatusCode/100 != 2) {
				w.record.wrongf("client %s was created, and the caller was told: %w", client.Name, err)
			}
		}
	}
	for id, secret := range w.created {
		if !there[id] {
			w.record.wrongf("client %s is gone", id)
			continue
		}
		endpoint, err := tokens.NewSailPoint("", tokens.Credentials{ClientID: id, ClientSecret: secret}, &tokens.SailPointOptions{
			BaseURL: w.sandbox.URL, HTTPClient: w.sandbox.HTTPClient(),
		})
		if err == nil {
			_, err = endpoint.Exchange(ctx, tokens.Grant{})
		}
		if err != nil {
			w.record.wrongf("the secret of client %s is not good: %w", id, err)
		}
	}
	w.record.notef("OAuth clients in the end: %d with a secret that is good, %d that callers know to be there, or perhaps there, without a secret", len(w.created), lost)
}

// checkTokenRequests checks that the token endpoints received no more requests than guaranteed. A fetch is at most
// three requests. A Cache fetches when its token is due or rejected and, if that fails, again after the backoff.
func (w *world) checkTokenRequests(length time.Duration) {
	attempts := 3
	var moov tokens.Stats
	for _, a := range w.apps {
		s := a.cache.Stats()
		moov.Fetches += s.Fetches
		moov.Failures += s.Failures
		moov.Invalidations += s.Invalidations
	}
	own, sessions := w.cache.Stats(), w.sessions.Stats()
	requests := w.moov.Count("createAccessToken")
	w.record.notef("Moov's token requests: %d in %d fetches of %d Caches, of which %d failed, after %d invalidations",
		requests, moov.Fetches, len(w.apps), moov.Failures, moov.Invalidations)
	if int64(requests) > int64(attempts)*moov.Fetches {
		w.record.wrongf("%d token requests for %d fetches", requests, moov.Fetches)
	}
	// A token is due well after half of its life. ExpireAll makes tokens expire early, at most once a second.
	most := int64(len(w.apps)) * int64(length/(tokenLife/2)+length/time.Second+1)
	if good := moov.Fetches - moov.Failures; good > most {
		w.record.wrongf("%d successful fetches, at most %d were expected", good, most)
	}
	// Failures hold off the whole Endpoint: 0.1 s, then twice as long each time. Each Cache may have one fetch in flight.
	most = int64(length/time.Second+1) * (apps*5 + int64(len(w.apps)))
	if moov.Failures > most {
		w.record.wrongf("%d failed fetches, at most %d were expected", moov.Failures, most)
	}
	w.record.notef("SailPoint's token requests: %d in %d fetches of %d logins and %d of an app", w.sailpoint.Count("createAccessToken"),
		sessions.Fetches, users, own.Fetches)
	w.record.notef("faults: %d kinds; calls: %d", len(w.faults), w.record.total())
}
