package wire

import (
	"fmt"
	"log/slog"
)

// Redacted is what is printed in place of a secret.
const Redacted Secret = "[REDACTED]"

// A Secret is a token or client secret in a vendor's response. It prints redacted under fmt with every verb and under slog,
// and marshals to JSON as it is, so that a response can be stored. Convert it to string to use it.
//
// A handler of slog that writes JSON marshals the struct that a Secret is in. So each generated model with a Secret has a
// LogValue method, which replaces it.
//
// A Secret must not be in a form body: the form encoder would send what fmt prints.
type Secret string

// String returns a fixed text in place of the secret.
func (Secret) String() string { return string(Redacted) }

// GoString returns a fixed text in place of the secret.
func (Secret) GoString() string { return string(Redacted) }

// Format writes a fixed text in place of the secret, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(string(Redacted))) }

// LogValue returns a fixed text in place of the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(string(Redacted)) }
