// Package servers starts databases for tests, each on a free port of the loopback interface and with its data in a
// temporary directory. If the database is not installed, the test is skipped.
package servers
