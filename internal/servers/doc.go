// Package servers starts the databases that tests talk to, each on a free port of the loopback interface with its data in a
// temporary folder. A test is skipped where the database is not installed.
package servers
