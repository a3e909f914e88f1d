// Package interop tests package tokens with OAuth servers written by others: a server made from this project's own
// descriptions would share its mistakes. Each server listens on a free loopback port during one test.
package interop
