package tokens

import "time"

// WarpClock replaces the monotonic clock of c. f converts the true time since c was made to the time that the clock
// shows, so that it can run fast or slow, or stop while the machine sleeps.
func WarpClock(c *Cache, f func(time.Duration) time.Duration) { c.warp = f }
