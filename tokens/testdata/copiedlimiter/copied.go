// Package copiedlimiter copies a Limiter, which go vet must report.
package copiedlimiter

import "github.com/grantwright/oauth-go/tokens"

func use(tokens.Limiter) {}

func copied() {
	var l tokens.Limiter
	use(l)
}
