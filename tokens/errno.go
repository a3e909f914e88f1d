//go:build !plan9

package tokens

import "syscall"

// brokenErrnos are what a connection that broke fails with. net wraps them in a *net.OpError; other transports may not.
var brokenErrnos = []error{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE}
