package sandbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/grantwright/oauth-go/gen/sailpoint"
	"github.com/grantwright/oauth-go/gen/wire"
	"github.com/grantwright/oauth-go/oauthclients/jsonpatch"
)

// oauthClient is an OAuth client with its secret, which only the response to create shows, and its tenant, which no
// response shows.
type oauthClient struct {
	sailpoint.OAuthClient
	secret string
	tenant *string
}

// newOAuthClient returns a client with its defaults filled in.
func newOAuthClient(c sailpoint.OAuthClient, now time.Time) *oauthClient {
	o := &oauthClient{OAuthClient: c}
	o.Name = cmp.Or(o.Name, o.ID)
	o.AccessType = cmp.Or(o.AccessType, sailpoint.AccessTypeOnline)
	o.Type = cmp.Or(o.Type, sailpoint.ClientTypeConfidential)
	o.AccessTokenValiditySeconds = cmp.Or(o.AccessTokenValiditySeconds, 750)
	if c.Secret != nil {
		o.secret, o.Secret = c.Secret.Reveal(), nil
	}
	if o.Created.IsZero() {
		o.Created = timestamp(now)
	}
	if o.Modified.IsZero() {
		o.Modified = o.Created
	}
	if o.LastUsed == nil {
		o.LastUsed = &wire.Time{}
	}
	if len(o.GrantTypes) == 0 {
		o.GrantTypes = []sailpoint.GrantType{sailpoint.GrantTypeClientCredentials}
	}
	return o
}

// timestamp returns t in milliseconds, as the vendor writes it.
func timestamp(t time.Time) wire.Time { return wire.NewTime(t.UTC().Truncate(time.Millisecond)) }

// sampleClient returns the sample client in the vendor's documentation, which has been used before.
func sampleClient() sailpoint.OAuthClient {
	created := time.Date(2017, 7, 11, 18, 45, 37, 98e6, time.UTC)
	return sailpoint.OAuthClient{
		ID:                          SampleClientID,
		Secret:                      new(wire.NewSecret(ClientSecret)),
		Name:                        "Demo API Client",
		BusinessName:                new("Acme-Solar"),
		HomepageURL:                 new("http://localhost:12345"),
		Description:                 new("A client for demonstrations."),
		AccessTokenValiditySeconds:  750,
		RefreshTokenValiditySeconds: 86400,
		RedirectURIs:                []string{"http://localhost:12345"},
		GrantTypes: []sailpoint.GrantType{
			sailpoint.GrantTypeAuthorizationCode,
			sailpoint.GrantTypeClientCredentials,
			sailpoint.GrantTypeRefreshToken,
		},
		AccessType: sailpoint.AccessTypeOffline,
		Type:       sailpoint.ClientTypeConfidential,
		Enabled:    true,
		Created:    timestamp(created),
		Modified:   timestamp(created),
		LastUsed:   new(timestamp(created)),
		Scope:      []string{"demo:api-client-scope:first", "demo:api-client-scope:second"},
	}
}

func (o *oauthClient) app() *app {
	return &app{
		Client: Client{
			ID: o.ID, Secret: o.secret, Scopes: o.Scope, RedirectURIs: o.RedirectURIs, Public: o.Type == sailpoint.ClientTypePublic,
		},
		life:        time.Duration(o.AccessTokenValiditySeconds) * time.Second,
		refreshLife: time.Duration(o.RefreshTokenValiditySeconds) * time.Second,
		grants:      o.GrantTypes,
		accessType:  o.AccessType,
		enabled:     o.Enabled,
		markUsed:    o.markUsed,
	}
}

// markUsed records the use of a client, once per day.
func (o *oauthClient) markUsed(now time.Time) {
	if o.LastUsed.Time().UTC().Format(time.DateOnly) != now.UTC().Format(time.DateOnly) {
		o.LastUsed = new(timestamp(now))
	}
}

func (s *SailPoint) oauthClient(id string) *oauthClient {
	if i := slices.IndexFunc(s.oauthClients, func(o *oauthClient) bool { return o.ID == id }); i >= 0 {
		return s.oauthClients[i]
	}
	return nil
}

func (s *SailPoint) list(c *call) response {
	keep := func(*oauthClient) bool { return true }
	if filters := c.URL.Query().Get("filters"); filters != "" {
		var err error
		if keep, err = parseFilter(filters); err != nil {
			return sailPointError(c, http.StatusBadRequest, err.Error())
		}
	}
	found := []sailpoint.OAuthClient{}
	for _, o := range s.oauthClients {
		if keep(o) {
			found = append(found, o.OAuthClient)
		}
	}
	return jsonResponse(http.StatusOK, found)
}

func (s *SailPoint) get(c *call) response {
	o := s.oauthClient(c.clientID)
	if o == nil {
		return noSuchClient(c)
	}
	return jsonResponse(http.StatusOK, o.OAuthClient)
}

func (s *SailPoint) delete(c *call) response {
	if s.oauthClient(c.clientID) == nil {
		return noSuchClient(c)
	}
	s.oauthClients = slices.DeleteFunc(s.oauthClients, func(o *oauthClient) bool { return o.ID == c.clientID })
	return response{status: http.StatusNoContent}
}

func (s *SailPoint) create(c *call) response {
	r, err := readCreate(c.body)
	if err != nil {
		return sailPointError(c, http.StatusBadRequest, err.Error())
	}
	o := newOAuthClient(sailpoint.OAuthClient{
		ID:                          newHexID(),
		Secret:                      new(wire.NewSecret(newHexID() + newHexID())),
		Name:                        *r.Name,
		BusinessName:                r.BusinessName,
		HomepageURL:                 r.HomepageURL,
		Description:                 r.Description,
		AccessTokenValiditySeconds:  r.AccessTokenValiditySeconds,
		RefreshTokenValiditySeconds: *cmp.Or(r.RefreshTokenValiditySeconds, new(int32(86400))),
		RedirectURIs:                r.RedirectURIs,
		GrantTypes:                  r.GrantTypes,
		AccessType:                  r.AccessType,
		Type:                        *cmp.Or(r.Type, new(sailpoint.ClientType(""))),
		Internal:                    *cmp.Or(r.Internal, new(false)),
		Enabled:                     r.Enabled,
		StrongAuthSupported:         *cmp.Or(r.StrongAuthSupported, new(false)),
		ClaimsSupported:             *cmp.Or(r.ClaimsSupported, new(false)),
		Scope:                       r.Scope,
	}, c.now)
	if o.Scope == nil {
		o.Scope = []string{allScopes}
	}
	s.oauthClients = append(s.oauthClients, o)

	// The vendor documents no nulls in this response, unlike in all others.
	body := sailpoint.CreateOAuthClientResponse{
		ID:                          o.ID,
		Secret:                      wire.NewSecret(o.secret),
		Name:                        o.Name,
		BusinessName:                *cmp.Or(o.BusinessName, new("")),
		HomepageURL:                 *cmp.Or(o.HomepageURL, new("")),
		Description:                 *cmp.Or(o.Description, new("")),
		AccessTokenValiditySeconds:  o.AccessTokenValiditySeconds,
		RefreshTokenValiditySeconds: o.RefreshTokenValiditySeconds,
		RedirectURIs:                o.RedirectURIs,
		GrantTypes:                  o.GrantTypes,
		AccessType:                  o.AccessType,
		Type:                        o.Type,
		Internal:                    o.Internal,
		Enabled:                     o.Enabled,
		StrongAuthSupported:         o.StrongAuthSupported,
		ClaimsSupported:             o.ClaimsSupported,
		Created:                     o.Created,
		Modified:                    o.Modified,
		Scope:                       o.Scope,
	}
	if body.RedirectURIs == nil {
		body.RedirectURIs = []string{}
	}
	return jsonResponse(http.StatusOK, body).with("Cache-Control", "no-store")
}

// readCreate reads a create request. Unknown members are ignored.
func readCreate(body []byte) (*sailpoint.CreateOAuthClientRequest, error) {
	members, err := object(body)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"name", "description", "accessTokenValiditySeconds", "grantTypes", "accessType", "enabled"} {
		if members[name] == nil {
			return nil, fmt.Errorf("%s is required", name)
		}
	}
	if err := checkFields(members); err != nil {
		return nil, err
	}
	var r sailpoint.CreateOAuthClientRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, errors.New("a member has the wrong type")
	}
	if slices.Contains(r.GrantTypes, sailpoint.GrantTypeAuthorizationCode) && len(r.RedirectURIs) == 0 {
		return nil, errors.New("redirectUris is required with AUTHORIZATION_CODE")
	}
	return &r, nil
}

func (s *SailPoint) patch(c *call) response {
	o := s.oauthClient(c.clientID)
	if o == nil {
		return noSuchClient(c)
	}
	patched, err := o.patched(c.body)
	if err != nil {
		return sailPointError(c, http.StatusBadRequest, err.Error())
	}
	patched.Modified = timestamp(c.now)
	*o = *patched
	return jsonResponse(http.StatusOK, o.OAuthClient)
}

// patchable are the fields that a patch may change.
var patchable = []string{
	"tenant", "businessName", "homepageUrl", "name", "description", "accessTokenValiditySeconds",
	"refreshTokenValiditySeconds", "redirectUris", "grantTypes", "accessType", "enabled", "strongAuthSupported",
	"claimsSupported",
}

// patched returns a copy of the client with a JSON Patch applied. The patch sees only the patchable fields.
func (o *oauthClient) patched(body []byte) (*oauthClient, error) {
	var patch jsonpatch.Patch
	if err := patch.UnmarshalJSON(body); err != nil {
		return nil, err
	}
	for i, op := range patch {
		pointers := []string{op.Path()}
		if op.Op() == "move" || op.Op() == "copy" {
			pointers = append(pointers, op.From())
		}
		for _, pointer := range pointers {
			if !slices.Contains(patchable, topLevel(pointer)) {
				return nil, fmt.Errorf("operation %d: this path cannot be patched", i)
			}
		}
	}

	members, _ := object(marshal(o.OAuthClient))
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return !slices.Contains(patchable, name) })
	if o.tenant != nil {
		members["tenant"] = marshal(*o.tenant)
	}
	after, err := patch.Apply(marshal(members))
	if err != nil {
		return nil, err
	}
	members, _ = object(after) // no operation replaces the whole
	for _, name := range patchable {
		if members[name] == nil {
			members[name] = json.RawMessage("null") // removed
		}
	}
	if err := checkFields(members); err != nil {
		return nil, err
	}

	patched := &oauthClient{OAuthClient: o.OAuthClient, secret: o.secret}
	// Decoding would write through pointers and slices that the copy shares with the client.
	patched.BusinessName, patched.HomepageURL, patched.Description = nil, nil, nil
	patched.RedirectURIs, patched.GrantTypes = nil, nil
	if err := json.Unmarshal(after, &patched.OAuthClient); err != nil {
		return nil, errors.New("a member has the wrong type")
	}
	_ = json.Unmarshal(members["tenant"], &patched.tenant) // it has been checked
	return patched, nil
}

// topLevel returns the first name of a JSON Pointer. No patchable name needs escapes.
func topLevel(pointer string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	return first
}

func object(body []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(body, &members)
	if members == nil {
		return nil, errors.New("the body must be a JSON object")
	}
	return members, nil
}

// checkFields returns an error if a member has a value that no client may have.
func checkFields(members map[string]json.RawMessage) error {
	for name, raw := range members {
		check := fieldChecks[name]
		if check == nil {
			continue
		}
		var value any
		if json.Unmarshal(raw, &value) != nil {
			return fmt.Errorf("%s has a number that is too large", name)
		}
		if text := check(value); text != "" {
			return fmt.Errorf("%s must be %s", name, text)
		}
	}
	return nil
}

// fieldChecks return what a value should have been, or "". Fields that may be null in responses may be set to null.
var fieldChecks = map[string]func(any) string{
	"tenant":                      nullable(text),
	"businessName":                nullable(text),
	"homepageUrl":                 nullable(text),
	"description":                 nullable(text),
	"name":                        filled,
	"accessTokenValiditySeconds":  atLeast(1),
	"refreshTokenValiditySeconds": atLeast(0),
	"redirectUris":                nullable(listOf(filled, 0)),
	"grantTypes":                  listOf(oneOf(sailpoint.GrantType.Valid), 1),
	"accessType":                  oneOf(sailpoint.AccessType.Valid),
	"type":                        oneOf(sailpoint.ClientType.Valid),
	"internal":                    boolean,
	"enabled":                     boolean,
	"strongAuthSupported":         boolean,
	"claimsSupported":             boolean,
	"scope":                       nullable(listOf(filled, 0)),
}

func nullable(check func(any) string) func(any) string {
	return func(value any) string {
		if value == nil {
			return ""
		}
		return check(value)
	}
}

func text(value any) string {
	if _, ok := value.(string); !ok {
		return "a string"
	}
	return ""
}

func filled(value any) string {
	if s, _ := value.(string); s == "" {
		return "a string that is not empty"
	}
	return ""
}

func boolean(value any) string {
	if _, ok := value.(bool); !ok {
		return "true or false"
	}
	return ""
}

func atLeast(least float64) func(any) string {
	return func(value any) string {
		if n, ok := value.(float64); !ok || n < least || n > 1<<31-1 || n != float64(int32(n)) {
			return fmt.Sprintf("a whole number from %.0f", least)
		}
		return ""
	}
}

func oneOf[E ~string](valid func(E) bool) func(any) string {
	return func(value any) string {
		if s, _ := value.(string); !valid(E(s)) {
			return "a known value"
		}
		return ""
	}
}

func listOf(check func(any) string, least int) func(any) string {
	return func(value any) string {
		list, ok := value.([]any)
		if !ok || len(list) < least {
			return fmt.Sprintf("a list of %d or more", least)
		}
		for _, element := range list {
			if text := check(element); text != "" {
				return "a list, each of it " + text
			}
		}
		return ""
	}
}

func noSuchClient(c *call) response {
	return sailPointError(c, http.StatusNotFound, "there is no such client")
}
