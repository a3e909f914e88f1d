package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
	"github.com/grantwright/oauth-go/tokens"
)

// limitedAPI is a client of Moov's sandbox, which accepts three requests in a second.
func limitedAPI(limiter *tokens.Limiter) (*http.Client, error) {
	moov := sandbox.NewMoov(&sandbox.MoovOptions{RateLimit: sandbox.Limit{Requests: 3, Per: time.Second}})
	token := moov.Issue(sandbox.Token{})
	return tokens.NewClient(tokens.Static(token.AccessToken), &tokens.DoerOptions{
		BaseURL:    "https://api.moov.io",
		HTTPClient: &http.Client{Transport: sandbox.Transport(moov)},
		Limiter:    limiter,
	})
}

// A batch job may take its time: with a long MaxWait every call succeeds, however many there are.
func ExampleLimiter_batch() {
	client, err := limitedAPI(&tokens.Limiter{MaxWait: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://api.moov.io/ping", nil)
			resp, err := client.Do(req)
			if err != nil {
				fmt.Println(err)
				return
			}
			defer resp.Body.Close()
			fmt.Println(resp.Status)
		})
	}
	wg.Wait()
	// Output:
	// 200 OK
	// 200 OK
	// 200 OK
	// 200 OK
	// 200 OK
}

// In a service, users are waiting: with a short MaxWait, a call that would have to wait longer fails at once, and says
// when to try again.
func ExampleLimiter_service() {
	client, err := limitedAPI(&tokens.Limiter{MaxWait: 100 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 5 {
		req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://api.moov.io/ping", nil)
		resp, err := client.Do(req)
		if e, ok := errors.AsType[*tokens.Error](err); ok && errors.Is(err, tokens.Status(http.StatusTooManyRequests)) {
			fmt.Println("not sent, try again within", e.RetryAfter.Round(time.Second))
			continue
		}
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(resp.Status)
		_ = resp.Body.Close()
	}
	// Output:
	// 200 OK
	// 200 OK
	// 200 OK
	// 429 Too Many Requests
	// not sent, try again within 1s
}
