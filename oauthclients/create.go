package oauthclients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/tokens"
)

// A CreateOption changes one [SailPoint.Create].
type CreateOption int

// UniqueName makes Create list the clients first, and return [ErrNameTaken] if one has the name already. The vendor
// lets names repeat, so two that create at the same time may both succeed; and a list that the vendor cut (see
// [SailPoint.List]) may lack the name.
const UniqueName CreateOption = 1

// ErrNameTaken is the error of [UniqueName]. The text around it has the id of the client that has the name.
var ErrNameTaken = errors.New("a client of this name exists")

// Create creates a client and returns it with its secret, which the vendor never shows again: POST /oauth-clients.
// Without a Scope the client gets sp:scopes:all, and with that every right of its owner.
//
// Needs sp:oauth-client:manage and a user. Errors: 400, 401, 403, 429, 500. It is repeated only where the vendor cannot
// have acted. Every 2xx is a creation: if something in the answer cannot be read, the error comes beside a response
// with all that could be, its ID and Secret first; use those, or the client is lost. The error keeps the answer's Body.
//
// Before anything is sent an error names what is missing: a name, grant types, an access type, a positive life of
// access tokens, or redirect URIs for AUTHORIZATION_CODE.
func (s *SailPoint) Create(ctx context.Context, req sailpoint.CreateOAuthClientRequest, opts ...CreateOption) (*sailpoint.CreateOAuthClientResponse, error) {
	if err := checkCreate(req); err != nil {
		return nil, fmt.Errorf("oauthclients: create: %w", err)
	}
	if slices.Contains(opts, UniqueName) {
		for client, err := range s.All(ctx) {
			if err == nil && client.Name == *req.Name {
				err = fmt.Errorf("%w, with id %q", ErrNameTaken, client.ID)
			}
			if err != nil {
				return nil, fmt.Errorf("oauthclients: create: name %q: %w", *req.Name, err)
			}
		}
	}
	resp, err := s.api.CreateOAuthClient(ctx, req, anyMediaType) //nolint:bodyclose // readCreated closes it
	if err != nil {
		return nil, err
	}
	return readCreated(resp)
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
	case slices.Contains(req.GrantTypes, sailpoint.GrantTypeAUTHORIZATIONCODE) && len(req.RedirectURIs) == 0:
		return errors.New("RedirectURIs is empty; AUTHORIZATION_CODE needs at least one")
	}
	return nil
}

// readCreated reads the answer to a creation. Nothing in it, nor its end before its time, may cost the secret.
func readCreated(resp *http.Response) (*sailpoint.CreateOAuthClientResponse, error) {
	data, err := readBody(resp)
	created := new(sailpoint.CreateOAuthClientResponse)
	id, secret := readSecret(data)
	if err == nil {
		resp.Body = io.NopCloser(bytes.NewReader(data))
		err = tokens.DecodeResponse(resp, created)
	} else if e, ok := errors.AsType[*tokens.Error](err); ok {
		err = tokens.NewError(resp, data, e.Unwrap()) // with the part that came
	}
	created.ID, created.Secret = id, wire.Secret(secret)
	if err == nil && (id == "" || secret == "") {
		err = tokens.NewError(resp, data, errors.New("the client was created, but its id or its secret is not in the answer"))
	}
	return created, err
}

// readSecret reads the two members of a creation's answer that must not be lost, as far as it is JSON.
func readSecret(data []byte) (id, secret string) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return "", ""
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			break
		}
		switch name {
		case "id":
			id = text(value)
		case "secret":
			secret = text(value)
		}
	}
	return id, secret
}

// text is a JSON string, or "" for any other value.
func text(value json.RawMessage) (s string) {
	_ = json.Unmarshal(value, &s)
	return s
}
