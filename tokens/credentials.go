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

// A CredentialsProvider returns the client's credentials. Retrieve is called before each exchange and each revocation,
// so it should cache what is slow to get. It is called once more after a 401 or an invalid_client response. It must be
// safe for concurrent use.
type CredentialsProvider interface {
	Retrieve(ctx context.Context) (Credentials, error)
}

// Credentials authenticate the client (RFC 6749, section 2.3.1). Both fields are required, except that ClientSecret
// must be empty with [AuthStyleNone] or an assertion. Credentials are themselves a [CredentialsProvider].
//
// Credentials print redacted with fmt and slog, and as JSON, YAML and text. There is one exception: fmt cannot call
// methods on unexported fields of a struct, and prints Credentials there in the clear. For a *Credentials in such a
// field, %v, %+v and %#v print the address, but %s and %q print what it points to. Store an [Endpoint] or a
// [CredentialsFunc] in such a field instead; these never show a secret.
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

// check returns an error if the credentials cannot be valid for style.
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

// CredentialsFunc is a [CredentialsProvider] for credentials that change, such as those in a vault.
type CredentialsFunc func(ctx context.Context) (Credentials, error)

// Retrieve calls f.
func (f CredentialsFunc) Retrieve(ctx context.Context) (Credentials, error) { return f(ctx) }

// CredentialsFile returns a [CredentialsProvider] whose ClientSecret is the content of a file, without leading and
// trailing white space. The file is read on each call of Retrieve, so a new secret is used at once.
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

// credentialsError is the failure of a CredentialsProvider or an Assertion function. Its cause may be the *Error of
// another OAuth server, such as a vault's. It must not be mistaken for the response of the Endpoint's own server, so it
// matches no Code and no Status and is not an *Error.
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

// checkText returns an error if no server can have issued the value, because it has a control character, such as the
// newline at the end of a file. RFC 6749, appendix A, allows only ASCII, but appendix B says how to send other
// characters, and servers accept them.
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

// isNil reports whether v is nil, or an interface with a nil pointer or function.
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
