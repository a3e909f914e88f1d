package sandbox

import "errors"

// connectionReset is a text, because Plan 9 has no error numbers.
var connectionReset = errors.New("connection reset by peer")
