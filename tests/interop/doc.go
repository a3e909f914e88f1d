// Package interop runs package tokens against OAuth servers that were written elsewhere: a server made from this project's own
// descriptions would share its mistakes. Each server listens on a free port of the loopback interface for the time of one test.
package interop
