package oauthclients

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/tokens"
)

// Create creates a client and returns it with its secret, which the vendor shows only once: POST /oauth-clients.
// Without a Scope, the client gets sp:scopes:all, and with it all rights of its owner. Names need not be unique.
//
// Create needs the scope sp:oauth-client:manage and a user. The vendor documents errors 400, 401, 403, 429 and 500.
//
// Any 2xx means that the client was created. If part of the response cannot be read, Create returns an error together
// with a response that has everything that could be read, above all ID and Secret. Store them even if there is an
// error, or the client is lost. The error's Body is the raw response. If the response is lost or the server fails, the
// error says that the client may exist. The request is retried only if the vendor cannot have acted on it.
//
// Create returns an error before anything is sent if one of these is missing: a name, grant types, an access type, a
// positive life of access tokens, or redirect URIs for AUTHORIZATION_CODE.
func (s *SailPoint) Create(ctx context.Context, req sailpoint.CreateOAuthClientRequest) (*sailpoint.CreateOAuthClientResponse, error) {
	if err := cmp.Or(s.check(ctx), checkCreate(req)); err != nil {
		return nil, fmt.Errorf("oauthclients: create: %w", err)
	}
	resp, err := s.api.CreateOAuthClient(ctx, req, anyMediaType)
	switch {
	case mayBeDone(err):
		return nil, fmt.Errorf("oauthclients: create: the client may exist; look for the name %q: %w", *req.Name, err)
	case err != nil:
		return nil, err
	}
	created, err := readCreated(resp)
	if created.ID == "" || created.Secret.Reveal() == "" {
		err = fmt.Errorf("oauthclients: create: the client was created, but the response does not have its id and its secret; "+
			"look for the name %q, delete it and create another: %w", *req.Name, err)
	}
	return created, err
}

func checkCreate(req sailpoint.CreateOAuthClientRequest) error {
	switch {
	case req.Name == nil || *req.Name == "":
		return errors.New("Name is empty")
	case len(req.GrantTypes) == 0:
		return errors.New("GrantTypes is empty; grant at least one")
	case req.AccessType == "":
		return errors.New("AccessType is empty; use ONLINE or OFFLINE")
	case req.AccessTokenValiditySeconds <= 0:
		return fmt.Errorf("AccessTokenValiditySeconds is %d; it must be positive", req.AccessTokenValiditySeconds)
	case slices.Contains(req.GrantTypes, sailpoint.GrantTypeAuthorizationCode) && len(req.RedirectURIs) == 0:
		return errors.New("RedirectURIs is empty; AUTHORIZATION_CODE needs at least one")
	}
	return nil
}

// readCreated reads the response to a creation and closes its body. The secret must not be lost, whatever is wrong with
// the response, even if it is incomplete.
func readCreated(resp *http.Response) (*sailpoint.CreateOAuthClientResponse, error) {
	data, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // a byte order mark
	created := new(sailpoint.CreateOAuthClientResponse)
	id, secret := readSecret(data)
	if err == nil {
		resp.Body = io.NopCloser(bytes.NewReader(data))
		err = tokens.DecodeResponse(resp, created)
	} else if e, ok := errors.AsType[*tokens.Error](err); ok {
		err = tokens.NewError(resp, data, e.Unwrap()) // with the part that arrived
	}
	created.ID, created.Secret = id, wire.NewSecret(secret)
	switch {
	case err != nil:
	case id == "" || secret == "":
		err = tokens.NewError(resp, data, errors.New("a member is missing"))
	case !utf8.Valid(data):
		err = tokens.NewError(resp, data, errors.New("the client was created, but the response is not UTF-8, so its secret may be wrong"))
	}
	return created, err
}

// readSecret returns the id and the secret in the response to a creation, as far as they can be found. Their names may
// have any case, although exact names take precedence. A null or empty value does not replace another.
func readSecret(data []byte) (id, secret string) {
	values := map[string]string{}
	set := func(name string, value json.RawMessage) {
		values[name] = cmp.Or(textOf(value), values[name])
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	open, err := dec.Token()
	for err == nil && open == json.Delim('{') && dec.More() {
		var name json.Token
		var value json.RawMessage
		if name, err = dec.Token(); err == nil {
			if err = dec.Decode(&value); err == nil {
				set(name.(string), value) //nolint:forcetypeassert // in an object, as json.Decoder documents
			}
		}
	}
	// In what is no object, or comes after one, members that look right are better than nothing.
	for _, m := range looksLikeMember.FindAllSubmatch(data[dec.InputOffset():], -1) {
		if name := string(m[1]); values[name] == "" {
			set(name, m[2])
		}
	}
	find := func(want string) (folded string) {
		for name, value := range values {
			if strings.EqualFold(name, want) {
				folded = value
			}
		}
		return cmp.Or(values[want], folded)
	}
	return find("id"), find("secret")
}

var looksLikeMember = regexp.MustCompile(`"((?i:id|secret))"\s*:\s*("(?:[^"\\]|\\.)*"|[0-9]+\b)`)

// textOf returns the value of a JSON string, the digits of a JSON number, and "" for anything else.
func textOf(value json.RawMessage) string {
	var v any
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	_ = dec.Decode(&v)
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}
