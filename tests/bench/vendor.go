package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
)

// vendor is a token endpoint in memory.
type vendor struct{ *sandbox.ThousandEyes }

// newVendor returns an endpoint whose tokens live for the given number of seconds.
func newVendor(life int) vendor {
	return vendor{sandbox.NewThousandEyes(&sandbox.ThousandEyesOptions{
		TokenLife: seconds(life), RateLimit: sandbox.Limit{Requests: -1}, NoRequests: true,
	})}
}

const hour = 3600

// jwt is a token as long as the vendors' tokens.
var jwt = strings.Repeat("jwt", 300)

const (
	exchangeOperation = "createAccessToken"
	// slow is how long the endpoint of a scenario takes.
	slow = 50 * time.Millisecond
	// waited is the latency from which a caller was not served from memory: half of slow, which is far above scheduling
	// noise.
	waited = slow / 2
)

// open starts a session of p with an API that accepts every token.
func (v vendor) open(p peer, attempts int) session {
	return p.open(v.setup(newResponding(http.StatusOK), attempts))
}

func (v vendor) setup(api http.RoundTripper, attempts int) setup {
	return setup{&http.Client{Transport: sandbox.Transport(v)}, "https://tokens.example.com", api, attempts}
}

// next makes the next token live for the given number of seconds; later ones are as usual.
func (v vendor) next(accessToken string, life int) {
	v.Fault(exchangeOperation, sandbox.Fault{
		Body: fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, accessToken, life),
	})
}

// always sets the response to all token requests from now on.
func (v vendor) always(f sandbox.Fault) {
	v.ClearFaults()
	f.Times = sandbox.Forever
	v.Fault(exchangeOperation, f)
}

// requests returns the number of token requests so far.
func (v vendor) requests() int { return v.Count(exchangeOperation) }

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
