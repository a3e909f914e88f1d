package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/oauthclients"
	"github.com/grantwright/oauth-go/tokens"
)

const (
	clientID      = "2c9180835d2e5168015d32f890ca1581"
	clientsInList = 10_000
)

// A reader reads OAuth clients from a server in one way. A nil function is not supported.
type reader struct {
	name string
	get  func() error
	list func() (n int, err error) // the whole list
	all  func() (n int, err error) // one by one
}

// measureClients measures reading OAuth clients over loopback: a single one, and a list of 10,000.
func measureClients(e effort) []figure {
	url, stop := serve(sample)
	defer stop()
	listURL, stopList := serve(clientList(clientsInList))
	defer stopList()

	var one, list, all []contender
	for _, r := range readers(url) {
		one = append(one, contender{r.name, r.get})
	}
	for _, r := range readers(listURL) {
		list = append(list, contender{r.name, complete(r.list)})
		if r.all != nil {
			all = append(all, contender{r.name, complete(r.all)})
		}
	}
	got, listed, ranged := compare(e, 0, one...), compare(e, 0, list...), compare(e, 0, all...)
	return []figure{
		got.times("get one client", target{1.05, byHand}),
		got.allocations(unset),
		listed.times("list of 10,000 clients, at once", target{1.1, byHand}),
		listed.allocations(unset),
		{"  peak heap", size, peakHeaps(e, list), unset},
		ranged.times("list of 10,000 clients, one by one", target{1.1, byHand}),
		ranged.allocations(unset),
		{"  peak heap", size, peakHeaps(e, all), target{most: 4e6}},
	}
}

// clientList returns a list of n realistic clients: with escapes, non-ASCII letters, unknown members, and nulls.
func clientList(n int) string {
	var list strings.Builder
	for i := range n {
		client := strings.NewReplacer(
			"2c9180835d2e5168015d32f890ca1581", fmt.Sprintf("2c91%028x", i),
			`"Demo API Client"`, []string{`"Demo API Client"`, `"R\u0026D \"Acme\""`, `"Zürich – Büro 3"`, `"a\tb\\c \ud83d\ude00"`}[i%4],
			`"businessName":"Acme-Solar"`, []string{`"businessName":"Acme-Solar"`, `"businessName":null`}[i%2],
			`"metadata":null`, []string{`"metadata":null`, `"tier":{"of":["a",{"b":1.5e3}],"note":"caf\u00e9"}`, `"lastUsedBy":"ünknown"`}[i%3],
		).Replace(sample)
		fmt.Fprintf(&list, ",%s", client)
	}
	return "[" + list.String()[1:] + "]"
}

// complete checks that the whole list was read.
func complete(read func() (int, error)) func() error {
	return func() error {
		n, err := read()
		if err == nil && n != clientsInList {
			err = fmt.Errorf("read %d clients of %d", n, clientsInList)
		}
		return err
	}
}

func readers(url string) []reader {
	client := &http.Client{Transport: new(http.Transport)}
	return []reader{readOurs(url, client), readByHand(url, client), readGenerated(url, client)}
}

func readOurs(url string, client *http.Client) reader {
	ctx := context.Background()
	clients, err := oauthclients.NewSailPoint(tokens.Static("access-token"), &oauthclients.SailPointOptions{BaseURL: url, HTTPClient: client})
	if err != nil {
		log.Fatal(err)
	}
	return reader{
		name: ours,
		get: func() error {
			_, err := clients.Get(ctx, clientID)
			return err
		},
		list: func() (int, error) {
			list, err := clients.List(ctx)
			return len(list), err
		},
		all: func() (n int, err error) {
			for _, err := range clients.All(ctx) {
				if err != nil {
					return n, err
				}
				n++
			}
			return n, nil
		},
	}
}

// readByHand reads with net/http and encoding/json, into the generated model.
func readByHand(url string, client *http.Client) reader {
	read := func(path string, decode func(*json.Decoder) error) error {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url+path, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept", "application/json")
		req.Header.Set("Authorization", "Bearer access-token")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the server responded %s", resp.Status)
		}
		return decode(json.NewDecoder(resp.Body))
	}
	return reader{
		name: byHand,
		get: func() error {
			var c sailpoint.OAuthClient
			return read("/beta/oauth-clients/"+clientID, func(d *json.Decoder) error { return d.Decode(&c) })
		},
		list: func() (int, error) {
			var list []sailpoint.OAuthClient
			err := read("/beta/oauth-clients", func(d *json.Decoder) error { return d.Decode(&list) })
			return len(list), err
		},
		all: func() (n int, err error) {
			err = read("/beta/oauth-clients", func(d *json.Decoder) error {
				if _, err := d.Token(); err != nil {
					return err
				}
				for ; d.More(); n++ {
					var c sailpoint.OAuthClient
					if err := d.Decode(&c); err != nil {
						return err
					}
				}
				_, err := d.Token()
				return err
			})
			return n, err
		},
	}
}

// readGenerated uses only the generated client, which reads lists as a whole.
func readGenerated(url string, client *http.Client) reader {
	ctx := context.Background()
	authorize := func(_ context.Context, req *http.Request) error {
		req.Header.Set("Authorization", "Bearer access-token")
		return nil
	}
	api, err := sailpoint.NewClientWithResponses(url+"/beta", sailpoint.WithHTTPClient(client), sailpoint.WithRequestEditorFn(authorize))
	if err != nil {
		log.Fatal(err)
	}
	return reader{
		name: generated,
		get: func() error {
			result, err := api.GetOAuthClientWithResponse(ctx, clientID)
			if err == nil && result.JSON200 == nil {
				err = io.ErrUnexpectedEOF
			}
			return err
		},
		list: func() (int, error) {
			result, err := api.ListOAuthClientsWithResponse(ctx, nil)
			if err != nil || result.JSON200 == nil {
				return 0, err
			}
			return len(*result.JSON200), nil
		},
	}
}
