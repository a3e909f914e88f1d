package filestore

// Lock is lock, for a test in which another process holds it.
var Lock = lock
