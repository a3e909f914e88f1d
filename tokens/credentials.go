package tokens

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A CredentialsProvider returns the client's credentials. It is asked before each exchange and each revocation, so it
// should keep what takes it long to get. After a 401 or an invalid_client response it is asked once more.
type CredentialsProvider interface {
	Retrieve(ctx context.Context) (Credentials, error)
}

// Credentials authenticate the client (RFC 6749, section 2.3.1). Both are required, but there is no ClientSecret with
// [AuthStyleNone] or with an assertion. Credentials are a [CredentialsProvider] of themselves.
//
// They print redacted under fmt and slog, and as JSON, YAML and text. fmt cannot call methods on the unexported fields of
// a struct, and prints Credentials there as they are; of a *Credentials %v, %+v and %#v print the address, but %s and %q what
// it points to. Let such a field hold an [Endpoint] or a [CredentialsFunc], which show nothing anywhere.
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

// LogValue returns the credentials redacted.
func (c Credentials) LogValue() slog.Value {
	return slog.GroupValue(slog.String("client_id", redact(c.ClientID)), slog.String("client_secret", redact(c.ClientSecret)))
}

// MarshalJSON returns the credentials redacted.
func (c Credentials) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"ClientID":%q,"ClientSecret":%q}`, redact(c.ClientID), redact(c.ClientSecret)), nil
}

// MarshalText returns what Format prints.
func (c Credentials) MarshalText() ([]byte, error) { return fmt.Append(nil, c), nil }

// MarshalYAML returns what Format prints.
func (c Credentials) MarshalYAML() (any, error) { return fmt.Sprint(c), nil }

// check refuses credentials that cannot be those of a client that authenticates by style.
func (c Credentials) check(style AuthStyle) error {
	switch {
	case c.ClientID == "":
		return errors.New("ClientID is empty")
	case style.sendsSecret() && c.ClientSecret == "":
		return errors.New("ClientSecret is empty")
	case style == AuthStyleNone && c.ClientSecret != "":
		return errors.New("ClientSecret is set, but AuthStyleNone sends none; leave it empty")
	case style == authStyleAssertion && c.ClientSecret != "":
		return errors.New("ClientSecret and Assertion are both set; a request authenticates by one of them")
	}
	return cmp.Or(checkText("ClientID", c.ClientID), checkText("ClientSecret", c.ClientSecret))
}

// CredentialsFunc is a [CredentialsProvider] for credentials that change, such as those of a vault.
type CredentialsFunc func(ctx context.Context) (Credentials, error)

// Retrieve calls f.
func (f CredentialsFunc) Retrieve(ctx context.Context) (Credentials, error) { return f(ctx) }

// CredentialsFile returns a [CredentialsProvider] whose ClientSecret is the text of a file, without the space around it.
// The file is read each time the credentials are asked for, so a secret that is replaced there is used at once.
func CredentialsFile(clientID, path string) CredentialsProvider {
	return credentialsFile{clientID, path}
}

type credentialsFile struct{ clientID, path string }

func (c credentialsFile) Retrieve(context.Context) (Credentials, error) {
	const most = 64 << 10
	file, err := os.Open(c.path)
	if err != nil {
		return Credentials{}, err
	}
	defer func() { _ = file.Close() }()
	secret, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return Credentials{}, err
	}
	secret = bytes.TrimSpace(secret)
	switch {
	case len(secret) > most:
		return Credentials{}, fmt.Errorf("the file %s is longer than %d bytes", c.path, most)
	case len(secret) == 0:
		return Credentials{}, fmt.Errorf("the file %s is empty", c.path)
	}
	return Credentials{ClientID: c.clientID, ClientSecret: string(secret)}, nil
}

// credentialsError is the failure of a CredentialsProvider or of an Assertion function. Its cause may come from an OAuth
// server too, a vault's. What that server said is not what the Endpoint's own server said: so it neither matches a Code
// or a Status nor is an *Error.
type credentialsError struct {
	endpoint string
	cause    error
}

func (e *credentialsError) Error() string { return "tokens: " + e.endpoint + ": " + e.cause.Error() }

func (e *credentialsError) Is(target error) bool {
	switch target.(type) {
	case Code, Status:
		return false
	}
	return errors.Is(e.cause, target)
}

func (e *credentialsError) As(target any) bool {
	if _, ok := target.(**Error); ok {
		return false
	}
	return errors.As(e.cause, target)
}

// checkText refuses a value that no server can have issued: one with a control character, such as the newline that ends
// a file. RFC 6749 appendix A allows ASCII alone, but appendix B says how other characters are sent, and servers take them.
func checkText(name, value string) error {
	switch {
	case strings.HasSuffix(value, "\n") || strings.HasSuffix(value, "\r"):
		return fmt.Errorf("%s ends in a newline", name)
	case strings.ContainsFunc(value, unicode.IsControl):
		return fmt.Errorf("%s has a control character", name)
	case !utf8.ValidString(value):
		return fmt.Errorf("%s is not UTF-8", name)
	}
	return nil
}

// isNil reports whether v is nil, or an interface that holds a nil pointer or function.
func isNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return r.IsNil()
	default:
		return false
	}
}
