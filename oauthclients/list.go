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

// usualPage is the maximum page size of the vendor's other collections. This one documents neither a limit nor an
// offset.
const usualPage = 250

// List returns the clients that match all filters, or all clients if there are none: GET /oauth-clients.
//
// The vendor documents no paging for this list, but its other lists return at most 250 items at once. A list of exactly
// 250 clients may therefore be incomplete: check the length, and use narrower filters in that case. List also logs a
// warning to the Logger of the options.
//
// List needs the scope sp:oauth-client:read or sp:oauth-client:manage, and a user. The vendor documents errors 400
// (also for an unsupported filter), 401, 403, 429 and 500. If there is an error, the clients that were read before it
// are returned too.
func (s *SailPoint) List(ctx context.Context, filters ...Filter) ([]sailpoint.OAuthClient, error) {
	clients := []sailpoint.OAuthClient{}
	if err := s.check(ctx); err != nil {
		return clients, fmt.Errorf("oauthclients: list: %w", err)
	}
	for client, err := range s.list(ctx, s.api, filters) {
		if err != nil {
			return clients, err
		}
		clients = append(clients, client)
	}
	return clients, nil
}

// All is [SailPoint.List] for lists of any length: it decodes clients as they arrive, and holds one at a time in
// memory. Each range over the result sends a new request. If the loop ends early, the rest of the response is
// discarded.
//
// Timeout limits the call until the list begins. After that, IdleTimeout limits each read. Only reads count: the loop
// may spend any time on a client, as long as the vendor keeps the connection open. The context limits the whole call.
//
// An error comes with the last pair, whose client is zero. If a client cannot be read, or the list ends early, the
// error says the index of the client, counted from 0. The clients before it are valid. As with List, a loop over
// exactly 250 clients may not have seen all of them.
func (s *SailPoint) All(ctx context.Context, filters ...Filter) iter.Seq2[sailpoint.OAuthClient, error] {
	if err := s.check(ctx); err != nil {
		return func(yield func(sailpoint.OAuthClient, error) bool) {
			yield(sailpoint.OAuthClient{}, fmt.Errorf("oauthclients: list: %w", err))
		}
	}
	return s.list(ctx, s.stream, filters)
}

func (s *SailPoint) list(ctx context.Context, api *sailpoint.Client, filters []Filter) iter.Seq2[sailpoint.OAuthClient, error] {
	return func(yield func(sailpoint.OAuthClient, error) bool) {
		var params sailpoint.ListOAuthClientsParams
		filter, err := joinFilters(filters)
		if err != nil {
			yield(sailpoint.OAuthClient{}, fmt.Errorf("oauthclients: list: %w", err))
			return
		}
		if filter != "" {
			params.Filters = &filter
		}
		resp, err := api.ListOAuthClients(ctx, &params, spacesAsPercent20)
		if err != nil {
			yield(sailpoint.OAuthClient{}, err)
			return
		}
		defer func() { _ = resp.Body.Close() }()

		n := 0
		for elements := newElements(resp, s.maxElement); ; n++ {
			data, err := elements.next()
			if errors.Is(err, errDone) {
				break
			}
			var client sailpoint.OAuthClient
			if err == nil {
				client, err = decodeElement(resp, data)
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

// spacesAsPercent20 encodes spaces as %20, as the vendor documents. The generated client encodes a space as a plus
// sign, and a plus sign as %2B.
func spacesAsPercent20(_ context.Context, req *http.Request) error {
	req.URL.RawQuery = strings.ReplaceAll(req.URL.RawQuery, "+", "%20")
	return nil
}
