//go:build !plan9

package tokens

import "syscall"

// brokenErrnos are the errors of a broken connection. net wraps them in a *net.OpError; other transports may not.
var brokenErrnos = []error{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE}
