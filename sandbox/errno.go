//go:build !plan9

package sandbox

import "syscall"

var connectionReset error = syscall.ECONNRESET
