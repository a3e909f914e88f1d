package main

import (
	"context"
	"log"
	"net/http"
)

// measureTransport measures adding a token to a request, over a transport that does nothing.
func measureTransport(e effort) []figure {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, apiURL+"/v7/tests", nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "bench")

	var senders []contender
	for _, p := range peers {
		v := newVendor(hour)
		v.next(jwt, hour)
		s := v.open(p, 0)
		if s.send == nil || p.borrows {
			continue
		}
		senders = append(senders, contender{p.name, func() error {
			resp, err := s.send(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		}})
	}
	c := compare(e, 1, senders...)
	return []figure{
		c.times("token added to a request", target{0.6, "x/oauth2"}),
		c.allocations(target{most: 3}),
	}
}
