package main

import (
	"net/http"
	"sync"

	"github.com/grantwright/oauth-go/sandbox"
)

// measureRefusal measures callers without a token, at an endpoint that issues none.
func measureRefusal(e effort) []figure {
	var figures []figure
	for _, refusal := range []struct {
		name  string
		fault sandbox.Fault
	}{
		{"401 invalid_client", sandbox.Fault{Status: http.StatusUnauthorized, Body: `{"error":"invalid_client"}`, Delay: slow}},
		{"503, one attempt", sandbox.Fault{Status: http.StatusServiceUnavailable, Delay: slow}},
	} {
		var mu sync.Mutex
		requests, last := values{}, values{}
		together(peers, func(p peer) {
			v := newVendor(hour)
			v.always(refusal.fault)
			s := v.open(p, 1)
			o := herd(100, s.get)
			mu.Lock()
			defer mu.Unlock()
			requests.add(p.name, float64(v.requests()))
			last.add(p.name, o.quantile(1))
		})
		figures = append(figures,
			figure{"100 callers, " + refusal.name + ": token requests", count, requests, target{most: 1}},
			figure{"  until the last is served", duration, last, target{most: float64(2 * slow)}},
		)
	}
	return figures
}
