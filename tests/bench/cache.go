package main

import (
	"context"
	"errors"
	"log"
	"sync/atomic"
	"time"
)

// measureCache measures a cached token, on one core and on two at once.
func measureCache(e effort) []figure {
	least := contender{bare, newBareCache().do}
	hits := []contender{least}
	for _, p := range peers {
		s := newVendor(hour).open(p, 0)
		if s.token == nil || p.borrows {
			continue
		}
		ctx := context.Background()
		if _, err := s.token(ctx); err != nil {
			log.Fatal(err)
		}
		hits = append(hits, contender{p.name, func() error {
			_, err := s.token(ctx)
			return err
		}})
	}
	one, two := compare(e, 1, hits...), compare(e, 2, hits...)
	return []figure{
		one.times("cached token, one core", target{0.5, "x/oauth2"}),
		one.times("  the same against the least it takes", target{1.2, bare}),
		one.allocations(target{most: 0}),
		two.times("cached token, two cores", target{0.25, "x/oauth2"}),
		two.times("  the same against the least it takes", target{1.2, bare}),
	}
}

// bareCache is the minimum of a cache: one atomic load and one read of the monotonic clock.
type bareCache struct {
	base    time.Time
	current atomic.Pointer[bareToken]
}

type bareToken struct {
	value string
	until time.Duration
}

func newBareCache() *bareCache {
	c := &bareCache{base: time.Now()}
	c.current.Store(&bareToken{"token", time.Hour})
	return c
}

func (c *bareCache) token(context.Context) (string, error) {
	if t := c.current.Load(); time.Since(c.base) < t.until {
		return t.value, nil
	}
	return "", errors.New("the token has expired")
}

func (c *bareCache) do() error {
	_, err := c.token(context.Background())
	return err
}
