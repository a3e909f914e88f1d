// Package fleet runs the stores of package tokens under real processes, which are killed, stopped and started while they share a
// token, over real databases.
package fleet
