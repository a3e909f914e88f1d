// Package faults runs every operation of the SDK against servers and networks that misbehave: what each call returns, how often
// it is sent, what is not lost, and that nothing secret shows.
package faults
