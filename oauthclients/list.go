package oauthclients

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strings"

	"github.com/grantwright/oauth-go/gen/sailpoint"
)

// usualPage is the most that the vendor's collections return at once. This one documents no limit, and no offset.
const usualPage = 250

// List returns the clients that all filters choose, or every one: GET /oauth-clients. Exactly 250 may be a list that
// the vendor cut, for which it documents no remedy but narrower filters; the Logger is told.
//
// Needs sp:oauth-client:read or sp:oauth-client:manage, and a user. Errors: 400 (also for a filter that the vendor does
// not support), 401, 403, 429, 500. With an error, what was read before it is returned too.
func (s *SailPoint) List(ctx context.Context, filters ...Filter) ([]sailpoint.OAuthClient, error) {
	clients := []sailpoint.OAuthClient{}
	for client, err := range s.list(ctx, s.api, filters) {
		if err != nil {
			return clients, err
		}
		clients = append(clients, client)
	}
	return clients, nil
}

// All is [SailPoint.List] for lists of any length: it decodes one client after the other from the connection, and holds
// no more than one. Each range over it is a new request; leaving the loop early drops the rest of the answer.
//
// An error is the last pair, its client zero. The error of a client that cannot be read names its index in the list,
// counted from 0, and so does that of a list that breaks off there; the clients before it are good.
func (s *SailPoint) All(ctx context.Context, filters ...Filter) iter.Seq2[sailpoint.OAuthClient, error] {
	return s.list(ctx, s.stream, filters)
}

func (s *SailPoint) list(ctx context.Context, api *sailpoint.Client, filters []Filter) iter.Seq2[sailpoint.OAuthClient, error] {
	return func(yield func(sailpoint.OAuthClient, error) bool) {
		params, err := listParams(filters)
		if err != nil {
			yield(sailpoint.OAuthClient{}, fmt.Errorf("oauthclients: list: %w", err))
			return
		}
		resp, err := api.ListOAuthClients(ctx, params, spacesAsPercent20)
		if err != nil {
			yield(sailpoint.OAuthClient{}, err)
			return
		}
		defer func() { _ = resp.Body.Close() }()

		n := 0
		for elements := newElements(resp, s.maxElement); ; n++ {
			var client sailpoint.OAuthClient
			data, err := elements.next()
			if errors.Is(err, errDone) {
				break
			}
			if err == nil {
				err = decodeClient(resp, data, &client)
			}
			if err != nil {
				yield(sailpoint.OAuthClient{}, fmt.Errorf("oauthclients: list: client %d: %w", n, err))
				return
			}
			if !yield(client, nil) {
				return
			}
		}
		if n == usualPage && s.logger != nil {
			s.logger.LogAttrs(ctx, slog.LevelWarn, "the list may be cut: it is exactly as long as the vendor's usual page",
				slog.Int("clients", n))
		}
	}
}

// listParams joins the filters.
func listParams(filters []Filter) (*sailpoint.ListOAuthClientsParams, error) {
	if len(filters) == 0 {
		return new(sailpoint.ListOAuthClientsParams), nil
	}
	f := And(filters...)
	if err := f.check(); err != nil {
		return nil, err
	}
	return &sailpoint.ListOAuthClientsParams{Filters: &f.text}, nil
}

// spacesAsPercent20 writes spaces as the vendor documents them. The generated client writes a plus sign, and %2B where
// a plus is meant.
func spacesAsPercent20(_ context.Context, req *http.Request) error {
	req.URL.RawQuery = strings.ReplaceAll(req.URL.RawQuery, "+", "%20")
	return nil
}
