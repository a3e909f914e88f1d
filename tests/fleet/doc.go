// Package fleet tests the stores of package tokens with real processes and real databases. The processes share a token
// while they are killed, stopped and restarted.
package fleet
