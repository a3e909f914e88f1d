package wire

import (
	"fmt"
	"log/slog"
)

const redacted = "[REDACTED]"

// Secret is a token or client secret in a vendor's answer. It prints redacted under fmt and slog with every verb,
// and marshals to JSON as it is, so that an answer can be stored. Convert to string to use it.
//
// It must not stand in a form body: the form encoder would send what fmt prints.
type Secret string

// String returns a fixed text in place of the secret.
func (Secret) String() string { return redacted }

// GoString returns a fixed text in place of the secret.
func (Secret) GoString() string { return redacted }

// Format writes a fixed text in place of the secret, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns a fixed text in place of the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
