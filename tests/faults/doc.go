// Package faults runs every operation of the SDK against servers and networks that misbehave. It checks what each call
// returns, how often it is sent, what must not be lost, and that no secret is shown.
package faults
