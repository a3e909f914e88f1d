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

// usualPage is the most that the vendor's collections return at once. This one documents neither a limit nor an offset.
const usualPage = 250

// List returns the clients that all filters select, or every client if there are none: GET /oauth-clients.
//
// The vendor documents no paging for this list, and 250 is the most that its other lists return at once. So a list of exactly
// 250 clients may have been cut: check its length, and use narrower filters then. The Logger of the options is told, too.
//
// Needs sp:oauth-client:read or sp:oauth-client:manage, and a user. Errors: 400 (also for a filter that the vendor does
// not support), 401, 403, 429, 500. If there is an error, the clients that were read before it are returned too.
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

// All is [SailPoint.List] for lists of any length: it decodes one client after the other as they arrive, and holds no
// more than one. Each range over the result sends a new request. If the loop is left early, the rest of the response is
// dropped.
//
// Timeout bounds the call until the list begins. From then on IdleTimeout bounds the time in which each read must bring
// something. Only reading counts, not what the loop does with a client: it may take its time, as long as the vendor keeps
// the connection open. The context bounds the whole.
//
// An error is the last pair, and its client is zero. The error of a client that cannot be read, and of a list that ends
// early, names the index of the client, counted from 0. The clients before it are good. As with List, a loop that had exactly
// 250 clients may not have had all.
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

// spacesAsPercent20 writes spaces as the vendor documents them. The generated client writes a plus sign for a space, and
// %2B for a plus sign.
func spacesAsPercent20(_ context.Context, req *http.Request) error {
	req.URL.RawQuery = strings.ReplaceAll(req.URL.RawQuery, "+", "%20")
	return nil
}
