package filestore

// Lock is lock, for a test in which another process holds the lock.
var Lock = lock
