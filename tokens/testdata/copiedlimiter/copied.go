// Package copiedlimiter copies a Limiter, which vet must find.
package copiedlimiter

import "github.com/grantwright/oauth-go/tokens"

func use(tokens.Limiter) {}

func copied() {
	var l tokens.Limiter
	use(l)
}
