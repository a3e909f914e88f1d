package tokens

import "time"

// WarpClock makes f the monotonic clock of c, of how long c has been there by the true time: one that runs fast or slow, or
// stands still while the machine sleeps.
func WarpClock(c *Cache, f func(time.Duration) time.Duration) { c.warp = f }
