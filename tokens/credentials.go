package tokens

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// A CredentialsProvider gives the client's credentials. It is asked before each exchange and revocation, so what it
// does at length it should keep; after an invalid_client answer it is asked once more.
type CredentialsProvider interface {
	Retrieve(ctx context.Context) (Credentials, error)
}

// Credentials authenticate the client (RFC 6749, section 2.3.1); both are required. They are a [CredentialsProvider]
// of themselves, and print redacted under fmt, slog and JSON.
type Credentials struct {
	ClientID     string
	ClientSecret string
}

// Retrieve returns c.
func (c Credentials) Retrieve(context.Context) (Credentials, error) { return c, nil }

// Format prints the credentials redacted, whatever the verb.
func (c Credentials) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{ClientID:%s ClientSecret:%s}", redact(c.ClientID), redact(c.ClientSecret))
}

// LogValue gives the credentials redacted.
func (c Credentials) LogValue() slog.Value {
	return slog.GroupValue(slog.String("client_id", redact(c.ClientID)), slog.String("client_secret", redact(c.ClientSecret)))
}

// MarshalJSON gives the credentials redacted.
func (c Credentials) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"ClientID":%q,"ClientSecret":%q}`, redact(c.ClientID), redact(c.ClientSecret)), nil
}

func (c Credentials) check() error {
	switch {
	case c.ClientID == "":
		return errors.New("ClientID is empty")
	case c.ClientSecret == "":
		return errors.New("ClientSecret is empty")
	}
	return nil
}

// CredentialsFunc is a [CredentialsProvider] for credentials that change: read from a file, a vault.
type CredentialsFunc func(ctx context.Context) (Credentials, error)

// Retrieve calls f.
func (f CredentialsFunc) Retrieve(ctx context.Context) (Credentials, error) { return f(ctx) }
