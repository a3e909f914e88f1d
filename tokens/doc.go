// Package tokens gets, keeps, renews, uses and revokes OAuth 2.0 access tokens (RFC 6749, 6750, 7009) at ThousandEyes,
// Moov, SailPoint Identity Security Cloud and any other server.
//
//	endpoint, err := tokens.NewThousandEyes(tokens.Credentials{ClientID: id, ClientSecret: secret}, nil)
//	if err != nil {
//		return err
//	}
//	cache, err := tokens.NewCache(endpoint, nil)
//	if err != nil {
//		return err
//	}
//	client, err := tokens.NewClient(cache, nil)
//	if err != nil {
//		return err
//	}
//	resp, err := client.Get(endpoint.BaseURL() + "/v7/tests") // client is an http.Client: use it as any other
//
// An [Endpoint] asks a server for a token, anew at each call. [NewThousandEyes], [NewMoov] and [NewSailPoint] make one for
// their vendor, [NewEndpoint] for any server, and [Discover] for a server that describes itself. A [Cache] keeps the token
// of an Endpoint and renews it. [NewClient] returns an http.Client that sends it, [NewDoer] what the generated clients of
// this module take, and [NewTransport] a layer to put under an http.Client of one's own. All three send the token to one
// origin and nowhere else.
//
// A user's login by authorization code begins with [Endpoint.AuthorizationURL]. What the server sends back is read by
// [Login.Grant], exchanged by [Endpoint.Exchange], and the token given to a Cache with a Session.
//
// Nothing here reads the environment, keeps a context, or follows a redirect with a credential. All types are safe for
// concurrent use, but for a [Login], which is one user's. http is refused unless the host is loopback.
//
// # Client authentication
//
// Each request authenticates by one method, and none is tried after another: by [AuthStyle], or by an assertion that
// EndpointOptions.Assertion returns (private_key_jwt, RFC 7523). For mutual TLS (RFC 8705), pass an HTTPClient that has the
// client's certificate, and [AuthStyleNone]. Secrets that change come from a [CredentialsFunc] or a [CredentialsFile]: they
// are read before each request, and once more after a 401.
//
// # Errors
//
// A response outside 2xx, a response that cannot be read and the failure to get one are each an [*Error]. It is matched by
// the server's code or by the HTTP status, and decoded into a generated model:
//
//	errors.Is(err, tokens.InvalidGrant)
//	errors.Is(err, tokens.Status(http.StatusTooManyRequests))
//	errors.As(err, &tokenErr) && tokenErr.Decode(&model) == nil
//
// These members become these fields, whatever the media type of the response:
//
//	member or header                                         field of Error
//	error, without spaces (RFC 6749, Moov 400)               Code
//	error, with spaces (SailPoint 401)                       Message
//	error_description                                        Message
//	type (RFC 9457), resolved against the URL                Code, unless about:blank
//	title, detail (RFC 9457)                                 Message
//	errors[] of objects: field, code, message (ThousandEyes) Fields
//	errors[] of strings, httpStatus (ThousandEyes)           Fields, Code
//	errorMessage (ThousandEyes)                              Message
//	members that are fields of the request (Moov 422)        Fields
//	detailCode, messages[0].text, causes (SailPoint)         Code, Message, Fields
//	message (SailPoint 429)                                  Message
//	text that is neither JSON nor HTML                       Message
//	the origin of Location, after a 3xx without any of these Message
//	trackingId (SailPoint), where no header has it           RequestID
//	X-Request-Id, SLPT-Request-ID                            RequestID
//	Retry-After, X-Organization-Rate-Limit-Reset             RetryAfter
//	WWW-Authenticate: Bearer, where the body has none        Code, Message
//
// Members of the wrong type are ignored (RFC 9457, section 3.1). A caller that reads a response of a Doer by itself does so
// by [DecodeResponse], or makes its error by [NewError].
//
// # Secrets
//
// The text of an Error has the method, the URL without user and query, the status, and what the fields above hold, without
// control characters and shortened. Credentials and tokens that the request carried are replaced in it, as whole values and
// in every usual encoding, where they have four characters or more; so is the client id. Short ones within longer words are
// left alone.
//
// Types that hold secrets print redacted under fmt and slog, and as YAML, text and JSON; but a [Token] and a Login marshal to
// JSON as they are, to be stored. fmt calls no methods on the unexported fields of a struct: a Token, Credentials, a Grant, a
// Login or options print as they are there, and behind a pointer they do under %s and %q, though not under %v, %+v and %#v. Let
// such fields hold a [Source], an Endpoint, a [CredentialsFunc] or a client, which show nothing anywhere
// (TestWhatPrintsRedacted, TestUnexportedFieldsShowNoSecrets).
//
// # Many processes
//
// Caches with the same [Store] share one token: one of them fetches it, and the others take it over. What is guaranteed, as
// long as the Store is linearizable for one key and loses nothing, and the tests that show it:
//
//   - One request renews a token, however many processes there are (TestOneRequestForAFleet, TestSimulationQuiet), and one
//     replaces a token that the API rejected (TestRejectedTokenIsRenewedOnceByAFleet).
//   - Two live processes never present the same refresh token at the same time, unless one of them was held up by its machine
//     (TestSimulationOfSingleFaults, TestSimulationOfManyFaults).
//   - An older login never replaces a newer one, and a process that has looked since a login or a logout never serves what was
//     there before (TestSimulationOfSingleFaults, TestSimulationOfManyFaults, TestInitialDoesNotUndoALogout).
//   - After a crash, an outage of the Store or a lost response every process has a token again, as soon as the server and the
//     Store go on, and at the latest after two holds of 90 s (TestSimulationOfSingleFaults). Callers without a token wait 10 s for
//     a process that died while it fetched an app's token (TestHolderIsKilled).
//   - A process with a token looks at the Store once a minute of use, or ten times in a shorter life, and needs at most three
//     calls more for each token (TestStoreCallsOfAQuietFleet). So a login or a logout elsewhere is obeyed within a minute by a
//     process in use, and with the second call by an idle one (TestSetAndRevokeAreObeyedElsewhere). A process without a login,
//     whose callers get [ErrLoginRequired], looks with each call, every 250 ms at most (TestLooksOfAProcessWithoutALogin).
//   - A failure, with the time to wait for, holds for all (TestFailureIsSharedThroughTheStore, TestInvalidGrantIsFinalForAll).
//   - No clock needs to be right. Wall clocks may be a day apart and monotonic clocks run 1 % fast or slow, or stand still while
//     the machine sleeps (TestSimulationOfSingleFaults, TestRecordsArePlaced, TestRecordsAgeWhileTheMachineSleeps).
//   - A record of a newer release, or of something else, is left alone (TestForeignRecordsAreLeftAlone), and members that this
//     release does not know survive (TestUnknownMembersSurvive).
//   - A Store that hangs, panics or contradicts itself costs neither an endless loop nor a caller that waits without end
//     (TestStoreThatPanicsOrHangs, TestStoresThatNeverAgree, TestSetWithAStoreThatHangs).
//
// While the Store cannot be reached a living token serves to its end. Then an app's is fetched by each process alone (where a
// new token ends the old ones, such processes end each other's), and a login fails with [ErrStore], unless
// CacheOptions.RefreshWithoutStore says otherwise (TestStoreDown).
//
// What is not guaranteed: on a server that ends a login when a refresh token is used twice, no client can save the login if
//
//   - the response with the next refresh token never came, or came later than the timeout;
//   - the process crashed between that response and the swap, or was paused or cut off from the Store for longer than 90 s there;
//   - a process was held up for longer than 90 s between its look at the Store and the arrival of its request;
//   - the Store lost the last swaps, and every process that knew them is gone or has not looked yet, which takes a minute at most:
//     keep logins in a Store that is durable, and set CacheOptions.SeedDelay where it is not (TestSeedDelay);
//   - Set returned an error, for a login that nobody else has (TestSetReportsWhatTheStoreDidNotTake).
//
// The simulation, TestSimulationOfSingleFaults and TestSimulationOfManyFaults, tells these deaths from others and counts them.
//
// # Logs
//
// A Logger gets a line for what happens in the background: a token came, was dropped or could not be had, a request is
// repeated, a rate limit closes and opens. It never gets a token. A handler that panics costs its line and nothing else.
// These attributes are in each line that is about a Cache, an Endpoint or a call with their tokens, where they are known
// (TestLogLinesSayWhoseTokenAndWhatComesNext):
//
//	vendor   the vendor, or the host of another server's token endpoint
//	client   the first eight hexadecimal digits of the SHA-256 of the client id
//	session  the same of CacheOptions.Session
//	expiry   when the token ends that the line is about or, if it is about none, that is served now
//	next     what comes next: renewal, retry, fetch, login, and so on
//	next_in  how long until then
//
// # One call
//
// [WithRetry] and [WithResponse] say in a context how often one call is repeated, and where its status and headers go. What
// a call does on its way, such as fetching a token, sees neither.
package tokens
